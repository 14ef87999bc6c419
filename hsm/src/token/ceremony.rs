//! Making a token ready: initialising it, putting keys on it with exactly the attributes that their use
//! demands, and listing what is there. Done by people, beside a running switch, never by it.

use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;

use zeroize::{Zeroize, Zeroizing};

use super::key_block::{self, KeyBlockError};
use super::policy::{Cipher, Usage};
use super::{CheckValue, KeyError, KeySpec, OpenError, Token, slot_of};
use crate::secret::Secret;

/// A token that its custodians may make keys on.
pub struct Ceremony {
    token: Token,
}

/// A key that was made: its label and check value.
pub type Made = (String, CheckValue);

/// A secret key on a token.
pub struct Listed {
    /// Its label.
    pub label: String,
    /// Its check value, where the token tells one.
    pub check_value: Option<CheckValue>,
    /// What its attributes make it good for: uses that need the same of a key are told apart by its label and
    /// check value alone. None: why not, for the use that comes nearest.
    pub usages: Result<Vec<Usage>, String>,
}

fn start(module: &Path) -> Result<Pkcs11, OpenError> {
    let context = super::load(module)?;
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(context),
        Err(why) => Err(OpenError::Module(why)),
    }
}

fn clear(pin: &Secret) -> Result<AuthPin, OpenError> {
    let text = std::str::from_utf8(pin.danger_clear_bytes());
    text.map(|text| AuthPin::from(text.to_owned())).map_err(|_| OpenError::PinNotText)
}

/// Initialises a token in the first slot that has none, with the officer's PIN and the user's.
pub fn initialise(module: &Path, label: &str, officer: &Secret, user: &Secret) -> Result<(), OpenError> {
    let context = start(module)?;
    if slot_of(&context, label).is_ok() {
        return Err(OpenError::SeveralTokens { label: label.to_owned() });
    }
    let slots = context.get_slots_with_token().map_err(OpenError::Module)?;
    let is_free = |slot: &cryptoki::slot::Slot| {
        context.get_token_info(*slot).is_ok_and(|token| !token.token_initialized())
    };
    let Some(slot) = slots.into_iter().find(is_free) else {
        return Err(OpenError::NoToken { label: String::from("(an uninitialised one)") });
    };
    let officer = clear(officer)?;
    let make = || -> Result<(), Error> {
        context.init_token(slot, &officer, label)?;
        let session = context.open_rw_session(slot)?;
        session.login(UserType::So, Some(&officer))?;
        session.init_pin(&clear(user).map_err(|_| Error::InvalidValue)?)?;
        session.logout()
    };
    make().map_err(OpenError::Module)
}

impl Ceremony {
    /// Logs in to a token to make keys on it.
    pub fn open(module: &Path, label: &str, pin: &Secret) -> Result<Ceremony, OpenError> {
        Token::open_for(module, label, pin, true).map(|token| Ceremony { token })
    }

    /// Has the token make a key of this use, which nobody ever sees.
    pub fn generate(&self, label: &str, usage: Usage) -> Result<CheckValue, CeremonyError> {
        if usage.left_half().is_some() {
            return Err(CeremonyError::LeftHalfNeeded);
        }
        self.is_free(label)?;
        let mut template = template(label, usage);
        template.retain(|attribute| !matches!(attribute, Attribute::Class(_) | Attribute::KeyType(_)));
        let length = cryptoki_sys::CK_ULONG::try_from(usage.cipher().key_bytes()).expect("a short key");
        let mechanism = match usage.cipher() {
            Cipher::TripleDes => Mechanism::Des2KeyGen,
            Cipher::Aes => Mechanism::AesKeyGen,
            Cipher::Hmac => Mechanism::GenericSecretKeyGen,
        };
        if usage.cipher() != Cipher::TripleDes {
            template.push(Attribute::ValueLen(length.into()));
        }
        let key = self.token.session.generate_key(&mechanism, &template).map_err(CeremonyError::Token)?;
        self.check_value(key).ok_or(CeremonyError::NoCheckValue)
    }

