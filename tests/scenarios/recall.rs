//! What memory has forgotten is asked of the index: an old payment is undone at its issuer, an old request is not made
//! a second one, and an approval that comes late for it does not stand (rules 2.1, R1, R4, R6, Q2, Q13).

use std::fs;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tests::{Acquirer, Act, Plain, Rig, Seen, Setup, purchase};

/// So few identities are remembered that eight more push the first out.
fn forgetful() -> Setup {
    Setup::new().set("switch.recent_entries", 4)
}

fn approved(north: &mut Acquirer, stans: std::ops::Range<u32>) {
    for stan in stans {
        north.ask(&purchase(&format!("11={stan:06} 37={stan:012} 4=1000")), "0110 38=A12345 39=00");
    }
}

fn reversal(mti: &str, of: u32, changes: &str) -> String {
    let original = format!("0100{of:06}11231200000000010000100000000000");
    purchase(&format!("{mti} 11=9{of:05} 37=00000009{of:04} 4=1000 90={original} {changes}"))
}

fn repeat(of: u32) -> String {
    purchase(&format!("0101 11={of:06} 37={of:012} 4=1000"))
}

/// Its issuer was told so often that the first payment is undone, and nothing is left to be told.
fn undone(rig: &Rig, times: usize) {
    rig.issuer("maple").wait_reversals(times);
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    let told = rig.issuer("maple").reversals();
    assert_eq!(told.len(), times, "reversals at the issuer");
    assert!(told.iter().all(|one| one.plain().get(2) == "9999600000000019"));
}

#[test]
fn r04_r06_an_old_approval_is_undone_once() {
    let Some(rig) = forgetful().start() else { return };
    let mut north = rig.acquirer("north");
    approved(&mut north, 1..9);
    for mti in ["0400", "0401", "0420", "0421"] {
        let answer = if mti < "0410" { "0410" } else { "0430" };
        north.ask(&reversal(mti, 1, ""), &format!("{answer} 11=900001 39=00"));
    }
    undone(&rig, 1);
    assert_eq!(rig.metric("index_asked_total"), 1.0, "it is remembered again");
    approved(&mut north, 20..28);
    north.ask(&reversal("0421", 1, ""), "0430 11=900001 39=00");
    undone(&rig, 1);
    north.ask(&repeat(1), "0110 11=000001 38=- 39=94");
    assert_eq!(rig.metric("index_unsaid_total"), 0.0);
}

#[test]
fn r09_r08_another_amount_and_a_part_of_an_old_approval_are_what_they_are_of_a_new_one() {
    let Some(rig) = forgetful().start() else { return };
    let mut north = rig.acquirer("north");
    approved(&mut north, 1..9);
    north.ask(&reversal("0400", 1, "4=2000"), "0410 11=900001 39=12");
    north.ask(&reversal("0420", 2, "95=000000000400000000000000C00000000C00000000"), "0430 39=00");
    rig.issuer("maple").wait_reversals(1);
    assert_eq!(
        rig.issuer("maple").reversals()[0].plain().get(95),
        "000000000400000000000000C00000000C00000000"
    );
}

#[test]
fn r01_a_reversal_of_nothing_is_still_taken_and_its_original_refused() {
    let Some(rig) = forgetful().start() else { return };
    let mut north = rig.acquirer("north");
    approved(&mut north, 1..9);
    north.ask(&reversal("0420", 77, ""), "0430 11=900077 39=00");
    north.ask(&purchase("11=000077 37=000000000077 4=1000"), "0110 11=000077 38=- 39=94");
    rig.await_metric("tombstones_total{acquirer=north}", 1.0);
    assert!(rig.issuer("maple").reversals().is_empty());
}

