//! Where in a list something is that has a hash: a table of open addressing with a cell of eight bytes for each, so that
//! a look-up in a million of them waits for memory once, and can be announced before it is made.
//!
//! Not here: the things themselves. A cell holds half of a hash and a place, and the caller says whether what is at
//! the place is meant.

use alloc::vec::Vec;

use crate::near::near;

/// The upper half: the low half of the hash. The lower half: the place and one, so that nothing is zero.
type Cell = u64;

const EMPTY: Cell = 0;

#[derive(Debug)]
pub(crate) struct Cells {
    /// At least twice as many as places, and a power of two.
    cells: Vec<Cell>,
    mask: u64,
}

impl Cells {
    /// For places below `capacity`.
    pub(crate) fn new(capacity: usize) -> Self {
        let count = capacity.saturating_mul(2).next_power_of_two().max(2);
        // Taken now, touched as it fills.
        let cells = alloc::vec![EMPTY; count];
        Self { cells, mask: u64::try_from(count).unwrap_or(u64::MAX).saturating_sub(1) }
    }

    /// The place of what has this hash and is meant.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_meant: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let cell = self.cell(at);
            if cell == EMPTY {
                return None;
            }
            if half(cell) == low(hash) && is_meant(place(cell)) {
                return Some(place(cell));
            }
            at = self.next(at);
        }
    }

    /// Puts a place under a hash. It is not there yet, and no place is there twice.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, place: u32) {
        let mut at = self.home(hash);
        while self.cell(at) != EMPTY {
            at = self.next(at);
        }
        self.set(at, cell(hash, place));
    }

    /// Puts another place where this one is.
    pub(crate) fn replace(&mut self, hash: u64, place: u32, by: u32) {
        if let Some(at) = self.position(hash, place) {
            self.set(at, cell(hash, by));
        }
    }

    /// Takes a place out. What stood behind it for want of room moves up.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, place: u32) {
        let Some(mut hole) = self.position(hash, place) else { return };
        let mut at = self.next(hole);
        loop {
            let cell = self.cell(at);
            if cell == EMPTY {
                break;
            }
            let from_home = self.distance(self.home(half(cell)), at);
            if from_home >= self.distance(hole, at) {
                self.set(hole, cell);
                hole = at;
            }
            at = self.next(at);
        }
        self.set(hole, EMPTY);
    }

    /// Whether this place is there under this hash.
    pub(crate) fn has(&self, hash: u64, place: u32) -> bool {
        self.position(hash, place).is_some()
    }

    /// Where a hash belongs: many are put in quickest in this order.
    #[inline]
    pub(crate) fn home(&self, hash: u64) -> u64 {
        low(hash) & self.mask
    }

    /// A hash will be looked up soon: its memory comes nearer meanwhile.
    #[inline]
    pub(crate) fn expect(&self, hash: u64) {
        if let Some(cell) = usize::try_from(self.home(hash)).ok().and_then(|at| self.cells.get(at)) {
            near(cell);
        }
    }

    #[inline]
    fn position(&self, hash: u64, place: u32) -> Option<u64> {
        let wanted = cell(hash, place);
        let mut at = self.home(hash);
        loop {
            match self.cell(at) {
                EMPTY => return None,
                cell if cell == wanted => return Some(at),
                _ => at = self.next(at),
            }
        }
    }

    #[inline]
    fn cell(&self, at: u64) -> Cell {
        usize::try_from(at).ok().and_then(|at| self.cells.get(at)).copied().unwrap_or(EMPTY)
    }

    #[inline]
    fn set(&mut self, at: u64, cell: Cell) {
        if let Some(here) = usize::try_from(at).ok().and_then(|at| self.cells.get_mut(at)) {
            *here = cell;
        }
    }

    #[inline]
    fn next(&self, at: u64) -> u64 {
        at.wrapping_add(1) & self.mask
    }

    #[inline]
    fn distance(&self, from: u64, to: u64) -> u64 {
        to.wrapping_sub(from) & self.mask
    }
}

#[inline]
fn low(hash: u64) -> u64 {
    hash & u64::from(u32::MAX)
}

#[inline]
fn cell(hash: u64, place: u32) -> Cell {
    low(hash) << 32 | u64::from(place).saturating_add(1)
}

#[inline]
fn half(cell: Cell) -> u64 {
    cell >> 32
}

#[inline]
fn place(cell: Cell) -> u32 {
    u32::try_from(low(cell).saturating_sub(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    #[test]
    fn agrees_with_a_map_while_hashes_collide() {
        let mut cells = Cells::new(32);
        let mut map = BTreeMap::new();
        let mut seed = 88_172_645_463_325_252_u64;
        for turn in 0..200_000_u64 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            // Few homes, the last of the table among them, and the same low half for different hashes.
            let hash = (seed >> 20 & 3) << 40 | (seed & 0b11_1011);
            let place = u32::try_from(seed >> 30 & 31).unwrap();
            match map.get(&place).copied() {
                Some(known) if turn % 3 == 0 => {
                    let other = (0..32).find(|other| !map.contains_key(other)).unwrap_or(place);
                    cells.replace(known, place, other);
                    map.remove(&place);
                    map.insert(other, known);
                }
                Some(known) => {
                    cells.remove(known, place);
                    map.remove(&place);
                }
                None => {
                    cells.insert(hash, place);
                    map.insert(place, hash);
                }
            }
            cells.expect(hash);
            for place in 0..32 {
                let known = map.get(&place).copied();
                assert_eq!(known.is_some_and(|known| cells.has(known, place)), known.is_some(), "at {turn}");
                let is_meant = |at: u32| at == place;
                let found = cells.find(known.unwrap_or(hash), is_meant);
                assert_eq!(found, known.map(|_| place), "at {turn}");
            }
            assert_eq!(cells.cells.iter().filter(|cell| **cell != EMPTY).count(), map.len(), "at {turn}");
        }
    }

    #[test]
    fn the_smallest_has_room_for_one() {
        let mut cells = Cells::new(1);
        cells.insert(7, 0);
        assert_eq!((cells.find(7, |_| true), cells.find(6, |_| true)), (Some(0), None));
        cells.remove(7, 0);
        assert_eq!(cells.find(7, |_| true), None);
    }

    #[test]
    fn the_last_place_there_can_be_is_a_place() {
        assert_eq!(place(cell(u64::MAX, u32::MAX - 1)), u32::MAX - 1);
        assert_eq!(half(cell(u64::MAX, 0)), u64::from(u32::MAX));
    }
}
