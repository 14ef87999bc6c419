//! Recording rules and the files of both kinds of rules. The alerts themselves are in `alerts.rs`.
//!
//! Durations in expressions can be scaled, so that a test can let a month's rule fire in seconds: windows and
//! offsets by what they look like, thresholds in seconds where they are written `{300}`.

use std::fmt::Write as _;

use crate::alerts::{self, Alert};

/// DE 39 values that mean that something could not be done, in both versions of the standard. 30 is not among them:
/// what an acquirer writes wrong is not this switch's failure.
pub const ERROR_CODES: &str = "91|96|907|909|911|912";
/// The share of answers that may be errors.
pub const ERROR_BUDGET: f64 = 0.001;
/// The share of transactions whose own share may be slower than [`SLOW_LE`].
pub const LATENCY_BUDGET: f64 = 0.01;
/// The objective of the switch's own share, seconds: an end of a bucket.
pub const SLOW_LE: &str = "0.01";
/// The windows of burn rates.
const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

/// A recording rule.
pub struct Recording {
    /// `level:metric:operation`.
    pub name: String,
    /// What is recorded.
    pub expression: String,
}

/// Every recording rule.
#[must_use]
pub fn recordings() -> Vec<Recording> {
    let mut rules = vec![
        record(
            "acquirer:signalbox_received:rate5m",
            "sum by (job, instance, acquirer) (rate(signalbox_received_total{class!=\"network\"}[5m]))",
        ),
        record("acquirer:signalbox_approved:ratio_rate5m", &approval_ratio("5m")),
        record("acquirer:signalbox_approved:ratio_rate1d", &approval_ratio("1d")),
        record(
            "issuer:signalbox_timed_out:ratio_rate5m",
            "sum by (job, instance, issuer) (rate(signalbox_timed_out_total[5m])) / sum by (job, instance, issuer) (rate(signalbox_forwarded_total[5m]))",
        ),
        record("issuer:signalbox_issuer_seconds:p99_5m", &p99("signalbox_issuer_seconds", ", issuer")),
        record("instance:signalbox_switch_seconds:p99_5m", &p99("signalbox_switch_seconds", "")),
        record("instance:signalbox_journal_sync_seconds:p99_5m", &p99("signalbox_journal_sync_seconds", "")),
    ];
    for window in WINDOWS {
        rules.push(record(
            &format!("job:signalbox_errors:ratio_rate{window}"),
            &format!(
                "sum by (job) (rate(signalbox_responses_total{{code=~\"{ERROR_CODES}\"}}[{window}])) / sum by (job) (rate(signalbox_responses_total[{window}]))"
            ),
        ));
        rules.push(record(
            &format!("job:signalbox_slow:ratio_rate{window}"),
            &format!(
                "1 - sum by (job) (rate(signalbox_switch_seconds_bucket{{le=\"{SLOW_LE}\"}}[{window}])) / sum by (job) (rate(signalbox_switch_seconds_count[{window}]))"
            ),
        ));
    }
    rules
}

fn record(name: &str, expression: &str) -> Recording {
    Recording { name: name.to_owned(), expression: expression.to_owned() }
}

fn approval_ratio(window: &str) -> String {
    let rate = |metric: &str| format!("sum by (job, instance, acquirer) (rate({metric}[{window}]))");
    let (approved, declined) = (rate("signalbox_approved_total"), rate("signalbox_declined_total"));
    format!("{approved} / ({approved} + {declined})")
}

fn p99(metric: &str, by: &str) -> String {
    format!("histogram_quantile(0.99, sum by (le, job, instance{by}) (rate({metric}_bucket[5m])))")
}

/// How much shorter everything is: 1 for the files, more for a test.
#[derive(Clone, Copy, Debug)]
pub struct Scale(pub f64);

