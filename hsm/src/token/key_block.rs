//! Key blocks: a key with what it may be used for, protected by another (ANSI X9.143, formerly TR-31). Versions B (3DES) and D
//! (AES); the older A and C protect no more than a variant of the key and are refused.
//!
//! The keys that encrypt and authenticate the block are derived from the protection key in the token: what is seen of
//! them here is one block of zeros under it. The key in the block is in this process's memory between decryption and
//! import, because PKCS#11 has no mechanism that unwraps such blocks. This is the work of custodians, not of the
//! running switch.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::card_key::Recipe;
use super::policy::{Cipher, Usage, Work};
use super::{Master, Token};
use crate::error::Cause;
use crate::secret::Secret;

/// What a key block says of its key, in the clear and authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    version: Version,
    usage: [u8; 2],
    algorithm: u8,
    mode: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    B,
    D,
}

impl Version {
    fn cipher(self) -> Cipher {
        match self {
            Version::B => Cipher::TripleDes,
            Version::D => Cipher::Aes,
        }
    }
}

/// A key block, taken apart.
struct KeyBlock<'a> {
    header: Header,
    /// Header and optional blocks, as the MAC covers them.
    covered: &'a [u8],
    encrypted: Vec<u8>,
    mac: Vec<u8>,
}

/// Why a key block is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyBlockError {
    /// Not a key block: what is wrong with it.
    Malformed(&'static str),
    /// Of another version than B or D.
    Version(char),
    /// The protection key is not of the cipher of the version.
    OtherProtection,
    /// The block says that its key is for something else.
    OtherUse {
        /// Usage, algorithm and mode as they stand there.
        found: String,
    },
    /// Keys of this use do not come in key blocks.
    NotInBlocks,
    /// It was changed, or protected by another key.
    WrongMac,
    /// The token did not answer.
    Token(Cause),
}

impl From<Cause> for KeyBlockError {
    fn from(cause: Cause) -> KeyBlockError {
        KeyBlockError::Token(cause)
    }
}

/// The key in a block, if the block is sound and its key is for this use.
pub(crate) fn unwrap(
    token: &Token,
    protection: &Master,
    usage: Usage,
    text: &[u8],
) -> Result<Secret, KeyBlockError> {
    let block = parse(text)?;
    if protection.usage.cipher() != block.header.version.cipher() {
        return Err(KeyBlockError::OtherProtection);
    }
    admits(usage, block.header)?;
    let clear = decrypt(token, protection, &block)?;
    let bits = usize::from(u16::from_be_bytes([clear[0], clear[1]]));
    let key = clear.get(2..2 + bits / 8).filter(|key| bits.is_multiple_of(8) && !key.is_empty());
    key.map(|key| Secret::new(key.to_vec())).ok_or(KeyBlockError::Malformed("the length of its key"))
}

fn decrypt(
    token: &Token,
    protection: &Master,
    block: &KeyBlock<'_>,
) -> Result<Zeroizing<Vec<u8>>, KeyBlockError> {
    let subkeys = Subkeys::of(token, protection)?;
    let encrypts = token.derive(protection, &subkeys.recipe(protection.key_bytes, 0), Work::Unwrap)?;
    let signs = token.derive(protection, &subkeys.recipe(protection.key_bytes, 1), Work::Mac)?;
    let clear = encrypts.in_use().unwrap(&block.mac, &block.encrypted)?;
    let mut message = Zeroizing::new(block.covered.to_vec());
    message.extend_from_slice(&clear);
    let is_right = match block.header.version {
        Version::B => signs.in_use().mac::<8>(&message)?.ct_eq(&block.mac),
        Version::D => signs.in_use().mac::<16>(&message)?.ct_eq(&block.mac),
    };
    if bool::from(is_right) { Ok(clear) } else { Err(KeyBlockError::WrongMac) }
}

/// What CMAC adds to the last block of a message (NIST SP 800-38B), so that a CMAC of one block is one encryption, and can be made
/// a key inside the token.
struct Subkeys {
    cipher: Cipher,
    /// For a message that fills its block; and for one that does not.
    whole: Zeroizing<Vec<u8>>,
    short: Zeroizing<Vec<u8>>,
}

impl Subkeys {
    fn of(token: &Token, protection: &Master) -> Result<Subkeys, Cause> {
        let cipher = protection.usage.cipher();
        let bytes = cipher.block_bytes();
        let mut zeros = Zeroizing::new(vec![0; bytes]);
        token.key(protection).encrypt(&vec![0; bytes], &mut zeros)?;
        let whole = doubled(&zeros);
        let short = doubled(&whole);
        Ok(Subkeys { cipher, whole, short })
    }

