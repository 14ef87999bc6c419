//! Message to [`Request`], [`Reply`](authorizer::effect::Reply) to message: the last place on the
//! acquirer's side where a data element has a number.

use authorizer::advice::Kept;
use authorizer::cards::AccountHash;
use authorizer::decision::Outcome;
use authorizer::event::{AcquirerId, AcquirerLink, Ticket};
use authorizer::programs::ProgramId;
use authorizer::request::{Class, MatchKeys, Named, Original, Presented, Request};
use codecs::iso8583::{
    Class as MtiClass, De, DeSet, Dialect, Encoder, Message, Mti, Strands, Version, Weaves,
};

use codecs::track::Track2;
use codecs::value::{Amount, Currency, Expiry, Pan, PosEntry};
use codecs::{EncodeError, Flaw, ParseError};

use crate::homes::{Homes, Said};
use crate::mentions::mentions;
use crate::programs::Programs;

/// The elements by which the acquirer knows its message; it gets its own values back, byte for byte.
const OWN: DeSet = DeSet::of(&[
    De::TRANSMISSION_TIME,
    De::STAN,
    De::LOCAL_TIME,
    De::LOCAL_DATE,
    De::ACQUIRER,
    De::FORWARDER,
    De::RRN,
    De::TERMINAL,
    De::MERCHANT,
]);

/// What names a card: an answer under a funding card says it of that card.
const OF_THE_CARD: DeSet = DeSet::of(&[De::PAN, De::EXPIRY, De::CARD_SEQUENCE, De::ICC_DATA]);

/// What an issuer said, and under which card it was asked where that is not the acquirer's.
#[derive(Clone, Copy)]
pub struct Answered<'a> {
    /// The issuer's message.
    pub message: &'a Message<'a>,
    /// The card behind the acquirer's proxy, of which the acquirer learns nothing.
    pub funding: Option<Pan>,
}

/// What never goes back to an acquirer, even where an issuer echoes it. A code covers what is changed here.
const NEVER_RETURNED: DeSet =
    DeSet::of(&[De::TRACK2, De::TRACK3, De::TRACK1, De::PIN, De::MAC_64, De::MAC_128]);

/// DE 25 of a message that only asks whether an account is good.
const ACCOUNT_VERIFICATION: u64 = 51;

/// Who sent a message, over which link, and under which ticket it is kept.
#[derive(Clone, Copy)]
pub struct Received {
    /// Under which the raw message is kept.
    pub ticket: Ticket,
    /// The connection it came over.
    pub link: AcquirerLink,
    /// The principal of that connection.
    pub acquirer: AcquirerId,
}

/// Reads what a decision needs, and refuses what contradicts itself. `keep` says what is kept of the message of such a class,
/// card and program. Inlined: a request is built where it is wanted instead of being moved there step by step.
#[inline(always)]
pub fn request(
    message: &Message<'_>,
    (mti, class): (Mti, Class),
    received: Received,
    homes: &Homes,
    programs: &Programs,
    keep: impl FnOnce(Class, Option<&Pan>, Option<ProgramId>) -> Option<Kept>,
) -> Result<Request, ParseError> {
    moments(message)?;
    let track = message.track2()?;
    let (pan, expiry) = card(message, track.as_ref())?;
    let program = pan.as_ref().and_then(|pan| programs.of(pan));
    let keys = match_keys(message);
    let forwarder = message.forwarder();
    let stan = message.stan().ok_or_else(|| missing(message, De::STAN))?;
    let (minor, currency) = (message.amount()?, message.currency()?.unwrap_or(Currency::NONE));
    let processing_code = message.processing_code();
    let pos_entry = message.pos_entry();
    let said = Said {
        class,
        pan,
        processing_code,
        minor,
        currency,
        expiry,
        pos_entry,
        rrn: keys.rrn,
        track: track.as_ref(),
    };
    Ok(Request {
        ticket: received.ticket,
        link: received.link,
        acquirer: received.acquirer,
        class,
        is_repeat: mti.is_repeat(),
        identity: homes.identity(received.acquirer, class_digits(mti), stan, forwarder, &keys),
        fingerprint: homes.fingerprint(&said),
        stan,
        original: if class.is_reversal() {
            original(message, received.acquirer, homes, &keys)?.map(Box::new)
        } else {
            None
        },
        home: homes.of_account(pan.as_ref()),
        pan,
        amount: Amount::new(minor.unwrap_or(0), currency),
        processing_code,
        expiry,
        verification_only: message.number(De::POS_CONDITION) == Some(ACCOUNT_VERIFICATION),
        program,
        account: match (program, &pan) {
            (Some(_), Some(pan)) => homes.account(pan),
            _ => AccountHash(0),
        },
        entry_mode: pos_entry.map(PosEntry::entry_mode),
        service_code: program.and_then(|_| track.as_ref()?.service_code()),
        presented: program.map_or(Presented::Nothing, |program| programs.presented(program, track.as_ref())),
        forwarder,
        local_time: message.number(De::LOCAL_TIME),
        local_date: message.number(De::LOCAL_DATE).and_then(|date| date.try_into().ok()),
        keys,
        kept: keep(class, pan.as_ref(), program),
    })
}

