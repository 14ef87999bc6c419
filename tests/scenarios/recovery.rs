//! The end of the process at every point, and what the next one makes of the journal (rules C, D, L10, A5).

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use tests::{Act, Rig, Setup, TestToken, purchase};

use super::on_softhsm::rotating_atc;

fn states(rig: &Rig) -> Vec<String> {
    rig.export().iter().map(|line| line["state"].as_str().expect("a state").to_owned()).collect()
}

/// The newest segment of the only shard.
fn newest_segment(rig: &Rig) -> PathBuf {
    let folder = rig.folder().join("journal/shard-000");
    let names = fs::read_dir(folder).expect("the journal").flatten().map(|entry| entry.path());
    names.filter(|path| path.extension().is_some_and(|end| end == "segment")).max().expect("a segment")
}

#[test]
fn c2_c3_what_was_at_its_issuer_is_undone_and_a_repeat_is_91() {
    let Some(mut rig) = Setup::new().start() else { return };
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    rig.issuer("maple").wait_seen(1);
    rig.crash();
    assert_eq!(states(&rig), ["in_doubt"]);
    rig.start_again();
    let maple = rig.issuer("maple");
    let told = maple.wait_reversals(1);
    assert_eq!((told[0].plain().mti(), told[0].plain().get(39)), ("0421", "68"));
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0101 11=000001"), "0110 11=000001 38=- 39=91");
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    assert_eq!(states(&rig), ["timed_out"]);
}

