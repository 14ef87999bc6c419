//! The programs and their cards.

use crate::model::{Dashboard, Row, graph, query, stack};

pub(super) fn board() -> Dashboard {
    Dashboard { uid: "signalbox-programs", title: "Signalbox / Programs", description: "Are codes right, and why are the cards of a program declined?", rows: vec![Row { title: "Codes", panels: vec![graph("Right", "reqps", "By program.", vec![query("sum by (program) (rate(signalbox_proofs_total{@,outcome=\"right\"}[$__rate_interval]))", "{{program}}")]), graph("Wrong", "percentunit", "Of all that the token judged.", vec![query("sum by (program) (rate(signalbox_proofs_total{@,outcome=\"wrong\"}[$__rate_interval])) / sum by (program) (rate(signalbox_proofs_total{@}[$__rate_interval]))", "{{program}}")]), graph("Did not say", "reqps", "Questions the token did not answer.", vec![query("sum by (program) (rate(signalbox_proofs_total{@,outcome=\"unknown\"}[$__rate_interval]))", "{{program}}")])] }, Row { title: "Declines and cards", panels: vec![stack("Declined here", "reqps", "By reason. To the acquirer most of them are the same code.", vec![query("sum by (program, reason) (rate(signalbox_program_declined_total{@}[$__rate_interval])) > 0", "{{program}} {{reason}}")]).width(16), graph("Cards", "short", "In memory. How much of their room they take is on the overview.", vec![query("sum(signalbox_cards{@})", "cards")])] }] }
}
