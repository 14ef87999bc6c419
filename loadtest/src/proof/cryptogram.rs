//! Application cryptograms (ARQC) of a chip card, cryptogram version 18 (IAD byte 12): card key by option A, session key by
//! the EMV common derivation with the ATC, retail MAC over terminal data, ATC and issuer application data.

use des::TdesEde2;
use des::cipher::{BlockCipherEncrypt, KeyInit};

use super::key::TestKey;
use super::mac::{Padding, RetailMac};
use super::rotating::account;
use crate::clock::put_number;

/// The issuer's master key for cryptograms.
#[derive(Clone)]
pub struct Cryptograms {
    cards: CardKeys,
}

/// A master key of which those of cards are derived: option A of EMV.
#[derive(Clone)]
pub(super) struct CardKeys {
    master: TdesEde2,
}

impl CardKeys {
    pub(super) fn new(key: &TestKey) -> CardKeys {
        CardKeys { master: CardKeys::expand(key.bytes()) }
    }

    /// The key of a card: of the rightmost 16 digits of its number and sequence number.
    pub(super) fn of(&self, y: [u8; 8]) -> [u8; 16] {
        two_blocks(&self.master, y, y.map(|byte| !byte))
    }

    pub(super) fn expand(key: &[u8; 16]) -> TdesEde2 {
        TdesEde2::new(key.into())
    }
}

/// Tags of what is authenticated, in order, and the bytes of their values: amount, other amount, country, terminal
/// verification results, currency, date, transaction type, unpredictable number, interchange profile, ATC, issuer
/// application data.
const TAGS: [(&[u8], usize); 11] = [
    (&[0x9F, 0x02], 6),
    (&[0x9F, 0x03], 6),
    (&[0x9F, 0x1A], 2),
    (&[0x95], 5),
    (&[0x5F, 0x2A], 2),
    (&[0x9A], 3),
    (&[0x9C], 1),
    (&[0x9F, 0x37], 4),
    (&[0x82], 2),
    (&[0x9F, 0x36], 2),
    (&[0x9F, 0x10], 7),
];
/// Bytes of all values.
const DATA_BYTES: usize = 40;
/// Bytes of the element: tags, lengths and values, then the cryptogram and what kind it is.
pub const ELEMENT_BYTES: usize = 84;

/// What differs between two messages.
#[derive(Clone, Copy, Debug)]
pub struct Purchase<'a> {
    /// The card's number in digits.
    pub pan: &'a [u8],
    /// DE 4.
    pub amount: u64,
    /// ISO 4217 numeric, in digits.
    pub currency: [u8; 3],
    /// YYMMDD, in digits.
    pub date: &'a [u8],
    /// The first two digits of DE 3.
    pub kind: [u8; 2],
    /// The terminal's unpredictable number.
    pub un: u32,
    /// The card's transaction counter.
    pub atc: u16,
}

impl Cryptograms {
    /// Expands the master key.
    pub fn new(key: &TestKey) -> Cryptograms {
        Cryptograms { cards: CardKeys::new(key) }
    }

    /// DE 55 of a purchase.
    pub fn element(&self, purchase: &Purchase<'_>) -> [u8; ELEMENT_BYTES] {
        let data = purchase.data();
        let mut element = [0; ELEMENT_BYTES];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            element[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        let mut rest = &data[..];
        for (tag, bytes) in TAGS {
            let (value, behind) = rest.split_at(bytes);
            rest = behind;
            put(tag);
            put(&[bytes as u8]);
            put(value);
        }
        put(&[0x9F, 0x26, 8]);
        // Sequence number 00, as where a message has none.
        put(&self.cryptogram(account(purchase.pan, 0), purchase.atc, &data));
        // It asks the issuer.
        put(&[0x9F, 0x27, 1, 0x80]);
        element
    }

    fn cryptogram(&self, y: [u8; 8], atc: u16, data: &[u8]) -> [u8; 8] {
        let card = CardKeys::expand(&self.cards.of(y));
        let [high, low] = atc.to_be_bytes();
        let counter = |third: u8| [high, low, third, 0, 0, 0, 0, 0];
        RetailMac::of(&two_blocks(&card, counter(0xF0), counter(0x0F))).mac(data, Padding::OneAndZeros)
    }
}

/// A key of two blocks encrypted. Its parity bits are left as they come: DES does not look at them.
fn two_blocks(under: &TdesEde2, mut left: [u8; 8], mut right: [u8; 8]) -> [u8; 16] {
    under.encrypt_block((&mut left).into());
    under.encrypt_block((&mut right).into());
    let mut key = [0; 16];
    key[..8].copy_from_slice(&left);
    key[8..].copy_from_slice(&right);
    key
}

impl Purchase<'_> {
    /// The values that are authenticated, one behind the other.
    fn data(&self) -> [u8; DATA_BYTES] {
        let mut data = [0; DATA_BYTES];
        let mut amount = [0; 12];
        put_number(&mut amount, self.amount);
        pack(&amount, &mut data[..6]);
        data[12..14].copy_from_slice(&[0x08, 0x40]);
        data[14..19].copy_from_slice(&[0x80, 0, 0x04, 0x80, 0]);
        let [first, second, third] = self.currency;
        pack(&[b'0', first, second, third], &mut data[19..21]);
        pack(self.date, &mut data[21..24]);
        pack(&self.kind, &mut data[24..25]);
        data[25..29].copy_from_slice(&self.un.to_be_bytes());
        data[29..31].copy_from_slice(&[0x18, 0]);
        data[31..33].copy_from_slice(&self.atc.to_be_bytes());
        // Six bytes follow: derivation key, version 18, card verification results.
        data[33..].copy_from_slice(&[0x06, 0x01, 0x12, 0x03, 0xA0, 0xB8, 0]);
        data
    }
}

/// Digits, two to a byte.
fn pack(digits: &[u8], out: &mut [u8]) {
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (pair[0] & 0x0F) << 4 | (pair[1] & 0x0F);
    }
}

impl std::fmt::Debug for Cryptograms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cryptograms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::vectors::{self, hex};

    /// The worked example that pyemv documents.
    #[test]
    fn a_cryptogram_is_that_of_the_worked_example() {
        let key = TestKey::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        let purchase = Purchase {
            pan: b"1234567890123456",
            amount: 9999,
            currency: *b"840",
            date: b"991231",
            kind: *b"01",
            un: 0x52BF_4585,
            atc: 0x0FFF,
        };
        let element = Cryptograms::new(&key).element(&purchase);
        let text = hex(&element);
        assert!(text.starts_with("9F02060000000099999F03060000000000009F1A02084095058000048000"), "{text}");
        assert!(text.ends_with("9F36020FFF9F100706011203A0B8009F2608769577B5ABE9FE629F270180"), "{text}");
    }

    /// The same card key, session key and MAC, with other data.
    #[test]
    fn a_cryptogram_is_that_of_the_vector() {
        let vector = &vectors::of("arqc")[4];
        assert_eq!(vector.text("cvn"), "mastercard_cvn_0x14");
        let key = TestKey::parse(&vector.text("imk_ac")).unwrap();
        let y = account(vector.text("pan").as_bytes(), 1);
        let made = Cryptograms::new(&key).cryptogram(y, 0x01FE, &vector.bytes("mac_data"));
        assert_eq!(hex(&made), vector.expected("arqc"));
    }
}
