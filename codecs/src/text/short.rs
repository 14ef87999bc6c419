//! Values of a few characters, most of them checked when their message was read: a word or two say whether they are what
//! they should be.

use super::ascii;
use super::nibbles::all;
use crate::iso8583::Kind;

/// Whether all characters are digits.
#[inline]
pub(crate) fn are_digits(characters: &[u8]) -> bool {
    match words(characters) {
        // The upper halves are 3, also with 6 added.
        Some(words) => words
            .iter()
            .all(|word| (word & all(0xF0)) | (word.wrapping_add(all(0x06)) & all(0xF0)) >> 4 == all(0x33)),
        None => ascii::fits(Kind::Digits, characters),
    }
}

/// Whether all characters are printable.
#[inline]
pub(crate) fn are_printable(characters: &[u8]) -> bool {
    match words(characters) {
        // Not above 0x7E, so that nothing is carried; then not below a space, so that nothing is borrowed.
        Some(words) => words.iter().all(|word| {
            (word | word.wrapping_add(all(0x01))) & all(0x80) == 0
                && (word | all(0x80)).wrapping_sub(all(b' ')) & all(0x80) == all(0x80)
        }),
        None => ascii::fits(Kind::Text, characters),
    }
}

/// The first eight and the last eight characters, or the first and last four twice: all of them, if they are four to
/// sixteen.
#[inline(always)]
fn words(characters: &[u8]) -> Option<[u64; 2]> {
    if characters.len() > 16 {
        return None;
    }
    match (characters.first_chunk(), characters.last_chunk()) {
        (Some(first), Some(last)) => Some([u64::from_le_bytes(*first), u64::from_le_bytes(*last)]),
        _ => {
            let (first, last) = (characters.first_chunk()?, characters.last_chunk()?);
            let word = u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
            Some([word, word])
        }
    }
}

/// The number that digits spell, in ASCII or EBCDIC: only the lower half of each character is looked at. At most 18 of them.
#[inline]
pub(crate) fn number(digits: &[u8]) -> u64 {
    // What the last digits have as well is shifted out of the first.
    match digits.len() {
        8..=16 => {
            let (Some(first), Some(last)) = (digits.first_chunk(), digits.last_chunk()) else { return 0 };
            let unread = 16_usize.wrapping_sub(digits.len());
            let first = shifted_out(u64::from_le_bytes(*first), unread);
            number_of_eight(first)
                .wrapping_mul(100_000_000)
                .wrapping_add(number_of_eight(u64::from_le_bytes(*last)))
        }
        4..=7 => {
            let (Some(first), Some(last)) = (digits.first_chunk(), digits.last_chunk()) else { return 0 };
            let unread = 8_usize.wrapping_sub(digits.len());
            let first = shifted_out(u64::from(u32::from_le_bytes(*first)), unread) & 0xFFFF_FFFF;
            number_of_eight(first | u64::from(u32::from_le_bytes(*last)) << 32)
        }
        _ => match *digits {
            [a] => ones(a),
            [a, b] => ones(a).wrapping_mul(10).wrapping_add(ones(b)),
            [a, b, c] => {
                ones(a).wrapping_mul(100).wrapping_add(ones(b).wrapping_mul(10)).wrapping_add(ones(c))
            }
            _ => digits.iter().fold(0, |sum, digit| sum.wrapping_mul(10).wrapping_add(ones(*digit))),
        },
    }
}

#[inline(always)]
fn ones(digit: u8) -> u64 {
    u64::from(digit & 0x0F)
}

/// So many characters fewer, from the end on: at most eight.
#[inline(always)]
fn shifted_out(characters: u64, count: usize) -> u64 {
    let bits = u32::try_from(count).unwrap_or_default().wrapping_mul(8);
    characters.checked_shl(bits).unwrap_or_default()
}

/// Neighbours are joined, then pairs, then fours.
#[inline(always)]
fn number_of_eight(digits: u64) -> u64 {
    let ones = digits & all(0x0F);
    let pairs = ones.wrapping_mul(10).wrapping_add(ones >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn every_character_of_each_length_counts() {
        for len in 0..24 {
            let digits: Vec<u8> = (0..len).map(|place| b'0' + (place * 7 % 10) as u8).collect();
            assert!(are_digits(&digits) && are_printable(&digits));
            for place in 0..len {
                for byte in 0..=255_u8 {
                    let mut other = digits.clone();
                    other[place] = byte;
                    assert_eq!(are_digits(&other), byte.is_ascii_digit(), "{other:?}");
                    assert_eq!(are_printable(&other), (b' '..=b'~').contains(&byte), "{other:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_of_every_length() {
        assert_eq!(number(b""), 0);
        for len in 1..=18 {
            let digits = &b"987654321012345678"[..len];
            let expected = core::str::from_utf8(digits).unwrap().parse();
            assert_eq!(Ok(number(digits)), expected);
            let ebcdic: Vec<u8> = digits.iter().map(|digit| digit | 0xF0).collect();
            assert_eq!(Ok(number(&ebcdic)), expected);
        }
    }
}
