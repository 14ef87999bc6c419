//! Compares two runs: by how much a figure changed, and whether that is more than the runs themselves waver.
//!
//! The noise band comes from the seconds of each run: a figure that differs from second to second cannot be known
//! better than that. Of n seconds the mean is known to about deviation / sqrt(n); the band is twice what both runs
//! together leave open. Seconds are no independent draws, so the band is a help and no proof: `ab` measures better.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::report::figures::Percentiles;
use crate::report::series::SecondRow;

/// What is read of a report; anything else in it does not matter here.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    /// Version of its form.
    pub schema_version: u32,
    load: Load,
    generator: Generator,
    counts: Counts,
    response: Percentiles,
    service: Percentiles,
    seconds: Vec<SecondRow>,
}

#[derive(Clone, Debug, Deserialize)]
struct Load {
    profile: String,
    mode: String,
    rate: Option<f64>,
    dialect: String,
    seconds: f64,
    warm_up_seconds: f64,
    cool_down_seconds: f64,
    measured_seconds: f64,
}

#[derive(Clone, Debug, Deserialize)]
struct Generator {
    generator_bound: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Counts {
    answered: u64,
    approved: u64,
    sent: u64,
    missing: u64,
    late: u64,
}

impl Run {
    /// Seconds that lie wholly in the measured part.
    fn measured(&self) -> impl Iterator<Item = &SecondRow> {
        let (from, to) = (self.load.warm_up_seconds, self.load.seconds - self.load.cool_down_seconds);
        let inside = move |row: &&SecondRow| {
            let begin = row.second as f64 - 1.0;
            begin >= from && begin + 1.0 <= to && row.answered > 0
        };
        self.seconds.iter().filter(inside)
    }

    /// Why its figures may be no claim about the host.
    pub fn doubt(&self) -> Option<&'static str> {
        match (self.generator.generator_bound, self.load.mode.as_str()) {
            (true, _) => Some("GENERATOR-BOUND"),
            (false, "closed") => Some("closed loop"),
            _ => None,
        }
    }
}

/// How two runs differ in what was asked, each in words; comparing them then means little.
pub fn differences(one: &Run, other: &Run) -> Vec<String> {
    let (a, b) = (&one.load, &other.load);
    let rate = |rate: Option<f64>| rate.map_or("none".to_string(), |rate| rate.to_string());
    let pairs = [
        ("profile", a.profile.clone(), b.profile.clone()),
        ("mode", a.mode.clone(), b.mode.clone()),
        ("rate", rate(a.rate), rate(b.rate)),
        ("dialect", a.dialect.clone(), b.dialect.clone()),
    ];
    let differing = pairs.into_iter().filter(|(_, one, other)| one != other);
    differing.map(|(name, one, other)| format!("{name}: {one} and {other}")).collect()
}

/// A figure that is compared: its name, its unit, and how it is read from a run and from a second of it.
#[derive(Clone, Copy)]
pub struct Figure {
    /// As it is written in `--fail-on`.
    pub name: &'static str,
    /// What its values are.
    pub unit: Unit,
    of_run: fn(&Run) -> f64,
    of_second: Option<fn(&SecondRow) -> f64>,
}

impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What the values of a figure are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Nanoseconds.
    Time,
    /// Messages a second.
    Rate,
    /// Percent of a whole.
    Percent,
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// Everything that is compared, in the order in which it is shown.
pub const FIGURES: &[Figure] = &[
    figure("p50", Unit::Time, |run| run.response.p50_ns as f64, Some(|row| row.p50_ns as f64)),
    figure("p90", Unit::Time, |run| run.response.p90_ns as f64, Some(|row| row.p90_ns as f64)),
    figure("p99", Unit::Time, |run| run.response.p99_ns as f64, Some(|row| row.p99_ns as f64)),
    figure("p99.9", Unit::Time, |run| run.response.p99_9_ns as f64, Some(|row| row.p99_9_ns as f64)),
    figure("max", Unit::Time, |run| run.response.max_ns as f64, Some(|row| row.max_ns as f64)),
    figure("service.p99", Unit::Time, |run| run.service.p99_ns as f64, Some(|row| row.service_p99_ns as f64)),
    figure(
        "rate",
        Unit::Rate,
        |run| run.counts.answered as f64 / run.load.measured_seconds.max(1e-9),
        Some(|row| row.answered as f64),
    ),
    figure(
        "approved",
        Unit::Percent,
        |run| share(run.counts.approved, run.counts.answered),
        Some(|row| share(row.approved, row.answered)),
    ),
    figure("missing", Unit::Percent, |run| share(run.counts.missing, run.counts.sent), None),
    figure("late", Unit::Percent, |run| share(run.counts.late, run.counts.sent), None),
];

