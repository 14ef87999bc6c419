//! The token at rest: who it is in the clear, its keys encrypted under a key that each PIN opens.
//!
//! AES-256-GCM throughout; a PIN becomes a key by PBKDF2-HMAC-SHA256. Whoever has the file can try PINs, as fast as
//! that function goes: this is a development token.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use cryptoki_sys::{CK_OBJECT_HANDLE, CK_RV, CKR_DEVICE_ERROR, CKR_PIN_INCORRECT};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::object::Object;

/// The key that the token's keys are encrypted under.
pub(crate) type DataKey = Zeroizing<[u8; 32]>;
/// Keys by their handles.
pub(crate) type Objects = BTreeMap<CK_OBJECT_HANDLE, Object>;

/// A token at rest.
pub(crate) struct Image {
    pub(crate) label: [u8; 32],
    pub(crate) serial: [u8; 16],
    /// Counts the changes, so that another process's change is noticed.
    pub(crate) generation: u64,
    /// The handle of the next key; none comes twice.
    pub(crate) next_object: u64,
    officer: Envelope,
    user: Option<Envelope>,
    keys: Vec<u8>,
}

/// The data key, encrypted under a PIN.
struct Envelope {
    salt: [u8; 16],
    sealed: Vec<u8>,
}

impl Image {
    /// A token without keys, and without a user.
    pub(crate) fn new(label: [u8; 32], officer_pin: &[u8]) -> Result<(Image, DataKey), CK_RV> {
        let mut key = DataKey::default();
        fill_random(&mut *key)?;
        let mut number = [0; 8];
        fill_random(&mut number)?;
        let mut serial = [0; 16];
        for (digits, byte) in serial.chunks_exact_mut(2).zip(number) {
            digits.copy_from_slice(
                &[byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]),
            );
        }
        let officer = Envelope::seal(officer_pin, &key)?;
        let keys = seal(&key, &written(&Objects::new()))?;
        Ok((Image { label, serial, generation: 1, next_object: 1, officer, user: None, keys }, key))
    }

    pub(crate) fn has_user(&self) -> bool {
        self.user.is_some()
    }

    /// The data key, for who knows the officer's PIN.
    pub(crate) fn open_as_officer(&self, pin: &[u8]) -> Result<DataKey, CK_RV> {
        self.officer.open(pin)
    }

    /// The data key, for who knows the user's PIN; none where there is no user.
    pub(crate) fn open_as_user(&self, pin: &[u8]) -> Option<Result<DataKey, CK_RV>> {
        self.user.as_ref().map(|user| user.open(pin))
    }

    pub(crate) fn set_user_pin(&mut self, pin: &[u8], key: &DataKey) -> Result<(), CK_RV> {
        self.user = Some(Envelope::seal(pin, key)?);
        Ok(())
    }

    pub(crate) fn set_officer_pin(&mut self, pin: &[u8], key: &DataKey) -> Result<(), CK_RV> {
        self.officer = Envelope::seal(pin, key)?;
        Ok(())
    }

    /// The keys on the token.
    pub(crate) fn objects(&self, key: &DataKey) -> Result<Objects, CK_RV> {
        let clear = open(key, &self.keys).ok_or(CKR_DEVICE_ERROR)?;
        read(&clear).ok_or(CKR_DEVICE_ERROR)
    }

    pub(crate) fn set_objects(&mut self, objects: &Objects, key: &DataKey) -> Result<(), CK_RV> {
        self.keys = seal(key, &written(objects))?;
        Ok(())
    }

    /// Reads one; none where the bytes are no token.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Image> {
        let mut reader = Reader(bytes.strip_prefix(MAGIC)?);
        let (label, serial) = (reader.array()?, reader.array()?);
        let (generation, next_object) = (reader.number()?, reader.number()?);
        let officer = Envelope { salt: reader.array()?, sealed: reader.bytes()?.to_vec() };
        let user = Envelope { salt: reader.array()?, sealed: reader.bytes()?.to_vec() };
        let user = (!user.sealed.is_empty()).then_some(user);
        let keys = reader.bytes()?.to_vec();
        reader.0.is_empty().then_some(Image { label, serial, generation, next_object, officer, user, keys })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.label);
        out.extend_from_slice(&self.serial);
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(&self.next_object.to_be_bytes());
        let nobody = Envelope { salt: [0; 16], sealed: Vec::new() };
        for envelope in [&self.officer, self.user.as_ref().unwrap_or(&nobody)] {
            out.extend_from_slice(&envelope.salt);
            put(&mut out, &envelope.sealed);
        }
        put(&mut out, &self.keys);
        out
    }
}

