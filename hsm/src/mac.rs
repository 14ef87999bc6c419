//! MACs of messages between two hosts, DE 64 and 128: algorithm 3 of ISO/IEC 9797-1, or CMAC, cut to eight bytes.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::algorithm3::{self, Padding, padded};
use crate::error::Cause;
use crate::question::{Answer, CheckMac, MakeMac};
use crate::token::{Master, Token};

/// A key that makes MACs.
pub(crate) enum MacKey {
    /// With its left half, twice.
    Algorithm3 {
        whole: Master,
        left: Master,
        padding: Padding,
    },
    TripleDesCmac(Master),
    AesCmac(Master),
}

pub(crate) fn make(token: &Token, key: &MacKey, asked: &MakeMac) -> Result<Answer, Cause> {
    mac(token, key, &asked.message.0).map(|made| Answer::Mac(*made))
}

pub(crate) fn check(token: &Token, key: &MacKey, asked: &CheckMac) -> Result<Answer, Cause> {
    let made = mac(token, key, &asked.message.0)?;
    let is_right = asked.presented.is_some_and(|presented| bool::from(presented.ct_eq(&*made)));
    Ok(Answer::of(is_right))
}

fn mac(token: &Token, key: &MacKey, message: &[u8]) -> Result<Zeroizing<[u8; 8]>, Cause> {
    match key {
        MacKey::Algorithm3 { whole, left, padding } => {
            algorithm3::mac(token.key(whole), token.key(left), &padded(message, *padding))
        }
        MacKey::TripleDesCmac(key) => token.key(key).mac::<8>(message),
        MacKey::AesCmac(key) => {
            let made = token.key(key).mac::<16>(message)?;
            Ok(Zeroizing::new(*made.first_chunk().expect("eight of sixteen bytes")))
        }
    }
}
