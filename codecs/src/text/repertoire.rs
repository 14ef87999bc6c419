//! Which bytes an element may hold, where each of them can be judged without knowing its place: what neighbouring
//! elements must have in common to be checked together.

use super::{ascii, bcd, ebcdic, hex};
use crate::iso8583::{Kind, Text};

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Repertoire {
    AsciiDigits,
    AsciiAlpha,
    AsciiAlphaDigits,
    AsciiText,
    AsciiTrack,
    EbcdicDigits,
    EbcdicAlpha,
    EbcdicAlphaDigits,
    EbcdicText,
    EbcdicTrack,
    /// Two digits a byte, whatever side they are justified to.
    PackedDigits,
    PackedTrack,
    HexAscii,
    HexEbcdic,
    /// Every byte.
    Any,
    /// None in common with a neighbour: a sign is not judged like the digits behind it.
    Alone,
}

impl Repertoire {
    /// That of the elements of a kind that are written so.
    pub(crate) const fn of(text: Text, kind: Kind) -> Repertoire {
        match (text, kind) {
            (_, Kind::SignedDigits) => Repertoire::Alone,
            (Text::Raw, _) | (Text::Ascii | Text::Ebcdic, Kind::Binary) => Repertoire::Any,
            (Text::HexAscii, _) => Repertoire::HexAscii,
            (Text::HexEbcdic, _) => Repertoire::HexEbcdic,
            (Text::Bcd | Text::BcdLeft, Kind::Track) => Repertoire::PackedTrack,
            (Text::Bcd | Text::BcdLeft, _) => Repertoire::PackedDigits,
            (Text::Ascii, Kind::Digits) => Repertoire::AsciiDigits,
            (Text::Ascii, Kind::Alpha) => Repertoire::AsciiAlpha,
            (Text::Ascii, Kind::AlphaDigits) => Repertoire::AsciiAlphaDigits,
            (Text::Ascii, Kind::Text) => Repertoire::AsciiText,
            (Text::Ascii, Kind::Track) => Repertoire::AsciiTrack,
            (Text::Ebcdic, Kind::Digits) => Repertoire::EbcdicDigits,
            (Text::Ebcdic, Kind::Alpha) => Repertoire::EbcdicAlpha,
            (Text::Ebcdic, Kind::AlphaDigits) => Repertoire::EbcdicAlphaDigits,
            (Text::Ebcdic, Kind::Text) => Repertoire::EbcdicText,
            (Text::Ebcdic, Kind::Track) => Repertoire::EbcdicTrack,
        }
    }

    /// The lowest and the highest byte, where it has all between them; of a track those of its digits.
    pub(crate) const fn bounds(self) -> Option<(u8, u8)> {
        match self {
            Repertoire::AsciiDigits | Repertoire::AsciiTrack => Some((b'0', b'9')),
            Repertoire::EbcdicDigits | Repertoire::EbcdicTrack => Some((0xF0, 0xF9)),
            Repertoire::AsciiText => Some((b' ', b'~')),
            Repertoire::Any => Some((0, u8::MAX)),
            _ => None,
        }
    }

    /// Whether it has all of these bytes.
    #[inline(always)]
    pub(crate) fn has(self, bytes: &[u8]) -> bool {
        match self {
            Repertoire::AsciiDigits => ascii::fits(Kind::Digits, bytes),
            Repertoire::AsciiAlpha => ascii::fits(Kind::Alpha, bytes),
            Repertoire::AsciiAlphaDigits => ascii::fits(Kind::AlphaDigits, bytes),
            Repertoire::AsciiText => ascii::fits(Kind::Text, bytes),
            Repertoire::AsciiTrack => ascii::fits(Kind::Track, bytes),
            Repertoire::EbcdicDigits => ebcdic::fits(Kind::Digits, bytes),
            Repertoire::EbcdicAlpha => ebcdic::fits(Kind::Alpha, bytes),
            Repertoire::EbcdicAlphaDigits => ebcdic::fits(Kind::AlphaDigits, bytes),
            Repertoire::EbcdicText => ebcdic::fits(Kind::Text, bytes),
            Repertoire::EbcdicTrack => ebcdic::fits(Kind::Track, bytes),
            Repertoire::PackedDigits => bcd::fits(Kind::Digits, bytes),
            Repertoire::PackedTrack => bcd::fits(Kind::Track, bytes),
            Repertoire::HexAscii => hex::fits_ascii(bytes),
            Repertoire::HexEbcdic => hex::fits_ebcdic(bytes),
            Repertoire::Any | Repertoire::Alone => true,
        }
    }
}
