//! Which answers count, by what they carry.

use tests::{Act, Plain, Setup, purchase};

/// Each wrong key: never answered to an acquirer, counted, and the request still waits for its time.
#[test]
fn s24_an_answer_with_a_wrong_key_field_counts_for_nothing() {
    let wrong = [
        "7=1123120001",
        "11=999999",
        "32=100009",
        "37=000000000000",
        "41=TERM0009",
        "42=MERCH0000000009",
        "0210",
        "0130",
        "0410",
    ];
    let Some(rig) = Setup::new().set("issuer.maple.timeout", "500ms").start() else { return };
    // DE 18 carries the number of the case to the issuer.
    rig.issuer("maple").on(move |request| {
        let case: usize = request.get(18).parse().expect("a case");
        Act::answer(wrong[case])
    });
    let mut north = rig.acquirer("north");
    for case in 0..wrong.len() {
        north.send(&purchase(&format!("11=00001{case} 18={case:04}")));
    }
    for (stan, answer) in north.receive_all(wrong.len()) {
        let misfits = answer.plain.misfits(&north.wire().expectation("0110 38=- 39=91"));
        assert!(misfits.is_empty(), "{stan}: {misfits:?}");
    }
    rig.await_metric("unmatched_total{issuer=maple}", 9.0);
    rig.await_metric("timed_out_total{issuer=maple}", 9.0);
}

#[test]
fn s24_the_right_answer_after_a_wrong_one_is_taken() {
    let Some(rig) = Setup::new().start() else { return };
    rig.issuer("maple").on(|_| Act::Twice("37=000000000000 39=05".into(), "38=GOOD01".into()));
    rig.acquirer("north").ask(&purchase("11=000001"), "0110 38=GOOD01 39=00");
    rig.await_metric("unmatched_total{issuer=maple}", 1.0);
}

#[test]
fn s24_key_fields_an_issuer_leaves_out_are_not_missed() {
    let Some(rig) = Setup::new().start() else { return };
    rig.issuer("maple").on(|_| Act::answer("32=- 37=- 41=- 42=-"));
    rig.acquirer("north").ask(&purchase("11=000001"), "0110 37=000000000001 39=00 41=TERM0001");
}

/// The key fits, the content does not: 96 at once, and never an approval.
#[test]
fn s24_content_that_was_not_asked_for_is_96() {
    let wrong = ["3=010000", "4=1001", "4=999", "4=1001 39=10", "2=9999700000000017", "39=-"];
    let Some(rig) = Setup::new().start() else { return };
    rig.issuer("maple").on(move |request| {
        let case: usize = request.get(18).parse().expect("a case");
        Act::answer(wrong[case])
    });
    let mut north = rig.acquirer("north");
    for case in 0..wrong.len() {
        let request = purchase(&format!("11=00002{case} 18={case:04} 4=1000"));
        north.ask(&request, &format!("0110 4=1000 11=00002{case} 38=- 39=96"));
    }
    rig.await_metric("invalid_total{issuer=maple}", 6.0);
    rig.await_metric("declined_total{acquirer=north,reason=invalid_answer}", 6.0);
    // The outcome is final.
    north.ask(&purchase("0101 11=000020 18=0000 4=1000"), "0110 38=- 39=96");
}

/// A part is a part only to whoever takes parts.
#[test]
fn s24_a_partial_approval_that_was_not_asked_for_is_96_and_undone() {
    let Some(rig) = Setup::new().set("acquirer.north.partial_approvals", false).start() else { return };
    rig.issuer("maple").on(|_| Act::answer("4=600 39=10"));
    rig.acquirer("north").ask(&purchase("11=000001 4=1000"), "0110 4=1000 38=- 39=96");
    let told = rig.issuer("maple").wait_reversals(1);
    assert_eq!((told[0].plain().get(4), told[0].plain().get(39)), ("000000001000", "20"));
    rig.await_metric("invalid_total{issuer=maple}", 1.0);
}

#[test]
fn s24_content_an_issuer_leaves_out_is_not_missed() {
    let Some(rig) = Setup::new().start() else { return };
    rig.issuer("maple").on(|_| Act::answer("2=- 3=- 4=-"));
    rig.acquirer("north").ask(&purchase(""), "0110 38=A12345 39=00");
}

