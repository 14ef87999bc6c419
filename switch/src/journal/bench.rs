//! For benches alone: a shard's journal without a switch around it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use authorizer::event::ShardId;
use authorizer::fact::Fact;

use super::segment::{Names, Tail};
use super::{Journal, Level, MasterKey, Settings};
use crate::ports::Position;

/// A journal over a directory of its own.
pub struct BenchJournal(Journal);

impl BenchJournal {
    /// Opens a first segment of 16 MiB.
    ///
    /// # Panics
    /// When the machine refuses something.
    #[must_use]
    pub fn open(directory: &Path, level: Level) -> Self {
        let settings = Settings {
            level,
            flush: Duration::from_millis(50),
            segment_bytes: 16 << 20,
            names: Names::default(),
            master: Arc::new(MasterKey::of(&[0x5A; 32])),
            snapshot_bytes: u64::MAX,
            retention: Duration::MAX,
            mark_file: directory.with_extension("mark"),
        };
        let journal = Journal::open(directory, ShardId(0), settings, &Tail::default(), 1);
        Self(journal.unwrap_or_else(|fault| panic!("{fault}")))
    }

    /// Writes the facts of a turn and says where they end.
    pub fn append(&mut self, facts: &[Fact], now_us: u64) -> Position {
        self.0.append(facts, now_us)
    }

    /// Up to where effects may be seen.
    #[must_use]
    pub fn durable_up_to(&self) -> Position {
        self.0.durable_up_to()
    }
}
