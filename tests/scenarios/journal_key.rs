//! What protects card numbers on the disk: keys that a token wraps, or a file (rules S04, S05, S07).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::{Act, Rig, Setup, TestToken, TokenKind, purchase};

const PAN: &str = "9999600000000019";
/// About a segment of the smallest size, and a snapshot behind it.
const PAYMENTS: u32 = 9_000;

/// A switch whose journal's keys are wrapped by the key `journal` of this token.
fn start(kind: TokenKind) -> Option<(Rig, TestToken)> {
    let token = TestToken::of(kind)?;
    let rig = with_key(&token, "journal").set("journal.snapshot", "1MiB").start()?;
    Some((rig, token))
}

/// Makes such a key and names it.
fn with_key(token: &TestToken, label: &str) -> Setup {
    let check_value = made(token, label);
    Setup::new()
        .token(token)
        .without("journal.key_file")
        .set("journal.key", label)
        .set("journal.check_value", check_value)
}

fn made(token: &TestToken, label: &str) -> String {
    let said = token.keys("generate", &["--label", label, "--usage", "journal"]);
    said.trim().rsplit(' ').next().expect("a check value").to_owned()
}

fn pay(rig: &Rig, from: u32, count: u32) {
    let mut north = rig.acquirer("north");
    for first in (from..from + count).step_by(100) {
        for stan in first..first + 100 {
            north.send(&purchase(&format!("11={stan:06} 37={stan:012}")));
        }
        north.receive_all(100);
    }
}

fn journal_files(rig: &Rig) -> Vec<PathBuf> {
    let names = fs::read_dir(rig.folder().join("journal/shard-000")).expect("the journal").flatten();
    names.map(|entry| entry.path()).collect()
}

fn reversal(stan: u32, of: u32) -> String {
    purchase(&format!("0420 11={stan:06} 90=0100{of:06}11231200000000010000100000000000"))
}

fn keys_are_the_tokens(kind: TokenKind) {
    let Some((mut rig, token)) = start(kind) else { return };
    rig.issuer("maple").on_reversal(|_| Act::Hold);
    // More than a segment, so that keys of several files are at work, and a snapshot is one of them.
    pay(&rig, 100, PAYMENTS);
    rig.await_that("a snapshot", || {
        journal_files(&rig).iter().any(|path| path.extension().is_some_and(|end| end == "snapshot"))
    });
    // The token is gone: what needs no proof goes on, into further files too.
    token.hide(true);
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001"), "0110 39=00");
    north.ask(&reversal(2, 1), "0430 39=00");
    rig.issuer("maple").wait_reversals(1);
    pay(&rig, 20_000, PAYMENTS);
    rig.crash();

    // States are readable without it, card numbers are not.
    rig.verify();
    assert!(rig.export().iter().any(|line| line["state"] == "reversed"));
    let story = ["trace", "--journal", "journal", "--json", "--rrn", "000000000100"];
    let (code, without) = rig.run(&story);
    assert!(code == 0 && without.contains("\"card\":null"), "{without}");
    assert_eq!(rig.fail_to_start(), 5);
    let words = rig.process().last_words();
    assert!(words.contains("cannot be unwrapped without key \"journal\""), "{words}");

    // With it, and its PIN, they are; the switch can say the reversal again, with the card that it is about.
    token.hide(false);
    let pin_file = token.pin_file().display().to_string();
    let module = token.module().display().to_string();
    let with_token = ["--module", &module, "--token", TestToken::LABEL, "--pin-file", &pin_file];
    let (code, told) = rig.run(&[&story[..], &with_token].concat());
    assert!(code == 0 && told.contains("\"card\":\"999960******0019\""), "{told}");
    let before = rig.issuer("maple").reversals().len();
    rig.start_again();
    let again = rig.issuer("maple").wait_reversals(before + 1)[before].plain().clone();
    assert_eq!((again.mti(), again.get(2)), ("0421", PAN));
    rig.acquirer("north").ask(&purchase("0101 11=000100 37=000000000100"), "0110 38=A12345 39=00");

    // Another key of the token, and a fresh data key; beside a running switch, for the next start.
    let check_value = made(&token, "journal-2");
    let rewrap = ["--journal", "journal", "--label", "journal-2", "--check-value", &check_value];
    let all = [&["keys", "rewrap"][..], &with_token, &rewrap].concat();
    let (code, said, why) = rig.run_whole(&all);
    assert_eq!((code, said.contains("[1, 2]")), (0, true), "{said} {why}");
    rig.acquirer("north").ask(&purchase("11=000003"), "0110 39=00");
    rig.crash();
    assert_eq!(rig.fail_to_start(), 5);
    let words = rig.process().last_words();
    assert!(words.contains("wrapped under key \"journal-2\"") && words.contains("keys rewrap"), "{words}");
    rig.edit_config(|text| {
        let old =
            text.lines().find(|line| line.starts_with("check_value")).expect("a check value").to_owned();
        text.replace("key = \"journal\"", "key = \"journal-2\"")
            .replace(&old, &format!("check_value = \"{check_value}\""))
    });
    rig.issuer("maple").on_reversal(|_| Act::answer(""));
    rig.start_again();
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0101 11=000100 37=000000000100"), "0110 38=A12345 39=00");
    north.ask(&purchase("0101 11=000003"), "0110 38=A12345 39=00");
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    let openings: Vec<String> = journal_files(&rig).iter().map(|path| opening(path)).collect();
    assert!(openings.iter().any(|text| text.contains("\"key\":1")), "{openings:?}");
    assert!(openings.iter().any(|text| text.contains("\"key\":2")), "{openings:?}");
    rig.crash();
    rig.verify();
    rig.start_again();
}

