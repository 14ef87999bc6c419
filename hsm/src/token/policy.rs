//! What a key of ours must be allowed to do, and must not.
//!
//! Every key does one thing, by one mechanism. A key that could do more is refused, because whoever reaches
//! the session could then do more with it: a master key that also encrypts is an oracle for every card key,
//! one that also wraps carries others out of the token. Only a key that protects key blocks needs two mechanisms; it is
//! used by custodians, never by the running switch.

use std::fmt;

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use cryptoki_sys::{
    CK_MECHANISM_TYPE, CKM_AES_CBC, CKM_AES_CMAC, CKM_AES_ECB, CKM_AES_ECB_ENCRYPT_DATA, CKM_DES3_CBC,
    CKM_DES3_CMAC, CKM_DES3_ECB, CKM_DES3_ECB_ENCRYPT_DATA, CKM_SHA256_HMAC,
};

use super::probe::Capability;

/// What a key on the token is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Usage {
    /// CVK: makes the static codes of all cards of an issuer.
    CardVerification,
    /// The left half of a CVK, twice: single DES, which static codes begin with.
    CardVerificationLeft,
    /// IMK-CVC3: card keys of CVC3 are derived from it.
    Cvc3Master,
    /// The same for dynamic CVVs.
    DynamicCvvMaster,
    /// The private counters of rotating ATCs are derived from it.
    CounterMaster,
    /// The private counters of rotating ATCs are computed by it, and seen: exposure `session`.
    ExposedCounterMaster,
    /// The account keys of challenge responses are derived from it.
    ResponseMaster,
    /// IMK-CVC3 whose card keys are computed by it, and seen: exposure `card`.
    ExposedCvc3Master,
    /// The same for dynamic CVVs.
    ExposedDynamicCvvMaster,
    /// The same for the account keys of challenge responses.
    ExposedResponseMaster,
    /// The same for application cryptograms.
    ExposedCryptogramMaster,
    /// The same for cards with AES.
    ExposedAesCryptogramMaster,
    /// Makes of an enrolled response the tag that is stored of it.
    ResponsePepper,
    /// The same, by HMAC-SHA-256.
    ResponseHmac,
    /// IMK-AC: card keys of application cryptograms are derived from it.
    CryptogramMaster,
    /// The same for cards with AES.
    AesCryptogramMaster,
    /// Zone key under which PIN blocks come in, formats 0, 1 and 3.
    PinIn,
    /// Zone key under which PIN blocks go out, formats 0, 1 and 3.
    PinOut,
    /// Zone key under which PIN blocks come in, format 4.
    AesPinIn,
    /// Zone key under which PIN blocks go out, format 4.
    AesPinOut,
    /// Makes the MACs of messages by algorithm 3 of ISO/IEC 9797-1.
    MacAlgorithm3,
    /// The left half of such a key, twice: single DES, which the algorithm begins with.
    MacAlgorithm3Left,
    /// Makes the MACs of messages by CMAC with 3DES.
    MacTripleDes,
    /// Makes the MACs of messages by CMAC with AES.
    MacAes,
    /// Makes the keys that data keys of a journal are wrapped under, by HMAC-SHA-256.
    JournalKeys,
    /// KBPK of key blocks, version B.
    KeyBlockProtection,
    /// KBPK of key blocks, version D.
    AesKeyBlockProtection,
}

/// The algorithm of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cipher {
    /// With two different halves: K_L, K_R, K_L.
    TripleDes,
    Aes,
    /// HMAC-SHA-256: no cipher at all.
    Hmac,
}

impl Cipher {
    pub(crate) fn key_type(self) -> KeyType {
        match self {
            Cipher::TripleDes => KeyType::DES2,
            Cipher::Aes => KeyType::AES,
            Cipher::Hmac => KeyType::GENERIC_SECRET,
        }
    }

    /// Bytes of a key, where the type has one length only; of AES, the least.
    pub(crate) fn key_bytes(self) -> usize {
        match self {
            Cipher::TripleDes | Cipher::Aes => 16,
            Cipher::Hmac => 32,
        }
    }

