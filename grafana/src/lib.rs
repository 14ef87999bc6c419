//! What operators look at, as code. The catalogue of the switch says which metrics there are; this crate turns it
//! into files that Prometheus and Grafana read. The files are checked in, and a test fails when they are not what
//! this code writes.
//!
//! | file | what it does |
//! | --- | --- |
//! | `model` | the dashboard model, as far as it is used |
//! | `boards` | the dashboards, one file each |
//! | `rules`, `alerts` | recording rules, alerts, and series to test them with |
#![forbid(unsafe_code)]

pub mod alerts;
pub mod boards;
pub mod model;
pub mod rules;

use rules::{PLACES, Scale};

/// Every generated file: its path in this folder and its content.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    let mut files = vec![
        ("METRICS.md".to_owned(), switch::catalogue::reference()),
        ("rules/recording.yml".to_owned(), rules::recording_file(Scale(1.0))),
        ("rules/alerts.yml".to_owned(), rules::alert_file(Scale(1.0), &PLACES)),
        ("rules/tests.yml".to_owned(), rules::test_file()),
    ];
    for board in boards::all() {
        files.push((format!("dashboards/{}.json", board.uid), format!("{:#}\n", board.json())));
    }
    files
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_files_are_what_this_code_writes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (name, content) in files() {
            let found = fs::read_to_string(folder.join(&name)).unwrap_or_default();
            assert!(found == content, "grafana/{name} is not up to date: run `make grafana`");
        }
    }

    #[test]
    fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks");
        let uids: Vec<_> = boards::all().iter().map(|board| board.uid).collect();
        let mut names: Vec<String> = Vec::new();
        for alert in alerts::all() {
            let text = fs::read_to_string(folder.join(format!("{}.md", alert.name))).unwrap_or_default();
            let headings: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
            let title = format!("# {}", alert.name);
            let expected = [&title, "## Meaning", "## Impact", "## Checks", "## Fixes", "## Escalation"];
            assert_eq!(headings, expected, "{}", alert.name);
            assert!(text.contains("\n    "), "{} has no command to copy", alert.name);
            assert!(uids.contains(&alert.board), "{} points at no dashboard", alert.name);
            names.push(format!("{}.md", alert.name));
        }
        let found = fs::read_dir(folder).expect("runbooks").flatten();
        for name in found.map(|entry| entry.file_name().into_string().expect("UTF-8")) {
            assert!(names.contains(&name), "{name} belongs to no alert");
        }
    }
}
