//! What a token's module may do to the switch: refuse, be slow, hang, lose its session, crash, lie. Each test spoils the
//! calls of a real module and then shows that nothing was used up and no try was counted, by the same code.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use tests::message_text::unhex;
use tests::rig::noise::Noise;
use tests::rig::process::{children, token_workers};
use tests::rig::token::Shim;
use tests::{Acquirer, Rig, Setup, TestToken, TokenKind, purchase};

use super::on_softhsm::rotating_atc::{GOOD, KEY, P1, WRONG, enrol, program, tap};
use super::same_time::{card, enrol_card};

/// How long a request waits for the token.
const DEADLINE: Duration = Duration::from_millis(250);
/// What the rule allows beside it.
const BESIDE: Duration = Duration::from_millis(50);

/// A switch whose token is behind the shim, with the proxy card enrolled.
fn start(setup: impl FnOnce(Setup) -> Setup) -> Option<(Rig, TestToken, Shim)> {
    let token = TestToken::new()?;
    let check_value = token.import("counters", "rotating-atc", KEY);
    let shim = token.shim();
    let base = Setup::new().token(&token).set("hsm.deadline", "250ms").shim(&shim);
    let rig = setup(base.table("program", &program(&check_value))).start()?;
    enrol(&rig);
    Some((rig, token, shim))
}

/// A tap that the token cannot prove: 96 in time, and nothing forwarded for it.
fn unproven(north: &mut Acquirer, stan: u32, track: &str) {
    let (noise, asked) = (Noise::watch(), Instant::now());
    north.ask(&tap(stan, track), "0110 38=- 39=96");
    noise.insist("a decline without the token", asked.elapsed(), DEADLINE + BESIDE);
}

/// What needs no code goes on.
fn others_go_on(north: &mut Acquirer, stan: u32) {
    north.ask(&purchase(&format!("11={stan:06}")), "0110 39=00");
}

/// All is well again: the code that was declined with 96 is neither used nor dead. Until the switch knows, it says 96.
fn nothing_was_used_up(rig: &Rig, shim: &Shim, north: &mut Acquirer, first_stan: u32) {
    shim.heal();
    let mut stan = first_stan;
    rig.await_that("the token to be asked again", || {
        north.send(&tap(stan, GOOD));
        stan += 1;
        let told = north.receive().plain.get(39).to_owned();
        assert!(matches!(told.as_str(), "00" | "96"), "{told}");
        told == "00"
    });
    assert!(rig.metric("proofs_total{program=wallet,outcome=wrong}") < 1.0);
}

