//! An encryption that stays open: started once, then only fed.
//!
//! Most of a one-block call to a token is its set-up. ECB has no state between blocks, so one set-up serves
//! any number of calls, and each call any number of blocks. The price is that the state lives in the module:
//! every opening is therefore checked against the key's check value before anything it says is believed.

use std::sync::Arc;

use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;

use super::policy::Cipher;
use super::{CheckValue, Master, Module, Token};
use crate::error::{Cause, Retry};

/// An open ECB encryption under a fixed key, in a session of its own.
pub(crate) struct Stream {
    /// None after a failure, until it is opened again.
    session: Option<Session>,
    module: Arc<Module>,
    key: ObjectHandle,
    cipher: Cipher,
    is_copy: bool,
    check_value: CheckValue,
}

impl Token {
    /// Opens a stream under a key that encrypts by itself. The key stays the token's: the stream fails
    /// when the token is dropped.
    pub(crate) fn stream(&self, master: &Master) -> Result<Stream, Cause> {
        let module = Arc::clone(&self.module);
        let &Master { handle: key, is_copy, check_value, usage } = master;
        let cipher = usage.cipher();
        let mut stream = Stream { session: None, module, key, cipher, is_copy, check_value };
        stream.open()?;
        Ok(stream)
    }
}

impl Stream {
    /// Whether its key is a copy in the session.
    pub(crate) fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// Encrypts blocks, each by itself, into the same number of blocks.
    ///
    /// `N` is the cipher's. A stream that fails is opened again in a fresh session, once; the second failure is the answer.
    pub(crate) fn encrypt<const N: usize>(
        &mut self,
        blocks: &[[u8; N]],
        out: &mut [[u8; N]],
    ) -> Result<(), Cause> {
        let (blocks, out) = (blocks.as_flattened(), out.as_flattened_mut());
        match self.feed(blocks, out) {
            Err(cause) if cause.retry() == Retry::FreshSession => {
                self.open()?;
                self.feed(blocks, out)
            }
            outcome => outcome,
        }
    }

    /// Asks again for the key's check value.
    pub(crate) fn still_right(&mut self) -> Result<(), Cause> {
        let mut known = [0; 16];
        let block = self.cipher.block_bytes();
        self.feed(&[0; 16][..block], &mut known[..block])?;
        if known[..3] == self.check_value.0 { Ok(()) } else { Err(Cause::WrongAnswer) }
    }

    fn feed(&mut self, blocks: &[u8], out: &mut [u8]) -> Result<(), Cause> {
        let session = self.session.as_ref().ok_or(Cause::SessionLost)?;
        let outcome = self.module.raw.encrypt_update(session, blocks, out);
        let whole = outcome.map_err(Cause::from).and_then(|written| {
            let is_whole = written == blocks.len();
            is_whole.then_some(()).ok_or(Cause::WrongLength)
        });
        if whole.is_err() {
            // Whatever is left inside must not come out with the next question.
            self.session = None;
        }
        whole
    }

    fn open(&mut self) -> Result<(), Cause> {
        let session = self.module.open_session()?;
        self.module.raw.encrypt_init(&session, self.cipher.ecb(), self.key)?;
        self.session = Some(session);
        let is_right = self.still_right();
        if is_right.is_err() {
            self.session = None;
        }
        is_right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{KeySpec, Usage};
    use crate::tokens::{self, DES3_ECB, LABEL, PIN, hex};

    const IN: [[u8; 8]; 3] = [*b"SIGNALBO", [0; 8], *b"SIGNALBO"];

    fn encrypted(stream: &mut Stream) -> Result<[[u8; 8]; 3], Cause> {
        let mut out = [[0; 8]; 3];
        stream.encrypt(&IN, &mut out).map(|()| out)
    }

    #[test]
    fn opened_again_when_its_operation_is_gone() {
        tokens::run("token::stream::tests::opened_again_when_its_operation_is_gone", |hsm| {
            let value = hex("0123456789ABCDEFFEDCBA9876543210");
            let check_value = CheckValue(hsm.create(&tokens::master("cvk", &value, DES3_ECB)));
            let pin = crate::Secret::from(PIN.to_owned());
            let token = Token::open(&hsm.module, LABEL, &pin).expect("a token");
            let spec = KeySpec { label: "cvk".to_owned(), check_value, danger_modifiable: false };
            let mut master = token.load(&spec, Usage::CardVerification).expect("a key");
            let mut stream = token.stream(&master).expect("a stream");

            let first = encrypted(&mut stream).expect("blocks");
            assert_eq!(first[0], first[2], "each block by itself");
            assert_eq!(first[1][..3], check_value.0);
            stream.session.as_ref().expect("a session").encrypt_final().expect("an end");
            assert_eq!(encrypted(&mut stream), Ok(first), "in a fresh session");
            stream.session = None;
            assert_eq!(encrypted(&mut stream), Ok(first), "without a session");

            // Under another key than the one that was found, nothing is believed.
            master.check_value = CheckValue([1, 2, 3]);
            assert_eq!(token.stream(&master).err(), Some(Cause::WrongAnswer));
            stream.check_value = CheckValue([1, 2, 3]);
            stream.session = None;
            assert_eq!(encrypted(&mut stream), Err(Cause::WrongAnswer));
        });
    }
}