/// What a reversal undoes: named by DE 90 or DE 56 and, where these leave it out, by its own elements.
fn original(
    message: &Message<'_>,
    acquirer: AcquirerId,
    homes: &Homes,
    keys: &MatchKeys,
) -> Result<Option<Original>, ParseError> {
    let Some(original) = message.original()? else { return Ok(None) };
    let [version, ..] = message.mti().map_or(*b"0400", Mti::digits);
    let mti = original.mti.map_or([version, b'1', b'0', b'0'], Mti::digits);
    let moment = original.transmission_time.map(|time| digits(&time.digits()));
    let moment = moment.or_else(|| original.local_time.map(|time| digits(&time.digits())));
    let of =
        MatchKeys { moment: moment.unwrap_or(0), acquirer: original.acquirer.or(keys.acquirer), ..*keys };
    let forwarder = original.forwarder.or(message.forwarder());
    let class = [mti[0], mti[1]];
    let left = message.replacement_amounts()?.map(|left| left.transaction);
    Ok(Some(Original {
        identity: homes.identity(acquirer, class, original.stan, forwarder, &of),
        is_reversal: mti[1] == b'4',
        left_minor: left.or_else(|| left_of_1993(message)),
        named: Named {
            stan: original.stan,
            class: original.mti.and_then(asked_class),
            moment,
            acquirer: original.acquirer,
            forwarder: original.forwarder,
        },
    }))
}

/// What a message of a type asks for, not as an advice.
fn asked_class(mti: Mti) -> Option<Class> {
    match mti.class() {
        MtiClass::Authorization => Some(Class::Authorization),
        MtiClass::Financial => Some(Class::Financial),
        _ => None,
    }
}

/// DE 24 of a 1993 reversal that leaves part of the original; DE 4 says how much.
const PARTIAL_REVERSAL: u64 = 401;

fn left_of_1993(message: &Message<'_>) -> Option<u64> {
    let is_partial = message.dialect().version != Version::V1987
        && message.number(De::FUNCTION_CODE) == Some(PARTIAL_REVERSAL);
    is_partial.then(|| message.number(De::AMOUNT)).flatten()
}

fn digits(ascii: &[u8]) -> u64 {
    ascii.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit & 0x0F))
}

/// The kind of request an MTI asks for or answers; `None` for a class this switch does not serve.
pub fn class(mti: Mti) -> Option<Class> {
    // A notification, 4, asks for nothing and promises nothing: it is not served.
    let is_advice = match mti.digits()[2] {
        b'0' | b'1' => false,
        b'2' | b'3' => true,
        _ => return None,
    };
    let class = match (mti.class(), is_advice) {
        (MtiClass::Authorization, false) => Class::Authorization,
        (MtiClass::Authorization, true) => Class::AuthorizationAdvice,
        (MtiClass::Financial, false) => Class::Financial,
        (MtiClass::Financial, true) => Class::FinancialAdvice,
        (MtiClass::Reversal, false) => Class::Reversal,
        (MtiClass::Reversal, true) => Class::ReversalAdvice,
        _ => return None,
    };
    Some(class)
}

