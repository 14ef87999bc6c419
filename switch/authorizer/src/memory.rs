//! What the switch remembers of identities: running, ended with which outcome, or where their accounts live.
//!
//! A repeat gets the stored answer and never becomes a second authorization, for as long as it is
//! remembered: a window of time, bounded in entries. The oldest ended entry makes room for a new one; a
//! running one is never forgotten, and when only such could go the new request is refused instead.
//!
//! Not here: identities that were forgotten, which the journal's index answers for (`recall`).

use alloc::vec::Vec;

use codecs::value::Stan;

use self::kept::Kept;
use self::ring::{Known, Ring};
use crate::decision::Outcome;
use crate::event::{AcquirerId, ShardId};
use crate::near::near;
use crate::request::{Fingerprint, Identity};
use crate::saf::{Reversal, Why};
use crate::transaction::{Sent, TransactionId};
use crate::verify::ProofId;

mod kept;
mod ring;

/// One identity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Which message.
    pub identity: Identity,
    /// What it said.
    pub fingerprint: Fingerprint,
    /// When it came, monotonic microseconds.
    pub since_us: u64,
    /// What became of it.
    pub state: State,
    /// What an issuer was asked, once it was: what a reversal of it must say.
    pub sent: Option<Sent>,
    /// What stays of an approval after a partial reversal, minor units.
    pub left_minor: Option<u64>,
    /// The newest reversal of it that its issuer was, or is to be, told.
    pub undo: Option<Undo>,
}

/// A reversal, as far as [`Sent`] does not say it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Undo {
    /// Its own trace number.
    pub stan: Stan,
    /// Why.
    pub why: Why,
    /// What stays valid, minor units.
    pub left_minor: u64,
}

impl Entry {
    /// Of which nothing more is known.
    #[must_use]
    pub const fn new(identity: Identity, since_us: u64, state: State) -> Self {
        let fingerprint = Fingerprint { content: 0, track: None };
        Self { identity, fingerprint, since_us, state, sent: None, left_minor: None, undo: None }
    }

    /// The switch approved it for an issuer that could not be asked.
    #[must_use]
    pub fn is_stood_in(&self) -> bool {
        matches!(self.state, State::Ended(outcome) if outcome.is_approved())
            && self.sent.is_some_and(|sent| sent.asked.class.is_advice())
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    /// It waits for the token.
    Proving(ProofId),
    /// It waits for its issuer.
    Running(TransactionId),
    /// It ended, and this is what was told.
    Ended(Outcome),
    /// It may come again as if it never had: an advice that could not be delivered.
    Forgotten,
    /// It never came; a reversal of it did.
    Tombstone,
    /// It was undone by its acquirer.
    Undone,
    /// An earlier process had sent it to its issuer, and no outcome was written down: only while facts are read.
    InDoubt,
}

impl State {
    /// Whether its outcome is still to come.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Self::Proving(_) | Self::Running(_) | Self::InDoubt)
    }
}

/// A quarter of an hour.
const PRESSED_US: u64 = 900_000_000;

/// A search of so many takes a millisecond.
const SEARCHED: usize = 65_536;

/// There is no room that may be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// An identity whose account lives on another shard, which knows the rest.
#[derive(Clone, Copy, Debug)]
struct Elsewhere {
    identity: Identity,
    since_us: u64,
    home: ShardId,
}

impl Known for Elsewhere {
    const NOBODY: Self = Elsewhere { identity: Identity(0), since_us: 0, home: ShardId(0) };

    fn identity(&self) -> Identity {
        self.identity
    }

    fn since_us(&self) -> u64 {
        self.since_us
    }

    fn is_running(&self) -> bool {
        false
    }

    fn near(&self) {
        near(self);
    }
}

/// The memory of one shard.
#[derive(Debug)]
pub struct Memory {
    here: Ring<Kept>,
    elsewhere: Ring<Elsewhere>,
    /// Where entries in doubt were put, some of which have ended since: only while facts are read.
    doubted: Vec<u32>,
}

