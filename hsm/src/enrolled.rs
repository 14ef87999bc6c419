//! Responses to challenges, enrolled: what a person knows, or was sent beside the challenge. Only a tag is stored.
//!
//! Tag: the first sixteen bytes of SHA-256 over `DDCR1|account|challenge|response`, encrypted by AES under a key of
//! the token (the pepper); or, where the key is one of HMAC-SHA-256, the HMAC over the same text. Whoever has the
//! stored tags but not the token cannot try responses against them.

use sha2::block_api::compress256;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::digits::{Challenge, Code, Pan};
use crate::error::Cause;
use crate::question::{Answer, EnrolResponse, EnrolledResponse, ResponseTag};
use crate::room::Room;
use crate::token::{KeyInUse, Stream};
use crate::verifier::MAX_BATCH;

/// What is known of a response: to make a tag of it, or to compare it with one.
pub(crate) trait Known {
    /// What the tag is made over.
    fn parts(&self) -> (&Pan, &Challenge, &Code);

    /// What the tag that was made of it says.
    fn judged(&self, made: ResponseTag) -> Answer;
}

impl Known for EnrolResponse {
    fn parts(&self) -> (&Pan, &Challenge, &Code) {
        (&self.pan, &self.challenge, &self.response)
    }

    fn judged(&self, made: ResponseTag) -> Answer {
        Answer::Tag(made)
    }
}

impl Known for EnrolledResponse {
    fn parts(&self) -> (&Pan, &Challenge, &Code) {
        (&self.pan, &self.challenge, &self.presented)
    }

    // Whole answers are written where they are kept: read back out of a return, each would wait for its own bytes.
    #[inline(always)]
    fn judged(&self, made: ResponseTag) -> Answer {
        Answer::of(is_same(&made, &self.tag))
    }
}

/// A key that makes tags by AES.
pub(crate) struct Pepper {
    pub(crate) stream: Stream,
    texts: Box<[Text]>,
}

impl Pepper {
    pub(crate) fn new(stream: Stream) -> Pepper {
        Pepper { stream, texts: (0..MAX_BATCH).map(|_| Text::new()).collect() }
    }

    /// Answers many in one call of the token, and tells what came of each.
    pub(crate) fn answer<'q, Asked: Known + 'q>(
        &mut self,
        room: &mut Room,
        asked: impl Iterator<Item = &'q Asked> + Clone,
        mut tell: impl FnMut(Answer),
    ) -> Result<(), Cause> {
        // All are written before the first is hashed: a processor waits with the reading of what was just written in pieces.
        let mut used = 0;
        for (text, asked) in self.texts.iter_mut().zip(asked.clone()) {
            text.write(asked);
            used += 1;
        }
        let texts = &mut self.texts[..used];
        let mut blocks = room.take(texts.iter().map(Text::prehash));
        texts.iter_mut().for_each(Text::wipe);
        blocks.pass(&mut self.stream)?;
        asked.zip(blocks.iter_mut()).for_each(|(asked, made)| tell(asked.judged(ResponseTag::Aes(*made))));
        Ok(())
    }
}

/// Answers one with an HMAC.
pub(crate) fn answer_by_hmac(key: KeyInUse<'_>, asked: &impl Known) -> Result<Answer, Cause> {
    let made = key.mac::<32>(Text::of(asked).as_bytes())?;
    Ok(asked.judged(ResponseTag::Hmac(*made)))
}

/// What a tag is made over, with room for the padding of SHA-256. Wiped on drop, which a hasher's own copy would not be.
struct Text {
    /// Zeros behind the text.
    bytes: [u8; TEXT_BYTES],
    len: usize,
}

/// Two blocks: `DDCR1`, three bars, a number, a challenge and a response are 59 bytes at most, padding is 9 at least.
const TEXT_BYTES: usize = 128;
const _: () = assert!(5 + 3 + 19 + 16 + 16 + 9 <= TEXT_BYTES);

/// The state of SHA-256 before any block (FIPS 180-4, 5.3.3).
const SHA_256: [u32; 8] =
    [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19];

impl Text {
    fn new() -> Text {
        Text { bytes: [0; TEXT_BYTES], len: 0 }
    }

    fn of(asked: &impl Known) -> Text {
        let mut text = Text::new();
        text.write(asked);
        text
    }

