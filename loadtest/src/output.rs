//! The sending half of a link: bytes that wait for the socket, and which message ends where among them.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use bytes::{Buf, BytesMut};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

/// Unsent bytes above which a link takes no more messages: the host has not read for long.
const BACKLOG_BYTES: usize = 4 << 20;

/// The output of one link.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// The socket, while the link is up.
    socket: Option<Rc<OwnedWriteHalf>>,
    /// What the kernel has not taken yet.
    pub(crate) bytes: BytesMut,
    /// Bytes ever taken by the kernel.
    taken: u64,
    /// Messages that are not wholly taken: where they end, counted as `taken` is, and their ordinals.
    queue: VecDeque<(u64, u64)>,
    /// The socket would take no more; [`Output::unblock`] waits for it.
    blocked: bool,
    /// Writes take no more than this, for links that misbehave.
    piece_bytes: Option<usize>,
    /// Wakes whoever waits to unblock.
    pub(crate) blocked_bell: Rc<Notify>,
}

/// What became of an attempt to write.
pub(crate) enum Flushed {
    /// Everything is with the kernel.
    Whole,
    /// The socket is full; it was not before when the flag is set.
    Blocked {
        /// Whether this attempt found out.
        newly: bool,
    },
    /// The connection is broken; its reader will notice too.
    Broken,
}

impl Output {
    /// An output whose writes take no more than `piece_bytes`, where a number is given.
    pub(crate) fn in_pieces(piece_bytes: Option<usize>) -> Output {
        Output { piece_bytes, ..Output::default() }
    }

    /// Takes a new connection into use.
    pub(crate) fn attach(&mut self, socket: Rc<OwnedWriteHalf>) {
        self.socket = Some(socket);
        self.blocked = false;
    }

    /// Lets go of a lost connection. Returns the ordinals of the messages that were not sent.
    pub(crate) fn detach(&mut self) -> Vec<u64> {
        self.socket = None;
        self.blocked = false;
        self.taken += self.bytes.len() as u64;
        self.bytes.clear();
        self.queue.drain(..).map(|(_, ordinal)| ordinal).collect()
    }

    /// Whether there is a connection.
    pub(crate) fn is_up(&self) -> bool {
        self.socket.is_some()
    }

    /// Whether so much waits already that nothing should be added.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() > BACKLOG_BYTES
    }

    /// Whether something waits.
    pub(crate) fn has_work(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Notes that the message `ordinal` ends where the bytes end now.
    pub(crate) fn mark(&mut self, ordinal: u64) {
        self.queue.push_back((self.taken + self.bytes.len() as u64, ordinal));
    }

    /// Writes what the socket takes at once, and calls `sent` for each message that is wholly with the
    /// kernel.
    pub(crate) fn flush(&mut self, mut sent: impl FnMut(u64)) -> Flushed {
        if self.blocked {
            return Flushed::Blocked { newly: false };
        }
        let Some(socket) = &self.socket else { return Flushed::Whole };
        while !self.bytes.is_empty() {
            let piece = self.bytes.len().min(self.piece_bytes.unwrap_or(usize::MAX));
            match socket.try_write(&self.bytes[..piece]) {
                Ok(written) => {
                    self.bytes.advance(written);
                    self.taken += written as u64;
                    while let Some(&(end, ordinal)) = self.queue.front()
                        && end <= self.taken
                    {
                        self.queue.pop_front();
                        sent(ordinal);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    self.blocked_bell.notify_one();
                    return Flushed::Blocked { newly: true };
                }
                Err(_) => return Flushed::Broken,
            }
        }
        Flushed::Whole
    }

    /// The socket takes bytes again.
    pub(crate) fn unblock(&mut self) {
        self.blocked = false;
    }
}
