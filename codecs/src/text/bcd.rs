//! Two digits a byte. An odd count leaves one nibble over: zero on the left where digits are a number, F on
//! the right where they are a sequence. The separator of a track is the nibble D.

use super::words;
use crate::iso8583::Kind;

/// On which side the digits stand when their count is odd.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Justified {
    Left,
    Right,
}

/// Whether every nibble of the first `len` bytes of `window` is a digit (or the separator of a track), and the
/// padding what it should be.
#[inline(never)]
pub(super) fn fits(kind: Kind, window: &[u8], len: usize, units: u16, justified: Justified) -> bool {
    match kind {
        Kind::Track => nibbles_fit(window, len, units, justified, no_track),
        Kind::SignedDigits => match window {
            // The sign takes a byte, so that the digits are one fewer than the units.
            [b'C' | b'D', digits @ ..] => {
                nibbles_fit(digits, len.wrapping_sub(1), units.wrapping_sub(1), justified, above_nine)
            }
            _ => false,
        },
        _ => nibbles_fit(window, len, units, justified, above_nine),
    }
}

/// The first byte that [`fits`] objects to; for a signed field the sign is byte 0.
pub(super) fn first_flaw(kind: Kind, value: &[u8], units: u16, left: bool) -> Option<usize> {
    let justified = if left { Justified::Left } else { Justified::Right };
    if kind == Kind::SignedDigits {
        let (sign, digits) = value.split_first()?;
        return match sign {
            b'C' | b'D' => {
                first_flaw(Kind::Digits, digits, units.wrapping_sub(1), left).map(|at| at.saturating_add(1))
            }
            _ => Some(0),
        };
    }
    let last = value.len().saturating_sub(1);
    value.iter().enumerate().position(|(at, byte)| {
        // Each byte is judged as a field of its own; only the ends can hold padding.
        let is_padded = units & 1 == 1 && at == if left { last } else { 0 };
        !fits(kind, &[*byte], 1, if is_padded { 1 } else { 2 }, justified)
    })
}

