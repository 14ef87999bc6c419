//! What is counted at the edge, and the copies that go to the page. Shards count in plain numbers of their own;
//! four times a second a copy goes to the door's thread, which sums the copies when the page is asked for.
//!
//! Latency is counted in buckets: the exporter's own histogram keeps every sample until it is scraped. What each
//! figure is called is said in `catalogue`.

pub mod bench;

use authorizer::Authorizer;
use authorizer::buckets::{Buckets, Own, Waits};
use authorizer::counters::{ByReason, Counters};
use authorizer::decision::{DeclineReason, Outcome};
use authorizer::event::{AcquirerId, IssuerId, ShardId};
use authorizer::saf::Depth;
use codecs::value::ResponseCode;

use crate::config::Config;
use crate::edge::Edge;
use crate::slowest::Slowest;
use crate::token::Figures;
use crate::wire::Goodbye;

/// How often a shard's figures are published, microseconds.
pub(crate) const PERIOD_US: u64 = 250_000;

/// Upper ends of the buckets of a sync, microseconds.
pub(crate) const SYNC_US: [u64; 14] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];

/// The DE 39 values that have a series of their own; every other one is counted as `other`.
pub(crate) const CODES: [&str; 54] = [
    "00", "05", "10", "12", "13", "14", "30", "40", "41", "43", "51", "54", "55", "57", "58", "59", "61",
    "62", "63", "65", "68", "75", "82", "85", "91", "92", "94", "96", "1A", "N7", "000", "002", "100", "101",
    "110", "111", "115", "116", "117", "120", "121", "122", "123", "400", "800", "904", "907", "908", "909",
    "911", "912", "913", "916", "921",
];

/// What the edge of one shard counts.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) acquirers: Vec<AcquirerTally>,
    pub(crate) issuers: Vec<IssuerTally>,
    /// Codes of messages, by peer (acquirers, then issuers) and [`MacOutcome`].
    pub(crate) macs: Vec<[u64; MacOutcome::COUNT]>,
    /// Responses from acquirers, requests from issuers: dropped.
    pub(crate) misdirected: u64,
    /// Links that ended, by [`Goodbye::index`].
    pub(crate) ended: [u64; Goodbye::NAMES.len()],
    pub(crate) own: Own,
    /// The slowest payments of the last minute.
    pub(crate) slowest: Slowest,
}

/// What the edge counts of an acquirer.
#[derive(Clone, Debug, Default)]
pub(crate) struct AcquirerTally {
    pub(crate) network: u64,
    /// Refused before a decision, by [`DeclineReason::index`].
    pub(crate) refused: ByReason,
    pub(crate) codes: Vec<u64>,
    pub(crate) glitches: u64,
    pub(crate) whole: Waits,
}

/// What the edge counts of an issuer.
#[derive(Clone, Debug, Default)]
pub(crate) struct IssuerTally {
    /// Answers that lack what every answer must have.
    pub(crate) unmatched: u64,
    pub(crate) glitches: u64,
}

/// What became of the code of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MacOutcome {
    /// It is right.
    Right,
    /// It is wrong, or there is none.
    Wrong,
    /// The token did not say.
    Unknown,
    /// The token made none for a message of ours.
    Unmade,
}

impl MacOutcome {
    /// How many there are.
    pub(crate) const COUNT: usize = 4;
}

impl Tally {
    /// All zero.
    pub(crate) fn new(config: &Config) -> Self {
        Self::of(config.acquirers.len(), config.issuers.len())
    }

    fn of(acquirers: usize, issuers: usize) -> Self {
        let acquirer = AcquirerTally { codes: vec![0; CODES.len() + 1], ..AcquirerTally::default() };
        Self {
            acquirers: vec![acquirer; acquirers],
            issuers: vec![IssuerTally::default(); issuers],
            macs: vec![[0; MacOutcome::COUNT]; acquirers + issuers],
            misdirected: 0,
            ended: Default::default(),
            own: Own::default(),
            slowest: Slowest::default(),
        }
    }

    /// A network management request was answered.
    pub(crate) fn network(&mut self, acquirer: AcquirerId) {
        self.acquirers[acquirer.index()].network += 1;
    }

    /// A request was refused before a decision.
    pub(crate) fn refused(&mut self, acquirer: AcquirerId, reason: DeclineReason, code: ResponseCode) {
        let acquirer = &mut self.acquirers[acquirer.index()];
        acquirer.refused[reason.index()] += 1;
        acquirer.codes[code_index(code)] += 1;
    }

    /// A message of an acquirer could not be identified.
    pub(crate) fn acquirer_glitch(&mut self, acquirer: AcquirerId) {
        self.acquirers[acquirer.index()].glitches += 1;
    }

    /// A message of an issuer could not be read.
    pub(crate) fn issuer_glitch(&mut self, issuer: IssuerId) {
        self.issuers[issuer.index()].glitches += 1;
    }

    /// The code of a message was checked or made, or not.
    pub(crate) fn mac(&mut self, peer: usize, outcome: MacOutcome) {
        self.macs[peer][outcome as usize] += 1;
    }

