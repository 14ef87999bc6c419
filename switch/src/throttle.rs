//! A principal's request rate, over all its links and shards: the virtual scheduling form of a leaky bucket
//! (ITU-T I.371, "generic cell rate algorithm"), in one atomic number.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far ahead of its rate a principal may run, microseconds.
const BURST_US: u64 = 50_000;

/// The rate of one principal.
pub(crate) struct Throttle {
    /// Nanoseconds between two requests.
    interval_ns: u64,
    /// When the next request is due at an even pace, nanoseconds of the monotonic clock.
    due_ns: AtomicU64,
}

impl Throttle {
    /// `None` where the rate is 0, which is no limit.
    pub(crate) fn new(per_second: u32) -> Option<Self> {
        let interval_ns = 1_000_000_000_u64.checked_div(u64::from(per_second))?;
        Some(Self { interval_ns, due_ns: AtomicU64::new(0) })
    }

    /// Counts one request, and says until when nothing more should be read, monotonic microseconds.
    pub(crate) fn count(&self, now_us: u64) -> Option<u64> {
        let now_ns = now_us.saturating_mul(1_000);
        let next = |due_ns: u64| due_ns.max(now_ns).saturating_add(self.interval_ns);
        let before = self
            .due_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due_ns| Some(next(due_ns)))
            .unwrap_or(now_ns);
        let ahead_us = next(before).saturating_sub(now_ns) / 1_000;
        (ahead_us > BURST_US).then(|| now_us + ahead_us - BURST_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let throttle = Throttle::new(1_000).expect("a rate");
        let passed = (0..1_000).take_while(|_| throttle.count(1).is_none()).count();
        assert_eq!(passed, 50, "50 ms of 1,000 a second");
        assert_eq!(throttle.count(1), Some(2_001), "two requests ahead of what may pass");
        assert_eq!(throttle.count(60_000), None);
    }

    #[test]
    fn no_rate_is_no_throttle() {
        assert!(Throttle::new(0).is_none());
    }
}