    /// Bytes of a block; of an HMAC, of its result.
    pub(crate) fn block_bytes(self) -> usize {
        match self {
            Cipher::TripleDes => 8,
            Cipher::Aes => 16,
            Cipher::Hmac => 32,
        }
    }
}

/// The one thing a key does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Work {
    /// Encrypts blocks, each by itself (ECB).
    Encrypt,
    /// Decrypts blocks, each by itself (ECB).
    Decrypt,
    /// Encrypts a chain of blocks (CBC), of which the last is the beginning of a MAC.
    Chain,
    /// Decrypts a chain of blocks (CBC): the contents of a key block.
    Unwrap,
    /// Makes a MAC: CMAC, or HMAC.
    Mac,
    /// Has keys derived from it (ECB over data that makes the key).
    Derive,
    /// Protects key blocks: keys are derived from it, after it encrypted one block of zeros.
    Protect,
}

impl Work {
    /// By which mechanisms. Only [`Work::Protect`] has two.
    pub(crate) fn mechanisms(self, cipher: Cipher) -> &'static [CK_MECHANISM_TYPE] {
        match (self, cipher) {
            (Work::Encrypt | Work::Decrypt, Cipher::TripleDes) => &[CKM_DES3_ECB],
            (Work::Encrypt | Work::Decrypt, Cipher::Aes) => &[CKM_AES_ECB],
            (Work::Chain | Work::Unwrap, Cipher::TripleDes) => &[CKM_DES3_CBC],
            (Work::Chain | Work::Unwrap, Cipher::Aes) => &[CKM_AES_CBC],
            (Work::Mac, Cipher::TripleDes) => &[CKM_DES3_CMAC],
            (Work::Mac, Cipher::Aes) => &[CKM_AES_CMAC],
            (Work::Derive, Cipher::TripleDes) => &[CKM_DES3_ECB_ENCRYPT_DATA],
            (Work::Derive, Cipher::Aes) => &[CKM_AES_ECB_ENCRYPT_DATA],
            (Work::Protect, Cipher::TripleDes) => &[CKM_DES3_ECB, CKM_DES3_ECB_ENCRYPT_DATA],
            (Work::Protect, Cipher::Aes) => &[CKM_AES_ECB, CKM_AES_ECB_ENCRYPT_DATA],
            (_, Cipher::Hmac) => &[CKM_SHA256_HMAC],
        }
    }

    /// The first of them; for most the only one.
    pub(crate) fn mechanism(self, cipher: Cipher) -> CK_MECHANISM_TYPE {
        self.mechanisms(cipher)[0]
    }

    pub(crate) fn encrypts(self) -> bool {
        matches!(self, Work::Encrypt | Work::Chain | Work::Protect)
    }

    pub(crate) fn decrypts(self) -> bool {
        matches!(self, Work::Decrypt | Work::Unwrap)
    }

    pub(crate) fn derives(self) -> bool {
        matches!(self, Work::Derive | Work::Protect)
    }

    pub(crate) fn signs(self) -> bool {
        self == Work::Mac
    }
}

impl Usage {
    /// Every use.
    pub const ALL: [Usage; 27] = [
        Usage::CardVerification,
        Usage::CardVerificationLeft,
        Usage::Cvc3Master,
        Usage::DynamicCvvMaster,
        Usage::CounterMaster,
        Usage::ExposedCounterMaster,
        Usage::ResponseMaster,
        Usage::ExposedCvc3Master,
        Usage::ExposedDynamicCvvMaster,
        Usage::ExposedResponseMaster,
        Usage::ExposedCryptogramMaster,
        Usage::ExposedAesCryptogramMaster,
        Usage::ResponsePepper,
        Usage::ResponseHmac,
        Usage::CryptogramMaster,
        Usage::AesCryptogramMaster,
        Usage::PinIn,
        Usage::PinOut,
        Usage::AesPinIn,
        Usage::AesPinOut,
        Usage::MacAlgorithm3,
        Usage::MacAlgorithm3Left,
        Usage::MacTripleDes,
        Usage::MacAes,
        Usage::JournalKeys,
        Usage::KeyBlockProtection,
        Usage::AesKeyBlockProtection,
    ];

