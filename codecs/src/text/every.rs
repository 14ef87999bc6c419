//! Whole blocks of bytes at a time.
//!
//! Checking every byte of a message one by one costs more than finding its elements. The test of a block of
//! fixed size, without a branch in it, is what compilers turn into a few vector instructions; no unsafe code
//! is needed for that. A test must be written with `&` and `|` for it, not with `&&` and `||`.

/// Whether all bytes pass a test.
#[inline(never)] // A function of its own per test: inlined into one big match they compete for registers.
pub(super) fn every(bytes: &[u8], test: impl Fn(u8) -> bool) -> bool {
    in_blocks::<16>(bytes, &test)
        .or_else(|| in_blocks::<8>(bytes, &test))
        .or_else(|| in_blocks::<4>(bytes, &test))
        .unwrap_or_else(|| bytes.iter().all(|byte| test(*byte)))
}

/// The answer in blocks of `N`; nothing for fewer bytes than one block has. The last block overlaps the one
/// before it if the bytes are no multiple.
#[inline(always)]
fn in_blocks<const N: usize>(bytes: &[u8], test: impl Fn(u8) -> bool) -> Option<bool> {
    let passes = |block: &[u8; N]| !block.iter().fold(false, |any, byte| any | !test(*byte));
    let last = bytes.last_chunk()?;
    let (blocks, rest) = bytes.as_chunks();
    Some(blocks.iter().all(passes) && (rest.is_empty() || passes(last)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn every_byte_of_each_length_counts() {
        let test = |byte: u8| byte.is_ascii_digit();
        for len in 0..60 {
            let mut bytes = vec![b'7'; len];
            assert!(every(&bytes, test), "{len}");
            for wrong in 0..len {
                bytes[wrong] = b'/';
                assert!(!every(&bytes, test), "{len} {wrong}");
                bytes[wrong] = b'7';
            }
        }
    }
}
