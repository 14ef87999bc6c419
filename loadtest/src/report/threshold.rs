//! Promises about a run, in words: `p99(response)<50ms`, `approved>=90%`, `missing=0`.

use std::str::FromStr;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::figures::Counts;
use super::{Report, text};
use crate::codes::Code;
use crate::tally::Tally;
use crate::units;

/// One promise.
#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {
    text: String,
    metric: Metric,
    relation: Relation,
    limit: Limit,
}

/// A promise and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// The promise as it was written.
    pub text: String,
    /// What was seen, for people; empty when there was nothing to measure.
    pub seen: String,
    /// Whether it held. Where nothing could be measured it did not.
    pub passed: bool,
}

#[derive(Clone, PartialEq, Debug)]
enum Metric {
    /// Quantile of a distribution of times; 1 is the maximum.
    Time {
        of: TimeKind,
        quantile: f64,
    },
    Count(&'static Figure),
    /// Answers with one code.
    Answers(Code),
    /// Answers a second.
    Rate,
}

#[derive(Clone, PartialEq, Debug)]
enum TimeKind {
    Response,
    Service,
    Lag,
    /// Response time of one case.
    Case(String),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Limit {
    Time { ns: f64 },
    Share { percent: f64 },
    Number(f64),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Relation {
    Less,
    AtMost,
    Equal,
    NotEqual,
    AtLeast,
    More,
}

/// What can be counted: its name, the count, and whether a share of it is one of the answers (or else of the
/// messages sent).
type Figure = (&'static str, fn(&Counts) -> u64, bool);

const FIGURES: &[Figure] = &[
    ("approved", |counts| counts.approved, true),
    ("declined", |counts| counts.answered - counts.approved, true),
    ("unexpected", |counts| counts.unexpected, true),
    ("planned", |counts| counts.planned, false),
    ("sent", |counts| counts.sent, false),
    ("not_sent", |counts| counts.not_sent, false),
    ("answered", |counts| counts.answered, false),
    ("late", |counts| counts.late, false),
    ("missing", |counts| counts.missing, false),
    ("duplicate", |counts| counts.duplicate, false),
    ("unmatched", |counts| counts.unmatched, false),
    ("mangled", |counts| counts.mangled, false),
    ("contradicting", |counts| counts.contradicting, false),
    ("reversals", |counts| counts.reversals, false),
    ("reversals_refused", |counts| counts.reversals_refused, false),
    ("reversals_open", |counts| counts.reversals_open, false),
    ("links_lost", |counts| counts.links_lost, false),
];

/// Longer ones first: `<` is the beginning of `<=`.
const RELATIONS: &[(&str, Relation)] = &[
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("!=", Relation::NotEqual),
    ("==", Relation::Equal),
    ("<", Relation::Less),
    (">", Relation::More),
    ("=", Relation::Equal),
];

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Threshold, String> {
        let at = text.find(['<', '>', '=', '!']).ok_or_else(|| format!("`{text}`: no comparison in it"))?;
        let (metric, rest) = text.split_at(at);
        let (sign, relation) = RELATIONS
            .iter()
            .find(|(sign, _)| rest.starts_with(sign))
            .ok_or_else(|| format!("`{text}`: no comparison in it"))?;
        let metric = Metric::from_str(metric.trim())?;
        let limit = Limit::from_str(rest[sign.len()..].trim())?;
        let fits = match metric {
            Metric::Time { .. } => matches!(limit, Limit::Time { .. }),
            Metric::Count(_) | Metric::Answers(_) => matches!(limit, Limit::Share { .. } | Limit::Number(_)),
            Metric::Rate => matches!(limit, Limit::Number(_)),
        };
        if !fits {
            return Err(format!("`{text}`: times are compared with times, counts with numbers or percent"));
        }
        Ok(Threshold { text: text.to_string(), metric, relation: *relation, limit })
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Metric, String> {
        if let Some(figure) = FIGURES.iter().find(|(name, ..)| *name == text) {
            return Ok(Metric::Count(figure));
        }
        if text == "rate" {
            return Ok(Metric::Rate);
        }
        let unknown = || {
            let names: Vec<&str> = FIGURES.iter().map(|(name, ..)| *name).collect();
            format!(
                "`{text}` is not measured: p50, p99.9, ... or max of (response), (service) or (lag), rate, \
                 rc(CODE), {} are",
                names.join(", ")
            )
        };
        // `lag.p99` says the same as `p99(lag)`.
        let dotted =
            ["response.", "service.", "lag."].iter().find_map(|of| Some((text.strip_prefix(of)?, of)));
        let (word, of) = match dotted {
            Some((word, of)) => (word, of.trim_end_matches('.')),
            None => text.strip_suffix(')').and_then(|text| text.split_once('(')).ok_or_else(unknown)?,
        };
        if word == "rc" {
            return Code::parse(of.as_bytes()).map(Metric::Answers).ok_or_else(unknown);
        }
        let of = match of {
            "response" => TimeKind::Response,
            "service" => TimeKind::Service,
            "lag" => TimeKind::Lag,
            // Which cases there are the profile says.
            case if !case.trim().is_empty() => TimeKind::Case(case.trim().to_string()),
            _ => return Err(unknown()),
        };
        let quantile = match word {
            "max" => 1.0,
            _ => {
                let percent = word.strip_prefix('p').and_then(|digits| digits.parse::<f64>().ok());
                percent.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(unknown)? / 100.0
            }
        };
        Ok(Metric::Time { of, quantile })
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Limit, String> {
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.trim().parse().map_err(|_| format!("`{text}` is no share"))?;
            return Ok(Limit::Share { percent });
        }
        match text.parse() {
            Ok(number) => Ok(Limit::Number(number)),
            Err(_) => units::duration(text).map(|time| Limit::Time { ns: time.as_nanos() as f64 }),
        }
    }
}

impl Threshold {
    /// The case that it is about, if it is about one.
    pub fn case(&self) -> Option<&str> {
        match &self.metric {
            Metric::Time { of: TimeKind::Case(name), .. } => Some(name),
            _ => None,
        }
    }

    /// Compares a run with the promise. What a generator that fell behind measured of times and rates is not the
    /// host's, and keeps no promise about it.
    pub(super) fn check(&self, report: &Report, tally: &Tally) -> Checked {
        let seen = self.measure(report, tally);
        let void = report.generator.generator_bound && self.is_timed();
        let shown = seen.map_or("nothing to measure".to_string(), |seen| self.show(seen));
        Checked {
            text: self.text.clone(),
            seen: if void { format!("{shown}, but the generator fell behind") } else { shown },
            passed: !void && seen.is_some_and(|seen| self.relation.holds(seen, self.limit.value())),
        }
    }

    /// Whether it is about how fast the host is. The send lag is the generator's own.
    fn is_timed(&self) -> bool {
        match &self.metric {
            Metric::Time { of, .. } => *of != TimeKind::Lag,
            Metric::Rate => true,
            Metric::Count(_) | Metric::Answers(_) => false,
        }
    }

    fn measure(&self, report: &Report, tally: &Tally) -> Option<f64> {
        let counts = &report.counts;
        let share = |count: u64, whole: u64| match self.limit {
            Limit::Share { .. } if whole == 0 => None,
            Limit::Share { .. } => Some(count as f64 * 100.0 / whole as f64),
            _ => Some(count as f64),
        };
        match &self.metric {
            Metric::Time { of, quantile } => {
                let times: &Histogram<u64> = match of {
                    TimeKind::Response => &tally.times.response,
                    TimeKind::Service => &tally.times.service,
                    TimeKind::Lag => &tally.times.lag,
                    TimeKind::Case(name) => {
                        let at = report.cases.iter().position(|case| case.name == *name)?;
                        &tally.cases[at].response
                    }
                };
                (!times.is_empty()).then(|| times.value_at_quantile(*quantile) as f64)
            }
            Metric::Count((_, figure, of_answers)) => {
                share(figure(counts), if *of_answers { counts.answered } else { counts.sent })
            }
            Metric::Answers(code) => {
                let code = code.to_string();
                let row = report.outcomes.iter().find(|row| row.code == code);
                share(row.map_or(0, |row| row.count), counts.answered)
            }
            Metric::Rate => Some(report.answered_rate()),
        }
    }

    fn show(&self, seen: f64) -> String {
        match self.limit {
            Limit::Time { .. } => text::time(seen as u64),
            Limit::Share { .. } => format!("{seen:.2} %"),
            Limit::Number(_) => text::count(seen as u64),
        }
    }
}

impl Limit {
    fn value(self) -> f64 {
        match self {
            Limit::Time { ns } => ns,
            Limit::Share { percent } => percent,
            Limit::Number(number) => number,
        }
    }
}

impl Relation {
    fn holds(self, seen: f64, limit: f64) -> bool {
        match self {
            Relation::Less => seen < limit,
            Relation::AtMost => seen <= limit,
            Relation::Equal => seen == limit,
            Relation::NotEqual => seen != limit,
            Relation::AtLeast => seen >= limit,
            Relation::More => seen > limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_read() {
        for text in [
            "p99(response)<50ms",
            "p99.9(service)<=1s",
            "lag.p99<1ms",
            "p99(purchase at oak)<5ms",
            "max(lag) < 1ms",
            "approved>=90%",
            "approved>=90",
            "rc(91)<0.1%",
            "unmatched=0",
            "missing==0",
            "rate>=1000",
        ] {
            assert!(text.parse::<Threshold>().is_ok(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        for text in [
            "",
            "p99(response)",
            "p99(response)<50",
            "p101(response)<50ms",
            "approved>=90ms",
            "happiness>0",
            "missing=",
        ] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }

    #[test]
    fn relations() {
        assert!(Relation::Less.holds(1.0, 2.0) && !Relation::Less.holds(2.0, 2.0));
        assert!(Relation::AtMost.holds(2.0, 2.0) && Relation::AtLeast.holds(2.0, 2.0));
        assert!(Relation::Equal.holds(0.0, 0.0) && Relation::NotEqual.holds(0.0, 1.0));
        assert!(Relation::More.holds(3.0, 2.0));
    }
}
