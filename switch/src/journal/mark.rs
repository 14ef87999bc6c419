//! The mark: how many facts each shard had on the disk, in a file beside the data directory. An older journal that is
//! put in the place of a newer one has fewer than the mark says, and would let used ATCs and reversed payments be good
//! again. The mark goes up now and then, never down.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Fault;
use super::keeper;
use super::segment::Tail;

/// The file, and what was last written to it.
#[derive(Clone)]
pub(super) struct Mark {
    path: PathBuf,
    reached: Reached,
}

/// What stands in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    /// By shard: facts that were on the disk.
    facts: Vec<u64>,
}

impl Mark {
    /// Reads it. A directory that never had one begins with nothing.
    pub(super) fn read(path: &Path) -> Result<Self, Fault> {
        let unreadable = || Fault::Config(format!("{}: it is no mark of a journal", path.display()));
        let reached = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| unreadable())?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Reached::default(),
            Err(error) => return Err(Fault::store(path, &error)),
        };
        Ok(Self { path: path.to_path_buf(), reached })
    }

    /// No shard may have less than it once had.
    pub(super) fn insist(&self, tails: &[Tail]) -> Result<(), Fault> {
        let ends = |shard: usize| tails.get(shard).map_or(0, |tail| tail.position);
        let older = self.reached.facts.iter().enumerate().find(|(shard, facts)| ends(*shard) < **facts);
        match older {
            None => Ok(()),
            Some((shard, had)) => Err(Fault::Older {
                mark: self.path.clone(),
                shard: shard as u16,
                has: ends(shard),
                had: *had,
            }),
        }
    }

    /// Writes down how many facts each shard has on the disk, where there are more than before.
    pub(super) fn raise(&mut self, facts: &[u64]) -> Result<(), Fault> {
        if self.reached.facts == facts {
            return Ok(());
        }
        let reached = Reached { facts: facts.to_vec() };
        let text = serde_json::to_vec(&reached).expect("numbers are JSON");
        let unfinished = self.path.with_extension("next");
        let write = || {
            match fs::remove_file(&unfinished) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = keeper::create(&unfinished)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&unfinished, &self.path)?;
            match self.path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
                _ => Ok(()),
            }
        };
        write().map_err(|error| Fault::store(&self.path, &error))?;
        self.reached = reached;
        Ok(())
    }
}
