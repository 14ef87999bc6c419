//! One thread of the fleet: its runtime, its links, and the life of a run on it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};

use super::fleet::{Fleet, SharedFleet};
use super::keys::FirstKey;
use super::link::{self, Connection, Meeting};
use super::pending::PendingRing;
use crate::clock::{Clock, SECOND_NS};
use crate::mix::Mix;
use crate::output::Output;
use crate::pace::{Bell, start_pacer};
use crate::profile::Profile;
use crate::second::Second;
use crate::tally::Tally;

/// What a worker tells the thread that started it.
#[derive(Debug)]
pub(crate) enum News {
    /// Its links are up, or why they are not.
    Ready(Result<(), String>),
    /// A second is over.
    Second(Box<Second>),
    /// The run is over.
    Done(Box<Tally>),
}

/// What a worker is told at its start.
pub(super) struct Orders {
    pub(super) profile: Arc<Profile>,
    pub(super) mix: Arc<Mix>,
    /// Counted over all generators.
    pub(super) worker: usize,
    pub(super) stop: Arc<AtomicBool>,
    /// Where the host connects, if it is not we who do.
    pub(super) listener: Option<std::net::TcpListener>,
    pub(super) news: Sender<News>,
    /// When every worker is ready; dropped when one is not.
    pub(super) start: oneshot::Receiver<Start>,
}

/// When a run starts, and with which keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) clock: Clock,
    pub(super) first_key: FirstKey,
}

/// A message that is not out this long after the end of the schedule is given up as not sent.
const OVERRUN_NS: u64 = 2 * SECOND_NS;
/// Between two looks at whether the run is over.
const LOOK: Duration = Duration::from_millis(10);
/// How long answers to sign-offs are waited for.
const SIGN_OFF_PATIENCE: Duration = Duration::from_secs(1);
/// After an interruption, how long outstanding answers are waited for.
const INTERRUPTED_WAIT_NS: u64 = SECOND_NS;

/// What a link that splits its messages writes at a time.
const PIECE_BYTES: usize = 7;

/// Runs one worker to its end.
pub(super) fn work(orders: Orders) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = orders.news.send(News::Ready(Err(format!("no runtime: {error}"))));
            return;
        }
    };
    LocalSet::new().block_on(&runtime, async move {
        match open_links(&orders).await {
            Ok(links) => {
                let ring = Fleet::room(&orders.profile);
                let _ = orders.news.send(News::Ready(Ok(())));
                run(orders, ring, links).await;
            }
            Err(error) => {
                let _ = orders.news.send(News::Ready(Err(error)));
            }
        }
    });
}

/// Opens this worker's share of the links. Links take workers and addresses in turn.
async fn open_links(orders: &Orders) -> Result<Vec<(Meeting, Connection)>, String> {
    let (load, link) = (&orders.profile.load, &orders.profile.link);
    let listener = match &orders.listener {
        Some(listener) => {
            let listener = listener.try_clone().and_then(TcpListener::from_std);
            Some(Rc::new(listener.map_err(|error| error.to_string())?))
        }
        None => None,
    };
    let mut links = Vec::new();
    for number in (orders.worker..load.connections).step_by(load.workers_in_all()) {
        let address = match &listener {
            Some(listener) => Meeting::Accept(Rc::clone(listener)),
            None => Meeting::Connect(link.connect[number % link.connect.len()].clone()),
        };
        let connection = link::open(link, &address).await?;
        links.push((address, connection));
    }
    Ok(links)
}

