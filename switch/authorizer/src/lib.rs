//! The decision of the switch: one struct, one method. An event and the time go in, effects come out.
//!
//! The crate names no clock, socket, thread, file or randomness, and no data element: the edge turns
//! messages into [`Request`]s and [`Answer`]s and performs the [`Effect`]s. What cannot be named here can
//! be simulated, so every fault of the world outside can be replayed from a seed.
//!
//! In reading order, which is the order of a transaction:
//!
//! | file | what happens |
//! | --- | --- |
//! | [`shard`], [`ports`] | the turn: events in, facts durable, effects out |
//! | [`event`], [`request`] | what can come in |
//! | [`intake`] | rights, repeats, the checks that need no issuer |
//! | [`programs`], [`cards`], [`verify`], [`atc_window`] | what must be proven first, and what a right code may be used for once |
//! | [`iin_table`], [`route`] | which issuer, which of its links |
//! | [`issuer`] | our own trace number, the leg, matching its answer |
//! | [`late`] | answers to what has ended, and approvals among them |
//! | [`reply`] | the outcome, remembered and told |
//! | [`deadline`] | one per transaction |
//! | [`memory`], [`transaction`] | what is remembered of ended and of running ones |
//! | [`decision`], [`effect`], [`fact`] | what can come out |
//! | [`network`] | sign-on, echo and sign-off of one link |
//! | [`reversal`] | acquirers undo requests |
//! | [`advice`] | acquirers tell what became of payments |
//! | [`stand_in`] | the switch approves for an issuer that cannot be asked |
//! | [`saf`], [`deliver`] | reversals and advices on their way to issuers, until they are acknowledged |
//! | [`parked`] | what issuers refuse, for an operator |
//! | [`provision`] | cards enrolled, bundles and challenges given |
//! | [`recovery`] | facts of earlier processes, read back |
//! | [`snapshot`] | what they had come to, in pieces |
//! | [`recall`] | what they tell of one identity, for an index of them; and what that is asked |
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

extern crate alloc;

pub mod advice;
pub mod atc_window;
pub mod buckets;
pub mod cards;
mod cells;
pub mod counters;
pub mod deadline;
pub mod decision;
pub mod deliver;
pub mod effect;
pub mod event;
pub mod fact;
pub mod iin_table;
pub mod intake;
pub mod issuer;
pub mod late;
pub mod limits;
pub mod memory;
pub mod near;
pub mod network;
pub mod parked;
pub mod planted;
pub mod ports;
pub mod programs;
pub mod provision;
pub mod recall;
pub mod recovery;
pub mod reply;
pub mod request;
pub mod reversal;
pub mod rights;
pub mod route;
pub mod saf;
pub mod shard;
pub mod snapshot;
pub mod stand_in;
pub mod tables;
pub mod transaction;
pub mod verify;

#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use cards::Cards;
use counters::Counters;
use deadline::Deadlines;
use effect::Effects;
use event::{Event, Now, ShardId};
use issuer::IssuerState;
use limits::Limits;
use memory::Memory;
use saf::Saf;
use stand_in::StoodIn;
use tables::Tables;
use transaction::Transactions;
use verify::{Proof, Proofs};

pub use effect::Effect;
pub use event::{AcquirerLink, LinkChange};
pub use request::{Answer, Request};

/// So many events before one is decided, the authorizer is told of it for the first time ([`Authorizer::expect`]).
pub const AHEAD: usize = 4;

/// One shard's part of the switch: its running transactions, what it remembers of ended ones, and its
/// view of every issuer link.
pub struct Authorizer {
    shard: ShardId,
    tables: Arc<Tables>,
    transactions: Transactions,
    proofs: Proofs,
    cards: Cards,
    pending_max: usize,
    memory: Memory,
    deadlines: Deadlines,
    issuers: alloc::vec::Vec<IssuerState>,
    /// By issuer.
    saf: alloc::vec::Vec<Saf>,
    /// By issuer: what was approved for it today.
    stood_in: alloc::vec::Vec<StoodIn>,
    reversals_max: usize,
    /// Requests that wait for the index.
    recalling: alloc::vec::Vec<recall::Waiting>,
    /// Late approvals that wait for the index.
    late: alloc::vec::Vec<late::Waiting>,
    searches: reversal::Allowance,
    burials: reversal::Allowance,
    live: event::LiveLinks,
    draining: bool,
    /// Whatever waits has ended.
    is_stopped: bool,
    store_is_low: bool,
    /// There is no other shard, so every home is here.
    is_alone: bool,
    counters: Counters,
}

