//! Answers and errors as bytes.

use cryptoki::error::{Rv, RvError};

use super::bytes::{Take, put_short};
use super::question;
use crate::error::{Cause, HsmError};
use crate::question::{Answer, IssuerAuthentication, Ivcvc3, PinBlock};

/// Above the numbers of all answers.
const ERROR: u8 = 0xFF;

/// Appends what became of a question.
pub(super) fn put(out: &mut Vec<u8>, answer: &Result<Answer, HsmError>) {
    match answer {
        Ok(Answer::Right) => out.push(1),
        Ok(Answer::RightFor(atc)) => {
            out.push(2);
            out.extend_from_slice(&atc.to_le_bytes());
        }
        Ok(Answer::Wrong) => out.push(3),
        Ok(Answer::WrongLength) => out.push(4),
        Ok(Answer::Ivcvc3(Ivcvc3(value))) => {
            out.push(5);
            out.extend_from_slice(value);
        }
        Ok(Answer::Tag(tag)) => {
            out.push(6);
            question::put_tag(out, tag);
        }
        Ok(Answer::RightCryptogram { approved, declined }) => {
            out.push(7);
            for answer in [approved, declined] {
                put_short(out, answer.as_ref().map_or(&[], IssuerAuthentication::as_bytes));
            }
        }
        Ok(Answer::PinBlock(block)) => {
            out.push(8);
            put_short(out, block.as_bytes());
        }
        Ok(Answer::Refused) => out.push(9),
        Ok(Answer::Mac(mac)) => {
            out.push(10);
            out.extend_from_slice(mac);
        }
        Err(error) => {
            out.extend_from_slice(&[ERROR, question::number(error.question)]);
            put_cause(out, error.cause);
        }
    }
}

/// Reads what became of a question.
pub(super) fn take(from: &mut Take<'_>) -> Option<Result<Answer, HsmError>> {
    Some(Ok(match from.u8()? {
        1 => Answer::Right,
        2 => Answer::RightFor(from.u16()?),
        3 => Answer::Wrong,
        4 => Answer::WrongLength,
        5 => Answer::Ivcvc3(Ivcvc3(from.array()?)),
        6 => Answer::Tag(question::take_tag(from)?),
        7 => Answer::RightCryptogram { approved: take_answer(from)?, declined: take_answer(from)? },
        8 => Answer::PinBlock(PinBlock::new(from.short()?)?),
        9 => Answer::Refused,
        10 => Answer::Mac(from.array()?),
        ERROR => {
            let kind = question::kind(from.u8()?)?;
            return Some(Err(HsmError::new(kind, take_cause(from)?)));
        }
        _ => return None,
    }))
}

/// An issuer's answer, or none, which is not the end.
fn take_answer(from: &mut Take<'_>) -> Option<Option<IssuerAuthentication>> {
    match from.short()? {
        [] => Some(None),
        bytes => IssuerAuthentication::read(bytes).map(Some),
    }
}

/// Appends a cause; that of an unnamed code with its number.
fn put_cause(out: &mut Vec<u8>, cause: Cause) {
    out.push(match cause {
        Cause::NotThatKey => 1,
        Cause::Busy => 2,
        Cause::SessionLost => 3,
        Cause::LoggedOut => 4,
        Cause::KeyLost => 5,
        Cause::DeviceLost => 6,
        Cause::Refused => 7,
        Cause::WrongLength => 8,
        Cause::WrongAnswer => 9,
        Cause::Module => 10,
        Cause::Other(code) => {
            out.push(OTHER);
            return out.extend_from_slice(&code_of(code).to_le_bytes());
        }
    });
}

/// Reads a cause.
fn take_cause(from: &mut Take<'_>) -> Option<Cause> {
    Some(match from.u8()? {
        1 => Cause::NotThatKey,
        2 => Cause::Busy,
        3 => Cause::SessionLost,
        4 => Cause::LoggedOut,
        5 => Cause::KeyLost,
        6 => Cause::DeviceLost,
        7 => Cause::Refused,
        8 => Cause::WrongLength,
        9 => Cause::WrongAnswer,
        10 => Cause::Module,
        OTHER => match Rv::from(from.u64()?) {
            Rv::Error(code) => Cause::Other(code),
            Rv::Ok => return None,
        },
        _ => return None,
    })
}

const OTHER: u8 = 0xFF;

/// The number behind a name of cryptoki's, which tells it for the others only.
fn code_of(code: RvError) -> u64 {
    match code {
        RvError::VendorDefined(number) | RvError::UnknownErrorCode(number) => number,
        named => {
            (1..=NAMED_MAX).find(|number| Rv::from(*number) == Rv::Error(named)).unwrap_or(GENERAL_ERROR)
        }
    }
}

/// Above the last code that the standard names.
const NAMED_MAX: u64 = 0x2FF;
/// `CKR_GENERAL_ERROR`
const GENERAL_ERROR: u64 = 5;
