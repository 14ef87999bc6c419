//! The keys of a verifier: how each is loaded from the token, and found again for a question.

use super::Verifier;
use crate::algorithm3::Padding;
use crate::card::cvv::CvvKey;
use crate::enrolled::Pepper;
use crate::error::Cause;
use crate::mac::MacKey;
use crate::pin::PinOut;
use crate::question::{KeyId, PinFormat};
use crate::token::{
    CardKeys, CardMaster, CardSource, Exposure, KeyError, KeyFlaw, KeySpec, Master, Stream, Token, Usage,
};

/// A key as questions use it.
pub(super) enum Key {
    CardVerification(CvvKey),
    Master(Master),
    Cards(CardMaster),
    /// Tells private counters: exposure `session`.
    ExposedCounters(Stream),
    Pepper(Pepper),
    PinIn(Stream),
    PinOut(PinOut),
    Mac(MacKey),
}

/// The key or keys of messages' MACs.
pub enum MacKeySpec<'a> {
    /// Algorithm 3 of ISO/IEC 9797-1.
    Algorithm3 {
        /// The key.
        whole: &'a KeySpec,
        /// The key that is its left half twice, as made in one ceremony.
        left: &'a KeySpec,
        /// How messages are made whole blocks.
        padding: Padding,
    },
    /// CMAC with 3DES.
    TripleDesCmac(&'a KeySpec),
    /// CMAC with AES.
    AesCmac(&'a KeySpec),
}

/// What a key is for that others are derived from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MasterUsage {
    /// Card keys of CVC3.
    Cvc3,
    /// Card keys of dynamic CVVs.
    DynamicCvv,
    /// Private counters of rotating ATCs.
    Counter,
    /// Account keys of challenge responses.
    Response,
    /// Card keys of application cryptograms.
    Cryptogram,
    /// The same for cards with AES.
    AesCryptogram,
}

impl From<MasterUsage> for Usage {
    fn from(usage: MasterUsage) -> Usage {
        match usage {
            MasterUsage::Cvc3 => Usage::Cvc3Master,
            MasterUsage::DynamicCvv => Usage::DynamicCvvMaster,
            MasterUsage::Counter => Usage::CounterMaster,
            MasterUsage::Response => Usage::ResponseMaster,
            MasterUsage::Cryptogram => Usage::CryptogramMaster,
            MasterUsage::AesCryptogram => Usage::AesCryptogramMaster,
        }
    }
}

impl Verifier {
    /// Loads a card verification key, and the key that is its left half twice, as made in one ceremony.
    pub fn load_card_verification(&mut self, whole: &KeySpec, left: &KeySpec) -> Result<KeyId, KeyError> {
        let whole = self.stream(whole, Usage::CardVerification)?;
        let left = self.stream(left, Usage::CardVerificationLeft)?;
        Ok(self.keep(Key::CardVerification(CvvKey { whole, left })))
    }

    /// Loads a key that others are derived from, which may be seen here as far as the exposure goes: for counters,
    /// [`Exposure::Session`] and what is above it are the same, for they have no keys of cards; what has no keys of
    /// purchases takes it for [`Exposure::None`].
    pub fn load_master(
        &mut self,
        spec: &KeySpec,
        usage: MasterUsage,
        exposure: Exposure,
    ) -> Result<KeyId, KeyError> {
        let key = match (usage, exposure) {
            (MasterUsage::Counter, Exposure::None) => {
                Key::Master(self.token.load(spec, Usage::CounterMaster)?)
            }
            (MasterUsage::Counter, _) => {
                Key::ExposedCounters(self.stream(spec, Usage::ExposedCounterMaster)?)
            }
            _ => Key::Cards(CardMaster::load(&self.token, spec, (usage.into(), exposure))?),
        };
        Ok(self.keep(key))
    }

    /// Loads a key that makes tags of enrolled responses by AES.
    pub fn load_pepper(&mut self, spec: &KeySpec) -> Result<KeyId, KeyError> {
        let pepper = self.stream(spec, Usage::ResponsePepper)?;
        Ok(self.keep(Key::Pepper(Pepper::new(pepper))))
    }

    /// Loads a key that makes tags of enrolled responses by HMAC.
    pub fn load_response_hmac(&mut self, spec: &KeySpec) -> Result<KeyId, KeyError> {
        let key = self.token.load(spec, Usage::ResponseHmac)?;
        Ok(self.keep(Key::Master(key)))
    }

    /// Loads a zone key under which PIN blocks of this format come in; formats 0, 1 and 3 share their keys.
    pub fn load_pin_in(&mut self, spec: &KeySpec, format: PinFormat) -> Result<KeyId, KeyError> {
        let usage = if format.is_aes() { Usage::AesPinIn } else { Usage::PinIn };
        let stream = self.stream(spec, usage)?;
        Ok(self.keep(Key::PinIn(stream)))
    }

