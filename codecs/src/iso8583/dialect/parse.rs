//! One walk over a message, which fills an index and says the first thing that is wrong. Messages that are met often take
//! the quicker way of `plan`.

use super::Dialect;
use super::stride::{Form, Stride};
use crate::error::{Flaw, ParseError};
use crate::iso8583::index::{Place, Span, position};
use crate::iso8583::{BitmapText, De, DeSet, Index, Length, Mti, PrefixText, Text};
use crate::length;
use crate::reader::Reader;
use crate::text;

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
        if u16::try_from(bytes.len()).is_err() {
            return Err(fail(De::MTI, usize::MAX, Flaw::TooLong));
        }
        index.end = position(bytes.len());
        let mut reader = Reader::new(bytes, 0);
        let first = self.message_type(&mut reader, index)?;
        let announced = self.bitmaps(&mut reader)?;
        let mut walk = Walk { dialect: self, bytes, announced, index, flawed: DeSet::EMPTY, first };
        walk.elements(reader.at());
        let first = walk.first;
        index.is_whole = first.is_none();
        first.map_or(Ok(()), Err)
    }

    /// Gives back the flaw of a type that is four digits but none of this edition of the standard.
    #[inline(always)]
    pub(super) fn message_type(
        &self,
        reader: &mut Reader<'_>,
        index: &mut Index,
    ) -> Result<Option<ParseError>, ParseError> {
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
        let is_ours = index.mti.is_some_and(|mti| mti.version() == self.version);
        Ok(if is_ours { None } else { Some(fail(De::MTI, 0, Flaw::BadMti)) })
    }

    #[inline(always)]
    pub(super) fn bitmaps(&self, reader: &mut Reader<'_>) -> Result<DeSet, ParseError> {
        let primary = self.bitmap(reader)?;
        let has_secondary = primary.first().is_some_and(|first| first & 0x80 != 0);
        if has_secondary {
            Ok(DeSet::from_wire(primary, self.bitmap(reader)?).without(De::BITMAP))
        } else {
            Ok(DeSet::from_wire(primary, [0; 8]))
        }
    }

    /// Where the value of an element starts, and how many units it has.
    #[inline(always)]
    pub(super) fn units(
        &self,
        bytes: &[u8],
        de: De,
        stride: Stride,
        at: usize,
    ) -> Result<(usize, u16), Flaw> {
        let mut reader = Reader::new(bytes, at);
        let units = match stride.form {
            Form::Fixed => return Ok((at, stride.units)),
            Form::TwoCharacters => length::read(PrefixText::Ascii, 2, &mut reader)?,
            Form::ThreeCharacters => length::read(PrefixText::Ascii, 3, &mut reader)?,
            Form::PackedByte => length::read(PrefixText::Bcd, 2, &mut reader)?,
            Form::Other => self.units_of_other(de, &mut reader)?,
            Form::Unknown if de == TERTIARY => return Err(Flaw::TertiaryBitmap),
            Form::Unknown => return Err(Flaw::UnknownElement),
        };
        if units > stride.units {
            return Err(Flaw::TooLong);
        }
        Ok((reader.at(), units))
    }

    #[inline(never)]
    fn units_of_other(&self, de: De, reader: &mut Reader<'_>) -> Result<u16, Flaw> {
        match self.field(de).map(|spec| (spec.prefix, spec.length)) {
            Some((prefix, Length::Var { prefix_digits, .. })) => length::read(prefix, prefix_digits, reader),
            _ => Err(Flaw::UnknownElement),
        }
    }

    #[inline(always)]
    fn bitmap(&self, reader: &mut Reader<'_>) -> Result<[u8; 8], ParseError> {
        let at = reader.at();
        let bytes = match self.bitmap {
            BitmapText::Binary => reader.take_array().map(Some),
            BitmapText::HexAscii => reader.take_array().map(text::read_hex_array),
            BitmapText::HexEbcdic => reader.take_array().map(hex_in_ebcdic),
        };
        bytes.ok_or(fail(De::BITMAP, at, Flaw::TooShort))?.ok_or(fail(De::BITMAP, at, Flaw::NotHex))
    }
}

/// A walk over the elements of one message.
struct Walk<'a> {
    dialect: &'a Dialect,
    bytes: &'a [u8],
    announced: DeSet,
    index: &'a mut Index,
    /// Elements whose content is wrong.
    flawed: DeSet,
    /// The first flaw.
    first: Option<ParseError>,
}

impl Walk<'_> {
    /// Walks the elements that the bitmaps announce, from the offset `at` on. Whatever happens, the index
    /// then has those that were reached and are sound.
    fn elements(&mut self, mut at: usize) {
        for de in self.announced {
            match self.step(de, at) {
                Ok(end) => at = end,
                Err(flaw) => {
                    self.index.present = self.announced.below(de).minus(self.flawed);
                    return self.note(de, at, flaw);
                }
            }
        }
        self.index.present = self.announced.minus(self.flawed);
        if at != self.bytes.len() {
            self.note(self.announced.iter().last().unwrap_or(De::BITMAP), at, Flaw::TrailingBytes);
        }
    }

    /// Steps over an element and checks it. Gives its end; a flaw where nothing behind it can be found.
    fn step(&mut self, de: De, at: usize) -> Result<usize, Flaw> {
        let stride = self.dialect.strides.over(de.number());
        let (value, units) = self.dialect.units(self.bytes, de, stride, at)?;
        let end = value.wrapping_add(usize::from(stride.bytes_of(units)));
        let content = self.bytes.get(value..end).ok_or(Flaw::TooShort)?;
        self.index.put(Place::of(de), Span::new(at, value, end, units));
        if let Some(spec) = self.dialect.field(de)
            && !text::is_sound(spec, content, units)
        {
            let (behind, flaw) = text::first_flaw(spec, content, units);
            self.flawed = self.flawed.with(de);
            self.note(de, value.saturating_add(behind), flaw);
        }
        Ok(end)
    }

    #[cold]
    fn note(&mut self, de: De, at: usize, flaw: Flaw) {
        self.first.get_or_insert(fail(de, at, flaw));
    }
}

#[inline(always)]
const fn fail(de: De, offset: usize, flaw: Flaw) -> ParseError {
    ParseError { de, offset: position(offset), flaw }
}

#[inline(never)]
fn hex_in_ebcdic(characters: [u8; 16]) -> Option<[u8; 8]> {
    text::read_hex_array(characters.map(text::from_ebcdic))
}

/// The first bit of the secondary bitmap announces a third one (ISO 8583:1987 4.3).
const TERTIARY: De = De::known(65);
