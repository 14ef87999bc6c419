//! A bounds-checked cursor over one message.

/// Reads forward; nothing is consumed by a read that does not fit.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader that starts at an offset of a message.
    #[inline(always)]
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Reader<'a> {
        Reader { bytes, at }
    }

    /// Where it stands, in bytes from the start of the message.
    #[inline(always)]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next `N` bytes.
    #[inline(always)]
    pub(crate) fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = *self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at = self.at.wrapping_add(N);
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_consumes_nothing() {
        let mut reader = Reader::new(b"12345", 3);
        assert_eq!((reader.take_array::<3>(), reader.at()), (None, 3));
        assert_eq!((reader.take_array::<2>(), reader.at()), (Some(*b"45"), 5));
        assert_eq!(Reader::new(b"1", 2).take_array::<1>(), None);
    }
}
