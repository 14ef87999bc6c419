//! The MAC of ISO/IEC 9797-1 algorithm 3, which cards, stripes and hosts share: a chain of single DES, and 3DES at
//! its end.
//!
//! With keys of one half each twice, single DES is 3DES under the left half, twice; and the end of the chain, decrypted
//! under the right half and encrypted under the left, is one block of 3DES under both.

use zeroize::Zeroizing;

use crate::error::Cause;
use crate::token::KeyInUse;

/// How a message is made whole blocks (ISO/IEC 9797-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Padding {
    /// Method 1: zeros, if any are needed.
    Zeros,
    /// Method 2: a one bit, then zeros.
    OneBit,
}

/// The MAC of whole blocks, at least one. `left` is the left half of `whole`, twice.
pub(crate) fn mac(
    whole: KeyInUse<'_>,
    left: KeyInUse<'_>,
    blocks: &[u8],
) -> Result<Zeroizing<[u8; 8]>, Cause> {
    let (chain, last) = blocks.split_last_chunk().ok_or(Cause::WrongLength)?;
    let state = if chain.is_empty() { Zeroizing::new([0; 8]) } else { left.chain(chain)? };
    whole.encrypt_block(&xor(&state, last))
}

/// A message in whole blocks.
pub(crate) fn padded(message: &[u8], padding: Padding) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(Vec::with_capacity(message.len() + 8));
    padded.extend_from_slice(message);
    if padding == Padding::OneBit {
        padded.push(0x80);
    }
    let whole = padded.len().next_multiple_of(8).max(8);
    padded.resize(whole, 0);
    padded
}

/// One block with another added to it, bit by bit.
pub(crate) fn xor(block: &[u8; 8], other: &[u8; 8]) -> [u8; 8] {
    (u64::from_ne_bytes(*block) ^ u64::from_ne_bytes(*other)).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_block_is_followed_by_padding_of_method_2_only() {
        let of = |message: &[u8], padding| padded(message, padding).to_vec();
        assert_eq!(of(b"1234567", Padding::OneBit), b"1234567\x80");
        assert_eq!(of(b"12345678", Padding::OneBit), b"12345678\x80\0\0\0\0\0\0\0");
        assert_eq!(of(b"1234567", Padding::Zeros), b"1234567\0");
        assert_eq!(of(b"12345678", Padding::Zeros), b"12345678");
        assert_eq!(of(b"", Padding::Zeros), [0; 8]);
    }
}
