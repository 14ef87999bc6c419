//! Keys and proofs: the codes of cards, phones and people, checked through a PKCS#11 token.
//!
//! In reading order:
//!
//! * [`Question`] and [`Answer`] say all that can be asked; [`HsmError`] says why there was no answer;
//! * [`Verifier`] answers, with the keys it loaded from a [`token::Token`];
//! * [`Plan`] says which token and which keys, and [`wire`] how all of this is said to another process;
//! * `card`, `rotating`, `challenge` and `enrolled` make the codes, `mac` and `pin` what is between two hosts, each from its
//!   definition; `derive` says what the keys of one card are made of;
//! * `algorithm3`, `digits`, `compare` and [`Secret`] are what all of them stand on.
//!
//! What is absent: ISO 8583, accounts, clocks, threads. Every block is encrypted by the token, under keys that
//! cannot be read from it, unless the exposure of a family of keys allows those of one purchase, or of one card, in memory
//! for as long as an answer takes. Whether an ATC was used before, how many tries are left and what a
//! wrong code leads to is decided elsewhere.

#![deny(unsafe_code)]

pub mod token;
pub mod wire;
pub mod worker;

mod algorithm3;
mod card;
mod challenge;
mod compare;
mod delivery;
mod derive;
mod device;
mod digits;
mod enrolled;
mod error;
mod hpke;
#[allow(unsafe_code, reason = "locks pages and wipes them; each block says why it is safe")]
mod locked;
mod mac;
mod pin;
mod plan;
mod question;
mod room;
mod rotating;
mod secret;
mod vault;
mod verifier;

#[cfg(test)]
#[path = "../tests/tokens/mod.rs"]
mod tokens;

pub use algorithm3::Padding;
pub use delivery::{Bundle, Courier};
pub use derive::{Card, Derivation};
pub use device::Device;
pub use digits::{Challenge, Code, CodeLength, Pan, Psn};
pub use error::{Cause, HsmError, Retry};
pub use hpke::Sealed;
pub use locked::Locked;
pub use plan::{Blame, KeyRequest, Plan, PlanError, Purpose};
pub use question::{
    Answer, Candidates, CardStatus, CheckMac, Covered, Cryptogram, CryptogramVersion, Cvc3, DynamicCvv,
    EnrolCvc3, EnrolResponse, EnrolledResponse, IssuerAnswer, IssuerAuthentication, Ivcvc3, KeyId, Kind,
    MAX_CANDIDATES, MakeMac, PinBlock, PinFormat, Printed, Question, Response, ResponseTag, RotatingCode,
    RotatingCvc3, StaticCode, TrackData, TranslatePin, UnpredictableNumber,
};
pub use secret::Secret;
pub use vault::Vault;
pub use verifier::{MacKeySpec, MasterUsage, Verifier};
