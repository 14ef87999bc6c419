//! The card number: masked by construction.

use core::fmt;

use crate::text;

/// A primary account number of 8 to 19 digits (DE 2; ISO/IEC 7812-1).
///
/// `Debug` shows the first six and last four digits, or none at all; there is no `Display`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pan {
    /// ASCII, zero bytes behind the last digit.
    digits: [u8; MAX_DIGITS],
    len: u8,
}

impl Pan {
    /// Reads 8 to 19 ASCII digits. The check digit is not looked at: see [`luhn_ok`](Pan::luhn_ok).
    pub fn parse(ascii: &[u8]) -> Option<Pan> {
        if ascii.len() < MIN_DIGITS || !text::are_digits(ascii) {
            return None;
        }
        let mut digits = [0; MAX_DIGITS];
        match (ascii.first_chunk::<USUAL_DIGITS>(), digits.first_chunk_mut()) {
            // Most card numbers: copied without a call.
            (Some(usual), Some(room)) if ascii.len() == USUAL_DIGITS => *room = *usual,
            _ => digits.get_mut(..ascii.len())?.copy_from_slice(ascii),
        }
        Some(Pan { digits, len: u8::try_from(ascii.len()).ok()? })
    }

    /// How many digits it has.
    #[expect(clippy::len_without_is_empty, reason = "no card number is empty")]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether the last digit is the check digit of the others (ISO/IEC 7812-1 annex B).
    pub fn luhn_ok(&self) -> bool {
        let sum = self.danger_clear_digits().iter().rev().enumerate().fold(0_u16, |sum, (place, digit)| {
            let value = u16::from(digit & 0x0F);
            let doubled = value.wrapping_mul(2);
            let counted = match (place & 1, doubled > 9) {
                (0, _) => value,
                (_, true) => doubled.wrapping_sub(9),
                (_, false) => doubled,
            };
            sum.wrapping_add(counted)
        });
        sum.is_multiple_of(10)
    }

    /// The first 11 ASCII digits, or all of a shorter number: what may choose a route.
    pub fn iin_digits(&self) -> &[u8] {
        let digits = self.danger_clear_digits();
        digits.get(..IIN_DIGITS).unwrap_or(digits)
    }

    /// All ASCII digits, in the clear.
    pub fn danger_clear_digits(&self) -> &[u8] {
        self.digits.get(..self.len()).unwrap_or_default()
    }

    /// The same with zero bytes behind the last digit: as many bytes for every card number.
    #[inline]
    pub const fn danger_clear_padded(&self) -> &[u8; 19] {
        &self.digits
    }

    /// The last four ASCII digits, which receipts and operators may see.
    pub fn last4(&self) -> [u8; 4] {
        self.danger_clear_digits().last_chunk().copied().unwrap_or_default()
    }

    /// Overwrites the digits. What is left has none.
    pub fn wipe(&mut self) {
        self.digits = [0; MAX_DIGITS];
        self.len = 0;
        // Keeps the compiler from leaving out a write to something that is not read again.
        core::hint::black_box(self);
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.len().saturating_sub(4);
        self.danger_clear_digits().iter().enumerate().try_for_each(|(place, &digit)| {
            let is_shown = self.len() >= SHOWN_FROM && (place < 6 || place >= last);
            write!(f, "{}", if is_shown { char::from(digit) } else { '*' })
        })
    }
}

const MIN_DIGITS: usize = 8;
/// The most digits of a card number (ISO/IEC 7812-1).
const MAX_DIGITS: usize = 19;
const USUAL_DIGITS: usize = 16;
const IIN_DIGITS: usize = 11;
/// Ten digits of a number shorter than this would leave too few to guess.
const SHOWN_FROM: usize = 13;

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn masked_six_and_four() {
        let pan = Pan::parse(b"5413330089010434").unwrap();
        assert_eq!(format!("{pan:?}"), "541333******0434");
        let short = Pan::parse(b"541333008901").unwrap();
        assert_eq!(format!("{short:?}"), "************");
    }

    #[test]
    fn check_digit() {
        for (digits, ok) in [
            (&b"5413330089010434"[..], true),
            (b"5413330089010435", false),
            (b"9999100000000010", true),
            (b"4111111111111111", true),
            (b"79927398713", true),
            (b"79927398710", false),
        ] {
            assert_eq!(Pan::parse(digits).unwrap().luhn_ok(), ok, "{digits:?}");
        }
    }

    #[test]
    fn what_is_no_card_number() {
        for digits in
            [&b""[..], b"1234567", b"12345678901234567890", b"541333008901043 ", b"541333008901043A"]
        {
            assert_eq!(Pan::parse(digits), None);
        }
    }

    #[test]
    fn wiped() {
        let mut pan = Pan::parse(b"5413330089010434").unwrap();
        assert_eq!((pan.iin_digits(), pan.last4()), (&b"54133300890"[..], *b"0434"));
        pan.wipe();
        assert_eq!((pan.len(), pan.digits), (0, [0; 19]));
    }
}
