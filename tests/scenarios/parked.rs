//! What an issuer refuses for good is set aside, listed, and let go again by an operator's order alone.

use tests::{Act, Rig, Setup, purchase};

fn listed(rig: &Rig) -> Vec<serde_json::Value> {
    let (status, body) = rig.get_as_operator("/v1/saf");
    assert_eq!(status, 200, "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    body["parked"].as_array().expect("a list").clone()
}

#[test]
fn a_refused_advice_and_reversal_wait_for_an_operator_across_a_restart() {
    let Some(mut rig) = Setup::new().admin_token().set("switch.shards", 2).start() else { return };
    let maple = rig.issuer("maple");
    maple.on(|request| Act::answer(if request.mti() == "0120" { "39=30 38=-" } else { "" }));
    maple.on_reversal(|_| Act::answer("39=30"));
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0120 11=000001 4=1000 39=00"), "0130 39=00");
    north.ask(&purchase("0100 11=000002 4=2000"), "0110 39=00");
    north.ask(&purchase("0420 11=000009 4=2000 90=010000000211231200000000010000100000000000"), "0430 39=00");
    rig.await_gauge("saf_parked{issuer=maple}", 2.0);
    assert!(
        String::from_utf8_lossy(&rig.process().stderr()).contains("an issuer refuses what it must be told")
    );
    // The others go on.
    north.ask(&purchase("0100 11=000003"), "0110 39=00");

    rig.crash();
    rig.start_again();
    rig.await_gauge("saf_parked{issuer=maple}", 2.0);
    let mut parked = listed(&rig);
    parked.sort_by_key(|one| one["kind"].to_string());
    assert_eq!((&parked[0]["kind"], &parked[0]["de4"]), (&"advice".into(), &1_000.into()));
    assert_eq!((&parked[1]["kind"], &parked[1]["why"]), (&"reversal".into(), &"acquirer".into()));
    assert_eq!(parked[1]["card"], "999960******0019");

    // What was wrong was put right.
    let maple = rig.issuer("maple");
    let (advices, reversals) = (maple.seen().len(), maple.reversals().len());
    maple.on(|_| Act::answer("38=-"));
    maple.on_reversal(|_| Act::answer(""));
    for one in &parked {
        let order = format!(r#"{{"issuer":"maple","stan":{}}}"#, one["stan"]);
        rig.change("/v1/saf/release", &order);
        // A second time there is nothing under that number, or it is on its way.
        assert_eq!(rig.post("/v1/saf/release", &order).0, 404);
    }
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    assert_eq!(maple.wait_seen(advices + 1)[advices].plain().mti(), "0121");
    assert_eq!(maple.wait_reversals(reversals + 1)[reversals].plain().mti(), "0421");
    assert!(listed(&rig).is_empty());
    assert!(String::from_utf8_lossy(&rig.process().stderr()).contains("by an operator's order"));

    rig.crash();
    rig.start_again();
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
}

#[test]
fn only_who_shows_the_token_sees_or_releases() {
    let Some(rig) = Setup::new().admin_token().start() else { return };
    assert_eq!(rig.get("/v1/saf").0, 401);
    assert_eq!(rig.post_as("a-token-of-somebody-else", "/v1/saf/release", "{}").0, 401);
    for (body, status) in [
        ("", 400),
        (r#"{"issuer":"maple"}"#, 400),
        (r#"{"issuer":"oak","stan":1}"#, 404),
        (r#"{"issuer":"maple","stan":1000000}"#, 422),
        (r#"{"issuer":"maple","stan":1}"#, 404),
    ] {
        assert_eq!(rig.post("/v1/saf/release", body).0, status, "{body}");
    }
    let Some(shut) = Setup::new().start() else { return };
    assert_eq!(shut.get("/v1/saf").0, 403);
}
