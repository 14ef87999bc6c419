//! Static codes: CVV and CVC on the stripe, CVV2 on the card, iCVV in the chip.
//!
//! Number, expiry and service code fill two blocks A and B of 16 digits, with zeros behind. The code is made
//! of the decimal digits of 3DES(DES(A) xor B): single DES under the left half of the key, then 3DES under
//! all of it.

use crate::compare::begins;
use crate::digits::{Pan, decimalised};
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
    let mut blocks = room.take(asked.clone().map(|code| blocks(&code.pan, &code.printed).0.to_be_bytes()));
    blocks.pass(&mut key.left)?;
    for (code, block) in asked.clone().zip(blocks.iter_mut()) {
        let (_, second) = self::blocks(&code.pan, &code.printed);
        *block = (u64::from_be_bytes(*block) ^ second).to_be_bytes();
    }
    blocks.pass(&mut key.whole)?;
    for (code, block) in asked.zip(blocks.iter_mut()) {
        let digits = decimalised(u64::from_be_bytes(*block));
        tell(Answer::of(begins(digits, code.length, &code.presented)));
    }
    Ok(())
}

/// The blocks A and B.
pub(crate) fn blocks(pan: &Pan, printed: &Printed) -> (u64, u64) {
    // The last of what is printed is a zero already.
    let both = pan.danger_packed() | u128::from(printed.packed()) << (96 - 4 * pan.len());
    ((both >> 64) as u64, both as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_expiry_and_service_code_fill_two_blocks() {
        let printed = Printed::stripe(*b"8701", *b"101").expect("digits");
        let of = |number: &[u8]| blocks(&Pan::parse(number).expect("a number"), &printed);
        assert_eq!(of(b"4123456789012345"), (0x4123_4567_8901_2345, 0x8701_1010_0000_0000));
        assert_eq!(of(b"4123456789012"), (0x4123_4567_8901_2870, 0x1101_0000_0000_0000));
        assert_eq!(of(b"4123456789012345678"), (0x4123_4567_8901_2345, 0x6788_7011_0100_0000));
        assert_eq!(of(b"41234567"), (0x4123_4567_8701_1010, 0));
    }
}
