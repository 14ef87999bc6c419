//! The private counters of a bundle, for the device that pays with them: they leave only sealed to the device's key.
//!
//! A counter is in this process's memory between the token and the seal, so the key they come from is one of exposure
//! `session`; a key that derives inside the token is refused by its attributes, and its counters go nowhere.

use zeroize::Zeroizing;

use crate::error::{Cause, HsmError};
use crate::hpke::{self, Sealed};
use crate::question::Kind;
use crate::rotating::counter_block;
use crate::token::{KeyError, KeyFlaw, KeySpec, Stream, Token, Usage};

/// Which counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bundle {
    /// The account, as the questions about its codes name it.
    pub account: [u8; 8],
    /// Which bundle of the account.
    pub id: u32,
    /// Its first public ATC.
    pub first: u16,
    /// How many, one after another.
    pub count: u16,
}

/// Makes private counters and seals them.
pub struct Courier {
    // Before the token: the stream ends while the session that owns its key is open.
    counters: Stream,
    _token: Token,
}

/// What the sealing is for (`info` of RFC 9180).
pub(crate) const INFO: &[u8] = b"signalbox private counters 1";

impl Bundle {
    /// What the seal covers without hiding it (`aad`): account, bundle, first public ATC and count, big-endian.
    pub fn aad(&self) -> [u8; 16] {
        let mut aad = [0; 16];
        aad[..8].copy_from_slice(&self.account);
        aad[8..12].copy_from_slice(&self.id.to_be_bytes());
        aad[12..14].copy_from_slice(&self.first.to_be_bytes());
        aad[14..].copy_from_slice(&self.count.to_be_bytes());
        aad
    }
}

impl Courier {
    /// With a master key of exposure `session`.
    pub fn open(token: Token, spec: &KeySpec) -> Result<Courier, KeyError> {
        let usage = Usage::ExposedCounterMaster;
        let master = token.load(spec, usage)?;
        let flaw = |cause| KeyError { label: spec.label.clone(), usage, flaw: KeyFlaw::NoStream(cause) };
        let counters = token.stream(&master).map_err(flaw)?;
        Ok(Courier { counters, _token: token })
    }

    /// Seals the counters of a bundle, 16 bytes each in the order of their public ATCs, to an X25519 key.
    pub fn seal(&mut self, bundle: &Bundle, device_key: &[u8; 32]) -> Result<Sealed, HsmError> {
        let failed = |cause| HsmError::new(Kind::RotatingCode, cause);
        let indexes = u32::from(bundle.first)..u32::from(bundle.first) + u32::from(bundle.count);
        let blocks: Vec<[u8; 16]> =
            indexes.map(|index| counter_block(bundle.account, bundle.id, index)).collect();
        let mut counters = Zeroizing::new(vec![[0; 16]; blocks.len()]);
        for (blocks, counters) in blocks.chunks(BATCH).zip(counters.chunks_mut(BATCH)) {
            self.counters.pass(blocks.as_flattened(), counters.as_flattened_mut()).map_err(failed)?;
        }
        hpke::seal(device_key, INFO, &bundle.aad(), counters.as_flattened()).ok_or(failed(Cause::Refused))
    }
}

/// Counters made in one call.
const BATCH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::CheckValue;
    use crate::tokens::{self, AES_DERIVE, AES_ECB, LABEL, PIN, hex};

    #[test]
    fn a_device_gets_its_counters_and_nobody_else() {
        tokens::run("delivery::tests::a_device_gets_its_counters_and_nobody_else", |token| {
            let value = hex("000102030405060708090A0B0C0D0E0F");
            let check_value = CheckValue(token.create(&tokens::master("open", &value, AES_ECB)));
            token.create(&tokens::master("shut", &value, AES_DERIVE));
            let pin = || crate::Secret::from(PIN.to_owned());
            let opened = || Token::open(&token.module, LABEL, &pin()).expect("a token");
            let spec =
                |label: &str| KeySpec { label: label.to_owned(), check_value, danger_modifiable: false };
            let refused = Courier::open(opened(), &spec("shut")).err().expect("exposure none");
            assert!(refused.to_string().contains("may derive"), "{refused}");
            let mut courier = Courier::open(opened(), &spec("open")).expect("a key");
            let account = 0x9910_0000_0000_1001_u64.to_be_bytes();
            let bundle = Bundle { account, id: 1, first: 40, count: 300 };
            let (private, public) = hpke::tests::pair();
            let sealed = courier.seal(&bundle, &public).expect("sealed");
            let counters = hpke::tests::open(private, &public, INFO, &bundle.aad(), &sealed).expect("open");
            assert_eq!(counters.len(), 300 * 16);
            // The worked example: public ATC 0042.
            assert_eq!(counters[32..48], hex("D72C36C9D86D20658DBB3DF7658C6F68"));
            assert!(!sealed.ciphertext.windows(16).any(|bytes| bytes == &counters[32..48]));
        });
    }
}
