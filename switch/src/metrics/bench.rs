//! For benches alone: what is counted of an approved payment, without the payment.

use authorizer::counters::{Counters, add_at, add_one};
use authorizer::decision::Outcome;
use authorizer::event::{AcquirerId, IssuerId};
use authorizer::request::Class;
use codecs::value::Amount;

use super::Tally;

/// The counts of a shard with a few peers.
pub struct BenchCounts {
    counters: Counters,
    tally: Tally,
}

/// Peers of each kind.
const PEERS: usize = 4;

impl Default for BenchCounts {
    fn default() -> Self {
        Self { counters: Counters::new(PEERS, PEERS, 0), tally: Tally::of(PEERS, PEERS) }
    }
}

impl BenchCounts {
    /// Counts one, as intake, route, issuer and reply do on its way and the edge does at its end. Says whether it would be
    /// kept among the slowest.
    pub fn approved(&mut self, outcome: &Outcome, amount: Amount, whole_us: u64, issuer_us: u64) -> bool {
        let (acquirer, issuer) = (AcquirerId(1), IssuerId(2));
        self.counters.acquirer(acquirer, |counts| add_at(&mut counts.received, Class::Authorization.index()));
        self.counters.issuer(issuer, |counts| add_one(&mut counts.forwarded));
        self.counters.issuer(issuer, |counts| {
            add_one(&mut counts.answered);
            counts.round_trips.observe(issuer_us);
        });
        self.counters.acquirer(acquirer, |counts| add_one(&mut counts.approved));
        self.counters.approved(outcome.approved_minor.unwrap_or(amount.minor()), amount.currency());
        self.tally.replied(acquirer, outcome, whole_us, issuer_us);
        self.tally.slowest.takes(whole_us, issuer_us)
    }
}
