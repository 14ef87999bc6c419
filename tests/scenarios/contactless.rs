//! Ordinary contactless cards in stripe mode, over sockets and a real token: the card pays itself, its code is a CVC3 over
//! its own counter, and a window says which counters are good.

use tests::message_text::unhex;
use tests::{Act, Plain, Rig, Setup, TestToken, TokenKind, purchase};

/// A card of `maple`: sequence number 01, enrolled with the counter 1,000.
const CARD: &str = "9999610000000026";
const IMK: &str = "7A3D46AEE9523DEFD53EB6403B707625";
/// The card's own key, with the parity that a token may give it and without.
const CARD_KEYS: [&str; 2] = ["615D8FC2F16437893BF1EF64CBF73D07", "615D8FC2F16437883AF0EE64CAF63C07"];
/// The last four digits of the card's code for unpredictable number 731, by counter: computed apart from the switch.
const CODES: [(u16, u16); 9] = [
    (990, 9803),
    (1_000, 1343),
    (1_001, 502),
    (1_002, 4368),
    (1_003, 9450),
    (1_004, 8780),
    (1_100, 985),
    (1_101, 6072),
    (1_103, 4875),
];

/// A right code of this counter, of which the track has the last four digits.
fn track(atc: u16) -> String {
    format!("{CARD}=29122010{atc:04}{:04}7313", code(atc))
}

/// A wrong one.
fn wrong(atc: u16) -> String {
    format!("{CARD}=29122010{atc:04}{:04}7313", (code(atc) + 1) % 10_000)
}

fn code(atc: u16) -> u16 {
    CODES.iter().find(|(of, _)| *of == atc).expect("a code that was computed").1
}

fn tap(stan: u32, track: &str) -> String {
    purchase(&format!("2={CARD} 11={stan:06} 14=2912 22=910 35={track}"))
}

fn program(check_value: &str, settings: &str) -> String {
    format!(
        "name = \"cards\"\nkind = \"contactless\"\niins = [\"999961\"]\nkey = \"imk\"\n\
         check_value = \"{check_value}\"\npcvc3 = \"00F0\"\n{settings}"
    )
}

