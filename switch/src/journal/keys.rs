//! What protects the journal: one master key from a file that only its owner may read, and what is derived from it.
//!
//! The master key encrypts nothing itself. From it come the key of the hash that names identities and cards (the same
//! after every start, or no repeat would be recognised), the key of card tokens, and, with a salt of its own, the key
//! under which each segment's card numbers are encrypted (AES-256-GCM, a counter as nonce, never used twice because
//! no segment is ever continued by another process).

use std::path::Path;

use authorizer::event::ShardId;
use codecs::value::Pan;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

/// Bytes of a sealed card number: its nonce's counter, length and digits, and the tag.
pub(super) const SEALED_BYTES: usize = 8 + CLEAR_BYTES + 16;
/// A length and up to 19 digits.
const CLEAR_BYTES: usize = 20;

/// The key of a data directory.
pub(crate) struct MasterKey {
    root: hkdf::Prk,
    tokens: hmac::Key,
    check: [u8; 8],
}

impl MasterKey {
    /// Reads 64 hexadecimal digits from the first line of a file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text =
            Zeroizing::new(std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?);
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
        let mut key = Zeroizing::new([0; 32]);
        if line.len() != 64 || !unhex(line, &mut key[..]) {
            return Err(format!("{}: a journal key is 64 hexadecimal digits", path.display()));
        }
        Ok(Self::of(&key))
    }

    /// From the key itself.
    pub(super) fn of(key: &[u8; 32]) -> Self {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"signalbox journal").extract(&key[..]);
        let tokens = hmac::Key::new(hmac::HMAC_SHA256, &derived(&root, b"card tokens")[..]);
        let mut check = [0; 8];
        check.copy_from_slice(&derived(&root, b"check value")[..8]);
        Self { root, tokens, check }
    }

    /// The key of the hash that names identities and cards.
    pub(crate) fn of_identities(&self) -> [u8; 16] {
        let mut key = [0; 16];
        key.copy_from_slice(&derived(&self.root, b"identities")[..16]);
        key
    }

    /// Tells two master keys apart and says nothing of them.
    pub(super) fn check(&self) -> [u8; 8] {
        self.check
    }

    /// What stands for a card number where it is looked up: the first half of its HMAC-SHA-256.
    pub(super) fn token(&self, pan: &Pan) -> [u8; 16] {
        let tag = hmac::sign(&self.tokens, pan.danger_clear_digits());
        let mut token = [0; 16];
        token.copy_from_slice(&tag.as_ref()[..16]);
        token
    }

    /// The key of one segment's card numbers.
    pub(super) fn of_segment(&self, salt: &[u8; 32], shard: ShardId) -> Sealer {
        let mut info = *b"card numbers of a segment \0\0";
        info[26..].copy_from_slice(&shard.0.to_le_bytes());
        let salted = [&salt[..], &info[..]];
        let mut key = Zeroizing::new([0; 32]);
        let okm = self.root.expand(&salted, hkdf::HKDF_SHA256);
        okm.and_then(|okm| okm.fill(&mut key[..])).expect("HKDF gives 32 bytes");
        let key = UnboundKey::new(&AES_256_GCM, &key[..]).expect("32 bytes are a key of AES-256");
        Sealer { key: LessSafeKey::new(key), used: 0 }
    }
}

fn derived(root: &hkdf::Prk, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let okm = [purpose];
    let okm = root.expand(&okm, hkdf::HKDF_SHA256);
    okm.and_then(|okm| okm.fill(&mut key[..])).expect("HKDF gives 32 bytes");
    key
}

/// Encrypts the card numbers of one segment.
pub(super) struct Sealer {
    key: LessSafeKey,
    used: u64,
}

impl Sealer {
    /// A card number, encrypted.
    pub(super) fn seal(&mut self, pan: &Pan) -> [u8; SEALED_BYTES] {
        self.used += 1;
        let digits = pan.danger_clear_digits();
        let mut clear = Zeroizing::new([0; CLEAR_BYTES]);
        clear[0] = digits.len() as u8;
        clear[1..=digits.len()].copy_from_slice(digits);
        let mut sealed = [0; SEALED_BYTES];
        sealed[..8].copy_from_slice(&self.used.to_le_bytes());
        let (_, text) = sealed.split_at_mut(8);
        let (text, tag) = text.split_at_mut(CLEAR_BYTES);
        text.copy_from_slice(&clear[..]);
        let made = self.key.seal_in_place_separate_tag(nonce(self.used), Aad::empty(), text);
        tag.copy_from_slice(made.expect("20 bytes can be encrypted").as_ref());
        sealed
    }

    /// A card number in the clear; `None` when it was not encrypted under this key, or was changed.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Pan> {
        let (used, text) = sealed.split_first_chunk::<8>()?;
        let mut text = Zeroizing::new(<[u8; CLEAR_BYTES + 16]>::try_from(text).ok()?);
        let clear =
            self.key.open_in_place(nonce(u64::from_le_bytes(*used)), Aad::empty(), &mut text[..]).ok()?;
        Pan::parse(clear.get(1..=usize::from(*clear.first()?))?)
    }
}

fn nonce(used: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&used.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn unhex(text: &[u8], out: &mut [u8]) -> bool {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.chunks_exact(2).zip(out).all(|(pair, byte)| match (digit(pair[0]), digit(pair[1])) {
        (Some(high), Some(low)) => {
            *byte = (high * 16 + low) as u8;
            true
        }
        _ => false,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::journal) fn master() -> MasterKey {
        let path = std::env::temp_dir().join(format!(
            "signalbox-key-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&path, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n")
            .expect("a file");
        let master = MasterKey::read(&path).expect("a key");
        std::fs::remove_file(path).expect("our own");
        master
    }

    #[test]
    fn a_card_number_comes_back_under_its_own_key_only() {
        let pan = Pan::parse(b"9999600000000019").expect("a card");
        let master = master();
        let mut sealer = master.of_segment(&[1; 32], ShardId(0));
        let (first, second) = (sealer.seal(&pan), sealer.seal(&pan));
        assert_ne!(first, second, "two records of one card differ");
        assert_eq!((sealer.open(&first), sealer.open(&second)), (Some(pan), Some(pan)));
        assert_eq!(master.of_segment(&[2; 32], ShardId(0)).open(&first), None);
        assert_eq!(master.of_segment(&[1; 32], ShardId(1)).open(&first), None);
        for at in 0..SEALED_BYTES {
            let mut changed = first;
            changed[at] ^= 1;
            assert_eq!(sealer.open(&changed), None);
        }
        assert_ne!(master.token(&pan), master.token(&Pan::parse(b"9999600000000027").expect("a card")));
    }
}
