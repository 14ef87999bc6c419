//! An advice as its issuer reads it: 0120 or 0220, or its repeat, made from what was written down. It bears our own trace
//! number and otherwise what the acquirer said; where the switch stood in, also what it answered.

use authorizer::advice::Advice;
use authorizer::request::Class;
use codecs::EncodeError;
use codecs::iso8583::{De, DeSet, Dialect, Encoder, Version};

use crate::kept;

/// What a message has room for, beside what was kept.
pub(crate) const BYTES_MAX: usize = 512;

/// Writes an advice in the dialect of its issuer. An element that the dialect has not is left out.
pub(crate) fn write(advice: &Advice, dialect: &Dialect, out: &mut [u8]) -> Result<usize, EncodeError> {
    let own = own_elements(advice);
    let of_kept = kept::elements(&advice.kept).map(|(de, _)| de).collect::<DeSet>();
    let known = |de: &De| dialect.field(*de).is_some();
    let present: DeSet = of_kept.union(own).iter().filter(known).collect();
    let mut encoder = Encoder::new_with_digits(dialect, mti(advice, dialect), present, out)?;
    let mut kept = kept::elements(&advice.kept).peekable();
    for de in present.iter() {
        while kept.next_if(|(next, _)| *next < de).is_some() {}
        let value = kept.next_if(|(next, _)| *next == de).map(|(_, value)| value);
        match value.filter(|_| !own.contains(de)) {
            Some(value) => encoder.put(de, value)?,
            None => put_own(advice, de, &mut encoder)?,
        }
    }
    encoder.finish()
}

/// Elements that are not as the acquirer said them.
fn own_elements(advice: &Advice) -> DeSet {
    let card = advice.sent.pan.map_or(DeSet::default(), |_| DeSet::of(&[De::PAN]));
    let answered = if advice.is_stand_in() {
        DeSet::of(&[De::APPROVAL_CODE, De::RESPONSE_CODE])
    } else {
        DeSet::default()
    };
    card.union(answered).with(De::STAN)
}

fn put_own(advice: &Advice, de: De, encoder: &mut Encoder<'_>) -> Result<(), EncodeError> {
    let outcome = &advice.outcome;
    match de {
        De::PAN => encoder.put(de, advice.sent.pan.as_ref().map_or(&[][..], |pan| pan.danger_clear_digits())),
        De::STAN => encoder.put(de, &advice.sent.stan.digits()),
        De::APPROVAL_CODE => {
            encoder.put(de, outcome.approval_code.as_ref().map_or(&[][..], |code| code.as_bytes()))
        }
        _ => encoder.put(de, outcome.response_code.as_bytes()),
    }
}

fn mti(advice: &Advice, dialect: &Dialect) -> [u8; 4] {
    let version = match dialect.version {
        Version::V1987 => b'0',
        Version::V1993 => b'1',
        Version::V2003 => b'2',
    };
    let class = if advice.sent.asked.class == Class::FinancialAdvice { b'2' } else { b'1' };
    [version, class, b'2', if advice.is_repeat { b'1' } else { b'0' }]
}