/// A switch that knows the card but not its track, and the token it asks.
fn untold(setup: impl FnOnce(Setup) -> Setup, settings: &str) -> Option<(Rig, TestToken)> {
    let token = TestToken::of(super::TOKEN)?;
    let usage = if settings.contains(EXPOSED) { "cvc3-card" } else { "cvc3" };
    let check_value = token.import("imk", usage, IMK);
    let setup = setup(Setup::new().token(&token).table("program", &program(&check_value, settings)));
    let rig = setup.environment("SIGNALBOX_LOG", "trace").start()?;
    for secret in [IMK, CARD_KEYS[0], CARD_KEYS[1]] {
        rig.watch_secret(&unhex(secret));
    }
    rig.change("/v1/cards", &format!(r#"{{"pan":"{CARD}","psn":1,"atc":1000}}"#));
    Some((rig, token))
}

const FOUR_DIGITS: &str = "punatc = \"0F0E\"";
const EXPOSED: &str = "exposure = \"card\"";

fn start(setup: impl FnOnce(Setup) -> Setup) -> Option<(Rig, TestToken)> {
    let started = untold(setup, FOUR_DIGITS)?;
    tell_track(&started.0);
    Some(started)
}

fn tell_track(rig: &Rig) {
    let told = rig.change("/v1/cards/track", &personalised(1));
    assert!(told.contains("\"track_told\":true"), "{told}");
}

/// The track that the card was personalised with.
fn personalised(psn: u8) -> String {
    format!(r#"{{"pan":"{CARD}","psn":{psn},"track2":"{CARD}D29122010000000000000F"}}"#)
}

/// The newest counter that was accepted.
fn counter(rig: &Rig) -> u16 {
    let told = rig.change("/v1/cards/look", &format!(r#"{{"pan":"{CARD}"}}"#));
    assert!(told.contains("999961******0026") && !told.contains(CARD), "{told}");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    told["atc"].as_u64().and_then(|atc| u16::try_from(atc).ok()).expect("a counter")
}

fn reason(rig: &Rig, reason: &str, count: f64) {
    rig.await_metric(&format!("program_declined_total{{program=cards,reason={reason}}}"), count);
}

/// The rig looks for the master's key and the card's in all that was written and sent, when it ends.
#[test]
fn keys_of_cards_that_may_be_seen_are_in_no_file_and_on_no_wire() {
    let Some((rig, _token)) = untold(|setup| setup, &format!("{FOUR_DIGITS}\n{EXPOSED}")) else { return };
    tell_track(&rig);
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, &wrong(1_001)), "0110 38=- 39=82");
    north.ask(&tap(2, &track(1_001)), "0110 38=A12345 39=00");
    north.ask(&tap(3, &track(1_001)), "0110 38=- 39=82");
    north.ask(&tap(4, &track(1_003)), "0110 38=A12345 39=00");
    assert_eq!(counter(&rig), 1_003);
    rig.await_metric("proofs_total{program=cards,outcome=right}", 2.0);
}

#[test]
fn a1_a_counter_is_good_once_and_the_issuer_sees_the_card() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, &track(1_003)), &format!("0110 2={CARD} 38=A12345 39=00 35=-"));
    // An ordinary card: its issuer gets what came.
    let seen = rig.issuer("maple").wait_seen(1);
    let charged = seen[0].plain();
    assert_eq!((charged.get(2), charged.get(14), charged.get(22)), (CARD, "2912", "910"));
    assert_eq!(charged.get(35), track(1_003));
    rig.await_metric("proofs_total{program=cards,outcome=right}", 1.0);
    assert_eq!(counter(&rig), 1_003);
    // The same message is the same payment; the same track in another message is none.
    let repeat = Plain::of(&tap(1, &track(1_003))).with_mti("0101");
    north.ask(&repeat.to_string(), "0110 38=A12345 39=00");
    north.ask(&tap(2, &track(1_003)), "0110 38=- 39=82");
    reason(&rig, "atc_used", 1.0);
    rig.await_metric("proofs_total{program=cards,outcome=right}", 1.0);
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn a1_a_counter_that_was_left_out_is_good_once_and_an_old_one_is_not() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, &track(1_003)), "0110 39=00");
    north.ask(&tap(2, &track(1_001)), "0110 39=00");
    north.ask(&tap(3, &track(1_001)), "0110 39=82");
    // Used before the card was enrolled, and further back than this range is borne.
    north.ask(&tap(4, &track(1_000)), "0110 39=82");
    north.ask(&tap(5, &track(990)), "0110 39=82");
    reason(&rig, "atc_used", 3.0);
    assert_eq!((counter(&rig), rig.issuer("maple").seen().len()), (1_003, 2));
    north.ask(&tap(6, &track(1_004)), "0110 39=00");
}

#[test]
fn a2_a_counter_too_far_ahead_is_refused_and_nothing_moves() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, &track(1_101)), "0110 39=82");
    reason(&rig, "atc_unknown", 1.0);
    assert_eq!((counter(&rig), rig.issuer("maple").seen().len()), (1_000, 0));
    assert!(rig.metric("proofs_total{program=cards}") < 1.0, "the token need not be asked");
    north.ask(&tap(2, &track(1_003)), "0110 39=00");
    // A card that was used elsewhere for long: its range may bear more from now on.
    rig.edit_config(|text| text.replace("kind = \"contactless\"", "kind = \"contactless\"\natc_ahead = 200"));
    assert_eq!(rig.post("/v1/reload", "").0, 200);
    north.ask(&tap(3, &track(1_103)), "0110 39=00");
    assert_eq!(counter(&rig), 1_103);
}

#[test]
fn a3_a_wrong_code_with_a_high_counter_moves_nothing() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, &wrong(1_100)), "0110 39=82");
    reason(&rig, "code_mismatch", 1.0);
    assert_eq!((counter(&rig), rig.issuer("maple").seen().len()), (1_000, 0));
    // A card that verified its holder adds five to the last digit.
    let verified = format!("{}8", &track(1_001)[..track(1_001).len() - 1]);
    north.ask(&tap(2, &verified), "0110 39=00");
    assert_eq!(counter(&rig), 1_001);
}