    /// Writes it, into what is empty.
    fn write(&mut self, asked: &impl Known) {
        let (pan, challenge, response) = asked.parts();
        let text = &mut self.bytes;
        let at = put(text, 0, b"DDCR1|", 6);
        let at = put(text, at, pan.danger_clear_filled(), pan.len());
        let at = put(text, at, b"|", 1);
        let at = put(text, at, challenge.danger_clear_filled(), challenge.danger_clear_digits().len());
        let at = put(text, at, b"|", 1);
        let at = put(text, at, response.danger_clear_filled(), response.danger_clear_digits().len());
        self.len = at;
        // The padding of SHA-256: a one bit behind the text, zeros, and how many bits it has (FIPS 180-4, 5.1.1).
        self.bytes[at] = 0x80;
        let end = self.end();
        self.bytes[end - 8..end].copy_from_slice(&(8 * at as u64).to_be_bytes());
    }

    /// Where its blocks end.
    fn end(&self) -> usize {
        (self.len + 9).next_multiple_of(64)
    }

    /// The first half of its SHA-256.
    fn prehash(&self) -> [u8; 16] {
        let mut state = SHA_256;
        compress256(&mut state, self.bytes[..self.end()].as_chunks().0);
        let mut half = [0; 16];
        for (bytes, word) in half.as_chunks_mut().0.iter_mut().zip(state) {
            *bytes = word.to_be_bytes();
        }
        state.as_mut_slice().zeroize();
        half
    }

    fn wipe(&mut self) {
        // By whole blocks, of which the second is empty most of the time: to wipe a length that is not known takes longer.
        let (first, second) = self.bytes.split_at_mut(64);
        first.zeroize();
        if self.len + 9 > 64 {
            second.zeroize();
        }
        self.len = 0;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Writes `len` bytes of a part that has zeros behind them, and tells where the next one begins.
fn put<const FILLED: usize>(
    text: &mut [u8; TEXT_BYTES],
    at: usize,
    part: &[u8; FILLED],
    len: usize,
) -> usize {
    // All of it: a copy of a length that is not known takes longer, and what comes next stands over the zeros.
    text[at..][..FILLED].copy_from_slice(part);
    at + len
}

/// A tag of the other form is never right.
#[inline(always)]
fn is_same(made: &ResponseTag, stored: &ResponseTag) -> bool {
    match (made, stored) {
        (ResponseTag::Aes(made), ResponseTag::Aes(stored)) => {
            // As one difference: byte by byte takes longer than the token's part of it.
            let difference = u128::from_ne_bytes(*made) ^ u128::from_ne_bytes(*stored);
            bool::from(((difference >> 64) as u64 | difference as u64).ct_eq(&0))
        }
        (ResponseTag::Hmac(made), ResponseTag::Hmac(stored)) => is_same_hmac(made, stored),
        _ => false,
    }
}

#[inline(never)]
fn is_same_hmac(made: &[u8; 32], stored: &[u8; 32]) -> bool {
    bool::from(made.ct_eq(stored))
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
            let prehash = Text::of(&asked).prehash();
            assert_eq!(prehash.as_slice(), hex(vector.input("prehash_16")), "{}", vector.id());
        }
    }

    #[test]
    fn texts_of_one_block_and_of_two() {
        use sha2::{Digest, Sha256};
        for (pan, others) in (8..=19).flat_map(|pan| (1..=16).map(move |others| (pan, others))) {
            let digits = "12345678901234567890";
            let asked = EnrolResponse {
                key: KeyId(0),
                pan: Pan::parse(&digits.as_bytes()[..pan]).expect("a number"),
                challenge: Challenge::parse(&digits.as_bytes()[..others]).expect("digits"),
                response: Code::parse(&digits.as_bytes()[..17 - others]).expect("digits"),
                length: CodeLength::new(6).expect("a length"),
            };
            let text = format!("DDCR1|{}|{}|{}", &digits[..pan], &digits[..others], &digits[..17 - others]);
            assert_eq!(Text::of(&asked).as_bytes(), text.as_bytes());
            assert_eq!(Text::of(&asked).prehash(), Sha256::digest(&text)[..16], "{text}");
        }
        let digits = [b'7'; 19];
        let longest = EnrolResponse {
            key: KeyId(0),
            pan: Pan::parse(&digits).expect("a number"),
            challenge: Challenge::parse(&digits[..16]).expect("digits"),
            response: Code::parse(&digits[..16]).expect("digits"),
            length: CodeLength::new(6).expect("a length"),
        };
        let text = Text::of(&longest);
        assert_eq!(text.prehash(), Sha256::digest(text.as_bytes())[..16]);
    }

    #[test]
    fn a_tag_of_another_form_is_not_the_same() {
        assert!(is_same(&ResponseTag::Aes([1; 16]), &ResponseTag::Aes([1; 16])));
        assert!(!is_same(&ResponseTag::Aes([1; 16]), &ResponseTag::Aes([2; 16])));
        assert!(!is_same(&ResponseTag::Aes([1; 16]), &ResponseTag::Hmac([1; 32])));
    }
}
