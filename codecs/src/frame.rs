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
    // At most four bytes or four digits: no overflow.
    let mut sum = 0_u32;
    for &byte in prefix {
        sum = match form {
            LengthForm::Binary2 | LengthForm::Binary4 => (sum << 8) | u32::from(byte),
            LengthForm::Bcd2 => append_digit(append_digit(sum, byte >> 4)?, byte & 0x0F)?,
            LengthForm::Ascii4 => append_digit(sum, byte ^ b'0')?,
        };
    }
    Ok(sum)
}

fn append_digit(number: u32, digit: u8) -> Result<u32, FrameError> {
    match digit {
        0..=9 => Ok(number.wrapping_mul(10).wrapping_add(u32::from(digit))),
        _ => Err(FrameError::LengthNotDigits),
    }
}

/// `value` is within the form's range; `prefix` has the form's size.
fn write_length(form: LengthForm, value: u32, prefix: &mut [u8]) {
    let mut rest = value;
    for byte in prefix.iter_mut().rev() {
        let (low, base) = match form {
            LengthForm::Binary2 | LengthForm::Binary4 => (rest & 0xFF, 256),
            LengthForm::Bcd2 => (((rest / 10 % 10) << 4) | (rest % 10), 100),
            LengthForm::Ascii4 => ((rest % 10) | 0x30, 10),
        };
        *byte = u8::try_from(low).unwrap_or_default();
        rest = rest.checked_div(base).unwrap_or_default();
    }
}
