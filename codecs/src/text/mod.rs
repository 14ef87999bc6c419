//! How content is written: checked, read into its canonical form, written from it.
//!
//! The canonical form of an element is what the rest of the crate works with, whatever the dialect: ASCII
//! characters for everything but binary elements, and bytes for those. In it the separator of a track is `=`.

mod ascii;
mod bcd;
mod block;
mod ebcdic;
mod every;
mod hex;
mod nibbles;
mod repertoire;
mod short;

pub(crate) use bcd::packed_number;
pub(crate) use block::{BLOCK_BYTES, Block};
pub(crate) use ebcdic::{to_ascii as from_ebcdic, write_in_place as to_ebcdic};
pub(crate) use hex::{read_array as read_hex_array, write as write_hex};
pub(crate) use nibbles::all;
pub(crate) use repertoire::Repertoire;
pub(crate) use short::{are_digits, are_printable, number};

use crate::error::Flaw;
use crate::iso8583::{FieldSpec, Kind, Length, Text};

/// Whether a value as it stands on the wire is of its field's kind, padding included.
pub(crate) fn is_sound(spec: &FieldSpec, value: &[u8], units: u16) -> bool {
    let is_odd = units & 1 == 1;
    match spec.text {
        Text::Ascii => ascii::fits(spec.kind, value),
        Text::Ebcdic => ebcdic::fits(spec.kind, value),
        Text::Bcd | Text::BcdLeft => bcd::is_sound(spec.kind, value, is_odd, justified(spec.text)),
        Text::Raw => true,
        Text::HexAscii => hex::fits_ascii(value) && value.len() & 1 == 0,
        Text::HexEbcdic => hex::fits_ebcdic(value) && value.len() & 1 == 0,
    }
}

/// Where the first wrong byte of a value stands, and what is wrong with it, for a value that
/// [`is_sound`] refuses. Slow and exact.
#[cold]
pub(crate) fn first_flaw(spec: &FieldSpec, value: &[u8], units: u16) -> (usize, Flaw) {
    let at = match spec.text {
        Text::Ascii => ascii::first_flaw(spec.kind, value, |byte| byte),
        Text::Ebcdic => ascii::first_flaw(spec.kind, value, ebcdic::to_ascii),
        Text::Bcd | Text::BcdLeft => bcd::first_flaw(spec.kind, value, units & 1 == 1, justified(spec.text)),
        Text::HexAscii => value.iter().position(|byte| !byte.is_ascii_hexdigit()),
        Text::HexEbcdic => value.iter().position(|&byte| !ebcdic::to_ascii(byte).is_ascii_hexdigit()),
        Text::Raw => None,
    };
    // Where all characters are right their number is not: an odd count of hexadecimal characters.
    let at = at.unwrap_or_default();
    let flaw = match (spec.text, spec.kind) {
        (_, Kind::SignedDigits) if at == 0 => Flaw::BadSign,
        (Text::Ascii | Text::Ebcdic, Kind::Digits | Kind::SignedDigits) => Flaw::NotDigits,
        (Text::Bcd | Text::BcdLeft, _) => Flaw::NotBinaryDigits,
        (Text::HexAscii | Text::HexEbcdic, _) => Flaw::NotHex,
        _ => Flaw::NotText,
    };
    (at, flaw)
}

/// Characters or bytes of the canonical form of `units`, which count as the length prefix does.
#[inline(always)]
pub(crate) fn canonical_len(spec: &FieldSpec, units: u16) -> usize {
    let halved =
        matches!(spec.text, Text::HexAscii | Text::HexEbcdic) && matches!(spec.length, Length::Var { .. });
    usize::from(if halved { units >> 1 } else { units })
}

/// Whether a sound value is its own canonical form.
#[inline(always)]
pub(crate) const fn is_canonical_on_the_wire(spec: &FieldSpec) -> bool {
    match spec.text {
        // The separator may be the letter D.
        Text::Ascii => !matches!(spec.kind, Kind::Track),
        Text::Raw => true,
        _ => false,
    }
}

/// The canonical form of a sound value; nothing when `out` is too small.
#[inline]
pub(crate) fn decode<'b>(spec: &FieldSpec, value: &[u8], units: u16, out: &'b mut [u8]) -> Option<&'b [u8]> {
    let out = out.get_mut(..canonical_len(spec, units))?;
    match (spec.text, spec.kind) {
        (Text::Ascii, Kind::Track) => ascii::read_track(value, out),
        (Text::Ascii, _) | (Text::Raw, _) => {
            if out.len() != value.len() {
                return None;
            }
            out.copy_from_slice(value);
        }
        (Text::Ebcdic, Kind::Track) => ebcdic::read_track(value, out),
        (Text::Ebcdic, _) => ebcdic::read(value, out),
        (Text::Bcd | Text::BcdLeft, Kind::SignedDigits) => {
            let (sign, digits) = (value.split_first()?, out.split_first_mut()?);
            *digits.0 = *sign.0;
            bcd::read(sign.1, digits.1, justified(spec.text));
        }
        (Text::Bcd | Text::BcdLeft, _) => bcd::read(value, out, justified(spec.text)),
        (Text::HexAscii, _) => hex::read(value, out, |byte| byte),
        (Text::HexEbcdic, _) => hex::read(value, out, ebcdic::to_ascii),
    }
    Some(out)
}

/// Whether a canonical form is of its field's kind.
#[inline(always)]
pub(crate) fn is_canonical(kind: Kind, canonical: &[u8]) -> bool {
    ascii::fits(kind, canonical)
}

/// Writes a canonical form of the right kind, padded to `units`, into `out`, which has the size that
/// [`FieldSpec::wire_bytes`] gives. Digits are padded on the left, text on the right.
#[inline]
pub(crate) fn encode(spec: &FieldSpec, canonical: &[u8], out: &mut [u8]) {
    match (spec.text, spec.kind) {
        (Text::Ascii | Text::Raw, kind) => ascii::write(kind, canonical, out),
        (Text::Ebcdic, kind) => {
            ascii::write(kind, canonical, out);
            ebcdic::write_in_place(out);
        }
        (Text::Bcd | Text::BcdLeft, Kind::SignedDigits) => {
            let (Some((sign, digits)), Some((first, rest))) =
                (canonical.split_first(), out.split_first_mut())
            else {
                return;
            };
            *first = *sign;
            bcd::write(digits, rest, justified(spec.text));
        }
        (Text::Bcd | Text::BcdLeft, _) => bcd::write(canonical, out, justified(spec.text)),
        (Text::HexAscii, _) => hex::write(canonical, out),
        (Text::HexEbcdic, _) => {
            hex::write(canonical, out);
            ebcdic::write_in_place(out);
        }
    }
}

fn justified(text: Text) -> bcd::Justified {
    if text == Text::BcdLeft { bcd::Justified::Left } else { bcd::Justified::Right }
}
