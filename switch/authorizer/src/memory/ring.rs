//! A window of identities: a ring of entries in order of arrival, and an index by identity. The oldest ended entry makes
//! room for a new one; a running one never goes.
//!
//! Not here: what an entry says beyond its identity, its age and whether it is running.

use alloc::vec;
use alloc::vec::Vec;

use super::Full;
use crate::cells::Cells;
use crate::request::Identity;

/// What a ring must know of an entry.
pub(super) trait Known: Copy {
    /// What lies where nothing was put yet.
    const NOBODY: Self;

    /// Which message.
    fn identity(&self) -> Identity;
    /// When it came, monotonic microseconds.
    fn since_us(&self) -> u64;
    /// Whether its outcome is still to come.
    fn is_running(&self) -> bool;
    /// Asks for its memory, of which something will be read or all of it written.
    fn near(&self);
}

/// So many insertions before an entry is written, or leaves, its memory is asked for: a ring is larger than any cache.
const AHEAD: usize = 4;

#[derive(Debug)]
pub(super) struct Ring<T> {
    entries: Vec<T>,
    /// Place of the oldest entry.
    oldest: usize,
    held: usize,
    capacity: usize,
    window_us: u64,
    index: Cells,
    evicted: u64,
    /// When the newest came that is not known any more, monotonic microseconds; 0 where nothing was ever forgotten.
    forgotten_us: u64,
    /// How many of the newest are not in the index yet: only while an earlier process's memory is read.
    unindexed: usize,
}

