//! For benches and tests alone: a shard's journal without a switch around it.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use authorizer::event::ShardId;
use authorizer::fact::Fact;
use authorizer::ports::Position;
use authorizer::snapshot::Piece;

use super::segment::{self, Names, Tail};
use super::{Journal, Keys, Level, Settings, snapshot};

/// A journal over a directory of its own.
pub struct BenchJournal(Journal);

impl BenchJournal {
    /// Opens a first segment of 16 MiB.
    ///
    /// # Panics
    /// When the machine refuses something.
    #[must_use]
    pub fn open(directory: &Path, level: Level) -> Self {
        let settings = settings(directory, level, &[0x5A; 32], Names::default());
        let journal = Journal::open(directory, ShardId(0), settings, &Tail::default(), 1);
        Self(journal.unwrap_or_else(|fault| panic!("{fault}")))
    }

    /// Writes the facts of a turn and says where they end.
    pub fn append(&mut self, facts: &[Fact], now_us: u64) -> Position {
        self.0.append(facts, now_us)
    }

    /// How much was written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.figures().bytes
    }

    /// Up to where effects may be seen.
    #[must_use]
    pub fn durable_up_to(&self) -> Position {
        self.0.durable_up_to()
    }
}

fn settings(directory: &Path, level: Level, key: &[u8; 32], names: Names) -> Settings {
    Settings {
        level,
        flush: Duration::from_millis(50),
        segment_bytes: 16 << 20,
        names,
        keys: Arc::new(Keys::of(key, &[(0, key)])),
        snapshot_bytes: u64::MAX,
        retention: Duration::MAX,
        mark_file: directory.with_extension("mark"),
    }
}

/// Writes what one shard of several knew as if a switch had left it behind: with the key of a file, and facts that refer to
/// these peers.
///
/// # Panics
/// When the machine refuses something.
pub fn write_snapshot(
    directory: &Path,
    (shard, shards): (u16, u16),
    key: &[u8; 32],
    acquirers: &[&str],
    issuers: &[&str],
    at_us: u64,
    pieces: impl Iterator<Item = Piece>,
) {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let names = Names { acquirers: owned(acquirers), issuers: owned(issuers), programs: Vec::new() };
    let settings = settings(directory, Level::Written, key, names);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).expect("a folder");
    std::fs::write(directory.join("shards"), format!("{shards}\n")).expect("a file");
    std::fs::create_dir_all(segment::folder(directory, ShardId(shard))).expect("a folder");
    let tail = Tail { number: 1, position: 1, at_us, ..Tail::default() };
    let written = snapshot::write(directory, ShardId(shard), &settings, &tail, pieces);
    written.unwrap_or_else(|fault| panic!("{fault}"));
}
