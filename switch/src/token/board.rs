//! How the workers stand, for the page of readiness.

use serde_json::{Value, json};

use super::Figures;

/// How one place stands.
pub(crate) fn told(figures: &Figures) -> Value {
    let state = match (figures.is_up, figures.is_open) {
        (true, _) => "up",
        (false, true) => "breaker open",
        (false, false) => "starting",
    };
    json!({
        "state": state, "restarts": figures.restarts, "waiting": figures.waiting,
        "late": figures.late, "derivations": figures.derivations,
    })
}
