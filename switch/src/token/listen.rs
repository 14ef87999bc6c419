//! The task of a shard that reads what a worker says.

use std::os::unix::net::UnixStream;
use std::rc::Rc;

use crate::edge::Edge;

/// Bytes read at a time.
const READ_BYTES: usize = 16 << 10;

/// Hears a worker until its stream ends.
pub(crate) async fn listen(edge: Rc<Edge>, place: u16, number: u64, stream: UnixStream) {
    let why = match tokio::net::UnixStream::from_std(stream) {
        Ok(stream) => hear(&edge, place, number, &stream).await,
        Err(_) => "its stream cannot be read",
    };
    edge.token_lost(place, number, why);
}

async fn hear(edge: &Edge, place: u16, number: u64, stream: &tokio::net::UnixStream) -> &'static str {
    let mut heard = Vec::with_capacity(READ_BYTES);
    loop {
        if stream.readable().await.is_err() {
            return "its stream is broken";
        }
        heard.reserve(READ_BYTES);
        match stream.try_read_buf(&mut heard) {
            Ok(0) => return "it ended",
            Ok(_) => edge.token_heard(place, number, &mut heard),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return "its stream is broken",
        }
    }
}
