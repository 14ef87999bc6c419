//! What has been counted, as plain numbers: the edge reads them once a second. Counting costs an addition.

use alloc::vec;
use alloc::vec::Vec;

use codecs::value::Currency;

use crate::buckets::Waits;
use crate::decision::DeclineReason;
use crate::event::{AcquirerId, IssuerId};
use crate::programs::ProgramId;
use crate::request::Class;

/// Currencies whose approved amounts have a sum of their own, by ISO 4217 number, those met most often first.
pub const CURRENCIES: [u16; 24] = [
    840, 978, 826, 392, 756, 124, 36, 156, 752, 578, 208, 985, 203, 348, 702, 344, 356, 410, 986, 484, 710,
    949, 784, 682,
];

/// One shard's counts since its start.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Approved minor units by [`CURRENCIES`]; the last is the sum of all others.
    pub approved_minor: [u64; CURRENCIES.len() + 1],
    /// By [`AcquirerId`].
    pub acquirers: Vec<AcquirerCounters>,
    /// By [`IssuerId`].
    pub issuers: Vec<IssuerCounters>,
    /// By [`ProgramId`].
    pub programs: Vec<ProgramCounters>,
}

/// Counts by [`DeclineReason::index`].
#[derive(Clone, Debug)]
pub struct ByReason([u64; DeclineReason::ALL.len()]);

impl Default for ByReason {
    fn default() -> Self {
        Self([0; DeclineReason::ALL.len()])
    }
}

impl core::ops::Deref for ByReason {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.0
    }
}

impl core::ops::DerefMut for ByReason {
    fn deref_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

/// What is counted of a program.
#[derive(Clone, Debug, Default)]
pub struct ProgramCounters {
    /// Codes the token was asked about.
    pub asked: u64,
    /// Codes that were right. Of copies under way only one is claimed.
    pub right: u64,
    /// Codes that were wrong.
    pub wrong: u64,
    /// Codes of which the token did not say.
    pub unknown: u64,
    /// Declines of its cards made here.
    pub declined: ByReason,
    /// How long the token took to say something.
    pub waits: Waits,
}

/// What is counted of an acquirer.
#[derive(Clone, Debug, Default)]
pub struct AcquirerCounters {
    /// Requests, by [`Class::index`].
    pub received: [u64; Class::ALL.len()],
    /// Approvals told, repeats apart.
    pub approved: u64,
    /// Declines told, repeats apart.
    pub declined: ByReason,
    /// Repeats answered from memory.
    pub duplicates: u64,
    /// Repeats joined to the request in flight.
    pub joined: u64,
    /// Outcomes that no link was there to carry.
    pub undeliverable: u64,
    /// Advices that were taken.
    pub advices: u64,
    /// Reversals that were taken, whatever they undid.
    pub reversals: u64,
    /// Reversals of requests that were never seen.
    pub tombstones: u64,
    /// Reversals that undo nothing and should be looked into.
    pub reversal_exceptions: u64,
}

/// What is counted of an issuer.
#[derive(Clone, Debug, Default)]
pub struct IssuerCounters {
    /// Requests sent to it.
    pub forwarded: u64,
    /// Valid answers in time.
    pub answered: u64,
    /// How long those took.
    pub round_trips: Waits,
    /// Requests it did not answer in time, or whose link broke.
    pub timed_out: u64,
    /// Answers that came after the end.
    pub late: u64,
    /// Of these, approvals that were not undone, because nothing could be said of what they approve.
    pub left_standing: u64,
    /// Answers to nothing that was asked.
    pub unmatched: u64,
    /// Answers that fit the keys but not the content.
    pub invalid: u64,
    /// Reversals and advices sent for the first time.
    pub saf_sent: u64,
    /// Reversals and advices sent again.
    pub saf_repeated: u64,
    /// Reversals and advices acknowledged.
    pub saf_done: u64,
    /// Of these, reversals to which the issuer had no original.
    pub saf_untraced: u64,
    /// Reversals and advices set aside for an operator.
    pub saf_parked: u64,
    /// Purchases approved for it while it could not be asked.
    pub stood_in: u64,
    /// Purchases that would have been, but for their amount.
    pub stand_in_refused: u64,
}

impl Counters {
    /// All zero.
    #[must_use]
    pub fn new(acquirers: usize, issuers: usize, programs: usize) -> Self {
        Self {
            approved_minor: [0; CURRENCIES.len() + 1],
            acquirers: vec![AcquirerCounters::default(); acquirers],
            issuers: vec![IssuerCounters::default(); issuers],
            programs: vec![ProgramCounters::default(); programs],
        }
    }

    /// An amount was approved.
    pub fn approved(&mut self, minor: u64, currency: Currency) {
        let known = CURRENCIES.iter().position(|number| *number == currency.number());
        if let Some(sum) = self.approved_minor.get_mut(known.unwrap_or(CURRENCIES.len())) {
            *sum = sum.wrapping_add(minor);
        }
    }

    /// Counts something of an acquirer.
    pub fn acquirer(&mut self, acquirer: AcquirerId, count: impl FnOnce(&mut AcquirerCounters)) {
        if let Some(counters) = self.acquirers.get_mut(acquirer.index()) {
            count(counters);
        }
    }

    /// Counts something of a program.
    pub fn program(&mut self, program: ProgramId, count: impl FnOnce(&mut ProgramCounters)) {
        if let Some(counters) = self.programs.get_mut(usize::from(program.0)) {
            count(counters);
        }
    }

    /// Counts something of an issuer.
    pub fn issuer(&mut self, issuer: IssuerId, count: impl FnOnce(&mut IssuerCounters)) {
        if let Some(counters) = self.issuers.get_mut(issuer.index()) {
            count(counters);
        }
    }
}

/// Adds one.
pub fn add_one(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}

/// Adds one at a place of a list; a place outside it is none.
pub fn add_at(counters: &mut [u64], index: usize) {
    if let Some(counter) = counters.get_mut(index) {
        add_one(counter);
    }
}
