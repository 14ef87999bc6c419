//! What the switch says of itself, read from its own pages and told to a person.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::http;

/// Figures are published four times a second; after this the last ones are on the page.
const SETTLE: Duration = Duration::from_millis(700);

/// Waits until the switch takes payments.
pub(super) fn wait_until_ready(admin: SocketAddr, patience: Duration) -> Result<(), String> {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if http::get(admin, "/readyz").is_ok_and(|(status, _)| status == 200) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!("the switch was not ready within {} s", patience.as_secs()))
}

/// The switch's own count of the demonstration.
pub(super) struct Summary {
    received: u64,
    network: u64,
    responses: u64,
    approved: u64,
    declined: Vec<(String, u64)>,
    repeats: u64,
    timed_out: u64,
    /// Sent, sent again, acknowledged.
    reversals: [u64; 3],
    own_share: Vec<(f64, u64)>,
    codes: Codes,
}

/// What became of the codes in tracks.
#[derive(Clone, Copy)]
pub(super) struct Codes {
    /// The token said so.
    pub(super) right: u64,
    /// The token said so.
    pub(super) wrong: u64,
    /// Their ATC was used before.
    pub(super) replayed: u64,
}

impl Summary {
    /// Reads the figures once they have settled.
    pub(super) fn read(admin: SocketAddr) -> Result<Self, String> {
        std::thread::sleep(SETTLE);
        let page = http::get(admin, "/metrics").map_err(|error| format!("the switch's figures: {error}"))?.1;
        let sum = |name: &str| series(&page, name).map(|(_, value)| value as u64).sum();
        let network =
            series(&page, "signalbox_received_total").filter(|(labels, _)| labels.contains("\"network\""));
        let mut declined: Vec<(String, u64)> = series(&page, "signalbox_declined_total")
            .filter(|(_, value)| *value > 0.0)
            .filter_map(|(labels, value)| Some((label(labels, "reason")?.to_owned(), value as u64)))
            .collect();
        declined.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Ok(Self {
            received: sum("signalbox_received_total"),
            network: network.map(|(_, value)| value as u64).sum(),
            responses: sum("signalbox_responses_total"),
            approved: sum("signalbox_approved_total"),
            declined,
            repeats: sum("signalbox_duplicates_total"),
            timed_out: sum("signalbox_timed_out_total"),
            reversals: [
                with(&page, "signalbox_saf_sent_total", "\"first\""),
                with(&page, "signalbox_saf_sent_total", "\"repeat\""),
                sum("signalbox_saf_done_total"),
            ],
            codes: Codes {
                right: with(&page, "signalbox_proofs_total", "outcome=\"right\""),
                wrong: with(&page, "signalbox_proofs_total", "outcome=\"wrong\""),
                replayed: with(&page, "signalbox_program_declined_total", "reason=\"atc_used\""),
            },
            own_share: series(&page, "signalbox_switch_seconds_bucket")
                .filter_map(|(labels, value)| Some((label(labels, "le")?.parse().ok()?, value as u64)))
                .collect(),
        })
    }

    /// What became of the codes.
    pub(super) fn codes(&self) -> Codes {
        self.codes
    }

    /// Whether as many answers went out as requests came in.
    pub(super) fn answered_everything(&self) -> bool {
        self.received - self.network == self.responses
    }

    /// The upper end of the bucket in which a share of the samples has been reached, microseconds.
    fn own_share_us(&self, share: f64) -> Option<f64> {
        let (_, all) = self.own_share.last()?;
        let wanted = *all as f64 * share;
        self.own_share.iter().find(|(_, below)| *below as f64 >= wanted).map(|(end, _)| end * 1e6)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = self.received - self.network;
        writeln!(out, "\nthe switch's own count")?;
        writeln!(out, "  requests    {requests:>10}   answers {}", self.responses)?;
        writeln!(out, "  approved    {:>10}", self.approved)?;
        for (reason, count) in &self.declined {
            writeln!(out, "  declined    {count:>10}   {}", reason.replace('_', " "))?;
        }
        writeln!(out, "  repeats     {:>10}   answered as before, no second authorization", self.repeats)?;
        writeln!(out, "  timed out   {:>10}   silent issuers, answered 91 after one second", self.timed_out)?;
        let [sent, again, done] = self.reversals;
        writeln!(
            out,
            "  reversals   {sent:>10}   and advices, told to issuers; {again} sent again, {done} acknowledged"
        )?;
        if let (Some(half), Some(most)) = (self.own_share_us(0.5), self.own_share_us(0.99)) {
            writeln!(
                out,
                "  own share   half of the requests within {half:.0} us, 99 % within {most:.0} us"
            )?;
        }
        Ok(())
    }
}

/// The sum of a metric's series whose labels have this among them.
fn with(page: &str, name: &str, label: &str) -> u64 {
    series(page, name).filter(|(labels, _)| labels.contains(label)).map(|(_, value)| value as u64).sum()
}

/// The series of a metric on a page: labels and value.
fn series<'a>(page: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    page.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        let is_whole_name = labels.is_empty() || labels.starts_with('{');
        is_whole_name.then_some((labels, value.parse().ok()?))
    })
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_their_whole_name() {
        let page = "a_total{x=\"1\",y=\"two\"} 3\na_total_more{x=\"1\"} 9\na_total 4\n# a_total help 5\n";
        let found: Vec<(&str, f64)> = series(page, "a_total").collect();
        assert_eq!(found, [("{x=\"1\",y=\"two\"}", 3.0), ("", 4.0)]);
        assert_eq!(label(found[0].0, "y"), Some("two"));
    }
}
