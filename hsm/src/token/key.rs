//! Finding a master key: by label, judged by its attributes, recognised by its check value.

use std::fmt;

use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};

use super::Token;
use super::policy::{Cipher, JUDGED, Usage, Weakness};
use super::probe::{Capability, Verdict};
use crate::error::Cause;

/// The first three bytes of a block of zeros, encrypted: tells keys apart without telling them
/// (`CKA_CHECK_VALUE`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckValue(pub [u8; 3]);

/// Which key is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeySpec {
    /// Its `CKA_LABEL`, which no other secret key of the token may have.
    pub label: String,
    /// Its check value, as written down when it was made. A label alone does not say that it is the key.
    pub check_value: CheckValue,
    /// Whether `CKA_MODIFIABLE` may be true, so that whoever is logged in may widen what the key can do.
    /// SoftHSM2 copies no other keys into a session.
    pub danger_modifiable: bool,
}

/// A master key that was found good.
pub(crate) struct Master {
    pub(crate) usage: Usage,
    pub(crate) handle: ObjectHandle,
    pub(crate) check_value: CheckValue,
    /// How long it is; the AES keys of cards are as long as their master.
    pub(crate) key_bytes: usize,
    /// Whether it is used through a copy in the session. Such a copy is as well protected as the original,
    /// and faster on modules that look at their storage before each use.
    pub(crate) is_copy: bool,
}

impl Token {
    /// Finds a key and makes sure of it.
    pub(crate) fn load(&self, spec: &KeySpec, usage: Usage) -> Result<Master, KeyError> {
        self.find(spec, usage).map_err(|flaw| KeyError { label: spec.label.clone(), usage, flaw })
    }

    fn find(&self, spec: &KeySpec, usage: Usage) -> Result<Master, KeyFlaw> {
        for &capability in usage.needs() {
            match self.verdict(capability) {
                Verdict::Works => (),
                verdict => return Err(KeyFlaw::NotCapable(capability, verdict)),
            }
        }
        let original = self.only_one(&spec.label)?;
        let mut weaknesses = self.weaknesses(original, usage)?;
        weaknesses.retain(|weakness| !(spec.danger_modifiable && *weakness == Weakness::Modifiable));
        if !weaknesses.is_empty() {
            return Err(KeyFlaw::Weak(weaknesses));
        }
        let check_value = self.check_value(original)?;
        if check_value != spec.check_value {
            return Err(KeyFlaw::OtherKey { found: check_value });
        }
        let key_bytes = self.key_bytes(original, usage)?;
        let copy = self.copy(original, usage)?;
        let handle = copy.unwrap_or(original);
        Ok(Master { usage, handle, check_value, key_bytes, is_copy: copy.is_some() })
    }

    /// The length of an AES key, which is all that its type does not say.
    fn key_bytes(&self, key: ObjectHandle, usage: Usage) -> Result<usize, KeyFlaw> {
        if usage.cipher() != Cipher::Aes {
            return Ok(usage.cipher().key_bytes());
        }
        match self.session.get_attributes(key, &[AttributeType::ValueLen])?.as_slice() {
            [Attribute::ValueLen(bytes)] => usize::try_from(**bytes).map_err(|_| KeyFlaw::NoLength),
            _ => Err(KeyFlaw::NoLength),
        }
    }

    /// A copy in the session, or none if the token makes no copies of such a key.
    fn copy(&self, original: ObjectHandle, usage: Usage) -> Result<Option<ObjectHandle>, KeyFlaw> {
        let changes = [Attribute::Token(false), Attribute::Modifiable(false)];
        let changes = if self.is_modifiable(original)? { &changes[..] } else { &changes[..1] };
        let copy = match self.session.copy_object(original, changes) {
            Ok(copy) => copy,
            Err(Error::Pkcs11(RvError::AttributeReadOnly | RvError::ActionProhibited, _)) => return Ok(None),
            Err(why) => return Err(KeyFlaw::Token(why)),
        };
        // A module that loses an attribute on the way would open what the original keeps shut.
        let mut weaknesses = self.weaknesses(copy, usage)?;
        weaknesses.retain(|weakness| *weakness != Weakness::NotOnToken);
        if weaknesses.is_empty() { Ok(Some(copy)) } else { Err(KeyFlaw::WeakCopy(weaknesses)) }
    }

    fn is_modifiable(&self, key: ObjectHandle) -> Result<bool, KeyFlaw> {
        let found = self.session.get_attributes(key, &[AttributeType::Modifiable])?;
        Ok(found != [Attribute::Modifiable(false)])
    }

