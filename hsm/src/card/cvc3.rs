//! CVC3: the dynamic code of a contactless card in stripe mode.
//!
//! The card's key makes a MAC of the track data it was personalised with; the last two bytes of it, IVCVC3,
//! are the same for the life of the card and are computed when it is enrolled. A code is the last two bytes
//! of 3DES(IVCVC3, unpredictable number, ATC), as a number of which the track carries the low digits.

use zeroize::Zeroizing;

use crate::algorithm3::{self, Padding};
use crate::compare::which_ends_in;
use crate::derive::{card_block, left_half_twice, whole_key};
use crate::error::Cause;
use crate::question::{Answer, Cvc3, EnrolCvc3, Ivcvc3, MAX_CANDIDATES, TrackData, UnpredictableNumber};
use crate::token::{CardSource, KeyInUse, Work};

/// Derives the card's key and makes the card's constant.
pub(crate) fn enrol(cards: &mut CardSource<'_>, asked: &EnrolCvc3) -> Result<Answer, Cause> {
    let y = card_block(&asked.card, asked.derivation);
    let left = cards.get_once(&left_half_twice(&y), Work::Chain)?;
    let whole = cards.get_once(&whole_key(&y), Work::Encrypt)?;
    enrol_with(whole.in_use(), left.in_use(), &asked.track).map(Answer::Ivcvc3)
}

/// The constant, made with the card's key and its left half, twice: the end of a MAC over its track.
pub(super) fn enrol_with(
    whole: KeyInUse<'_>,
    left: KeyInUse<'_>,
    track: &TrackData,
) -> Result<Ivcvc3, Cause> {
    let mac = algorithm3::mac(whole, left, &algorithm3::padded(&track.0, Padding::OneBit))?;
    Ok(Ivcvc3([mac[6], mac[7]]))
}

/// Looks with the card's key for the candidate that the code belongs to.
pub(crate) fn check(cards: &mut CardSource<'_>, asked: &Cvc3) -> Result<Answer, Cause> {
    let y = card_block(&asked.card, asked.derivation);
    let key = cards.get(&whole_key(&y), Work::Encrypt)?;
    check_with(key.in_use(), asked)
}

/// Makes the codes of all candidates in one call, and compares them all.
pub(super) fn check_with(key: KeyInUse<'_>, asked: &Cvc3) -> Result<Answer, Cause> {
    let atcs = asked.atcs.atcs();
    // The candidate may be a private counter.
    let mut blocks = Zeroizing::new([[0; 8]; MAX_CANDIDATES]);
    for (block, atc) in blocks.iter_mut().zip(atcs) {
        *block = input(asked.ivcvc3, asked.un, *atc);
    }
    let mut made = Zeroizing::new([[0; 8]; MAX_CANDIDATES]);
    let used = ..atcs.len();
    key.encrypt(blocks[used].as_flattened(), made[used].as_flattened_mut())?;
    let place = which_ends_in(made[used].iter().map(code), asked.length, &asked.presented);
    Ok(place.map_or(Answer::Wrong, |place| Answer::RightFor(atcs[usize::from(place)])))
}

fn input(Ivcvc3(iv): Ivcvc3, UnpredictableNumber(un): UnpredictableNumber, atc: u16) -> [u8; 8] {
    let atc = atc.to_be_bytes();
    [iv[0], iv[1], un[0], un[1], un[2], un[3], atc[0], atc[1]]
}

fn code(block: &[u8; 8]) -> u64 {
    u64::from_be_bytes(*block) & 0xFFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_number_and_counter_fill_a_block() {
        let un = UnpredictableNumber::parse(b"899").expect("digits");
        let block = input(Ivcvc3([0xA4, 0x6B]), un, 0x005E);
        assert_eq!(block, 0xA46B_0000_0899_005E_u64.to_be_bytes());
    }
}
