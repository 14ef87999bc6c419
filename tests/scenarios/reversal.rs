//! Undoing: an acquirer's reversals in every state of their original (R1 to R13), and our own on their way to the
//! issuer until it acknowledges them.

use std::time::Duration;

use tests::{Acquirer, Act, Plain, Rig, Setup, authorization_93, purchase};

/// A reversal of the purchase with this trace number, under the trace number 9 before it.
fn reversal(mti: &str, of: u32, changes: &str) -> String {
    let original = format!("0100{of:06}11231200000000010000100000000000");
    purchase(&format!("{mti} 11=9{of:05} 37=00000009{of:04} 90={original} {changes}"))
}

fn undo(north: &mut Acquirer, of: u32) {
    north.ask(&reversal("0420", of, ""), &format!("0430 11=9{of:05} 39=00"));
}

/// Nothing is left to be told to the issuer, and it was told so much.
fn told(rig: &Rig, reversals: usize) -> Vec<Plain> {
    rig.issuer("maple").wait_reversals(reversals);
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    let seen = rig.issuer("maple").reversals();
    assert_eq!(seen.len(), reversals, "reversals at the issuer");
    seen.iter().map(|one| one.plain().clone()).collect()
}

#[test]
fn r01_a_reversal_of_nothing_is_taken_and_its_original_refused() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&reversal("0400", 1, ""), "0410 11=900001 39=00");
    undo(&mut north, 1);
    north.ask(&purchase("11=000001"), "0110 11=000001 38=- 39=94");
    assert!(rig.issuer("maple").seen().is_empty());
    told(&rig, 0);
    rig.await_metric("tombstones_total{acquirer=north}", 1.0);
}

#[test]
fn r03_an_original_at_its_issuer_is_cancelled_there() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    undo(&mut north, 1);
    maple.wait_reversals(1);
    rig.await_metric("saf_done_total{issuer=maple}", 1.0);
    // The approval comes too late for everybody.
    maple.answer(&seen[0], "39=00");
    rig.await_metric("late_total{issuer=maple}", 1.0);
    // It came behind the acknowledgement, so the issuer is told once more (Q13).
    let told = told(&rig, 2);
    let original = seen[0].plain();
    let de_90 = format!("0100{}{}0000010000100000000000", original.get(11), original.get(7));
    assert_eq!((told[0].mti(), told[0].get(90)), ("0420", de_90.as_str()));
    north.ask(&purchase("0101 11=000001"), "0110 11=000001 38=- 39=94");
}

#[test]
fn r04_r06_an_approval_is_undone_once() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001 4=1000"), "0110 39=00");
    for mti in ["0400", "0401", "0420", "0421"] {
        let answer = if mti < "0410" { "0410" } else { "0430" };
        north.ask(&reversal(mti, 1, "4=1000"), &format!("{answer} 11=900001 39=00"));
    }
    let told = told(&rig, 1);
    for (de, value) in [(4, "000000001000"), (38, "A12345"), (39, "17"), (49, "840"), (37, "000000000001")] {
        assert_eq!(told[0].get(de), value, "DE {de}");
    }
    for de in [14, 35, 45, 52, 55] {
        assert!(!told[0].has(de), "DE {de} was never kept");
    }
    rig.await_metric("reversals_total{acquirer=north}", 4.0);
}

/// An issuer finds its original by what it was told.
#[test]
fn a_reversal_names_institutions_with_the_zeros_they_came_with() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001 32=000123 33=00000000007 4=1000"), "0110 32=000123 39=00");
    north.ask(
        &reversal("0420", 1, "32=123 33=7 4=1000 90=010000000111231200000000000012300000000007"),
        "0430 39=00",
    );
    rig.issuer("maple").wait_reversals(1);
    let told = rig.issuer("maple").reversals()[0].plain().clone();
    assert_eq!((told.get(32), told.get(33)), ("000123", "00000000007"));
}

