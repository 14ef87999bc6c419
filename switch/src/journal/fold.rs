//! What the journal of a shard comes to: the newest snapshot, and the facts after it.
//!
//! A snapshot that is not sound is damage, like any other. Only where everything is still there that it stood for (an
//! older snapshot and all segments after that, or all segments) is that read instead, and said.

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;

use authorizer::Authorizer;
use authorizer::event::ShardId;
use authorizer::fact::Fact;
use authorizer::request::Identity;
use authorizer::snapshot::Piece;

use super::renumber::Renumber;
use super::segment::{self, Span, Tail};
use super::snapshot;
use super::writer::Settings;
use super::{Fault, Keys};
use crate::homes::Homes;

/// Pieces handed over at a time, and how many times ahead.
const CHUNK: usize = 256;
const CHUNKS: usize = 16;

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

/// Identities that live on a shard and are at home on others, and when they came: by those others.
pub(super) type Elsewhere = Vec<Vec<(Identity, u64)>>;

/// What it came to.
pub(super) struct Folded {
    pub(super) authorizer: Authorizer,
    pub(super) tail: Tail,
    /// The snapshot it began with; 0 where there was none.
    pub(super) snapshot: u64,
    /// When that was written, microseconds since 1970; 0 where there was none.
    pub(super) snapshot_us: u64,
    /// Facts that were read after it.
    pub(super) facts: u64,
    pub(super) elsewhere: Elsewhere,
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
        let mut elsewhere = Elsewhere::new();
        let mut came = |identity, at_us| {
            let Some(home) = self.homes.map(|homes| homes.of_identity(identity)) else { return };
            if home != self.shard {
                let home = usize::from(home.0);
                elsewhere.resize_with(elsewhere.len().max(home + 1), Vec::new);
                elsewhere[home].push((identity, at_us));
            }
        };
        let mut renumber = Renumber::new(&self.settings.names);
        let keys: Option<&Keys> = Some(&self.settings.keys);
        let begin = match number {
            0 => Tail::default(),
            _ => self.pieces(number, &mut renumber, &mut |piece| {
                if let Piece::Remembered(entry, _) = &piece {
                    came(entry.identity, entry.since_us);
                }
                authorizer.restore(piece);
            })?,
        };
        authorizer.restored();
        let mut facts = 0;
        let span = Span { after: Some(begin), until: self.until, since_us: None };
        let tail = segment::read(self.directory, self.shard, keys, span, &mut |recorded| {
            facts += 1;
            let Some(fact) = renumber.fact(recorded.fact, recorded.names) else { return };
            authorizer.recover(&fact, recorded.at_us);
            if let Some(identity) = identity_of(&fact) {
                came(identity, recorded.at_us);
            }
        })?;
        renumber.insist()?;
        let snapshot_us = if number > 0 { begin.at_us } else { 0 };
        Ok(Folded { authorizer, tail, snapshot: number, snapshot_us, facts, elsewhere })
    }
}

impl Fold<'_> {
    /// The pieces of a snapshot. Another thread reads and opens them: it takes as long as to remember them does.
    fn pieces(
        &self,
        number: u64,
        renumber: &mut Renumber<'_>,
        each: &mut dyn FnMut(Piece),
    ) -> Result<Tail, Fault> {
        let (send, receive) = sync_channel(CHUNKS);
        let (directory, shard, settings) = (self.directory, self.shard, self.settings);
        thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let mut chunk = Vec::with_capacity(CHUNK);
                let keys: Option<&Keys> = Some(&settings.keys);
                let tail = snapshot::read(directory, shard, number, keys, &mut |piece, names| {
                    chunk.extend(renumber.piece(piece, names));
                    if chunk.len() == CHUNK {
                        // Nobody takes it any more only when everything has failed already.
                        let _ = send.send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)));
                    }
                })?;
                let _ = send.send(chunk);
                Ok::<Tail, Fault>(tail)
            });
            receive.into_iter().flatten().for_each(each);
            let failed = |_| Err(Fault::Store("the thread that reads a snapshot failed".to_owned()));
            reading.join().unwrap_or_else(failed)
        })
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
