//! Connections come, go, stall and flap.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use tests::rig::acquirer::connect_narrow;
use tests::{Acquirer, Noise, PATIENCE, Setup, purchase};

#[test]
fn l1_an_approval_nobody_can_be_given_is_not_an_approval() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    north.reset();
    rig.await_gauge("connections{peer=north}", 0.0);
    maple.answer(&seen[0], "39=00");
    rig.await_gauge("in_flight", 0.0);
    // The repeat is told 91, and nothing is asked again.
    rig.acquirer("north").ask(&purchase("0101 11=000001"), "0110 11=000001 38=- 39=91");
    assert_eq!(maple.seen().len(), 1);
}

#[test]
fn l1_a_decline_nobody_was_there_for_is_told_to_the_repeat() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    north.reset();
    rig.await_gauge("connections{peer=north}", 0.0);
    maple.answer(&seen[0], "38=- 39=51");
    rig.await_gauge("in_flight", 0.0);
    let repeated = rig.acquirer("north").ask(&purchase("0101 11=000001"), "0110 11=000001 38=-");
    assert!(["51", "91"].contains(&repeated.plain.get(39)), "{}", repeated.plain);
}

#[test]
fn l2_an_approval_of_which_a_byte_left_stands() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001"), "0110 38=A12345 39=00");
    north.reset();
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0101 11=000001"), "0110 38=A12345 39=00");
    north.ask(&purchase("0420 11=000009 90=010000000111231200000000010000100000000000"), "0430 39=00");
    assert_eq!((maple.seen().len(), maple.wait_reversals(1).len()), (1, 1), "undone once, by its acquirer");
}

#[test]
fn l3_a_repeat_on_a_new_connection_joins_and_is_answered_there() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    north.reset();
    rig.await_gauge("connections{peer=north}", 0.0);
    let mut again = rig.acquirer("north");
    again.send(&purchase("0101 11=000001"));
    rig.await_metric("joined_total{acquirer=north}", 1.0);
    maple.answer(&seen[0], "");
    again.expect("0110 11=000001 38=A12345 39=00");
    assert_eq!(maple.seen().len(), 1);
}

#[test]
fn l1_an_answer_may_leave_by_another_live_connection_of_the_acquirer_or_not_at_all() {
    let Some(rig) = Setup::new().acquirer("south").start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let (mut north, mut south) = (rig.acquirer("north"), rig.acquirer("south"));
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    north.reset();
    rig.await_gauge("connections{peer=north}", 0.0);
    maple.answer(&seen[0], "39=00");
    rig.await_gauge("in_flight", 0.0);
    // Never to another principal: south hears its own answer and nothing before it.
    maple.on(|_| tests::Act::answer(""));
    south.ask(&purchase("11=000009"), "0110 11=000009 39=00");
}

#[test]
fn l5_a_peer_that_does_not_read_is_cut_off_and_costs_little() {
    // The time-out of the socket must not be what ends it.
    let setup = Setup::new().set("limits.output_bytes_max", "64KiB").set("timers.user_timeout", "10m");
    let Some(rig) = setup.start() else { return };
    let mut good = rig.acquirer("north");
    good.ask(&purchase("11=000001"), "0110 39=00");
    let before = rig.process().resident_bytes();
    // Every frame is answered at once (no route), and none of the answers is read.
    let frame = rig.wire("north").frame_text(&purchase("2=9999800000000015 11=000002"));
    let mut flood = connect_narrow(rig.address("north"));
    flood.set_write_timeout(Some(PATIENCE)).expect("a time-out");
    let batch = frame.repeat(100);
    let refused = (0..2_000).find_map(|_| flood.write_all(&batch).err());
    let why = refused.expect("40 MB were taken and none of the answers was read").kind();
    assert!(!matches!(why, ErrorKind::WouldBlock | ErrorKind::TimedOut), "held back instead of cut off");
    rig.await_gauge("connections{peer=north}", 1.0);
    let grown = rig.process().resident_bytes().saturating_sub(before);
    // The bound on unsent bytes, and the memory of recent outcomes.
    assert!(grown < 32 << 20, "resident memory grew by {grown} bytes");
    good.ask(&purchase("11=000003"), "0110 11=000003 39=00");
}

#[test]
fn l6_two_connections_of_one_acquirer_both_live() {
    let Some(rig) = Setup::new().start() else { return };
    let (mut first, mut second) = (rig.acquirer("north"), rig.acquirer("north"));
    for stan in 0..10 {
        first.ask(&purchase(&format!("11=1{stan:05}")), &format!("0110 11=1{stan:05} 39=00"));
        second.ask(&purchase(&format!("11=2{stan:05}")), &format!("0110 11=2{stan:05} 39=00"));
    }
    rig.await_gauge("connections{peer=north}", 2.0);
}

