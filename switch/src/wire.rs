//! What a link's task and its shard share: bytes to be sent, and the word to close.
//!
//! The shard appends whole frames during its turn and wakes the task once; the task writes all of them with
//! one call. The buffer is bounded: a peer that does not read is closed, never waited for.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::Waker;

use authorizer::event::Leg;
use authorizer::network::CloseReason;

/// Why a link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goodbye {
    /// The peer closed it.
    PeerClosed,
    /// The connection broke.
    Broken,
    /// Too much waits to be read by the peer.
    SlowReader,
    /// A frame was not complete in time.
    FrameTimedOut,
    /// A length that cannot be, or is above the maximum.
    BadFrame,
    /// Too many messages that could not even be answered.
    TooManyGlitches,
    /// The TLS handshake failed or took too long, or the certificate names somebody else.
    NotTrusted,
    /// The life of the link ended it.
    Network(CloseReason),
    /// The switch stops.
    Stopping,
    /// A fault of ours, met in one of its messages.
    Fault,
}

impl Goodbye {
    /// The names metrics and logs use, in the order of [`Self::index`].
    pub(crate) const NAMES: [&str; 12] = [
        "peer_closed",
        "broken",
        "slow_reader",
        "frame_timed_out",
        "bad_frame",
        "too_many_glitches",
        "not_trusted",
        "sign_on_timed_out",
        "sign_on_refused",
        "echo_timed_out",
        "stopping",
        "fault",
    ];

    /// Its place in [`Self::NAMES`].
    pub(crate) fn index(self) -> usize {
        match self {
            Self::PeerClosed => 0,
            Self::Broken => 1,
            Self::SlowReader => 2,
            Self::FrameTimedOut => 3,
            Self::BadFrame => 4,
            Self::TooManyGlitches => 5,
            Self::NotTrusted => 6,
            Self::Network(CloseReason::SignOnTimedOut) => 7,
            Self::Network(CloseReason::SignOnRefused) => 8,
            Self::Network(CloseReason::EchoTimedOut) => 9,
            Self::Stopping => 10,
            Self::Fault => 11,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }
}

/// A turn may append this many times the bound before anything could be written; beyond it the link is closed
/// without a try.
const BURST: usize = 16;

/// The sending half of a link, and its state between two polls.
pub(crate) struct Wire {
    out: RefCell<Out>,
    waker: RefCell<Option<Waker>>,
    goodbye: Cell<Option<Goodbye>>,
    /// When the first byte of a frame that is not complete yet was read, monotonic microseconds.
    pub(crate) frame_since_us: Cell<Option<u64>>,
    max_bytes: usize,
}

#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    /// Bytes of `bytes` that were written already.
    head: usize,
    /// Bytes written over the life of the link.
    written: u64,
    /// Where, in bytes over the life of the link, the frame of each leg begins that may not have been begun.
    legs: VecDeque<(u64, Leg)>,
}

/// Writes frames that are whole already; there may be none.
pub(crate) fn whole(frames: &[u8]) -> impl FnOnce(&mut Vec<u8>) -> Result<(), Infallible> + '_ {
    |out| {
        out.extend_from_slice(frames);
        Ok(())
    }
}

