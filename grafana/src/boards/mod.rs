//! The dashboards, in the order in which somebody who was called would open them.

mod acquirers;
mod issuers;
mod line;
mod overview;
mod programs;
mod saf;
mod security;
mod token;

use switch::catalogue::{self, Entry, Kind};

use crate::model::{Dashboard, Panel, Row, graph, query};

/// Every dashboard.
#[must_use]
pub fn all() -> Vec<Dashboard> {
    let mut all = vec![
        overview::board(),
        line::board(),
        acquirers::board(),
        issuers::board(),
        token::board(),
        saf::board(),
        programs::board(),
        security::board(),
    ];
    let rest = unplaced(&all);
    if !rest.is_empty() {
        all[0].rows.push(Row { title: "Also counted", panels: rest });
    }
    all
}

/// A plain panel for each metric of the catalogue that no dashboard shows, so that none is forgotten.
fn unplaced(boards: &[Dashboard]) -> Vec<Panel> {
    let panels = boards.iter().flat_map(Dashboard::panels);
    let shown: String = panels.flat_map(Panel::expressions).collect::<Vec<_>>().join("\n");
    let is_shown = |entry: &&Entry| {
        let mut places = shown.match_indices(entry.name).map(|(at, name)| &shown[at + name.len()..]);
        places.any(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase()) || rest.starts_with("_bucket"))
    };
    catalogue::entries().filter(|entry| !is_shown(entry)).map(plain).collect()
}

fn plain(entry: &'static Entry) -> Panel {
    let (name, title) = (entry.name, entry.name.trim_start_matches("signalbox_").replace('_', " "));
    let by = entry.labels.iter().map(|label| label.name()).collect::<Vec<_>>().join(", ");
    let unit = match (entry.unit(), entry.kind()) {
        ("seconds", Kind::Gauge | Kind::Histogram) => "s",
        ("bytes", Kind::Counter) => "Bps",
        ("bytes", _) => "bytes",
        (_, Kind::Counter) => "cps",
        _ => "short",
    };
    let expression = match entry.kind() {
        Kind::Counter => format!("sum by ({by}) (rate({name}{{@}}[$__rate_interval]))"),
        Kind::Gauge => format!("sum by ({by}) ({name}{{@}})"),
        Kind::Histogram => {
            format!("histogram_quantile(0.99, sum by (le) (rate({name}_bucket{{@}}[$__rate_interval])))")
        }
    };
    graph(&title, unit, entry.help, vec![query(expression, "__auto")])
}
