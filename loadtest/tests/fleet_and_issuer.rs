//! The fleet asks the model issuer, over real sockets and without a switch between them. Whatever one side
//! counts the other must have counted too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loadtest::acquirer::{self, Outcome, RunError};
use loadtest::issuer::behaviour::{Declines, Faults, Latency};
use loadtest::issuer::{Issuer, IssuerConfig, Summary};
use loadtest::profile::{self, Overrides, Profile};
use loadtest::tally::CaseTally;
use loadtest::units;

fn issuer_config(dialect: &str, framing: &str) -> IssuerConfig {
    IssuerConfig {
        name: "maple".to_string(),
        listen: vec!["127.0.0.1:0".to_string()],
        connect: Vec::new(),
        dialect: profile::dialect(dialect).unwrap(),
        framing: units::framing(framing).unwrap(),
        latency: Latency::None,
        declines: Declines::default(),
        faults: Faults::default(),
        stalls: None,
        outages: None,
        seed: 1,
        length: None,
    }
}

/// Runs a profile against an issuer of its own and returns what both saw.
fn run(config: IssuerConfig, profile: &str, overrides: Overrides) -> (Outcome, Summary) {
    let issuer = Issuer::start(config).unwrap();
    let connect = issuer.addresses().iter().map(ToString::to_string).collect();
    let profile = Profile::load(profile, &Overrides { connect, ..overrides }).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let outcome = acquirer::run(&profile, &stop, |_| {}).unwrap();
    (outcome, issuer.stop().unwrap())
}

fn short(rate: f64, seconds: f64) -> Overrides {
    Overrides { rate: Some(rate), seconds: Some(seconds), ..Overrides::default() }
}

fn sum(outcome: &Outcome, figure: fn(&CaseTally) -> u64) -> u64 {
    outcome.tally.sum(figure)
}

#[test]
fn every_dialect_and_framing_counts_alike_on_both_sides() {
    for (dialect, framing) in [
        ("iso87-ascii", "binary2"),
        ("iso87-binary", "binary4,inclusive"),
        ("iso87-ebcdic", "bcd2,header=5"),
        ("iso93-ascii", "ascii4,inclusive,header=2"),
        ("iso93-binary", "ascii4"),
    ] {
        let overrides = Overrides {
            dialect: Some(dialect.to_string()),
            framing: Some(framing.to_string()),
            workers: Some(2),
            ..short(1000.0, 0.4)
        };
        let (outcome, summary) = run(issuer_config(dialect, framing), "baseline", overrides);
        let sent = sum(&outcome, |case| case.sent);
        assert!(sent > 200, "{dialect}: {sent}");
        assert_eq!(sum(&outcome, |case| case.planned), sent, "{dialect}");
        assert_eq!(sum(&outcome, |case| case.approved), sent, "{dialect}");
        assert_eq!(sum(&outcome, |case| case.unexpected), 0, "{dialect}");
        assert_eq!((summary.received(), summary.answered()), (sent, sent), "{dialect}");
        assert_eq!(outcome.tally.times.response.len(), sent, "{dialect}");
        assert_eq!(outcome.tally.times.lag.len(), sent, "{dialect}");
    }
}

#[test]
fn the_demo_is_answered_as_it_expects() {
    let mut config = issuer_config("iso87-ascii", "binary2");
    config.latency = "exponential 1ms".parse().unwrap();
    config.declines = "51=0.04,05=0.02,54=0.01".parse().unwrap();
    let (outcome, summary) = run(config, "demo", short(2000.0, 1.0));
    let tally = &outcome.tally;
    assert_eq!(sum(&outcome, CaseTally::missing), 0);
    assert_eq!((tally.duplicate, tally.unmatched, tally.mangled, tally.contradicting), (0, 0, 0, 0));
    // Only the switch knows cards without a route: the issuer says yes to them.
    let no_route = tally.cases.iter().position(|case| case.unexpected > 0).unwrap();
    assert_eq!(tally.cases[no_route].unexpected, tally.cases[no_route].answered);
    assert_eq!(sum(&outcome, |case| case.unexpected), tally.cases[no_route].unexpected);
    // Beside the payments there were the sign-ons of four links, and repeats of three types.
    let requests =
        |mti: &[u8; 4]| summary.requests.iter().find(|(seen, _)| seen == mti).map_or(0, |row| row.1);
    assert_eq!(requests(b"0800"), 4);
    assert!(requests(b"0101") > 0);
    assert_eq!(summary.received() - 4, sum(&outcome, |case| case.sent));
}

