//! What one shard hands to another, and what the door hands to a shard: one bounded lock-free queue per
//! shard. With one shard only the door uses it.
//!
//! What opens a transaction may be refused when the queue is full, and is. What a running transaction needs
//! may not: it waits at the sender, where the bound on running transactions bounds it too.
//!
//! `mailbox` is the queue with its waker; `models` shows that it loses nothing and wakes whom it must.

mod mailbox;

use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use authorizer::event::{AcquirerId, AcquirerLink, Event, IssuerId, IssuerLink, Leg};
use authorizer::recall::Known;
use authorizer::tables::Tables;

use crate::crypto::Enrolment;
use crate::door::Permit;
use crate::envelope::Envelope;
use crate::journal::Sought;
use crate::rules::Rules;
use crate::sync;

/// Hops that wait for one shard.
pub(crate) const MAILBOX_MAX: usize = 8_192;

/// One shard's queue.
pub(crate) type Mailbox = mailbox::Mailbox<Hop>;
/// What found queues full.
pub(crate) type Overflow = mailbox::Overflow<Hop>;

/// What goes from one thread to another.
pub(crate) enum Hop {
    /// The door accepted a connection of an acquirer.
    Acquirer(AcquirerId, TcpStream, SocketAddr, Permit),
    /// The door accepted a connection of an issuer, in one of its places.
    Issuer(IssuerId, TcpStream, SocketAddr, Permit),
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
    /// What the index of the journal knows of what this shard has asked it for.
    Recalled(Sought, Known),
    /// A change of a card at home here, of which the token makes a part.
    Enrol(Box<Enrolment>),
    /// Something the authorizer must know.
    Event(Box<Event>),
}
