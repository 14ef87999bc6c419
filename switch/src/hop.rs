//! What one shard hands to another, and what the door hands to a shard: one bounded lock-free queue per
//! shard. With one shard only the door uses it.
//!
//! What opens a transaction may be refused when the queue is full, and is. What a running transaction needs
//! may not: it waits at the sender, where the bound on running transactions bounds it too.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::Context;

use atomic_waker::AtomicWaker;
use authorizer::event::{AcquirerId, AcquirerLink, Event, IssuerLink, Leg, ShardId};
use authorizer::tables::Tables;
use crossbeam_queue::ArrayQueue;
use tokio::sync::Notify;

use crate::crypto::Enrolment;
use crate::door::Permit;
use crate::envelope::Envelope;
use crate::rules::Rules;

/// Hops that wait for one shard.
const MAILBOX_MAX: usize = 8_192;

/// What goes from one thread to another.
pub(crate) enum Hop {
    /// The door accepted a connection of an acquirer.
    Acquirer(AcquirerId, TcpStream, SocketAddr, Permit),
    /// The door accepted a connection of an issuer, in one of its places.
    Issuer(IssuerLink, TcpStream, SocketAddr, Permit),
    /// A request whose identity is at home here.
    Request(Box<Envelope>),
    /// A request whose account is at home here.
    Handed(Box<Envelope>),
    /// An issuer's answer to a leg of this shard.
    Answered(IssuerLink, Box<Envelope>),
    /// A frame to an issuer over a link of this shard.
    Forward(Leg, Vec<u8>),
    /// The frame of a reversal or an advice to an issuer over a link of this shard.
    Deliver(Leg, Vec<u8>),
    /// A frame to an acquirer over a link of this shard.
    Reply(AcquirerLink, Vec<u8>),
    /// A request that came over this link is no longer in flight.
    Finished(AcquirerLink),
    /// A token worker for a place of this shard: its number and its stream.
    Worker(u16, u64, UnixStream),
    /// An operator takes an issuer's link out of use, or into it again.
    Use(IssuerLink, bool),
    /// Other rules, and the tables the authorizer has of them.
    Rules(Arc<Rules>, Arc<Tables>),
    /// A change of a card at home here, of which the token makes a part.
    Enrol(Box<Enrolment>),
    /// Something the authorizer must know.
    Event(Box<Event>),
}

/// One shard's queue.
pub(crate) struct Mailbox {
    queue: ArrayQueue<Hop>,
    waker: AtomicWaker,
}

impl Mailbox {
    /// An empty queue.
    pub(crate) fn new() -> Self {
        Self { queue: ArrayQueue::new(MAILBOX_MAX), waker: AtomicWaker::new() }
    }

    /// Puts a hop into the queue, or gives it back when the queue is full.
    pub(crate) fn send(&self, hop: Hop) -> Result<(), Hop> {
        self.queue.push(hop)?;
        self.waker.wake();
        Ok(())
    }

    /// The next hop; the task is woken when there is one again.
    pub(crate) fn receive(&self, context: &Context<'_>) -> Option<Hop> {
        self.queue.pop().or_else(|| {
            self.waker.register(context.waker());
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
pub(crate) struct Overflow {
    waiting: RefCell<Vec<VecDeque<Hop>>>,
    blocked: Cell<bool>,
    news: Notify,
}

impl Overflow {
    /// Nothing waits.
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            waiting: RefCell::new((0..shards).map(|_| VecDeque::new()).collect()),
            blocked: Cell::new(false),
            news: Notify::new(),
        }
    }

    /// Sends a hop, or keeps it behind those that wait already.
    pub(crate) fn send(&self, mailboxes: &[Mailbox], to: ShardId, hop: Hop) {
        let mut waiting = self.waiting.borrow_mut();
        let Some(waiting) = waiting.get_mut(usize::from(to.0)) else { return };
        let refused = if waiting.is_empty() { mailboxes[usize::from(to.0)].send(hop) } else { Err(hop) };
        if let Err(hop) = refused {
            waiting.push_back(hop);
            if !self.blocked.replace(true) {
                self.news.notify_one();
            }
        }
    }

    /// Whether something waits.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// Returns when something waits.
    pub(crate) async fn blocked(&self) {
        while !self.is_blocked() {
            self.news.notified().await;
        }
    }

    /// Tries again. Says whether something still waits.
    pub(crate) fn drain(&self, mailboxes: &[Mailbox]) -> bool {
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
