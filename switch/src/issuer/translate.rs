//! A leg to a message, a message to an [`Answer`]: the last place on the issuer's side where a data element
//! has a number.

use authorizer::cards::Funding;
use authorizer::event::{IssuerLink, Ticket};
use authorizer::request::Answer;
use codecs::EncodeError;
use codecs::iso8583::{De, DeSet, Dialect, Encoder, MACS, Message, Mti, Strands, Weaves};
use codecs::value::{Currency, ResponseCode, Stan};

use crate::acquirer::translate::{class, match_keys};
use crate::mentions::mentions;

/// How a request is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// Byte for byte: the issuer's dialect is the acquirer's.
    Restamped,
    /// Every element said anew in the issuer's dialect.
    Whole,
    /// The same but for a code that is between the acquirer and us.
    WithoutMac,
}

/// Under what a request is passed on.
#[derive(Clone, Copy, Debug)]
pub struct Onward {
    /// The type it came with.
    pub mti: Mti,
    /// Our trace number.
    pub stan: Stan,
    /// How.
    pub passing: Passing,
    /// The card that pays, where it is another.
    pub funding: Option<Funding>,
}

/// Writes a request as its issuer sees it: the acquirer's message, with our trace number and without the repeat digit.
pub fn forward(
    request: &Message<'_>,
    onward: &Onward,
    dialect: &Dialect,
    weaves: &mut Weaves,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    let Onward { mti, stan, passing, ref funding } = *onward;
    if let Some(funding) = funding {
        return forward_funded(request, (mti, stan), dialect, funding, weaves, out);
    }
    let present = match passing {
        Passing::Restamped => return Encoder::restamp(request, mti.first(), stan, out),
        Passing::Whole => request.present(),
        Passing::WithoutMac => request.present().minus(MACS),
    };
    let mut encoder = Encoder::new(dialect, mti.first(), present, out)?;
    for de in present.iter() {
        if de == De::STAN {
            encoder.put(de, &stan.digits())?;
        } else {
            encoder.copy(de, request)?;
        }
    }
    encoder.finish()
}

/// Writes a request of a proxy card as the issuer of its funding card sees it: that card, and nothing of the
/// proxy's track, chip or PIN, which were made under other keys and may be worth something elsewhere.
fn forward_funded(
    request: &Message<'_>,
    (mti, stan): (Mti, Stan),
    dialect: &Dialect,
    funding: &Funding,
    weaves: &mut Weaves,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    let proxy = request.pan().ok().flatten().or_else(|| Some(request.track2().ok()??.pan()));
    let kept = request.present().minus(OF_THE_PROXY).without(De::PAN).without(De::EXPIRY);
    let mentioned = proxy.map_or(DeSet::default(), |proxy| mentions(request, kept, &proxy));
    let present = kept.minus(mentioned).with(De::PAN).with(De::EXPIRY);
    let (stan, expiry) = (stan.digits(), funding.expiry.digits());
    let said = |de| match de {
        De::STAN => &stan[..],
        De::PAN => funding.pan.danger_clear_digits(),
        _ => &expiry,
    };
    // Nobody has answered: all that is not said here is the request's.
    let (answer, of_answer) = (request, DeSet::EMPTY);
    let strands = Strands { request, answer, present, of_answer, said: SAID_OF_FUNDING };
    if let Some(written) = weaves.write(dialect, mti.first().digits(), &strands, said, out) {
        return Ok(written);
    }
    let mut encoder = Encoder::new(dialect, mti.first(), present, out)?;
    for de in present.iter() {
        if SAID_OF_FUNDING.contains(de) {
            encoder.put(de, said(de))?;
        } else {
            encoder.copy(de, request)?;
        }
    }
    encoder.finish()
}

/// What the issuer of a funding card is told in other words than the acquirer's.
const SAID_OF_FUNDING: DeSet = DeSet::of(&[De::STAN, De::PAN, De::EXPIRY]);

/// Everything that says something of the proxy card. MACs cover what is changed here.
const OF_THE_PROXY: DeSet = DeSet::of(&[
    De::CARD_SEQUENCE,
    De::TRACK2,
    De::TRACK3,
    De::TRACK1,
    De::PIN,
    De::SECURITY_CONTROL,
    De::ICC_DATA,
    De::MAC_64,
    De::MAC_128,
]);

/// Whether it is the answer to a request or an advice, as 0110 and 0430 are: with no repeat or other origin in it.
fn is_answer(mti: Mti) -> bool {
    let [.., function, origin] = mti.digits();
    matches!(function, b'1' | b'3') && origin == b'0'
}

/// Reads what an issuer says. `None` where it lacks what every answer must have: it can belong to nothing.
pub fn answer(message: &Message<'_>, mti: Mti, link: IssuerLink, ticket: Ticket) -> Option<Answer> {
    Some(Answer {
        ticket,
        link,
        class: class(mti).filter(|_| is_answer(mti))?,
        stan: message.stan()?,
        keys: match_keys(message),
        pan: message.pan().ok()?,
        processing_code: message.processing_code(),
        amount_minor: message.number(De::AMOUNT),
        // One that is no number is none that was asked for.
        currency: message.currency().unwrap_or(Some(Currency::NONE)),
        approval_code: message.approval_code(),
        response_code: message.response_code().unwrap_or(ResponseCode::NONE),
    })
}
