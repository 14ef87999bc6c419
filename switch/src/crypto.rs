//! The authorizer's question to the token's: the code is read from the raw message here, a PKCS#11 token is asked once a
//! turn, and what comes back is right, wrong, or unknown.
//!
//! Usually the token is in processes of its own ([`crate::token`]), and its answers come later. Placed inline it works on
//! the shard's own thread: one that is slow makes everything on that shard slow, and one that crashes ends the switch.

use authorizer::cards::Tag;
use authorizer::programs::{ProgramId, Question};
use authorizer::provision::{Change, Provision};
use authorizer::verify::{Judgement, ProofId};
use codecs::iso8583::Message;
use hsm::token::{CheckValue, KeySpec};
use hsm::{
    Answer, Candidates, Card, Challenge, Code, CodeLength, Cvc3, Derivation, Device, EnrolCvc3,
    EnrolResponse, EnrolledResponse, HsmError, Ivcvc3, KeyId, KeyRequest, MasterUsage, Pan, Plan, Psn,
    Purpose, Response, ResponseTag, RotatingCode, RotatingCvc3, Secret, TrackData, UnpredictableNumber,
};

use crate::config::{Config, Hsm, Mac, MacAlgorithm, Program, ProgramKind, ResponseKind};
use crate::mac::MacTicket;
use crate::rules::Rules;
use crate::setup::Setup;
use crate::token::{Crew, Figures};

/// How long a token that was lost is left alone.
const REOPEN_US: u64 = 1_000_000;

/// Keys of cards that a token keeps once they were derived; about eight KiB each in SoftHSM2.
const CARD_KEYS_MAX: u32 = 4_096;

/// Which token, and which keys in which order: one for each program, behind them those of profile `cvc3`, then those of
/// links' codes.
pub(crate) fn plan(config: &Config, hsm: &Hsm, pin: Secret) -> Plan {
    let spec = |program: &Program, label: &str, check_value| KeySpec {
        label: label.to_owned(),
        check_value: CheckValue(check_value),
        danger_modifiable: program.modifiable_key,
    };
    let key = |program: &Program| KeyRequest {
        spec: spec(program, &program.key, program.check_value),
        purpose: match program.kind {
            ProgramKind::RotatingAtc => Purpose::Master(MasterUsage::Counter, program.exposure),
            ProgramKind::Challenge { response: ResponseKind::Computed, .. } => {
                Purpose::Master(MasterUsage::Response, program.exposure)
            }
            ProgramKind::Challenge { response: ResponseKind::Enrolled, .. } => Purpose::Pepper,
            ProgramKind::Challenge { response: ResponseKind::EnrolledByHmac, .. } => Purpose::ResponseHmac,
            ProgramKind::Contactless { .. } => Purpose::Master(MasterUsage::Cvc3, program.exposure),
        },
    };
    let cvc3 = |program: &Program| {
        let cvc3 = program.cvc3.as_ref()?;
        let spec = spec(program, &cvc3.key, cvc3.check_value);
        Some(KeyRequest { spec, purpose: Purpose::Master(MasterUsage::Cvc3, program.exposure) })
    };
    let of_programs = config.programs.iter().map(key).chain(config.programs.iter().filter_map(cvc3));
    let keys = of_programs.chain(config.macs().filter_map(|(_, mac)| mac.map(mac_key))).collect();
    Plan { module: hsm.module.clone(), token: hsm.token.clone(), pin, keys, card_keys: CARD_KEYS_MAX }
}

/// The key of a link's codes, which nobody may have changed since it was made.
fn mac_key(mac: &Mac) -> KeyRequest {
    let spec = |label: String, check_value| KeySpec {
        label,
        check_value: CheckValue(check_value),
        danger_modifiable: false,
    };
    let purpose = match mac.algorithm {
        MacAlgorithm::Algorithm3 { left_check_value, padding } => {
            Purpose::MacAlgorithm3 { left: spec(format!("{}-left", mac.key), left_check_value), padding }
        }
        MacAlgorithm::AesCmac => Purpose::MacAesCmac,
    };
    KeyRequest { spec: spec(mac.key.clone(), mac.check_value), purpose }
}

