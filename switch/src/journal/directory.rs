//! The data directory as a whole: held by one process, read once at the start, then written by each shard.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use authorizer::Authorizer;
use authorizer::event::{AcquirerId, IssuerId, ShardId};
use authorizer::fact::Fact;
use authorizer::programs::ProgramId;
use authorizer::request::Identity;
use authorizer::saf::Reversal;
use authorizer::transaction::Sent;

use super::Fault;
use super::segment::{self, Names, Tail};
use super::writer::{Journal, Settings};
use crate::homes::Homes;

/// A data directory that this process holds.
pub(crate) struct Directory {
    path: PathBuf,
    settings: Settings,
    /// By shard.
    tails: Vec<Tail>,
    /// The directory is free when this is closed.
    _lock: File,
}

/// What was found in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Facts of earlier processes.
    pub(crate) facts: u64,
    /// When the last of them was written, microseconds since 1970.
    pub(crate) last_us: u64,
    /// Bytes of a write that was cut short.
    pub(crate) torn_bytes: u64,
}

impl Directory {
    /// Takes hold of a directory, makes it where there is none.
    ///
    /// # Errors
    /// When another process holds it, it was made for another number of shards, or the machine refuses something.
    pub(crate) fn hold(path: &Path, shards: u16, settings: Settings) -> Result<Self, Fault> {
        let store = |error: std::io::Error| Fault::store(path, &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(store)?;
        let mode = fs::metadata(path).map_err(store)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Fault::Config(format!(
                "{}: others than its owner may enter it (chmod 700)",
                path.display()
            )));
        }
        let lock = open_private(&path.join("lock")).map_err(store)?;
        if lock.try_lock().is_err() {
            return Err(Fault::Config(format!("{}: another switch uses this journal", path.display())));
        }
        fixed_shards(path, shards)?;
        Ok(Self { path: path.to_path_buf(), settings, tails: Vec::new(), _lock: lock })
    }

    /// Reads every fact and hands it to the shards that must know it.
    ///
    /// # Errors
    /// When the journal is damaged, or holds promises towards somebody who is not in the configuration any more.
    pub(crate) fn recover(&mut self, homes: &Homes, authorizers: &mut [Authorizer]) -> Result<Found, Fault> {
        let mut found = Found::default();
        for shard in (0..authorizers.len() as u16).map(ShardId) {
            let mut renumber = Renumber::new(&self.settings.names);
            let tail = segment::read(&self.path, shard, Some(&self.settings.master), &mut |recorded| {
                let Some(fact) = renumber.fact(recorded.fact, recorded.names) else { return };
                authorizers[usize::from(shard.0)].recover(&fact, recorded.at_us);
                if let Some(identity) = identity_of(&fact) {
                    let home = homes.of_identity(identity);
                    if home != shard {
                        authorizers[usize::from(home.0)].recover_elsewhere(identity, shard, recorded.at_us);
                    }
                }
            })?;
            renumber.insist()?;
            found.facts += tail.position;
            found.last_us = found.last_us.max(tail.at_us);
            found.torn_bytes += tail.torn_bytes;
            self.tails.push(tail);
        }
        Ok(found)
    }

    /// The journal of a shard, to be written from `now_us` on.
    pub(crate) fn open(&self, shard: ShardId, now_us: u64) -> Result<Journal, Fault> {
        let tail = self.tails.get(usize::from(shard.0)).copied().unwrap_or_default();
        Journal::open(&self.path, shard, self.settings.clone(), &tail, now_us)
    }
}

