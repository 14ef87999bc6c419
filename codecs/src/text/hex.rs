//! Bytes shown as two hexadecimal characters each.

use super::every::every;
use super::{ebcdic, nibbles};

/// Whether all bytes are hexadecimal characters, in ASCII.
#[inline(always)]
pub(super) fn fits_ascii(bytes: &[u8]) -> bool {
    every(bytes, is_hexadecimal)
}

#[inline(always)]
fn is_hexadecimal(character: u8) -> bool {
    character.is_ascii_digit() | matches!(character | 0x20, b'a'..=b'f')
}

/// The same in EBCDIC.
pub(super) fn fits_ebcdic(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| ebcdic::to_ascii(byte).is_ascii_hexdigit())
}

/// Reads as many bytes as `out` is long, each from two characters that `to_ascii` translates.
#[inline(always)]
pub(super) fn read(value: &[u8], out: &mut [u8], to_ascii: impl Fn(u8) -> u8) {
    let (eights, rest) = value.as_chunks::<8>();
    let (fours, bytes) = out.as_chunks_mut::<4>();
    for (four, eight) in fours.iter_mut().zip(eights) {
        *four = nibbles::join(values(eight.map(&to_ascii)));
    }
    let (pairs, _) = rest.as_chunks::<2>();
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        let [_, _, _, joined] = nibbles::join(values([0, 0, 0, 0, 0, 0, to_ascii(high), to_ascii(low)]));
        *byte = joined;
    }
}

/// Eight bytes from sixteen characters; nothing when one of them is not hexadecimal.
#[inline(always)]
pub(crate) fn read_array(characters: [u8; 16]) -> Option<[u8; 8]> {
    let (eights, _) = characters.as_chunks();
    let [first, last] = eights else { return None };
    let ([a, b, c, d], [e, f, g, h]) = (nibbles::join(values(*first)), nibbles::join(values(*last)));
    let sound = are_hexadecimal(u64::from_ne_bytes(*first)) & are_hexadecimal(u64::from_ne_bytes(*last));
    sound.then_some([a, b, c, d, e, f, g, h])
}

/// Whether eight characters are hexadecimal, in any order.
#[inline(always)]
const fn are_hexadecimal(word: u64) -> bool {
    // As what stands above '0', and as what stands above '`' in lower case; nothing is carried from a byte to the next
    // where none is above 0x7F.
    let above_zero = word ^ nibbles::all(b'0');
    let above_letters = (word | nibbles::all(0x20)) ^ nibbles::all(b'`');
    let no_digit = above_zero.wrapping_add(nibbles::all(0x80 - 10));
    let beyond_f = above_letters.wrapping_add(nibbles::all(0x80 - 7));
    let from_a = above_letters.wrapping_add(nibbles::all(0x80 - 1));
    (word | no_digit & (beyond_f | !from_a)) & nibbles::all(0x80) == 0
}

/// Writes `bytes` in upper case into `out`, which is twice as long.
#[inline(always)]
pub(crate) fn write(bytes: &[u8], out: &mut [u8]) {
    let (fours, rest) = bytes.as_chunks();
    let (eights, pairs) = out.as_chunks_mut::<8>();
    for (eight, four) in eights.iter_mut().zip(fours) {
        *eight = characters(nibbles::split(*four)).to_be_bytes();
    }
    let (pairs, _) = pairs.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(rest) {
        let [_, _, _, _, _, _, high, low] =
            characters(u64::from(byte >> 4) << 8 | u64::from(byte & 0x0F)).to_be_bytes();
        *pair = [high, low];
    }
}

/// Eight values as characters: from ten on they begin seven further on.
#[inline(always)]
const fn characters(values: u64) -> u64 {
    let letters = (values.wrapping_add(nibbles::all(6)) >> 4) & nibbles::all(1);
    values.wrapping_add(nibbles::all(b'0')).wrapping_add(letters.wrapping_mul(7))
}

/// The values of hexadecimal characters: a letter has bit 6 set, and 1 for A in its low bits.
#[inline(always)]
const fn values(characters: [u8; 8]) -> u64 {
    let word = u64::from_be_bytes(characters);
    let letters = (word >> 6) & nibbles::all(0x01);
    (word & nibbles::all(0x0F)).wrapping_add(letters | letters << 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cases_are_read_and_upper_case_is_written() {
        let bytes = [0x00, 0x19, 0xAF, 0xFA, 0x5C, 0x99, 0xFF, 0x10];
        let mut out = [0; 16];
        write(&bytes, &mut out);
        assert_eq!(&out, b"0019AFFA5C99FF10");
        assert_eq!(read_array(out), Some(bytes));
        assert_eq!(read_array(*b"0019affa5c99ff10"), Some(bytes));
        assert_eq!(read_array(*b"0019AFFA5C99FF1G"), None);
        let mut five = [0; 5];
        read(b"0019AFFA5C", &mut five, |byte| byte);
        assert_eq!(five, bytes[..5]);
    }

    #[test]
    fn only_hexadecimal_characters() {
        for byte in 0..=255_u8 {
            assert_eq!(fits_ascii(&[byte, b'0']), byte.is_ascii_hexdigit(), "{byte:#x}");
            for place in 0..16 {
                for other in [b'0', b'f'] {
                    let mut sixteen = [other; 16];
                    sixteen[place] = byte;
                    assert_eq!(read_array(sixteen).is_some(), byte.is_ascii_hexdigit(), "{sixteen:?}");
                }
            }
        }
        assert!(fits_ebcdic(&[0xF0, 0xC1]) && !fits_ebcdic(b"01"));
    }
}