impl<T: Known> Ring<T> {
    /// Room for `capacity` identities, each for `window_us` microseconds.
    pub(super) fn new(capacity: u32, window_us: u64) -> Self {
        let capacity = usize::try_from(capacity.max(1)).unwrap_or(usize::MAX);
        Self {
            // Written now: each page that the operating system has to find later stops the shard, a large one for milliseconds.
            entries: vec![T::NOBODY; capacity],
            oldest: 0,
            held: 0,
            capacity,
            window_us,
            index: Cells::new(capacity),
            evicted: 0,
            forgotten_us: 0,
            unindexed: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.held
    }

    /// Whether one more would push out an ended entry that is not even this old.
    pub(super) fn is_pressed(&self, age_us: u64, now_us: u64) -> bool {
        let is_young = |entry: &T| now_us.saturating_sub(entry.since_us()) < age_us.min(self.window_us);
        self.held == self.capacity && self.oldest_entry().is_some_and(is_young)
    }

    /// Ended entries that were forgotten before their time, since the start.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// When the newest came that is forgotten; 0 where nothing was.
    pub(super) fn forgotten_us(&self, now_us: u64) -> u64 {
        let window_us = now_us.saturating_sub(self.window_us);
        let has_aged = self.held > 0 && self.oldest_entry().is_some_and(|entry| entry.since_us() < window_us);
        if has_aged || self.forgotten_us > 0 { self.forgotten_us.max(window_us) } else { 0 }
    }

    /// What came until this moment may have been forgotten by an earlier process.
    pub(super) fn may_have_forgotten(&mut self, until_us: u64) {
        self.forgotten_us = self.forgotten_us.max(until_us);
    }

    /// The place of an identity that is still remembered.
    pub(super) fn find(&self, identity: Identity, now_us: u64) -> Option<u32> {
        let place = self.index.find(hash(identity), |place| self.is_at(place, identity))?;
        let entry = self.get(place)?;
        (entry.is_running() || !self.is_old(entry, now_us)).then_some(place)
    }

    /// An identity will be looked up soon.
    pub(super) fn expect(&self, identity: Identity) {
        self.index.expect(hash(identity));
    }

    pub(super) fn get(&self, place: u32) -> Option<&T> {
        self.entries.get(usize::try_from(place).ok()?)
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.entries.get_mut(usize::try_from(place).ok()?)
    }

    /// Remembers a new identity and says where. The caller has asked [`Self::find`] before.
    pub(super) fn insert(&mut self, entry: T) -> Result<u32, Full> {
        self.make_room(entry.since_us())?;
        self.look_ahead();
        let place = self.put(entry);
        self.index(place, hash(entry.identity()));
        Ok(place)
    }

    /// Remembers one of many identities that earlier processes knew. It is found after [`Self::index_restored`].
    pub(super) fn restore(&mut self, entry: T) -> Result<u32, Full> {
        self.make_room(0)?;
        self.unindexed = self.unindexed.saturating_add(1);
        Ok(self.put(entry))
    }

    /// Lets all be found that were restored. What was known of an identity already stays what is known of it.
    pub(super) fn index_restored(&mut self) {
        let first = self.held.saturating_sub(core::mem::take(&mut self.unindexed));
        let in_ring = (first..self.held).filter_map(|nth| {
            let place = u32::try_from(self.nth(nth)).ok()?;
            Some((hash(self.get(place)?.identity()), place))
        });
        let mut in_index: Vec<(u64, u32)> = in_ring.collect();
        // In the order of the index itself, and without a look at the entries: in any other way, each of a million waits for
        // memory that is in no cache.
        in_index.sort_unstable_by_key(|(hash, place)| (self.index.home(*hash), *place));
        for (hash, place) in in_index {
            let known = self.index.find(hash, |known| self.is_same(known, place));
            if known.is_none_or(|known| self.gives_way(known, place)) {
                self.index(place, hash);
            }
        }
    }

    /// Lets an identity be found no more.
    pub(super) fn unindex(&mut self, identity: Identity) {
        let hash = hash(identity);
        if let Some(place) = self.index.find(hash, |place| self.is_at(place, identity)) {
            self.index.remove(hash, place);
        }
    }

    /// The newest, so many at most, newest first, with their places. Some may be found no more.
    pub(super) fn newest(&self, count: usize) -> impl Iterator<Item = (u32, &T)> {
        (self.held.saturating_sub(count)..self.held).rev().filter_map(|nth| {
            let place = u32::try_from(self.nth(nth)).ok()?;
            Some((place, self.get(place)?))
        })
    }

    /// Everything that is remembered at a moment, oldest first.
    pub(super) fn iter(&self, now_us: u64) -> impl Iterator<Item = &T> {
        (0..self.held).filter_map(move |nth| {
            let place = u32::try_from(self.nth(nth)).ok()?;
            let entry = self.get(place)?;
            let is_known = self.index.has(hash(entry.identity()), place);
            (is_known && (entry.is_running() || !self.is_old(entry, now_us))).then_some(entry)
        })
    }

    fn put(&mut self, entry: T) -> u32 {
        let place = self.nth(self.held);
        if let Some(old) = self.entries.get_mut(place) {
            *old = entry;
        }
        self.held = self.held.saturating_add(1);
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Lets the entry at a place be found. An aged one of the same identity, which nobody finds, gives way.
    fn index(&mut self, place: u32, of: u64) {
        match self.index.find(of, |known| self.is_same(known, place)) {
            Some(known) => self.index.replace(of, known, place),
            None => self.index.insert(of, place),
        }
    }

    /// Asks for the memory that the next insertions need: of the entry that will be written over, and of the cell of
    /// the one that will leave.
    fn look_ahead(&self) {
        let free = self.held.saturating_add(AHEAD);
        let free = if free >= self.capacity { free.saturating_sub(self.capacity) } else { free };
        if let Some(entry) = self.entries.get(self.nth(free)) {
            entry.near();
        }
        if let Some(entry) = self.entries.get(self.nth(AHEAD / 2)) {
            self.index.expect(hash(entry.identity()));
        }
    }

    fn is_same(&self, known: u32, place: u32) -> bool {
        self.get(known).map(Known::identity) == self.get(place).map(Known::identity)
    }

    /// Whether what was known of an identity is too old beside what is at a place.
    fn gives_way(&self, known: u32, place: u32) -> bool {
        let since_us = self.get(place).map_or(0, Known::since_us);
        self.get(known).is_none_or(|known| self.may_go(known, since_us))
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
        match self.oldest_entry() {
            Some(entry) if entry.is_running() => Err(Full),
            _ => {
                self.evicted = self.evicted.wrapping_add(1);
                self.drop_oldest();
                Ok(())
            }
        }
    }

    fn drop_oldest(&mut self) {
        let oldest = self.oldest_entry().map(|entry| (entry.identity(), entry.since_us()));
        let Some((identity, since_us)) = oldest else { return };
        let place = u32::try_from(self.oldest).unwrap_or(u32::MAX);
        self.index.remove(hash(identity), place);
        self.forgotten_us = self.forgotten_us.max(since_us).max(1);
        self.oldest = self.nth(1);
        self.held = self.held.saturating_sub(1);
    }

    fn oldest_entry(&self) -> Option<&T> {
        self.entries.get(self.oldest)
    }

    fn may_go(&self, entry: &T, now_us: u64) -> bool {
        self.is_old(entry, now_us) && !entry.is_running()
    }

    fn is_old(&self, entry: &T, now_us: u64) -> bool {
        now_us.saturating_sub(entry.since_us()) > self.window_us
    }

    fn is_at(&self, place: u32, identity: Identity) -> bool {
        self.get(place).is_some_and(|entry| entry.identity() == identity)
    }

    /// The place of the `nth` entry behind the oldest.
    fn nth(&self, nth: usize) -> usize {
        let place = self.oldest.saturating_add(nth);
        if place >= self.capacity { place.saturating_sub(self.capacity) } else { place }
    }
}

/// An identity is a keyed hash already; its low half is as good as any.
fn hash(identity: Identity) -> u64 {
    let bytes = identity.0.to_le_bytes();
    let [a, b, c, d, e, f, g, h, ..] = bytes;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
