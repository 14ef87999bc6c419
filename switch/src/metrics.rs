//! Every metric, in the order of the line. Shards count in plain numbers of their own; four times a second a
//! copy goes to the door's thread, which sums the copies into the handles of the Prometheus exporter.
//!
//! Latency is counted in buckets by the shards and written to the page here: the exporter's own histogram
//! keeps every sample until it is scraped.

use std::fmt::Write as _;

use authorizer::Authorizer;
use authorizer::counters::{ByReason, Counters};
use authorizer::decision::{DeclineReason, Outcome};
use authorizer::event::{AcquirerId, IssuerId, ShardId};
use authorizer::saf::Depth;
use codecs::value::ResponseCode;

use crate::config::Config;
use crate::wire::Goodbye;

/// How often a shard's figures are published, microseconds.
pub(crate) const PERIOD_US: u64 = 250_000;

/// Upper ends of the buckets of a whole transaction, microseconds (issuer included).
pub(crate) const WHOLE_BUCKETS_US: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 15_000_000,
];

/// Upper ends of the buckets of the switch's own share, microseconds.
pub(crate) const OWN_BUCKETS_US: [u64; 12] =
    [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000];

/// The DE 39 values that have a series of their own; every other one is counted as `other`.
pub(crate) const CODES: [&str; 54] = [
    "00", "05", "10", "12", "13", "14", "30", "40", "41", "43", "51", "54", "55", "57", "58", "59", "61",
    "62", "63", "65", "68", "75", "82", "85", "91", "92", "94", "96", "1A", "N7", "000", "002", "100", "101",
    "110", "111", "115", "116", "117", "120", "121", "122", "123", "400", "800", "904", "907", "908", "909",
    "911", "912", "913", "916", "921",
];

/// A histogram: how many samples fell into each bucket, how many beyond, and their sum.
#[derive(Clone, Debug)]
pub(crate) struct Buckets<const N: usize> {
    counts: [u64; N],
    beyond: u64,
    sum_us: u64,
}

impl<const N: usize> Default for Buckets<N> {
    fn default() -> Self {
        Self { counts: [0; N], beyond: 0, sum_us: 0 }
    }
}

impl<const N: usize> Buckets<N> {
    fn observe(&mut self, ends_us: &[u64; N], us: u64) {
        self.sum_us += us;
        match ends_us.iter().position(|end_us| us <= *end_us) {
            Some(bucket) => self.counts[bucket] += 1,
            None => self.beyond += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.beyond += other.beyond;
        self.sum_us += other.sum_us;
    }

    /// Writes the series in the Prometheus text format. `labels` ends with a comma or is empty.
    pub(crate) fn write(&self, page: &mut String, name: &str, labels: &str, ends_us: &[u64; N]) {
        let mut below = 0;
        for (count, end_us) in self.counts.iter().zip(ends_us) {
            below += count;
            let _ = writeln!(page, "{name}_bucket{{{labels}le=\"{}\"}} {below}", *end_us as f64 / 1e6);
        }
        let all = below + self.beyond;
        let _ = writeln!(page, "{name}_bucket{{{labels}le=\"+Inf\"}} {all}");
        let labels = labels.trim_end_matches(',');
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(page, "{name}_sum{braces} {}", self.sum_us as f64 / 1e6);
        let _ = writeln!(page, "{name}_count{braces} {all}");
    }
}

/// What the edge of one shard counts.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) acquirers: Vec<AcquirerTally>,
    pub(crate) issuers: Vec<IssuerTally>,
    /// Responses from acquirers, requests from issuers: dropped.
    pub(crate) misdirected: u64,
    /// Links that ended, by [`Goodbye::index`].
    pub(crate) ended: [u64; Goodbye::NAMES.len()],
    pub(crate) own: Buckets<{ OWN_BUCKETS_US.len() }>,
}

/// What the edge counts of an acquirer.
#[derive(Clone, Debug, Default)]
pub(crate) struct AcquirerTally {
    pub(crate) network: u64,
    /// Refused before a decision, by [`DeclineReason::index`].
    pub(crate) refused: ByReason,
    pub(crate) codes: Vec<u64>,
    pub(crate) glitches: u64,
    pub(crate) whole: Buckets<{ WHOLE_BUCKETS_US.len() }>,
}