impl Wire {
    /// Nothing to send; at most `max_bytes` may ever wait.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            out: RefCell::default(),
            waker: RefCell::default(),
            goodbye: Cell::new(None),
            frame_since_us: Cell::new(None),
            max_bytes,
        }
    }

    /// Appends what `write` puts at the end of the buffer; on an error the buffer is as before.
    pub(crate) fn append<E>(&self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let mut out = self.out.borrow_mut();
        let before = out.bytes.len();
        let done = write(&mut out.bytes);
        if done.is_err() {
            out.bytes.truncate(before);
            return done;
        }
        let waiting = out.bytes.len() - out.head;
        drop(out);
        if waiting > self.max_bytes.saturating_mul(BURST) {
            self.close(Goodbye::SlowReader);
        }
        self.wake();
        done
    }

    /// The same for the frame of a leg, which is remembered until its first byte was written.
    pub(crate) fn append_leg<E>(
        &self,
        leg: Leg,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let begins = self.out.borrow().end();
        self.append(write)?;
        self.out.borrow_mut().legs.push_back((begins, leg));
        Ok(())
    }

    /// Asks the link's task to end the link.
    pub(crate) fn close(&self, why: Goodbye) {
        if self.goodbye.get().is_none() {
            self.goodbye.set(Some(why));
        }
        self.wake();
    }

    /// Why the link was asked to end, if it was.
    pub(crate) fn goodbye(&self) -> Option<Goodbye> {
        self.goodbye.get()
    }

    /// Lets the link's task look again.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// The task will be woken when there is something to do.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// Whether more waits than a peer that reads can leave: to be asked when the socket takes no more.
    pub(crate) fn is_over(&self) -> bool {
        let out = self.out.borrow();
        out.bytes.len() - out.head > self.max_bytes
    }

    /// Whether everything was written.
    pub(crate) fn is_flushed(&self) -> bool {
        let out = self.out.borrow();
        out.head == out.bytes.len()
    }

    /// Hands the unwritten bytes to `write` and takes note of how many went.
    pub(crate) fn flush_with<T>(&self, write: impl FnOnce(&[u8]) -> (usize, T)) -> T {
        let mut out = self.out.borrow_mut();
        let (written, result) = write(&out.bytes[out.head..]);
        out.wrote(written);
        result
    }

    /// The legs of which no byte was written. The link is over when this is asked.
    pub(crate) fn take_unsent(&self) -> Vec<Leg> {
        self.out.borrow_mut().legs.drain(..).map(|(_, leg)| leg).collect()
    }
}

impl Out {
    fn end(&self) -> u64 {
        self.written + (self.bytes.len() - self.head) as u64
    }

    fn wrote(&mut self, bytes: usize) {
        // What was sent may hold a card number: it does not stay here.
        let head = self.head + bytes;
        self.bytes[self.head..head].fill(0);
        self.head = head;
        self.written += bytes as u64;
        while self.legs.front().is_some_and(|(begins, _)| *begins < self.written) {
            self.legs.pop_front();
        }
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
        } else if self.head > self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        self.bytes.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use authorizer::event::{IssuerId, IssuerLink};
    use codecs::value::Stan;

    fn leg(stan: u32) -> Leg {
        Leg { to: IssuerLink { issuer: IssuerId(0), link: 0 }, stan: Stan::new(stan).expect("in range") }
    }

    fn put(wire: &Wire, stan: u32, bytes: &[u8]) {
        let written: Result<(), ()> = wire.append_leg(leg(stan), |out| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        written.expect("it fits");
    }

    #[test]
    fn a_leg_is_unsent_until_its_first_byte_went() {
        let wire = Wire::new(1_000);
        put(&wire, 1, b"aaaa");
        put(&wire, 2, b"bbbb");
        put(&wire, 3, b"cccc");
        wire.flush_with(|bytes| {
            assert_eq!(bytes, b"aaaabbbbcccc");
            (4, ())
        });
        wire.flush_with(|bytes| {
            assert_eq!(bytes, b"bbbbcccc");
            (1, ())
        });
        assert_eq!(wire.take_unsent(), [leg(3)]);
    }

    #[test]
    fn too_much_unread_is_a_goodbye() {
        let wire = Wire::new(6);
        put(&wire, 1, b"aaaa");
        assert!(!wire.is_over());
        put(&wire, 2, b"bbbb");
        assert!(wire.is_over());
        assert_eq!(wire.goodbye(), None, "one turn may say more than the bound, if the peer takes it");
        put(&wire, 3, &[0; 6 * BURST]);
        assert_eq!(wire.goodbye(), Some(Goodbye::SlowReader));
    }

    #[test]
    fn a_failed_append_leaves_nothing() {
        let wire = Wire::new(100);
        let failed = wire.append(|out| {
            out.extend_from_slice(b"half");
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        assert!(wire.is_flushed());
    }
}
