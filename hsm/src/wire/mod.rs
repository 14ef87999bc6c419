//! Questions to a token in another process, and its answers, as bytes: frames over a stream.
//!
//! A frame is its kind, the number of bytes that follow, and these. Towards the worker: the plan once, then questions,
//! each behind a number that its answer bears, and probes. Back: whether the worker is ready, answers, and how the token
//! stands. Whatever comes back is believed as little as a message of a stranger: a length, a kind or a value that
//! cannot be ends the conversation with [`Broken`].
//!
//! Every enum is matched without a rest, so that a new kind of question, answer, cause or key does not compile before
//! it has a form here.

mod answer;
mod bytes;
mod issuer;
mod question;
mod set_up;

use bytes::{Take, put_long};

use crate::error::HsmError;
use crate::plan::{Blame, Plan};
use crate::question::{Answer, Covered, KeyId, Question};

/// Kind and length of a frame.
pub const HEADER_BYTES: usize = 5;
/// Most bytes of a frame behind its header.
pub const FRAME_BYTES_MAX: usize = 64 << 10;
/// Most bytes of one question: none is longer. Only those about a whole message are longer than 200.
pub const QUESTION_BYTES_MAX: usize = Covered::MAX_BYTES + 32;

/// What came is no frame of this conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

/// What a worker hears.
pub enum Order<'b> {
    /// The first frame: what to open.
    SetUp(Plan),
    /// Questions.
    Ask(Questions<'b>),
    /// Look after the token, and say how it stands.
    Probe(u64),
}

/// What a worker says.
#[derive(Debug)]
pub enum Word<'b> {
    /// The token is open, every key loaded.
    Ready,
    /// It cannot be opened.
    Refused {
        /// What that lies in.
        blame: Blame,
        /// For the operator.
        why: &'b str,
    },
    /// Answers.
    Answers(Answers<'b>),
    /// What came of a probe.
    Standing {
        /// The probe's number.
        probe: u64,
        /// What is wrong, for the operator; empty when all is well.
        fault: &'b str,
    },
    /// The token was lost, and could not be opened anew at once. Why, for the operator.
    Lost(&'b str),
}

const SET_UP: u8 = 1;
const ASK: u8 = 2;
const PROBE: u8 = 3;
const READY: u8 = 11;
const REFUSED: u8 = 12;
const ANSWERS: u8 = 13;
const STANDING: u8 = 14;
const LOST: u8 = 15;

/// Begins a frame at the end of a buffer. Its length is written by [`end`].
#[must_use]
pub fn begin_questions(out: &mut Vec<u8>) -> Begun {
    begin(out, ASK)
}

/// Begins a frame of answers, with how many keys the worker has derived so far.
#[must_use]
pub fn begin_answers(out: &mut Vec<u8>, derivations: u64) -> Begun {
    let begun = begin(out, ANSWERS);
    out.extend_from_slice(&derivations.to_le_bytes());
    begun
}

/// Where a frame that is being written begins.
#[derive(Clone, Copy, Debug)]
pub struct Begun(usize);

impl Begun {
    /// The bytes of the frame so far, without its header.
    #[must_use]
    pub fn bytes(self, out: &[u8]) -> usize {
        out.len() - self.0 - HEADER_BYTES
    }
}

/// Ends a frame.
pub fn end(out: &mut [u8], begun: Begun) {
    let bytes = begun.bytes(out) as u32;
    out[begun.0 + 1..begun.0 + HEADER_BYTES].copy_from_slice(&bytes.to_le_bytes());
}

fn begin(out: &mut Vec<u8>, kind: u8) -> Begun {
    let begun = Begun(out.len());
    out.extend_from_slice(&[kind, 0, 0, 0, 0]);
    begun
}

/// Appends a question to the frame that was begun.
pub fn put_question(out: &mut Vec<u8>, number: u64, question: &Question) {
    out.extend_from_slice(&number.to_le_bytes());
    question::put(out, question);
}

/// Appends an answer to the frame that was begun.
pub fn put_answer(out: &mut Vec<u8>, number: u64, answer: &Result<Answer, HsmError>) {
    out.extend_from_slice(&number.to_le_bytes());
    answer::put(out, answer);
}

/// Appends the frame that sets a worker up. It holds the PIN.
pub fn put_set_up(out: &mut Vec<u8>, plan: &Plan) {
    let begun = begin(out, SET_UP);
    set_up::put(out, plan);
    end(out, begun);
}

/// Appends a probe.
pub fn put_probe(out: &mut Vec<u8>, number: u64) {
    let begun = begin(out, PROBE);
    out.extend_from_slice(&number.to_le_bytes());
    end(out, begun);
}

/// Appends any word but answers, which are written one by one.
pub fn put_word(out: &mut Vec<u8>, word: &Word<'_>) {
    let begun = match word {
        Word::Ready => begin(out, READY),
        Word::Refused { blame, why } => {
            let begun = begin(out, REFUSED);
            put_blame(out, *blame);
            put_long(out, why.as_bytes());
            begun
        }
        Word::Answers(answers) => {
            let begun = begin_answers(out, answers.derivations);
            out.extend_from_slice(answers.rest);
            begun
        }
        Word::Standing { probe, fault } => {
            let begun = begin(out, STANDING);
            out.extend_from_slice(&probe.to_le_bytes());
            put_long(out, fault.as_bytes());
            begun
        }
        Word::Lost(why) => {
            let begun = begin(out, LOST);
            put_long(out, why.as_bytes());
            begun
        }
    };
    end(out, begun);
}

/// The first order in a buffer and the bytes it takes; nothing while it is not whole.
pub fn order(bytes: &[u8]) -> Result<Option<(Order<'_>, usize)>, Broken> {
    let Some((kind, body, taken)) = frame(bytes)? else { return Ok(None) };
    let mut from = Take(body);
    let order = match kind {
        SET_UP => whole(set_up::take(&mut from).map(Order::SetUp), &from)?,
        PROBE => whole(from.u64().map(Order::Probe), &from)?,
        ASK => Order::Ask(Questions { rest: body }),
        _ => return Err(Broken),
    };
    Ok(Some((order, taken)))
}

/// The first word in a buffer and the bytes it takes; nothing while it is not whole.
pub fn word(bytes: &[u8]) -> Result<Option<(Word<'_>, usize)>, Broken> {
    let Some((kind, body, taken)) = frame(bytes)? else { return Ok(None) };
    let mut from = Take(body);
    let word = match kind {
        READY => whole(Some(Word::Ready), &from)?,
        REFUSED => {
            let blame = take_blame(&mut from).ok_or(Broken)?;
            whole(text(&mut from).map(|why| Word::Refused { blame, why }), &from)?
        }
        ANSWERS => {
            let derivations = from.u64().ok_or(Broken)?;
            Word::Answers(Answers { derivations, rest: from.0 })
        }
        STANDING => {
            let probe = from.u64().ok_or(Broken)?;
            whole(text(&mut from).map(|fault| Word::Standing { probe, fault }), &from)?
        }
        LOST => whole(text(&mut from).map(Word::Lost), &from)?,
        _ => return Err(Broken),
    };
    Ok(Some((word, taken)))
}

fn put_blame(out: &mut Vec<u8>, blame: Blame) {
    match blame {
        Blame::Token => out.push(1),
        Blame::Plan => out.push(2),
        Blame::Key(key) => {
            out.push(3);
            out.extend_from_slice(&key.place().to_le_bytes());
        }
    }
}

fn take_blame(from: &mut Take<'_>) -> Option<Blame> {
    Some(match from.u8()? {
        1 => Blame::Token,
        2 => Blame::Plan,
        3 => Blame::Key(KeyId::of_place(from.u16()?)),
        _ => return None,
    })
}

fn text<'b>(from: &mut Take<'b>) -> Option<&'b str> {
    std::str::from_utf8(from.long()?).ok()
}

