//! One key, one outcome: repeats, reused trace numbers, the same key with other content.

use std::collections::BTreeMap;
use std::time::Duration;

use tests::fixtures::with_check_digit;
use tests::{Act, Plain, Received, Setup, purchase};

#[test]
fn q01_repeats_join_the_request_in_flight() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    north.send(&purchase("0101 11=000001"));
    north.send(&purchase("0101 11=000001"));
    north.send(&purchase("0100 11=000001"));
    rig.await_metric("joined_total{acquirer=north}", 3.0);
    maple.answer(&seen[0], "39=00 38=Q00001");
    north.expect("0110 11=000001 38=Q00001 39=00");
    // One answer for all of them: the next message is that of the next request, the issuer's second.
    maple.on(|_| Act::answer(""));
    north.ask(&purchase("11=000002"), "0110 11=000002 39=00");
    assert_eq!(maple.seen().len(), 2);
}

#[test]
fn q01_the_answer_goes_to_the_newest_live_connection_that_asked() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let (mut first, mut second) = (rig.acquirer("north"), rig.acquirer("north"));
    first.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    second.send(&purchase("0101 11=000001"));
    rig.await_metric("joined_total{acquirer=north}", 1.0);
    maple.answer(&seen[0], "");
    second.expect("0110 11=000001 39=00");
    maple.on(|_| Act::answer(""));
    first.ask(&purchase("11=000002"), "0110 11=000002 39=00");
}

#[test]
fn q02_a_repeat_after_the_outcome_gets_the_stored_answer() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.on(|_| Act::answer("4=600 38=Q00002 39=10"));
    let mut north = rig.acquirer("north");
    let outcome = "0110 4=600 11=000002 38=Q00002 39=10";
    north.ask(&purchase("11=000002"), outcome);
    north.ask(&purchase("0101 11=000002"), outcome);
    north.ask(&purchase("0100 11=000002"), outcome);
    // A thousand more, written at once, also from another connection of the same acquirer.
    let mut other = rig.acquirer("north");
    let repeat = other.wire().frame_text(&purchase("0101 11=000002"));
    other.send_bytes(&repeat.repeat(1000));
    for _ in 0..1000 {
        other.expect(outcome);
    }
    assert_eq!(maple.seen().len(), 1);
    rig.await_metric("duplicates_total{acquirer=north}", 1002.0);
}

#[test]
fn q02_a_repeat_is_known_by_what_its_track_says_not_by_how_it_is_separated() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.on(|_| Act::answer("38=Q00003"));
    let mut north = rig.acquirer("north");
    let answer = "0110 11=000001 38=Q00003 39=00";
    north.ask(&purchase("11=000001 35=9999600000000019=49122010000012345"), answer);
    north.ask(&purchase("0101 11=000001 35=9999600000000019D49122010000012345"), answer);
    north.ask(&purchase("0101 11=000001 35=9999600000000019=49122010000012346"), "0110 11=000001 39=94");
    assert_eq!(maple.seen().len(), 1);
}

#[test]
fn q02_a_decline_repeats_as_the_same_decline() {
    let Some(rig) = Setup::new().start() else { return };
    rig.issuer("maple").on(|_| Act::answer("38=- 39=51"));
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000003"), "0110 39=51");
    north.ask(&purchase("0101 11=000003"), "0110 38=- 39=51");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn q03_a_repeat_after_the_time_out_gets_the_same_91() {
    let Some(rig) = Setup::new().set("issuer.maple.timeout", "200ms").start() else { return };
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000003"), "0110 11=000003 39=91");
    rig.issuer("maple").on(|_| Act::answer(""));
    north.ask(&purchase("0101 11=000003"), "0110 11=000003 39=91");
    north.ask(&purchase("11=000003"), "0110 11=000003 39=91");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn q04_a_repeat_never_seen_before_is_treated_as_first() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0101 11=000004"), "0110 11=000004 39=00");
    assert_eq!(rig.issuer("maple").wait_seen(1)[0].plain().mti(), "0100");
}

#[test]
fn q05_x2_the_same_key_with_other_content_is_94() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let first = purchase("11=000005 37=000000000005 14=4912 22=012");
    north.ask(&first, "0110 11=000005 38=A12345 39=00");
    // The RRN is part of the fingerprint, not of the key.
    let other_card = format!("2={}", with_check_digit("999960000000555"));
    for other in ["4=2000", "3=010000", "14=4911", "22=022", "49=978", "37=000000000099", &other_card] {
        let changed = Plain::of(&first).with(other).to_string();
        north.ask(&changed, "0110 11=000005 38=- 39=94");
    }
    // The original is untouched.
    north.ask(&Plain::of(&first).with_mti("0101").to_string(), "0110 11=000005 38=A12345 39=00");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn q05_other_content_while_the_first_is_in_flight_is_94_too() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000006"));
    let seen = maple.wait_seen(1);
    north.ask(&purchase("11=000006 4=2000"), "0110 11=000006 39=94");
    maple.answer(&seen[0], "");
    north.expect("0110 4=1000 11=000006 39=00");
}

#[test]
fn q06_a_reused_stan_with_another_time_is_another_transaction() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("7=1123120000 11=000006"));
    north.send(&purchase("7=1123121640 11=000006"));
    let seen = maple.wait_seen(2);
    maple.answer(&seen[1], "38=SECOND");
    north.expect("0110 7=1123121640 11=000006 38=SECOND");
    maple.answer(&seen[0], "38=FIRST1");
    north.expect("0110 7=1123120000 11=000006 38=FIRST1");
}

#[test]
fn q06_another_terminal_with_the_same_stan_is_another_transaction() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000006 41=TERM0001"), "0110 39=00 41=TERM0001");
    north.ask(&purchase("11=000006 41=TERM0002"), "0110 39=00 41=TERM0002");
    assert_eq!(rig.issuer("maple").seen().len(), 2);
}

#[test]
fn q07_the_same_stan_from_two_acquirers_never_crosses() {
    const EACH: usize = 1000;
    let Some(rig) = Setup::new().acquirer("south").set("issuer.maple.window", 4096).start() else { return };
    // The approval code tells whose transaction it was: north's amounts are even, south's odd.
    rig.issuer("maple").on(|request| {
        let amount: u32 = request.get(4).parse().expect("an amount");
        Act::After(Duration::from_millis(u64::from(amount % 3)), format!("38={amount:06}"))
    });
    let (mut north, mut south) = (rig.acquirer("north"), rig.acquirer("south"));
    for stan in 0..EACH {
        north.send(&purchase(&format!("11={stan:06} 4={}", 2 * stan + 2)));
        south.send(&purchase(&format!("11={stan:06} 4={}", 2 * stan + 1)));
    }
    let (of_north, of_south) = (north.receive_all(EACH), south.receive_all(EACH));
    let codes = |answers: &BTreeMap<String, Received>| {
        answers.values().map(|one| one.plain.get(38).parse().expect("a code")).collect::<Vec<usize>>()
    };
    assert_eq!(codes(&of_north), (0..EACH).map(|stan| 2 * stan + 2).collect::<Vec<_>>());
    assert_eq!(codes(&of_south), (0..EACH).map(|stan| 2 * stan + 1).collect::<Vec<_>>());
}
