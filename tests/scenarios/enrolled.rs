//! Responses to challenges that were told beforehand (what a person knows, or was sent beside the challenge), over sockets
//! and a real token: only a tag of a response is stored, by AES or by HMAC.

use std::thread::sleep;
use std::time::Duration;

use tests::message_text::unhex;
use tests::{Plain, Rig, Setup, TestToken, purchase};

/// The proxy card, without a sequence number.
const P3: &str = "9999150000000015";
const PEPPER: &str = "2BC4471B9C6E4FA64CB7781699A0F0EE";
const HMAC: &str = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
/// Challenge 0815, response 984747.
const GOOD: &str = "9999150000000015=29122018081598474700";
const WRONG: &str = "9999150000000015=29122018081598474800";
const NONE: &str = "9999150000000015=29122010000000000000";
const KINDS: [(&str, &str, &str); 2] =
    [("enrolled", "challenge-pepper", PEPPER), ("enrolled-hmac", "challenge-hmac", HMAC)];

fn each(run: impl Fn(&Rig, &TestToken)) {
    each_with("", |rig, token| run(&rig, token));
}

fn each_with(more: &str, run: impl Fn(Rig, &TestToken)) {
    for (response, usage, key) in KINDS {
        let Some(token) = TestToken::of(super::TOKEN) else { return };
        let check_value = token.import("responses", usage, key);
        let program = format!(
            "name = \"wallet\"\nkind = \"challenge\"\nresponse = \"{response}\"\niins = [\"999915\"]\n\
             key = \"responses\"\ncheck_value = \"{check_value}\"\n{more}"
        );
        let setup = Setup::new().token(&token).table("program", &program);
        let Some(rig) = setup.environment("SIGNALBOX_LOG", "trace").start() else { return };
        rig.watch_secret(&unhex(key));
        for track in [GOOD, WRONG] {
            rig.watch_proxy(&Plain::of(&tap(1, track)));
            // Reference and response as they stand in the track, without what is around them.
            rig.watch_digits(&track[24..]);
            rig.watch_digits(&track[25..35]);
        }
        enrol(&rig, P3);
        run(rig, &token);
    }
}

