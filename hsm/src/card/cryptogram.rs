//! Application cryptograms (ARQC): a MAC of the card over the purchase, and the issuer's answer to it (ARPC), made in
//! the same visit to the token (EMV Book 2, 8.1 and 8.2).
//!
//! Each version says which key makes the MAC and what is added to the signed data; see [`CryptogramVersion`]. Session
//! keys are made for one purchase, in the token or, as far as the exposure goes, here, and destroyed after it.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::algorithm3::{self, Padding, padded, xor};
use crate::derive::{
    Card, Derivation, aes_key, aes_session_key, card_block, left_half_twice, session_keys, whole_key,
};
use crate::error::Cause;
use crate::question::{Answer, Cryptogram, CryptogramVersion, IssuerAnswer, IssuerAuthentication};
use crate::token::{CardSource, KeyInUse, Work};

/// Checks a cryptogram, and makes the issuer's answers if it is right.
pub(crate) fn check(cards: &mut CardSource<'_>, asked: &Cryptogram) -> Result<Answer, Cause> {
    match asked.version() {
        CryptogramVersion::Aes => with_aes(cards, asked),
        CryptogramVersion::Visa10 => with_card_key(cards, asked),
        _ => with_session_key(cards, asked),
    }
}

/// The card's own key makes the MAC.
fn with_card_key(cards: &mut CardSource<'_>, asked: &Cryptogram) -> Result<Answer, Cause> {
    let y = y(asked.card(), asked.version());
    let left = cards.get(&left_half_twice(&y), Work::Chain)?;
    let whole = cards.get(&whole_key(&y), Work::Encrypt)?;
    if !is_right(asked, &*cryptogram(whole.in_use(), left.in_use(), asked)?) {
        return Ok(Answer::Wrong);
    }
    answers(asked, |answer| arpc(whole.in_use(), left.in_use(), asked.presented(), answer))
}

/// A key of one purchase, derived from the card's, makes the MAC.
fn with_session_key(cards: &mut CardSource<'_>, asked: &Cryptogram) -> Result<Answer, Cause> {
    let y = y(asked.card(), asked.version());
    let of_card = cards.of_card(&whole_key(&y))?;
    let (whole, left) = session_keys(&asked.diversifier());
    let whole = cards.of_purchase(&of_card, &whole, Work::Encrypt)?;
    let left = cards.of_purchase(&of_card, &left, Work::Chain)?;
    if !is_right(asked, &*cryptogram(whole.in_use(), left.in_use(), asked)?) {
        return Ok(Answer::Wrong);
    }
    if asked.version().answers_with_card_key() && asked.wants_answers() {
        // One block, so the left half is not needed.
        let of_card = cards.get(&whole_key(&y), Work::Encrypt)?;
        return answers(asked, |answer| arpc(of_card.in_use(), left.in_use(), asked.presented(), answer));
    }
    answers(asked, |answer| arpc(whole.in_use(), left.in_use(), asked.presented(), answer))
}

fn with_aes(cards: &mut CardSource<'_>, asked: &Cryptogram) -> Result<Answer, Cause> {
    let bytes = cards.key_bytes();
    let of_card = cards.of_card(&aes_key(asked.card(), bytes))?;
    let session = cards.of_purchase(&of_card, &aes_session_key(asked.atc(), bytes), Work::Mac)?;
    let mac = session.in_use().mac::<16>(&asked.message())?;
    if !is_right(asked, mac.first_chunk().expect("eight of sixteen bytes")) {
        return Ok(Answer::Wrong);
    }
    answers(asked, |answer| aes_arpc(session.in_use(), asked.presented(), answer))
}

fn y(card: &Card, version: CryptogramVersion) -> Zeroizing<[u8; 8]> {
    let hashes_long_numbers = matches!(version, CryptogramVersion::Visa18 | CryptogramVersion::Visa22);
    card_block(card, if hashes_long_numbers { Derivation::OptionB } else { Derivation::OptionA })
}

fn is_right(asked: &Cryptogram, made: &[u8; 8]) -> bool {
    asked.presented().is_some_and(|presented| bool::from(presented.ct_eq(made)))
}

fn cryptogram(
    whole: KeyInUse<'_>,
    left: KeyInUse<'_>,
    asked: &Cryptogram,
) -> Result<Zeroizing<[u8; 8]>, Cause> {
    let visa_10 = asked.version() == CryptogramVersion::Visa10;
    let padding = if visa_10 { Padding::Zeros } else { Padding::OneBit };
    algorithm3::mac(whole, left, &padded(&asked.message(), padding))
}

fn answers(
    asked: &Cryptogram,
    make: impl Fn(&IssuerAnswer) -> Result<IssuerAuthentication, Cause>,
) -> Result<Answer, Cause> {
    let [approved, declined] = asked.answers();
    let make = |answer: &Option<IssuerAnswer>| answer.as_ref().map(&make).transpose();
    Ok(Answer::RightCryptogram { approved: make(approved)?, declined: make(declined)? })
}

/// The issuer's answer under keys of 3DES. `left` is used by method 2 only.
pub(super) fn arpc(
    whole: KeyInUse<'_>,
    left: KeyInUse<'_>,
    arqc: Option<[u8; 8]>,
    answer: &IssuerAnswer,
) -> Result<IssuerAuthentication, Cause> {
    let arqc = arqc.unwrap_or_default();
    match answer {
        IssuerAnswer::Code(code) => {
            let mut block = [0; 8];
            block[..2].copy_from_slice(code);
            let arpc = whole.encrypt_block(&xor(&arqc, &block))?;
            Ok(IssuerAuthentication::new(&[&*arpc, code]))
        }
        IssuerAnswer::Status(status) => {
            let message = [&arqc[..], status.as_bytes()].concat();
            let mac = algorithm3::mac(whole, left, &padded(&message, Padding::OneBit))?;
            Ok(IssuerAuthentication::new(&[&mac[..4], status.as_bytes()]))
        }
    }
}

/// The same under a key of AES, by method 2.
pub(super) fn aes_arpc(
    session: KeyInUse<'_>,
    arqc: Option<[u8; 8]>,
    answer: &IssuerAnswer,
) -> Result<IssuerAuthentication, Cause> {
    let IssuerAnswer::Status(status) = answer else { return Err(Cause::NotThatKey) };
    let message = [&arqc.unwrap_or_default()[..], status.as_bytes()].concat();
    let mac = session.mac::<16>(&message)?;
    Ok(IssuerAuthentication::new(&[&mac[..4], status.as_bytes()]))
}