    /// Puts a key on the token whose value is known: the value was in somebody's hands, and is in this
    /// process's memory for a moment. With it the key that is its left half, where one belongs to it.
    pub fn danger_import_clear(
        &self,
        label: &str,
        usage: Usage,
        value: &Secret,
    ) -> Result<Vec<Made>, CeremonyError> {
        let bytes = value.danger_clear_bytes();
        if !is_length_of(usage, bytes.len()) {
            return Err(CeremonyError::WrongLength);
        }
        let halves = bytes.split_at(bytes.len() / 2);
        let is_left_half = matches!(usage, Usage::CardVerificationLeft | Usage::MacAlgorithm3Left);
        if bytes.iter().all(|byte| *byte == 0)
            || (usage.cipher() == Cipher::TripleDes && !is_left_half && halves.0 == halves.1)
        {
            return Err(CeremonyError::WeakValue);
        }
        let mut wanted = vec![(label.to_owned(), usage, Zeroizing::new(bytes.to_vec()))];
        if let Some(left) = usage.left_half() {
            wanted.push((format!("{label}-left"), left, Zeroizing::new([halves.0, halves.0].concat())));
        }
        for (label, ..) in &wanted {
            self.is_free(label)?;
        }
        let mut made = Vec::new();
        for (label, usage, value) in wanted {
            match self.create(&label, usage, &value) {
                Ok((key, check_value)) => made.push((key, (label, check_value))),
                Err(why) => {
                    // All or none: half of a pair would only be in the way.
                    made.into_iter().for_each(|(key, _)| drop(self.token.session.destroy_object(key)));
                    return Err(why);
                }
            }
        }
        Ok(made.into_iter().map(|(_, made)| made).collect())
    }

    fn create(
        &self,
        label: &str,
        usage: Usage,
        value: &[u8],
    ) -> Result<(ObjectHandle, CheckValue), CeremonyError> {
        let mut template = template(label, usage);
        let key = self.create_clear(&mut template, value)?;
        self.check_value(key).map(|check_value| (key, check_value)).ok_or(CeremonyError::NoCheckValue)
    }

    fn create_clear(
        &self,
        template: &mut Vec<Attribute>,
        value: &[u8],
    ) -> Result<ObjectHandle, CeremonyError> {
        template.push(Attribute::Value(value.to_vec()));
        let made = self.token.session.create_object(template);
        for attribute in template {
            if let Attribute::Value(bytes) = attribute {
                bytes.zeroize();
            }
        }
        made.map_err(CeremonyError::Token)
    }

    /// Puts a key on the token that custodians hold in two or three components, none of which says anything about the
    /// key: it is their sum, bit by bit.
    pub fn import_components(
        &self,
        label: &str,
        usage: Usage,
        components: &[Secret],
    ) -> Result<Vec<Made>, CeremonyError> {
        if !(2..=3).contains(&components.len()) {
            return Err(CeremonyError::ComponentCount);
        }
        let length = components[0].danger_clear_bytes().len();
        let mut sum = Zeroizing::new(vec![0; length]);
        for component in components {
            let component = component.danger_clear_bytes();
            if component.len() != length {
                return Err(CeremonyError::WrongLength);
            }
            sum.iter_mut().zip(component).for_each(|(byte, other)| *byte ^= other);
        }
        self.danger_import_clear(label, usage, &Secret::new(std::mem::take(&mut *sum)))
    }

    /// The check value of one component, by which its custodian knows it was typed right. The token makes it, of a
    /// key that is gone at once.
    pub fn component_check_value(
        &self,
        usage: Usage,
        component: &Secret,
    ) -> Result<CheckValue, CeremonyError> {
        let bytes = component.danger_clear_bytes();
        if !is_length_of(usage, bytes.len()) {
            return Err(CeremonyError::WrongLength);
        }
        let mut template = template("component", usage);
        template.retain(|attribute| !matches!(attribute, Attribute::Token(_)));
        template.push(Attribute::Token(false));
        let key = self.create_clear(&mut template, bytes)?;
        let check_value = self.check_value(key);
        let _ = self.token.session.destroy_object(key);
        check_value.ok_or(CeremonyError::NoCheckValue)
    }

    /// Puts a key on the token out of a key block (ANSI X9.143, TR-31) of version B or D, if its header says that it is
    /// for this use. `protection` is the key that protects the block.
    pub fn import_key_block(
        &self,
        label: &str,
        usage: Usage,
        protection: &KeySpec,
        block: &str,
    ) -> Result<Vec<Made>, CeremonyError> {
        let is_aes = block.starts_with('D');
        let protects = if is_aes { Usage::AesKeyBlockProtection } else { Usage::KeyBlockProtection };
        let protection = self.token.load(protection, protects).map_err(CeremonyError::Protection)?;
        let value = key_block::unwrap(&self.token, &protection, usage, block.as_bytes());
        self.danger_import_clear(label, usage, &value.map_err(CeremonyError::KeyBlock)?)
    }

    /// Takes a key off the token.
    pub fn remove(&self, label: &str) -> Result<(), CeremonyError> {
        for key in self.labelled(label)? {
            self.token.session.destroy_object(key).map_err(CeremonyError::Token)?;
        }
        Ok(())
    }

