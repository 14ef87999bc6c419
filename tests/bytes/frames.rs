//! B1 to B7: where frames begin and end.

use std::thread;
use std::time::{Duration, Instant};

use tests::{Act, Noise, Plain, Setup, purchase};

#[test]
fn b01_a_frame_in_one_byte_pieces_is_one_message() {
    let Some(rig) = Setup::new().set("timers.frame", "5s").start() else { return };
    let mut north = rig.acquirer("north");
    let frame = north.wire().frame_text(&purchase("11=000001"));
    for byte in frame {
        north.send_bytes(&[byte]);
    }
    north.expect("0110 11=000001 39=00");
}

#[test]
fn b01_the_time_for_a_frame_counts_from_its_first_byte() {
    let Some(rig) = Setup::new().set("timers.frame", "400ms").start() else { return };
    let mut north = rig.acquirer("north");
    let frame = north.wire().frame_text(&purchase("11=000001"));
    let noise = Noise::watch();
    let start = Instant::now();
    // A byte every 20 ms keeps the connection busy; the frame is still late.
    for byte in frame {
        if !north.try_send_bytes(&[byte]) {
            break;
        }
        if start.elapsed() > Duration::from_secs(2) {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    north.expect_closed();
    assert!(start.elapsed() >= Duration::from_millis(400));
    noise.insist("the end of a dribbled frame", start.elapsed(), Duration::from_millis(400 + 300));
    assert_eq!(rig.issuer("maple").seen().len(), 0);
    // An idle connection has no such time: nothing has begun.
    let mut idle = rig.acquirer("north");
    idle.expect_silence(Duration::from_millis(600));
    idle.ask(&purchase("11=000002"), "0110 39=00");
}

#[test]
fn b02_many_frames_in_one_segment_are_each_processed_once_and_in_order() {
    const MANY: usize = 500;
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let frames: Vec<u8> =
        (0..MANY).flat_map(|stan| north.wire().frame_text(&purchase(&format!("11={stan:06}")))).collect();
    north.send_bytes(&frames);
    let answers = north.receive_all(MANY);
    assert!(answers.values().all(|one| one.plain.get(39) == "00"));
    let seen = rig.issuer("maple").wait_seen(MANY);
    let order: Vec<_> = seen.iter().map(|one| one.plain().get(37).to_owned()).collect();
    assert_eq!(order, (0..MANY).map(|stan| format!("{stan:012}")).collect::<Vec<_>>());
}

#[test]
fn b02_a_frame_may_be_split_anywhere() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let length = north.wire().frame_text(&purchase("")).len();
    for split in 0..=length {
        let first = north.wire().frame_text(&purchase(&format!("11=1{split:05}")));
        let second = north.wire().frame_text(&purchase(&format!("11=2{split:05}")));
        // The tail of the first frame travels with the whole second one.
        north.send_bytes(&first[..split]);
        north.send_bytes(&[&first[split..], &second].concat());
        let answers = north.receive_all(2);
        assert!(answers.values().all(|one| one.plain.get(39) == "00"), "split at {split}");
    }
}

#[test]
fn b02_answers_of_the_issuer_may_arrive_in_pieces_and_bundles_too() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    north.send(&purchase("11=000002"));
    let seen = maple.wait_seen(2);
    maple.answer_in_pieces(&seen, "39=00");
    assert!(north.receive_all(2).values().all(|one| one.plain.get(39) == "00"));
}

#[test]
fn b03_length_0_closes_unless_it_is_a_keep_alive() {
    let setup = Setup::new().acquirer("idle").set("acquirer.idle.framing.keep_alive", true);
    let Some(rig) = setup.start() else { return };
    let (mut strict, mut idle) = (rig.acquirer("north"), rig.acquirer("idle"));
    strict.send_bytes(&[0, 0]);
    strict.expect_closed();
    idle.send_bytes(&[0, 0]);
    idle.ask(&purchase("11=000001"), "0110 39=00");
    idle.send_bytes(&[0, 0, 0, 0]);
    idle.ask(&purchase("11=000002"), "0110 39=00");
}

