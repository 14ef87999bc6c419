//! The links of a model issuer: accepted or opened, read until they end.

use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Decoder;

use super::desk::SharedDesk;
use crate::framing::LinkError;
use crate::output::Output;

/// Room for one read.
const READ_BYTES: usize = 64 << 10;
/// Links at one time; more are closed at once.
const LINKS_MAX: usize = 4096;
/// Between two attempts to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// Accepts links for ever.
pub(super) async fn listen(desk: SharedDesk, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok(_) if desk.borrow().is_out() => {}
            Ok((stream, _)) if desk.borrow().links.len() < LINKS_MAX => {
                tokio::task::spawn_local(serve(Rc::clone(&desk), stream));
            }
            // Gone, or too many: dropping the stream closes it.
            Ok(_) => {}
            // No more descriptors, most likely; there may be some later.
            Err(_) => tokio::time::sleep(RECONNECT_PAUSE).await,
        }
    }
}

/// Keeps one link open to `address` for ever.
pub(super) async fn connect(desk: SharedDesk, address: String) {
    loop {
        if !desk.borrow().is_out()
            && let Ok(stream) = TcpStream::connect(&address).await
        {
            serve(Rc::clone(&desk), stream).await;
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

/// Puts held-back answers out when they are due, for ever.
pub(super) async fn release(desk: SharedDesk) {
    loop {
        let ring = desk.borrow().alarm.ear();
        ring.await;
        let mut desk = desk.borrow_mut();
        desk.stall();
        desk.release_due();
    }
}

async fn serve(desk: SharedDesk, stream: TcpStream) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (reader, writer) = stream.into_split();
    let writer = Rc::new(writer);
    let mut output = Output::default();
    output.attach(Rc::clone(&writer));
    let number = desk.borrow_mut().open_link(output);
    let ended = tokio::select! {
        ended = read(&desk, number, reader) => ended,
        ended = unblock(&desk, number, &writer) => ended,
        () = outage(&desk) => Err(LinkError::Closed),
    };
    let mut desk = desk.borrow_mut();
    desk.links.remove(&number);
    desk.summary.links_broken += u64::from(matches!(ended, Err(LinkError::Framing(_))));
}

/// Returns when the issuer is gone.
async fn outage(desk: &SharedDesk) {
    let until = desk.borrow().until_outage();
    match until {
        Some(until) => tokio::time::sleep(until).await,
        None => std::future::pending().await,
    }
}

/// Answers everything that one read brought, and writes once.
async fn read(desk: &SharedDesk, number: u64, mut reader: OwnedReadHalf) -> Result<(), LinkError> {
    let mut codec = desk.borrow().codec;
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        if buffer.capacity() - buffer.len() < READ_BYTES / 4 {
            buffer.reserve(READ_BYTES);
        }
        if reader.read_buf(&mut buffer).await? == 0 {
            return Err(LinkError::Closed);
        }
        let mut desk = desk.borrow_mut();
        desk.stall();
        desk.summary.note_activity();
        while let Some(frame) = codec.decode(&mut buffer)? {
            desk.receive(number, &frame);
        }
        desk.flush(number);
    }
}

/// Waits out a full socket whenever there is one.
async fn unblock(desk: &SharedDesk, number: u64, writer: &OwnedWriteHalf) -> Result<(), LinkError> {
    let bell = match desk.borrow().links.get(&number) {
        Some(output) => Rc::clone(&output.blocked_bell),
        None => return Err(LinkError::Closed),
    };
    loop {
        bell.notified().await;
        writer.writable().await?;
        let mut desk = desk.borrow_mut();
        if let Some(output) = desk.links.get_mut(&number) {
            output.unblock();
        }
        desk.flush(number);
    }
}
