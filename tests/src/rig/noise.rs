//! How long this machine itself stood still while something was measured.
//!
//! A figure of the rules ("within 100 ms") is kept as it stands; what the test allows on top is only the
//! longest stall that a sleeping thread saw meanwhile, once for the switch and once for the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const NAP: Duration = Duration::from_millis(1);

/// Watches from its making until it is asked.
#[derive(Debug)]
pub struct Noise {
    stop: Arc<AtomicBool>,
    worst_micros: Arc<AtomicU64>,
    watcher: Option<JoinHandle<()>>,
}

impl Noise {
    /// Starts to watch.
    #[must_use]
    pub fn watch() -> Noise {
        let (stop, worst_micros) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, worst) = (Arc::clone(&stop), Arc::clone(&worst_micros));
        let watcher = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let before = Instant::now();
                thread::sleep(NAP);
                let stall = before.elapsed().saturating_sub(NAP);
                worst.fetch_max(u64::try_from(stall.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        Noise { stop, worst_micros, watcher: Some(watcher) }
    }

    /// What may be added to a figure.
    #[must_use]
    pub fn allowance(&self) -> Duration {
        2 * Duration::from_micros(self.worst_micros.load(Ordering::Relaxed))
    }

    /// Insists that a measured time is within its figure.
    pub fn insist(&self, what: &str, measured: Duration, figure: Duration) {
        let allowance = self.allowance();
        assert!(
            measured <= figure + allowance,
            "{what} took {measured:?}; the rule says {figure:?}, the machine stalled for {allowance:?}"
        );
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "the rule says")]
    fn a_slow_answer_is_not_excused_by_a_quiet_machine() {
        let noise = Noise::watch();
        noise.insist("an answer", Duration::from_secs(60), Duration::from_millis(100));
    }
}
