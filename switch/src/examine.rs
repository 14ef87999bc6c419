//! What a start would find in the files that a configuration names, beyond that they are there. Reads only: nothing is
//! made, locked, or asked of a token, so that it may be done beside a running switch.
//!
//! Not here: what is on the token, for which somebody must log in (`serve` does, and `signalbox keys list`), and whether
//! the journal is whole (`signalbox verify`).

use std::path::Path;

use crate::api::AccessToken;
use crate::config::{Config, Door, Journal, JournalKey};
use crate::console::audit;
use crate::journal::{self, Keys};
use crate::keys::first_line;
use crate::tls::Tls;

/// Every file that cannot be used, and why.
#[must_use]
pub fn faults(config: &Config) -> Vec<String> {
    let acquirers = config.acquirers.iter().map(|peer| certificates("acquirer", &peer.name, &peer.door));
    let issuers = config.issuers.iter().map(|peer| certificates("issuer", &peer.name, &peer.door));
    let console = config.console.as_ref();
    let access =
        [config.admin.token_file.as_deref(), console.and_then(|console| console.token_file.as_deref())];
    let access = access.into_iter().flatten().map(|path| AccessToken::read(path).map(drop));
    let audit = console.and_then(|console| console.audit_log.as_deref()).map(audit_log);
    let journal = config.journal.iter().flat_map(|journal| data_directory(journal, config.switch.shards));
    let pin = config.hsm.iter().map(|hsm| first_line(&hsm.pin_file).map(drop));
    acquirers
        .chain(issuers)
        .chain(access)
        .chain(audit)
        .chain(journal)
        .chain(pin)
        .filter_map(Result::err)
        .collect()
}

fn certificates(kind: &str, name: &str, door: &Door) -> Result<(), String> {
    let Some(files) = &door.tls else { return Ok(()) };
    Tls::read(files).map(drop).map_err(|why| format!("{kind} {name}: {why}"))
}

/// It is made where there is none, but not the folder it lies in.
fn audit_log(path: &Path) -> Result<(), String> {
    if path.exists() {
        return audit::verify(path).map(drop);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let read = std::fs::read_dir(folder).map(drop);
    read.map_err(|error| format!("{}: {error}", path.display()))
}

fn data_directory(journal: &Journal, shards: u16) -> [Result<(), String>; 2] {
    let key = match &journal.key {
        JournalKey::File(path) => Keys::read(path).map(drop),
        JournalKey::Token { .. } => Ok(()),
    };
    [journal::examine(&journal.dir, shards).map_err(|fault| fault.to_string()), key]
}
