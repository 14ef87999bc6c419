//! One ASCII character a byte, and which characters each kind of field may hold.

use super::words::{self, HIGH, all, within};
use crate::iso8583::Kind;

/// Whether the first `len` bytes of `window` are allowed in a field of this kind.
#[inline(never)]
pub(super) fn fits(kind: Kind, window: &[u8], len: usize) -> bool {
    match kind {
        Kind::Digits => words::every(window, len, no_digits),
        Kind::Text => words::every(window, len, not_printable),
        Kind::AlphaDigits => words::every(window, len, no_letters_or_digits),
        Kind::Track => words::every(window, len, no_track),
        Kind::Alpha => words::every(window, len, no_letters),
        Kind::SignedDigits => match window {
            [b'C' | b'D', digits @ ..] => words::every(digits, len.wrapping_sub(1), no_digits),
            _ => false,
        },
        Kind::Binary => true,
    }
}

/// Whether one character is allowed in a field of this kind: what [`fits`] means, byte by byte. The sign of
/// a signed field is not a matter of the character alone.
pub(super) const fn allows(kind: Kind, byte: u8) -> bool {
    match kind {
        Kind::Digits | Kind::SignedDigits => byte.is_ascii_digit(),
        Kind::Alpha => byte.is_ascii_alphabetic() || byte == b' ',
        Kind::AlphaDigits => byte.is_ascii_alphanumeric() || byte == b' ',
        Kind::Text => matches!(byte, b' '..=b'~'),
        Kind::Track => byte.is_ascii_digit() || matches!(byte, b'=' | b'D'),
        Kind::Binary => true,
    }
}

/// A track with its separator made canonical.
#[inline]
pub(super) fn read_track(value: &[u8], out: &mut [u8]) {
    for (to, &from) in out.iter_mut().zip(value) {
        *to = if from == b'D' { b'=' } else { from };
    }
}

/// The same in place.
pub(super) fn mark_separator(track: &mut [u8]) {
    for byte in track {
        if *byte == b'D' {
            *byte = b'=';
        }
    }
}

/// Copies `canonical` into `out`, which is at least as long, and pads: digits on the left, others on the
/// right.
#[inline(always)]
pub(super) fn write(kind: Kind, canonical: &[u8], out: &mut [u8]) {
    let padding = out.len().saturating_sub(canonical.len());
    let content = if padding == 0 {
        out
    } else if matches!(kind, Kind::Digits) {
        let (zeros, content) = out.split_at_mut_checked(padding).unwrap_or_default();
        zeros.fill(b'0');
        content
    } else {
        let (content, spaces) = out.split_at_mut_checked(canonical.len()).unwrap_or_default();
        spaces.fill(b' ');
        content
    };
    if content.len() == canonical.len() {
        content.copy_from_slice(canonical);
    }
}

#[inline(always)]
const fn no_digits(word: u64) -> u64 {
    words::no_digits(word, b'0')
}

#[inline(always)]
const fn not_printable(word: u64) -> u64 {
    let low = word & !HIGH;
    (word | !low.wrapping_add(all(0x80 - b' ')) | low.wrapping_add(all(0x7F - b'~'))) & HIGH
}

#[inline(always)]
const fn no_letters(word: u64) -> u64 {
    word & HIGH | !(letters(word) | spaces(word)) & HIGH
}

#[inline(always)]
const fn no_letters_or_digits(word: u64) -> u64 {
    word & HIGH | !(letters(word) | spaces(word) | within(word & !HIGH, b'0', b'9')) & HIGH
}

#[inline(always)]
const fn no_track(word: u64) -> u64 {
    let low = word & !HIGH;
    let separators = within(low, b'=', b'=') | within(low, b'D', b'D');
    word & HIGH | !(separators | within(low, b'0', b'9')) & HIGH
}

/// The high bit of each letter.
#[inline(always)]
const fn letters(word: u64) -> u64 {
    // Setting bit 5 turns capitals into small letters and moves nothing else into their range.
    within(word & !HIGH | all(0x20), b'a', b'z')
}

#[inline(always)]
const fn spaces(word: u64) -> u64 {
    within(word & !HIGH, b' ', b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_characters_agree() {
        for kind in [Kind::Digits, Kind::Alpha, Kind::AlphaDigits, Kind::Text, Kind::Track, Kind::Binary] {
            for byte in 0..=255 {
                for len in [1, 5, 9] {
                    let bytes = &[byte; 9][..len];
                    assert_eq!(fits(kind, bytes, len), allows(kind, byte), "{kind:?} {byte:#x} {len}");
                }
            }
        }
    }

    #[test]
    fn padding_by_kind() {
        let mut out = [0; 6];
        write(Kind::Digits, b"42", &mut out);
        assert_eq!(&out, b"000042");
        write(Kind::Text, b"T2", &mut out);
        assert_eq!(&out, b"T2    ");
    }
}
