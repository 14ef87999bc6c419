//! The place of a message authentication code: DE 64, or DE 128 where there is a secondary bitmap. It is the last element
//! of its message, and covers all that stands before it, the bitmaps that announce it included.
//!
//! Which code that is, and under which key, is decided elsewhere.

use super::encoder::mti_bytes;
use super::{BitmapText, De, DeSet, Dialect, FieldSpec, Kind, Length, Message, Text};
use crate::error::{EncodeError, EncodeFlaw};
use crate::text;

/// The elements that hold one.
pub const MACS: DeSet = DeSet::of(&[De::MAC_64, De::MAC_128]);

/// How a code of eight bytes stands at the end of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MacPlace(Text);

impl MacPlace {
    /// Bytes that it takes.
    pub const fn bytes(self) -> usize {
        match self.0 {
            Text::HexAscii | Text::HexEbcdic => 16,
            _ => 8,
        }
    }

    /// What the code of a message covers, and the code; nothing where the message is too short or what stands at its end
    /// is none.
    pub fn split(self, message: &[u8]) -> Option<(&[u8], [u8; 8])> {
        let (covered, end) = message.split_at_checked(message.len().checked_sub(self.bytes())?)?;
        let code = match self.0 {
            Text::HexAscii => text::read_hex_array(*end.first_chunk()?),
            Text::HexEbcdic => text::read_hex_array(end.first_chunk::<16>()?.map(text::from_ebcdic)),
            _ => end.first_chunk().copied(),
        };
        Some((covered, code?))
    }

    /// Puts the code of a message to its end.
    pub fn put(self, code: [u8; 8], message: &mut [u8]) {
        let begins = message.len().saturating_sub(self.bytes());
        let Some(end) = message.get_mut(begins..).filter(|end| end.len() == self.bytes()) else { return };
        match self.0 {
            Text::HexAscii | Text::HexEbcdic => text::write_hex(&code, end),
            _ => end.copy_from_slice(&code),
        }
        if self.0 == Text::HexEbcdic {
            text::to_ebcdic(end);
        }
    }
}

impl Dialect {
    /// How codes stand in it; nothing where the two elements are not eight bytes, written alike.
    pub fn mac_place(&self) -> Option<MacPlace> {
        let text_of = |de: De| match self.field(de)? {
            FieldSpec { kind: Kind::Binary, length: Length::Fixed(8), text, .. } => Some(*text),
            _ => None,
        };
        let text = text_of(De::MAC_64)?;
        (text_of(De::MAC_128)? == text).then_some(MacPlace(text))
    }

    /// Announces the code of a message of `len` bytes that has none, and makes place for it behind the message. Returns how
    /// many bytes the message takes with it.
    ///
    /// # Errors
    /// [`EncodeFlaw::UnknownElement`] in a dialect without codes; [`EncodeFlaw::OutOfOrder`] when the message has one;
    /// [`EncodeFlaw::Full`].
    pub fn append_mac_place(&self, message: &mut [u8], len: usize) -> Result<usize, EncodeError> {
        let fail = |flaw| EncodeError { de: De::MAC_64, flaw };
        let place = self.mac_place().ok_or(fail(EncodeFlaw::UnknownElement))?;
        let end = len.saturating_add(place.bytes());
        let bitmaps = match message.get_mut(..end) {
            Some(whole) => whole.get_mut(mti_bytes(self.mti)..len).unwrap_or_default(),
            None => return Err(fail(EncodeFlaw::Full)),
        };
        let is_binary = self.bitmap == BitmapText::Binary;
        // The first bit of the first bitmap announces the second one, the last bit of the last one the code.
        let first = bitmaps.first().ok_or(fail(EncodeFlaw::Full))?;
        let has_secondary = if is_binary { first >> 7 == 1 } else { nibble(*first) >> 3 == 1 };
        let each = if is_binary { 8_usize } else { 16 };
        let bytes = if has_secondary { each.saturating_mul(2) } else { each };
        let last = bitmaps.get_mut(bytes.saturating_sub(1)).ok_or(fail(EncodeFlaw::Full))?;
        let digit = if is_binary { *last } else { nibble(*last) };
        if digit & 1 == 1 {
            return Err(fail(EncodeFlaw::OutOfOrder));
        }
        // In every text the digit behind an even one is the next character.
        *last = last.wrapping_add(1);
        Ok(end)
    }
}

impl Message<'_> {
    /// Whether the message ends with its code, as it must where a link has one.
    pub fn ends_with_mac(&self) -> bool {
        let last = if self.present().has_secondary() { De::MAC_128 } else { De::MAC_64 };
        self.present().intersection(MACS) == DeSet::of(&[last])
    }
}

