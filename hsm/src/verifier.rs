//! Answers questions: a token, the keys loaded from it, and one way in.

mod keys;

use zeroize::Zeroizing;

use crate::card::{cryptogram, cvc3, cvv, dynamic_cvv};
use crate::error::{Cause, HsmError};
use crate::pin::{self, FILL_BYTES};
use crate::question::{Answer, KeyId, Kind, Outline, PinFormat, Question};
use crate::room::Room;
use crate::token::{CardKeys, CardSource, Token, Usage};
use crate::{challenge, enrolled, mac, rotating};
use keys::{Key, cards, mac_key, master};

pub use keys::{MacKeySpec, MasterUsage};

/// What is asked by a question of this kind. A batch has no other: one that had would be told too little, which is an error.
macro_rules! of {
    ($kind:path) => {
        |question| match question {
            $kind(asked) => Some(asked),
            _ => None,
        }
    };
}

/// A token with the keys that its questions name.
///
/// Master keys never leave the token, and neither does any key derived from them, unless a master was loaded with an
/// [`Exposure`](crate::token::Exposure) that says so: only ciphertext of one block reaches this process, and from it one code, which is wiped
/// after the comparison.
pub struct Verifier {
    // Before the token: streams end while the session that owns their keys is open.
    keys: Vec<Key>,
    kept: CardKeys,
    token: Token,
    room: Room,
    /// The questions of a call that are put together with others: used again.
    batched: Vec<Batched>,
}

impl Verifier {
    /// A verifier without keys, which derives the keys of cards anew for each answer.
    pub fn new(token: Token) -> Verifier {
        Verifier { keys: Vec::new(), kept: CardKeys::none(), token, room: Room::new(), batched: Vec::new() }
    }

    /// Keeps up to so many keys of cards in the token for the next time. SoftHSM2 takes about eight kilobytes for each.
    ///
    /// # Errors
    /// A token without random numbers.
    pub fn keep_card_keys(&mut self, at_most: usize) -> Result<(), Cause> {
        self.kept = CardKeys::at_most(&self.token, at_most)?;
        Ok(())
    }

    /// How many keys of cards are kept now.
    pub fn card_keys(&self) -> usize {
        self.kept.len()
    }

