//! Comparison in a time that does not depend on the bytes compared.
//!
//! A comparison that stops at the first difference tells an attacker, by its duration, how many digits of a
//! guess were right. Only the lengths may be learned from the time taken here; they are no secret: one is
//! in the card profile, the other was chosen by the sender.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::digits::Code;

/// Whether the presented code is the expected one, all of it.
///
/// An expected code without digits matches nothing, and so does a code of another length.
pub(crate) fn code_is(expected: &[u8], presented: &Code) -> bool {
    bool::from(matches(expected, presented))
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
    fn the_first_of_several_is_named() {
        let expected: [&[u8]; 4] = [b"111", b"222", b"333", b"222"];
        assert_eq!(which_code(expected.into_iter(), &code("111")), Some(0));
        assert_eq!(which_code(expected.into_iter(), &code("222")), Some(1));
        assert_eq!(which_code(expected.into_iter(), &code("444")), None);
        assert_eq!(which_code(std::iter::empty(), &code("444")), None);
        assert_eq!(which_code(std::iter::empty(), &code("")), None);
    }
}
