//! Digits as this crate needs them: card numbers, codes, and the way from a cipher block to a code.

use zeroize::Zeroize;

/// A primary account number of 8 to 19 digits (ISO/IEC 7812-1), wiped on drop. It has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Pan(Text<24>);

impl Pan {
    /// Reads 8 to 19 ASCII digits. The check digit is not looked at.
    pub fn parse(ascii: &[u8]) -> Option<Pan> {
        Text::parse(ascii).filter(|text| (8..=19).contains(&text.len)).map(Pan)
    }

    /// All ASCII digits, in the clear.
    pub(crate) fn danger_clear_digits(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The same with zero bytes behind.
    pub(crate) fn danger_clear_filled(&self) -> &[u8; 24] {
        &self.0.digits
    }

    /// All digits in the clear, four bits each, the first on top and zeros behind.
    pub(crate) fn danger_packed(&self) -> u128 {
        let [first, second, third] = self.0.eights(packed_eight).map(u128::from);
        first << 96 | second << 64 | third << 32
    }

    /// How many digits there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len
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

    /// 0 to 99.
    pub(crate) fn number(self) -> u8 {
        self.0
    }

    /// Two digits, four bits each.
    pub(crate) fn packed(self) -> u8 {
        (self.0 / 10) << 4 | (self.0 % 10)
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

    /// The same with zero bytes behind.
    pub(crate) fn danger_clear_filled(&self) -> &[u8; 16] {
        &self.0.digits
    }

    /// All digits in the clear, four bits each, the first on top and zeros behind.
    pub(crate) fn danger_packed(&self) -> u64 {
        let [first, second] = self.0.eights(packed_eight).map(u64::from);
        first << 32 | second
    }

    /// The number that the digits are, in the clear. Of none it is zero.
    #[inline]
    pub(crate) fn danger_number(&self) -> u64 {
        let [first, second] = self.0.eights(u64::from_be_bytes);
        // With zeros in front in place of those behind.
        match 8 * self.0.len {
            0 => 0,
            bits @ 1..=64 => number_of_eight(first >> (64 - bits)),
            bits => {
                let both = (u128::from(first) << 64 | u128::from(second)) >> (128 - bits);
                number_of_eight((both >> 64) as u64) * 100_000_000 + number_of_eight(both as u64)
            }
        }
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

    /// The same with zero bytes behind.
    pub(crate) fn danger_clear_filled(&self) -> &[u8; 16] {
        &self.0.digits
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
        code.0.len == self.0
    }
}

/// Up to `MAX` ASCII digits, wiped on drop. Room for whole eights of them.
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

    /// What comes of each eight of them, with zero bytes in place of absent ones.
    fn eights<const EIGHTS: usize, T>(&self, of: impl Fn([u8; 8]) -> T) -> [T; EIGHTS] {
        const { assert!(8 * EIGHTS == MAX) };
        let (eights, _) = self.digits.as_chunks();
        std::array::from_fn(|at| of(eights[at]))
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

// Digits are taken eight at a time, in the bytes of one number: a loop over them would take longer than what a token does
// with them, and none of this branches or looks up by what the digits are.

/// Eight ASCII digits, or zero bytes, as four bits each, the first on top.
pub(crate) fn packed_eight(ascii: [u8; 8]) -> u32 {
    let ones = u64::from_be_bytes(ascii) & 0x0F0F_0F0F_0F0F_0F0F;
    let pairs = (ones | ones >> 4) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs | pairs >> 8) & 0x0000_FFFF_0000_FFFF;
    (fours | fours >> 16) as u32
}

/// The number that eight ASCII digits, or zero bytes, are, the first on top.
fn number_of_eight(ascii: u64) -> u64 {
    let ones = ascii & 0x0F0F_0F0F_0F0F_0F0F;
    let pairs = (ones >> 8 & 0x00FF_00FF_00FF_00FF).wrapping_mul(10) + (ones & 0x00FF_00FF_00FF_00FF);
    let fours = (pairs >> 16 & 0x0000_FFFF_0000_FFFF).wrapping_mul(100) + (pairs & 0x0000_FFFF_0000_FFFF);
    (fours >> 32).wrapping_mul(10_000) + (fours & 0xFFFF_FFFF)
}

/// Sixteen digits out of sixteen hexadecimal ones, four bits each: first those that are decimal already, in their order,
/// then the others, A to F, each less ten.
///
/// The second pass is needed for about 1 card in 18 000, whose block has fewer than three decimal digits.
pub(crate) fn decimalised(block: u64) -> u64 {
    const ONES: u64 = 0x1111_1111_1111_1111;
    const PLACES: u64 = 0xFEDC_BA98_7654_3210;
    let others = block >> 3 & (block >> 2 | block >> 1) & ONES;
    let decimal = others ^ ONES;
    // For each place, counted from below: how many decimal digits there are up to it.
    let up_to = decimal.wrapping_mul(ONES);
    // The decimal ones go above all others, and both stay in their order.
    let above = ONES.wrapping_mul(u64::from(others.count_ones()).wrapping_sub(1)).wrapping_add(up_to);
    let below = PLACES.wrapping_sub(up_to.wrapping_sub(decimal));
    let is_decimal = decimal * 0x0F;
    let places = above & is_decimal | below & !is_decimal;
    let digits = block - others * 10;
    let mut all = 0;
    for at in (0..64).step_by(4) {
        all |= (digits >> at & 0x0F) << (4 * (places >> at & 0x0F));
    }
    all
}

/// The four low decimal digits of a number, four bits each.
pub(crate) fn packed_low_four(number: u16) -> u16 {
    let digit = |above: u16| number / above % 10;
    digit(1_000) << 12 | digit(100) << 8 | digit(10) << 4 | digit(1)
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
        assert_eq!(decimalised(0x5B61_4982_E03C_97DD), 0x5614_9820_3971_4233);
        assert_eq!(decimalised(0xEF1C_BFFE_DFBE_CF5B), 0x1545_2155_4351_4251);
        assert_eq!(decimalised(0x0123_4567_8901_2345), 0x0123_4567_8901_2345);
        assert_eq!(decimalised(0xFEDC_BAFE_DCBA_FEDC), 0x5432_1054_3210_5432);
        // Against the definition, digit by digit.
        let mut block = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..10_000 {
            block = block.wrapping_mul(0xD129_0D3A_5B46_3D85).rotate_left(29) ^ 0x55;
            let nibbles = || (0..16).rev().map(|at| block >> (4 * at) & 0x0F);
            let decimal = nibbles().filter(|nibble| *nibble < 10);
            let others = nibbles().filter(|nibble| *nibble >= 10).map(|nibble| nibble - 10);
            let expected = decimal.chain(others).fold(0, |digits, digit| digits << 4 | digit);
            assert_eq!(decimalised(block), expected, "{block:016X}");
        }
    }

    #[test]
    fn digits_as_numbers() {
        let all = "9876543210123456";
        for len in 0..=16 {
            let code = Code::parse(&all.as_bytes()[..len]).expect("a code");
            assert_eq!(code.danger_number(), all[..len].parse().unwrap_or(0), "{len}");
            let packed = format!("{:016X}", code.danger_packed());
            assert_eq!(packed, format!("{:0<16}", &all[..len]));
        }
        let pan = Pan::parse(b"1234567890123456789").expect("a number");
        assert_eq!((pan.danger_packed(), pan.len()), (0x1234_5678_9012_3456_7890_0000_0000_0000, 19));
        assert_eq!(packed_eight(*b"0000899\0"), 0x0000_8990);
        assert_eq!((packed_low_four(7), packed_low_four(65_535)), (0x0007, 0x5535));
        assert_eq!(Psn::new(37).expect("a number").packed(), 0x37);
        assert!(Psn::new(100).is_none());
    }

    #[test]
    fn wiped() {
        let mut pan = Pan::parse(b"5413330089010434").expect("a number");
        pan.0.wipe();
        assert_eq!((pan.0.digits, pan.0.len), ([0; 24], 0));
    }
}
