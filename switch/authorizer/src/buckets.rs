//! How long things took, as a histogram that costs an addition and a short search. Percentiles are for whoever
//! reads the counts.

/// Upper ends of the buckets of whatever waits for somebody else, microseconds.
pub const WAIT_US: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 15_000_000,
];

/// Upper ends of the buckets of the switch's own share, microseconds.
pub const OWN_US: [u64; 12] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000];

/// How many samples fell into each bucket, how many beyond, and their sum.
#[derive(Clone, Debug)]
pub struct Buckets<const N: usize> {
    ends_us: &'static [u64; N],
    counts: [u64; N],
    beyond: u64,
    sum_us: u64,
}

/// A histogram of any size, to be read.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Upper ends, microseconds.
    pub ends_us: &'a [u64],
    /// Samples of each bucket alone.
    pub counts: &'a [u64],
    /// Samples above the last end.
    pub beyond: u64,
    /// All samples added up, microseconds.
    pub sum_us: u64,
}

/// Waits for an issuer or the token, and whole transactions.
pub type Waits = Buckets<{ WAIT_US.len() }>;
/// The switch's own share.
pub type Own = Buckets<{ OWN_US.len() }>;

impl<const N: usize> Buckets<N> {
    /// No sample yet. The ends rise.
    #[must_use]
    pub const fn new(ends_us: &'static [u64; N]) -> Self {
        Self { ends_us, counts: [0; N], beyond: 0, sum_us: 0 }
    }

    /// One that was counted elsewhere.
    #[must_use]
    pub const fn of(ends_us: &'static [u64; N], counts: [u64; N], beyond: u64, sum_us: u64) -> Self {
        Self { ends_us, counts, beyond, sum_us }
    }

    /// Takes a sample.
    pub fn observe(&mut self, us: u64) {
        self.sum_us = self.sum_us.wrapping_add(us);
        let bucket = self.ends_us.iter().zip(&mut self.counts).find(|(end_us, _)| us <= **end_us);
        let count = bucket.map_or(&mut self.beyond, |(_, count)| count);
        *count = count.wrapping_add(1);
    }

    /// What was counted.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { ends_us: self.ends_us, counts: &self.counts, beyond: self.beyond, sum_us: self.sum_us }
    }
}

impl Default for Waits {
    fn default() -> Self {
        Self::new(&WAIT_US)
    }
}

impl Default for Own {
    fn default() -> Self {
        Self::new(&OWN_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_falls_into_the_first_bucket_that_holds_it() {
        let mut buckets = Own::default();
        for us in [0, 5, 6, 50_000, 50_001] {
            buckets.observe(us);
        }
        let view = buckets.view();
        assert_eq!((view.counts[0], view.counts[1], view.counts[11], view.beyond), (2, 1, 1, 1));
        assert_eq!(view.sum_us, 100_012);
    }
}
