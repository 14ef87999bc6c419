//! One peer's way of writing: a dialect and a framing. The framing is written here a second time, apart from
//! the crate under test, so that the two check each other.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use codecs::iso8583::Dialect;
use codecs::iso8583::dialect::built_in;

use crate::mac::Mac;
use crate::message_text::{Plain, hex};

/// How a length is written in front of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthText {
    /// Two bytes, most significant first.
    Binary2,
    /// Four bytes, most significant first.
    Binary4,
    /// Four digits in two bytes.
    Bcd2,
    /// Four characters.
    Ascii4,
}

/// A dialect and a framing.
#[derive(Clone, Debug)]
pub struct Wire {
    /// The layout of messages.
    pub dialect: &'static Dialect,
    /// Whether it is a dialect of 1993.
    pub is_1993: bool,
    /// The form of the length.
    pub length: LengthText,
    /// Whether the length counts itself.
    pub inclusive: bool,
    /// The fixed header this side writes; its length is the configured one.
    pub header: Vec<u8>,
    /// The code that messages bear, both ways; it is put on what is sent and insisted on in what comes.
    pub mac: Option<Mac>,
}

/// One message as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// The fixed header in front of it.
    pub header: Vec<u8>,
    /// The message without length and header.
    pub bytes: Vec<u8>,
    /// The same, readable.
    pub plain: Plain,
    /// When it was complete.
    pub at: Instant,
}

impl Wire {
    /// A built-in dialect behind a two-byte length.
    #[must_use]
    pub fn named(dialect: &str) -> Wire {
        let is_1993 = dialect.starts_with("iso93");
        let dialect = built_in(dialect).unwrap_or_else(|| panic!("no built-in dialect {dialect}"));
        Wire {
            dialect,
            is_1993,
            length: LengthText::Binary2,
            inclusive: false,
            header: Vec::new(),
            mac: None,
        }
    }

    /// As the `dialect` and `framing` of a peer in the switch's configuration say.
    #[must_use]
    pub fn of_peer(peer: &toml::Table) -> Wire {
        let dialect = peer.get("dialect").and_then(toml::Value::as_str).expect("a dialect");
        let mut wire = Wire::named(dialect);
        wire.mac = peer.get("mac").and_then(toml::Value::as_table).map(Mac::of_table);
        let Some(framing) = peer.get("framing").and_then(toml::Value::as_table) else { return wire };
        wire.length = match framing.get("length").and_then(toml::Value::as_str) {
            Some("binary4") => LengthText::Binary4,
            Some("bcd2") => LengthText::Bcd2,
            Some("ascii4") => LengthText::Ascii4,
            _ => LengthText::Binary2,
        };
        wire.inclusive = framing.get("inclusive").and_then(toml::Value::as_bool) == Some(true);
        let header = framing.get("header_bytes").and_then(toml::Value::as_integer).unwrap_or(0);
        wire.header = (0..header).map(|n| 0x60 + u8::try_from(n).expect("a short header")).collect();
        wire
    }

    /// How many bytes the length takes.
    #[must_use]
    pub fn length_bytes(&self) -> usize {
        if matches!(self.length, LengthText::Binary2 | LengthText::Bcd2) { 2 } else { 4 }
    }

    /// A length field that announces this many bytes of header and message.
    #[must_use]
    pub fn announce(&self, bytes: usize) -> Vec<u8> {
        let bytes = bytes + if self.inclusive { self.length_bytes() } else { 0 };
        match self.length {
            LengthText::Binary2 => u16::try_from(bytes).expect("fits two bytes").to_be_bytes().to_vec(),
            LengthText::Binary4 => u32::try_from(bytes).expect("fits four bytes").to_be_bytes().to_vec(),
            LengthText::Bcd2 => crate::message_text::unhex(&format!("{bytes:04}")),
            LengthText::Ascii4 => format!("{bytes:04}").into_bytes(),
        }
    }

    /// A whole frame around message bytes.
    #[must_use]
    pub fn frame(&self, message: &[u8]) -> Vec<u8> {
        [&self.announce(self.header.len() + message.len()), &self.header, message].concat()
    }

