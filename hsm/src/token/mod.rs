//! One PKCS#11 token: module, slot, login, and what it was seen to be able to do.
//!
//! In reading order: [`probe`](self::Capability) asks each mechanism a question with a known answer,
//! `policy` says which attributes a key must have, `key` finds it and copies it into the session, `stream`
//! keeps an encryption under it open, `card_key` derives from it, `card_keys` keeps what was derived, `card_master` says how much of it may be `seen`;
//! `ceremony` makes tokens and keys, also of what `key_block` reads; `survey` says how fast a module is. `raw` makes the calls that
//! cryptoki cannot.

mod card_key;
mod card_keys;
mod card_master;
mod ceremony;
mod key;
mod key_block;
mod policy;
mod probe;
#[allow(
    unsafe_code,
    reason = "calls of PKCS#11 that cryptoki has no form for; each block says why it is safe"
)]
mod raw;
mod seen;
mod stream;
mod survey;

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::RawAuthPin;

use crate::error::Cause;
use crate::secret::Secret;
use devtoken::FOLDER_VARIABLE;
use raw::Raw;

#[cfg(test)]
pub(crate) use card_key::CardKey;
pub(crate) use card_key::{KeyInUse, Recipe};
pub(crate) use card_keys::CardKeys;
pub use card_master::Exposure;
pub(crate) use card_master::{CardMaster, CardSource};
pub use ceremony::{Ceremony, CeremonyError, Listed, Made, initialise};
pub(crate) use key::Master;
pub use key::{CheckValue, KeyError, KeyFlaw, KeySpec};
pub use key_block::KeyBlockError;
pub(crate) use policy::{Cipher, Work};
pub use policy::{Usage, Weakness};
pub use probe::{Capability, Finding, Verdict};
pub(crate) use stream::Stream;
pub use survey::Surveyed;

/// A token that somebody is logged in to.
///
/// It belongs to one thread at a time. Its session owns the copies of all keys and everything derived from
/// them, so they live as long as it does.
pub struct Token {
    session: Session,
    module: Arc<Module>,
    findings: Vec<Finding>,
}

/// What sessions are made of. Several may share it; the library stays loaded while one does.
pub(crate) struct Module {
    slot: Slot,
    raw: Raw,
    context: Pkcs11,
}

impl Token {
    /// Loads the module at `path` ([`DEVTOKEN`] for the one that is linked in), finds the one token with this label,
    /// logs in and probes it.
    ///
    /// A capability that is missing is no error here: it refuses the keys that need it, when they are loaded.
    pub fn open(path: &Path, label: &str, pin: &Secret) -> Result<Token, OpenError> {
        Token::open_for(path, label, pin, false)
    }

    fn open_for(path: &Path, label: &str, pin: &Secret, makes_keys: bool) -> Result<Token, OpenError> {
        let context = load(path)?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // A module is initialised once per process; another token of it may be open.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => (),
            Err(why) => return Err(OpenError::Module(why)),
        }
        let raw = if is_devtoken(path) { Raw::devtoken() } else { Raw::load(path) };
        let raw = raw.map_err(OpenError::Module)?;
        let slot = slot_of(&context, label).map_err(|why| why.of_module(path))?;
        let module = Module { slot, raw, context };
        let session =
            if makes_keys { module.context.open_rw_session(module.slot) } else { module.open_session() };
        let session = session.map_err(OpenError::Module)?;
        log_in(&session, pin).map_err(|why| OpenError::Login { label: label.to_owned(), why })?;
        let findings = probe::probe(&session, &module.raw);
        Ok(Token { session, module: Arc::new(module), findings })
    }

    /// The same token in a session of its own, logged in and probed. This one's keys are not in it.
    pub(crate) fn renewed(&self, pin: &Secret) -> Result<Token, Error> {
        let session = self.module.open_session()?;
        log_in(&session, pin)?;
        let findings = probe::probe(&session, &self.module.raw);
        Ok(Token { session, module: Arc::clone(&self.module), findings })
    }

    /// How many keys the module was asked to derive.
    pub(crate) fn derivations(&self) -> u64 {
        self.module.raw.derivations()
    }

    /// Asks again for the known answers that a use of derived keys stands on.
    pub(crate) fn still_right(&self, usage: Usage) -> Result<(), Cause> {
        let derives = usage.work().derives();
        let needs = usage.needs().iter().filter(|needed| !(derives && needed.is_part_of_another()));
        for &capability in needs {
            match probe::verdict(&self.session, &self.module.raw, capability) {
                Verdict::Works => (),
                Verdict::Fails(cause) => return Err(cause),
                Verdict::WrongAnswer | Verdict::NotTried => return Err(Cause::WrongAnswer),
            }
        }
        Ok(())
    }

    /// What the token can and cannot do, all of it, in a fixed order.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Random bytes of the token's.
    pub(crate) fn random(&self, bytes: &mut [u8]) -> Result<(), Cause> {
        Ok(self.session.generate_random_slice(bytes)?)
    }

    fn verdict(&self, capability: Capability) -> Verdict {
        let finding = self.findings.iter().find(|finding| finding.capability == capability);
        finding.map_or(Verdict::NotTried, |finding| finding.verdict)
    }
}

