//! Comparison in a time that does not depend on the bytes compared.
//!
//! A comparison that stops at the first difference tells an attacker, by its duration, how many digits of a
//! guess were right. Only the lengths may be learned from the time taken here; they are no secret: one is
//! in the card profile, the other was chosen by the sender.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::digits::{Code, CodeLength};

/// Whether the presented code is the expected one, all of it.
///
/// An expected code without digits matches nothing, and so does a code of another length.
pub(crate) fn code_is(expected: &[u8], presented: &Code) -> bool {
    bool::from(matches(expected, presented))
}

/// Whether the presented code is the low digits of a number, as many as it must have. A code of another length is not.
///
/// Compared as numbers; their digits need not be written down. The remainders are by constants, which compilers turn into
/// multiplications: a division's time may depend on what is divided.
pub(crate) fn ends_in(number: u64, length: CodeLength<12>, presented: &Code) -> bool {
    let expected = match length.digits() {
        1 => number % 10,
        2 => number % 100,
        3 => number % 1_000,
        4 => number % 10_000,
        5 => number % 100_000,
        6 => number % 1_000_000,
        7 => number % 10_000_000,
        8 => number % 100_000_000,
        9 => number % 1_000_000_000,
        10 => number % 10_000_000_000,
        11 => number % 100_000_000_000,
        12 => number % 1_000_000_000_000,
        _ => return false,
    };
    let digits = presented.danger_clear_digits();
    let presented_number = digits
        .iter()
        .fold(0_u64, |number, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit & 0x0F)));
    length.fits(presented) & bool::from(expected.ct_eq(&presented_number))
}

/// Which of the expected codes was presented: the first one in their order.
///
/// All are compared, also after one matched.
pub(crate) fn which_code<'a>(expected: impl Iterator<Item = &'a [u8]>, presented: &Code) -> Option<u16> {
    let mut found = Choice::from(0);
    let mut place = 0_u16;
    for (at, code) in (0_u16..).zip(expected) {
        let matched = matches(code, presented);
        place.conditional_assign(&at, matched & !found);
        found |= matched;
    }
    bool::from(found).then_some(place)
}

fn matches(expected: &[u8], presented: &Code) -> Choice {
    Choice::from(u8::from(!expected.is_empty())) & expected.ct_eq(presented.danger_clear_digits())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(digits: &str) -> Code {
        Code::parse(digits.as_bytes()).expect("digits")
    }

    #[test]
    fn only_the_whole_code_matches() {
        assert!(code_is(b"561", &code("561")));
        for other in ["", "5", "56", "560", "661", "5610", "0561"] {
            assert!(!code_is(b"561", &code(other)), "{other}");
        }
        assert!(!code_is(b"", &code("")), "no digits are never right");
    }

    #[test]
    fn the_low_digits_of_a_number_with_their_leading_zeros() {
        for (length, right) in [(1, "8"), (3, "608"), (4, "0608"), (5, "70608"), (12, "000005070608")] {
            let length = CodeLength::new(length).expect("a length");
            assert!(ends_in(5_070_608, length, &code(right)), "{right}");
            for other in ["", "0", "608", "0608", "1608", "70608", "070608", "000005070609"] {
                let is_right = other == right;
                assert_eq!(ends_in(5_070_608, length, &code(other)), is_right, "{right} and {other}");
            }
        }
        let twelve = CodeLength::new(12).expect("a length");
        assert!(ends_in(u64::MAX, twelve, &code("073709551615")));
    }

    #[test]
    fn the_first_of_several_is_named() {
        let expected: [&[u8]; 4] = [b"111", b"222", b"333", b"222"];
        assert_eq!(which_code(expected.into_iter(), &code("111")), Some(0));
        assert_eq!(which_code(expected.into_iter(), &code("222")), Some(1));
        assert_eq!(which_code(expected.into_iter(), &code("444")), None);
        assert_eq!(which_code(std::iter::empty(), &code("444")), None);
        assert_eq!(which_code(std::iter::empty(), &code("")), None);
    }
}
