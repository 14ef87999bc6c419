//! Questions as bytes. Whoever adds a kind of question is told by the compiler where its form is missing: both matches
//! are closed.

use super::bytes::{Take, put_long, put_short};
use super::issuer;
use crate::derive::{Card, Derivation};
use crate::digits::{Challenge, Code, CodeLength, Pan, Psn};
use crate::question::{
    Candidates, CheckMac, Covered, Cvc3, DynamicCvv, EnrolCvc3, EnrolResponse, EnrolledResponse, Ivcvc3,
    KeyId, Kind, MakeMac, Printed, Question, Response, ResponseTag, RotatingCode, RotatingCvc3, StaticCode,
    TrackData, UnpredictableNumber,
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
        Kind::RotatingCvc3 => 7,
        Kind::EnrolResponse => 8,
        Kind::EnrolledResponse => 9,
        Kind::Cryptogram => 10,
        Kind::TranslatePin => 11,
        Kind::MakeMac => 12,
        Kind::CheckMac => 13,
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
        Question::RotatingCvc3(asked) => {
            put_key(out, asked.counters);
            put_key(out, asked.key);
            put_card(out, &asked.card, asked.derivation);
            out.extend_from_slice(&asked.ivcvc3.0);
            out.extend_from_slice(&asked.account);
            out.extend_from_slice(&asked.bundle.to_le_bytes());
            out.extend_from_slice(&asked.index.to_le_bytes());
            out.extend_from_slice(&asked.un.0);
            put_code(out, &asked.presented, asked.length);
        }
        Question::Response(Response { key, pan, challenge, presented, length }) => {
            put_key(out, *key);
            put_pan(out, pan);
            put_short(out, challenge.danger_clear_digits());
            put_code(out, presented, *length);
        }
        Question::EnrolResponse(EnrolResponse { key, pan, challenge, response, length }) => {
            put_key(out, *key);
            put_pan(out, pan);
            put_short(out, challenge.danger_clear_digits());
            put_code(out, response, *length);
        }
        Question::EnrolledResponse(EnrolledResponse { key, pan, challenge, tag, presented, length }) => {
            put_key(out, *key);
            put_pan(out, pan);
            put_short(out, challenge.danger_clear_digits());
            put_tag(out, tag);
            put_code(out, presented, *length);
        }
        Question::Cryptogram(asked) => issuer::put_cryptogram(out, asked),
        Question::TranslatePin(asked) => issuer::put_translation(out, asked),
        Question::MakeMac(MakeMac { key, message }) => {
            put_key(out, *key);
            put_long(out, &message.0);
        }
        Question::CheckMac(CheckMac { key, message, presented }) => {
            put_key(out, *key);
            put_long(out, &message.0);
            put_short(out, presented.as_ref().map_or(&[], <[u8; 8]>::as_slice));
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
        Kind::RotatingCvc3 => {
            let (counters, key) = (take_key(from)?, take_key(from)?);
            let (card, derivation) = take_card(from)?;
            Question::RotatingCvc3(RotatingCvc3 {
                counters,
                key,
                card,
                derivation,
                ivcvc3: Ivcvc3(from.array()?),
                account: from.array()?,
                bundle: from.u32()?,
                index: from.u32()?,
                un: UnpredictableNumber(from.array()?),
                presented: take_code(from)?,
                length: take_length(from)?,
            })
        }
        Kind::Response => Question::Response(Response {
            key: take_key(from)?,
            pan: take_pan(from)?,
            challenge: Challenge::parse(from.short()?)?,
            presented: take_code(from)?,
            length: take_length(from)?,
        }),
        Kind::EnrolResponse => Question::EnrolResponse(EnrolResponse {
            key: take_key(from)?,
            pan: take_pan(from)?,
            challenge: Challenge::parse(from.short()?)?,
            response: take_code(from)?,
            length: take_length(from)?,
        }),
        Kind::EnrolledResponse => Question::EnrolledResponse(EnrolledResponse {
            key: take_key(from)?,
            pan: take_pan(from)?,
            challenge: Challenge::parse(from.short()?)?,
            tag: take_tag(from)?,
            presented: take_code(from)?,
            length: take_length(from)?,
        }),
        Kind::Cryptogram => Question::Cryptogram(Box::new(issuer::take_cryptogram(from)?)),
        Kind::TranslatePin => Question::TranslatePin(issuer::take_translation(from)?),
        Kind::MakeMac => Question::MakeMac(MakeMac { key: take_key(from)?, message: take_covered(from)? }),
        Kind::CheckMac => Question::CheckMac(CheckMac {
            key: take_key(from)?,
            message: take_covered(from)?,
            presented: take_eight(from)?,
        }),
    })
}

fn take_covered(from: &mut Take<'_>) -> Option<Covered> {
    Covered::new(from.long()?.to_vec())
}

/// Eight bytes, or none of them.
pub(super) fn take_eight(from: &mut Take<'_>) -> Option<Option<[u8; 8]>> {
    match from.short()? {
        [] => Some(None),
        bytes => Some(Some(bytes.try_into().ok()?)),
    }
}

pub(super) fn put_tag(out: &mut Vec<u8>, tag: &ResponseTag) {
    match tag {
        ResponseTag::Aes(tag) => put_short(out, tag),
        ResponseTag::Hmac(tag) => put_short(out, tag),
    }
}

pub(super) fn take_tag(from: &mut Take<'_>) -> Option<ResponseTag> {
    let bytes = from.short()?;
    let aes = bytes.try_into().ok().map(ResponseTag::Aes);
    aes.or_else(|| bytes.try_into().ok().map(ResponseTag::Hmac))
}

pub(super) fn put_key(out: &mut Vec<u8>, KeyId(key): KeyId) {
    out.extend_from_slice(&key.to_le_bytes());
}

pub(super) fn take_key(from: &mut Take<'_>) -> Option<KeyId> {
    from.u16().map(KeyId)
}

pub(super) fn put_pan(out: &mut Vec<u8>, pan: &Pan) {
    put_short(out, pan.danger_clear_digits());
}

pub(super) fn take_pan(from: &mut Take<'_>) -> Option<Pan> {
    Pan::parse(from.short()?)
}

pub(super) fn put_card(out: &mut Vec<u8>, card: &Card, derivation: Derivation) {
    put_pan(out, &card.pan);
    out.push(card.psn.number());
    out.push(match derivation {
        Derivation::OptionA => 0,
        Derivation::OptionB => 1,
    });
}

pub(super) fn take_card(from: &mut Take<'_>) -> Option<(Card, Derivation)> {
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