/// DE 7 in 1987 and DE 12 in 1993, which is how either names an original; 32, 37, 41 and 42.
pub fn match_keys(message: &Message<'_>) -> MatchKeys {
    let [first, second] = match message.dialect().version {
        Version::V1987 => [De::TRANSMISSION_TIME, De::LOCAL_TIME],
        Version::V1993 | Version::V2003 => [De::LOCAL_TIME, De::TRANSMISSION_TIME],
    };
    let moment = message.number(first).or_else(|| message.number(second));
    MatchKeys {
        moment: moment.unwrap_or(0),
        acquirer: message.acquirer(),
        rrn: message.rrn(),
        terminal: message.terminal(),
        merchant: message.merchant(),
    }
}

/// The card number and expiry of DE 2 and 14 or of the track, which must agree where both are there.
fn card(message: &Message<'_>, track: Option<&Track2>) -> Result<(Option<Pan>, Option<Expiry>), ParseError> {
    let pan = match (message.pan()?, track.map(Track2::pan)) {
        (Some(pan), Some(of_track)) if pan != of_track => return Err(inconsistent(message, De::TRACK2)),
        (pan, of_track) => pan.or(of_track),
    };
    let expiry = match (message.expiry()?, track.and_then(Track2::expiry)) {
        (Some(expiry), Some(of_track)) if expiry != of_track => {
            return Err(inconsistent(message, De::EXPIRY));
        }
        (expiry, of_track) => expiry.or(of_track),
    };
    Ok((pan, expiry))
}

/// The card of a request that was read before, wherever it stands in it.
pub(crate) fn card_of(message: &Message<'_>) -> Option<Pan> {
    let of_track = || message.track2().ok()?.map(|track| track.pan());
    message.pan().ok()?.or_else(of_track)
}

/// Digits that are no moment are refused, though nothing here is decided by them: what an issuer would
/// refuse later is better said now.
fn moments(message: &Message<'_>) -> Result<(), ParseError> {
    message.transmission_time()?;
    message.local_time()?;
    message.local_date()?;
    message.local_date_time()?;
    Ok(())
}

fn class_digits(mti: Mti) -> [u8; 2] {
    let [version, class, ..] = mti.digits();
    [version, class]
}

fn missing(message: &Message<'_>, de: De) -> ParseError {
    ParseError { de, offset: message.bytes().len().try_into().unwrap_or(u16::MAX), flaw: Flaw::Missing }
}

fn inconsistent(message: &Message<'_>, de: De) -> ParseError {
    ParseError { de, offset: message.value_offset(de).unwrap_or(0), flaw: Flaw::Inconsistent }
}

/// The four digits of the MTI that answers `digits`: the function digit one higher, no repeat. `None` when
/// the message is itself an answer, or says that one came: 8 and 9, which the standard reserves, are positive and negative
/// acknowledgement in the networks that use them, and whoever answers an acknowledgement with 9 takes it back.
pub fn response_digits(digits: [u8; 4]) -> Option<[u8; 4]> {
    let [version, class, function, origin] = digits;
    let is_request = function.is_ascii_digit() && (function - b'0').is_multiple_of(2) && function != b'8';
    let first =
        if origin.is_ascii_digit() && !(origin - b'0').is_multiple_of(2) { origin - 1 } else { origin };
    is_request.then_some([version, class, function + 1, first])
}

