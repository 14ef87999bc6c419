//! Keys at work: the masters on the token, and the keys of one card or one use, which are derived inside the
//! token and gone after it; or seen here, where that is allowed.

use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use zeroize::Zeroizing;

use super::policy::{Cipher, Work};
use super::seen::SeenKey;
use super::{Master, Token};
use crate::error::Cause;

/// A key, as far as it may be used here.
#[derive(Clone, Copy)]
pub(crate) enum KeyInUse<'key> {
    /// In the token, which its value never leaves.
    Held(HeldKey<'key>),
    /// In this process.
    Seen(&'key SeenKey),
}

/// A key in the token.
#[derive(Clone, Copy)]
pub(crate) struct HeldKey<'token> {
    token: &'token Token,
    handle: ObjectHandle,
    cipher: Cipher,
}

/// A key of a card or of a purchase.
pub(crate) enum CardKey<'token> {
    /// Derived in the token.
    Derived(Derived<'token>),
    /// Made by the token, and told.
    Seen(SeenKey),
}

/// A derived key, which is destroyed when this is dropped, unless it is kept for the next time.
pub(crate) struct Derived<'token> {
    key: HeldKey<'token>,
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

    /// The key that comes of it, where whoever encrypts tells what came out.
    pub(super) fn seen(
        &self,
        cipher: Cipher,
        encrypt: impl FnOnce(&[u8], &mut [u8]) -> Result<(), Cause>,
    ) -> Result<SeenKey, Cause> {
        let mut made = Zeroizing::new([0; 32]);
        encrypt(self.data(), &mut made[..self.data_bytes])?;
        SeenKey::new(cipher, &made[..self.key_bytes])
    }
}

impl Token {
    /// A master key at work.
    pub(crate) fn key(&self, master: &Master) -> KeyInUse<'_> {
        KeyInUse::Held(self.held(master))
    }

    fn held(&self, master: &Master) -> HeldKey<'_> {
        HeldKey { token: self, handle: master.handle, cipher: master.usage.cipher() }
    }

    /// Removes a session key.
    pub(super) fn destroy(&self, key: ObjectHandle) {
        // It fails only when the session is gone, and the key with it.
        let _ = self.session.destroy_object(key);
    }

    /// Has a key derived from a master.
    pub(crate) fn derive(&self, master: &Master, recipe: &Recipe, work: Work) -> Result<CardKey<'_>, Cause> {
        self.derived(master, recipe, work).map(CardKey::Derived)
    }

    pub(super) fn derived(&self, master: &Master, recipe: &Recipe, work: Work) -> Result<Derived<'_>, Cause> {
        self.held(master).derive(recipe, work)
    }
}

impl KeyInUse<'_> {
    /// Encrypts whole blocks, each by itself, into a buffer of the same length.
    pub(crate) fn encrypt(self, blocks: &[u8], out: &mut [u8]) -> Result<(), Cause> {
        match self {
            KeyInUse::Held(key) => key.encrypt_by(Work::Encrypt, &[], blocks, out),
            KeyInUse::Seen(key) => key.encrypt(blocks, out),
        }
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
        let key = match self {
            KeyInUse::Held(key) => key,
            KeyInUse::Seen(key) => return key.chain(blocks),
        };
        let mut out = Zeroizing::new(vec![0; blocks.len()]);
        key.encrypt_by(Work::Chain, &[0; 8], blocks, &mut out)?;
        let last = out.last_chunk().ok_or(Cause::WrongLength)?;
        Ok(Zeroizing::new(*last))
    }

    /// Decrypts whole blocks of a chain that began with `iv`.
    pub(crate) fn unwrap(self, iv: &[u8], blocks: &[u8]) -> Result<Zeroizing<Vec<u8>>, Cause> {
        let KeyInUse::Held(HeldKey { token: Token { session, module, .. }, handle, cipher }) = self else {
            return Err(Cause::NotThatKey);
        };
        let mut out = Zeroizing::new(vec![0; blocks.len()]);
        module.raw.decrypt_init(session, Work::Unwrap.mechanism(cipher), iv, handle)?;
        let written = module.raw.decrypt(session, blocks, &mut out)?;
        if written == blocks.len() { Ok(out) } else { Err(Cause::WrongLength) }
    }

    /// The MAC of a message: CMAC of 8 bytes with 3DES and of 16 with AES (NIST SP 800-38B), HMAC-SHA-256 of 32.
    pub(crate) fn mac<const BYTES: usize>(self, message: &[u8]) -> Result<Zeroizing<[u8; BYTES]>, Cause> {
        let HeldKey { token: Token { session, module, .. }, handle, cipher } = match self {
            KeyInUse::Held(key) => key,
            KeyInUse::Seen(key) => return key.mac(message),
        };
        let mut out = Zeroizing::new([0; BYTES]);
        module.raw.sign_init(session, Work::Mac.mechanism(cipher), handle)?;
        let written = module.raw.sign(session, message, &mut *out)?;
        if written == BYTES { Ok(out) } else { Err(Cause::WrongLength) }
    }
}

