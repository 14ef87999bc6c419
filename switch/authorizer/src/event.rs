//! The closed list of what can happen to a shard, and the names of the things it happens to.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::late::ForgottenLeg;
use crate::parked::Operation;
use crate::provision::Provision;
use crate::recall::{Known, Recalled};
use crate::request::{Answer, Request};
use crate::tables::Tables;
use crate::verify::{Judgement, ProofId};

/// The time, handed in with every event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic clock, microseconds. Every wait is measured on it. It is set by the wall once, at the start, so
    /// that moments written down by an earlier process can be compared with it.
    pub monotonic_us: u64,
    /// Wall clock, MMDDhhmmss as a number, UTC: DE 7 of messages made here.
    pub moment: u64,
    /// Wall clock, year, UTC. Only for what a card's expiry is compared with.
    pub year: u16,
    /// Wall clock, month 1..=12, UTC.
    pub month: u8,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Event {
    /// A request has reached the shard that is home to its identity.
    Request(Request),
    /// The identity's home handed a request to this shard, the home of its account.
    Handed(Request),
    /// The index of the journal says what it knows of an identity that memory does not know.
    Recalled(Box<Recalled>),
    /// It says what it knows of the request of a leg that was approved late.
    RecalledLeg(ForgottenLeg, Known),
    /// The token answered, or did not, what it was asked about a code.
    Judged(ProofId, Judgement),
    /// A card of a program is changed.
    Provision(Provision),
    /// An operator looks at what was set aside, or releases it.
    Operation(Operation),
    /// An issuer answered one of this shard's legs, or says it does.
    Answered(Answer),
    /// The facts of an earlier process were all read: what they leave in doubt is undone.
    Recovered,
    /// No byte of a forwarded leg was written, and none will be.
    Unsent(Leg, Unsent),
    /// A link to an issuer came up, was signed off, or was lost.
    IssuerLink(IssuerLink, LinkChange),
    /// A link of an acquirer came or went; told to every shard, so that an answer finds a live link.
    AcquirerLink(AcquirerLink, AcquirerId, LinkChange),
    /// The configuration was changed: what is decided from now on is decided by these tables. They name the same
    /// acquirers, issuers and programs as the ones before; what runs keeps the route and the deadline it has.
    Tables(Arc<Tables>),
    /// There is, or is no more, too little room to keep the facts of new requests.
    StoreLow(bool),
    /// Take no new requests; finish the running ones.
    Drain,
    /// Stop now: what still runs ends unanswered.
    Stop,
    /// Time has passed.
    Tick,
}

/// Why no byte of a leg was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// Its link was lost first.
    LinkLost,
    /// The request cannot be said in the issuer's dialect.
    NotEncodable,
    /// The token made no code for it, without which its link takes nothing.
    NoMac,
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// It may carry requests.
    Up,
    /// It is connected, but signed off: nothing new goes over it, what runs over it may still end.
    SignedOff,
    /// It is gone.
    Lost,
}

/// A shard's number, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ShardId(pub u16);

/// An acquirer: a principal that sends requests. Index into [`crate::tables::Tables::acquirers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AcquirerId(pub u16);

impl AcquirerId {
    /// The index it stands for.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// An issuer: a principal that answers for cards. Index into [`crate::tables::Tables::issuers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IssuerId(pub u16);

impl IssuerId {
    /// The index it stands for.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// One of an issuer's links, by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IssuerLink {
    /// Whose link it is.
    pub issuer: IssuerId,
    /// Which of them, from 0.
    pub link: u16,
}

/// One connection of an acquirer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AcquirerLink {
    /// The shard that reads and writes it.
    pub shard: ShardId,
    /// Its place in that shard's table of links.
    pub slot: u16,
    /// Tells two connections apart that had the same place one after the other.
    pub generation: u32,
}

/// One part of a request at one issuer, by the trace number we gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Where it was sent.
    pub to: IssuerLink,
    /// DE 11 as the issuer sees it.
    pub stan: codecs::value::Stan,
}

/// Names the raw message that the edge keeps for a request or an answer until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u32);

/// Which connections of acquirers are up, anywhere in the switch.
///
/// Looked at once per reply, so it is indexed and never searched: by shard, then by slot.
#[derive(Debug, Default)]
pub struct LiveLinks {
    by_shard: Vec<Vec<Option<(u32, AcquirerId)>>>,
    newest: Vec<Vec<AcquirerLink>>,
}

impl LiveLinks {
    /// Takes note of a connection that came or went.
    pub fn changed(&mut self, link: AcquirerLink, acquirer: AcquirerId, change: LinkChange) {
        let shard = grown(&mut self.by_shard, usize::from(link.shard.0));
        let place = grown_with(shard, usize::from(link.slot));
        let newest = grown(&mut self.newest, acquirer.index());
        if change == LinkChange::SignedOff {
            newest.retain(|known| *known != link);
        } else if change == LinkChange::Lost {
            if place.is_some_and(|(generation, _)| generation == link.generation) {
                *place = None;
            }
            newest.retain(|known| *known != link);
        } else if *place != Some((link.generation, acquirer)) {
            *place = Some((link.generation, acquirer));
            newest.push(link);
        }
    }

    /// Whether this very connection is up.
    #[must_use]
    pub fn is_live(&self, link: AcquirerLink) -> bool {
        self.by_shard
            .get(usize::from(link.shard.0))
            .and_then(|slots| slots.get(usize::from(link.slot)))
            .is_some_and(|place| place.is_some_and(|(generation, _)| generation == link.generation))
    }

    /// The connection that asked if it is still up, otherwise the acquirer's newest one, if any.
    #[must_use]
    pub fn deliverable(&self, asked: AcquirerLink, acquirer: AcquirerId) -> Option<AcquirerLink> {
        if self.is_live(asked) {
            return Some(asked);
        }
        self.newest_of(acquirer)
    }

    /// The acquirer's newest connection, if any is up.
    #[must_use]
    pub fn newest_of(&self, acquirer: AcquirerId) -> Option<AcquirerLink> {
        self.newest.get(acquirer.index()).and_then(|links| links.last().copied())
    }
}

/// The row at `index`, made if it is not there yet.
fn grown<T>(rows: &mut Vec<Vec<T>>, index: usize) -> &mut Vec<T> {
    if rows.len() <= index {
        rows.resize_with(index.saturating_add(1), Vec::new);
    }
    #[expect(clippy::indexing_slicing, reason = "the row was made above")]
    &mut rows[index]
}

/// The place at `index`, made if it is not there yet.
fn grown_with<T: Clone>(row: &mut Vec<Option<T>>, index: usize) -> &mut Option<T> {
    if row.len() <= index {
        row.resize(index.saturating_add(1), None);
    }
    #[expect(clippy::indexing_slicing, reason = "the place was made above")]
    &mut row[index]
}
