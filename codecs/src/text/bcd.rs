//! Two digits a byte. An odd count leaves one nibble over: zero on the left where digits are a number, F on
//! the right where they are a sequence. The separator of a track is the nibble D.

use super::every::every;
use super::nibbles;
use crate::iso8583::Kind;

/// On which side the digits stand when their count is odd.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Justified {
    Left,
    Right,
}

/// Whether every nibble is a digit, or the separator of a track.
#[inline(always)]
pub(super) fn fits(kind: Kind, bytes: &[u8]) -> bool {
    match kind {
        Kind::Track => every(bytes, |byte| {
            is_track_digit(byte & 0x0F) & ((byte <= 0x9F) | (byte & 0xF0 == SEPARATOR << 4))
        }),
        _ => every(bytes, |byte| (byte & 0x0F <= 9) & (byte <= 0x9F)),
    }
}

/// Whether a value is of its kind, and its padding what it should be.
pub(super) fn is_sound(kind: Kind, value: &[u8], is_odd: bool, justified: Justified) -> bool {
    match (justified, value) {
        _ if kind == Kind::SignedDigits => first_flaw(kind, value, is_odd, justified).is_none(),
        (Justified::Right, [first, ..]) if is_odd => first >> 4 == 0 && fits(kind, value),
        (Justified::Left, [body @ .., last]) if is_odd => is_left_padded(kind, *last) && fits(kind, body),
        _ => fits(kind, value),
    }
}

/// The first wrong byte of a value, byte by byte; for a signed field the sign is byte 0.
pub(super) fn first_flaw(kind: Kind, value: &[u8], is_odd: bool, justified: Justified) -> Option<usize> {
    if kind == Kind::SignedDigits {
        // The sign takes a byte, so that the digits are one fewer than the units.
        return match value {
            [b'C' | b'D', digits @ ..] => {
                first_flaw(Kind::Digits, digits, !is_odd, justified).map(|at| at.saturating_add(1))
            }
            _ => Some(0),
        };
    }
    let last = value.len().saturating_sub(1);
    value.iter().enumerate().position(|(at, byte)| !match justified {
        Justified::Right if is_odd && at == 0 => byte >> 4 == 0 && fits(kind, &[*byte]),
        Justified::Left if is_odd && at == last => is_left_padded(kind, *byte),
        _ => fits(kind, &[*byte]),
    })
}

/// Whether the last byte holds a digit and what may stand behind the last digit.
fn is_left_padded(kind: Kind, last: u8) -> bool {
    let digit = last >> 4;
    let is_digit = if kind == Kind::Track { is_track_digit(digit) } else { digit <= 9 };
    is_digit && matches!(last & 0x0F, 0 | 0x0F)
}

#[inline(always)]
fn is_track_digit(nibble: u8) -> bool {
    (nibble <= 9) | (nibble == SEPARATOR)
}

/// Unpacks as many digits as `out` is long.
#[inline]
pub(super) fn read(value: &[u8], out: &mut [u8], justified: Justified) {
    let (value, out) = match (value, out) {
        (value, out) if out.len() & 1 == 0 => (value, out),
        ([value @ .., last], [out @ .., digit]) if justified == Justified::Left => {
            *digit = character(last >> 4);
            (value, out)
        }
        ([first, value @ ..], [digit, out @ ..]) => {
            *digit = character(first & 0x0F);
            (value, out)
        }
        // No value: the caller asks for more digits than there are.
        _ => return,
    };
    let (eights, pairs) = out.as_chunks_mut::<8>();
    let (fours, rest) = value.as_chunks::<4>();
    for (eight, four) in eights.iter_mut().zip(fours) {
        *eight = unpack(*four);
    }
    let (pairs, _) = pairs.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(rest) {
        *pair = [character(byte >> 4), character(byte & 0x0F)];
    }
}

/// Packs digits into `out`, which has room for them. Left-justified digits are followed by F, others are
/// preceded by zeros.
#[inline]
pub(super) fn write(digits: &[u8], out: &mut [u8], justified: Justified) {
    let used = (digits.len() >> 1).wrapping_add(digits.len() & 1);
    let mut out = out;
    if out.len() != used {
        let padding = out.len().saturating_sub(used);
        let (zeros, rest) = out.split_at_mut_checked(padding).unwrap_or_default();
        zeros.fill(0);
        out = rest;
    }
    match (digits, out) {
        (digits, out) if digits.len() & 1 == 0 => write_pairs(digits, out),
        ([digits @ .., last], [out @ .., byte]) if justified == Justified::Left => {
            *byte = nibble(*last) << 4 | 0x0F;
            write_pairs(digits, out);
        }
        ([first, digits @ ..], [byte, out @ ..]) => {
            *byte = nibble(*first);
            write_pairs(digits, out);
        }
        // No room: the caller has given less than the digits need.
        _ => {}
    }
}

