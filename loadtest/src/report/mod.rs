//! What a run came to, as data: the figures, and beside them the conditions without which they mean nothing.
//! [`text`] shows it to people, serde writes it as JSON; both say the same. [`series`] is the course of the run,
//! [`hdr`] its histograms as a log, [`junit`] its promises for a build server, [`html`] a
//! page of charts. While a run lasts, [`view`] or [`live`] shows it and [`metrics`] tells it.

pub mod conditions;
pub mod figures;
pub mod hdr;
pub mod html;
pub mod junit;
pub mod live;
pub mod metrics;
pub mod series;
pub mod text;
pub mod threshold;
pub mod view;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::acquirer::Outcome;
use crate::capacity::Capacity;
use crate::codes::Code;
use crate::profile::{Drive, Profile};
use crate::tally::Tally;
use conditions::Conditions;
use figures::{CaseRow, Counts, DifferenceRow, LoadFacts, OutcomeRow, Percentiles, Verdict};
use series::{CurvePoint, SecondRow};
use threshold::{Checked, Threshold};

/// Raised when a field of the JSON changes its meaning or goes away; new ones may come without it.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this form.
    pub schema_version: u32,
    /// The machine, the program and how it was called.
    pub conditions: Conditions,
    /// The machines of the agents, where agents did the sending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<Conditions>,
    /// What was asked for.
    pub load: LoadFacts,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// Messages and answers.
    pub counts: Counts,
    /// Whether the generator kept up.
    pub generator: Verdict,
    /// Answered minus planned.
    pub response: Percentiles,
    /// Answered minus sent.
    pub service: Percentiles,
    /// Sent minus planned.
    pub lag: Percentiles,
    /// The whole distribution of each, for a curve.
    pub curves: Curves,
    /// Answers in time by code.
    pub outcomes: Vec<OutcomeRow>,
    /// The same by case.
    pub cases: Vec<CaseRow>,
    /// In a replay: answers whose code is another than the recorded one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<DifferenceRow>,
    /// What was promised and whether it held.
    pub thresholds: Vec<Checked>,
    /// The highest rate at which everything promised held, where it was searched for. The rest of the report is then
    /// about the run at the highest such rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// Second by second.
    pub seconds: Vec<SecondRow>,
}

/// The distributions of the three times as curves.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Curves {
    pub response: Vec<CurvePoint>,
    pub service: Vec<CurvePoint>,
    pub lag: Vec<CurvePoint>,
}

impl Report {
    /// Puts a report together and judges the thresholds.
    pub fn new(
        profile: &Profile,
        outcome: &Outcome,
        seconds: Vec<SecondRow>,
        thresholds: &[Threshold],
        conditions: Conditions,
    ) -> Report {
        let tally = &outcome.tally;
        let counts = Counts::of(tally);
        let closed = matches!(profile.load.drive, Drive::Closed { .. });
        let mut report = Report {
            schema_version: SCHEMA_VERSION,
            conditions,
            agents: Vec::new(),
            load: LoadFacts::of(profile, outcome),
            interrupted: outcome.interrupted,
            counts,
            generator: Verdict::of(&counts, &tally.times.lag, closed),
            response: Percentiles::of(&tally.times.response),
            service: Percentiles::of(&tally.times.service),
            lag: Percentiles::of(&tally.times.lag),
            curves: Curves {
                response: series::curve(&tally.times.response),
                service: series::curve(&tally.times.service),
                lag: series::curve(&tally.times.lag),
            },
            outcomes: outcomes(tally, counts.answered),
            cases: profile
                .cases
                .iter()
                .zip(&tally.cases)
                .map(|(case, tally)| CaseRow::of(&case.name, &case.expect, tally))
                .collect(),
            differences: DifferenceRow::all(tally),
            thresholds: Vec::new(),
            capacity: None,
            seconds,
        };
        report.thresholds = thresholds.iter().map(|threshold| threshold.check(&report, tally)).collect();
        report
    }

    /// Whether everything that was promised held.
    pub fn passed(&self) -> bool {
        let found = self.capacity.as_ref().is_none_or(|capacity| !capacity.rates.is_empty());
        found && self.thresholds.iter().all(|checked| checked.passed)
    }

    /// Answers in time, a second.
    pub fn answered_rate(&self) -> f64 {
        let seconds = self.load.measured_seconds;
        if seconds > 0.0 { self.counts.answered as f64 / seconds } else { 0.0 }
    }
}

/// Answers by code over all cases, approvals first, then by number of answers.
fn outcomes(tally: &Tally, answered: u64) -> Vec<OutcomeRow> {
    let mut totals: BTreeMap<Code, u64> = BTreeMap::new();
    for (code, count) in tally.cases.iter().flat_map(|case| &case.codes) {
        *totals.entry(*code).or_default() += count;
    }
    let mut rows: Vec<(Code, u64)> = totals.into_iter().collect();
    rows.sort_by_key(|(code, count)| (!code.is_approval(), Reverse(*count)));
    rows.into_iter()
        .map(|(code, count)| OutcomeRow {
            code: code.to_string(),
            meaning: code.meaning(),
            count,
            share: count as f64 / answered.max(1) as f64,
            approval: code.is_approval(),
        })
        .collect()
}