fn enrol(rig: &Rig, pan: &str) {
    let body = format!(r#"{{"pan":"{pan}","funding":{{"pan":"9999600000000019","expiry":"3011"}}}}"#);
    rig.change("/v1/cards", &body);
}

fn challenge_for(pan: &str, ttl_ms: u64) -> String {
    format!(r#"{{"pan":"{pan}","digits":"08154711","response":"984747","ttl_ms":{ttl_ms}}}"#)
}

fn challenge(rig: &Rig, pan: &str, ttl_ms: u64) {
    let told = rig.change("/v1/challenges", &challenge_for(pan, ttl_ms));
    assert!(!told.contains("984747"), "a response that was sent is not told");
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

#[test]
fn b1_b2_a_right_response_pays_once() {
    each(|rig, _| {
        challenge(rig, P3, 120_000);
        let mut north = rig.acquirer("north");
        north.ask(&tap(1, GOOD), "0110 38=A12345 39=00");
        let seen = rig.issuer("maple").wait_seen(1);
        assert!(!seen[0].plain().has(35));
        assert_eq!(seen[0].plain().get(2), "9999600000000019");
        assert!(look(rig, P3).contains("\"state\":\"consumed\""));
        north.ask(&tap(2, GOOD), "0110 39=1A");
        reason(rig, "challenge_consumed", 1.0);
    });
}

#[test]
fn b3_b4_wrong_responses_are_counted_and_three_lock_the_challenge() {
    each(|rig, _| {
        challenge(rig, P3, 120_000);
        let mut north = rig.acquirer("north");
        north.ask(&tap(1, WRONG), "0110 39=55");
        assert!(look(rig, P3).contains("\"wrong_responses\":1"));
        north.ask(&tap(2, GOOD), "0110 39=00");
        let second = challenge_for(P3, 120_000).replace("08154711", "08164711");
        rig.change("/v1/challenges", &second);
        let wrong = WRONG.replace("80815", "80816");
        for stan in 3..=5 {
            north.ask(&tap(stan, &wrong), "0110 39=55");
        }
        north.ask(&tap(6, &GOOD.replace("80815", "80816")), "0110 39=75");
        reason(rig, "challenge_locked", 1.0);
    });
}

#[test]
fn b5_a_late_response_is_refused() {
    each(|rig, _| {
        challenge(rig, P3, 200);
        sleep(Duration::from_millis(250));
        rig.acquirer("north").ask(&tap(1, GOOD), "0110 39=1A");
        reason(rig, "challenge_expired", 1.0);
    });
}

/// Nobody would learn the response of a challenge that the switch made by itself.
#[test]
fn b6_no_response_is_asked_for_and_no_challenge_is_made() {
    each(|rig, _| {
        rig.acquirer("north").ask(&tap(1, NONE), "0110 39=1A");
        reason(rig, "challenge_required", 1.0);
        assert!(look(rig, P3).contains("\"challenges\":[]"));
    });
}

#[test]
fn b7_another_cards_challenge_is_no_use() {
    each(|rig, _| {
        let other = tests::with_check_digit("999915000000002");
        enrol(rig, &other);
        challenge(rig, &other, 120_000);
        rig.acquirer("north").ask(&tap(1, GOOD), "0110 39=1A");
        reason(rig, "challenge_unknown", 1.0);
        assert!(look(rig, &other).contains("\"state\":\"open\""));
    });
}

#[test]
fn b8_b9_small_amounts_need_no_response_and_short_data_are_a_format_error() {
    each_with("required_above = 2500\ncurrency = \"840\"", |rig, _| {
        let mut north = rig.acquirer("north");
        north.ask(&tap(1, NONE), "0110 39=00");
        let dear = Plain::of(&tap(2, NONE)).with("4=2501");
        north.ask(&dear.to_string(), "0110 39=1A");
        north.ask(&tap(3, "9999150000000015=2912201808159847470"), "0110 39=30");
    });
}

#[test]
fn b10_of_fifty_copies_one_passes() {
    each(|rig, _| {
        challenge(rig, P3, 120_000);
        let mut links: Vec<_> = (0..5).map(|_| rig.acquirer("north")).collect();
        for stan in 1..=50 {
            links[stan % 5].send(&tap(stan as u32, GOOD));
        }
        let answers = links.iter_mut().flat_map(|link| link.receive_all(10).into_values());
        let codes: Vec<String> = answers.map(|answer| answer.plain.get(39).to_owned()).collect();
        assert_eq!(codes.iter().filter(|code| *code == "00").count(), 1, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| *code == "1A").count(), 49, "{codes:?}");
    });
}

#[test]
fn a_response_that_was_drawn_is_told_once_and_passes_after_a_restart() {
    each_with("", |mut rig, _| {
        let body = format!(r#"{{"pan":"{P3}","digits":"08154711"}}"#);
        let told = rig.change("/v1/challenges", &body);
        let (_, rest) = told.split_once("\"response\":\"").expect("a response");
        let response = rest[..6].to_owned();
        assert!(look(&rig, P3).contains("\"response\":null"));
        rig.crash();
        rig.start_again();
        rig.await_gauge("token_up", 1.0);
        let track = format!("{P3}=291220180815{response}00");
        rig.acquirer("north").ask(&tap(1, &track), "0110 39=00");
    });
}

#[test]
fn what_is_no_response_is_refused_with_its_field() {
    each(|rig, _| {
        for response in ["98474", "9847470", "98474x"] {
            let body = challenge_for(P3, 1_000).replace("984747", response);
            let (status, told) = rig.post("/v1/challenges", &body);
            assert_eq!(status, 422, "{told}");
            assert!(told.contains("\"field\":\"response\""), "{told}");
        }
        assert!(look(rig, P3).contains("\"challenges\":[]"));
    });
}
