//! Where one message ends and the next begins.
//!
//! ISO 8583 leaves this to the two ends of a link, and each has its own habit: two or four binary bytes, two
//! BCD bytes or four ASCII digits of length, counting themselves or not, followed by a fixed header such as
//! a TPDU or not. This file works on the bytes collected so far; it knows no socket and keeps no state.

use crate::error::FrameError;

/// How the length in front of a message is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LengthForm {
    /// Two bytes, big-endian: up to 65 535.
    Binary2,
    /// Four bytes, big-endian.
    Binary4,
    /// Four digits in two bytes: up to 9 999.
    Bcd2,
    /// Four ASCII digits: up to 9 999.
    Ascii4,
}

impl LengthForm {
    /// Bytes that the length itself takes.
    pub const fn bytes(self) -> usize {
        match self {
            LengthForm::Binary2 | LengthForm::Bcd2 => 2,
            LengthForm::Binary4 | LengthForm::Ascii4 => 4,
        }
    }

    /// The largest number the form can carry.
    const fn largest(self) -> u32 {
        match self {
            LengthForm::Binary2 => 65_535,
            LengthForm::Binary4 => u32::MAX,
            LengthForm::Bcd2 | LengthForm::Ascii4 => 9_999,
        }
    }
}

/// The framing of one link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameFormat {
    /// How the length is written.
    pub length: LengthForm,
    /// Whether the length counts its own bytes.
    pub inclusive: bool,
    /// Bytes of fixed header between length and message; the length counts them.
    pub header_bytes: u8,
    /// The most that header and message together may take.
    pub max_bytes: u32,
    /// Whether a frame without a message is a sign of life (and not a mistake).
    pub keep_alive: bool,
}

/// What the bytes collected so far amount to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut<'a> {
    /// Nothing whole yet.
    Incomplete {
        /// Bytes, counted from the start of the slice, without which no progress is possible.
        need: usize,
    },
    /// A frame without a message.
    KeepAlive {
        /// Bytes to drop from the front.
        taken: usize,
    },
    /// One whole frame.
    Frame {
        /// The fixed header, to be echoed in the answer.
        header: &'a [u8],
        /// The message.
        message: &'a [u8],
        /// Bytes to drop from the front.
        taken: usize,
    },
}

impl core::fmt::Debug for Cut<'_> {
    // Written by hand because a message holds card data.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Cut::Incomplete { need } => f.debug_struct("Incomplete").field("need", need).finish(),
            Cut::KeepAlive { taken } => f.debug_struct("KeepAlive").field("taken", taken).finish(),
            Cut::Frame { taken, .. } => f.debug_struct("Frame").field("taken", taken).finish_non_exhaustive(),
        }
    }
}

