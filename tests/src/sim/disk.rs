//! One shard's journal as a disk sees it: what was written, and how much of it would survive now.

use authorizer::fact::Fact;

/// Facts with their moments, in order, and where durability ends.
#[derive(Debug, Default)]
pub(super) struct Disk {
    facts: Vec<(Fact, u64)>,
    durable: usize,
    /// A sync is under way and carries what was written before it began.
    syncing: Option<usize>,
}

impl Disk {
    /// Writes facts behind the others and gives the position of the last.
    pub(super) fn append(&mut self, facts: &[Fact], now_us: u64) -> u64 {
        self.facts.extend(facts.iter().map(|fact| (fact.clone(), now_us)));
        self.facts.len() as u64
    }

    /// Up to which position everything survives.
    #[must_use]
    pub(super) fn durable(&self) -> u64 {
        self.durable as u64
    }

    /// Whether there is something to sync and no sync under way.
    #[must_use]
    pub(super) fn wants_sync(&self) -> bool {
        self.syncing.is_none() && self.durable < self.facts.len()
    }

    /// A sync begins.
    pub(super) fn begin_sync(&mut self) {
        self.syncing = Some(self.facts.len());
    }

    /// The sync that was under way has ended well.
    pub(super) fn end_sync(&mut self) {
        if let Some(end) = self.syncing.take() {
            self.durable = end;
        }
    }

    /// The process is gone: what was not durable is lost, but for the first `kept` of it.
    pub(super) fn crash(&mut self, kept: usize) {
        self.facts.truncate((self.durable + kept).min(self.facts.len()));
        self.durable = self.facts.len();
        self.syncing = None;
    }

    /// How many facts could be lost now.
    #[must_use]
    pub(super) fn unsynced(&self) -> usize {
        self.facts.len() - self.durable
    }

    /// Everything that is there, with its moments.
    #[must_use]
    pub(super) fn facts(&self) -> &[(Fact, u64)] {
        &self.facts
    }
}