const fn figure(
    name: &'static str,
    unit: Unit,
    of_run: fn(&Run) -> f64,
    of_second: Option<fn(&SecondRow) -> f64>,
) -> Figure {
    Figure { name, unit, of_run, of_second }
}

impl Figure {
    /// The figure of a whole run.
    pub fn of(&self, run: &Run) -> f64 {
        (self.of_run)(run)
    }

    /// How far its mean over the seconds is known, as a part of it; nothing where seconds do not have it.
    fn uncertainty(&self, run: &Run) -> Option<f64> {
        let values: Vec<f64> = run.measured().map(self.of_second?).collect();
        let count = values.len() as f64;
        if values.len() < 2 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let spread = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean > 0.0).then(|| (spread / count).sqrt() / mean)
    }
}

/// One figure of two runs.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// Its name.
    pub figure: &'static str,
    /// In the first run.
    pub a: f64,
    /// In the second.
    pub b: f64,
    /// From the first to the second, in percent of the first; of figures that are shares, in points.
    pub change: f64,
    /// Changes up to this are noise, in the same unit; nothing when the runs are too short to tell.
    pub noise: Option<f64>,
    /// What its values are.
    #[serde(skip)]
    pub unit: Unit,
}

impl Change {
    /// A change of a figure between two values.
    pub(crate) fn new(figure: &Figure, (a, b): (f64, f64), change: f64, noise: Option<f64>) -> Change {
        Change { figure: figure.name, a, b, change, noise, unit: figure.unit }
    }

    /// Whether the change is more than noise.
    pub fn is_real(&self) -> bool {
        self.noise.is_some_and(|noise| self.change.abs() > noise)
    }
}

/// A factor on the standard error, for about 95 of 100 cases.
const BAND: f64 = 2.0;
/// No two runs are alike to less than this, in percent.
const NOISE_LEAST: f64 = 1.0;

/// Every figure of two runs.
pub fn compare(one: &Run, other: &Run) -> Vec<Change> {
    let change = |figure: &Figure| {
        let (a, b) = (figure.of(one), figure.of(other));
        let points = figure.unit == Unit::Percent;
        let change = match (points, a > 0.0) {
            (true, _) => b - a,
            (false, true) => (b - a) * 100.0 / a,
            (false, false) => 0.0,
        };
        let both = figure.uncertainty(one).zip(figure.uncertainty(other));
        let noise = both.map(|(one, other)| {
            let percent = BAND * one.hypot(other) * 100.0;
            if points { percent * a / 100.0 } else { percent.max(NOISE_LEAST) }
        });
        // A share that seconds do not have is a plain count: any change is one.
        let noise = if figure.of_second.is_none() { Some(0.0) } else { noise };
        Change::new(figure, (a, b), change, noise)
    };
    FIGURES.iter().map(change).collect()
}

/// When a comparison has failed: `p99>5%` when the figure rose by more, `rate<-5%` when it fell by more.
#[derive(Clone, Debug)]
pub struct FailOn {
    text: String,
    figure: &'static str,
    limit: f64,
    rises: bool,
}

