//! The code of a message, DE 64 or 128, computed apart from the switch and any token: what the two model hosts put on
//! their messages and insist on where their link has one.

use aes::Aes128;
use cmac::{Cmac, Mac as _};
use codecs::iso8583::{Dialect, FieldSpec, Text};
use des::Des;
use des::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use crate::message_text::{Plain, hex, unhex};

/// The key of every code in a test, in hexadecimal: two different halves of odd parity.
pub const MAC_KEY: &str = "0123456789ABCDEFFEDCBA9876543210";

/// How codes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mac {
    /// ISO/IEC 9797-1 algorithm 3 with this padding method, 1 or 2.
    Algorithm3(u8),
    /// The first half of AES-CMAC.
    AesCmac,
}

impl Mac {
    /// As the table `mac` of a peer in the switch's configuration says.
    #[must_use]
    pub fn of_table(table: &toml::Table) -> Mac {
        let padding = table.get("padding").and_then(toml::Value::as_integer);
        match table.get("algorithm").and_then(toml::Value::as_str) {
            Some("aes-cmac") => Mac::AesCmac,
            _ => Mac::Algorithm3(padding.map_or(1, |method| u8::try_from(method).expect("1 or 2"))),
        }
    }

    /// The code of these bytes.
    #[must_use]
    pub fn code(self, covered: &[u8]) -> [u8; 8] {
        let key = unhex(MAC_KEY);
        match self {
            Mac::AesCmac => {
                let mut mac = <Cmac<Aes128> as cmac::KeyInit>::new_from_slice(&key).expect("16 bytes");
                mac.update(covered);
                mac.finalize().into_bytes()[..8].try_into().expect("8 of 16")
            }
            Mac::Algorithm3(padding) => {
                let half = |half: &[u8]| Des::new_from_slice(half).expect("8 bytes");
                let (left, right) = (half(&key[..8]), half(&key[8..]));
                let mut message = covered.to_vec();
                if padding == 2 {
                    message.push(0x80);
                }
                message.resize(message.len().next_multiple_of(8), 0);
                let mut state = [0; 8];
                for block in message.chunks(8) {
                    state.iter_mut().zip(block).for_each(|(state, byte)| *state ^= byte);
                    left.encrypt_block((&mut state).into());
                }
                right.decrypt_block((&mut state).into());
                left.encrypt_block((&mut state).into());
                state
            }
        }
    }

    /// The bytes of a message that ends with its code, whatever stood there.
    #[must_use]
    pub fn seal(self, message: &Plain, dialect: &Dialect) -> Vec<u8> {
        let mut sealed = message.clone();
        let is_above_64 = message.fields().any(|(de, _)| de > 64);
        sealed.set(if is_above_64 { 128 } else { 64 }, "0000000000000000");
        let mut bytes = sealed.encode(dialect);
        let begins = bytes.len() - code_bytes(dialect);
        let code = self.written(&bytes[..begins], dialect);
        bytes[begins..].copy_from_slice(&code);
        bytes
    }

    /// Fails unless a message ends with its code.
    pub fn insist(self, message: &[u8], dialect: &Dialect) {
        let (covered, code) = message.split_at(message.len() - code_bytes(dialect));
        assert_eq!(hex(code), hex(&self.written(covered, dialect)), "the code of {}", hex(message));
    }

    fn written(self, covered: &[u8], dialect: &Dialect) -> Vec<u8> {
        let code = self.code(covered);
        if code_bytes(dialect) == 16 { hex(&code).into_bytes() } else { code.to_vec() }
    }
}

/// What a code takes in a dialect.
fn code_bytes(dialect: &Dialect) -> usize {
    match dialect.fields()[64] {
        Some(FieldSpec { text: Text::HexAscii, .. }) => 16,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ISO/IEC 9797-1:1999, B.2 (algorithm 3 over "Now is the time for all " by both methods), under the key there.
    #[test]
    fn algorithm_3_is_that_of_the_standard() {
        let text = b"Now is the time for all ";
        assert_eq!(hex(&Mac::Algorithm3(1).code(text)), "A1C72E74EA3FA9B6");
        assert_eq!(hex(&Mac::Algorithm3(2).code(text)), "E9086230CA3BE796");
    }
}
