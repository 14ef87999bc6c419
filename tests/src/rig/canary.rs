//! The search for card data where none may be: every PAN, track, PIN block and chip datum that a test sent,
//! in every form a program is likely to print it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::locked;
use crate::message_text::{Plain, hex, unhex};

/// Elements whose content must never show: PAN, tracks 2, 3 and 1, PIN block, chip data.
const SECRET_TEXT: [u8; 4] = [2, 35, 36, 45];
const SECRET_BINARY: [u8; 2] = [52, 55];

/// Anything shorter would turn up by chance.
const SHORTEST: usize = 12;

/// What a test has sent, shared by its hosts.
#[derive(Clone, Debug, Default)]
pub struct Canaries(Arc<Mutex<BTreeSet<Canary>>>, Arc<AtomicBool>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Canary {
    Text(String),
    Binary(Vec<u8>),
}

impl Canaries {
    /// Remembers the card data of one message.
    pub fn note(&self, message: &Plain) {
        if self.1.load(Ordering::Relaxed) {
            return;
        }
        let mut canaries = locked(&self.0);
        for value in SECRET_TEXT.map(|de| message.get(de)) {
            // The part after the separator is the discretionary data: as secret as the whole.
            let parts = [Some(value), value.split_once(['=', 'D']).map(|(_, rest)| rest)];
            let long = parts.into_iter().flatten().filter(|part| part.len() >= SHORTEST);
            canaries.extend(long.map(|part| Canary::Text(part.to_owned())));
        }
        for value in SECRET_BINARY.map(|de| message.get(de)) {
            if value.len() >= SHORTEST && value.len().is_multiple_of(2) {
                canaries.insert(Canary::Binary(unhex(value)));
            }
        }
    }

    /// Remembers other bytes that must not show: a key, a private counter.
    pub fn note_secret(&self, secret: &[u8]) {
        locked(&self.0).insert(Canary::Binary(secret.to_vec()));
    }

    /// Remembers digits that must not show.
    pub fn note_digits(&self, digits: &str) {
        assert!(digits.len() >= 8, "fewer would turn up by chance");
        locked(&self.0).insert(Canary::Text(digits.to_owned()));
    }

    /// Forgets all of them, and takes no more.
    pub fn forget(&self) {
        self.1.store(true, Ordering::Relaxed);
        locked(&self.0).clear();
    }

    /// Every place where a canary shows, named without showing it.
    #[must_use]
    pub fn hits(&self, bytes: &[u8]) -> Vec<String> {
        let canaries = locked(&self.0);
        let needles = canaries.iter().flat_map(Canary::needles);
        needles
            .filter(|(_, needle)| needle.len() >= 6)
            .filter_map(|(form, needle)| Some(format!("{form} at byte {}", find(bytes, &needle)?)))
            .collect()
    }

    /// Fails the test when anything shows.
    pub fn insist_on_absence(&self, place: &str, bytes: &[u8]) {
        let hits = self.hits(bytes);
        assert!(hits.is_empty(), "card data in {place}: {hits:?}");
    }
}

impl Canary {
    fn needles(&self) -> Vec<(&'static str, Vec<u8>)> {
        match self {
            Canary::Text(text) => text_needles(text),
            Canary::Binary(bytes) => binary_needles(bytes),
        }
    }
}

fn text_needles(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let ascii = text.as_bytes();
    let mut needles = vec![
        ("ASCII", ascii.to_vec()),
        ("EBCDIC", ascii.iter().map(|&byte| ebcdic(byte)).collect()),
        ("UTF-16LE", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16BE", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("hex of EBCDIC", hex(&ascii.iter().map(|&byte| ebcdic(byte)).collect::<Vec<_>>()).into_bytes()),
    ];
    let nibbles = text.replace('=', "D");
    if nibbles.bytes().all(|byte| byte.is_ascii_digit() || byte == b'D') {
        for (form, start) in [("BCD", 0), ("BCD, other alignment", 1)] {
            let end = start + (nibbles.len() - start) / 2 * 2;
            needles.push((form, unhex(&nibbles[start..end])));
        }
        needles.push(("track with D", nibbles.into_bytes()));
    }
    needles.extend(printed_forms(ascii));
    needles
}

fn binary_needles(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut needles = vec![("raw bytes", bytes.to_vec())];
    needles.extend(printed_forms(bytes));
    needles
}

/// How programs print bytes.
fn printed_forms(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let decimal = bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let mut forms = vec![
        ("hex", hex(bytes).into_bytes()),
        ("lower-case hex", hex(bytes).to_lowercase().into_bytes()),
        ("a list of bytes", decimal.into_bytes()),
    ];
    forms.extend((0..3).map(|offset| ("base64", base64_within(bytes, offset))));
    forms
}

/// The characters of base64 that these bytes alone decide when they start `offset` bytes into a triple.
fn base64_within(bytes: &[u8], offset: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let shifted = [&vec![0; offset], bytes].concat();
    let bits = |at: usize| usize::from(shifted[at / 8] >> (7 - at % 8) & 1);
    let sextets = (offset * 8).div_ceil(6)..shifted.len() * 8 / 6;
    sextets.map(|sextet| ALPHABET[(0..6).fold(0, |sum, bit| sum * 2 + bits(sextet * 6 + bit))]).collect()
}

fn ebcdic(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => 0xF0 + (byte - b'0'),
        b'A'..=b'I' => 0xC1 + (byte - b'A'),
        b'J'..=b'R' => 0xD1 + (byte - b'J'),
        b'S'..=b'Z' => 0xE2 + (byte - b'S'),
        b'=' => 0x7E,
        b'^' => 0xB0,
        b'/' => 0x61,
        _ => 0x40,
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let (&first, rest) = needle.split_first()?;
    let mut from = 0;
    while let Some(step) = bytes[from..].iter().position(|&byte| byte == first) {
        let at = from + step;
        if bytes[at + 1..].starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "0100 2=9999600000000019 35=9999600000000019=49122010000012345 52=0123456789ABCDEF";

    /// The verifier verified: every form planted is found, and what may be shown is not.
    #[test]
    fn every_planted_form_is_found() {
        let canaries = Canaries::default();
        canaries.note(&Plain::of(MESSAGE));
        let noted = locked(&canaries.0).clone();
        assert_eq!(noted.len(), 4, "PAN, track, what follows its separator, PIN block");
        for canary in noted {
            for (form, needle) in canary.needles() {
                let planted = [b"{\"level\":\"info\"} ", needle.as_slice(), b" end\n"].concat();
                assert!(!canaries.hits(&planted).is_empty(), "{form}");
            }
        }
    }

    #[test]
    fn base64_is_found_wherever_the_number_stands_in_it() {
        let canaries = Canaries::default();
        canaries.note(&Plain::of(MESSAGE));
        // "pan=9999600000000019", ">9999600000000019<", "9999600000000019" by another program.
        for text in ["cGFuPTk5OTk2MDAwMDAwMDAwMTk=", "Pjk5OTk2MDAwMDAwMDAwMTk8", "OTk5OTYwMDAwMDAwMDAxOQ=="] {
            assert!(!canaries.hits(text.as_bytes()).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_masked_number_may_show() {
        let canaries = Canaries::default();
        canaries.note(&Plain::of(MESSAGE));
        assert_eq!(canaries.hits(b"pan=999960******0019 stan=000001"), Vec::<String>::new());
    }
}