impl Module {
    /// A session that may make session objects but no token objects.
    fn open_session(&self) -> Result<Session, Error> {
        self.context.open_ro_session(self.slot)
    }
}

/// Shuts a module down (`C_Finalize`), for every token of it in this process. One that refuses may be gone; that shows when
/// it is started.
pub(crate) fn shut_down(module: &Path) {
    let _ = load(module).map(Pkcs11::finalize);
}

/// Whether a module's path is the name of the development token, which is a part of this program: keys in memory and
/// in a file, never for production.
#[must_use]
pub fn is_devtoken(module: &Path) -> bool {
    module == Path::new(DEVTOKEN)
}

/// In place of a path, the development token.
pub const DEVTOKEN: &str = "devtoken";

fn load(module: &Path) -> Result<Pkcs11, OpenError> {
    let context = if is_devtoken(module) { Pkcs11::new_from_self() } else { Pkcs11::new(module) };
    context.map_err(|why| OpenError::Load { path: module.to_owned(), why })
}

fn slot_of(context: &Pkcs11, label: &str) -> Result<Slot, OpenError> {
    let mut found = None;
    for slot in context.get_slots_with_initialized_token().map_err(OpenError::Module)? {
        let info = context.get_token_info(slot).map_err(OpenError::Module)?;
        if info.label() == label && found.replace(slot).is_some() {
            return Err(OpenError::SeveralTokens { label: label.to_owned() });
        }
    }
    found.ok_or_else(|| OpenError::NoToken { label: label.to_owned() })
}

fn log_in(session: &Session, pin: &Secret) -> Result<(), Error> {
    // Wiped when it is dropped, at the end of this function.
    let pin = RawAuthPin::new(Box::new(pin.danger_clear_bytes().to_vec()));
    match session.login_with_raw(UserType::User, &pin) {
        // Login is per process, so that another token's session may have done it.
        Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        outcome => outcome,
    }
}

/// Why a token could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The file is no library that can be loaded, or no PKCS#11 module.
    Load {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        why: Error,
    },
    /// The module does not start, or does not tell its slots.
    Module(Error),
    /// No slot holds a token with this label.
    NoToken {
        /// The label.
        label: String,
    },
    /// Nor can one be there: nobody said where the development token keeps its tokens.
    NoFolder {
        /// The label.
        label: String,
    },
    /// Several slots do: which one is meant cannot be told.
    SeveralTokens {
        /// The label.
        label: String,
    },
    /// The PIN is not text.
    PinNotText,
    /// The token refuses the PIN.
    Login {
        /// The token's label.
        label: String,
        /// What it said.
        why: Error,
    },
}

impl OpenError {
    /// The same, with what is known of the module.
    fn of_module(self, module: &Path) -> OpenError {
        let is_named = env::var_os(FOLDER_VARIABLE).is_some_and(|folder| !folder.is_empty());
        match self {
            OpenError::NoToken { label } if is_devtoken(module) && !is_named => OpenError::NoFolder { label },
            other => other,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Load { path, why } => write!(f, "PKCS#11 module {} not loaded: {why}", path.display()),
            OpenError::Module(why) => write!(f, "PKCS#11 module unusable: {why}"),
            OpenError::NoToken { label } => write!(f, "no token is labelled {label:?}"),
            OpenError::NoFolder { label } => {
                write!(
                    f,
                    "no token is labelled {label:?}: {FOLDER_VARIABLE} names no folder for {DEVTOKEN:?}"
                )
            }
            OpenError::SeveralTokens { label } => write!(f, "more than one token is labelled {label:?}"),
            OpenError::PinNotText => f.write_str("the PIN is not text"),
            OpenError::Login { label, why } => write!(f, "login to token {label:?} refused: {why}"),
        }
    }
}

impl std::error::Error for OpenError {}
