//! Writes one message, element by element in ascending order, into the caller's buffer.

use super::{BitmapText, De, DeSet, Dialect, FieldSpec, Kind, Length, Message, Mti, Text};
use crate::error::{EncodeError, EncodeFlaw};
use crate::value::Stan;
use crate::writer::Writer;
use crate::{length, text};

/// A message being written. The elements are announced at the start, because the bitmaps come before them,
/// and then written in ascending order; [`finish`](Encoder::finish) sees that none is left out.
///
/// After an error the buffer's content means nothing.
pub struct Encoder<'a> {
    dialect: &'a Dialect,
    writer: Writer<'a>,
    /// Elements announced and not yet written, and the first of them.
    remaining: DeSet,
    next: Option<De>,
}

impl<'a> Encoder<'a> {
    /// Starts a message of this type with these elements: writes the type and the bitmaps.
    ///
    /// # Errors
    /// [`EncodeFlaw::Full`]. An element that the dialect has not is reported when it is to be written.
    pub fn new(
        dialect: &'a Dialect,
        mti: Mti,
        present: DeSet,
        out: &'a mut [u8],
    ) -> Result<Encoder<'a>, EncodeError> {
        Encoder::new_with_digits(dialect, mti.digits(), present, out)
    }

    /// The same for any four ASCII digits: a message of a type that the standard has not is answered in kind.
    ///
    /// # Errors
    /// As [`new`](Encoder::new), and [`EncodeFlaw::NotEncodable`] when they are not digits.
    pub fn new_with_digits(
        dialect: &'a Dialect,
        mti: [u8; 4],
        present: DeSet,
        out: &'a mut [u8],
    ) -> Result<Encoder<'a>, EncodeError> {
        let present = present.without(De::BITMAP);
        let mut writer = Writer::new(out);
        if !text::are_digits(&mti) {
            return Err(fail(De::MTI, EncodeFlaw::NotEncodable));
        }
        let room = writer.reserve(mti_bytes(dialect.mti)).ok_or(fail(De::MTI, EncodeFlaw::Full))?;
        write_mti(dialect.mti, mti, room);
        write_bitmaps(dialect.bitmap, present, &mut writer).ok_or(fail(De::BITMAP, EncodeFlaw::Full))?;
        Ok(Encoder { dialect, writer, remaining: present, next: present.first() })
    }

    /// Writes an element as another message has it: byte for byte where both dialects write it alike,
    /// otherwise anew.
    ///
    /// # Errors
    /// As [`put`](Encoder::put), and [`EncodeFlaw::NotEncodable`] when the other message has no such element.
    #[inline]
    pub fn copy(&mut self, de: De, from: &Message<'_>) -> Result<(), EncodeError> {
        let absent = fail(de, EncodeFlaw::NotEncodable);
        let (theirs, span, _) = from.found(de).ok_or(absent)?;
        let ours = self.spec_of_next(de)?;
        if core::ptr::eq(self.dialect, from.dialect) || ours == theirs {
            let raw = from.bytes().get(usize::from(span.start())..usize::from(span.end())).ok_or(absent)?;
            self.writer.put(raw).ok_or(fail(de, EncodeFlaw::Full))?;
            self.advance();
            return Ok(());
        }
        // Room by size: clearing more than is needed would take longer than the translation.
        match span.units() {
            0..=64 => self.translate::<64>(de, from),
            65..=512 => self.translate::<512>(de, from),
            _ => self.translate::<9_999>(de, from),
        }
    }

    /// Writes an element from its canonical form, which is what [`Message::decode`] gives: ASCII characters,
    /// or bytes for a binary element. For a fixed length digits are padded with zeros on the left and text
    /// with spaces on the right.
    ///
    /// # Errors
    /// Every [`EncodeFlaw`] but `Incomplete`.
    #[inline]
    pub fn put(&mut self, de: De, canonical: &[u8]) -> Result<(), EncodeError> {
        let spec = self.spec_of_next(de)?;
        write_element(spec, canonical, &mut self.writer).map_err(|flaw| fail(de, flaw))?;
        self.advance();
        Ok(())
    }

    /// Writes an element of digits from a number: with zeros on the left for a fixed length, with as many
    /// digits as it needs (at least one) for a variable one.
    ///
    /// # Errors
    /// As [`put`](Encoder::put).
    pub fn put_number(&mut self, de: De, number: u64) -> Result<(), EncodeError> {
        let mut digits = [0; 20];
        let mut used = 0_usize;
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            let [.., low] = (rest % 10).to_be_bytes();
            *digit = low | b'0';
            used = used.saturating_add(1);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let unused = digits.len().saturating_sub(used);
        self.put(de, digits.get(unused..).unwrap_or_default())
    }

    /// Ends the message and returns how many bytes it takes.
    ///
    /// # Errors
    /// [`EncodeFlaw::Incomplete`] with the first element that was announced and not written.
    pub fn finish(self) -> Result<usize, EncodeError> {
        match self.next {
            None => Ok(self.writer.at()),
            Some(de) => Err(fail(de, EncodeFlaw::Incomplete)),
        }
    }

    /// Copies a whole message and overwrites its type and its STAN where they stand: the quick way to pass a
    /// message on in the dialect it came in. Returns how many bytes it takes.
    ///
    /// # Errors
    /// [`EncodeFlaw::Full`]; [`EncodeFlaw::NotEncodable`] when the message has no DE 11 of six digits.
    pub fn restamp(from: &Message<'_>, mti: Mti, stan: Stan, out: &mut [u8]) -> Result<usize, EncodeError> {
        let full = fail(De::MTI, EncodeFlaw::Full);
        let absent = fail(De::STAN, EncodeFlaw::NotEncodable);
        let bytes = from.bytes();
        let room = out.get_mut(..bytes.len()).ok_or(full)?;
        room.copy_from_slice(bytes);
        let head = room.get_mut(..mti_bytes(from.dialect.mti)).ok_or(full)?;
        write_mti(from.dialect.mti, mti.digits(), head);
        let (spec, span, _) = from.found(De::STAN).ok_or(absent)?;
        if span.units() != 6 {
            return Err(absent);
        }
        let room = room.get_mut(usize::from(span.value())..usize::from(span.end())).ok_or(absent)?;
        text::encode(spec, &stan.digits(), room);
        Ok(bytes.len())
    }

    #[inline(always)]
    fn translate<const ROOM: usize>(&mut self, de: De, from: &Message<'_>) -> Result<(), EncodeError> {
        let mut room = [0; ROOM];
        match from.canonical(de, &mut room) {
            Some(canonical) => self.put(de, canonical),
            None => Err(fail(de, EncodeFlaw::TooLong)),
        }
    }

    /// The spec of an element, if it is the next one to write.
    #[inline(always)]
    fn spec_of_next(&self, de: De) -> Result<&'a FieldSpec, EncodeError> {
        if self.next != Some(de) {
            return Err(fail(de, EncodeFlaw::OutOfOrder));
        }
        self.dialect.field(de).ok_or(fail(de, EncodeFlaw::UnknownElement))
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.remaining = self.remaining.without_first();
        self.next = self.remaining.first();
    }
}

