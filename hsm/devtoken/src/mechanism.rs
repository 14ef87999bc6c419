//! The mechanisms there are.

use cryptoki_sys::{
    CK_FLAGS, CK_MECHANISM_TYPE, CK_ULONG, CKF_DECRYPT, CKF_DERIVE, CKF_ENCRYPT, CKF_GENERATE, CKF_SIGN,
    CKF_UNWRAP, CKF_VERIFY, CKF_WRAP, CKM_AES_CBC, CKM_AES_CBC_ENCRYPT_DATA, CKM_AES_CMAC, CKM_AES_ECB,
    CKM_AES_ECB_ENCRYPT_DATA, CKM_AES_KEY_GEN, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD, CKM_DES2_KEY_GEN,
    CKM_DES3_CBC, CKM_DES3_CBC_ENCRYPT_DATA, CKM_DES3_CMAC, CKM_DES3_ECB, CKM_DES3_ECB_ENCRYPT_DATA,
    CKM_DES3_KEY_GEN, CKM_GENERIC_SECRET_KEY_GEN, CKM_SHA256_HMAC,
};

/// One of them.
pub(crate) struct Mechanism {
    pub(crate) number: CK_MECHANISM_TYPE,
    pub(crate) name: &'static str,
    /// The shortest and the longest key, in bytes.
    pub(crate) key_bytes: (CK_ULONG, CK_ULONG),
    pub(crate) flags: CK_FLAGS,
}

const CRYPT: CK_FLAGS = CKF_ENCRYPT | CKF_DECRYPT;
const MAC: CK_FLAGS = CKF_SIGN | CKF_VERIFY;
const WRAPS: CK_FLAGS = CKF_WRAP | CKF_UNWRAP;
const AES: (CK_ULONG, CK_ULONG) = (16, 32);
const TRIPLE_DES: (CK_ULONG, CK_ULONG) = (16, 24);

const fn one(
    number: CK_MECHANISM_TYPE,
    name: &'static str,
    key_bytes: (CK_ULONG, CK_ULONG),
    flags: CK_FLAGS,
) -> Mechanism {
    Mechanism { number, name, key_bytes, flags }
}

/// All of them.
pub(crate) const ALL: [Mechanism; 17] = [
    one(CKM_DES2_KEY_GEN, "CKM_DES2_KEY_GEN", (16, 16), CKF_GENERATE),
    one(CKM_DES3_KEY_GEN, "CKM_DES3_KEY_GEN", (24, 24), CKF_GENERATE),
    one(CKM_AES_KEY_GEN, "CKM_AES_KEY_GEN", AES, CKF_GENERATE),
    one(CKM_GENERIC_SECRET_KEY_GEN, "CKM_GENERIC_SECRET_KEY_GEN", (1, 512), CKF_GENERATE),
    one(CKM_DES3_ECB, "CKM_DES3_ECB", TRIPLE_DES, CRYPT),
    one(CKM_DES3_CBC, "CKM_DES3_CBC", TRIPLE_DES, CRYPT),
    one(CKM_DES3_CMAC, "CKM_DES3_CMAC", TRIPLE_DES, MAC),
    one(CKM_DES3_ECB_ENCRYPT_DATA, "CKM_DES3_ECB_ENCRYPT_DATA", TRIPLE_DES, CKF_DERIVE),
    one(CKM_DES3_CBC_ENCRYPT_DATA, "CKM_DES3_CBC_ENCRYPT_DATA", TRIPLE_DES, CKF_DERIVE),
    one(CKM_AES_ECB, "CKM_AES_ECB", AES, CRYPT),
    one(CKM_AES_CBC, "CKM_AES_CBC", AES, CRYPT),
    one(CKM_AES_CMAC, "CKM_AES_CMAC", AES, MAC),
    one(CKM_AES_ECB_ENCRYPT_DATA, "CKM_AES_ECB_ENCRYPT_DATA", AES, CKF_DERIVE),
    one(CKM_AES_CBC_ENCRYPT_DATA, "CKM_AES_CBC_ENCRYPT_DATA", AES, CKF_DERIVE),
    one(CKM_AES_KEY_WRAP, "CKM_AES_KEY_WRAP", AES, WRAPS),
    one(CKM_AES_KEY_WRAP_PAD, "CKM_AES_KEY_WRAP_PAD", AES, WRAPS),
    one(CKM_SHA256_HMAC, "CKM_SHA256_HMAC", (32, 512), MAC),
];

/// The one with this number.
pub(crate) fn of(number: CK_MECHANISM_TYPE) -> Option<&'static Mechanism> {
    ALL.iter().find(|mechanism| mechanism.number == number)
}
