//! Stretches of bytes of which each has bounds of its own: held against them many at a time. Compilers turn that into a few
//! vector instructions; no unsafe code is needed for it.

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = 32;

/// The bounds of as many bytes.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    /// The lowest byte of each place.
    lowest: [u8; BLOCK_BYTES],
    /// By how much it may be higher.
    above: [u8; BLOCK_BYTES],
}

impl Block {
    /// Nothing may stand anywhere but zero.
    pub(crate) const ZEROS: Block = Block { lowest: [0; BLOCK_BYTES], above: [0; BLOCK_BYTES] };

    /// Bounds what may stand in a place.
    pub(crate) fn bound(&mut self, place: usize, (lowest, highest): (u8, u8)) {
        if let (Some(of_place), Some(above)) = (self.lowest.get_mut(place), self.above.get_mut(place)) {
            (*of_place, *above) = (lowest, highest.saturating_sub(lowest));
        }
    }

    /// Whether all bytes are within their bounds.
    #[inline(always)]
    pub(crate) fn has(&self, bytes: &[u8; BLOCK_BYTES]) -> bool {
        let bounds = self.lowest.iter().zip(&self.above);
        let is_outside =
            |any, (byte, (lowest, above)): (&u8, (&u8, &u8))| any | (byte.wrapping_sub(*lowest) > *above);
        !bytes.iter().zip(bounds).fold(false, is_outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_bounds() {
        let mut block = Block::ZEROS;
        (0..BLOCK_BYTES).for_each(|place| block.bound(place, (b'0', b'9')));
        for place in 0..BLOCK_BYTES {
            for (byte, fits) in
                [(b'/', false), (b'0', true), (b'9', true), (b':', false), (0, false), (255, false)]
            {
                let mut bytes = [b'7'; BLOCK_BYTES];
                bytes[place] = byte;
                assert_eq!(block.has(&bytes), fits, "{byte} at {place}");
            }
        }
        let mut any = Block::ZEROS;
        (0..BLOCK_BYTES).for_each(|place| any.bound(place, (0, u8::MAX)));
        assert!(any.has(&[0; BLOCK_BYTES]) && any.has(&[u8::MAX; BLOCK_BYTES]));
    }
}
