//! Comparison in a time that does not depend on the bytes compared.
//!
//! A comparison that stops at the first difference tells an attacker, by its duration, how many digits of a
//! guess were right. Only the lengths may be learned from the time taken here; they are no secret: one is
//! in the card profile, the other was chosen by the sender.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::digits::{Code, CodeLength};

/// Whether the presented code is the first digits of sixteen, which have four bits each. A code of another length is not.
pub(crate) fn begins(digits: u64, length: CodeLength<5>, presented: &Code) -> bool {
    let behind = 64 - 4 * length.digits();
    length.fits(presented) && bool::from((digits >> behind).ct_eq(&(presented.danger_packed() >> behind)))
}

/// Whether the presented code is the low digits of a number, as many as it must have. A code of another length is not.
///
/// Compared as numbers; their digits need not be written down.
pub(crate) fn ends_in<const MAX: usize>(number: u64, length: CodeLength<MAX>, presented: &Code) -> bool {
    length.fits(presented) && bool::from(low(number, length).ct_eq(&presented.danger_number()))
}

/// Which of the numbers has the presented code as its low digits: the first one in their order. A code of another length
/// is of none.
///
/// All are compared, also after one matched.
pub(crate) fn which_ends_in<const MAX: usize>(
    numbers: impl Iterator<Item = u64>,
    length: CodeLength<MAX>,
    presented: &Code,
) -> Option<u16> {
    let mut found = Choice::from(0);
    let mut place = 0_u16;
    let presented_number = presented.danger_number();
    for (at, number) in (0_u16..).zip(numbers) {
        let matched = low(number, length).ct_eq(&presented_number);
        place.conditional_assign(&at, matched & !found);
        found |= matched;
    }
    (length.fits(presented) && bool::from(found)).then_some(place)
}

/// The low digits of a number. The remainders are by constants, which compilers turn into multiplications: a division's
/// time may depend on what is divided.
fn low<const MAX: usize>(number: u64, length: CodeLength<MAX>) -> u64 {
    const { assert!(MAX <= 12) };
    match length.digits() {
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
        _ => number % 1_000_000_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(digits: &str) -> Code {
        Code::parse(digits.as_bytes()).expect("digits")
    }

    #[test]
    fn only_the_whole_code_matches() {
        let three = CodeLength::new(3).expect("a length");
        assert!(begins(0x5619_0000_0000_0000, three, &code("561")));
        for other in ["", "5", "56", "560", "661", "5610", "5619", "0561"] {
            assert!(!begins(0x5619_0000_0000_0000, three, &code(other)), "{other}");
        }
        assert!(!begins(0, three, &code("")), "no digits are never right");
    }

    #[test]
    fn the_low_digits_of_a_number_with_their_leading_zeros() {
        for (length, right) in [(1, "8"), (3, "608"), (4, "0608"), (5, "70608"), (12, "000005070608")] {
            let length = CodeLength::<12>::new(length).expect("a length");
            assert!(ends_in(5_070_608, length, &code(right)), "{right}");
            for other in ["", "0", "608", "0608", "1608", "70608", "070608", "000005070609"] {
                let is_right = other == right;
                assert_eq!(ends_in(5_070_608, length, &code(other)), is_right, "{right} and {other}");
            }
        }
        let twelve = CodeLength::<12>::new(12).expect("a length");
        assert!(ends_in(u64::MAX, twelve, &code("073709551615")));
    }

    #[test]
    fn the_first_of_several_is_named() {
        let three = CodeLength::<5>::new(3).expect("a length");
        let which =
            |numbers: &[u64], presented| which_ends_in(numbers.iter().copied(), three, &code(presented));
        let expected = [111, 65_222, 333, 222];
        assert_eq!(which(&expected, "111"), Some(0));
        assert_eq!(which(&expected, "222"), Some(1));
        assert_eq!(which(&expected, "333"), Some(2));
        for other in ["444", "", "5222", "65222", "22"] {
            assert_eq!(which(&expected, other), None, "{other}");
        }
        assert_eq!(which(&[], "000"), None);
        assert_eq!(which(&[], ""), None);
    }
}