fn open_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// A card's state lives in one shard's journal, so that their number cannot simply change.
fn fixed_shards(path: &Path, shards: u16) -> Result<(), Fault> {
    let file = path.join("shards");
    match fs::read_to_string(&file) {
        Ok(text) if text.trim() == shards.to_string() => Ok(()),
        Ok(text) => Err(Fault::Config(format!(
            "{}: made for {} shards, the configuration has {shards}",
            path.display(),
            text.trim()
        ))),
        Err(_) => {
            let write = || {
                let mut file = open_private(&file)?;
                file.write_all(format!("{shards}\n").as_bytes())?;
                file.sync_all()?;
                File::open(path)?.sync_all()
            };
            write().map_err(|error| Fault::store(&file, &error))
        }
    }
}

/// The request that a fact is about, where another shard may be home to its identity.
fn identity_of(fact: &Fact) -> Option<Identity> {
    match fact {
        Fact::Intent(sent) => Some(sent.asked.identity),
        Fact::Declined { asked, .. } => Some(asked.identity),
        _ => None,
    }
}

/// Turns the numbers that names had when a fact was written into those they have now.
struct Renumber<'a> {
    now: &'a Names,
    /// The first name that is gone although something depends on it.
    missing: Option<String>,
}

impl<'a> Renumber<'a> {
    fn new(now: &'a Names) -> Self {
        Self { now, missing: None }
    }

    /// The fact under today's numbers; `None` where nothing depends on it any more.
    fn fact(&mut self, mut fact: Fact, then: &Names) -> Option<Fact> {
        if then == self.now {
            return Some(fact);
        }
        match &mut fact {
            Fact::Intent(sent) => self.sent(sent, then)?,
            Fact::Timeout { undo, .. } | Fact::Reversed { undo, .. } => {
                self.undo(undo.as_deref_mut(), then)?
            }
            Fact::Result { .. } | Fact::Provisioned(_) => {}
            Fact::Tombstone { acquirer, .. } => self.acquirer(acquirer, then)?,
            Fact::ReversalDone { issuer, .. }
            | Fact::ReversalParked { issuer, .. }
            | Fact::ReversalReleased { issuer, .. } => self.issuer(issuer, then)?,
            Fact::Declined { asked, .. } => self.acquirer(&mut asked.acquirer, then)?,
            Fact::Judged { program, .. } => {
                let name = then.programs.get(usize::from(program.0))?;
                *program = ProgramId(self.now.programs.iter().position(|known| known == name)? as u16);
            }
            Fact::Late { issuer, undo, .. } => {
                self.issuer(issuer, then)?;
                self.undo(undo.as_deref_mut(), then)?;
            }
        }
        Some(fact)
    }

    fn sent(&mut self, sent: &mut Sent, then: &Names) -> Option<()> {
        self.issuer(&mut sent.to.issuer, then)?;
        self.acquirer(&mut sent.asked.acquirer, then)
    }

    fn undo(&mut self, undo: Option<&mut Reversal>, then: &Names) -> Option<()> {
        undo.map_or(Some(()), |reversal| self.sent(&mut reversal.sent, then))
    }

    fn issuer(&mut self, issuer: &mut IssuerId, then: &Names) -> Option<()> {
        *issuer = IssuerId(self.number(&then.issuers, issuer.index(), |names| &names.issuers)?);
        Some(())
    }

    fn acquirer(&mut self, acquirer: &mut AcquirerId, then: &Names) -> Option<()> {
        *acquirer = AcquirerId(self.number(&then.acquirers, acquirer.index(), |names| &names.acquirers)?);
        Some(())
    }

    fn number(&mut self, then: &[String], index: usize, of: fn(&Names) -> &Vec<String>) -> Option<u16> {
        let name = then.get(index)?;
        let place = of(self.now).iter().position(|known| known == name);
        if place.is_none() && self.missing.is_none() {
            self.missing = Some(name.clone());
        }
        place.map(|place| place as u16)
    }

    fn insist(self) -> Result<(), Fault> {
        match self.missing {
            None => Ok(()),
            Some(name) => Err(Fault::Config(format!(
                "the journal has payments of {name:?}, which the configuration does not name any more; \
                 keep it without links until its journal is archived"
            ))),
        }
    }
}
