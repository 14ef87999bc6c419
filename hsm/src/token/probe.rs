//! What a module says it can do and what it does are two things: each mechanism is asked for an answer that
//! is known, with keys made for the purpose that live as long as the probe.

use std::fmt;

use cryptoki::error::Result;
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::CK_MECHANISM_TYPE;

use super::card_key::derived;
use super::policy::{Cipher, Work};
use super::raw::Raw;
use crate::error::Cause;

/// Something a token must be able to do for some of the questions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Capability {
    /// `CKM_DES3_ECB`
    TripleDesEcb,
    /// `CKM_DES3_ECB` that stays open: `C_EncryptUpdate` gives each block back at once.
    TripleDesStream,
    /// `CKM_DES3_ECB` backwards, and open.
    TripleDesDecryption,
    /// `CKM_DES3_CBC`
    TripleDesCbc,
    /// `CKM_DES3_CMAC`
    TripleDesCmac,
    /// `CKM_DES3_ECB_ENCRYPT_DATA`
    TripleDesDerivation,
    /// `CKM_AES_ECB`
    AesEcb,
    /// `CKM_AES_ECB` that stays open.
    AesStream,
    /// `CKM_AES_ECB` backwards, and open.
    AesDecryption,
    /// `CKM_AES_CBC`, backwards
    AesCbc,
    /// `CKM_AES_ECB_ENCRYPT_DATA`
    AesDerivation,
    /// `CKM_AES_CMAC`
    AesCmac,
    /// `CKM_SHA256_HMAC`
    Hmac,
}

impl Capability {
    /// Its mechanism, by name and number.
    pub(super) fn mechanism(self) -> (&'static str, CK_MECHANISM_TYPE) {
        let (cipher, work, _) = self.made_of();
        let name = match (cipher, work) {
            (Cipher::TripleDes, Work::Chain | Work::Unwrap) => "CKM_DES3_CBC",
            (Cipher::TripleDes, Work::Mac) => "CKM_DES3_CMAC",
            (Cipher::TripleDes, Work::Derive | Work::Protect) => "CKM_DES3_ECB_ENCRYPT_DATA",
            (Cipher::TripleDes, _) => "CKM_DES3_ECB",
            (Cipher::Aes, Work::Chain | Work::Unwrap) => "CKM_AES_CBC",
            (Cipher::Aes, Work::Mac) => "CKM_AES_CMAC",
            (Cipher::Aes, Work::Derive | Work::Protect) => "CKM_AES_ECB_ENCRYPT_DATA",
            (Cipher::Aes, _) => "CKM_AES_ECB",
            (Cipher::Hmac, _) => "CKM_SHA256_HMAC",
        };
        (name, work.mechanism(cipher))
    }

    /// What a key of it does, and whether the operation stays open.
    fn made_of(self) -> (Cipher, Work, bool) {
        match self {
            Capability::TripleDesEcb => (Cipher::TripleDes, Work::Encrypt, false),
            Capability::TripleDesStream => (Cipher::TripleDes, Work::Encrypt, true),
            Capability::TripleDesDecryption => (Cipher::TripleDes, Work::Decrypt, true),
            Capability::TripleDesCbc => (Cipher::TripleDes, Work::Chain, false),
            Capability::TripleDesCmac => (Cipher::TripleDes, Work::Mac, false),
            Capability::TripleDesDerivation => (Cipher::TripleDes, Work::Derive, false),
            Capability::AesEcb => (Cipher::Aes, Work::Encrypt, false),
            Capability::AesStream => (Cipher::Aes, Work::Encrypt, true),
            Capability::AesDecryption => (Cipher::Aes, Work::Decrypt, true),
            Capability::AesCbc => (Cipher::Aes, Work::Unwrap, false),
            Capability::AesDerivation => (Cipher::Aes, Work::Derive, false),
            Capability::AesCmac => (Cipher::Aes, Work::Mac, false),
            Capability::Hmac => (Cipher::Hmac, Work::Mac, false),
        }
    }

    /// Whether the known answer of a derivation shows this as well.
    pub(super) fn is_part_of_another(self) -> bool {
        matches!(self, Capability::TripleDesEcb | Capability::AesEcb)
    }
}

