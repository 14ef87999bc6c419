//! One connection, either side: bytes in, whole messages to its conversation; frames of the shard out.
//!
//! One task per link. A wake-up flushes with one write, then reads once into a buffer that all links of the
//! shard share, and cuts every complete frame out of it in place; only the beginning of an incomplete frame
//! is kept with the link. So an idle link costs no buffer, and a busy one a read and a write per turn.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use codecs::frame::{Cut, FrameFormat};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::{Goodbye, Wire};

/// Bytes read at once: a few hundred messages, so that a flooding peer holds the others up for less than a
/// millisecond a turn.
pub(crate) const READ_BYTES: usize = 32 * 1024;

/// Messages of a link that could not be identified, within the same minute: a peer that stumbles once a day is no
/// attacker, and closing its link costs everybody whose request is on it.
#[derive(Default)]
pub(crate) struct Glitches {
    count: Cell<u32>,
    since_us: Cell<u64>,
}

/// A minute.
const GLITCHES_US: u64 = 60_000_000;

impl Glitches {
    /// One more. Says how many there were within a minute.
    pub(crate) fn add(&self, now_us: u64) -> u32 {
        if self.count.get() == 0 || now_us.saturating_sub(self.since_us.get()) > GLITCHES_US {
            self.since_us.set(now_us);
            self.count.set(0);
        }
        self.count.set(self.count.get().saturating_add(1));
        self.count.get()
    }

    /// Whether there was none yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.get() == 0
    }
}

/// What is done with the messages of a link.
pub(crate) trait Conversation {
    /// One message came at this time (monotonic microseconds), with the fixed header of its frame.
    fn message(&mut self, header: &[u8], message: &[u8], now_us: u64) -> Result<(), Goodbye>;

    /// A frame of length 0 came, where the framing allows it.
    fn keep_alive(&mut self) -> Result<(), Goodbye>;

    /// Nothing more is to be read for now. The wire is woken when that changes.
    fn is_paused(&self) -> bool;

    /// The time, monotonic microseconds.
    fn now_us(&self) -> u64;
}

/// Runs a link until it ends, and says why it did. What waits to be sent by then is still offered once.
pub(crate) async fn converse<S, C>(
    stream: &mut S,
    framing: FrameFormat,
    wire: &Wire,
    buffer: &RefCell<Vec<u8>>,
    conversation: &mut C,
) -> Goodbye
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Conversation,
{
    let mut reader = Reader { framing, partial: Vec::new(), is_held: false };
    let mut turn = |context: &mut Context<'_>| {
        wire.register(context.waker());
        if let Poll::Ready(why) = flush(stream, wire, context) {
            return Poll::Ready(why);
        }
        if let Some(why) = wire.goodbye() {
            return Poll::Ready(why);
        }
        let read = reader.read(stream, wire, buffer, conversation, context);
        // What was read may have closed the link.
        match (read, wire.goodbye()) {
            (Poll::Pending, Some(why)) => Poll::Ready(why),
            (read, _) => read,
        }
    };
    // A fault met in a message must cost its own connection and no other (a dependency may panic too).
    poll_fn(|context| catch_unwind(AssertUnwindSafe(|| turn(context))).unwrap_or(Poll::Ready(Goodbye::Fault)))
        .await
}

