//! Making a token ready: initialising it, putting keys on it with exactly the attributes that their use
//! demands, and listing what is there. Done by people, beside a running switch, never by it.

use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;

use super::policy::Usage;
use super::{CheckValue, OpenError, log_in, slot_of};
use crate::secret::Secret;

/// A session with a token that may make keys.
pub struct Ceremony {
    session: Session,
}

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
        let context = start(module)?;
        let slot = slot_of(&context, label)?;
        let session = context.open_rw_session(slot).map_err(OpenError::Module)?;
        log_in(&session, pin).map_err(|why| OpenError::Login { label: label.to_owned(), why })?;
        Ok(Ceremony { session })
    }

    /// Has the token make a key of this use, which nobody ever sees.
    pub fn generate(&self, label: &str, usage: Usage) -> Result<CheckValue, CeremonyError> {
        self.is_free(label)?;
        let mut template = template(label, usage);
        template.retain(|attribute| !matches!(attribute, Attribute::Class(_) | Attribute::KeyType(_)));
        let mechanism = if usage.is_aes() {
            template.push(Attribute::ValueLen(16.into()));
            Mechanism::AesKeyGen
        } else {
            Mechanism::Des2KeyGen
        };
        let key = self.session.generate_key(&mechanism, &template).map_err(CeremonyError::Token)?;
        self.check_value(key).ok_or(CeremonyError::NoCheckValue)
    }

    /// Puts a key on the token whose value is known: the value was in somebody's hands, and is in this
    /// process's memory for a moment.
    pub fn danger_import_clear(
        &self,
        label: &str,
        usage: Usage,
        value: &Secret,
    ) -> Result<CheckValue, CeremonyError> {
        self.is_free(label)?;
        if value.danger_clear_bytes().len() != 16 {
            return Err(CeremonyError::NotSixteenBytes);
        }
        let mut template = template(label, usage);
        template.push(Attribute::Value(value.danger_clear_bytes().to_vec()));
        let made = self.session.create_object(&template);
        for attribute in &mut template {
            if let Attribute::Value(bytes) = attribute {
                zeroize::Zeroize::zeroize(bytes);
            }
        }
        self.check_value(made.map_err(CeremonyError::Token)?).ok_or(CeremonyError::NoCheckValue)
    }

    /// All secret keys of the token, by label.
    pub fn list(&self) -> Result<Vec<Listed>, CeremonyError> {
        let wanted = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Token(true)];
        let keys = self.session.find_objects(&wanted).map_err(CeremonyError::Token)?;
        let mut listed: Vec<Listed> = keys.into_iter().map(|key| self.listed(key)).collect();
        listed.sort_by(|one, other| one.label.cmp(&other.label));
        Ok(listed)
    }

    fn listed(&self, key: ObjectHandle) -> Listed {
        let label = match self.session.get_attributes(key, &[AttributeType::Label]).as_deref() {
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
        let found = self.session.get_attributes(key, &super::policy::JUDGED).unwrap_or_default();
        // Which mechanisms are allowed is judged when the key is loaded.
        let weaknesses = usage.weaknesses(&found, &[usage.mechanism()]);
        weaknesses.iter().map(ToString::to_string).collect()
    }

    fn is_free(&self, label: &str) -> Result<(), CeremonyError> {
        let wanted = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(label.as_bytes().to_vec())];
        match self.session.find_objects(&wanted) {
            Ok(found) if found.is_empty() => Ok(()),
            Ok(_) => Err(CeremonyError::LabelTaken),
            Err(why) => Err(CeremonyError::Token(why)),
        }
    }

    fn check_value(&self, key: ObjectHandle) -> Option<CheckValue> {
        match self.session.get_attributes(key, &[AttributeType::CheckValue]).as_deref() {
            Ok([Attribute::CheckValue(bytes)]) => bytes.as_slice().try_into().ok().map(CheckValue),
            _ => None,
        }
    }
}

/// What a key must be to be used.
fn template(label: &str, usage: Usage) -> Vec<Attribute> {
    let mechanism = usage.mechanism().to_ne_bytes().to_vec();
    let allowed = Attribute::VendorDefined((AttributeType::AllowedMechanisms, mechanism));
    let name = Attribute::Label(label.as_bytes().to_vec());
    usage.demands().into_iter().map(|(attribute, _)| attribute).chain([name, allowed]).collect()
}

/// Why a key was not made.
#[derive(Debug)]
pub enum CeremonyError {
    /// A key has this label.
    LabelTaken,
    /// A clear value is 16 bytes.
    NotSixteenBytes,
    /// The token does not tell a check value.
    NoCheckValue,
    /// The token refuses.
    Token(Error),
}

impl std::fmt::Display for CeremonyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CeremonyError::LabelTaken => f.write_str("a key of the token has this label"),
            CeremonyError::NotSixteenBytes => f.write_str("a clear value is 16 bytes"),
            CeremonyError::NoCheckValue => f.write_str("the token tells no check value of three bytes"),
            CeremonyError::Token(why) => write!(f, "the token refuses: {why}"),
        }
    }
}

impl std::error::Error for CeremonyError {}
