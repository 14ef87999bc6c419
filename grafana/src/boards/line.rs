//! The path of a payment, stage by stage, in the order of the code.

use crate::model::{Dashboard, Row, graph, heat, query, stack};

pub(super) fn board() -> Dashboard {
    Dashboard {
        uid: "signalbox-line",
        title: "Signalbox / Line by stage",
        description: "Where on its way does a payment stop or wait? One row for each stage, in the order of the path.",
        rows: vec![
            Row {
                title: "Received",
                panels: vec![
                    stack(
                        "Requests by class",
                        "reqps",
                        "What was read, by class of message. `other` could be read but not be taken.",
                        vec![query(
                            "sum by (class) (rate(signalbox_received_total{@}[$__rate_interval]))",
                            "{{class}}",
                        )],
                    ),
                    graph(
                        "Repeats",
                        "reqps",
                        "Repeats answered from memory, and repeats joined to the request in flight.",
                        vec![
                            query(
                                "sum(rate(signalbox_duplicates_total{@}[$__rate_interval]))",
                                "answered from memory",
                            ),
                            query("sum(rate(signalbox_joined_total{@}[$__rate_interval]))", "joined"),
                        ],
                    ),
                    graph(
                        "Refused before a decision",
                        "reqps",
                        "Declines for what a message says, or for want of room.",
                        vec![query(
                            "sum by (reason) (rate(signalbox_declined_total{@,reason=~\"format_error|not_supported|not_allowed|luhn_failed|duplicate_other_content|overloaded|draining|expired_card|invalid_amount\"}[$__rate_interval])) > 0",
                            "{{reason}}",
                        )],
                    ),
                ],
            },
            Row {
                title: "Proven",
                panels: vec![
                    graph(
                        "Questions to the token",
                        "reqps",
                        "By what it said. `unknown` is a decline with 96 that uses nothing up.",
                        vec![query(
                            "sum by (outcome) (rate(signalbox_proofs_total{@}[$__rate_interval]))",
                            "{{outcome}}",
                        )],
                    ),
                    graph(
                        "Wait for the token",
                        "s",
                        "From a question to what the token said.",
                        vec![
                            query(
                                "histogram_quantile(0.5, sum by (le) (rate(signalbox_proof_seconds_bucket{@}[$__rate_interval])))",
                                "p50",
                            ),
                            query(
                                "histogram_quantile(0.99, sum by (le) (rate(signalbox_proof_seconds_bucket{@}[$__rate_interval])))",
                                "p99",
                            ),
                        ],
                    ),
                    graph(
                        "Waiting for the token",
                        "short",
                        "Requests that wait at this moment.",
                        vec![query("sum(signalbox_proofs_waiting{@})", "waiting")],
                    ),
                ],
            },
            Row {
                title: "Forwarded and answered",
                panels: vec![
                    graph(
                        "Sent to issuers",
                        "reqps",
                        "By issuer.",
                        vec![query(
                            "sum by (issuer) (rate(signalbox_forwarded_total{@}[$__rate_interval]))",
                            "{{issuer}}",
                        )],
                    ),
                    graph(
                        "Round trip",
                        "s",
                        "From a request sent to its answer, 99 of 100.",
                        vec![query(
                            "histogram_quantile(0.99, sum by (le, issuer) (rate(signalbox_issuer_seconds_bucket{@}[$__rate_interval])))",
                            "{{issuer}}",
                        )],
                    ),
                    graph(
                        "Not answered",
                        "reqps",
                        "Time-outs and lost links, and what came too late.",
                        vec![
                            query(
                                "sum by (issuer) (rate(signalbox_timed_out_total{@}[$__rate_interval]))",
                                "timed out {{issuer}}",
                            ),
                            query(
                                "sum by (issuer) (rate(signalbox_late_total{@}[$__rate_interval]))",
                                "late {{issuer}}",
                            ),
                        ],
                    ),
                ],
            },
            Row {
                title: "Durable",
                panels: vec![
                    graph(
                        "Duration of a sync",
                        "s",
                        "What a payment waits for the disk, at journal level `sync`, twice.",
                        vec![
                            query(
                                "histogram_quantile(0.5, sum by (le) (rate(signalbox_journal_sync_seconds_bucket{@}[$__rate_interval])))",
                                "p50",
                            ),
                            query(
                                "histogram_quantile(0.99, sum by (le) (rate(signalbox_journal_sync_seconds_bucket{@}[$__rate_interval])))",
                                "p99",
                            ),
                        ],
                    ),
                    graph(
                        "Facts in a sync",
                        "short",
                        "A slow disk makes larger groups.",
                        vec![query(
                            "sum(rate(signalbox_journal_facts_total{@}[$__rate_interval])) / sum(rate(signalbox_journal_syncs_total{@}[$__rate_interval]))",
                            "facts",
                        )],
                    ),
                    graph(
                        "In flight",
                        "short",
                        "Requests that wait for their issuer or for the token.",
                        vec![query("sum(signalbox_in_flight{@})", "in flight")],
                    ),
                ],
            },
            Row {
                title: "Replied and undone",
                panels: vec![
                    heat(
                        "Whole transaction",
                        "From the last byte of a request to its answer, issuer included.",
                        "sum by (le) (rate(signalbox_transaction_seconds_bucket{@}[$__rate_interval]))",
                    ),
                    heat(
                        "Own share",
                        "The same, less the time of the issuer.",
                        "sum by (le) (rate(signalbox_switch_seconds_bucket{@}[$__rate_interval]))",
                    ),
                    graph(
                        "Undone",
                        "reqps",
                        "Reversals of acquirers that were taken, and ours that issuers acknowledged.",
                        vec![
                            query("sum(rate(signalbox_reversals_total{@}[$__rate_interval]))", "taken"),
                            query("sum(rate(signalbox_saf_done_total{@}[$__rate_interval]))", "acknowledged"),
                            query(
                                "sum(rate(signalbox_undeliverable_total{@}[$__rate_interval]))",
                                "outcomes nobody heard",
                            ),
                        ],
                    ),
                ],
            },
        ],
    }
}