/// The keys of links' codes in [`plan`], by peer: acquirers, then issuers.
pub(crate) fn mac_keys(config: &Config) -> Vec<Option<KeyId>> {
    let of_programs =
        config.programs.len() + config.programs.iter().filter_map(|program| program.cvc3.as_ref()).count();
    let mut places = of_programs..;
    let mut key = |_: &Mac| Some(KeyId::of_place(places.next()? as u16));
    config.macs().map(|(_, mac)| mac.and_then(&mut key)).collect()
}

/// Whose key this is in [`plan`], for the operator.
pub(crate) fn user_of(config: &Config, key: KeyId) -> Option<String> {
    let named = |program: &Program| format!("program {:?}", program.name);
    let cvc3 = config.programs.iter().filter(|program| program.cvc3.is_some());
    let macs = config.macs().filter(|(_, mac)| mac.is_some()).map(|(peer, _)| format!("mac of {peer:?}"));
    config.programs.iter().chain(cvc3).map(named).chain(macs).nth(usize::from(key.place()))
}

/// The key of a program in [`plan`].
fn key_of(program: ProgramId) -> KeyId {
    KeyId::of_place(program.0)
}

/// The key of a program's CVC3s in [`plan`], and how keys of cards are derived from it.
fn cvc3_of(config: &Config, program: ProgramId) -> Option<(KeyId, Derivation)> {
    let (before, rest) = config.programs.split_at_checked(usize::from(program.0))?;
    if let ProgramKind::Contactless { derivation, .. } = rest.first()?.kind {
        return Some((key_of(program), derivation));
    }
    let cvc3 = rest.first()?.cvc3.as_ref()?;
    let place = config.programs.len() + before.iter().filter(|program| program.cvc3.is_some()).count();
    Some((KeyId::of_place(place as u16), cvc3.derivation))
}

/// Who waits for what the token says.
#[derive(Debug)]
pub(crate) enum Waits {
    /// A request.
    Proof(ProofId),
    /// A change of a card, of which the token makes a part.
    Change(Box<Provision>),
    /// A message whose code is checked or made.
    Mac(MacTicket),
}

/// A change of a card, and what the token is asked for it.
pub(crate) struct Enrolment {
    pub(crate) provision: Provision,
    pub(crate) question: hsm::Question,
}

/// What the token says, or nothing where it says nothing.
pub(crate) type Said<'a> = Option<&'a Result<Answer, HsmError>>;

/// A change with what the token made of it.
pub(crate) fn enrolled(provision: Provision, said: Said<'_>) -> Option<Provision> {
    let change = match (provision.change, said?.as_ref().ok()?) {
        (Change::Stripe { psn, .. }, Answer::Ivcvc3(constant)) => {
            Change::Stripe { psn, constant: constant.0 }
        }
        (Change::Challenge { digits, ttl_us, .. }, Answer::Tag(tag)) => {
            let tag = match tag {
                ResponseTag::Aes(tag) => Tag::Aes(*tag),
                ResponseTag::Hmac(tag) => Tag::Hmac(*tag),
            };
            Change::Challenge { digits, ttl_us, tag: Some(tag) }
        }
        _ => return None,
    };
    Some(Provision { change, ..provision })
}

/// What the constant of a card's CVC3 is asked with, from its track as it was personalised.
pub(crate) fn stripe_question(
    config: &Config,
    program: ProgramId,
    (pan, psn): (&codecs::value::Pan, u8),
    track: Vec<u8>,
) -> Option<hsm::Question> {
    let (key, derivation) = cvc3_of(config, program)?;
    let card = Card { pan: Pan::parse(pan.danger_clear_digits())?, psn: Psn::new(psn)? };
    Some(hsm::Question::EnrolCvc3(EnrolCvc3 { key, card, derivation, track: TrackData::new(track)? }))
}

/// What the tag of a response is asked with.
pub(crate) fn tag_question(
    config: &Config,
    program: ProgramId,
    pan: &codecs::value::Pan,
    (digits, response): (&[u8; 8], &str),
) -> Option<hsm::Question> {
    let length = CodeLength::new(config.programs.get(usize::from(program.0))?.code_digits)?;
    Some(hsm::Question::EnrolResponse(EnrolResponse {
        key: key_of(program),
        pan: Pan::parse(pan.danger_clear_digits())?,
        challenge: Challenge::parse(digits)?,
        response: Code::parse(response.as_bytes())?,
        length,
    }))
}

