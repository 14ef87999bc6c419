//! A key of the token that protects what lies on a disk. It makes keys and does nothing else; what it made is in the
//! memory of whoever asked, so that a token which is gone later stops nobody.

use std::path::Path;

use zeroize::Zeroizing;

use crate::error::Cause;
use crate::plan::PlanError;
use crate::question::KeyId;
use crate::secret::Secret;
use crate::token::{KeySpec, Master, Token, Usage};

/// What every text begins with that such a key is asked about.
const PURPOSE: &[u8] = b"signalbox journal keys 1";

/// A token that is open for its key of usage [`Usage::JournalKeys`].
pub struct Vault {
    token: Token,
    key: Master,
}

impl Vault {
    /// Opens the token and finds the key.
    pub fn open(module: &Path, label: &str, pin: &Secret, key: &KeySpec) -> Result<Vault, PlanError> {
        let token = Token::open(module, label, pin).map_err(PlanError::Token)?;
        let key =
            token.load(key, Usage::JournalKeys).map_err(|why| PlanError::Key(KeyId::of_place(0), why))?;
        Ok(Vault { token, key })
    }

    /// The key that belongs to a salt: always the same, and nobody's who cannot ask the token.
    pub fn key_for(&self, salt: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, Cause> {
        self.token.key(&self.key).mac(&[PURPOSE, salt].concat())
    }
}