    /// An answer cannot belong to anything.
    pub(crate) fn unmatched(&mut self, issuer: IssuerId) {
        self.issuers[issuer.index()].unmatched += 1;
    }

    /// A request was answered.
    pub(crate) fn replied(&mut self, acquirer: AcquirerId, outcome: &Outcome, whole_us: u64, issuer_us: u64) {
        let acquirer = &mut self.acquirers[acquirer.index()];
        acquirer.codes[code_index(outcome.response_code)] += 1;
        acquirer.whole.observe(whole_us);
        self.own.observe(whole_us.saturating_sub(issuer_us));
    }

    /// A link ended.
    pub(crate) fn ended(&mut self, why: Goodbye) {
        self.ended[why.index()] += 1;
    }
}

/// One shard's figures at one moment.
pub(crate) struct Snapshot {
    pub(crate) shard: ShardId,
    /// The generation of the rules it works by.
    pub(crate) generation: u64,
    pub(crate) counters: Counters,
    pub(crate) evicted: u64,
    pub(crate) in_flight: usize,
    /// Of these, requests that wait for the token.
    pub(crate) proving: usize,
    pub(crate) remembered: usize,
    /// Cards of programs at home there.
    pub(crate) cards: usize,
    /// Whether its token answers.
    pub(crate) token_up: bool,
    /// Its connections with acquirers, and how many of them are signed on, by acquirer.
    pub(crate) connections: Vec<(u64, u64)>,
    /// Requests that wait, by issuer.
    pub(crate) in_flight_of: Vec<u64>,
    /// How each of its token workers stands.
    pub(crate) workers: Vec<Figures>,
    /// Reversals that wait, by issuer.
    pub(crate) saf: Vec<Depth>,
    /// Zero without a journal.
    pub(crate) journal: JournalFigures,
    pub(crate) tally: Tally,
}

impl Snapshot {
    /// Before a shard has told anything.
    pub(crate) fn zero(shard: ShardId, config: &Config) -> Self {
        let (acquirers, issuers) = (config.acquirers.len(), config.issuers.len());
        Self {
            shard,
            generation: 1,
            counters: Counters::new(acquirers, issuers, config.programs.len()),
            evicted: 0,
            in_flight: 0,
            proving: 0,
            remembered: 0,
            cards: 0,
            // It was opened before anything else.
            token_up: true,
            workers: Vec::new(),
            connections: vec![(0, 0); acquirers],
            in_flight_of: vec![0; issuers],
            saf: vec![Depth::default(); issuers],
            journal: JournalFigures::default(),
            tally: Tally::new(config),
        }
    }

    /// A copy to be published.
    pub(crate) fn take(edge: &Edge, authorizer: &Authorizer, journal: Option<JournalFigures>) -> Self {
        let tally = edge.tally.borrow().clone();
        let issuers = || (0..tally.issuers.len() as u16).map(IssuerId);
        Self {
            shard: edge.shard,
            generation: edge.rules().generation,
            counters: authorizer.counters().clone(),
            evicted: authorizer.evicted(),
            in_flight: authorizer.in_flight(),
            proving: authorizer.proving(),
            remembered: authorizer.remembered(),
            cards: authorizer.cards(),
            token_up: edge.crypto.borrow().is_up(),
            workers: edge.crypto.borrow().figures(),
            connections: connections(edge, tally.acquirers.len()),
            in_flight_of: issuers().map(|issuer| authorizer.in_flight_of(issuer)).collect(),
            saf: issuers().map(|issuer| authorizer.saf_depth(issuer)).collect(),
            journal: journal.unwrap_or_default(),
            tally,
        }
    }
}

fn connections(edge: &Edge, acquirers: usize) -> Vec<(u64, u64)> {
    let mut counts = vec![(0, 0); acquirers];
    for port in edge.acquirers.borrow().iter().filter_map(|place| place.port.as_ref()) {
        let (connected, signed_on) = &mut counts[port.acquirer.index()];
        *connected += 1;
        *signed_on += u64::from(port.life.borrow().is_signed_on());
    }
    counts
}

/// How a shard's journal stands.
#[derive(Clone, Debug)]
pub(crate) struct JournalFigures {
    /// Facts written since the start.
    pub(crate) facts: u64,
    /// Bytes they took, with everything around them.
    pub(crate) bytes: u64,
    /// Syncs since the start, and how long each took.
    pub(crate) syncs: Buckets<{ SYNC_US.len() }>,
    /// There is no room for another segment.
    pub(crate) is_low: bool,
}

impl Default for JournalFigures {
    fn default() -> Self {
        Self { facts: 0, bytes: 0, syncs: Buckets::new(&SYNC_US), is_low: false }
    }
}

fn code_index(code: ResponseCode) -> usize {
    KNOWN.iter().position(|known| *known == Some(code)).unwrap_or(CODES.len())
}

/// The same codes as values: compared without a call.
const KNOWN: [Option<ResponseCode>; CODES.len()] = {
    let mut known = [None; CODES.len()];
    let mut place = 0;
    while place < CODES.len() {
        known[place] = ResponseCode::parse(CODES[place].as_bytes());
        place += 1;
    }
    known
};