/// Packs an even number of digits. The last block overlaps the one before it if need be.
#[inline(always)]
fn write_pairs(digits: &[u8], out: &mut [u8]) {
    if let (Some(last), Some(last_out)) = (digits.last_chunk(), out.last_chunk_mut()) {
        *last_out = pack(*last);
        for (four, eight) in out.as_chunks_mut().0.iter_mut().zip(digits.as_chunks().0) {
            *four = pack(*eight);
        }
    } else {
        for (byte, [high, low]) in out.iter_mut().zip(digits.as_chunks().0) {
            *byte = nibble(*high) << 4 | nibble(*low);
        }
    }
}

/// The number that packed digits spell, at most 18 of them.
#[inline]
pub(crate) fn packed_number(value: &[u8]) -> u64 {
    value.iter().fold(0, |sum: u64, byte| {
        let pair = (byte >> 4).wrapping_mul(10).wrapping_add(byte & 0x0F);
        sum.wrapping_mul(100).wrapping_add(u64::from(pair))
    })
}

/// A digit as a character; 0xD becomes the separator `=`.
#[inline(always)]
const fn character(nibble: u8) -> u8 {
    nibble | 0x30
}

/// A character as a digit; `=` and `D` become 0xD.
#[inline(always)]
const fn nibble(character: u8) -> u8 {
    let letter = (character >> 6) & 1;
    (character & 0x0F) | letter | letter << 3
}

#[inline(always)]
const fn unpack(four: [u8; 4]) -> [u8; 8] {
    (nibbles::split(four) | nibbles::all(0x30)).to_be_bytes()
}

#[inline(always)]
const fn pack(eight: [u8; 8]) -> [u8; 4] {
    let word = u64::from_be_bytes(eight);
    let letters = (word >> 6) & nibbles::all(0x01);
    nibbles::join(word & nibbles::all(0x0F) | letters | letters << 3)
}

/// The nibble that separates the parts of a track.
const SEPARATOR: u8 = 0x0D;

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn all_lengths_come_back() {
        let digits = b"8123456790123456=890123456789012345678";
        for len in 0..=digits.len() {
            for justified in [Justified::Left, Justified::Right] {
                let digits = &digits[..len];
                let mut packed = vec![0xAA; len.div_ceil(2)];
                write(digits, &mut packed, justified);
                assert!(is_sound(Kind::Track, &packed, len % 2 == 1, justified), "{len} {packed:02x?}");
                let mut back = vec![0; len];
                read(&packed, &mut back, justified);
                assert_eq!(back, digits, "{len}");
            }
        }
    }

    #[test]
    fn padding_is_zero_on_the_left_and_f_on_the_right() {
        let mut out = [0xAA; 4];
        write(b"123", &mut out, Justified::Right);
        assert_eq!(out, [0, 0, 0x01, 0x23]);
        let mut out = [0xAA; 2];
        write(b"123", &mut out, Justified::Left);
        assert_eq!(out, [0x12, 0x3F]);
        assert!(is_sound(Kind::Digits, &[0x12, 0x30], true, Justified::Left));
        assert!(!is_sound(Kind::Digits, &[0x12, 0x31], true, Justified::Left));
        assert!(!is_sound(Kind::Digits, &[0x11, 0x23], true, Justified::Right));
    }

    #[test]
    fn nibbles_by_kind() {
        for byte in 0..=255_u8 {
            let digit = |nibble: u8| nibble <= 9;
            let (high, low) = (byte >> 4, byte & 15);
            let fits = |kind| fits(kind, &[0x11, byte, 0x22]);
            assert_eq!(fits(Kind::Digits), digit(high) && digit(low), "{byte:#x}");
            let track = |nibble| digit(nibble) || nibble == 13;
            assert_eq!(fits(Kind::Track), track(high) && track(low), "{byte:#x}");
        }
    }

    #[test]
    fn the_flaw_is_found_where_it_is() {
        use Justified::{Left, Right};
        assert_eq!(first_flaw(Kind::Digits, &[0x01, 0x2B], true, Right), Some(1));
        assert_eq!(first_flaw(Kind::Digits, &[0x11, 0x22], true, Right), Some(0));
        assert_eq!(first_flaw(Kind::Track, &[0x12, 0xD3, 0x4E], true, Left), Some(2));
        assert_eq!(first_flaw(Kind::SignedDigits, &[b'C', 0x12, 0xA2], true, Right), Some(2));
        assert_eq!(first_flaw(Kind::SignedDigits, &[b'E', 0x12], true, Right), Some(0));
        assert_eq!(first_flaw(Kind::SignedDigits, &[b'D', 0x01, 0x22], false, Right), None);
    }

    #[test]
    fn the_letter_d_is_a_separator_too() {
        let mut out = [0; 5];
        write(b"12345678D0", &mut out, Justified::Left);
        assert_eq!(out, [0x12, 0x34, 0x56, 0x78, 0xD0]);
        assert_eq!(packed_number(&[0x01, 0x23]), 123);
    }
}
