//! Does money flow, and if not, why?

use crate::model::{Dashboard, Row, graph, number, query, stack};
use crate::rules::ERROR_CODES;

pub(super) fn board() -> Dashboard {
    Dashboard {
        uid: "signalbox-overview",
        title: "Signalbox / Overview",
        description: "Does money flow, and if not, why? The four signals, the promises still to be kept, and what a machine has left.",
        rows: vec![numbers(), signals(), promises(), process()],
    }
}

fn numbers() -> Row {
    Row {
        title: "Now",
        panels: vec![
            number(
                "Approved",
                "reqps",
                "Approvals told a second.",
                vec![query("sum(rate(signalbox_approved_total{@}[$__rate_interval]))", "approved")],
            ),
            number(
                "Approval ratio",
                "percentunit",
                "Of all that was approved or declined. A drop without errors is an issuer's decision, or a program's.",
                vec![query(
                    "sum(rate(signalbox_approved_total{@}[$__rate_interval])) / (sum(rate(signalbox_approved_total{@}[$__rate_interval])) + sum(rate(signalbox_declined_total{@}[$__rate_interval])))",
                    "approved",
                )],
            )
            .max(1.0),
            number(
                "Errors",
                "percentunit",
                "Share of answers that say that something could not be done (91, 96), not that it may not be done. The objective is 0.1 %.",
                vec![query(errors("$__rate_interval"), "errors")],
            )
            .steps(&[(0.001, "orange"), (0.01, "red")]),
            number(
                "Own share, p99",
                "s",
                "What the switch adds to an issuer's time, 99 of 100 transactions. The objective is 10 ms.",
                vec![query(
                    "histogram_quantile(0.99, sum by (le) (rate(signalbox_switch_seconds_bucket{@}[$__rate_interval])))",
                    "p99",
                )],
            )
            .steps(&[(0.01, "orange"), (0.1, "red")]),
            number(
                "Issuers with a link",
                "short",
                "Issuers that can be asked at this moment.",
                vec![query("sum(signalbox_links_up{@} > bool 0)", "issuers")],
            )
            .good_from(1.0),
            number(
                "Reversals parked",
                "short",
                "Reversals that an issuer refuses: each needs a person.",
                vec![query("sum(signalbox_saf_parked{@})", "parked")],
            )
            .steps(&[(1.0, "red")]),
        ],
    }
}

fn signals() -> Row {
    Row {
        title: "Traffic, errors, latency, saturation",
        panels: vec![
            stack(
                "Traffic",
                "reqps",
                "Requests read, by acquirer.",
                vec![query(
                    "sum by (acquirer) (rate(signalbox_received_total{@,class!=\"network\"}[$__rate_interval]))",
                    "{{acquirer}}",
                )],
            ),
            stack(
                "Answers",
                "reqps",
                "Answers sent, by DE 39.",
                vec![query(
                    "sum by (code) (rate(signalbox_responses_total{@}[$__rate_interval])) > 0",
                    "{{code}}",
                )],
            ),
            graph(
                "Errors",
                "percentunit",
                "Share of answers with a code that means that something could not be done.",
                vec![query(errors("$__rate_interval"), "errors")],
            )
            .steps(&[(0.001, "red")]),
            graph(
                "Latency, whole",
                "s",
                "From a request's last byte to its answer, issuer included.",
                vec![query(whole(0.5), "p50"), query(whole(0.99), "p99"), query(whole(0.999), "p99.9")],
            ),
            graph(
                "Declines",
                "reqps",
                "Declines by reason; those of issuers are `issuer_declined`.",
                vec![query(
                    "sum by (reason) (rate(signalbox_declined_total{@}[$__rate_interval])) > 0",
                    "{{reason}}",
                )],
            ),
            graph(
                "Approved amounts",
                "short",
                "Minor units a second, by currency (DE 49). Cents of one currency cannot be added to those of another: look at each.",
                vec![query(
                    "sum by (currency) (rate(signalbox_approved_minor_units_total{@}[$__rate_interval])) > 0",
                    "{{currency}}",
                )],
            ),
            graph(
                "Saturation",
                "percentunit",
                "How much of each bound is taken. At 1 new requests are refused.",
                vec![
                    query("sum(signalbox_in_flight{@}) / sum(signalbox_in_flight_limit{@})", "in flight"),
                    query(
                        "max(signalbox_saf_depth{@}) / max(signalbox_saf_limit{@})",
                        "reversals of one issuer",
                    ),
                    query("sum(signalbox_cards{@}) / sum(signalbox_cards_limit{@})", "cards"),
                    query("max(process_open_fds{@} / process_max_fds{@})", "open files"),
                ],
            ),
        ],
    }
}

