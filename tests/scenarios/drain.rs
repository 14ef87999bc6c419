//! L9: the end by SIGTERM.

use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use tests::{Noise, PATIENCE, Rig, Setup, purchase};

#[test]
fn l9_what_is_pending_is_answered_and_the_exit_is_clean() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    for stan in 0..5 {
        north.send(&purchase(&format!("11={stan:06}")));
    }
    let seen = maple.wait_seen(5);
    rig.process().signal(Signal::TERM);
    await_drain(&rig);
    // A new request on an old connection is refused, not forwarded.
    north.ask(&purchase("11=000009"), "0110 11=000009 38=- 39=91");
    seen.iter().for_each(|one| maple.answer(one, ""));
    assert!(north.receive_all(5).values().all(|one| one.plain.get(39) == "00"));
    assert_eq!(rig.process().exit_code(PATIENCE), 0);
    assert_eq!(maple.seen().len(), 5);
}

/// Waits until the switch takes no new request: its listener is closed first, and its shards hear of it a turn later.
pub(super) fn await_drain(rig: &Rig) {
    rig.await_that("the listener to close", || TcpStream::connect(rig.address("north")).is_err());
    std::thread::sleep(Duration::from_millis(300));
}

#[test]
fn l9_with_nothing_pending_the_end_comes_at_once() {
    let Some(rig) = Setup::new().set("switch.drain_grace", "15s").start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase(""), "0110 39=00");
    let noise = Noise::watch();
    let start = std::time::Instant::now();
    assert_eq!(rig.terminate(), 0);
    noise.insist("an idle drain", start.elapsed(), Duration::from_secs(1));
    north.expect_closed();
}

#[test]
fn l9_what_times_out_within_the_grace_is_answered_91_and_the_exit_is_clean() {
    let Some(rig) = Setup::new().set("issuer.maple.timeout", "300ms").start() else { return };
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    rig.issuer("maple").wait_seen(1);
    rig.process().signal(Signal::TERM);
    north.expect("0110 11=000001 39=91");
    assert_eq!(rig.process().exit_code(PATIENCE), 0);
}

#[test]
fn l9_what_stays_pending_beyond_the_grace_is_91_and_undone() {
    let Some(rig) = Setup::new().set("switch.drain_grace", "300ms").start() else { return };
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    rig.issuer("maple").wait_seen(1);
    let noise = Noise::watch();
    let start = std::time::Instant::now();
    rig.process().signal(Signal::TERM);
    north.expect("0110 11=000001 38=- 39=91");
    assert_eq!(rig.process().exit_code(PATIENCE), 0);
    noise.insist("the end of the grace", start.elapsed(), Duration::from_millis(300 + 700));
    assert_eq!(rig.issuer("maple").wait_reversals(1)[0].plain().mti(), "0420");
}

/// Without a journal nothing undoes what was pending, and the exit code says so.
#[test]
fn l9_without_a_journal_a_drain_cut_short_is_75() {
    let Some(mut rig) = Setup::new().without_journal().set("switch.drain_grace", "300ms").start() else {
        return;
    };
    rig.expect_exit(75);
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    rig.issuer("maple").wait_seen(1);
    rig.process().signal(Signal::TERM);
    north.expect("0110 11=000001 38=- 39=91");
    assert_eq!(rig.process().exit_code(PATIENCE), 75);
}

#[test]
fn l9_a_second_signal_cuts_the_drain_short() {
    let Some(rig) = Setup::new().set("switch.drain_grace", "60s").start() else { return };
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    rig.issuer("maple").wait_seen(1);
    rig.process().signal(Signal::TERM);
    rig.await_that("the listener to close", || TcpStream::connect(rig.address("north")).is_err());
    rig.process().signal(Signal::TERM);
    assert_eq!(rig.process().exit_code(Duration::from_secs(4)), 0);
}

#[test]
fn l9_readyz_says_no_while_draining() {
    let Some(rig) = Setup::new().start() else { return };
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = rig.issuer("maple").wait_seen(1);
    assert_eq!(rig.get("/readyz").0, 200);
    rig.process().signal(Signal::TERM);
    rig.await_that("/readyz to say no", || rig.get("/readyz").0 == 503);
    rig.issuer("maple").answer(&seen[0], "");
    north.expect("0110 11=000001 39=00");
    assert_eq!(rig.process().exit_code(PATIENCE), 0);
}
