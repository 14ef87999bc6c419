//! A disk that is slow, or full (D2, D3): system calls of the switch are held up or refused from outside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tests::rig::trace::Trace;
use tests::{Act, Noise, Setup, purchase};

/// How long a sync takes.
const SYNC: Duration = Duration::from_millis(400);

/// D3: an effect waits at most for the sync in progress and the one that carries it, however many others wait too.
#[test]
fn d3_with_a_slow_disk_groups_grow_and_nothing_waits_for_more_than_two_syncs() {
    let Some(rig) = Setup::new().set("journal.level", "sync").start() else { return };
    let delay = format!("inject=fdatasync:delay_exit={}", SYNC.as_micros());
    let Some(_trace) = Trace::of(&rig, &["trace=fdatasync", &delay]) else { return };
    let seen: Arc<Mutex<BTreeMap<u32, Instant>>> = Arc::default();
    let book = seen.clone();
    rig.issuer("maple").on(move |request| {
        let number = request.get(11).parse().unwrap_or(0);
        book.lock().expect("nobody panics").insert(number, Instant::now());
        Act::answer("")
    });
    let before = rig.metric("journal_syncs_total");
    let (mut sent, mut told) = (Vec::new(), Vec::new());
    let mut north = rig.acquirer("north");
    let (noise, since) = (Noise::watch(), Instant::now());
    while since.elapsed() < SYNC * 6 {
        sent.push(Instant::now());
        north.send(&purchase(&format!("11={:06}", sent.len())));
        thread::sleep(Duration::from_millis(10));
    }
    let answers = north.receive_all(sent.len());
    told.extend(answers.values().map(|answer| answer.plain.get(39).to_owned()));
    assert!(told.iter().all(|code| code == "00"), "{told:?}");
    let seen = seen.lock().expect("nobody panics");
    assert_eq!(seen.len(), sent.len(), "each was asked once");
    // Our own trace numbers are taken in the order of the requests.
    let waits: Vec<Duration> = seen.values().zip(&sent).map(|(seen, sent)| *seen - *sent).collect();
    let longest = waits.iter().max().expect("some");
    noise.insist("two syncs and what is beside them", *longest, SYNC * 11 / 4);
    assert!(waits.iter().sum::<Duration>() / waits.len() as u32 > SYNC / 2, "the disk was not slow");
    rig.await_that("the syncs to be counted", || {
        let syncs = rig.metric("journal_syncs_total") - before;
        syncs >= 3.0 && syncs < sent.len() as f64 / 4.0
    });
}

/// D2: what is left of the segment is kept for what was promised.
#[test]
fn d2_on_a_full_disk_new_requests_are_96_and_promises_are_kept() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=900001 4=1000"), "0110 38=A12345 39=00");
    let next = rig.folder().join("journal/shard-000/next");
    let Some(trace) = Trace::of_path(&rig, &next, &["trace=write", "inject=write:error=ENOSPC"]) else {
        return;
    };
    // Until the segment that was ready is used up and the next one cannot be made.
    let mut stan = 0;
    let is_full = |north: &mut tests::Acquirer, stan: &mut u32| {
        for _ in 0..100 {
            *stan += 1;
            north.send(&purchase(&format!("11={stan:06}")));
        }
        north.receive_all(100).values().any(|answer| answer.plain.get(39) == "96")
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_full(&mut north, &mut stan) {
        assert!(Instant::now() < deadline, "the disk never became full");
    }
    rig.await_gauge("journal_low", 1.0);
    north.ask(&purchase("11=900005"), "0110 38=- 39=96");
    north.ask(&purchase("0101 11=900001 4=1000"), "0110 38=A12345 39=00");
    north.ask(&purchase("0420 11=900002 4=1000 90=010090000111231200000000010000100000000000"), "0430 39=00");
    rig.issuer("maple").wait_reversals(1);
    assert!(!rig.process().has_ended());
    drop(trace);
    // There is room again, and it goes on by itself.
    rig.await_gauge("journal_low", 0.0);
    north.ask(&purchase("0101 11=900005"), "0110 38=A12345 39=00");
}
