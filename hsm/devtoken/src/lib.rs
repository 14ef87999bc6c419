//! A PKCS#11 2.40 token in software, **for development only**: with it the switch runs from a fresh clone, on the
//! same path that reaches a real token.
//!
//! In reading order: `entry` is what a program calls through `C_GetFunctionList`, `memory` reads and fills what the
//! caller lends, and both hold all of the unsafe code; `module` is the token with its sessions; `object` says what
//! a key is and may become, `making` where keys come from; `operation` and `cipher` do the work; `image` is the token at rest.
//!
//! It knows secret keys (AES, 3DES, generic), and of the mechanisms those that the switch uses (`mechanism`). It
//! refuses what SoftHSM2 2.6.1 refuses, by the same return codes where a caller could come to rely on one.
//!
//! What is absent: everything that makes a token worth its price. Keys are in the memory of the process that uses
//! them, and at rest in a file that a PIN opens. There is one token, in one slot, behind one lock.

#![deny(unsafe_code)]

mod attribute;
mod cipher;
#[allow(unsafe_code, reason = "the C interface of PKCS#11; each block says why it is safe")]
mod entry;
mod image;
mod making;
mod mechanism;
#[allow(unsafe_code, reason = "reads and fills what a C caller lends; each block says why it is safe")]
mod memory;
mod module;
mod object;
mod operation;
mod storage;
mod wrap;

pub use entry::C_GetFunctionList;

/// The variable of the environment that names the token's folder. Without it the token is in memory, empty at the
/// start of each process and gone at its end.
pub const FOLDER_VARIABLE: &str = "SIGNALBOX_DEVTOKEN";

/// The variable that takes mechanisms away from the token: their names, separated by commas. For tests.
pub const WITHOUT_VARIABLE: &str = "SIGNALBOX_DEVTOKEN_WITHOUT";

/// What the token says of itself as its model.
pub const MODEL: &str = "DEV-ONLY";
