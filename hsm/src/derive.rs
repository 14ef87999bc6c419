//! What a card's own keys are derived from (EMV Book 2, annex A1.4): a block made of its number.
//!
//! Only the input is made here. The token encrypts it under the issuer's master key and makes the result a
//! key, so neither of the two is ever seen.

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::digits::{Pan, Psn, decimalised, packed};

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
        Derivation::OptionB if card.pan.danger_clear_digits().len() > 16 => hashed(card),
        Derivation::OptionA | Derivation::OptionB => Zeroizing::new(rightmost(card)),
    }
}

/// What a token encrypts to make the card key K: Y, then its complement.
pub(crate) fn whole_key(y: &[u8; 8]) -> Zeroizing<[u8; 16]> {
    twice(y, |byte| !byte)
}

/// What a token encrypts to make the left half of the card key, twice: 3DES under K_L and K_L is single DES
/// under K_L, which tokens no longer offer by itself.
pub(crate) fn left_half_twice(y: &[u8; 8]) -> Zeroizing<[u8; 16]> {
    twice(y, |byte| byte)
}

/// What a token encrypts to make an AES card key of 128 bits (option C): number and sequence number, with
/// zeros in front.
pub(crate) fn aes_block(card: &Card) -> Zeroizing<[u8; 16]> {
    Zeroizing::new(packed(&*zero_filled::<32>(card)))
}

fn twice(y: &[u8; 8], second: impl Fn(u8) -> u8) -> Zeroizing<[u8; 16]> {
    let mut input = Zeroizing::new([0; 16]);
    input[..8].copy_from_slice(y);
    input[8..].iter_mut().zip(y).for_each(|(byte, of_y)| *byte = second(*of_y));
    input
}

fn rightmost(card: &Card) -> [u8; 8] {
    packed(&*zero_filled::<16>(card))
}

/// The rightmost `N` digits of number and sequence number, with zeros in front of shorter ones.
fn zero_filled<const N: usize>(card: &Card) -> Zeroizing<[u8; N]> {
    let mut digits = Zeroizing::new([b'0'; N]);
    let psn = card.psn.digits();
    let from_the_right = psn.iter().rev().chain(card.pan.danger_clear_digits().iter().rev());
    digits.iter_mut().rev().zip(from_the_right).for_each(|(digit, of_card)| *digit = *of_card);
    digits
}

/// The first 16 decimal digits of a SHA-1 over all digits, packed, with a zero in front of an odd number.
fn hashed(card: &Card) -> Zeroizing<[u8; 8]> {
    // 22 digits hold any number and its sequence number; the leading zeros that are not wanted are cut.
    let digits = zero_filled::<22>(card);
    let unused = 22 - (card.pan.danger_clear_digits().len() + 2).next_multiple_of(2);
    let bytes = Zeroizing::new(packed::<11>(&*digits));
    let hash = Zeroizing::new(<[u8; 20]>::from(Sha1::digest(&bytes[unused / 2..])));
    Zeroizing::new(packed(&*decimalised(&*hash)))
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
        assert_eq!(u128::from_be_bytes(*whole), 0x1312_3456_7848_0000_ECED_CBA9_87B7_FFFF);
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
        let block = aes_block(&card("5413123456784800", 1));
        assert_eq!(u128::from_be_bytes(*block), 0x0000_0000_0000_0054_1312_3456_7848_0001);
    }
}
