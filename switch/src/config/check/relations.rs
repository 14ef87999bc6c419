//! What must hold between the parts. These steps look at the settings themselves, so that a fault elsewhere
//! in a table does not hide them.

use std::time::Duration;

use codecs::discretionary::Layout;
use codecs::iso8583::Version;
use codecs::value::Iin;

use super::Check;
use super::peer::{DIALECT, ISSUER_TIMEOUT, PATIENCE, name_of};
use crate::config::checked::{Config, Placement, Program, ProgramKind, Route};
use crate::config::given::{Given, Period};
use crate::config::raw::{self, Raw};

/// The most acquirers, and the most issuers.
const PEERS_MAX: usize = 1_000;

impl Check<'_, '_> {
    pub(super) fn relations(&mut self, raw: &Raw) {
        for acquirer in &raw.acquirer {
            for issuer in &raw.issuer {
                self.outwaits(acquirer.get_ref(), issuer.get_ref());
            }
        }
        self.one_version(raw);
        self.windows(raw);
        self.stand_ins(raw);
        self.journal_key_needs_token(raw);
        self.macs_need_token(raw);
        for (is_absent, kind) in [(raw.acquirer.is_empty(), "acquirer"), (raw.issuer.is_empty(), "issuer")] {
            if is_absent {
                self.report.fault(&(0..0), format!("no {kind}"), format!("at least one [[{kind}]]"));
            }
        }
        let superfluous = [
            raw.acquirer.get(PEERS_MAX).map(|peer| (peer.span(), "acquirers")),
            raw.issuer.get(PEERS_MAX).map(|peer| (peer.span(), "issuers")),
        ];
        for (at, kind) in superfluous.into_iter().flatten() {
            self.report.fault(&at, format!("more than {PEERS_MAX} {kind}"), format!("at most {PEERS_MAX}"));
        }
    }

    /// A key on the token is asked through it.
    fn journal_key_needs_token(&mut self, raw: &Raw) {
        let key = raw.journal.as_ref().and_then(|journal| journal.get_ref().key.as_ref());
        if let (Some(key), None) = (key, &raw.hsm) {
            self.report.fault(
                &key.at,
                "the journal's key on a token and no [hsm]",
                "[hsm] beside it, or key_file",
            );
        }
    }

    /// What was approved for an absent issuer must be known after a restart.
    fn stand_ins(&mut self, raw: &Raw) {
        for given in raw.issuer.iter().filter_map(|issuer| issuer.get_ref().stand_in.as_ref()) {
            if raw.journal.is_none() {
                self.report.fault(&given.span(), "stand_in without a journal", "[journal] beside it");
            }
        }
    }

    /// Each shard has its own share of a window: one that is too small for them would be exceeded.
    fn windows(&mut self, raw: &Raw) {
        let Some(Ok(shards)) = raw.switch.shards.as_ref().map(|given| given.value.clone()) else { return };
        for given in raw.issuer.iter().filter_map(|issuer| issuer.get_ref().window.as_ref()) {
            if given.value.as_ref().is_ok_and(|window| *window > 0 && *window < shards) {
                let found = format!("a window smaller than the number of shards, {shards}");
                self.report.fault(&given.at, found, "at least one request for each shard");
            }
        }
    }

    /// An acquirer that gives up first would reverse or repeat what the issuer is about to approve.
    fn outwaits(&mut self, acquirer: &raw::Acquirer, issuer: &raw::Issuer) {
        let patience = period(&acquirer.patience, PATIENCE);
        let timeout = period(&issuer.timeout, ISSUER_TIMEOUT);
        if let (Some(patience), Some(timeout)) = (patience, timeout)
            && patience <= timeout
            && let Some(given) = acquirer.patience.as_ref().or(issuer.timeout.as_ref())
        {
            let (acquirer, issuer) = (name_of(&acquirer.name), name_of(&issuer.name));
            let found = format!(
                "patience {patience} of acquirer {acquirer:?} and timeout {timeout} of issuer {issuer:?}"
            );
            self.report.fault(&given.at, found, "a patience longer than the timeout of every issuer");
        }
    }

    /// Messages are forwarded as they are; nothing here turns one edition into the other.
    fn one_version(&mut self, raw: &Raw) {
        let acquirers = raw.acquirer.iter().map(|peer| (&peer.get_ref().dialect, peer.span()));
        let issuers = raw.issuer.iter().map(|peer| (&peer.get_ref().dialect, peer.span()));
        let mut first = None;
        for (given, at) in acquirers.chain(issuers) {
            let name = text(given, DIALECT);
            let found = self.dialects.iter().find(|(known, _)| Some(known.as_str()) == name);
            let Some((name, Some(dialect))) = found else { continue };
            let (first, version) = (*first.get_or_insert(dialect.version), dialect.version);
            if version != first {
                let found = format!("dialect {name:?} of {} beside others of {}", year(version), year(first));
                let at = given.as_ref().map_or(at, |given| given.at.clone());
                self.report.fault(
                    &at,
                    found,
                    "one edition for all: they are not converted into each other yet",
                );
            }
        }
    }
}