#[test]
fn r05_r07_what_was_declined_or_timed_out_needs_nothing_more() {
    let Some(rig) = Setup::new().set("issuer.maple.timeout", "300ms").start() else { return };
    let maple = rig.issuer("maple");
    maple.on(|request| if request.get(11) == "000001" { Act::answer("39=51 38=-") } else { Act::Hold });
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001"), "0110 39=51");
    undo(&mut north, 1);
    told(&rig, 0);
    north.ask(&purchase("11=000002"), "0110 39=91");
    undo(&mut north, 2);
    let told = told(&rig, 1);
    assert_eq!((told[0].mti(), told[0].get(39)), ("0420", "68"));
}

#[test]
fn r08_parts_are_undone_and_never_more_than_there_was() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001 4=1000"), "0110 39=00");
    let left = |minor: u32| format!("4=1000 95={minor:012}000000000000C00000000C00000000");
    north.ask(&reversal("0400", 1, &left(1_001)), "0410 39=13");
    north.ask(&reversal("0420", 1, &left(1_001)), "0430 39=00");
    north.ask(&reversal("0420", 1, &left(600)), "0430 39=00");
    north.ask(&reversal("0421", 1, &left(600)), "0430 39=00");
    let part = told(&rig, 1);
    assert_eq!(part[0].get(95), "000000000600000000000000C00000000C00000000");
    north.ask(&purchase("0101 11=000001 4=1000"), "0110 38=A12345 39=00");
    undo_with(&mut north, 1, "4=1000");
    let whole = told(&rig, 2);
    assert!(!whole[1].has(95));
    rig.await_metric("reversal_exceptions_total{acquirer=north}", 2.0);
}

fn undo_with(north: &mut Acquirer, of: u32, changes: &str) {
    north.ask(&reversal("0420", of, changes), "0430 39=00");
}

#[test]
fn r09_r13_what_cannot_be_meant_is_said_to_who_asks() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001 4=1000"), "0110 39=00");
    let of_a_reversal = "90=042000000111231200000000010000100000000000";
    for changes in ["4=999", "4=1000 2=9999600000000027", of_a_reversal] {
        north.ask(&reversal("0400", 1, changes), "0410 39=12");
        north.ask(&reversal("0420", 1, changes), "0430 39=00");
    }
    told(&rig, 0);
    rig.await_metric("reversal_exceptions_total{acquirer=north}", 6.0);
}

#[test]
fn r09_another_terminal_undoes_nothing() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001 4=1000"), "0110 39=00");
    for changes in ["41=ELSEWHER", "42=ANOTHER"] {
        north.ask(&reversal("0400", 1, changes), "0410 39=12");
        north.ask(&reversal("0420", 1, changes), "0430 39=00");
    }
    told(&rig, 0);
    // What was said of a terminal once is known of it.
    rig.await_metric("reversal_exceptions_total{acquirer=north}", 2.0);
    rig.await_metric("tombstones_total{acquirer=north}", 2.0);
    north.ask(&purchase("0101 11=000001 4=1000"), "0110 39=00");
}

/// On two shards as well: what DE 90 says chooses the shard.
#[test]
fn a_reversal_that_leaves_something_out_still_finds_its_original() {
    for shards in [1, 2] {
        let Some(rig) = Setup::new().set("switch.shards", shards).start() else { return };
        let mut north = rig.acquirer("north");
        for (nth, changes) in ["41=-", "42=-", "41=- 42=-", "33=200002"].into_iter().enumerate() {
            let stan = nth as u32 + 1;
            north.ask(&purchase(&format!("11={stan:06} 4=1000")), "0110 39=00");
            north.ask(&reversal("0420", stan, changes), "0430 39=00");
            told(&rig, nth + 1);
        }
    }
}

#[test]
fn r10_another_acquirers_original_is_as_unknown_as_none() {
    let Some(rig) = Setup::new().acquirer("south").start() else { return };
    let mut north = rig.acquirer("north");
    let mut south = rig.acquirer("south");
    north.ask(&purchase("11=000001"), "0110 39=00");
    let of_north = south.ask(&reversal("0420", 1, ""), "0430 39=00").plain;
    let of_none = south.ask(&reversal("0420", 2, ""), "0430 39=00").plain;
    let same = |answer: Plain| answer.with("11=0 37=0 90=-").to_string();
    assert_eq!(same(of_north), same(of_none));
    // Neither touches what north has.
    told(&rig, 0);
    north.ask(&purchase("0101 11=000001"), "0110 38=A12345 39=00");
    undo(&mut north, 1);
    told(&rig, 1);
}

