//! The figures an operator is promised, all of them on the page and true.

use switch::catalogue::{self, Label};
use tests::rig::metrics::Metrics;
use tests::{Setup, purchase};

#[test]
fn every_metric_of_the_catalogue_is_on_the_page_at_zero_from_the_start() {
    let Some(rig) = Setup::new().start() else { return };
    let page = rig.get("/metrics").1;
    for entry in catalogue::entries() {
        // There is no program, and no link is TLS.
        let has_series =
            !entry.labels.iter().any(|label| matches!(label, Label::Program | Label::SecuredPeer));
        let title = format!("# TYPE {} {}\n", entry.name, entry.kind().name());
        assert_eq!(page.contains(&title), has_series, "{}", entry.name);
    }
    let found = Metrics::parse(&page);
    for counted in
        ["received_total", "responses_total{code=00}", "transaction_seconds_count", "approved_total"]
    {
        assert!(found.has(counted) && found.sum(counted) == 0.0, "{counted} is not there at zero");
    }
    assert!(found.sum("build_info") == 1.0 && found.sum("config_generation") == 1.0);
    assert!(found.sum("in_flight_limit") > 0.0 && found.sum("issuer_window{issuer=maple}") > 0.0);
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
    rig.await_gauge("connections{peer=maple}", 1.0);
    rig.await_gauge("signed_on{acquirer=north}", 1.0);
    assert!(rig.metric("issuer_seconds_count{issuer=maple}") == 10.0);
    // A fact for each request, and one for each answer of the issuer.
    assert!(rig.metric("journal_facts_total") >= 20.0 && rig.metric("journal_bytes_total") > 2_000.0);
    rig.await_that("a sync to be counted", || {
        rig.metric("journal_syncs_total") >= 1.0 && rig.metric("journal_sync_seconds_count") >= 1.0
    });
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
