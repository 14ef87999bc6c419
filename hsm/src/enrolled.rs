//! Responses to challenges, enrolled: what a person knows, or was sent beside the challenge. Only a tag is stored.
//!
//! Tag: the first sixteen bytes of SHA-256 over `DDCR1|account|challenge|response`, encrypted by AES under a key of
//! the token (the pepper); or, where the key is one of HMAC-SHA-256, the HMAC over the same text. Whoever has the
//! stored tags but not the token cannot try responses against them.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::digits::{Challenge, Code, Pan};
use crate::error::Cause;
use crate::question::{Answer, EnrolResponse, EnrolledResponse, ResponseTag};
use crate::room::Room;
use crate::token::{KeyInUse, Stream};

/// What is known of a response: to make a tag of it, or to compare it with one.
#[derive(Clone, Copy)]
pub(crate) enum Asked<'a> {
    Enrol(&'a EnrolResponse),
    Check(&'a EnrolledResponse),
}

/// Answers many in one call of the token, and tells what came of each.
pub(crate) fn answer<'q>(
    pepper: &mut Stream,
    room: &mut Room,
    asked: impl Iterator<Item = Asked<'q>> + Clone,
    tell: impl FnMut(Answer),
) -> Result<(), Cause> {
    room.pass(pepper, asked.clone().map(|asked| asked.prehash()), |made| {
        asked.zip(made).map(|(asked, made)| asked.judged(ResponseTag::Aes(*made))).for_each(tell);
    })
}

/// Answers one with an HMAC.
pub(crate) fn answer_by_hmac(key: KeyInUse<'_>, asked: &Asked<'_>) -> Result<Answer, Cause> {
    let made = key.mac::<32>(asked.text().as_bytes())?;
    Ok(asked.judged(ResponseTag::Hmac(*made)))
}

impl Asked<'_> {
    fn parts(&self) -> (&Pan, &Challenge, &Code) {
        match self {
            Asked::Enrol(asked) => (&asked.pan, &asked.challenge, &asked.response),
            Asked::Check(asked) => (&asked.pan, &asked.challenge, &asked.presented),
        }
    }

    fn text(&self) -> Text {
        let (pan, challenge, response) = self.parts();
        let parts =
            [pan.danger_clear_digits(), challenge.danger_clear_digits(), response.danger_clear_digits()];
        let mut text = Text { bytes: [0; TEXT_BYTES_MAX], len: 0 };
        text.push(b"DDCR1");
        for part in parts {
            text.push(b"|");
            text.push(part);
        }
        text
    }

    fn prehash(&self) -> [u8; 16] {
        let mut hash = <[u8; 32]>::from(Sha256::digest(self.text().as_bytes()));
        let half = *hash.first_chunk().expect("sixteen of 32 bytes");
        hash.as_mut_slice().zeroize();
        half
    }

    fn judged(&self, made: ResponseTag) -> Answer {
        match self {
            Asked::Enrol(_) => Answer::Tag(made),
            Asked::Check(asked) => Answer::of(is_same(&made, &asked.tag)),
        }
    }
}

/// What a tag is made over. Wiped on drop.
struct Text {
    bytes: [u8; TEXT_BYTES_MAX],
    len: usize,
}

/// `DDCR1`, three bars, a number, a challenge, a response.
const TEXT_BYTES_MAX: usize = 5 + 3 + 19 + 16 + 16;

impl Text {
    fn push(&mut self, part: &[u8]) {
        self.bytes[self.len..][..part.len()].copy_from_slice(part);
        self.len += part.len();
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.bytes.as_mut_slice().zeroize();
    }
}

/// A tag of the other form is never right.
fn is_same(made: &ResponseTag, stored: &ResponseTag) -> bool {
    match (made, stored) {
        (ResponseTag::Aes(made), ResponseTag::Aes(stored)) => {
            // As one difference: byte by byte takes longer than the token's part of it.
            let difference = u128::from_ne_bytes(*made) ^ u128::from_ne_bytes(*stored);
            bool::from(((difference >> 64) as u64 | difference as u64).ct_eq(&0))
        }
        (ResponseTag::Hmac(made), ResponseTag::Hmac(stored)) => bool::from(made.ct_eq(stored)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits::CodeLength;
    use crate::question::KeyId;
    use crate::tokens::{hex, vectors};

    #[test]
    fn account_challenge_and_response_in_a_row() {
        for vector in vectors("dd_response_static") {
            let asked = EnrolResponse {
                key: KeyId(0),
                pan: Pan::parse(vector.input("account").as_bytes()).expect("a number"),
                challenge: Challenge::parse(vector.number("challenge_id").to_string().as_bytes())
                    .expect("digits"),
                response: Code::parse(vector.input("response").as_bytes()).expect("digits"),
                length: CodeLength::new(vector.input("response").len()).expect("a length"),
            };
            let prehash = Asked::Enrol(&asked).prehash();
            assert_eq!(prehash.as_slice(), hex(vector.input("prehash_16")), "{}", vector.id());
        }
    }

    #[test]
    fn a_tag_of_another_form_is_not_the_same() {
        assert!(is_same(&ResponseTag::Aes([1; 16]), &ResponseTag::Aes([1; 16])));
        assert!(!is_same(&ResponseTag::Aes([1; 16]), &ResponseTag::Aes([2; 16])));
        assert!(!is_same(&ResponseTag::Aes([1; 16]), &ResponseTag::Hmac([1; 32])));
    }
}