#[test]
fn wrong_codes_block_the_card_until_it_is_unblocked() {
    let Some((rig, _token)) = untold(|setup| setup, "punatc = \"0F0E\"\ntries_per_card = 3") else { return };
    tell_track(&rig);
    let mut north = rig.acquirer("north");
    for (stan, atc) in (1..=3).zip([1_001, 1_003, 1_100]) {
        north.ask(&tap(stan, &wrong(atc)), "0110 39=82");
    }
    north.ask(&tap(4, &track(1_001)), "0110 39=62");
    rig.change("/v1/cards/unblock", &format!(r#"{{"pan":"{CARD}"}}"#));
    north.ask(&tap(5, &track(1_001)), "0110 39=00");
    rig.change("/v1/cards/block", &format!(r#"{{"pan":"{CARD}"}}"#));
    north.ask(&tap(6, &track(1_002)), "0110 39=62");
}

#[test]
fn a1_of_a_hundred_copies_of_a_cards_track_one_passes() {
    for shards in [1, 2] {
        let Some((rig, _token)) = start(|setup| setup.set("switch.shards", shards)) else { return };
        let mut links: Vec<_> = (0..10).map(|_| rig.acquirer("north")).collect();
        for stan in 1..=100 {
            links[stan % 10].send(&tap(stan as u32, &track(1_003)));
        }
        let answers = links.iter_mut().flat_map(|link| link.receive_all(10).into_values());
        let codes: Vec<String> = answers.map(|answer| answer.plain.get(39).to_owned()).collect();
        assert_eq!(codes.iter().filter(|code| *code == "00").count(), 1, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| *code == "82").count(), 99, "{codes:?}");
        assert_eq!((counter(&rig), rig.issuer("maple").seen().len()), (1_003, 1));
    }
}

#[test]
fn a4_a_decline_of_the_issuer_and_a_reversal_leave_the_counter_used() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    rig.issuer("maple").on(|request| {
        let is_poor = request.get(4).ends_with("1000");
        Act::answer(if is_poor { "39=51 38=-" } else { "39=00" })
    });
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, &track(1_001)), "0110 39=51");
    north.ask(&tap(2, &track(1_001)), "0110 39=82");
    let paid = Plain::of(&tap(3, &track(1_002))).with("4=2000").to_string();
    north.ask(&paid, "0110 39=00");
    let original = "90=010000000311231200000000010000100000000000";
    north.ask(&purchase(&format!("0420 2={CARD} 4=2000 11=900003 37=000000090003 {original}")), "0430 39=00");
    rig.issuer("maple").wait_reversals(1);
    north.ask(&tap(5, &track(1_002)), "0110 39=82");
    assert_eq!(counter(&rig), 1_002);
}

#[test]
fn a5_a_counter_stays_used_after_a_silent_issuer_and_a_crash() {
    let in_time = |setup: Setup| setup.set("hsm.deadline", "250ms").set("issuer.maple.timeout", "300ms");
    let Some((mut rig, _token)) = start(in_time) else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, &track(1_004)), "0110 39=00");
    north.ask(&tap(2, &wrong(1_100)), "0110 39=82");
    rig.issuer("maple").on(|_| Act::Hold);
    north.ask(&tap(3, &track(1_001)), "0110 39=91");
    north.send(&tap(4, &track(1_002)));
    rig.issuer("maple").wait_seen(3);
    rig.crash();
    rig.start_again();
    rig.await_gauge("token_up", 1.0);
    rig.issuer("maple").on(|_| Act::answer("39=00"));
    assert_eq!(counter(&rig), 1_004);
    let mut north = rig.acquirer("north");
    for (stan, atc) in (5..).zip([1_001, 1_002, 1_004]) {
        north.ask(&tap(stan, &track(atc)), "0110 39=82");
    }
    // The track that was told, and what was left out, are known too.
    north.ask(&tap(8, &track(1_003)), "0110 39=00");
    rig.verify();
    for (stan, said) in
        [("1", "the card's code for its ATC 1004 is right"), ("2", "the card's code is wrong")]
    {
        let (code, story) = rig.run(&["trace", "--journal", "journal", "--stan", stan]);
        assert!(code == 0 && story.contains(&format!("program cards: {said}")), "{story}");
    }
}