    /// What the protection key encrypts to make the key that encrypts (purpose 0) or authenticates (1) a block.
    fn recipe(&self, key_bytes: usize, purpose: u8) -> Recipe {
        let algorithm = match (self.cipher, key_bytes) {
            (Cipher::Aes, 16) => 2,
            (Cipher::Aes, 24) => 3,
            (Cipher::Aes, _) => 4,
            _ => 0,
        };
        let [high, low] = u16::try_from(key_bytes * 8).unwrap_or_default().to_be_bytes();
        let input = |counter| [counter, 0, purpose, 0, 0, algorithm, high, low];
        let mut blocks = [[0; 16]; 2];
        match self.cipher {
            Cipher::Aes => {
                for (block, counter) in blocks.iter_mut().zip(1..) {
                    block[..8].copy_from_slice(&input(counter));
                    block[8] = 0x80;
                    add(block, &self.short);
                }
            }
            _ => {
                for (half, counter) in blocks[0].chunks_exact_mut(8).zip(1..) {
                    half.copy_from_slice(&input(counter));
                    add(half, &self.whole);
                }
            }
        }
        if key_bytes == 16 {
            Recipe::sixteen(&blocks[0])
        } else {
            Recipe::longer(&blocks[0], &blocks[1], key_bytes)
        }
    }
}

/// Multiplied by x in the field of the cipher's block.
fn doubled(block: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut doubled = Zeroizing::new(vec![0; block.len()]);
    let mut carry = 0;
    for (byte, from) in doubled.iter_mut().zip(block).rev() {
        *byte = from << 1 | carry;
        carry = from >> 7;
    }
    let polynomial = if block.len() == 16 { 0x87 } else { 0x1B };
    if let Some(last) = doubled.last_mut() {
        *last ^= polynomial * carry;
    }
    doubled
}

fn add(block: &mut [u8], other: &[u8]) {
    block.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
}

fn parse(text: &[u8]) -> Result<KeyBlock<'_>, KeyBlockError> {
    let malformed = KeyBlockError::Malformed;
    let header: &[u8; 16] = text.first_chunk().ok_or(malformed("shorter than its header"))?;
    let version = match header[0] {
        b'B' => Version::B,
        b'D' => Version::D,
        other => return Err(KeyBlockError::Version(char::from(other))),
    };
    if number(&header[1..5]) != Some(text.len()) {
        return Err(malformed("its length is not the one it says"));
    }
    if &header[14..] != b"00" {
        return Err(malformed("its reserved digits are not 00"));
    }
    let optional = number(&header[12..14]).ok_or(malformed("its number of optional blocks"))?;
    let end = end_of_optional(text, optional).ok_or(malformed("an optional block"))?;
    let block_bytes = version.cipher().block_bytes();
    let (covered, hexadecimal) = text.split_at(end);
    let bytes = bytes(hexadecimal).ok_or(malformed("not hexadecimal digits"))?;
    let split = bytes.len().checked_sub(block_bytes).filter(|bytes| *bytes > 0);
    let (encrypted, mac) = bytes.split_at(split.ok_or(malformed("no key"))?);
    if !encrypted.len().is_multiple_of(block_bytes) {
        return Err(malformed("no whole blocks"));
    }
    let header = Header { version, usage: [header[5], header[6]], algorithm: header[7], mode: header[8] };
    Ok(KeyBlock { header, covered, encrypted: encrypted.to_vec(), mac: mac.to_vec() })
}

/// Where the optional blocks end. Each says its length, itself included; long ones (of 256 and more) are not taken.
fn end_of_optional(text: &[u8], count: usize) -> Option<usize> {
    let mut at = 16;
    for _ in 0..count {
        let length = text.get(at + 2..at + 4)?;
        let length = usize::from_str_radix(std::str::from_utf8(length).ok()?, 16).ok()?;
        at = at.checked_add((length >= 4).then_some(length)?).filter(|at| *at <= text.len())?;
    }
    Some(at)
}

fn number(digits: &[u8]) -> Option<usize> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()))?;
    digits.parse().ok()
}

fn bytes(hexadecimal: &[u8]) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !hexadecimal.len().is_multiple_of(2) {
        return None;
    }
    hexadecimal.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Whether a block with this header holds a key for this use. Mode N sets no limit beside the usage.
fn admits(usage: Usage, header: Header) -> Result<(), KeyBlockError> {
    let (wanted, algorithm, modes) = wanted(usage).ok_or(KeyBlockError::NotInBlocks)?;
    if header.usage == *wanted && header.algorithm == algorithm && modes.contains(&header.mode) {
        return Ok(());
    }
    let found = [header.usage[0], header.usage[1], b' ', header.algorithm, b' ', header.mode];
    Err(KeyBlockError::OtherUse { found: String::from_utf8_lossy(&found).into_owned() })
}

