//! A tap: what a client and a host say to each other passes through it byte by byte, and is written down message by
//! message.
//!
//! Bytes are handed on before they are looked at. What cannot be written down (a stream without frames, a message that the
//! dialect does not read, the number of a real card) passes all the same, and is counted.
//!
//! What is absent: haste. A tap is one thread that writes to a file; it is for recording, not for measuring.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use codecs::iso8583::Dialect;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_util::codec::Decoder;

use crate::framing::FrameCodec;
use crate::recording::{Side, line_of};

/// Between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(20);
/// Room for one read.
const READ_BYTES: usize = 16 << 10;

/// What passed.
#[derive(Clone, Copy, Default, Debug)]
pub struct Seen {
    /// Links of the client.
    pub links: u32,
    /// Messages written down.
    pub written: u64,
    /// Messages that are not: unreadable, or with another card number than one of a test.
    pub left_out: u64,
    /// Streams that could not be cut into messages any more.
    pub streams_lost: u64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { links, written, left_out, streams_lost } = self;
        writeln!(f, "{written} messages of {links} links written down")?;
        if *left_out > 0 {
            writeln!(f, "{left_out} not: unreadable in this dialect, or not of test cards (9999...)")?;
        }
        if *streams_lost > 0 {
            writeln!(f, "{streams_lost} streams could not be cut into messages: is the framing right?")?;
        }
        Ok(())
    }
}

/// A tap that listens.
pub struct Tap<W> {
    runtime: tokio::runtime::Runtime,
    listener: TcpListener,
    address: SocketAddr,
    host: String,
    book: Rc<RefCell<Book<W>>>,
}

/// Where it is written down.
struct Book<W> {
    out: W,
    seen: Seen,
    start: Instant,
    dialect: &'static Dialect,
    codec: FrameCodec,
    failed: Option<io::Error>,
}

impl<W: Write + 'static> Tap<W> {
    /// Listens for clients of a host.
    pub fn listen(
        listen: &str,
        host: &str,
        (dialect, codec): (&'static Dialect, FrameCodec),
        out: W,
    ) -> io::Result<Tap<W>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(listen))?;
        let (seen, start) = (Seen::default(), Instant::now());
        let book = Rc::new(RefCell::new(Book { out, seen, start, dialect, codec, failed: None }));
        let address = listener.local_addr()?;
        Ok(Tap { runtime, listener, address, host: host.to_string(), book })
    }

    /// Where clients are waited for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets everything pass until the time is over or `stop` is set. The error is one of writing.
    pub fn run(self, length: Option<Duration>, stop: &AtomicBool) -> io::Result<Seen> {
        let Tap { runtime, listener, host, book, .. } = self;
        let until = length.map(|length| Instant::now() + length);
        LocalSet::new().block_on(&runtime, async {
            let over = async {
                while !stop.load(Ordering::Relaxed)
                    && until.is_none_or(|until| Instant::now() < until)
                    && book.borrow().failed.is_none()
                {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::select! {
                () = over => {}
                () = serve(&listener, &host, &book) => {}
            }
        });
        let mut book = book.borrow_mut();
        if let Some(error) = book.failed.take() {
            return Err(error);
        }
        book.out.flush()?;
        Ok(book.seen)
    }
}

/// Takes one client after the other.
async fn serve<W: Write + 'static>(listener: &TcpListener, host: &str, book: &Rc<RefCell<Book<W>>>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(LOOK).await;
            continue;
        };
        let link = book.borrow().seen.links;
        book.borrow_mut().seen.links += 1;
        let (host, book) = (host.to_string(), Rc::clone(book));
        tokio::task::spawn_local(async move {
            // A host that is not there is what the client finds too: its connection ends.
            if let Ok(stream) = TcpStream::connect(&host).await {
                join(client, stream, link, &book).await;
            }
        });
    }
}

/// Both directions, until one end goes away.
async fn join<W: Write>(client: TcpStream, host: TcpStream, link: u32, book: &Rc<RefCell<Book<W>>>) {
    let _ = client.set_nodelay(true).and_then(|()| host.set_nodelay(true));
    let ((from_client, to_client), (from_host, to_host)) = (client.into_split(), host.into_split());
    tokio::join!(
        pass(from_client, to_host, (link, Side::Client), book),
        pass(from_host, to_client, (link, Side::Host), book)
    );
}

/// One direction. Its end is handed on, and the other direction may go on.
async fn pass<W: Write>(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    who: (u32, Side),
    book: &Rc<RefCell<Book<W>>>,
) {
    let mut read = BytesMut::with_capacity(READ_BYTES);
    // None when frames cannot be found in it any more.
    let mut stream = Some(BytesMut::new());
    loop {
        read.clear();
        match from.read_buf(&mut read).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let at = Instant::now();
        if to.write_all(&read).await.is_err() {
            break;
        }
        if let Some(bytes) = &mut stream {
            bytes.extend_from_slice(&read);
            if !book.borrow_mut().note(bytes, who, at) {
                stream = None;
            }
        }
    }
    let _ = to.shutdown().await;
}

impl<W: Write> Book<W> {
    /// Writes down the messages that are whole. Says whether the stream can be followed further.
    fn note(&mut self, bytes: &mut BytesMut, who: (u32, Side), at: Instant) -> bool {
        let at_us = at.saturating_duration_since(self.start).as_micros() as u64;
        loop {
            match self.codec.decode(bytes) {
                Ok(Some(frame)) => match line_of(self.dialect, frame.message(), at_us, who) {
                    Ok(line) => {
                        self.seen.written += 1;
                        let written = serde_json::to_writer(&mut self.out, &line).map_err(io::Error::from);
                        let written = written.and_then(|()| self.out.write_all(b"\n"));
                        self.failed = self.failed.take().or(written.err());
                    }
                    Err(_) => self.seen.left_out += 1,
                },
                Ok(None) => return true,
                Err(_) => {
                    self.seen.streams_lost += 1;
                    return false;
                }
            }
        }
    }
}