    /// Whether its cipher is AES.
    pub fn is_aes(self) -> bool {
        self.cipher() == Cipher::Aes
    }

    pub(crate) fn cipher(self) -> Cipher {
        self.form().0
    }

    pub(crate) fn work(self) -> Work {
        self.form().1
    }

    fn form(self) -> (Cipher, Work) {
        match self {
            Usage::CardVerification | Usage::CardVerificationLeft => (Cipher::TripleDes, Work::Encrypt),
            Usage::Cvc3Master | Usage::DynamicCvvMaster | Usage::CryptogramMaster => {
                (Cipher::TripleDes, Work::Derive)
            }
            Usage::CounterMaster | Usage::ResponseMaster | Usage::AesCryptogramMaster => {
                (Cipher::Aes, Work::Derive)
            }
            Usage::ExposedCvc3Master | Usage::ExposedDynamicCvvMaster | Usage::ExposedCryptogramMaster => {
                (Cipher::TripleDes, Work::Encrypt)
            }
            Usage::ExposedResponseMaster | Usage::ExposedAesCryptogramMaster => (Cipher::Aes, Work::Encrypt),
            Usage::ExposedCounterMaster | Usage::ResponsePepper => (Cipher::Aes, Work::Encrypt),
            Usage::ResponseHmac | Usage::JournalKeys => (Cipher::Hmac, Work::Mac),
            Usage::PinIn => (Cipher::TripleDes, Work::Decrypt),
            Usage::PinOut => (Cipher::TripleDes, Work::Encrypt),
            Usage::AesPinIn => (Cipher::Aes, Work::Decrypt),
            Usage::AesPinOut => (Cipher::Aes, Work::Encrypt),
            Usage::MacAlgorithm3 => (Cipher::TripleDes, Work::Encrypt),
            Usage::MacAlgorithm3Left => (Cipher::TripleDes, Work::Chain),
            Usage::MacTripleDes => (Cipher::TripleDes, Work::Mac),
            Usage::MacAes => (Cipher::Aes, Work::Mac),
            Usage::KeyBlockProtection => (Cipher::TripleDes, Work::Protect),
            Usage::AesKeyBlockProtection => (Cipher::Aes, Work::Protect),
        }
    }