#[test]
fn a5_a_counter_stays_used_when_its_program_has_another_name() {
    let Some((mut rig, _token)) = start(|setup| setup) else { return };
    rig.acquirer("north").ask(&tap(1, &track(1_003)), "0110 39=00");
    rig.crash();
    rig.edit_config(|text| text.replace("name = \"cards\"", "name = \"others\""));
    rig.start_again();
    rig.await_gauge("token_up", 1.0);
    let mut north = rig.acquirer("north");
    north.ask(&tap(2, &track(1_003)), "0110 39=82");
    north.ask(&tap(3, &track(1_004)), "0110 39=00");
}

#[test]
fn an_advice_tells_the_issuer_the_card_as_it_is() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    let advice = Plain::of(&tap(1, &track(1_003))).with("23=001 38=OFFL01 39=00").with_mti("0120");
    north.ask(&advice.to_string(), "0130 39=00");
    let seen = rig.issuer("maple").wait_seen(1);
    let told = seen[0].plain();
    assert_eq!((told.mti(), told.get(2), told.get(14), told.get(23)), ("0120", CARD, "2912", "001"));
    assert!(!told.has(35), "no track is written down");
}

#[test]
fn a5_a_snapshot_keeps_which_counters_were_used() {
    let Some((mut rig, _token)) = start(|setup| setup.set("journal.snapshot", "1MiB")) else { return };
    let mut north = rig.acquirer("north");
    for (stan, atc) in (1..).zip([1_004, 1_001]) {
        north.ask(&tap(stan, &track(atc)), "0110 39=00");
    }
    let folder = rig.folder().join("journal/shard-000");
    let is_snapshot = |name: &std::path::Path| name.extension().is_some_and(|end| end == "snapshot");
    let mut stan = 100;
    rig.await_that("a snapshot", || {
        for _ in 0..500 {
            stan += 1;
            north.send(&purchase(&format!("11={stan:06}")));
        }
        north.receive_all(500);
        let names = std::fs::read_dir(&folder).expect("the journal").flatten();
        names.map(|entry| entry.path()).any(|name| is_snapshot(&name))
    });
    rig.crash();
    rig.start_again();
    rig.await_gauge("token_up", 1.0);
    rig.await_that("the snapshot in the log", || {
        String::from_utf8_lossy(&rig.process().stderr()).contains("\"snapshots\":1")
    });
    let mut north = rig.acquirer("north");
    for (stan, atc) in (3..).zip([1_004, 1_001]) {
        north.ask(&tap(stan, &track(atc)), "0110 39=82");
    }
    assert_eq!(counter(&rig), 1_004);
    north.ask(&tap(5, &track(1_002)), "0110 39=00");
}

