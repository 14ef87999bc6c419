//! What can be wrong with bytes. An error says where and what; it never carries message content, so it may
//! be logged as it is.

use core::fmt;

use crate::iso8583::De;

/// A message that breaks a rule of its dialect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The data element concerned; [`De::MTI`] for the message type, [`De::BITMAP`] for the bitmaps.
    pub de: De,
    /// Bytes from the start of the message: the first wrong byte for a flaw of content, the start of the
    /// element for a flaw of structure, the end of the message for an element that is missing.
    pub offset: u16,
    /// What is wrong there.
    pub flaw: Flaw,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}: {}", self.de, self.offset, self.flaw)
    }
}

impl core::error::Error for ParseError {}

/// Every way in which a message can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flaw {
    /// The message ends inside the element.
    TooShort,
    /// A length prefix that is not a number in its own text.
    LengthNotDigits,
    /// Longer than the dialect allows, or a message longer than 65 535 bytes.
    TooLong,
    /// A character other than 0 to 9 in a field of digits.
    NotDigits,
    /// A character outside the field's repertoire.
    NotText,
    /// A character other than 0-9, A-F, a-f where bytes are shown as text, or an odd number of them.
    NotHex,
    /// A BCD nibble above 9, or padding that is not zero.
    NotBinaryDigits,
    /// A signed amount that starts with neither C nor D.
    BadSign,
    /// The bitmap announces an element that the dialect does not define.
    UnknownElement,
    /// Bit 65 is set: a third bitmap, which no dialect here has.
    TertiaryBitmap,
    /// Bytes are left after the last announced element.
    TrailingBytes,
    /// An element that the message type requires is absent.
    Missing,
    /// An element that the message type forbids is present.
    Forbidden,
    /// The message type is not one of the dialect's version of the standard.
    BadMti,
    /// The characters are allowed, the value is not: month 13, an unknown currency.
    BadValue,
    /// Not the track of a card: ISO/IEC 7813 gives the layout.
    BadTrack,
    /// Not BER-TLV, or an object of the wrong length.
    BadTlv,
    /// Two elements contradict each other.
    Inconsistent,
}

impl Flaw {
    /// A few lower-case words for a log line.
    pub const fn text(self) -> &'static str {
        match self {
            Flaw::TooShort => "too short",
            Flaw::LengthNotDigits => "length not digits",
            Flaw::TooLong => "too long",
            Flaw::NotDigits => "not digits",
            Flaw::NotText => "not text",
            Flaw::NotHex => "not hex",
            Flaw::NotBinaryDigits => "not binary-coded digits",
            Flaw::BadSign => "bad sign",
            Flaw::UnknownElement => "unknown element",
            Flaw::TertiaryBitmap => "tertiary bitmap",
            Flaw::TrailingBytes => "trailing bytes",
            Flaw::Missing => "missing",
            Flaw::Forbidden => "forbidden",
            Flaw::BadMti => "bad message type",
            Flaw::BadValue => "bad value",
            Flaw::BadTrack => "bad track",
            Flaw::BadTlv => "bad TLV",
            Flaw::Inconsistent => "inconsistent",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A message that could not be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EncodeError {
    /// The data element concerned; [`De::MTI`] for the message type, [`De::BITMAP`] for the bitmaps.
    pub de: De,
    /// Why it could not be written.
    pub flaw: EncodeFlaw,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.de, self.flaw.text())
    }
}

impl core::error::Error for EncodeError {}

/// Every reason not to write an element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EncodeFlaw {
    /// The caller's buffer has no room for it.
    Full,
    /// The dialect does not define it.
    UnknownElement,
    /// Longer than the dialect allows.
    TooLong,
    /// Shorter than a fixed length that is not padded (binary, signed and track fields).
    WrongLength,
    /// Content that is not of the field's kind, or not there to be copied.
    NotEncodable,
    /// Not the next of the elements announced at the start.
    OutOfOrder,
    /// An announced element was never written; `de` is the first one.
    Incomplete,
}

impl EncodeFlaw {
    /// A few lower-case words for a log line.
    pub const fn text(self) -> &'static str {
        match self {
            EncodeFlaw::Full => "no room left",
            EncodeFlaw::UnknownElement => "unknown element",
            EncodeFlaw::TooLong => "too long",
            EncodeFlaw::WrongLength => "wrong length",
            EncodeFlaw::NotEncodable => "not encodable",
            EncodeFlaw::OutOfOrder => "out of order",
            EncodeFlaw::Incomplete => "incomplete",
        }
    }
}

/// A length header that cannot be followed. On a link this ends the connection: without a length nobody can
/// say where the next message starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// More than the link allows, or than the header can express.
    TooLong {
        /// Bytes of header and message that were announced.
        announced: u32,
    },
    /// A length in ASCII or BCD with something else than digits in it.
    LengthNotDigits,
    /// An inclusive length below its own size, or a frame shorter than its fixed header.
    LengthTooSmall,
    /// A frame without a message, where the link does not use those to keep itself alive.
    Empty,
    /// Writing only: the caller's buffer cannot take the overhead, or the header given is longer than the
    /// format's.
    NoRoom,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::TooLong { announced } => write!(f, "frame of {announced} bytes is too long"),
            FrameError::LengthNotDigits => f.write_str("frame length not digits"),
            FrameError::LengthTooSmall => f.write_str("frame length too small"),
            FrameError::Empty => f.write_str("empty frame"),
            FrameError::NoRoom => f.write_str("no room for the frame header"),
        }
    }
}

impl core::error::Error for FrameError {}
