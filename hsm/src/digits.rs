//! Digits as this crate needs them: card numbers, codes, and the way from a cipher block to a code.

use zeroize::{Zeroize, Zeroizing};

/// A primary account number of 8 to 19 digits (ISO/IEC 7812-1), wiped on drop. It has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Pan(Text<19>);

impl Pan {
    /// Reads 8 to 19 ASCII digits. The check digit is not looked at.
    pub fn parse(ascii: &[u8]) -> Option<Pan> {
        Text::parse(ascii).filter(|text| text.as_bytes().len() >= 8).map(Pan)
    }

    /// All ASCII digits, in the clear.
    pub(crate) fn danger_clear_digits(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The PAN sequence number, 00 to 99: tells apart cards of one number (EMV tag 5F34). 00 where a card has
/// none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Psn(u8);

impl Psn {
    /// A card without a sequence number.
    pub const ABSENT: Psn = Psn(0);

    /// A number from 0 to 99.
    pub fn new(number: u8) -> Option<Psn> {
        (number <= 99).then_some(Psn(number))
    }

    /// Two ASCII digits.
    pub(crate) fn digits(self) -> [u8; 2] {
        [b'0' + self.0 / 10, b'0' + self.0 % 10]
    }
}

/// A code as a card, a phone or a person presented it: 0 to 16 digits, wiped on drop, no `Debug`.
///
/// It may be empty, so that an absent code takes the same way as a wrong one and cannot be forgotten.
#[derive(Clone)]
pub struct Code(Text<16>);

impl Code {
    /// Reads up to 16 ASCII digits.
    pub fn parse(ascii: &[u8]) -> Option<Code> {
        Text::parse(ascii).map(Code)
    }

    /// No code was presented.
    pub fn absent() -> Code {
        Code(Text::EMPTY)
    }

    /// All ASCII digits, in the clear.
    pub(crate) fn danger_clear_digits(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A challenge of 1 to 16 digits, wiped on drop, no `Debug`.
#[derive(Clone)]
pub struct Challenge(Text<16>);

impl Challenge {
    /// Reads 1 to 16 ASCII digits.
    pub fn parse(ascii: &[u8]) -> Option<Challenge> {
        Text::parse(ascii).filter(|_| !ascii.is_empty()).map(Challenge)
    }

    /// All ASCII digits, in the clear.
    pub(crate) fn danger_clear_digits(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// How many digits of a code the card's profile asks for, 1 to `MAX`. A code of any other length is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeLength<const MAX: usize>(usize);

impl<const MAX: usize> CodeLength<MAX> {
    /// A length from 1 to `MAX`: a profile that asks for no digits cannot be written.
    pub fn new(digits: usize) -> Option<CodeLength<MAX>> {
        (1..=MAX).contains(&digits).then_some(CodeLength(digits))
    }

    /// The number of digits.
    pub fn digits(self) -> usize {
        self.0
    }

    /// Whether the code has this length.
    pub(crate) fn fits(self, code: &Code) -> bool {
        code.danger_clear_digits().len() == self.0
    }
}

/// Up to `MAX` ASCII digits, wiped on drop.
#[derive(Clone, PartialEq, Eq)]
struct Text<const MAX: usize> {
    /// Zero bytes behind the last digit.
    digits: [u8; MAX],
    len: usize,
}

impl<const MAX: usize> Text<MAX> {
    const EMPTY: Text<MAX> = Text { digits: [0; MAX], len: 0 };

    fn parse(ascii: &[u8]) -> Option<Text<MAX>> {
        let mut text = Text::EMPTY;
        text.digits.get_mut(..ascii.len())?.copy_from_slice(ascii);
        text.len = ascii.len();
        ascii.iter().all(u8::is_ascii_digit).then_some(text)
    }

    fn as_bytes(&self) -> &[u8] {
        &self.digits[..self.len]
    }

    fn wipe(&mut self) {
        // As a slice: an array is wiped byte by byte.
        self.digits.as_mut_slice().zeroize();
        self.len.zeroize();
    }
}

impl<const MAX: usize> Drop for Text<MAX> {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// ASCII digits packed two to a byte, the first in the high half. There must be an even number of them.
pub(crate) fn packed<const BYTES: usize>(digits: &[u8]) -> [u8; BYTES] {
    assert_eq!(digits.len(), 2 * BYTES, "digits fill the block");
    let mut block = [0; BYTES];
    for (byte, pair) in block.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (pair[0] & 0x0F) << 4 | pair[1] & 0x0F;
    }
    block
}

/// Sixteen ASCII digits out of 16 or more hexadecimal ones: first the digits that are decimal already, in their order,
/// then the others, A to F, each less ten.
///
/// The second pass is needed for about 1 card in 18 000, whose block has fewer than three decimal digits.
pub(crate) fn decimalised(block: &[u8]) -> Zeroizing<[u8; 16]> {
    let nibbles = || block.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    let decimal = nibbles().filter(|nibble| *nibble < 10);
    let others = nibbles().filter(|nibble| *nibble >= 10).map(|nibble| nibble - 10);
    let mut digits = Zeroizing::new([0; 16]);
    digits.iter_mut().zip(decimal.chain(others)).for_each(|(digit, nibble)| *digit = b'0' + nibble);
    digits
}

/// The `N` low decimal digits of a number, as ASCII.
pub(crate) fn low_digits<const N: usize>(mut number: u64) -> Zeroizing<[u8; N]> {
    let mut digits = Zeroizing::new([0; N]);
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    number.zeroize();
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_card_number() {
        for digits in ["", "1234567", "12345678901234567890", "541333008901043 ", "541333008901043A"] {
            assert!(Pan::parse(digits.as_bytes()).is_none(), "{digits}");
        }
        assert_eq!(Pan::parse(b"12345678").expect("a number").danger_clear_digits(), b"12345678");
    }

    #[test]
    fn codes_may_be_absent_but_are_digits() {
        assert_eq!(Code::absent().danger_clear_digits(), b"");
        assert_eq!(Code::parse(b"012").expect("a code").danger_clear_digits(), b"012");
        assert!(Code::parse(b"12345678901234567").is_none());
        assert!(Code::parse(b"12A").is_none());
        assert!(Challenge::parse(b"").is_none(), "a challenge is never absent");
    }

    #[test]
    fn a_profile_asks_for_at_least_one_digit() {
        assert!(CodeLength::<5>::new(0).is_none());
        assert!(CodeLength::<5>::new(6).is_none());
        let three = CodeLength::<5>::new(3).expect("a length");
        assert!(three.fits(&Code::parse(b"012").expect("a code")));
        for other in ["", "12", "0123"] {
            assert!(!three.fits(&Code::parse(other.as_bytes()).expect("a code")), "{other}");
        }
    }

    #[test]
    fn decimal_digits_come_first() {
        // The block of a published CVV example, and one with two decimal digits only.
        let block = |hex: u64| hex.to_be_bytes();
        assert_eq!(*decimalised(&block(0x5B61_4982_E03C_97DD)), *b"5614982039714233");
        assert_eq!(*decimalised(&block(0xEF1C_BFFE_DFBE_CF5B)), *b"1545215543514251");
    }

    #[test]
    fn numbers_keep_their_leading_zeros() {
        assert_eq!(*low_digits::<3>(48_967), *b"967");
        assert_eq!(*low_digits::<5>(427), *b"00427");
        assert_eq!(packed::<4>(b"00000899"), [0, 0, 8, 0x99]);
        assert_eq!(Psn::new(7).expect("a number").digits(), *b"07");
        assert!(Psn::new(100).is_none());
    }

    #[test]
    fn wiped() {
        let mut pan = Pan::parse(b"5413330089010434").expect("a number");
        pan.0.wipe();
        assert_eq!((pan.0.digits, pan.0.len), ([0; 19], 0));
    }
}
