//! One frame appended to a buffer: room for the length and header, the message, then the length.

use codecs::EncodeError;
use codecs::frame::FrameFormat;
use codecs::iso8583::Dialect;

/// Why a message could not be put into a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The message cannot be said in this dialect.
    Encode(EncodeError),
    /// It is longer than the link allows.
    TooLong,
}

impl From<EncodeError> for NotSent {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

/// What a code takes in any dialect.
const MAC_BYTES_MAX: usize = 16;

/// Appends a frame of at most `room` message bytes, which `encode` writes, saying how many. On a link whose messages bear a
/// code, `mac` is its dialect: the place of the code follows, and is counted.
pub fn append(
    out: &mut Vec<u8>,
    framing: FrameFormat,
    header: &[u8],
    room: usize,
    mac: Option<&Dialect>,
    encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), NotSent> {
    let begins = out.len();
    let overhead = framing.overhead_bytes();
    out.resize(begins + overhead + room + mac.map_or(0, |_| MAC_BYTES_MAX), 0);
    let mut written = encode(&mut out[begins + overhead..])?;
    if let Some(dialect) = mac {
        written = dialect.append_mac_place(&mut out[begins + overhead..], written)?;
    }
    framing.seal(header, written, &mut out[begins..]).map_err(|_| NotSent::TooLong)?;
    out.truncate(begins + overhead + written);
    Ok(())
}
