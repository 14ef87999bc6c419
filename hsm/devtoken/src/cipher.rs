//! Block ciphers and MACs under the value of a key. Knows no object and no session.

use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use cmac::{Cmac, Mac};
use cryptoki_sys::{
    CK_KEY_TYPE, CK_RV, CKK_AES, CKK_DES2, CKK_DES3, CKR_KEY_SIZE_RANGE, CKR_KEY_TYPE_INCONSISTENT,
};
use des::TdesEde3;
use zeroize::Zeroizing;

/// A cipher with its round keys, which are wiped when it is dropped.
pub(crate) enum BlockCipher {
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    Aes256(Box<Aes256>),
    TripleDes(Box<TdesEde3>),
}

/// Calls something with the cipher inside, whichever it is.
macro_rules! with {
    ($cipher:expr, $inner:ident => $call:expr) => {
        match $cipher {
            BlockCipher::Aes128($inner) => $call,
            BlockCipher::Aes192($inner) => $call,
            BlockCipher::Aes256($inner) => $call,
            BlockCipher::TripleDes($inner) => $call,
        }
    };
}

impl BlockCipher {
    /// The cipher of a key of this type.
    pub(crate) fn new(key_type: CK_KEY_TYPE, value: &[u8]) -> Result<BlockCipher, CK_RV> {
        let made = match (key_type, value.len()) {
            (CKK_AES, 16) => Aes128::new_from_slice(value).map(|aes| BlockCipher::Aes128(aes.into())),
            (CKK_AES, 24) => Aes192::new_from_slice(value).map(|aes| BlockCipher::Aes192(aes.into())),
            (CKK_AES, 32) => Aes256::new_from_slice(value).map(|aes| BlockCipher::Aes256(aes.into())),
            (CKK_DES2 | CKK_DES3, 16 | 24) => {
                TdesEde3::new_from_slice(&*three_halves(value)).map(|des| BlockCipher::TripleDes(des.into()))
            }
            _ => return Err(CKR_KEY_TYPE_INCONSISTENT),
        };
        made.map_err(|_| CKR_KEY_SIZE_RANGE)
    }

    pub(crate) fn block_bytes(&self) -> usize {
        match self {
            BlockCipher::TripleDes(_) => 8,
            _ => 16,
        }
    }

    /// Encrypts whole blocks in place, each by itself.
    pub(crate) fn encrypt(&self, data: &mut [u8]) {
        fn all<C: BlockCipherEncrypt>(cipher: &C, data: &mut [u8]) {
            cipher.encrypt_blocks(Block::<C>::slice_as_chunks_mut(data).0);
        }
        with!(self, cipher => all(cipher.as_ref(), data));
    }

    /// Decrypts whole blocks in place, each by itself.
    pub(crate) fn decrypt(&self, data: &mut [u8]) {
        fn all<C: BlockCipherDecrypt>(cipher: &C, data: &mut [u8]) {
            cipher.decrypt_blocks(Block::<C>::slice_as_chunks_mut(data).0);
        }
        with!(self, cipher => all(cipher.as_ref(), data));
    }

    /// Encrypts whole blocks in place, chained; `chain` is the block before the first, then the last one.
    pub(crate) fn encrypt_chained(&self, chain: &mut [u8; 16], data: &mut [u8]) {
        let bytes = self.block_bytes();
        for block in data.chunks_exact_mut(bytes) {
            xor(block, &chain[..bytes]);
            self.encrypt(block);
            chain[..bytes].copy_from_slice(block);
        }
    }

    /// The reverse of [`Self::encrypt_chained`].
    pub(crate) fn decrypt_chained(&self, chain: &mut [u8; 16], data: &mut [u8]) {
        let bytes = self.block_bytes();
        for block in data.chunks_exact_mut(bytes) {
            let before = *chain;
            chain[..bytes].copy_from_slice(block);
            self.decrypt(block);
            xor(block, &before[..bytes]);
        }
    }
}

/// The CMAC of a message (RFC 4493, SP 800-38B): as long as a block.
pub(crate) fn cmac(key_type: CK_KEY_TYPE, value: &[u8], message: &[u8]) -> Result<Zeroizing<Vec<u8>>, CK_RV> {
    fn of<M: Mac + cmac::KeyInit>(key: &[u8], message: &[u8]) -> Result<Zeroizing<Vec<u8>>, CK_RV> {
        let mut mac = <M as cmac::KeyInit>::new_from_slice(key).map_err(|_| CKR_KEY_SIZE_RANGE)?;
        mac.update(message);
        Ok(Zeroizing::new(mac.finalize().into_bytes().to_vec()))
    }
    match (key_type, value.len()) {
        (CKK_AES, 16) => of::<Cmac<Aes128>>(value, message),
        (CKK_AES, 24) => of::<Cmac<Aes192>>(value, message),
        (CKK_AES, 32) => of::<Cmac<Aes256>>(value, message),
        (CKK_DES2 | CKK_DES3, 16 | 24) => of::<Cmac<TdesEde3>>(&*three_halves(value), message),
        _ => Err(CKR_KEY_TYPE_INCONSISTENT),
    }
}

/// A 3DES key of two halves is one of three whose third is the first.
fn three_halves(value: &[u8]) -> Zeroizing<[u8; 24]> {
    let mut whole = Zeroizing::new([0; 24]);
    for (to, from) in whole.iter_mut().zip(value.iter().cycle()) {
        *to = *from;
    }
    whole
}

/// Gives every byte of a DES key odd parity, as the standard wants it and no cipher minds.
pub(crate) fn set_odd_parity(value: &mut [u8]) {
    for byte in value {
        *byte ^= u8::from(byte.count_ones() % 2 == 0);
    }
}

fn xor(into: &mut [u8], with: &[u8]) {
    into.iter_mut().zip(with).for_each(|(into, with)| *into ^= with);
}
