//! A bounded queue from many threads to one, with the waker of the task that empties it. `models` runs these lines
//! with every order in which two senders and a receiver can meet.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use authorizer::event::ShardId;

use super::sync::{ArrayQueue, AtomicWaker};

/// One shard's queue.
pub(crate) struct Mailbox<T> {
    queue: ArrayQueue<T>,
    waker: AtomicWaker,
}

impl<T> Mailbox<T> {
    /// An empty queue for so many.
    pub(crate) fn new(places: usize) -> Self {
        Self { queue: ArrayQueue::new(places), waker: AtomicWaker::new() }
    }

    /// Puts a hop into the queue, or gives it back when the queue is full.
    pub(crate) fn send(&self, hop: T) -> Result<(), T> {
        self.queue.push(hop)?;
        self.waker.wake();
        Ok(())
    }

    /// The next hop; the task is woken when there is one again. For one thread alone.
    pub(crate) fn receive(&self, context: &Context<'_>) -> Option<T> {
        self.queue.pop().or_else(|| {
            self.waker.register(context.waker());
            // What came before there was somebody to wake woke nobody.
            self.queue.pop()
        })
    }

    /// How many hops wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}

/// Hops of running transactions that found a queue full, in order, by shard.
///
/// While any wait, the links of this shard read nothing more: what waits here is bounded by the running
/// transactions and by one read of each link, however much a peer sends.
pub(crate) struct Overflow<T> {
    waiting: RefCell<Vec<VecDeque<T>>>,
    blocked: Cell<bool>,
    /// Whoever waits for something to wait.
    retrying: Cell<Option<Waker>>,
}

impl<T> Overflow<T> {
    /// Nothing waits.
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            waiting: RefCell::new((0..shards).map(|_| VecDeque::new()).collect()),
            blocked: Cell::new(false),
            retrying: Cell::new(None),
        }
    }

    /// Sends a hop, or keeps it behind those that wait already.
    pub(crate) fn send(&self, mailboxes: &[Mailbox<T>], to: ShardId, hop: T) {
        let mut waiting = self.waiting.borrow_mut();
        let Some(waiting) = waiting.get_mut(usize::from(to.0)) else { return };
        let refused = if waiting.is_empty() { mailboxes[usize::from(to.0)].send(hop) } else { Err(hop) };
        if let Err(hop) = refused {
            waiting.push_back(hop);
            if !self.blocked.replace(true)
                && let Some(retrying) = self.retrying.take()
            {
                retrying.wake();
            }
        }
    }

    /// Whether something waits.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// Returns when something waits.
    pub(crate) async fn blocked(&self) {
        poll_fn(|context| {
            if self.is_blocked() {
                return Poll::Ready(());
            }
            self.retrying.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Tries again. Says whether something still waits.
    pub(crate) fn drain(&self, mailboxes: &[Mailbox<T>]) -> bool {
        let mut any = false;
        for (waiting, mailbox) in self.waiting.borrow_mut().iter_mut().zip(mailboxes) {
            while let Some(hop) = waiting.pop_front() {
                if let Err(hop) = mailbox.send(hop) {
                    waiting.push_front(hop);
                    any = true;
                    break;
                }
            }
        }
        self.blocked.set(any);
        any
    }
}
