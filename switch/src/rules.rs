//! What a reload swaps whole: the configuration as it is in force, and what is made of it.
//!
//! Every thread holds the rules it works by and none changes them, so a message is read, decided and answered under
//! the rules it came under, however often they are swapped meanwhile. What no reload changes (listeners, shards, the
//! journal, the token, who the peers are) is the same in all generations.

use std::sync::Arc;

use authorizer::event::{AcquirerId, IssuerId};
use authorizer::programs::ProgramId;
use authorizer::request::Class;
use codecs::iso8583::Dialect;
use codecs::value::{Iin, Pan};

use crate::api::AccessToken;
use crate::config::{Acquirer, Config, Door, Issuer, ProgramKind, TlsFiles};
use crate::programs::Programs;
use crate::throttle::Throttle;
use crate::tls::Tls;

/// One generation of them.
pub(crate) struct Rules {
    /// Counted from 1, the rules of the start.
    pub(crate) generation: u64,
    pub(crate) config: Config,
    pub(crate) programs: Programs,
    /// Cards that may be stood in for.
    stand_ins: Vec<Iin>,
    /// By acquirer.
    pub(crate) acquirer_tls: Vec<Option<Tls>>,
    /// By issuer.
    pub(crate) issuer_tls: Vec<Option<Tls>>,
    /// By acquirer.
    pub(crate) throttles: Vec<Option<Throttle>>,
    /// What callers of `/v1` show, if it is open.
    pub(crate) access: Option<AccessToken>,
    /// What browsers sign in to the console with, if they must.
    pub(crate) console_access: Option<AccessToken>,
}

/// The rules as one shard's messages hold them. Each shard has a count of its own, so that counting does not carry a
/// cache line from core to core with every message.
pub(crate) type OwnRules = Arc<Arc<Rules>>;

impl Rules {
    /// The rules of a configuration: certificates, keys, revocation lists and access tokens are read.
    ///
    /// # Errors
    /// Which of these files cannot be used, and why.
    pub(crate) fn new(config: Config, generation: u64) -> Result<Self, String> {
        Ok(Self {
            generation,
            acquirer_tls: read_tls(config.acquirers.iter().map(|acquirer| &acquirer.door))?,
            issuer_tls: read_tls(config.issuers.iter().map(|issuer| &issuer.door))?,
            access: config.admin.token_file.as_deref().map(AccessToken::read).transpose()?,
            console_access: config
                .console
                .as_ref()
                .and_then(|console| console.token_file.as_deref())
                .map(AccessToken::read)
                .transpose()?,
            programs: Programs::new(&config),
            stand_ins: config
                .issuers
                .iter()
                .filter_map(|issuer| issuer.stand_in.as_ref())
                .flat_map(|stand_in| stand_in.iins.iter().copied())
                .collect(),
            throttles: config
                .acquirers
                .iter()
                .map(|acquirer| Throttle::new(acquirer.requests_per_second))
                .collect(),
            config,
        })
    }

    /// The acquirer's settings.
    pub(crate) fn acquirer(&self, id: AcquirerId) -> &Acquirer {
        &self.config.acquirers[id.index()]
    }

    /// The issuer's settings.
    pub(crate) fn issuer(&self, id: IssuerId) -> &Issuer {
        &self.config.issuers[id.index()]
    }

    /// The dialect at an index of the configuration.
    pub(crate) fn dialect(&self, index: usize) -> &Dialect {
        &self.config.dialects[index].1
    }

    /// Whether an issuer may have to be told of this request from what is written down. Of a program's card nobody knows
    /// here which one pays.
    pub(crate) fn keeps(&self, class: Class, pan: Option<&Pan>, program: Option<ProgramId>) -> bool {
        let may_be_stood_in = |pan: &Pan| self.stand_ins.iter().any(|iin| iin.covers(pan));
        let is_proxy = program.is_some_and(|program| self.has_proxies(program)) && !self.stand_ins.is_empty();
        let is_asked_for = !class.is_reversal() && (is_proxy || pan.is_some_and(may_be_stood_in));
        self.config.journal.is_some() && (class.is_advice() || is_asked_for)
    }

    /// Whether others pay for the cards of a program. Contactless cards pay themselves.
    pub(crate) fn has_proxies(&self, program: ProgramId) -> bool {
        let program = self.config.programs.get(usize::from(program.0));
        program.is_none_or(|program| !matches!(program.kind, ProgramKind::Contactless { .. }))
    }

    /// How an acquirer's messages are read and written.
    pub(crate) fn acquirer_dialect(&self, id: AcquirerId) -> &Dialect {
        self.dialect(self.acquirer(id).dialect)
    }

    /// How an issuer's messages are read and written.
    pub(crate) fn issuer_dialect(&self, id: IssuerId) -> &Dialect {
        self.dialect(self.issuer(id).dialect)
    }
}

fn read_tls<'a>(doors: impl Iterator<Item = &'a Door>) -> Result<Vec<Option<Tls>>, String> {
    let read = |files: &TlsFiles| Tls::read(files);
    doors.map(|door| door.tls.as_ref().map(read).transpose()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Rules of a switch with one acquirer and one issuer.
    pub(crate) fn none() -> OwnRules {
        let text = "[[acquirer]]\nname = \"north\"\nlisten = \"127.0.0.1:1\"\nplain_tcp = true\n\
                    [[issuer]]\nname = \"maple\"\nconnect = [\"127.0.0.1:2\"]\nplain_tcp = true\n\
                    [[route]]\niin = \"9\"\nissuer = \"maple\"\n";
        let config = crate::config::parse(text, std::path::Path::new("f.toml"), std::iter::empty());
        Arc::new(Arc::new(Rules::new(config.expect("sound"), 1).expect("no files")))
    }
}
