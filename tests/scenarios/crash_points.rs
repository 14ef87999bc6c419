//! The process killed at one named call, and what the next one makes of it (rules C0 to C10). The sweep kills at every call;
//! here each point of the rules has its own test.

use std::thread;
use std::time::{Duration, Instant};

use tests::rig::trace::Trace;
use tests::{Act, Rig, Setup, purchase};

const REVERSAL: &str = "11=000009 4=1000 90=010000000111231200000000010000100000000000";

/// Does something, of which the first call of this name is the last thing the switch ever does.
fn killed_at(rig: &Rig, call: &str, act: impl FnOnce(&Rig)) -> bool {
    // Seals of what was written are behind us.
    thread::sleep(Duration::from_millis(300));
    let inject = format!("inject={call}:signal=SIGKILL:when=1");
    let Some(trace) = Trace::of(rig, &[&format!("trace={call}"), &inject]) else { return false };
    act(rig);
    rig.await_that(&format!("{call} to be the last"), || rig.process().is_dead());
    drop(trace);
    true
}

fn start() -> Option<Rig> {
    Setup::new().set("journal.level", "sync").set("issuer.maple.timeout", "400ms").start()
}

fn states(rig: &Rig) -> Vec<String> {
    rig.export().iter().map(|line| line["state"].as_str().expect("a state").to_owned()).collect()
}

/// The trace numbers under which the issuer was told to undo something, each once.
fn undone_as(rig: &Rig) -> Vec<String> {
    let mut numbers: Vec<String> =
        rig.issuer("maple").reversals().iter().map(|seen| seen.plain().get(11).to_owned()).collect();
    numbers.sort();
    numbers.dedup();
    numbers
}

fn send(rig: &Rig, message: &str) {
    let mut north = rig.acquirer("north");
    north.send(&purchase(message));
    // The link stays until the switch is gone.
    let _ = north.receive_until(Instant::now() + Duration::from_secs(5));
}

#[test]
fn c0_what_was_read_and_not_written_down_never_was() {
    let Some(mut rig) = start() else { return };
    if !killed_at(&rig, "pwrite64", |rig| send(rig, "11=000001 4=1000")) {
        return;
    }
    assert!(states(&rig).is_empty() && rig.issuer("maple").seen().is_empty());
    rig.start_again();
    rig.acquirer("north").ask(&purchase("0101 11=000001 4=1000"), "0110 38=A12345 39=00");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
    assert!(rig.issuer("maple").reversals().is_empty());
}

#[test]
fn c1_what_was_written_down_and_not_sent_is_undone_as_if_it_had_been() {
    let Some(mut rig) = start() else { return };
    if !killed_at(&rig, "sendto", |rig| send(rig, "11=000001 4=1000")) {
        return;
    }
    assert_eq!(states(&rig), ["in_doubt"]);
    rig.start_again();
    assert_eq!(rig.issuer("maple").wait_reversals(1)[0].plain().mti(), "0421");
    rig.acquirer("north").ask(&purchase("0101 11=000001 4=1000"), "0110 38=- 39=91");
    rig.acquirer("north").ask(&purchase(&format!("0420 {REVERSAL}")), "0430 39=00");
    assert!(rig.issuer("maple").seen().is_empty());
}

#[test]
fn c3_an_approval_that_was_not_written_down_is_none() {
    let Some(mut rig) = start() else { return };
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001 4=1000"));
    let seen = rig.issuer("maple").wait_seen(1);
    let killed = killed_at_once(&rig, "pwrite64", |rig| rig.issuer("maple").answer(&seen[0], "39=00"));
    if !killed {
        return;
    }
    assert_eq!(states(&rig), ["in_doubt"]);
    rig.start_again();
    assert_eq!(rig.issuer("maple").wait_reversals(1)[0].plain().mti(), "0421");
    rig.acquirer("north").ask(&purchase("0101 11=000001 4=1000"), "0110 38=- 39=91");
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
}

/// The same without a wait before it: a deadline runs.
fn killed_at_once(rig: &Rig, call: &str, act: impl FnOnce(&Rig)) -> bool {
    let inject = format!("inject={call}:signal=SIGKILL:when=1");
    let Some(trace) = Trace::of(rig, &[&format!("trace={call}"), &inject]) else { return false };
    act(rig);
    rig.await_that(&format!("{call} to be the last"), || rig.process().is_dead());
    drop(trace);
    true
}

#[test]
fn c6_a_time_out_that_was_written_down_and_not_told_is_told_to_the_repeat() {
    let Some(mut rig) =
        Setup::new().set("journal.level", "sync").set("issuer.maple.timeout", "1500ms").start()
    else {
        return;
    };
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001 4=1000"));
    rig.issuer("maple").wait_seen(1);
    if !killed_at_once(&rig, "sendto", |_| {}) {
        return;
    }
    assert_eq!(states(&rig), ["timed_out"]);
    rig.start_again();
    assert_eq!(rig.issuer("maple").wait_reversals(1).last().expect("one").plain().mti(), "0421");
    rig.acquirer("north").ask(&purchase("0101 11=000001 4=1000"), "0110 38=- 39=91");
    assert_eq!(undone_as(&rig).len(), 1);
}

#[test]
fn c8_an_acknowledgement_that_was_not_written_down_costs_one_more_repeat() {
    let Some(mut rig) = start() else { return };
    rig.issuer("maple").on_reversal(|_| Act::Hold);
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001 4=1000"), "0110 39=00");
    north.ask(&purchase(&format!("0420 {REVERSAL}")), "0430 39=00");
    let told = rig.issuer("maple").wait_reversals(1);
    if !killed_at(&rig, "pwrite64", |rig| rig.issuer("maple").answer(&told[0], "")) {
        return;
    }
    rig.issuer("maple").on_reversal(|_| Act::answer(""));
    let before = rig.issuer("maple").reversals().len();
    rig.start_again();
    assert_eq!(rig.issuer("maple").wait_reversals(before + 1)[before].plain().mti(), "0421");
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    assert_eq!(undone_as(&rig).len(), 1);
}

#[test]
fn c9_a_reversal_that_was_not_written_down_is_taken_when_it_comes_again() {
    let Some(mut rig) = start() else { return };
    rig.acquirer("north").ask(&purchase("11=000001 4=1000"), "0110 39=00");
    if !killed_at(&rig, "pwrite64", |rig| send(rig, &format!("0420 {REVERSAL}"))) {
        return;
    }
    assert_eq!(states(&rig), ["approved"]);
    rig.start_again();
    assert!(rig.issuer("maple").reversals().is_empty());
    rig.acquirer("north").ask(&purchase(&format!("0421 {REVERSAL}")), "0430 39=00");
    rig.issuer("maple").wait_reversals(1);
}

#[test]
fn c10_a_reversal_that_was_written_down_and_not_acknowledged_is_no_second_one() {
    let Some(mut rig) = start() else { return };
    rig.acquirer("north").ask(&purchase("11=000001 4=1000"), "0110 39=00");
    if !killed_at(&rig, "sendto", |rig| send(rig, &format!("0420 {REVERSAL}"))) {
        return;
    }
    assert_eq!(states(&rig), ["reversed"]);
    rig.start_again();
    rig.acquirer("north").ask(&purchase(&format!("0421 {REVERSAL}")), "0430 39=00");
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    assert_eq!(undone_as(&rig).len(), 1);
    rig.acquirer("north").ask(&purchase("0101 11=000001 4=1000"), "0110 38=- 39=94");
}
