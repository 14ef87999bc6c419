//! What the journal of a shard comes to: the newest snapshot, and the facts after it.
//!
//! A snapshot that is not sound is damage, like any other. Only where everything is still there that it stood for (an
//! older snapshot and all segments after that, or all segments) is that read instead, and said.

use std::path::Path;

use authorizer::Authorizer;
use authorizer::event::ShardId;
use authorizer::fact::Fact;
use authorizer::request::Identity;
use authorizer::snapshot::Piece;

use super::renumber::Renumber;
use super::segment::{self, Span, Tail};
use super::snapshot;
use super::writer::Settings;
use super::{Fault, MasterKey};
use crate::homes::Homes;

/// Where a journal is, and what it takes to make sense of it.
pub(super) struct Fold<'a> {
    pub(super) directory: &'a Path,
    pub(super) shard: ShardId,
    pub(super) settings: &'a Settings,
    /// Where identities are at home; where it is not said, nobody asks.
    pub(super) homes: Option<&'a Homes>,
    /// An authorizer that knows nothing.
    pub(super) fresh: &'a dyn Fn() -> Authorizer,
    /// The last segment; where it is not said, all.
    pub(super) until: Option<u64>,
}

/// What it came to.
pub(super) struct Folded {
    pub(super) authorizer: Authorizer,
    pub(super) tail: Tail,
    /// The snapshot it began with; 0 where there was none.
    pub(super) snapshot: u64,
    /// Facts that were read after it.
    pub(super) facts: u64,
    /// Identities that live here and are at home on other shards, and when they came.
    pub(super) elsewhere: Vec<(ShardId, Identity, u64)>,
}

impl Fold<'_> {
    /// Reads it.
    ///
    /// # Errors
    /// When it is damaged, or holds promises towards somebody who is not in the configuration any more.
    pub(super) fn run(&self) -> Result<Folded, Fault> {
        let mut snapshots = snapshot::numbers(self.directory, self.shard, self.until.unwrap_or(u64::MAX))?;
        let mut first_damage = None;
        loop {
            let number = snapshots.pop();
            match self.from(number.unwrap_or(0)) {
                Ok(folded) => {
                    if let Some(damage) = first_damage {
                        tracing::error!(%damage, "what this snapshot stood for was read instead");
                    }
                    return Ok(folded);
                }
                // A segment is read whatever the snapshot is, so that its damage comes up every time.
                Err(damage @ Fault::Damaged { .. }) if number.is_some() => {
                    first_damage.get_or_insert(damage);
                }
                Err(fault) => return Err(first_damage.unwrap_or(fault)),
            }
        }
    }

    /// From a snapshot, or from the beginning where its number is 0.
    fn from(&self, number: u64) -> Result<Folded, Fault> {
        let mut authorizer = (self.fresh)();
        let mut elsewhere = Vec::new();
        let mut came = |identity, at_us| {
            let home = self.homes.map(|homes| homes.of_identity(identity));
            elsewhere.extend(home.filter(|home| *home != self.shard).map(|home| (home, identity, at_us)));
        };
        let mut renumber = Renumber::new(&self.settings.names);
        let master: Option<&MasterKey> = Some(&self.settings.master);
        let begin = match number {
            0 => Tail::default(),
            _ => snapshot::read(self.directory, self.shard, number, master, &mut |piece, names| {
                let Some(piece) = renumber.piece(piece, names) else { return };
                if let Piece::Remembered(entry, _) = &piece {
                    came(entry.identity, entry.since_us);
                }
                authorizer.restore(piece);
            })?,
        };
        let mut facts = 0;
        let span = Span { after: Some(begin), until: self.until };
        let tail = segment::read(self.directory, self.shard, master, span, &mut |recorded| {
            facts += 1;
            let Some(fact) = renumber.fact(recorded.fact, recorded.names) else { return };
            authorizer.recover(&fact, recorded.at_us);
            if let Some(identity) = identity_of(&fact) {
                came(identity, recorded.at_us);
            }
        })?;
        renumber.insist()?;
        Ok(Folded { authorizer, tail, snapshot: number, facts, elsewhere })
    }
}

/// The request that a fact is about, where another shard may be home to its identity.
fn identity_of(fact: &Fact) -> Option<Identity> {
    match fact {
        Fact::Intent(sent) => Some(sent.asked.identity),
        Fact::Advised(advice) => Some(advice.sent.asked.identity),
        Fact::Declined { asked, .. } => Some(asked.identity),
        _ => None,
    }
}