/// Usage, algorithm and modes of the keys of a use. The usages of digits are the ones that the standard leaves to
/// those who need their own: 10 private counters, 11 account keys of responses, 12 pepper.
fn wanted(usage: Usage) -> Option<(&'static [u8; 2], u8, &'static [u8])> {
    Some(match usage {
        Usage::CardVerification => (b"C0", b'T', b"CGVN"),
        Usage::Cvc3Master => (b"E4", b'T', b"XN"),
        Usage::DynamicCvvMaster => (b"E6", b'T', b"XN"),
        Usage::CryptogramMaster => (b"E0", b'T', b"XN"),
        Usage::AesCryptogramMaster => (b"E0", b'A', b"XN"),
        Usage::CounterMaster => (b"10", b'A', b"X"),
        Usage::ExposedCounterMaster => (b"10", b'A', b"E"),
        Usage::ExposedCvc3Master => (b"E4", b'T', b"E"),
        Usage::ExposedDynamicCvvMaster => (b"E6", b'T', b"E"),
        Usage::ExposedCryptogramMaster => (b"E0", b'T', b"E"),
        Usage::ExposedAesCryptogramMaster => (b"E0", b'A', b"E"),
        Usage::ExposedResponseMaster => (b"11", b'A', b"E"),
        Usage::ResponseMaster => (b"11", b'A', b"X"),
        Usage::ResponsePepper => (b"12", b'A', b"E"),
        Usage::ResponseHmac => (b"M7", b'H', b"CN"),
        Usage::PinIn => (b"P0", b'T', b"DB"),
        Usage::PinOut => (b"P0", b'T', b"EB"),
        Usage::AesPinIn => (b"P0", b'A', b"DB"),
        Usage::AesPinOut => (b"P0", b'A', b"EB"),
        Usage::MacAlgorithm3 => (b"M3", b'T', b"CN"),
        Usage::MacTripleDes => (b"M6", b'T', b"CN"),
        Usage::MacAes => (b"M6", b'A', b"CN"),
        // Made of another key; or by the token itself, for nobody else; or handed over by components, as the first key between two parties must be.
        Usage::CardVerificationLeft
        | Usage::MacAlgorithm3Left
        | Usage::JournalKeys
        | Usage::KeyBlockProtection
        | Usage::AesKeyBlockProtection => return None,
    })
}