/// Unpacks as many digits as `out` is long.
#[inline]
pub(super) fn read(value: &[u8], out: &mut [u8], left: bool) {
    let (value, out) = match (value, out) {
        (value, out) if out.len() & 1 == 0 => (value, out),
        ([value @ .., last], [out @ .., digit]) if left => {
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
pub(super) fn write(digits: &[u8], out: &mut [u8], left: bool) {
    let padding = out.len().saturating_sub(digits.len().div_ceil(2));
    let (zeros, out) = out.split_at_mut_checked(padding).unwrap_or_default();
    zeros.fill(0);
    let (digits, out) = match (digits, out) {
        (digits, out) if digits.len() & 1 == 0 => (digits, out),
        ([digits @ .., last], [out @ .., byte]) if left => {
            *byte = nibble(*last) << 4 | 0x0F;
            (digits, out)
        }
        ([first, digits @ ..], [byte, out @ ..]) => {
            *byte = nibble(*first);
            (digits, out)
        }
        // No room: the caller has given less than the digits need.
        _ => return,
    };
    let (eights, rest) = digits.as_chunks::<8>();
    let (fours, bytes) = out.as_chunks_mut::<4>();
    for (four, eight) in fours.iter_mut().zip(eights) {
        *four = pack(*eight);
    }
    let (pairs, _) = rest.as_chunks::<2>();
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high) << 4 | nibble(*low);
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

#[inline(always)]
fn nibbles_fit(
    window: &[u8],
    len: usize,
    units: u16,
    justified: Justified,
    wrong: impl Fn(u64) -> u64,
) -> bool {
    let is_odd = units & 1 == 1;
    match justified {
        Justified::Right => {
            let is_padded = !is_odd || window.first().is_some_and(|first| first >> 4 == 0);
            is_padded && words::every(window, len, wrong)
        }
        Justified::Left if is_odd => {
            let body = len.wrapping_sub(1);
            let is_padded = window
                .get(body)
                .is_some_and(|last| matches!(last & 0x0F, 0 | 0x0F) && wrong(words::all(last & 0xF0)) == 0);
            is_padded && words::every(window, body, wrong)
        }
        Justified::Left => words::every(window, len, wrong),
    }
}

/// The nibbles that are no digits: bit 3 set, and bit 2 or bit 1.
#[inline(always)]
const fn above_nine(word: u64) -> u64 {
    word & ((word << 1) | (word << 2)) & words::all(0x88)
}

/// The same, but D may stand among the digits.
#[inline(always)]
const fn no_track(word: u64) -> u64 {
    let separators = word & (word << 1) & !(word << 2) & (word << 3);
    above_nine(word) & !separators
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
    let [a, b, c, d] = four;
    let word = u64::from_be_bytes([0, 0, 0, 0, a, b, c, d]);
    let word = (word | word << 16) & 0x0000_FFFF_0000_FFFF;
    let word = (word | word << 8) & 0x00FF_00FF_00FF_00FF;
    let word = (word | word << 4) & words::all(0x0F);
    (word | words::all(0x30)).to_be_bytes()
}

#[inline(always)]
const fn pack(eight: [u8; 8]) -> [u8; 4] {
    let word = u64::from_be_bytes(eight);
    let letters = (word >> 6) & words::all(0x01);
    let word = (word & words::all(0x0F)) | letters | letters << 3;
    let word = (word | word >> 4) & 0x00FF_00FF_00FF_00FF;
    let word = (word | word >> 8) & 0x0000_FFFF_0000_FFFF;
    let [_, _, a, b, _, _, c, d] = word.to_be_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn all_lengths_come_back() {
        let digits = b"8123456790123456=890123456789012345678";
        for len in 0..=digits.len() {
            for left in [false, true] {
                let digits = &digits[..len];
                let mut packed = vec![0xAA; len.div_ceil(2)];
                write(digits, &mut packed, left);
                let justified = if left { Justified::Left } else { Justified::Right };
                let units = u16::try_from(len).unwrap();
                assert!(
                    fits(Kind::Track, &packed, packed.len(), units, justified),
                    "{len} {left} {packed:02x?}"
                );
                let mut back = vec![0; len];
                read(&packed, &mut back, left);
                assert_eq!(back, digits, "{len} {left}");
            }
        }
    }

    #[test]
    fn padding_is_zero_on_the_left_and_f_on_the_right() {
        let mut out = [0xAA; 4];
        write(b"123", &mut out, false);
        assert_eq!(out, [0, 0, 0x01, 0x23]);
        let mut out = [0xAA; 2];
        write(b"123", &mut out, true);
        assert_eq!(out, [0x12, 0x3F]);
        assert!(fits(Kind::Digits, &[0x12, 0x30], 2, 3, Justified::Left));
        assert!(!fits(Kind::Digits, &[0x12, 0x31], 2, 3, Justified::Left));
        assert!(!fits(Kind::Digits, &[0x11, 0x23], 2, 3, Justified::Right));
    }

    #[test]
    fn nibbles_by_kind() {
        for byte in 0..=255_u8 {
            let digit = |nibble: u8| nibble <= 9;
            let (high, low) = (byte >> 4, byte & 15);
            let fits = |kind| fits(kind, &[0x11, byte, 0x22], 3, 6, Justified::Right);
            assert_eq!(fits(Kind::Digits), digit(high) && digit(low), "{byte:#x}");
            let track = |nibble| digit(nibble) || nibble == 13;
            assert_eq!(fits(Kind::Track), track(high) && track(low), "{byte:#x}");
        }
    }

    #[test]
    fn the_flaw_is_found_where_it_is() {
        assert_eq!(first_flaw(Kind::Digits, &[0x01, 0x2B], 3, false), Some(1));
        assert_eq!(first_flaw(Kind::Digits, &[0x11, 0x22], 3, false), Some(0));
        assert_eq!(first_flaw(Kind::Track, &[0x12, 0xD3, 0x4E], 5, true), Some(2));
        assert_eq!(first_flaw(Kind::SignedDigits, &[b'C', 0x12, 0xA2], 5, false), Some(2));
        assert_eq!(first_flaw(Kind::SignedDigits, &[b'E', 0x12], 3, false), Some(0));
    }

    #[test]
    fn the_letter_d_is_a_separator_too() {
        let mut out = [0; 5];
        write(b"12345678D0", &mut out, true);
        assert_eq!(out, [0x12, 0x34, 0x56, 0x78, 0xD0]);
        assert_eq!(packed_number(&[0x01, 0x23]), 123);
    }
}
