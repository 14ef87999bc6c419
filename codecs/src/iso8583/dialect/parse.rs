//! One walk over a message, which fills an index.

use super::Dialect;
use crate::error::{Flaw, ParseError};
use crate::iso8583::index::Span;
use crate::iso8583::{BitmapText, De, DeSet, FieldSpec, Index, Length, Mti, Text};
use crate::reader::Reader;
use crate::{length, text};

impl Dialect {
    /// Finds and checks every element of `bytes`, which is one whole message without its frame, and fills
    /// `index`.
    ///
    /// # Errors
    /// The first flaw. A flaw of structure (a length, an unknown element, the end of the bytes) ends the
    /// walk. A flaw of content leaves its element out of the index and the walk goes on, and so does a
    /// message type that the standard has not: what is sound can be read and answered even then.
    pub fn parse(&self, bytes: &[u8], index: &mut Index) -> Result<(), ParseError> {
        index.clear();
        let Some(mut reader) = Reader::new(bytes) else {
            return Err(fail(De::MTI, u16::MAX, Flaw::TooLong));
        };
        let mut content = Content { flawed: DeSet::EMPTY, first: None };
        let ended = self.message(&mut reader, index, &mut content);
        index.end = reader.at();
        match content.first {
            Some(first) => Err(first),
            None => ended,
        }
    }

    /// Ends early with a flaw of structure.
    #[inline(always)]
    fn message(
        &self,
        reader: &mut Reader<'_>,
        index: &mut Index,
        content: &mut Content,
    ) -> Result<(), ParseError> {
        self.message_type(reader, index, content)?;
        let primary = self.bitmap(reader)?;
        let has_secondary = primary.first().is_some_and(|first| first & 0x80 != 0);
        let secondary = if has_secondary { self.bitmap(reader)? } else { [0; 8] };
        let announced = DeSet::from_wire(primary, secondary).without(De::BITMAP);
        self.elements(announced, reader, index, content)?;
        if !reader.rest().is_empty() {
            let de = announced.iter().last().unwrap_or(De::BITMAP);
            return Err(fail(de, reader.at(), Flaw::TrailingBytes));
        }
        Ok(())
    }

    #[inline(always)]
    fn message_type(
        &self,
        reader: &mut Reader<'_>,
        index: &mut Index,
        content: &mut Content,
    ) -> Result<(), ParseError> {
        let digits = match self.mti {
            Text::Bcd | Text::BcdLeft | Text::Raw => {
                reader.take_array().map(|[a, b]| [a >> 4, a & 0x0F, b >> 4, b & 0x0F])
            }
            Text::Ebcdic | Text::HexEbcdic => {
                reader.take_array().map(|bytes| bytes.map(|byte: u8| byte ^ 0xF0))
            }
            Text::Ascii | Text::HexAscii => {
                reader.take_array().map(|bytes| bytes.map(|byte: u8| byte ^ b'0'))
            }
        };
        let Some(digits) = digits else { return Err(fail(De::MTI, 0, Flaw::TooShort)) };
        if digits.iter().any(|&digit| digit > 9) {
            return Err(fail(De::MTI, 0, Flaw::BadMti));
        }
        let digits = digits.map(|digit| digit | b'0');
        index.mti_digits = Some(digits);
        index.mti = Mti::from_digits(digits);
        if index.mti.is_none_or(|mti| mti.version() != self.version) {
            content.first = Some(fail(De::MTI, 0, Flaw::BadMti));
        }
        Ok(())
    }

    #[inline(always)]
    fn bitmap(&self, reader: &mut Reader<'_>) -> Result<[u8; 8], ParseError> {
        let at = reader.at();
        let characters = match self.bitmap {
            BitmapText::Binary => return reader.take_array().ok_or(fail(De::BITMAP, at, Flaw::TooShort)),
            BitmapText::HexAscii => reader.take_array(),
            BitmapText::HexEbcdic => reader.take_array().map(|characters| characters.map(text::from_ebcdic)),
        };
        let Some(characters) = characters else { return Err(fail(De::BITMAP, at, Flaw::TooShort)) };
        text::read_hex_array(characters).ok_or(fail(De::BITMAP, at, Flaw::NotHex))
    }

    /// Walks the elements that the bitmaps announce. Whatever happens, the index then has those that were
    /// reached and are sound.
    #[inline(always)]
    fn elements(
        &self,
        announced: DeSet,
        reader: &mut Reader<'_>,
        index: &mut Index,
        content: &mut Content,
    ) -> Result<(), ParseError> {
        let [low, high] = announced.halves();
        for (mut half, base) in [(low, 1), (high, 65)] {
            while half != 0 {
                let [zeros, ..] = half.trailing_zeros().to_le_bytes();
                let de = De::known(zeros.wrapping_add(base));
                if let Err(error) = self.element(de, reader, index, content) {
                    index.present = announced.below(de).minus(content.flawed);
                    return Err(error);
                }
                half &= half.wrapping_sub(1);
            }
        }
        index.present = announced.minus(content.flawed);
        Ok(())
    }

    #[inline(always)]
    fn element(
        &self,
        de: De,
        reader: &mut Reader<'_>,
        index: &mut Index,
        content: &mut Content,
    ) -> Result<(), ParseError> {
        let start = reader.at();
        let Some(spec) = self.field(de) else {
            let flaw = if de == TERTIARY { Flaw::TertiaryBitmap } else { Flaw::UnknownElement };
            return Err(fail(de, start, flaw));
        };
        let units = match spec.length {
            Length::Fixed(units) => units,
            Length::Var { prefix_digits, max } => match length::read(spec.prefix, prefix_digits, reader) {
                Ok(units) if units <= max => units,
                Ok(_) => return Err(fail(de, start, Flaw::TooLong)),
                Err(flaw) => return Err(fail(de, start, flaw)),
            },
        };
        let (value, window) = (reader.at(), reader.rest());
        let Some((bytes, is_sound)) = text::measure(spec, window, units) else {
            return Err(fail(de, start, Flaw::TooShort));
        };
        reader.skip(bytes);
        if !is_sound {
            content.note(de, spec, window.get(..usize::from(bytes)).unwrap_or_default(), units, value);
        }
        if let Some(span) = index.spans.get_mut(usize::from(de.number())) {
            *span = Span { start, value, end: reader.at(), units };
        }
        Ok(())
    }
}

/// Flaws of content met on the way.
struct Content {
    flawed: DeSet,
    first: Option<ParseError>,
}

impl Content {
    #[cold]
    fn note(&mut self, de: De, spec: &FieldSpec, value: &[u8], units: u16, at: u16) {
        self.flawed = self.flawed.with(de);
        if self.first.is_none() {
            let (behind, flaw) = text::first_flaw(spec, value, units);
            let offset = at.saturating_add(u16::try_from(behind).unwrap_or(u16::MAX));
            self.first = Some(fail(de, offset, flaw));
        }
    }
}

#[inline(always)]
const fn fail(de: De, offset: u16, flaw: Flaw) -> ParseError {
    ParseError { de, offset, flaw }
}

/// The first bit of the secondary bitmap announces a third one (ISO 8583:1987 4.3).
const TERTIARY: De = De::known(65);
