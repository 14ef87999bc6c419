//! What a start reads: the newest snapshot and the segments after it (rules C12 to C14, A5). What is over is removed, and
//! nothing that is still open with it.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tests::rig::trace::Trace;
use tests::{Act, Rig, Setup, purchase};

/// About a segment of the smallest size.
const SEGMENT_PAYMENTS: u32 = 4_500;

fn setup() -> Setup {
    Setup::new().set("journal.snapshot", "1MiB")
}

/// The files of the only shard with this ending, oldest first.
fn files(rig: &Rig, ending: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(rig.folder().join("journal/shard-000")).expect("the journal").flatten();
    let mut files: Vec<PathBuf> = names
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == ending))
        .collect();
    files.sort();
    files
}

/// Payments with these numbers, a hundred at a time.
fn pay(rig: &Rig, from: u32, count: u32) {
    let mut north = rig.acquirer("north");
    for first in (from..from + count).step_by(100) {
        for stan in first..first + 100 {
            north.send(&purchase(&format!("11={stan:06} 37={stan:012}")));
        }
        north.receive_all(100);
    }
}

/// Pays until there are so many snapshots, and says how many payments that took.
fn pay_for_snapshots(rig: &Rig, count: usize) -> u32 {
    let mut paid = 0;
    let mut last = files(rig, "snapshot").last().cloned();
    for _ in 0..count {
        pay(rig, paid, SEGMENT_PAYMENTS);
        paid += SEGMENT_PAYMENTS;
        let newest = || files(rig, "snapshot").last().cloned().filter(|newest| Some(newest) != last.as_ref());
        rig.await_that("a snapshot", || newest().is_some());
        last = newest();
    }
    paid
}

fn said(rig: &Rig) -> String {
    String::from_utf8_lossy(&rig.process().stderr()).into_owned()
}

#[test]
fn c13_a_start_reads_the_newest_snapshot_and_knows_everything() {
    let Some(mut rig) = setup().start() else { return };
    let maple = rig.issuer("maple");
    maple.on_reversal(|_| Act::Hold);
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=900001 4=1000"), "0110 39=00");
    north.ask(&purchase("0420 11=900002 4=1000 90=010090000111231200000000010000100000000000"), "0430 39=00");
    north.ask(&purchase("0420 11=900003 90=010090000911231200000000010000100000000000"), "0430 39=00");
    maple.wait_reversals(1);
    let paid = pay_for_snapshots(&rig, 2);
    rig.crash();
    let once = rig.verify();
    for _ in 0..3 {
        rig.start_again();
        rig.await_that("the snapshot in the log", || said(&rig).contains("\"snapshots\":1"));
        rig.crash();
        assert_eq!(rig.verify(), once);
    }
    rig.issuer("maple").on_reversal(|_| Act::answer(""));
    rig.start_again();
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0101 11=000007 37=000000000007"), "0110 38=A12345 39=00");
    north.ask(&purchase(&format!("0101 11={0:06} 37={0:012}", paid - 1)), "0110 38=A12345 39=00");
    north.ask(&purchase("0101 11=900001 4=1000"), "0110 38=- 39=94");
    north.ask(&purchase("11=900009"), "0110 39=94");
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    assert_eq!(rig.issuer("maple").seen().len() as u32, paid + 1, "nothing was asked again");
}

#[test]
fn c12_a_damaged_snapshot_is_damage_unless_all_it_stood_for_is_there() {
    let Some(mut rig) = setup().start() else { return };
    pay_for_snapshots(&rig, 1);
    rig.crash();
    let snapshot = files(&rig, "snapshot").pop().expect("a snapshot");
    let bytes = fs::read(&snapshot).expect("our own");
    let file = fs::OpenOptions::new().write(true).open(&snapshot).expect("our own");
    let middle = bytes.len() / 2;
    file.write_all_at(&[bytes[middle] ^ 1], middle as u64).expect("our own");
    assert_eq!(rig.run(&["verify", "--journal", "journal"]).0, 3);
    rig.start_again();
    let words = said(&rig);
    assert!(words.contains("was read instead") && words.contains("000000001.snapshot at byte"), "{words}");
    rig.acquirer("north").ask(&purchase("0101 11=000007 37=000000000007"), "0110 38=A12345 39=00");
    rig.crash();
    let first = files(&rig, "segment").remove(0);
    let aside = rig.folder().join("aside");
    fs::rename(&first, &aside).expect("our own");
    assert_eq!(rig.fail_to_start(), 3);
    assert!(
        rig.process().last_words().contains("000000001.snapshot at byte"),
        "{}",
        rig.process().last_words()
    );
    // A journal without its beginning is damage too.
    let kept = rig.folder().join("kept");
    fs::rename(&snapshot, &kept).expect("our own");
    assert_eq!(rig.fail_to_start(), 3);
    assert!(rig.process().last_words().contains("000000001.segment at byte 0"));
    fs::rename(&aside, &first).expect("our own");
    rig.start_again();
    fs::remove_file(&kept).expect("our own");
}

