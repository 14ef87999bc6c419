//! The parts of a report: plain figures, each taken from what the run counted.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::text;
use crate::acquirer::Outcome;
use crate::clock::Stamp;
use crate::codes::Code;
use crate::profile::{Drive, Profile};
use crate::replay::Recording;
use crate::tally::{CaseTally, Tally};

/// Above this send lag (p99) the figures are about the generator.
pub const LAG_LIMIT_NS: u64 = 1_000_000;

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct LoadFacts {
    /// Name of the profile.
    pub profile: String,
    /// What it is for.
    pub description: String,
    /// `open`, `closed` or `replay`.
    pub mode: &'static str,
    /// Messages a second; none in a closed loop, and of a replay the mean.
    pub rate: Option<f64>,
    /// `uniform` or `poisson`; none in a closed loop.
    pub arrivals: Option<String>,
    /// Messages in flight on each link; closed loop only.
    pub window: Option<usize>,
    /// How the rate changed; none in a closed loop.
    pub shape: Option<String>,
    /// What was sent again, where that is what the run did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayFacts>,
    /// Planned length.
    pub seconds: f64,
    /// Of this at the beginning cut off: drawn, and in no figure.
    pub warm_up_seconds: f64,
    /// The same at the end.
    pub cool_down_seconds: f64,
    /// What is left, or was reached of it: the time that the figures are about.
    pub measured_seconds: f64,
    /// Links.
    pub connections: usize,
    /// Threads.
    pub workers: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Dialect.
    pub dialect: String,
    /// When an answer was late, in seconds.
    pub patience_seconds: f64,
    /// When it started, UTC.
    pub started: String,
    /// From the start to the last answer.
    pub elapsed_seconds: f64,
}

/// A recording that was sent again.
#[derive(Clone, Debug, Serialize)]
pub struct ReplayFacts {
    /// Requests in it.
    pub requests: usize,
    /// Of these, requests whose answer is recorded, so that it can be compared.
    pub compared: usize,
    /// Other messages in it, which were not sent: network messages, and what the host asked.
    pub left_out: u64,
    /// How many times as fast.
    pub speed: f64,
}

/// A recorded code that has become another.
#[derive(Clone, Debug, Serialize)]
pub struct DifferenceRow {
    /// What was recorded.
    pub recorded: String,
    /// What was answered now.
    pub now: String,
    /// Answers.
    pub count: u64,
}

/// Messages and answers. planned = sent + not_sent; sent = answered + late + missing.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counts {
    /// Messages of warm-up and cool-down, in no other figure.
    pub cut_off: u64,
    /// Messages that the schedule asked for.
    pub planned: u64,
    /// Messages handed to the kernel.
    pub sent: u64,
    /// Messages that were planned and not sent.
    pub not_sent: u64,
    /// Of these, messages that found no link up.
    pub not_sent_link_down: u64,
    /// Of these, messages that found their link full.
    pub not_sent_link_full: u64,
    /// Of these, messages for which no unused code was left.
    pub not_sent_out_of_codes: u64,
    /// Messages answered in time.
    pub answered: u64,
    /// Of these, approved.
    pub approved: u64,
    /// Messages answered when the terminal had given up.
    pub late: u64,
    /// Messages that were never answered.
    pub missing: u64,
    /// Answers to messages that had been answered.
    pub duplicate: u64,
    /// Answers whose key fits no message.
    pub unmatched: u64,
    /// Messages that are no sound answer.
    pub mangled: u64,
    /// Second answers that say something else than the first.
    pub contradicting: u64,
    /// Answers whose code the case does not expect.
    pub unexpected: u64,
    /// Reversals of payments without an answer.
    pub reversals: u64,
    /// Times that one was repeated.
    pub reversal_repeats: u64,
    /// Reversals that were answered with another code than acceptance.
    pub reversals_refused: u64,
    /// Reversals that were never answered.
    pub reversals_open: u64,
    /// Connections dropped on purpose.
    pub links_dropped: u64,
    /// Connections lost.
    pub links_lost: u64,
    /// Times that a socket was full.
    pub links_blocked: u64,
    /// Network messages (0800) sent, after the sign-ons before the start.
    pub network_sent: u64,
    /// Answers to them.
    pub network_answered: u64,
    /// Network messages of the host that were answered.
    pub network_served: u64,
}