    /// What the token can and cannot do, and who it is.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Answers each question, in their order.
    ///
    /// Questions of one kind under one key that encrypts or decrypts blocks are put to the token together: static
    /// codes, rotating codes under an exposed master, enrolled responses, PIN blocks.
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
        let mut batched = std::mem::take(&mut self.batched);
        for (place, question) in questions.iter().enumerate() {
            let outline = question.outline();
            if !is_wanted(place) || !outline.has_its_digits {
                continue;
            }
            if self.is_batched(&outline) {
                batched.push(Batched { group: outline.group(), place });
            } else {
                answers[place] = self.one(question).map_err(|cause| HsmError::new(outline.kind, cause));
            }
        }
        // Stable, so that one key's questions stay in their order.
        batched.sort_by_key(|asked| asked.group);
        for batch in batched.chunk_by(|one, other| one.group == other.group) {
            for part in batch.chunks(MAX_BATCH) {
                self.batch(part, questions, answers);
            }
        }
        batched.clear();
        self.batched = batched;
        self.doubt(questions, is_wanted, answers);
    }

    /// A wrong code counts against a card, so it is not believed before the token has given a known answer again: a
    /// module that gives garbage makes no code wrong. Each key's way is tried once for all of a call's questions.
    fn doubt(
        &mut self,
        questions: &[Question],
        is_wanted: impl Fn(usize) -> bool,
        answers: &mut [Result<Answer, HsmError>],
    ) {
        if !answers.iter().any(|answer| matches!(answer, Ok(Answer::Wrong))) {
            return;
        }
        let mut known: Vec<((KeyId, KeyId), Result<(), Cause>)> = Vec::new();
        for (place, (question, answer)) in questions.iter().zip(answers).enumerate() {
            if !matches!(answer, Ok(Answer::Wrong)) || !is_wanted(place) {
                continue;
            }
            let Outline { kind, keys, .. } = question.outline();
            let outcome = match known.iter().find(|(of, _)| *of == keys) {
                Some((_, outcome)) => *outcome,
                None => {
                    let first = self.still_right(keys.0);
                    let outcome =
                        if keys.0 == keys.1 { first } else { first.and_then(|()| self.still_right(keys.1)) };
                    known.push((keys, outcome));
                    outcome
                }
            };
            if let Err(cause) = outcome {
                *answer = Err(HsmError::new(kind, cause));
            }
        }
    }

    /// Asks for the known answers under every key: the token is there, and right.
    pub(crate) fn probe(&mut self) -> Result<(), Cause> {
        (0..self.keys.len() as u16).try_for_each(|key| self.still_right(KeyId(key)))
    }

    /// How many keys the module was asked to derive.
    pub fn derivations(&self) -> u64 {
        self.token.derivations()
    }

    /// Answers a question that is put by itself.
    fn one(&mut self, question: &Question) -> Result<Answer, Cause> {
        let Verifier { keys, kept, token, .. } = self;
        match question {
            Question::EnrolCvc3(asked) => {
                cvc3::enrol(&mut cards(keys, token, kept, (asked.key, Usage::Cvc3Master))?, asked)
            }
            Question::Cvc3(asked) => {
                cvc3::check(&mut cards(keys, token, kept, (asked.key, Usage::Cvc3Master))?, asked)
            }
            Question::DynamicCvv(asked) => {
                let wanted = (asked.key, Usage::DynamicCvvMaster);
                dynamic_cvv::check(&mut cards(keys, token, kept, wanted)?, asked)
            }
            Question::RotatingCode(asked) => {
                rotating::check(token, master(keys, asked.key, Usage::CounterMaster)?, asked)
            }
            Question::Response(asked) => {
                challenge::check(&mut cards(keys, token, kept, (asked.key, Usage::ResponseMaster))?, asked)
            }
            Question::EnrolResponse(asked) => {
                let key = master(keys, asked.key, Usage::ResponseHmac)?;
                enrolled::answer_by_hmac(token.key(key), asked)
            }
            Question::EnrolledResponse(asked) => {
                let key = master(keys, asked.key, Usage::ResponseHmac)?;
                enrolled::answer_by_hmac(token.key(key), asked)
            }
            Question::Cryptogram(asked) => {
                let is_aes = asked.version().is_aes();
                let usage = if is_aes { Usage::AesCryptogramMaster } else { Usage::CryptogramMaster };
                cryptogram::check(&mut cards(keys, token, kept, (asked.key(), usage))?, asked)
            }
            Question::MakeMac(asked) => mac::make(token, mac_key(keys, asked.key)?, asked),
            Question::CheckMac(asked) => mac::check(token, mac_key(keys, asked.key)?, asked),
            Question::StaticCode(_) | Question::RotatingCvc3(_) | Question::TranslatePin(_) => {
                Err(Cause::NotThatKey)
            }
        }
    }

    /// Whether a question is put together with others of its kind and keys.
    fn is_batched(&self, asked: &Outline) -> bool {
        let key = || self.keys.get(usize::from(asked.keys.0.0));
        match asked.kind {
            Kind::StaticCode | Kind::RotatingCvc3 | Kind::TranslatePin => true,
            Kind::RotatingCode => matches!(key(), Some(Key::ExposedCounters(_))),
            Kind::EnrolResponse | Kind::EnrolledResponse => matches!(key(), Some(Key::Pepper(_))),
            _ => false,
        }
    }

    fn batch(&mut self, batch: &[Batched], questions: &[Question], answers: &mut [Result<Answer, HsmError>]) {
        let mut places = batch.iter().map(|asked| asked.place);
        let tell = |answer| {
            if let Some(place) = places.next() {
                answers[place] = Ok(answer);
            }
        };
        let outcome = self.together(batch, questions, tell);
        // Each must have been told: what was not is nobody's wrong code.
        let outcome = outcome.and_then(|()| places.next().map_or(Ok(()), |_| Err(Cause::WrongLength)));
        if let Err(cause) = outcome {
            for asked in batch {
                answers[asked.place] = Err(HsmError::new(questions[asked.place].kind(), cause));
            }
        }
    }

    /// Questions of one kind and one key, or pair of keys. What comes of each is told in their order.
    fn together(
        &mut self,
        batch: &[Batched],
        questions: &[Question],
        tell: impl FnMut(Answer),
    ) -> Result<(), Cause> {
        let Verifier { keys, kept, token, room, .. } = self;
        let Some(first) = batch.first() else { return Ok(()) };
        let first = &questions[first.place];
        let (KeyId(one), KeyId(other)) = first.outline().keys;
        let questions = batch.iter().map(|asked| &questions[asked.place]);
        if one != other {
            let pair = keys.get_disjoint_mut([usize::from(one), usize::from(other)]);
            return match (first, pair.map_err(|_| Cause::NotThatKey)?) {
                (Question::RotatingCvc3(_), [Key::ExposedCounters(counters), Key::Cards(master)])
                    if master.usage() == Usage::Cvc3Master =>
                {
                    let asked = questions.filter_map(of!(Question::RotatingCvc3));
                    let mut cards = CardSource::new(token, kept, master);
                    rotating::check_cvc3((counters, &mut cards), room, asked, tell)
                }
                (Question::TranslatePin(_), [Key::PinIn(from), Key::PinOut(to)]) => {
                    let asked = questions.filter_map(of!(Question::TranslatePin));
                    let mut random = Zeroizing::new(vec![0; batch.len() * FILL_BYTES]);
                    if asked.clone().any(|asked| asked.to_format != PinFormat::Iso0) {
                        token.random(&mut random)?;
                    }
                    pin::translate(from, to, room, (asked, &random), tell)
                }
                _ => Err(Cause::NotThatKey),
            };
        }
        match (first, keys.get_mut(usize::from(one))) {
            (Question::StaticCode(_), Some(Key::CardVerification(key))) => {
                cvv::check(key, room, questions.filter_map(of!(Question::StaticCode)), tell)
            }
            (Question::RotatingCode(_), Some(Key::ExposedCounters(counters))) => rotating::check_exposed(
                counters,
                room,
                questions.filter_map(of!(Question::RotatingCode)),
                tell,
            ),
            (Question::EnrolResponse(_), Some(Key::Pepper(pepper))) => {
                pepper.answer(room, questions.filter_map(of!(Question::EnrolResponse)), tell)
            }
            (Question::EnrolledResponse(_), Some(Key::Pepper(pepper))) => {
                pepper.answer(room, questions.filter_map(of!(Question::EnrolledResponse)), tell)
            }
            _ => Err(Cause::NotThatKey),
        }
    }
}

/// A question that is put together with others of its kind and keys.
#[derive(Clone, Copy)]
struct Batched {
    group: u64,
    place: usize,
}

/// Most codes put to the token in one call: more would only make the others wait.
pub(crate) const MAX_BATCH: usize = 256;

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