/// Prefix, padding and content of one element.
pub(super) fn write_element(
    spec: &FieldSpec,
    canonical: &[u8],
    writer: &mut Writer<'_>,
) -> Result<(), EncodeFlaw> {
    let len = u16::try_from(canonical.len()).map_err(|_| EncodeFlaw::TooLong)?;
    let (prefix_bytes, units) = match spec.length {
        // Most of what is said here, DE 38 and 39: it goes as it is.
        Length::Fixed(units) if len == units && text::is_canonical_on_the_wire(spec) => {
            let is_sound = text::is_canonical(spec.kind, canonical);
            return if is_sound {
                writer.put(canonical).ok_or(EncodeFlaw::Full)
            } else {
                Err(EncodeFlaw::NotEncodable)
            };
        }
        Length::Fixed(units) if len == units => (0, units),
        Length::Fixed(units) => (0, padded(spec, len, units)?),
        Length::Var { prefix_digits, max } => {
            let is_hex = matches!(spec.text, Text::HexAscii | Text::HexEbcdic);
            let units = if is_hex { len.saturating_mul(2) } else { len };
            if units > max {
                return Err(EncodeFlaw::TooLong);
            }
            (usize::from(length::prefix_bytes(spec.prefix, prefix_digits)), units)
        }
    };
    if !text::is_canonical(spec.kind, canonical) {
        return Err(EncodeFlaw::NotEncodable);
    }
    let bytes = prefix_bytes.wrapping_add(usize::from(spec.wire_bytes(units)));
    let room = writer.reserve(bytes).ok_or(EncodeFlaw::Full)?;
    let (prefix, content) = room.split_at_mut_checked(prefix_bytes).ok_or(EncodeFlaw::Full)?;
    if prefix_bytes != 0 {
        length::write(spec.prefix, units, prefix);
    }
    text::encode(spec, canonical, content);
    Ok(())
}