/// The first bytes of a file, where its opening is.
fn opening(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(1_024)]).into_owned()
}

#[test]
fn s04_card_numbers_are_under_keys_that_a_token_wraps_softhsm() {
    keys_are_the_tokens(TokenKind::SoftHsm);
}

#[test]
fn s04_card_numbers_are_under_keys_that_a_token_wraps_devtoken() {
    keys_are_the_tokens(TokenKind::Devtoken);
}

#[test]
fn s04_a_weaker_key_a_missing_key_and_the_wrong_place_are_refused() {
    let Some(token) = TestToken::of(TokenKind::Devtoken) else { return };
    let Some(mut rig) = with_key(&token, "journal").start() else { return };
    rig.crash();
    let before = rig.edit_config(|text| text.replace("key = \"journal\"", "key = \"none\""));
    assert_eq!(rig.fail_to_start(), 5, "its keys are wrapped under another");
    rig.edit_config(|_| before);
    // A key of a file in the place of the token's, and the other way round.
    let before = rig.edit_config(|text| {
        let kept =
            text.lines().filter(|line| !line.starts_with("check_value")).collect::<Vec<_>>().join("\n");
        kept.replace("key = \"journal\"", "key_file = \"journal.key\"")
    });
    assert_eq!(rig.fail_to_start(), 5);
    assert!(rig.process().last_words().contains("names a key file"), "{}", rig.process().last_words());
    let keys = rig.folder().join("journal/keys");
    let away = rig.folder().join("keys.away");
    fs::rename(&keys, &away).expect("our own");
    // A PIN is not tried again: tokens count that, and lock.
    let pin = token.pin_file().display().to_string();
    let wrong = token.secret("wrong.pin", "0000-0000").display().to_string();
    rig.edit_config(|_| before.replace(&pin, &wrong));
    fs::rename(&away, &keys).expect("our own");
    assert_eq!(rig.fail_to_start(), 78);
    assert!(rig.process().last_words().contains("login to token"), "{}", rig.process().last_words());
    fs::rename(&keys, &away).expect("our own");
    rig.edit_config(|_| before);
    assert_eq!(rig.fail_to_start(), 5);
    assert!(rig.process().last_words().contains("begun with a key file"), "{}", rig.process().last_words());
    // Changed by anybody who does not have the token.
    let text = fs::read_to_string(&away).expect("our own");
    let at = text.find("\"wrapped\"").expect("a field") + 20;
    let digit = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    fs::write(&keys, format!("{}{digit}{}", &text[..at], &text[at + 1..])).expect("our own");
    assert_eq!(rig.fail_to_start(), 3);
    fs::rename(&away, &keys).expect("our own");
    rig.start_again();
    // A key for something else is none for this.
    let check_value = token.import("counters", "rotating-atc", "000102030405060708090a0b0c0d0e0f");
    let refused = token.try_keys(
        "rewrap",
        &[
            "--journal",
            &rig.folder().join("journal").display().to_string(),
            "--label",
            "counters",
            "--check-value",
            &check_value,
        ],
    );
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("refused, because"), "{refused:?}");
}

