//! What protects the journal: a secret that never changes, for what must be recognised again, and data keys, of which the
//! newest encrypts.
//!
//! From the secret come the key of the hash that names identities and cards (the same after every start, or no repeat
//! would be recognised), and the key of card tokens. From a data key comes, with a salt of its own, the key under which
//! each segment's card numbers are encrypted (AES-256-GCM, a counter as nonce, never used twice because no segment is ever
//! continued by another process). All of them are on locked pages.
//!
//! Not here: where they come from. `wrapped` has them wrapped by a token; without one, [`Keys::read`] takes both from a
//! file that only its owner may read.

use std::path::Path;

use authorizer::event::ShardId;
use codecs::value::Pan;
use hsm::Locked;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use zeroize::{Zeroize, Zeroizing};

/// A card number in the clear: a length and up to 19 digits.
const CLEAR_BYTES: usize = 20;
const TAG_BYTES: usize = 16;
/// What the largest batch of facts has of them, and most batches of a snapshot: a buffer that grows leaves copies.
const CARDS_BYTES: usize = 64 << 10;

/// The keys of a data directory, in the clear.
pub(crate) struct Keys {
    lookup: Locked<Lookup>,
    /// By age; the newest is the last.
    data: Vec<DataKey>,
}

struct Lookup {
    root: hkdf::Prk,
    tokens: hmac::Key,
}

/// What the keys of segments are derived from.
struct DataKey {
    id: u32,
    /// Tells two of them apart and says nothing of them.
    check: [u8; 8],
    root: Locked<hkdf::Prk>,
}

impl Keys {
    /// Reads 64 hexadecimal digits from the first line of a file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text =
            Zeroizing::new(std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?);
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
        let mut key = Zeroizing::new([0; 32]);
        if line.len() != 64 || !unhex(line, &mut key[..]) {
            return Err(format!("{}: a journal key is 64 hexadecimal digits", path.display()));
        }
        Ok(Self::of(&key, &[(0, &key)]))
    }

    /// From the secret, and the data keys with their numbers, of which there is one at least.
    pub(super) fn of(lookup: &[u8; 32], data: &[(u32, &[u8; 32])]) -> Self {
        let extracted =
            |key: &[u8; 32]| hkdf::Salt::new(hkdf::HKDF_SHA256, b"signalbox journal").extract(&key[..]);
        let root = extracted(lookup);
        let tokens = hmac::Key::new(hmac::HMAC_SHA256, &derived(&root, b"card tokens")[..]);
        let data = data.iter().map(|(id, key)| {
            let root = extracted(key);
            let mut check = [0; 8];
            check.copy_from_slice(&derived(&root, b"check value")[..8]);
            DataKey { id: *id, check, root: Locked::new(root) }
        });
        Self { lookup: Locked::new(Lookup { root, tokens }), data: data.collect() }
    }

    /// Whether the system keeps all of them in memory.
    pub(crate) fn are_locked(&self) -> bool {
        self.lookup.is_locked() && self.data.iter().all(|key| key.root.is_locked())
    }

    /// The key of the hash that names identities and cards.
    pub(crate) fn of_identities(&self) -> [u8; 16] {
        let mut key = [0; 16];
        key.copy_from_slice(&derived(&self.lookup.root, b"identities")[..16]);
        key
    }

    /// What stands for a card number where it is looked up: the first half of its HMAC-SHA-256.
    pub(super) fn token(&self, pan: &Pan) -> [u8; 16] {
        let tag = hmac::sign(&self.lookup.tokens, pan.danger_clear_digits());
        let mut token = [0; 16];
        token.copy_from_slice(&tag.as_ref()[..16]);
        token
    }

    /// The number and the check of the key that encrypts from now on.
    pub(super) fn newest(&self) -> (u32, [u8; 8]) {
        self.data.last().map_or_else(Default::default, |key| (key.id, key.check))
    }

    /// What encrypts the card numbers of a new file.
    pub(super) fn for_new(&self, salt: &[u8; 32], shard: ShardId) -> Sealer {
        self.data.last().expect("one at least").of_file(salt, shard)
    }

    /// What encrypts the card numbers in the index, for one process.
    pub(super) fn for_new_index(&self, salt: &[u8; 32]) -> Sealer {
        self.data.last().expect("one at least").sealer(salt, INDEX)
    }

    /// What opens the card numbers of a file; nothing where its key is not among these.
    pub(super) fn for_old(
        &self,
        (id, check): (u32, [u8; 8]),
        salt: &[u8; 32],
        shard: ShardId,
    ) -> Option<Sealer> {
        self.data_key((id, check)).map(|key| key.of_file(salt, shard))
    }

    /// What opens those that an earlier process has put into the index.
    pub(super) fn for_old_index(&self, key: (u32, [u8; 8]), salt: &[u8; 32]) -> Option<Sealer> {
        self.data_key(key).map(|key| key.sealer(salt, INDEX))
    }

    /// Whether a data key is among these.
    pub(super) fn has(&self, key: (u32, [u8; 8])) -> bool {
        self.data_key(key).is_some()
    }

    fn data_key(&self, (id, check): (u32, [u8; 8])) -> Option<&DataKey> {
        self.data.iter().find(|key| (key.id, key.check) == (id, check))
    }
}

