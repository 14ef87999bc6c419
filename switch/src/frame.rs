//! One frame appended to a buffer: room for the length and header, the message, then the length.

use codecs::EncodeError;
use codecs::frame::FrameFormat;

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

/// Appends a frame of at most `room` message bytes, which `encode` writes, saying how many.
pub fn append(
    out: &mut Vec<u8>,
    framing: FrameFormat,
    header: &[u8],
    room: usize,
    encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), NotSent> {
    let begins = out.len();
    let overhead = framing.overhead_bytes();
    out.resize(begins + overhead + room, 0);
    let written = encode(&mut out[begins + overhead..])?;
    framing.seal(header, written, &mut out[begins..]).map_err(|_| NotSent::TooLong)?;
    out.truncate(begins + overhead + written);
    Ok(())
}
