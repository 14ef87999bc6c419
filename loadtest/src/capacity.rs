//! Finds the highest rate at which every promise holds, and how much that rate differs from search to search.
//!
//! Knows no run: a trial is a function from a rate to a verdict.

use serde::Serialize;

/// What a trial came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every promise held.
    Held,
    /// A promise was broken.
    Broken,
    /// The generator did not keep up, so nothing is known of the host.
    GeneratorBound,
    /// Stopped by hand.
    Interrupted,
}

/// One trial.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Trial {
    /// Messages a second that were asked for.
    pub rate: f64,
    /// What came of it.
    pub verdict: Verdict,
}

/// What all searches found.
#[derive(Clone, Debug, Serialize)]
pub struct Capacity {
    /// The highest rate that held, of each search, ascending. Empty when none did.
    pub rates: Vec<f64>,
    /// Whether a search ended at a rate that the generator could not drive: the host can do more than is said.
    pub limited_by_generator: bool,
    /// Every trial, in order.
    pub trials: Vec<Trial>,
}

/// A search ends when the lowest rate that failed is within this factor of the highest that held.
const CLOSE_ENOUGH: f64 = 1.05;
/// First steps of the first search, and of those that know about where to look.
const STRIDE: f64 = 2.0;
const SHORT_STRIDE: f64 = 1.15;
/// Trials at one rate before it counts as beyond the generator.
const GENERATOR_CHANCES: u32 = 3;
/// Rates to look between.
const RATES: std::ops::RangeInclusive<f64> = 1.0..=5_000_000.0;

impl Capacity {
    /// Searches `searches` times, the first from `start` on.
    pub fn find(start: f64, searches: usize, mut trial: impl FnMut(f64) -> Verdict) -> Capacity {
        let mut found = Capacity { rates: Vec::new(), limited_by_generator: false, trials: Vec::new() };
        let (mut from, mut stride) = (start, STRIDE);
        for _ in 0..searches {
            let Some(rate) = found.search(from, stride, &mut trial) else { break };
            found.rates.push(rate);
            (from, stride) = (rate, SHORT_STRIDE);
        }
        found.rates.sort_by(f64::total_cmp);
        found
    }

    /// The middle of what was found.
    pub fn median(&self) -> Option<f64> {
        self.rates.get(self.rates.len() / 2).copied()
    }

    /// One trial. That the generator did not keep up may be the machine's mood, and is believed when it happens
    /// again and again.
    fn try_rate(&mut self, rate: f64, trial: &mut impl FnMut(f64) -> Verdict) -> Verdict {
        let mut verdict = Verdict::GeneratorBound;
        for _ in 0..GENERATOR_CHANCES {
            verdict = trial(rate);
            self.trials.push(Trial { rate, verdict });
            if verdict != Verdict::GeneratorBound {
                break;
            }
        }
        verdict
    }

    /// One search; nothing when no rate held or it was interrupted.
    fn search(&mut self, start: f64, stride: f64, trial: &mut impl FnMut(f64) -> Verdict) -> Option<f64> {
        let (mut held, mut failed): (Option<f64>, Option<(f64, Verdict)>) = (None, None);
        loop {
            let rate = match (held, failed) {
                (None, None) => start,
                (Some(held), None) => held * stride,
                (None, Some((failed, _))) => failed / stride,
                (Some(held), Some((failed, _))) if failed / held <= CLOSE_ENOUGH => break,
                (Some(held), Some((failed, _))) => (held * failed).sqrt(),
            };
            if !RATES.contains(&rate) {
                break;
            }
            let verdict = self.try_rate(rate, trial);
            match verdict {
                Verdict::Held => held = Some(rate),
                Verdict::Broken | Verdict::GeneratorBound => failed = Some((rate, verdict)),
                Verdict::Interrupted => return None,
            }
        }
        self.limited_by_generator |= failed.is_some_and(|(_, verdict)| verdict == Verdict::GeneratorBound);
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_is_found_from_either_side() {
        for start in [10.0, 900.0, 1_000.0, 50_000.0] {
            let host = |rate| if rate <= 1_000.0 { Verdict::Held } else { Verdict::Broken };
            let found = Capacity::find(start, 3, host);
            assert_eq!(found.rates.len(), 3);
            assert!(found.rates.iter().all(|rate| (950.0..=1_000.0).contains(rate)), "{found:?}");
            assert!(!found.limited_by_generator && found.trials.len() < 40);
        }
    }

    #[test]
    fn a_generator_at_its_end_is_said() {
        let found =
            Capacity::find(
                100.0,
                1,
                |rate| {
                    if rate < 700.0 { Verdict::Held } else { Verdict::GeneratorBound }
                },
            );
        assert!(found.limited_by_generator && found.median().unwrap() < 700.0);
    }

    #[test]
    fn nothing_may_be_found() {
        assert!(Capacity::find(100.0, 3, |_| Verdict::Broken).rates.is_empty());
        assert_eq!(Capacity::find(100.0, 3, |_| Verdict::Interrupted).trials.len(), 1);
    }
}
