//! An encryption or decryption that stays open: started once, then only fed.
//!
//! Most of a one-block call to a token is its set-up. ECB has no state between blocks, so one set-up serves
//! any number of calls, and each call any number of blocks. The price is that the state lives in the module:
//! every opening is therefore checked against the key's check value before anything it says is believed.

use std::sync::Arc;

use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use zeroize::Zeroizing;

use super::policy::{Cipher, Work};
use super::{CheckValue, Master, Module, Token};
use crate::error::{Cause, Retry};

/// An open ECB encryption or decryption under a fixed key, in a session of its own.
pub(crate) struct Stream {
    /// None after a failure, until it is opened again.
    session: Option<Session>,
    module: Arc<Module>,
    key: ObjectHandle,
    cipher: Cipher,
    work: Work,
    is_copy: bool,
    check_value: CheckValue,
    /// What a decryption makes of zeros, as it was at the first opening: it has no check value.
    zeros: Option<Zeroizing<[u8; 16]>>,
}

impl Token {
    /// Opens a stream under a key that encrypts or decrypts by itself. The key stays the token's: the stream fails
    /// when the token is dropped.
    pub(crate) fn stream(&self, master: &Master) -> Result<Stream, Cause> {
        let module = Arc::clone(&self.module);
        let &Master { handle: key, is_copy, check_value, usage, .. } = master;
        let (cipher, work) = (usage.cipher(), usage.work());
        let (session, zeros) = (None, None);
        let mut stream = Stream { session, module, key, cipher, work, is_copy, check_value, zeros };
        stream.open()?;
        Ok(stream)
    }
}

impl Stream {
    /// Whether its key is a copy in the session.
    pub(crate) fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// The cipher of its key.
    pub(crate) fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Encrypts or decrypts blocks, each by itself, into the same number of blocks.
    ///
    /// A stream that fails is opened again in a fresh session, once; where it fails again too, the blocks are put in one
    /// call of their own; where that fails, its cause is the answer.
    pub(crate) fn pass(&mut self, blocks: &[u8], out: &mut [u8]) -> Result<(), Cause> {
        let is_worth_more = |cause: &Cause| cause.retry() == Retry::FreshSession;
        match self.feed(blocks, out) {
            Err(cause) if is_worth_more(&cause) => match self.open().and_then(|()| self.feed(blocks, out)) {
                Err(cause) if is_worth_more(&cause) => self.at_once(blocks, out),
                outcome => outcome,
            },
            outcome => outcome,
        }
    }

    /// Asks again for the key's check value, or for what it made of zeros at first.
    pub(crate) fn still_right(&mut self) -> Result<(), Cause> {
        let mut known = Zeroizing::new([0; 16]);
        let block = self.cipher.block_bytes();
        self.feed(&[0; 16][..block], &mut known[..block])?;
        self.prove(&known)
    }

    fn feed(&mut self, blocks: &[u8], out: &mut [u8]) -> Result<(), Cause> {
        let session = self.session.as_ref().ok_or(Cause::SessionLost)?;
        let raw = &self.module.raw;
        let outcome = match self.work {
            Work::Decrypt => raw.decrypt_update(session, blocks, out),
            _ => raw.encrypt_update(session, blocks, out),
        };
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
        let session = self.start()?;
        self.session = Some(session);
        let is_right = self.still_right();
        if is_right.is_err() {
            self.session = None;
        }
        is_right
    }

    /// Everything in one call that ends the operation, behind a block of zeros by which the key is known.
    fn at_once(&self, blocks: &[u8], out: &mut [u8]) -> Result<(), Cause> {
        let block = self.cipher.block_bytes();
        let input = Zeroizing::new([&[0; 16][..block], blocks].concat());
        let mut made = Zeroizing::new(vec![0; input.len()]);
        let (session, raw) = (self.start()?, &self.module.raw);
        let written = match self.work {
            Work::Decrypt => raw.decrypt(&session, &input, &mut made),
            _ => raw.encrypt(&session, &input, &mut made),
        };
        if written? != input.len() {
            return Err(Cause::WrongLength);
        }
        let mut known = Zeroizing::new([0; 16]);
        known[..block].copy_from_slice(&made[..block]);
        self.is_known(&known)?;
        out.copy_from_slice(&made[block..]);
        Ok(())
    }

