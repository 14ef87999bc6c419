//! Who guesses, replays, knocks.

use crate::model::{Dashboard, Row, graph, query};

pub(super) fn board() -> Dashboard {
    Dashboard {
        uid: "signalbox-security",
        title: "Signalbox / Security",
        description: "Does somebody guess codes, replay them, or knock at a door that is not theirs?",
        rows: vec![
            Row {
                title: "Codes",
                panels: vec![
                    graph(
                        "Wrong codes",
                        "reqps",
                        "By program.",
                        vec![query(
                            "sum by (program) (rate(signalbox_program_declined_total{@,reason=~\"code_mismatch|response_mismatch\"}[$__rate_interval]))",
                            "{{program}}",
                        )],
                    ),
                    graph(
                        "Replays",
                        "reqps",
                        "Counters and challenges that were used before.",
                        vec![query(
                            "sum by (program, reason) (rate(signalbox_program_declined_total{@,reason=~\"atc_used|challenge_consumed\"}[$__rate_interval]))",
                            "{{program}} {{reason}}",
                        )],
                    ),
                    graph(
                        "Blocked and dead",
                        "reqps",
                        "Cards blocked, entries with too many wrong codes.",
                        vec![query(
                            "sum by (program, reason) (rate(signalbox_program_declined_total{@,reason=~\"card_blocked|atc_dead|challenge_locked|security_violation|unknown_card\"}[$__rate_interval]))",
                            "{{program}} {{reason}}",
                        )],
                    ),
                    graph(
                        "Codes of messages",
                        "reqps",
                        "DE 64 and 128 that were wrong or missing, or of which the token said nothing; messages it made none for.",
                        vec![
                            query(
                                "sum by (peer, outcome) (rate(signalbox_macs_total{@,outcome!=\"right\"}[$__rate_interval]))",
                                "{{peer}} {{outcome}}",
                            ),
                            query(
                                "sum by (peer) (rate(signalbox_macs_unmade_total{@}[$__rate_interval]))",
                                "{{peer}} not made",
                            ),
                        ],
                    ),
                ],
            },
            Row {
                title: "Doors",
                panels: vec![
                    graph(
                        "Connections refused",
                        "cps",
                        "By reason. `not_trusted` is a TLS handshake that failed, or a certificate of somebody else.",
                        vec![query(
                            "sum by (reason) (rate(signalbox_connections_refused_total{@}[$__rate_interval]))",
                            "{{reason}}",
                        )],
                    ),
                    graph(
                        "Links that ended",
                        "cps",
                        "By reason.",
                        vec![query(
                            "sum by (reason) (rate(signalbox_links_ended_total{@}[$__rate_interval])) > 0",
                            "{{reason}}",
                        )],
                    ),
                    graph(
                        "Out of place",
                        "cps",
                        "Messages that cannot be read; responses from acquirers and requests from issuers.",
                        vec![
                            query("sum(rate(signalbox_glitches_total{@}[$__rate_interval]))", "unreadable"),
                            query(
                                "sum(rate(signalbox_misdirected_total{@}[$__rate_interval]))",
                                "misdirected",
                            ),
                        ],
                    ),
                    graph(
                        "Not allowed",
                        "reqps",
                        "Requests of a principal for what it may not use.",
                        vec![query(
                            "sum by (acquirer) (rate(signalbox_declined_total{@,reason=\"not_allowed\"}[$__rate_interval]))",
                            "{{acquirer}}",
                        )],
                    ),
                    graph(
                        "Certificates",
                        "d",
                        "Days until the first certificate of a peer ends: ours, and those we trust.",
                        vec![query(
                            "(min by (peer, certificate) (signalbox_certificate_expiry_timestamp_seconds{@}) - time()) / 86400",
                            "{{peer}} {{certificate}}",
                        )],
                    ),
                    graph(
                        "Configuration",
                        "short",
                        "Configurations taken since the start; a step is a reload. And whether the last reload was made: 1 or 0.",
                        vec![
                            query("signalbox_config_generation{@}", "{{instance}} generation"),
                            query("signalbox_config_last_reload_ok{@}", "{{instance}} last reload"),
                        ],
                    ),
                ],
            },
        ],
    }
}
