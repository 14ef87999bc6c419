//! The numbers that an answer is recognised by.
//!
//! Every message of a run has a number of its own, and its STAN and RRN are that number counted on from where the run
//! begins. A run begins its RRNs at the moment of its start in tenths of a microsecond of the day, and its STANs at the
//! microsecond of the second. Numbers rise more slowly than these clocks tick, so that a run that starts when another has
//! ended finds the RRNs behind it unused, and in the same second the STANs too.
//!
//! The STAN wraps after 999 999 messages, so that DE 7 and the RRN must tell two messages with one STAN apart.

use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// RRNs have twelve digits.
const RRNS: u64 = 1_000_000_000_000;
/// STANs run from 1 to 999 999; hosts keep 0 for themselves.
const STANS: u64 = 999_999;
const TICK_NS: u64 = 100;
const DAY_TICKS: u64 = 864_000_000_000;
const SECOND_TICKS: u64 = 10_000_000;
const MICROSECOND_TICKS: u64 = 10;

/// Where the keys of a run begin, in tenths of a microsecond of the day; the same for all its generators.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(crate) struct FirstKey(u64);

impl FirstKey {
    /// The keys of a run that starts when this clock shows zero.
    pub(crate) fn of(clock: &Clock) -> FirstKey {
        FirstKey(clock.unix_start_ns() / TICK_NS % DAY_TICKS)
    }
}

/// The numbers of one worker's messages. Workers take turns: of three, the second has 1, 4, 7, ...
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    first_rrn: u64,
    first_stan: u64,
    worker: u64,
    workers: u64,
}

impl Keys {
    /// The keys of worker `worker` of `workers`.
    pub(super) fn new(FirstKey(ticks): FirstKey, worker: u64, workers: u64) -> Keys {
        Keys { first_rrn: ticks, first_stan: ticks % SECOND_TICKS / MICROSECOND_TICKS, worker, workers }
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
        ((self.first_stan + number) % STANS) as u32 + 1
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
        // What is no STAN is beyond every number.
        let residue = match u64::from(stan) {
            0 => u64::MAX,
            stan => (stan - 1 + 2 * STANS - self.first_stan) % STANS,
        };
        let wraps = (newest + STANS).checked_sub(residue).map_or(0, |ahead| ahead / STANS);
        (0..wraps).rev().map(move |wrap| residue + wrap * STANS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_their_keys() {
        for ticks in [0, 12_345_678, DAY_TICKS - 1] {
            let keys = Keys::new(FirstKey(ticks), 1, 3);
            for ordinal in [0, 1, 999_999, 123_456_789] {
                let number = keys.number(ordinal);
                assert_eq!(keys.of_rrn(keys.rrn(number)), number);
                assert_eq!(keys.ordinal(number), Some(ordinal));
                assert!(keys.of_stan(keys.stan(number), number + 5).any(|found| found == number));
            }
            assert_eq!(keys.ordinal(3), None);
        }
    }

    #[test]
    fn stans_wrap_and_rrns_do_not() {
        let keys = Keys::new(FirstKey(0), 0, 1);
        assert_eq!((keys.stan(0), keys.stan(999_998), keys.stan(999_999)), (1, 999_999, 1));
        assert_ne!(keys.rrn(0), keys.rrn(999_999));
        assert_eq!(keys.of_stan(1, 2_000_000).collect::<Vec<_>>(), [1_999_998, 999_999, 0]);
        assert_eq!(keys.of_stan(7, 5).count(), 0);
        assert_eq!(keys.of_stan(7, 6).collect::<Vec<_>>(), [6]);
        assert_eq!(keys.of_stan(0, 6).count(), 0);
    }

    #[test]
    fn a_run_begins_behind_the_keys_of_the_one_before() {
        // Two in one second, the second of them when the first has sent 300,000 in 400 milliseconds.
        let run = |start_us: u64| Keys::new(FirstKey(start_us * MICROSECOND_TICKS), 0, 1);
        let (one, next) = (run(45_296_200_000), run(45_296_600_000));
        assert!((0..300_000).all(|number| one.rrn(number) < next.rrn(0)));
        assert!((0..300_000).all(|number| one.stan(number) < next.stan(0)));
    }
}
