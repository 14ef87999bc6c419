//! The slowest payments of the last minute, with what took their time: for the console, which shows them with a card
//! masked and a trace id to follow them by.

use authorizer::event::AcquirerId;
use authorizer::request::Identity;
use codecs::value::ResponseCode;
use serde_json::{Value, json};

use crate::config::Config;

/// How many each shard keeps.
const KEPT: usize = 12;
/// How long one is kept, microseconds.
const KEPT_US: u64 = 60_000_000;

/// One slow payment.
#[derive(Clone, Debug)]
pub(crate) struct Slow {
    /// When it was answered, microseconds of the switch's clock.
    pub(crate) at_us: u64,
    pub(crate) acquirer: AcquirerId,
    /// The trace id.
    pub(crate) identity: Option<Identity>,
    pub(crate) code: ResponseCode,
    /// From its receipt to its answer.
    pub(crate) whole_us: u64,
    /// Until it was handed to its issuer's link: rights, proofs, the journal.
    pub(crate) before_us: Option<u64>,
    /// Until its issuer's answer was read.
    pub(crate) issuer_us: Option<u64>,
    /// Until its answer was handed to the acquirer's link: the journal again.
    pub(crate) after_us: Option<u64>,
    /// The card, masked.
    pub(crate) card: Option<String>,
    /// DE 37.
    pub(crate) rrn: Option<String>,
}

impl Slow {
    pub(crate) fn said(&self, config: &Config) -> Value {
        json!({
            "acquirer": config.acquirers.get(self.acquirer.index()).map(|acquirer| acquirer.name.as_str()),
            "trace": self.identity.map(|identity| format!("{:032x}", identity.0)),
            "de39": String::from_utf8_lossy(self.code.as_bytes()),
            "de37": self.rrn, "card": self.card, "whole_us": self.whole_us,
            "before_us": self.before_us, "issuer_us": self.issuer_us, "after_us": self.after_us,
        })
    }
}

/// One shard's slowest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slowest {
    kept: Vec<Slow>,
    /// What is quicker than this is none of them.
    floor_us: u64,
    /// When the oldest of them goes.
    until_us: u64,
}

impl Slowest {
    /// Whether a payment that took so long would be one of them: all that most payments cost.
    pub(crate) fn takes(&self, whole_us: u64, now_us: u64) -> bool {
        whole_us > self.floor_us || now_us > self.until_us
    }

    /// Takes one in.
    pub(crate) fn put(&mut self, slow: Slow) {
        let now_us = slow.at_us;
        self.kept.retain(|known| now_us.saturating_sub(known.at_us) < KEPT_US);
        let place = self.kept.partition_point(|known| known.whole_us >= slow.whole_us);
        self.kept.insert(place, slow);
        self.kept.truncate(KEPT);
        let is_full = self.kept.len() == KEPT;
        self.floor_us = if is_full { self.kept.last().map_or(0, |last| last.whole_us) } else { 0 };
        self.until_us = self.kept.iter().map(|known| known.at_us + KEPT_US).min().unwrap_or(0);
    }

    /// The slowest of all shards, the slowest first.
    pub(crate) fn of_all<'s>(shards: impl Iterator<Item = &'s Self>, now_us: u64) -> Vec<Slow> {
        let recent = |slow: &&Slow| now_us.saturating_sub(slow.at_us) < KEPT_US;
        let mut all: Vec<Slow> = shards.flat_map(|shard| &shard.kept).filter(recent).cloned().collect();
        all.sort_by_key(|slow| std::cmp::Reverse(slow.whole_us));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(at_us: u64, whole_us: u64) -> Slow {
        Slow {
            at_us,
            acquirer: AcquirerId(0),
            identity: None,
            code: ResponseCode::of(b"00"),
            whole_us,
            before_us: None,
            issuer_us: None,
            after_us: None,
            card: None,
            rrn: None,
        }
    }

    #[test]
    fn the_slowest_of_the_last_minute_are_kept() {
        let mut slowest = Slowest::default();
        for number in 0..100 {
            if slowest.takes(number * 10, number) {
                slowest.put(slow(number, number * 10));
            }
        }
        let kept = Slowest::of_all([&slowest].into_iter(), 100);
        assert_eq!((kept.len(), kept[0].whole_us, kept[KEPT - 1].whole_us), (KEPT, 990, 880));
        assert!(!slowest.takes(870, 100));
        assert!(slowest.takes(1, KEPT_US + 200), "the old ones are gone by then");
        slowest.put(slow(KEPT_US + 200, 1));
        assert_eq!(Slowest::of_all([&slowest].into_iter(), KEPT_US + 200).len(), 1);
    }
}
