//! Dynamic CVV: a static code under the card's own key, with the ATC in its number.
//!
//! Four low decimal digits of the ATC stand in place of the first four digits of the card number, so a code
//! comes back after 10 000 purchases; what makes it good for one purchase is the ATC window, not this check.

use zeroize::Zeroizing;

use super::cvv;
use crate::algorithm3;
use crate::compare::begins;
use crate::derive::{Derivation, card_block, left_half_twice, whole_key};
use crate::digits::{decimalised, packed_low_four};
use crate::error::Cause;
use crate::question::{Answer, DynamicCvv};
use crate::token::{CardSource, KeyInUse, Work};

/// Checks a code with the card's key, by option A.
pub(crate) fn check(cards: &mut CardSource<'_>, asked: &DynamicCvv) -> Result<Answer, Cause> {
    let y = card_block(&asked.card, Derivation::OptionA);
    let left = cards.get(&left_half_twice(&y), Work::Chain)?;
    let whole = cards.get(&whole_key(&y), Work::Encrypt)?;
    check_with(whole.in_use(), left.in_use(), asked)
}

/// Checks a code with the card's key and its left half, twice: a static code is a MAC over two blocks.
pub(super) fn check_with(
    whole: KeyInUse<'_>,
    left: KeyInUse<'_>,
    asked: &DynamicCvv,
) -> Result<Answer, Cause> {
    let made = algorithm3::mac(whole, left, &*blocks(asked))?;
    Ok(Answer::of(begins(decimalised(u64::from_be_bytes(*made)), asked.length, &asked.presented)))
}

fn blocks(asked: &DynamicCvv) -> Zeroizing<[u8; 16]> {
    let (first, second) = cvv::blocks(&asked.card.pan, &asked.printed);
    let first = first & u64::MAX >> 16 | u64::from(packed_low_four(asked.atc)) << 48;
    Zeroizing::new((u128::from(first) << 64 | u128::from(second)).to_be_bytes())
}
