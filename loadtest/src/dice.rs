//! Chance from a seed. The same seed gives the same run on every machine, so no draw may depend on the time
//! or on the order in which answers come.

/// A stream of numbers that is fixed by its seed (SplitMix64: small, quick, good enough to shape traffic).
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Dice {
        Dice { state: seed }
    }

    /// The stream that belongs to one numbered thing, a message for example, so that its content can be
    /// drawn again later without being kept.
    pub fn of(seed: u64, number: u64) -> Dice {
        let mut dice = Dice::new(seed ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        // One step apart, neighbouring numbers would share most of their stream.
        dice.state = dice.number();
        dice
    }

    /// The next 64 bits.
    #[inline]
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        scatter(self.state)
    }

    /// A whole number below `bound`; 0 when the bound is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in 0 <= x < 1.
    #[inline]
    pub fn fraction(&mut self) -> f64 {
        to_fraction(self.number())
    }

    /// An exponential waiting time with this mean.
    #[inline]
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -(1.0 - self.fraction()).ln() * mean
    }

    /// A standard normal number (Box-Muller; its twin is thrown away).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.fraction()).cos()
    }
}

/// Spreads the bits of a number so that neighbours have nothing in common.
#[inline]
pub fn scatter(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The top 53 bits as a number in 0 <= x < 1.
#[inline]
pub fn to_fraction(number: u64) -> f64 {
    (number >> 11) as f64 / (1u64 << 53) as f64
}

/// Draws indexes in proportion to their weights, in constant time (Walker's alias method).
#[derive(Clone, Debug)]
pub struct Weighted {
    /// Per index: the share of its column that is its own, and who owns the rest.
    columns: Vec<(f64, u32)>,
}

impl Weighted {
    /// Prepares the draw. Nothing when no weight is above zero or one is no number.
    pub fn new(weights: &[f64]) -> Option<Weighted> {
        let sum: f64 = weights.iter().sum();
        if !sum.is_finite() || sum <= 0.0 || weights.iter().any(|weight| *weight < 0.0) {
            return None;
        }
        let scale = weights.len() as f64 / sum;
        let mut columns: Vec<(f64, u32)> =
            weights.iter().enumerate().map(|(index, weight)| (weight * scale, index as u32)).collect();
        let (mut poor, mut rich): (Vec<usize>, Vec<usize>) =
            (0..columns.len()).partition(|&index| columns[index].0 < 1.0);
        while let (Some(&taker), Some(&giver)) = (poor.last(), rich.last()) {
            poor.pop();
            columns[taker].1 = giver as u32;
            columns[giver].0 -= 1.0 - columns[taker].0;
            if columns[giver].0 < 1.0 {
                rich.pop();
                poor.push(giver);
            }
        }
        // Only rounding errors are left over: such a column is its own.
        poor.into_iter().chain(rich).for_each(|index| columns[index].0 = 1.0);
        Some(Weighted { columns })
    }

    /// Weights 1, 1/2^s, 1/3^s, ...: a few are seen all the time and most hardly ever, as with terminals.
    pub fn zipf(count: u32, exponent: f64) -> Option<Weighted> {
        let weights: Vec<f64> = (1..=count).map(|rank| f64::from(rank).powf(-exponent)).collect();
        Weighted::new(&weights)
    }

    /// One index.
    #[inline]
    pub fn draw(&self, dice: &mut Dice) -> usize {
        let index = dice.below(self.columns.len() as u64) as usize;
        let (own, other) = self.columns[index];
        if dice.fraction() < own { index } else { other as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_stream() {
        let draw = |mut dice: Dice| [dice.number(), dice.number(), dice.number()];
        assert_eq!(draw(Dice::new(7)), draw(Dice::new(7)));
        assert_ne!(draw(Dice::of(7, 1)), draw(Dice::of(7, 2)));
        assert_ne!(draw(Dice::of(7, 1)), draw(Dice::of(8, 1)));
    }

    #[test]
    fn weights_are_kept() {
        let weighted = Weighted::new(&[70.0, 20.0, 0.0, 10.0]).unwrap();
        let mut dice = Dice::new(1);
        let mut seen = [0u32; 4];
        (0..100_000).for_each(|_| seen[weighted.draw(&mut dice)] += 1);
        assert_eq!(seen[2], 0);
        for (index, expected) in [(0, 70_000), (1, 20_000), (3, 10_000)] {
            assert!(seen[index].abs_diff(expected) < 600, "{seen:?}");
        }
        assert!(Weighted::new(&[]).is_none());
        assert!(Weighted::new(&[0.0]).is_none());
        assert!(Weighted::new(&[1.0, f64::NAN]).is_none());
    }

    #[test]
    fn zipf_prefers_the_first() {
        let weighted = Weighted::zipf(1000, 1.0).unwrap();
        let mut dice = Dice::new(1);
        let first = (0..10_000).filter(|_| weighted.draw(&mut dice) == 0).count();
        assert!((1_100..1_600).contains(&first), "{first}"); // 1 / H(1000) = 13.4 %
    }

    #[test]
    fn distributions_have_their_means() {
        let mut dice = Dice::new(3);
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let exponential = mean((0..100_000).map(|_| dice.exponential(2.0)).collect());
        assert!((1.97..2.03).contains(&exponential), "{exponential}");
        let normal = mean((0..100_000).map(|_| dice.normal()).collect());
        assert!(normal.abs() < 0.02, "{normal}");
    }
}
