//! `loadtest` against a switch with a real token: the codes that it computes are the ones that the token finds right, and
//! each of them is used once.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tests::message_text::unhex;
use tests::rig::process::{self, resident_bytes, token_workers};
use tests::{Rig, Setup, TestToken};

/// The key in the profiles that come with `loadtest`.
const KEY: &str = "000102030405060708090A0B0C0D0E0F";

/// The key of challenges in this file.
const CHALLENGE_KEY: &str = "101112131415161718191A1B1C1D1E1F";

/// A model issuer, or a tap, in a process of its own; ended when dropped.
struct Issuer {
    process: Child,
    address: SocketAddr,
}

impl Issuer {
    fn start() -> Option<Issuer> {
        Issuer::start_with(&[])
    }

    fn start_with(arguments: &[&str]) -> Option<Issuer> {
        Issuer::running(&[&["issuer", "--listen", "127.0.0.1:0"], arguments].concat())
    }

    /// Any of the commands that say in their first line where they listen.
    fn running(arguments: &[&str]) -> Option<Issuer> {
        let mut command = Command::new(loadtest()?);
        command.args(arguments).stdout(Stdio::piped());
        let mut process = command.spawn().expect("loadtest runs");
        let mut line = String::new();
        let out = process.stdout.as_mut().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().rsplit(' ').next().expect("an address").parse().expect("an address");
        Some(Issuer { process, address })
    }

    /// Waits until it ends by itself.
    fn await_end(mut self) {
        assert!(self.process.wait().expect("it ends").success());
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A switch whose program serves the cards of the profiles, its token and its issuer.
fn start() -> Option<(Rig, TestToken, Issuer)> {
    start_with("session", |setup| setup)
}

fn start_with(exposure: &str, setup: impl FnOnce(Setup) -> Setup) -> Option<(Rig, TestToken, Issuer)> {
    let token = TestToken::new()?;
    let issuer = Issuer::start()?;
    let usage = if exposure == "none" { "rotating-atc" } else { "rotating-atc-session" };
    let check_value = token.import("counters", usage, KEY);
    let program = format!(
        "name = \"wallet\"\nkind = \"rotating_atc\"\niins = [\"99991\"]\nkey = \"counters\"\n\
         check_value = \"{check_value}\"\nexposure = \"{exposure}\""
    );
    let base = Setup::new().token(&token).table("program", &program).set("issuer.maple.window", 4096);
    let setup = setup(base);
    let rig = setup.played_at("maple", issuer.address).start()?;
    rig.watch_secret(&unhex(KEY));
    rig.await_links("maple", 1);
    Some((rig, token, issuer))
}

/// `loadtest`, which is built beside the switch.
fn loadtest() -> Option<PathBuf> {
    let beside = process::binary()?.with_file_name("loadtest");
    if !beside.is_file() {
        process::not_run("the loadtest binary: `make build`");
        return None;
    }
    Some(beside)
}

/// Runs a profile against a switch that is told about the cards; returns exit code, report and what was said.
fn run(rig: &Rig, profile: &str, arguments: &[&str]) -> Option<(Option<i32>, Value, String)> {
    let (admin, address) = (format!("http://{}", rig.admin()), rig.address("north").to_string());
    let token = rig.folder().join("access.token");
    let report = rig.folder().join(format!("{profile}.json"));
    let output = Command::new(loadtest()?)
        .args(["run", profile, "--connect", &address, "--provision", &admin, "--token-file"])
        .arg(&token)
        .arg("--json")
        .arg(&report)
        .args(["--threshold", "missing=0", "--threshold", "unexpected=0"])
        .args(if arguments.contains(&"--rate") { &[][..] } else { &["--rate", "400"] })
        .args(if arguments.contains(&"--seconds") { &[][..] } else { &["--seconds", "2"] })
        .args(arguments)
        .output()
        .expect("loadtest runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("text");
    assert!(!said.contains("99991"), "a card number was shown: {said}");
    let text = std::fs::read_to_string(&report).unwrap_or_default();
    std::fs::remove_file(&report).ok();
    Some((output.status.code(), serde_json::from_str(&text).unwrap_or(Value::Null), said))
}

fn codes<'a>(report: &'a Value, case: &str) -> &'a serde_json::Map<String, Value> {
    let cases = report["cases"].as_array().expect("cases");
    let case = cases.iter().find(|row| row["name"] == case).expect("the case");
    case["codes"].as_object().expect("codes")
}

#[test]
fn rotating_codes_are_right_and_a_run_can_be_made_again() {
    let Some((rig, _token, _issuer)) = start() else { return };
    let mut used = 0.0;
    // The second run finds the cards there, and revokes what they had.
    for _ in 0..2 {
        let Some((code, report, said)) = run(&rig, "wallet", &["--workers", "2"]) else { return };
        assert_eq!(code, Some(0), "{said}");
        let codes = codes(&report, "tap");
        assert_eq!(codes.keys().collect::<Vec<_>>(), ["00"], "{said}");
        used += codes["00"].as_f64().expect("a count");
        rig.await_metric("proofs_total{program=wallet,outcome=right}", used);
    }
    assert!(used > 1000.0, "{used}");
}

/// SoftHSM2 keeps 243 bytes of each derived key, 48 MB of so many, beside the 12 MB that a worker has anyway. One that has
/// derived enough leaves before that is much.
#[test]
fn a_workers_memory_stays_within_bounds_however_many_keys_it_derives() {
    const DERIVATIONS: f64 = 200_000.0;
    const BOUND: u64 = 32 << 20;
    let Some((rig, _token, _issuer)) =
        start_with("none", |setup| setup.set("hsm.recycle_after", 20_000).set("hsm.deadline", "2s"))
    else {
        return;
    };
    let done = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let watched = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                let workers = token_workers(rig.process()).into_iter();
                most = workers.filter_map(resident_bytes).fold(most, u64::max);
                std::thread::sleep(Duration::from_millis(50));
            }
            most
        });
        let derived = || rig.metric("proofs_total{program=wallet,outcome=right}");
        for _ in 0..20 {
            let arguments = ["--rate", "4000", "--seconds", "15", "--workers", "2"];
            if derived() >= DERIVATIONS || run(&rig, "wallet", &arguments).is_none() {
                break;
            }
        }
        let derived = derived();
        done.store(true, Ordering::Relaxed);
        assert!(derived >= DERIVATIONS, "{derived} derivations");
        watched.join().expect("a watch")
    });
    assert!(rig.metric("token_restarts_total") >= 9.0, "{} replaced", rig.metric("token_restarts_total"));
    println!("the largest worker: {} KiB", most >> 10);
    assert!((1 << 20..BOUND).contains(&most), "a worker grew to {most} bytes");
}

