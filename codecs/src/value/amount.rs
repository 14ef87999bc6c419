//! Money: minor units of one currency.

use core::fmt;

use super::Currency;

/// An amount in minor units, such as cents, of its currency. Never negative: which way it flows is said by
/// the message.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Amount {
    minor: u64,
    currency: Currency,
}

impl Amount {
    /// So many minor units.
    pub const fn new(minor: u64, currency: Currency) -> Amount {
        Amount { minor, currency }
    }

    /// Nothing, in this currency.
    pub const fn zero(currency: Currency) -> Amount {
        Amount::new(0, currency)
    }

    /// Minor units.
    pub const fn minor(self) -> u64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum; nothing when the currencies differ or it is too large.
    pub fn checked_add(self, other: Amount) -> Option<Amount> {
        self.combined(other, u64::checked_add)
    }

    /// The difference; nothing when the currencies differ or it would be negative.
    pub fn checked_sub(self, other: Amount) -> Option<Amount> {
        self.combined(other, u64::checked_sub)
    }

    /// The 12 digits of DE 4; nothing when there are more.
    pub fn digits(self) -> Option<[u8; 12]> {
        (self.minor < 1_000_000_000_000).then(|| super::digits(self.minor))
    }

    fn combined(self, other: Amount, how: fn(u64, u64) -> Option<u64>) -> Option<Amount> {
        if self.currency != other.currency {
            return None;
        }
        Some(Amount::new(how(self.minor, other.minor)?, self.currency))
    }
}

impl fmt::Display for Amount {
    /// In major units, `12.50 EUR`; in minor units and the numeric code when the currency is not in the
    /// table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(exponent), Some(alpha)) = (self.currency.exponent(), self.currency.alpha()) else {
            return write!(f, "{} minor {:?}", self.minor, self.currency);
        };
        let unit = 10_u64.saturating_pow(u32::from(exponent));
        let major = self.minor.checked_div(unit).unwrap_or_default();
        let rest = self.minor.checked_rem(unit).unwrap_or_default();
        match exponent {
            0 => write!(f, "{major} {alpha}"),
            places => write!(f, "{major}.{rest:0places$} {alpha}", places = usize::from(places)),
        }
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn amount(minor: u64, currency: u16) -> Amount {
        Amount::new(minor, Currency::new(currency).unwrap())
    }

    #[test]
    fn sums_stay_in_one_currency() {
        assert_eq!(amount(1, 978).checked_add(amount(2, 978)), Some(amount(3, 978)));
        assert_eq!(amount(1, 978).checked_add(amount(2, 840)), None);
        assert_eq!(amount(u64::MAX, 978).checked_add(amount(1, 978)), None);
        assert_eq!(amount(1, 978).checked_sub(amount(2, 978)), None);
        assert!(amount(2, 978).checked_sub(amount(2, 978)).unwrap().is_zero());
    }

    #[test]
    fn shown_in_major_units() {
        assert_eq!(format!("{}", amount(1_250, 978)), "12.50 EUR");
        assert_eq!(format!("{}", amount(5, 978)), "0.05 EUR");
        assert_eq!(format!("{}", amount(1_250, 392)), "1250 JPY");
        assert_eq!(format!("{}", amount(1_250, 414)), "1.250 KWD");
        assert_eq!(format!("{:?}", amount(7, 999)), "7 minor 999");
    }

    #[test]
    fn twelve_digits() {
        assert_eq!(amount(1_250, 978).digits(), Some(*b"000000001250"));
        assert_eq!(amount(1_000_000_000_000, 978).digits(), None);
    }
}