/// The fixed length, if content of another length may be padded to it.
#[cold]
fn padded(spec: &FieldSpec, len: u16, fixed: u16) -> Result<u16, EncodeFlaw> {
    match (spec.kind, spec.text) {
        _ if len > fixed => Err(EncodeFlaw::TooLong),
        // Left-justified digits are a sequence, not a number: nothing can be put in front of them.
        (Kind::Digits, Text::BcdLeft) => Err(EncodeFlaw::WrongLength),
        (Kind::Digits | Kind::Alpha | Kind::AlphaDigits | Kind::Text, _) => Ok(fixed),
        (Kind::SignedDigits | Kind::Track | Kind::Binary, _) => Err(EncodeFlaw::WrongLength),
    }
}

pub(super) const fn mti_bytes(text: Text) -> usize {
    match text {
        Text::Bcd | Text::BcdLeft | Text::Raw => 2,
        Text::Ascii | Text::Ebcdic | Text::HexAscii | Text::HexEbcdic => 4,
    }
}

/// `out` has the size that [`mti_bytes`] gives.
pub(super) fn write_mti(text: Text, digits: [u8; 4], out: &mut [u8]) {
    let [a, b, c, d] = digits.map(|digit| digit & 0x0F);
    match text {
        Text::Bcd | Text::BcdLeft | Text::Raw => out.copy_from_slice(&[a << 4 | b, c << 4 | d]),
        Text::Ebcdic | Text::HexEbcdic => out.copy_from_slice(&[a, b, c, d].map(|digit| digit | 0xF0)),
        Text::Ascii | Text::HexAscii => out.copy_from_slice(&digits),
    }
}

pub(super) fn write_bitmaps(text: BitmapText, present: DeSet, writer: &mut Writer<'_>) -> Option<()> {
    let count = if present.has_secondary() { 2 } else { 1 };
    let present = if present.has_secondary() { present.with(De::BITMAP) } else { present };
    let bitmaps = present.to_wire();
    let bytes = bitmaps.get(..count)?.as_flattened();
    match text {
        BitmapText::Binary => writer.put(bytes),
        BitmapText::HexAscii => {
            text::write_hex(bytes, writer.reserve(bytes.len().saturating_mul(2))?);
            Some(())
        }
        BitmapText::HexEbcdic => {
            let room = writer.reserve(bytes.len().saturating_mul(2))?;
            text::write_hex(bytes, room);
            text::to_ebcdic(room);
            Some(())
        }
    }
}

#[inline(always)]
const fn fail(de: De, flaw: EncodeFlaw) -> EncodeError {
    EncodeError { de, flaw }
}
