//! The page operators read: the newest figures of every shard, summed, as Prometheus text.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use authorizer::counters::ProgramCounters;
use authorizer::decision::DeclineReason;
use authorizer::event::{AcquirerId, IssuerId};
use authorizer::request::Class;
use metrics::{
    Counter, Gauge, SharedString, counter, describe_counter, describe_gauge, gauge, with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::door::{DoorCounts, REFUSALS};
use crate::metrics::{Buckets, CODES, OWN_BUCKETS_US, Snapshot, WHOLE_BUCKETS_US};
use crate::setup::Setup;
use crate::wire::Goodbye;

/// Every counter and gauge, with what it says. The two histograms are below.
pub(crate) const CATALOGUE: [(&str, &str); 39] = [
    ("signalbox_received_total", "Requests read, by acquirer and class."),
    ("signalbox_approved_total", "Requests approved, repeats apart."),
    ("signalbox_declined_total", "Requests declined, by reason, repeats apart."),
    ("signalbox_responses_total", "Answers sent, by DE 39, repeats included."),
    ("signalbox_duplicates_total", "Repeats answered from memory."),
    ("signalbox_joined_total", "Repeats joined to the request in flight."),
    ("signalbox_shed_total", "Requests refused because more was running than may be."),
    ("signalbox_undeliverable_total", "Outcomes that no link of the acquirer was there to carry."),
    ("signalbox_reversals_total", "Reversals of acquirers that were taken, whatever they undid."),
    ("signalbox_tombstones_total", "Reversals of requests that were never seen."),
    ("signalbox_reversal_exceptions_total", "Reversals that undo nothing and should be looked into."),
    ("signalbox_proofs_total", "Codes the token was asked about, by program and what it said."),
    ("signalbox_program_declined_total", "Declines of a program's cards made here, by reason."),
    ("signalbox_forwarded_total", "Requests sent to an issuer."),
    ("signalbox_answered_total", "Valid answers of an issuer, in time."),
    ("signalbox_timed_out_total", "Requests an issuer did not answer in time, or whose link broke."),
    ("signalbox_late_total", "Answers that came after the end of their request."),
    ("signalbox_unmatched_total", "Answers to nothing that was asked."),
    ("signalbox_invalid_total", "Answers that fit a request's keys but not its content."),
    ("signalbox_saf_sent_total", "Reversals sent to an issuer: first transmissions and repeats."),
    ("signalbox_saf_done_total", "Reversals an issuer has acknowledged."),
    ("signalbox_saf_untraced_total", "Of these, ones to which the issuer had no original."),
    ("signalbox_glitches_total", "Messages that could not be identified, by peer."),
    ("signalbox_misdirected_total", "Responses from acquirers and requests from issuers, dropped."),
    ("signalbox_links_ended_total", "Links that ended, by reason."),
    ("signalbox_connections_total", "Connections accepted, by peer."),
    ("signalbox_connections_refused_total", "Connections refused, by reason."),
    ("signalbox_recent_evicted_total", "Ended requests forgotten before their time, for want of room."),
    ("signalbox_journal_syncs_total", "Times the journal was made durable."),
    ("signalbox_journal_low", "Whether there is no room for another journal segment: 1 or 0."),
    ("signalbox_saf_depth", "Reversals an issuer has not acknowledged."),
    ("signalbox_saf_parked", "Of these, ones it refuses: an operator must look."),
    ("signalbox_saf_oldest_seconds", "Age of the oldest of them."),
    ("signalbox_connections", "Connections of an acquirer."),
    ("signalbox_links_up", "Links of an issuer that may carry requests."),
    ("signalbox_cards", "Cards of programs, in memory."),
    ("signalbox_token_up", "Whether the token answers on every shard: 1 or 0."),
    ("signalbox_in_flight", "Requests that wait for their issuer."),
    ("signalbox_recent_entries", "Requests remembered for repeats."),
];

/// The whole of a transaction, issuer included.
pub(crate) const WHOLE: (&str, &str) =
    ("signalbox_transaction_seconds", "From a request's last byte to its answer.");
/// The switch's own share.
pub(crate) const OWN: (&str, &str) = ("signalbox_switch_seconds", "The same, less the time an issuer took.");

/// The newest figures and the handles they go to.
pub(crate) struct Board {
    setup: Arc<Setup>,
    counts: Arc<DoorCounts>,
    page: PrometheusHandle,
    shards: Vec<Option<Box<Snapshot>>>,
    acquirers: Vec<AcquirerHandles>,
    issuers: Vec<IssuerHandles>,
    programs: Vec<ProgramHandles>,
    journal_syncs: Counter,
    journal_low: Gauge,
    cards: Gauge,
    token_up: Gauge,
    misdirected: Counter,
    ended: Vec<Counter>,
    refused: Vec<Counter>,
    evicted: Counter,
    in_flight: Gauge,
    remembered: Gauge,
    queues: Vec<Gauge>,
    memory: Gauge,
}

struct AcquirerHandles {
    name: String,
    received: Vec<Counter>,
    approved: Counter,
    declined: Vec<Counter>,
    responses: Vec<Counter>,
    duplicates: Counter,
    joined: Counter,
    shed: Counter,
    undeliverable: Counter,
    reversals: Counter,
    tombstones: Counter,
    reversal_exceptions: Counter,
    glitches: Counter,
    accepted: Counter,
    connections: Gauge,
}

struct ProgramHandles {
    /// Right, wrong, unknown.
    proofs: [Counter; 3],
    declined: Vec<Counter>,
}

struct IssuerHandles {
    forwarded: Counter,
    answered: Counter,
    timed_out: Counter,
    late: Counter,
    unmatched: Counter,
    invalid: Counter,
    /// First transmissions, repeats.
    saf_sent: [Counter; 2],
    saf_done: Counter,
    saf_untraced: Counter,
    saf_depth: Gauge,
    saf_parked: Gauge,
    saf_oldest: Gauge,
    glitches: Counter,
    accepted: Counter,
    links_up: Gauge,
}

impl Board {
    /// Every series at zero, so that rates and alerts work from the first minute.
    pub(crate) fn new(setup: Arc<Setup>, counts: Arc<DoorCounts>) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let page = recorder.handle();
        with_local_recorder(&recorder, || {
            describe();
            let config = &setup.config;
            Self {
                shards: (0..setup.shards()).map(|_| None).collect(),
                acquirers: config
                    .acquirers
                    .iter()
                    .map(|acquirer| AcquirerHandles::new(&acquirer.name))
                    .collect(),
                issuers: config.issuers.iter().map(|issuer| IssuerHandles::new(&issuer.name)).collect(),
                programs: config.programs.iter().map(|program| ProgramHandles::new(&program.name)).collect(),
                journal_syncs: counter!("signalbox_journal_syncs_total"),
                journal_low: gauge!("signalbox_journal_low"),
                cards: gauge!("signalbox_cards"),
                token_up: gauge!("signalbox_token_up"),
                misdirected: counter!("signalbox_misdirected_total"),
                ended: each("signalbox_links_ended_total", "reason", &Goodbye::NAMES),
                refused: each("signalbox_connections_refused_total", "reason", &REFUSALS),
                evicted: counter!("signalbox_recent_evicted_total"),
                in_flight: gauge!("signalbox_in_flight"),
                remembered: gauge!("signalbox_recent_entries"),
                queues: (0..setup.shards())
                    .map(|shard| gauge!("signalbox_hop_queue_depth", "shard" => shard.to_string()))
                    .collect(),
                memory: gauge!("process_resident_memory_bytes"),
                page,
                counts,
                setup: setup.clone(),
            }
        })
    }

    /// Takes a shard's newest figures.
    pub(crate) fn update(&mut self, snapshot: Box<Snapshot>) {
        let shard = usize::from(snapshot.shard.0);
        self.shards[shard] = Some(snapshot);
    }

    /// The page, in the Prometheus text format.
    pub(crate) fn page(&self) -> String {
        for (number, handles) in self.acquirers.iter().enumerate() {
            self.publish_acquirer(number, handles);
        }
        for (number, handles) in self.issuers.iter().enumerate() {
            self.publish_issuer(number, handles);
        }
        for (number, handles) in self.programs.iter().enumerate() {
            self.publish_program(number, handles);
        }
        self.journal_syncs.absolute(self.sum(|shard| shard.journal.map_or(0, |journal| journal.syncs)));
        let is_low =
            self.shards.iter().flatten().any(|shard| shard.journal.is_some_and(|journal| journal.is_low));
        self.journal_low.set(f64::from(u8::from(is_low)));
        self.cards.set(self.sum(|shard| shard.cards as u64) as f64);
        let is_up = !self.programs.is_empty() && self.shards.iter().flatten().all(|shard| shard.token_up);
        self.token_up.set(f64::from(u8::from(is_up)));
        self.misdirected.absolute(self.sum(|shard| shard.tally.misdirected));
        for (reason, handle) in self.ended.iter().enumerate() {
            handle.absolute(self.sum(|shard| shard.tally.ended[reason]));
        }
        // The last reason is not the door's: the shard that shook hands did not trust the peer.
        let not_trusted = self.sum(|shard| shard.tally.ended[Goodbye::NotTrusted.index()]);
        let at_the_door = self.counts.refused.iter().map(|refused| refused.load(Ordering::Relaxed));
        for (refused, handle) in at_the_door.chain([not_trusted]).zip(&self.refused) {
            handle.absolute(refused);
        }
        self.evicted.absolute(self.sum(|shard| shard.evicted));
        self.in_flight.set(self.sum(|shard| shard.in_flight as u64) as f64);
        self.remembered.set(self.sum(|shard| shard.remembered as u64) as f64);
        for (mailbox, handle) in self.setup.mailboxes.iter().zip(&self.queues) {
            handle.set(mailbox.len() as f64);
        }
        self.memory.set(resident_bytes().unwrap_or(0) as f64);
        let mut page = self.page.render();
        self.write_latencies(&mut page);
        page
    }

    fn publish_acquirer(&self, number: usize, handles: &AcquirerHandles) {
        let edge = |of: fn(&crate::metrics::AcquirerTally) -> u64| {
            self.sum(|shard| of(&shard.tally.acquirers[number]))
        };
        let line = |of: fn(&authorizer::counters::AcquirerCounters) -> u64| {
            self.sum(|shard| of(&shard.counters.acquirers[number]))
        };
        for (class, handle) in handles.received.iter().enumerate() {
            handle.absolute(match class.checked_sub(Class::ALL.len()) {
                None => self.sum(|shard| shard.counters.acquirers[number].received[class]),
                Some(0) => edge(|tally| tally.network),
                Some(_) => edge(|tally| tally.refused.iter().sum()),
            });
        }
        handles.approved.absolute(line(|counters| counters.approved));
        for (reason, handle) in handles.declined.iter().enumerate() {
            handle.absolute(self.sum(|shard| {
                shard.counters.acquirers[number].declined[reason]
                    + shard.tally.acquirers[number].refused[reason]
            }));
        }
        for (code, handle) in handles.responses.iter().enumerate() {
            handle.absolute(self.sum(|shard| shard.tally.acquirers[number].codes[code]));
        }
        handles.duplicates.absolute(line(|counters| counters.duplicates));
        handles.joined.absolute(line(|counters| counters.joined));
        handles.undeliverable.absolute(line(|counters| counters.undeliverable));
        handles.reversals.absolute(line(|counters| counters.reversals));
        handles.tombstones.absolute(line(|counters| counters.tombstones));
        handles.reversal_exceptions.absolute(line(|counters| counters.reversal_exceptions));
        let shed = [DeclineReason::Overloaded, DeclineReason::Draining, DeclineReason::IssuerWindowFull];
        handles.shed.absolute(self.sum(|shard| {
            let of = |reason: &DeclineReason| {
                shard.counters.acquirers[number].declined[reason.index()]
                    + shard.tally.acquirers[number].refused[reason.index()]
            };
            shed.iter().map(of).sum()
        }));
        handles.glitches.absolute(edge(|tally| tally.glitches));
        handles.accepted.absolute(self.counts.accepted[number].load(Ordering::Relaxed));
        handles.connections.set(f64::from(self.counts.of_acquirer(AcquirerId(number as u16))));
    }

    fn publish_program(&self, number: usize, handles: &ProgramHandles) {
        let of = |of: fn(&ProgramCounters) -> u64| self.sum(|shard| of(&shard.counters.programs[number]));
        let said =
            [of(|counters| counters.right), of(|counters| counters.wrong), of(|counters| counters.unknown)];
        for (handle, count) in handles.proofs.iter().zip(said) {
            handle.absolute(count);
        }
        for (reason, handle) in handles.declined.iter().enumerate() {
            handle.absolute(self.sum(|shard| shard.counters.programs[number].declined[reason]));
        }
    }

    fn publish_issuer(&self, number: usize, handles: &IssuerHandles) {
        let line = |of: fn(&authorizer::counters::IssuerCounters) -> u64| {
            self.sum(|shard| of(&shard.counters.issuers[number]))
        };
        handles.forwarded.absolute(line(|counters| counters.forwarded));
        handles.answered.absolute(line(|counters| counters.answered));
        handles.timed_out.absolute(line(|counters| counters.timed_out));
        handles.late.absolute(line(|counters| counters.late));
        let unreadable = self.sum(|shard| shard.tally.issuers[number].unmatched);
        handles.unmatched.absolute(line(|counters| counters.unmatched) + unreadable);
        handles.invalid.absolute(line(|counters| counters.invalid));
        handles.glitches.absolute(self.sum(|shard| shard.tally.issuers[number].glitches));
        self.publish_saf(number, handles);
        let accepted = &self.counts.accepted[self.acquirers.len() + number];
        handles.accepted.absolute(accepted.load(Ordering::Relaxed));
        handles.links_up.set(links_up(&self.setup, IssuerId(number as u16)) as f64);
    }

    fn publish_saf(&self, number: usize, handles: &IssuerHandles) {
        let line = |of: fn(&authorizer::counters::IssuerCounters) -> u64| {
            self.sum(|shard| of(&shard.counters.issuers[number]))
        };
        handles.saf_sent[0].absolute(line(|counters| counters.reversals_sent));
        handles.saf_sent[1].absolute(line(|counters| counters.reversals_repeated));
        handles.saf_done.absolute(line(|counters| counters.reversals_done));
        handles.saf_untraced.absolute(line(|counters| counters.reversals_untraced));
        handles.saf_depth.set(self.sum(|shard| shard.saf[number].waiting as u64) as f64);
        handles.saf_parked.set(self.sum(|shard| shard.saf[number].parked as u64) as f64);
        let oldest = self.shards.iter().flatten().filter_map(|shard| shard.saf[number].oldest_us).min();
        let age_us = oldest.map_or(0, |since_us| self.setup.now_us().saturating_sub(since_us));
        handles.saf_oldest.set(age_us as f64 / 1e6);
    }

    fn write_latencies(&self, page: &mut String) {
        let _ = writeln!(page, "# HELP {} {}\n# TYPE {} histogram", WHOLE.0, WHOLE.1, WHOLE.0);
        for (number, acquirer) in self.acquirers.iter().enumerate() {
            let mut whole = Buckets::default();
            for shard in self.shards.iter().flatten() {
                whole.add(&shard.tally.acquirers[number].whole);
            }
            whole.write(page, WHOLE.0, &format!("acquirer=\"{}\",", acquirer.name), &WHOLE_BUCKETS_US);
        }
        let _ = writeln!(page, "\n# HELP {} {}\n# TYPE {} histogram", OWN.0, OWN.1, OWN.0);
        let mut own = Buckets::default();
        for shard in self.shards.iter().flatten() {
            own.add(&shard.tally.own);
        }
        own.write(page, OWN.0, "", &OWN_BUCKETS_US);
    }

    fn sum(&self, of: impl Fn(&Snapshot) -> u64) -> u64 {
        self.shards.iter().flatten().map(|shard| of(shard)).sum()
    }
}

