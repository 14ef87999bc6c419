//! What every thread of the switch knows: the configuration, the keyed hash, the queues between shards, and
//! the numbers that one thread writes and another reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use authorizer::event::{AcquirerId, IssuerId, ShardId};
use codecs::iso8583::Dialect;
use dashmap::DashMap;
use tokio::sync::mpsc;

use crate::api::Askers;
use crate::config::{Acquirer, Config, Issuer, Way};
use crate::homes::Homes;
use crate::hop::Mailbox;
use crate::metrics::Snapshot;
use crate::programs::Programs;
use crate::throttle::Throttle;
use crate::tls::Tls;
use crate::wall::Wall;

/// Everything that is the same for all shards.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) homes: Homes,
    pub(crate) programs: Programs,
    pub(crate) mailboxes: Vec<Mailbox>,
    /// By acquirer.
    pub(crate) acquirer_tls: Vec<Option<Tls>>,
    /// By issuer.
    pub(crate) issuer_tls: Vec<Option<Tls>>,
    /// By acquirer.
    pub(crate) throttles: Vec<Option<Throttle>>,
    /// By shard: what the door and the health page look at.
    pub(crate) gauges: Vec<ShardGauges>,
    /// Issuer links by name, for the health page.
    pub(crate) links: DashMap<(IssuerId, u16), &'static str>,
    /// Who waits for the outcome of a change of a card.
    pub(crate) askers: Askers,
    pub(crate) draining: AtomicBool,
    /// Whether a token worker is warm beside those that work.
    pub(crate) has_spare: AtomicBool,
    /// Configurations taken since the start, this one included.
    pub(crate) config_generation: AtomicU64,
    pub(crate) snapshots: mpsc::Sender<Box<Snapshot>>,
    clock: Clock,
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

    /// The moment at which it shows this.
    pub(crate) fn instant(&self, us: u64) -> Instant {
        self.started + Duration::from_micros(us.saturating_sub(self.base_us))
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
        config: Config,
        homes: Homes,
        acquirer_tls: Vec<Option<Tls>>,
        issuer_tls: Vec<Option<Tls>>,
        snapshots: mpsc::Sender<Box<Snapshot>>,
        clock: Clock,
    ) -> Arc<Self> {
        let shards = usize::from(config.switch.shards);
        let now_us = clock.now_us();
        Arc::new(Self {
            homes,
            programs: Programs::new(&config),
            mailboxes: (0..shards).map(|_| Mailbox::new()).collect(),
            acquirer_tls,
            issuer_tls,
            throttles: config
                .acquirers
                .iter()
                .map(|acquirer| Throttle::new(acquirer.requests_per_second))
                .collect(),
            gauges: (0..shards).map(|_| ShardGauges::seen_at(now_us)).collect(),
            links: DashMap::new(),
            askers: Askers::default(),
            draining: AtomicBool::new(false),
            has_spare: AtomicBool::new(false),
            config_generation: AtomicU64::new(1),
            snapshots,
            clock,
            config,
        })
    }

    /// Microseconds of the switch's clock.
    pub(crate) fn now_us(&self) -> u64 {
        self.clock.now_us()
    }

    /// The moment at which the clock shows this.
    pub(crate) fn instant(&self, us: u64) -> Instant {
        self.clock.instant(us)
    }

    /// The acquirer's settings.
    pub(crate) fn acquirer(&self, id: AcquirerId) -> &Acquirer {
        &self.config.acquirers[id.index()]
    }

    /// The issuer's settings.
    pub(crate) fn issuer(&self, id: IssuerId) -> &Issuer {
        &self.config.issuers[id.index()]
    }

    /// The dialect at an index of the configuration.
    pub(crate) fn dialect(&self, index: usize) -> &Dialect {
        &self.config.dialects[index].1
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> u16 {
        self.config.switch.shards
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