    /// The bytes of a message, with its code where it bears one.
    #[must_use]
    pub fn encode(&self, message: &Plain) -> Vec<u8> {
        match self.mac {
            Some(mac) => mac.seal(message, self.dialect),
            None => message.encode(self.dialect),
        }
    }

    /// A whole frame around a message given as text.
    #[must_use]
    pub fn frame_text(&self, text: &str) -> Vec<u8> {
        self.frame(&self.encode(&Plain::of(text)))
    }

    /// An expectation in this dialect's full widths.
    #[must_use]
    pub fn expectation(&self, text: &str) -> Plain {
        Plain::of(text).padded(self.dialect)
    }

    /// Takes one message off the front of what has arrived.
    pub fn take(&self, arrived: &mut Vec<u8>) -> Option<Received> {
        let (header, bytes) = self.take_bytes(arrived)?;
        if let Some(mac) = self.mac {
            mac.insist(&bytes, self.dialect);
        }
        let plain = Plain::decode(self.dialect, &bytes).unwrap_or_else(|why| {
            panic!("the switch sent a message that cannot be read: {why}: {}", hex(&bytes))
        });
        Some(Received { header, bytes, plain, at: Instant::now() })
    }

    fn take_bytes(&self, arrived: &mut Vec<u8>) -> Option<(Vec<u8>, Vec<u8>)> {
        let start = self.length_bytes();
        let announced = arrived.get(..start)?;
        let number = match self.length {
            LengthText::Binary2 | LengthText::Binary4 => {
                announced.iter().fold(0, |sum, &byte| sum * 256 + usize::from(byte))
            }
            LengthText::Bcd2 => hex(announced).parse().expect("digits in the length"),
            LengthText::Ascii4 => String::from_utf8_lossy(announced).parse().expect("digits in the length"),
        };
        let end = if self.inclusive { number } else { start + number };
        let body = arrived.get(start..end)?;
        let (header, message) = body.split_at(self.header.len());
        let taken = (header.to_vec(), message.to_vec());
        arrived.drain(..end);
        Some(taken)
    }
}

/// What reading from a socket until a deadline came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Bytes were added.
    Bytes,
    /// The peer closed or reset.
    Closed,
    /// The deadline passed.
    Nothing,
}

/// Adds what the next read brings, at most `limit` bytes; waits no longer than the deadline.
pub fn hear(mut stream: &TcpStream, arrived: &mut Vec<u8>, deadline: Instant, limit: usize) -> Heard {
    let mut chunk = vec![0; limit.min(16 * 1024)];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Heard::Nothing;
        }
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).expect("a read time-out");
        match stream.read(&mut chunk) {
            Ok(0) => return Heard::Closed,
            Ok(count) => {
                arrived.extend_from_slice(&chunk[..count]);
                return Heard::Bytes;
            }
            Err(why) if matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Heard::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_framing_cuts_what_it_sealed() {
        for length in [LengthText::Binary2, LengthText::Binary4, LengthText::Bcd2, LengthText::Ascii4] {
            for (inclusive, header) in [(false, vec![]), (true, vec![]), (true, vec![1, 2, 3, 4, 5])] {
                let wire = Wire { length, inclusive, header: header.clone(), ..Wire::named("iso87-ascii") };
                let frame = wire.frame_text("0800 7=1123120000 11=000001 70=301");
                let mut arrived = [frame.clone(), frame[..7].to_vec()].concat();
                let received = wire.take(&mut arrived).expect("one whole frame");
                assert_eq!((received.header, received.plain.get(70)), (header, "301"));
                assert!(wire.take(&mut arrived).is_none());
                assert_eq!(arrived, frame[..7]);
            }
        }
    }

    #[test]
    fn lengths_are_written_as_their_names_say() {
        let wire = |length, inclusive| Wire { length, inclusive, ..Wire::named("iso87-ascii") };
        assert_eq!(wire(LengthText::Binary2, false).announce(260), [1, 4]);
        assert_eq!(wire(LengthText::Binary4, true).announce(256), [0, 0, 1, 4]);
        assert_eq!(wire(LengthText::Bcd2, false).announce(123), [0x01, 0x23]);
        assert_eq!(wire(LengthText::Ascii4, true).announce(96), *b"0100");
    }
}
