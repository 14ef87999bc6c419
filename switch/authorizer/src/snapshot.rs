//! What a shard knows, in pieces: so that a start needs not every fact that was ever written, but what they had come to
//! at some moment, and the facts after it. Only what facts tell is in it: links, running transactions and counters belong
//! to a process.
//!
//! Not here: when snapshots are made, and what they look like on the disk (the switch's journal).

use codecs::value::{Pan, Stan};

use crate::Authorizer;
use crate::atc_window::AtcWindow;
use crate::cards::{AccountHash, Card};
use crate::event::IssuerId;
use crate::issuer::LegState;
use crate::memory::{Entry, State};
use crate::planted::Planted;
use crate::saf::Stored;

/// One piece.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// The newest of our own trace numbers at an issuer.
    Newest(IssuerId, Stan),
    /// An identity, and how its leg stands where there was one.
    Remembered(Entry, Leg),
    /// A reversal or an advice that its issuer has not acknowledged.
    Stored(Unacknowledged),
    /// How much was approved for an issuer of one card on one day, minor units, and a moment of that day.
    StoodIn(IssuerId, Pan, u64, u64),
    /// A card of a program.
    Card(AccountHash, Card),
}

/// What an answer to the leg of an ended request would meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// There was none, or its number was given to another.
    Gone,
    /// It would be late.
    Open,
    /// It would be a second one.
    Answered,
}

/// A message as it waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Unacknowledged {
    /// What its issuer is told.
    pub message: Stored,
    /// When it came into being, monotonic microseconds.
    pub since_us: u64,
    /// It is set aside.
    pub is_parked: bool,
    /// The one before it of the same request, which must be acknowledged first.
    pub behind: Option<Stan>,
}

impl Authorizer {
    /// Everything that the facts so far have told and that is still good at a moment, in an order in which
    /// [`Self::restore`] takes it.
    pub fn pieces(&self, now_us: u64) -> impl Iterator<Item = Piece> + '_ {
        let issuers = || (0_u16..).map(IssuerId);
        let newest = issuers()
            .zip(&self.issuers)
            .filter_map(|(id, issuer)| issuer.newest_stan().map(|stan| Piece::Newest(id, stan)));
        let remembered = self
            .memory
            .entries(now_us)
            .filter(|entry| entry.state != State::Forgotten)
            .filter(|entry| {
                entry.state != State::Tombstone || !self.has_planted(Planted::SnapshotWithoutTombstones)
            })
            .map(|entry| Piece::Remembered(entry, self.leg_of(&entry)));
        let kept = if self.has_planted(Planted::SnapshotWithoutReversals) { &[] } else { &self.saf[..] };
        let stored = kept.iter().flat_map(|saf| saf.unacknowledged().map(Piece::Stored));
        let stood_in = issuers().zip(&self.stood_in).flat_map(|(id, today)| {
            today.cards().map(move |(pan, minor, at_us)| Piece::StoodIn(id, pan, minor, at_us))
        });
        let cards = self.cards.iter().map(|(hash, card)| {
            let mut card = card.clone();
            if self.has_planted(Planted::SnapshotWithoutCounters) {
                card.window = AtcWindow::new(0);
            }
            Piece::Card(*hash, card)
        });
        newest.chain(remembered).chain(stored).chain(stood_in).chain(cards)
    }

    /// Takes one piece of what an earlier process knew, before any fact that came after it, and before
    /// [`Self::restored`].
    pub fn restore(&mut self, piece: Piece) {
        match piece {
            Piece::Newest(issuer, stan) => {
                if let Some(issuer) = self.issuers.get_mut(issuer.index()) {
                    issuer.past_stan(stan);
                }
            }
            Piece::Remembered(entry, leg) => {
                let Ok(place) = self.memory.restore(entry) else { return };
                let state = match leg {
                    Leg::Gone => return,
                    Leg::Open => LegState::TimedOut(place),
                    Leg::Answered => LegState::Answered,
                };
                if let Some(sent) = entry.sent
                    && let Some(issuer) = self.issuers.get_mut(sent.to.issuer.index())
                {
                    issuer.restore_leg(&sent, state);
                }
            }
            Piece::StoodIn(issuer, pan, minor, at_us) => {
                if let Some(today) = self.stood_in.get_mut(issuer.index()) {
                    today.add(pan, minor, at_us);
                }
            }
            Piece::Stored(waiting) => {
                if let Some(saf) = self.saf.get_mut(waiting.message.sent().to.issuer.index()) {
                    saf.restore(waiting);
                }
            }
            // Where a bound was lowered there is no one to tell.
            Piece::Card(hash, card) => drop(self.cards.add(hash, card)),
        }
    }

    /// The last piece was taken.
    pub fn restored(&mut self) {
        self.memory.index_restored();
    }

    /// What came until this moment may have been forgotten by an earlier process: a snapshot says what was known, not what
    /// was known no more.
    pub fn may_have_forgotten(&mut self, until_us: u64) {
        self.memory.may_have_forgotten(until_us);
    }

    fn leg_of(&self, entry: &Entry) -> Leg {
        let Some(sent) = &entry.sent else { return Leg::Gone };
        match self.issuers.get(sent.to.issuer.index()).and_then(|issuer| issuer.leg(sent)) {
            None => Leg::Gone,
            Some(LegState::Answered | LegState::Declined(_)) => Leg::Answered,
            Some(LegState::TimedOut(_) | LegState::Pending(_)) => Leg::Open,
        }
    }
}
