//! One worker's share of the fleet: its links, its schedule, and what it waits for.
//!
//! No task belongs to a message. Whoever wakes the worker, be it the pacer's bell or an answer, makes it
//! send everything that is due (`send`), and each link is written once per turn. Answers are taken in
//! `settle`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use codecs::iso8583::{Dialect, Index, Plans};
use tokio_util::codec::Encoder as _;

use super::keys::Keys;
use super::pending::{Pending, PendingRing};
use super::reverse::Desk;
use super::worker::Start;
use crate::clock::{Clock, Stamp};
use crate::framing::FrameCodec;
use crate::mix::Mix;
use crate::output::Output;
use crate::pace::{Bell, Schedule};
use crate::profile::{Drive, Profile};
use crate::respond::{NetworkPurpose, network_request};
use crate::second::Second;
use crate::tally::Tally;

/// A fleet as its tasks share it. Never borrowed across an await.
pub(super) type SharedFleet = Rc<RefCell<Fleet>>;

/// One worker's share.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) clock: Clock,
    pub(super) dialect: &'static Dialect,
    pub(super) codec: FrameCodec,
    pub(super) mix: Arc<Mix>,
    pub(super) keys: Keys,
    pub(super) ring: PendingRing,
    pub(super) tally: Tally,
    /// The second that is under way.
    pub(super) second: Second,
    pub(super) links: Vec<Output>,
    /// Links that were given bytes in this turn.
    pub(super) touched: Vec<usize>,
    /// Reused for every answer.
    pub(super) index: Index,
    pub(super) plans: Box<Plans>,
    /// Of the message last looked at: most have the same.
    pub(super) stamp: Stamp,
    /// Answered messages that may be repeated, as numbers.
    pub(super) repeatable: VecDeque<u64>,
    /// Approved messages with a code, whose track may be sent again.
    pub(super) replayable: VecDeque<Pending>,
    /// Whether any case does so.
    pub(super) replays: bool,
    /// Of each program, the codes that this worker has taken.
    pub(super) codes_taken: Vec<u64>,
    pub(super) patience_ns: u64,
    pub(super) reversals: Option<Desk>,
    /// Messages planned in it are measured; what is before and after is cut off.
    pub(super) measured_ns: Range<u64>,
    pub(super) drive: FleetDrive,
    pub(super) bell: Arc<Bell>,
    pub(super) next_ordinal: u64,
    pub(super) next_link: usize,
    next_network_stan: u32,
}

/// What decides when this worker sends.
#[derive(Debug)]
pub(super) enum FleetDrive {
    /// The clock.
    Open(Schedule),
    /// The answers, until the end.
    Closed { window: usize, end_ns: u64 },
}

/// The part of a run that is measured. A closed loop's last messages are planned at its very end.
fn measured_ns(profile: &Profile) -> Range<u64> {
    let load = &profile.load;
    let end_ns =
        if load.cool_down.is_zero() { u64::MAX } else { (load.length - load.cool_down).as_nanos() as u64 };
    load.warm_up.as_nanos() as u64..end_ns
}

/// Beside the patience, how long a message is remembered.
const MEMORY: Duration = Duration::from_secs(2);

impl Fleet {
    /// Room for what a worker waits for. It can be large, and must be had before the clock starts.
    pub(super) fn room(profile: &Profile) -> PendingRing {
        let workers = profile.load.workers_in_all();
        PendingRing::new(match profile.load.drive {
            Drive::Open { rate, .. } => {
                let seconds = (profile.load.patience + MEMORY).as_secs_f64();
                (rate * profile.load.shape.highest() / workers as f64 * seconds) as usize
            }
            Drive::Replay { .. } => {
                profile.recording.as_ref().map_or(0, |recording| recording.requests.len())
            }
            // A few rounds, so that a second answer is still recognised.
            Drive::Closed { window } => 16 * window * profile.load.connections.div_ceil(workers),
        })
    }

