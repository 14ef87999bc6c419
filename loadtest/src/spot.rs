//! Where a prepared frame is written into: runs of digits or bytes, in the text that the dialect has for them.

use codecs::iso8583::{De, Message, Text};

use crate::clock::put_number;

/// A run of digits in a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    /// First byte, from the start of the frame.
    pub(crate) at: usize,
    pub(crate) bytes: usize,
    pub(crate) text: Text,
    /// Half a byte at the left is no digit of the element.
    pub(crate) odd: bool,
}

impl Spot {
    /// The value of an element of a message that stands `overhead` bytes behind the start of its frame, without its
    /// first `skip` characters. None when the message does not have it.
    pub(crate) fn find(view: &Message<'_>, de: De, overhead: usize, skip: usize) -> Option<Spot> {
        let at = overhead + usize::from(view.value_offset(de)?) + skip;
        let text = view.dialect().field(de)?.text;
        Some(Spot { at, bytes: view.value(de)?.len() - skip, text, odd: de == De::ORIGINAL_93 })
    }

    pub(crate) fn digits(&self) -> usize {
        if matches!(self.text, Text::Bcd | Text::BcdLeft) { self.bytes * 2 } else { self.bytes }
    }

    #[inline]
    pub(crate) fn put_number<const DIGITS: usize>(&self, frame: &mut [u8], value: u64) {
        let mut digits = [0; DIGITS];
        put_number(&mut digits, value);
        self.put(frame, &digits);
    }

    /// Writes digits that fill the spot.
    #[inline]
    pub(crate) fn put(&self, frame: &mut [u8], digits: &[u8]) {
        let out = &mut frame[self.at..self.at + self.bytes];
        match self.text {
            Text::Ascii => out.copy_from_slice(digits),
            Text::Ebcdic => {
                out.iter_mut().zip(digits).for_each(|(byte, digit)| *byte = 0xF0 | (digit & 0x0F))
            }
            // An odd count has a zero on the left; the template put it there.
            _ => pack(digits, out.len() * 2 - digits.len(), out),
        }
    }

    /// Writes digits at the left end of the spot and leaves the rest as it is.
    #[inline]
    pub(crate) fn put_front(&self, frame: &mut [u8], digits: &[u8]) {
        self.put_digits(frame, 0, digits);
    }

    /// Writes digits from the `from`-th one on and leaves the rest as it is.
    #[inline]
    pub(crate) fn put_digits(&self, frame: &mut [u8], from: usize, digits: &[u8]) {
        match self.text {
            Text::Bcd | Text::BcdLeft => pack(digits, from, &mut frame[self.at..]),
            text => Spot { at: self.at + from, bytes: digits.len(), text, odd: self.odd }.put(frame, digits),
        }
    }

    /// The same where an odd count of digits has a zero on its left, as DE 56 may.
    pub(crate) fn put_from_left(&self, frame: &mut [u8], digits: &[u8]) {
        match self.text {
            Text::Bcd if self.odd => pack(digits, 1, &mut frame[self.at..]),
            _ => self.put_front(frame, digits),
        }
    }

    /// Writes bytes that fill the spot, or the hexadecimal digits that do.
    pub(crate) fn put_bytes(&self, frame: &mut [u8], bytes: &[u8]) {
        let out = &mut frame[self.at..self.at + self.bytes];
        let letters: &[u8; 16] = match self.text {
            Text::HexAscii => b"0123456789ABCDEF",
            Text::HexEbcdic => b"\xF0\xF1\xF2\xF3\xF4\xF5\xF6\xF7\xF8\xF9\xC1\xC2\xC3\xC4\xC5\xC6",
            _ => return out.copy_from_slice(bytes),
        };
        for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[letters[usize::from(byte >> 4)], letters[usize::from(byte & 0x0F)]]);
        }
    }

    /// Puts a letter where a digit belongs.
    pub(crate) fn spoil(&self, frame: &mut [u8]) {
        frame[self.at] = match self.text {
            Text::Ascii => b'A',
            Text::Ebcdic => 0xC1,
            _ => 0xA0,
        };
    }
}

/// Writes ASCII digits as half bytes, the first at half byte `from`.
fn pack(digits: &[u8], from: usize, out: &mut [u8]) {
    for (half, digit) in (from..).zip(digits) {
        let byte = &mut out[half / 2];
        let digit = digit & 0x0F;
        *byte = if half % 2 == 0 { digit << 4 | (*byte & 0x0F) } else { *byte & 0xF0 | digit };
    }
}
