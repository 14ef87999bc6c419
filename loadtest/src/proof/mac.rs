//! MACs: retail MAC (algorithm 3 of ISO/IEC 9797-1) and AES-CMAC (RFC 4493).

use aes::Aes128;
use cmac::{Cmac, Mac as _};
use des::Des;
use des::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use super::key::TestKey;

/// How a message is filled up to whole blocks (ISO/IEC 9797-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Padding {
    /// Method 1: zeros where they are needed.
    Zeros,
    /// Method 2: a one bit, then zeros.
    OneAndZeros,
}

/// A chain of single DES under the left half of a key, and 3DES at its end.
#[derive(Clone)]
pub struct RetailMac {
    left: Des,
    right: Des,
}

impl RetailMac {
    /// Expands the two halves of a key.
    pub fn new(key: &TestKey) -> RetailMac {
        RetailMac::of(key.bytes())
    }

    pub(super) fn of(key: &[u8; 16]) -> RetailMac {
        let half = |at: usize| {
            let half: [u8; 8] = key[at..at + 8].try_into().expect("eight of sixteen bytes");
            Des::new((&half).into())
        };
        RetailMac { left: half(0), right: half(8) }
    }

    /// The MAC of some bytes.
    pub fn mac(&self, data: &[u8], padding: Padding) -> [u8; 8] {
        let mut state = [0; 8];
        let (blocks, rest) = data.as_chunks::<8>();
        for block in blocks {
            self.chain(&mut state, block);
        }
        if !rest.is_empty() || padding == Padding::OneAndZeros || blocks.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            if padding == Padding::OneAndZeros {
                last[rest.len()] = 0x80;
            }
            self.chain(&mut state, &last);
        }
        self.right.decrypt_block((&mut state).into());
        self.left.encrypt_block((&mut state).into());
        state
    }

    fn chain(&self, state: &mut [u8; 8], block: &[u8; 8]) {
        state.iter_mut().zip(block).for_each(|(byte, with)| *byte ^= with);
        self.left.encrypt_block(state.into());
    }
}

/// How the messages of a link are authenticated: DE 64, or 128 where there are elements above 64.
#[derive(Clone)]
pub enum MessageMac {
    /// Retail MAC, filled up with zeros.
    Retail(RetailMac),
    /// The first eight bytes of an AES-CMAC.
    Cmac(Cmac<Aes128>),
}

impl MessageMac {
    /// An AES-CMAC under this key.
    pub fn cmac(key: &TestKey) -> MessageMac {
        MessageMac::Cmac(Cmac::new(key.bytes().into()))
    }

    /// The MAC of everything that stands in front of it in a message.
    pub fn mac(&self, data: &[u8]) -> [u8; 8] {
        match self {
            MessageMac::Retail(mac) => mac.mac(data, Padding::Zeros),
            MessageMac::Cmac(mac) => {
                let whole: [u8; 16] = mac.clone().chain_update(data).finalize().into_bytes().into();
                let mut first = [0; 8];
                first.copy_from_slice(&whole[..8]);
                first
            }
        }
    }
}

impl std::fmt::Debug for MessageMac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MessageMac")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::vectors::{self, hex};

    #[test]
    fn retail_macs_are_those_of_the_vectors() {
        for vector in vectors::of("mac_alg3") {
            let key = TestKey::parse(&vector.text("key")).unwrap();
            let padding =
                if vector.number("padding_method") == 1 { Padding::Zeros } else { Padding::OneAndZeros };
            let mac = RetailMac::new(&key).mac(&vector.bytes("data"), padding);
            assert_eq!(hex(&mac), vector.expected("mac"), "{}", vector.id());
        }
    }

    #[test]
    fn message_macs_are_those_of_the_vectors() {
        for vector in vectors::of("mac_cmac_aes") {
            let Ok(key) = TestKey::parse(&vector.text("key")) else { continue };
            let mac = MessageMac::cmac(&key).mac(&vector.bytes("data"));
            assert_eq!(hex(&mac), vector.expected("mac")[..16], "{}", vector.id());
        }
        let vector = &vectors::of("iso8583_message")[0];
        let mac = MessageMac::Retail(RetailMac::new(&TestKey::parse(&vector.text("mac_key")).unwrap()));
        assert_eq!(hex(&mac.mac(&vector.bytes("mac_input"))), vector.expected("mac"));
    }
}
