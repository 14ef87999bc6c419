//! A scriptable acquirer: one connection, sends texts or bytes, insists on answers.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::PATIENCE;
use super::canary::Canaries;
use crate::message_text::Plain;
use crate::wire::{Heard, Received, Wire, hear};

/// One connection of an acquirer.
#[derive(Debug)]
pub struct Acquirer {
    stream: TcpStream,
    wire: Wire,
    arrived: Vec<u8>,
    canaries: Canaries,
}

/// Connects, and sends small messages at once.
#[must_use]
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the switch listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

/// Connects with a receive buffer so small that a peer who does not read is soon felt.
#[must_use]
pub fn connect_narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(&address.into()).expect("the switch listens");
    socket.into()
}

impl Acquirer {
    /// Speaks over a stream.
    #[must_use]
    pub fn new(stream: TcpStream, wire: Wire, canaries: Canaries) -> Acquirer {
        Acquirer { stream, wire, arrived: Vec::new(), canaries }
    }

    /// How it writes.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// The socket itself.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends one message given as text.
    pub fn send(&mut self, text: &str) {
        let message = Plain::of(text);
        self.canaries.note(&message);
        let frame = self.wire.frame(&self.wire.encode(&message));
        self.send_bytes(&frame);
    }

    /// Sends one message to a peer that may be gone. Says whether it could be sent.
    pub fn try_send(&mut self, text: &str) -> bool {
        let message = Plain::of(text);
        self.canaries.note(&message);
        let frame = self.wire.frame(&self.wire.encode(&message));
        self.try_send_bytes(&frame)
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the switch takes what we send");
    }

    /// Sends bytes to a peer that may have closed already.
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Waits for the next message.
    pub fn receive(&mut self) -> Received {
        let received = self.receive_until(Instant::now() + PATIENCE);
        received.unwrap_or_else(|heard| panic!("no message within {PATIENCE:?}: {heard:?}"))
    }

    /// The next message, or what came instead until the deadline.
    pub fn receive_until(&mut self, deadline: Instant) -> Result<Received, Heard> {
        loop {
            if let Some(received) = self.wire.take(&mut self.arrived) {
                return Ok(received);
            }
            match hear(&self.stream, &mut self.arrived, deadline, usize::MAX) {
                Heard::Bytes => {}
                other => return Err(other),
            }
        }
    }

    /// Waits for the next message and insists that it fits, such as `0110 11=000007 39=91 38=-`.
    pub fn expect(&mut self, expected: &str) -> Received {
        let received = self.receive();
        let misfits = received.plain.misfits(&self.wire.expectation(expected));
        assert!(misfits.is_empty(), "expected {expected}: {misfits:?}");
        received
    }

    /// Sends one message and insists on its answer.
    pub fn ask(&mut self, request: &str, expected: &str) -> Received {
        self.send(request);
        self.expect(expected)
    }

    /// Waits for this many messages, whatever their order, by their DE 11.
    pub fn receive_all(&mut self, count: usize) -> BTreeMap<String, Received> {
        let all: BTreeMap<_, _> =
            (0..count).map(|_| self.receive()).map(|one| (one.plain.get(11).to_owned(), one)).collect();
        assert_eq!(all.len(), count, "two answers with one STAN");
        all
    }

    /// Insists that the switch closes this connection, and gives the time it took.
    pub fn expect_closed(&mut self) -> Duration {
        let start = Instant::now();
        match self.receive_until(start + PATIENCE) {
            Err(Heard::Closed) => start.elapsed(),
            Err(_) => panic!("still open after {PATIENCE:?}"),
            Ok(received) => panic!("expected a close, got {}", received.plain),
        }
    }

    /// Insists that nothing at all comes for this long. Where an event can tell the same, await that instead.
    pub fn expect_silence(&mut self, length: Duration) {
        match self.receive_until(Instant::now() + length) {
            Err(Heard::Nothing) => {}
            Err(_) => panic!("closed instead of silent"),
            Ok(received) => panic!("expected silence, got {}", received.plain),
        }
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        reset(&self.stream);
    }
}

/// Ends a connection with a reset at once, whoever else holds the socket: what connecting to nowhere does.
pub(crate) fn reset(stream: &TcpStream) {
    rustix::net::connect_unspec(stream).expect("a TCP socket");
}
