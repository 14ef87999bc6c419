//! One walk over a message, which fills an index.
//!
//! Content is checked in runs. Most messages have a dozen elements of digits in a row, and one check over all
//! of them costs little more than the check of one; the length prefixes between them are digits themselves.

use super::Dialect;
use crate::error::{Flaw, ParseError};
use crate::iso8583::index::{Span, position};
use crate::iso8583::{BitmapText, De, DeSet, FieldSpec, Index, Kind, Length, Mti, Text};
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
        if u16::try_from(bytes.len()).is_err() {
            return Err(fail(De::MTI, usize::MAX, Flaw::TooLong));
        }
        index.end = position(bytes.len());
        let mut reader = Reader::new(bytes, 0);
        let first = self.message_type(&mut reader, index)?;
        let announced = self.bitmaps(&mut reader)?;
        let run = Run::NONE;
        let mut walk = Walk { dialect: self, bytes, announced, index, run, flawed: DeSet::EMPTY, first };
        walk.elements(reader.at());
        walk.first.map_or(Ok(()), Err)
    }

    /// Gives back the flaw of a type that is four digits but none of this edition of the standard.
    #[inline(always)]
    fn message_type(
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
    fn bitmaps(&self, reader: &mut Reader<'_>) -> Result<DeSet, ParseError> {
        let primary = self.bitmap(reader)?;
        let has_secondary = primary.first().is_some_and(|first| first & 0x80 != 0);
        if has_secondary {
            Ok(DeSet::from_wire(primary, self.bitmap(reader)?).without(De::BITMAP))
        } else {
            Ok(DeSet::from_wire(primary, [0; 8]))
        }
    }

    #[inline(always)]
    fn bitmap(&self, reader: &mut Reader<'_>) -> Result<[u8; 8], ParseError> {
        let at = reader.at();
        let characters = match self.bitmap {
            BitmapText::Binary => {
                return reader.take_array().ok_or(fail(De::BITMAP, at, Flaw::TooShort));
            }
            BitmapText::HexAscii => reader.take_array(),
            BitmapText::HexEbcdic => reader.take_array().map(|characters| characters.map(text::from_ebcdic)),
        };
        let Some(characters) = characters else { return Err(fail(De::BITMAP, at, Flaw::TooShort)) };
        text::read_hex_array(characters).ok_or(fail(De::BITMAP, at, Flaw::NotHex))
    }
}

/// A walk over the elements of one message.
struct Walk<'a> {
    dialect: &'a Dialect,
    bytes: &'a [u8],
    announced: DeSet,
    index: &'a mut Index,
    run: Run,
    /// Elements whose content is wrong.
    flawed: DeSet,
    /// The flaw of the lowest element that has one.
    first: Option<ParseError>,
}

/// Neighbouring elements of one kind, written alike.
#[derive(Clone, Copy)]
struct Run {
    text: Text,
    kind: Kind,
    /// Its first element, and where the value of that starts.
    first: De,
    start: usize,
    /// An element whose count of units has this bit needs a closer look.
    odd: u16,
}

