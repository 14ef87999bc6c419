//! From the configuration as written to the one that is trusted.
//!
//! Every default and every bound has its one home here: the tables in [`settings`], what acquirers and
//! issuers have in [`peer`], [`door`] and [`route`], and in [`relations`] what must hold between
//! them, in [`production`] what is forgiven in development only. A step that finds a fault reports it and returns what is left, or nothing; the steps beside it go
//! on. Whoever holds the report believes no configuration while there is a fault in it.

mod console;
mod contactless;
mod door;
mod journal;
mod mac;
mod peer;
mod production;
mod program;
mod relations;
mod route;
mod settings;
mod stand_in;

use std::net::SocketAddr;
use std::path::Path;

use codecs::iso8583::Dialect;

use super::checked::{Admin, Config};
use super::fault::Report;
use super::raw::Raw;

/// The trusted form. Relative paths start at `folder`.
pub(super) fn check(raw: &Raw, folder: &Path, report: &mut Report<'_>) -> Option<Config> {
    let switch = settings::switch(&raw.switch, report);
    let limits = settings::limits(&raw.limits, report);
    let timers = settings::timers(&raw.timers, report);
    let admin = settings::admin_listen(&raw.admin, report);
    let log = report.count(&raw.log.every_nth_payment, 0, 0..=u32::MAX);
    let otlp = settings::collector(&raw.log.otlp, report);

    let mut check = Check { report, folder, listeners: Vec::new(), names: Vec::new(), dialects: Vec::new() };
    if let (Some(admin), Some(given)) = (&admin, &raw.admin.listen) {
        check.claim(*admin, &given.at, "admin");
    }
    let approvals = switch.as_ref().map_or(&[][..], |switch| &switch.approval_codes);
    let acquirers: Vec<_> = raw.acquirer.iter().map(|acquirer| check.acquirer(acquirer, approvals)).collect();
    let issuers: Vec<_> = raw.issuer.iter().map(|issuer| check.issuer(issuer)).collect();
    let routes = check.routes(raw);
    check.relations(raw);
    check.production(raw);
    let token_file = check.token_file(&raw.admin.token_file);
    let console = check.console(&raw.console);
    let journal = check.journal(&raw.journal);
    let hsm = check.hsm(&raw.hsm);
    let programs = check.programs(raw);

    let dialects = check.dialects.into_iter().map(|(name, dialect)| Some((name, dialect?)));
    let mut config = Config {
        switch: switch?,
        admin: Admin { listen: admin?, token_file: token_file? },
        console: console?,
        log_every_nth_payment: log?,
        log_otlp: otlp?,
        journal: journal?,
        hsm: hsm?,
        programs: programs.into_iter().collect::<Option<_>>()?,
        limits: limits?,
        timers: timers?,
        dialects: dialects.collect::<Option<_>>()?,
        acquirers: acquirers.into_iter().collect::<Option<_>>()?,
        issuers: issuers.into_iter().collect::<Option<_>>()?,
        routes: routes.into_iter().collect::<Option<_>>()?,
        warnings: Vec::new(),
    };
    config.warnings = relations::warnings(&config);
    Some(config)
}

/// What is known so far, beside the faults.
struct Check<'r, 't> {
    report: &'r mut Report<'t>,
    folder: &'r Path,
    /// Addresses that are listened on, and by whom.
    listeners: Vec<(SocketAddr, String)>,
    /// Names of acquirers and issuers.
    names: Vec<String>,
    /// Dialects by the name written; nothing for one that has faults, which are reported once.
    dialects: Vec<(String, Option<Dialect>)>,
}