#[test]
fn replayed_tracks_are_refused_and_the_others_pay() {
    let Some((rig, _token, _issuer)) = start() else { return };
    let Some((code, report, said)) = run(&rig, "replay_attack", &[]) else { return };
    assert_eq!(code, Some(0), "{said}");
    let replays = codes(&report, "replay");
    assert!(replays["82"].as_u64().expect("a count") > 80, "{said}");
    // Until there was something to replay there were taps instead, and they are counted as such.
    assert_eq!(replays.keys().collect::<Vec<_>>(), ["82"], "{said}");
    let line = said.lines().find(|line| line.trim_start().starts_with("replay ")).expect("its line");
    assert!(line.ends_with("all refused, as they must be"), "{said}");
    assert_eq!(codes(&report, "tap").keys().collect::<Vec<_>>(), ["00"], "{said}");
    rig.await_metric(
        "program_declined_total{program=wallet,reason=atc_used}",
        replays["82"].as_f64().expect("a count"),
    );
}

#[test]
fn guessed_codes_are_refused_and_block_their_cards_alone() {
    let Some((rig, _token, _issuer)) = start() else { return };
    let Some((code, report, said)) = run(&rig, "wrong_codes", &[]) else { return };
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(codes(&report, "tap").keys().collect::<Vec<_>>(), ["00"], "{said}");
    let guesses = codes(&report, "guess");
    assert!(guesses["82"].as_u64().expect("a count") > 40, "{said}");
    let refused = guesses["82"].as_f64().expect("a count");
    rig.await_metric("program_declined_total{program=wallet,reason=code_mismatch}", refused);
}

#[test]
fn a_run_with_a_wrong_key_is_refused_whole() {
    let Some((rig, _token, _issuer)) = start() else { return };
    let profile = rig.folder().join("other_key.toml");
    let text = "name = 'other_key'\n[[program]]\nname = 'wallet'\nkind = 'rotating_atc'\niin = '999910'\npsn = 1\n\
                funding_iin = '99996'\ntest_key = 'ff0102030405060708090a0b0c0d0e0f'\n\
                [[case]]\nname = 'tap'\nweight = 1\nprogram = 'wallet'\nexpect = ['00']\n";
    std::fs::write(&profile, text).expect("a file");
    let Some((code, _, said)) = run(&rig, profile.to_str().expect("text"), &[]) else { return };
    std::fs::remove_file(&profile).ok();
    assert_eq!(code, Some(99), "{said}");
    assert!(said.contains("unexpected=0") && said.contains("approved             0"), "{said}");
}

