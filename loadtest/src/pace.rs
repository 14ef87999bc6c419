//! When messages are due, and how a sleeping thread learns of it in time.
//!
//! A [`Schedule`] is fixed by rate, shape and seed before the run starts: nothing that the host does can move it.
//! The worker that sends walks it, and so does a [`pacer`](start_pacer), a thread that does nothing but sleep
//! until the next message is due and ring the worker's [`Bell`]. Runtime timers tick in milliseconds; this
//! way is exact to the wake-up of a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::dice::{self, Dice};
use crate::shape::{Shape, Walk};

/// How messages follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Always the same gap.
    Uniform,
    /// Independent of each other, as customers are: gaps are exponential and bursts happen.
    Poisson,
}

/// The planned times of one worker's messages, in nanoseconds since the start of the run, ascending.
#[derive(Clone, Debug)]
pub struct Schedule {
    source: Source,
    next_ns: Option<u64>,
    end_ns: u64,
}

/// Where planned times come from.
#[derive(Clone, Debug)]
enum Source {
    Drawn(Drawn),
    Recorded {
        times: Arc<[u64]>,
        /// Which of them comes next.
        at: usize,
    },
}

/// Times from a rate, its shape and a seed.
#[derive(Clone, Debug)]
struct Drawn {
    arrivals: Arrivals,
    walk: Walk,
    /// Messages of the whole run due up to the next one of this worker.
    work: f64,
    workers: f64,
    dice: Dice,
}

impl Schedule {
    /// The part of worker `worker` of `workers` in a run of this shape at `rate` messages a second.
    pub fn new(
        arrivals: Arrivals,
        (rate, shape): (f64, &Shape),
        length_ns: u64,
        seed: u64,
        (worker, workers): (u64, u64),
    ) -> Schedule {
        let mut drawn = Drawn {
            arrivals,
            walk: Walk::new(shape, rate, length_ns),
            // The workers' combs interlock.
            work: if arrivals == Arrivals::Uniform { (worker + 1) as f64 } else { 0.0 },
            workers: workers as f64,
            dice: Dice::of(dice::scatter(seed), worker),
        };
        if arrivals == Arrivals::Poisson {
            drawn.work = drawn.dice.exponential(drawn.workers);
        }
        let next_ns = drawn.due_ns();
        Schedule { source: Source::Drawn(drawn), next_ns, end_ns: length_ns }
    }

    /// The times of a recording, ascending.
    pub(crate) fn recorded(times: Arc<[u64]>, length_ns: u64) -> Schedule {
        let next_ns = times.first().copied();
        Schedule { source: Source::Recorded { times, at: 0 }, next_ns, end_ns: length_ns }
    }

    /// The next planned time, if the run is not over by then.
    #[inline]
    pub fn peek(&self) -> Option<u64> {
        self.next_ns.filter(|due_ns| *due_ns <= self.end_ns)
    }

    /// Ends the schedule early, at `end_ns`.
    pub fn cut(&mut self, end_ns: u64) {
        self.end_ns = self.end_ns.min(end_ns);
    }
}

impl Iterator for Schedule {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        let due_ns = self.peek()?;
        self.next_ns = match &mut self.source {
            Source::Drawn(drawn) => {
                drawn.work += match drawn.arrivals {
                    Arrivals::Uniform => drawn.workers,
                    Arrivals::Poisson => drawn.dice.exponential(drawn.workers),
                };
                drawn.due_ns()
            }
            Source::Recorded { times, at } => {
                *at += 1;
                times.get(*at).copied()
            }
        };
        Some(due_ns)
    }
}

impl Drawn {
    #[inline]
    fn due_ns(&mut self) -> Option<u64> {
        self.walk.time_of(self.work).map(|due_ns| due_ns as u64)
    }
}

/// How a pacer wakes a worker, and how the worker tells that it need not.
#[derive(Debug, Default)]
pub struct Bell {
    notify: Notify,
    /// The worker has sent everything due up to here, in nanoseconds of the run.
    reached_ns: AtomicU64,
}

impl Bell {
    /// Waits until something is due.
    pub async fn rung(&self) {
        self.notify.notified().await;
    }