impl FailOn {
    /// Whether this change is one: beyond the limit, and no noise.
    pub fn catches(&self, change: &Change) -> bool {
        let beyond = if self.rises { change.change > self.limit } else { change.change < self.limit };
        change.figure == self.figure && beyond && change.is_real()
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The figure it is about.
    pub fn figure(&self) -> &'static str {
        self.figure
    }
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<FailOn, String> {
        let expected = || format!("`{text}`: for example `p99>5%` or `rate<-5%` is expected");
        let at = text.find(['<', '>']).ok_or_else(expected)?;
        let (name, rest) = text.split_at(at);
        let names = || FIGURES.iter().map(|figure| figure.name).collect::<Vec<_>>().join(", ");
        let figure = FIGURES.iter().find(|figure| figure.name == name.trim());
        let figure = figure.ok_or_else(|| format!("`{name}` is not compared: {} are", names()))?;
        let limit = rest[1..].trim().strip_suffix('%').and_then(|digits| digits.trim().parse().ok());
        let limit: f64 = limit.filter(|limit: &f64| limit.is_finite()).ok_or_else(expected)?;
        let rises = rest.starts_with('>');
        if (rises && limit < 0.0) || (!rises && limit > 0.0) {
            return Err(format!("`{text}`: a rise has a limit above 0, a fall one below 0"));
        }
        Ok(FailOn { text: text.to_string(), figure: figure.name, limit, rises })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run whose seconds have these p99s, in milliseconds.
    fn run(p99s_ms: &[u64]) -> Run {
        let row = |(at, ms): (usize, &u64)| SecondRow {
            second: at as u64 + 1,
            answered: 1000,
            approved: 990,
            p50_ns: 500_000,
            p99_ns: ms * 1_000_000,
            ..SecondRow::default()
        };
        let mean = p99s_ms.iter().sum::<u64>() * 1_000_000 / p99s_ms.len() as u64;
        let seconds = p99s_ms.len() as f64;
        Run {
            schema_version: 1,
            load: Load {
                profile: "x".to_string(),
                mode: "open".to_string(),
                rate: Some(1000.0),
                dialect: "iso87-ascii".to_string(),
                seconds,
                warm_up_seconds: 0.0,
                cool_down_seconds: 0.0,
                measured_seconds: seconds,
            },
            generator: Generator { generator_bound: false },
            counts: Counts { answered: 1000, approved: 990, sent: 1000, missing: 0, late: 0 },
            response: Percentiles { p50_ns: 500_000, p99_ns: mean, ..Percentiles::default() },
            service: Percentiles::default(),
            seconds: p99s_ms.iter().enumerate().map(row).collect(),
        }
    }

    fn p99_change(one: &[u64], other: &[u64]) -> Change {
        compare(&run(one), &run(other)).into_iter().find(|change| change.figure == "p99").unwrap()
    }

    #[test]
    fn noise_is_no_change() {
        let fail_on: FailOn = "p99>5%".parse().unwrap();
        let steady = p99_change(&[10, 10, 10, 10, 10, 10], &[11, 11, 11, 11, 11, 11]);
        assert!((9.9..10.1).contains(&steady.change) && fail_on.catches(&steady), "{steady:?}");
        let wavering = p99_change(&[2, 18, 5, 15, 3, 17], &[3, 19, 6, 16, 4, 18]);
        assert!((9.9..10.1).contains(&wavering.change) && !fail_on.catches(&wavering), "{wavering:?}");
        let small = p99_change(&[100; 6], &[104; 6]);
        assert!(small.is_real() && !fail_on.catches(&small), "{small:?}");
        // One second says nothing about noise.
        assert!(!p99_change(&[10], &[20]).is_real());
    }

    #[test]
    fn limits_are_read() {
        for text in ["p99>5%", "rate < -5%", "service.p99>10%", "missing>0%"] {
            assert!(text.parse::<FailOn>().is_ok(), "{text}");
        }
        for text in ["", "p99", "p99>5", "p98>5%", "p99>-5%", "rate<5%"] {
            assert!(text.parse::<FailOn>().is_err(), "{text}");
        }
    }
}