    fn weaknesses(&self, key: ObjectHandle, usage: Usage) -> Result<Vec<Weakness>, KeyFlaw> {
        let found = self.session.get_attributes(key, &JUDGED)?;
        let allowed = self.module.raw.allowed_mechanisms(&self.session, key)?;
        Ok(usage.weaknesses(&found, &allowed))
    }

    fn only_one(&self, label: &str) -> Result<ObjectHandle, KeyFlaw> {
        let class = Attribute::Class(ObjectClass::SECRET_KEY);
        // Token objects only: the copies made here bear the label too.
        let wanted = [class, Attribute::Token(true), Attribute::Label(label.as_bytes().to_vec())];
        match self.session.find_objects(&wanted)?.as_slice() {
            [] => Err(KeyFlaw::Absent),
            [key] => Ok(*key),
            _ => Err(KeyFlaw::Ambiguous),
        }
    }

    /// What the token says is the check value of a key.
    fn check_value(&self, key: ObjectHandle) -> Result<CheckValue, KeyFlaw> {
        let found = self.session.get_attributes(key, &[AttributeType::CheckValue])?;
        let [Attribute::CheckValue(bytes)] = found.as_slice() else { return Err(KeyFlaw::NoCheckValue) };
        <[u8; 3]>::try_from(bytes.as_slice()).map(CheckValue).map_err(|_| KeyFlaw::NoCheckValue)
    }
}

/// A key that is not used.
#[derive(Debug)]
pub struct KeyError {
    /// The label that was looked for.
    pub label: String,
    /// What the key was wanted for.
    pub usage: Usage,
    /// Why it is not used.
    pub flaw: KeyFlaw,
}

/// Why a key is not used.
#[derive(Debug)]
pub enum KeyFlaw {
    /// The token cannot do what this key is for.
    NotCapable(Capability, Verdict),
    /// No key has the label.
    Absent,
    /// Several keys have it.
    Ambiguous,
    /// It may be read, carried off, changed, or used for more than it is for.
    Weak(Vec<Weakness>),
    /// Its copy in the session would be.
    WeakCopy(Vec<Weakness>),
    /// The token does not tell a check value of three bytes.
    NoCheckValue,
    /// The token does not tell how long the key is.
    NoLength,
    /// Another key than the one that was written down.
    OtherKey {
        /// Its check value.
        found: CheckValue,
    },
    /// No open encryption under it could be had.
    NoStream(Cause),
    /// The token did not answer.
    Token(Error),
}

impl KeyFlaw {
    /// Whether it says nothing of the key: the token was lost on the way to it.
    pub(crate) fn is_of_the_token(&self) -> bool {
        let cause = match self {
            KeyFlaw::NotCapable(_, Verdict::Fails(cause)) | KeyFlaw::NoStream(cause) => *cause,
            KeyFlaw::Token(Error::Pkcs11(code, function)) => Cause::from(Error::Pkcs11(*code, *function)),
            _ => return false,
        };
        matches!(cause, Cause::Busy | Cause::SessionLost | Cause::LoggedOut | Cause::DeviceLost)
    }
}

impl From<Error> for KeyFlaw {
    fn from(why: Error) -> KeyFlaw {
        KeyFlaw::Token(why)
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {:?} (usage {}): ", self.label, self.usage)?;
        match &self.flaw {
            KeyFlaw::NotCapable(capability, verdict) => write!(f, "needs {capability}, which {verdict}"),
            KeyFlaw::Absent => f.write_str("not on the token"),
            KeyFlaw::Ambiguous => f.write_str("more than one key has this label"),
            KeyFlaw::Weak(weaknesses) => write!(f, "refused, because it {}", list(weaknesses)),
            KeyFlaw::WeakCopy(weaknesses) => write!(f, "refused, because a copy {}", list(weaknesses)),
            KeyFlaw::NoCheckValue => f.write_str("the token tells no check value"),
            KeyFlaw::NoLength => f.write_str("the token tells no length"),
            KeyFlaw::OtherKey { found } => write!(f, "another key, with check value {found}"),
            KeyFlaw::NoStream(cause) => write!(f, "cannot be kept in use: {cause}"),
            KeyFlaw::Token(why) => write!(f, "{why}"),
        }
    }
}

fn list(weaknesses: &[Weakness]) -> String {
    weaknesses.iter().map(Weakness::to_string).collect::<Vec<_>>().join(", ")
}

impl std::error::Error for KeyError {}

impl fmt::Display for CheckValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}