impl FrameFormat {
    /// Cuts the first frame off `bytes`.
    ///
    /// # Errors
    /// Whatever makes the length useless. A length above `max_bytes` is reported as soon as the length can
    /// be read, so that nobody makes room for it.
    pub fn cut<'a>(&self, bytes: &'a [u8]) -> Result<Cut<'a>, FrameError> {
        let length_bytes = self.length.bytes();
        let Some(prefix) = bytes.get(..length_bytes) else {
            return Ok(Cut::Incomplete { need: length_bytes });
        };
        let content = self.content_bytes(read_length(self.length, prefix)?)?;
        let header_bytes = usize::from(self.header_bytes);
        if content == 0 {
            // Not even a header: some hosts send the bare length as a sign of life.
            return self.empty(length_bytes);
        }
        if content < header_bytes {
            return Err(FrameError::LengthTooSmall);
        }
        let taken = length_bytes.saturating_add(content);
        let Some((header, message)) =
            bytes.get(length_bytes..taken).and_then(|body| body.split_at_checked(header_bytes))
        else {
            return Ok(Cut::Incomplete { need: taken });
        };
        if message.is_empty() {
            return self.empty(taken);
        }
        Ok(Cut::Frame { header, message, taken })
    }

    /// The most that header and message together may take by the length alone, whatever `max_bytes` says.
    pub fn longest(&self) -> u32 {
        let own = if self.inclusive { u32::try_from(self.length.bytes()).unwrap_or_default() } else { 0 };
        self.length.largest().saturating_sub(own)
    }

    /// Bytes in front of each message: length field and fixed header.
    pub fn overhead_bytes(&self) -> usize {
        self.length.bytes().saturating_add(usize::from(self.header_bytes))
    }

    /// Writes length and header to the front of `out` for a message of `message_bytes` that follows them,
    /// and returns how many bytes that took. A `header` shorter than the format's is filled up with zeros,
    /// as in a frame that we start ourselves.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when the message exceeds the format's bound or its length form;
    /// [`FrameError::NoRoom`] when `out` is too small or `header` too long.
    pub fn seal(&self, header: &[u8], message_bytes: usize, out: &mut [u8]) -> Result<usize, FrameError> {
        let length_bytes = self.length.bytes();
        let overhead = self.overhead_bytes();
        let content = message_bytes.saturating_add(usize::from(self.header_bytes));
        let counted = if self.inclusive { content.saturating_add(length_bytes) } else { content };
        let announced = u32::try_from(content).unwrap_or(u32::MAX);
        let value = u32::try_from(counted).unwrap_or(u32::MAX);
        if announced > self.max_bytes || value > self.length.largest() {
            return Err(FrameError::TooLong { announced });
        }
        let (prefix, fixed) = out
            .get_mut(..overhead)
            .and_then(|front| front.split_at_mut_checked(length_bytes))
            .ok_or(FrameError::NoRoom)?;
        write_length(self.length, value, prefix);
        fixed.fill(0);
        fixed.get_mut(..header.len()).ok_or(FrameError::NoRoom)?.copy_from_slice(header);
        Ok(overhead)
    }

    /// Bytes of header and message that a length announces.
    fn content_bytes(&self, announced: u32) -> Result<usize, FrameError> {
        let own = if self.inclusive && announced != 0 { self.length.bytes() } else { 0 };
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        let content = announced.checked_sub(own).ok_or(FrameError::LengthTooSmall)?;
        match u32::try_from(content) {
            Ok(within) if within <= self.max_bytes => Ok(content),
            other => Err(FrameError::TooLong { announced: other.unwrap_or(u32::MAX) }),
        }
    }

    fn empty(&self, taken: usize) -> Result<Cut<'static>, FrameError> {
        if self.keep_alive { Ok(Cut::KeepAlive { taken }) } else { Err(FrameError::Empty) }
    }
}

fn read_length(form: LengthForm, prefix: &[u8]) -> Result<u32, FrameError> {
    match (form, prefix) {
        (LengthForm::Binary2, &[high, low]) => Ok(u32::from_be_bytes([0, 0, high, low])),
        (LengthForm::Binary4, &[a, b, c, d]) => Ok(u32::from_be_bytes([a, b, c, d])),
        (LengthForm::Bcd2, digits) => {
            digits.iter().try_fold(0, |sum, byte| append_digit(append_digit(sum, byte >> 4)?, byte & 0x0F))
        }
        (_, digits) => digits.iter().try_fold(0, |sum, byte| append_digit(sum, byte ^ b'0')),
    }
}

fn append_digit(number: u32, digit: u8) -> Result<u32, FrameError> {
    match digit {
        0..=9 => Ok(number.wrapping_mul(10).wrapping_add(u32::from(digit))),
        _ => Err(FrameError::LengthNotDigits),
    }
}

/// `value` is within the form's range; `prefix` has the form's size.
fn write_length(form: LengthForm, value: u32, prefix: &mut [u8]) {
    match (form, prefix) {
        (LengthForm::Binary2, [high, low]) => [_, _, *high, *low] = value.to_be_bytes(),
        (LengthForm::Binary4, [a, b, c, d]) => [*a, *b, *c, *d] = value.to_be_bytes(),
        (LengthForm::Bcd2, bytes) => {
            write_digits(value, bytes, 100, |rest| ((rest / 10 % 10) << 4) | (rest % 10));
        }
        (_, bytes) => write_digits(value, bytes, 10, |rest| (rest % 10) | 0x30),
    }
}