/// Whether the figures are about the host or about the generator.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// They are about the generator.
    pub generator_bound: bool,
    /// Why.
    pub reasons: Vec<String>,
}

/// A distribution of times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Percentiles {
    pub count: u64,
    pub mean_ns: u64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p99_9_ns: u64,
    pub max_ns: u64,
}

/// One code.
#[derive(Clone, Debug, Serialize)]
pub struct OutcomeRow {
    /// DE 39.
    pub code: String,
    /// What it means.
    pub meaning: &'static str,
    /// Answers in time.
    pub count: u64,
    /// Part of all answers in time, 0 to 1.
    pub share: f64,
    /// Whether it approves.
    pub approval: bool,
}

/// One case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseRow {
    /// Its name.
    pub name: String,
    /// Messages that the schedule asked for.
    pub planned: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages answered in time.
    pub answered: u64,
    /// Messages answered late.
    pub late: u64,
    /// Messages never answered.
    pub missing: u64,
    /// Answers outside what the case expects.
    pub unexpected: u64,
    /// What it expects; empty when anything.
    pub expect: Vec<String>,
    /// Response times.
    pub response: Percentiles,
    /// Answers by code.
    pub codes: BTreeMap<String, u64>,
}

impl Counts {
    pub(super) fn of(tally: &Tally) -> Counts {
        let (planned, sent) = (tally.sum(|case| case.planned), tally.sum(|case| case.sent));
        Counts {
            cut_off: tally.cut_off,
            planned,
            sent,
            not_sent: planned - sent,
            not_sent_link_down: tally.links.refused_down,
            not_sent_link_full: tally.links.refused_full,
            not_sent_out_of_codes: tally.out_of_codes,
            answered: tally.sum(|case| case.answered),
            approved: tally.sum(|case| case.approved),
            late: tally.late,
            missing: tally.sum(CaseTally::missing),
            duplicate: tally.duplicate,
            unmatched: tally.unmatched,
            mangled: tally.mangled,
            contradicting: tally.contradicting,
            unexpected: tally.sum(|case| case.unexpected),
            reversals: tally.reversals.sent,
            reversal_repeats: tally.reversals.repeats,
            reversals_refused: tally.reversals.refused,
            reversals_open: tally.reversals.open,
            links_dropped: tally.links.dropped,
            links_lost: tally.links.lost,
            links_blocked: tally.links.blocked,
            network_sent: tally.links.network_sent,
            network_answered: tally.links.network_answered,
            network_served: tally.links.network_served,
        }
    }
}

impl Verdict {
    pub(super) fn of(counts: &Counts, lag: &Histogram<u64>, closed: bool) -> Verdict {
        let mut reasons = Vec::new();
        let lag_p99_ns = lag.value_at_quantile(0.99);
        if lag_p99_ns > LAG_LIMIT_NS && !closed {
            let limit = text::time(LAG_LIMIT_NS);
            reasons.push(format!("send lag p99 was {}, above {limit}", text::time(lag_p99_ns)));
        }
        if counts.not_sent > 0 {
            let mut why = Vec::new();
            let (down, full) = (counts.not_sent_link_down, counts.not_sent_link_full);
            let codes = counts.not_sent_out_of_codes;
            let other = counts.not_sent.saturating_sub(down + full + codes);
            for (count, text) in [
                (down, "found no link up"),
                (full, "found the host not reading"),
                (codes, "found every code used up"),
                (other, "were never reached"),
            ] {
                if count > 0 {
                    why.push(format!("{} {text}", text::count(count)));
                }
            }
            reasons.push(format!(
                "{} planned messages were not sent: {}",
                text::count(counts.not_sent),
                why.join(", ")
            ));
        }
        if !reasons.is_empty() && counts.links_blocked > 0 {
            reasons.push(format!(
                "sockets were full {} times: the host read too slowly",
                text::count(counts.links_blocked)
            ));
        }
        Verdict { generator_bound: !reasons.is_empty(), reasons }
    }
}

impl Percentiles {
    pub(super) fn of(times: &Histogram<u64>) -> Percentiles {
        let at = |quantile| if times.is_empty() { 0 } else { times.value_at_quantile(quantile) };
        Percentiles {
            count: times.len(),
            mean_ns: times.mean() as u64,
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p99_9_ns: at(0.999),
            max_ns: times.max(),
        }
    }
}

