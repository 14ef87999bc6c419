//! Answers questions: a token, the keys loaded from it, and one way in.

use crate::card::cvv::CvvKey;
use crate::card::{cvc3, cvv, dynamic_cvv};
use crate::challenge;
use crate::error::{Cause, HsmError};
use crate::question::{Answer, KeyId, Question, RotatingCode, StaticCode};
use crate::rotating;
use crate::token::{KeyError, KeyFlaw, KeySpec, Master, Stream, Token, Usage};

/// A token with the keys that its questions name.
///
/// Master keys never leave the token, and neither does any key derived from them, but for the single-use
/// counters of keys loaded by [`Verifier::load_exposed_counters`]: only ciphertext of one block reaches this
/// process, and from it one code, which is wiped after the comparison.
pub struct Verifier {
    // Before the token: streams end while the session that owns their keys is open.
    keys: Vec<Key>,
    token: Token,
}

enum Key {
    CardVerification(CvvKey),
    Master(Master),
    /// Tells private counters: exposure `session`.
    ExposedCounters(Stream),
}

impl Verifier {
    /// A verifier without keys.
    pub fn new(token: Token) -> Verifier {
        Verifier { keys: Vec::new(), token }
    }

    /// What the token can and cannot do, and who it is.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Loads a card verification key, and the key that is its left half twice, as made in one ceremony.
    pub fn load_card_verification(&mut self, whole: &KeySpec, left: &KeySpec) -> Result<KeyId, KeyError> {
        let whole = self.stream(whole, Usage::CardVerification)?;
        let left = self.stream(left, Usage::CardVerificationLeft)?;
        Ok(self.keep(Key::CardVerification(CvvKey { whole, left })))
    }

    /// Loads a key that others are derived from.
    pub fn load_master(&mut self, spec: &KeySpec, usage: MasterUsage) -> Result<KeyId, KeyError> {
        let master = self.token.load(spec, usage.into())?;
        Ok(self.keep(Key::Master(master)))
    }