/// What the probe found out about a capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What was tried.
    pub capability: Capability,
    /// What came out.
    pub verdict: Verdict,
}

/// Whether a capability can be relied on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The known answer came out.
    Works,
    /// The token refused, or failed.
    Fails(Cause),
    /// Another answer came out than the known one.
    WrongAnswer,
    /// It was not tried.
    NotTried,
}

/// Tries everything.
pub(crate) fn probe(session: &Session, raw: &Raw) -> Vec<Finding> {
    let finding = |capability| Finding { capability, verdict: verdict(session, raw, capability) };
    ALL.map(finding).into()
}

pub(super) fn verdict(session: &Session, raw: &Raw, capability: Capability) -> Verdict {
    let probe = Probe { session, raw };
    let (des, aes) = ((Cipher::TripleDes, &TDES_KEY[..]), (Cipher::Aes, &AES_KEY[..]));
    let outcome = match capability {
        Capability::TripleDesEcb => probe.ecb(des, &TDES_IN, &TDES_OUT),
        Capability::TripleDesStream => probe.stream(des, Work::Encrypt, &TDES_IN, &TDES_OUT),
        Capability::TripleDesDecryption => probe.stream(des, Work::Decrypt, &TDES_OUT, &TDES_IN),
        Capability::TripleDesCbc => probe
            .chain(des, Work::Chain, &[0; 16], &TDES_CHAINED)
            .and_then(|works| Ok(works && probe.chain(des, Work::Unwrap, &TDES_CHAINED, &[0; 16])?)),
        Capability::TripleDesCmac => probe.mac(Cipher::TripleDes, &TDES_CMAC_KEY, &[], &TDES_CMAC_OUT),
        Capability::TripleDesDerivation => probe.derivation(des, &TDES_IN, &TDES_DERIVED),
        Capability::AesEcb => probe.ecb(aes, &AES_IN, &AES_OUT),
        Capability::AesStream => probe.stream(aes, Work::Encrypt, &AES_IN, &AES_OUT),
        Capability::AesDecryption => probe.stream(aes, Work::Decrypt, &AES_OUT, &AES_IN),
        Capability::AesCbc => {
            let xored: Vec<u8> = AES_IN.iter().zip(AES_OUT).map(|(one, other)| one ^ other).collect();
            probe.chain(aes, Work::Unwrap, &[AES_OUT, AES_OUT].concat(), &[&AES_IN[..], &xored].concat())
        }
        Capability::AesDerivation => probe.derivation((Cipher::Aes, &DERIVE_KEY), &DERIVE_IN, &DERIVED_OUT),
        Capability::AesCmac => probe.mac(Cipher::Aes, &CMAC_KEY, &CMAC_IN, &CMAC_OUT),
        Capability::Hmac => probe.mac(Cipher::Hmac, &HMAC_KEY, &CMAC_IN, &HMAC_OUT),
    };
    match outcome {
        Ok(true) => Verdict::Works,
        Ok(false) => Verdict::WrongAnswer,
        Err(why) => Verdict::Fails(Cause::from(why)),
    }
}

/// Does what a capability is, one block a time, until it is enough.
pub(super) fn repeat(
    session: &Session,
    raw: &Raw,
    capability: Capability,
    mut enough: impl FnMut() -> bool,
) -> Result<()> {
    let probe = Probe { session, raw };
    let (cipher, work, is_stream) = capability.made_of();
    let value = match cipher {
        Cipher::TripleDes => &TDES_KEY[..],
        Cipher::Aes => &AES_KEY[..],
        Cipher::Hmac => &HMAC_KEY[..],
    };
    let once = |key: ObjectHandle| once(&probe, (cipher, work, is_stream), key);
    probe
        .with(probe.key((cipher, value), work)?, |key| {
            match work {
                Work::Decrypt if is_stream => raw.decrypt_init(session, work.mechanism(cipher), &[], key)?,
                _ if is_stream => raw.encrypt_init(session, work.mechanism(cipher), &[], key)?,
                _ => (),
            }
            let outcome = loop {
                match once(key) {
                    Ok(()) if enough() => break Ok(true),
                    Ok(()) => (),
                    Err(why) => break Err(why),
                }
            };
            match work {
                Work::Decrypt if is_stream => drop(session.decrypt_final()?),
                _ if is_stream => drop(session.encrypt_final()?),
                _ => (),
            }
            outcome
        })
        .map(drop)
}