impl CaseRow {
    pub(super) fn of(name: &str, expect: &[Code], tally: &CaseTally) -> CaseRow {
        CaseRow {
            name: name.to_string(),
            planned: tally.planned,
            sent: tally.sent,
            answered: tally.answered,
            late: tally.late,
            missing: tally.missing(),
            unexpected: tally.unexpected,
            expect: expect.iter().map(Code::to_string).collect(),
            response: Percentiles::of(&tally.response),
            codes: tally.codes.iter().map(|(code, count)| (code.to_string(), *count)).collect(),
        }
    }
}

impl LoadFacts {
    pub(super) fn of(profile: &Profile, outcome: &Outcome) -> LoadFacts {
        let (mode, rate, arrivals, window) = match profile.load.drive {
            Drive::Open { rate, arrivals } => ("open", Some(rate), Some(arrivals), None),
            Drive::Closed { window } => ("closed", None, None, Some(window)),
            Drive::Replay { .. } => ("replay", Some(mean_rate(profile)), None, None),
        };
        // Waiting for stragglers is no time of load.
        let end = outcome.elapsed.min(profile.load.length - profile.load.cool_down);
        let measured = end.saturating_sub(profile.load.warm_up);
        LoadFacts {
            profile: profile.name.clone(),
            description: profile.description.clone(),
            mode,
            rate,
            arrivals: arrivals.map(|arrivals| format!("{arrivals:?}").to_lowercase()),
            window,
            shape: arrivals.map(|_| profile.load.shape.to_string()),
            replay: profile.recording.as_deref().map(ReplayFacts::of),
            seconds: profile.load.length.as_secs_f64(),
            warm_up_seconds: profile.load.warm_up.as_secs_f64(),
            cool_down_seconds: profile.load.cool_down.as_secs_f64(),
            measured_seconds: measured.as_secs_f64(),
            connections: profile.load.connections,
            workers: profile.load.workers,
            seed: profile.seed,
            dialect: profile.link.dialect_name.clone(),
            patience_seconds: profile.load.patience.as_secs_f64(),
            started: timestamp(outcome.started_unix_second),
            elapsed_seconds: outcome.elapsed.as_secs_f64(),
        }
    }
}

fn mean_rate(profile: &Profile) -> f64 {
    let requests = profile.recording.as_ref().map_or(0, |recording| recording.requests.len());
    requests as f64 / profile.load.length.as_secs_f64()
}

impl ReplayFacts {
    fn of(recording: &Recording) -> ReplayFacts {
        ReplayFacts {
            requests: recording.requests.len(),
            compared: recording.answered(),
            left_out: recording.left_out,
            speed: recording.speed,
        }
    }
}

impl DifferenceRow {
    /// All of a run, the most frequent first.
    pub(super) fn all(tally: &Tally) -> Vec<DifferenceRow> {
        let rows = tally.differences.iter().map(|((recorded, now), count)| DifferenceRow {
            recorded: recorded.to_string(),
            now: now.to_string(),
            count: *count,
        });
        let mut rows: Vec<DifferenceRow> = rows.collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.count));
        rows
    }
}

/// RFC 3339, UTC.
fn timestamp(unix_second: u64) -> String {
    let stamp = Stamp::of(unix_second);
    let pair = |at: usize| String::from_utf8_lossy(&stamp.date_and_time()[at..at + 2]).into_owned();
    format!("20{}-{}-{}T{}:{}:{}Z", pair(0), pair(2), pair(4), pair(6), pair(8), pair(10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::new_histogram;

    #[test]
    fn a_late_generator_is_called_so() {
        let mut lag = new_histogram();
        let mut counts = Counts::default();
        assert!(!Verdict::of(&counts, &lag, false).generator_bound);
        lag.record(5_000_000).unwrap();
        let verdict = Verdict::of(&counts, &lag, false);
        assert!(verdict.generator_bound && verdict.reasons[0].contains("above 1.00 ms"), "{verdict:?}");
        assert!(!Verdict::of(&counts, &lag, true).generator_bound);
        counts = Counts { not_sent: 1_234, not_sent_link_down: 1_000, ..counts };
        let verdict = Verdict::of(&counts, &new_histogram(), true);
        assert_eq!(
            verdict.reasons,
            ["1,234 planned messages were not sent: 1,000 found no link up, 234 were never reached"]
        );
    }

    #[test]
    fn times_have_dates() {
        assert_eq!(timestamp(1_795_392_061), "2026-11-23T00:01:01Z");
    }
}