/// Links of an issuer that may carry requests.
pub(crate) fn links_up(setup: &Setup, issuer: IssuerId) -> usize {
    setup.links.iter().filter(|link| link.key().0 == issuer && *link.value() == "up").count()
}

impl AcquirerHandles {
    fn new(name: &str) -> Self {
        let of = |metric: &'static str| counter!(metric, "acquirer" => name.to_owned());
        let labelled = |metric: &'static str, label: &'static str, value: &'static str| counter!(metric, "acquirer" => name.to_owned(), label => value);
        let classes = Class::ALL.iter().map(|class| class.name()).chain(["network", "other"]);
        let reasons = DeclineReason::ALL.iter().map(|reason| reason.name());
        let codes = CODES.iter().copied().chain(["other"]);
        Self {
            name: name.to_owned(),
            received: classes.map(|class| labelled("signalbox_received_total", "class", class)).collect(),
            approved: of("signalbox_approved_total"),
            declined: reasons.map(|reason| labelled("signalbox_declined_total", "reason", reason)).collect(),
            responses: codes.map(|code| labelled("signalbox_responses_total", "code", code)).collect(),
            duplicates: of("signalbox_duplicates_total"),
            joined: of("signalbox_joined_total"),
            shed: of("signalbox_shed_total"),
            undeliverable: of("signalbox_undeliverable_total"),
            reversals: of("signalbox_reversals_total"),
            tombstones: of("signalbox_tombstones_total"),
            reversal_exceptions: of("signalbox_reversal_exceptions_total"),
            glitches: counter!("signalbox_glitches_total", "peer" => name.to_owned()),
            accepted: counter!("signalbox_connections_total", "peer" => name.to_owned()),
            connections: gauge!("signalbox_connections", "peer" => name.to_owned()),
        }
    }
}

