//! Rules and the page through Debian's promtool, the Alertmanager's configuration through amtool, dashboards through
//! Grafana's types; and nothing named that is not there, nothing there that is named nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use grafana::{alerts, boards, rules};
use switch::catalogue;
use tests::Setup;
use tests::rig::process::not_run;

use crate::tools::{grafana, program};

fn succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

#[test]
fn promtool_finds_nothing_to_say_of_the_rules() {
    let Some(promtool) = program("promtool") else { return };
    let folder = grafana().join("rules");
    let files = ["recording.yml", "alerts.yml"];
    succeed(
        Command::new(&promtool)
            .args(["check", "rules", "--lint=all", "--lint-fatal"])
            .args(files)
            .current_dir(&folder),
    );
    let config = grafana().join("prometheus.yml");
    succeed(Command::new(&promtool).args(["check", "config", "--lint=all", "--lint-fatal"]).arg(config));
    let amtool = program("amtool").expect("beside promtool");
    succeed(Command::new(amtool).arg("check-config").arg(grafana().join("alertmanager.yml")));
}

#[test]
fn each_alert_fires_for_its_series_and_is_quiet_for_the_others() {
    let Some(promtool) = program("promtool") else { return };
    succeed(Command::new(promtool).args(["test", "rules", "tests.yml"]).current_dir(grafana().join("rules")));
}

#[test]
fn promtool_finds_nothing_to_say_of_the_page() {
    let Some(promtool) = program("promtool") else { return };
    let Some(rig) = Setup::new().start() else { return };
    let check = |page: &str| {
        let mut command = Command::new(&promtool);
        let command = command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
        child.stdin.take().expect("piped").write_all(page.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    };
    let said = check(&rig.get("/metrics").1);
    assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    let spoiled = check("# TYPE signalbox_things counter\nsignalbox_things 1\n");
    assert!(!spoiled.status.success(), "a counter without its ending was not found");
}

#[test]
fn dashboards_are_what_grafanas_types_say() {
    let folder = grafana().join("types");
    let has_npm = Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has_npm {
        // The one step that needs more than Debian's packages: said, and passed over.
        let _ = writeln!(std::io::stderr(), "not run, npm is not here: the type check of the dashboards");
        return;
    }
    if !folder.join("node_modules").exists() {
        return not_run("Grafana's types: `tests/grafana/setup.sh`");
    }
    let said = succeed(Command::new("node").arg("check.js").current_dir(folder));
    assert!(said.contains("8 dashboards are"), "{said}");
}

/// Metrics and recorded series that an expression names.
fn named(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let is_name = |word: &&str| {
        word.starts_with("signalbox_") || word.starts_with("process_") || word.contains(":signalbox_")
    };
    words.filter(is_name).map(str::to_owned).collect()
}

fn of_catalogue(name: &str) -> &str {
    let endings = ["_bucket", "_sum", "_count"];
    let base = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    let is_histogram = |entry: &catalogue::Entry| entry.kind() == catalogue::Kind::Histogram;
    if catalogue::entries().any(|entry| entry.name == base && is_histogram(entry)) { base } else { name }
}

#[test]
fn everything_that_is_shown_exists_and_everything_that_exists_is_shown() {
    let known: BTreeSet<&str> = catalogue::entries().map(|entry| entry.name).collect();
    let recordings = rules::recordings();
    let recorded: BTreeSet<&str> = recordings.iter().map(|rule| rule.name.as_str()).collect();
    let boards = boards::all();
    let panels = boards.iter().flat_map(|board| board.panels()).flat_map(|panel| panel.expressions());
    let alerts = alerts::all();
    let rules = alerts.iter().map(|alert| alert.expression.clone());
    let rules = rules.chain(recordings.iter().map(|rule| rule.expression.clone()));
    let mut shown = BTreeSet::new();
    for expression in panels.chain(rules) {
        for name in named(&expression) {
            let base = of_catalogue(&name).to_owned();
            assert!(
                known.contains(base.as_str()) || recorded.contains(name.as_str()),
                "{name}: {expression}"
            );
            shown.insert(base);
        }
    }
    let forgotten: Vec<_> = known.iter().filter(|name| !shown.contains(**name)).collect();
    assert!(forgotten.is_empty(), "on no dashboard: {forgotten:?}");
    // A recorded series that neither an alert nor a runbook reads is of no use.
    let folder = grafana().join("runbooks");
    let books = fs::read_dir(folder).expect("runbooks").flatten();
    let books: String = books.map(|book| fs::read_to_string(book.path()).expect("text")).collect();
    let read: BTreeSet<_> = alerts.iter().flat_map(|alert| named(&alert.expression)).collect();
    for name in recorded {
        assert!(read.contains(name) || books.contains(name), "nobody reads {name}");
    }
    // The names in runbooks, queries included, are checked like those of every document: by `tidy`.
}
