//! Responses to challenges, computed: the device holds a key of its account and answers with the low digits
//! of a CMAC.
//!
//! The account's key is derived by option C with sequence number 00. Response: the first eight bytes of the
//! CMAC over `DDCR2|` and the challenge's digits, as a number of which the low digits count. All that
//! protects the account is that key, so it stays in the token.

use zeroize::Zeroizing;

use crate::compare::code_is;
use crate::derive::{Card, aes_block};
use crate::digits::{Psn, low_digits};
use crate::error::Cause;
use crate::question::{Answer, Response};
use crate::token::{CardKeyUse, Master, Token};

/// Checks one response.
pub(crate) fn check(token: &Token, master: &Master, asked: &Response) -> Result<Answer, Cause> {
    let account = Card { pan: asked.pan.clone(), psn: Psn::ABSENT };
    let key = token.derive(master, &aes_block(&account), CardKeyUse::Cmac)?;
    let mac = key.cmac(&message(asked))?;
    let (number, _) = mac.split_first_chunk().expect("eight of sixteen bytes");
    let digits = low_digits::<12>(u64::from_be_bytes(*number));
    let is_right = code_is(&digits[12 - asked.length.digits()..], &asked.presented);
    Ok(if is_right { Answer::Right } else { Answer::Wrong })
}

fn message(asked: &Response) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([b"DDCR2|", asked.challenge.danger_clear_digits()].concat())
}
