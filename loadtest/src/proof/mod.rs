//! What a message proves itself with, computed for every message from test keys, so that a host that checks it has
//! to work: codes in the track of a card that belongs to a program, PIN blocks, cryptograms of chip cards, and the MAC of
//! the whole message.
//!
//! In reading order: [`Program`] is what a profile says; [`supply`] which codes may be used, each once;
//! [`rotating`] and [`challenge`] compute them; [`provision`] tells a switch about the cards. [`pin`], [`cryptogram`]
//! and [`mac`] need no supply: a [`Seals`] has those that a profile asks for.
//!
//! What is absent: keys that protect anything. Whoever can read a profile knows its keys.

pub mod challenge;
pub mod cryptogram;
pub mod key;
pub mod mac;
pub mod pin;
pub mod provision;
pub mod rotating;
pub mod supply;
#[cfg(test)]
mod vectors;

use std::sync::Arc;

use codecs::discretionary::Layout;

use cryptogram::Cryptograms;
use key::TestKey;
use mac::MessageMac;
use pin::PinBlocks;
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
    /// Challenge responses, computed: one for each challenge, and a card has one open challenge at a time.
    Challenge,
}

/// What is computed for messages beside codes in the track.
#[derive(Clone, Debug, Default)]
pub struct Seals {
    /// DE 52 of the cases that have a PIN.
    pub pin: Option<PinBlocks>,
    /// DE 55 of the cases with a chip.
    pub cryptogram: Option<Cryptograms>,
    /// DE 64 or 128 of every payment and reversal.
    pub mac: Option<MessageMac>,
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