/// What the keys of the index are for: no file's are for the same.
const INDEX: &[u8] = b"card numbers of the index";

impl DataKey {
    fn of_file(&self, salt: &[u8; 32], shard: ShardId) -> Sealer {
        let mut info = *b"card numbers of a segment \0\0";
        info[26..].copy_from_slice(&shard.0.to_le_bytes());
        self.sealer(salt, &info)
    }

    fn sealer(&self, salt: &[u8; 32], purpose: &[u8]) -> Sealer {
        let salted = [&salt[..], purpose];
        let mut key = Zeroizing::new([0; 32]);
        let okm = self.root.expand(&salted, hkdf::HKDF_SHA256);
        okm.and_then(|okm| okm.fill(&mut key[..])).expect("HKDF gives 32 bytes");
        let key = UnboundKey::new(&AES_256_GCM, &key[..]).expect("32 bytes are a key of AES-256");
        let cards = Zeroizing::new(Vec::with_capacity(CARDS_BYTES));
        Sealer { key: Locked::new(LessSafeKey::new(key)), used: 0, cards }
    }
}

fn derived(root: &hkdf::Prk, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let okm = [purpose];
    let okm = root.expand(&okm, hkdf::HKDF_SHA256);
    okm.and_then(|okm| okm.fill(&mut key[..])).expect("HKDF gives 32 bytes");
    key
}

/// Encrypts the card numbers of one file, those of a batch together: a start opens a thousand at once.
pub(super) struct Sealer {
    key: Locked<LessSafeKey>,
    used: u64,
    /// Of the batch that is being written, in the clear.
    cards: Zeroizing<Vec<u8>>,
}

impl Sealer {
    /// Adds a card number to the batch.
    pub(super) fn put(&mut self, pan: &Pan) {
        let digits = pan.danger_clear_digits();
        let start = self.cards.len();
        self.cards.resize(start + CLEAR_BYTES, 0);
        self.cards[start] = digits.len() as u8;
        self.cards[start + 1..=start + digits.len()].copy_from_slice(digits);
    }

    /// Appends the card numbers of the batch, encrypted, behind its records:
    ///
    /// ```text
    /// numbers, encrypted   20 bytes each
    /// tag                  16 bytes
    /// counter              8 bytes, the nonce: never twice under one key
    /// how many             4 bytes; where there are none, these alone
    /// ```
    pub(super) fn close(&mut self, out: &mut Vec<u8>) {
        let count = (self.cards.len() / CLEAR_BYTES) as u32;
        if count > 0 {
            self.used += 1;
            let start = out.len();
            out.extend_from_slice(&self.cards);
            wipe(&mut self.cards);
            let text = &mut out[start..];
            let tag = self.key.seal_in_place_separate_tag(nonce(self.used), Aad::empty(), text);
            out.extend_from_slice(tag.expect("a batch is short enough").as_ref());
            out.extend_from_slice(&self.used.to_le_bytes());
        }
        out.extend_from_slice(&count.to_le_bytes());
    }

    fn open(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (text, used) = sealed.split_last_chunk::<8>()?;
        let mut clear = Zeroizing::new(text.to_vec());
        let nonce = nonce(u64::from_le_bytes(*used));
        let bytes = self.key.open_in_place(nonce, Aad::empty(), &mut clear).ok()?.len();
        clear.truncate(bytes);
        Some(clear)
    }
}

fn wipe(cards: &mut Vec<u8>) {
    cards.as_mut_slice().zeroize();
    cards.clear();
}

/// The card numbers of a batch, in the order in which its records name them.
pub(super) struct Cards {
    /// Without the key they stay closed.
    clear: Option<Zeroizing<Vec<u8>>>,
    count: usize,
    taken: usize,
}