fn promises() -> Row {
    Row {
        title: "Promises and proofs",
        panels: vec![
            graph(
                "Reversals not acknowledged",
                "short",
                "By issuer. They are sent until acknowledged.",
                vec![query("sum by (issuer) (signalbox_saf_depth{@})", "{{issuer}}")],
            ),
            graph(
                "Links up",
                "short",
                "Links over which an issuer can be asked, and connections over which an acquirer may ask.",
                vec![
                    query("sum by (issuer) (signalbox_links_up{@})", "{{issuer}}"),
                    query("sum by (acquirer) (signalbox_signed_on{@})", "{{acquirer}}"),
                ],
            ),
            graph(
                "Token and journal",
                "short",
                "1 is well: the token answers; there is room for the journal; the switch is not stopping.",
                vec![
                    query("min(signalbox_token_up{@})", "token answers"),
                    query("1 - max(signalbox_journal_low{@})", "journal has room"),
                    query("1 - max(signalbox_draining{@})", "takes requests"),
                ],
            )
            .max(1.0),
        ],
    }
}

fn process() -> Row {
    Row {
        title: "Process",
        panels: vec![
            graph(
                "Processor",
                "short",
                "Processors in use.",
                vec![query("rate(process_cpu_seconds_total{@}[$__rate_interval])", "{{instance}}")],
            )
            .width(6),
            graph(
                "Memory",
                "bytes",
                "Resident. It should stay level under level load.",
                vec![query("process_resident_memory_bytes{@}", "{{instance}}")],
            )
            .width(6),
            graph(
                "Threads and files",
                "short",
                "Threads and open files of the process.",
                vec![
                    query("process_threads{@}", "threads {{instance}}"),
                    query("process_open_fds{@}", "files {{instance}}"),
                ],
            )
            .width(6),
            graph(
                "Traces",
                "cps",
                "Traces of sampled payments that a collector took, and ones that were lost. Zero in a build without `otel`.",
                vec![
                    query("sum(rate(signalbox_traces_sent_total{@}[$__rate_interval]))", "taken"),
                    query("sum(rate(signalbox_traces_lost_total{@}[$__rate_interval]))", "lost"),
                ],
            )
            .width(6),
            graph(
                "Silence of shards",
                "s",
                "How long ago a shard last looked around. Above a second a shard hangs.",
                vec![query("max by (shard) (signalbox_shard_silence_seconds{@})", "{{shard}}")],
            )
            .width(6),
            graph(
                "Age",
                "s",
                "Since the process started.",
                vec![query("time() - process_start_time_seconds{@}", "{{instance}}")],
            )
            .width(6),
            graph(
                "Hops waiting",
                "short",
                "Messages that wait for another shard. A queue that is full refuses new requests.",
                vec![query("sum by (shard) (signalbox_hop_queue_depth{@})", "{{shard}}")],
            )
            .width(6),
            graph(
                "Requests remembered",
                "short",
                "For repeats; and how many a second had to be forgotten too early.",
                vec![
                    query("sum(signalbox_recent_entries{@})", "remembered"),
                    query("sum(rate(signalbox_recent_evicted_total{@}[$__rate_interval]))", "forgotten too early"),
                ],
            )
            .width(6),
            graph(
                "Configuration and version",
                "short",
                "Configurations taken since the start, by instance and version.",
                vec![query(
                    "signalbox_config_generation{@} * on (job, instance) group_left (version) signalbox_build_info{@}",
                    "{{instance}} {{version}}",
                )],
            )
            .width(6),
        ],
    }
}

fn errors(window: &str) -> String {
    format!(
        "sum(rate(signalbox_responses_total{{@,code=~\"{ERROR_CODES}\"}}[{window}])) / sum(rate(signalbox_responses_total{{@}}[{window}]))"
    )
}

fn whole(quantile: f64) -> String {
    format!(
        "histogram_quantile({quantile}, sum by (le) (rate(signalbox_transaction_seconds_bucket{{@}}[$__rate_interval])))"
    )
}
