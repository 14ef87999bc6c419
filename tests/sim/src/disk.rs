//! One shard's journal as a disk sees it: what was written, and how much of it would survive now.

use authorizer::Authorizer;
use authorizer::fact::Fact;
use authorizer::request::Identity;
use authorizer::snapshot::Piece;

/// What a shard knew after so many facts.
#[derive(Clone, Debug, Default)]
struct Snapshot {
    facts: usize,
    pieces: Vec<Piece>,
}

/// Snapshots that are kept.
const KEPT: usize = 2;

/// Facts with their moments, in order, and where durability ends.
#[derive(Debug, Default)]
pub(super) struct Disk {
    facts: Vec<(Fact, u64)>,
    durable: usize,
    /// A sync is under way and carries what was written before it began.
    syncing: Option<usize>,
    /// Oldest first. What the oldest stands for is read no more.
    snapshots: Vec<Snapshot>,
    /// Not whole yet.
    unfinished: Option<Snapshot>,
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

    /// What survives everything, with its moments.
    #[must_use]
    pub(super) fn durable_facts(&self) -> &[(Fact, u64)] {
        &self.facts[..self.durable]
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
        self.unfinished = None;
    }

    /// Begins a snapshot of everything that is durable, as the switch does: by a recovery. `fresh` knows nothing.
    pub(super) fn begin_snapshot(&mut self, mut fresh: Authorizer) -> bool {
        let newest = self.snapshots.last().map_or(0, |newest| newest.facts);
        if self.unfinished.is_some() || self.durable == newest {
            return false;
        }
        self.recover(&mut fresh, 0, self.durable);
        let at_us = self.facts[self.durable - 1].1;
        self.unfinished = Some(Snapshot { facts: self.durable, pieces: fresh.pieces(at_us).collect() });
        true
    }

    /// The snapshot is whole; what is older than the two newest goes.
    pub(super) fn end_snapshot(&mut self) {
        self.snapshots.extend(self.unfinished.take());
        let over = self.snapshots.len().saturating_sub(KEPT);
        self.snapshots.drain(..over);
    }

    /// How many snapshots there are.
    #[must_use]
    pub(super) fn snapshots(&self) -> usize {
        self.snapshots.len()
    }

    /// Tells an authorizer that knows nothing what there is up to a fact, beginning with the newest snapshot but so
    /// many, and gives the identities that live here.
    pub(super) fn recover(&self, fresh: &mut Authorizer, but: usize, until: usize) -> Vec<(Identity, u64)> {
        let snapshot = self.snapshots.len().checked_sub(but + 1).map(|place| self.snapshots[place].clone());
        let Snapshot { facts: from, pieces } = snapshot.unwrap_or_default();
        let mut identities = Vec::new();
        for piece in pieces {
            if let Piece::Remembered(entry, _) = &piece {
                identities.push((entry.identity, entry.since_us));
            }
            fresh.restore(piece);
        }
        fresh.restored();
        if let Some((_, at_us)) = from.checked_sub(1).and_then(|last| self.facts.get(last)) {
            fresh.may_have_forgotten(*at_us);
        }
        for (fact, at_us) in &self.facts[from..until] {
            fresh.recover(fact, *at_us);
            match fact {
                Fact::Intent(sent) => identities.push((sent.asked.identity, *at_us)),
                Fact::Advised(advice) => identities.push((advice.sent.asked.identity, *at_us)),
                Fact::Declined { asked, .. } => identities.push((asked.identity, *at_us)),
                _ => {}
            }
        }
        identities
    }

    /// What an authorizer knows that was told every fact, and what one knows that began with the newest snapshot.
    pub(super) fn both_ways(&self, fresh: impl Fn() -> Authorizer) -> [Vec<String>; 2] {
        let at_us = self.facts.last().map_or(0, |(_, at_us)| *at_us);
        [self.snapshots.len(), 0].map(|but| {
            let mut told = fresh();
            self.recover(&mut told, but, self.facts.len());
            let mut pieces: Vec<String> = told.pieces(at_us).map(|piece| format!("{piece:?}")).collect();
            pieces.sort_unstable();
            pieces
        })
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
