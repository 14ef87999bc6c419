//! Rotating ATCs, profile `aes`, as a device computes them.
//!
//! Private counter: AES under the master key over account (8 bytes: the rightmost 16 digits of card number and
//! sequence number), bundle and public ATC (4 bytes each). Code: the first eight bytes of AES under the private
//! counter over `RATC`, eight zero bytes and the terminal's number as eight decimal digits; of that number the low
//! digits count.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use super::key::TestKey;

/// The master key, ready to be used.
#[derive(Clone)]
pub struct RotatingCodes {
    master: Aes128,
}

impl RotatingCodes {
    /// Expands the master key.
    pub fn new(key: &TestKey) -> RotatingCodes {
        RotatingCodes { master: Aes128::new(key.bytes().into()) }
    }

    /// The private counter that belongs to a public ATC.
    #[inline]
    pub(super) fn private_counter(&self, account: [u8; 8], bundle: u32, atc: u16) -> [u8; 16] {
        let mut private = [0; 16];
        private[..8].copy_from_slice(&account);
        private[8..12].copy_from_slice(&bundle.to_be_bytes());
        private[12..].copy_from_slice(&u32::from(atc).to_be_bytes());
        self.master.encrypt_block((&mut private).into());
        private
    }

    /// The number whose low digits are the code.
    #[inline]
    pub fn code(&self, account: [u8; 8], bundle: u32, atc: u16, un: u32) -> u64 {
        let private = self.private_counter(account, bundle, atc);
        let mut purchase = [0; 16];
        purchase[..4].copy_from_slice(b"RATC");
        purchase[12..].copy_from_slice(&packed_decimal(un));
        Aes128::new((&private).into()).encrypt_block((&mut purchase).into());
        purchase[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl std::fmt::Debug for RotatingCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RotatingCodes")
    }
}

/// Account of a card: the rightmost 16 digits of its number and its sequence number, two to a byte.
pub fn account(pan: &[u8], psn: u8) -> [u8; 8] {
    let sequence = [b'0' + psn / 10 % 10, b'0' + psn % 10];
    let mut digits = [b'0'; 16];
    let all = pan.iter().chain(&sequence).rev();
    digits.iter_mut().rev().zip(all).for_each(|(digit, from)| *digit = *from);
    let mut account = [0; 8];
    for (byte, pair) in account.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (pair[0] & 0x0F) << 4 | (pair[1] & 0x0F);
    }
    account
}

/// Eight decimal digits, two to a byte.
pub(super) fn packed_decimal(mut number: u32) -> [u8; 4] {
    let mut packed = [0; 4];
    for byte in packed.iter_mut().rev() {
        *byte = (number / 10 % 10) as u8 * 16 + (number % 10) as u8;
        number /= 100;
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::vectors;

    #[test]
    fn codes_are_those_of_the_worked_example() {
        let key = TestKey::parse("000102030405060708090a0b0c0d0e0f").unwrap();
        let codes = RotatingCodes::new(&key);
        let account = account(b"9999100000000010", 1);
        assert_eq!(account, [0x99, 0x10, 0, 0, 0, 0, 0x10, 0x01]);
        for (atc, un, code) in [(42, 731, 4785), (42, 732, 1598), (43, 731, 5080), (7, 5, 4422)] {
            assert_eq!(codes.code(account, 1, atc, un) % 10_000, code, "{atc} {un}");
        }
    }

    #[test]
    fn codes_are_those_of_the_vectors() {
        for vector in vectors::of("ratc_aes") {
            let codes = RotatingCodes::new(&TestKey::parse(&vector.text("bundle_key")).unwrap());
            let block = vector.bytes("derivation_block");
            let account = block[..8].try_into().unwrap();
            let number = |at: usize| u32::from_be_bytes(block[at..at + 4].try_into().unwrap());
            let un = vector.text("un_bcd").parse().unwrap();
            let code = codes.code(account, number(8), number(12) as u16, un) % 10_000;
            assert_eq!(format!("{code:04}"), vector.expected("code_4_digits"), "{}", vector.id());
        }
    }
}
