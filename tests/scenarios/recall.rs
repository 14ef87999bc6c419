//! What memory has forgotten is asked of the index: an old payment is undone at its issuer, and an old request is not made
//! a second one (rules 2.1, R1, R4, R6, Q2).

use std::fs;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tests::{Acquirer, Rig, Setup, purchase};

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