#[test]
fn l7_a_flapping_issuer_is_called_less_often_and_harms_no_other() {
    const ASKED: usize = 400;
    let setup = Setup::new()
        .issuer("oak", "99997")
        .set("timers.reconnect_min", "100ms")
        .set("timers.reconnect_max", "2s");
    let Some(rig) = setup.start() else { return };
    let maple = rig.issuer("maple");
    let mut north = rig.acquirer("north");
    let quiet = slow_end(&mut north, 0, ASKED);

    let noise = Noise::watch();
    let (calls, start) = (maple.connects(), Instant::now());
    maple.flap(true);
    maple.reset_links();
    let flapping = slow_end(&mut north, 1, ASKED);
    while start.elapsed() < Duration::from_millis(1500) {
        north.ask(&purchase("0101 2=9999700000000017 11=100000"), "0110 39=00");
        thread::sleep(Duration::from_millis(10));
    }
    // 100 + 200 + 400 + 800 ms: at most five calls in 1.5 s, with jitter perhaps twice as many, never 15.
    let calls = maple.connects() - calls;
    assert!((1..=10).contains(&calls), "{calls} calls in 1.5 s");
    noise.insist(
        "the slow end beside a flapping issuer",
        flapping,
        quiet.mul_f64(1.2) + Duration::from_millis(5),
    );

    maple.flap(false);
    maple.wait_links(1);
    rig.await_links("maple", 1);
    north.ask(&purchase("11=900000"), "0110 39=00");
}

/// The 99th of 100 answer times of oak's card.
fn slow_end(north: &mut Acquirer, round: usize, asked: usize) -> Duration {
    let mut times: Vec<_> = (0..asked)
        .map(|stan| {
            let sent = Instant::now();
            let request = purchase(&format!("2=9999700000000017 11={round}{stan:05}"));
            north.ask(&request, &format!("0110 11={round}{stan:05} 39=00")).at - sent
        })
        .collect();
    times.sort();
    times[asked * 99 / 100]
}

#[test]
fn an_issuer_that_comes_late_is_used_when_it_is_there() {
    let Some(rig) = Setup::new().issuer("oak", "99997").start() else { return };
    let oak = rig.issuer("oak");
    oak.go_down();
    rig.await_links("oak", 0);
    let mut north = rig.acquirer("north");
    let request = "2=9999700000000017";
    north.ask(&purchase(&format!("{request} 11=000001")), "0110 39=91");
    oak.come_back();
    rig.await_links("oak", 1);
    north.ask(&purchase(&format!("{request} 11=000002")), "0110 39=00");
}

#[test]
fn the_window_of_a_connection_holds_back_the_rest() {
    let Some(rig) = Setup::new().set("acquirer.north.window", 2).start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let (mut narrow, mut other) = (rig.acquirer("north"), rig.acquirer("north"));
    for stan in 1..=4 {
        narrow.send(&purchase(&format!("11=00000{stan}")));
    }
    maple.wait_seen(2);
    other.send(&purchase("11=000009"));
    let seen = maple.wait_seen(3);
    assert_eq!(seen[2].plain().get(37), "000000000009", "the window of the connection was not kept");
    maple.answer(&seen[0], "");
    assert_eq!(maple.wait_seen(4)[3].plain().get(37), "000000000003");
    let first = narrow.receive();
    assert_eq!(first.plain.get(39), "00");
    for one in &maple.seen()[1..] {
        maple.answer(one, "");
    }
    let last = maple.wait_seen(5);
    maple.answer(&last[4], "");
    narrow.receive_all(3);
    other.expect("0110 11=000009 39=00");
}

#[test]
fn connections_beyond_the_bound_are_refused() {
    let Some(rig) = Setup::new().set("acquirer.north.connections_max", 2).start() else { return };
    let (mut first, _second) = (rig.acquirer("north"), rig.acquirer("north"));
    rig.await_gauge("connections{peer=north}", 2.0);
    rig.acquirer("north").expect_closed();
    rig.await_metric("connections_refused_total", 1.0);
    first.ask(&purchase(""), "0110 39=00");
}

#[test]
fn logs_that_nobody_reads_stop_no_payment() {
    let Some(rig) = Setup::new().environment("SIGNALBOX_LOG", "debug").start() else { return };
    rig.process().leave_unread(true);
    let mut north = rig.acquirer("north");
    // A line for each: far more than the pipe and the reader hold.
    for stan in 1..=2_000 {
        let mut frame = rig.wire("north").frame_text(&purchase(&format!("11={stan:06} 4=987654321098")));
        let amount = frame.windows(12).position(|window| window == b"987654321098").expect("DE 4");
        frame[amount] = b'A';
        north.send_bytes(&frame);
        north.expect("0110 39=30");
    }
    north.ask(&purchase("11=002001"), "0110 39=00");
    rig.process().leave_unread(false);
}
