//! A shard's workers: who is asked, what waits, what is given up.
//!
//! The questions of a turn go to each worker in one write; its answers come as events. Whatever a worker says is held
//! against what it was asked: an answer to a question that was given up is counted and dropped, and one to a question
//! that was never put ends the worker. Buffers are used again, so nothing is allocated for a question after warm-up.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use hsm::wire::{self, Begun, Broken, Word};
use hsm::{Answer, HsmError, Question, Retry};
use tokio::sync::mpsc;
use zeroize::Zeroize;

use super::breaker::Breaker;
use super::{News, Seat};
use crate::config::Hsm;
use crate::crypto::{Said, Waits};

/// Questions that may wait for one worker: what it answers in a deadline, and little enough for its socket.
const WAITING_MAX: usize = 1_024;
/// Of these, ones after which messages whose codes can wait do: the others are for cards.
const ROOM: usize = WAITING_MAX / 2;
/// A worker that owes something and says nothing for so long hangs, unless the deadline is longer.
const SILENCE_US: u64 = 1_000_000;
/// Characters of what a worker says that go into a log line.
const TEXT_MAX: usize = 200;

/// One shard's workers.
pub(crate) struct Crew {
    shard: u16,
    places: Vec<Place>,
    deadline_us: u64,
    silence_us: u64,
    recycle_after: u64,
    news: mpsc::Sender<News>,
}

/// Where a worker sits. What is counted here outlives the worker.
#[derive(Default)]
struct Place {
    worker: Option<Worker>,
    /// The one that sat here before, until it has answered what it was asked.
    leaving: Option<Worker>,
    breaker: Breaker,
    late: u64,
    given_up: u64,
    seated: u64,
    lost: u64,
    asked: u64,
    batches: u64,
    derivations: u64,
}

/// How a place stands, to be told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Whether its worker is asked.
    pub(crate) is_up: bool,
    /// Whether there is a worker that is not asked.
    pub(crate) is_open: bool,
    /// Workers that sat here before the present one.
    pub(crate) restarts: u64,
    /// Of these, ones that hung, ended or said what cannot be.
    pub(crate) lost: u64,
    /// Questions that were put.
    pub(crate) asked: u64,
    /// Turns in which there were any.
    pub(crate) batches: u64,
    /// Questions that wait.
    pub(crate) waiting: u64,
    /// Answers to questions that were given up.
    pub(crate) late: u64,
    /// Questions that were not answered in time, or whose worker ended.
    pub(crate) given_up: u64,
    /// Keys that the present worker has derived.
    pub(crate) derivations: u64,
}

impl Crew {
    /// Empty places; the supervisor fills them.
    pub(crate) fn new(shard: u16, hsm: &Hsm, news: mpsc::Sender<News>) -> Self {
        let mut crew = Self {
            shard,
            places: (0..hsm.workers).map(|_| Place::default()).collect(),
            deadline_us: 0,
            silence_us: SILENCE_US,
            recycle_after: hsm.recycle_after,
            news,
        };
        crew.set_deadline(hsm.deadline);
        crew
    }

    /// How long a question may wait, from now on.
    pub(crate) fn set_deadline(&mut self, deadline: Duration) {
        self.deadline_us = deadline.as_micros() as u64;
        self.silence_us = self.deadline_us.max(SILENCE_US);
    }

    /// Whether every place has a worker that is asked.
    pub(crate) fn is_up(&self) -> bool {
        self.places.iter().all(|place| place.worker.is_some() && place.breaker.is_closed())
    }

    /// How each place stands.
    pub(crate) fn figures(&self) -> Vec<Figures> {
        self.places.iter().map(Place::figures).collect()
    }

