//! The reader's counterpart: writes forward into the caller's buffer, or not at all.

/// Writes forward; a write that does not fit leaves the buffer's count as it was.
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Writer<'a> {
        Writer { out, at: 0 }
    }

    /// Bytes written so far.
    #[inline(always)]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Room for `count` bytes, to be filled by the caller; nothing when the buffer is full.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, count: usize) -> Option<&mut [u8]> {
        let end = self.at.checked_add(count)?;
        let room = self.out.get_mut(self.at..end)?;
        self.at = end;
        Some(room)
    }

    /// Appends `bytes`; nothing when they do not all fit.
    #[inline(always)]
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.reserve(bytes.len())?.copy_from_slice(bytes);
        Some(())
    }

    /// What has been written.
    pub(crate) fn into_written(self) -> &'a [u8] {
        let out: &'a [u8] = self.out;
        out.get(..self.at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_does_not_fit_changes_nothing() {
        let mut out = [0; 4];
        let mut writer = Writer::new(&mut out);
        assert_eq!(writer.put(b"abc"), Some(()));
        assert_eq!(writer.put(b"de"), None);
        assert_eq!(writer.put(b"d"), Some(()));
        assert_eq!(writer.at(), 4);
        assert_eq!(writer.into_written(), b"abcd");
    }
}
