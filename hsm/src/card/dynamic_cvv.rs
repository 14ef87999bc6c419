//! Dynamic CVV: a static code under the card's own key, with the ATC in its number.
//!
//! Four low decimal digits of the ATC stand in place of the first four digits of the card number, so a code
//! comes back after 10 000 purchases; what makes it good for one purchase is the ATC window, not this check.

use zeroize::Zeroizing;

use super::{cvv, xor};
use crate::compare::code_is;
use crate::derive::{Derivation, card_block, left_half_twice, whole_key};
use crate::digits::{decimalised, low_digits};
use crate::error::Cause;
use crate::question::{Answer, DynamicCvv};
use crate::token::{CardKey, CardKeyUse, Master, Token};

/// Derives the card's key by option A and checks its code.
pub(crate) fn check(token: &Token, master: &Master, asked: &DynamicCvv) -> Result<Answer, Cause> {
    let y = card_block(&asked.card, Derivation::OptionA);
    let left = token.derive(master, &left_half_twice(&y), CardKeyUse::Ecb)?;
    let whole = token.derive(master, &whole_key(&y), CardKeyUse::Ecb)?;
    check_with(&whole, &left, asked)
}

/// Checks a code with the card's key and its left half, twice.
pub(super) fn check_with(
    whole: &CardKey<'_>,
    left: &CardKey<'_>,
    asked: &DynamicCvv,
) -> Result<Answer, Cause> {
    let (first, second) = blocks(asked);
    let made = left.encrypt_block(&first)?;
    let made = whole.encrypt_block(&xor(&made, &second))?;
    let is_right = code_is(&decimalised(&*made)[..asked.length.digits()], &asked.presented);
    Ok(if is_right { Answer::Right } else { Answer::Wrong })
}

fn blocks(asked: &DynamicCvv) -> ([u8; 8], [u8; 8]) {
    let mut number = Zeroizing::new(asked.card.pan.danger_clear_digits().to_vec());
    number[..4].copy_from_slice(&*low_digits::<4>(asked.atc.into()));
    cvv::blocks(&number, &asked.printed)
}
