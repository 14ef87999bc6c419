//! The wall clock, for the stamps that messages carry. No wait is ever measured on it.

use std::fmt;

use time::OffsetDateTime;

/// A moment in UTC.
#[derive(Clone, Copy)]
pub(crate) struct Wall(OffsetDateTime);

impl Wall {
    /// Now.
    pub(crate) fn now() -> Self {
        Self(OffsetDateTime::now_utc())
    }

    /// The moment so many microseconds after 1970.
    pub(crate) fn of_micros(us: u64) -> Self {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(us) * 1_000);
        Self(moment.unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// Microseconds since 1970.
    pub(crate) fn micros(self) -> u64 {
        (self.0.unix_timestamp_nanos() / 1_000).try_into().unwrap_or(0)
    }

    /// Year and month.
    pub(crate) fn year_and_month(self) -> (u16, u8) {
        (self.0.year() as u16, self.0.month().into())
    }

    /// DE 7: MMDDhhmmss.
    pub(crate) fn month_to_second(self) -> [u8; 10] {
        let [_, _, rest @ ..] = self.year_to_second();
        rest
    }

    /// DE 12 of 1993: YYMMDDhhmmss.
    pub(crate) fn year_to_second(self) -> [u8; 12] {
        let time = self.0;
        let pairs = [
            (time.year() % 100) as u8,
            time.month().into(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
        ];
        let mut digits = [b'0'; 12];
        for (pair, value) in digits.chunks_exact_mut(2).zip(pairs) {
            pair[0] += value / 10;
            pair[1] += value % 10;
        }
        digits
    }
}

/// Date and time to the microsecond, UTC.
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.0.date(), self.0.time());
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z",
            time.microsecond()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_digits_in_order() {
        let wall = Wall(OffsetDateTime::from_unix_timestamp(1_795_471_384).expect("in range"));
        assert_eq!(&wall.year_to_second(), b"261123220304");
        assert_eq!(&wall.month_to_second(), b"1123220304");
        assert_eq!(wall.year_and_month(), (2026, 11));
        assert_eq!(Wall::of_micros(wall.micros() + 42).to_string(), "2026-11-23T22:03:04.000042Z");
    }
}
