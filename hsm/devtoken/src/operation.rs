//! What a session is in the middle of: one thing at a time, as SoftHSM2 has it.

use cryptoki_sys::{
    CK_MECHANISM_TYPE, CK_OBJECT_HANDLE, CK_RV, CKK_GENERIC_SECRET, CKK_SHA256_HMAC, CKM_AES_CBC,
    CKM_AES_CMAC, CKM_AES_ECB, CKM_DES3_CBC, CKM_DES3_CMAC, CKM_DES3_ECB, CKM_SHA256_HMAC,
    CKR_DATA_LEN_RANGE, CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_KEY_SIZE_RANGE, CKR_KEY_TYPE_INCONSISTENT,
    CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID,
};
use ring::hmac;
use zeroize::Zeroizing;

use crate::cipher::{BlockCipher, cmac};
use crate::memory::{Input, Output};
use crate::object::Object;

/// One operation under way.
pub(crate) enum Operation {
    Crypt(Crypt),
    Mac(Mac),
    /// The keys that were found and not told yet.
    Find(Vec<CK_OBJECT_HANDLE>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Encrypt,
    Decrypt,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Sign,
    Verify,
}

/// An encryption or decryption. It has its own round keys, so that it goes on when the key is gone.
pub(crate) struct Crypt {
    pub(crate) way: Way,
    cipher: BlockCipher,
    /// None for ECB, otherwise the block that the next one is chained to.
    chain: Option<[u8; 16]>,
    /// What is not a whole block yet.
    rest: Zeroizing<Vec<u8>>,
}

impl Crypt {
    /// Starts one.
    pub(crate) fn new(
        way: Way,
        mechanism: CK_MECHANISM_TYPE,
        parameter: &[u8],
        key: &Object,
    ) -> Result<Crypt, CK_RV> {
        let cipher = BlockCipher::new(key.key_type(), &key.value)?;
        let block = match mechanism {
            CKM_AES_ECB | CKM_AES_CBC => 16,
            CKM_DES3_ECB | CKM_DES3_CBC => 8,
            _ => return Err(CKR_MECHANISM_INVALID),
        };
        if cipher.block_bytes() != block {
            return Err(CKR_KEY_TYPE_INCONSISTENT);
        }
        let chain = match mechanism {
            CKM_AES_CBC | CKM_DES3_CBC if parameter.len() == block => {
                let mut chain = [0; 16];
                chain[..block].copy_from_slice(parameter);
                Some(chain)
            }
            CKM_AES_ECB | CKM_DES3_ECB if parameter.is_empty() => None,
            _ => return Err(CKR_MECHANISM_PARAM_INVALID),
        };
        Ok(Crypt { way, cipher, chain, rest: Zeroizing::new(Vec::new()) })
    }

    /// How many bytes come out when so many are put in.
    fn whole_bytes(&self, put_in: usize) -> usize {
        let block = self.cipher.block_bytes();
        (self.rest.len() + put_in) / block * block
    }

    /// Whether everything put in comes out again.
    fn is_even(&self, put_in: usize) -> bool {
        self.whole_bytes(put_in) == self.rest.len() + put_in
    }

    /// Puts data in and gives the whole blocks out. Whether there was room for them.
    pub(crate) fn update(&mut self, input: &Input<'_>, output: Output<'_>) -> Result<bool, CK_RV> {
        let whole = self.whole_bytes(input.len());
        let taken = whole.saturating_sub(self.rest.len());
        // Before anything is written: in and out may be the same place.
        let left = if whole == 0 { None } else { Some(Zeroizing::new(input.from(taken).to_vec())) };
        let Some(out) = output.filled(&self.rest, input, whole)? else { return Ok(false) };
        match left {
            Some(left) => self.rest = left,
            None => self.rest.extend_from_slice(input.from(0)),
        }
        match (&mut self.chain, self.way) {
            (None, Way::Encrypt) => self.cipher.encrypt(out),
            (None, Way::Decrypt) => self.cipher.decrypt(out),
            (Some(chain), Way::Encrypt) => self.cipher.encrypt_chained(chain, out),
            (Some(chain), Way::Decrypt) => self.cipher.decrypt_chained(chain, out),
        }
        Ok(true)
    }

    /// Whether the operation can end with this as its last piece.
    pub(crate) fn can_end_with(&self, put_in: usize) -> Result<(), CK_RV> {
        match self.way {
            _ if self.is_even(put_in) => Ok(()),
            Way::Encrypt => Err(CKR_DATA_LEN_RANGE),
            Way::Decrypt => Err(CKR_ENCRYPTED_DATA_LEN_RANGE),
        }
    }
}

/// A MAC being made or checked.
pub(crate) struct Mac {
    pub(crate) purpose: Purpose,
    mechanism: CK_MECHANISM_TYPE,
    key: Object,
    data: Zeroizing<Vec<u8>>,
}

impl Mac {
    /// Starts one.
    pub(crate) fn new(purpose: Purpose, mechanism: CK_MECHANISM_TYPE, key: &Object) -> Result<Mac, CK_RV> {
        match mechanism {
            CKM_SHA256_HMAC => match key.key_type() {
                CKK_GENERIC_SECRET | CKK_SHA256_HMAC if key.value.len() < 32 => {
                    return Err(CKR_KEY_SIZE_RANGE);
                }
                CKK_GENERIC_SECRET | CKK_SHA256_HMAC => (),
                _ => return Err(CKR_KEY_TYPE_INCONSISTENT),
            },
            CKM_AES_CMAC | CKM_DES3_CMAC => {
                let block = if mechanism == CKM_AES_CMAC { 16 } else { 8 };
                if BlockCipher::new(key.key_type(), &key.value)?.block_bytes() != block {
                    return Err(CKR_KEY_TYPE_INCONSISTENT);
                }
            }
            _ => return Err(CKR_MECHANISM_INVALID),
        }
        Ok(Mac { purpose, mechanism, key: key.clone(), data: Zeroizing::new(Vec::new()) })
    }

    /// How long the MAC is.
    pub(crate) fn bytes(&self) -> usize {
        match self.mechanism {
            CKM_SHA256_HMAC => 32,
            CKM_AES_CMAC => 16,
            _ => 8,
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        // Grown by hand, so that no copy is left unwiped.
        let mut grown = Zeroizing::new(Vec::with_capacity(self.data.len() + data.len()));
        grown.extend_from_slice(&self.data);
        grown.extend_from_slice(data);
        self.data = grown;
    }

    /// The MAC of everything put in, and then of this.
    pub(crate) fn made(&mut self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, CK_RV> {
        self.update(data);
        match self.mechanism {
            CKM_SHA256_HMAC => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key.value);
                Ok(Zeroizing::new(hmac::sign(&key, &self.data).as_ref().to_vec()))
            }
            _ => cmac(self.key.key_type(), &self.key.value, &self.data),
        }
    }
}
