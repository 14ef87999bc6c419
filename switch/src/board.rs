//! The page operators read: the newest figures of every shard, summed into handles that are held from the start,
//! as Prometheus text. What there is, is said in `catalogue`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use authorizer::buckets::View;
use authorizer::event::{IssuerId, ShardId};
use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::catalogue::{self, At, Entry, Kind, Read, World};
use crate::door::DoorCounts;
use crate::metrics::Snapshot;
use crate::process;
use crate::setup::Setup;
use crate::slowest::{Slow, Slowest};
use crate::token;

/// The newest figures and the handles they go to.
pub(crate) struct Board {
    setup: Arc<Setup>,
    counts: Arc<DoorCounts>,
    page: PrometheusHandle,
    shards: Vec<Snapshot>,
    metrics: Vec<Metric>,
}

/// An entry of the catalogue with all its series in this switch.
struct Metric {
    entry: &'static Entry,
    series: Vec<(At, Handle)>,
}

enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    /// Written by hand: its labels as they stand on the page.
    Text(String),
}

impl Board {
    /// Every series at zero, so that rates and alerts work from the first minute.
    pub(crate) fn new(setup: Arc<Setup>, counts: Arc<DoorCounts>) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = catalogue::entries().map(|entry| Metric::new(entry, &setup, &recorder)).collect();
        let shards = (0..setup.shards()).map(|shard| Snapshot::zero(ShardId(shard), &setup.start)).collect();
        Self { page: recorder.handle(), shards, metrics, counts, setup }
    }

    /// Takes a shard's newest figures.
    pub(crate) fn update(&mut self, snapshot: Box<Snapshot>) {
        let shard = usize::from(snapshot.shard.0);
        self.shards[shard] = *snapshot;
    }

    /// The slowest payments of the last minute.
    pub(crate) fn slowest(&self) -> Vec<Slow> {
        Slowest::of_all(self.shards.iter().map(|shard| &shard.tally.slowest), self.setup.now_us())
    }

    /// The page, in the Prometheus text format.
    pub(crate) fn page(&self) -> String {
        let world = World {
            setup: &self.setup,
            doors: &self.counts,
            shards: &self.shards,
            process: process::Figures::read(),
        };
        let mut by_hand = String::new();
        for metric in &self.metrics {
            metric.publish(&world, &mut by_hand);
        }
        self.page.render() + &by_hand
    }
}

impl Board {
    /// Whether a shard has too little room for the facts of new requests, which it declines.
    pub(crate) fn is_store_low(&self) -> bool {
        self.shards.iter().any(|shard| shard.journal.is_low)
    }

    /// How the token stands, for the page of readiness. Messages that need no code go on whatever it says.
    pub(crate) fn token(&self) -> serde_json::Value {
        // Without programs and codes of messages it is asked at the start alone.
        let start = &self.setup.start;
        let Some(hsm) = start.hsm.as_ref().filter(|_| start.asks_token()) else {
            return "none".into();
        };
        let is_up = self.shards.iter().all(|shard| shard.token_up);
        let workers: Vec<_> = self.shards.iter().flat_map(|shard| &shard.workers).map(token::told).collect();
        let has_spare = self.setup.has_spare.load(Ordering::Relaxed);
        let kind = if hsm::token::is_devtoken(&hsm.module) { "DEV-ONLY" } else { "PKCS#11" };
        serde_json::json!({
            "label": hsm.token, "kind": kind, "placement": hsm.placement.name(), "up": is_up, "workers": workers, "spare": has_spare,
        })
    }
}

impl Metric {
    fn new(entry: &'static Entry, setup: &Setup, recorder: &PrometheusRecorder) -> Self {
        let values: Vec<Vec<String>> = entry.labels.iter().map(|label| label.values(setup)).collect();
        let labels = |at: At| -> Vec<Label> {
            let named = entry.labels.iter().zip(&values).zip(at);
            named.map(|((label, values), at)| Label::new(label.name(), values[at].clone())).collect()
        };
        let count = |label: usize| values.get(label).map_or(1, Vec::len);
        let places = (0..count(0)).flat_map(|first| (0..count(1)).map(move |second| [first, second]));
        let series = places.map(|at| (at, Handle::new(entry, labels(at), recorder))).collect();
        Self { entry, series }
    }

    fn publish(&self, world: &World<'_>, by_hand: &mut String) {
        let mut is_titled = false;
        for (at, handle) in &self.series {
            match handle {
                Handle::Counter(counter) => counter.absolute(self.entry.read.count(world, *at)),
                Handle::Gauge(gauge) => gauge.set(self.entry.read.level(world, *at)),
                Handle::Text(labels) => {
                    if !std::mem::replace(&mut is_titled, true) {
                        title(self.entry, by_hand);
                    }
                    self.entry.read.write(world, *at, (self.entry.name, labels), by_hand);
                }
            }
        }
    }
}

