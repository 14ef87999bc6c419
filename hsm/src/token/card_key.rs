//! Keys at work: the masters on the token, and the keys of one card or one use, which are derived inside the
//! token and gone after it.

use std::ops::Deref;

use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use zeroize::Zeroizing;

use super::policy::{Cipher, Work};
use super::{Master, Token};
use crate::error::Cause;

/// A key in the token, as far as it may be used here. Its value never leaves the token.
#[derive(Clone, Copy)]
pub(crate) struct KeyInUse<'token> {
    token: &'token Token,
    handle: ObjectHandle,
    cipher: Cipher,
}

/// A derived key, which is destroyed when this is dropped, unless it is kept for the next time.
pub(crate) struct CardKey<'token> {
    key: KeyInUse<'token>,
    is_kept: bool,
}

/// What a key is made of: what its master encrypts, and how many bytes of the result are the key.
#[derive(Clone)]
pub(crate) struct Recipe {
    data: Zeroizing<[u8; 32]>,
    data_bytes: usize,
    key_bytes: usize,
}

impl Recipe {
    /// A key of 16 bytes from two blocks of 3DES or one of AES.
    pub(crate) fn sixteen(data: &[u8; 16]) -> Recipe {
        let mut both = Zeroizing::new([0; 32]);
        both[..16].copy_from_slice(data);
        Recipe { data: both, data_bytes: 16, key_bytes: 16 }
    }

    /// An AES key as long as its master: the leftmost 24 or 32 bytes of two blocks.
    pub(crate) fn longer(first: &[u8; 16], second: &[u8; 16], key_bytes: usize) -> Recipe {
        let mut recipe = Recipe::sixteen(first);
        recipe.data[16..].copy_from_slice(second);
        Recipe { data_bytes: 32, key_bytes, ..recipe }
    }

    /// What the master encrypts.
    pub(crate) fn data(&self) -> &[u8] {
        &self.data[..self.data_bytes]
    }
}

impl Token {
    /// A master key at work.
    pub(crate) fn key(&self, master: &Master) -> KeyInUse<'_> {
        KeyInUse { token: self, handle: master.handle, cipher: master.usage.cipher() }
    }

    /// Removes a session key.
    pub(super) fn destroy(&self, key: ObjectHandle) {
        // It fails only when the session is gone, and the key with it.
        let _ = self.session.destroy_object(key);
    }

    /// Has a key derived from a master.
    pub(crate) fn derive(&self, master: &Master, recipe: &Recipe, work: Work) -> Result<CardKey<'_>, Cause> {
        self.key(master).derive(recipe, work)
    }
}

