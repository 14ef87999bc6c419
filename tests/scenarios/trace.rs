//! Following one payment through the journal, beside the running switch.

use serde_json::Value;
use tests::{Rig, Setup, purchase};

/// What `trace` says for programs.
fn stories(rig: &Rig, which: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["trace", "--journal", "journal", "--json"];
    arguments.extend(which);
    let (code, said) = rig.run(&arguments);
    assert_eq!(code, 0, "{said}");
    said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn steps(story: &Value) -> Vec<&str> {
    let steps = story["steps"].as_array().expect("steps");
    steps.iter().map(|step| step["what"].as_str().expect("a word")).collect()
}

#[test]
fn a_payment_is_followed_from_its_receipt_to_the_acknowledged_reversal() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000007 37=000000000007"), "0110 11=000007 38=A12345 39=00");
    north.ask(&purchase("11=000008 37=000000000008"), "0110 11=000008 39=00");
    let original = "010000000711231200000000010000100000000000";
    north.ask(&purchase(&format!("0420 11=900007 37=000000097007 90={original}")), "0430 11=900007 39=00");
    rig.await_metric("saf_done_total{issuer=maple}", 1.0);

    let by_rrn = stories(&rig, &["--rrn", "000000000007"]);
    assert_eq!(by_rrn.len(), 1, "{by_rrn:?}");
    let story = &by_rrn[0];
    assert_eq!(
        steps(story),
        ["received", "sent", "answered", "reversed", "reversal", "reversal_done"],
        "{story:#}"
    );
    let moments: Vec<u64> = story["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["at_us"].as_u64().expect("us"))
        .collect();
    assert!(moments.is_sorted() && moments[0] > 0 && moments[2] > moments[1], "{moments:?}");
    assert_eq!((&story["acquirer"], &story["issuer"]), (&Value::from("north"), &Value::from("maple")));
    assert_eq!((&story["steps"][2]["de39"], &story["steps"][2]["de38"]), (&"00".into(), &"A12345".into()));
    assert_eq!(story["card"], Value::Null, "without the key no card is shown");

    // The same by the other names, and with the key the card is shown masked.
    let trace = story["trace"].as_str().expect("a trace id");
    let token = story["card_token"].as_str().expect("a token");
    assert_eq!(stories(&rig, &["--trace", trace]), by_rrn);
    assert_eq!(stories(&rig, &["--stan", "7"]).len(), 1);
    assert_eq!(stories(&rig, &["--card", token]).len(), 2);
    assert_eq!(stories(&rig, &["--card", token, "--stan", "8"]).len(), 1);
    let with_key = stories(&rig, &["--rrn", "000000000007", "--key-file", "journal.key"]);
    let masked = with_key[0]["card"].as_str().expect("a masked card");
    assert!(masked.starts_with("99996") && masked.contains("******"), "{masked}");
    assert_eq!(stories(&rig, &["--card", masked, "--key-file", "journal.key"]).len(), 2);
    assert!(stories(&rig, &["--stan", "999"]).is_empty());

    let (code, said) = rig.run(&["trace", "--journal", "journal", "--rrn", "000000000007"]);
    assert_eq!(code, 0);
    assert!(said.contains("sent to maple over link 0 as 000001"), "{said}");
    let (code, _) = rig.run(&["trace", "--journal", "journal", "--card", "9999960000000019"]);
    assert_eq!(code, 64, "a whole card number is no argument");
}

#[test]
fn what_was_declined_here_and_what_timed_out_is_told_too() {
    let Some(rig) = Setup::new().set("issuer.maple.timeout", "100ms").start() else { return };
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    north.ask(&purchase("2=9999800000000015 11=000001"), "0110 11=000001 39=92");
    north.ask(&purchase("11=000002"), "0110 11=000002 39=91");
    rig.await_metric("saf_done_total{issuer=maple}", 1.0);
    assert_eq!(steps(&stories(&rig, &["--stan", "1"])[0]), ["declined_here"]);
    let told = stories(&rig, &["--stan", "2"]);
    let timed_out = told.iter().find(|story| story["de11"] == "000002").expect("by the acquirer's number");
    assert_eq!(steps(timed_out), ["received", "sent", "timed_out", "reversal", "reversal_done"]);
    assert_eq!(timed_out["steps"][3]["why"], "timed_out");
}
