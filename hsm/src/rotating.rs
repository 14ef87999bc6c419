//! Rotating ATC, profile `aes`: a device holds private counters, and each makes one code.
//!
//! A private counter is the AES encryption of (account, bundle, index) under a master key; the track carries
//! only the index. Code: the first eight bytes of AES under the private counter over `RATC`, eight zero
//! bytes and the number of the purchase, as a number of which the low digits count. The private counter is
//! made into a key inside the token, and is never seen; or, with exposure `session`, computed by the token for many
//! purchases at once and held here for the time of one block. It is good for one purchase.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::Zeroizing;

use crate::compare::code_is;
use crate::digits::low_digits;
use crate::error::Cause;
use crate::question::{Answer, RotatingCode};
use crate::token::{CardKeyUse, Master, Stream, Token};

/// Checks the code of one entry.
pub(crate) fn check(token: &Token, master: &Master, asked: &RotatingCode) -> Result<Answer, Cause> {
    let private = token.derive(master, &block_of(asked), CardKeyUse::Ecb)?;
    let made = private.encrypt_block(&purchase_block(asked))?;
    Ok(judge(asked, &made))
}

/// Checks many codes with one call of the token, which tells their private counters.
pub(crate) fn check_exposed(counters: &mut Stream, asked: &[&RotatingCode]) -> Result<Vec<Answer>, Cause> {
    let blocks: Vec<[u8; 16]> = asked.iter().map(|asked| block_of(asked)).collect();
    let mut private = Zeroizing::new(vec![[0; 16]; asked.len()]);
    counters.encrypt(&blocks, &mut private)?;
    let judged = asked.iter().zip(private.iter()).map(|(asked, private)| {
        let mut made = Zeroizing::new(purchase_block(asked));
        // Its round keys are wiped when it is dropped.
        Aes128::new(private.into()).encrypt_block((&mut *made).into());
        judge(asked, &made)
    });
    Ok(judged.collect())
}

fn judge(asked: &RotatingCode, made: &[u8; 16]) -> Answer {
    let (number, _) = made.split_first_chunk().expect("eight of sixteen bytes");
    let digits = low_digits::<12>(u64::from_be_bytes(*number));
    let is_right = code_is(&digits[12 - asked.length.digits()..], &asked.presented);
    if is_right { Answer::Right } else { Answer::Wrong }
}

/// What a private counter is the encryption of.
pub(crate) fn counter_block(account: &[u8; 8], bundle: u32, index: u32) -> [u8; 16] {
    let mut block = [0; 16];
    block[..8].copy_from_slice(account);
    block[8..12].copy_from_slice(&bundle.to_be_bytes());
    block[12..].copy_from_slice(&index.to_be_bytes());
    block
}

fn block_of(asked: &RotatingCode) -> [u8; 16] {
    counter_block(&asked.account, asked.bundle, asked.index)
}

fn purchase_block(asked: &RotatingCode) -> [u8; 16] {
    let mut block = [0; 16];
    block[..4].copy_from_slice(b"RATC");
    block[12..].copy_from_slice(&asked.un.0);
    block
}
