//! What a message proves itself with, computed for every message from test keys, so that a host that checks it has
//! to work: codes in the track of a card that belongs to a program, PIN blocks, cryptograms of chip cards, and the MAC of
//! the whole message.
//!
//! In reading order: [`Program`] is what a profile says; [`supply`] which codes may be used, each once;
//! [`rotating`], [`cvc3`] and [`challenge`] compute them; [`provision`] tells a switch about the cards. [`pin`], [`cryptogram`]
//! and [`mac`] need no supply: a [`Seals`] has those that a profile asks for.
//!
//! What is absent: keys that protect anything. Whoever can read a profile knows its keys.

pub mod challenge;
pub mod cryptogram;
pub mod cvc3;
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

use crate::template::{SERVICE_CODE, discretionary_digits};
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
    /// For codes of profile `cvc3`: the master key of the cards' own keys.
    pub card_key: Option<TestKey>,
    /// Where counter, number and code stand in the track.
    pub layout: Layout,
    /// Leading digits of the cards.
    pub iin: String,
    /// How many cards; they are numbered from 1 behind those digits.
    pub cards: u64,
    /// Digits of a card number.
    pub card_digits: usize,
    /// When every card ends, YYMM in digits.
    pub expiry: [u8; 4],
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
    /// Rotating ATCs, profile `aes` or `cvc3`: a code for each of a bundle of public counters.
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

impl Program {
    /// The track of a card as it was personalised: the digits that change are zero.
    pub(crate) fn personalised_track(&self, pan: &str) -> String {
        let mut digits = vec![b'0'; discretionary_digits(pan.len())];
        if let (Layout::Fixed { format: Some(format), .. }, Some(first)) = (&self.layout, digits.first_mut())
        {
            *first = b'0' + format;
        }
        let [expiry, digits] = [&self.expiry[..], &digits].map(String::from_utf8_lossy);
        format!("{pan}={expiry}{SERVICE_CODE}{digits}")
    }
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
