//! How one data element is written: three small axes (kind, length, text) as plain data.

/// What an element holds (ISO 8583:1987 4.2, the column "attribute").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// n: digits.
    Digits,
    /// x+n: C (credit) or D (debit), then digits.
    SignedDigits,
    /// a: letters and spaces.
    Alpha,
    /// an: letters, digits and spaces.
    AlphaDigits,
    /// ans: every printable ASCII character.
    Text,
    /// z: a magnetic stripe: digits and the separator.
    Track,
    /// b: any bytes.
    Binary,
}

/// How long an element is, in its own units: digits of n and z, characters of text, bytes of binary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// Always so many units. Binary counts bytes even when they are shown as hex text.
    Fixed(u16),
    /// A prefix of so many digits says how many units follow. Binary shown as hex text counts characters,
    /// in prefix and `max` alike.
    Var {
        /// 1 to 4: L, LL, LLL, LLLL.
        prefix_digits: u8,
        /// The most units allowed.
        max: u16,
    },
}

/// How the content of an element is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Text {
    /// One ASCII character each.
    Ascii,
    /// One EBCDIC character each, code page 037.
    Ebcdic,
    /// Two digits a byte; an odd count has a zero on the left.
    Bcd,
    /// Two digits a byte; an odd count has F (or 0, when read) on the right.
    BcdLeft,
    /// Bytes as they are.
    Raw,
    /// Bytes as two hexadecimal characters each, in ASCII.
    HexAscii,
    /// Bytes as two hexadecimal characters each, in EBCDIC.
    HexEbcdic,
}

/// How a length prefix is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PrefixText {
    /// A character per digit.
    Ascii,
    /// A character per digit.
    Ebcdic,
    /// One byte for L and LL, two for LLL and LLLL.
    Bcd,
    /// A big-endian number: one byte for L and LL, two for LLL and LLLL.
    Binary,
}

/// How the bitmaps are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BitmapText {
    /// Eight bytes each.
    Binary,
    /// Sixteen hexadecimal characters each, in ASCII.
    HexAscii,
    /// Sixteen hexadecimal characters each, in EBCDIC.
    HexEbcdic,
}

/// How one data element is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FieldSpec {
    /// What it holds.
    pub kind: Kind,
    /// How long it is.
    pub length: Length,
    /// How its content is written.
    pub text: Text,
    /// How its length prefix is written; without meaning for fixed lengths.
    pub prefix: PrefixText,
}

impl FieldSpec {
    /// Whether the three axes fit each other: a dialect read from a file must be asked before it is used.
    /// An unsound spec never makes the codec panic, but what it then reads or writes means nothing.
    pub const fn is_sound(&self) -> bool {
        let text_fits = match self.kind {
            Kind::Digits | Kind::SignedDigits | Kind::Track => {
                matches!(self.text, Text::Ascii | Text::Ebcdic | Text::Bcd | Text::BcdLeft)
            }
            Kind::Alpha | Kind::AlphaDigits | Kind::Text => matches!(self.text, Text::Ascii | Text::Ebcdic),
            Kind::Binary => matches!(self.text, Text::Raw | Text::HexAscii | Text::HexEbcdic),
        };
        let length_fits = match self.length {
            Length::Fixed(units) => 0 < units && units <= 9_999,
            Length::Var { prefix_digits, max } => {
                let largest = match (prefix_digits, self.prefix) {
                    (1, _) => 9,
                    (2, PrefixText::Binary) => 255,
                    (2, _) => 99,
                    (3, _) => 999,
                    (4, _) => 9_999,
                    _ => 0,
                };
                0 < max && max <= largest
            }
        };
        let sign_fits = match (self.kind, self.text, self.length) {
            (Kind::SignedDigits, Text::Bcd | Text::BcdLeft, Length::Fixed(units)) => units & 1 == 1,
            (Kind::SignedDigits, Text::Bcd | Text::BcdLeft, _) => false,
            _ => true,
        };
        text_fits && length_fits && sign_fits
    }

    /// Bytes that `units` of this element take on the wire. Units are those of the prefix.
    #[inline(always)]
    pub(crate) const fn wire_bytes(&self, units: u16) -> u16 {
        match (self.text, self.length) {
            // A sign takes a byte too: with it go an even number of digits, and the units are odd.
            (Text::Bcd | Text::BcdLeft, _) => (units >> 1).wrapping_add(units & 1),
            (Text::HexAscii | Text::HexEbcdic, Length::Fixed(_)) => units.saturating_mul(2),
            _ => units,
        }
    }
}