impl Walk<'_> {
    /// Walks the elements that the bitmaps announce, from the offset `at` on. Whatever happens, the index
    /// then has those that were reached and are sound.
    #[inline(always)]
    fn elements(&mut self, mut at: usize) {
        for (half, base) in self.announced.halves().into_iter().zip([1, 65]) {
            let mut left = half;
            while left != 0 {
                let [zeros, ..] = left.trailing_zeros().to_le_bytes();
                let de = De::known(zeros.wrapping_add(base));
                at = match self.step_alike(de, at) {
                    Some(end) => end,
                    None => match self.step(de, at) {
                        Some(end) => end,
                        None => return,
                    },
                };
                left &= left.wrapping_sub(1);
            }
        }
        self.check_run(De::END, at);
        self.index.present = self.announced.minus(self.flawed);
        if at != self.bytes.len() {
            self.note(self.announced.iter().last().unwrap_or(De::BITMAP), at, Flaw::TrailingBytes);
        }
    }

    /// The quick way over an element of fixed length that continues the run. Gives its end.
    #[inline(always)]
    fn step_alike(&mut self, de: De, at: usize) -> Option<usize> {
        let spec = self.dialect.field(de)?;
        let Length::Fixed(units) = spec.length else { return None };
        if spec.text != self.run.text || spec.kind != self.run.kind || units & self.run.odd != 0 {
            return None;
        }
        let end = at.wrapping_add(usize::from(spec.wire_bytes(units)));
        if end > self.bytes.len() {
            return None;
        }
        self.index.put(de, Span::new(at, at, end, units));
        Some(end)
    }

    /// The way over any element. Gives its end; nothing when the walk has ended here.
    #[inline(always)]
    fn step(&mut self, de: De, at: usize) -> Option<usize> {
        let Some(spec) = self.dialect.field(de) else {
            let flaw = if de == TERTIARY { Flaw::TertiaryBitmap } else { Flaw::UnknownElement };
            return self.end(de, at, flaw);
        };
        let mut reader = Reader::new(self.bytes, at);
        let (units, has_joint) = match spec.length {
            Length::Fixed(units) => (units, true),
            Length::Var { prefix_digits, max } => match length::read(spec.prefix, prefix_digits, &mut reader)
            {
                Ok(units) if units <= max => (units, text::prefix_joins(spec)),
                Ok(_) => return self.end(de, at, Flaw::TooLong),
                Err(flaw) => return self.end(de, at, flaw),
            },
        };
        let value = reader.at();
        if reader.skip(spec.wire_bytes(units)).is_none() {
            return self.end(de, at, Flaw::TooShort);
        }
        let span = Span::new(at, value, reader.at(), units);
        self.index.put(de, span);
        if !text::joins(spec, units) {
            // No part of any run.
            self.check_run(de, at);
            self.check(de, spec, span);
            self.run = Run::NONE;
            return Some(reader.at());
        }
        if spec.text != self.run.text || spec.kind != self.run.kind || !has_joint {
            self.check_run(de, at);
            let odd = u16::from(text::has_pairs(spec.text));
            self.run = Run { text: spec.text, kind: spec.kind, first: de, start: value, odd };
        }
        // The zero in front of an odd count of digits: in a run it would pass for a digit.
        if units & self.run.odd != 0 && self.bytes.get(value).is_some_and(|first| first >> 4 != 0) {
            self.check(de, spec, span);
        }
        Some(reader.at())
    }

    /// Ends the walk at an element that cannot be found.
    #[cold]
    fn end(&mut self, de: De, at: usize, flaw: Flaw) -> Option<usize> {
        self.check_run(de, at);
        self.index.present = self.announced.below(de).minus(self.flawed);
        self.note(de, at, flaw);
        None
    }

    /// Checks the run that ends in front of the element `before` at the offset `end`: as a whole, and only if
    /// something is wrong each element.
    #[inline(always)]
    fn check_run(&mut self, before: De, end: usize) {
        let run = self.bytes.get(self.run.start..end).unwrap_or_default();
        if !text::run_fits(self.run.text, self.run.kind, run) {
            self.check_each(before);
        }
    }

    #[cold]
    fn check_each(&mut self, before: De) {
        let behind = self.announced.below(self.run.first);
        for de in self.announced.below(before).minus(behind) {
            if let (Some(spec), Some(span)) = (self.dialect.field(de), self.index.get(de)) {
                self.check(de, spec, span);
            }
        }
    }

    fn check(&mut self, de: De, spec: &FieldSpec, span: Span) {
        let value = span.of(self.bytes);
        if !text::is_sound(spec, value, span.units) {
            let (behind, flaw) = text::first_flaw(spec, value, span.units);
            self.flawed = self.flawed.with(de);
            self.note(de, usize::from(span.value).saturating_add(behind), flaw);
        }
    }

    #[cold]
    fn note(&mut self, de: De, at: usize, flaw: Flaw) {
        if self.first.is_none_or(|first| de < first.de) {
            self.first = Some(fail(de, at, flaw));
        }
    }
}

impl Run {
    /// No element, and nothing to check.
    const NONE: Run = Run { text: Text::Raw, kind: Kind::Binary, first: De::END, start: 0, odd: 0 };
}

#[inline(always)]
const fn fail(de: De, offset: usize, flaw: Flaw) -> ParseError {
    ParseError { de, offset: position(offset), flaw }
}

/// The first bit of the secondary bitmap announces a third one (ISO 8583:1987 4.3).
const TERTIARY: De = De::known(65);
