//! Which application transaction counters a card may come with: forward by a bounded jump, backward only where one was
//! left out, none of them twice.
//!
//! A track carries the low digits of the counter only, so several full counters may be meant; the token says which of
//! them the code belongs to. Nothing here moves before it has said so: a counter that was not authenticated could
//! otherwise burn a card.

/// The counters of one card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtcWindow {
    last: u16,
    /// A bit for each of the 64 counters before the last: whether it was accepted. The lowest is the nearest. In bytes, so
    /// that a card is longer by eight of them only.
    seen: [u8; 8],
}

/// How far a card's counter may be from the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// So many forward.
    pub ahead: u16,
    /// So many backward, 64 at most.
    pub behind: u8,
}

/// The full counters that low digits may stand for, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidates {
    atcs: [u16; MAX_CANDIDATES],
    len: u8,
}

impl Candidates {
    /// No counter.
    pub const NONE: Self = Self { atcs: [0; MAX_CANDIDATES], len: 0 };

    /// This one and no other.
    #[must_use]
    pub fn one(atc: u16) -> Self {
        let mut one = Self::NONE;
        let _ = one.push(atc);
        one
    }

    /// The counters.
    #[must_use]
    pub fn as_slice(&self) -> &[u16] {
        self.atcs.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The counter, where no other is meant.
    #[must_use]
    pub fn only(&self) -> Option<u16> {
        match self.as_slice() {
            [atc] => Some(*atc),
            _ => None,
        }
    }

    fn push(&mut self, atc: u16) -> Option<()> {
        *self.atcs.get_mut(usize::from(self.len))? = atc;
        self.len = self.len.saturating_add(1);
        Some(())
    }
}

impl AtcWindow {
    /// A card whose newest accepted counter is this one. Those before it are not accepted any more.
    #[must_use]
    pub fn new(last: u16) -> Self {
        Self::of_parts(last, u64::MAX)
    }

    /// As [`Self::last`] and [`Self::seen`] told it.
    #[must_use]
    pub fn of_parts(last: u16, seen: u64) -> Self {
        Self { last, seen: seen.to_le_bytes() }
    }

    /// Which of the 64 counters before the last were accepted: a bit for each, the lowest for the nearest.
    #[must_use]
    pub fn seen(&self) -> u64 {
        u64::from_le_bytes(self.seen)
    }

    /// The newest accepted counter.
    #[must_use]
    pub fn last(&self) -> u16 {
        self.last
    }

    /// The counters within reach that end in these decimal digits and were not accepted yet. The counter ends at 65,535 and never
    /// starts again.
    ///
    /// None when there are more than [`MAX_CANDIDATES`]: a guess would be likely to hit one of them.
    #[must_use]
    pub fn candidates(&self, digits: u32, count: u32, reach: Reach) -> Option<Candidates> {
        let from = self.last.saturating_sub(u16::from(reach.behind));
        let to = self.last.saturating_add(reach.ahead);
        let mut found = Candidates::NONE;
        for atc in ending_in(digits, count, from, to).filter(|atc| self.is_new(*atc)) {
            found.push(atc)?;
        }
        Some(found)
    }

    /// Whether these digits stand for a counter that was accepted, as far as is remembered: a track that comes again.
    #[must_use]
    pub fn was_accepted(&self, digits: u32, count: u32) -> bool {
        let oldest = self.last.saturating_sub(REMEMBERED);
        ending_in(digits, count, oldest, self.last).any(|atc| !self.is_new(atc))
    }

    /// Whether it was not accepted yet, as far as is remembered.
    #[must_use]
    pub fn is_new(&self, atc: u16) -> bool {
        match self.last.checked_sub(atc) {
            None => true,
            Some(0) => false,
            Some(back) => {
                1_u64.checked_shl(u32::from(back).saturating_sub(1)).is_some_and(|bit| self.seen() & bit == 0)
            }
        }
    }

