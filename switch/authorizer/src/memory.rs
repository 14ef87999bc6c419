//! What the switch remembers of identities: running, ended with which outcome, or at home on another shard.
//!
//! A repeat gets the stored answer and never becomes a second authorization, for as long as it is
//! remembered: a window of time, bounded in entries. The oldest ended entry makes room for a new one; a
//! running one is never forgotten, and when only such could go the new request is refused instead.
//!
//! Not here: identities older than the window, which the journal's index will answer for.

use alloc::vec::Vec;

use codecs::value::Stan;
use hashbrown::HashTable;

use crate::decision::Outcome;
use crate::event::ShardId;
use crate::request::{Fingerprint, Identity};
use crate::saf::{Reversal, Why};
use crate::transaction::{Sent, TransactionId};
use crate::verify::ProofId;

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
    pub fn new(identity: Identity, since_us: u64, state: State) -> Self {
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
    /// Its account lives on another shard, which knows the rest.
    Elsewhere(ShardId),
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

/// There is no room that may be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The memory: a ring of entries in order of arrival, and an index by identity.
#[derive(Debug)]
pub struct Memory {
    ring: Vec<Entry>,
    /// Place of the oldest entry.
    oldest: usize,
    held: usize,
    capacity: usize,
    window_us: u64,
    index: HashTable<u32>,
    evicted: u64,
    /// Where entries in doubt were put, some of which have ended since: only while facts are read.
    doubted: Vec<u32>,
}

impl Memory {
    /// Room for `capacity` identities, each for `window_us` microseconds.
    #[must_use]
    pub fn new(capacity: u32, window_us: u64) -> Self {
        let capacity = usize::try_from(capacity.max(1)).unwrap_or(usize::MAX);
        Self {
            // Reserved now, touched as it fills: growing later would stop the shard for milliseconds.
            ring: Vec::with_capacity(capacity),
            oldest: 0,
            held: 0,
            capacity,
            window_us,
            index: HashTable::with_capacity(capacity),
            evicted: 0,
            doubted: Vec::new(),
        }
    }

    /// How many identities are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Ended entries that were forgotten before their time, since the start.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The place of an identity that is still remembered.
    #[must_use]
    pub fn find(&self, identity: Identity, now_us: u64) -> Option<u32> {
        let place = *self.index.find(hash(identity), |place| self.is_at(*place, identity))?;
        let entry = self.get(place)?;
        let running = entry.state.is_running();
        (running || !self.is_old(entry, now_us)).then_some(place)
    }

    /// The entry at a place.
    #[must_use]
    pub fn get(&self, place: u32) -> Option<&Entry> {
        self.ring.get(usize::try_from(place).ok()?)
    }

    /// Remembers a new identity and says where. The caller has asked [`Self::find`] before.
    ///
    /// # Errors
    /// [`Full`] when the oldest entry is still running.
    pub fn insert(&mut self, entry: Entry) -> Result<u32, Full> {
        self.make_room(entry.since_us)?;
        // An aged entry of the same identity may still be indexed: it must not shadow the new one.
        self.unindex(entry.identity);
        Ok(self.put(entry))
    }

    /// Remembers one of the identities of a snapshot, each of which is there once.
    ///
    /// # Errors
    /// [`Full`] when the oldest entry is in doubt.
    pub fn restore(&mut self, entry: Entry) -> Result<u32, Full> {
        self.make_room(0)?;
        Ok(self.put(entry))
    }

    fn put(&mut self, entry: Entry) -> u32 {
        let place = self.place_after_newest();
        match self.ring.get_mut(place) {
            Some(old) => *old = entry,
            None => self.ring.push(entry),
        }
        self.held = self.held.saturating_add(1);
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        if entry.state == State::InDoubt {
            self.doubted.push(place);
        }
        let ring = &self.ring;
        let rehash = |place: &u32| {
            usize::try_from(*place)
                .ok()
                .and_then(|place| ring.get(place))
                .map_or(0, |entry| hash(entry.identity))
        };
        self.index.insert_unique(hash(entry.identity), place, rehash);
        place
    }

    /// Writes down what became of the entry at a place.
    pub fn conclude(&mut self, place: u32, state: State) {
        let Some(entry) = usize::try_from(place).ok().and_then(|place| self.ring.get_mut(place)) else {
            return;
        };
        entry.state = state;
        if state == State::Forgotten {
            let identity = entry.identity;
            self.unindex(identity);
        }
    }

    /// Writes down what an issuer is asked.
    pub fn send(&mut self, place: u32, sent: Sent) {
        if let Some(entry) = self.get_mut(place) {
            entry.sent = Some(sent);
        }
    }

    /// Writes down what stays of a request that was undone.
    pub fn leave(&mut self, place: u32, left_minor: u64) {
        if let Some(entry) = self.get_mut(place) {
            entry.left_minor = Some(left_minor);
            if left_minor == 0 {
                entry.state = State::Undone;
            }
        }
    }

    /// Writes down by which reversal a request is undone, and says what its issuer was told of it before: another
    /// reversal, or an advice.
    pub fn undone_by(&mut self, place: u32, reversal: &Reversal) -> Option<Stan> {
        let Reversal { stan, why, left_minor, .. } = *reversal;
        let entry = self.get_mut(place)?;
        // An advice must be there before it can be undone.
        let advice = entry.sent.filter(|sent| sent.asked.class.is_advice()).map(|sent| sent.stan);
        entry.undo.replace(Undo { stan, why, left_minor }).map(|before| before.stan).or(advice)
    }

    /// Puts another entry of the same identity in the place of one.
    pub fn replace(&mut self, place: u32, entry: Entry) {
        if let Some(old) = self.get_mut(place).filter(|old| old.identity == entry.identity) {
            *old = entry;
            if entry.state == State::InDoubt {
                self.doubted.push(place);
            }
        }
    }

    /// Everything that is remembered at a moment, oldest first.
    pub fn entries(&self, now_us: u64) -> impl Iterator<Item = &Entry> {
        (0..self.held).filter_map(move |nth| {
            let place = u32::try_from(self.nth(nth)).ok()?;
            let entry = self.get(place)?;
            let is_known = self.index.find(hash(entry.identity), |known| *known == place).is_some();
            (is_known && (entry.state.is_running() || !self.is_old(entry, now_us))).then_some(entry)
        })
    }

    /// The places of all whose outcome was not written down, asked once. A look at each of a million entries would keep a
    /// start waiting.
    pub fn in_doubt(&mut self) -> Vec<u32> {
        let mut places = core::mem::take(&mut self.doubted);
        places.sort_unstable();
        places.dedup();
        places.retain(|place| self.get(*place).is_some_and(|entry| entry.state == State::InDoubt));
        places
    }

    fn get_mut(&mut self, place: u32) -> Option<&mut Entry> {
        self.ring.get_mut(usize::try_from(place).ok()?)
    }

    fn make_room(&mut self, now_us: u64) -> Result<(), Full> {
        // Two aged entries leave for each new one, so the memory shrinks to its window without a pause.
        for _ in 0..2 {
            if self.held > 0 && self.oldest_entry().is_some_and(|entry| self.may_go(entry, now_us)) {
                self.drop_oldest();
            }
        }
        if self.held < self.capacity {
            return Ok(());
        }
        match self.oldest_entry().map(|entry| entry.state) {
            Some(state) if state.is_running() => Err(Full),
            _ => {
                self.evicted = self.evicted.wrapping_add(1);
                self.drop_oldest();
                Ok(())
            }
        }
    }

    fn drop_oldest(&mut self) {
        let Some(identity) = self.oldest_entry().map(|entry| entry.identity) else { return };
        let place = u32::try_from(self.oldest).unwrap_or(u32::MAX);
        if let Ok(entry) = self.index.find_entry(hash(identity), |known| *known == place) {
            entry.remove();
        }
        self.oldest = self.after(self.oldest);
        self.held = self.held.saturating_sub(1);
    }

    fn unindex(&mut self, identity: Identity) {
        let ring = &self.ring;
        let found = self.index.find_entry(hash(identity), |place| {
            usize::try_from(*place)
                .ok()
                .and_then(|place| ring.get(place))
                .is_some_and(|entry| entry.identity == identity)
        });
        if let Ok(entry) = found {
            entry.remove();
        }
    }

    fn oldest_entry(&self) -> Option<&Entry> {
        self.ring.get(self.oldest)
    }

    fn may_go(&self, entry: &Entry, now_us: u64) -> bool {
        self.is_old(entry, now_us) && !entry.state.is_running()
    }

    fn is_old(&self, entry: &Entry, now_us: u64) -> bool {
        now_us.saturating_sub(entry.since_us) > self.window_us
    }

    fn is_at(&self, place: u32, identity: Identity) -> bool {
        self.get(place).is_some_and(|entry| entry.identity == identity)
    }

    fn place_after_newest(&self) -> usize {
        self.nth(self.held)
    }

    /// The place of the `nth` entry behind the oldest.
    fn nth(&self, nth: usize) -> usize {
        let place = self.oldest.saturating_add(nth);
        if place >= self.capacity { place.saturating_sub(self.capacity) } else { place }
    }

    fn after(&self, place: usize) -> usize {
        let next = place.saturating_add(1);
        if next >= self.capacity { 0 } else { next }
    }
}

/// An identity is a keyed hash already; its low half is as good as any.
fn hash(identity: Identity) -> u64 {
    let bytes = identity.0.to_le_bytes();
    let [a, b, c, d, e, f, g, h, ..] = bytes;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
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
        let mut memory = Memory::new(8, 100);
        memory.insert(entry(1, 0)).unwrap();
        assert!(memory.find(Identity(1), 100).is_some());
        assert!(memory.find(Identity(1), 101).is_none());
        memory.insert(entry(1, 200)).unwrap();
        assert_eq!(memory.len(), 1);
        assert!(memory.find(Identity(1), 201).is_some());
    }

    #[test]
    fn the_oldest_ended_one_makes_room_and_is_counted() {
        let mut memory = Memory::new(3, 1_000_000);
        for identity in 0..5 {
            memory.insert(entry(identity, 0)).unwrap();
        }
        assert_eq!((memory.len(), memory.evicted()), (3, 2));
        assert!(memory.find(Identity(1), 0).is_none());
        assert!(memory.find(Identity(2), 0).is_some());
    }

    #[test]
    fn a_running_one_is_never_forgotten() {
        let mut memory = Memory::new(2, 10);
        memory.insert(Entry { state: State::Running(TransactionId(7)), ..entry(1, 0) }).unwrap();
        memory.insert(entry(2, 0)).unwrap();
        assert_eq!(memory.insert(entry(3, 1_000)), Err(Full));
        assert!(memory.find(Identity(1), 1_000).is_some());
    }

    #[test]
    fn a_forgotten_one_may_come_again() {
        let mut memory = Memory::new(4, 1_000);
        let place = memory.insert(entry(1, 0)).unwrap();
        memory.conclude(place, State::Forgotten);
        assert!(memory.find(Identity(1), 0).is_none());
        let again = memory.insert(entry(1, 1)).unwrap();
        assert_eq!(memory.find(Identity(1), 1), Some(again));
    }

    #[test]
    fn agrees_with_a_plain_list_over_many_turns() {
        let mut memory = Memory::new(64, 50);
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