#[test]
fn what_the_issuer_does_wrong_is_what_the_fleet_finds() {
    let mut config = issuer_config("iso87-binary", "binary2");
    config.faults =
        Faults { silent: 0.05, late: Some("0.05 700ms".parse().unwrap()), double: 0.05, wrong_key: 0.05 };
    let overrides = Overrides {
        dialect: Some("iso87-binary".to_string()),
        patience: Some("400ms".to_string()),
        ..short(1000.0, 1.0)
    };
    // Late answers must have the time to come: the last ones are waited for no longer than the patience, so
    // that some of them count as missing.
    let (outcome, summary) = run(config, "baseline", overrides);
    let tally = &outcome.tally;
    assert!(summary.silent > 10 && summary.late > 10 && summary.doubled > 10 && summary.wrong_key > 10);
    assert_eq!(tally.duplicate, summary.doubled);
    assert_eq!(tally.unmatched, summary.wrong_key);
    let lost = summary.silent + summary.wrong_key;
    assert_eq!(sum(&outcome, CaseTally::missing) + tally.late, lost + summary.late);
    assert!(tally.late > 0 && tally.late <= summary.late, "{} of {}", tally.late, summary.late);
    let sent = sum(&outcome, |case| case.sent);
    assert_eq!(sum(&outcome, |case| case.answered), sent - lost - summary.late);
}

#[test]
fn an_open_loop_sees_a_stall() {
    let mut config = issuer_config("iso87-ascii", "binary2");
    config.stalls = Some("500ms 100ms".parse().unwrap());
    let (outcome, summary) = run(config, "baseline", short(500.0, 2.0));
    assert!(summary.stalls >= 3);
    // A fifth of the time it stands still, so that far more than a hundredth of the messages wait for most
    // of a stall. A closed loop would have sent one message per link into each.
    let response = &outcome.tally.times.response;
    let p99_ms = response.value_at_quantile(0.99) / 1_000_000;
    let p50_ms = response.value_at_quantile(0.5) / 1_000_000;
    assert!((70..400).contains(&p99_ms), "p99 {p99_ms} ms");
    assert!(p50_ms < 70, "p50 {p50_ms} ms");
    let slow = 1.0 - response.quantile_below(50_000_000);
    assert!(slow > 0.05, "{slow}");
}

#[test]
fn a_closed_loop_keeps_its_window() {
    let overrides =
        Overrides { closed: Some(8), connections: Some(2), seconds: Some(0.3), ..Overrides::default() };
    let (outcome, summary) = run(issuer_config("iso87-ascii", "binary2"), "baseline", overrides);
    let sent = sum(&outcome, |case| case.sent);
    assert!(sent > 100, "{sent}");
    assert_eq!((sum(&outcome, |case| case.answered), summary.answered()), (sent, sent));
}

#[test]
fn an_interrupted_run_reports_what_it_has() {
    let issuer = Issuer::start(issuer_config("iso87-ascii", "binary2")).unwrap();
    let connect = vec![issuer.addresses()[0].to_string()];
    let profile = Profile::load("baseline", &Overrides { connect, ..short(500.0, 600.0) }).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&stop);
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        theirs.store(true, Ordering::Relaxed);
    });
    let outcome = acquirer::run(&profile, &stop, |_| {}).unwrap();
    stopper.join().unwrap();
    assert!(outcome.interrupted && outcome.elapsed < Duration::from_secs(60));
    let sent = sum(&outcome, |case| case.sent);
    assert!(sent > 0);
    assert_eq!((sum(&outcome, |case| case.planned), sum(&outcome, |case| case.answered)), (sent, sent));
    issuer.stop().unwrap();
}

#[test]
fn a_host_that_is_not_there_is_named() {
    let connect = vec!["127.0.0.1:1".to_string()];
    let profile = Profile::load("baseline", &Overrides { connect, ..Overrides::default() }).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let Err(RunError::Start(error)) = acquirer::run(&profile, &stop, |_| {}) else { panic!() };
    assert!(error.starts_with("127.0.0.1:1: "), "{error}");
}
