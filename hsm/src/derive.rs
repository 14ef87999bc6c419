//! What a card's own keys are derived from (EMV Book 2, annex A1.4): a block made of its number.
//!
//! Only the input is made here. The token encrypts it under the issuer's master key and makes the result a
//! key, so neither of the two is ever seen.

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::digits::{Pan, Psn};
use crate::token::Recipe;

/// One card of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct Card {
    /// Its number.
    pub pan: Pan,
    /// Its sequence number.
    pub psn: Psn,
}

/// How a card's 3DES key depends on its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Derivation {
    /// Option A: the rightmost 16 digits of number and sequence number.
    OptionA,
    /// Option B: the same for numbers of up to 16 digits; longer ones are hashed, so that all digits count.
    OptionB,
}

/// The block Y of a 3DES card key.
pub(crate) fn card_block(card: &Card, derivation: Derivation) -> Zeroizing<[u8; 8]> {
    match derivation {
        Derivation::OptionB if card.pan.len() > 16 => Zeroizing::new(hashed(card).to_be_bytes()),
        Derivation::OptionA | Derivation::OptionB => Zeroizing::new((digits(card) as u64).to_be_bytes()),
    }
}

/// What a token encrypts to make the card key K: Y, then its complement.
pub(crate) fn whole_key(y: &[u8; 8]) -> Recipe {
    Recipe::sixteen(&joined(y, &y.map(|byte| !byte)))
}

/// What a token encrypts to make the left half of the card key, twice: 3DES under K_L and K_L is single DES
/// under K_L, which tokens no longer offer by itself.
pub(crate) fn left_half_twice(y: &[u8; 8]) -> Recipe {
    Recipe::sixteen(&joined(y, y))
}

/// What a token encrypts to make an AES card key as long as its master (option C): number and sequence number, with
/// zeros in front; for more than 128 bits its complement too.
pub(crate) fn aes_key(card: &Card, key_bytes: usize) -> Recipe {
    let y = Zeroizing::new(digits(card).to_be_bytes());
    if key_bytes == 16 {
        return Recipe::sixteen(&y);
    }
    Recipe::longer(&y, &y.map(|byte| !byte), key_bytes)
}

/// What a card key encrypts to make its session key from what is new in a purchase (EMV Book 2, annex A1.3.1):
/// the whole of it, and its left half, twice.
pub(crate) fn session_keys(diversifier: &[u8; 8]) -> (Recipe, Recipe) {
    let [first, second] = [0xF0, 0x0F].map(|third| {
        let mut block = *diversifier;
        block[2] = third;
        block
    });
    (Recipe::sixteen(&joined(&first, &second)), Recipe::sixteen(&joined(&first, &first)))
}

/// The same for AES, from the ATC: as long as the card key. Only longer ones have the two marks.
pub(crate) fn aes_session_key(atc: [u8; 2], key_bytes: usize) -> Recipe {
    let block = |third| {
        let mut block = [0; 16];
        block[..2].copy_from_slice(&atc);
        block[2] = third;
        block
    };
    if key_bytes == 16 {
        return Recipe::sixteen(&block(0));
    }
    Recipe::longer(&block(0xF0), &block(0x0F), key_bytes)
}

fn joined(first: &[u8; 8], second: &[u8; 8]) -> Zeroizing<[u8; 16]> {
    let mut both = Zeroizing::new([0; 16]);
    both[..8].copy_from_slice(first);
    both[8..].copy_from_slice(second);
    both
}

/// Number and sequence number in a row, four bits each, with zeros in front.
fn digits(card: &Card) -> u128 {
    let number = card.pan.danger_packed() >> (128 - 4 * card.pan.len());
    number << 8 | u128::from(card.psn.packed())
}

/// The first 16 decimal digits of a SHA-1 over all digits, with a zero in front of an odd number of them. Decimal are first
/// those that are so already, then the others, A to F, each less ten.
fn hashed(card: &Card) -> u64 {
    let bytes = Zeroizing::new(digits(card).to_be_bytes());
    let used = (card.pan.len() + 2).div_ceil(2);
    let hash = Zeroizing::new(<[u8; 20]>::from(Sha1::digest(&bytes[bytes.len() - used..])));
    let nibbles = || hash.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    let decimal = nibbles().filter(|nibble| *nibble < 10);
    let others = nibbles().filter(|nibble| *nibble >= 10).map(|nibble| nibble - 10);
    decimal.chain(others).take(16).fold(0, |digits, digit| digits << 4 | u64::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(pan: &str, psn: u8) -> Card {
        Card { pan: Pan::parse(pan.as_bytes()).expect("a number"), psn: Psn::new(psn).expect("a number") }
    }

    fn y(pan: &str, psn: u8, derivation: Derivation) -> u64 {
        u64::from_be_bytes(*card_block(&card(pan, psn), derivation))
    }

    #[test]
    fn short_numbers_are_filled_and_long_ones_cut() {
        assert_eq!(y("5413123456784800", 0, Derivation::OptionA), 0x1312_3456_7848_0000);
        assert_eq!(y("4123456789012", 0, Derivation::OptionA), 0x0412_3456_7890_1200);
        assert_eq!(y("6799998900000060919", 2, Derivation::OptionA), 0x9890_0000_0609_1902);
        let whole = whole_key(&0x1312_3456_7848_0000_u64.to_be_bytes());
        assert_eq!(whole.data(), 0x1312_3456_7848_0000_ECED_CBA9_87B7_FFFF_u128.to_be_bytes());
    }

    #[test]
    fn option_b_differs_for_long_numbers_only() {
        for (pan, differs) in [("5413123456784800", false), ("12345678901234567", true)] {
            let differ = y(pan, 1, Derivation::OptionA) != y(pan, 1, Derivation::OptionB);
            assert_eq!(differ, differs, "{pan}");
        }
    }

    #[test]
    fn aes_takes_every_digit() {
        let y = 0x0000_0000_0000_0054_1312_3456_7848_0001_u128;
        assert_eq!(aes_key(&card("5413123456784800", 1), 16).data(), y.to_be_bytes());
        let longer = aes_key(&card("5413123456784800", 1), 24);
        assert_eq!(longer.data(), [y.to_be_bytes(), (!y).to_be_bytes()].concat());
    }
}