fn whole<T>(read: Option<T>, from: &Take<'_>) -> Result<T, Broken> {
    read.filter(|_| from.0.is_empty()).ok_or(Broken)
}

/// Kind, body and whole length.
type Frame<'b> = (u8, &'b [u8], usize);

fn frame(bytes: &[u8]) -> Result<Option<Frame<'_>>, Broken> {
    let mut from = Take(bytes);
    let (Some(kind), Some(len)) = (from.u8(), from.u32()) else { return Ok(None) };
    let len = usize::try_from(len).ok().filter(|len| *len <= FRAME_BYTES_MAX).ok_or(Broken)?;
    Ok(from.bytes(len).map(|body| (kind, body, HEADER_BYTES + len)))
}

/// The questions of a frame, each with its number.
pub struct Questions<'b> {
    rest: &'b [u8],
}

impl Iterator for Questions<'_> {
    type Item = Result<(u64, Question), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        record(&mut self.rest, question::take)
    }
}

/// The answers of a frame, each with the number of its question.
#[derive(Debug)]
pub struct Answers<'b> {
    /// Keys that the worker has derived since its start.
    pub derivations: u64,
    rest: &'b [u8],
}

impl Iterator for Answers<'_> {
    type Item = Result<(u64, Result<Answer, HsmError>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        record(&mut self.rest, answer::take)
    }
}

/// The next record: nothing at the end, and nothing more after one that cannot be read.
fn record<'b, T>(
    rest: &mut &'b [u8],
    take: impl FnOnce(&mut Take<'b>) -> Option<T>,
) -> Option<Result<(u64, T), Broken>> {
    if rest.is_empty() {
        return None;
    }
    let mut from = Take(rest);
    let read = from.u64().and_then(|number| Some((number, take(&mut from)?)));
    *rest = if read.is_some() { from.0 } else { &[] };
    Some(read.ok_or(Broken))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
