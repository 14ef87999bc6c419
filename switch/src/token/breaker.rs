//! Whether a worker is asked: not after it left a question unanswered or lost its token, until it has answered a probe
//! in time. Pure: the time comes in.

/// Between two probes, microseconds.
const PROBE_US: u64 = 1_000_000;
/// Errors in a row, of the kind that other questions meet as well, after which it is not asked.
const ERRORS_MAX: u8 = 5;

/// One worker's.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    open: Option<Open>,
    errors: u8,
    /// Probes sent so far: their number.
    probes: u64,
}

#[derive(Debug)]
struct Open {
    /// When the last probe was sent.
    probed_us: u64,
    /// The probe that has not been answered.
    waiting: Option<u64>,
    /// Whether one was sent as soon as the worker had caught up.
    was_early: bool,
}

impl Breaker {
    /// Whether questions are put to the worker.
    pub(super) fn is_closed(&self) -> bool {
        self.open.is_none()
    }

    /// Stops asking. Whether that is new.
    pub(super) fn open(&mut self, now_us: u64) -> bool {
        let is_new = self.open.is_none();
        if is_new {
            self.open = Some(Open { probed_us: now_us, waiting: None, was_early: false });
        }
        is_new
    }

    /// A question met an error which others will meet too. Whether questions have to stop.
    pub(super) fn erred(&mut self) -> bool {
        self.errors = self.errors.saturating_add(1);
        self.errors >= ERRORS_MAX
    }

    /// A question was answered.
    pub(super) fn answered(&mut self) {
        self.errors = 0;
    }

    /// The number of the probe that is due. One comes early, when the worker has answered all that it owed.
    pub(super) fn probe(&mut self, has_caught_up: bool, now_us: u64) -> Option<u64> {
        let open = self.open.as_mut()?;
        let is_early = has_caught_up && !open.was_early && open.waiting.is_none();
        if !is_early && now_us.saturating_sub(open.probed_us) < PROBE_US {
            return None;
        }
        open.was_early |= is_early;
        open.probed_us = now_us;
        self.probes += 1;
        open.waiting = Some(self.probes);
        open.waiting
    }

    /// A probe was answered. Whether questions are put again from now on.
    pub(super) fn probed(&mut self, number: u64, is_well: bool, now_us: u64, deadline_us: u64) -> bool {
        let Some(open) = self.open.as_mut().filter(|open| open.waiting == Some(number)) else { return false };
        open.waiting = None;
        let is_in_time = now_us.saturating_sub(open.probed_us) <= deadline_us;
        if is_well && is_in_time {
            self.open = None;
            self.errors = 0;
        }
        is_well && is_in_time
    }

    /// Another worker sits here.
    pub(super) fn reset(&mut self) -> bool {
        self.errors = 0;
        self.open.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: u64 = 250_000;

    #[test]
    fn closed_again_by_a_probe_in_time() {
        let mut breaker = Breaker::default();
        assert!(breaker.is_closed() && breaker.probe(true, 0).is_none());
        assert!(breaker.open(1_000_000) && !breaker.open(1_000_001) && !breaker.is_closed());
        assert_eq!(breaker.probe(false, 1_999_999), None);
        assert_eq!(breaker.probe(false, 2_000_000), Some(1));
        assert_eq!(breaker.probe(false, 2_100_000), None, "one a second");
        assert!(!breaker.probed(1, true, 2_250_001, DEADLINE), "late");
        assert_eq!(breaker.probe(false, 3_000_000), Some(2));
        assert!(!breaker.probed(1, true, 3_000_001, DEADLINE), "another probe's answer");
        assert!(!breaker.probed(2, false, 3_000_002, DEADLINE), "not well");
        assert!(!breaker.probed(2, true, 3_000_003, DEADLINE), "answered already");
        assert_eq!(breaker.probe(false, 4_000_000), Some(3));
        assert!(breaker.probed(3, true, 4_250_000, DEADLINE) && breaker.is_closed());
    }

    #[test]
    fn a_worker_that_caught_up_is_probed_once_before_its_second() {
        let mut breaker = Breaker::default();
        breaker.open(0);
        assert_eq!(breaker.probe(true, 10), Some(1));
        assert!(!breaker.probed(1, false, 20, DEADLINE));
        assert_eq!(breaker.probe(true, 30), None);
        assert_eq!(breaker.probe(true, 1_000_010), Some(2));
    }

    #[test]
    fn errors_in_a_row_open_it() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            assert!((1..ERRORS_MAX).all(|_| !breaker.erred()));
            breaker.answered();
        }
        assert!((1..ERRORS_MAX).all(|_| !breaker.erred()) && breaker.erred());
    }
}
