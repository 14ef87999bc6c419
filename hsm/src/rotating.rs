//! Rotating ATC, profile `aes`: a device holds private counters, and each makes one code.
//!
//! A private counter is the AES encryption of (account, bundle, index) under a master key; the track carries
//! only the index. Code: the first eight bytes of AES under the private counter over `RATC`, eight zero
//! bytes and the number of the purchase, as a number of which the low digits count. The private counter is
//! made into a key inside the token, and is never seen.

use crate::compare::code_is;
use crate::digits::low_digits;
use crate::error::Cause;
use crate::question::{Answer, RotatingCode};
use crate::token::{CardKeyUse, Master, Token};

/// Checks the code of one entry.
pub(crate) fn check(token: &Token, master: &Master, asked: &RotatingCode) -> Result<Answer, Cause> {
    let private = token.derive(master, &counter_block(asked), CardKeyUse::Ecb)?;
    let made = private.encrypt_block(&purchase_block(asked))?;
    let (number, _) = made.split_first_chunk().expect("eight of sixteen bytes");
    let digits = low_digits::<12>(u64::from_be_bytes(*number));
    let is_right = code_is(&digits[12 - asked.length.digits()..], &asked.presented);
    Ok(if is_right { Answer::Right } else { Answer::Wrong })
}

fn counter_block(asked: &RotatingCode) -> [u8; 16] {
    let mut block = [0; 16];
    block[..8].copy_from_slice(&asked.account);
    block[8..12].copy_from_slice(&asked.bundle.to_be_bytes());
    block[12..].copy_from_slice(&asked.index.to_be_bytes());
    block
}

fn purchase_block(asked: &RotatingCode) -> [u8; 16] {
    let mut block = [0; 16];
    block[..4].copy_from_slice(b"RATC");
    block[12..].copy_from_slice(&asked.un.0);
    block
}