impl ProgramHandles {
    fn new(name: &str) -> Self {
        let said = |outcome: &'static str| counter!("signalbox_proofs_total", "program" => name.to_owned(), "outcome" => outcome);
        let declined = |reason: &DeclineReason| counter!("signalbox_program_declined_total", "program" => name.to_owned(), "reason" => reason.name());
        Self {
            proofs: ["right", "wrong", "unknown"].map(said),
            declined: DeclineReason::ALL.iter().map(declined).collect(),
        }
    }
}

impl IssuerHandles {
    fn new(name: &str) -> Self {
        let of = |metric: &'static str| counter!(metric, "issuer" => name.to_owned());
        let level = |metric: &'static str| gauge!(metric, "issuer" => name.to_owned());
        Self {
            forwarded: of("signalbox_forwarded_total"),
            answered: of("signalbox_answered_total"),
            timed_out: of("signalbox_timed_out_total"),
            late: of("signalbox_late_total"),
            unmatched: of("signalbox_unmatched_total"),
            invalid: of("signalbox_invalid_total"),
            saf_sent: ["first", "repeat"].map(|transmission| {
                counter!("signalbox_saf_sent_total", "issuer" => name.to_owned(), "transmission" => transmission)
            }),
            saf_done: of("signalbox_saf_done_total"),
            saf_untraced: of("signalbox_saf_untraced_total"),
            saf_depth: level("signalbox_saf_depth"),
            saf_parked: level("signalbox_saf_parked"),
            saf_oldest: level("signalbox_saf_oldest_seconds"),
            glitches: counter!("signalbox_glitches_total", "peer" => name.to_owned()),
            accepted: counter!("signalbox_connections_total", "peer" => name.to_owned()),
            links_up: gauge!("signalbox_links_up", "issuer" => name.to_owned()),
        }
    }
}

fn each(metric: &'static str, label: &'static str, values: &[&'static str]) -> Vec<Counter> {
    values.iter().map(|value| counter!(metric, label => SharedString::const_str(value))).collect()
}

fn describe() {
    for (name, help) in CATALOGUE {
        if name.ends_with("_total") {
            describe_counter!(name, help);
        } else {
            describe_gauge!(name, help);
        }
    }
    describe_gauge!("signalbox_hop_queue_depth", "Hops that wait for a shard.");
    describe_gauge!("process_resident_memory_bytes", "Resident memory.");
}

/// Resident memory of this process, from the kernel's own account.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1_024)
}
