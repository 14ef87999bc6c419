//! Which token is opened and which keys are loaded from it, in which order: all that another process needs to answer
//! the same questions.

use std::fmt;
use std::path::PathBuf;

use cryptoki::error::{Error, RvError};

use crate::algorithm3::Padding;
use crate::error::Cause;
use crate::question::{KeyId, PinFormat};
use crate::secret::Secret;
use crate::token::{self, Exposure, KeyError, KeySpec, OpenError, Token};
use crate::verifier::{MacKeySpec, MasterUsage, Verifier};

/// A token and the keys that questions name. A [`KeyId`] is the place of a key in `keys`.
pub struct Plan {
    /// The module's library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// Its user's PIN.
    pub pin: Secret,
    /// What is loaded, in this order.
    pub keys: Vec<KeyRequest>,
    /// How many keys of cards are kept in the token; 0 for none.
    pub card_keys: u32,
}

/// A key to be loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRequest {
    /// Which.
    pub spec: KeySpec,
    /// What for.
    pub purpose: Purpose,
}

/// What a key is loaded for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Others are derived from it, and may be seen here as far as the exposure goes.
    Master(MasterUsage, Exposure),
    /// Card verification; with the key that is its left half twice.
    CardVerification {
        /// That key.
        left: KeySpec,
    },
    /// Tags of enrolled responses, by AES.
    Pepper,
    /// Tags of enrolled responses, by HMAC.
    ResponseHmac,
    /// PIN blocks come in under it.
    PinIn(PinFormat),
    /// PIN blocks go out under it.
    PinOut {
        /// In which format.
        format: PinFormat,
        /// Whether the card's number may be another behind the translation.
        danger_changes_pan: bool,
    },
    /// MACs of messages, by algorithm 3; with the key that is its left half twice.
    MacAlgorithm3 {
        /// That key.
        left: KeySpec,
        /// How messages are made whole blocks.
        padding: Padding,
    },
    /// MACs of messages, by CMAC with 3DES.
    MacTripleDesCmac,
    /// MACs of messages, by CMAC with AES.
    MacAesCmac,
}

impl Plan {
    /// Opens the token and loads the keys.
    pub fn open(&self) -> Result<Verifier, PlanError> {
        self.load(Token::open(&self.module, &self.token, &self.pin).map_err(PlanError::Token)?)
    }

    /// Shuts the module down, for every token of it in this process.
    pub(crate) fn shut_down(&self) {
        token::shut_down(&self.module);
    }

    /// The same in a fresh session of a token that is open.
    pub(crate) fn renew(&self, old: &Verifier) -> Result<Verifier, PlanError> {
        let token = old.token().renewed(&self.pin);
        self.load(token.map_err(|why| PlanError::Token(OpenError::Module(why)))?)
    }

    fn load(&self, token: Token) -> Result<Verifier, PlanError> {
        let mut verifier = Verifier::new(token);
        let keep = verifier.keep_card_keys(self.card_keys as usize);
        keep.map_err(PlanError::Random)?;
        for (place, key) in (0..).zip(&self.keys) {
            verifier.load(key).map_err(|why| PlanError::Key(KeyId::of_place(place), why))?;
        }
        Ok(verifier)
    }
}

impl Verifier {
    /// Loads a key for what it is wanted for.
    pub fn load(&mut self, key: &KeyRequest) -> Result<KeyId, KeyError> {
        match &key.purpose {
            Purpose::Master(usage, exposure) => self.load_master(&key.spec, *usage, *exposure),
            Purpose::CardVerification { left } => self.load_card_verification(&key.spec, left),
            Purpose::Pepper => self.load_pepper(&key.spec),
            Purpose::ResponseHmac => self.load_response_hmac(&key.spec),
            Purpose::PinIn(format) => self.load_pin_in(&key.spec, *format),
            Purpose::PinOut { format, danger_changes_pan } => {
                self.load_pin_out(&key.spec, *format, *danger_changes_pan)
            }
            Purpose::MacAlgorithm3 { left, padding } => {
                self.load_mac(&MacKeySpec::Algorithm3 { whole: &key.spec, left, padding: *padding })
            }
            Purpose::MacTripleDesCmac => self.load_mac(&MacKeySpec::TripleDesCmac(&key.spec)),
            Purpose::MacAesCmac => self.load_mac(&MacKeySpec::AesCmac(&key.spec)),
        }
    }
}

/// Why a plan cannot be carried out.
#[derive(Debug)]
pub enum PlanError {
    /// The token cannot be opened.
    Token(OpenError),
    /// The token gives no random numbers.
    Random(Cause),
    /// The key at this place cannot be used.
    Key(KeyId, KeyError),
}

/// What must change before a plan that cannot be carried out can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// The token or its module is away or does not answer: it may be there a moment later.
    Token,
    /// Trying again makes nothing better: the PIN, which tokens count and lock, a label that several tokens have, or the
    /// variable that tells the development token its folder.
    Plan,
    /// The key at this place of the plan.
    Key(KeyId),
}

impl PlanError {
    /// What it lies in.
    pub fn blame(&self) -> Blame {
        match self {
            PlanError::Token(
                OpenError::NoFolder { .. } | OpenError::SeveralTokens { .. } | OpenError::PinNotText,
            ) => Blame::Plan,
            PlanError::Token(_) if self.is_refused_pin() => Blame::Plan,
            PlanError::Token(_) | PlanError::Random(_) => Blame::Token,
            PlanError::Key(_, why) if why.flaw.is_of_the_token() => Blame::Token,
            PlanError::Key(place, _) => Blame::Key(*place),
        }
    }

    /// Whether the token refused the PIN: it is not to be tried again.
    pub(crate) fn is_refused_pin(&self) -> bool {
        let PlanError::Token(OpenError::Login { why: Error::Pkcs11(code, _), .. }) = self else {
            return false;
        };
        matches!(
            code,
            RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinExpired
                | RvError::PinLocked
        )
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::Token(why) => why.fmt(f),
            PlanError::Random(why) => write!(f, "random numbers of the token: {why}"),
            PlanError::Key(_, why) => why.fmt(f),
        }
    }
}

impl std::error::Error for PlanError {}