    /// Loads a master key of private counters that may be held in memory for the time of one block each.
    pub fn load_exposed_counters(&mut self, spec: &KeySpec) -> Result<KeyId, KeyError> {
        let counters = self.stream(spec, Usage::ExposedCounterMaster)?;
        Ok(self.keep(Key::ExposedCounters(counters)))
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
            Some(Key::ExposedCounters(counters)) => counters.is_copy(),
            None => false,
        }
    }

    /// Answers each question, in their order.
    ///
    /// Static codes under one key, and rotating codes under one exposed master, are put to the token together.
    /// A code of a wrong length is answered without it.
    pub fn answer(&mut self, questions: &[Question]) -> Vec<Result<Answer, HsmError>> {
        let mut answers = vec![Ok(Answer::WrongLength); questions.len()];
        self.answer_some(questions, |_| true, &mut answers);
        answers
    }

    /// Answers the questions at the wanted places, and leaves the other answers as they are.
    pub(crate) fn answer_some(
        &mut self,
        questions: &[Question],
        is_wanted: impl Fn(usize) -> bool,
        answers: &mut [Result<Answer, HsmError>],
    ) {
        let asked = || {
            let numbered = questions.iter().enumerate();
            numbered.filter(|(place, question)| is_wanted(*place) && question.has_its_digits())
        };
        for (place, question) in asked() {
            if let Some(outcome) = self.one(question) {
                answers[place] = outcome.map_err(|cause| HsmError::new(question.kind(), cause));
            }
        }
        let mut batched: Vec<(usize, KeyId, &Question)> = asked()
            .filter_map(|(place, question)| Some((place, self.batch_of(question)?, question)))
            .collect();
        // Stable, so that one key's questions stay in their order.
        batched.sort_by_key(|(_, key, _)| key.0);
        for batch in batched.chunk_by(|one, other| one.1 == other.1) {
            for part in batch.chunks(MAX_BATCH) {
                self.batch(part, answers);
            }
        }
        self.doubt(asked(), answers);
    }

    /// A wrong code counts against a card, so it is not believed before the token has given a known answer again: a
    /// module that gives garbage makes no code wrong. Each key's way is tried once for all of a call's questions.
    fn doubt<'q>(
        &mut self,
        asked: impl Iterator<Item = (usize, &'q Question)>,
        answers: &mut [Result<Answer, HsmError>],
    ) {
        let mut known: Vec<(KeyId, Result<(), Cause>)> = Vec::new();
        for (place, question) in asked {
            if answers[place] != Ok(Answer::Wrong) {
                continue;
            }
            let key = question.key();
            let outcome = match known.iter().find(|(of, _)| *of == key) {
                Some((_, outcome)) => *outcome,
                None => {
                    let outcome = self.still_right(key);
                    known.push((key, outcome));
                    outcome
                }
            };
            if let Err(cause) = outcome {
                answers[place] = Err(HsmError::new(question.kind(), cause));
            }
        }
    }

    /// Whether the token still gives known answers the way it answers under this key.
    fn still_right(&mut self, KeyId(key): KeyId) -> Result<(), Cause> {
        match self.keys.get_mut(usize::from(key)) {
            Some(Key::CardVerification(key)) => key.whole.still_right().and_then(|()| key.left.still_right()),
            Some(Key::Master(master)) => self.token.still_right(master.usage),
            Some(Key::ExposedCounters(counters)) => counters.still_right(),
            None => Err(Cause::NotThatKey),
        }
    }

    /// Asks for the known answers under every key: the token is there, and right.
    pub(crate) fn probe(&mut self) -> Result<(), Cause> {
        (0..self.keys.len() as u16).try_for_each(|key| self.still_right(KeyId(key)))
    }

    /// Shuts the module down, for every token of it in this process.
    pub(crate) fn finalize(self) -> Result<(), Cause> {
        let Verifier { keys, token } = self;
        drop(keys);
        Ok(token.finalize()?)
    }

    /// How many keys the module was asked to derive.
    pub fn derivations(&self) -> u64 {
        self.token.derivations()
    }

    /// Answers a question that is put by itself, and leaves the others.
    fn one(&self, question: &Question) -> Option<Result<Answer, Cause>> {
        let token = &self.token;
        let master = |key, usage| self.master(key, usage);
        Some(match question {
            Question::StaticCode(_) => return None,
            Question::RotatingCode(asked) if self.is_exposed(asked.key) => return None,
            Question::EnrolCvc3(asked) => {
                master(asked.key, Usage::Cvc3Master).and_then(|key| cvc3::enrol(token, key, asked))
            }
            Question::Cvc3(asked) => {
                master(asked.key, Usage::Cvc3Master).and_then(|key| cvc3::check(token, key, asked))
            }
            Question::DynamicCvv(asked) => master(asked.key, Usage::DynamicCvvMaster)
                .and_then(|key| dynamic_cvv::check(token, key, asked)),
            Question::RotatingCode(asked) => {
                master(asked.key, Usage::CounterMaster).and_then(|key| rotating::check(token, key, asked))
            }
            Question::Response(asked) => {
                master(asked.key, Usage::ResponseMaster).and_then(|key| challenge::check(token, key, asked))
            }
        })
    }

    /// The key under which a question is put together with others, if it is.
    fn batch_of(&self, question: &Question) -> Option<KeyId> {
        match question {
            Question::StaticCode(asked) => Some(asked.key),
            Question::RotatingCode(asked) if self.is_exposed(asked.key) => Some(asked.key),
            _ => None,
        }
    }

    fn is_exposed(&self, KeyId(key): KeyId) -> bool {
        matches!(self.keys.get(usize::from(key)), Some(Key::ExposedCounters(_)))
    }

    /// Questions of one key, all of them of the kind that it answers or none.
    fn batch(&mut self, asked: &[(usize, KeyId, &Question)], answers: &mut [Result<Answer, HsmError>]) {
        let codes: Vec<_> = asked.iter().filter_map(|(_, _, question)| static_code(question)).collect();
        let rotating: Vec<_> = asked.iter().filter_map(|(_, _, question)| rotating_code(question)).collect();
        let outcome = match self.keys.get_mut(usize::from(asked[0].1.0)) {
            Some(Key::CardVerification(key)) if codes.len() == asked.len() => cvv::check(key, &codes),
            Some(Key::ExposedCounters(counters)) if rotating.len() == asked.len() => {
                rotating::check_exposed(counters, &rotating)
            }
            _ => Err(Cause::NotThatKey),
        };
        for (at, (place, _, question)) in asked.iter().enumerate() {
            answers[*place] = match &outcome {
                Ok(made) => Ok(made[at]),
                Err(cause) => Err(HsmError::new(question.kind(), *cause)),
            };
        }
    }

    fn master(&self, KeyId(key): KeyId, usage: Usage) -> Result<&Master, Cause> {
        match self.keys.get(usize::from(key)) {
            Some(Key::Master(master)) if master.usage == usage => Ok(master),
            _ => Err(Cause::NotThatKey),
        }
    }
}

fn static_code(question: &Question) -> Option<&StaticCode> {
    match question {
        Question::StaticCode(code) => Some(code),
        _ => None,
    }
}

fn rotating_code(question: &Question) -> Option<&RotatingCode> {
    match question {
        Question::RotatingCode(code) => Some(code),
        _ => None,
    }
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
}

impl From<MasterUsage> for Usage {
    fn from(usage: MasterUsage) -> Usage {
        match usage {
            MasterUsage::Cvc3 => Usage::Cvc3Master,
            MasterUsage::DynamicCvv => Usage::DynamicCvvMaster,
            MasterUsage::Counter => Usage::CounterMaster,
            MasterUsage::Response => Usage::ResponseMaster,
        }
    }
}

/// Most codes put to the token in one call: more would only make the others wait.
const MAX_BATCH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_can_be_given_to_another_thread() {
        fn needs_send<T: Send>() {}
        needs_send::<Verifier>();
        needs_send::<Question>();
    }
}