impl Scale {
    /// Scales the windows, offsets and `{seconds}` of an expression.
    #[must_use]
    pub fn expression(self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) =
            rest.find(['[', '{']).into_iter().chain(rest.find("offset ").map(|at| at + 6)).min()
        {
            let (before, after) = rest.split_at(at + 1);
            out += before;
            let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
            let word = &after[..end];
            if before.ends_with('{') {
                match word.parse::<f64>() {
                    Ok(seconds) => {
                        out.pop();
                        let _ = write!(out, "{}", seconds / self.0);
                        rest = &after[end + 1..];
                    }
                    Err(_) => rest = after,
                }
            } else {
                out += &self.duration(word);
                rest = &after[end..];
            }
        }
        out + rest
    }

    /// Scales a duration such as `5m`; what is none stays as it is.
    #[must_use]
    pub fn duration(self, text: &str) -> String {
        let units = [('s', 1_000.0), ('m', 60_000.0), ('h', 3_600_000.0), ('d', 86_400_000.0)];
        let unit = units.iter().find(|(unit, _)| text.ends_with(*unit));
        let number = text.get(..text.len().saturating_sub(1)).and_then(|number| number.parse::<f64>().ok());
        match (unit, number) {
            (Some((_, ms)), Some(number)) if self.0 > 1.0 => format!("{:.0}ms", number * ms / self.0),
            _ => text.to_owned(),
        }
    }
}

/// Where runbooks and dashboards are, in front of their names.
pub struct Places<'a> {
    /// Ends without a slash.
    pub runbooks: &'a str,
    /// Ends without a slash.
    pub dashboards: &'a str,
}

/// The files say where a fresh clone has them; whoever hosts them elsewhere replaces these.
pub const PLACES: Places<'static> =
    Places { runbooks: "https://signalbox.example/grafana/runbooks", dashboards: "http://localhost:3000" };

const HEAD: &str = "# Written by `make grafana`.\n";

/// The file of recording rules.
#[must_use]
pub fn recording_file(scale: Scale) -> String {
    let mut text = format!("{HEAD}groups:\n  - name: signalbox-recording\n    rules:\n");
    for rule in recordings() {
        let expression = quoted(&scale.expression(&rule.expression));
        let _ = write!(text, "      - record: {}\n        expr: {expression}\n", rule.name);
    }
    text
}

/// The file of alerts.
#[must_use]
pub fn alert_file(scale: Scale, places: &Places<'_>) -> String {
    let mut text = format!("{HEAD}groups:\n  - name: signalbox-alerts\n    rules:\n");
    for alert in alerts::all() {
        text += &alert_rule(&alert, scale, places);
    }
    text
}

fn alert_rule(alert: &Alert, scale: Scale, places: &Places<'_>) -> String {
    let name = alert.name;
    format!(
        "      - alert: {name}\n        expr: {}\n        for: {}\n        labels:\n          severity: {}\n        annotations:\n          summary: {}\n          description: {}\n          runbook_url: {}/{name}.md\n          dashboard_url: {}/d/{}\n",
        quoted(&scale.expression(&alert.expression)),
        scale.duration(alert.hold),
        alert.severity.name(),
        quoted(alert.summary),
        quoted(alert.description),
        places.runbooks,
        places.dashboards,
        alert.board,
    )
}

/// In single quotes, where YAML knows no escapes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What `promtool test rules` runs: each alert with series that let it fire and series that do not.
#[must_use]
pub fn test_file() -> String {
    let mut text =
        format!("{HEAD}rule_files: [recording.yml, alerts.yml]\nevaluation_interval: 1m\ntests:\n");
    for alert in alerts::all() {
        for (series, fires) in [(&alert.fires, 1), (&alert.quiet, 0)] {
            let _ = writeln!(
                text,
                "  - name: '{} {}'",
                alert.name,
                if fires == 1 { "fires" } else { "is quiet" }
            );
            text += "    interval: 1m\n    input_series:\n";
            for (series, values) in series {
                let _ = write!(text, "      - series: {}\n        values: '{values}'\n", quoted(series));
            }
            let expression = format!(
                "clamp_max(count(ALERTS{{alertname=\"{}\",alertstate=\"firing\"}}), 1) or vector(0)",
                alert.name
            );
            let _ = write!(
                text,
                "    promql_expr_test:\n      - expr: {}\n        eval_time: {}\n        exp_samples: [{{ value: {fires} }}]\n",
                quoted(&expression),
                alert.at,
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_offsets_and_thresholds_are_scaled_and_nothing_else() {
        let expression = "rate(a{b=\"1h\"}[5m] offset 1h) > {300} and on (job) c{d!=\"x\"} > 5";
        assert_eq!(
            Scale(300.0).expression(expression),
            "rate(a{b=\"1h\"}[1000ms] offset 12000ms) > 1 and on (job) c{d!=\"x\"} > 5"
        );
        assert_eq!(Scale(1.0).expression(expression), expression.replace("{300}", "300"));
        assert_eq!(Scale(600.0).duration("3d"), "432000ms");
    }
}