/// Offers what waits to be sent, until it was sent, `is_done` says so, or the connection breaks.
pub(crate) async fn linger<S>(stream: &mut S, wire: &Wire, is_done: impl Fn() -> bool)
where
    S: AsyncWrite + Unpin,
{
    poll_fn(|context| {
        wire.register(context.waker());
        match flush(stream, wire, context) {
            Poll::Pending if !(wire.is_flushed() && is_done()) => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

/// Writes until everything is written or the socket takes no more.
fn flush<S: AsyncWrite + Unpin>(stream: &mut S, wire: &Wire, context: &mut Context<'_>) -> Poll<Goodbye> {
    let mut wrote = false;
    while !wire.is_flushed() {
        let written = wire.flush_with(|bytes| match Pin::new(&mut *stream).poll_write(context, bytes) {
            Poll::Ready(Ok(0) | Err(_)) => (0, Poll::Ready(Err(()))),
            Poll::Ready(Ok(written)) => (written, Poll::Ready(Ok(()))),
            Poll::Pending => (0, Poll::Pending),
        });
        match written {
            Poll::Ready(Ok(())) => wrote = true,
            Poll::Ready(Err(())) => return Poll::Ready(Goodbye::Broken),
            // The socket takes no more: only now does what waits say something about the peer.
            Poll::Pending if wire.is_over() => return Poll::Ready(Goodbye::SlowReader),
            Poll::Pending => break,
        }
    }
    // TLS may hold a record back; plain TCP has nothing to do here.
    if wrote && matches!(Pin::new(stream).poll_flush(context), Poll::Ready(Err(_))) {
        return Poll::Ready(Goodbye::Broken);
    }
    Poll::Pending
}

struct Reader {
    framing: FrameFormat,
    /// The beginning of a frame whose rest has not come yet, or all that was read but not taken.
    partial: Vec<u8>,
    /// The conversation paused while whole frames were left.
    is_held: bool,
}

impl Reader {
    fn read<S, C>(
        &mut self,
        stream: &mut S,
        wire: &Wire,
        buffer: &RefCell<Vec<u8>>,
        conversation: &mut C,
        context: &mut Context<'_>,
    ) -> Poll<Goodbye>
    where
        S: AsyncRead + Unpin,
        C: Conversation,
    {
        loop {
            if conversation.is_paused() {
                return Poll::Pending;
            }
            if self.is_held {
                let mut held = std::mem::take(&mut self.partial);
                let cut = self.cut(&held, wire, conversation);
                held.fill(0);
                if let Err(why) = cut {
                    return Poll::Ready(why);
                }
                continue;
            }
            let mut buffer = buffer.borrow_mut();
            let kept = self.partial.len();
            buffer[..kept].copy_from_slice(&self.partial);
            let mut room = ReadBuf::new(&mut buffer[kept..kept + READ_BYTES]);
            match Pin::new(&mut *stream).poll_read(context, &mut room) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Goodbye::Broken),
                Poll::Ready(Ok(())) => {}
            }
            let read = room.filled().len();
            if read == 0 {
                return Poll::Ready(Goodbye::PeerClosed);
            }
            let was_full = room.remaining() == 0;
            let bytes = &mut buffer[..kept + read];
            let cut = self.cut(bytes, wire, conversation);
            // Tracks and PIN blocks do not stay in a buffer that every link shares.
            bytes.fill(0);
            if let Err(why) = cut {
                return Poll::Ready(why);
            }
            if was_full {
                // There is more, but the other links have their turn first.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Hands every complete frame on and keeps the rest.
    fn cut<C: Conversation>(
        &mut self,
        bytes: &[u8],
        wire: &Wire,
        conversation: &mut C,
    ) -> Result<(), Goodbye> {
        let now_us = conversation.now_us();
        let mut rest = bytes;
        let had_partial = !self.partial.is_empty();
        let mut cut_any = false;
        self.is_held = false;
        while !rest.is_empty() {
            if cut_any && conversation.is_paused() {
                self.is_held = true;
                break;
            }
            match self.framing.cut(rest) {
                Ok(Cut::Frame { header, message, taken }) => {
                    conversation.message(header, message, now_us)?;
                    rest = &rest[taken..];
                }
                Ok(Cut::KeepAlive { taken }) => {
                    conversation.keep_alive()?;
                    rest = &rest[taken..];
                }
                Ok(Cut::Incomplete { .. }) => break,
                Err(_) => return Err(Goodbye::BadFrame),
            }
            cut_any = true;
        }
        self.partial.fill(0);
        self.partial.clear();
        self.partial.extend_from_slice(rest);
        if rest.is_empty() || self.is_held {
            wire.frame_since_us.set(None);
        } else if cut_any || !had_partial {
            // The deadline of a frame counts from its first byte.
            wire.frame_since_us.set(Some(now_us));
        }
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.partial.fill(0);
    }
}
