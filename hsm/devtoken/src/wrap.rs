//! Keys carried out and in under another key: RFC 3394, and RFC 5649 for lengths that are no multiple of eight.

use aes::cipher::KeyInit;
use aes::{Aes128, Aes192, Aes256};
use aes_kw::{AesKw, AesKwp};
use cryptoki_sys::{
    CK_MECHANISM_TYPE, CK_RV, CKK_AES, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD, CKR_KEY_SIZE_RANGE,
    CKR_KEY_TYPE_INCONSISTENT, CKR_MECHANISM_INVALID, CKR_WRAPPED_KEY_INVALID,
};
use zeroize::Zeroizing;

use crate::object::Object;

/// Longest key that is wrapped, with what wrapping adds.
const ROOM: usize = 512 + 16;

/// Wraps a value, or unwraps one.
pub(crate) fn apply(
    wrapping: &Object,
    mechanism: CK_MECHANISM_TYPE,
    unwrap: bool,
    data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CK_RV> {
    if wrapping.key_type() != CKK_AES {
        return Err(CKR_KEY_TYPE_INCONSISTENT);
    }
    macro_rules! with {
        ($cipher:ty) => {{
            let mut room = Zeroizing::new([0; ROOM]);
            let key = &wrapping.value;
            let made = match (mechanism, unwrap) {
                (CKM_AES_KEY_WRAP, false) => AesKw::<$cipher>::new_from_slice(key)
                    .ok()
                    .and_then(|kw| kw.wrap_key(data, &mut *room).ok()),
                (CKM_AES_KEY_WRAP, true) => AesKw::<$cipher>::new_from_slice(key)
                    .ok()
                    .and_then(|kw| kw.unwrap_key(data, &mut *room).ok()),
                (CKM_AES_KEY_WRAP_PAD, false) => AesKwp::<$cipher>::new_from_slice(key)
                    .ok()
                    .and_then(|kw| kw.wrap_key(data, &mut *room).ok()),
                (CKM_AES_KEY_WRAP_PAD, true) => AesKwp::<$cipher>::new_from_slice(key)
                    .ok()
                    .and_then(|kw| kw.unwrap_key(data, &mut *room).ok()),
                _ => return Err(CKR_MECHANISM_INVALID),
            };
            made.map(|made| Zeroizing::new(made.to_vec()))
        }};
    }
    let made = match wrapping.value.len() {
        16 => with!(Aes128),
        24 => with!(Aes192),
        _ => with!(Aes256),
    };
    made.ok_or(if unwrap { CKR_WRAPPED_KEY_INVALID } else { CKR_KEY_SIZE_RANGE })
}
