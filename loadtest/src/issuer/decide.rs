//! What a model issuer says to a request. It has no accounts: card and amount decide, so that a repeat is
//! told the same.

use codecs::iso8583::{Class, De, Message, Version};
use codecs::value::Expiry;

use super::behaviour::Declines;
use crate::codes::Code;
use crate::dice::{scatter, to_fraction};
use crate::mix::luhn_check_digit;
use crate::respond;

/// The answer to one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Decision {
    /// DE 39.
    pub(super) code: Code,
    /// DE 38, with approvals.
    pub(super) approval: Option<[u8; 6]>,
}

/// What a decision depends on beside the request.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) declines: Declines,
    pub(super) seed: u64,
    /// The edition that the codes are in.
    pub(super) version: Version,
    /// Year and month, for expiry dates.
    pub(super) today: (u16, u8),
}

impl Rules {
    /// Decides about a sound message that is a payment, an advice or a reversal.
    pub(super) fn decide(&self, message: &Message<'_>) -> Decision {
        let version = self.version;
        let says = |code: &str| {
            let code = Code::parse(code.as_bytes()).expect("the codes written here are two digits");
            Decision { code: code.in_version(version), approval: None }
        };
        let Some(mti) = message.mti() else { return says("30") };
        if mti.class() == Class::Reversal {
            return Decision { code: respond::reversal_accepted(version), approval: None };
        }
        if !matches!(mti.class(), Class::Authorization | Class::Financial) {
            return says("40");
        }
        let mut room = [0; 37];
        let pan = card_number(message, &mut room);
        let amount = message.number(De::AMOUNT).unwrap_or_default();
        let number = self.number(message, pan, amount);
        let approved =
            Decision { code: respond::approved(version), approval: Some(approval_code(scatter(number))) };
        if mti.is_advice() {
            // What was done cannot be refused.
            return approved;
        }
        let flaw = match pan.split_last() {
            Some((check, body)) if *check != b'0' + luhn_check_digit(body) => Some("14"),
            _ if message.expiry().ok().flatten().is_some_and(|expiry| self.is_past(expiry)) => Some("54"),
            _ if amount == 0 => Some("13"),
            _ => None,
        };
        match (flaw, self.declines.of(scatter(number_of(pan, amount, self.seed)))) {
            (Some(code), _) => says(code),
            (None, Some(code)) => Decision { code, approval: None },
            (None, None) => approved,
        }
    }

    fn is_past(&self, expiry: Expiry) -> bool {
        expiry.is_past(self.today.0, self.today.1)
    }

    /// Card, amount and RRN in one number.
    fn number(&self, message: &Message<'_>, pan: &[u8], amount: u64) -> u64 {
        let rrn = message.value(De::RRN).unwrap_or_default();
        fold(rrn, number_of(pan, amount, self.seed))
    }
}

/// The card number, from DE 2 or from the front of track 2; empty when neither is there.
fn card_number<'a>(message: &Message<'_>, room: &'a mut [u8; 37]) -> &'a [u8] {
    let element = if message.has(De::PAN) { De::PAN } else { De::TRACK2 };
    let digits = message.decode(element, room).unwrap_or_default();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    &digits[..end]
}

/// Card and amount in one number.
fn number_of(pan: &[u8], amount: u64, seed: u64) -> u64 {
    fold(pan, seed ^ scatter(amount))
}

fn fold(bytes: &[u8], start: u64) -> u64 {
    bytes.iter().fold(start, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

/// Six digits that follow from a number.
fn approval_code(number: u64) -> [u8; 6] {
    let mut digits = [0; 6];
    crate::clock::put_number(&mut digits, (to_fraction(number) * 1e6) as u64);
    digits
}