/// One call, or those that belong to it.
fn once(probe: &Probe<'_>, what: (Cipher, Work, bool), key: ObjectHandle) -> Result<()> {
    let (Probe { session, raw }, (cipher, work, is_stream)) = (probe, what);
    let (mechanism, mut out) = (work.mechanism(cipher), [0; 32]);
    let bytes = cipher.block_bytes().min(16);
    let (block, iv) = (&AES_IN[..bytes], &[0; 16][..bytes]);
    match work {
        Work::Decrypt if is_stream => raw.decrypt_update(session, block, &mut out).map(drop),
        _ if is_stream => raw.encrypt_update(session, block, &mut out).map(drop),
        Work::Encrypt | Work::Protect => {
            raw.encrypt_init(session, mechanism, &[], key)?;
            raw.encrypt(session, block, &mut out).map(drop)
        }
        Work::Decrypt => {
            raw.decrypt_init(session, mechanism, &[], key)?;
            raw.decrypt(session, block, &mut out).map(drop)
        }
        Work::Chain => {
            raw.encrypt_init(session, mechanism, iv, key)?;
            raw.encrypt(session, block, &mut out).map(drop)
        }
        Work::Unwrap => {
            raw.decrypt_init(session, mechanism, iv, key)?;
            raw.decrypt(session, block, &mut out).map(drop)
        }
        Work::Mac => {
            raw.sign_init(session, mechanism, key)?;
            raw.sign(session, block, &mut out).map(drop)
        }
        Work::Derive => {
            let template = derived(cipher, Work::Encrypt, 16);
            session.destroy_object(raw.derive(session, key, mechanism, &AES_IN, &template)?)
        }
    }
}

struct Probe<'a> {
    session: &'a Session,
    raw: &'a Raw,
}

/// A cipher and a key of known value.
type Known<'a> = (Cipher, &'a [u8]);