impl<'token> KeyInUse<'token> {
    /// Encrypts what the recipe says and makes a key of the result, of the same cipher.
    pub(crate) fn derive(self, recipe: &Recipe, work: Work) -> Result<CardKey<'token>, Cause> {
        let KeyInUse { token, handle, cipher } = self;
        let template = derived(cipher, work, recipe.key_bytes);
        let mechanism = Work::Derive.mechanism(cipher);
        let handle = token.module.raw.derive(&token.session, handle, mechanism, recipe.data(), &template)?;
        Ok(CardKey { key: KeyInUse { token, handle, cipher }, is_kept: false })
    }

    /// Encrypts whole blocks, each by itself, into a buffer of the same length.
    pub(crate) fn encrypt(self, blocks: &[u8], out: &mut [u8]) -> Result<(), Cause> {
        self.encrypt_by(Work::Encrypt, &[], blocks, out)
    }

    /// Encrypts one block.
    pub(crate) fn encrypt_block<const BYTES: usize>(
        self,
        block: &[u8; BYTES],
    ) -> Result<Zeroizing<[u8; BYTES]>, Cause> {
        let mut out = Zeroizing::new([0; BYTES]);
        self.encrypt(block, &mut *out)?;
        Ok(out)
    }

    /// Encrypts whole blocks in a chain that begins with zeros, and returns its last block.
    pub(crate) fn chain(self, blocks: &[u8]) -> Result<Zeroizing<[u8; 8]>, Cause> {
        let mut out = Zeroizing::new(vec![0; blocks.len()]);
        self.encrypt_by(Work::Chain, &[0; 8], blocks, &mut out)?;
        let last = out.last_chunk().ok_or(Cause::WrongLength)?;
        Ok(Zeroizing::new(*last))
    }

    fn encrypt_by(self, work: Work, iv: &[u8], blocks: &[u8], out: &mut [u8]) -> Result<(), Cause> {
        let Token { session, module, .. } = self.token;
        module.raw.encrypt_init(session, work.mechanism(self.cipher), iv, self.handle)?;
        let written = module.raw.encrypt(session, blocks, out)?;
        if written == blocks.len() { Ok(()) } else { Err(Cause::WrongLength) }
    }

    /// Decrypts whole blocks of a chain that began with `iv`.
    pub(crate) fn unwrap(self, iv: &[u8], blocks: &[u8]) -> Result<Zeroizing<Vec<u8>>, Cause> {
        let Token { session, module, .. } = self.token;
        let mut out = Zeroizing::new(vec![0; blocks.len()]);
        module.raw.decrypt_init(session, Work::Unwrap.mechanism(self.cipher), iv, self.handle)?;
        let written = module.raw.decrypt(session, blocks, &mut out)?;
        if written == blocks.len() { Ok(out) } else { Err(Cause::WrongLength) }
    }

    /// The MAC of a message: CMAC of 8 bytes with 3DES and of 16 with AES (NIST SP 800-38B), HMAC-SHA-256 of 32.
    pub(crate) fn mac<const BYTES: usize>(self, message: &[u8]) -> Result<Zeroizing<[u8; BYTES]>, Cause> {
        let Token { session, module, .. } = self.token;
        let mut out = Zeroizing::new([0; BYTES]);
        module.raw.sign_init(session, Work::Mac.mechanism(self.cipher), self.handle)?;
        let written = module.raw.sign(session, message, &mut *out)?;
        if written == BYTES { Ok(out) } else { Err(Cause::WrongLength) }
    }
}

impl<'token> CardKey<'token> {
    /// A key that was kept.
    pub(super) fn kept(token: &'token Token, handle: ObjectHandle, cipher: Cipher) -> CardKey<'token> {
        CardKey { key: KeyInUse { token, handle, cipher }, is_kept: true }
    }

    /// Keeps the key in the token.
    pub(super) fn keep(mut self) -> (ObjectHandle, Cipher) {
        self.is_kept = true;
        (self.key.handle, self.key.cipher)
    }
}

impl<'token> Deref for CardKey<'token> {
    type Target = KeyInUse<'token>;

    fn deref(&self) -> &KeyInUse<'token> {
        &self.key
    }
}

impl Drop for CardKey<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.key.token.destroy(self.key.handle);
        }
    }
}

#[cfg(test)]
impl Token {
    /// A key with a value that a test gives, in place of a derived one.
    pub(crate) fn given(&self, cipher: Cipher, work: Work, value: &[u8]) -> CardKey<'_> {
        let mut template = derived(cipher, work, value.len());
        template.retain(|attribute| !matches!(attribute, Attribute::ValueLen(_)));
        template.push(Attribute::Value(value.to_vec()));
        let handle = self.session.create_object(&template).expect("a session key");
        CardKey { key: KeyInUse { token: self, handle, cipher }, is_kept: false }
    }
}

/// The attributes of a derived key. Without them a module may well make one that can be read.
pub(super) fn derived(cipher: Cipher, work: Work, key_bytes: usize) -> Vec<Attribute> {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(cipher.key_type()),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(work.encrypts()),
        Attribute::Decrypt(work.decrypts()),
        Attribute::Sign(work.signs()),
        Attribute::Verify(false),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(work.derives()),
        super::probe::allowed(work.mechanism(cipher)),
    ];
    if cipher == Cipher::Aes {
        // A 3DES key has its length from its type, and modules refuse to be told.
        template.push(Attribute::ValueLen(
            cryptoki_sys::CK_ULONG::try_from(key_bytes).expect("a short key").into(),
        ));
    }
    template
}
