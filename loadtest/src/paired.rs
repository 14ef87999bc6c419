//! Paired differences: two hosts measured in turn, so that what the machine does to both cancels out.

use crate::compare::{Change, FIGURES, Run, Unit};

/// Student's t for 95 of 100 cases, by degrees of freedom from 1 on; the last holds beyond.
const T: [f64; 31] = [
    12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11,
    2.10, 2.09, 2.09, 2.08, 2.07, 2.07, 2.06, 2.06, 2.06, 2.05, 2.05, 2.05, 2.04, 2.00,
];

/// Every figure over the rounds: the medians, the mean of the paired differences, and in `noise` how far that mean
/// is known (half of its 95 % interval).
pub fn paired(rounds: &[(Run, Run)]) -> Vec<Change> {
    let change = |figure: &crate::compare::Figure| {
        let pairs: Vec<(f64, f64)> = rounds.iter().map(|(a, b)| (figure.of(a), figure.of(b))).collect();
        let points = figure.unit == Unit::Percent;
        let differences: Vec<f64> = pairs
            .iter()
            .filter(|(a, _)| points || *a > 0.0)
            .map(|(a, b)| if points { b - a } else { (b - a) * 100.0 / a })
            .collect();
        let (mean, noise) = interval(&differences);
        let side = |of: fn(&(f64, f64)) -> f64| median(pairs.iter().map(of).collect());
        Change::new(figure, (side(|pair| pair.0), side(|pair| pair.1)), mean, noise)
    };
    FIGURES.iter().map(change).collect()
}

/// Mean and half of its 95 % interval; no interval for fewer than two values.
fn interval(values: &[f64]) -> (f64, Option<f64>) {
    let count = values.len();
    if count == 0 {
        return (0.0, None);
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    if count < 2 {
        return (mean, None);
    }
    let spread = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1) as f64;
    let t = T[(count - 2).min(T.len() - 1)];
    (mean, Some(t * (spread / count as f64).sqrt()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_what_the_textbook_says() {
        let (mean, half) = interval(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(mean, 3.0);
        assert!((half.unwrap() - 2.78 * (2.5_f64 / 5.0).sqrt()).abs() < 1e-9);
        assert_eq!(interval(&[2.0]), (2.0, None));
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    }
}