/// What is allowed but looks like a mistake, or must not be overlooked.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, issuer) in config.issuers.iter().enumerate() {
        if !config.routes.iter().any(|route| route.issuers.contains(&index)) {
            warnings.push(format!("issuer {}: no route leads to it", issuer.name));
        }
    }
    warnings.extend(frames(config));
    warnings.extend(unrouted(config));
    warnings.extend(config.programs.iter().filter_map(long_track));
    // Proof of the card, place at the token, code of the request: each may take a deadline.
    let longest = config.hsm.as_ref().map_or(Duration::ZERO, |hsm| hsm.deadline.saturating_mul(3));
    for issuer in config.issuers.iter().filter(|issuer| issuer.mac.is_some() && issuer.timeout <= longest) {
        warnings.push(format!(
            "issuer {}: a timeout of no more than three times hsm.deadline: a request may follow its reversal, on another link",
            issuer.name
        ));
    }
    let deadline = config.hsm.as_ref().filter(|_| !config.programs.is_empty()).map(|hsm| hsm.deadline);
    for issuer in
        config.issuers.iter().filter(|issuer| deadline.is_some_and(|longest| issuer.timeout <= longest))
    {
        warnings.push(format!(
            "issuer {}: a timeout of no more than hsm.deadline: a request whose token answers late is declined, and late",
            issuer.name
        ));
    }
    if config.hsm.as_ref().is_some_and(|hsm| hsm::token::is_devtoken(&hsm.module)) {
        let why = "DEV-ONLY token: its keys are in the memory of this process, and whoever has its file can try PINs";
        warnings.push(why.to_owned());
    }
    if config.hsm.as_ref().is_some_and(|hsm| hsm.placement == Placement::Inline) {
        warnings
            .push("hsm: placement inline: a module that hangs or crashes takes the switch along".to_owned());
    }
    warnings
}

/// Links whose frames may be longer than their length can say.
fn frames(config: &Config) -> impl Iterator<Item = String> {
    let acquirers = config.acquirers.iter().map(|peer| ("acquirer", &peer.name, peer.framing));
    let issuers = config.issuers.iter().map(|peer| ("issuer", &peer.name, peer.framing));
    acquirers.chain(issuers).filter(|(.., framing)| framing.max_bytes > framing.longest()).map(
        |(kind, name, framing)| {
            let (max, longest) = (framing.max_bytes, framing.longest());
            format!(
                "{kind} {name}: framing.max is {max} bytes, and its length can say no more than {longest}"
            )
        },
    )
}

/// Cards that are served and lead nowhere. Where others pay for the cards of a program, it is those that need a route.
fn unrouted(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let contactless = |program: &&Program| matches!(program.kind, ProgramKind::Contactless { .. });
    for program in config.programs.iter().filter(contactless) {
        for iin in program.iins.iter().filter(|iin| !leads(config, iin, |_| true)) {
            warnings.push(format!("program {}: no route covers its cards {iin}", program.name));
        }
    }
    for (index, issuer) in config.issuers.iter().enumerate() {
        let iins = issuer.stand_in.iter().flat_map(|stand_in| &stand_in.iins);
        for iin in iins.filter(|iin| !leads(config, iin, |route| route.issuers.contains(&index))) {
            warnings.push(format!("issuer {}: no route leads its stand_in cards {iin} to it", issuer.name));
        }
    }
    warnings
}

/// Whether some of these cards have such a route: the longest that fits decides.
fn leads(config: &Config, iin: &Iin, is_wanted: impl Fn(&Route) -> bool) -> bool {
    let shorter = config.routes.iter().filter(|route| iin.digits().starts_with(route.iin.digits()));
    let of_all = shorter.max_by_key(|route| route.iin.digits().len());
    let mut of_some = config.routes.iter().filter(|route| route.iin.digits().starts_with(iin.digits()));
    of_all.is_some_and(&is_wanted) || of_some.any(is_wanted)
}

/// Digits of the discretionary data that no track 2 has whose card number is the usual one: 37 less the number, the
/// separator, expiry and service code.
fn long_track(program: &Program) -> Option<String> {
    let Layout::Bitmaps { pcvc3, punatc, .. } = program.layout else { return None };
    let digits = u16::BITS - (pcvc3 | punatc).leading_zeros();
    (digits > 13).then(|| {
        format!("program {}: pcvc3 and punatc need {digits} digits of discretionary data, and beside a card number of 16 there are 13", program.name)
    })
}

fn period(given: &Option<Given<Period>>, default: Duration) -> Option<Period> {
    match given {
        Some(given) => given.value.as_ref().ok().copied(),
        None => Some(Period(default)),
    }
}

fn text<'g>(given: &'g Option<Given<String>>, default: &'g str) -> Option<&'g str> {
    given.as_ref().map_or(Some(default), |given| given.value.as_deref().ok())
}

const fn year(version: Version) -> u16 {
    match version {
        Version::V1987 => 1987,
        Version::V1993 => 1993,
        Version::V2003 => 2003,
    }
}