    fn start(&self) -> Result<Session, Cause> {
        let session = self.module.open_session()?;
        let mechanism = self.work.mechanism(self.cipher);
        match self.work {
            Work::Decrypt => self.module.raw.decrypt_init(&session, mechanism, &[], self.key)?,
            _ => self.module.raw.encrypt_init(&session, mechanism, &[], self.key)?,
        }
        Ok(session)
    }

    fn prove(&mut self, known: &[u8; 16]) -> Result<(), Cause> {
        if self.work == Work::Decrypt && self.zeros.is_none() {
            // That it is the key which was found, its check value has told when it was loaded.
            self.zeros = Some(Zeroizing::new(*known));
        }
        self.is_known(known)
    }

    fn is_known(&self, known: &[u8; 16]) -> Result<(), Cause> {
        let is_known = match (self.work, &self.zeros) {
            (Work::Decrypt, Some(zeros)) => **zeros == *known,
            (Work::Decrypt, None) => false,
            _ => known[..3] == self.check_value.0,
        };
        if is_known { Ok(()) } else { Err(Cause::WrongAnswer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki::object::{Attribute, KeyType};

    use crate::token::{KeySpec, Usage};
    use crate::tokens::{self, DES3_ECB, LABEL, PIN, hex};

    const IN: [[u8; 8]; 3] = [*b"SIGNALBO", [0; 8], *b"SIGNALBO"];

    fn encrypted(stream: &mut Stream) -> Result<[[u8; 8]; 3], Cause> {
        let mut out = [[0; 8]; 3];
        stream.pass(IN.as_flattened(), out.as_flattened_mut()).map(|()| out)
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
            let mut out = [[0; 8]; 3];
            stream.at_once(IN.as_flattened(), out.as_flattened_mut()).expect("blocks");
            assert_eq!(out, first, "in one call");

            // Under another key than the one that was found, nothing is believed.
            master.check_value = CheckValue([1, 2, 3]);
            assert_eq!(token.stream(&master).err(), Some(Cause::WrongAnswer));
            stream.check_value = CheckValue([1, 2, 3]);
            stream.session = None;
            assert_eq!(encrypted(&mut stream), Err(Cause::WrongAnswer));
        });
    }

    #[test]
    fn decrypts_what_the_same_key_encrypted() {
        tokens::run("token::stream::tests::decrypts_what_the_same_key_encrypted", |hsm| {
            let value = hex("3DDADFB0DC7654049D89B96E048AE3EC");
            let pin = crate::Secret::from(PIN.to_owned());
            let mut keys = ["in", "out"].map(|label| {
                let (usage, may) = match label {
                    "in" => (Usage::PinIn, Attribute::Decrypt(true)),
                    _ => (Usage::PinOut, Attribute::Encrypt(true)),
                };
                let template = tokens::key(label, &value, KeyType::DES2, may, DES3_ECB);
                let check_value = CheckValue(hsm.create(&template));
                let spec = KeySpec { label: label.to_owned(), check_value, danger_modifiable: false };
                let token = Token::open(&hsm.module, LABEL, &pin).expect("a token");
                let stream = token.stream(&token.load(&spec, usage).expect("a key")).expect("a stream");
                // The token goes last.
                (stream, token)
            });
            let [(decrypts, _), (encrypts, _)] = &mut keys;
            let made = encrypted(encrypts).expect("blocks");
            let mut back = [[0; 8]; 3];
            decrypts.pass(made.as_flattened(), back.as_flattened_mut()).expect("blocks");
            assert_eq!(back, IN);
            decrypts.session = None;
            decrypts.at_once(made.as_flattened(), back.as_flattened_mut()).expect("blocks");
            assert_eq!(back, IN, "in one call");
            // Another key than at the first opening is not believed.
            decrypts.zeros = Some(Zeroizing::new([7; 16]));
            let outcome = decrypts.pass(made.as_flattened(), back.as_flattened_mut());
            assert_eq!(outcome, Err(Cause::WrongAnswer));
        });
    }
}
