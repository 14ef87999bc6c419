//! Questions about responses that were enrolled.

use std::fmt;

use crate::digits::{Challenge, Code, CodeLength, Pan};
use crate::question::KeyId;

/// What is to be stored of a response, so that it can be compared later? Asked when it is enrolled.
pub struct EnrolResponse {
    /// A pepper, or a key of HMAC.
    pub key: KeyId,
    /// The account.
    pub pan: Pan,
    /// What will be asked.
    pub challenge: Challenge,
    /// The response.
    pub response: Code,
    /// How many digits the profile asks for.
    pub length: CodeLength<12>,
}

/// Is this the response that was enrolled?
pub struct EnrolledResponse {
    /// The key that made the tag.
    pub key: KeyId,
    /// The account.
    pub pan: Pan,
    /// What was asked.
    pub challenge: Challenge,
    /// What was stored of the response.
    pub tag: ResponseTag,
    /// What was presented.
    pub presented: Code,
    /// How many digits the profile asks for.
    pub length: CodeLength<12>,
}

/// What is stored of a response. It is not printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ResponseTag {
    /// Under a pepper.
    Aes([u8; 16]),
    /// By HMAC-SHA-256.
    Hmac([u8; 32]),
}

impl fmt::Debug for ResponseTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResponseTag::Aes(_) => "Aes(..)",
            ResponseTag::Hmac(_) => "Hmac(..)",
        })
    }
}
