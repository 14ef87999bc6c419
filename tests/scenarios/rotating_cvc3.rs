//! Rotating application transaction counters on ordinary contactless terminals (profile `cvc3`), over sockets and a real
//! token: the code is a CVC3 where the kernel's bitmaps put it, and the public ATC stands in the counter's digits.

use tests::message_text::unhex;
use tests::{Plain, Rig, Setup, TestToken, purchase};

const P1: &str = "9999100000000010";
const KEY: &str = "000102030405060708090A0B0C0D0E0F";
const IMK: &str = "7A3D46AEE9523DEFD53EB6403B707625";
/// The card's own key.
const CARD_KEY: &str = "7867262CC7571EA01D2F8357B35E05A6";
/// Public ATC 0042, code 0954 (60954 whole), unpredictable number 731: computed apart from the switch.
const GOOD: &str = "9999100000000010=29122010004209547313";
const WRONG: &str = "9999100000000010=29122010004209557313";
/// Public ATC 0007, which was not issued, with its code for number 005.
const NOT_ISSUED: &str = "9999100000000010=29122010000754780053";

/// The private counters of the public ATCs 0042 and 0007.
const PRIVATE: [&str; 2] = ["D72C36C9D86D20658DBB3DF7658C6F68", "DE6E75992ABA1CE8E1CF57C7F800D215"];

fn start() -> Option<(Rig, TestToken)> {
    start_exposing("session", "cvc3")
}

fn start_exposing(exposure: &str, usage: &str) -> Option<(Rig, TestToken)> {
    let token = TestToken::of(super::TOKEN)?;
    let (counters, imk) =
        (token.import("counters", "rotating-atc-session", KEY), token.import("imk", usage, IMK));
    let program = format!(
        "name = \"wallet\"\nkind = \"rotating_atc\"\nprofile = \"cvc3\"\nexposure = \"{exposure}\"\niins = [\"99991\"]\n\
         key = \"counters\"\ncheck_value = \"{counters}\"\ncvc3_key = \"imk\"\ncvc3_check_value = \"{imk}\"\n\
         pcvc3 = \"00F0\"\npunatc = \"0F0E\""
    );
    let setup = Setup::new().token(&token).table("program", &program);
    let rig = setup.environment("SIGNALBOX_LOG", "trace").start()?;
    for secret in [KEY, IMK].into_iter().chain(PRIVATE) {
        rig.watch_secret(&unhex(secret));
    }
    for track in [GOOD, WRONG] {
        rig.watch_proxy(&Plain::of(&tap(1, track)));
        // Code and number of the purchase as they stand in the track, without what is around them.
        rig.watch_digits(&track[24..]);
        rig.watch_digits(&track[29..]);
    }
    super::rotating_atc::enrol(&rig);
    Some((rig, token))
}

fn started() -> Option<(Rig, TestToken)> {
    told(start()?)
}

fn told((rig, token): (Rig, TestToken)) -> Option<(Rig, TestToken)> {
    let told = rig.change("/v1/cards/track", &track(1));
    assert!(told.contains("\"track_told\":true"), "{told}");
    Some((rig, token))
}

/// The track that the card was personalised with.
fn track(psn: u8) -> String {
    format!(r#"{{"pan":"{P1}","psn":{psn},"track2":"{P1}D29122010000000000000F"}}"#)
}

fn tap(stan: u32, track: &str) -> String {
    purchase(&format!("2={P1} 11={stan:06} 14=2912 22=910 35={track}"))
}

fn reason(rig: &Rig, reason: &str, count: f64) {
    rig.await_metric(&format!("program_declined_total{{program=wallet,reason={reason}}}"), count);
}

#[test]
fn a1_to_a4_with_exposure_card() {
    let Some((rig, _token)) = start_exposing("card", "cvc3-card").and_then(told) else { return };
    rig.watch_secret(&unhex(CARD_KEY));
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, WRONG), "0110 38=- 39=82");
    north.ask(&tap(2, GOOD), "0110 38=A12345 39=00");
    north.ask(&tap(3, GOOD), "0110 38=- 39=82");
}

