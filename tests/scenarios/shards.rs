//! Several shards: whatever shard a message arrives at, lives at or leaves by, the answers are the same.

use std::collections::BTreeSet;
use std::time::Duration;

use tests::fixtures::with_check_digit;
use tests::{Act, Setup, purchase};

const CARDS: usize = 240;

fn three_shards() -> Setup {
    Setup::new().set("switch.shards", 3).set("issuer.maple.links_per_address", 3)
}

fn card(number: usize) -> String {
    with_check_digit(&format!("9999600{number:08}"))
}

fn stan(number: usize) -> String {
    format!("{:06}", number + 1)
}

#[test]
fn every_purchase_is_answered_over_its_own_connection() {
    let Some(rig) = three_shards().start() else { return };
    rig.await_links("maple", 3);
    let mut connections: Vec<_> = (0..6).map(|_| rig.acquirer("north")).collect();
    for number in 0..CARDS {
        let request = purchase(&format!("2={} 11={}", card(number), stan(number)));
        connections[number % 6].send(&request);
    }
    for (place, connection) in connections.iter_mut().enumerate() {
        let answered: BTreeSet<String> = connection.receive_all(CARDS / 6).into_keys().collect();
        let asked: BTreeSet<String> = (place..CARDS).step_by(6).map(stan).collect();
        assert_eq!(answered, asked, "connection {place}");
    }
    let seen = rig.issuer("maple").seen();
    let traces: BTreeSet<&str> = seen.iter().map(|seen| seen.plain().get(11)).collect();
    assert_eq!(
        (seen.len(), traces.len()),
        (CARDS, CARDS),
        "one request each, under a trace number of its own"
    );
}

#[test]
fn repeats_meet_their_original_wherever_they_arrive() {
    let Some(rig) = three_shards().start() else { return };
    rig.await_links("maple", 3);
    let mut connections: Vec<_> = (0..6).map(|_| rig.acquirer("north")).collect();
    for number in 0..30 {
        let (card, stan) = (card(number), stan(number));
        let first = connections[number % 6].ask(&purchase(&format!("2={card} 11={stan}")), "0110 39=00");
        let approval = first.plain.get(38).to_owned();
        let told = format!("0110 11={stan} 38={approval} 39=00");
        connections[(number + 1) % 6].ask(&purchase(&format!("0101 2={card} 11={stan}")), &told);
        // Another card under the same identity, which may live on another shard.
        let other = purchase(&format!("2={} 11={stan}", self::card(number + 1_000)));
        connections[(number + 2) % 6].ask(&other, &format!("0110 11={stan} 39=94"));
    }
    assert_eq!(rig.issuer("maple").seen().len(), 30);
}

#[test]
fn time_outs_lost_links_and_stops_reach_every_shard() {
    let Some(rig) = three_shards().set("issuer.maple.timeout", "1500ms").start() else { return };
    rig.await_links("maple", 3);
    let maple = rig.issuer("maple");
    maple.hold();
    let mut connections: Vec<_> = (0..3).map(|_| rig.acquirer("north")).collect();
    for number in 0..30 {
        connections[number % 3].send(&purchase(&format!("2={} 11={}", card(number), stan(number))));
    }
    for connection in &mut connections {
        for answer in connection.receive_all(10).values() {
            assert_eq!(answer.plain.get(39), "91");
        }
    }
    for number in 30..60 {
        connections[number % 3].send(&purchase(&format!("2={} 11={}", card(number), stan(number))));
    }
    maple.wait_seen(60);
    maple.reset_links();
    for connection in &mut connections {
        for answer in connection.receive_all(10).values() {
            assert_eq!(answer.plain.get(39), "91");
        }
    }
    rig.await_links("maple", 3);
    maple.on(|_| Act::After(Duration::from_millis(50), String::new()));
    for number in 60..90 {
        connections[number % 3].send(&purchase(&format!("2={} 11={}", card(number), stan(number))));
    }
    maple.wait_seen(90);
    assert_eq!(rig.terminate(), 0, "a stop waits for what runs, on every shard");
    for connection in &mut connections {
        for answer in connection.receive_all(10).values() {
            assert_eq!(answer.plain.get(39), "00");
        }
    }
}

/// Answers to trace numbers of other shards go through a bounded queue: the flood is left in the socket.
#[test]
fn an_issuer_that_floods_other_shards_fills_no_memory() {
    const FLOOD: usize = 300_000;
    let Some(rig) = Setup::new().set("switch.shards", 3).start() else { return };
    rig.await_links("maple", 1);
    let mut north = rig.acquirer("north");
    let answer = north.ask(&purchase("11=000001"), "0110 39=00");
    let before = rig.process().resident_bytes();
    let mut nonsense = answer.plain.clone();
    let wire = rig.wire("north");
    let frames: Vec<u8> = (2..62_u32)
        .flat_map(|number| {
            nonsense.set(11, &format!("{number:06}"));
            wire.frame_text(&nonsense.to_string())
        })
        .collect();
    for _ in 0..FLOOD / 60 / 50 {
        rig.issuer("maple").send_bytes_on(0, &frames.repeat(50));
    }
    rig.await_that("the flood to be counted", || rig.metric("unmatched_total{issuer=maple}") >= FLOOD as f64);
    let grown = rig.process().resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for a flood of {FLOOD} answers");
    north.ask(&purchase("11=000002"), "0110 39=00");
}
