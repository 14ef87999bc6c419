//! The raw messages the edge keeps while the authorizer decides over plain values: a request until it was
//! answered, an answer until it was passed on. The authorizer names them by [`Ticket`].
//!
//! Memory is used again without asking for more: a released envelope is wiped and waits for the next
//! message, because a track or a PIN block must not outlive its transaction.

use std::cell::Cell;

use authorizer::event::{AcquirerId, AcquirerLink, IssuerId, Ticket};
use authorizer::near::near;
use authorizer::request::Identity;
use codecs::iso8583::Index;

use crate::rules::{OwnRules, Rules};

/// Released envelopes kept for the next messages; more than a turn's worth need not wait.
const POOL_MAX: usize = 4_096;

/// A line of a cache, and how many an envelope of a usual message has.
const LINE_BYTES: usize = 64;
const LINES_NEAR: usize = 5;

/// Whom a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// An acquirer, over one of its connections.
    Acquirer(AcquirerId, AcquirerLink),
    /// An issuer.
    Issuer(IssuerId),
}

/// One message as it came, and where its elements are.
pub(crate) struct Envelope {
    bytes: Vec<u8>,
    header_bytes: usize,
    pub(crate) index: Index,
    pub(crate) sender: Sender,
    /// When it was read, microseconds of the monotonic clock.
    pub(crate) arrived_us: u64,
    /// The request's name, once it was read: its trace id.
    pub(crate) identity: Cell<Option<Identity>>,
    /// When it was handed to its issuer's link.
    pub(crate) forwarded_us: Cell<Option<u64>>,
    rules: Option<OwnRules>,
}

impl Envelope {
    fn empty() -> Self {
        let nobody = Sender::Issuer(IssuerId(u16::MAX));
        Self {
            bytes: Vec::new(),
            header_bytes: 0,
            index: Index::new(),
            sender: nobody,
            arrived_us: 0,
            identity: Cell::new(None),
            forwarded_us: Cell::new(None),
            rules: None,
        }
    }

    /// Takes a copy of a message and of the frame's fixed header, and holds on to the rules it is read under.
    pub(crate) fn fill(
        &mut self,
        header: &[u8],
        message: &[u8],
        sender: Sender,
        arrived_us: u64,
        rules: &OwnRules,
    ) {
        self.bytes.clear();
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(message);
        self.header_bytes = header.len();
        self.sender = sender;
        self.arrived_us = arrived_us;
        self.identity.set(None);
        self.forwarded_us.set(None);
        self.rules = Some(OwnRules::clone(rules));
    }

    /// The rules it was read under, by which it is also answered.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.rules.as_deref().map(|rules| &**rules)
    }

    /// The frame's fixed header, to be echoed.
    pub(crate) fn header(&self) -> &[u8] {
        self.bytes.get(..self.header_bytes).unwrap_or_default()
    }

    /// The message, without framing.
    pub(crate) fn message(&self) -> &[u8] {
        self.bytes.get(self.header_bytes..).unwrap_or_default()
    }

    /// The message and the index to be filled from it, at once.
    pub(crate) fn parts(&mut self) -> (&[u8], &mut Index) {
        (self.bytes.get(self.header_bytes..).unwrap_or_default(), &mut self.index)
    }

    fn near(&self) {
        near(&self.bytes);
        near(&self.sender);
        near(&self.rules);
        near(&self.index);
    }

    fn near_bytes(&mut self) {
        let room = self.bytes.spare_capacity_mut();
        room.chunks(LINE_BYTES).take(LINES_NEAR).filter_map(|line| line.first()).for_each(near);
    }

    fn wipe(&mut self) {
        self.bytes.fill(0);
        self.bytes.clear();
        self.rules = None;
    }
}

impl Drop for Envelope {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// One shard's envelopes.
#[derive(Default)]
pub(crate) struct Envelopes {
    kept: Vec<Option<Box<Envelope>>>,
    free: Vec<u32>,
    #[expect(
        clippy::vec_box,
        reason = "envelopes move between the pool, their tickets and other shards by pointer"
    )]
    pool: Vec<Box<Envelope>>,
}

impl Envelopes {
    /// An envelope to fill. Those in use are more than a cache holds, so the next two are asked for meanwhile: where the
    /// bytes of one are is known once it is here.
    pub(crate) fn fresh(&mut self) -> Box<Envelope> {
        let fresh = self.pool.pop().unwrap_or_else(|| Box::new(Envelope::empty()));
        if let Some([second, next]) = self.pool.last_chunk_mut() {
            second.near();
            next.near_bytes();
        }
        fresh
    }

    /// Keeps an envelope and names it.
    pub(crate) fn keep(&mut self, envelope: Box<Envelope>) -> Ticket {
        match self.free.pop() {
            Some(number) => {
                self.kept[number as usize] = Some(envelope);
                Ticket(number)
            }
            None => {
                let number = u32::try_from(self.kept.len())
                    .expect("fewer envelopes than 2^32: pending_max bounds them");
                self.kept.push(Some(envelope));
                Ticket(number)
            }
        }
    }

    /// The envelope of a ticket.
    pub(crate) fn get(&self, ticket: Ticket) -> Option<&Envelope> {
        self.kept.get(ticket.0 as usize)?.as_deref()
    }

    /// Takes an envelope out, to go to another shard or back into the pool.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Box<Envelope>> {
        let envelope = self.kept.get_mut(ticket.0 as usize)?.take()?;
        self.free.push(ticket.0);
        Some(envelope)
    }

    /// Wipes an envelope and keeps its memory.
    pub(crate) fn recycle(&mut self, mut envelope: Box<Envelope>) {
        envelope.wipe();
        if self.pool.len() < POOL_MAX {
            self.pool.push(envelope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_envelope_is_used_again_and_holds_nothing_of_before() {
        let mut envelopes = Envelopes::default();
        let mut envelope = envelopes.fresh();
        let none = crate::rules::tests::none();
        envelope.fill(b"TPDU", b"0100secret", Sender::Issuer(IssuerId(1)), 5, &none);
        assert_eq!((envelope.header(), envelope.message()), (&b"TPDU"[..], &b"0100secret"[..]));
        let ticket = envelopes.keep(envelope);
        let envelope = envelopes.take(ticket).expect("kept");
        assert!(envelopes.get(ticket).is_none());
        envelopes.recycle(envelope);
        let again = envelopes.fresh();
        assert!(again.message().is_empty() && again.rules().is_none());
        assert_eq!(envelopes.keep(again), ticket);
    }
}
