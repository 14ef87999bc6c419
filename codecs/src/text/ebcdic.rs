//! One EBCDIC character a byte: code page 037, as IBM hosts in the Americas use it.
//!
//! Code pages 500 and 1047 agree with it on letters, digits and the usual punctuation. They have the caret,
//! which separates the parts of track 1, where 037 has the not sign; that byte is read as a caret.

use super::ascii;
use super::every::every;
use crate::iso8583::Kind;

/// Whether all bytes are allowed in a field of this kind.
#[inline(always)]
pub(super) fn fits(kind: Kind, bytes: &[u8]) -> bool {
    match (kind, bytes) {
        (Kind::Digits, _) => every(bytes, |byte| matches!(byte, 0xF0..=0xF9)),
        (Kind::SignedDigits, [sign, digits @ ..]) => {
            matches!(to_ascii(*sign), b'C' | b'D') && fits(Kind::Digits, digits)
        }
        (Kind::SignedDigits, []) => false,
        _ => bytes.iter().all(|&byte| ascii::allows(kind, to_ascii(byte))),
    }
}

/// Translates as many characters as both slices have.
#[inline]
pub(super) fn read(value: &[u8], out: &mut [u8]) {
    for (to, &from) in out.iter_mut().zip(value) {
        *to = to_ascii(from);
    }
}

/// The same for a track, whose separator is made canonical.
pub(super) fn read_track(value: &[u8], out: &mut [u8]) {
    for (to, &from) in out.iter_mut().zip(value) {
        let character = to_ascii(from);
        *to = if character == b'D' { b'=' } else { character };
    }
}

/// Translates ASCII characters where they stand.
#[inline]
pub(crate) fn write_in_place(characters: &mut [u8]) {
    for character in characters {
        *character = FROM_ASCII.get(usize::from(*character)).copied().unwrap_or(SUBSTITUTE);
    }
}

/// The ASCII character of an EBCDIC byte; 0 for one that has no printable ASCII character.
#[inline(always)]
pub(crate) fn to_ascii(byte: u8) -> u8 {
    TO_ASCII.as_flattened().get(usize::from(byte)).copied().unwrap_or_default()
}

/// What EBCDIC calls SUB; it stands for characters that are not of the code page.
const SUBSTITUTE: u8 = 0x3F;

/// A row for each high nibble.
const TO_ASCII: [[u8; 16]; 16] = [
    *b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    *b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    *b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    *b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    *b" \0\0\0\0\0\0\0\0\0\0.<(+|",
    *b"&\0\0\0\0\0\0\0\0\0!$*);^",
    *b"-/\0\0\0\0\0\0\0\0\0,%_>?",
    *b"\0\0\0\0\0\0\0\0\0`:#@'=\"",
    *b"\0abcdefghi\0\0\0\0\0\0",
    *b"\0jklmnopqr\0\0\0\0\0\0",
    *b"\0~stuvwxyz\0\0\0\0\0\0",
    *b"^\0\0\0\0\0\0\0\0\0[]\0\0\0\0",
    *b"{ABCDEFGHI\0\0\0\0\0\0",
    *b"}JKLMNOPQR\0\0\0\0\0\0",
    *b"\\\0STUVWXYZ\0\0\0\0\0\0",
    *b"0123456789\0\0\0\0\0\0",
];

const FROM_ASCII: [u8; 128] = inverse();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "runs when the crate is built"
)]
const fn inverse() -> [u8; 128] {
    let mut table = [SUBSTITUTE; 128];
    let mut byte = 0;
    while byte < 256 {
        let ascii = TO_ASCII[byte / 16][byte % 16];
        // Ascending, so that the caret is written as code page 037 has it.
        if ascii != 0 {
            table[ascii as usize] = byte as u8;
        }
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_ascii_comes_back() {
        for ascii in b' '..=b'~' {
            let mut byte = [ascii];
            write_in_place(&mut byte);
            assert_eq!(to_ascii(byte[0]), ascii);
        }
    }

    #[test]
    fn known_characters() {
        let mut text = *b"Az09 =^";
        write_in_place(&mut text);
        assert_eq!(text, [0xC1, 0xA9, 0xF0, 0xF9, 0x40, 0x7E, 0xB0]);
        assert_eq!(to_ascii(0x5F), b'^');
        assert!(fits(Kind::Track, &[0xF4, 0x7E, 0xF0]) && !fits(Kind::Track, b"4=0"));
        assert!(fits(Kind::SignedDigits, &[0xC3, 0xF0]) && !fits(Kind::SignedDigits, &[0xF0, 0xF0]));
    }
}
