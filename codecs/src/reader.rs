//! A bounds-checked cursor over one message.
//!
//! Positions are `u16`: a message is at most 65 535 bytes, and an index of 16-bit positions stays small.

/// Reads forward; nothing is consumed by a read that does not fit.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: u16,
}

impl<'a> Reader<'a> {
    /// A reader of one message; nothing when it is longer than positions reach.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Reader<'a>> {
        u16::try_from(bytes.len()).ok()?;
        Some(Reader { bytes, at: 0 })
    }

    /// Bytes read so far.
    #[inline(always)]
    pub(crate) fn at(&self) -> u16 {
        self.at
    }

    /// Reads over `count` bytes; nothing when the message ends before them.
    #[inline(always)]
    pub(crate) fn skip(&mut self, count: u16) -> Option<()> {
        let end = usize::from(self.at).wrapping_add(usize::from(count));
        if end > self.bytes.len() {
            return None;
        }
        // No overflow: the whole message is no longer than positions reach.
        self.at = self.at.wrapping_add(count);
        Some(())
    }

    /// The next `N` bytes, at most 255 of them.
    #[inline(always)]
    pub(crate) fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = *self.bytes.get(usize::from(self.at)..)?.first_chunk::<N>()?;
        let [count, ..] = N.to_le_bytes();
        self.at = self.at.wrapping_add(u16::from(count));
        Some(taken)
    }

    /// Whether the whole message has been read.
    #[inline(always)]
    pub(crate) fn is_at_end(&self) -> bool {
        usize::from(self.at) >= self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn a_read_past_the_end_consumes_nothing() {
        let mut reader = Reader::new(b"12345").unwrap();
        assert_eq!((reader.skip(3), reader.skip(3), reader.skip(u16::MAX)), (Some(()), None, None));
        assert_eq!((reader.take_array::<3>(), reader.at()), (None, 3));
        assert_eq!((reader.take_array::<2>(), reader.is_at_end()), (Some(*b"45"), true));
    }

    #[test]
    fn positions_reach_65_535() {
        assert!(Reader::new(&vec![0; 65_535]).is_some());
        assert!(Reader::new(&vec![0; 65_536]).is_none());
    }
}
