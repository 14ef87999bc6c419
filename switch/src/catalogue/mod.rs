//! Every metric, once: its name, what it says, its labels with their closed lists, and where its value comes
//! from. The `/metrics` page, the reference table in `grafana/METRICS.md` and the checks of dashboards and rules
//! all come from here; whoever adds a metric adds one entry to `entries.rs`.
//!
//! Shards count in plain numbers of their own (`metrics.rs`, the authorizer's `counters`); entries read the
//! newest copies, in the thread of the page. Nothing here is on the path of a payment.

mod entries;
mod label;

use std::sync::Arc;

use authorizer::buckets::View;

use crate::door::DoorCounts;
use crate::metrics::Snapshot;
use crate::process;
use crate::setup::Setup;

pub use label::Label;

/// One metric.
pub struct Entry {
    /// Its name, unit and ending included.
    pub name: &'static str,
    /// What it says, one sentence.
    pub help: &'static str,
    /// At most two.
    pub labels: &'static [Label],
    pub(crate) read: Read,
}

/// What a metric is to Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets; `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// The place of a series in the lists of its labels' values, in the order of the labels.
pub(crate) type At = [usize; 2];

/// Where a value comes from.
pub(crate) enum Read {
    /// A counter, added up over the shards.
    Count(fn(&Snapshot, At) -> u64),
    /// A gauge, added up over the shards.
    Level(fn(&Snapshot, At) -> u64),
    /// A histogram, added up over the shards.
    Times(for<'a> fn(&'a Snapshot, At) -> View<'a>),
    /// A counter of the whole process.
    CountOfAll(fn(&World<'_>, At) -> u64),
    /// A gauge of the whole process.
    LevelOfAll(fn(&World<'_>, At) -> f64),
    /// A counter of seconds, of the whole process.
    SecondsOfAll(fn(&World<'_>, At) -> f64),
}

/// What entries of the whole process read.
pub(crate) struct World<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) doors: &'a Arc<DoorCounts>,
    pub(crate) shards: &'a [Snapshot],
    pub(crate) process: process::Figures,
}

impl World<'_> {
    /// The newest figures of every shard.
    pub(crate) fn shards(&self) -> impl Iterator<Item = &Snapshot> {
        self.shards.iter()
    }
}

/// Every metric, in the order of a payment's path.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    entries::ALL.iter().copied().flatten()
}

impl Entry {
    /// What it is to Prometheus.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.read {
            Read::Count(_) | Read::CountOfAll(_) | Read::SecondsOfAll(_) => Kind::Counter,
            Read::Level(_) | Read::LevelOfAll(_) => Kind::Gauge,
            Read::Times(_) => Kind::Histogram,
        }
    }

    /// The unit its name ends with, or what is counted.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        let name = self.name.trim_end_matches("_total");
        match name.rsplit('_').next() {
            Some("seconds") => "seconds",
            Some("bytes") => "bytes",
            Some("info") => "1",
            _ => "count",
        }
    }
}

impl Kind {
    /// As Prometheus calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The reference table, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut table = String::from(
        "# Metrics\n\n\
         Written by `make grafana` from the catalogue in `switch/src/catalogue`; a test fails when it is not up to date.\n\n\
         Every series exists at zero from the first scrape. A label's values come from the configuration or from the closed\n\
         lists below; a value that is on no list is counted as `other`. Never a card number, a trace number, a terminal.\n\n\
         | metric | type | unit | labels | says |\n| --- | --- | --- | --- | --- |\n",
    );
    for entry in entries() {
        let labels: Vec<_> = entry.labels.iter().map(|label| format!("`{}`", label.name())).collect();
        let (name, kind, unit) = (entry.name, entry.kind().name(), entry.unit());
        table += &format!("| `{name}` | {kind} | {unit} | {} | {} |\n", labels.join(", "), entry.help);
    }
    table += "\n## Labels\n\n| label | of | values |\n| --- | --- | --- |\n";
    for label in Label::ALL {
        let owners: Vec<_> = entries().filter(|entry| entry.labels.contains(&label)).collect();
        let names: Vec<_> = owners.iter().map(|entry| format!("`{}`", entry.name)).collect();
        table += &format!("| `{}` | {} | {} |\n", label.name(), names.join(", "), label.told());
    }
    table += "\n## Series\n\n\
              The products to watch, for A acquirers, I issuers, P programs and S shards:\n\n\
              | what | series |\n| --- | --- |\n";
    for entry in entries().filter(|entry| entry.series() != "1") {
        table += &format!("| `{}` | {} |\n", entry.name, entry.series());
    }
    table
}

impl Entry {
    /// How many series it has, as a product.
    fn series(&self) -> String {
        let buckets = match self.kind() {
            Kind::Histogram => Some("buckets + 3".to_owned()),
            Kind::Counter | Kind::Gauge => None,
        };
        let factors: Vec<_> = self.labels.iter().map(|label| label.count()).chain(buckets).collect();
        if factors.is_empty() { "1".to_owned() } else { factors.join(" x ") }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        let mut seen = BTreeSet::new();
        for entry in entries() {
            let name = entry.name;
            assert!(seen.insert(name), "{name} is there twice");
            assert!(name.starts_with("signalbox_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(entry.kind() == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(entry.kind() != Kind::Histogram || name.ends_with("_seconds"), "{name}");
            assert!(entry.help.ends_with('.') && entry.labels.len() <= 2, "{name}");
        }
    }

    #[test]
    fn every_label_is_used_and_its_values_are_words() {
        for label in Label::ALL {
            assert!(entries().any(|entry| entry.labels.contains(&label)), "{label:?} is of no metric");
            let values: BTreeSet<_> = label.closed().into_iter().flatten().collect();
            assert_eq!(values.len(), label.closed().map_or(0, |list| list.len()), "{label:?} has one twice");
        }
    }
}