/// Only a right answer is right; only a wrong code is wrong.
pub(crate) fn judgement(answer: &Result<Answer, HsmError>) -> Judgement {
    match answer {
        Ok(Answer::RightFor(atc)) => Judgement::RightFor(*atc),
        Ok(answer) if answer.is_right() => Judgement::Right,
        Ok(Answer::Wrong | Answer::WrongLength) => Judgement::Wrong,
        Ok(_) | Err(_) => Judgement::Unknown,
    }
}

/// One shard's questions to the token.
pub(crate) enum Crypto {
    /// Nothing needs one.
    Nothing,
    /// In this thread.
    Inline(Box<Inline>),
    /// In other processes.
    Workers(Crew),
}

impl Crypto {
    /// Whether the token answers, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Inline(inline) => inline.device.fault().is_none(),
            Self::Workers(crew) => crew.is_up(),
        }
    }

    /// How each worker stands.
    pub(crate) fn figures(&self) -> Vec<Figures> {
        match self {
            Self::Nothing | Self::Inline(_) => Vec::new(),
            Self::Workers(crew) => crew.figures(),
        }
    }

    /// Notes what the token is to be asked at the end of the turn. False where it cannot be asked.
    pub(crate) fn ask(
        &mut self,
        proof: ProofId,
        (program, question): (ProgramId, Question),
        message: &Message<'_>,
        rules: &Rules,
        setup: &Setup,
    ) -> bool {
        let Some((question, pan)) = translate(question, program, message, rules) else {
            return false;
        };
        let waits = Waits::Proof(proof);
        if let Self::Inline(inline) = self {
            inline.ask(waits, question);
            return true;
        }
        self.put(waits, question, setup.homes.account(&pan).0, setup.now_us()).is_ok()
    }

    /// Notes a question about the card of this hash; gives back who waits where it cannot be put.
    pub(crate) fn put(
        &mut self,
        waits: Waits,
        question: hsm::Question,
        card: u64,
        now_us: u64,
    ) -> Result<(), Waits> {
        match self {
            Self::Nothing => Err(waits),
            Self::Inline(inline) => {
                inline.ask(waits, question);
                Ok(())
            }
            Self::Workers(crew) => crew.ask(card, waits, &question, now_us),
        }
    }

    /// Whether one more question about the card, or the link, of this hash can be put.
    pub(crate) fn has_room(&self, card: u64) -> bool {
        match self {
            Self::Nothing | Self::Inline(_) => true,
            Self::Workers(crew) => crew.has_room(card),
        }
    }

    /// Puts everything noted to the token at once.
    pub(crate) fn submit(&mut self, now_us: u64, told: impl Fn(Waits, Said<'_>)) {
        match self {
            Self::Nothing => {}
            Self::Inline(inline) => inline.submit(now_us, &told),
            Self::Workers(crew) => crew.submit(now_us, &told),
        }
    }

    /// The shard's workers, where it has some.
    pub(crate) fn crew(&mut self) -> Option<&mut Crew> {
        match self {
            Self::Nothing | Self::Inline(_) => None,
            Self::Workers(crew) => Some(crew),
        }
    }
}

/// A token in the shard's own thread.
pub(crate) struct Inline {
    device: Device,
    waits: Vec<Waits>,
    questions: Vec<hsm::Question>,
    probed_us: u64,
}

impl Inline {
    /// With an open token.
    pub(crate) fn new(device: Device) -> Self {
        Self { device, waits: Vec::new(), questions: Vec::new(), probed_us: 0 }
    }

    fn ask(&mut self, waits: Waits, question: hsm::Question) {
        self.waits.push(waits);
        self.questions.push(question);
    }