    /// Accepts a counter whose code was right. False, and nothing changes, where it was accepted before.
    pub fn claim(&mut self, atc: u16) -> bool {
        if !self.is_new(atc) {
            return false;
        }
        *self = match atc.checked_sub(self.last) {
            Some(forward) => {
                // What lies between stays open, and the one that was last until now is seen.
                let shifted = self.seen().checked_shl(u32::from(forward)).unwrap_or(0);
                let old = 1_u64.checked_shl(u32::from(forward).saturating_sub(1)).unwrap_or(0);
                Self::of_parts(atc, shifted | old)
            }
            None => {
                let back = u32::from(self.last.saturating_sub(atc)).saturating_sub(1);
                Self::of_parts(self.last, self.seen() | 1_u64.checked_shl(back).unwrap_or(0))
            }
        };
        true
    }
}

/// The counters from one to another that end in these decimal digits.
fn ending_in(digits: u32, count: u32, from: u16, to: u16) -> impl Iterator<Item = u16> {
    let step = 10_u32.checked_pow(count).filter(|step| digits < *step);
    let first = step.and_then(|step| {
        let past = u32::from(from).checked_rem(step)?;
        let ahead = digits.checked_add(step)?.checked_sub(past)?.checked_rem(step)?;
        u32::from(from).checked_add(ahead)
    });
    core::iter::successors(first, move |atc| atc.checked_add(step?))
        .map_while(|atc| u16::try_from(atc).ok())
        .take_while(move |atc| *atc <= to)
}

/// So many counters before the last are remembered.
const REMEMBERED: u16 = 64;

/// Most counters that the same digits may stand for.
pub const MAX_CANDIDATES: usize = 16;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const REACH: Reach = Reach { ahead: 100, behind: 5 };

    #[test]
    fn each_counter_once_in_any_order() {
        let mut window = AtcWindow::new(100);
        assert!(window.claim(104));
        assert!(!window.claim(104) && !window.claim(100) && !window.claim(99));
        for atc in [102, 101, 103] {
            assert!(window.claim(atc), "{atc} was left out");
            assert!(!window.claim(atc), "{atc} twice");
        }
        assert!(window.claim(300));
        assert!(!window.claim(104) && window.claim(299) && !window.claim(235), "beyond what is remembered");
        assert_eq!(window.last(), 300);
    }

    #[test]
    fn what_is_in_reach() {
        let mut window = AtcWindow::new(100);
        assert!(window.claim(104));
        let ends_in = |digit| window.candidates(digit, 1, REACH);
        assert_eq!(ends_in(3).map(|found| found.as_slice().first().copied()), Some(Some(103)));
        assert_eq!(ends_in(9).map(|found| found.as_slice().len()), Some(10), "99 is gone, 109 to 199");
        assert_eq!(window.candidates(0, 0, REACH), None, "no digits: too many");
        assert_eq!(window.candidates(10, 1, REACH).map(|found| found.as_slice().len()), Some(0), "no digit");
        let end = AtcWindow::new(65_530);
        assert_eq!(
            end.candidates(5, 1, REACH).map(|found| found.as_slice().last().copied()),
            Some(Some(65_535))
        );
        assert_eq!(
            end.candidates(4, 4, REACH).map(|found| found.as_slice().len()),
            Some(0),
            "never past the end"
        );
    }

    /// Stepping from one counter to the next finds what looking at each of them would.
    #[test]
    fn candidates_are_those_in_reach_that_end_so_and_are_new() {
        let mut window = AtcWindow::new(990);
        for atc in [993, 1_004, 1_000, 1_017, 999] {
            assert!(window.claim(atc));
        }
        for (count, digits) in [(1, 0), (1, 7), (2, 4), (2, 99), (3, 0), (4, 1_004), (4, 1_099), (5, 1_005)] {
            let expected: Vec<u16> = (1_012..=1_117)
                .filter(|atc| u32::from(*atc) % 10_u32.pow(count) == digits && window.is_new(*atc))
                .collect();
            let found = window.candidates(digits, count, REACH).unwrap();
            assert_eq!(found.as_slice(), expected, "{digits} of {count} digits");
            let again =
                (953..=1_017).any(|atc| u32::from(atc) % 10_u32.pow(count) == digits && !window.is_new(atc));
            assert_eq!(window.was_accepted(digits, count), again, "{digits} of {count} digits");
        }
        assert_eq!(core::mem::size_of::<AtcWindow>(), 10);
    }
}
