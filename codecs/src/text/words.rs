//! Eight bytes at a time with plain integer arithmetic.
//!
//! Checking every byte of a message one by one costs more than finding its elements. A test of eight bytes
//! held in one `u64` makes the check several times as quick, without unsafe code or vector instructions. Such
//! a test returns a word whose bits in the place of each byte are clear if that byte is right.

/// The byte `value` in all eight places.
#[inline(always)]
pub(super) const fn all(value: u8) -> u64 {
    u64::from_ne_bytes([value; 8])
}

/// The highest bit of all eight bytes.
pub(super) const HIGH: u64 = all(0x80);

/// Whether the first `len` bytes of `window` pass the test `wrong`. What stands behind them does not count,
/// but where it is there whole words can be read, which spares a search for the last few bytes.
#[inline(always)]
pub(super) fn every(window: &[u8], len: usize, wrong: impl Fn(u64) -> u64) -> bool {
    let mut rest = window;
    let mut left = len;
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let wrong = wrong(u64::from_le_bytes(*word));
        if left <= 8 {
            return wrong.unbounded_shl(bits_behind(left)) == 0;
        }
        if wrong != 0 {
            return false;
        }
        rest = behind;
        left = left.wrapping_sub(8);
    }
    wrong(spread(rest.get(..left).unwrap_or(rest))).unbounded_shl(if left == 0 { 64 } else { 0 }) == 0
}

/// Bits of a word that do not belong to its first `left` bytes, of which there are at most eight.
#[inline(always)]
const fn bits_behind(left: usize) -> u32 {
    let [low, ..] = left.to_le_bytes();
    let bits = 64_u8.wrapping_sub(low.wrapping_mul(8));
    u32::from_le_bytes([bits, 0, 0, 0])
}

/// A word that holds each of up to seven bytes at least once, and nothing else.
#[inline(always)]
fn spread(bytes: &[u8]) -> u64 {
    match *bytes {
        [] => 0,
        [a] => all(a),
        [a, b] => u64::from_le_bytes([a, b, a, b, a, b, a, b]),
        [a, b, c] => u64::from_le_bytes([a, b, c, a, a, b, c, a]),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
            }
            _ => 0,
        },
    }
}

/// The high bit of each byte of `word` that lies in `low..=high`. The high bits of `word` itself are clear.
#[inline(always)]
pub(super) const fn within(word: u64, low: u8, high: u8) -> u64 {
    let from_low = word.wrapping_add(all(0x80_u8.wrapping_sub(low)));
    let beyond_high = word.wrapping_add(all(0x7F_u8.wrapping_sub(high)));
    from_low & !beyond_high & HIGH
}

/// What in `word` is no digit, `zero` being the character of 0 and its low nibble clear.
#[inline(always)]
pub(super) const fn no_digits(word: u64, zero: u8) -> u64 {
    let values = word ^ all(zero);
    (values | (values & all(0x0F)).wrapping_add(all(0x06))) & all(0xF0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn every_sees_each_byte_of_each_length_and_none_behind() {
        let test = |word| no_digits(word, b'0');
        for len in 0..40 {
            for behind in [0, 1, 7, 8, 9] {
                let mut window = vec![b'7'; len + behind];
                window[len..].fill(b'/');
                assert!(every(&window, len, test), "{len} {behind}");
                for wrong in 0..len {
                    window[wrong] = b'/';
                    assert!(!every(&window, len, test), "{len} {behind} {wrong}");
                    window[wrong] = b'7';
                }
            }
        }
    }

    #[test]
    fn word_tests_agree_with_byte_tests() {
        for byte in 0..=255_u8 {
            assert_eq!(no_digits(all(byte), b'0') == 0, byte.is_ascii_digit(), "{byte}");
            assert_eq!(no_digits(all(byte), 0xF0) == 0, (0xF0..=0xF9).contains(&byte), "{byte}");
            if byte < 0x80 {
                assert_eq!(within(all(byte), b'A', b'Z') == HIGH, byte.is_ascii_uppercase(), "{byte}");
            }
        }
    }
}
