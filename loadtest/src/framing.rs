//! Frames on a stream: the framing of `codecs` behind tokio-util's codec traits.
//!
//! tokio-util has a length-delimited codec of its own, but it knows no ASCII or BCD lengths. Cutting is left
//! to `codecs::frame`; this file only moves the bytes.

use std::fmt;
use std::io;

use bytes::{Buf, BufMut, BytesMut};
use codecs::FrameError;
use codecs::frame::{Cut, FrameFormat};
use tokio_util::codec::{Decoder, Encoder};

/// One message with the fixed header that stood in front of it. Shares the buffer it was read into.
pub struct Frame {
    bytes: BytesMut,
    message_at: usize,
}

impl Frame {
    /// The fixed header, to be echoed in the answer.
    pub fn header(&self) -> &[u8] {
        &self.bytes[..self.message_at]
    }

    /// The message.
    pub fn message(&self) -> &[u8] {
        &self.bytes[self.message_at..]
    }
}

impl fmt::Debug for Frame {
    // Written by hand because a message holds card data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// A stream that cannot be cut into frames, or was lost.
#[derive(Debug)]
pub enum LinkError {
    /// The other side broke the framing; where the next message begins cannot be known any more.
    Framing(FrameError),
    /// The connection failed.
    Io(io::Error),
    /// The other side closed it.
    Closed,
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        LinkError::Io(error)
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Framing(error) => write!(f, "broken framing: {error}"),
            LinkError::Io(error) => write!(f, "{error}"),
            LinkError::Closed => f.write_str("closed by the other side"),
        }
    }
}

impl std::error::Error for LinkError {}

/// Cuts frames off a stream and seals messages into frames.
#[derive(Clone, Copy, Debug)]
pub struct FrameCodec {
    format: FrameFormat,
}

impl FrameCodec {
    /// The codec of a framing.
    pub fn new(format: FrameFormat) -> FrameCodec {
        FrameCodec { format }
    }

    /// Bytes in front of each message.
    pub fn overhead_bytes(&self) -> usize {
        self.format.overhead_bytes()
    }

    /// Appends a frame whose message `write` puts straight into the output, without a copy; it is given
    /// `room_bytes` and returns how much it used. When it gives up, nothing is appended.
    pub fn encode_with(
        &self,
        header: &[u8],
        room_bytes: usize,
        out: &mut BytesMut,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<()> {
        let (start, overhead) = (out.len(), self.overhead_bytes());
        out.put_bytes(0, overhead + room_bytes);
        let sealed = write(&mut out[start + overhead..]).and_then(|message_bytes| {
            self.format.seal(header, message_bytes, &mut out[start..]).ok()?;
            Some(start + overhead + message_bytes)
        });
        out.truncate(sealed.unwrap_or(start));
        sealed.map(|_| ())
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = LinkError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame>, LinkError> {
        loop {
            match self.format.cut(bytes).map_err(LinkError::Framing)? {
                Cut::Incomplete { need } => {
                    bytes.reserve(need.saturating_sub(bytes.len()));
                    return Ok(None);
                }
                Cut::KeepAlive { taken } => bytes.advance(taken),
                Cut::Frame { header, message, taken } => {
                    let (header_bytes, frame_bytes) = (header.len(), header.len() + message.len());
                    let mut frame = bytes.split_to(taken);
                    frame.advance(taken - frame_bytes);
                    return Ok(Some(Frame { bytes: frame, message_at: header_bytes }));
                }
            }
        }
    }
}

impl Encoder<&[u8]> for FrameCodec {
    type Error = LinkError;

    /// Appends a message that we start ourselves: its header is zeros.
    fn encode(&mut self, message: &[u8], out: &mut BytesMut) -> Result<(), LinkError> {
        let start = out.len();
        out.put_bytes(0, self.overhead_bytes());
        self.format.seal(&[], message.len(), &mut out[start..]).map_err(LinkError::Framing)?;
        out.extend_from_slice(message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units;

    fn codec(framing: &str) -> FrameCodec {
        FrameCodec::new(units::framing(framing).unwrap())
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        for framing in ["binary2", "binary4,inclusive", "bcd2,header=5", "ascii4,inclusive,header=2"] {
            let mut codec = codec(framing);
            let mut stream = BytesMut::new();
            codec.encode(b"first", &mut stream).unwrap();
            codec.encode(b"second", &mut stream).unwrap();
            let last = stream.split_off(stream.len() - 1);
            assert_eq!(codec.decode(&mut stream).unwrap().unwrap().message(), b"first", "{framing}");
            assert!(codec.decode(&mut stream).unwrap().is_none());
            stream.unsplit(last);
            assert_eq!(codec.decode(&mut stream).unwrap().unwrap().message(), b"second", "{framing}");
            assert!(stream.is_empty());
        }
    }

    #[test]
    fn a_header_is_handed_on() {
        let mut codec = codec("binary2,header=3");
        let mut stream = BytesMut::from(&b"\0\x05hdrab"[..]);
        let frame = codec.decode(&mut stream).unwrap().unwrap();
        assert_eq!((frame.header(), frame.message()), (&b"hdr"[..], &b"ab"[..]));
        let written = codec.encode_with(frame.header(), 9, &mut stream, |room| {
            room[..2].copy_from_slice(b"AB");
            Some(2)
        });
        assert!(written.is_some());
        assert_eq!(&stream[..], b"\0\x05hdrAB");
        assert!(codec.encode_with(b"", 9, &mut stream, |_| None).is_none());
        assert_eq!(stream.len(), 7);
    }

    #[test]
    fn keep_alives_are_skipped_and_nonsense_is_refused() {
        let mut stream = BytesMut::from(&b"\0\0\0\x01x"[..]);
        assert_eq!(codec("binary2,keep_alive").decode(&mut stream).unwrap().unwrap().message(), b"x");
        let mut stream = BytesMut::from(&b"\0\0\0\x01x"[..]);
        assert!(matches!(codec("binary2").decode(&mut stream), Err(LinkError::Framing(_))));
    }
}