impl Handle {
    fn new(entry: &'static Entry, labels: Vec<Label>, recorder: &PrometheusRecorder) -> Self {
        let metadata = Metadata::new(module_path!(), Level::INFO, None);
        let (name, help) = (entry.name, entry.help);
        match entry.read {
            Read::Count(_) | Read::CountOfAll(_) => {
                recorder.describe_counter(name.into(), None, help.into());
                Self::Counter(recorder.register_counter(&Key::from_parts(name, labels), &metadata))
            }
            Read::Level(_) | Read::LevelOfAll(_) => {
                recorder.describe_gauge(name.into(), None, help.into());
                Self::Gauge(recorder.register_gauge(&Key::from_parts(name, labels), &metadata))
            }
            // The exporter's histograms keep every sample, and its counters are whole numbers.
            Read::Times(_) | Read::SecondsOfAll(_) => {
                let pair = |label: &Label| format!("{}=\"{}\"", label.key(), label.value());
                Self::Text(labels.iter().map(pair).collect::<Vec<_>>().join(","))
            }
        }
    }
}

impl Read {
    fn count(&self, world: &World<'_>, at: At) -> u64 {
        match self {
            Self::Count(of) => world.shards().map(|shard| of(shard, at)).sum(),
            Self::CountOfAll(of) => of(world, at),
            _ => 0,
        }
    }

    fn level(&self, world: &World<'_>, at: At) -> f64 {
        match self {
            Self::Level(of) => world.shards().map(|shard| of(shard, at)).sum::<u64>() as f64,
            Self::LevelOfAll(of) => of(world, at),
            _ => 0.0,
        }
    }

    fn write(&self, world: &World<'_>, at: At, (name, labels): (&str, &str), page: &mut String) {
        match self {
            Self::Times(of) => {
                let views: Vec<View<'_>> = world.shards().map(|shard| of(shard, at)).collect();
                write_histogram(&views, name, labels, page);
            }
            Self::SecondsOfAll(of) => {
                let _ = writeln!(page, "{name}{} {}", braced(labels), of(world, at));
            }
            _ => {}
        }
    }
}

fn title(entry: &Entry, page: &mut String) {
    let (name, help) = (entry.name, entry.help);
    debug_assert!(matches!(entry.kind(), Kind::Histogram | Kind::Counter));
    let _ = write!(page, "\n# HELP {name} {help}\n# TYPE {name} {}\n", entry.kind().name());
}

/// Added up over the shards, in the Prometheus text format.
fn write_histogram(shards: &[View<'_>], name: &str, labels: &str, page: &mut String) {
    let sum = |of: &dyn Fn(&View<'_>) -> u64| shards.iter().map(of).sum::<u64>();
    let comma = if labels.is_empty() { "" } else { "," };
    let mut below = 0;
    for (bucket, end_us) in shards.first().map_or(&[][..], |shard| shard.ends_us).iter().enumerate() {
        below += sum(&|shard| shard.counts[bucket]);
        let end = *end_us as f64 / 1e6;
        let _ = writeln!(page, "{name}_bucket{{{labels}{comma}le=\"{end}\"}} {below}");
    }
    let all = below + sum(&|shard| shard.beyond);
    let sum_us = sum(&|shard| shard.sum_us);
    let _ = writeln!(page, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {all}");
    let _ = writeln!(page, "{name}_sum{} {}", braced(labels), sum_us as f64 / 1e6);
    let _ = writeln!(page, "{name}_count{} {all}", braced(labels));
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

/// Links of an issuer that may carry requests.
pub(crate) fn links_up(setup: &Setup, issuer: IssuerId) -> usize {
    setup.links.iter().filter(|link| link.key().0 == issuer && *link.value() == "up").count()
}

/// Links of an issuer that are connected, whatever they may carry.
pub(crate) fn links_connected(setup: &Setup, issuer: IssuerId) -> usize {
    setup.links.iter().filter(|link| link.key().0 == issuer && *link.value() != "down").count()
}

#[cfg(test)]
mod tests {
    use authorizer::buckets::Buckets;

    use super::*;

    #[test]
    fn histograms_are_cumulative_summed_and_end_with_all() {
        static ENDS: [u64; 2] = [10, 50];
        let mut shards = [Buckets::new(&ENDS), Buckets::new(&ENDS)];
        for (shard, us) in [(0, 5), (1, 10), (0, 11), (1, 99)] {
            shards[shard].observe(us);
        }
        let views: Vec<_> = shards.iter().map(Buckets::view).collect();
        let mut page = String::new();
        write_histogram(&views, "x_seconds", "acquirer=\"a\"", &mut page);
        let expected = "x_seconds_bucket{acquirer=\"a\",le=\"0.00001\"} 2\n\
                        x_seconds_bucket{acquirer=\"a\",le=\"0.00005\"} 3\n\
                        x_seconds_bucket{acquirer=\"a\",le=\"+Inf\"} 4\n\
                        x_seconds_sum{acquirer=\"a\"} 0.000125\n\
                        x_seconds_count{acquirer=\"a\"} 4\n";
        assert_eq!(page, expected);
    }
}