impl<'token> HeldKey<'token> {
    /// Encrypts what the recipe says and makes a key of the result, of the same cipher.
    fn derive(self, recipe: &Recipe, work: Work) -> Result<Derived<'token>, Cause> {
        let HeldKey { token, handle, cipher } = self;
        let template = derived(cipher, work, recipe.key_bytes);
        let mechanism = Work::Derive.mechanism(cipher);
        let handle = token.module.raw.derive(&token.session, handle, mechanism, recipe.data(), &template)?;
        Ok(Derived { key: HeldKey { token, handle, cipher }, is_kept: false })
    }

    fn encrypt_by(self, work: Work, iv: &[u8], blocks: &[u8], out: &mut [u8]) -> Result<(), Cause> {
        let Token { session, module, .. } = self.token;
        module.raw.encrypt_init(session, work.mechanism(self.cipher), iv, self.handle)?;
        let written = module.raw.encrypt(session, blocks, out)?;
        if written == blocks.len() { Ok(()) } else { Err(Cause::WrongLength) }
    }
}

impl<'token> Derived<'token> {
    /// A key that was kept.
    pub(super) fn kept(token: &'token Token, handle: ObjectHandle, cipher: Cipher) -> Derived<'token> {
        Derived { key: HeldKey { token, handle, cipher }, is_kept: true }
    }

    /// Keeps the key in the token.
    pub(super) fn keep(mut self) -> (ObjectHandle, Cipher) {
        self.is_kept = true;
        (self.key.handle, self.key.cipher)
    }
}

impl<'token> CardKey<'token> {
    /// To use it.
    pub(crate) fn in_use(&self) -> KeyInUse<'_> {
        match self {
            CardKey::Derived(key) => KeyInUse::Held(key.key),
            CardKey::Seen(key) => KeyInUse::Seen(key),
        }
    }

    /// Has a key of a purchase derived from it, where this one is.
    pub(crate) fn derive(&self, recipe: &Recipe, work: Work) -> Result<CardKey<'token>, Cause> {
        match self {
            CardKey::Derived(key) => key.key.derive(recipe, work).map(CardKey::Derived),
            CardKey::Seen(_) => self.tell(recipe),
        }
    }

    /// Has a key of a purchase made, and told.
    pub(crate) fn tell(&self, recipe: &Recipe) -> Result<CardKey<'token>, Cause> {
        let key = self.in_use();
        let cipher = match key {
            KeyInUse::Held(key) => key.cipher,
            KeyInUse::Seen(key) => key.cipher(),
        };
        recipe.seen(cipher, |data, out| key.encrypt(data, out)).map(CardKey::Seen)
    }
}

impl Drop for Derived<'_> {
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
        CardKey::Derived(Derived { key: HeldKey { token: self, handle, cipher }, is_kept: false })
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