#[test]
fn h1_a_token_that_refuses_uses_nothing_up_and_stops_nobody() {
    let Some((rig, _token, shim)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    // Memory, a vendor's own, function failed; key and mechanism refused; session, login, key, device lost.
    let codes = [
        "0x31",
        "0x80000042",
        "0x6",
        "0x68",
        "0x70",
        "0xB3",
        "0x101",
        "0x60",
        "0x30",
        "0x32",
        "0x190",
        "0x5",
    ];
    for (at, code) in (0_u32..).zip(codes) {
        shim.spoil(&format!("C_DeriveKey fail {code}"));
        unproven(&mut north, 100 + 2 * at, GOOD);
        others_go_on(&mut north, 101 + 2 * at);
    }
    rig.await_gauge("token_up", 0.0);
    let (status, told) = rig.get("/readyz");
    assert!(status == 200 && told.contains("\"up\": false"), "{status} {told}");
    assert_eq!(rig.issuer("maple").seen().len(), codes.len(), "only what needed no code");
    nothing_was_used_up(&rig, &shim, &mut north, 200);
}

/// A token that comes late is waited for by whoever starts the switch again (5); what is wrong with a key or the PIN is
/// not tried again (78).
fn a_start_says_whether_trying_again_can_help(kind: TokenKind, placement: &str) {
    let Some(token) = TestToken::of(kind) else { return };
    let check_value = token.import("counters", "rotating-atc", KEY);
    let setup = Setup::new().token(&token).table("program", &program(&check_value));
    let Some(mut rig) = setup.set("hsm.placement", placement).start() else { return };
    if placement == "worker" {
        // SoftHSM2 writes its token's file anew at each login: a spare that is killed meanwhile would leave none.
        rig.await_gauge("token_spare", 1.0);
    }
    rig.crash();
    let (module, pin) = (token.module().display().to_string(), token.pin_file().display().to_string());
    let wrong = token.secret("wrong.pin", "0000-0000").display().to_string();
    token.hide(true);
    assert_eq!(rig.fail_to_start(), 5, "no token: {}", rig.process().last_words());
    token.hide(false);
    let mut refused = |from: &str, to: &str, code: i32, said: &str| {
        let sound = rig.edit_config(|text| text.replace(from, to));
        assert_eq!(rig.fail_to_start(), code, "{to}: {}", rig.process().last_words());
        let words = rig.process().last_words();
        assert!(words.contains(said), "{words}");
        rig.edit_config(|_| sound);
    };
    let is_module = format!("module = \"{module}\"");
    refused(&is_module, &format!("module = \"{wrong}\""), 5, "not loaded");
    refused(&pin, &wrong, 78, "login to token");
    refused(&check_value, "000000", 78, "program \"wallet\": key \"counters\"");
    refused("key = \"counters\"", "key = \"absent\"", 78, "program \"wallet\": key \"absent\"");
    // The key of a program under the name of a link's, and the link is told of.
    let mac = format!(
        "name = \"north\"\nmac = {{ algorithm = \"aes-cmac\", key = \"counters\", check_value = \"{check_value}\" }}"
    );
    refused("name = \"north\"", &mac, 78, "mac of \"north\": key \"counters\"");
    rig.start_again();
}

#[test]
fn a_start_says_whether_trying_again_can_help_softhsm() {
    a_start_says_whether_trying_again_can_help(TokenKind::SoftHsm, "worker");
}

#[test]
fn a_start_says_whether_trying_again_can_help_devtoken() {
    a_start_says_whether_trying_again_can_help(TokenKind::Devtoken, "worker");
}

#[test]
fn a_start_says_whether_trying_again_can_help_inline() {
    a_start_says_whether_trying_again_can_help(TokenKind::SoftHsm, "inline");
}

/// Every code that the standard names, a vendor's and one that nobody knows, from each call that a code needs. One call
/// is answered so; what a fresh session or token cures is right within the deadline, and all else is 96: then the same
/// code, presented again, still is good.
#[test]
fn h1_every_return_code_of_the_standard_uses_nothing_up() {
    let Some((rig, _token, shim)) = start(|setup| setup) else { return };
    rig.await_gauge("token_spare", 1.0);
    rig.change(
        "/v1/bundles",
        &format!(r#"{{"pan":"{P1}","id":2,"first":1000,"count":1000,"ttl_ms":86400000}}"#),
    );
    rig.change("/v1/bundles/confirm", &format!(r#"{{"pan":"{P1}","id":2}}"#));
    let mut north = rig.acquirer("north");
    let (mut stan, mut atc) = (1_000, 1_000);
    let (mut cured, mut declined) = (0, 0);
    // Every code from the first call, some from the others: each costs a while.
    for (function, every) in [("C_DeriveKey", 1), ("C_EncryptInit", 5), ("C_Encrypt", 5)] {
        for code in RETURN_CODES.into_iter().step_by(every) {
            shim.spoil(&format!("{function} fail {code:#x} once"));
            let track = track_of(atc);
            atc += 1;
            let mut codes = Vec::new();
            rig.await_that("the same code to pass", || {
                stan += 1;
                north.send(&tap(stan, &track));
                codes.push(north.receive().plain.get(39).to_owned());
                codes.last().is_some_and(|code| code != "96")
            });
            let (last, before) = codes.split_last().expect("an answer");
            assert_eq!(last, "00", "{function} {code:#x}: {codes:?}");
            if before.is_empty() { cured += 1 } else { declined += 1 }
        }
    }
    // Both happen, or the sweep would show nothing.
    assert!(cured > 0 && declined > 60, "{cured} cured, {declined} declined");
    assert!(rig.metric("proofs_total{program=wallet,outcome=wrong}") < 1.0, "no code was called wrong");
    assert_eq!(rig.issuer("maple").seen().len(), cured + declined, "one approval for each");
}

/// The codes of PKCS#11 2.40, without CKR_OK; a vendor's; one that no list has.
const RETURN_CODES: [u64; 92] = [
    0x1,
    0x2,
    0x3,
    0x5,
    0x6,
    0x7,
    0x8,
    0x9,
    0xA,
    0x10,
    0x11,
    0x12,
    0x13,
    0x1B,
    0x20,
    0x21,
    0x30,
    0x31,
    0x32,
    0x40,
    0x41,
    0x50,
    0x51,
    0x54,
    0x60,
    0x62,
    0x63,
    0x64,
    0x65,
    0x66,
    0x67,
    0x68,
    0x69,
    0x6A,
    0x70,
    0x71,
    0x82,
    0x90,
    0x91,
    0xA0,
    0xA1,
    0xA2,
    0xA3,
    0xA4,
    0xB0,
    0xB1,
    0xB3,
    0xB4,
    0xB5,
    0xB6,
    0xB7,
    0xB8,
    0xC0,
    0xC1,
    0xD0,
    0xD1,
    0xE0,
    0xE1,
    0xE2,
    0xF0,
    0xF1,
    0xF2,
    0x100,
    0x101,
    0x102,
    0x103,
    0x104,
    0x105,
    0x110,
    0x112,
    0x113,
    0x114,
    0x115,
    0x120,
    0x121,
    0x130,
    0x140,
    0x141,
    0x150,
    0x160,
    0x170,
    0x180,
    0x190,
    0x191,
    0x1A0,
    0x1A1,
    0x1B0,
    0x1B1,
    0x1B2,
    0x200,
    0x8000_0042,
    0xFFFF_FFFF,
];

/// The track of an entry of bundle 2 with its right code for number 731: AES under its private counter.
fn track_of(atc: u32) -> String {
    let block = |key: &[u8; 16], mut block: [u8; 16]| {
        Aes128::new(key.into()).encrypt_block((&mut block).into());
        block
    };
    let mut entry = [0; 16];
    entry[..8].copy_from_slice(&0x9910_0000_0000_1001_u64.to_be_bytes());
    entry[8..12].copy_from_slice(&2_u32.to_be_bytes());
    entry[12..].copy_from_slice(&atc.to_be_bytes());
    let private = block(&unhex(KEY).try_into().expect("sixteen bytes"), entry);
    let made = block(&private, *b"RATC\0\0\0\0\0\0\0\0\0\0\x07\x31");
    let (number, _) = made.split_first_chunk().expect("eight bytes");
    let code = u64::from_be_bytes(*number) % 10_000;
    format!("{P1}=29122017{atc:04}731{code:04}3")
}

#[test]
fn h1_an_error_about_one_key_does_not_take_the_token_away() {
    let Some((rig, _token, shim)) = start(|setup| setup) else { return };
    // A spare that is being started would have the spoiled call.
    rig.await_gauge("token_spare", 1.0);
    let mut north = rig.acquirer("north");
    for stan in 1..=20 {
        shim.spoil("C_DeriveKey fail 0x68 once");
        unproven(&mut north, stan, GOOD);
    }
    assert!(rig.metric("token_breakers_open") < 1.0 && rig.metric("token_restarts_total") < 1.0);
    nothing_was_used_up(&rig, &shim, &mut north, 200);
}

#[test]
fn h2_a_slow_token_costs_its_own_messages_only() {
    let Some((rig, _token, shim)) = start(|setup| setup) else { return };
    let mut others = rig.acquirer("north");
    let mut stan = 1_000;
    let mut p99 = || {
        let mut took: Vec<Duration> = (0..300)
            .map(|_| {
                stan += 1;
                let asked = Instant::now();
                others_go_on(&mut others, stan);
                asked.elapsed()
            })
            .collect();
        took.sort();
        took[took.len() * 99 / 100]
    };
    let noise = Noise::watch();
    let quiet = p99();
    shim.spoil("C_DeriveKey delay 400");
    let mut north = rig.acquirer("north");
    unproven(&mut north, 1, GOOD);
    for stan in 2..50 {
        north.send(&tap(stan, GOOD));
    }
    let slow = p99();
    let figure = quiet.mul_f64(1.2) + Duration::from_millis(5);
    noise.insist("p99 of the others", slow, figure);
    assert!(north.receive_all(48).values().all(|answer| answer.plain.get(39) == "96"));
    // It comes late, and to nobody.
    rig.await_that("a late answer", || rig.metric("token_late_total") >= 1.0);
    nothing_was_used_up(&rig, &shim, &mut north, 200);
}

#[test]
fn r02_what_waits_for_the_token_is_cancelled_and_its_issuer_is_never_asked() {
    let Some((rig, _token, shim)) =
        start(|setup| setup.set("hsm.deadline", "5s").set("issuer.maple.timeout", "6s"))
    else {
        return;
    };
    shim.spoil("C_DeriveKey delay 1000");
    let mut north = rig.acquirer("north");
    north.send(&tap(1, GOOD));
    thread::sleep(Duration::from_millis(200));
    let reversal = "0420 2=9999100000000010 11=000009 90=010000000111231200000000010000100000000000";
    north.ask(&purchase(reversal), "0430 11=000009 39=00");
    shim.heal();
    north.expect_silence(Duration::from_millis(1_500));
    north.ask(&purchase(reversal), "0430 11=000009 39=00");
    north.ask(&tap(1, GOOD), "0110 11=000001 38=- 39=94");
    assert!(rig.issuer("maple").seen().is_empty() && rig.issuer("maple").reversals().is_empty());
}

#[test]
fn h3_a_token_that_hangs_is_killed_and_replaced_within_two_seconds() {
    let Some((rig, _token, shim)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    rig.await_gauge("token_spare", 1.0);
    let before = token_workers(rig.process());
    shim.spoil("C_DeriveKey hang once");
    let (noise, hung) = (Noise::watch(), Instant::now());
    unproven(&mut north, 1, GOOD);
    others_go_on(&mut north, 2);
    rig.await_metric("token_restarts_total", 1.0);
    noise.insist("the replacement", hung.elapsed(), Duration::from_secs(2));
    nothing_was_used_up(&rig, &shim, &mut north, 200);
    // One works and one is warm, whatever was killed.
    rig.await_that("a spare again", || token_workers(rig.process()).len() == 2);
    assert_ne!(token_workers(rig.process()), before);
}

#[test]
fn h4_a_lost_session_or_device_is_cured_within_the_deadline() {
    let Some((rig, _token, shim)) = start(|setup| setup.set("hsm.deadline", "2s")) else { return };
    let mut north = rig.acquirer("north");
    // Session closed, device removed: the same question, asked once more, has its answer.
    for (stan, (code, track, answer)) in
        (1..).zip([("0xB0", WRONG, "82"), ("0x32", WRONG, "82"), ("0xB3", GOOD, "00")])
    {
        // Between two cures a second must pass.
        thread::sleep(Duration::from_millis(1_050));
        shim.spoil(&format!("C_DeriveKey fail {code} once"));
        north.ask(&tap(stan, track), &format!("0110 39={answer}"));
    }
    assert!(rig.metric("token_restarts_total") < 1.0, "in the worker");
}

#[test]
fn h5_a_module_that_crashes_takes_its_worker_along_and_nobody_else() {
    let Some((rig, _token, shim)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    for round in 0..3 {
        rig.await_gauge("token_spare", 1.0);
        shim.spoil("C_Encrypt crash once");
        unproven(&mut north, 10 * round + 1, GOOD);
        others_go_on(&mut north, 10 * round + 2);
        rig.await_metric("token_restarts_total", f64::from(round + 1));
        rig.await_that("the spare to have taken its seat", || token_workers(rig.process()).len() == 2);
    }
    nothing_was_used_up(&rig, &shim, &mut north, 200);
}

#[test]
fn h6_garbage_and_wrong_lengths_are_no_wrong_codes() {
    for fault in ["C_Encrypt garbage", "C_Encrypt short", "C_Encrypt long", "C_DeriveKey garbage"] {
        let Some((rig, _token, shim)) = start(|setup| setup) else { return };
        let mut north = rig.acquirer("north");
        shim.spoil(fault);
        for stan in 1..=4 {
            unproven(&mut north, stan, GOOD);
        }
        nothing_was_used_up(&rig, &shim, &mut north, 200);
    }
}

#[test]
fn a_worker_that_has_derived_enough_is_replaced_and_no_question_is_lost() {
    let Some((rig, _token, _shim)) =
        start(|setup| setup.set("hsm.recycle_after", 10).set("hsm.deadline", "2s"))
    else {
        return;
    };
    let mut north = rig.acquirer("north");
    for at in 100..130 {
        enrol_card(&rig, &card(at));
    }
    let mut stan = 1_000;
    for round in 0..2 {
        for at in 100..130 {
            stan += 1;
            let pan = card(at);
            let track = format!("{pan}=291220170{:03}73100003", 42 + round);
            north.send(&purchase(&format!("2={pan} 11={stan:06} 14=2912 22=910 35={track}")));
        }
        let answers = north.receive_all(30);
        assert!(answers.values().all(|answer| answer.plain.get(39) == "82"), "a code of the token's, each");
        rig.await_that("a fresh worker", || rig.metric("token_restarts_total") >= f64::from(round + 1));
    }
    assert!(rig.metric("token_given_up_total") < 1.0 && rig.metric("proofs_total{outcome=unknown}") < 1.0);
    rig.await_that("the old ones to have left", || token_workers(rig.process()).len() <= 2);
}

fn kill(process: i32) {
    let process = rustix::process::Pid::from_raw(process).expect("a process");
    rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("our own");
}

fn is_gone(process: &i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    stat.map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|state| state.starts_with(['Z', 'X'])))
}

#[test]
fn no_process_of_the_token_survives_the_switch_and_none_shows_the_pin() {
    let Some((rig, _token, _shim)) = start(|setup| setup) else { return };
    rig.await_gauge("token_spare", 1.0);
    let family: Vec<i32> =
        children(rig.process().id()).into_iter().chain(token_workers(rig.process())).collect();
    assert_eq!(family.len(), 3, "a launcher, a worker, a spare");
    for process in &family {
        for file in ["cmdline", "environ"] {
            let shown = fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
            assert!(
                !shown.windows(TestToken::PIN.len()).any(|shown| shown == TestToken::PIN.as_bytes()),
                "{file}"
            );
        }
    }
    rig.crash();
    rig.await_that("the end of all of them", || family.iter().all(is_gone));
    let mut rig = rig;
    rig.start_again();
}

/// SoftHSM empties the file of its token for each login and writes it again: who is killed in between takes it along.
#[test]
fn a_worker_that_logs_in_is_not_killed_with_the_switch_and_does_not_outlive_it_for_long() {
    let Some((mut rig, token, shim)) = start(|setup| setup) else { return };
    for (fault, at_most) in [("C_Login delay 900", 2), ("C_Login hang", 4)] {
        rig.await_gauge("token_spare", 1.0);
        let before = token_workers(rig.process());
        shim.spoil(fault);
        let ended =
            before.last().and_then(|worker| rustix::process::Pid::from_raw(*worker)).expect("a worker");
        rustix::process::kill_process(ended, rustix::process::Signal::KILL).expect("our own");
        let mut fresh = None;
        rig.await_that("another worker to log in", || {
            fresh = token_workers(rig.process()).into_iter().find(|worker| !before.contains(worker));
            fresh.is_some()
        });
        let fresh = fresh.expect("a worker");
        thread::sleep(Duration::from_millis(200));
        kill(rig.process().id());
        let crashed = Instant::now();
        thread::sleep(Duration::from_millis(200));
        assert!(!is_gone(&fresh), "{fault}: killed while it logged in");
        rig.await_that("its end", || is_gone(&fresh));
        assert!(crashed.elapsed() < Duration::from_secs(at_most), "{fault}: {:?}", crashed.elapsed());
        rig.crash();
        shim.heal();
        rig.start_again();
    }
    drop(token);
}
