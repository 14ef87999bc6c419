//! The system trace audit number, DE 11.

use core::fmt;

/// A number that a sender gives to each of its messages, 0 to 999 999. It wraps, and every sender has its
/// own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stan(u32);

impl Stan {
    /// The lowest.
    pub const ZERO: Stan = Stan(0);

    /// 0 to 999 999.
    pub const fn new(number: u32) -> Option<Stan> {
        if number <= 999_999 { Some(Stan(number)) } else { None }
    }

    /// Reads six ASCII digits.
    pub fn parse(ascii: &[u8]) -> Option<Stan> {
        if ascii.len() != 6 {
            return None;
        }
        Stan::new(u32::try_from(super::number(ascii)?).ok()?)
    }

    /// 0 to 999 999.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Six ASCII digits.
    pub fn digits(self) -> [u8; 6] {
        super::digits(u64::from(self.0))
    }
}

impl fmt::Display for Stan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl fmt::Debug for Stan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits() {
        assert_eq!(Stan::new(42).unwrap().digits(), *b"000042");
        assert_eq!(Stan::parse(b"000042"), Stan::new(42));
        assert_eq!((Stan::new(1_000_000), Stan::parse(b"42"), Stan::parse(b"00004x")), (None, None, None));
    }
}
