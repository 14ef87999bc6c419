//! Codes of a contactless card in stripe mode (CVC3) whose ATC rotates: profile `cvc3` of rotating ATCs, as a device
//! computes them.
//!
//! Card key: option A of EMV under the issuer's master key. The card's constant: the last two bytes of the retail MAC, with
//! a one bit and zeros, of the track it was personalised with. Code: the last two bytes of 3DES under the card key over
//! constant, terminal's number (eight decimal digits) and private counter, as a number. The private counter is that of
//! profile `aes`, of which the first two bytes stand in the ATC's place; the track carries the public one.

use des::TdesEde2;
use des::cipher::BlockCipherEncrypt;

use super::cryptogram::CardKeys;
use super::key::TestKey;
use super::mac::{Padding, RetailMac};
use super::rotating::{RotatingCodes, account, packed_decimal};

/// The two master keys, ready to be used.
#[derive(Clone)]
pub struct StripeCodes {
    counters: RotatingCodes,
    cards: CardKeys,
}

/// What a card computes with.
#[derive(Clone)]
pub struct Stripe {
    key: TdesEde2,
    constant: [u8; 2],
}

impl StripeCodes {
    /// Takes the key of the counters, and the one of which card keys are derived.
    pub fn new(counters: &TestKey, cards: &TestKey) -> StripeCodes {
        StripeCodes { counters: RotatingCodes::new(counters), cards: CardKeys::new(cards) }
    }

    /// A card with this track, as it was personalised: card number, separator, expiry, service code and discretionary
    /// data whose changing digits are zero.
    pub fn card(&self, pan: &[u8], psn: u8, track: &str) -> Stripe {
        let key = self.cards.of(account(pan, psn));
        let mac = RetailMac::of(&key).mac(&packed_track(track), Padding::OneAndZeros);
        Stripe { key: CardKeys::expand(&key), constant: [mac[6], mac[7]] }
    }

    /// The number whose low digits are the code.
    #[inline]
    pub fn code(&self, card: &Stripe, entry: ([u8; 8], u32, u16), un: u32) -> u64 {
        let (account, bundle, atc) = entry;
        let [first, second, ..] = self.counters.private_counter(account, bundle, atc);
        let mut block = [0; 8];
        block[..2].copy_from_slice(&card.constant);
        block[2..6].copy_from_slice(&packed_decimal(un));
        block[6..].copy_from_slice(&[first, second]);
        card.key.encrypt_block((&mut block).into());
        u64::from(u16::from_be_bytes([block[6], block[7]]))
    }
}

/// The track as tag 9F6B has it: two digits to a byte, D for the separator, F at the end of an odd count.
fn packed_track(track: &str) -> Vec<u8> {
    let half = |character: u8| if character.is_ascii_digit() { character & 0x0F } else { 0x0D };
    track
        .as_bytes()
        .chunks(2)
        .map(|pair| half(pair[0]) << 4 | pair.get(1).map_or(0x0F, |low| half(*low)))
        .collect()
}

impl std::fmt::Debug for StripeCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StripeCodes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::vectors::{self, hex};

    #[test]
    fn codes_are_those_of_the_vectors() {
        for vector in vectors::of("ratc_cvc3") {
            let key = |name| TestKey::parse(&vector.text(name)).unwrap();
            let codes = StripeCodes::new(&key("bundle_key"), &key("imk_cvc3"));
            let track = vector.text("track2_template");
            let psn = vector.text("psn").parse().unwrap();
            let card = codes.card(vector.text("pan").as_bytes(), psn, track.trim_end_matches('F'));
            assert_eq!(hex(&card.constant), vector.expected("ivcvc3"), "{}", vector.id());
            let account = vector.bytes("account_id_8").try_into().unwrap();
            let (bundle, index) = (vector.number("bundle") as u32, vector.number("index") as u16);
            let private = codes.counters.private_counter(account, bundle, index);
            assert_eq!(hex(&private[..2]), vector.expected("private_atc"), "{}", vector.id());
            let un = vector.text("un_numeric").parse().unwrap();
            let code = codes.code(&card, (account, bundle, index), un);
            assert_eq!(format!("{code:05}"), vector.expected("code_decimal"), "{}", vector.id());
        }
    }

    #[test]
    fn constants_are_those_of_the_vectors() {
        // The first has no master key.
        for vector in vectors::of("cvc3_track2").iter().skip(1) {
            let key = TestKey::parse(&vector.text("imk_cvc3")).unwrap();
            let codes = StripeCodes::new(&key, &key);
            let track = vector.text("track2_template");
            let psn = vector.text("psn").parse().unwrap();
            let card = codes.card(vector.text("pan").as_bytes(), psn, track.trim_end_matches('F'));
            assert_eq!(hex(&card.constant), vector.expected("ivcvc3"), "{}", vector.id());
        }
    }
}
