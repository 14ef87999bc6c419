//! A key of one card or one use, derived inside the token and gone after it.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki_sys::{CK_MECHANISM_TYPE, CKM_AES_CMAC};
use zeroize::Zeroizing;

use super::policy::Cipher;
use super::{Master, Token};
use crate::error::Cause;

/// What a derived key may do: one thing, like its master.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CardKeyUse {
    /// Encrypt blocks.
    Ecb,
    /// Make a CMAC. AES only.
    Cmac,
}

/// A derived key. Its value never leaves the token; the key is destroyed when this is dropped.
pub(crate) struct CardKey<'token> {
    token: &'token Token,
    handle: ObjectHandle,
    cipher: Cipher,
}

impl Token {
    /// Encrypts `data` under the master key and makes a key of the result: 3DES with two halves, or AES with
    /// 128 bits.
    pub(crate) fn derive(
        &self,
        master: &Master,
        data: &[u8; 16],
        purpose: CardKeyUse,
    ) -> Result<CardKey<'_>, Cause> {
        let cipher = master.usage.cipher();
        let template = derived(cipher, purpose);
        let raw = &self.module.raw;
        let handle = raw.derive(&self.session, master.handle, cipher.derivation(), data, &template)?;
        Ok(CardKey { token: self, handle, cipher })
    }
}

impl CardKey<'_> {
    /// Encrypts whole blocks, each by itself, into a buffer of the same length.
    pub(crate) fn encrypt(&self, blocks: &[u8], out: &mut [u8]) -> Result<(), Cause> {
        let Token { session, module, .. } = self.token;
        module.raw.encrypt_init(session, self.cipher.ecb(), self.handle)?;
        let written = module.raw.encrypt(session, blocks, out)?;
        if written == blocks.len() { Ok(()) } else { Err(Cause::WrongLength) }
    }

    /// Encrypts one block.
    pub(crate) fn encrypt_block<const BYTES: usize>(
        &self,
        block: &[u8; BYTES],
    ) -> Result<Zeroizing<[u8; BYTES]>, Cause> {
        let mut out = Zeroizing::new([0; BYTES]);
        self.encrypt(block, &mut *out)?;
        Ok(out)
    }

    /// The AES-CMAC of a message (RFC 4493).
    pub(crate) fn cmac(&self, message: &[u8]) -> Result<Zeroizing<[u8; 16]>, Cause> {
        let mac = self.token.session.sign(&Mechanism::AesCMac, self.handle, message)?;
        let mac = Zeroizing::new(mac);
        let bytes = <[u8; 16]>::try_from(mac.as_slice()).map_err(|_| Cause::WrongLength)?;
        Ok(Zeroizing::new(bytes))
    }
}

#[cfg(test)]
impl Token {
    /// A key with a value that a test gives, in place of a derived one.
    pub(crate) fn given(&self, cipher: Cipher, value: &[u8]) -> CardKey<'_> {
        let mut template = derived(cipher, CardKeyUse::Ecb);
        template.retain(|attribute| !matches!(attribute, Attribute::ValueLen(_)));
        template.push(Attribute::Value(value.to_vec()));
        let handle = self.session.create_object(&template).expect("a session key");
        CardKey { token: self, handle, cipher }
    }
}

impl Drop for CardKey<'_> {
    fn drop(&mut self) {
        // It fails only when the session is gone, and the key with it.
        let _ = self.token.session.destroy_object(self.handle);
    }
}

/// The attributes of a derived key. Without them a module may well make one that can be read.
pub(super) fn derived(cipher: Cipher, purpose: CardKeyUse) -> Vec<Attribute> {
    let allowed: CK_MECHANISM_TYPE = match purpose {
        CardKeyUse::Ecb => cipher.ecb(),
        CardKeyUse::Cmac => CKM_AES_CMAC,
    };
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(cipher.key_type()),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(purpose == CardKeyUse::Ecb),
        Attribute::Sign(purpose == CardKeyUse::Cmac),
        Attribute::Decrypt(false),
        Attribute::Verify(false),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        super::probe::allowed(allowed),
    ];
    if cipher == Cipher::Aes {
        // A 3DES key has its length from its type, and modules refuse to be told.
        template.push(Attribute::ValueLen(AES_KEY_BYTES.into()));
    }
    template
}

const AES_KEY_BYTES: cryptoki_sys::CK_ULONG = 16;