impl Probe<'_> {
    fn key(&self, (cipher, value): Known<'_>, work: Work) -> Result<ObjectHandle> {
        self.session.create_object(&known_key(cipher, value, work))
    }

    fn ecb(&self, known_key: Known<'_>, data: &[u8; 16], known: &[u8; 16]) -> Result<bool> {
        self.with(self.key(known_key, Work::Encrypt)?, |key| {
            let mut out = [0; 16];
            self.raw.encrypt_init(self.session, Work::Encrypt.mechanism(known_key.0), &[], key)?;
            let written = self.raw.encrypt(self.session, data, &mut out)?;
            Ok(written == out.len() && out == *known)
        })
    }

    /// One block, then two: an open operation must neither hold a block back nor chain them.
    fn stream(&self, known_key: Known<'_>, work: Work, data: &[u8; 16], known: &[u8; 16]) -> Result<bool> {
        let cipher = known_key.0;
        self.with(self.key(known_key, work)?, |key| {
            let (block, mechanism) = (cipher.block_bytes(), work.mechanism(cipher));
            let (blocks, expected) = ([*data, *data].concat(), [*known, *known].concat());
            let (mut first, mut both) = (vec![0; block], vec![0; 2 * block]);
            let feed = |blocks: &[u8], out: &mut [u8]| match work {
                Work::Decrypt => self.raw.decrypt_update(self.session, blocks, out),
                _ => self.raw.encrypt_update(self.session, blocks, out),
            };
            match work {
                Work::Decrypt => self.raw.decrypt_init(self.session, mechanism, &[], key)?,
                _ => self.raw.encrypt_init(self.session, mechanism, &[], key)?,
            }
            let one = feed(&blocks[..block], &mut first);
            let two = feed(&blocks[..2 * block], &mut both);
            // Ended in any case: the session is needed for the next probe.
            let left = match work {
                Work::Decrypt => self.session.decrypt_final(),
                _ => self.session.encrypt_final(),
            };
            let whole = one? == block && two? == 2 * block && left?.is_empty();
            Ok(whole && first == expected[..block] && both == expected[..2 * block])
        })
    }

    /// Two blocks in a chain that begins with zeros: the second tells that they were chained.
    fn chain(&self, known_key: Known<'_>, work: Work, data: &[u8], known: &[u8]) -> Result<bool> {
        let cipher = known_key.0;
        self.with(self.key(known_key, work)?, |key| {
            let (block, mechanism) = (cipher.block_bytes(), work.mechanism(cipher));
            let (iv, mut out) = (vec![0; block], vec![0; data.len()]);
            let written = if work == Work::Unwrap {
                self.raw.decrypt_init(self.session, mechanism, &iv, key)?;
                self.raw.decrypt(self.session, data, &mut out)?
            } else {
                self.raw.encrypt_init(self.session, mechanism, &iv, key)?;
                self.raw.encrypt(self.session, data, &mut out)?
            };
            Ok(written == out.len() && out == known)
        })
    }

    /// Derives a key and looks at what it makes of a block of zeros.
    fn derivation(&self, known_key: Known<'_>, data: &[u8; 16], known: &[u8]) -> Result<bool> {
        let cipher = known_key.0;
        self.with(self.key(known_key, Work::Derive)?, |base| {
            let template = derived(cipher, Work::Encrypt, 16);
            let key = self.raw.derive(self.session, base, Work::Derive.mechanism(cipher), data, &template)?;
            self.with(key, |key| {
                let value = self.session.get_attributes(key, &[AttributeType::Value])?;
                let mut out = vec![0; known.len()];
                self.raw.encrypt_init(self.session, Work::Encrypt.mechanism(cipher), &[], key)?;
                let written = self.raw.encrypt(self.session, &vec![0; known.len()], &mut out)?;
                Ok(value.is_empty() && written == known.len() && out == known)
            })
        })
    }

    fn mac(&self, cipher: Cipher, value: &[u8], message: &[u8], known: &[u8]) -> Result<bool> {
        self.with(self.key((cipher, value), Work::Mac)?, |key| {
            let mut out = vec![0; known.len()];
            self.raw.sign_init(self.session, Work::Mac.mechanism(cipher), key)?;
            let written = self.raw.sign(self.session, message, &mut out)?;
            Ok(written == known.len() && out == known)
        })
    }

    /// Uses a key and destroys it, whatever came of it.
    fn with(&self, key: ObjectHandle, use_it: impl FnOnce(ObjectHandle) -> Result<bool>) -> Result<bool> {
        let outcome = use_it(key);
        let destroyed = self.session.destroy_object(key);
        outcome.and_then(|works| destroyed.map(|()| works))
    }
}

/// A session key with a value that is known, hence nothing to protect. It may do one thing, like the real
/// ones, so that a token which does not accept such keys is found out.
fn known_key(cipher: Cipher, value: &[u8], work: Work) -> Vec<Attribute> {
    let mut template = derived(cipher, work, value.len());
    template.retain(|attribute| !matches!(attribute, Attribute::ValueLen(_)));
    template.push(Attribute::Value(value.to_vec()));
    template
}

/// The attribute that ties a key to one mechanism. cryptoki's own form cannot hold those it does not know.
pub(super) fn allowed(mechanism: CK_MECHANISM_TYPE) -> Attribute {
    Attribute::VendorDefined((AttributeType::AllowedMechanisms, mechanism.to_ne_bytes().to_vec()))
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::TripleDesEcb => "3DES-ECB",
            Capability::TripleDesStream => "3DES-ECB stream",
            Capability::TripleDesDecryption => "3DES-ECB decryption",
            Capability::TripleDesCbc => "3DES-CBC",
            Capability::TripleDesCmac => "3DES-CMAC",
            Capability::TripleDesDerivation => "3DES-ECB derivation",
            Capability::AesEcb => "AES-ECB",
            Capability::AesStream => "AES-ECB stream",
            Capability::AesDecryption => "AES-ECB decryption",
            Capability::AesCbc => "AES-CBC",
            Capability::AesDerivation => "AES-ECB derivation",
            Capability::AesCmac => "AES-CMAC",
            Capability::Hmac => "HMAC-SHA-256",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Works => f.write_str("works"),
            Verdict::Fails(cause) => write!(f, "fails ({cause})"),
            Verdict::WrongAnswer => f.write_str("gives a wrong answer"),
            Verdict::NotTried => f.write_str("was not tried"),
        }
    }
}

