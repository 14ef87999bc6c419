//! Moments at which requests are due: independent of each other, so many a second on average.

use std::time::{Duration, Instant};

pub struct Arrivals {
    gap_ns: f64,
    next: Instant,
    dice: u64,
}

impl Arrivals {
    pub fn new(rate: f64, begin: Instant) -> Self {
        Self { gap_ns: 1e9 / rate, next: begin, dice: 0x9E37_79B9_7F4A_7C15 }
    }

    /// The next moment, if it has come.
    pub fn due(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next;
        if due > now {
            return None;
        }
        let gap_ns = -self.chance().ln() * self.gap_ns;
        self.next += Duration::from_nanos(gap_ns as u64);
        Some(due)
    }

    /// How long nothing will be due.
    pub fn pause(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Above 0, at most 1.
    fn chance(&mut self) -> f64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        ((self.dice >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }
}
