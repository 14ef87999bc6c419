//! Static codes: CVV and CVC on the stripe, CVV2 on the card, iCVV in the chip.
//!
//! Number, expiry and service code fill two blocks A and B of 16 digits, with zeros behind. The code is made
//! of the decimal digits of 3DES(DES(A) xor B): single DES under the left half of the key, then 3DES under
//! all of it.

use zeroize::Zeroizing;

use crate::algorithm3::xor;
use crate::compare::code_is;
use crate::digits::{decimalised, packed};
use crate::error::Cause;
use crate::question::{Answer, Printed, StaticCode};
use crate::room::Room;
use crate::token::Stream;

/// A card verification key, ready for use.
pub(crate) struct CvvKey {
    /// Under the whole key.
    pub(crate) whole: Stream,
    /// Under its left half, twice: single DES.
    pub(crate) left: Stream,
}

/// Checks many codes in two calls of the token, and tells what came of each.
pub(crate) fn check<'q>(
    key: &mut CvvKey,
    room: &mut Room,
    asked: impl Iterator<Item = &'q StaticCode> + Clone,
    mut tell: impl FnMut(Answer),
) -> Result<(), Cause> {
    let of = |code: &StaticCode| blocks(code.pan.danger_clear_digits(), &code.printed);
    let mixed: Zeroizing<Vec<u64>> =
        room.pass(&mut key.left, asked.clone().map(|code| of(code).0), |made| {
            let mut mixed = Zeroizing::new(Vec::with_capacity(made.len()));
            let both = asked.clone().zip(made).map(|(code, block)| xor(block, &of(code).1));
            mixed.extend(both.map(u64::from_ne_bytes));
            mixed
        })?;
    room.pass(&mut key.whole, mixed.iter().map(|block| block.to_ne_bytes()), |made| {
        asked.zip(made).for_each(|(code, block)| tell(judge(code, block)));
    })
}

fn judge(code: &StaticCode, block: &[u8; 8]) -> Answer {
    let digits = decimalised(block);
    Answer::of(code_is(&digits[..code.length.digits()], &code.presented))
}

/// The blocks A and B of a card number of up to 19 ASCII digits.
pub(crate) fn blocks(number: &[u8], printed: &Printed) -> ([u8; 8], [u8; 8]) {
    let mut digits = Zeroizing::new([b'0'; 32]);
    let (of_card, behind) = digits.split_at_mut(number.len());
    of_card.copy_from_slice(number);
    behind[..7].copy_from_slice(&printed.digits());
    (packed(&digits[..16]), packed(&digits[16..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_expiry_and_service_code_fill_two_blocks() {
        let printed = Printed::stripe(*b"8701", *b"101").expect("digits");
        let [long, short] =
            [&b"4123456789012345"[..], b"4123456789012"].map(|number| blocks(number, &printed));
        assert_eq!(long.0, 0x4123_4567_8901_2345_u64.to_be_bytes());
        assert_eq!(long.1, 0x8701_1010_0000_0000_u64.to_be_bytes());
        assert_eq!(short.0, 0x4123_4567_8901_2870_u64.to_be_bytes());
        assert_eq!(short.1, 0x1101_0000_0000_0000_u64.to_be_bytes());
    }
}