const ALL: [Capability; 13] = [
    Capability::TripleDesEcb,
    Capability::TripleDesStream,
    Capability::TripleDesDecryption,
    Capability::TripleDesCbc,
    Capability::TripleDesCmac,
    Capability::TripleDesDerivation,
    Capability::AesEcb,
    Capability::AesStream,
    Capability::AesDecryption,
    Capability::AesCbc,
    Capability::AesDerivation,
    Capability::AesCmac,
    Capability::Hmac,
];

// A published example of EMV option A: master key, number and its complement, the card key before parity, and
// what the card key makes of a block of zeros.
const TDES_KEY: [u8; 16] = 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210_u128.to_be_bytes();
const TDES_IN: [u8; 16] = 0x5678_1234_5678_9101_A987_EDCB_A987_6EFE_u128.to_be_bytes();
const TDES_OUT: [u8; 16] = 0xCB45_F993_BDDA_763E_F030_AF6C_E176_2735_u128.to_be_bytes();
const TDES_DERIVED: [u8; 8] = 0x4BA0_3D75_52C6_AAC2_u64.to_be_bytes();

// The same key over two blocks of zeros in a chain.
const TDES_CHAINED: [u8; 16] = 0x08D7_B4FB_629D_0885_0A12_1DC3_3DFB_5947_u128.to_be_bytes();

// NIST SP 800-38B, the example of no message under a 3DES key of two halves.
const TDES_CMAC_KEY: [u8; 16] = 0x4CF1_5134_A285_0DD5_8A3D_10BA_8057_0D38_u128.to_be_bytes();
const TDES_CMAC_OUT: [u8; 8] = 0xBD2E_BF9A_3BA0_0361_u64.to_be_bytes();

// FIPS 197, appendix C.1.
const AES_KEY: [u8; 16] = 0x0001_0203_0405_0607_0809_0A0B_0C0D_0E0F_u128.to_be_bytes();
const AES_IN: [u8; 16] = 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF_u128.to_be_bytes();
const AES_OUT: [u8; 16] = 0x69C4_E0D8_6A7B_0430_D8CD_B780_70B4_C55A_u128.to_be_bytes();

// Option C: master key, number, and what the card key 0D432E1BE091DD01F59C4C6998A764B7 makes of zeros.
const DERIVE_KEY: [u8; 16] = 0xDF44_038F_2DC1_0118_C122_BD3E_82AC_781C_u128.to_be_bytes();
const DERIVE_IN: [u8; 16] = 0x0000_0000_0000_0054_1312_3456_7848_0001_u128.to_be_bytes();
const DERIVED_OUT: [u8; 16] = 0xA457_9AF0_7E8C_368B_3796_8FE0_22D9_5CCC_u128.to_be_bytes();

// RFC 4493, section 4, example 2.
const CMAC_KEY: [u8; 16] = 0x2B7E_1516_28AE_D2A6_ABF7_1588_09CF_4F3C_u128.to_be_bytes();
const CMAC_IN: [u8; 16] = 0x6BC1_BEE2_2E40_9F96_E93D_7E11_7393_172A_u128.to_be_bytes();
const CMAC_OUT: [u8; 16] = 0x070A_16B4_6B4D_4144_F79B_DD9D_D04A_287C_u128.to_be_bytes();

// The same message under 32 bytes that count from 0.
const HMAC_KEY: [u8; 32] = {
    let mut key = [0; 32];
    let mut at = 0;
    while at < key.len() {
        key[at] = at as u8;
        at += 1;
    }
    key
};
const HMAC_OUT: [u8; 32] = [
    0x7A, 0x6F, 0x0E, 0x8F, 0x49, 0x07, 0x02, 0x85, 0x34, 0x49, 0xAA, 0x54, 0x4A, 0xAB, 0xD8, 0xAF, 0x6B,
    0x42, 0x83, 0xF3, 0xB6, 0x45, 0x8B, 0x90, 0xFD, 0xA9, 0x21, 0xF6, 0x37, 0x75, 0x69, 0x26,
];
