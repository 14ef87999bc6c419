//! What is done to the wall clock (rules K1 to K3; K4, a freeze, is Q15), through libfaketime: a file says how far the
//! clock of the switch is from the machine's.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tests::rig::issuer::Seen;
use tests::rig::process::not_run;
use tests::{Act, Noise, Rig, Setup, purchase};

const TIMEOUT: Duration = Duration::from_millis(300);

/// A switch with such a clock.
fn start(clock: &str) -> Option<Rig> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64"];
    let files = folders.iter().map(|folder| PathBuf::from(folder).join("faketime/libfaketimeMT.so.1"));
    let Some(library) = files.into_iter().find(|file| file.exists()) else {
        not_run("libfaketime, which tests/strace.sh installs");
        return None;
    };
    Setup::new()
        .set("issuer.maple.timeout", "300ms")
        .file("clock", clock)
        .environment("LD_PRELOAD", &library.display().to_string())
        .environment("FAKETIME_TIMESTAMP_FILE", "clock")
        .environment("FAKETIME_NO_CACHE", "1")
        .environment("DONT_FAKE_MONOTONIC", "1")
        .start()
}

fn set_clock(rig: &Rig, clock: &str) {
    fs::write(rig.folder().join("clock"), clock).expect("our own");
}

/// A silent issuer is 91 in its time, whatever the clock says.
fn times_out_in_time(rig: &Rig, stan: u32) {
    let maple = rig.issuer("maple");
    maple.hold();
    let (noise, asked) = (Noise::watch(), Instant::now());
    rig.acquirer("north").ask(&purchase(&format!("11={stan:06}")), "0110 39=91");
    assert!(asked.elapsed() >= TIMEOUT - Duration::from_millis(5), "{:?}", asked.elapsed());
    noise.insist("a time-out", asked.elapsed(), TIMEOUT + Duration::from_millis(100));
    maple.on(|_| Act::answer(""));
}

/// No pair of DE 7 and DE 11 was ever used twice towards the issuer for two things.
fn insist_on_distinct_pairs(rig: &Rig) {
    let maple = rig.issuer("maple");
    let pair = |plain: &tests::Plain| (plain.get(7).to_owned(), plain.get(11).to_owned());
    let mut asked: Vec<_> = maple.seen().iter().map(|seen| pair(seen.plain())).collect();
    let first = |seen: &&Seen| seen.plain().mti() == "0420";
    asked.extend(maple.reversals().iter().filter(first).map(|seen| pair(seen.plain())));
    let count = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), count, "a pair was used twice");
}

#[test]
fn k1_a_wall_clock_that_jumps_moves_no_timer_and_forgets_nothing() {
    let Some(rig) = start("+0") else { return };
    let mut stan = 0;
    for clock in ["+0", "+1h", "-1h", "+1d", "-1d", "+0"] {
        set_clock(&rig, clock);
        for _ in 0..20 {
            stan += 1;
            rig.acquirer("north").ask(&purchase(&format!("11={stan:06} 37={stan:012}")), "0110 39=00");
        }
        stan += 1;
        times_out_in_time(&rig, stan);
        rig.acquirer("north").ask(&purchase("0101 11=000001 37=000000000001"), "0110 38=A12345 39=00");
    }
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    assert_eq!(rig.issuer("maple").seen().len() as u32, stan, "no repeat became a request");
    insist_on_distinct_pairs(&rig);
}

#[test]
fn k2_a_start_with_a_clock_behind_the_journal_says_so_and_goes_on_from_there() {
    let Some(mut rig) = start("+0") else { return };
    rig.acquirer("north").ask(&purchase("11=000001"), "0110 39=00");
    rig.crash();
    set_clock(&rig, "-1d");
    rig.start_again();
    let words = String::from_utf8_lossy(&rig.process().stderr()).into_owned();
    assert!(words.contains("the wall clock is behind the journal"), "{words}");
    rig.acquirer("north").ask(&purchase("0101 11=000001"), "0110 38=A12345 39=00");
    rig.acquirer("north").ask(&purchase("11=000002 37=000000000002"), "0110 39=00");
    times_out_in_time(&rig, 3);
    rig.crash();
    let moments: Vec<u64> =
        rig.export().iter().map(|line| line["received_us"].as_u64().expect("us")).collect();
    assert!(moments.len() == 3 && moments.is_sorted(), "{moments:?}");
    set_clock(&rig, "+0");
    rig.start_again();
    rig.acquirer("north").ask(&purchase("0101 11=000002 37=000000000002"), "0110 38=A12345 39=00");
}

#[test]
fn k3_midnight_the_end_of_a_month_and_of_a_year_change_nothing() {
    for eve in ["@2026-12-31 23:59:57", "@2028-02-28 23:59:57", "@2027-06-30 23:59:57"] {
        let Some(rig) = start(eve) else { return };
        let maple = rig.issuer("maple");
        rig.acquirer("north").ask(&purchase("11=000001 4=1000"), "0110 39=00");
        times_out_in_time(&rig, 2);
        let before = maple.wait_reversals(1)[0].plain().get(7).to_owned();
        std::thread::sleep(Duration::from_millis(3_500));
        rig.acquirer("north").ask(&purchase("0101 11=000001 4=1000"), "0110 38=A12345 39=00");
        times_out_in_time(&rig, 3);
        let after = maple.wait_reversals(2).last().expect("one").plain().get(7).to_owned();
        assert!(before[..4] != after[..4], "{eve}: {before} and {after} are not of two days");
        let reversal = purchase("0420 11=000009 4=1000 90=010000000111231200000000010000100000000000");
        rig.acquirer("north").ask(&reversal, "0430 39=00");
        rig.await_gauge("saf_depth{issuer=maple}", 0.0);
        insist_on_distinct_pairs(&rig);
    }
}
