//! Questions as bytes. Whoever adds a kind of question is told by the compiler where its form is missing: both matches
//! are closed.

use super::bytes::{Take, put_short};
use crate::derive::{Card, Derivation};
use crate::digits::{Challenge, Code, CodeLength, Pan, Psn};
use crate::question::{
    Candidates, Cvc3, DynamicCvv, EnrolCvc3, Ivcvc3, KeyId, Kind, Printed, Question, Response, RotatingCode,
    StaticCode, TrackData, UnpredictableNumber,
};

/// The number that a kind of question has in a frame. It never changes its meaning.
pub(super) fn number(kind: Kind) -> u8 {
    match kind {
        Kind::StaticCode => 1,
        Kind::EnrolCvc3 => 2,
        Kind::Cvc3 => 3,
        Kind::DynamicCvv => 4,
        Kind::RotatingCode => 5,
        Kind::Response => 6,
    }
}

/// The kind with this number.
pub(super) fn kind(number: u8) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| self::number(*kind) == number)
}

/// Appends a question.
pub(super) fn put(out: &mut Vec<u8>, question: &Question) {
    out.push(number(question.kind()));
    match question {
        Question::StaticCode(StaticCode { key, pan, printed, presented, length }) => {
            put_key(out, *key);
            put_pan(out, pan);
            out.extend_from_slice(&printed.digits());
            put_code(out, presented, *length);
        }
        Question::EnrolCvc3(EnrolCvc3 { key, card, derivation, track }) => {
            put_key(out, *key);
            put_card(out, card, *derivation);
            put_short(out, &track.0);
        }
        Question::Cvc3(Cvc3 { key, card, derivation, ivcvc3, un, atcs, presented, length }) => {
            put_key(out, *key);
            put_card(out, card, *derivation);
            out.extend_from_slice(&ivcvc3.0);
            out.extend_from_slice(&un.0);
            out.push(atcs.atcs().len() as u8);
            atcs.atcs().iter().for_each(|atc| out.extend_from_slice(&atc.to_le_bytes()));
            put_code(out, presented, *length);
        }
        Question::DynamicCvv(DynamicCvv { key, card, printed, atc, presented, length }) => {
            put_key(out, *key);
            put_card(out, card, Derivation::OptionA);
            out.extend_from_slice(&printed.digits());
            out.extend_from_slice(&atc.to_le_bytes());
            put_code(out, presented, *length);
        }
        Question::RotatingCode(RotatingCode { key, account, bundle, index, un, presented, length }) => {
            put_key(out, *key);
            out.extend_from_slice(account);
            out.extend_from_slice(&bundle.to_le_bytes());
            out.extend_from_slice(&index.to_le_bytes());
            out.extend_from_slice(&un.0);
            put_code(out, presented, *length);
        }
        Question::Response(Response { key, pan, challenge, presented, length }) => {
            put_key(out, *key);
            put_pan(out, pan);
            put_short(out, challenge.danger_clear_digits());
            put_code(out, presented, *length);
        }
    }
}

/// Reads a question.
pub(super) fn take(from: &mut Take<'_>) -> Option<Question> {
    Some(match kind(from.u8()?)? {
        Kind::StaticCode => Question::StaticCode(StaticCode {
            key: take_key(from)?,
            pan: take_pan(from)?,
            printed: take_printed(from)?,
            presented: take_code(from)?,
            length: take_length(from)?,
        }),
        Kind::EnrolCvc3 => {
            let key = take_key(from)?;
            let (card, derivation) = take_card(from)?;
            let track = TrackData::new(from.short()?.to_vec())?;
            Question::EnrolCvc3(EnrolCvc3 { key, card, derivation, track })
        }
        Kind::Cvc3 => {
            let key = take_key(from)?;
            let (card, derivation) = take_card(from)?;
            Question::Cvc3(Cvc3 {
                key,
                card,
                derivation,
                ivcvc3: Ivcvc3(from.array()?),
                un: UnpredictableNumber(from.array()?),
                atcs: take_candidates(from)?,
                presented: take_code(from)?,
                length: take_length(from)?,
            })
        }
        Kind::DynamicCvv => {
            let key = take_key(from)?;
            let (card, _) = take_card(from)?;
            Question::DynamicCvv(DynamicCvv {
                key,
                card,
                printed: take_printed(from)?,
                atc: from.u16()?,
                presented: take_code(from)?,
                length: take_length(from)?,
            })
        }
        Kind::RotatingCode => Question::RotatingCode(RotatingCode {
            key: take_key(from)?,
            account: from.array()?,
            bundle: from.u32()?,
            index: from.u32()?,
            un: UnpredictableNumber(from.array()?),
            presented: take_code(from)?,
            length: take_length(from)?,
        }),
        Kind::Response => Question::Response(Response {
            key: take_key(from)?,
            pan: take_pan(from)?,
            challenge: Challenge::parse(from.short()?)?,
            presented: take_code(from)?,
            length: take_length(from)?,
        }),
    })
}

fn put_key(out: &mut Vec<u8>, KeyId(key): KeyId) {
    out.extend_from_slice(&key.to_le_bytes());
}

fn take_key(from: &mut Take<'_>) -> Option<KeyId> {
    from.u16().map(KeyId)
}

fn put_pan(out: &mut Vec<u8>, pan: &Pan) {
    put_short(out, pan.danger_clear_digits());
}

fn take_pan(from: &mut Take<'_>) -> Option<Pan> {
    Pan::parse(from.short()?)
}

fn put_card(out: &mut Vec<u8>, card: &Card, derivation: Derivation) {
    put_pan(out, &card.pan);
    let [tens, ones] = card.psn.digits();
    out.push((tens - b'0') * 10 + (ones - b'0'));
    out.push(match derivation {
        Derivation::OptionA => 0,
        Derivation::OptionB => 1,
    });
}

fn take_card(from: &mut Take<'_>) -> Option<(Card, Derivation)> {
    let card = Card { pan: take_pan(from)?, psn: Psn::new(from.u8()?)? };
    let derivation = match from.u8()? {
        0 => Derivation::OptionA,
        1 => Derivation::OptionB,
        _ => return None,
    };
    Some((card, derivation))
}

fn take_printed(from: &mut Take<'_>) -> Option<Printed> {
    let digits: [u8; 7] = from.array()?;
    let (expiry, service_code) = digits.split_first_chunk()?;
    Printed::stripe(*expiry, service_code.try_into().ok()?)
}

fn take_candidates(from: &mut Take<'_>) -> Option<Candidates> {
    let count = usize::from(from.u8()?);
    let mut atcs = [0; crate::question::MAX_CANDIDATES];
    for atc in atcs.get_mut(..count)? {
        *atc = from.u16()?;
    }
    Candidates::new(&atcs[..count])
}

fn put_code<const MAX: usize>(out: &mut Vec<u8>, code: &Code, length: CodeLength<MAX>) {
    put_short(out, code.danger_clear_digits());
    out.push(length.digits() as u8);
}

fn take_code(from: &mut Take<'_>) -> Option<Code> {
    Code::parse(from.short()?)
}

fn take_length<const MAX: usize>(from: &mut Take<'_>) -> Option<CodeLength<MAX>> {
    CodeLength::new(from.u8()?.into())
}