impl Authorizer {
    /// The authorizer of `shard` among `shards`, which all hold the same tables.
    #[must_use]
    pub fn new(shard: ShardId, shards: u16, tables: Tables, limits: Limits) -> Self {
        let acquirers = tables.acquirers.len();
        let state = |issuer| IssuerState::new(issuer, acquirers, shard, shards);
        let issuers: alloc::vec::Vec<IssuerState> = tables.issuers.iter().map(state).collect();
        Self {
            shard,
            transactions: Transactions::new(limits.pending_max),
            proofs: Proofs::default(),
            cards: Cards::new(limits.cards_max),
            pending_max: usize::try_from(limits.pending_max).unwrap_or(usize::MAX),
            memory: Memory::new(limits.recent_entries, limits.recent_window_us, shards <= 1),
            deadlines: Deadlines::new(tables.issuers.len()),
            saf: issuers.iter().map(|_| Saf::default()).collect(),
            stood_in: issuers.iter().map(|_| StoodIn::default()).collect(),
            reversals_max: usize::try_from(limits.reversals_max).unwrap_or(usize::MAX),
            issuers,
            recalling: alloc::vec::Vec::new(),
            late: alloc::vec::Vec::new(),
            searches: reversal::Allowance::SEARCHES,
            burials: reversal::Allowance::BURIALS,
            live: event::LiveLinks::default(),
            draining: false,
            is_stopped: false,
            store_is_low: false,
            is_alone: shards <= 1,
            counters: Counters::new(tables.acquirers.len(), tables.issuers.len(), tables.programs.len()),
            tables: Arc::new(tables),
        }
    }

    /// An event will be decided after so many others, one to [`AHEAD`]: the memory that it needs comes nearer meanwhile.
    /// Changes nothing.
    pub fn expect(&self, event: &Event, after: usize) {
        match event {
            Event::Request(request) | Event::Handed(request) => {
                if after == AHEAD {
                    self.memory.expect(request.identity);
                }
                if request.program.is_some() {
                    self.cards.expect(request.account, request.presented.label(), after);
                }
            }
            Event::Judged(id, _) => {
                if let Some(Proof { request, .. }) = self.proofs.get(*id) {
                    self.cards.expect(request.account, request.presented.label(), after);
                }
            }
            Event::Answered(answer) => self.expect_answer(answer, after),
            _ => {}
        }
    }

    /// What an answer needs lies behind each other: its leg, the transaction of that, and that one's place in memory.
    fn expect_answer(&self, answer: &Answer, after: usize) {
        let Some(issuer) = self.issuers.get(answer.link.issuer.index()) else { return };
        match after {
            AHEAD => issuer.expect(answer.stan),
            3 => issuer.transaction(answer.stan).into_iter().for_each(|id| self.transactions.expect(id)),
            1 => {
                let id = issuer.transaction(answer.stan);
                if let Some(transaction) = id.and_then(|id| self.transactions.get(id)) {
                    self.memory.expect_end(transaction.memory);
                }
            }
            _ => {}
        }
    }

    /// Decides one event. Effects are appended to `out`; nothing is performed here.
    pub fn step(&mut self, event: &Event, now: Now, out: &mut Effects) {
        match event {
            Event::Request(request) => self.received(request, now, out),
            Event::Handed(request) => self.admitted(request, now, out),
            Event::Recalled(recalled) => self.recalled(recalled, now, out),
            Event::RecalledLeg(leg, known) => self.leg_recalled(*leg, known, now, out),
            Event::Judged(proof, judgement) => self.judged(*proof, *judgement, now, out),
            Event::Provision(change) => self.provisioned(change, now, out),
            Event::Operation(operation) => self.operated(*operation, now, out),
            Event::Answered(answer) => self.answered(answer, now, out),
            Event::Unsent(leg, why) => self.unsent(*leg, *why, now, out),
            Event::IssuerLink(link, change) => self.issuer_link_changed(*link, *change, now, out),
            Event::AcquirerLink(link, acquirer, change) => self.live.changed(*link, *acquirer, *change),
            Event::Tables(tables) => self.tables_changed(tables.clone()),
            Event::Recovered => self.recovered(now, out),
            Event::StoreLow(is_low) => self.store_is_low = *is_low,
            Event::Drain => self.draining = true,
            Event::Stop => self.stopped(now, out),
            Event::Tick => self.expired(now, out),
        }
    }

    /// Nothing is read again of what was decided by the tables before: only windows have to be told.
    fn tables_changed(&mut self, tables: Arc<Tables>) {
        for (state, issuer) in self.issuers.iter_mut().zip(&tables.issuers) {
            state.set_window(issuer.window);
        }
        self.tables = tables;
    }

    /// When the next transaction falls due, in microseconds of the monotonic clock.
    #[must_use]
    pub fn next_deadline_us(&self) -> Option<u64> {
        let proof = self.proofs.next_us();
        let leg = self.deadlines.next_us(&self.transactions);
        proof.into_iter().chain(leg).chain(self.next_delivery_us()).min()
    }

    /// How many transactions are running here, with the requests that wait for the index.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.transactions.len().saturating_add(self.proofs.len()).saturating_add(self.recalling.len())
    }

    /// How many of them wait for the token.
    #[must_use]
    pub fn proving(&self) -> usize {
        self.proofs.waiting()
    }

    /// How many requests wait for this issuer here.
    #[must_use]
    pub fn in_flight_of(&self, issuer: event::IssuerId) -> u64 {
        self.issuers.get(issuer.index()).map_or(0, IssuerState::in_flight)
    }

    /// How many identities are remembered here, running and ended.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.memory.len()
    }

    /// How many cards of programs are at home here.
    #[must_use]
    pub fn cards(&self) -> usize {
        self.cards.len()
    }

    /// Ended requests forgotten before their time, since the start.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.memory.evicted()
    }

    /// What has been counted since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
