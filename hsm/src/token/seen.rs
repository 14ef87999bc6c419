//! Keys of cards that are seen here, where the exposure of their family allows it: made by the token, used once or a few
//! times, and wiped. What a token does with a key is done here by the same names.

use aes::{Aes128, Aes192, Aes256};
use cmac::{Cmac, Mac};
use des::cipher::{Block, BlockCipherEncrypt, KeyInit};
use des::{Des, TdesEde2};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::policy::Cipher;
use crate::error::Cause;

/// The value of a key, wiped on drop.
pub(crate) struct SeenKey {
    cipher: Cipher,
    // In one place from the beginning: each move of it would leave a copy behind.
    value: Box<Zeroizing<[u8; 32]>>,
    bytes: usize,
}

impl SeenKey {
    /// A key of these bytes.
    pub(super) fn new(cipher: Cipher, value: &[u8]) -> Result<SeenKey, Cause> {
        let mut whole = Box::new(Zeroizing::new([0; 32]));
        whole.get_mut(..value.len()).ok_or(Cause::WrongLength)?.copy_from_slice(value);
        Ok(SeenKey { cipher, value: whole, bytes: value.len() })
    }

    pub(super) fn cipher(&self) -> Cipher {
        self.cipher
    }

    fn value(&self) -> &[u8] {
        &self.value[..self.bytes]
    }

    /// Encrypts whole blocks, each by itself, into a buffer of the same length.
    pub(super) fn encrypt(&self, blocks: &[u8], out: &mut [u8]) -> Result<(), Cause> {
        out.copy_from_slice(blocks);
        match (self.cipher, self.bytes) {
            (Cipher::TripleDes, 16) if self.is_single() => each::<Des>(&self.value[..8], out),
            (Cipher::TripleDes, 16) => each::<TdesEde2>(self.value(), out),
            (Cipher::Aes, 16) => each::<Aes128>(self.value(), out),
            (Cipher::Aes, 24) => each::<Aes192>(self.value(), out),
            (Cipher::Aes, 32) => each::<Aes256>(self.value(), out),
            _ => Err(Cause::NotThatKey),
        }
    }

    /// Encrypts whole blocks of 3DES in a chain that begins with zeros, and returns its last block.
    pub(super) fn chain(&self, blocks: &[u8]) -> Result<Zeroizing<[u8; 8]>, Cause> {
        match self.cipher {
            Cipher::TripleDes if self.is_single() => last_of::<Des>(&self.value[..8], blocks),
            Cipher::TripleDes => last_of::<TdesEde2>(self.value(), blocks),
            _ => Err(Cause::NotThatKey),
        }
    }

    /// The CMAC of a message under a key of AES (NIST SP 800-38B).
    pub(super) fn mac<const BYTES: usize>(&self, message: &[u8]) -> Result<Zeroizing<[u8; BYTES]>, Cause> {
        match (self.cipher, self.bytes) {
            (Cipher::Aes, 16) => cmac_of::<Cmac<Aes128>, BYTES>(self.value(), message),
            (Cipher::Aes, 24) => cmac_of::<Cmac<Aes192>, BYTES>(self.value(), message),
            (Cipher::Aes, 32) => cmac_of::<Cmac<Aes256>, BYTES>(self.value(), message),
            _ => Err(Cause::NotThatKey),
        }
    }

    /// Whether it is one half, twice: 3DES under it is DES.
    fn is_single(&self) -> bool {
        self.value[..8].ct_eq(&self.value[8..16]).into()
    }
}

fn each<C: KeyInit + BlockCipherEncrypt>(value: &[u8], blocks: &mut [u8]) -> Result<(), Cause> {
    // The round keys are wiped when they are dropped.
    let cipher = C::new_from_slice(value).map_err(|_| Cause::WrongLength)?;
    cipher.encrypt_blocks(Block::<C>::slice_as_chunks_mut(blocks).0);
    Ok(())
}

fn last_of<C>(value: &[u8], blocks: &[u8]) -> Result<Zeroizing<[u8; 8]>, Cause>
where
    C: KeyInit + BlockCipherEncrypt,
    Block<C>: From<[u8; 8]> + Into<[u8; 8]>,
{
    let cipher = C::new_from_slice(value).map_err(|_| Cause::WrongLength)?;
    let mut state = Zeroizing::new([0; 8]);
    for block in blocks.as_chunks().0 {
        let mut next =
            Block::<C>::from((u64::from_ne_bytes(*state) ^ u64::from_ne_bytes(*block)).to_ne_bytes());
        cipher.encrypt_block(&mut next);
        *state = next.into();
    }
    Ok(state)
}

fn cmac_of<M: Mac + cmac::KeyInit, const BYTES: usize>(
    value: &[u8],
    message: &[u8],
) -> Result<Zeroizing<[u8; BYTES]>, Cause> {
    let mut mac = <M as cmac::KeyInit>::new_from_slice(value).map_err(|_| Cause::WrongLength)?;
    mac.update(message);
    let made = mac.finalize().into_bytes();
    Ok(Zeroizing::new(made.as_slice().try_into().map_err(|_| Cause::WrongLength)?))
}
