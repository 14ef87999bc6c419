//! A leg to a message, a message to an [`Answer`]: the last place on the issuer's side where a data element
//! has a number.

use authorizer::event::{IssuerLink, Ticket};
use authorizer::request::Answer;
use codecs::EncodeError;
use codecs::iso8583::{De, Dialect, Encoder, Message, Mti};
use codecs::value::Stan;

use crate::acquirer::translate::{class, match_keys};

/// Writes a request as its issuer sees it: the acquirer's message byte for byte, with our trace number and
/// without the repeat digit. Where the two dialects differ, every element is said anew in the issuer's.
pub fn forward(
    request: &Message<'_>,
    mti: Mti,
    stan: Stan,
    dialect: &Dialect,
    is_same_dialect: bool,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    if is_same_dialect {
        return Encoder::restamp(request, mti.first(), stan, out);
    }
    let present = request.present();
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

/// Reads what an issuer says. `None` where it lacks what every answer must have: it can belong to nothing.
pub fn answer(message: &Message<'_>, mti: Mti, link: IssuerLink, ticket: Ticket) -> Option<Answer> {
    Some(Answer {
        ticket,
        link,
        class: class(mti)?,
        stan: message.stan()?,
        keys: match_keys(message),
        pan: message.pan().ok()?,
        processing_code: message.processing_code(),
        amount_minor: message.number(De::AMOUNT),
        approval_code: message.approval_code(),
        response_code: message.response_code()?,
    })
}