/// Writes the answer to a request: what the issuer said, where it said something, under the acquirer's own
/// identifying elements; otherwise the elements that every answer echoes, and DE 39.
pub fn reply(
    request: &Message<'_>,
    dialect: &Dialect,
    mti: [u8; 4],
    outcome: &Outcome,
    answer: Option<Answered<'_>>,
    weaves: &mut Weaves,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    // What names the card is the acquirer's own where the issuer was asked under another.
    let funding = answer.as_ref().and_then(|answer| answer.funding);
    let own = if funding.is_some() { OWN.union(OF_THE_CARD) } else { OWN };
    let answer = answer.as_ref().map(|answer| answer.message);
    let mut present = present(request, dialect, outcome, answer, own);
    if let (Some(funding), Some(answer)) = (funding, answer) {
        present = present.minus(mentions(answer, answer.present().minus(own), &funding));
    }
    let theirs = answer.map_or(DeSet::EMPTY, |answer| answer.present().minus(own).without(De::RESPONSE_CODE));
    let mut said_here = DeSet::of(&[De::RESPONSE_CODE]);
    if !theirs.contains(De::APPROVAL_CODE) {
        said_here = said_here.with(De::APPROVAL_CODE);
    }
    if answer.is_none() && outcome.approved_minor.is_some() {
        said_here = said_here.with(De::AMOUNT);
    }
    if let Some(answer) = answer {
        let strands =
            Strands { request, answer, present, of_answer: theirs.intersection(present), said: said_here };
        if let Some(written) = weaves.write(dialect, mti, &strands, |de| said(de, outcome), out) {
            return Ok(written);
        }
    }
    let mut encoder = Encoder::new_with_digits(dialect, mti, present, out)?;
    for de in present {
        match answer {
            _ if said_here.contains(de) => say(&mut encoder, de, outcome)?,
            Some(answer) if theirs.contains(de) => encoder.copy(de, answer)?,
            _ => encoder.copy(de, request)?,
        }
    }
    encoder.finish()
}

/// Writes an element that neither message gives.
fn say(encoder: &mut Encoder<'_>, de: De, outcome: &Outcome) -> Result<(), EncodeError> {
    match de {
        De::AMOUNT => encoder.put_number(de, outcome.approved_minor.unwrap_or(0)),
        _ => encoder.put(de, said(de, outcome)),
    }
}

/// DE 38 or 39 of an outcome.
fn said(de: De, outcome: &Outcome) -> &[u8] {
    match de {
        De::APPROVAL_CODE => outcome.approval_code.as_ref().map_or(&b""[..], |code| code.as_bytes()),
        _ => outcome.response_code.as_bytes(),
    }
}

fn present(
    request: &Message<'_>,
    dialect: &Dialect,
    outcome: &Outcome,
    answer: Option<&Message<'_>>,
    ours: DeSet,
) -> DeSet {
    let echoed = request.present().intersection(dialect.echo);
    let own = request.present().intersection(ours);
    let told = match answer {
        Some(answer) => {
            let theirs = answer.present();
            own.intersection(theirs.union(dialect.echo)).union(theirs.minus(ours).minus(NEVER_RETURNED))
        }
        None => echoed,
    };
    let told = told.with(De::RESPONSE_CODE);
    if outcome.approval_code.is_some() {
        told.with(De::APPROVAL_CODE)
    } else {
        told.without(De::APPROVAL_CODE)
    }
}

/// Which list DE 39 is from, by the version of the dialect.
pub fn code_set(version: Version) -> authorizer::decision::CodeSet {
    match version {
        Version::V1987 => authorizer::decision::CodeSet::Response1987,
        Version::V1993 | Version::V2003 => authorizer::decision::CodeSet::Action1993,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_and_its_answer_are_of_one_class() {
        let class_of = |digits| class(Mti::from_digits(digits).expect("a message type"));
        for (request, answer, expected) in [
            (*b"0100", *b"0110", Some(Class::Authorization)),
            (*b"0101", *b"0110", Some(Class::Authorization)),
            (*b"0120", *b"0130", Some(Class::AuthorizationAdvice)),
            (*b"0200", *b"0210", Some(Class::Financial)),
            (*b"0221", *b"0230", Some(Class::FinancialAdvice)),
            (*b"0400", *b"0410", Some(Class::Reversal)),
            (*b"0421", *b"0430", Some(Class::ReversalAdvice)),
            (*b"0300", *b"0310", None),
        ] {
            assert_eq!(class_of(request), expected);
            assert_eq!(class_of(answer), expected);
            assert_eq!(response_digits(request), Some(answer));
            assert_eq!(response_digits(answer), None);
        }
    }

    #[test]
    fn a_message_type_the_standard_has_not_can_still_be_answered() {
        assert_eq!(response_digits(*b"0999"), None);
        assert_eq!(response_digits(*b"0900"), Some(*b"0910"));
        assert_eq!(response_digits(*b"0140"), Some(*b"0150"));
        for acknowledgement in [b"0180", b"0190", b"0199"] {
            assert_eq!(response_digits(*acknowledgement), None);
        }
        assert_eq!(response_digits(*b"01\x00\x00"), None);
    }
}