#[test]
fn q02_q04_an_old_repeat_is_told_the_same_and_one_of_nothing_is_the_first() {
    let Some(rig) = forgetful().start() else { return };
    let mut north = rig.acquirer("north");
    approved(&mut north, 1..9);
    north.ask(&repeat(1), "0110 11=000001 38=A12345 39=00");
    north.ask(&purchase("0101 11=000002 37=000000000002 4=1001"), "0110 11=000002 39=94");
    assert_eq!(rig.issuer("maple").seen().len(), 8, "nothing was asked again");
    north.ask(&repeat(50), "0110 11=000050 38=A12345 39=00");
    assert_eq!(rig.issuer("maple").seen().len(), 9);
}

#[test]
fn it_is_known_after_a_crash_and_across_shards() {
    let setup = forgetful().set("switch.shards", 3).set("issuer.maple.links_per_address", 3);
    let Some(mut rig) = setup.start() else { return };
    let mut north = rig.acquirer("north");
    approved(&mut north, 1..41);
    rig.crash();
    rig.start_again();
    let mut north = rig.acquirer("north");
    approved(&mut north, 100..120);
    for stan in 1..6 {
        north.ask(&reversal("0420", stan, ""), &format!("0430 11=90000{stan} 39=00"));
        north.ask(&repeat(stan + 10), &format!("0110 11=0000{} 38=A12345 39=00", stan + 10));
    }
    undone(&rig, 5);
    rig.verify();
}

/// Unknown means no: what cannot be looked up comes again.
#[test]
fn while_the_index_cannot_be_asked_a_reversal_stays_with_its_sender() {
    let Some(rig) = forgetful().start() else { return };
    let mut north = rig.acquirer("north");
    approved(&mut north, 1..9);
    rig.await_gauge("index_behind_facts", 0.0);
    let file = rig.folder().join("journal/index.sqlite");
    assert!(fs::exists(&file).expect("a folder"));
    let somebody = Connection::open(&file).expect("a file of SQLite");
    // The index cannot take in what comes now, and is put down.
    somebody.execute_batch("BEGIN IMMEDIATE").expect("the only writer");
    approved(&mut north, 30..31);
    rig.await_gauge("index_whole", 0.0);
    // Those that wait, wait together.
    let since = Instant::now();
    (1..5).chain(50..66).for_each(|stan| north.send(&reversal("0420", stan, "")));
    for (stan, answer) in north.receive_all(20) {
        let misfits = answer.plain.misfits(&north.wire().expectation("0430 39=96"));
        assert!(misfits.is_empty(), "{stan}: {misfits:?}");
    }
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    rig.await_metric("index_unsaid_total", 20.0);
    assert!(rig.issuer("maple").reversals().is_empty());
    somebody.execute_batch("ROLLBACK").expect("nothing was written");
    drop(somebody);
    rig.await_gauge("index_behind_facts", 0.0);
    rig.await_gauge("index_whole", 1.0);
    north.ask(&reversal("0421", 1, ""), "0430 11=900001 39=00");
    undone(&rig, 1);
}

/// Payments that time out at their issuer, are undone there, and are pushed out of memory by so many others. As the issuer has
/// seen them.
fn timed_out(rig: &Rig, stans: std::ops::Range<u32>, others: u32) -> Vec<Seen> {
    let maple = rig.issuer("maple");
    let (before, reversals) = (maple.seen().len(), maple.reversals().len());
    maple.hold();
    let mut north = rig.acquirer("north");
    let (first, count) = (900_000 + stans.start * 100, stans.len());
    for stan in stans {
        north.send(&purchase(&format!("11={stan:06} 37={stan:012} 4=1000")));
    }
    let seen = maple.wait_seen(before + count).split_off(before);
    assert!(north.receive_all(count).values().all(|one| one.plain.get(39) == "91"));
    maple.wait_reversals(reversals + count);
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    maple.on(|_| Act::answer(""));
    approved(&mut north, first..first + others);
    seen
}

/// What the issuer was told to undo of one of them, first to last.
fn told(rig: &Rig, one: &Seen) -> Vec<Plain> {
    let is_of = |told: &Plain| told.get(37) == one.plain().get(37);
    rig.issuer("maple").reversals().iter().map(|one| one.plain().clone()).filter(is_of).collect()
}

