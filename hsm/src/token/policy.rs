//! What a key of ours must be allowed to do, and must not.
//!
//! Every key does one thing, by one mechanism. A key that could do more is refused, because whoever reaches
//! the session could then do more with it: a master key that also encrypts is an oracle for every card key,
//! one that also wraps carries others out of the token.

use std::fmt;

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use cryptoki_sys::{
    CK_MECHANISM_TYPE, CKM_AES_ECB, CKM_AES_ECB_ENCRYPT_DATA, CKM_DES3_ECB, CKM_DES3_ECB_ENCRYPT_DATA,
};

use super::probe::Capability;

/// What a key is for.
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
}

/// The block cipher of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cipher {
    /// With two different halves: K_L, K_R, K_L.
    TripleDes,
    Aes,
}

impl Cipher {
    pub(crate) fn key_type(self) -> KeyType {
        match self {
            Cipher::TripleDes => KeyType::DES2,
            Cipher::Aes => KeyType::AES,
        }
    }

    pub(crate) fn block_bytes(self) -> usize {
        match self {
            Cipher::TripleDes => 8,
            Cipher::Aes => 16,
        }
    }

    pub(crate) fn ecb(self) -> CK_MECHANISM_TYPE {
        match self {
            Cipher::TripleDes => CKM_DES3_ECB,
            Cipher::Aes => CKM_AES_ECB,
        }
    }

    pub(crate) fn derivation(self) -> CK_MECHANISM_TYPE {
        match self {
            Cipher::TripleDes => CKM_DES3_ECB_ENCRYPT_DATA,
            Cipher::Aes => CKM_AES_ECB_ENCRYPT_DATA,
        }
    }
}

impl Usage {
    /// Every use.
    pub const ALL: [Usage; 7] = [
        Usage::CardVerification,
        Usage::CardVerificationLeft,
        Usage::Cvc3Master,
        Usage::DynamicCvvMaster,
        Usage::CounterMaster,
        Usage::ExposedCounterMaster,
        Usage::ResponseMaster,
    ];

    /// Whether its cipher is AES; all others are of 3DES.
    pub fn is_aes(self) -> bool {
        self.cipher() == Cipher::Aes
    }

    pub(crate) fn cipher(self) -> Cipher {
        match self {
            Usage::CardVerification
            | Usage::CardVerificationLeft
            | Usage::Cvc3Master
            | Usage::DynamicCvvMaster => Cipher::TripleDes,
            Usage::CounterMaster | Usage::ExposedCounterMaster | Usage::ResponseMaster => Cipher::Aes,
        }
    }

    /// Whether the key encrypts by itself; all others have keys derived from them.
    pub(crate) fn encrypts(self) -> bool {
        matches!(self, Usage::CardVerification | Usage::CardVerificationLeft | Usage::ExposedCounterMaster)
    }

    /// The one mechanism of the key.
    pub(crate) fn mechanism(self) -> CK_MECHANISM_TYPE {
        if self.encrypts() { self.cipher().ecb() } else { self.cipher().derivation() }
    }

    /// What the token must be able to do for this key to be of use.
    pub fn needs(self) -> &'static [Capability] {
        match self {
            Usage::CardVerification | Usage::CardVerificationLeft => {
                &[Capability::TripleDesEcb, Capability::TripleDesStream]
            }
            Usage::Cvc3Master | Usage::DynamicCvvMaster => {
                &[Capability::TripleDesEcb, Capability::TripleDesDerivation]
            }
            Usage::CounterMaster => &[Capability::AesEcb, Capability::AesDerivation],
            Usage::ExposedCounterMaster => &[Capability::AesEcb, Capability::AesStream],
            Usage::ResponseMaster => &[Capability::AesCmac, Capability::AesDerivation],
        }
    }

    /// Why a key with these attributes and mechanisms must not be used for this.
    pub(crate) fn weaknesses(self, found: &[Attribute], allowed: &[CK_MECHANISM_TYPE]) -> Vec<Weakness> {
        let attributes = self.demands().into_iter().filter(|(attribute, _)| !found.contains(attribute));
        let mechanisms = match allowed {
            [] => Some(Weakness::AnyMechanism),
            [only] if *only == self.mechanism() => None,
            _ => Some(Weakness::OtherMechanism),
        };
        attributes.map(|(_, weakness)| weakness).chain(mechanisms).collect()
    }

    /// The attributes that a key of this use has, and what it is called to have another.
    pub(crate) fn demands(self) -> [(Attribute, Weakness); 14] {
        let encrypts = self.encrypts();
        [
            (Attribute::Class(ObjectClass::SECRET_KEY), Weakness::OtherType),
            (Attribute::KeyType(self.cipher().key_type()), Weakness::OtherType),
            (Attribute::Token(true), Weakness::NotOnToken),
            (Attribute::Private(true), Weakness::NotPrivate),
            (Attribute::Sensitive(true), Weakness::NotSensitive),
            (Attribute::Extractable(false), Weakness::Extractable),
            (Attribute::Modifiable(false), Weakness::Modifiable),
            (Attribute::Encrypt(encrypts), Weakness::of_use(encrypts, "encrypt")),
            (Attribute::Derive(!encrypts), Weakness::of_use(!encrypts, "derive")),
            (Attribute::Decrypt(false), Weakness::May("decrypt")),
            (Attribute::Sign(false), Weakness::May("sign")),
            (Attribute::Verify(false), Weakness::May("verify")),
            (Attribute::Wrap(false), Weakness::May("wrap")),
            (Attribute::Unwrap(false), Weakness::May("unwrap")),
        ]
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