    /// Loads a zone key under which PIN blocks of this format go out. `danger_changes_pan`: the card's number may be
    /// another behind a translation, which the standards allow where an account's number is replaced only.
    pub fn load_pin_out(
        &mut self,
        spec: &KeySpec,
        format: PinFormat,
        danger_changes_pan: bool,
    ) -> Result<KeyId, KeyError> {
        let usage = if format.is_aes() { Usage::AesPinOut } else { Usage::PinOut };
        let stream = self.stream(spec, usage)?;
        Ok(self.keep(Key::PinOut(PinOut { stream, may_change_pan: danger_changes_pan })))
    }

    /// Loads a key of messages' MACs.
    pub fn load_mac(&mut self, spec: &MacKeySpec<'_>) -> Result<KeyId, KeyError> {
        let key = match spec {
            MacKeySpec::Algorithm3 { whole, left, padding } => MacKey::Algorithm3 {
                whole: self.token.load(whole, Usage::MacAlgorithm3)?,
                left: self.token.load(left, Usage::MacAlgorithm3Left)?,
                padding: *padding,
            },
            MacKeySpec::TripleDesCmac(spec) => {
                MacKey::TripleDesCmac(self.token.load(spec, Usage::MacTripleDes)?)
            }
            MacKeySpec::AesCmac(spec) => MacKey::AesCmac(self.token.load(spec, Usage::MacAes)?),
        };
        Ok(self.keep(Key::Mac(key)))
    }

    fn stream(&self, spec: &KeySpec, usage: Usage) -> Result<Stream, KeyError> {
        let master = self.token.load(spec, usage)?;
        let flaw = |cause| KeyError { label: spec.label.clone(), usage, flaw: KeyFlaw::NoStream(cause) };
        self.token.stream(&master).map_err(flaw)
    }

    fn keep(&mut self, key: Key) -> KeyId {
        let id = u16::try_from(self.keys.len()).expect("fewer keys than 65 536");
        self.keys.push(key);
        KeyId(id)
    }

    /// Whether a key is used through a copy in the session; used in place it is slower.
    pub fn is_copied(&self, KeyId(key): KeyId) -> bool {
        match self.keys.get(usize::from(key)) {
            Some(Key::CardVerification(key)) => key.whole.is_copy() && key.left.is_copy(),
            Some(Key::Master(master)) => master.is_copy,
            Some(Key::Cards(master)) => master.is_copy(),
            Some(Key::ExposedCounters(stream) | Key::PinIn(stream)) => stream.is_copy(),
            Some(Key::Pepper(pepper)) => pepper.stream.is_copy(),
            Some(Key::PinOut(out)) => out.stream.is_copy(),
            Some(Key::Mac(MacKey::Algorithm3 { whole, left, .. })) => whole.is_copy && left.is_copy,
            Some(Key::Mac(MacKey::TripleDesCmac(key) | MacKey::AesCmac(key))) => key.is_copy,
            None => false,
        }
    }

    /// Whether the token still gives known answers the way it answers under this key.
    pub(super) fn still_right(&mut self, KeyId(key): KeyId) -> Result<(), Cause> {
        match self.keys.get_mut(usize::from(key)) {
            Some(Key::CardVerification(key)) => key.whole.still_right().and_then(|()| key.left.still_right()),
            Some(Key::Master(master)) => self.token.still_right(master.usage),
            Some(Key::Cards(master)) => master.still_right(&self.token),
            Some(Key::ExposedCounters(stream) | Key::PinIn(stream)) => stream.still_right(),
            Some(Key::Pepper(pepper)) => pepper.stream.still_right(),
            Some(Key::PinOut(out)) => out.stream.still_right(),
            Some(Key::Mac(MacKey::Algorithm3 { whole, left, .. })) => {
                self.token.still_right(whole.usage).and_then(|()| self.token.still_right(left.usage))
            }
            Some(Key::Mac(MacKey::TripleDesCmac(key) | MacKey::AesCmac(key))) => {
                self.token.still_right(key.usage)
            }
            None => Err(Cause::NotThatKey),
        }
    }
}

/// A key that others are derived from, for this use.
pub(super) fn master(keys: &[Key], KeyId(key): KeyId, usage: Usage) -> Result<&Master, Cause> {
    match keys.get(usize::from(key)) {
        Some(Key::Master(master)) if master.usage == usage => Ok(master),
        _ => Err(Cause::NotThatKey),
    }
}

/// The keys of cards that are made of this one.
pub(super) fn cards<'v>(
    keys: &'v mut [Key],
    token: &'v Token,
    kept: &'v mut CardKeys,
    (KeyId(key), usage): (KeyId, Usage),
) -> Result<CardSource<'v>, Cause> {
    match keys.get_mut(usize::from(key)) {
        Some(Key::Cards(master)) if master.usage() == usage => Ok(CardSource::new(token, kept, master)),
        _ => Err(Cause::NotThatKey),
    }
}

/// A key of messages' MACs.
pub(super) fn mac_key(keys: &[Key], KeyId(key): KeyId) -> Result<&MacKey, Cause> {
    match keys.get(usize::from(key)) {
        Some(Key::Mac(key)) => Ok(key),
        _ => Err(Cause::NotThatKey),
    }
}
