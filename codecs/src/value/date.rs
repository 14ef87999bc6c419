//! Dates and times as messages carry them: without a zone, mostly without a year, and without a clock here.

use core::fmt;

use crate::text;

/// Two ASCII digits at a place of an array, as a number.
macro_rules! two_digits {
    ($self:ident, $($skipped:ident,)* => ) => {{
        let [$($skipped,)* tens, ones, ..] = $self.0;
        pair(tens, ones)
    }};
}

/// A type of so many ASCII digits, read and given back as such.
macro_rules! digits_type {
    ($(#[$doc:meta])* $name:ident, $len:literal, $sound:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Reads ASCII digits; nothing for a date or time that no calendar and no clock shows.
            #[inline]
            pub fn parse(ascii: &[u8]) -> Option<$name> {
                let digits: [u8; $len] = ascii.try_into().ok()?;
                (text::are_digits(&digits) && Self::is_sound(&digits)).then_some($name(digits))
            }

            #[inline(always)]
            fn is_sound(digits: &[u8; $len]) -> bool {
                let sound: fn(&[u8; $len]) -> bool = $sound;
                sound(digits)
            }

            /// ASCII digits.
            pub const fn digits(self) -> [u8; $len] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                super::write_ascii(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

digits_type!(
    /// When a message was sent, in UTC: MMDDhhmmss (DE 7).
    TransmissionTime,
    10,
    |&[a, b, c, d, time @ ..]| is_day([a, b, c, d]) && is_time(time)
);

impl TransmissionTime {
    /// 1 to 12.
    pub const fn month(self) -> u8 {
        two_digits!(self, =>)
    }

    /// 1 to 31.
    pub const fn day(self) -> u8 {
        two_digits!(self, _a, _b, =>)
    }

    /// 0 to 23.
    pub const fn hour(self) -> u8 {
        two_digits!(self, _a, _b, _c, _d, =>)
    }

    /// 0 to 59.
    pub const fn minute(self) -> u8 {
        two_digits!(self, _a, _b, _c, _d, _e, _f, =>)
    }

    /// 0 to 59.
    pub const fn second(self) -> u8 {
        two_digits!(self, _a, _b, _c, _d, _e, _f, _g, _h, =>)
    }
}

digits_type!(
    /// The time at the terminal: hhmmss (DE 12 in 1987).
    LocalTime,
    6,
    |&time| is_time(time)
);

digits_type!(
    /// The date at the terminal: MMDD (DE 13 in 1987).
    LocalDate,
    4,
    |&day| is_day(day)
);

digits_type!(
    /// Date and time at the terminal: YYMMDDhhmmss (DE 12 in 1993).
    LocalDateTime,
    12,
    |&[_, _, a, b, c, d, time @ ..]| is_day([a, b, c, d]) && is_time(time)
);

impl LocalDateTime {
    /// The date without its year.
    pub const fn date(self) -> LocalDate {
        let [_, _, a, b, c, d, ..] = self.0;
        LocalDate([a, b, c, d])
    }

    /// The time of day.
    pub const fn time(self) -> LocalTime {
        let [.., a, b, c, d, e, f] = self.0;
        LocalTime([a, b, c, d, e, f])
    }
}

digits_type!(
    /// The last month in which a card is good: YYMM (DE 14).
    Expiry,
    4,
    |&[_, _, tens, ones]| matches!(pair(tens, ones), 1..=12)
);

impl Expiry {
    /// The last two digits of the year.
    pub const fn year(self) -> u8 {
        two_digits!(self, =>)
    }

    /// 1 to 12.
    pub const fn month(self) -> u8 {
        two_digits!(self, _a, _b, =>)
    }

    /// Whether the card's last month lies before the month given. The century is the one that brings the two
    /// closest together: in 2026, 75 is 2075 and 77 is 1977.
    pub fn is_past(self, year: u16, month: u8) -> bool {
        let now = i32::from(year).rem_euclid(100);
        // -99..=99 years, folded into -49..=50.
        let ahead = i32::from(self.year()).saturating_sub(now);
        let ahead = match ahead {
            51.. => ahead.saturating_sub(100),
            ..=-50 => ahead.saturating_add(100),
            _ => ahead,
        };
        (ahead, self.month()) < (0, month)
    }
}

#[inline]
fn is_day([a, b, c, d]: [u8; 4]) -> bool {
    let last = match pair(a, b) {
        // No year, so that 29 February is always possible.
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=last).contains(&pair(c, d))
}

#[inline]
fn is_time([a, b, c, d, e, f]: [u8; 6]) -> bool {
    pair(a, b) < 24 && pair(c, d) < 60 && pair(e, f) < 60
}

const fn pair(tens: u8, ones: u8) -> u8 {
    (tens & 0x0F).wrapping_mul(10).wrapping_add(ones & 0x0F)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn parts_of_de_7() {
        let time = TransmissionTime::parse(b"1231142359").unwrap();
        let parts = (time.month(), time.day(), time.hour(), time.minute(), time.second());
        assert_eq!(parts, (12, 31, 14, 23, 59));
        assert_eq!(format!("{time}"), "1231142359");
    }

    #[test]
    fn what_no_calendar_shows() {
        for digits in [b"0031142359", b"1331142359", b"0230142359", b"0431142359", b"0401242359"] {
            assert_eq!(TransmissionTime::parse(digits), None, "{digits:?}");
        }
        assert!(TransmissionTime::parse(b"0229000000").is_some());
        assert!(LocalTime::parse(b"236000").is_none() && LocalTime::parse(b"235960").is_none());
        assert!(LocalDate::parse(b"0100").is_none() && LocalDate::parse(b"01 1").is_none());
    }

    #[test]
    fn date_and_time_of_1993() {
        let both = LocalDateTime::parse(b"241231142359").unwrap();
        assert_eq!((both.date().digits(), both.time().digits()), (*b"1231", *b"142359"));
    }

    #[test]
    fn expiry_by_the_nearest_century() {
        for (yymm, year, month, past) in [
            (b"2912", 2026, 5, false),
            (b"2605", 2026, 5, false),
            (b"2604", 2026, 5, true),
            (b"2512", 2026, 1, true),
            (b"7512", 2026, 5, false),
            (b"7712", 2026, 5, true),
            (b"0101", 2099, 12, false),
            (b"9912", 2101, 1, true),
        ] {
            assert_eq!(Expiry::parse(yymm).unwrap().is_past(year, month), past, "{yymm:?} {year}-{month}");
        }
        assert_eq!(Expiry::parse(b"2913"), None);
    }
}