#[test]
fn q16_the_second_of_two_answers_is_unmatched() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.on(|_| Act::Twice("38=FIRST1".into(), "38=SECOND".into()));
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001"), "0110 38=FIRST1 39=00");
    rig.await_metric("unmatched_total{issuer=maple}", 1.0);
    maple.on(|_| Act::Twice("38=- 39=05".into(), "38=- 39=05".into()));
    north.ask(&purchase("11=000002"), "0110 38=- 39=05");
    rig.await_metric("unmatched_total{issuer=maple}", 2.0);
    assert!(maple.reversals().is_empty());
    // Of contradicting ones the first decides too; an approval that nobody is told does not stay.
    maple.on(|_| Act::Twice("38=- 39=05".into(), "38=SECOND 39=00".into()));
    north.ask(&purchase("11=000004"), "0110 38=- 39=05");
    rig.await_metric("late_total{issuer=maple}", 1.0);
    rig.await_that("the approval to be undone", || maple.reversals().len() == 1);
    maple.on(|_| Act::answer(""));
    north.ask(&purchase("11=000003"), "0110 11=000003 39=00");
}

#[test]
fn q21_a_code_outside_the_approval_set_is_a_decline_that_passes() {
    let Some(rig) = Setup::new().start() else { return };
    rig.issuer("maple").on(|_| Act::answer("38=A12345 39=Z9"));
    rig.acquirer("north").ask(&purchase(""), "0110 38=- 39=Z9");
    rig.await_metric("declined_total{acquirer=north}", 1.0);
    assert!(rig.metric("approved_total{acquirer=north}") == 0.0);
}

#[test]
fn q21_the_approval_set_is_configured() {
    let codes = ["00", "Z9"].map(toml::Value::from).to_vec();
    let Some(rig) = Setup::new().set("switch.approval_codes", codes).start() else { return };
    rig.issuer("maple").on(|_| Act::answer("39=Z9"));
    rig.acquirer("north").ask(&purchase(""), "0110 38=A12345 39=Z9");
    rig.await_metric("approved_total{acquirer=north}", 1.0);
}

#[test]
fn s32_an_answer_is_taken_only_from_the_issuer_that_was_asked() {
    let Some(rig) = Setup::new().issuer("oak", "99997").start() else { return };
    let (maple, oak) = (rig.issuer("maple"), rig.issuer("oak"));
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    oak.answer_on(0, &seen[0], "38=STOLEN");
    rig.await_metric("unmatched_total{issuer=oak}", 1.0);
    maple.answer(&seen[0], "38=RIGHT1");
    north.expect("0110 11=000001 38=RIGHT1 39=00");
}

#[test]
fn s24_any_link_of_the_issuer_asked_may_answer() {
    let Some(rig) = Setup::new().addresses("maple", 2).start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    maple.answer_on(1 - seen[0].link, &seen[0], "38=OTHER1");
    north.expect("0110 11=000001 38=OTHER1 39=00");
}

#[test]
fn s24_messages_in_the_wrong_direction_are_dropped() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    // The acquirer answers its own request, with the issuer's trace number as well; the issuer asks for money.
    north.send("0110 7=1123120000 11=000001 39=00 38=FORGED");
    let stan = seen[0].plain().get(11);
    north.send(&format!("0110 7=1123120000 11={stan} 32=100001 39=00 38=FORGED"));
    maple.send_on(0, &Plain::of(&purchase("11=777777")));
    maple.answer(&seen[0], "38=RIGHT1");
    north.expect("0110 11=000001 38=RIGHT1 39=00");
    assert_eq!(maple.seen().len(), 1);
}

#[test]
fn an_approval_in_another_currency_is_none() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    let mut north = rig.acquirer("north");
    for (nth, said) in ["39=00 49=978", "39=00 49=EUR", "39=10 4=400 49=978", "39=10 4=-", "39=10 4=0"]
        .into_iter()
        .enumerate()
    {
        maple.on(move |_| Act::answer(said));
        north.ask(&purchase(&format!("11={:06}", nth + 1)), "0110 38=- 39=96");
        rig.await_that("it to be undone", || maple.reversals().len() == nth + 1);
    }
}

#[test]
fn an_answer_of_another_type_is_none_to_what_was_asked() {
    let Some(rig) = Setup::new().set("issuer.maple.timeout", "1s").start() else { return };
    let maple = rig.issuer("maple");
    maple.on(|_| Act::answer("0111 39=00"));
    rig.acquirer("north").ask(&purchase(""), "0110 38=- 39=91");
    rig.await_metric("unmatched_total{issuer=maple}", 1.0);
}

#[test]
fn an_approval_of_a_kind_that_was_not_agreed_on_is_undone() {
    let codes = vec![toml::Value::from("00")];
    let Some(rig) = Setup::new().set("switch.approval_codes", codes).start() else { return };
    let maple = rig.issuer("maple");
    let mut north = rig.acquirer("north");
    for (nth, code) in ["08", "10", "11"].into_iter().enumerate() {
        maple.on(move |_| Act::answer(&format!("4=400 39={code}")));
        north.ask(&purchase(&format!("11={:06}", nth + 1)), "0110 38=- 39=96");
        rig.await_that("it to be undone", || maple.reversals().len() == nth + 1);
    }
}
