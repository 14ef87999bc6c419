//! What the console shows, as one JSON object a second. The page draws it and adds nothing; whoever wants the figures
//! elsewhere asks `/v1/console/snapshot` for the same.

use std::collections::VecDeque;

use authorizer::event::IssuerId;
use serde_json::{Value, json};

use super::figures::Figures;
use crate::board::links_up;
use crate::config::Config;
use crate::setup::{Setup, links_of};
use crate::slowest::Slow;
use crate::wall::Wall;

/// Seconds that the charts go back.
const HISTORY: usize = 180;
/// Codes that say that the switch or somebody behind it could not: no decline of a card.
const ERRORS: [&str; 9] = ["91", "96", "68", "30", "907", "908", "909", "911", "904"];
/// Slow payments that are shown.
const SLOWEST: usize = 12;

/// What is remembered from second to second.
#[derive(Default)]
pub(super) struct View {
    before: Option<(Figures, u64)>,
    history: VecDeque<Second>,
}

/// One second of the charts.
#[derive(Clone, Copy, Default)]
struct Second {
    requests: f64,
    approved: f64,
    declined: f64,
    errors: f64,
    p50: Option<f64>,
    p99: Option<f64>,
}

impl View {
    /// The newest second. `page` is what `/metrics` says at this moment.
    pub(super) fn look(&mut self, setup: &Setup, page: &str, slow: &[Slow], ready: Value) -> Value {
        let now = Figures::parse(page);
        let now_us = setup.now_us();
        let (before, since_us) = self.before.take().unwrap_or_default();
        let elapsed = now_us.saturating_sub(since_us) as f64 / 1e6;
        let is_first = since_us == 0;
        let change =
            Change { now: &now, before: &before, elapsed: if is_first { f64::INFINITY } else { elapsed } };
        let second = change.second();
        self.history.push_back(if is_first { Second::default() } else { second });
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
        let rules = setup.rules();
        let said = json!({
            "at": Wall::of_micros(now_us).to_string(),
            "uptime_s": setup.uptime_s(),
            "version": crate::VERSION.as_str(),
            "generation": rules.generation,
            "reload_ok": now.sum("signalbox_config_last_reload_ok", &[]) > 0.0,
            "state": ready,
            "control": setup.start.console.as_ref().is_some_and(|console| console.control),
            "shards": setup.shards(),
            "signals": self.signals(setup, &change, &second),
            "history": self.charts(),
            "acquirers": acquirers(&rules.config, &change),
            "issuers": issuers(setup, &change),
            "codes": codes(&change),
            "reasons": reasons(&now),
            "token": token(&rules.config, &change),
            "journal": {
                "level": setup.start.journal.as_ref().map_or("none", |journal| journal.level.name()),
                "syncs": change.rate("signalbox_journal_syncs_total", &[]),
                "is_low": now.sum("signalbox_journal_low", &[]) > 0.0,
            },
            "slowest": slow.iter().take(SLOWEST).map(|slow| slow.said(&rules.config)).collect::<Vec<_>>(),
        });
        self.before = Some((now, now_us));
        said
    }

    /// Traffic, errors, latency, saturation; and the ratio of approvals.
    fn signals(&self, setup: &Setup, change: &Change<'_>, second: &Second) -> Value {
        let last = self.history.iter().rev().take(10);
        let (approved, declined) = last.fold((0.0, 0.0), |(approved, declined), second| {
            (approved + second.approved, declined + second.declined)
        });
        let in_flight = change.now.sum("signalbox_in_flight", &[]);
        let room = f64::from(setup.start.switch.pending_max) * f64::from(setup.shards());
        json!({
            "requests": round(second.requests),
            "errors": round(second.errors),
            "error_ratio": (second.requests > 0.0).then(|| second.errors / second.requests),
            "p50": second.p50, "p99": second.p99,
            "own_p99": change.quantile("signalbox_switch_seconds", &[], 0.99),
            "in_flight": in_flight, "saturation": in_flight / room,
            "approval_ratio": (approved + declined > 0.0).then(|| approved / (approved + declined)),
        })
    }

    fn charts(&self) -> Value {
        let of = |value: fn(&Second) -> f64| {
            self.history.iter().map(|second| round(value(second))).collect::<Vec<_>>()
        };
        json!({
            "requests": of(|second| second.requests),
            "approved": of(|second| second.approved),
            "declined": of(|second| second.declined),
            "errors": of(|second| second.errors),
            "p50": self.history.iter().map(|second| second.p50).collect::<Vec<_>>(),
            "p99": self.history.iter().map(|second| second.p99).collect::<Vec<_>>(),
        })
    }
}

/// Two readings and the time between them.
struct Change<'f> {
    now: &'f Figures,
    before: &'f Figures,
    elapsed: f64,
}

