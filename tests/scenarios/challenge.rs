//! Challenge response in track data, over sockets and a real token: each test is one scenario of the program.

use std::thread::sleep;
use std::time::Duration;

use tests::message_text::unhex;
use tests::{Plain, Rig, Setup, TestToken, purchase};

/// The proxy card, without a sequence number.
const P3: &str = "9999150000000015";
const KEY: &str = "101112131415161718191A1B1C1D1E1F";
/// Challenge 0815, response 984747.
const GOOD: &str = "9999150000000015=29122018081598474700";
const WRONG: &str = "9999150000000015=29122018081598474800";
const NONE: &str = "9999150000000015=29122010000000000000";

fn start(more: &str) -> Option<(Rig, TestToken)> {
    let token = TestToken::of(super::TOKEN)?;
    let usage = if more.contains("exposure") { "challenge-card" } else { "challenge" };
    let check_value = token.import("responses", usage, KEY);
    let program = format!(
        "name = \"wallet\"\nkind = \"challenge\"\niins = [\"999915\"]\nkey = \"responses\"\ncheck_value = \"{check_value}\"\n{more}"
    );
    let setup = Setup::new().token(&token).table("program", &program);
    let rig = setup.environment("SIGNALBOX_LOG", "trace").start()?;
    watch(&rig);
    enrol(&rig, P3);
    Some((rig, token))
}

/// What nothing that the switch writes may hold: its key, the account's, and the data of the proxy card with its
/// response, which no issuer may see either.
fn watch(rig: &Rig) {
    for secret in [KEY, "5B238CC021A3F5D3FF71CD7601581A14"] {
        rig.watch_secret(&unhex(secret));
    }
    for track in [GOOD, WRONG] {
        rig.watch_proxy(&Plain::of(&tap(1, track)));
        // Reference and response as they stand in the track, without what is around them.
        rig.watch_digits(&track[24..]);
        rig.watch_digits(&track[25..35]);
    }
}

fn enrol(rig: &Rig, pan: &str) {
    let body = format!(r#"{{"pan":"{pan}","funding":{{"pan":"9999600000000019","expiry":"3011"}}}}"#);
    rig.change("/v1/cards", &body);
}

fn challenge(rig: &Rig, pan: &str, digits: &str, ttl_ms: u64) {
    rig.change("/v1/challenges", &format!(r#"{{"pan":"{pan}","digits":"{digits}","ttl_ms":{ttl_ms}}}"#));
}

fn tap(stan: u32, track: &str) -> String {
    purchase(&format!("2={P3} 11={stan:06} 14=2912 22=910 35={track}"))
}

fn reason(rig: &Rig, reason: &str, count: f64) {
    rig.await_metric(&format!("program_declined_total{{program=wallet,reason={reason}}}"), count);
}

fn look(rig: &Rig, pan: &str) -> String {
    rig.change("/v1/cards/look", &format!(r#"{{"pan":"{pan}"}}"#))
}

/// The rig looks for the account's key in all that was written and sent, when it ends.
#[test]
fn b1_to_b3_with_exposure_card() {
    let Some((rig, _token)) = start("exposure = \"card\"") else { return };
    challenge(&rig, P3, "08154711", 120_000);
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, WRONG), "0110 38=- 39=55");
    north.ask(&tap(2, GOOD), "0110 38=A12345 39=00");
    north.ask(&tap(3, GOOD), "0110 38=- 39=1A");
}

#[test]
fn b1_b2_a_right_response_pays_once() {
    let Some((rig, _token)) = start("") else { return };
    challenge(&rig, P3, "08154711", 120_000);
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, GOOD), "0110 38=A12345 39=00");
    let seen = rig.issuer("maple").wait_seen(1);
    assert!(!seen[0].plain().has(35));
    assert_eq!(seen[0].plain().get(2), "9999600000000019");
    assert!(look(&rig, P3).contains("\"state\":\"consumed\""));
    north.ask(&tap(2, GOOD), "0110 39=1A");
    reason(&rig, "challenge_consumed", 1.0);
}

#[test]
fn b3_a_wrong_response_is_counted_and_the_right_one_still_passes() {
    let Some((rig, _token)) = start("") else { return };
    challenge(&rig, P3, "08154711", 120_000);
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, WRONG), "0110 39=55");
    assert!(look(&rig, P3).contains("\"wrong_responses\":1"));
    north.ask(&tap(2, GOOD), "0110 39=00");
}

