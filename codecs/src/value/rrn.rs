//! The retrieval reference number, DE 37.

use core::fmt;

use crate::text;

/// Twelve characters that name a purchase for as long as anyone asks about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rrn([u8; 12]);

impl Rrn {
    /// Reads 12 printable ASCII characters. The standard says letters, digits and spaces; 1993 marks too.
    #[inline]
    pub fn parse(ascii: &[u8]) -> Option<Rrn> {
        let characters: [u8; 12] = ascii.try_into().ok()?;
        text::are_printable(&characters).then_some(Rrn(characters))
    }

    /// Twelve ASCII characters.
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }
}

impl fmt::Display for Rrn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write_ascii(f, &self.0)
    }
}

impl fmt::Debug for Rrn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_characters() {
        assert_eq!(Rrn::parse(b"435612000007").unwrap().as_bytes(), b"435612000007");
        assert_eq!((Rrn::parse(b"43561200000"), Rrn::parse(b"43561200000\n")), (None, None));
    }
}
