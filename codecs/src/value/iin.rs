//! Prefixes of card numbers.

use core::fmt;

use super::Pan;

/// The leading 1 to 11 digits that an issuer's card numbers share (ISO/IEC 7812-1). Ordered by digits; a
/// prefix comes before those that continue it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iin {
    /// ASCII, zero bytes behind the last digit.
    digits: [u8; 11],
    len: u8,
}

impl Iin {
    /// Reads 1 to 11 ASCII digits.
    pub fn parse(ascii: &[u8]) -> Option<Iin> {
        if ascii.is_empty() || !ascii.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut digits = [0; 11];
        digits.get_mut(..ascii.len())?.copy_from_slice(ascii);
        Some(Iin { digits, len: u8::try_from(ascii.len()).ok()? })
    }

    /// ASCII digits.
    pub fn digits(&self) -> &[u8] {
        self.digits.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Whether the card number starts with it.
    pub fn covers(&self, pan: &Pan) -> bool {
        pan.iin_digits().starts_with(self.digits())
    }
}

impl fmt::Display for Iin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write_ascii(f, self.digits())
    }
}

impl fmt::Debug for Iin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_cover() {
        let iin = |ascii: &[u8]| Iin::parse(ascii).unwrap();
        let pan = Pan::parse(b"5413330089010434").unwrap();
        assert!(iin(b"54").covers(&pan) && iin(b"54133300890").covers(&pan) && !iin(b"55").covers(&pan));
        assert!(iin(b"54") < iin(b"541") && iin(b"541") < iin(b"55"));
        assert_eq!((Iin::parse(b""), Iin::parse(b"123456789012"), Iin::parse(b"5A")), (None, None, None));
    }
}