#[test]
fn c4_c5_an_approval_is_told_again_after_the_crash_and_undone_when_asked() {
    let Some(mut rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001 4=1000"), "0110 38=A12345 39=00");
    north.ask(&purchase("11=000002 2=4012888888881881"), "0110 39=92");
    rig.crash();
    rig.start_again();
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0101 11=000001 4=1000"), "0110 11=000001 38=A12345 39=00");
    north.ask(&purchase("11=000001 4=1001"), "0110 39=94");
    north.ask(&purchase("11=000002 2=4012888888881881"), "0110 39=92");
    assert_eq!(rig.issuer("maple").seen().len(), 1, "nothing was asked again");
    assert!(rig.issuer("maple").reversals().is_empty());
    let reversal = purchase("0420 11=000009 4=1000 90=010000000111231200000000010000100000000000");
    north.ask(&reversal, "0430 39=00");
    rig.issuer("maple").wait_reversals(1);
    rig.crash();
    rig.start_again();
    let mut north = rig.acquirer("north");
    north.ask(&reversal, "0430 39=00");
    north.ask(&purchase("0101 11=000001 4=1000"), "0110 38=- 39=94");
}

#[test]
fn c7_a_reversal_without_an_answer_goes_on_as_a_repeat() {
    let Some(mut rig) = Setup::new().set("issuer.maple.timeout", "200ms").start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    maple.on_reversal(|_| Act::Hold);
    rig.acquirer("north").ask(&purchase("11=000001"), "0110 39=91");
    let first = maple.wait_reversals(1)[0].plain().clone();
    rig.crash();
    rig.issuer("maple").on_reversal(|_| Act::answer(""));
    let before = rig.issuer("maple").reversals().len();
    rig.start_again();
    let again = rig.issuer("maple").wait_reversals(before + 1)[before].plain().clone();
    assert_eq!(again.mti(), "0421");
    assert_eq!(again.with_mti("0420").to_string(), first.to_string());
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    rig.crash();
    rig.start_again();
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
}

#[test]
fn c13_recovering_again_changes_nothing_more() {
    let Some(mut rig) = Setup::new().start() else { return };
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    for stan in 0..20 {
        north.send(&purchase(&format!("11={stan:06}")));
    }
    rig.issuer("maple").wait_seen(20);
    rig.crash();
    rig.issuer("maple").on_reversal(|_| Act::Hold);
    rig.start_again();
    rig.issuer("maple").wait_reversals(20);
    rig.crash();
    let once = rig.verify();
    for _ in 0..3 {
        rig.start_again();
        rig.crash();
        assert_eq!(rig.verify(), once);
    }
    rig.issuer("maple").on_reversal(|_| Act::answer(""));
    rig.start_again();
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
}

#[test]
fn c11_a_torn_end_is_cut_off_and_c12_damage_before_it_is_refused() {
    let Some(mut rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    for stan in 0..10 {
        north.ask(&purchase(&format!("11={stan:06}")), "0110 39=00");
    }
    std::thread::sleep(Duration::from_millis(400));
    rig.crash();
    let sealed = states(&rig).len();
    // Garbage behind the end, as half of a write would be.
    let path = newest_segment(&rig);
    let bytes = fs::read(&path).expect("a segment");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("written") as u64 + 1;
    let file = fs::OpenOptions::new().write(true).open(&path).expect("our own");
    file.write_all_at(b"SBJ1 and then the power went", (end + 8).next_multiple_of(8)).expect("room");
    rig.start_again();
    rig.acquirer("north").ask(&purchase("0101 11=000003"), "0110 38=A12345 39=00");
    rig.crash();
    assert_eq!(states(&rig).len(), sealed);
    // One bit in the middle of what was on the disk.
    let middle = end / 2;
    file.write_all_at(&[bytes[middle as usize] ^ 1], middle).expect("our own");
    let (code, said) = rig.run(&["verify", "--journal", "journal"]);
    assert_eq!((code, said.as_str()), (3, ""));
    assert_eq!(rig.fail_to_start(), 3);
    file.write_all_at(&bytes[middle as usize..=middle as usize], middle).expect("our own");
    rig.start_again();
}

#[test]
fn every_bit_of_the_sealed_part_is_watched() {
    let Some(mut rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    for stan in 0..3 {
        north.ask(&purchase(&format!("11={stan:06}")), "0110 39=00");
    }
    std::thread::sleep(Duration::from_millis(400));
    rig.crash();
    rig.start_again();
    let folder = rig.folder().join("journal/shard-000");
    let path = folder.join("000000001.segment");
    rig.crash();
    let bytes = fs::read(&path).expect("a segment");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("our own");
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        file.write_all_at(&[bytes[at] ^ 0x10], at as u64).expect("our own");
        assert_eq!(rig.run(&["verify", "--journal", "journal"]).0, 3, "byte {at}");
        file.write_all_at(&bytes[at..=at], at as u64).expect("our own");
    }
    rig.verify();
    rig.start_again();
}

#[test]
fn l10_a_second_switch_on_the_same_journal_does_not_start() {
    let Some(rig) = Setup::new().start() else { return };
    let config = fs::read_to_string(rig.folder().join("signalbox.toml")).expect("our own");
    fs::write(rig.folder().join("second.toml"), config).expect("our own folder");
    // The first may be one that still finishes: whoever started the second tries again.
    assert_eq!(rig.run(&["serve", "--config", "second.toml"]).0, 4);
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
    fs::remove_file(rig.folder().join("second.toml")).expect("our own");
}

#[test]
fn a_journal_of_another_key_or_number_of_shards_is_refused() {
    let Some(mut rig) = Setup::new().start() else { return };
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
    rig.crash();
    let key = rig.folder().join("journal.key");
    fs::write(&key, "a5".repeat(32)).expect("our own");
    assert_eq!(rig.fail_to_start(), 5);
    fs::write(&key, "5a".repeat(32)).expect("our own");
    let config = rig.folder().join("signalbox.toml");
    let text = fs::read_to_string(&config).expect("our own");
    fs::write(&config, text.replace("[switch]", "[switch]\nshards = 2")).expect("our own");
    assert_eq!(rig.fail_to_start(), 78);
    fs::write(&config, text).expect("our own");
    rig.start_again();
}

#[test]
fn at_level_sync_the_same_holds() {
    let Some(mut rig) = Setup::new().set("journal.level", "sync").start() else { return };
    let mut north = rig.acquirer("north");
    for stan in 0..50 {
        north.send(&purchase(&format!("11={stan:06}")));
    }
    assert!(north.receive_all(50).values().all(|one| one.plain.get(39) == "00"));
    rig.await_that("a sync to be counted", || rig.metric("journal_syncs_total") >= 1.0);
    assert!(rig.get("/readyz").1.contains("sync"));
    rig.crash();
    assert!(states(&rig).iter().all(|state| state == "approved"));
    rig.start_again();
    rig.acquirer("north").ask(&purchase("0101 11=000007"), "0110 38=A12345 39=00");
}

#[test]
fn segments_follow_one_another_and_all_are_read() {
    let Some(mut rig) = Setup::new().set("journal.segment", "1MiB").start() else { return };
    let mut north = rig.acquirer("north");
    // Enough for three segments; that one more is made ready before it is needed must not be what is counted.
    for round in 0..120 {
        for stan in 0..100 {
            north.send(&purchase(&format!("11={:06}", round * 100 + stan)));
        }
        north.receive_all(100);
    }
    rig.crash();
    let segments = fs::read_dir(rig.folder().join("journal/shard-000")).expect("the journal").count();
    assert!(segments >= 3, "{segments} files");
    assert_eq!(states(&rig).len(), 12_000);
    rig.verify();
    rig.start_again();
    rig.acquirer("north").ask(&purchase("0101 11=000007"), "0110 38=A12345 39=00");
    rig.acquirer("north").ask(&purchase("0101 11=011999"), "0110 38=A12345 39=00");
}

#[test]
fn an_export_tells_every_payment_and_no_card_number() {
    let Some(mut rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001 4=1000 37=000000000001"), "0110 39=00");
    north.ask(&purchase("11=000002 4=500 14=2001"), "0110 39=54");
    rig.crash();
    let lines = rig.export();
    let paid = &lines[0];
    let told: Vec<String> =
        ["acquirer", "state", "de4", "de11", "de37", "de38", "de39", "issuer", "issuer_de11"]
            .map(|key| paid[key].to_string().replace('"', ""))
            .to_vec();
    assert_eq!(
        told,
        ["north", "approved", "1000", "000001", "000000000001", "A12345", "00", "maple", "000001"]
    );
    assert_eq!((&lines[1]["state"], &lines[1]["reason"]), (&"declined".into(), &"expired_card".into()));
    assert_eq!(paid["card_token"].as_str().map(str::len), Some(32));
    assert!(!paid.to_string().contains("9999600000000019"));
    rig.start_again();
}

/// S20: the limit of tries is the card's, whatever its program is called.
#[test]
fn s20_wrong_codes_stay_counted_when_their_program_gets_another_name() {
    let Some(token) = TestToken::new() else { return };
    let check_value = token.import("counters", "rotating-atc", rotating_atc::KEY);
    let setup = Setup::new().token(&token).table("program", &rotating_atc::program(&check_value));
    let Some(mut rig) = setup.start() else { return };
    rotating_atc::enrol(&rig);
    for stan in 1..=3 {
        rig.acquirer("north").ask(&rotating_atc::tap(stan, rotating_atc::WRONG), "0110 39=82");
    }
    rig.crash();
    rig.edit_config(|text| text.replace("\"wallet\"", "\"purse\""));
    rig.start_again();
    rig.acquirer("north").ask(&rotating_atc::tap(4, rotating_atc::GOOD), "0110 39=82");
    rig.await_metric("program_declined_total{program=purse,reason=atc_dead}", 1.0);
    let told = rig.change("/v1/cards/look", r#"{"pan":"9999100000000010"}"#);
    assert!(told.contains("\"wrong_codes\":3"), "{told}");
}

/// a10: what a code was used for stays used, whatever the issuer does and however the process ends.
#[test]
fn a10_a5_an_atc_stays_used_after_a_silent_issuer_and_a_crash() {
    let Some(token) = TestToken::new() else { return };
    let check_value = token.import("counters", "rotating-atc", "000102030405060708090A0B0C0D0E0F");
    let program = format!(
        "name = \"wallet\"\nkind = \"rotating_atc\"\niins = [\"99991\"]\nkey = \"counters\"\ncheck_value = \"{check_value}\""
    );
    let setup = Setup::new().token(&token).table("program", &program);
    let setup = setup.set("hsm.deadline", "250ms").set("issuer.maple.timeout", "300ms");
    let Some(mut rig) = setup.start() else { return };
    let card = r#"{"pan":"9999100000000010","psn":1,"funding":{"pan":"9999600000000019","expiry":"3011"}}"#;
    rig.change("/v1/cards", card);
    rig.change("/v1/bundles", r#"{"pan":"9999100000000010","id":1,"first":40,"count":10,"ttl_ms":86400000}"#);
    rig.change("/v1/bundles/confirm", r#"{"pan":"9999100000000010","id":1}"#);
    rig.issuer("maple").hold();
    let tap = |stan: u32| {
        let track = "9999100000000010=29122017004273147853";
        purchase(&format!("2=9999100000000010 11={stan:06} 14=2912 22=910 35={track}"))
    };
    rig.acquirer("north").ask(&tap(1), "0110 38=- 39=91");
    let seen = rig.issuer("maple").wait_seen(1);
    let told = rig.issuer("maple").wait_reversals(1);
    assert_eq!(told[0].plain().get(2), "9999600000000019", "the issuer knows the funding card only");
    rig.issuer("maple").answer(&seen[0], "39=00");
    rig.await_metric("late_total{issuer=maple}", 1.0);
    rig.acquirer("north").ask(&tap(2), "0110 39=82");
    rig.crash();
    rig.start_again();
    rig.issuer("maple").on(|_| Act::answer(""));
    rig.acquirer("north").ask(&tap(3), "0110 39=82");
    rig.acquirer("north").ask(&tap(1), "0110 39=91");
    let told = rig.change("/v1/cards/look", r#"{"pan":"9999100000000010"}"#);
    assert!(told.contains("\"used\":1") && told.contains("\"issued\":9"), "{told}");
}