fn with_short_timeout() -> Setup {
    forgetful().set("issuer.maple.timeout", "300ms")
}

#[test]
fn q13_an_old_approval_that_comes_late_is_undone_once_more() {
    let Some(rig) = with_short_timeout().start() else { return };
    let seen = timed_out(&rig, 1..4, 8);
    let maple = rig.issuer("maple");
    let [one, declined, unheard] = &seen[..] else { panic!("three") };
    maple.answer(one, "39=00 38=L12345");
    maple.answer(one, "39=00 38=L12345");
    maple.answer(declined, "39=05 38=-");
    maple.answer(unheard, "39=08 38=L54321");
    undone(&rig, 5);
    rig.await_metric("late_total{issuer=maple}", 3.0);
    rig.await_metric("unmatched_total{issuer=maple}", 1.0);
    assert_eq!(rig.metric("index_asked_total"), 2.0);
    assert_eq!(rig.metric("late_left_standing_total{issuer=maple}"), 0.0);
    for (one, code) in [(one, "L12345"), (unheard, "L54321")] {
        let told = told(&rig, one);
        let [first, again] = &told[..] else { panic!("{told:?}") };
        let original = one.plain();
        let de_90 = format!("0100{}{}0000010000100000000000", original.get(11), original.get(7));
        assert_eq!((first.mti(), again.mti()), ("0420", "0421"));
        assert_ne!(first.get(11), again.get(11), "a number of its own");
        assert_eq!((first.get(38), again.get(38)), ("", code));
        for de in [2, 3, 4, 32, 37, 39, 41, 42, 49, 90] {
            assert_eq!(first.get(de), again.get(de), "DE {de}");
        }
        assert_eq!((again.get(90), again.get(4)), (de_90.as_str(), "000000001000"));
    }
    assert_eq!(told(&rig, declined).len(), 1);
    // It is remembered again, and told as ever.
    let mut north = rig.acquirer("north");
    north.ask(&repeat(1), "0110 11=000001 38=- 39=91");
    north.ask(&reversal("0420", 1, ""), "0430 11=900001 39=00");
    undone(&rig, 5);
    maple.answer(one, "39=00 38=L12345");
    rig.await_metric("unmatched_total{issuer=maple}", 2.0);
    rig.verify();
}

#[test]
fn q13_it_is_found_across_shards_and_after_a_crash() {
    let setup = with_short_timeout().set("switch.shards", 3).set("issuer.maple.links_per_address", 3);
    let Some(mut rig) = setup.start() else { return };
    let seen: Vec<Seen> = (1..13).step_by(3).flat_map(|stan| timed_out(&rig, stan..stan + 3, 8)).collect();
    let (before, after) = seen.split_at(6);
    before.iter().for_each(|one| rig.issuer("maple").answer(one, "39=00 38=L12345"));
    undone(&rig, 18);
    rig.crash();
    rig.start_again();
    approved(&mut rig.acquirer("north"), 800_000..800_008);
    // Over another link: those they were sent over are gone.
    let link = rig.issuer("maple").seen().last().expect("approved").link;
    after.iter().for_each(|one| rig.issuer("maple").answer_on(link, one, "39=00 38=L12345"));
    undone(&rig, 24);
    assert!(seen.iter().all(|one| told(&rig, one).len() == 2));
    assert_eq!(rig.metric("late_left_standing_total{issuer=maple}"), 0.0);
    rig.verify();
}

#[test]
fn q13_an_issuer_that_comes_back_with_many_old_approvals_is_told_of_each() {
    const MANY: u32 = 200;
    let Some(rig) = with_short_timeout().set("switch.recent_entries", MANY).start() else { return };
    let seen = timed_out(&rig, 1..MANY + 1, MANY + 8);
    seen.iter().for_each(|one| rig.issuer("maple").answer(one, "39=00 38=L12345"));
    // Meanwhile an acquirer is answered as ever.
    let mut north = rig.acquirer("north");
    north.ask(&reversal("0420", 1, ""), "0430 11=900001 39=00");
    undone(&rig, 2 * MANY as usize);
    assert!(seen.iter().all(|one| told(&rig, one).len() == 2));
    assert_eq!(rig.metric("late_left_standing_total{issuer=maple}"), 0.0);
    rig.verify();
}