#[test]
fn what_is_over_is_removed_and_what_is_open_is_not_forgotten() {
    let Some(mut rig) = setup().set("journal.retention", "1ms").start() else { return };
    let maple = rig.issuer("maple");
    maple.on_reversal(|_| Act::Hold);
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=900001 4=1000 37=000000900001"), "0110 39=00");
    let reversal =
        purchase("0420 11=900002 4=1000 37=000000900001 90=010090000111231200000000010000100000000000");
    north.ask(&reversal, "0430 39=00");
    maple.wait_reversals(1);
    pay_for_snapshots(&rig, 3);
    rig.await_that("segments to go", || {
        files(&rig, "segment")[0].file_name().expect("a name") != "000000001.segment"
    });
    rig.await_that("older snapshots to go", || files(&rig, "snapshot").len() <= 2);
    rig.crash();
    rig.verify();
    let lines = rig.export();
    let open = lines.iter().find(|line| line["de37"] == "000000900001").expect("it is open");
    assert_eq!(
        (&open["state"], &open["acquirer"], &open["issuer"]),
        (&"reversed".into(), &"north".into(), &"maple".into())
    );
    assert_eq!(open["reversals"][0]["state"], "waiting");
    rig.issuer("maple").on_reversal(|_| Act::answer(""));
    rig.start_again();
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0101 11=000007 37=000000000007"), "0110 38=A12345 39=00");
    north.ask(&reversal, "0430 39=00");
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    rig.crash();
    rig.verify();
    let lines = rig.export();
    let over = lines.iter().find(|line| line["de37"] == "000000900001").expect("its end is kept");
    assert_eq!(over["reversals"][0]["state"], "done");
    rig.start_again();
}

/// A5: used codes and reversals of the newer journal would be good again.
#[test]
fn a5_an_older_journal_in_the_place_of_a_newer_one_is_refused() {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("our own");
        for entry in fs::read_dir(from).expect("a folder").flatten() {
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), &target).expect("a copy");
            }
        }
    }
    use std::os::unix::fs::PermissionsExt;
    let Some(mut rig) = Setup::new().start() else { return };
    rig.acquirer("north").ask(&purchase("11=000001"), "0110 39=00");
    rig.crash();
    let (journal, backup) = (rig.folder().join("journal"), rig.folder().join("backup"));
    copy(&journal, &backup);
    rig.start_again();
    rig.acquirer("north").ask(&purchase("11=000002"), "0110 39=00");
    // An orderly stop raises the mark at once; otherwise it goes up every few seconds.
    rig.process().signal(rustix::process::Signal::TERM);
    assert_eq!(rig.process().exit_code(Duration::from_secs(20)), 0);
    fs::remove_dir_all(&journal).expect("our own");
    fs::rename(&backup, &journal).expect("our own");
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o700)).expect("our own");
    assert_eq!(rig.fail_to_start(), 3);
    assert!(rig.process().last_words().contains("an older journal"), "{}", rig.process().last_words());
    fs::remove_file(rig.folder().join("journal.mark")).expect("a mark");
    rig.start_again();
    rig.acquirer("north").ask(&purchase("0101 11=000001"), "0110 38=A12345 39=00");
}

/// C14: the process ends at each step of writing a snapshot and removing what is over. Old or new, never neither.
#[test]
fn c14_the_end_of_the_process_while_a_snapshot_is_made_loses_nothing() {
    for (call, nth) in [("/^rename", 1), ("/^rename", 2), ("/^unlink", 2), ("/^unlink", 3), ("fsync", 2)] {
        let Some(mut rig) = setup().set("journal.retention", "1ms").start() else { return };
        let paid = pay_for_snapshots(&rig, 2);
        let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
        let Some(trace) = Trace::of(&rig, &[&format!("trace={call}"), &inject]) else { return };
        let mut known = vec![7, paid - 1];
        for first in (paid..paid + 4 * SEGMENT_PAYMENTS).step_by(100) {
            let told = pay_while_it_lives(&rig, first);
            known.extend(told.last());
            if rig.process().is_dead() {
                break;
            }
        }
        // What takes its time behind the payments may be hit a little later.
        rig.await_that(&format!("{call} to be called {nth} times"), || rig.process().is_dead());
        drop(trace);
        rig.verify();
        rig.start_again();
        let mut north = rig.acquirer("north");
        for stan in known {
            let repeat = purchase(&format!("0101 11={stan:06} 37={stan:012}"));
            north.ask(&repeat, "0110 38=A12345 39=00");
        }
    }
}

/// A hundred payments of which some may not be answered any more: the numbers of those that were.
fn pay_while_it_lives(rig: &Rig, first: u32) -> Vec<u32> {
    let Some(mut north) = rig.try_acquirer("north") else { return Vec::new() };
    let all = first..first + 100;
    if !all.clone().all(|stan| north.try_send(&purchase(&format!("11={stan:06} 37={stan:012}")))) {
        return Vec::new();
    }
    let answer = |_| north.receive_until(Instant::now() + Duration::from_secs(5)).ok();
    all.map_while(answer).map(|answer| answer.plain.get(37).parse().expect("our own number")).collect()
}
