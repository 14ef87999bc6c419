//! One link to the host: connects, signs on, reads until the connection ends, and comes back.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use codecs::iso8583::{Class, Index, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Decoder, Encoder};

use super::fleet::SharedFleet;
use crate::clock::{Clock, Stamp};
use crate::codes::Code;
use crate::framing::{FrameCodec, LinkError};
use crate::profile::Link;
use crate::respond::{self, NetworkPurpose};

/// How long connecting and signing on may take.
const OPEN_PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts to come back.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// Room for one read.
const READ_BYTES: usize = 64 << 10;

/// A connection that is ready to be used.
pub(super) struct Connection {
    pub(super) reader: OwnedReadHalf,
    pub(super) writer: Rc<OwnedWriteHalf>,
    /// Bytes read and not looked at.
    pub(super) buffer: BytesMut,
}

/// Where the host is met.
pub(super) enum Meeting {
    /// We connect to this address.
    Connect(String),
    /// It connects to us.
    Accept(Rc<TcpListener>),
}

impl Meeting {
    async fn stream(&self) -> std::io::Result<TcpStream> {
        match self {
            Meeting::Connect(address) => TcpStream::connect(address).await,
            Meeting::Accept(listener) => Ok(listener.accept().await?.0),
        }
    }
}

impl fmt::Display for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Meeting::Connect(address) => f.write_str(address),
            Meeting::Accept(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "listening on {address}"),
                Err(error) => write!(f, "listening: {error}"),
            },
        }
    }
}

/// Meets the host, and signs on if the profile says so. The error names the address.
pub(super) async fn open(link: &Link, address: &Meeting) -> Result<Connection, String> {
    let opened = tokio::time::timeout(OPEN_PATIENCE, async {
        let stream = address.stream().await?;
        stream.set_nodelay(true)?;
        let (mut reader, mut writer) = stream.into_split();
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        if link.sign_on {
            let code = sign_on(link, &mut reader, &mut writer, &mut buffer).await?;
            if code != Some(respond::network_accepted(link.dialect.version)) {
                let said = code.map_or("no code".to_string(), |code| code.to_string());
                return Err(LinkError::Io(std::io::Error::other(format!("sign-on refused: {said}"))));
            }
        }
        Ok(Connection { reader, writer: Rc::new(writer), buffer })
    });
    match opened.await {
        Ok(result) => result.map_err(|error| format!("{address}: {error}")),
        Err(_) => Err(format!("{address}: no connection within {OPEN_PATIENCE:?}")),
    }
}

/// Asks to be let in, and returns the host's code. What else the host says meanwhile is passed over.
async fn sign_on(
    link: &Link,
    reader: &mut OwnedReadHalf,
    writer: &mut OwnedWriteHalf,
    buffer: &mut BytesMut,
) -> Result<Option<Code>, LinkError> {
    let stamp = Stamp::of(Clock::starting_at(std::time::Instant::now()).unix_second(0));
    let mut codec = FrameCodec::new(link.framing);
    let mut message = [0; 128];
    let length = respond::network_request(link.dialect, NetworkPurpose::SignOn, 1, &stamp, &mut message)
        .map_err(|error| LinkError::Io(std::io::Error::other(error.to_string())))?;
    let mut out = BytesMut::new();
    codec.encode(&message[..length], &mut out)?;
    writer.write_all(&out).await?;
    loop {
        while let Some(frame) = codec.decode(buffer)? {
            let mut index = Index::new();
            let sound = link.dialect.parse(frame.message(), &mut index).is_ok();
            let message = Message::new(link.dialect, frame.message(), &index);
            let is_answer =
                message.mti().is_some_and(|mti| mti.class() == Class::Network && mti.is_response());
            if sound && is_answer {
                let mut room = [0; 4];
                let code = message.decode(codecs::iso8583::De::RESPONSE_CODE, &mut room);
                return Ok(code.and_then(Code::parse));
            }
        }
        if reader.read_buf(buffer).await? == 0 {
            return Err(LinkError::Closed);
        }
    }
}