/// What the log says of an approval that was not undone.
const STANDS: &str = "an approval came late for what was forgotten";

/// It is taken out of the index, as a retention that is over would.
#[test]
fn q13_an_approval_of_which_nothing_is_known_any_more_is_told_an_operator() {
    let Some(rig) = with_short_timeout().start() else { return };
    let seen = timed_out(&rig, 1..2, 8);
    rig.await_gauge("index_behind_facts", 0.0);
    let somebody = Connection::open(rig.folder().join("journal/index.sqlite")).expect("a file of SQLite");
    somebody.busy_timeout(Duration::from_secs(5)).expect("a file");
    somebody.execute("DELETE FROM payment WHERE de11 = '000001'", []).expect("a row");
    for times in [1.0, 2.0] {
        rig.issuer("maple").answer(&seen[0], "39=00 38=L12345");
        rig.await_metric("late_left_standing_total{issuer=maple}", times);
        rig.await_metric("late_total{issuer=maple}", times);
    }
    undone(&rig, 1);
    let said = String::from_utf8_lossy(&rig.process().stderr()).into_owned();
    assert_eq!(said.lines().filter(|line| line.contains(STANDS)).count(), 2);
    rig.verify();
}

/// Nobody waits for it: the index may be away for a while.
#[test]
fn q13_while_the_index_cannot_be_asked_a_late_approval_waits_and_a_stop_tells_of_it() {
    let Some(rig) = with_short_timeout().set("switch.drain_grace", "1s").start() else { return };
    let seen = timed_out(&rig, 1..3, 8);
    rig.await_gauge("index_behind_facts", 0.0);
    let file = rig.folder().join("journal/index.sqlite");
    let somebody = Connection::open(&file).expect("a file of SQLite");
    somebody.execute_batch("BEGIN IMMEDIATE").expect("the only writer");
    approved(&mut rig.acquirer("north"), 30..31);
    rig.await_gauge("index_whole", 0.0);
    rig.issuer("maple").answer(&seen[0], "39=00 38=L12345");
    rig.await_metric("index_asked_total", 1.0);
    // An acquirer that asks for something old is told meanwhile that it must come again.
    rig.acquirer("north").ask(&reversal("0420", 2, ""), "0430 11=900002 39=96");
    undone(&rig, 2);
    somebody.execute_batch("ROLLBACK").expect("nothing was written");
    undone(&rig, 3);
    assert_eq!(rig.metric("index_unsaid_total"), 1.0);

    rig.await_gauge("index_behind_facts", 0.0);
    rig.await_gauge("index_whole", 1.0);
    approved(&mut rig.acquirer("north"), 40..48);
    rig.await_gauge("index_behind_facts", 0.0);
    somebody.execute_batch("BEGIN IMMEDIATE").expect("the only writer");
    approved(&mut rig.acquirer("north"), 50..51);
    rig.await_gauge("index_whole", 0.0);
    rig.issuer("maple").answer(&seen[1], "39=00 38=L54321");
    rig.await_metric("index_asked_total", 3.0);
    assert_eq!(rig.terminate(), 0);
    let said = String::from_utf8_lossy(&rig.process().stderr()).into_owned();
    let line = said.lines().find(|line| line.contains(STANDS)).expect("a line");
    let stan = format!("\"issuer_de11\":\"{}\"", seen[1].plain().get(11));
    for part in ["\"ERROR\"", "\"maple\"", "\"L54321\"", "\"000000000002\"", stan.as_str()] {
        assert!(line.contains(part), "{part} in {line}");
    }
}