    /// The mechanisms of the key: one, but for those that protect key blocks.
    pub(crate) fn mechanisms(self) -> &'static [CK_MECHANISM_TYPE] {
        self.work().mechanisms(self.cipher())
    }

    /// The use of the key that is the left half of this one, twice, where one belongs to it.
    pub(crate) fn left_half(self) -> Option<Usage> {
        match self {
            Usage::CardVerification => Some(Usage::CardVerificationLeft),
            Usage::MacAlgorithm3 => Some(Usage::MacAlgorithm3Left),
            _ => None,
        }
    }

    /// The use of a key of which the same is derived, and seen.
    pub(crate) fn exposed(self) -> Option<Usage> {
        match self {
            Usage::Cvc3Master => Some(Usage::ExposedCvc3Master),
            Usage::DynamicCvvMaster => Some(Usage::ExposedDynamicCvvMaster),
            Usage::CounterMaster => Some(Usage::ExposedCounterMaster),
            Usage::ResponseMaster => Some(Usage::ExposedResponseMaster),
            Usage::CryptogramMaster => Some(Usage::ExposedCryptogramMaster),
            Usage::AesCryptogramMaster => Some(Usage::ExposedAesCryptogramMaster),
            _ => None,
        }
    }

    /// What the token must be able to do for this key to be of use.
    pub fn needs(self) -> &'static [Capability] {
        use Capability as Can;
        match self {
            Usage::CardVerification
            | Usage::CardVerificationLeft
            | Usage::ExposedCvc3Master
            | Usage::ExposedDynamicCvvMaster
            | Usage::ExposedCryptogramMaster => &[Can::TripleDesEcb, Can::TripleDesStream],
            Usage::Cvc3Master | Usage::DynamicCvvMaster | Usage::CryptogramMaster => {
                &[Can::TripleDesEcb, Can::TripleDesCbc, Can::TripleDesDerivation]
            }
            Usage::CounterMaster => &[Can::AesEcb, Can::AesDerivation],
            Usage::ExposedCounterMaster
            | Usage::ExposedResponseMaster
            | Usage::ExposedAesCryptogramMaster
            | Usage::ResponsePepper => &[Can::AesEcb, Can::AesStream],
            Usage::ResponseMaster | Usage::AesCryptogramMaster => &[Can::AesCmac, Can::AesDerivation],
            Usage::ResponseHmac | Usage::JournalKeys => &[Can::Hmac],
            Usage::PinIn => &[Can::TripleDesDecryption],
            Usage::PinOut => &[Can::TripleDesEcb, Can::TripleDesStream],
            Usage::AesPinIn => &[Can::AesDecryption],
            Usage::AesPinOut => &[Can::AesEcb, Can::AesStream],
            Usage::MacAlgorithm3 => &[Can::TripleDesEcb],
            Usage::MacAlgorithm3Left => &[Can::TripleDesCbc],
            Usage::MacTripleDes => &[Can::TripleDesCmac],
            Usage::MacAes => &[Can::AesCmac],
            Usage::KeyBlockProtection => {
                &[Can::TripleDesEcb, Can::TripleDesCbc, Can::TripleDesDerivation, Can::TripleDesCmac]
            }
            Usage::AesKeyBlockProtection => &[Can::AesEcb, Can::AesCbc, Can::AesDerivation, Can::AesCmac],
        }
    }

    /// Why a key with these attributes and mechanisms must not be used for this.
    pub(crate) fn weaknesses(self, found: &[Attribute], allowed: &[CK_MECHANISM_TYPE]) -> Vec<Weakness> {
        let attributes = self.demands().into_iter().filter(|(attribute, _)| !found.contains(attribute));
        let (mut needed, mut allowed) = (self.mechanisms().to_vec(), allowed.to_vec());
        needed.sort_unstable();
        allowed.sort_unstable();
        let mechanisms = match allowed.as_slice() {
            [] => Some(Weakness::AnyMechanism),
            allowed if *allowed == needed => None,
            _ => Some(Weakness::OtherMechanism),
        };
        attributes.map(|(_, weakness)| weakness).chain(mechanisms).collect()
    }

    /// The attributes that a key of this use has, and what it is called to have another.
    pub(crate) fn demands(self) -> [(Attribute, Weakness); 14] {
        let work = self.work();
        let (encrypts, decrypts) = (work.encrypts(), work.decrypts());
        let (derives, signs) = (work.derives(), work.signs());
        [
            (Attribute::Class(ObjectClass::SECRET_KEY), Weakness::OtherType),
            (Attribute::KeyType(self.cipher().key_type()), Weakness::OtherType),
            (Attribute::Token(true), Weakness::NotOnToken),
            (Attribute::Private(true), Weakness::NotPrivate),
            (Attribute::Sensitive(true), Weakness::NotSensitive),
            (Attribute::Extractable(false), Weakness::Extractable),
            (Attribute::Modifiable(false), Weakness::Modifiable),
            (Attribute::Encrypt(encrypts), Weakness::of_use(encrypts, "encrypt")),
            (Attribute::Derive(derives), Weakness::of_use(derives, "derive")),
            (Attribute::Decrypt(decrypts), Weakness::of_use(decrypts, "decrypt")),
            (Attribute::Sign(signs), Weakness::of_use(signs, "sign")),
            (Attribute::Verify(false), Weakness::May("verify")),
            (Attribute::Wrap(false), Weakness::May("wrap")),
            (Attribute::Unwrap(false), Weakness::May("unwrap")),
        ]
    }
}

