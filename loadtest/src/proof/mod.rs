//! What a message proves itself with, computed for every message from test keys, so that a host that checks it has
//! to work: codes in the track of a card that belongs to a program.
//!
//! In reading order: [`Program`] is what a profile says; [`supply`] which codes may be used, each once;
//! [`rotating`] computes them; [`provision`] tells a switch about the cards.
//!
//! What is absent: keys that protect anything. Whoever can read a profile knows its keys.

pub mod key;
pub mod provision;
pub mod rotating;
pub mod supply;
#[cfg(test)]
mod vectors;

use std::sync::Arc;

use codecs::discretionary::Layout;

use key::TestKey;
use supply::Grant;

/// Cards whose track carries a code, and what their codes are made of.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name, which cases refer to.
    pub name: String,
    /// How its codes are made.
    pub kind: Kind,
    /// The master key that the host's token has too.
    pub key: TestKey,
    /// Where counter, number and code stand in the track.
    pub layout: Layout,
    /// Leading digits of the cards.
    pub iin: String,
    /// How many cards; they are numbered from 1 behind those digits.
    pub cards: u64,
    /// Digits of a card number.
    pub card_digits: usize,
    /// Sequence number of every card.
    pub psn: u8,
    /// Leading digits of the cards that pay, when a switch is told about these.
    pub funding_iin: Option<String>,
    /// The codes that may be used, as they were granted; otherwise a convention holds.
    pub grants: Option<Arc<Vec<Grant>>>,
}

/// How codes are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Rotating ATCs, profile `aes`: a code for each of a bundle of public counters.
    RotatingAtc,
}

/// The number of card `number` of those with these leading digits, check digit included.
pub fn pan_of(iin: &str, digits: usize, number: u64) -> String {
    let width = digits - iin.len() - 1;
    let body = format!("{iin}{number:0width$}");
    let check = crate::mix::luhn_check_digit(body.as_bytes());
    format!("{body}{check}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_numbered_behind_their_prefix() {
        assert_eq!(pan_of("999910", 16, 1), "9999100000000010");
        assert_eq!(pan_of("99996", 16, 1), "9999600000000019");
    }
}
