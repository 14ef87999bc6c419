//! How the card's data came into the terminal: DE 22.

use core::fmt;

/// Three digits in 1987 (entry mode 2, PIN capability 1), twelve characters in 1993.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PosEntry {
    /// ASCII, zero bytes behind the last character.
    characters: [u8; 12],
}

impl PosEntry {
    /// Reads three ASCII digits or twelve letters and digits.
    #[inline]
    pub fn parse(ascii: &[u8]) -> Option<PosEntry> {
        let characters = match *ascii {
            [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => [a, b, c, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            _ => ascii.try_into().ok().filter(|all: &[u8; 12]| all.iter().all(u8::is_ascii_alphanumeric))?,
        };
        Some(PosEntry { characters })
    }

    /// The entry mode as 1987 numbers it: 00 unknown, 01 keyed, 02 stripe, 03 bar code, 04 OCR, 05 chip, 07
    /// contactless chip, 10 on file, 80 fallback, 81 electronic commerce, 90 whole stripe, 91 contactless
    /// stripe. Position 7 of the twelve characters of 1993 is given in these terms as far as it has them.
    pub const fn entry_mode(self) -> u8 {
        match self.characters {
            [tens, ones, _, 0, ..] => (tens & 0x0F).wrapping_mul(10).wrapping_add(ones & 0x0F),
            [_, _, _, _, _, _, input, ..] => match input {
                b'1' | b'6' => 1,
                b'2' => 2,
                b'3' => 3,
                b'4' => 4,
                b'5' => 5,
                _ => 0,
            },
        }
    }

    /// Three or twelve ASCII characters, with zero bytes behind the last.
    #[inline]
    pub const fn as_padded(&self) -> &[u8; 12] {
        &self.characters
    }

    /// Three or twelve ASCII characters.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.characters {
            [three @ .., 0, 0, 0, 0, 0, 0, 0, 0, 0] => three,
            twelve => twelve,
        }
    }
}

impl fmt::Debug for PosEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write_ascii(f, self.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_modes_of_both_editions() {
        assert_eq!(PosEntry::parse(b"911").unwrap().entry_mode(), 91);
        let chip = PosEntry::parse(b"51010151134C").unwrap();
        assert_eq!((chip.entry_mode(), chip.as_bytes()), (5, &b"51010151134C"[..]));
        assert_eq!(
            (PosEntry::parse(b"91"), PosEntry::parse(b"9A1"), PosEntry::parse(b"0511")),
            (None, None, None)
        );
    }
}
