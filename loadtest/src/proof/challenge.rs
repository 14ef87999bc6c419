//! Challenge responses, computed: the device has a key of its account and answers with the low digits of a CMAC.
//!
//! Account key: AES under the master key over card number and sequence number 00, zeros in front. Response: the first
//! eight bytes of the CMAC over `DDCR2|` and the challenge's digits, as a number of which the low digits count.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use cmac::{Cmac, Mac as _};

use super::key::TestKey;

/// The master key, ready to be used.
#[derive(Clone)]
pub struct Responses {
    master: Aes128,
}

impl Responses {
    /// Expands the master key.
    pub fn new(key: &TestKey) -> Responses {
        Responses { master: Aes128::new(key.bytes().into()) }
    }

    /// The number whose low digits are the response.
    pub fn response(&self, pan: &[u8], challenge: &[u8]) -> u64 {
        let mut digits = [b'0'; 32];
        let all = pan.iter().chain(b"00").rev();
        digits.iter_mut().rev().zip(all).for_each(|(digit, from)| *digit = *from);
        let mut key = [0; 16];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] & 0x0F) << 4 | (pair[1] & 0x0F);
        }
        self.master.encrypt_block((&mut key).into());
        let mac = <Cmac<Aes128> as cmac::KeyInit>::new((&key).into());
        let mac: [u8; 16] =
            mac.chain_update(b"DDCR2|").chain_update(challenge).finalize().into_bytes().into();
        mac[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl std::fmt::Debug for Responses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Responses")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::vectors;

    #[test]
    fn responses_are_those_of_the_worked_example_and_the_vectors() {
        let key = TestKey::parse("101112131415161718191a1b1c1d1e1f").unwrap();
        assert_eq!(Responses::new(&key).response(b"9999150000000015", b"08154711") % 1_000_000, 984_747);
        for vector in vectors::of("dd_response_dynamic") {
            let responses = Responses::new(&TestKey::parse(&vector.text("master_key")).unwrap());
            let (account, digits) = (vector.text("account"), vector.text("challenge_digits"));
            let response = responses.response(account.as_bytes(), digits.as_bytes()) % 100_000;
            assert_eq!(format!("{response:05}"), vector.expected("response_5_digits"), "{}", vector.id());
        }
    }
}
