//! Every alert: when, how bad, what to say, and series for which it fires and does not. Each has a runbook of its
//! name in `runbooks/`.

use crate::rules::{ERROR_BUDGET, LATENCY_BUDGET};

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Wake somebody.
    Page,
    /// In working hours.
    Ticket,
}

impl Severity {
    /// The value of the label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

/// Series and their values, in promtool's notation.
pub type Series = Vec<(&'static str, &'static str)>;

/// One alert.
pub struct Alert {
    /// Also the name of its runbook.
    pub name: &'static str,
    /// When.
    pub expression: String,
    /// For how long.
    pub hold: &'static str,
    /// How bad.
    pub severity: Severity,
    /// One line.
    pub summary: &'static str,
    /// What it means.
    pub description: &'static str,
    /// The dashboard to open, by its uid.
    pub board: &'static str,
    /// When the test looks.
    pub at: &'static str,
    /// It fires.
    pub fires: Series,
    /// It does not.
    pub quiet: Series,
}

/// Every alert.
#[must_use]
pub fn all() -> Vec<Alert> {
    [budgets(), peers(), reversals(), token(), process(), doors()].into_iter().flatten().collect()
}

/// Both windows of a pair burn the budget this many times too fast.
fn burns(what: &str, budget: f64, pairs: [(f64, &str, &str); 2]) -> String {
    let pair = |(times, long, short): (f64, &str, &str)| {
        let limit = (times * budget * 1e9).round() / 1e9;
        let over = |window: &str| format!("job:signalbox_{what}:ratio_rate{window} > {limit}");
        format!("({} and {})", over(long), over(short))
    };
    format!("{} or {}", pair(pairs[0]), pair(pairs[1]))
}

const FAST: [(f64, &str, &str); 2] = [(14.4, "1h", "5m"), (6.0, "6h", "30m")];
const SLOWLY: [(f64, &str, &str); 2] = [(3.0, "1d", "2h"), (1.0, "3d", "6h")];

macro_rules! alert {
    ($severity:ident $name:literal, $expression:expr, for $hold:literal, $board:literal, $summary:literal, $description:literal, at $at:literal, fires $fires:expr, quiet $quiet:expr) => {
        Alert {
            name: $name,
            expression: $expression.to_owned(),
            hold: $hold,
            severity: Severity::$severity,
            summary: $summary,
            description: $description,
            board: $board,
            at: $at,
            fires: $fires.to_vec(),
            quiet: $quiet.to_vec(),
        }
    };
}

const ANSWERED: &str =
    r#"signalbox_responses_total{job="signalbox",instance="a",acquirer="north",code="00"}"#;
const FAILED: &str = r#"signalbox_responses_total{job="signalbox",instance="a",acquirer="north",code="91"}"#;
const DECIDED: &str = r#"signalbox_responses_total{job="signalbox",instance="a",acquirer="north",code="51"}"#;
const QUICK: &str = r#"signalbox_switch_seconds_bucket{job="signalbox",instance="a",le="0.01"}"#;
const TIMED: &str = r#"signalbox_switch_seconds_count{job="signalbox",instance="a"}"#;

fn budgets() -> Vec<Alert> {
    vec![
        alert!(Page "SignalboxErrorBudgetBurnsFast", burns("errors", ERROR_BUDGET, FAST), for "2m", "signalbox-overview",
            "Payments fail: the error budget of a month is gone in less than two days",
            "{{ $value | humanizePercentage }} of the answers of {{ $labels.job }} say that something could not be done (91, 96). The objective is 0.1 %.",
            at "2h", fires [(ANSWERED, "0+60x180"), (FAILED, "0+3x180")], quiet [(ANSWERED, "0+60x180"), (FAILED, "0x180"), (DECIDED, "0+60x180")]),
        alert!(Ticket "SignalboxErrorBudgetBurnsSlowly", burns("errors", ERROR_BUDGET, SLOWLY), for "15m", "signalbox-overview",
            "More payments fail than the objective allows",
            "{{ $value | humanizePercentage }} of the answers of {{ $labels.job }} say that something could not be done, for hours.",
            at "2h", fires [(ANSWERED, "0+1000x180"), (FAILED, "0+4x180")], quiet [(ANSWERED, "0+10000x180"), (FAILED, "0+5x180")]),
        alert!(Page "SignalboxLatencyBudgetBurnsFast", burns("slow", LATENCY_BUDGET, FAST), for "2m", "signalbox-line",
            "The switch itself is slow: the latency budget of a month is gone in less than two days",
            "{{ $value | humanizePercentage }} of the transactions of {{ $labels.job }} took the switch more than 10 ms of its own. The objective is 1 %.",
            at "2h", fires [(TIMED, "0+100x180"), (QUICK, "0+50x180")], quiet [(TIMED, "0+100x180"), (QUICK, "0+99.5x180")]),
        alert!(Ticket "SignalboxLatencyBudgetBurnsSlowly", burns("slow", LATENCY_BUDGET, SLOWLY), for "15m", "signalbox-line",
            "The switch itself is slower than the objective allows",
            "{{ $value | humanizePercentage }} of the transactions of {{ $labels.job }} took the switch more than 10 ms of its own, for hours.",
            at "2h", fires [(TIMED, "0+100x180"), (QUICK, "0+96x180")], quiet [(TIMED, "0+100x180"), (QUICK, "0+99.5x180")]),
    ]
}

fn peers() -> Vec<Alert> {
    vec![
        alert!(Page "SignalboxIssuerDown", "sum by (job, instance, issuer) (signalbox_links_up) == 0", for "1m", "signalbox-issuers",
            "Issuer {{ $labels.issuer }} cannot be asked",
            "No link of {{ $labels.issuer }} is up on {{ $labels.instance }}. Its cards get 91, or go to an alternate.",
            at "10m", fires [(r#"signalbox_links_up{job="signalbox",instance="a",issuer="maple"}"#, "2x3 0x20")],
            quiet [(r#"signalbox_links_up{job="signalbox",instance="a",issuer="maple"}"#, "2x3 1x20")]),
        alert!(Page "SignalboxIssuerTimesOut", "issuer:signalbox_timed_out:ratio_rate5m > 0.05", for "2m", "signalbox-issuers",
            "Issuer {{ $labels.issuer }} does not answer in time",
            "{{ $value | humanizePercentage }} of what {{ $labels.issuer }} was asked was not answered in time. Each is told 91 and undone.",
            at "15m", fires [(r#"signalbox_timed_out_total{job="signalbox",instance="a",issuer="maple"}"#, "0+10x20"), (r#"signalbox_forwarded_total{job="signalbox",instance="a",issuer="maple"}"#, "0+100x20")],
            quiet [(r#"signalbox_timed_out_total{job="signalbox",instance="a",issuer="maple"}"#, "0+1x20"), (r#"signalbox_forwarded_total{job="signalbox",instance="a",issuer="maple"}"#, "0+100x20")]),
        alert!(Ticket "SignalboxIssuerWindowFull", "sum by (job, instance, issuer) (signalbox_issuer_in_flight) / (sum by (job, instance, issuer) (signalbox_issuer_window) > 0) > 0.8", for "2m", "signalbox-issuers",
            "Issuer {{ $labels.issuer }} has hardly any room",
            "{{ $value | humanizePercentage }} of the window of {{ $labels.issuer }} is taken. When it is full, requests go to an alternate or get 91.",
            at "10m", fires [(r#"signalbox_issuer_in_flight{job="signalbox",instance="a",issuer="maple"}"#, "90x20"), (r#"signalbox_issuer_window{job="signalbox",instance="a",issuer="maple"}"#, "100x20")],
            quiet [(r#"signalbox_issuer_in_flight{job="signalbox",instance="a",issuer="maple"}"#, "0x20"), (r#"signalbox_issuer_window{job="signalbox",instance="a",issuer="maple"}"#, "0x20")]),
        alert!(Ticket "SignalboxIssuerContradicts", "sum by (job, instance, issuer) (increase(signalbox_unmatched_total[10m]) + increase(signalbox_invalid_total[10m])) > 3", for "1m", "signalbox-issuers",
            "Issuer {{ $labels.issuer }} answers what was not asked",
            "{{ $labels.issuer }} sent {{ $value | humanize }} answers in ten minutes that fit nothing, or fit the keys of a request and not its content.",
            at "15m", fires [(r#"signalbox_unmatched_total{job="signalbox",instance="a",issuer="maple"}"#, "0+1x20"), (r#"signalbox_invalid_total{job="signalbox",instance="a",issuer="maple"}"#, "0x20")],
            quiet [(r#"signalbox_unmatched_total{job="signalbox",instance="a",issuer="maple"}"#, "7x20"), (r#"signalbox_invalid_total{job="signalbox",instance="a",issuer="maple"}"#, "0x20")]),
        alert!(Page "SignalboxAcquirerGone", "sum by (job, instance, acquirer) (signalbox_signed_on) == 0 and sum by (job, instance, acquirer) (max_over_time(signalbox_signed_on[1h])) > 0", for "2m", "signalbox-acquirers",
            "Acquirer {{ $labels.acquirer }} has no connection",
            "{{ $labels.acquirer }} was signed on within the last hour and has no connection on {{ $labels.instance }} now.",
            at "10m", fires [(r#"signalbox_signed_on{job="signalbox",instance="a",acquirer="north"}"#, "4x3 0x20")],
            quiet [(r#"signalbox_signed_on{job="signalbox",instance="a",acquirer="north"}"#, "0x23")]),
        alert!(Ticket "SignalboxAcquirerSilent", "acquirer:signalbox_received:rate5m == 0 and (acquirer:signalbox_received:rate5m offset 15m) > 0", for "5m", "signalbox-acquirers",
            "Acquirer {{ $labels.acquirer }} has fallen silent",
            "{{ $labels.acquirer }} asked a quarter of an hour ago and asks nothing now.",
            at "45m", fires [(r#"signalbox_received_total{job="signalbox",instance="a",acquirer="north",class="authorization"}"#, "0+60x30 1800x30")],
            quiet [(r#"signalbox_received_total{job="signalbox",instance="a",acquirer="north",class="authorization"}"#, "0x60")]),
        alert!(Ticket "SignalboxApprovalsDropped", "acquirer:signalbox_approved:ratio_rate5m < 0.7 * acquirer:signalbox_approved:ratio_rate1d", for "5m", "signalbox-acquirers",
            "Far fewer payments of {{ $labels.acquirer }} are approved than usual",
            "{{ $value | humanizePercentage }} of the requests of {{ $labels.acquirer }} are approved, less than 70 % of its usual share of the last day.",
            at "140m", fires [(r#"signalbox_approved_total{job="signalbox",instance="a",acquirer="north"}"#, "0+60x120 7200+20x40"), (r#"signalbox_declined_total{job="signalbox",instance="a",acquirer="north",reason="issuer_declined"}"#, "0+5x120 600+45x40")],
            quiet [(r#"signalbox_approved_total{job="signalbox",instance="a",acquirer="north"}"#, "0+60x120 7200+20x40"), (r#"signalbox_declined_total{job="signalbox",instance="a",acquirer="north",reason="issuer_declined"}"#, "0+6x120 720+2x40")]),
    ]
}

fn reversals() -> Vec<Alert> {
    vec![
        alert!(Page "SignalboxReversalsOld", "max by (job, instance, issuer) (signalbox_saf_oldest_seconds unless signalbox_saf_parked > 0) > {900}", for "1m", "signalbox-saf",
            "A reversal for {{ $labels.issuer }} has waited for {{ $value | humanizeDuration }}",
            "{{ $labels.issuer }} has not acknowledged a reversal for {{ $value | humanizeDuration }}. Until then a card may be charged for what was not bought.",
            at "10m", fires [(r#"signalbox_saf_oldest_seconds{job="signalbox",instance="a",issuer="maple"}"#, "800+60x20"), (r#"signalbox_saf_parked{job="signalbox",instance="a",issuer="maple"}"#, "0x20")],
            quiet [(r#"signalbox_saf_oldest_seconds{job="signalbox",instance="a",issuer="maple"}"#, "600x20"), (r#"signalbox_saf_parked{job="signalbox",instance="a",issuer="maple"}"#, "0x20")]),
        alert!(Ticket "SignalboxReversalsParked", "sum by (job, instance, issuer) (signalbox_saf_parked) > 0", for "1m", "signalbox-saf",
            "{{ $value }} reversals that {{ $labels.issuer }} refuses need a person",
            "{{ $labels.issuer }} answered reversals with a code that means never as it is. They are set aside, and the rest goes on.",
            at "10m", fires [(r#"signalbox_saf_parked{job="signalbox",instance="a",issuer="maple"}"#, "1x20")],
            quiet [(r#"signalbox_saf_parked{job="signalbox",instance="a",issuer="maple"}"#, "0x20")]),
        alert!(Ticket "SignalboxApprovalStands", "sum by (job, instance, issuer) (increase(signalbox_late_left_standing_total[10m])) > 0", for "1m", "signalbox-issuers",
            "{{ $labels.issuer }} may hold approvals that nobody was told of",
            "In ten minutes {{ $value | humanize }} approvals of {{ $labels.issuer }} came late for payments that are known no more. They were not undone.",
            at "10m", fires [(r#"signalbox_late_left_standing_total{job="signalbox",instance="a",issuer="maple"}"#, "0x3 1+1x20")],
            quiet [(r#"signalbox_late_left_standing_total{job="signalbox",instance="a",issuer="maple"}"#, "7x20")]),
        alert!(Ticket "SignalboxSafPilesUp", "sum by (job, instance, issuer) (delta(signalbox_saf_depth[15m])) > 100", for "5m", "signalbox-saf",
            "{{ $labels.issuer }} acknowledges less than it must be told",
            "In a quarter of an hour {{ $value | humanize }} more reversals and advices came to wait for {{ $labels.issuer }} than it acknowledged.",
            at "30m", fires [(r#"signalbox_saf_depth{job="signalbox",instance="a",issuer="maple"}"#, "0+20x40")],
            quiet [(r#"signalbox_saf_depth{job="signalbox",instance="a",issuer="maple"}"#, "5000x40")]),
        alert!(Ticket "SignalboxStandsIn", "sum by (job, instance, issuer) (increase(signalbox_stood_in_total[5m])) > 0", for "1m", "signalbox-issuers",
            "The switch approves for {{ $labels.issuer }}",
            "{{ $value | humanize }} purchases in five minutes were approved here because {{ $labels.issuer }} could not be asked. It is told by advices.",
            at "10m", fires [(r#"signalbox_stood_in_total{job="signalbox",instance="a",issuer="maple"}"#, "0x3 1+1x20")],
            quiet [(r#"signalbox_stood_in_total{job="signalbox",instance="a",issuer="maple"}"#, "40x20")]),
        alert!(Page "SignalboxReversalsFill", "max by (job, instance, issuer) (signalbox_saf_depth / on (job, instance) group_left () signalbox_saf_limit) > 0.5", for "1m", "signalbox-saf",
            "Half the room for reversals of {{ $labels.issuer }} is taken",
            "{{ $value | humanizePercentage }} of the reversals that may wait for {{ $labels.issuer }} do. When all do, it is asked nothing new.",
            at "10m", fires [(r#"signalbox_saf_depth{job="signalbox",instance="a",issuer="maple"}"#, "60x20"), (r#"signalbox_saf_limit{job="signalbox",instance="a"}"#, "100x20")],
            quiet [(r#"signalbox_saf_depth{job="signalbox",instance="a",issuer="maple"}"#, "40x20"), (r#"signalbox_saf_limit{job="signalbox",instance="a"}"#, "100x20")]),
        alert!(Page "SignalboxJournalFull", "max by (job, instance) (signalbox_journal_low) == 1", for "1m", "signalbox-saf",
            "No room for the journal: new requests are refused",
            "{{ $labels.instance }} cannot make another journal segment. New requests get 96; reversals and answers still work for a while.",
            at "10m", fires [(r#"signalbox_journal_low{job="signalbox",instance="a"}"#, "0x3 1x20")],
            quiet [(r#"signalbox_journal_low{job="signalbox",instance="a"}"#, "0x20")]),
        alert!(Ticket "SignalboxJournalSlow", "instance:signalbox_journal_sync_seconds:p99_5m > 0.1", for "5m", "signalbox-saf",
            "The disk of the journal is slow",
            "99 of 100 syncs on {{ $labels.instance }} take up to {{ $value | humanizeDuration }}. Every payment waits for two of them.",
            at "20m", fires [(r#"signalbox_journal_sync_seconds_bucket{job="signalbox",instance="a",le="0.1"}"#, "0+50x20"), (r#"signalbox_journal_sync_seconds_bucket{job="signalbox",instance="a",le="0.25"}"#, "0+100x20"), (r#"signalbox_journal_sync_seconds_bucket{job="signalbox",instance="a",le="+Inf"}"#, "0+100x20")],
            quiet [(r#"signalbox_journal_sync_seconds_bucket{job="signalbox",instance="a",le="0.005"}"#, "0+100x20"), (r#"signalbox_journal_sync_seconds_bucket{job="signalbox",instance="a",le="+Inf"}"#, "0+100x20")]),
    ]
}

fn token() -> Vec<Alert> {
    vec![
        alert!(Page "SignalboxTokenDown", "min by (job, instance) (signalbox_token_up) == 0 and on (job, instance) signalbox_programs > 0", for "1m", "signalbox-token",
            "The token does not answer",
            "The PKCS#11 token of {{ $labels.instance }} fails. Cards of programs get 96; nothing of theirs is used up.",
            at "10m", fires [(r#"signalbox_token_up{job="signalbox",instance="a"}"#, "1x3 0x20"), (r#"signalbox_programs{job="signalbox",instance="a"}"#, "2x23")],
            quiet [(r#"signalbox_token_up{job="signalbox",instance="a"}"#, "0x23"), (r#"signalbox_programs{job="signalbox",instance="a"}"#, "0x23")]),
        alert!(Ticket "SignalboxTokenWorkersLost", "sum by (job, instance) (increase(signalbox_token_lost_total[10m])) > 2", for "1m", "signalbox-token",
            "Token workers of {{ $labels.instance }} are lost again and again",
            "{{ $value | humanize }} token workers in ten minutes hung, crashed or said what cannot be. Each takes the questions along that it had.",
            at "20m", fires [(r#"signalbox_token_lost_total{job="signalbox",instance="a"}"#, "0+1x30")],
            quiet [(r#"signalbox_token_lost_total{job="signalbox",instance="a"}"#, "0x5 1x25")]),
        alert!(Ticket "SignalboxTokenBreakerOpen", "max by (job, instance) (avg_over_time(signalbox_token_breakers_open[10m])) > 0.1", for "1m", "signalbox-token",
            "A token worker of {{ $labels.instance }} is there and not asked",
            "For more than a minute of the last ten, token workers of {{ $labels.instance }} were not asked, because they had failed or were too slow.",
            at "20m", fires [(r#"signalbox_token_breakers_open{job="signalbox",instance="a"}"#, "0 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1")],
            quiet [(r#"signalbox_token_breakers_open{job="signalbox",instance="a"}"#, "0x8 1 0x20")]),
        alert!(Ticket "SignalboxTokenDoesNotSay", r#"sum by (job, instance, program) (rate(signalbox_proofs_total{outcome="unknown"}[5m])) / sum by (job, instance, program) (rate(signalbox_proofs_total[5m])) > 0.01"#, for "2m", "signalbox-token",
            "The token leaves questions of {{ $labels.program }} unanswered",
            "{{ $value | humanizePercentage }} of the questions of {{ $labels.program }} were not answered in time or not at all.",
            at "15m", fires [(r#"signalbox_proofs_total{job="signalbox",instance="a",program="wallet",outcome="unknown"}"#, "0+5x20"), (r#"signalbox_proofs_total{job="signalbox",instance="a",program="wallet",outcome="right"}"#, "0+95x20")],
            quiet [(r#"signalbox_proofs_total{job="signalbox",instance="a",program="wallet",outcome="unknown"}"#, "0x20"), (r#"signalbox_proofs_total{job="signalbox",instance="a",program="wallet",outcome="right"}"#, "0+95x20")]),
        alert!(Ticket "SignalboxCodesWrong", r#"sum by (job, instance, program) (increase(signalbox_program_declined_total{reason=~"code_mismatch|response_mismatch|track_mismatch|atc_unknown|challenge_unknown"}[10m])) > 30"#, for "1m", "signalbox-security",
            "Somebody may be guessing codes of {{ $labels.program }}",
            "{{ $value | humanize }} codes of {{ $labels.program }} in ten minutes were wrong, or for nothing that was given out.",
            at "20m", fires [(r#"signalbox_program_declined_total{job="signalbox",instance="a",program="wallet",reason="code_mismatch"}"#, "0+10x30")],
            quiet [(r#"signalbox_program_declined_total{job="signalbox",instance="a",program="wallet",reason="code_mismatch"}"#, "0+1x30")]),
        alert!(Ticket "SignalboxCodesReplayed", r#"sum by (job, instance, program) (increase(signalbox_program_declined_total{reason=~"atc_used|challenge_consumed"}[10m])) > 10"#, for "1m", "signalbox-security",
            "Codes of {{ $labels.program }} are presented again",
            "{{ $value | humanize }} codes of {{ $labels.program }} in ten minutes had been used before.",
            at "20m", fires [(r#"signalbox_program_declined_total{job="signalbox",instance="a",program="wallet",reason="atc_used"}"#, "0+5x30")],
            quiet [(r#"signalbox_program_declined_total{job="signalbox",instance="a",program="wallet",reason="atc_used"}"#, "4x30")]),
    ]
}

fn process() -> Vec<Alert> {
    vec![
        alert!(Page "SignalboxGone", r#"up{job="signalbox"} == 0"#, for "1m", "signalbox-overview",
            "{{ $labels.instance }} does not answer",
            "The figures of {{ $labels.instance }} cannot be read: the process is gone, hangs, or cannot be reached.",
            at "10m", fires [(r#"up{job="signalbox",instance="a"}"#, "1x3 0x20")], quiet [(r#"up{job="signalbox",instance="a"}"#, "1x20")]),
        alert!(Ticket "SignalboxRestarts", "changes(process_start_time_seconds{job=\"signalbox\"}[1h]) > 1", for "0m", "signalbox-overview",
            "{{ $labels.instance }} starts again and again",
            "{{ $labels.instance }} was started {{ $value }} times in the last hour.",
            at "30m", fires [(r#"process_start_time_seconds{job="signalbox",instance="a"}"#, "100x5 400x5 800x30")],
            quiet [(r#"process_start_time_seconds{job="signalbox",instance="a"}"#, "100x5 400x40")]),
        alert!(Page "SignalboxShardHangs", "max by (job, instance, shard) (signalbox_shard_silence_seconds) > 2", for "30s", "signalbox-overview",
            "Shard {{ $labels.shard }} of {{ $labels.instance }} hangs",
            "A shard has not looked around for {{ $value | humanizeDuration }}. Nothing of its connections and cards moves.",
            at "10m", fires [(r#"signalbox_shard_silence_seconds{job="signalbox",instance="a",shard="0"}"#, "0x3 60+60x20")],
            quiet [(r#"signalbox_shard_silence_seconds{job="signalbox",instance="a",shard="0"}"#, "0.05x20")]),
        alert!(Page "SignalboxNearFull", "sum by (job, instance) (signalbox_in_flight) / sum by (job, instance) (signalbox_in_flight_limit) > 0.8", for "1m", "signalbox-overview",
            "{{ $labels.instance }} has hardly any room for requests",
            "{{ $value | humanizePercentage }} of the requests that may be in flight are. Beyond it new ones get 91.",
            at "10m", fires [(r#"signalbox_in_flight{job="signalbox",instance="a"}"#, "90x20"), (r#"signalbox_in_flight_limit{job="signalbox",instance="a"}"#, "100x20")],
            quiet [(r#"signalbox_in_flight{job="signalbox",instance="a"}"#, "9x20"), (r#"signalbox_in_flight_limit{job="signalbox",instance="a"}"#, "100x20")]),
        alert!(Ticket "SignalboxReloadRefused", "min by (job, instance) (signalbox_config_last_reload_ok) == 0", for "5m", "signalbox-security",
            "{{ $labels.instance }} refused its new configuration",
            "The last reload of {{ $labels.instance }} was refused. It runs on as it was, and would not start with the file as it is.",
            at "15m", fires [(r#"signalbox_config_last_reload_ok{job="signalbox",instance="a"}"#, "1x3 0x20")],
            quiet [(r#"signalbox_config_last_reload_ok{job="signalbox",instance="a"}"#, "1x20")]),
        alert!(Ticket "SignalboxFilesRunOut", "process_open_fds{job=\"signalbox\"} / process_max_fds{job=\"signalbox\"} > 0.8", for "5m", "signalbox-overview",
            "{{ $labels.instance }} can hardly open another connection",
            "{{ $value | humanizePercentage }} of the files that {{ $labels.instance }} may open are open.",
            at "15m", fires [(r#"process_open_fds{job="signalbox",instance="a"}"#, "900x20"), (r#"process_max_fds{job="signalbox",instance="a"}"#, "1024x20")],
            quiet [(r#"process_open_fds{job="signalbox",instance="a"}"#, "90x20"), (r#"process_max_fds{job="signalbox",instance="a"}"#, "1024x20")]),
        alert!(Ticket "SignalboxMemoryShort", "sum by (job, instance) (increase(signalbox_recent_evicted_total[10m])) > 0", for "1m", "signalbox-overview",
            "{{ $labels.instance }} forgets requests before their time",
            "{{ $value | humanize }} ended requests were forgotten in ten minutes to make room: a repeat of one would not be recognised.",
            at "15m", fires [(r#"signalbox_recent_evicted_total{job="signalbox",instance="a"}"#, "0+5x20")],
            quiet [(r#"signalbox_recent_evicted_total{job="signalbox",instance="a"}"#, "50x20")]),
    ]
}

fn doors() -> Vec<Alert> {
    vec![
        alert!(Ticket "SignalboxCertificateEnds", "min by (job, instance, peer, certificate) (signalbox_certificate_expiry_timestamp_seconds) - time() < 21 * 86400", for "5m", "signalbox-security",
            "A certificate of the links with {{ $labels.peer }} ends in {{ $value | humanizeDuration }}",
            "The {{ $labels.certificate }} certificate of {{ $labels.peer }} ends in {{ $value | humanizeDuration }}. Then no new connection with it can be made.",
            at "15m", fires [(r#"signalbox_certificate_expiry_timestamp_seconds{job="signalbox",instance="a",peer="north",certificate="own"}"#, "864000x20")],
            quiet [(r#"signalbox_certificate_expiry_timestamp_seconds{job="signalbox",instance="a",peer="north",certificate="own"}"#, "8640000x20")]),
        alert!(Ticket "SignalboxStrangersKnock", r#"sum by (job, instance) (increase(signalbox_connections_refused_total{reason="not_trusted"}[10m])) > 5"#, for "1m", "signalbox-security",
            "Handshakes fail at {{ $labels.instance }}",
            "{{ $value | humanize }} TLS handshakes in ten minutes failed, or showed a certificate of somebody else.",
            at "15m", fires [(r#"signalbox_connections_refused_total{job="signalbox",instance="a",reason="not_trusted"}"#, "0+2x20")],
            quiet [(r#"signalbox_connections_refused_total{job="signalbox",instance="a",reason="not_trusted"}"#, "3x20")]),
    ]
}
