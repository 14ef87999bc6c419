//! What every thread of the switch knows: the configuration, the keyed hash, the queues between shards, and
//! the numbers that one thread writes and another reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use authorizer::event::{AcquirerId, IssuerId, ShardId};
use hsm::KeyId;
use tokio::sync::mpsc;

use crate::api::Askers;
use crate::config::{Config, Issuer, Way};
use crate::crypto;
use crate::homes::Homes;
use crate::hop::{MAILBOX_MAX, Mailbox};
use crate::journal::{IndexFigures, Recalls};
use crate::metrics::Snapshot;
use crate::registry::Registry;
use crate::rules::Rules;
use crate::wall::Wall;

/// Everything that is the same for all shards.
pub(crate) struct Setup {
    /// As it was at the start: to be asked only for what no reload changes. The rest is in [`Rules`].
    pub(crate) start: Config,
    /// The rules in force, for everybody but the shards, which are told with an event.
    rules: ArcSwap<Rules>,
    pub(crate) homes: Homes,
    /// The keys of messages' codes on the token, by peer: acquirers, then issuers.
    mac_keys: Vec<Option<KeyId>>,
    pub(crate) mailboxes: Vec<Mailbox>,
    /// By shard: what the door and the health page look at.
    pub(crate) gauges: Vec<ShardGauges>,
    /// Issuer links by name, for the health page.
    pub(crate) links: Registry<(IssuerId, u16), &'static str>,
    /// Who waits for the outcome of a change of a card.
    pub(crate) askers: Askers,
    pub(crate) draining: AtomicBool,
    /// Whether a token worker is warm beside those that work.
    pub(crate) has_spare: AtomicBool,
    /// The last reload was refused.
    pub(crate) reload_failed: AtomicBool,
    /// What became of the traces of sampled payments.
    pub(crate) traces: Traces,
    /// Those that wait to be told.
    #[cfg(feature = "otel")]
    pub(crate) spans: crate::otel::Spans,
    /// How the index of the journal stands.
    pub(crate) index: Arc<IndexFigures>,
    /// What shards ask of it.
    pub(crate) recalls: Arc<Recalls>,
    pub(crate) snapshots: mpsc::Sender<Box<Snapshot>>,
    clock: Clock,
}

/// Traces for a collector: always zero without the feature `otel`.
#[derive(Default)]
pub(crate) struct Traces {
    pub(crate) sent: AtomicU64,
    pub(crate) lost: AtomicU64,
}

/// The one clock of the switch: it goes on evenly, whatever is done to the wall's. At its start it is set by the wall,
/// so that what an earlier process wrote down lies behind it.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    base_us: u64,
}

impl Clock {
    /// A clock that begins now, and not before `earliest_us`.
    pub(crate) fn start(earliest_us: u64) -> Self {
        Self { started: Instant::now(), base_us: Wall::now().micros().max(earliest_us) }
    }

    /// Microseconds since 1970, by this clock.
    pub(crate) fn now_us(&self) -> u64 {
        self.base_us + self.started.elapsed().as_micros() as u64
    }
}

/// What a shard says of itself, all the time.
#[derive(Default)]
pub(crate) struct ShardGauges {
    /// Running transactions.
    pub(crate) in_flight: AtomicU32,
    /// When it last looked around, monotonic microseconds.
    pub(crate) seen_us: AtomicU64,
}

impl ShardGauges {
    fn seen_at(now_us: u64) -> Self {
        Self { seen_us: AtomicU64::new(now_us), ..Self::default() }
    }
}

impl Setup {
    /// Puts the parts together.
    pub(crate) fn new(
        rules: Rules,
        homes: Homes,
        snapshots: mpsc::Sender<Box<Snapshot>>,
        clock: Clock,
    ) -> Arc<Self> {
        let start = rules.config.clone();
        let shards = usize::from(start.switch.shards);
        let (now_us, mac_keys) = (clock.now_us(), crypto::mac_keys(&start));
        Arc::new(Self {
            start,
            rules: ArcSwap::from_pointee(rules),
            homes,
            mac_keys,
            mailboxes: (0..shards).map(|_| Mailbox::new(MAILBOX_MAX)).collect(),
            gauges: (0..shards).map(|_| ShardGauges::seen_at(now_us)).collect(),
            links: Registry::new(),
            askers: Askers::default(),
            draining: AtomicBool::new(false),
            has_spare: AtomicBool::new(false),
            reload_failed: AtomicBool::new(false),
            traces: Traces::default(),
            #[cfg(feature = "otel")]
            spans: crate::otel::Spans::default(),
            index: Arc::default(),
            recalls: Arc::new(Recalls::new(shards)),
            snapshots,
            clock,
        })
    }

    /// Microseconds of the switch's clock.
    pub(crate) fn now_us(&self) -> u64 {
        self.clock.now_us()
    }

    /// The key of an acquirer's codes, if its messages bear some.
    pub(crate) fn acquirer_mac(&self, acquirer: AcquirerId) -> Option<KeyId> {
        self.mac_keys[acquirer.index()]
    }

    /// The key of an issuer's codes, if its messages bear some.
    pub(crate) fn issuer_mac(&self, issuer: IssuerId) -> Option<KeyId> {
        self.mac_keys[self.start.acquirers.len() + issuer.index()]
    }

    /// How long the switch has been running, seconds.
    pub(crate) fn uptime_s(&self) -> u64 {
        self.clock.started.elapsed().as_secs()
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Puts other rules in force, for everybody but the shards.
    pub(crate) fn swap_rules(&self, rules: Arc<Rules>) {
        self.rules.store(rules);
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> u16 {
        self.start.switch.shards
    }

    /// The queue of a shard.
    pub(crate) fn mailbox(&self, shard: ShardId) -> &Mailbox {
        &self.mailboxes[usize::from(shard.0)]
    }

    /// Whether the switch is being stopped.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// How many links an issuer has: so many per address we connect to, or so many that may connect to us.
pub(crate) fn links_of(issuer: &Issuer) -> usize {
    let addresses = match &issuer.door.way {
        Way::Connect(addresses) => addresses.len(),
        Way::Listen(_) => 1,
    };
    addresses * issuer.links_per_address as usize
}