#[test]
fn b04_a_length_beyond_the_bound_closes_on_the_header() {
    let setup = Setup::new()
        .acquirer("wide")
        .set("acquirer.wide.framing.length", "binary4")
        .acquirer("tight")
        .set("acquirer.tight.framing.max", "512B");
    let Some(rig) = setup.start() else { return };
    let before = rig.process().resident_bytes();
    for announced in [4097_u32, 1 << 20, 1 << 30, u32::MAX] {
        let mut wide = rig.acquirer("wide");
        wide.send_bytes(&announced.to_be_bytes());
        wide.expect_closed();
    }
    for (name, announced) in [("north", 4097_u16), ("north", u16::MAX), ("tight", 513)] {
        let mut acquirer = rig.acquirer(name);
        acquirer.send_bytes(&announced.to_be_bytes());
        acquirer.expect_closed();
    }
    let grown = rig.process().resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "resident memory grew by {grown} bytes for lengths that were only announced");
    rig.acquirer("tight").ask(&purchase(""), "0110 39=00");
}

#[test]
fn b04_the_largest_message_that_may_come_does() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let filler = "A".repeat(900);
    let text = purchase(&format!("11=000001 48={filler} 60={filler} 61={filler} 62={filler}"));
    let short = 4096 - Plain::of(&text).encode(north.wire().dialect).len() - 3;
    let request = Plain::of(&text).with(&format!("63={}", "B".repeat(short))).to_string();
    assert_eq!(Plain::of(&request).encode(north.wire().dialect).len(), 4096);
    north.ask(&request, "0110 11=000001 39=00");
    // An issuer that echoes all of it says more than that, and keeps its link.
    let echo = ["48", "60", "61", "62"].map(|de| format!("{de}={filler}")).join(" ");
    let echo = format!("{echo} 63={} 38=A12345 39=00", "B".repeat(short));
    rig.issuer("maple").on(move |_| Act::answer(&echo));
    let again = Plain::of(&request).with("11=000002").to_string();
    north.ask(&again, "0110 11=000002 39=00");
    north.ask(&purchase("11=000003"), "0110 11=000003 39=00");
    assert_eq!(rig.metric("links_ended_total"), 0.0);
}

#[test]
fn b05_the_third_unreadable_message_closes_the_connection() {
    let Some(rig) = Setup::new().start() else { return };
    for garbage in [&b"NOISE WITHOUT ANY SENSE"[..], &[0; 40], &[0xFF; 200], b"0", b"0100"] {
        let mut north = rig.acquirer("north");
        let frame = north.wire().frame(garbage);
        north.send_bytes(&frame.repeat(2));
        // Two are forgiven.
        north.ask(&purchase("11=000001"), "0110 11=000001 39=00");
        north.send_bytes(&frame);
        north.expect_closed();
    }
    rig.await_metric("glitches_total{peer=north}", 15.0);
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn b05_the_number_of_forgiven_messages_is_configured() {
    let Some(rig) = Setup::new().set("limits.glitches_max", 1).start() else { return };
    let mut north = rig.acquirer("north");
    let frame = north.wire().frame(b"NOISE");
    north.send_bytes(&frame);
    north.expect_closed();
}

#[test]
fn b05_an_issuer_that_sends_garbage_loses_its_link_and_comes_back() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.send_bytes_on(0, &rig.wire("north").frame(b"NOISE").repeat(3));
    rig.await_metric("glitches_total{peer=maple}", 3.0);
    maple.wait_connects(2);
    rig.await_links("maple", 1);
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
}

#[test]
fn b06_good_frames_before_garbage_are_answered_first() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let mut bytes: Vec<u8> = (0..3)
        .flat_map(|stan| north.wire().frame_text(&purchase(&format!("2=9999800000000015 11={stan:06}"))))
        .collect();
    // The largest length there is, and nothing behind it.
    bytes.extend([0xFF, 0xFF]);
    north.send_bytes(&bytes);
    for stan in 0..3 {
        north.expect(&format!("0110 11={stan:06} 39=92"));
    }
    north.expect_closed();
}

#[test]
fn b07_a_truncated_frame_and_a_close_leave_nothing() {
    let Some(rig) = Setup::new().start() else { return };
    let frame = rig.wire("north").frame_text(&purchase("11=000001"));
    for end in [1, 2, 3, 30, frame.len() - 1] {
        let mut north = rig.acquirer("north");
        north.send_bytes(&frame[..end]);
        drop(north);
    }
    rig.await_metric("connections_total{peer=north}", 5.0);
    rig.await_gauge("connections{peer=north}", 0.0);
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000002"), "0110 39=00");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
    rig.await_metric("received_total{acquirer=north}", 1.0);
}