/// Keeps link `number` of the fleet in use until the task is dropped.
pub(super) async fn keep(
    fleet: SharedFleet,
    number: usize,
    link: Rc<Link>,
    address: Meeting,
    first: Connection,
) {
    let mut connection = Some(first);
    loop {
        if let Some(connection) = connection.take() {
            fleet.borrow_mut().links[number].attach(Rc::clone(&connection.writer));
            let on_purpose = use_connection(&fleet, number, connection, &link).await;
            fleet.borrow_mut().link_lost(number, on_purpose);
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
        connection = open(&link, &address).await.ok();
    }
}

/// Reads and writes until the connection ends; says whether it was we who ended it.
async fn use_connection(fleet: &SharedFleet, number: usize, connection: Connection, link: &Link) -> bool {
    let Connection { reader, writer, buffer } = connection;
    {
        let mut fleet = fleet.borrow_mut();
        fleet.fill_window(number);
        fleet.flush();
    }
    tokio::select! {
        _ = read(fleet, number, (reader, buffer), link.manners.slow_reader) => false,
        _ = unblock(fleet, number, &writer) => false,
        () = ask(fleet, number, NetworkPurpose::Echo, link.echo_every) => false,
        () = ask(fleet, number, NetworkPurpose::KeyChange, link.key_change_every) => false,
        () = storm(link.manners.storm) => true,
    }
}

/// Returns when a link that misbehaves has been up for long enough.
async fn storm(every: Option<Duration>) {
    match every {
        Some(every) => tokio::time::sleep(every).await,
        None => std::future::pending().await,
    }
}

/// Connects, sends the first byte of a length, and then neither speaks nor goes away.
pub(super) async fn stay_half_open(address: String) {
    if let Ok(mut stream) = TcpStream::connect(&address).await {
        // A host that closes it has done right, and it is not opened again.
        let _ = stream.write_all(&[0]).await;
        let _ = stream.read(&mut [0; 1]).await;
    }
}

/// Takes answers as they come: one turn takes everything that one read brought, sends what is due by then,
/// and writes each link once.
async fn read(
    fleet: &SharedFleet,
    number: usize,
    (mut reader, mut buffer): (OwnedReadHalf, BytesMut),
    pause: Option<Duration>,
) -> Result<(), LinkError> {
    let mut codec = fleet.borrow().codec;
    loop {
        {
            let mut fleet = fleet.borrow_mut();
            let now_ns = fleet.clock.now_ns();
            while let Some(frame) = codec.decode(&mut buffer)? {
                fleet.receive(number, &frame, now_ns);
            }
            // More may be due than one turn sends; the pacer's bell is for the rest.
            fleet.send_due();
            fleet.flush();
        }
        if buffer.capacity() - buffer.len() < READ_BYTES / 4 {
            buffer.reserve(READ_BYTES);
        }
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        if reader.read_buf(&mut buffer).await? == 0 {
            return Err(LinkError::Closed);
        }
    }
}

/// Waits out a full socket whenever there is one.
async fn unblock(fleet: &SharedFleet, number: usize, writer: &OwnedWriteHalf) -> Result<(), LinkError> {
    let bell = Rc::clone(&fleet.borrow().links[number].blocked_bell);
    loop {
        bell.notified().await;
        writer.writable().await?;
        let mut fleet = fleet.borrow_mut();
        fleet.links[number].unblock();
        fleet.flush_link(number);
    }
}

/// Sends network messages of one kind.
async fn ask(fleet: &SharedFleet, number: usize, purpose: NetworkPurpose, every: Option<Duration>) {
    let Some(every) = every else { return std::future::pending().await };
    loop {
        tokio::time::sleep(every).await;
        fleet.borrow_mut().send_network(number, purpose);
    }
}