    fn submit(&mut self, now_us: u64, told: &impl Fn(Waits, Said<'_>)) {
        if self.device.fault().is_some() && now_us.saturating_sub(self.probed_us) >= REOPEN_US {
            self.probed_us = now_us;
            match self.device.probe() {
                Ok(()) => tracing::info!("the token answers again"),
                Err(error) => tracing::debug!(error, "the token cannot be opened"),
            }
        }
        if self.questions.is_empty() {
            return;
        }
        let was_there = self.device.fault().is_none();
        for (waits, answer) in self.waits.drain(..).zip(self.device.answer(&self.questions)) {
            told(waits, Some(&answer));
        }
        self.questions.clear();
        if let Some(error) = self.device.fault().filter(|_| was_there) {
            self.probed_us = now_us;
            tracing::error!(error, "the token is lost: tried again each second");
        }
    }
}

/// The question and its card. The account is named by the number that stands in the track.
fn translate(
    question: Question,
    program: ProgramId,
    message: &Message<'_>,
    rules: &Rules,
) -> Option<(hsm::Question, codecs::value::Pan)> {
    let track = message.track2().ok()??;
    let data = rules.programs.read(program, &track)?;
    let presented = Code::parse(data.code.as_bytes())?;
    let digits = rules.config.programs.get(usize::from(program.0))?.code_digits;
    let key = key_of(program);
    let card = track.pan();
    let pan = card.danger_clear_digits();
    let question = match question {
        Question::RotatingCode { psn, bundle, atc, stripe: Some(constant) } => {
            let (cvc3, derivation) = cvc3_of(&rules.config, program)?;
            hsm::Question::RotatingCvc3(RotatingCvc3 {
                counters: key,
                key: cvc3,
                card: Card { pan: Pan::parse(pan)?, psn: Psn::new(psn)? },
                derivation,
                ivcvc3: Ivcvc3(constant),
                account: account(pan, psn),
                bundle,
                index: atc.into(),
                un: UnpredictableNumber::parse(data.un.as_bytes())?,
                presented,
                length: CodeLength::new(digits)?,
            })
        }
        Question::RotatingCode { psn, bundle, atc, stripe: None } => {
            hsm::Question::RotatingCode(RotatingCode {
                key,
                account: account(pan, psn),
                bundle,
                index: atc.into(),
                un: UnpredictableNumber::parse(data.un.as_bytes())?,
                presented,
                length: CodeLength::new(digits)?,
            })
        }
        Question::CardCode { psn, stripe, atcs } => {
            let (key, derivation) = cvc3_of(&rules.config, program)?;
            hsm::Question::Cvc3(Cvc3 {
                key,
                card: Card { pan: Pan::parse(pan)?, psn: Psn::new(psn)? },
                derivation,
                ivcvc3: Ivcvc3(stripe),
                un: UnpredictableNumber::parse(data.un.as_bytes())?,
                atcs: Candidates::new(atcs.as_slice())?,
                presented,
                length: CodeLength::new(digits)?,
            })
        }
        Question::Response { challenge, tag: Some(tag) } => {
            hsm::Question::EnrolledResponse(EnrolledResponse {
                key,
                pan: Pan::parse(pan)?,
                challenge: Challenge::parse(&challenge)?,
                tag: match tag {
                    Tag::Aes(tag) => ResponseTag::Aes(tag),
                    Tag::Hmac(tag) => ResponseTag::Hmac(tag),
                },
                presented,
                length: CodeLength::new(digits)?,
            })
        }
        Question::Response { challenge, tag: None } => hsm::Question::Response(Response {
            key,
            pan: Pan::parse(pan)?,
            challenge: Challenge::parse(&challenge)?,
            presented,
            length: CodeLength::new(digits)?,
        }),
    };
    Some((question, card))
}

/// The account as its counters know it: the rightmost sixteen digits of number and sequence number, packed.
pub(crate) fn account(pan: &[u8], psn: u8) -> [u8; 8] {
    let psn = [psn / 10 % 10, psn % 10];
    let mut digits = pan.iter().copied().chain(psn).rev().map(|digit| digit & 0x0F);
    let mut packed = [0; 8];
    for byte in packed.iter_mut().rev() {
        let (low, high) = (digits.next().unwrap_or(0), digits.next().unwrap_or(0));
        *byte = high << 4 | low;
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_the_end_of_number_and_sequence_number() {
        assert_eq!(account(b"9999100000000010", 1), 0x9910_0000_0000_1001_u64.to_be_bytes());
        assert_eq!(account(b"12345678", 23), 0x0000_0012_3456_7823_u64.to_be_bytes());
    }
}
