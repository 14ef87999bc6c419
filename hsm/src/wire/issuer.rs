//! The longest questions as bytes: cryptograms with the issuer's answers, and translations of PIN blocks.

use super::bytes::{Take, put_short};
use super::question::{put_card, put_key, put_pan, take_card, take_eight, take_key, take_pan};
use crate::derive::Derivation;
use crate::question::{
    CardStatus, Cryptogram, CryptogramVersion, IssuerAnswer, PinBlock, PinFormat, TranslatePin,
};

pub(super) fn put_cryptogram(out: &mut Vec<u8>, asked: &Cryptogram) {
    put_key(out, asked.key());
    out.push(version_number(asked.version()));
    put_card(out, asked.card(), Derivation::OptionA);
    out.extend_from_slice(asked.signed());
    put_short(out, asked.iad());
    put_short(out, asked.presented().as_ref().map_or(&[], <[u8; 8]>::as_slice));
    for answer in asked.answers() {
        match answer {
            None => out.push(0),
            Some(IssuerAnswer::Code(code)) => {
                out.push(1);
                out.extend_from_slice(code);
            }
            Some(IssuerAnswer::Status(status)) => {
                out.push(2);
                put_short(out, status.as_bytes());
            }
        }
    }
}

pub(super) fn take_cryptogram(from: &mut Take<'_>) -> Option<Cryptogram> {
    let key = take_key(from)?;
    let number = from.u8()?;
    let version = CryptogramVersion::ALL.into_iter().find(|version| version_number(*version) == number)?;
    let (card, _) = take_card(from)?;
    let signed = from.array()?;
    let iad = from.short()?;
    let presented = take_eight(from)?;
    let answers = [take_answer(from)?, take_answer(from)?];
    Cryptogram::new((key, version), card, signed, iad, presented, answers)
}

/// An answer, or none, which is not the end.
fn take_answer(from: &mut Take<'_>) -> Option<Option<IssuerAnswer>> {
    Some(match from.u8()? {
        0 => None,
        1 => Some(IssuerAnswer::Code(from.array()?)),
        2 => {
            let (update, proprietary) = from.short()?.split_first_chunk()?;
            Some(IssuerAnswer::Status(CardStatus::new(*update, proprietary)?))
        }
        _ => return None,
    })
}

fn version_number(version: CryptogramVersion) -> u8 {
    match version {
        CryptogramVersion::Visa10 => 1,
        CryptogramVersion::Visa18 => 2,
        CryptogramVersion::Visa22 => 3,
        CryptogramVersion::Mastercard10 => 4,
        CryptogramVersion::Mastercard11 => 5,
        CryptogramVersion::Mastercard14 => 6,
        CryptogramVersion::Mastercard15 => 7,
        CryptogramVersion::Aes => 8,
    }
}

pub(super) fn put_translation(out: &mut Vec<u8>, asked: &TranslatePin) {
    put_key(out, asked.from);
    put_key(out, asked.to);
    put_format(out, asked.from_format);
    put_format(out, asked.to_format);
    put_pan(out, &asked.pan);
    match &asked.other_pan {
        Some(pan) => put_pan(out, pan),
        None => out.push(0),
    }
    put_short(out, asked.block.as_bytes());
}

pub(super) fn take_translation(from: &mut Take<'_>) -> Option<TranslatePin> {
    let (key_in, key_out) = (take_key(from)?, take_key(from)?);
    let (from_format, to_format) = (take_format(from)?, take_format(from)?);
    let pan = take_pan(from)?;
    let other_pan = match from.short()? {
        [] => None,
        digits => Some(crate::digits::Pan::parse(digits)?),
    };
    let block = PinBlock::new(from.short()?)?;
    Some(TranslatePin { from: key_in, to: key_out, from_format, to_format, pan, other_pan, block })
}

pub(super) fn put_format(out: &mut Vec<u8>, format: PinFormat) {
    out.push(format.control());
}

pub(super) fn take_format(from: &mut Take<'_>) -> Option<PinFormat> {
    let control = from.u8()?;
    PinFormat::ALL.into_iter().find(|format| format.control() == control)
}
