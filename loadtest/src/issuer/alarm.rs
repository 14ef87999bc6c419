//! Wakes the issuer when a held-back answer is due. Runtime timers tick in milliseconds; a latency of two
//! would come out as three.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::pace::tighten_sleep;

/// Between two rings lies at least this much, so that many answers share one, and so that the issuer has
/// named the next moment before the thread looks for it.
const QUANTUM: Duration = Duration::from_micros(50);

/// Nothing is due.
const NEVER: u64 = u64::MAX;

/// A thread that sleeps until the one moment that the issuer named.
#[derive(Debug)]
pub(super) struct Alarm {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    epoch: Instant,
    /// When to ring, in nanoseconds since the epoch. Written by the issuer only.
    next_ns: AtomicU64,
    notify: Notify,
    stop: AtomicBool,
}

impl Alarm {
    /// Starts the thread.
    pub(super) fn start() -> std::io::Result<Alarm> {
        let shared = Arc::new(Shared {
            epoch: Instant::now(),
            next_ns: AtomicU64::new(NEVER),
            notify: Notify::new(),
            stop: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("alarm".to_string()).spawn(move || watch(&theirs))?;
        Ok(Alarm { shared, thread: Some(thread) })
    }

    /// Names the next moment to ring at, in place of the last one named.
    pub(super) fn set(&self, due: Option<Instant>) {
        let since_epoch = |due: Instant| due.saturating_duration_since(self.shared.epoch).as_nanos() as u64;
        let next_ns = due.map_or(NEVER, since_epoch);
        let named_ns = self.shared.next_ns.swap(next_ns, Ordering::AcqRel);
        // A later moment is found when the thread wakes up for the earlier one.
        if let (true, Some(thread)) = (next_ns < named_ns, &self.thread) {
            thread.thread().unpark();
        }
    }

    /// Returns a waiter for the next ring.
    pub(super) fn ear(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.shared);
        async move { shared.notify.notified().await }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn watch(shared: &Shared) {
    tighten_sleep();
    while !shared.stop.load(Ordering::Acquire) {
        let next_ns = shared.next_ns.load(Ordering::Acquire);
        let now_ns = shared.epoch.elapsed().as_nanos() as u64;
        if next_ns == NEVER {
            std::thread::park();
        } else if next_ns <= now_ns {
            // Until the issuer has named another moment this rings again and again, which does no harm.
            shared.notify.notify_one();
            std::thread::sleep(QUANTUM);
        } else {
            std::thread::park_timeout(Duration::from_nanos(next_ns - now_ns));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rings_at_the_moment_named_last() {
        let alarm = Alarm::start().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let start = Instant::now();
        alarm.set(Some(start + Duration::from_secs(60)));
        alarm.set(Some(start + Duration::from_millis(5)));
        runtime.block_on(alarm.ear());
        let elapsed = start.elapsed();
        assert!(elapsed >= Duration::from_millis(5) && elapsed < Duration::from_secs(30), "{elapsed:?}");
    }
}
