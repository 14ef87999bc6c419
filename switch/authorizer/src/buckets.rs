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
    /// For each length of a sample in bits the first bucket that may hold it. Ends that double, or nearly, leave two or
    /// three to look at.
    firsts: [u8; 65],
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
    pub fn new(ends_us: &'static [u64; N]) -> Self {
        Self::of(ends_us, [0; N], 0, 0)
    }

    /// One that was counted elsewhere.
    #[must_use]
    pub fn of(ends_us: &'static [u64; N], counts: [u64; N], beyond: u64, sum_us: u64) -> Self {
        let firsts = core::array::from_fn(|bits| {
            let unused = u32::try_from(bits).map_or(0, |bits| u64::BITS.saturating_sub(bits));
            let most = u64::MAX.checked_shr(unused).unwrap_or(0);
            let least = most ^ (most >> 1);
            u8::try_from(ends_us.iter().take_while(|end_us| **end_us < least).count()).unwrap_or(u8::MAX)
        });
        Self { ends_us, firsts, counts, beyond, sum_us }
    }

    /// Takes a sample.
    pub fn observe(&mut self, us: u64) {
        self.sum_us = self.sum_us.wrapping_add(us);
        let bits = usize::try_from(u64::BITS.saturating_sub(us.leading_zeros())).unwrap_or(0);
        let first = self.firsts.get(bits).copied().map_or(0, usize::from);
        let ends_us = self.ends_us.get(first..).unwrap_or_default();
        let counts = self.counts.get_mut(first..).unwrap_or_default();
        let bucket = ends_us.iter().zip(counts).find(|(end_us, _)| us <= **end_us);
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

    #[test]
    fn the_search_begins_nowhere_behind_the_bucket() {
        let near_ends = WAIT_US.iter().flat_map(|end_us| [end_us - 1, *end_us, end_us + 1]);
        let lengths = (0..64).flat_map(|bits| [1_u64 << bits, (1_u64 << bits) - 1]);
        for us in near_ends.chain(lengths).chain([0, u64::MAX]) {
            let mut buckets = Waits::default();
            buckets.observe(us);
            let bucket = WAIT_US.iter().position(|end_us| us <= *end_us);
            assert_eq!(buckets.counts.iter().position(|count| *count == 1), bucket, "{us}");
            assert_eq!(buckets.beyond, u64::from(bucket.is_none()), "{us}");
        }
    }
}