#[test]
fn b4_three_wrong_responses_lock_the_challenge() {
    let Some((rig, _token)) = start("") else { return };
    challenge(&rig, P3, "08154711", 120_000);
    let mut north = rig.acquirer("north");
    for stan in 1..=3 {
        north.ask(&tap(stan, WRONG), "0110 39=55");
    }
    north.ask(&tap(4, GOOD), "0110 39=75");
    reason(&rig, "challenge_locked", 1.0);
}

#[test]
fn b5_a_late_response_is_refused() {
    let Some((rig, _token)) = start("") else { return };
    challenge(&rig, P3, "08154711", 200);
    sleep(Duration::from_millis(250));
    rig.acquirer("north").ask(&tap(1, GOOD), "0110 39=1A");
    reason(&rig, "challenge_expired", 1.0);
}

#[test]
fn b6_no_response_makes_a_challenge() {
    let Some((rig, _token)) = start("") else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, NONE), "0110 39=1A");
    reason(&rig, "challenge_required", 1.0);
    rig.await_that("a challenge", || look(&rig, P3).contains("\"state\":\"open\""));
    // Asking again makes no second one.
    north.ask(&tap(2, NONE), "0110 39=1A");
    assert_eq!(look(&rig, P3).matches("\"reference\"").count(), 1);
}

/// Whoever knows a card number can send as many as a connection bears.
#[test]
fn b6_a_flood_without_responses_makes_one_challenge() {
    let Some((rig, _token)) = start("") else { return };
    let mut north = rig.acquirer("north");
    let taps: Vec<u8> = (1..=50).flat_map(|stan| north.wire().frame_text(&tap(stan, NONE))).collect();
    north.send_bytes(&taps);
    north.receive_all(50);
    rig.await_that("a challenge", || look(&rig, P3).contains("\"state\":\"open\""));
    let told = look(&rig, P3);
    assert_eq!(told.matches("\"reference\"").count(), 1, "{told}");
}

#[test]
fn b7_another_cards_challenge_is_no_use() {
    let Some((rig, _token)) = start("") else { return };
    let other = tests::with_check_digit("999915000000002");
    enrol(&rig, &other);
    challenge(&rig, &other, "08154711", 120_000);
    rig.acquirer("north").ask(&tap(1, GOOD), "0110 39=1A");
    reason(&rig, "challenge_unknown", 1.0);
    assert!(look(&rig, &other).contains("\"state\":\"open\""));
}

#[test]
fn b8_small_amounts_need_no_response() {
    let Some((rig, _token)) = start("required_above = 2500\ncurrency = \"840\"") else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, NONE), "0110 39=00");
    let dear = tests::Plain::of(&tap(2, NONE)).with("4=2501");
    north.ask(&dear.to_string(), "0110 39=1A");
    // The same number is another amount in another currency.
    let other = tests::Plain::of(&tap(3, NONE)).with("49=414");
    north.ask(&other.to_string(), "0110 39=1A");
}

#[test]
fn b9_short_data_are_a_format_error() {
    let Some((rig, _token)) = start("") else { return };
    rig.acquirer("north").ask(&tap(1, "9999150000000015=2912201808159847470"), "0110 39=30");
}

#[test]
fn b10_of_fifty_copies_one_passes() {
    let Some((rig, _token)) = start("") else { return };
    challenge(&rig, P3, "08154711", 120_000);
    let mut links: Vec<_> = (0..5).map(|_| rig.acquirer("north")).collect();
    for stan in 1..=50 {
        links[stan % 5].send(&tap(stan as u32, GOOD));
    }
    let answers = links.iter_mut().flat_map(|link| link.receive_all(10).into_values());
    let codes: Vec<String> = answers.map(|answer| answer.plain.get(39).to_owned()).collect();
    assert_eq!(codes.iter().filter(|code| *code == "00").count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| *code == "1A").count(), 49, "{codes:?}");
}