#[test]
fn r11_without_a_journal_a_reversal_stays_with_its_sender() {
    let Some(rig) = Setup::new().without_journal().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001"), "0110 39=00");
    for (mti, answer) in [("0400", "0410"), ("0401", "0410"), ("0420", "0430"), ("0421", "0430")] {
        north.ask(&reversal(mti, 1, ""), &format!("{answer} 11=900001 39=96"));
    }
    assert!(rig.issuer("maple").reversals().is_empty());
}

#[test]
fn r12_a_reversal_on_another_link_may_overtake_its_original() {
    let Some(rig) = Setup::new().start() else { return };
    let (mut first, mut second) = (rig.acquirer("north"), rig.acquirer("north"));
    undo(&mut second, 1);
    first.ask(&purchase("11=000001"), "0110 38=- 39=94");
}

#[test]
fn reversals_meet_their_original_on_whichever_shard_it_is() {
    let Some(rig) = Setup::new().set("switch.shards", 4).start() else { return };
    let mut links: Vec<Acquirer> = (0..4).map(|_| rig.acquirer("north")).collect();
    for stan in 1..=32 {
        links[stan % 4].ask(&purchase(&format!("11={stan:06}")), "0110 39=00");
    }
    // From another link, and every second one without the card's number.
    for stan in 1..=32_u32 {
        let without = if stan % 2 == 0 { "2=- 14=-" } else { "" };
        links[(stan as usize + 1) % 4].ask(&reversal("0420", stan, without), "0430 39=00");
    }
    told(&rig, 32);
    rig.await_metric("tombstones_total{acquirer=north}", 0.0);
}

#[test]
fn a_reversal_in_every_dialect() {
    for dialect in ["iso87-binary", "iso87-ebcdic"] {
        let Some(rig) = Setup::in_dialect(dialect).start() else { return };
        let mut north = rig.acquirer("north");
        north.ask(&purchase("11=000001"), "0110 39=00");
        undo(&mut north, 1);
        assert_eq!(told(&rig, 1)[0].get(2), "9999600000000019");
    }
    for dialect in ["iso93-ascii", "iso93-binary"] {
        let Some(rig) = Setup::in_dialect(dialect).set("issuer.maple.timeout", "300ms").start() else {
            return;
        };
        let mut north = rig.acquirer("north");
        north.ask(&authorization_93("11=000001 12=261123120000 4=1000"), "1110 39=000");
        let original = "56=110000000126112312000011 00000100001".replace(' ', "");
        let whole = authorization_93(&format!("1420 11=000009 12=261123120001 24=400 4=1000 {original}"));
        north.ask(&whole, "1430 39=400");
        let said = told(&rig, 1);
        assert_eq!((said[0].mti(), said[0].get(24), said[0].get(25)), ("1420", "400", "4000"));
        rig.issuer("maple").hold();
        north.ask(&authorization_93("11=000002 12=261123120002"), "1110 39=911");
        assert_eq!(told(&rig, 2)[1].get(25), "4021");
    }
}

#[test]
fn q08_a_silent_issuer_is_told_to_undo_until_it_answers() {
    let retry = [("timers.reversal_retry_min", "50ms"), ("timers.reversal_retry_max", "200ms")];
    let setup = retry.into_iter().fold(Setup::new(), |setup, (key, value)| setup.set(key, value));
    let Some(rig) = setup.set("issuer.maple.timeout", "150ms").start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    maple.on_reversal(|_| Act::Hold);
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001"), "0110 39=91");
    let seen = maple.wait_reversals(4);
    let first = seen[0].plain();
    assert_eq!(first.mti(), "0420");
    for again in &seen[1..] {
        assert_eq!(again.plain().mti(), "0421", "every later one is a repeat");
        assert_eq!(again.plain().clone().with_mti("0420").to_string(), first.to_string());
    }
    assert!(rig.metric("saf_oldest_seconds{issuer=maple}") > 0.1);
    maple.on_reversal(|_| Act::answer(""));
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    let after = maple.reversals().len();
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(maple.reversals().len(), after, "none after the acknowledgement");
}

