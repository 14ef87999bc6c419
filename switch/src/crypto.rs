//! The authorizer's question to the token's: the code is read from the raw message here, checked by a
//! PKCS#11 token in one batch per turn, and what comes back is right, wrong, or unknown.
//!
//! The token works on the shard's own thread. One that is slow makes everything on that shard slow: worker
//! processes are the cure, and not there yet. A token that fails is opened again, at most once a second;
//! meanwhile nothing is known, so whatever needs a proof is declined.

use authorizer::event::Event;
use authorizer::programs::{ProgramId, Question};
use authorizer::verify::{Judgement, ProofId};
use codecs::iso8583::Message;
use hsm::token::{CheckValue, KeySpec, Token};
use hsm::{
    Answer, Challenge, Code, CodeLength, KeyId, MasterUsage, Pan, Response, RotatingCode,
    UnpredictableNumber, Verifier,
};

use crate::config::{Config, Hsm, Program, ProgramKind};
use crate::programs::Programs;

/// How long a token that failed is left alone.
const REOPEN_US: u64 = 1_000_000;

/// A token that is logged in to, with the keys of all programs.
pub(crate) struct Opened {
    verifier: Verifier,
    /// By program.
    keys: Vec<KeyId>,
}

/// Opens the token and loads what the programs need.
pub(crate) fn open(config: &Config, hsm: &Hsm) -> Result<Opened, String> {
    let token = Token::open(&hsm.module, &hsm.token, &crate::keys::first_line(&hsm.pin_file)?)
        .map_err(|error| error.to_string())?;
    let mut verifier = Verifier::new(token);
    let mut load = |program: &Program| {
        let spec = KeySpec {
            label: program.key.clone(),
            check_value: CheckValue(program.check_value),
            danger_modifiable: program.modifiable_key,
        };
        let loaded = match program.kind {
            ProgramKind::RotatingAtc { is_exposed: true } => verifier.load_exposed_counters(&spec),
            ProgramKind::RotatingAtc { is_exposed: false } => {
                verifier.load_master(&spec, MasterUsage::Counter)
            }
            ProgramKind::Challenge { .. } => verifier.load_master(&spec, MasterUsage::Response),
        };
        loaded.map_err(|error| format!("program {:?}: {error}", program.name))
    };
    let keys = config.programs.iter().map(&mut load).collect::<Result<_, _>>()?;
    Ok(Opened { verifier, keys })
}

/// One shard's questions to the token.
pub(crate) struct Crypto {
    opened: Option<Opened>,
    asked: Vec<(ProofId, hsm::Question)>,
    failed_us: u64,
}

impl Crypto {
    /// With a token, or with none where no program needs one.
    pub(crate) fn new(opened: Option<Opened>) -> Self {
        Self { opened, asked: Vec::new(), failed_us: 0 }
    }

    /// Whether the token answers, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        self.opened.is_some()
    }

    /// Notes what the token is to be asked at the end of the turn. Nothing where it cannot be asked.
    pub(crate) fn ask(
        &mut self,
        proof: ProofId,
        (program, question): (ProgramId, Question),
        message: Option<&Message<'_>>,
        programs: &Programs,
        config: &Config,
    ) -> Option<()> {
        let key = *self.opened.as_ref()?.keys.get(usize::from(program.0))?;
        let digits = config.programs.get(usize::from(program.0))?.code_digits;
        let question = translate(question, key, digits, program, message?, programs)?;
        self.asked.push((proof, question));
        Some(())
    }

    /// Puts everything noted to the token at once.
    pub(crate) fn submit(&mut self, config: &Config, now_us: u64, judged: impl Fn(Event)) {
        if self.opened.is_none() && now_us.saturating_sub(self.failed_us) >= REOPEN_US {
            self.reopen(config, now_us);
        }
        if self.asked.is_empty() {
            return;
        }
        let (proofs, questions): (Vec<_>, Vec<_>) = self.asked.drain(..).unzip();
        let Some(opened) = &mut self.opened else {
            proofs.into_iter().for_each(|proof| judged(Event::Judged(proof, Judgement::Unknown)));
            return;
        };
        let mut failed = None;
        for (proof, answer) in proofs.into_iter().zip(opened.verifier.answer(&questions)) {
            let judgement = match answer {
                Ok(answer) if answer.is_right() => Judgement::Right,
                Ok(Answer::Wrong | Answer::WrongLength) => Judgement::Wrong,
                Ok(_) => Judgement::Unknown,
                Err(error) => {
                    failed = Some(error);
                    Judgement::Unknown
                }
            };
            judged(Event::Judged(proof, judgement));
        }
        if let Some(error) = failed {
            tracing::error!(%error, "the token failed; it is opened again");
            self.opened = None;
            self.failed_us = now_us;
        }
    }

    fn reopen(&mut self, config: &Config, now_us: u64) {
        let Some(hsm) = &config.hsm else { return };
        self.failed_us = now_us;
        match open(config, hsm) {
            Ok(opened) => {
                tracing::info!("the token answers again");
                self.opened = Some(opened);
            }
            Err(error) => tracing::debug!(error, "the token cannot be opened"),
        }
    }
}

fn translate(
    question: Question,
    key: KeyId,
    digits: usize,
    program: ProgramId,
    message: &Message<'_>,
    programs: &Programs,
) -> Option<hsm::Question> {
    let track = message.track2().ok()??;
    let data = programs.read(program, &track)?;
    let presented = Code::parse(data.code.as_bytes())?;
    let length = CodeLength::new(digits)?;
    let pan = track.pan();
    let pan = pan.danger_clear_digits();
    Some(match question {
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
    })
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
