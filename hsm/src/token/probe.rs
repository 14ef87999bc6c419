//! What a module says it can do and what it does are two things: each mechanism is asked for an answer that
//! is known, with keys made for the purpose that live as long as the probe.

use std::fmt;

use cryptoki::error::Result;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::{
    CK_MECHANISM_TYPE, CKM_AES_CMAC, CKM_AES_ECB, CKM_AES_ECB_ENCRYPT_DATA, CKM_DES3_ECB,
    CKM_DES3_ECB_ENCRYPT_DATA,
};

use super::card_key::{CardKeyUse, derived};
use super::policy::Cipher;
use super::raw::Raw;
use crate::error::Cause;

/// Something a token must be able to do for some of the questions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Capability {
    /// `CKM_DES3_ECB`
    TripleDesEcb,
    /// `CKM_DES3_ECB` that stays open: `C_EncryptUpdate` gives each block back at once.
    TripleDesStream,
    /// `CKM_DES3_ECB_ENCRYPT_DATA`
    TripleDesDerivation,
    /// `CKM_AES_ECB`
    AesEcb,
    /// `CKM_AES_ECB` that stays open.
    AesStream,
    /// `CKM_AES_ECB_ENCRYPT_DATA`
    AesDerivation,
    /// `CKM_AES_CMAC`
    AesCmac,
}

