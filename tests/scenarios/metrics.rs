//! The figures an operator is promised, all of them on the page and true.

use tests::rig::metrics::Metrics;
use tests::{Setup, purchase};

const PROMISED: &str = "received_total approved_total declined_total responses_total forwarded_total answered_total \
     timed_out_total late_total unmatched_total invalid_total duplicates_total joined_total shed_total \
     glitches_total connections connections_total connections_refused_total links_up in_flight recent_entries \
     recent_evicted_total hop_queue_depth transaction_seconds switch_seconds process_resident_memory_bytes";

#[test]
fn every_promised_metric_is_on_the_page_from_the_start() {
    let Some(rig) = Setup::new().start() else { return };
    let page = rig.get("/metrics").1;
    let found = Metrics::parse(&page).names();
    let missing: Vec<_> =
        PROMISED.split_whitespace().filter(|name| !found.iter().any(|one| one == name)).collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}; on it: {found:?}");
}

#[test]
fn the_figures_add_up() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    for stan in 0..10 {
        north.ask(&purchase(&format!("11={stan:06}")), "0110 39=00");
    }
    north.ask(&purchase("11=000010 4=0"), "0110 39=13");
    north.ask(&purchase("11=000011 2=9999800000000015"), "0110 39=92");
    north.ask(&purchase("0101 11=000000"), "0110 39=00");
    rig.await_metric("received_total{acquirer=north}", 13.0);
    rig.await_metric("approved_total{acquirer=north}", 10.0);
    rig.await_metric("declined_total{acquirer=north}", 2.0);
    rig.await_metric("duplicates_total{acquirer=north}", 1.0);
    rig.await_metric("forwarded_total{issuer=maple}", 10.0);
    rig.await_metric("responses_total{acquirer=north,code=92}", 1.0);
    assert!(rig.metric("responses_total{acquirer=north}") == 13.0);
    assert!(rig.metric("transaction_seconds_count{acquirer=north}") >= 10.0);
    assert!(rig.metric("switch_seconds_count") >= 10.0);
    rig.await_gauge("in_flight", 0.0);
    rig.await_gauge("connections{peer=north}", 1.0);
}

#[test]
fn health_is_told_by_status() {
    let Some(rig) = Setup::new().issuer("oak", "99997").start() else { return };
    assert_eq!((rig.get("/livez").0, rig.get("/readyz").0), (200, 200));
    for issuer in ["maple", "oak"] {
        rig.issuer(issuer).go_down();
    }
    rig.await_that("/readyz to say no", || rig.get("/readyz").0 == 503);
    assert_eq!(rig.get("/livez").0, 200);
    assert_eq!(rig.get("/nothing-here").0, 404);
}