impl fmt::Display for KeyBlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyBlockError::Malformed(what) => write!(f, "not a key block: {what}"),
            KeyBlockError::Version(version) => write!(f, "a key block of version {version:?}, not B or D"),
            KeyBlockError::OtherProtection => {
                f.write_str("version B is protected by a key of 3DES, version D by one of AES")
            }
            KeyBlockError::OtherUse { found } => {
                write!(f, "the block says that its key is for something else: {found}")
            }
            KeyBlockError::NotInBlocks => f.write_str("keys of this use do not come in key blocks"),
            KeyBlockError::WrongMac => f.write_str("the block was changed, or another key protects it"),
            KeyBlockError::Token(cause) => write!(f, "the token refuses: {cause}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{CheckValue, KeySpec};
    use crate::tokens::{self, LABEL, PIN, hex, vectors};
    use cryptoki::object::{Attribute, KeyType};

    const BLOCK: &str =
        "B0096P0TE00E0000AD65928873D2DCA89EB096B6ABC359100EF21D113C0BF5559EC245A5AE09C6933D5126B73195B26F";

    #[test]
    fn every_vector() {
        tokens::run("token::key_block::tests::every_vector", |hsm| {
            let token = Token::open(&hsm.module, LABEL, &Secret::from(PIN.to_owned())).expect("a token");
            for vector in vectors("tr31_unwrap") {
                let (block, kbpk) = (vector.input("key_block"), hex(vector.input("kbpk")));
                let is_aes = block.starts_with('D');
                let (key_type, mechanisms, protects) = if is_aes {
                    (KeyType::AES, [0x1081, 0x1104], Usage::AesKeyBlockProtection)
                } else {
                    (KeyType::DES2, [0x132, 0x1102], Usage::KeyBlockProtection)
                };
                let template = tokens::key(vector.id(), &kbpk, key_type, Attribute::Encrypt(true), 0);
                let template = tokens::but(template, Attribute::Derive(true));
                let template = tokens::but(template, tokens::allowed(&mechanisms));
                let check_value = CheckValue(hsm.create(&template));
                let spec = KeySpec { label: vector.id().to_owned(), check_value, danger_modifiable: false };
                let protection = token.load(&spec, protects).expect("a protection key");
                let usage = match &block[5..9] {
                    "P0TE" => Usage::PinOut,
                    "P0AE" => Usage::AesPinOut,
                    "M6AC" => Usage::MacAes,
                    "C0TC" | "V0TC" => Usage::CardVerification,
                    other => panic!("{other}"),
                };
                if vector.expected(&["error"]).is_string() {
                    let refused = unwrap(&token, &protection, usage, block.as_bytes()).err();
                    assert!(matches!(refused, Some(KeyBlockError::OtherUse { .. })), "{refused:?}");
                    // And would be without its header's own word.
                    let parsed = parse(block.as_bytes()).expect("a block");
                    assert_eq!(decrypt(&token, &protection, &parsed).err(), Some(KeyBlockError::WrongMac));
                    continue;
                }
                let key = unwrap(&token, &protection, usage, block.as_bytes()).expect("a key");
                assert_eq!(key.danger_clear_bytes(), hex(vector.text("key")), "{}", vector.id());
                let parsed = parse(block.as_bytes()).expect("a block");
                let clear = decrypt(&token, &protection, &parsed).expect("clear data");
                assert_eq!(*clear, hex(vector.text("clear_key_data")), "{}", vector.id());
                derived_are(&token, &protection, (vector.text("kbek"), vector.text("kbmk")));
                // Not for another use, and not with any character changed.
                let other = unwrap(&token, &protection, Usage::CounterMaster, block.as_bytes()).err();
                assert!(matches!(other, Some(KeyBlockError::OtherUse { .. })), "{other:?}");
                for at in [9, 11, 16, block.len() / 2, block.len() - 1] {
                    let mut changed = block.as_bytes().to_vec();
                    changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
                    let refused = unwrap(&token, &protection, usage, &changed).err();
                    assert_eq!(refused, Some(KeyBlockError::WrongMac), "{}: {at}", vector.id());
                }
            }
        });
    }

    /// KBEK and KBMK are the vector's, told by what they make of zeros.
    fn derived_are(token: &Token, protection: &Master, (kbek, kbmk): (&str, &str)) {
        let subkeys = Subkeys::of(token, protection).expect("subkeys");
        for (purpose, known) in [(0, kbek), (1, kbmk)] {
            let recipe = subkeys.recipe(protection.key_bytes, purpose);
            let made = token.derive(protection, &recipe, Work::Encrypt).expect("a key");
            let cipher = protection.usage.cipher();
            let given = token.given(cipher, Work::Encrypt, &hex(known));
            let [made, given] = [&made, &given].map(|key| {
                let mut out = vec![0; cipher.block_bytes()];
                key.in_use().encrypt(&vec![0; cipher.block_bytes()], &mut out).expect("a block");
                out
            });
            assert_eq!(made, given);
        }
    }

    #[test]
    fn what_is_no_key_block() {
        let flaw = |text: &str| match parse(text.as_bytes()).err() {
            Some(KeyBlockError::Malformed(what)) => what,
            other => panic!("{text}: {other:?}"),
        };
        assert!(parse(BLOCK.as_bytes()).is_ok());
        assert_eq!(flaw("B0096P0TE"), "shorter than its header");
        assert_eq!(flaw(&BLOCK[..94]), "its length is not the one it says");
        assert_eq!(flaw(&BLOCK.replace("E0000AD", "E0001AD")), "its reserved digits are not 00");
        assert_eq!(flaw(&BLOCK.replace("E0000AD", "E0100AD")), "an optional block");
        assert_eq!(flaw(&BLOCK.replace("B26F", "B26G")), "not hexadecimal digits");
        assert_eq!(flaw("B0016P0TE00E0000"), "no key");
        assert_eq!(flaw("B0034P0TE00E0000AD65928873D2DCA89E"), "no whole blocks");
        for version in ["A", "C", "X", "b"] {
            let other = BLOCK.replacen('B', version, 1);
            let refused = parse(other.as_bytes()).err();
            assert_eq!(refused, Some(KeyBlockError::Version(version.chars().next().expect("one"))));
        }
    }

    #[test]
    fn optional_blocks_are_passed_over() {
        // Two of them, of 4 and 8 characters.
        let text = "B0108P0TE00E0200KS04KC080011AD65928873D2DCA89EB096B6ABC359100EF21D113C0BF5559EC245A5AE09C6933D5126B73195B26F";
        let parsed = parse(text.as_bytes()).expect("a block");
        assert_eq!(parsed.covered.len(), 28);
        assert!(parse(text.replace("KC08", "KCFF").as_bytes()).is_err());
        assert!(parse(text.replace("KC08", "KC00").as_bytes()).is_err());
    }
}
