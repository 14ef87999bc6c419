//! The authorizer's question to the token's: the code is read from the raw message here, a PKCS#11 token is asked once a
//! turn, and what comes back is right, wrong, or unknown.
//!
//! Usually the token is in processes of its own ([`crate::token`]), and its answers come later. Placed inline it works on
//! the shard's own thread: one that is slow makes everything on that shard slow, and one that crashes ends the switch.

use authorizer::event::Event;
use authorizer::programs::{ProgramId, Question};
use authorizer::verify::{Judgement, ProofId};
use codecs::iso8583::Message;
use hsm::token::{CheckValue, KeySpec};
use hsm::{
    Answer, Challenge, Code, CodeLength, Device, HsmError, KeyId, KeyRequest, MasterUsage, Pan, Plan,
    Purpose, Response, RotatingCode, Secret, UnpredictableNumber,
};

use crate::config::{Config, Hsm, Program, ProgramKind};
use crate::rules::Rules;
use crate::setup::Setup;
use crate::token::{Crew, Figures};

/// How long a token that was lost is left alone.
const REOPEN_US: u64 = 1_000_000;

/// Keys of cards that a token keeps once they were derived; about eight KiB each in SoftHSM2.
const CARD_KEYS_MAX: u32 = 4_096;

/// Which token, and which keys in which order: one for each program.
pub(crate) fn plan(config: &Config, hsm: &Hsm, pin: Secret) -> Plan {
    let key = |program: &Program| KeyRequest {
        spec: KeySpec {
            label: program.key.clone(),
            check_value: CheckValue(program.check_value),
            danger_modifiable: program.modifiable_key,
        },
        purpose: match program.kind {
            ProgramKind::RotatingAtc { is_exposed: true } => Purpose::ExposedCounters,
            ProgramKind::RotatingAtc { is_exposed: false } => Purpose::Master(MasterUsage::Counter),
            ProgramKind::Challenge { .. } => Purpose::Master(MasterUsage::Response),
        },
    };
    let keys = config.programs.iter().map(key).collect();
    Plan { module: hsm.module.clone(), token: hsm.token.clone(), pin, keys, card_keys: CARD_KEYS_MAX }
}

/// The key of a program in [`plan`].
fn key_of(program: ProgramId) -> KeyId {
    KeyId::of_place(program.0)
}

/// Only a right answer is right; only a wrong code is wrong.
pub(crate) fn judgement(answer: &Result<Answer, HsmError>) -> Judgement {
    match answer {
        Ok(answer) if answer.is_right() => Judgement::Right,
        Ok(Answer::Wrong | Answer::WrongLength) => Judgement::Wrong,
        Ok(_) | Err(_) => Judgement::Unknown,
    }
}

/// One shard's questions to the token.
pub(crate) enum Crypto {
    /// No program needs one.
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
        let Some((question, card)) = translate(question, program, message, rules, setup) else {
            return false;
        };
        match self {
            Self::Nothing => false,
            Self::Inline(inline) => inline.ask(proof, question),
            Self::Workers(crew) => crew.ask(card, proof, &question, setup.now_us()),
        }
    }

    /// Puts everything noted to the token at once.
    pub(crate) fn submit(&mut self, now_us: u64, judged: impl Fn(Event)) {
        let judged = |proof, judgement| judged(Event::Judged(proof, judgement));
        match self {
            Self::Nothing => {}
            Self::Inline(inline) => inline.submit(now_us, &judged),
            Self::Workers(crew) => crew.submit(now_us, &judged),
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
    proofs: Vec<ProofId>,
    questions: Vec<hsm::Question>,
    probed_us: u64,
}

impl Inline {
    /// With an open token.
    pub(crate) fn new(device: Device) -> Self {
        Self { device, proofs: Vec::new(), questions: Vec::new(), probed_us: 0 }
    }

    fn ask(&mut self, proof: ProofId, question: hsm::Question) -> bool {
        self.proofs.push(proof);
        self.questions.push(question);
        true
    }

    fn submit(&mut self, now_us: u64, judged: &impl Fn(ProofId, Judgement)) {
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
        for (proof, answer) in self.proofs.drain(..).zip(self.device.answer(&self.questions)) {
            judged(proof, judgement(&answer));
        }
        self.questions.clear();
        if let Some(error) = self.device.fault().filter(|_| was_there) {
            self.probed_us = now_us;
            tracing::error!(error, "the token is lost: tried again each second");
        }
    }
}

/// The question and the hash of its card. The account is named by the number that stands in the track.
fn translate(
    question: Question,
    program: ProgramId,
    message: &Message<'_>,
    rules: &Rules,
    setup: &Setup,
) -> Option<(hsm::Question, u64)> {
    let track = message.track2().ok()??;
    let data = rules.programs.read(program, &track)?;
    let presented = Code::parse(data.code.as_bytes())?;
    let digits = rules.config.programs.get(usize::from(program.0))?.code_digits;
    let length = CodeLength::new(digits)?;
    let key = key_of(program);
    let pan = track.pan();
    let card = setup.homes.account(&pan).0;
    let pan = pan.danger_clear_digits();
    let question = match question {
        Question::RotatingCode { psn, bundle, atc } => hsm::Question::RotatingCode(RotatingCode {
            key,
            account: account(pan, psn),
            bundle,
            index: atc.into(),
            un: UnpredictableNumber::parse(data.un.as_bytes())?,
            presented,
            length,
        }),
        Question::Response { challenge } => hsm::Question::Response(Response {
            key,
            pan: Pan::parse(pan)?,
            challenge: Challenge::parse(&challenge)?,
            presented,
            length,
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