impl Capability {
    /// Its mechanism, by name and number.
    pub(super) fn mechanism(self) -> (&'static str, CK_MECHANISM_TYPE) {
        match self {
            Capability::TripleDesEcb | Capability::TripleDesStream => ("CKM_DES3_ECB", CKM_DES3_ECB),
            Capability::TripleDesDerivation => ("CKM_DES3_ECB_ENCRYPT_DATA", CKM_DES3_ECB_ENCRYPT_DATA),
            Capability::AesEcb | Capability::AesStream => ("CKM_AES_ECB", CKM_AES_ECB),
            Capability::AesDerivation => ("CKM_AES_ECB_ENCRYPT_DATA", CKM_AES_ECB_ENCRYPT_DATA),
            Capability::AesCmac => ("CKM_AES_CMAC", CKM_AES_CMAC),
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
    let outcome = match capability {
        Capability::TripleDesEcb => probe.ecb(Cipher::TripleDes, &TDES_KEY, &TDES_IN, &TDES_OUT),
        Capability::TripleDesStream => probe.stream(Cipher::TripleDes, &TDES_KEY, &TDES_IN, &TDES_OUT),
        Capability::TripleDesDerivation => {
            probe.derivation(Cipher::TripleDes, &TDES_KEY, &TDES_IN, &TDES_DERIVED)
        }
        Capability::AesEcb => probe.ecb(Cipher::Aes, &AES_KEY, &AES_IN, &AES_OUT),
        Capability::AesStream => probe.stream(Cipher::Aes, &AES_KEY, &AES_IN, &AES_OUT),
        Capability::AesDerivation => probe.derivation(Cipher::Aes, &DERIVE_KEY, &DERIVE_IN, &DERIVED_OUT),
        Capability::AesCmac => probe.cmac(),
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
    let (cipher, may) = match capability {
        Capability::TripleDesEcb | Capability::TripleDesStream => {
            (Cipher::TripleDes, Attribute::Encrypt(true))
        }
        Capability::TripleDesDerivation => (Cipher::TripleDes, Attribute::Derive(true)),
        Capability::AesEcb | Capability::AesStream => (Cipher::Aes, Attribute::Encrypt(true)),
        Capability::AesDerivation => (Cipher::Aes, Attribute::Derive(true)),
        Capability::AesCmac => (Cipher::Aes, Attribute::Sign(true)),
    };
    let template = known_key(cipher, &AES_KEY, may, capability.mechanism().1);
    let is_stream = matches!(capability, Capability::TripleDesStream | Capability::AesStream);
    let (block, mut out) = (&AES_IN[..cipher.block_bytes()], [0; 16]);
    let once = |key, out: &mut [u8]| match capability {
        Capability::TripleDesEcb | Capability::AesEcb => {
            raw.encrypt_init(session, cipher.ecb(), key)?;
            raw.encrypt(session, block, out).map(drop)
        }
        Capability::TripleDesStream | Capability::AesStream => {
            raw.encrypt_update(session, block, out).map(drop)
        }
        Capability::TripleDesDerivation | Capability::AesDerivation => {
            let template = derived(cipher, CardKeyUse::Ecb);
            session.destroy_object(raw.derive(session, key, cipher.derivation(), &AES_IN, &template)?)
        }
        Capability::AesCmac => session.sign(&Mechanism::AesCMac, key, block).map(drop),
    };
    probe
        .with(session.create_object(&template)?, |key| {
            if is_stream {
                raw.encrypt_init(session, cipher.ecb(), key)?;
            }
            let outcome = loop {
                match once(key, &mut out) {
                    Ok(()) if enough() => break Ok(true),
                    Ok(()) => (),
                    Err(why) => break Err(why),
                }
            };
            if is_stream {
                session.encrypt_final()?;
            }
            outcome
        })
        .map(drop)
}

struct Probe<'a> {
    session: &'a Session,
    raw: &'a Raw,
}

impl Probe<'_> {
    fn ecb(&self, cipher: Cipher, key: &[u8; 16], data: &[u8; 16], known: &[u8; 16]) -> Result<bool> {
        let template = known_key(cipher, key, Attribute::Encrypt(true), cipher.ecb());
        self.with(self.session.create_object(&template)?, |key| {
            let mut out = [0; 16];
            self.raw.encrypt_init(self.session, cipher.ecb(), key)?;
            let written = self.raw.encrypt(self.session, data, &mut out)?;
            Ok(written == out.len() && out == *known)
        })
    }

    /// One block, then two: an open encryption must neither hold a block back nor chain them.
    fn stream(&self, cipher: Cipher, key: &[u8; 16], data: &[u8; 16], known: &[u8; 16]) -> Result<bool> {
        let template = known_key(cipher, key, Attribute::Encrypt(true), cipher.ecb());
        self.with(self.session.create_object(&template)?, |key| {
            let block = cipher.block_bytes();
            let (blocks, expected) = ([*data, *data].concat(), [*known, *known].concat());
            let (mut first, mut both) = (vec![0; block], vec![0; 2 * block]);
            self.raw.encrypt_init(self.session, cipher.ecb(), key)?;
            let one = self.raw.encrypt_update(self.session, &blocks[..block], &mut first);
            let two = self.raw.encrypt_update(self.session, &blocks[..2 * block], &mut both);
            // Ended in any case: the session is needed for the next probe.
            let left = self.session.encrypt_final();
            let whole = one? == block && two? == 2 * block && left?.is_empty();
            Ok(whole && first == expected[..block] && both == expected[..2 * block])
        })
    }

    /// Derives a key and looks at what it makes of a block of zeros.
    fn derivation(&self, cipher: Cipher, key: &[u8; 16], data: &[u8; 16], known: &[u8]) -> Result<bool> {
        let template = known_key(cipher, key, Attribute::Derive(true), cipher.derivation());
        self.with(self.session.create_object(&template)?, |base| {
            let template = derived(cipher, CardKeyUse::Ecb);
            let key = self.raw.derive(self.session, base, cipher.derivation(), data, &template)?;
            self.with(key, |key| {
                let value = self.session.get_attributes(key, &[AttributeType::Value])?;
                let mut out = vec![0; known.len()];
                self.raw.encrypt_init(self.session, cipher.ecb(), key)?;
                let written = self.raw.encrypt(self.session, &vec![0; known.len()], &mut out)?;
                Ok(value.is_empty() && written == known.len() && out == known)
            })
        })
    }

    fn cmac(&self) -> Result<bool> {
        let template = known_key(Cipher::Aes, &CMAC_KEY, Attribute::Sign(true), CKM_AES_CMAC);
        self.with(self.session.create_object(&template)?, |key| {
            Ok(self.session.sign(&Mechanism::AesCMac, key, &CMAC_IN)? == CMAC_OUT)
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
fn known_key(
    cipher: Cipher,
    value: &[u8; 16],
    may: Attribute,
    mechanism: CK_MECHANISM_TYPE,
) -> Vec<Attribute> {
    let uses = [Attribute::Encrypt(false), Attribute::Sign(false), Attribute::Derive(false)];
    let others = uses.into_iter().filter(|other| other.attribute_type() != may.attribute_type());
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(cipher.key_type()),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Value(value.to_vec()),
        allowed(mechanism),
    ];
    template.extend(others);
    template.push(may);
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
            Capability::TripleDesDerivation => "3DES-ECB derivation",
            Capability::AesEcb => "AES-ECB",
            Capability::AesStream => "AES-ECB stream",
            Capability::AesDerivation => "AES-ECB derivation",
            Capability::AesCmac => "AES-CMAC",
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

const ALL: [Capability; 7] = [
    Capability::TripleDesEcb,
    Capability::TripleDesStream,
    Capability::TripleDesDerivation,
    Capability::AesEcb,
    Capability::AesStream,
    Capability::AesDerivation,
    Capability::AesCmac,
];

// A published example of EMV option A: master key, number and its complement, the card key before parity, and
// what the card key makes of a block of zeros.
const TDES_KEY: [u8; 16] = 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210_u128.to_be_bytes();
const TDES_IN: [u8; 16] = 0x5678_1234_5678_9101_A987_EDCB_A987_6EFE_u128.to_be_bytes();
const TDES_OUT: [u8; 16] = 0xCB45_F993_BDDA_763E_F030_AF6C_E176_2735_u128.to_be_bytes();
const TDES_DERIVED: [u8; 8] = 0x4BA0_3D75_52C6_AAC2_u64.to_be_bytes();

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
