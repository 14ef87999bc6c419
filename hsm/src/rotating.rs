//! Rotating ATCs: a device holds private counters, and each makes one code.
//!
//! A private counter is the AES encryption of (account, bundle, index) under a master key; the track carries
//! only the index.
//!
//! Profile `cvc3`, for ordinary contactless terminals: the code is a CVC3, with the first two bytes of the private counter
//! in the ATC's place. Two bytes are no key that a token could hold, so the counter is always seen here, and wiped.
//!
//! Profile `aes`. Code: the first eight bytes of AES under the private counter over `RATC`, eight zero
//! bytes and the number of the purchase, as a number of which the low digits count. The private counter is
//! made into a key inside the token, and is never seen; or, with exposure `session`, computed by the token for many
//! purchases at once and held here for the time of one block. It is good for one purchase.

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use crate::card::cvc3;
use crate::compare::ends_in;
use crate::error::Cause;
use crate::question::{Answer, Candidates, Cvc3, RotatingCode, RotatingCvc3};
use crate::room::Room;
use crate::token::{CardSource, Master, Recipe, Stream, Token, Work};

/// Checks the code of one entry.
pub(crate) fn check(token: &Token, master: &Master, asked: &RotatingCode) -> Result<Answer, Cause> {
    let private = token.derive(master, &Recipe::sixteen(&entry(asked)), Work::Encrypt)?;
    let made = private.in_use().encrypt_block(&purchase_block(asked))?;
    Ok(judge(asked, &made))
}

/// Checks many codes with one call of the token, which tells their private counters, and tells what came of each.
pub(crate) fn check_exposed<'q>(
    counters: &mut Stream,
    room: &mut Room,
    asked: impl Iterator<Item = &'q RotatingCode> + Clone,
    mut tell: impl FnMut(Answer),
) -> Result<(), Cause> {
    let mut blocks = room.take(asked.clone().map(entry));
    blocks.pass(counters)?;
    for (asked, (_, purchase)) in asked.clone().zip(blocks.with_room()) {
        *purchase = purchase_block(asked);
    }
    // By itself: with nothing between them a processor makes the round keys of several counters at a time.
    for (private, purchase) in blocks.with_room() {
        // The round keys are wiped when they are dropped.
        Aes128Enc::new(private.into()).encrypt_block(purchase.into());
    }
    blocks.take_room();
    asked.zip(blocks.iter_mut()).for_each(|(asked, made)| tell(judge(asked, made)));
    Ok(())
}

/// Checks many codes of profile `cvc3`: their private counters with one call of the token, then each with its card's
/// key.
pub(crate) fn check_cvc3<'q>(
    (counters, cards): (&mut Stream, &mut CardSource<'_>),
    room: &mut Room,
    asked: impl Iterator<Item = &'q RotatingCvc3> + Clone,
    mut tell: impl FnMut(Answer),
) -> Result<(), Cause> {
    let mut blocks =
        room.take(asked.clone().map(|asked| counter_block(asked.account, asked.bundle, asked.index)));
    blocks.pass(counters)?;
    asked
        .zip(blocks.iter_mut())
        .try_for_each(|(asked, private)| one_cvc3(cards, asked, private).map(&mut tell))
}

fn one_cvc3(cards: &mut CardSource<'_>, asked: &RotatingCvc3, private: &[u8; 16]) -> Result<Answer, Cause> {
    let mut code = Cvc3 {
        key: asked.key,
        card: asked.card.clone(),
        derivation: asked.derivation,
        ivcvc3: asked.ivcvc3,
        un: asked.un,
        // Its first two bytes, where a card has its ATC.
        atcs: Candidates::one(u16::from_be_bytes([private[0], private[1]])),
        presented: asked.presented.clone(),
        length: asked.length,
    };
    // Which counter it was is not told.
    let answer = cvc3::check(cards, &code).map(|answer| Answer::of(answer.is_right()));
    code.atcs.wipe();
    answer
}

fn judge(asked: &RotatingCode, made: &[u8; 16]) -> Answer {
    let (number, _) = made.split_first_chunk().expect("eight of sixteen bytes");
    Answer::of(ends_in(u64::from_be_bytes(*number), asked.length, &asked.presented))
}

fn entry(asked: &RotatingCode) -> [u8; 16] {
    counter_block(asked.account, asked.bundle, asked.index)
}

/// What a private counter is the encryption of.
pub(crate) fn counter_block(account: [u8; 8], bundle: u32, index: u32) -> [u8; 16] {
    let mut block = [0; 16];
    block[..8].copy_from_slice(&account);
    block[8..12].copy_from_slice(&bundle.to_be_bytes());
    block[12..].copy_from_slice(&index.to_be_bytes());
    block
}

fn purchase_block(asked: &RotatingCode) -> [u8; 16] {
    let mut block = [0; 16];
    block[..4].copy_from_slice(b"RATC");
    block[12..].copy_from_slice(&asked.un.0);
    block
}
