//! Half bytes, eight at a time.

/// The byte `value` in all eight places of a word.
#[inline(always)]
pub(crate) const fn all(value: u8) -> u64 {
    u64::from_ne_bytes([value; 8])
}

/// Four bytes from eight nibbles, each the low half of a byte whose high half is clear. Highest first.
#[inline(always)]
pub(super) const fn join(eight: u64) -> [u8; 4] {
    let word = (eight | eight >> 4) & 0x00FF_00FF_00FF_00FF;
    let word = (word | word >> 8) & 0x0000_FFFF_0000_FFFF;
    let [_, _, a, b, _, _, c, d] = word.to_be_bytes();
    [a, b, c, d]
}

/// The inverse of [`join`].
#[inline(always)]
pub(super) const fn split(four: [u8; 4]) -> u64 {
    let [a, b, c, d] = four;
    let word = u64::from_be_bytes([0, 0, a, b, 0, 0, c, d]);
    let word = (word | word << 8) & 0x00FF_00FF_00FF_00FF;
    (word | word << 4) & all(0x0F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_and_joined() {
        let four = [0x12, 0x34, 0xAB, 0xCD];
        assert_eq!(split(four), 0x0102_0304_0A0B_0C0D);
        assert_eq!(join(split(four)), four);
    }
}