    /// The share of worker `worker`, as many links as there are outputs.
    pub(super) fn new(
        profile: &Profile,
        mix: Arc<Mix>,
        Start { clock, first_key }: Start,
        worker: usize,
        ring: PendingRing,
        links: Vec<Output>,
    ) -> Fleet {
        let (worker, workers) = (worker as u64, profile.load.workers_in_all() as u64);
        let length_ns = profile.load.length.as_nanos() as u64;
        let drive = match profile.load.drive {
            Drive::Open { rate, arrivals } => FleetDrive::Open(Schedule::new(
                arrivals,
                (rate, &profile.load.shape),
                length_ns,
                profile.seed,
                (worker, workers),
            )),
            Drive::Closed { window } => FleetDrive::Closed { window, end_ns: length_ns },
            Drive::Replay { .. } => FleetDrive::Open(Schedule::recorded(
                mix.recording().map_or(Arc::default(), |recording| recording.times()),
                length_ns,
            )),
        };
        let cases = mix.cases().len();
        Fleet {
            clock,
            dialect: profile.link.dialect,
            codec: FrameCodec::new(profile.link.framing),
            keys: Keys::new(first_key, worker, workers),
            ring,
            tally: Tally::new(cases),
            second: Second::new(1),
            links,
            touched: Vec::new(),
            index: Index::new(),
            plans: Box::default(),
            stamp: Stamp::of(clock.unix_second(0)),
            repeatable: VecDeque::new(),
            replayable: VecDeque::new(),
            replays: mix.cases().iter().any(|case| case.replay),
            codes_taken: vec![0; mix.supplies().len()],
            mix,
            patience_ns: profile.load.patience.as_nanos() as u64,
            reversals: profile.reversals.map(|reversals| Desk::new(reversals, worker, workers)),
            measured_ns: measured_ns(profile),
            drive,
            bell: Arc::new(Bell::default()),
            next_ordinal: 0,
            next_link: 0,
            next_network_stan: 1,
        }
    }

    /// Where a message that was planned at `planned_ns` is counted.
    #[inline]
    pub(super) fn is_measured(&self, planned_ns: u64) -> bool {
        self.measured_ns.contains(&planned_ns)
    }

    /// The schedule, for the pacer to walk it too; none in a closed loop.
    pub(super) fn schedule(&self) -> Option<Schedule> {
        match &self.drive {
            FleetDrive::Open(schedule) => Some(schedule.clone()),
            FleetDrive::Closed { .. } => None,
        }
    }

    /// The number of the message that was rendered last.
    pub(super) fn newest_number(&self) -> u64 {
        self.keys.number(self.next_ordinal.saturating_sub(1))
    }

    /// A link's connection is gone, by our will or not.
    pub(super) fn link_lost(&mut self, link: usize, on_purpose: bool) {
        let links = &mut self.tally.links;
        *(if on_purpose { &mut links.dropped } else { &mut links.lost }) += 1;
        for ordinal in self.links[link].detach() {
            let number = self.keys.number(ordinal);
            let measured = self.ring.get_mut(ordinal, number).map(|pending| pending.planned_ns);
            self.ring.withdraw(ordinal, number);
            self.tally.links.refused_down += u64::from(measured.is_some_and(|ns| self.is_measured(ns)));
        }
    }

    /// Sends a network message over a link.
    pub(super) fn send_network(&mut self, link: usize, purpose: NetworkPurpose) {
        let stamp = Stamp::of(self.clock.unix_second(self.clock.now_ns()));
        let mut message = [0; 128];
        let stan = self.next_network_stan;
        self.next_network_stan = stan % 999_999 + 1;
        let written = network_request(self.dialect, purpose, stan, &stamp, &mut message);
        let output = &mut self.links[link];
        if let Ok(length) = written
            && output.is_up()
            && self.codec.encode(&message[..length], &mut output.bytes).is_ok()
        {
            self.tally.links.network_sent += 1;
            self.flush_link(link);
        }
    }

    /// Signs every link off that is up.
    pub(super) fn sign_off(&mut self) {
        for link in 0..self.links.len() {
            self.send_network(link, NetworkPurpose::SignOff);
        }
    }

    /// Plans nothing more from now on, and sends what was due before.
    pub(super) fn interrupt(&mut self) {
        let now_ns = self.clock.now_ns();
        match &mut self.drive {
            FleetDrive::Open(schedule) => schedule.cut(now_ns),
            FleetDrive::Closed { end_ns, .. } => *end_ns = now_ns.min(*end_ns),
        }
        while self.send_due() {}
    }

    /// Whether everything planned is with the kernel.
    pub(super) fn all_sent(&self) -> bool {
        let all_planned = match &self.drive {
            FleetDrive::Open(schedule) => schedule.peek().is_none(),
            FleetDrive::Closed { end_ns, .. } => self.clock.now_ns() >= *end_ns,
        };
        all_planned && self.links.iter().all(|link| !link.has_work())
    }

    /// Counts what is still planned as not sent: the generator did not keep up and gives up.
    pub(super) fn give_up(&mut self) {
        while let Some(planned_ns) = self.take_due(u64::MAX) {
            self.refuse(planned_ns, |_| {});
        }
    }

    /// Ends the second that is under way and begins the next.
    pub(super) fn end_second(&mut self) -> Second {
        let next = Second::new(self.second.number + 1);
        let mut ended = std::mem::replace(&mut self.second, next);
        ended.in_flight = self.ring.open();
        ended
    }
}