#[test]
fn what_an_issuer_says_to_a_reversal_decides_what_becomes_of_it() {
    let setup =
        Setup::new().set("timers.reversal_retry_min", "20ms").set("timers.reversal_retry_max", "20ms");
    let Some(rig) = setup.start() else { return };
    let maple = rig.issuer("maple");
    let mut north = rig.acquirer("north");
    for (stan, code) in ["21", "25", "94"].into_iter().enumerate() {
        maple.on_reversal(move |_| Act::answer(&format!("39={code}")));
        north.ask(&purchase(&format!("11={stan:06}")), "0110 39=00");
        undo(&mut north, stan as u32);
        // Not the depth: it is also none before the page has heard of the reversal.
        rig.await_metric("saf_done_total{issuer=maple}", (stan + 1) as f64);
    }
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    rig.await_metric("saf_untraced_total{issuer=maple}", 1.0);
    // Not now: again and again.
    maple.on_reversal(|_| Act::answer("39=91"));
    north.ask(&purchase("11=000010"), "0110 39=00");
    undo(&mut north, 10);
    maple.wait_reversals(6);
    // Never as it is: set aside, and the others go on.
    maple.on_reversal(|_| Act::answer("39=30"));
    rig.await_gauge("saf_parked{issuer=maple}", 1.0);
    maple.on_reversal(|_| Act::answer(""));
    north.ask(&purchase("11=000011"), "0110 39=00");
    undo(&mut north, 11);
    rig.await_gauge("saf_depth{issuer=maple}", 1.0);
    rig.await_gauge("saf_parked{issuer=maple}", 1.0);
}

#[test]
fn q13_an_approval_after_the_acknowledgement_is_undone_again() {
    let Some(rig) = Setup::new().set("issuer.maple.timeout", "200ms").start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    maple.on_reversal(|_| Act::answer("39=25"));
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001"), "0110 39=91");
    rig.await_metric("saf_done_total{issuer=maple}", 1.0);
    maple.answer(&maple.seen()[0], "39=00");
    let seen = maple.wait_reversals(2);
    let (first, second) = (seen[0].plain(), seen[1].plain());
    assert_eq!((first.mti(), second.mti()), ("0420", "0421"));
    assert_eq!(first.get(90), second.get(90));
    assert_ne!(first.get(11), second.get(11), "no acknowledgement of the first can be taken for its");
    rig.await_metric("saf_done_total{issuer=maple}", 2.0);
}

#[test]
fn l1_an_approval_nobody_could_be_given_is_undone() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    north.reset();
    rig.await_gauge("connections{peer=north}", 0.0);
    maple.answer(&seen[0], "39=00");
    assert_eq!(told(&rig, 1)[0].get(39), "22");
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0101 11=000001"), "0110 38=- 39=91");
    undo(&mut north, 1);
    told(&rig, 1);
}

#[test]
fn reversals_wait_for_an_absent_issuer_and_all_go_when_it_is_back() {
    const MANY: u32 = 500;
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    let mut north = rig.acquirer("north");
    for stan in 0..MANY {
        north.send(&purchase(&format!("11={stan:06}")));
    }
    north.receive_all(MANY as usize);
    maple.go_down();
    rig.await_links("maple", 0);
    for stan in 0..MANY {
        north.send(&reversal("0420", stan, ""));
    }
    assert!(north.receive_all(MANY as usize).values().all(|one| one.plain.get(39) == "00"));
    rig.await_gauge("saf_depth{issuer=maple}", f64::from(MANY));
    maple.come_back();
    let told = told(&rig, MANY as usize);
    assert!(told.iter().all(|one| one.mti() == "0420"));
}