#[test]
fn h1_a_token_that_is_gone_uses_no_counter() {
    let Some((rig, token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    token.hide(true);
    north.ask(&tap(1, &track(1_003)), "0110 38=- 39=96");
    reason(&rig, "token_unavailable", 1.0);
    token.hide(false);
    rig.await_gauge("token_up", 1.0);
    assert_eq!(counter(&rig), 1_000);
    north.ask(&tap(2, &track(1_003)), "0110 39=00");
}

#[test]
fn h3_a_token_that_hangs_uses_no_counter() {
    // Only a library can have another one in front of it.
    if super::TOKEN != TokenKind::SoftHsm {
        return;
    }
    let Some(token) = TestToken::new() else { return };
    let (check_value, shim) = (token.import("imk", "cvc3", IMK), token.shim());
    let setup = Setup::new().token(&token).set("hsm.deadline", "250ms").shim(&shim);
    let Some(rig) = setup.table("program", &program(&check_value, FOUR_DIGITS)).start() else { return };
    rig.change("/v1/cards", &format!(r#"{{"pan":"{CARD}","psn":1,"atc":1000}}"#));
    tell_track(&rig);
    let mut north = rig.acquirer("north");
    shim.spoil("C_DeriveKey hang");
    north.ask(&tap(1, &track(1_003)), "0110 38=- 39=96");
    assert_eq!((counter(&rig), rig.issuer("maple").seen().len()), (1_000, 0));
    shim.heal();
    let mut stan = 1;
    rig.await_that("the same code to pass", || {
        stan += 1;
        north.send(&tap(stan, &track(1_003)));
        let told = north.receive().plain.get(39).to_owned();
        assert!(matches!(told.as_str(), "00" | "96"), "{told}");
        told == "00"
    });
    assert_eq!(counter(&rig), 1_003);
    assert!(rig.metric("proofs_total{program=cards,outcome=wrong}") < 1.0);
}

#[test]
fn of_several_counters_with_the_same_digits_the_token_says_which() {
    // Two digits, and a reach in which two counters end so.
    let settings = "punatc = \"030E\"\natc_digits = 2\natc_ahead = 150\ntries_per_card = 5";
    let Some((rig, _token)) = untold(|setup| setup, settings) else { return };
    tell_track(&rig);
    let low = |atc: u16| format!("{CARD}=2912201000{:02}{:04}7313", atc % 100, code(atc));
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, &low(1_001)), "0110 39=00");
    assert_eq!(counter(&rig), 1_001);
    north.ask(&tap(2, &low(1_103)), "0110 39=00");
    assert_eq!(counter(&rig), 1_103);
    // Its digits stand for 1,201 only now.
    north.ask(&tap(3, &low(1_101)), "0110 39=00");
    north.ask(&tap(4, &low(1_001)), "0110 39=82");
    reason(&rig, "code_mismatch", 1.0);
    assert_eq!(counter(&rig), 1_103);
}

#[test]
fn what_is_refused_without_the_token() {
    let Some((rig, _token)) = untold(|setup| setup, FOUR_DIGITS) else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, &track(1_003)), "0110 39=82");
    reason(&rig, "atc_unknown", 1.0);
    tell_track(&rig);
    let on_a_stripe = Plain::of(&tap(2, &track(1_003))).with("22=900");
    north.ask(&on_a_stripe.to_string(), "0110 39=63");
    north.ask(&tap(3, &format!("{CARD}=29122010100394507314")), "0110 39=30");
    let stranger = tests::with_check_digit("999961000000003");
    let track_of_stranger = track(1_003).replace(CARD, &stranger);
    let of_stranger = Plain::of(&tap(4, &track_of_stranger)).with(&format!("2={stranger}"));
    north.ask(&of_stranger.to_string(), "0110 39=14");
    // Cards that no program serves go as they came.
    north.ask(&purchase("11=000005"), "0110 39=00");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
    for (path, body, status, field) in [
        ("/v1/cards", format!(r#"{{"pan":"{CARD}","atc":5}}"#), 409, ""),
        ("/v1/cards", format!(r#"{{"pan":"{stranger}"}}"#), 422, "atc"),
        ("/v1/cards", format!(r#"{{"pan":"{stranger}","atc":65536}}"#), 400, "atc"),
        (
            "/v1/cards",
            format!(r#"{{"pan":"{stranger}","funding":{{"pan":"9999600000000019","expiry":"3011"}}}}"#),
            422,
            "funding",
        ),
        ("/v1/cards/track", personalised(2), 409, ""),
        // Eleven places, where the last of twelve is the first digit of the counter.
        ("/v1/cards/track", personalised(1).replace("000F", "0FFF"), 422, "track2"),
        (
            "/v1/bundles",
            format!(r#"{{"pan":"{CARD}","id":1,"first":40,"count":10,"ttl_ms":60000}}"#),
            422,
            "pan",
        ),
        ("/v1/challenges", format!(r#"{{"pan":"{CARD}"}}"#), 422, "pan"),
    ] {
        let (found, told) = rig.post(path, &body);
        assert_eq!(found, status, "{path} {body}: {told}");
        assert!(told.contains(&format!("\"field\":\"{field}\"")), "{path} {body}: {told}");
        assert!(!told.contains("99996100000000"), "no card number is told: {told}");
    }
}
