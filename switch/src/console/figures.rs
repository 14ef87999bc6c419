//! The page operators' tools read, read here once a second: what the console shows is what `/metrics` says.

use std::collections::HashMap;

/// One reading of the page.
#[derive(Default)]
pub(super) struct Figures {
    series: HashMap<String, Vec<Series>>,
}

struct Series {
    labels: Vec<(String, String)>,
    value: f64,
}

impl Figures {
    /// From the Prometheus text format, as this switch writes it.
    pub(super) fn parse(page: &str) -> Self {
        let mut figures = Self::default();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse() else { continue };
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            let labels = labels.trim_end_matches('}').split("\",").filter_map(|label| {
                let (key, value) = label.split_once("=\"")?;
                Some((key.to_owned(), value.trim_end_matches('"').to_owned()))
            });
            let labels = labels.collect();
            figures.series.entry(name.to_owned()).or_default().push(Series { labels, value });
        }
        figures
    }

    /// The sum of the series of a metric that bear all these labels.
    pub(super) fn sum(&self, metric: &str, labels: &[(&str, &str)]) -> f64 {
        self.fitting(metric, labels).map(|series| series.value).sum()
    }

    /// The series of a metric that bear these labels, summed by one more label.
    pub(super) fn by(&self, metric: &str, labels: &[(&str, &str)], label: &str) -> Vec<(String, f64)> {
        let mut sums: Vec<(String, f64)> = Vec::new();
        for series in self.fitting(metric, labels) {
            let Some((_, value)) = series.labels.iter().find(|(key, _)| key == label) else { continue };
            match sums.iter_mut().find(|(known, _)| known == value) {
                Some((_, sum)) => *sum += series.value,
                None => sums.push((value.clone(), series.value)),
            }
        }
        sums
    }

    /// The buckets of a histogram: upper ends in seconds, and how many samples fell below each, since `before`.
    fn buckets(&self, before: &Self, metric: &str, labels: &[(&str, &str)]) -> Vec<(f64, f64)> {
        let metric = format!("{metric}_bucket");
        let earlier: HashMap<String, f64> = before.by(&metric, labels, "le").into_iter().collect();
        let mut buckets: Vec<(f64, f64)> = self
            .by(&metric, labels, "le")
            .into_iter()
            .filter_map(|(end, count)| {
                let new = count - earlier.get(&end).copied().unwrap_or(0.0);
                Some((if end == "+Inf" { f64::INFINITY } else { end.parse().ok()? }, new))
            })
            .collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        buckets
    }

    /// A quantile of what a histogram has seen since `before`, in seconds; nothing where it has seen nothing.
    pub(super) fn quantile(
        &self,
        before: &Self,
        metric: &str,
        labels: &[(&str, &str)],
        quantile: f64,
    ) -> Option<f64> {
        let buckets = self.buckets(before, metric, labels);
        let all = buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        let rank = all * quantile;
        let (mut start, mut below) = (0.0, 0.0);
        for (end, count) in buckets {
            if count >= rank {
                let share = if count > below { (rank - below) / (count - below) } else { 1.0 };
                return Some(if end.is_finite() { start + (end - start) * share } else { start });
            }
            (start, below) = (end, count);
        }
        Some(start)
    }

    fn fitting<'f>(
        &'f self,
        metric: &str,
        labels: &'f [(&'f str, &'f str)],
    ) -> impl Iterator<Item = &'f Series> {
        let bears = |series: &Series, (key, value): &(&str, &str)| {
            series.labels.iter().any(|(known, is)| known == key && is == value)
        };
        self.series
            .get(metric)
            .into_iter()
            .flatten()
            .filter(move |series| labels.iter().all(|label| bears(series, label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "t_seconds_bucket{a=\"x\",le=\"0.1\"} 10\nt_seconds_bucket{a=\"x\",le=\"0.2\"} 10\n\
        t_seconds_bucket{a=\"x\",le=\"+Inf\"} 10\n";
    const PAGE: &str = "# HELP a_total Some.\na_total{peer=\"x\",code=\"00\"} 3\na_total{peer=\"x\",code=\"91\"} 1\n\
        a_total{peer=\"y\",code=\"00\"} 5\nlevel 2.5\n\
        t_seconds_bucket{a=\"x\",le=\"0.1\"} 60\nt_seconds_bucket{a=\"x\",le=\"0.2\"} 110\n\
        t_seconds_bucket{a=\"x\",le=\"+Inf\"} 110\n";

    #[test]
    fn series_are_summed_by_their_labels() {
        let figures = Figures::parse(PAGE);
        assert_eq!(figures.sum("a_total", &[]), 9.0);
        assert_eq!(figures.sum("a_total", &[("peer", "x")]), 4.0);
        assert_eq!(figures.by("a_total", &[("peer", "x")], "code"), [("00".into(), 3.0), ("91".into(), 1.0)]);
        assert_eq!(figures.sum("level", &[]), 2.5);
        assert_eq!(figures.sum("nothing", &[]), 0.0);
    }

    #[test]
    fn a_quantile_is_of_what_is_new() {
        let (before, now) = (Figures::parse(BEFORE), Figures::parse(PAGE));
        assert_eq!(now.quantile(&before, "t_seconds", &[], 0.5), Some(0.1));
        assert_eq!(now.quantile(&before, "t_seconds", &[], 1.0), Some(0.2));
        assert_eq!(now.quantile(&now, "t_seconds", &[], 0.5), None);
    }
}
