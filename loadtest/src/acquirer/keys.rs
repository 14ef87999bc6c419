//! The numbers that an answer is recognised by.
//!
//! Every message of a run has a number of its own. Its STAN wraps after 999 999 of them, so that DE 7 and the
//! RRN must tell two messages with one STAN apart: the RRN is the number itself, added to the second of the
//! day in which the run began times ten million, which keeps apart the runs of one day too.

/// RRNs have twelve digits.
const RRNS: u64 = 1_000_000_000_000;
/// RRNs that a second of the day has for itself.
const RRNS_PER_SECOND: u64 = 10_000_000;
/// STANs run from 1 to 999 999; hosts keep 0 for themselves.
const STANS: u64 = 999_999;
const DAY_SECONDS: u64 = 86_400;

/// The numbers of one worker's messages. Workers take turns: of three, the second has 1, 4, 7, ...
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    first_rrn: u64,
    worker: u64,
    workers: u64,
}

impl Keys {
    /// The keys of worker `worker` of `workers` in a run that starts in this second since 1970.
    pub(super) fn new(unix_second: u64, worker: u64, workers: u64) -> Keys {
        Keys { first_rrn: unix_second % DAY_SECONDS * RRNS_PER_SECOND, worker, workers }
    }

    /// The run's number of this worker's `ordinal`-th message.
    pub(super) fn number(&self, ordinal: u64) -> u64 {
        ordinal * self.workers + self.worker
    }

    /// Which of this worker's messages has a number, if it is one of its own.
    pub(super) fn ordinal(&self, number: u64) -> Option<u64> {
        (number % self.workers == self.worker).then_some(number / self.workers)
    }

    /// DE 11.
    pub(super) fn stan(&self, number: u64) -> u32 {
        (number % STANS) as u32 + 1
    }

    /// DE 37.
    pub(super) fn rrn(&self, number: u64) -> u64 {
        (self.first_rrn + number) % RRNS
    }

    /// The number that has this RRN.
    pub(super) fn of_rrn(&self, rrn: u64) -> u64 {
        (rrn + RRNS - self.first_rrn) % RRNS
    }

    /// The numbers up to `newest` that have this STAN, the newest first: for hosts that do not echo the RRN.
    pub(super) fn of_stan(&self, stan: u32, newest: u64) -> impl Iterator<Item = u64> + use<> {
        let residue = u64::from(stan).wrapping_sub(1);
        let wraps = (newest + STANS).checked_sub(residue).map_or(0, |ahead| ahead / STANS);
        (0..wraps).rev().map(move |wrap| residue + wrap * STANS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_their_keys() {
        let keys = Keys::new(86_399, 1, 3);
        for ordinal in [0, 1, 999_999, 123_456_789] {
            let number = keys.number(ordinal);
            assert_eq!(keys.of_rrn(keys.rrn(number)), number);
            assert_eq!(keys.ordinal(number), Some(ordinal));
            assert!(keys.of_stan(keys.stan(number), number + 5).any(|found| found == number));
        }
        assert_eq!(keys.ordinal(3), None);
    }

    #[test]
    fn stans_wrap_and_rrns_do_not() {
        let keys = Keys::new(0, 0, 1);
        assert_eq!((keys.stan(0), keys.stan(999_998), keys.stan(999_999)), (1, 999_999, 1));
        assert_ne!(keys.rrn(0), keys.rrn(999_999));
        assert_eq!(keys.of_stan(1, 2_000_000).collect::<Vec<_>>(), [1_999_998, 999_999, 0]);
        assert_eq!(keys.of_stan(7, 5).count(), 0);
        assert_eq!(keys.of_stan(7, 6).collect::<Vec<_>>(), [6]);
        assert_eq!(keys.of_stan(0, 6).count(), 0);
    }
}
