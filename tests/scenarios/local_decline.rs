//! What the switch refuses on its own. Nothing of it may reach an issuer.

use tests::{Setup, purchase};

const U1: &str = tests::fixtures::U1;

/// Each request, its answer and the reason counted, against one switch.
fn declined(cases: &[(&str, &str, &str)]) {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    for (stan, (changes, expected, reason)) in cases.iter().enumerate() {
        let request = purchase(&format!("11={stan:06} {changes}"));
        let code = format!("declined_total{{acquirer=north,reason={reason}}}");
        let before = rig.metric(&code);
        north.ask(&request, &format!("{expected} 11={stan:06} 38=-"));
        rig.await_metric(&code, before + 1.0);
    }
    // The connection is as good as before, and what came before it never reached the issuer.
    north.ask(&purchase("11=999999"), "0110 39=00");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn x1_q20_no_route_is_92() {
    declined(&[
        (&format!("2={U1}"), "0110 39=92", "no_route"),
        ("2=4012888888881881", "0110 39=92", "no_route"),
    ]);
}

#[test]
fn x3_pan_and_track_that_differ_are_30() {
    declined(&[
        ("22=901 35=9999700000000017=49122010000012345", "0110 39=30", "format_error"),
        // The expiry of the track is another one than DE 14.
        ("22=901 35=9999600000000019=49112010000012345", "0110 39=30", "format_error"),
    ]);
}

#[test]
fn x4_an_expiry_in_the_past_is_54() {
    declined(&[
        ("14=2001", "0110 39=54", "expired_card"),
        ("14=- 22=901 35=9999600000000019=20012010000012345", "0110 39=54", "expired_card"),
    ]);
}

#[test]
fn x5_a_wrong_check_digit_is_14() {
    declined(&[
        ("2=9999600000000018", "0110 39=14", "luhn_failed"),
        ("2=- 22=901 35=9999600000000018=49122010000012345", "0110 39=14", "luhn_failed"),
    ]);
}

#[test]
fn a_purchase_of_nothing_is_13() {
    declined(&[("4=0", "0110 39=13", "invalid_amount")]);
}

#[test]
fn a_missing_mandatory_element_is_30() {
    declined(&[("3=-", "0110 39=30", "format_error"), ("2=-", "0110 39=30", "format_error")]);
}

#[test]
fn a_request_that_carries_an_answer_is_30() {
    declined(&[("39=00", "0110 39=30", "format_error")]);
}

#[test]
fn the_card_may_come_from_the_track_alone() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let request = purchase("2=- 14=- 22=901 35=9999600000000019=49122010000012345");
    north.ask(&request, "0110 39=00");
    assert!(!rig.issuer("maple").wait_seen(1)[0].plain().has(2));
}

#[test]
fn q18_classes_that_are_not_supported_are_40() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    for (stan, (mti, answer)) in
        [("0300", "0310"), ("0302", "0312"), ("0500", "0510"), ("0600", "0610"), ("0620", "0630")]
            .iter()
            .enumerate()
    {
        north.ask(&format!("{mti} 7=1123120000 11=80000{stan}"), &format!("{answer} 11=80000{stan} 39=40"));
    }
    // No class at all: answered where that is possible, else counted; the connection serves on either way.
    let frame = north.wire().frame_text("0900 7=1123120000 11=800009");
    north.send_bytes(&frame);
    north.send(&purchase("11=000010"));
    let first = north.receive();
    if first.plain.get(11) == "800009" {
        assert_eq!(first.plain.misfits(&north.wire().expectation("0910 39=40")), Vec::<String>::new());
        north.expect("0110 11=000010 39=00");
    } else {
        rig.await_metric("glitches_total{peer=north}", 1.0);
    }
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

/// There is nothing to answer to an answer, or to the word that one came.
#[test]
fn q18_answers_and_acknowledgements_are_counted_and_not_answered() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    for mti in ["0110", "0180", "0190", "0199"] {
        north.send_bytes(&north.wire().frame_text(&format!("{mti} 7=1123120000 11=800001")));
    }
    north.ask(&purchase("11=000010"), "0110 11=000010 39=00");
    rig.await_metric("misdirected_total", 4.0);
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn outward_codes_follow_the_acquirers_table() {
    let setup = Setup::new().acquirer("south").set("acquirer.south.response_codes.no_route", "15");
    let Some(rig) = setup.start() else { return };
    rig.acquirer("south").ask(&purchase(&format!("2={U1}")), "0110 39=15");
    rig.acquirer("north").ask(&purchase(&format!("2={U1}")), "0110 39=92");
}
