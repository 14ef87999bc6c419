//! The data directory as a whole: held by one process, read once at the start, then written by each shard.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use authorizer::Authorizer;
use authorizer::event::ShardId;

use super::archive::{Archive, Fresh};
use super::fold::{Elsewhere, Fold, Folded};
use super::index::{self, Index, Recalls, Tell};
use super::mark::Mark;
use super::segment::Tail;
use super::writer::{Journal, Settings};
use super::{Fault, Keys};
use crate::homes::Homes;

/// A data directory that this process holds.
pub(crate) struct Directory {
    pub(super) path: PathBuf,
    pub(super) settings: Settings,
    /// By shard.
    tails: Vec<Tail>,
    pub(super) mark: Mark,
    /// The directory is free when this is closed.
    _lock: File,
}

/// What was found in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Facts of earlier processes that were read, behind the snapshots.
    pub(crate) facts: u64,
    /// Shards that began with a snapshot.
    pub(crate) snapshots: u32,
    /// When the last of them was written, microseconds since 1970.
    pub(crate) last_us: u64,
    /// Bytes of a write that was cut short.
    pub(crate) torn_bytes: u64,
}

impl Directory {
    /// Takes hold of a directory, makes it where there is none. `settings` is asked when nobody else can hold it.
    ///
    /// # Errors
    /// When another process holds it, it was made for another number of shards, or the machine refuses something.
    pub(crate) fn hold(
        path: &Path,
        shards: u16,
        settings: impl FnOnce() -> Result<Settings, Fault>,
    ) -> Result<Self, Fault> {
        let store = |error: std::io::Error| Fault::store(path, &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(store)?;
        insist_private(path)?;
        let lock = open_private(&path.join("lock")).map_err(store)?;
        if lock.try_lock().is_err() {
            // An old one that is still finishing, perhaps: a matter of time.
            return Err(Fault::Store(format!("{}: another switch uses this journal", path.display())));
        }
        let settings = settings()?;
        fixed_shards(path, shards)?;
        let mark = Mark::read(&settings.mark_file)?;
        Ok(Self { path: path.to_path_buf(), settings, tails: Vec::new(), mark, _lock: lock })
    }

    /// Reads what earlier processes wrote down, and gives each shard what it must know. `fresh` makes an authorizer that
    /// knows nothing.
    ///
    /// # Errors
    /// When the journal is damaged, older than it was once, or holds promises towards somebody who is not in the
    /// configuration any more.
    pub(crate) fn recover(
        &mut self,
        homes: &Homes,
        shards: u16,
        fresh: &(dyn Fn(ShardId) -> Authorizer + Sync),
    ) -> Result<(Vec<Authorizer>, Found), Fault> {
        let folded = self.fold(homes, shards, fresh)?;
        let mut found = Found::default();
        let (mut authorizers, mut elsewhere) = (Vec::new(), Vec::new());
        let forgotten_us = folded.iter().map(|folded| folded.snapshot_us).max().unwrap_or(0);
        for (shard, folded) in (0..shards).map(ShardId).zip(folded) {
            found.facts += folded.facts;
            found.snapshots += u32::from(folded.snapshot > 0);
            found.last_us = found.last_us.max(folded.tail.at_us);
            found.torn_bytes += folded.tail.torn_bytes;
            authorizers.push(folded.authorizer);
            elsewhere.push((shard, folded.elsewhere));
            self.tails.push(folded.tail);
        }
        self.mark.insist(&self.tails)?;
        recover_elsewhere(&mut authorizers, &elsewhere);
        authorizers.iter_mut().for_each(|authorizer| authorizer.may_have_forgotten(forgotten_us));
        Ok((authorizers, found))
    }

    /// All shards at once: each reads its own files.
    fn fold(
        &self,
        homes: &Homes,
        shards: u16,
        fresh: &(dyn Fn(ShardId) -> Authorizer + Sync),
    ) -> Result<Vec<Folded>, Fault> {
        let fold = |shard| {
            let (directory, settings, fresh) = (&self.path, &self.settings, &|| fresh(shard));
            Fold { directory, shard, settings, homes: Some(homes), fresh, until: None }.run()
        };
        if shards == 1 {
            return Ok(vec![fold(ShardId(0))?]);
        }
        std::thread::scope(|scope| {
            let reading: Vec<_> =
                (0..shards).map(|shard| scope.spawn(move || fold(ShardId(shard)))).collect();
            let panicked = |_| Err(Fault::Store("a thread that reads the journal failed".to_owned()));
            reading.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
        })
    }

    /// What protects it.
    pub(crate) fn keys(&self) -> &Keys {
        &self.settings.keys
    }

    /// The journal of a shard, to be written from `now_us` on.
    pub(crate) fn open(&self, shard: ShardId, now_us: u64) -> Result<Journal, Fault> {
        let tail = self.tails.get(usize::from(shard.0)).copied().unwrap_or_default();
        Journal::open(&self.path, shard, self.settings.clone(), &tail, now_us)
    }

    /// Starts what keeps an index of the journals of all shards.
    pub(crate) fn index(
        &self,
        journals: &[Journal],
        figures: Arc<index::Figures>,
        recalls: (Arc<Recalls>, Tell),
    ) -> Result<Index, Fault> {
        let shards = journals.iter().map(|journal| journal.durability().clone()).collect();
        Index::start(self.path.clone(), self.settings.clone(), shards, figures, recalls)
    }

    /// Starts what looks after the journals of all shards, and holds the directory from here on.
    pub(crate) fn archive(self, journals: &[Journal], fresh: Fresh) -> Result<Archive, Fault> {
        let shards = journals.iter().map(|journal| journal.durability().clone()).collect();
        Archive::start(self, shards, fresh)
    }
}

/// Each shard is told which identities it is home to have their accounts elsewhere, all shards at once.
fn recover_elsewhere(authorizers: &mut [Authorizer], elsewhere: &[(ShardId, Elsewhere)]) {
    std::thread::scope(|scope| {
        for (home, authorizer) in authorizers.iter_mut().enumerate() {
            let told = elsewhere.iter().flat_map(move |(shard, told)| {
                let here = told.get(home).into_iter().flatten();
                here.map(|(identity, at_us)| (*identity, *shard, *at_us))
            });
            scope.spawn(move || authorizer.recover_elsewhere(told));
        }
    });
}

fn open_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Looks whether a directory can be held, without holding it: it may be another process's at this moment. One that is not
/// there can be made.
pub(crate) fn examine(path: &Path, shards: u16) -> Result<(), Fault> {
    match path.try_exists() {
        Ok(false) => return Ok(()),
        Ok(true) => {}
        Err(error) => return Err(Fault::store(path, &error)),
    }
    fs::read_dir(path).map_err(|error| Fault::store(path, &error))?;
    insist_private(path)?;
    is_made_for(path, shards).map(drop)
}

fn insist_private(path: &Path) -> Result<(), Fault> {
    let mode = fs::metadata(path).map_err(|error| Fault::store(path, &error))?.permissions().mode();
    match mode & 0o077 {
        0 => Ok(()),
        _ => {
            let why = format!("{}: others than its owner may enter it (chmod 700)", path.display());
            Err(Fault::Config(why))
        }
    }
}

/// A card's state lives in one shard's journal, so that their number cannot simply change.
fn fixed_shards(path: &Path, shards: u16) -> Result<(), Fault> {
    if is_made_for(path, shards)? {
        return Ok(());
    }
    let file = path.join("shards");
    let write = || {
        let mut file = open_private(&file)?;
        file.write_all(format!("{shards}\n").as_bytes())?;
        file.sync_all()?;
        File::open(path)?.sync_all()
    };
    write().map_err(|error| Fault::store(&file, &error))
}

/// Whether a directory was made for so many shards; false where that was not said yet.
fn is_made_for(path: &Path, shards: u16) -> Result<bool, Fault> {
    match fs::read_to_string(path.join("shards")) {
        Ok(text) if text.trim() == shards.to_string() => Ok(true),
        Ok(text) => Err(Fault::Config(format!(
            "{}: made for {} shards, the configuration has {shards}",
            path.display(),
            text.trim()
        ))),
        Err(_) => Ok(false),
    }
}