/// As `signalbox keys` calls it.
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Usage::CardVerification => "cvv",
            Usage::CardVerificationLeft => "cvv-left",
            Usage::Cvc3Master => "cvc3",
            Usage::DynamicCvvMaster => "dynamic-cvv",
            Usage::CounterMaster => "rotating-atc",
            Usage::ExposedCounterMaster => "rotating-atc-session",
            Usage::ResponseMaster => "challenge",
            Usage::ExposedCvc3Master => "cvc3-card",
            Usage::ExposedDynamicCvvMaster => "dynamic-cvv-card",
            Usage::ExposedResponseMaster => "challenge-card",
            Usage::ExposedCryptogramMaster => "cryptogram-card",
            Usage::ExposedAesCryptogramMaster => "cryptogram-aes-card",
            Usage::ResponsePepper => "challenge-pepper",
            Usage::ResponseHmac => "challenge-hmac",
            Usage::CryptogramMaster => "cryptogram",
            Usage::AesCryptogramMaster => "cryptogram-aes",
            Usage::PinIn => "pin-in",
            Usage::PinOut => "pin-out",
            Usage::AesPinIn => "pin-in-aes",
            Usage::AesPinOut => "pin-out-aes",
            Usage::MacAlgorithm3 => "mac-algorithm3",
            Usage::MacAlgorithm3Left => "mac-algorithm3-left",
            Usage::MacTripleDes => "mac-cmac",
            Usage::MacAes => "mac-cmac-aes",
            Usage::JournalKeys => "journal",
            Usage::KeyBlockProtection => "key-block",
            Usage::AesKeyBlockProtection => "key-block-aes",
        })
    }
}

/// The attributes that [`Usage::weaknesses`] looks at.
pub(crate) const JUDGED: [AttributeType; 14] = [
    AttributeType::Class,
    AttributeType::KeyType,
    AttributeType::Token,
    AttributeType::Private,
    AttributeType::Sensitive,
    AttributeType::Extractable,
    AttributeType::Modifiable,
    AttributeType::Encrypt,
    AttributeType::Derive,
    AttributeType::Decrypt,
    AttributeType::Sign,
    AttributeType::Verify,
    AttributeType::Wrap,
    AttributeType::Unwrap,
];

/// Why a key is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weakness {
    /// Not a secret key of the cipher that is needed.
    OtherType,
    /// `CKA_TOKEN` is false: gone with the session that made it.
    NotOnToken,
    /// `CKA_PRIVATE` is false: can be used without login.
    NotPrivate,
    /// `CKA_SENSITIVE` is false: its value can be read.
    NotSensitive,
    /// `CKA_EXTRACTABLE` is true: it can be wrapped and carried out.
    Extractable,
    /// `CKA_MODIFIABLE` is true: it can be given other attributes.
    Modifiable,
    /// It may do what this key is not for.
    May(&'static str),
    /// It may not do what this key is for.
    MayNot(&'static str),
    /// `CKA_ALLOWED_MECHANISMS` is empty or absent: the key may be used with any.
    AnyMechanism,
    /// `CKA_ALLOWED_MECHANISMS` is not just the mechanism that is needed.
    OtherMechanism,
}

impl Weakness {
    fn of_use(needed: bool, what: &'static str) -> Weakness {
        if needed { Weakness::MayNot(what) } else { Weakness::May(what) }
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Weakness::OtherType => f.write_str("is of another type"),
            Weakness::NotOnToken => f.write_str("is not on the token"),
            Weakness::NotPrivate => f.write_str("is not private"),
            Weakness::NotSensitive => f.write_str("is not sensitive"),
            Weakness::Extractable => f.write_str("is extractable"),
            Weakness::Modifiable => f.write_str("is modifiable"),
            Weakness::May(what) => write!(f, "may {what}"),
            Weakness::MayNot(what) => write!(f, "may not {what}"),
            Weakness::AnyMechanism => f.write_str("allows any mechanism"),
            Weakness::OtherMechanism => f.write_str("allows other mechanisms than its own"),
        }
    }
}
