//! The time of a run: nanoseconds since its start, and the calendar that the messages carry.

use std::time::{Duration, Instant, UNIX_EPOCH};

use time::OffsetDateTime;

/// Nanoseconds in a second.
pub const SECOND_NS: u64 = 1_000_000_000;

/// The run's own time. Latencies come from the monotonic clock; the calendar is read once, at the start, so
/// that a step of the wall clock cannot bend a run.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    unix_start_ns: u64,
}

impl Clock {
    /// A clock that shows zero at `start`, which may lie in the near future.
    pub fn starting_at(start: Instant) -> Clock {
        #[expect(clippy::disallowed_types, reason = "the one look at the calendar; no wait depends on it")]
        let unix_now = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ahead = start.saturating_duration_since(Instant::now());
        Clock { start, unix_start_ns: (unix_now + ahead).as_nanos() as u64 }
    }

    /// The start, in nanoseconds since 1970.
    pub(crate) fn unix_start_ns(&self) -> u64 {
        self.unix_start_ns
    }

    /// Nanoseconds since the start; 0 before it.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// The moment that `ns` names.
    pub fn instant(&self, ns: u64) -> Instant {
        self.start + Duration::from_nanos(ns)
    }

    /// Seconds since 1970 at run time `ns`.
    #[inline]
    pub fn unix_second(&self, ns: u64) -> u64 {
        (self.unix_start_ns + ns) / SECOND_NS
    }
}

/// One second of the calendar (UTC) in the digits that messages carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Seconds since 1970.
    pub unix_second: u64,
    /// YYMMDDhhmmss: DE 12 of 1993 as a whole, the others are parts of it.
    digits: [u8; 12],
}

impl Stamp {
    /// The stamp of a second.
    pub fn of(unix_second: u64) -> Stamp {
        let date = i64::try_from(unix_second).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
        let date = date.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let year = date.year().rem_euclid(100) as u8;
        let parts = [year, date.month().into(), date.day(), date.hour(), date.minute(), date.second()];
        let mut digits = [b'0'; 12];
        for (pair, value) in digits.chunks_exact_mut(2).zip(parts) {
            put_number(pair, u64::from(value));
        }
        Stamp { unix_second, digits }
    }

    /// DE 7: MMDDhhmmss.
    pub fn transmission_time(&self) -> &[u8] {
        &self.digits[2..]
    }

    /// DE 12 of 1993: YYMMDDhhmmss.
    pub fn date_and_time(&self) -> &[u8] {
        &self.digits
    }

    /// DE 12 of 1987: hhmmss.
    pub fn time(&self) -> &[u8] {
        &self.digits[6..]
    }

    /// DE 13: MMDD.
    pub fn date(&self) -> &[u8] {
        &self.digits[2..6]
    }

    /// Year and month, YYMM, as an expiry date has them.
    pub fn year_and_month(&self) -> &[u8] {
        &self.digits[..4]
    }
}

/// Writes `value` in decimal digits over the whole of `digits`, zeros in front.
#[inline]
pub fn put_number(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_digits() {
        for (unix_second, digits) in [
            (0, b"700101000000"),
            (951_782_399, b"000228235959"),
            (951_782_400, b"000229000000"), // 2000 is a leap year
            (1_709_251_199, b"240229235959"),
            (4_107_542_400, b"000301000000"), // 2100 is none
            (1_795_392_061, b"261123000101"),
        ] {
            assert_eq!(Stamp::of(unix_second).date_and_time(), digits, "{unix_second}");
        }
        let stamp = Stamp::of(1_795_392_061);
        assert_eq!(stamp.transmission_time(), b"1123000101");
        assert_eq!((stamp.time(), stamp.date()), (&b"000101"[..], &b"1123"[..]));
        assert_eq!(stamp.year_and_month(), b"2611");
    }

    #[test]
    fn a_clock_may_start_later() {
        let clock = Clock::starting_at(Instant::now() + Duration::from_secs(60));
        assert_eq!(clock.now_ns(), 0);
        assert_eq!(clock.unix_second(3 * SECOND_NS) - clock.unix_second(0), 3);
    }
}