/// What the edge counts of an issuer.
#[derive(Clone, Debug, Default)]
pub(crate) struct IssuerTally {
    /// Answers that lack what every answer must have.
    pub(crate) unmatched: u64,
    pub(crate) glitches: u64,
}

impl Tally {
    /// All zero.
    pub(crate) fn new(config: &Config) -> Self {
        let acquirer = AcquirerTally { codes: vec![0; CODES.len() + 1], ..AcquirerTally::default() };
        Self {
            acquirers: vec![acquirer; config.acquirers.len()],
            issuers: vec![IssuerTally::default(); config.issuers.len()],
            misdirected: 0,
            ended: Default::default(),
            own: Buckets::default(),
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

    /// An answer cannot belong to anything.
    pub(crate) fn unmatched(&mut self, issuer: IssuerId) {
        self.issuers[issuer.index()].unmatched += 1;
    }

    /// A request was answered.
    pub(crate) fn replied(&mut self, acquirer: AcquirerId, outcome: &Outcome, whole_us: u64, issuer_us: u64) {
        let acquirer = &mut self.acquirers[acquirer.index()];
        acquirer.codes[code_index(outcome.response_code)] += 1;
        acquirer.whole.observe(&WHOLE_BUCKETS_US, whole_us);
        self.own.observe(&OWN_BUCKETS_US, whole_us.saturating_sub(issuer_us));
    }

    /// A link ended.
    pub(crate) fn ended(&mut self, why: Goodbye) {
        self.ended[why.index()] += 1;
    }

    /// A copy to be published.
    pub(crate) fn snapshot(
        &self,
        shard: ShardId,
        authorizer: &Authorizer,
        token_up: bool,
        journal: Option<JournalFigures>,
    ) -> Snapshot {
        let issuers = (0..self.issuers.len() as u16).map(IssuerId);
        Snapshot {
            shard,
            saf: issuers.map(|issuer| authorizer.saf_depth(issuer)).collect(),
            journal,
            counters: authorizer.counters().clone(),
            evicted: authorizer.evicted(),
            in_flight: authorizer.in_flight(),
            remembered: authorizer.remembered(),
            cards: authorizer.cards(),
            token_up,
            tally: self.clone(),
        }
    }
}

/// One shard's figures at one moment.
pub(crate) struct Snapshot {
    pub(crate) shard: ShardId,
    pub(crate) counters: Counters,
    pub(crate) evicted: u64,
    pub(crate) in_flight: usize,
    pub(crate) remembered: usize,
    /// Cards of programs at home there.
    pub(crate) cards: usize,
    /// Whether its token answers.
    pub(crate) token_up: bool,
    /// Reversals that wait, by issuer.
    pub(crate) saf: Vec<Depth>,
    pub(crate) journal: Option<JournalFigures>,
    pub(crate) tally: Tally,
}

/// How a shard's journal stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JournalFigures {
    /// Syncs since the start.
    pub(crate) syncs: u64,
    /// There is no room for another segment.
    pub(crate) is_low: bool,
}

fn code_index(code: ResponseCode) -> usize {
    CODES.iter().position(|known| known.as_bytes() == code.as_bytes()).unwrap_or(CODES.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_with_all() {
        let mut buckets = Buckets::<2>::default();
        for us in [5, 10, 11, 99] {
            buckets.observe(&[10, 50], us);
        }
        let mut page = String::new();
        buckets.write(&mut page, "x_seconds", "acquirer=\"a\",", &[10, 50]);
        let expected = "x_seconds_bucket{acquirer=\"a\",le=\"0.00001\"} 2\n\
                        x_seconds_bucket{acquirer=\"a\",le=\"0.00005\"} 3\n\
                        x_seconds_bucket{acquirer=\"a\",le=\"+Inf\"} 4\n\
                        x_seconds_sum{acquirer=\"a\"} 0.000125\n\
                        x_seconds_count{acquirer=\"a\"} 4\n";
        assert_eq!(page, expected);
    }
}
