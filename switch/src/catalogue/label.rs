//! Labels and the closed lists their values come from.

use authorizer::counters::CURRENCIES;
use authorizer::decision::DeclineReason;
use authorizer::request::Class;

use crate::door::REFUSALS;
use crate::metrics::CODES;
use crate::setup::Setup;
use crate::wire::Goodbye;

/// What tells the series of a metric apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// A principal that asks.
    Acquirer,
    /// A principal that answers.
    Issuer,
    /// Either of them.
    Peer,
    /// Either of them, where its links are TLS.
    SecuredPeer,
    /// A program.
    Program,
    /// One thread with its cards.
    Shard,
    /// Of a request.
    Class,
    /// Why a request was declined.
    Reason,
    /// DE 39.
    Code,
    /// DE 49.
    Currency,
    /// What the token said.
    Outcome,
    /// Of a reversal: the first, or one of those that follow.
    Transmission,
    /// Why a link ended.
    Ending,
    /// Why a connection was refused.
    Refusal,
    /// Which certificate.
    Certificate,
    /// Of the binary.
    Version,
}

use Label::{
    Acquirer, Certificate, Code, Currency, Ending, Issuer, Outcome, Peer, Program, Reason, Refusal,
    SecuredPeer, Shard, Transmission, Version,
};

impl Label {
    /// Every label.
    pub const ALL: [Self; 16] = [
        Acquirer,
        Issuer,
        Peer,
        SecuredPeer,
        Program,
        Shard,
        Self::Class,
        Reason,
        Code,
        Currency,
        Outcome,
        Transmission,
        Ending,
        Refusal,
        Certificate,
        Version,
    ];

    /// As it stands on the page.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Acquirer => "acquirer",
            Issuer => "issuer",
            Peer | SecuredPeer => "peer",
            Program => "program",
            Shard => "shard",
            Self::Class => "class",
            Reason | Ending | Refusal => "reason",
            Code => "code",
            Currency => "currency",
            Outcome => "outcome",
            Transmission => "transmission",
            Certificate => "certificate",
            Version => "version",
        }
    }

    /// Its values where they are the same for every configuration.
    #[must_use]
    pub fn closed(self) -> Option<Vec<String>> {
        let values: Vec<&str> = match self {
            Currency => {
                let numbers = CURRENCIES.iter().map(|number| format!("{number:03}"));
                return Some(numbers.chain(["other".to_owned()]).collect());
            }
            Self::Class => Class::ALL.iter().map(|class| class.name()).chain(["network", "other"]).collect(),
            Reason => DeclineReason::ALL.iter().map(|reason| reason.name()).collect(),
            Code => CODES.iter().copied().chain(["other"]).collect(),
            Outcome => vec!["right", "wrong", "unknown"],
            Transmission => vec!["first", "repeat"],
            Ending => Goodbye::NAMES.to_vec(),
            Refusal => REFUSALS.to_vec(),
            Certificate => vec!["own", "ca"],
            Version => vec![env!("CARGO_PKG_VERSION")],
            Acquirer | Issuer | Peer | SecuredPeer | Program | Shard => return None,
        };
        Some(values.into_iter().map(str::to_owned).collect())
    }

    /// Its values in this switch.
    pub(crate) fn values(self, setup: &Setup) -> Vec<String> {
        let config = &setup.start;
        let acquirers = config.acquirers.iter().map(|peer| (&peer.name, peer.door.tls.is_some()));
        let issuers = config.issuers.iter().map(|peer| (&peer.name, peer.door.tls.is_some()));
        match self {
            Acquirer => acquirers.map(|(name, _)| name.clone()).collect(),
            Issuer => issuers.map(|(name, _)| name.clone()).collect(),
            Peer => acquirers.chain(issuers).map(|(name, _)| name.clone()).collect(),
            SecuredPeer => {
                let secured = acquirers.chain(issuers).filter(|(_, is_secured)| *is_secured);
                secured.map(|(name, _)| name.clone()).collect()
            }
            Program => config.programs.iter().map(|program| program.name.clone()).collect(),
            Shard => (0..setup.shards()).map(|shard| shard.to_string()).collect(),
            _ => self.closed().unwrap_or_default(),
        }
    }

    /// Its values for a reader.
    pub(crate) fn told(self) -> String {
        match self {
            Acquirer => "names of `[[acquirer]]`".to_owned(),
            Issuer => "names of `[[issuer]]`".to_owned(),
            Peer => "names of both".to_owned(),
            SecuredPeer => "names of those whose links are TLS".to_owned(),
            Program => "names of `[[program]]`".to_owned(),
            Shard => "0 to `switch.shards` - 1".to_owned(),
            Version => "the version of the binary".to_owned(),
            _ => {
                let values = self.closed().unwrap_or_default();
                values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// How many values it has, for the count of series.
    pub(crate) fn count(self) -> String {
        match self {
            Acquirer => "A".to_owned(),
            Issuer => "I".to_owned(),
            Peer => "(A + I)".to_owned(),
            SecuredPeer => "(A + I with TLS)".to_owned(),
            Program => "P".to_owned(),
            Shard => "S".to_owned(),
            _ => self.closed().map_or(0, |values| values.len()).to_string(),
        }
    }
}