impl Envelope {
    fn seal(pin: &[u8], key: &DataKey) -> Result<Envelope, CK_RV> {
        let mut salt = [0; 16];
        fill_random(&mut salt)?;
        Ok(Envelope { salt, sealed: seal(&stretched(pin, &salt), &**key)? })
    }

    fn open(&self, pin: &[u8]) -> Result<DataKey, CK_RV> {
        let clear = open(&stretched(pin, &self.salt), &self.sealed).ok_or(CKR_PIN_INCORRECT)?;
        clear.as_slice().try_into().map(Zeroizing::new).map_err(|_| CKR_DEVICE_ERROR)
    }
}

fn stretched(pin: &[u8], salt: &[u8]) -> DataKey {
    let mut key = DataKey::default();
    pbkdf2::derive(PBKDF2_HMAC_SHA256, ROUNDS, salt, pin, &mut *key);
    key
}

fn seal(key: &DataKey, clear: &[u8]) -> Result<Vec<u8>, CK_RV> {
    let mut nonce = [0; 12];
    fill_random(&mut nonce)?;
    let mut sealed = nonce.to_vec();
    let mut body = Zeroizing::new(Vec::with_capacity(clear.len() + 16));
    body.extend_from_slice(clear);
    let aead = aead(key)?;
    let tag =
        aead.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(MAGIC), &mut body);
    sealed.extend_from_slice(&body);
    sealed.extend_from_slice(tag.map_err(|_| CKR_DEVICE_ERROR)?.as_ref());
    Ok(sealed)
}

fn open(key: &DataKey, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_first_chunk::<12>()?;
    let mut body = Zeroizing::new(body.to_vec());
    let aead = aead(key).ok()?;
    let clear =
        aead.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(MAGIC), &mut body).ok()?.len();
    body.truncate(clear);
    Some(body)
}

fn aead(key: &DataKey) -> Result<LessSafeKey, CK_RV> {
    UnboundKey::new(&AES_256_GCM, &**key).map(LessSafeKey::new).map_err(|_| CKR_DEVICE_ERROR)
}

/// Random bytes of the operating system.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), CK_RV> {
    SystemRandom::new().fill(bytes).map_err(|_| CKR_DEVICE_ERROR)
}

fn written(objects: &Objects) -> Zeroizing<Vec<u8>> {
    let of = |object: &Object| {
        let attributes = object.attributes.values().map(|value| 16 + value.len()).sum::<usize>();
        32 + attributes + object.value.len()
    };
    // In one piece from the start: what grows leaves copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(objects.values().map(of).sum()));
    for (handle, object) in objects {
        out.extend_from_slice(&handle.to_be_bytes());
        out.extend_from_slice(&(object.attributes.len() as u64).to_be_bytes());
        for (number, value) in &object.attributes {
            out.extend_from_slice(&number.to_be_bytes());
            put(&mut out, value);
        }
        put(&mut out, &object.value);
    }
    out
}

fn read(bytes: &[u8]) -> Option<Objects> {
    let (mut reader, mut objects) = (Reader(bytes), Objects::new());
    while !reader.0.is_empty() {
        let (handle, count) = (reader.number()?, reader.number()?);
        let attribute = |_| Some((reader.number()?, reader.bytes()?.to_vec()));
        let attributes = (0..count).map(attribute).collect::<Option<_>>()?;
        let value = Zeroizing::new(reader.bytes()?.to_vec());
        objects.insert(handle, Object { attributes, value, owner: None });
    }
    Some(objects)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    out.extend_from_slice(bytes);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }
}

const MAGIC: &[u8] = b"signalbox devtoken 1\n";
const ROUNDS: NonZeroU32 = NonZeroU32::new(20_000).expect("not zero");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_for_who_knows_a_pin_and_for_nobody_else() {
        let (mut image, key) = Image::new([b' '; 32], b"9999").expect("a token");
        image.set_user_pin(b"4711", &key).expect("a user");
        let bytes = image.to_bytes();
        let image = Image::parse(&bytes).expect("the same");
        assert!(image.open_as_officer(b"9999").is_ok_and(|opened| opened == key));
        assert!(image.open_as_user(b"4711").expect("a user").is_ok_and(|opened| opened == key));
        assert_eq!(image.open_as_user(b"4712").expect("a user").err(), Some(CKR_PIN_INCORRECT));
        for cut in 0..bytes.len() {
            assert!(Image::parse(&bytes[..cut]).is_none(), "{cut}");
        }
    }
}