    /// All secret keys of the token, by label.
    pub fn list(&self) -> Result<Vec<Listed>, CeremonyError> {
        let wanted = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Token(true)];
        let keys = self.token.session.find_objects(&wanted).map_err(CeremonyError::Token)?;
        let mut listed: Vec<Listed> = keys.into_iter().map(|key| self.listed(key)).collect();
        listed.sort_by(|one, other| one.label.cmp(&other.label));
        Ok(listed)
    }

    fn listed(&self, key: ObjectHandle) -> Listed {
        let label = match self.token.session.get_attributes(key, &[AttributeType::Label]).as_deref() {
            Ok([Attribute::Label(label)]) => String::from_utf8_lossy(label).into_owned(),
            _ => String::from("(no label)"),
        };
        let judged = Usage::ALL.map(|usage| (usage, self.weaknesses(key, usage)));
        let good: Vec<Usage> =
            judged.iter().filter(|(_, weaknesses)| weaknesses.is_empty()).map(|(usage, _)| *usage).collect();
        let nearest =
            judged.iter().map(|(_, weaknesses)| weaknesses).min_by_key(|weaknesses| weaknesses.len());
        let why = nearest.map_or_else(String::new, |weaknesses| weaknesses.join(", "));
        let usages = if good.is_empty() { Err(why) } else { Ok(good) };
        Listed { label, check_value: self.check_value(key), usages }
    }

    fn weaknesses(&self, key: ObjectHandle, usage: Usage) -> Vec<String> {
        let found = self.token.session.get_attributes(key, &super::policy::JUDGED).unwrap_or_default();
        // Which mechanisms are allowed is judged when the key is loaded.
        let weaknesses = usage.weaknesses(&found, usage.mechanisms());
        weaknesses.iter().map(ToString::to_string).collect()
    }

    fn is_free(&self, label: &str) -> Result<(), CeremonyError> {
        if self.labelled(label)?.is_empty() { Ok(()) } else { Err(CeremonyError::LabelTaken) }
    }

    fn labelled(&self, label: &str) -> Result<Vec<ObjectHandle>, CeremonyError> {
        let label = Attribute::Label(label.as_bytes().to_vec());
        let wanted = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Token(true), label];
        self.token.session.find_objects(&wanted).map_err(CeremonyError::Token)
    }

    fn check_value(&self, key: ObjectHandle) -> Option<CheckValue> {
        match self.token.session.get_attributes(key, &[AttributeType::CheckValue]).as_deref() {
            Ok([Attribute::CheckValue(bytes)]) => bytes.as_slice().try_into().ok().map(CheckValue),
            _ => None,
        }
    }
}

/// Whether a key of this use may be so long.
fn is_length_of(usage: Usage, bytes: usize) -> bool {
    match usage.cipher() {
        Cipher::TripleDes => bytes == 16,
        Cipher::Aes => matches!(bytes, 16 | 24 | 32),
        Cipher::Hmac => (32..=64).contains(&bytes),
    }
}

/// What a key must be to be used.
fn template(label: &str, usage: Usage) -> Vec<Attribute> {
    let mechanisms = usage.mechanisms().iter().flat_map(|mechanism| mechanism.to_ne_bytes()).collect();
    let allowed = Attribute::VendorDefined((AttributeType::AllowedMechanisms, mechanisms));
    let name = Attribute::Label(label.as_bytes().to_vec());
    usage.demands().into_iter().map(|(attribute, _)| attribute).chain([name, allowed]).collect()
}

/// Why a key was not made.
#[derive(Debug)]
pub enum CeremonyError {
    /// A key has this label.
    LabelTaken,
    /// A value is 16 bytes; of AES also 24 or 32; of HMAC 32 to 64. Components are of one length.
    WrongLength,
    /// All zeros, or a key of 3DES that is single DES.
    WeakValue,
    /// A key has two or three components.
    ComponentCount,
    /// Such a key works only with another made of its left half, which cannot be made of a key that nobody sees.
    LeftHalfNeeded,
    /// The key that protects a key block is not used.
    Protection(KeyError),
    /// The key block is not taken.
    KeyBlock(KeyBlockError),
    /// The token does not tell a check value.
    NoCheckValue,
    /// The token refuses.
    Token(Error),
}

impl std::fmt::Display for CeremonyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CeremonyError::LabelTaken => f.write_str("a key of the token has this label"),
            CeremonyError::WrongLength => f.write_str(
                "the value is 16 bytes; of AES also 24 or 32, of HMAC 32 to 64; components are of one length",
            ),
            CeremonyError::WeakValue => {
                f.write_str("the value is all zeros, or both its halves are the same")
            }
            CeremonyError::ComponentCount => f.write_str("a key has two or three components"),
            CeremonyError::LeftHalfNeeded => {
                f.write_str("a key of this use needs another made of its left half: import it")
            }
            CeremonyError::Protection(why) => write!(f, "{why}"),
            CeremonyError::KeyBlock(why) => write!(f, "{why}"),
            CeremonyError::NoCheckValue => f.write_str("the token tells no check value of three bytes"),
            CeremonyError::Token(why) => write!(f, "the token refuses: {why}"),
        }
    }
}

impl std::error::Error for CeremonyError {}