impl Memory {
    /// Room for `capacity` identities of requests that are decided here, and as many that are where there are other
    /// shards; each for `window_us` microseconds.
    #[must_use]
    pub fn new(capacity: u32, window_us: u64, is_alone: bool) -> Self {
        Self {
            here: Ring::new(capacity, window_us),
            elsewhere: Ring::new(if is_alone { 1 } else { capacity }, window_us),
            doubted: Vec::new(),
        }
    }

    /// How many identities are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.here.len().saturating_add(self.elsewhere.len())
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Identities that were forgotten before their time, since the start.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.here.evicted().wrapping_add(self.elsewhere.evicted())
    }

    /// The place of an identity that is still remembered, of a request that is decided here.
    #[must_use]
    pub fn find(&self, identity: Identity, now_us: u64) -> Option<u32> {
        self.here.find(identity, now_us)
    }

    /// A request of this identity is decided soon: what is known of it comes nearer meanwhile.
    pub fn expect(&self, identity: Identity) {
        self.here.expect(identity);
        self.elsewhere.expect(identity);
    }

    /// The entry at a place ends soon.
    pub fn expect_end(&self, place: u32) {
        if let Some(entry) = self.here.get(place) {
            near(&entry.state);
        }
    }

    /// When the newest came that is forgotten here, monotonic microseconds; 0 where nothing ever was.
    #[must_use]
    pub fn forgotten_us(&self, now_us: u64) -> u64 {
        self.here.forgotten_us(now_us).max(self.elsewhere.forgotten_us(now_us))
    }

    /// What came until this moment may have been forgotten by an earlier process.
    pub fn may_have_forgotten(&mut self, until_us: u64) {
        self.here.may_have_forgotten(until_us);
        self.elsewhere.may_have_forgotten(until_us);
    }

    /// Whether one more would push out what came within the last quarter of an hour: what acquirers repeat and reverse.
    #[must_use]
    pub fn is_pressed(&self, now_us: u64) -> bool {
        self.here.is_pressed(PRESSED_US, now_us)
    }

    /// Where the requests stand, newest first, that an issuer was asked for an acquirer under this trace number of the
    /// acquirer's. Looked for one by one among the newest, [`SEARCHED`] of them.
    pub fn asked_under(&self, acquirer: AcquirerId, stan: Stan, now_us: u64) -> impl Iterator<Item = u32> {
        let newest = self.here.newest(SEARCHED).filter(move |(_, kept)| kept.is_asked_under(acquirer, stan));
        newest.filter_map(move |(place, kept)| {
            self.here.find(kept.identity(), now_us).filter(|found| *found == place)
        })
    }

    /// Which shard decides a request that has the same home as this identity by its name, and that was sent there lately.
    #[must_use]
    pub fn named_elsewhere(&self, identity: Identity) -> Option<ShardId> {
        let is_named = |(_, other): &(u32, &Elsewhere)| other.identity.0 >> 64 == identity.0 >> 64;
        self.elsewhere.newest(SEARCHED).find(is_named).map(|(_, other)| other.home)
    }

    /// The entry at a place.
    #[must_use]
    pub fn get(&self, place: u32) -> Option<Entry> {
        self.here.get(place).map(Kept::entry)
    }

    /// What became of the entry at a place.
    #[must_use]
    pub fn state(&self, place: u32) -> Option<State> {
        self.here.get(place).map(|entry| entry.state)
    }

    /// When the entry at a place came, monotonic microseconds.
    #[must_use]
    pub fn since_us(&self, place: u32) -> Option<u64> {
        self.here.get(place).map(|entry| entry.since_us)
    }

    /// What an issuer was asked for the entry at a place.
    #[must_use]
    pub fn sent(&self, place: u32) -> Option<Sent> {
        self.here.get(place)?.sent()
    }

    /// The shard where a request of this identity is decided, where that is another one.
    #[must_use]
    pub fn home_elsewhere(&self, identity: Identity, now_us: u64) -> Option<ShardId> {
        if self.elsewhere.len() == 0 {
            return None;
        }
        self.elsewhere.get(self.elsewhere.find(identity, now_us)?).map(|known| known.home)
    }

    /// Remembers a new identity and says where. The caller has asked [`Self::find`] before.
    ///
    /// # Errors
    /// [`Full`] when the oldest entry is still running.
    pub fn insert(&mut self, entry: Entry) -> Result<u32, Full> {
        let place = self.here.insert(Kept::of(&entry))?;
        self.doubt(place, &entry);
        Ok(place)
    }

    /// Remembers where a request is decided. The caller has asked [`Self::home_elsewhere`] before.
    pub fn insert_elsewhere(&mut self, identity: Identity, home: ShardId, since_us: u64) {
        // Nothing in it is running, so that there always is room.
        let _ = self.elsewhere.insert(Elsewhere { identity, since_us, home });
    }

    /// Remembers one of many identities that earlier processes knew. It is found after [`Self::index_restored`].
    ///
    /// # Errors
    /// [`Full`] when the oldest entry is in doubt.
    pub fn restore(&mut self, entry: Entry) -> Result<u32, Full> {
        let place = self.here.restore(Kept::of(&entry))?;
        self.doubt(place, &entry);
        Ok(place)
    }

    /// The same of a request that is decided elsewhere.
    pub fn restore_elsewhere(&mut self, identity: Identity, home: ShardId, since_us: u64) {
        let _ = self.elsewhere.restore(Elsewhere { identity, since_us, home });
    }

    /// Lets all be found that were restored. What was known of an identity already stays what is known of it.
    pub fn index_restored(&mut self) {
        self.here.index_restored();
        self.elsewhere.index_restored();
    }

    fn doubt(&mut self, place: u32, entry: &Entry) {
        if entry.state == State::InDoubt {
            self.doubted.push(place);
        }
    }

    /// Writes down what became of the entry at a place.
    pub fn conclude(&mut self, place: u32, state: State) {
        let Some(entry) = self.here.get_mut(place) else { return };
        entry.state = state;
        if state == State::Forgotten {
            let identity = entry.identity();
            self.here.unindex(identity);
        }
    }

    /// Writes down what an issuer is asked.
    pub fn send(&mut self, place: u32, sent: &Sent) {
        if let Some(entry) = self.here.get_mut(place) {
            entry.send(sent);
        }
    }

    /// Writes down what stays of a request that was undone.
    pub fn leave(&mut self, place: u32, left_minor: u64) {
        if let Some(entry) = self.here.get_mut(place) {
            entry.leave(left_minor);
            if left_minor == 0 {
                entry.state = State::Undone;
            }
        }
    }

    /// Writes down by which reversal a request is undone, and says what its issuer was told of it before: another
    /// reversal, or an advice.
    pub fn undone_by(&mut self, place: u32, reversal: &Reversal) -> Option<Stan> {
        let Reversal { stan, why, left_minor, .. } = *reversal;
        let entry = self.here.get_mut(place)?;
        // An advice must be there before it can be undone.
        let advice = entry.advised_as();
        entry.undo(Undo { stan, why, left_minor }).map(|before| before.stan).or(advice)
    }

    /// Puts another entry of the same identity in the place of one.
    pub fn replace(&mut self, place: u32, entry: Entry) {
        if let Some(old) = self.here.get_mut(place).filter(|old| old.identity() == entry.identity) {
            *old = Kept::of(&entry);
            self.doubt(place, &entry);
        }
    }

    /// Everything that is remembered at a moment of what is decided here, oldest first.
    pub fn entries(&self, now_us: u64) -> impl Iterator<Item = Entry> {
        self.here.iter(now_us).map(Kept::entry)
    }

    /// The places of all whose outcome was not written down, asked once. A look at each of a million entries would keep a
    /// start waiting.
    pub fn in_doubt(&mut self) -> Vec<u32> {
        let mut places = core::mem::take(&mut self.doubted);
        places.sort_unstable();
        places.dedup();
        places.retain(|place| self.state(*place) == Some(State::InDoubt));
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::DeclineReason;
    use codecs::value::ResponseCode;

    fn entry(identity: u128, since_us: u64) -> Entry {
        let outcome = Outcome::declined(DeclineReason::NoRoute, ResponseCode::of(b"92"));
        Entry::new(Identity(identity), since_us, State::Ended(outcome))
    }

    #[test]
    fn remembers_until_the_window_has_passed() {
        let mut memory = Memory::new(8, 100, true);
        memory.insert(entry(1, 0)).unwrap();
        assert!(memory.find(Identity(1), 100).is_some());
        assert!(memory.find(Identity(1), 101).is_none());
        memory.insert(entry(1, 200)).unwrap();
        assert_eq!(memory.len(), 1);
        assert!(memory.find(Identity(1), 201).is_some());
    }

    #[test]
    fn the_oldest_ended_one_makes_room_and_is_counted() {
        let mut memory = Memory::new(3, 1_000_000, true);
        for identity in 0..5 {
            memory.insert(entry(identity, 0)).unwrap();
        }
        assert_eq!((memory.len(), memory.evicted()), (3, 2));
        assert!(memory.find(Identity(1), 0).is_none());
        assert!(memory.find(Identity(2), 0).is_some());
    }

    #[test]
    fn a_running_one_is_never_forgotten() {
        let mut memory = Memory::new(2, 10, true);
        memory.insert(Entry { state: State::Running(TransactionId(7)), ..entry(1, 0) }).unwrap();
        memory.insert(entry(2, 0)).unwrap();
        assert_eq!(memory.insert(entry(3, 1_000)), Err(Full));
        assert!(memory.find(Identity(1), 1_000).is_some());
    }

    #[test]
    fn a_forgotten_one_may_come_again() {
        let mut memory = Memory::new(4, 1_000, true);
        let place = memory.insert(entry(1, 0)).unwrap();
        memory.conclude(place, State::Forgotten);
        assert!(memory.find(Identity(1), 0).is_none());
        let again = memory.insert(entry(1, 1)).unwrap();
        assert_eq!(memory.find(Identity(1), 1), Some(again));
    }

    #[test]
    fn what_is_restored_is_found_when_it_is_indexed_and_never_hides_what_was_known() {
        let mut memory = Memory::new(8, 100, true);
        let aged = memory.insert(entry(1, 0)).unwrap();
        let known = memory.insert(entry(2, 90)).unwrap();
        let told = [1, 2, 3].map(|identity| memory.restore(entry(identity, 150)).unwrap());
        assert_eq!(memory.find(Identity(3), 150), None);
        memory.index_restored();
        assert_eq!(memory.find(Identity(1), 150), Some(told[0]));
        assert_eq!(memory.find(Identity(2), 150), Some(known));
        assert_eq!(memory.find(Identity(3), 150), Some(told[2]));
        assert_ne!(aged, told[0]);
    }

    #[test]
    fn more_than_there_is_room_for_leaves_the_newest() {
        let mut memory = Memory::new(4, 1_000, true);
        for identity in 0..11 {
            memory.restore(entry(identity, 0)).unwrap();
        }
        memory.index_restored();
        let found: Vec<u128> = (0..11).filter(|one| memory.find(Identity(*one), 0).is_some()).collect();
        assert_eq!(found, [7, 8, 9, 10]);
    }

    #[test]
    fn agrees_with_a_plain_list_over_many_turns() {
        let mut memory = Memory::new(64, 50, true);
        let mut plain: Vec<Entry> = Vec::new();
        let mut seed = 88_172_645_463_325_252_u64;
        for now_us in 0..20_000_u64 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let identity = Identity(u128::from(seed % 100));
            let known =
                plain.iter().rev().take(64).any(|e| e.identity == identity && now_us - e.since_us <= 50);
            assert_eq!(memory.find(identity, now_us).is_some(), known, "at {now_us}");
            if !known {
                memory.insert(entry(identity.0, now_us)).unwrap();
                plain.push(entry(identity.0, now_us));
            }
        }
    }
}