/// What a hexadecimal digit of a bitmap stands for, in ASCII or EBCDIC: digits end with their value in both, and letters,
/// which begin with A to F as 1 to 6, are told by what comes before.
const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' | 0xF0..=0xF9 => digit & 0x0F,
        _ => (digit & 0x07).wrapping_add(9),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BUILT_IN, Encoder, Index, Version};
    use super::*;

    fn written(dialect: &Dialect, elements: &[De], out: &mut [u8]) -> usize {
        let present = DeSet::of(elements);
        let mti = if dialect.version == Version::V1987 { *b"0100" } else { *b"1100" };
        let mut encoder = Encoder::new_with_digits(dialect, mti, present, out).expect("room");
        for de in present.iter() {
            match de {
                De::STAN => encoder.put(de, b"000007"),
                _ => encoder.put(de, &[0xA5; 8]),
            }
            .expect("an element");
        }
        encoder.finish().expect("whole")
    }

    #[test]
    fn a_place_is_made_as_if_the_message_had_been_written_with_it() {
        let rest: [(&[De], De); 2] =
            [(&[De::STAN], De::MAC_64), (&[De::STAN, De::PIN, De::new(96).expect("96")], De::MAC_128)];
        for (name, dialect) in BUILT_IN {
            let place = dialect.mac_place().unwrap_or_else(|| panic!("{name}"));
            for (elements, mac) in rest {
                let (mut out, mut whole) = ([0x55; 256], [0x55; 256]);
                let len = written(dialect, elements, &mut out);
                let end = dialect.append_mac_place(&mut out, len).expect("room");
                place.put([0xA5; 8], &mut out[..end]);
                let mut with_mac = [De::STAN; 4];
                with_mac[..elements.len()].copy_from_slice(elements);
                with_mac[elements.len()] = mac;
                let whole_len = written(dialect, &with_mac[..=elements.len()], &mut whole);
                assert_eq!(out[..end], whole[..whole_len], "{name}");
                let mut index = Index::new();
                dialect.parse(&out[..end], &mut index).expect("sound");
                assert!(Message::new(dialect, &out[..end], &index).ends_with_mac(), "{name}");
                let (covered, code) = place.split(&out[..end]).expect("a code");
                assert_eq!((covered, code), (&whole[..len], [0xA5; 8]), "{name}");
            }
        }
    }

    #[test]
    fn no_second_place_and_none_without_room() {
        for (name, dialect) in BUILT_IN {
            let mut out = [0; 256];
            let len = written(dialect, &[De::STAN], &mut out);
            assert!(dialect.append_mac_place(&mut out[..len + 7], len).is_err(), "{name}");
            let end = dialect.append_mac_place(&mut out, len).expect("room");
            let again = dialect.append_mac_place(&mut out, end).expect_err("one is there");
            assert_eq!(again.flaw, EncodeFlaw::OutOfOrder, "{name}");
            assert!(dialect.append_mac_place(&mut out, 3).is_err(), "{name}: no bitmap");
        }
    }

    #[test]
    fn hexadecimal_characters_in_either_text() {
        let code = [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF];
        for (text, written) in [(Text::HexAscii, *b"0123456789ABCDEF"), (Text::HexEbcdic, EBCDIC)] {
            let (place, mut message) = (MacPlace(text), [7; 20]);
            place.put(code, &mut message);
            assert_eq!((message[3], &message[4..]), (7, &written[..]), "{text:?}");
            assert_eq!(place.split(&message), Some((&[7; 4][..], code)), "{text:?}");
            message[9] = b' ';
            assert_eq!(place.split(&message), None, "{text:?}");
            assert_eq!(place.split(&message[..15]), None, "{text:?}");
        }
        assert!((0..10).zip(0xF0..).chain((10..16).zip(0xC1..)).all(|(value, digit)| nibble(digit) == value));
        assert!((0..10).zip(b'0'..).chain((10..16).zip(b'A'..)).all(|(value, digit)| nibble(digit) == value));
    }

    const EBCDIC: [u8; 16] =
        [0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6];

    #[test]
    fn a_message_that_does_not_end_with_its_code_is_told() {
        for (name, dialect) in BUILT_IN {
            let de_96 = De::new(96).expect("96");
            for elements in [&[De::STAN][..], &[De::STAN, De::MAC_64, de_96], &[De::STAN, de_96]] {
                let mut out = [0; 256];
                let len = written(dialect, elements, &mut out);
                let mut index = Index::new();
                dialect.parse(&out[..len], &mut index).expect("sound");
                assert!(!Message::new(dialect, &out[..len], &index).ends_with_mac(), "{name}");
            }
        }
    }
}
