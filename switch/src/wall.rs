//! The wall clock, for the stamps that messages carry. No wait is ever measured on it.

use time::OffsetDateTime;

/// A moment in UTC.
#[derive(Clone, Copy)]
pub(crate) struct Wall(OffsetDateTime);

impl Wall {
    /// Now.
    pub(crate) fn now() -> Self {
        Self(OffsetDateTime::now_utc())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_digits_in_order() {
        let wall = Wall(OffsetDateTime::from_unix_timestamp(1_795_471_384).expect("in range"));
        assert_eq!(&wall.year_to_second(), b"261123220304");
        assert_eq!(&wall.month_to_second(), b"1123220304");
        assert_eq!(wall.year_and_month(), (2026, 11));
    }
}