    /// Says that everything due up to `now_ns` is sent.
    pub fn reached(&self, now_ns: u64) {
        self.reached_ns.store(now_ns, Ordering::Relaxed);
    }
}

/// Between two rings lies at least this much, so that a high rate costs one wake-up for several messages.
const QUANTUM: Duration = Duration::from_micros(50);

/// The pacer looks whether it should stop at least this often.
const NAP: Duration = Duration::from_millis(100);

/// Starts the thread that rings `bell` whenever a message of `schedule` is due.
pub fn start_pacer(
    mut schedule: Schedule,
    clock: Clock,
    spin: Duration,
    bell: Arc<Bell>,
    stop: Arc<AtomicBool>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("pacer".to_string()).spawn(move || {
        tighten_sleep();
        let mut rung = Instant::now();
        while let Some(due_ns) = schedule.peek() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let due = clock.instant(due_ns).max(rung + QUANTUM);
            if due > Instant::now() + NAP {
                std::thread::sleep(NAP);
                continue;
            }
            sleep_until(due, spin);
            let mut covered_ns = bell.reached_ns.load(Ordering::Relaxed);
            if covered_ns < due_ns {
                // Read before the ring: the worker looks later, so it finds everything up to here due.
                covered_ns = clock.now_ns();
                rung = Instant::now();
                bell.notify.notify_one();
            }
            while schedule.peek().is_some_and(|due_ns| due_ns <= covered_ns) {
                schedule.next();
            }
        }
    })
}

/// Sleeps until an absolute moment, and spins away the last `spin` of it: a thread that sleeps to the end wakes
/// up some 50 microseconds late.
pub fn sleep_until(due: Instant, spin: Duration) {
    loop {
        let rest = due.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return;
        }
        match rest.checked_sub(spin) {
            Some(sleep) if !sleep.is_zero() => std::thread::sleep(sleep),
            _ => std::hint::spin_loop(),
        }
    }
}

/// Asks the kernel to end this thread's sleeps within a microsecond of the time; it rounds to 50 otherwise.
/// Where that cannot be asked the run is only less exact, and its send lag shows by how much.
pub fn tighten_sleep() {
    let Ok(thread) = std::fs::read_link("/proc/thread-self") else { return };
    if let Some(id) = thread.file_name() {
        // The file is listed for processes only, but found under a thread's number too.
        let _ = std::fs::write(std::path::Path::new("/proc").join(id).join("timerslack_ns"), "1000");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND_NS;

    fn schedule(arrivals: Arrivals, worker: u64, workers: u64) -> Vec<u64> {
        Schedule::new(arrivals, (1000.0, &Shape::Constant), SECOND_NS, 1, (worker, workers)).collect()
    }

    #[test]
    fn uniform_arrivals_are_a_comb() {
        let times = schedule(Arrivals::Uniform, 0, 1);
        assert_eq!(times.len(), 1000);
        assert_eq!((times[0], times[999]), (1_000_000, 1_000_000_000));
    }

    #[test]
    fn workers_share_the_comb() {
        let mut both = schedule(Arrivals::Uniform, 0, 2);
        both.extend(schedule(Arrivals::Uniform, 1, 2));
        both.sort_unstable();
        assert_eq!(both, schedule(Arrivals::Uniform, 0, 1));
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_and_the_seed() {
        let times = schedule(Arrivals::Poisson, 0, 1);
        assert!((900..1100).contains(&times.len()), "{}", times.len());
        assert!(times.is_sorted());
        assert_eq!(times, schedule(Arrivals::Poisson, 0, 1));
        assert_ne!(times, schedule(Arrivals::Poisson, 1, 2));
    }

    #[test]
    fn a_cut_ends_it() {
        let mut schedule = Schedule::new(Arrivals::Uniform, (1000.0, &Shape::Constant), SECOND_NS, 1, (0, 1));
        schedule.cut(10_000_000);
        assert_eq!(schedule.count(), 10);
    }

    #[test]
    fn sleeping_never_ends_early() {
        let due = Instant::now() + Duration::from_micros(300);
        sleep_until(due, Duration::from_micros(5));
        assert!(Instant::now() >= due);
    }
}