fn write_digits(value: u32, bytes: &mut [u8], base: u32, byte_of: impl Fn(u32) -> u32) {
    let mut rest = value;
    for byte in bytes.iter_mut().rev() {
        *byte = u8::try_from(byte_of(rest)).unwrap_or_default();
        rest = rest.checked_div(base).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    const FORMS: [LengthForm; 4] =
        [LengthForm::Binary2, LengthForm::Binary4, LengthForm::Bcd2, LengthForm::Ascii4];

    const PLAIN: FrameFormat = FrameFormat {
        length: LengthForm::Binary2,
        inclusive: false,
        header_bytes: 0,
        max_bytes: 4_096,
        keep_alive: false,
    };

    fn frame(format: &FrameFormat, header: &[u8], message: &[u8]) -> Vec<u8> {
        let mut out = std::vec![0; format.overhead_bytes()];
        assert_eq!(format.seal(header, message.len(), &mut out), Ok(out.len()));
        out.extend_from_slice(message);
        out
    }

    #[test]
    fn each_length_as_it_stands_on_the_wire() {
        let message = [b'x'; 300];
        for (length, inclusive, header_bytes, expected) in [
            (LengthForm::Binary2, false, 0, &[0x01, 0x2C][..]),
            (LengthForm::Binary2, true, 0, &[0x01, 0x2E]),
            (LengthForm::Binary4, false, 0, &[0, 0, 0x01, 0x2C]),
            (LengthForm::Bcd2, false, 0, &[0x03, 0x00]),
            (LengthForm::Bcd2, true, 5, &[0x03, 0x07, 0x60, 0x00, 0x01, 0x00, 0x00]),
            (LengthForm::Ascii4, false, 0, b"0300"),
            (LengthForm::Ascii4, true, 5, b"0309\x60\x00\x01\x00\x00"),
        ] {
            let format = FrameFormat { length, inclusive, header_bytes, ..PLAIN };
            let header = if header_bytes == 0 { &[][..] } else { &[0x60, 0x00, 0x01] };
            let bytes = frame(&format, header, &message);
            assert_eq!(&bytes[..expected.len()], expected, "{format:?}");
            let header = &expected[length.bytes()..];
            let whole = Cut::Frame { header, message: &message, taken: bytes.len() };
            assert!(format.cut(&bytes) == Ok(whole), "{format:?}");
        }
    }

    #[test]
    fn nothing_but_a_length() {
        let quiet = FrameFormat { keep_alive: true, ..PLAIN };
        assert_eq!(quiet.cut(&[0, 0, 9]), Ok(Cut::KeepAlive { taken: 2 }));
        assert_eq!(PLAIN.cut(&[0, 0]), Err(FrameError::Empty));
        let inclusive = FrameFormat { inclusive: true, ..quiet };
        assert_eq!(inclusive.cut(&[0, 2]), Ok(Cut::KeepAlive { taken: 2 }));
        assert_eq!(inclusive.cut(&[0, 0]), Ok(Cut::KeepAlive { taken: 2 }));
        assert_eq!(inclusive.cut(&[0, 1]), Err(FrameError::LengthTooSmall));
        let with_header = FrameFormat { header_bytes: 5, ..quiet };
        assert_eq!(with_header.cut(&[0, 0]), Ok(Cut::KeepAlive { taken: 2 }));
        assert_eq!(with_header.cut(&[0, 4, 1, 2, 3, 4]), Err(FrameError::LengthTooSmall));
        assert_eq!(with_header.cut(&[0, 5, 1, 2, 3, 4]), Ok(Cut::Incomplete { need: 7 }));
        assert_eq!(with_header.cut(&[0, 5, 1, 2, 3, 4, 5]), Ok(Cut::KeepAlive { taken: 7 }));
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_the_message_is_there() {
        let format = FrameFormat { max_bytes: 100, ..PLAIN };
        assert_eq!(format.cut(&[0, 101]), Err(FrameError::TooLong { announced: 101 }));
        assert_eq!(format.cut(&[0, 100]), Ok(Cut::Incomplete { need: 102 }));
        assert_eq!(format.seal(&[], 101, &mut [0; 9]), Err(FrameError::TooLong { announced: 101 }));
        let wide = FrameFormat { length: LengthForm::Binary4, max_bytes: u32::MAX, ..PLAIN };
        assert_eq!(wide.cut(&[0xFF; 4]), Ok(Cut::Incomplete { need: 4 + 0xFFFF_FFFF }));
        let narrow = FrameFormat { length: LengthForm::Ascii4, max_bytes: 20_000, ..PLAIN };
        assert_eq!(narrow.seal(&[], 10_000, &mut [0; 9]), Err(FrameError::TooLong { announced: 10_000 }));
    }

    #[test]
    fn no_length_and_no_room() {
        let ascii = FrameFormat { length: LengthForm::Ascii4, ..PLAIN };
        assert_eq!(ascii.cut(b"01A0"), Err(FrameError::LengthNotDigits));
        let bcd = FrameFormat { length: LengthForm::Bcd2, ..PLAIN };
        assert_eq!(bcd.cut(&[0x01, 0x0A]), Err(FrameError::LengthNotDigits));
        assert_eq!(ascii.seal(&[], 1, &mut [0; 3]), Err(FrameError::NoRoom));
        assert_eq!(ascii.seal(&[1], 1, &mut [0; 9]), Err(FrameError::NoRoom));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// However the bytes arrive, the frames come out whole and in order, and no more bytes are asked for
        /// than the next frame has.
        #[test]
        fn frames_in_pieces(
            form in 0..4_usize,
            inclusive: bool,
            header_bytes in 0..8_u8,
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..5),
            pieces in prop::collection::vec(1..9_usize, 1..400),
        ) {
            let length = FORMS[form];
            let format = FrameFormat { length, inclusive, header_bytes, ..PLAIN };
            let stream: Vec<u8> = messages.iter().flat_map(|message| frame(&format, &[], message)).collect();
            // The last piece is as long as need be; single bytes are among the others.
            let (mut collected, mut rest, mut cut_out) = (Vec::new(), &stream[..], Vec::new());
            for piece in pieces.into_iter().chain([usize::MAX]) {
                let (arrived, behind) = rest.split_at(piece.min(rest.len()));
                collected.extend_from_slice(arrived);
                rest = behind;
                loop {
                    match format.cut(&collected).unwrap() {
                        Cut::Incomplete { need } => {
                            prop_assert!(need > collected.len() && need <= format.overhead_bytes() + 40);
                            break;
                        }
                        Cut::KeepAlive { .. } => prop_assert!(false, "no keep-alive was sent"),
                        Cut::Frame { header, message, taken } => {
                            prop_assert_eq!(header.len(), usize::from(header_bytes));
                            cut_out.push(message.to_vec());
                            collected.drain(..taken);
                        }
                    }
                }
            }
            prop_assert_eq!(cut_out, messages);
            prop_assert!(collected.is_empty());
        }

        #[test]
        fn noise_is_cut_or_refused(form in 0..4_usize, inclusive: bool, keep_alive: bool, header_bytes: u8,
            bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let length = FORMS[form];
            let format = FrameFormat { length, inclusive, header_bytes, keep_alive, ..PLAIN };
            match format.cut(&bytes) {
                Ok(Cut::Incomplete { need }) => prop_assert!(need > bytes.len() && need <= 4_100),
                Ok(Cut::KeepAlive { taken } | Cut::Frame { taken, .. }) => {
                    prop_assert!(0 < taken && taken <= bytes.len());
                }
                Err(_) => {}
            }
        }
    }
}
