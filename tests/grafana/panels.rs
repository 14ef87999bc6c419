//! Every expression of every panel and rule, executed by a real Prometheus that scrapes a real switch with everything
//! on: a journal, a token with a program, two issuers, a TLS door, traffic of every kind.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use grafana::rules::{PLACES, Scale};
use grafana::{alerts, boards, rules};
use tests::rig::metrics::Metrics;
use tests::rig::tls::Authority;
use tests::{Act, PATIENCE, Rig, Setup, TestToken};

use crate::alerts::traffic::{self, Taps};
use crate::draw::{self, Line};
use crate::lint::selectors;
use crate::tools::{Prometheus, load};

/// Seconds of traffic.
const SECONDS: u64 = 10;

/// A switch with everything on.
fn start(token: &TestToken) -> Option<Rig> {
    let (authority, switch) = (Authority::new("acquirers"), "switch.example");
    let identity = authority.identity(switch, 1);
    let setup = traffic::with_program(Setup::new(), token)
        .issuer("oak", "99997")
        .acquirer("south")
        .secured("acquirer.south", &authority, &identity)
        .set("issuer.maple.timeout", "300ms")
        .set("timers.reversal_retry_min", "50ms");
    let rig = setup.start()?;
    // One in fifty is not answered, and so undone; one in seven is declined.
    let mut asked = 0;
    rig.issuer("maple").on(move |_| {
        asked += 1;
        match asked {
            n if n % 50 == 0 => Act::Hold,
            n if n % 7 == 0 => Act::answer("39=51 38=-"),
            _ => Act::answer(""),
        }
    });
    Some(rig)
}

#[test]
fn every_expression_is_answered_and_none_is_empty() {
    let Some(token) = TestToken::new() else { return };
    let Some(rig) = start(&token) else { return };
    let files = [
        ("recording.yml", rules::recording_file(Scale(1.0))),
        ("alerts.yml", rules::alert_file(Scale(1.0), &PLACES)),
    ];
    let Some(prometheus) = Prometheus::start(&[&rig], &files, None) else { return };
    let fleet = load(&rig, "demo", 150);
    let mut taps = Taps::enrol(&rig);
    rig.await_that("a scrape", || prometheus.query("up == 1").is_ok_and(|found| !found.is_empty()));
    let deadline = Instant::now() + PATIENCE * 2;
    let began = Instant::now();
    // Until every window is full of traffic, and reversals were acknowledged too.
    let is_done = |rig: &Rig| {
        let page = Metrics::parse(&rig.get("/metrics").1);
        page.sum("saf_done_total") > 0.0 && page.sum("approved_total") > 500.0
    };
    let mut round = 0;
    while began.elapsed() < Duration::from_secs(SECONDS) || !is_done(&rig) {
        assert!(Instant::now() < deadline, "no traffic");
        if round % 20 == 10 {
            // Somebody who only comes and goes.
            drop(rig.acquirer("north"));
        }
        taps.of_every_kind(round);
        round += 1;
        thread::sleep(Duration::from_millis(50));
    }
    let mut complaints = Vec::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("drawn");
    fs::create_dir_all(&folder).expect("a folder");
    for board in boards::all() {
        let mut drawn = String::new();
        for panel in board.panels() {
            let mut lines = Vec::new();
            for (expression, legend) in panel.drawn() {
                match executed(&prometheus, &expression, legend, began.elapsed()) {
                    Ok(found) => lines.extend(found),
                    Err(why) => complaints.push(format!("{} / {}: {why}", board.title, panel.title())),
                }
            }
            drawn += &draw::panel(panel.title(), panel.unit(), &lines);
        }
        fs::write(folder.join(format!("{}.html", board.uid)), draw::page(board.title, &drawn))
            .expect("a file");
    }
    complaints.extend(rules_executed(&prometheus));
    drop(fleet);
    drop(taps);
    rig.forget_cards();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// The variables as Grafana puts them in when everything is chosen.
fn executed(
    prometheus: &Prometheus,
    expression: &str,
    legend: &str,
    length: Duration,
) -> Result<Vec<Line>, String> {
    let expression =
        expression.replace("$job", ".+").replace("$instance", ".+").replace("$__rate_interval", "3s");
    prometheus.query(&expression).map_err(|why| format!("{why} in {expression}"))?;
    let series = prometheus
        .query_range(&expression, length.as_secs())
        .map_err(|why| format!("{why} in {expression}"))?;
    let lines: Vec<_> = series.iter().map(|series| Line::of(series, legend)).collect();
    let is_empty = lines.iter().all(|line| line.points.is_empty());
    if is_empty { Err(format!("nothing comes of {expression}")) } else { Ok(lines) }
}

/// Recording rules have recorded; alerts can be evaluated, and everything they look at is there. That they fire is
/// another test.
fn rules_executed(prometheus: &Prometheus) -> Vec<String> {
    let mut complaints = Vec::new();
    for rule in rules::recordings() {
        for expression in [&rule.name, &rule.expression] {
            match prometheus.query(expression) {
                Ok(found) if !found.is_empty() => {}
                other => complaints.push(format!("{}: {other:?} of {expression}", rule.name)),
            }
        }
    }
    for alert in alerts::all() {
        if let Err(why) = prometheus.query(&Scale(1.0).expression(&alert.expression)) {
            complaints.push(format!("{}: {why}", alert.name));
        }
        for (name, selector) in selectors(&alert.expression) {
            let looked_at = format!("{name}{selector}}}");
            if !prometheus.query(&looked_at).is_ok_and(|found| !found.is_empty()) {
                complaints.push(format!("{}: {looked_at} is not there", alert.name));
            }
        }
    }
    complaints
}