impl Cards {
    /// Splits a batch's payload into its records and its card numbers. `None` when it is not made so, or its card numbers
    /// were not encrypted under this key, or were changed.
    pub(super) fn split<'a>(payload: &'a [u8], sealer: Option<&Sealer>) -> Option<(&'a [u8], Self)> {
        let (rest, count) = payload.split_last_chunk::<4>()?;
        let count = u32::from_le_bytes(*count) as usize;
        if count == 0 {
            return Some((rest, Self { clear: None, count, taken: 0 }));
        }
        let sealed_bytes = count.checked_mul(CLEAR_BYTES)?.checked_add(TAG_BYTES + 8)?;
        let (records, sealed) = rest.split_at_checked(rest.len().checked_sub(sealed_bytes)?)?;
        let clear = match sealer {
            Some(sealer) => Some(sealer.open(sealed)?),
            None => None,
        };
        Some((records, Self { clear, count, taken: 0 }))
    }

    /// The next one: nothing inside without the key, nothing at all when there is none.
    #[expect(clippy::option_option, reason = "absent, or not readable")]
    pub(super) fn next(&mut self) -> Option<Option<Pan>> {
        let place = self.taken;
        self.taken = place.checked_add(1).filter(|taken| *taken <= self.count)?;
        let Some(clear) = &self.clear else { return Some(None) };
        let (len, digits) = clear.get(place * CLEAR_BYTES..self.taken * CLEAR_BYTES)?.split_first()?;
        Pan::parse(digits.get(..usize::from(*len))?).map(Some)
    }

    /// Whether every one of them was named.
    pub(super) fn are_all_taken(&self) -> bool {
        self.taken == self.count
    }
}

fn nonce(used: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&used.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// As hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// From hexadecimal digits, two for each byte; false where one is none.
pub(super) fn unhex(text: &[u8], out: &mut [u8]) -> bool {
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

    pub(in crate::journal) fn keys() -> Keys {
        let path = std::env::temp_dir().join(format!(
            "signalbox-key-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&path, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n")
            .expect("a file");
        let keys = Keys::read(&path).expect("a key");
        std::fs::remove_file(path).expect("our own");
        keys
    }

    #[test]
    fn a_card_number_comes_back_under_its_own_key_only() {
        let pan = Pan::parse(b"9999600000000019").expect("a card");
        let keys = keys();
        let mut sealer = keys.for_new(&[1; 32], ShardId(0));
        let seal = |sealer: &mut Sealer| {
            let mut out = b"records".to_vec();
            sealer.put(&pan);
            sealer.put(&pan);
            sealer.close(&mut out);
            out
        };
        let (first, second) = (seal(&mut sealer), seal(&mut sealer));
        let text =
            |sealed: &[u8], nth: usize| sealed[7 + nth * CLEAR_BYTES..7 + (nth + 1) * CLEAR_BYTES].to_vec();
        assert_ne!(text(&first, 0), text(&first, 1), "two records of one card differ");
        assert_ne!(text(&first, 0), text(&second, 0), "and so do two batches");
        let open = |sealed: &[u8], sealer: &Sealer| {
            let (records, mut cards) = Cards::split(sealed, Some(sealer))?;
            assert_eq!(records, b"records");
            let pans = (cards.next()??, cards.next()??);
            assert!(cards.next().is_none() && cards.are_all_taken());
            Some(pans)
        };
        assert_eq!(open(&first, &sealer), Some((pan, pan)));
        assert_eq!(open(&second, &sealer), Some((pan, pan)));
        assert_eq!(open(&first, &keys.for_new(&[2; 32], ShardId(0))), None);
        assert_eq!(open(&first, &keys.for_new(&[1; 32], ShardId(1))), None);
        assert_eq!(open(&first, &keys.for_new_index(&[1; 32])), None);
        let (_, mut closed) = Cards::split(&first, None).expect("states are readable without the key");
        assert_eq!(closed.next(), Some(None));
        for at in 7..first.len() {
            let mut changed = first.clone();
            changed[at] ^= 1;
            assert!(Cards::split(&changed, Some(&sealer)).is_none(), "byte {at}");
        }
        assert_ne!(keys.token(&pan), keys.token(&Pan::parse(b"9999600000000027").expect("a card")));
    }

    #[test]
    fn old_files_are_opened_under_their_own_key_and_new_ones_written_under_the_newest() {
        let (lookup, old, new) = ([1; 32], [2; 32], [3; 32]);
        let before = Keys::of(&lookup, &[(1, &old)]);
        let after = Keys::of(&lookup, &[(1, &old), (2, &new)]);
        assert_eq!(before.of_identities(), after.of_identities());
        assert_eq!((before.newest().0, after.newest().0), (1, 2));
        assert!(after.for_old(before.newest(), &[0; 32], ShardId(0)).is_some());
        assert!(before.for_old(after.newest(), &[0; 32], ShardId(0)).is_none());
        assert!(after.for_old_index(before.newest(), &[0; 32]).is_some());
        assert!(after.has(before.newest()) && !before.has(after.newest()));
        let other = Keys::of(&lookup, &[(1, &new)]);
        assert!(
            other.for_old(before.newest(), &[0; 32], ShardId(0)).is_none(),
            "the same number, another key"
        );
    }
}