#[test]
fn challenge_responses_are_right_and_each_card_answers_what_it_was_asked() {
    let Some(token) = TestToken::new() else { return };
    let Some(issuer) = Issuer::start() else { return };
    let check_value = token.import("responses", "challenge", CHALLENGE_KEY);
    let program = format!(
        "name = \"questions\"\nkind = \"challenge\"\niins = [\"999915\"]\nkey = \"responses\"\n\
         check_value = \"{check_value}\""
    );
    let setup = Setup::new().token(&token).table("program", &program).played_at("maple", issuer.address);
    let Some(rig) = setup.start() else { return };
    rig.watch_secret(&unhex(CHALLENGE_KEY));
    rig.await_links("maple", 1);
    let profile = rig.folder().join("questions.toml");
    let text = format!(
        "name = 'questions'\n[[program]]\nname = 'questions'\nkind = 'challenge'\niin = '999915'\ncards = 300\n\
         funding_iin = '99996'\ntest_key = '{CHALLENGE_KEY}'\n\
         [[case]]\nname = 'tap'\nweight = 1\nprogram = 'questions'\nexpect = ['00']\n"
    );
    std::fs::write(&profile, text).expect("a file");
    // Twice: the cards are there already, and are asked something new.
    for answered in [1.0, 2.0] {
        let few = ["--arrivals", "uniform", "--seconds", "0.4"];
        let Some((code, report, said)) = run(&rig, profile.to_str().expect("text"), &few) else { return };
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(report["counts"]["approved"], 160, "{said}");
        rig.await_metric("proofs_total{program=questions,outcome=right}", 160.0 * answered);
    }
    std::fs::remove_file(&profile).ok();
}

/// Runs `loadtest` to its end; returns exit code and what was said.
fn loadtest_says(arguments: &[&str]) -> Option<(Option<i32>, String)> {
    let output = Command::new(loadtest()?).args(arguments).output().expect("loadtest runs");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
    Some((output.status.code(), said))
}

/// An exchange with the switch is written down and sent to it again: it takes every message for a new one, forwards it, and
/// says what it said. One issuer that declines more is found out.
#[test]
fn a_recorded_exchange_is_new_to_the_switch_and_answered_as_it_was() {
    let declines = |mix: &'static str| Issuer::start_with(&["--decline", mix]);
    let Some(issuer) = declines("51=0.2") else { return };
    let Some(rig) = Setup::new().played_at("maple", issuer.address).set("issuer.maple.window", 4096).start()
    else {
        return;
    };
    rig.await_links("maple", 1);
    let north = rig.address("north").to_string();
    let recording = rig.folder().join("recording.jsonl");
    let file = recording.to_str().expect("text");
    let tap = ["record", "--listen", "127.0.0.1:0", "--connect", &north, "--seconds", "4", "--out", file];
    let Some(tap) = Issuer::running(&tap) else { return };
    let address = tap.address.to_string();
    let load = ["--rate", "200", "--seconds", "2", "--threshold", "missing=0"];
    let run = loadtest_says(&[&["run", "baseline", "--connect", &address], &load[..]].concat());
    let Some((code, said)) = run else { return };
    assert_eq!(code, Some(0), "{said}");
    tap.await_end();
    let lines = std::fs::read_to_string(&recording).expect("a recording");
    let requests = lines.lines().filter(|line| line.contains("\"client\"")).count() as f64;
    assert!(requests > 300.0, "{requests}");
    rig.await_metric("received_total{acquirer=north}", requests);

    let promises = ["--threshold", "unexpected=0", "--threshold", "missing=0", "--speed", "2"];
    let replay = ["run", "--replay", file, "--connect", &north];
    let Some((code, said)) = loadtest_says(&[&replay[..], &promises].concat()) else { return };
    assert!(code == Some(0) && said.contains("every answer has its recorded code"), "{said}");
    rig.await_metric("received_total{acquirer=north}", 2.0 * requests);
    rig.await_metric("duplicates_total{acquirer=north}", 0.0);

    drop(issuer);
    let Some(stricter) = declines("51=0.5") else { return };
    let setup = Setup::new().played_at("maple", stricter.address).set("issuer.maple.window", 4096);
    let Some(other) = setup.start() else { return };
    other.await_links("maple", 1);
    let north = other.address("north").to_string();
    let replay = ["run", "--replay", file, "--connect", &north];
    let Some((code, said)) = loadtest_says(&[&replay[..], &promises].concat()) else { return };
    assert!(code == Some(99) && said.contains("recorded 00, now 51"), "{said}");
    std::fs::remove_file(&recording).ok();
}