#[test]
fn s04_a_journal_of_an_earlier_format_is_refused_with_its_version() {
    let Some(mut rig) = Setup::new().start() else { return };
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
    rig.crash();
    let segment = rig.folder().join("journal/shard-000/000000001.segment");
    let mut bytes = fs::read(&segment).expect("a segment");
    bytes[..4].copy_from_slice(b"SBJ1");
    let now = fs::read(&segment).expect("a segment");
    fs::write(&segment, &bytes).expect("our own");
    for code in [rig.fail_to_start(), rig.run(&["verify", "--journal", "journal"]).0] {
        assert_eq!(code, 78);
    }
    let words = rig.process().last_words();
    assert!(words.contains("written in version 1") && words.contains("version 2 alone"), "{words}");
    fs::write(&segment, &now).expect("our own");
    rig.start_again();
}

/// What a program of coreutils makes of a card number.
fn digest(program: &str) -> Vec<u8> {
    let mut child =
        Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("coreutils");
    child.stdin.take().expect("piped").write_all(PAN.as_bytes()).expect("a reader");
    let out = child.wait_with_output().expect("an end").stdout;
    let text = String::from_utf8(out).expect("hexadecimal digits");
    let digits = text.split(' ').next().expect("digits").as_bytes();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("a byte"))
        .collect()
}

#[test]
fn s05_a_card_is_found_by_a_keyed_hash_and_by_no_other() {
    let Some(rig) = Setup::new().start() else { return };
    rig.acquirer("north").ask(&purchase("11=000001"), "0110 39=00");
    let Some(other) = Setup::new().secret_file("journal.key", &"5b".repeat(32)).start() else { return };
    other.acquirer("north").ask(&purchase("11=000001"), "0110 39=00");
    rig.crash();
    other.crash();
    let token = |rig: &Rig| rig.export()[0]["card_token"].as_str().expect("a token").to_owned();
    assert_ne!(token(&rig), token(&other), "the hash is keyed");
    for program in ["md5sum", "sha1sum", "sha224sum", "sha256sum", "sha384sum", "sha512sum"] {
        let plain = digest(program);
        let head = &plain[..8];
        let hex: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
        for path in journal_files(&rig) {
            let bytes = fs::read(&path).expect("our own");
            let has = |wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
            assert!(!has(head) && !has(hex.as_bytes()), "{program} in {}", path.display());
        }
        assert!(!rig.export()[0].to_string().contains(&hex), "{program}");
    }
    for mut rig in [rig, other] {
        rig.start_again();
    }
}

#[test]
fn s07_no_dump_no_look_into_its_memory_and_keys_on_locked_pages() {
    let Some(token) = TestToken::of(TokenKind::Devtoken) else { return };
    let Some(mut rig) = with_key(&token, "journal").start() else { return };
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
    let pid = rig.process().id();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("Linux");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");

    // The superuser may look everywhere; that the process asks to be left alone is tested beside where it does.
    if !rustix::process::geteuid().is_root() {
        assert!(
            fs::File::open(format!("/proc/{pid}/mem")).is_err(),
            "another process of the same user looked into it"
        );
    }

    // The secret, a data key and the key of the segment are each on pages of their own: locked, and left out of dumps.
    if rustix::process::geteuid().is_root() {
        let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).expect("Linux");
        let flags: Vec<&str> = maps.lines().filter_map(|line| line.strip_prefix("VmFlags:")).collect();
        let is_kept = |flags: &&&str| flags.contains(" lo") && flags.contains(" dd");
        assert!(flags.iter().filter(is_kept).count() >= 1, "{flags:?}");
        let locked = maps.lines().filter_map(|line| line.strip_prefix("Locked:"));
        let locked: u64 =
            locked.filter_map(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).sum();
        assert!(locked >= 12, "{locked} kB are locked");
    }

    // The first SEGV from outside only makes Rust's own handler step aside; ABORT dumps as well.
    rig.process().signal(rustix::process::Signal::ABORT);
    assert_eq!(rig.process().exit_code(tests::PATIENCE), -1);
    let left = fs::read_dir(rig.folder()).expect("our own").flatten().map(|entry| entry.file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with("core")));
    rig.start_again();
}