#[test]
fn a1_to_a3_a_right_code_is_paid_once_by_the_funding_card() {
    let Some((rig, _token)) = started() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, GOOD), &format!("0110 2={P1} 38=A12345 39=00 35=-"));
    let seen = rig.issuer("maple").wait_seen(1);
    let charged = seen[0].plain();
    assert_eq!((charged.get(2), charged.get(14)), ("9999600000000019", "3011"));
    for de in [23, 35, 45, 52, 55] {
        assert!(!charged.has(de), "DE {de} is of the proxy card");
    }
    let repeat = Plain::of(&tap(1, GOOD)).with_mti("0101");
    north.ask(&repeat.to_string(), "0110 38=A12345 39=00");
    north.ask(&tap(2, GOOD), "0110 38=- 39=82");
    reason(&rig, "atc_used", 1.0);
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn a4_a_wrong_code_uses_nothing_up() {
    let Some((rig, _token)) = started() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, WRONG), "0110 39=82");
    reason(&rig, "code_mismatch", 1.0);
    assert_eq!(rig.issuer("maple").seen().len(), 0);
    // A device that verified its holder adds five to the last digit.
    let verified = format!("{}8", &GOOD[..GOOD.len() - 1]);
    north.ask(&tap(2, &verified), "0110 39=00");
}

#[test]
fn a5_a6_three_wrong_codes_kill_the_atc_and_another_was_never_issued() {
    let Some((rig, _token)) = started() else { return };
    let mut north = rig.acquirer("north");
    for stan in 1..=3 {
        north.ask(&tap(stan, WRONG), "0110 39=82");
    }
    north.ask(&tap(4, GOOD), "0110 39=82");
    reason(&rig, "atc_dead", 1.0);
    north.ask(&tap(5, NOT_ISSUED), "0110 39=82");
    reason(&rig, "atc_unknown", 1.0);
}

#[test]
fn a7_of_a_hundred_copies_one_passes() {
    let Some((rig, _token)) = started() else { return };
    let mut links: Vec<_> = (0..10).map(|_| rig.acquirer("north")).collect();
    for stan in 1..=100 {
        links[stan % 10].send(&tap(stan as u32, GOOD));
    }
    let answers = links.iter_mut().flat_map(|link| link.receive_all(10).into_values());
    let codes: Vec<String> = answers.map(|answer| answer.plain.get(39).to_owned()).collect();
    assert_eq!(codes.iter().filter(|code| *code == "00").count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| *code == "82").count(), 99, "{codes:?}");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn a8_a9_a_stripe_is_refused_and_a_token_that_is_gone_uses_nothing_up() {
    let Some((rig, token)) = started() else { return };
    let mut north = rig.acquirer("north");
    let request = Plain::of(&tap(1, GOOD)).with("22=900");
    north.ask(&request.to_string(), "0110 39=63");
    token.hide(true);
    // Its counters are told by an operation that stays open; the card's key has to be derived.
    north.ask(&tap(2, GOOD), "0110 38=- 39=96");
    reason(&rig, "token_unavailable", 1.0);
    // A change that needs the token says so, and changes nothing.
    let (status, told) = rig.post("/v1/cards/track", &track(1));
    assert_eq!(status, 503, "{told}");
    token.hide(false);
    rig.await_gauge("token_up", 1.0);
    north.ask(&tap(3, GOOD), "0110 39=00");
}

#[test]
fn what_was_told_of_a_card_outlives_the_process() {
    let Some((mut rig, _token)) = started() else { return };
    rig.acquirer("north").ask(&tap(1, WRONG), "0110 39=82");
    rig.crash();
    rig.start_again();
    rig.await_gauge("token_up", 1.0);
    rig.acquirer("north").ask(&tap(2, GOOD), "0110 39=00");
}

#[test]
fn a_card_whose_track_was_not_told_has_no_codes() {
    let Some((rig, _token)) = start() else { return };
    rig.acquirer("north").ask(&tap(1, GOOD), "0110 39=82");
    reason(&rig, "atc_unknown", 1.0);
    for (body, status, field) in [
        (track(2), 409, ""),
        (track(100), 422, "psn"),
        (track(1).replace("\"track2\":\"9", "\"track2\":\"8"), 422, "track2"),
        (track(1).replace("0F\"}", "F\"}"), 422, "track2"),
        (track(1).replace("0F\"}", "0G\"}"), 422, "track2"),
    ] {
        let (found, told) = rig.post("/v1/cards/track", &body);
        assert_eq!(found, status, "{body}: {told}");
        assert!(told.contains(&format!("\"field\":\"{field}\"")), "{body}: {told}");
        assert!(!told.contains("99991000000000"), "no card number is told: {told}");
    }
}