impl Change<'_> {
    fn rate(&self, metric: &str, labels: &[(&str, &str)]) -> f64 {
        round((self.now.sum(metric, labels) - self.before.sum(metric, labels)).max(0.0) / self.elapsed)
    }

    fn quantile(&self, metric: &str, labels: &[(&str, &str)], quantile: f64) -> Option<f64> {
        self.now.quantile(self.before, metric, labels, quantile)
    }

    fn second(&self) -> Second {
        Second {
            requests: self.rate("signalbox_received_total", &[]),
            approved: self.rate("signalbox_approved_total", &[]),
            declined: self.rate("signalbox_declined_total", &[]),
            errors: ERRORS
                .iter()
                .map(|code| self.rate("signalbox_responses_total", &[("code", *code)]))
                .sum(),
            p50: self.quantile("signalbox_transaction_seconds", &[], 0.5),
            p99: self.quantile("signalbox_transaction_seconds", &[], 0.99),
        }
    }
}

fn acquirers(config: &Config, change: &Change<'_>) -> Vec<Value> {
    let row = |name: &str| {
        let of = [("acquirer", name)];
        let (approved, declined) =
            (change.rate("signalbox_approved_total", &of), change.rate("signalbox_declined_total", &of));
        json!({
            "name": name,
            "connections": change.now.sum("signalbox_connections", &[("peer", name)]),
            "requests": change.rate("signalbox_received_total", &of),
            "approved": approved, "declined": declined,
            "approval_ratio": (approved + declined > 0.0).then(|| approved / (approved + declined)),
            "p99": change.quantile("signalbox_transaction_seconds", &of, 0.99),
            "duplicates": change.now.sum("signalbox_duplicates_total", &of),
            "reversals": change.now.sum("signalbox_reversals_total", &of),
            "glitches": change.now.sum("signalbox_glitches_total", &[("peer", name)]),
        })
    };
    config.acquirers.iter().map(|acquirer| row(&acquirer.name)).collect()
}

fn issuers(setup: &Setup, change: &Change<'_>) -> Vec<Value> {
    let row = |id: IssuerId| {
        let issuer = &setup.start.issuers[id.index()];
        let of = [("issuer", issuer.name.as_str())];
        let total = |metric: &str| change.now.sum(metric, &of);
        let links: Vec<&str> = (0..links_of(issuer) as u16)
            .map(|link| setup.links.get(&(id, link)).map_or("down", |state| *state))
            .collect();
        json!({
            "name": issuer.name, "links": links, "links_up": links_up(setup, id),
            "forwarded": change.rate("signalbox_forwarded_total", &of),
            "answered": change.rate("signalbox_answered_total", &of),
            "timed_out": total("signalbox_timed_out_total"), "late": total("signalbox_late_total"),
            "unmatched": total("signalbox_unmatched_total"), "invalid": total("signalbox_invalid_total"),
            "saf": {
                "waiting": total("signalbox_saf_depth"), "parked": total("signalbox_saf_parked"),
                "oldest_s": total("signalbox_saf_oldest_seconds"), "done": total("signalbox_saf_done_total"),
            },
        })
    };
    (0..setup.start.issuers.len() as u16).map(|id| row(IssuerId(id))).collect()
}

/// What acquirers were told, most frequent first.
fn codes(change: &Change<'_>) -> Vec<Value> {
    let mut codes = change.now.by("signalbox_responses_total", &[], "code");
    codes.retain(|(_, count)| *count > 0.0);
    codes.sort_by(|one, other| other.1.total_cmp(&one.1));
    let rate = |code: &str| change.rate("signalbox_responses_total", &[("code", code)]);
    codes.iter().map(|(code, count)| json!({ "code": code, "count": count, "rate": rate(code) })).collect()
}

fn reasons(now: &Figures) -> Vec<Value> {
    let mut reasons = now.by("signalbox_declined_total", &[], "reason");
    reasons.retain(|(_, count)| *count > 0.0);
    reasons.sort_by(|one, other| other.1.total_cmp(&one.1));
    reasons.iter().map(|(reason, count)| json!({ "reason": reason, "count": count })).collect()
}

fn token(config: &Config, change: &Change<'_>) -> Value {
    let program = |name: &str| {
        let said = |outcome: &str| {
            change.now.sum("signalbox_proofs_total", &[("program", name), ("outcome", outcome)])
        };
        json!({
            "name": name, "asked": change.rate("signalbox_proofs_total", &[("program", name)]),
            "right": said("right"), "wrong": said("wrong"), "unknown": said("unknown"),
        })
    };
    json!({
        "is_there": !config.programs.is_empty(),
        "is_up": change.now.sum("signalbox_token_up", &[]) > 0.0,
        "cards": change.now.sum("signalbox_cards", &[]),
        "programs": config.programs.iter().map(|settings| program(&settings.name)).collect::<Vec<_>>(),
    })
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
