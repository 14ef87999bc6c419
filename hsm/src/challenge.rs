//! Responses to challenges, computed: the device holds a key of its account and answers with the low digits
//! of a CMAC.
//!
//! The account's key is derived by option C with sequence number 00. Response: the first eight bytes of the
//! CMAC over `DDCR2|` and the challenge's digits, as a number of which the low digits count. All that
//! protects the account is that key, so it stays in the token, unless the
//! exposure is `card`.

use zeroize::Zeroizing;

use crate::compare::ends_in;
use crate::derive::{Card, aes_key};
use crate::digits::Psn;
use crate::error::Cause;
use crate::question::{Answer, Response};
use crate::token::{CardSource, Work};

/// Checks one response.
pub(crate) fn check(accounts: &mut CardSource<'_>, asked: &Response) -> Result<Answer, Cause> {
    let account = Card { pan: asked.pan.clone(), psn: Psn::ABSENT };
    let key = accounts.get(&aes_key(&account, accounts.key_bytes()), Work::Mac)?;
    let mac = key.in_use().mac::<16>(&message(asked))?;
    let (number, _) = mac.split_first_chunk().expect("eight of sixteen bytes");
    Ok(Answer::of(ends_in(u64::from_be_bytes(*number), asked.length, &asked.presented)))
}

fn message(asked: &Response) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([b"DDCR2|", asked.challenge.danger_clear_digits()].concat())
}
