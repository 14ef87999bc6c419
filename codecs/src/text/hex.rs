//! Bytes shown as two hexadecimal characters each.

use super::ebcdic;
use super::words::{self, HIGH, all, within};

/// Whether the first `len` bytes of `window` are an even number of hexadecimal characters, in ASCII.
#[inline(never)]
pub(super) fn is_ascii(window: &[u8], len: usize) -> bool {
    len & 1 == 0 && words::every(window, len, no_hex)
}

/// The same in EBCDIC.
pub(super) fn is_ebcdic(window: &[u8], len: usize) -> bool {
    let value = window.get(..len).unwrap_or(window);
    len & 1 == 0 && value.iter().all(|&byte| ebcdic::to_ascii(byte).is_ascii_hexdigit())
}

/// Reads as many bytes as `out` is long, each from two characters that `to_ascii` translates.
#[inline(always)]
pub(super) fn read(value: &[u8], out: &mut [u8], to_ascii: impl Fn(u8) -> u8) {
    let (pairs, _) = value.as_chunks::<2>();
    for (byte, &[high, low]) in out.iter_mut().zip(pairs) {
        *byte = nibble(to_ascii(high)) << 4 | nibble(to_ascii(low));
    }
}

/// Eight bytes from sixteen characters; nothing when one of them is not hexadecimal.
#[inline(always)]
pub(crate) fn read_array(characters: [u8; 16]) -> Option<[u8; 8]> {
    if !words::every(&characters, 16, no_hex) {
        return None;
    }
    let mut bytes = [0; 8];
    read(&characters, &mut bytes, |byte| byte);
    Some(bytes)
}

/// Writes `bytes` in upper case into `out`, which is twice as long.
#[inline(always)]
pub(crate) fn write(bytes: &[u8], out: &mut [u8]) {
    let (pairs, _) = out.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [character(byte >> 4), character(byte & 0x0F)];
    }
}

#[inline(always)]
const fn no_hex(word: u64) -> u64 {
    let low = word & !HIGH;
    let letters = within(low | all(0x20), b'a', b'f');
    word & HIGH | !(letters | within(low, b'0', b'9')) & HIGH
}

/// For a hexadecimal character only: a letter has bit 6 set and 1 for A in its low bits.
#[inline(always)]
const fn nibble(character: u8) -> u8 {
    let letter = (character >> 6) & 1;
    (character & 0x0F).wrapping_add(letter | letter << 3)
}

#[inline(always)]
fn character(nibble: u8) -> u8 {
    let letter = u8::from(nibble > 9).wrapping_mul(7);
    nibble.wrapping_add(b'0').wrapping_add(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cases_are_read_and_upper_case_is_written() {
        let bytes = [0x00, 0x19, 0xAF, 0xfa, 0x5C, 0x99, 0xFF, 0x10];
        let mut out = [0; 16];
        write(&bytes, &mut out);
        assert_eq!(&out, b"0019AFFA5C99FF10");
        assert_eq!(read_array(out), Some(bytes));
        assert_eq!(read_array(*b"0019affa5c99ff10"), Some(bytes));
        assert_eq!(read_array(*b"0019AFFA5C99FF1G"), None);
    }

    #[test]
    fn only_hexadecimal_characters_in_pairs() {
        for byte in 0..=255_u8 {
            assert_eq!(is_ascii(&[byte, b'0'], 2), byte.is_ascii_hexdigit(), "{byte:#x}");
        }
        assert!(!is_ascii(b"123", 3) && is_ascii(b"", 0));
        assert!(is_ebcdic(&[0xF0, 0xC1], 2) && !is_ebcdic(b"01", 2));
    }
}