    /// Seats a worker. One that sits there answers what it was asked, and leaves.
    pub(crate) fn seat(
        &mut self,
        place: u16,
        number: u64,
        stream: UnixStream,
        told: &impl Fn(Waits, Said<'_>),
    ) {
        let seat = Seat { shard: self.shard, place };
        let Some(place) = self.places.get_mut(usize::from(place)) else { return };
        place.seated += 1;
        place.derivations = 0;
        if place.breaker.reset() {
            tracing::info!(
                shard = seat.shard,
                place = seat.place,
                "the token is asked again: by another worker"
            );
        }
        let before = place.worker.replace(Worker::new(number, stream));
        if let Some(mut gone) = std::mem::replace(&mut place.leaving, before) {
            place.given_up += gone.give_all_up(told);
            let _ = self.news.try_send(News::Left(gone.number));
        }
    }

    /// Notes a question for the card of this hash. Gives back who waits where it cannot be put.
    pub(crate) fn ask(
        &mut self,
        card: u64,
        waits: Waits,
        question: &Question,
        now_us: u64,
    ) -> Result<(), Waits> {
        let at = (card % self.places.len() as u64) as usize;
        let Some(place) = self.places.get_mut(at).filter(|place| place.breaker.is_closed()) else {
            return Err(waits);
        };
        let Some(worker) = place.worker.as_mut() else { return Err(waits) };
        worker.ask(waits, question, now_us)?;
        place.asked += 1;
        Ok(())
    }

    /// Whether a question that can wait is better put now. Where nobody could answer it, it is.
    pub(crate) fn has_room(&self, card: u64) -> bool {
        let at = (card % self.places.len() as u64) as usize;
        let worker = self.places.get(at).and_then(|place| place.worker.as_ref());
        worker.is_none_or(|worker| worker.waiting.len() < ROOM)
    }

    /// Puts what was noted to the workers, one write each; gives up what is due, and worries about who is silent.
    pub(crate) fn submit(&mut self, now_us: u64, told: &impl Fn(Waits, Said<'_>)) {
        for at in 0..self.places.len() {
            let seat = Seat { shard: self.shard, place: at as u16 };
            let place = &mut self.places[at];
            if let Some(why) = place.submit(seat, now_us, (self.deadline_us, self.silence_us), told) {
                self.lose(seat, why, told);
            }
            let place = &mut self.places[at];
            if let Some(mut left) = place.leaving.take_if(|leaving| {
                place.given_up += leaving.give_up(now_us, self.deadline_us, told);
                leaving.submit().is_err() || !leaving.owes() || leaving.is_silent(now_us, self.silence_us)
            }) {
                place.given_up += left.give_all_up(told);
                let _ = self.news.try_send(News::Left(left.number));
            }
        }
    }

    /// What a worker said: whole words are taken out of the buffer.
    pub(crate) fn heard(
        &mut self,
        place: u16,
        number: u64,
        bytes: &mut Vec<u8>,
        now_us: u64,
        told: &impl Fn(Waits, Said<'_>),
    ) {
        let seat = Seat { shard: self.shard, place };
        let Some(place) = self.places.get_mut(usize::from(place)) else { return };
        let heard = place.heard(seat, number, bytes, now_us, self.deadline_us, told);
        match heard {
            Ok(()) => self.recycle(seat, number),
            Err(Broken) => self.lost(seat.place, number, "it said something that cannot be", told),
        }
    }

    /// A worker of a place is gone, if it still sat there.
    pub(crate) fn lost(
        &mut self,
        place: u16,
        number: u64,
        why: &'static str,
        told: &impl Fn(Waits, Said<'_>),
    ) {
        let seat = Seat { shard: self.shard, place };
        let Some(place) = self.places.get_mut(usize::from(place)) else { return };
        if place.worker.as_ref().is_some_and(|worker| worker.number == number) {
            self.lose(seat, why, told);
        } else if let Some(mut left) = place.leaving.take_if(|leaving| leaving.number == number) {
            place.given_up += left.give_all_up(told);
            let _ = self.news.try_send(News::Left(number));
        }
    }

    fn lose(&mut self, seat: Seat, why: &'static str, told: &impl Fn(Waits, Said<'_>)) {
        let place = &mut self.places[usize::from(seat.place)];
        let Some(mut worker) = place.worker.take() else { return };
        place.lost += 1;
        // That it is gone is told once, by who replaces it.
        place.breaker.reset();
        place.given_up += worker.give_all_up(told);
        let _ = self.news.try_send(News::Lost { seat, number: worker.number, why });
    }

    /// Asks for another worker when this one has derived enough keys, of which its module may keep some memory.
    fn recycle(&mut self, seat: Seat, number: u64) {
        let place = &mut self.places[usize::from(seat.place)];
        let Some(worker) = place.worker.as_mut().filter(|worker| worker.number == number) else { return };
        if self.recycle_after > 0 && place.derivations >= self.recycle_after && !worker.is_tired {
            // Tried again with the next answers when the supervisor is behind.
            worker.is_tired = self.news.try_send(News::Tired(seat)).is_ok();
        }
    }
}

impl Place {
    fn figures(&self) -> Figures {
        let workers = || self.worker.iter().chain(&self.leaving);
        Figures {
            is_up: self.worker.is_some() && self.breaker.is_closed(),
            is_open: self.worker.is_some() && !self.breaker.is_closed(),
            restarts: self.seated.saturating_sub(1),
            lost: self.lost,
            asked: self.asked,
            batches: self.batches,
            waiting: workers().map(|worker| worker.waiting.len() as u64).sum(),
            late: self.late,
            given_up: self.given_up,
            derivations: self.derivations,
        }
    }

    /// Why the worker is lost, if it is.
    fn submit(
        &mut self,
        seat: Seat,
        now_us: u64,
        (deadline_us, silence_us): (u64, u64),
        told: &impl Fn(Waits, Said<'_>),
    ) -> Option<&'static str> {
        let worker = self.worker.as_mut()?;
        let given_up = worker.give_up(now_us, deadline_us, told);
        self.given_up += given_up;
        if given_up > 0 && self.breaker.open(now_us) {
            tracing::error!(
                shard = seat.shard,
                place = seat.place,
                "the token does not answer in time: not asked"
            );
        }
        if let Some(probe) = self.breaker.probe(!worker.owes(), now_us) {
            worker.probe(probe, now_us);
        }
        if worker.is_silent(now_us, silence_us) {
            return Some("it hangs");
        }
        self.batches += u64::from(worker.has_questions());
        worker.submit().err().map(|_| "its stream is broken")
    }

    fn heard(
        &mut self,
        seat: Seat,
        number: u64,
        bytes: &mut Vec<u8>,
        now_us: u64,
        deadline_us: u64,
        told: &impl Fn(Waits, Said<'_>),
    ) -> Result<(), Broken> {
        let is_leaving = self.leaving.as_ref().is_some_and(|leaving| leaving.number == number);
        let worker = if is_leaving { &mut self.leaving } else { &mut self.worker };
        let Some(worker) = worker.as_mut().filter(|worker| worker.number == number) else { return Ok(()) };
        let mut taken = 0;
        while let Some((word, len)) = wire::word(&bytes[taken..])? {
            match word {
                Word::Answers(answers) => {
                    if !is_leaving {
                        self.derivations = answers.derivations;
                    }
                    for answer in answers {
                        let (asked, answer) = answer?;
                        match worker.answered(asked)? {
                            Some(waits) => told(waits, Some(&answer)),
                            None => self.late += 1,
                        }
                        let must_stop = note(&mut self.breaker, &answer);
                        if must_stop && !is_leaving && self.breaker.open(now_us) {
                            tracing::error!(
                                shard = seat.shard,
                                place = seat.place,
                                error = answer.err().map(tracing::field::display),
                                "the token fails: not asked"
                            );
                        }
                    }
                }
                Word::Standing { probe, fault } if !is_leaving => {
                    worker.answered_probe(probe)?;
                    if self.breaker.probed(probe, fault.is_empty(), now_us, deadline_us) {
                        tracing::info!(shard = seat.shard, place = seat.place, "the token is asked again");
                    }
                }
                Word::Lost(why) if !is_leaving => {
                    if self.breaker.open(now_us) {
                        let why: String = why.chars().take(TEXT_MAX).collect();
                        tracing::error!(
                            shard = seat.shard,
                            place = seat.place,
                            why,
                            "the token is lost: not asked"
                        );
                    }
                }
                Word::Standing { .. } | Word::Lost(_) => {}
                Word::Ready | Word::Refused { .. } => return Err(Broken),
            }
            taken += len;
        }
        bytes.drain(..taken);
        worker.heard(now_us);
        Ok(())
    }
}

/// Counts errors that other questions will meet as well. Whether there were too many in a row.
fn note(breaker: &mut Breaker, answer: &Result<Answer, HsmError>) -> bool {
    match answer.as_ref().map_err(|error| error.retry) {
        Ok(_) => {
            breaker.answered();
            false
        }
        Err(Retry::Never) => false,
        Err(Retry::FreshSession | Retry::FreshToken | Retry::OtherDevice) => breaker.erred(),
    }
}

/// A worker as its shard sees it.
struct Worker {
    number: u64,
    stream: UnixStream,
    out: Vec<u8>,
    begun: Option<Begun>,
    /// The number of the first question in `waiting`.
    first: u64,
    waiting: VecDeque<Waiting>,
    /// Questions that were given up and probes, to which an answer may still come.
    owed: u64,
    /// Since when it owes something and has said nothing.
    silent_since_us: Option<u64>,
    is_tired: bool,
}

struct Waiting {
    /// Nothing once it was answered.
    waits: Option<Waits>,
    asked_us: u64,
}

impl Worker {
    fn new(number: u64, stream: UnixStream) -> Self {
        Self {
            number,
            stream,
            out: Vec::new(),
            begun: None,
            first: 0,
            waiting: VecDeque::new(),
            owed: 0,
            silent_since_us: None,
            is_tired: false,
        }
    }

    fn ask(&mut self, waits: Waits, question: &Question, now_us: u64) -> Result<(), Waits> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(waits);
        }
        if self
            .begun
            .is_some_and(|begun| begun.bytes(&self.out) > wire::FRAME_BYTES_MAX - wire::QUESTION_BYTES_MAX)
        {
            self.end_frame();
        }
        if self.begun.is_none() {
            self.begun = Some(wire::begin_questions(&mut self.out));
        }
        wire::put_question(&mut self.out, self.first + self.waiting.len() as u64, question);
        self.waiting.push_back(Waiting { waits: Some(waits), asked_us: now_us });
        self.silent_since_us.get_or_insert(now_us);
        Ok(())
    }

    fn probe(&mut self, number: u64, now_us: u64) {
        self.end_frame();
        wire::put_probe(&mut self.out, number);
        self.owed += 1;
        self.silent_since_us.get_or_insert(now_us);
    }

    /// Whether questions were noted since the last write.
    fn has_questions(&self) -> bool {
        self.begun.is_some()
    }

    fn end_frame(&mut self) {
        if let Some(begun) = self.begun.take() {
            wire::end(&mut self.out, begun);
        }
    }

    /// Writes what waits to be written, as far as the socket takes it; the rest goes with the next turn.
    fn submit(&mut self) -> std::io::Result<()> {
        self.end_frame();
        if self.out.is_empty() {
            return Ok(());
        }
        match (&self.stream).write(&self.out) {
            Ok(written) => {
                // Codes are in it.
                self.out[..written].zeroize();
                self.out.drain(..written);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Forgets questions that were not answered in time. The authorizer counts the same deadline, and has declined them;
    /// a message has nobody else who counts for it.
    fn give_up(&mut self, now_us: u64, deadline_us: u64, told: &impl Fn(Waits, Said<'_>)) -> u64 {
        let mut given_up = 0;
        while let Some(front) = self.waiting.front() {
            let is_over = front.waits.is_none();
            if !is_over && now_us.saturating_sub(front.asked_us) < deadline_us {
                break;
            }
            if !is_over {
                given_up += 1;
                self.owed += 1;
            }
            self.first += 1;
            if let Some(Waiting { waits: Some(waits @ Waits::Mac(_)), .. }) = self.waiting.pop_front() {
                told(waits, None);
            }
        }
        given_up
    }

    /// Whose answer this is; nothing when it was given up.
    fn answered(&mut self, number: u64) -> Result<Option<Waits>, Broken> {
        let Some(at) = number.checked_sub(self.first) else {
            self.owed = self.owed.checked_sub(1).ok_or(Broken)?;
            return Ok(None);
        };
        let at = usize::try_from(at).map_err(|_| Broken)?;
        let waits = self.waiting.get_mut(at).ok_or(Broken)?.waits.take().ok_or(Broken)?;
        while self.waiting.front().is_some_and(|front| front.waits.is_none()) {
            self.first += 1;
            self.waiting.pop_front();
        }
        Ok(Some(waits))
    }

    fn answered_probe(&mut self, _: u64) -> Result<(), Broken> {
        self.owed = self.owed.checked_sub(1).ok_or(Broken)?;
        Ok(())
    }

    fn heard(&mut self, now_us: u64) {
        self.silent_since_us = self.owes().then_some(now_us);
    }

    fn owes(&self) -> bool {
        self.owed > 0 || !self.waiting.is_empty()
    }

    fn is_silent(&self, now_us: u64, silence_us: u64) -> bool {
        self.silent_since_us.is_some_and(|since_us| now_us.saturating_sub(since_us) >= silence_us)
    }

    /// Ends the conversation: what waits gets no answer. How many that are.
    fn give_all_up(&mut self, told: &impl Fn(Waits, Said<'_>)) -> u64 {
        // Whoever reads from it is told so.
        let _ = self.stream.shutdown(Shutdown::Both);
        let unanswered = self.waiting.drain(..).filter_map(|waiting| waiting.waits);
        unanswered.map(|waits| told(waits, None)).count() as u64
    }
}

#[cfg(test)]
#[path = "crew_tests.rs"]
mod tests;
