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
    /// A bit for each of the 64 counters before the last: whether it was accepted. The lowest is the nearest.
    seen: u64,
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
    len: usize,
}

impl Candidates {
    /// The counters.
    #[must_use]
    pub fn as_slice(&self) -> &[u16] {
        self.atcs.get(..self.len).unwrap_or_default()
    }
}

impl AtcWindow {
    /// A card whose newest accepted counter is this one. Those before it are not accepted any more.
    #[must_use]
    pub fn new(last: u16) -> Self {
        Self { last, seen: u64::MAX }
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
        let step = 10_u32.checked_pow(count)?;
        let from = self.last.saturating_sub(u16::from(reach.behind));
        let to = self.last.saturating_add(reach.ahead);
        let mut found = Candidates { atcs: [0; MAX_CANDIDATES], len: 0 };
        for atc in
            (from..=to).filter(|atc| u32::from(*atc).checked_rem(step) == Some(digits) && self.is_new(*atc))
        {
            *found.atcs.get_mut(found.len)? = atc;
            found.len = found.len.saturating_add(1);
        }
        Some(found)
    }

    /// Whether it was not accepted yet, as far as is remembered.
    #[must_use]
    pub fn is_new(&self, atc: u16) -> bool {
        match self.last.checked_sub(atc) {
            None => true,
            Some(0) => false,
            Some(back) => {
                1_u64.checked_shl(u32::from(back).saturating_sub(1)).is_some_and(|bit| self.seen & bit == 0)
            }
        }
    }

    /// Accepts a counter whose code was right. False, and nothing changes, where it was accepted before.
    pub fn claim(&mut self, atc: u16) -> bool {
        if !self.is_new(atc) {
            return false;
        }
        match atc.checked_sub(self.last) {
            Some(forward) => {
                // What lies between stays open, and the one that was last until now is seen.
                let shifted = self.seen.checked_shl(u32::from(forward)).unwrap_or(0);
                let old = 1_u64.checked_shl(u32::from(forward).saturating_sub(1)).unwrap_or(0);
                self.seen = shifted | old;
                self.last = atc;
            }
            None => {
                let back = u32::from(self.last.saturating_sub(atc)).saturating_sub(1);
                self.seen |= 1_u64.checked_shl(back).unwrap_or(0);
            }
        }
        true
    }
}

/// Most counters that the same digits may stand for.
pub const MAX_CANDIDATES: usize = 16;

#[cfg(test)]
mod tests {
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
}