async fn run(orders: Orders, ring: PendingRing, links: Vec<(Meeting, Connection)>) {
    let Orders { profile, mix, worker, stop, news, start, listener: _ } = orders;
    let Ok(start) = start.await else { return };
    let clock = start.clock;
    let piece_bytes = profile.link.manners.split_frames.then_some(PIECE_BYTES);
    let outputs = links.iter().map(|_| Output::in_pieces(piece_bytes)).collect();
    let fleet = Fleet::new(&profile, mix, start, worker, ring, outputs);
    let (schedule, bell) = (fleet.schedule(), Arc::clone(&fleet.bell));
    let fleet: SharedFleet = Rc::new(RefCell::new(fleet));

    let link = Rc::new(profile.link.clone());
    for (number, (address, connection)) in links.into_iter().enumerate() {
        tokio::task::spawn_local(link::keep(
            Rc::clone(&fleet),
            number,
            Rc::clone(&link),
            address,
            connection,
        ));
    }
    let half_open = (worker..profile.link.manners.half_open).step_by(profile.load.workers_in_all());
    for number in half_open {
        let address = profile.link.connect[number % profile.link.connect.len()].clone();
        tokio::task::spawn_local(link::stay_half_open(address));
    }
    tokio::task::spawn_local(answer_bell(Rc::clone(&fleet), Arc::clone(&bell)));
    let pacer = schedule.map(|schedule| {
        start_pacer(schedule, clock, profile.load.spin, Arc::clone(&bell), Arc::clone(&stop))
    });
    if let Some(Err(error)) = &pacer {
        // Without a pacer nothing would be sent on time: the report must not look like a run.
        fleet.borrow_mut().interrupt();
        let _ = news.send(News::Ready(Err(format!("no pacer thread: {error}"))));
    }

    watch(&fleet, &profile, &stop, &news).await;
    if profile.link.sign_off {
        sign_off(&fleet).await;
    }

    let mut fleet = fleet.borrow_mut();
    // The end of the last second completes the tally.
    let _ = news.send(News::Second(Box::new(fleet.end_second())));
    let tally = std::mem::replace(&mut fleet.tally, Tally::new(0));
    let _ = news.send(News::Done(Box::new(tally)));
}

/// Signs off, and waits a moment for the answers.
async fn sign_off(fleet: &SharedFleet) {
    fleet.borrow_mut().sign_off();
    let until = Instant::now() + SIGN_OFF_PATIENCE;
    let is_open = || {
        let links = &fleet.borrow().tally.links;
        links.network_answered < links.network_sent
    };
    while is_open() && Instant::now() < until {
        tokio::time::sleep(LOOK).await;
    }
}

/// Sends what is due whenever the pacer rings. Between two batches the sockets get their turn.
async fn answer_bell(fleet: SharedFleet, bell: Arc<Bell>) {
    loop {
        bell.rung().await;
        while fleet.borrow_mut().send_due() {
            tokio::task::yield_now().await;
        }
    }
}

/// Reports each second, and returns when the run is over: everything sent and answered, or waited for long
/// enough.
async fn watch(fleet: &SharedFleet, profile: &Profile, stop: &AtomicBool, news: &Sender<News>) {
    let clock = fleet.borrow().clock;
    let mut wait_ns = profile.load.patience.as_nanos() as u64;
    if let Some(reversals) = profile.reversals {
        // What is sent last may be reversed when the patience is over, and the reversal repeated.
        wait_ns += reversals.every.as_nanos() as u64 * u64::from(reversals.repeats + 1) + SECOND_NS;
    }
    let mut sent_by_ns = profile.load.length.as_nanos() as u64 + OVERRUN_NS;
    let mut all_sent_ns = None;
    let mut interrupted = false;
    let mut second_ends_ns = SECOND_NS;
    loop {
        let now_ns = clock.now_ns();
        if now_ns >= second_ends_ns {
            let _ = news.send(News::Second(Box::new(fleet.borrow_mut().end_second())));
            second_ends_ns += SECOND_NS;
        }
        if !interrupted && stop.load(Ordering::Relaxed) {
            interrupted = true;
            fleet.borrow_mut().interrupt();
            (sent_by_ns, wait_ns) = (now_ns, wait_ns.min(INTERRUPTED_WAIT_NS));
        }
        if now_ns >= sent_by_ns {
            fleet.borrow_mut().give_up();
        }
        if all_sent_ns.is_none() && (fleet.borrow().all_sent() || now_ns >= sent_by_ns) {
            all_sent_ns = Some(now_ns);
        }
        fleet.borrow_mut().reverse_due(now_ns);
        let waited = all_sent_ns.is_some_and(|sent_ns| now_ns >= sent_ns + wait_ns);
        let settled = fleet.borrow().all_sent() && fleet.borrow().is_settled();
        if waited || settled {
            fleet.borrow_mut().close_reversals();
            return;
        }
        let next_ns = (now_ns + LOOK.as_nanos() as u64).min(second_ends_ns);
        sleep_until(Instant::from_std(clock.instant(next_ns))).await;
    }
}
