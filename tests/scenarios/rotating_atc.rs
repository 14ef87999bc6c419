//! Rotating application transaction counters, over sockets and a real token: each test is one scenario of the
//! program, and a few of the ways around it.

use tests::message_text::unhex;
use tests::rig::canary::Canaries;
use tests::{Plain, Rig, Setup, TestToken, purchase};

/// The proxy card: sequence number 01, bundle 1 with the public ATCs 0040 to 0049.
pub(crate) const P1: &str = "9999100000000010";
pub(crate) const KEY: &str = "000102030405060708090A0B0C0D0E0F";
/// Public ATC 0042, unpredictable number 731, code 4785.
pub(crate) const GOOD: &str = "9999100000000010=29122017004273147853";
pub(crate) const WRONG: &str = "9999100000000010=29122017004273147863";

/// The private counters of the public ATCs 0040 to 0049, which no wire, log, metric or file may hold.
const PRIVATE: [&str; 10] = [
    "8E4BC1C09454DAD0AEE396592E4197C9",
    "7444A7E7F71B4E59F78B60EA0DAC2B65",
    "D72C36C9D86D20658DBB3DF7658C6F68",
    "D8604F8598AE6AEAAE00A1CCB55C4E6D",
    "852B7C05C5D442E2EB01B7DB553F64B3",
    "5BB3D6F8F593FA10A7B26DA3661171A4",
    "BEDCE96773E68CD7D95D81536E14FA9D",
    "B2FB97034A735486D71C951113FFF2D2",
    "76B36D57572B1BD0216DA97EC4F85B10",
    "6998DD82653C476B9A2FB0800537308F",
];

pub(crate) fn program(check_value: &str) -> String {
    format!(
        "name = \"wallet\"\nkind = \"rotating_atc\"\niins = [\"99991\"]\nkey = \"counters\"\ncheck_value = \"{check_value}\""
    )
}

/// A switch with the proxy card enrolled, and the token it asks.
fn start(setup: impl FnOnce(Setup) -> Setup) -> Option<(Rig, TestToken)> {
    let token = TestToken::of(super::TOKEN)?;
    let check_value = token.import("counters", "rotating-atc", KEY);
    let setup = setup(Setup::new().token(&token).table("program", &program(&check_value)));
    let rig = setup.environment("SIGNALBOX_LOG", "trace").start()?;
    watch(&rig);
    enrol(&rig);
    Some((rig, token))
}

/// What nothing that the switch writes may hold: its keys, the private counters of the bundle, and the data of the
/// proxy card, which no issuer may see either.
fn watch(rig: &Rig) {
    rig.watch_secret(&unhex(KEY));
    PRIVATE.iter().for_each(|counter| rig.watch_secret(&unhex(counter)));
    for track in [GOOD, WRONG] {
        rig.watch_proxy(&Plain::of(&tap(1, track)));
        // Number and code of the purchase as they stand in the track, without what is around them.
        rig.watch_digits(&track[24..]);
        rig.watch_digits(&track[29..]);
    }
}

/// The proxy card, its funding card and its bundle.
pub(crate) fn enrol(rig: &Rig) {
    rig.change(
        "/v1/cards",
        r#"{"pan":"9999100000000010","psn":1,"funding":{"pan":"9999600000000019","expiry":"3011"}}"#,
    );
    rig.change("/v1/bundles", r#"{"pan":"9999100000000010","id":1,"first":40,"count":10,"ttl_ms":86400000}"#);
    rig.change("/v1/bundles/confirm", r#"{"pan":"9999100000000010","id":1}"#);
}

pub(crate) fn tap(stan: u32, track: &str) -> String {
    purchase(&format!("2={P1} 11={stan:06} 14=2912 22=910 35={track}"))
}

fn reason(rig: &Rig, reason: &str, count: f64) {
    rig.await_metric(&format!("program_declined_total{{program=wallet,reason={reason}}}"), count);
}

#[test]
fn a1_a_right_code_is_paid_by_the_funding_card() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, GOOD), &format!("0110 2={P1} 38=A12345 39=00 35=-"));
    let seen = rig.issuer("maple").wait_seen(1);
    let charged = seen[0].plain();
    assert_eq!((charged.get(2), charged.get(14)), ("9999600000000019", "3011"));
    for de in [23, 35, 45, 52, 55] {
        assert!(!charged.has(de), "DE {de} is of the proxy card");
    }
    rig.await_metric("proofs_total{program=wallet,outcome=right}", 1.0);
    let told = rig.change("/v1/cards/look", r#"{"pan":"9999100000000010"}"#);
    assert!(told.contains("\"used\":1") && told.contains("\"issued\":9"), "{told}");
    assert!(told.contains("999910******0010") && !told.contains(P1), "{told}");
}

#[test]
fn a1_without_the_number_beside_the_track() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    let request = Plain::of(&tap(1, GOOD)).with("2=- 14=-");
    north.ask(&request.to_string(), "0110 2=- 14=- 39=00");
    let seen = rig.issuer("maple").wait_seen(1);
    assert_eq!((seen[0].plain().get(2), seen[0].plain().get(14)), ("9999600000000019", "3011"));
}

#[test]
fn neither_side_sees_the_other_sides_card_in_any_element() {
    for dialect in ["iso87-ascii", "iso87-binary"] {
        let Some((rig, _token)) = start(|setup| setup.set("issuer.maple.dialect", dialect)) else { return };
        rig.issuer("maple").on(|_| {
            tests::Act::answer("2=9999600000000019 44=9999600000000019 48=\"OK 9999600000000019 OK\" 60=\"0020\" 102=9999600000000019")
        });
        let mut north = rig.acquirer("north");
        let request =
            Plain::of(&tap(1, GOOD)).with(&format!("48=\"CARD {P1}\" 60=\"0030\" 102={P1} 103=ACCOUNT0002"));
        north.ask(&request.to_string(), &format!("0110 2={P1} 14=- 39=00 44=- 48=- 60=\"0020\" 102=-"));
        let seen = rig.issuer("maple").wait_seen(1);
        let charged = seen[0].plain();
        assert!(!charged.has(48) && !charged.has(102));
        assert_eq!((charged.get(60), charged.get(103)), ("0030", "ACCOUNT0002"));
    }
}

#[test]
fn a1_to_a7_with_exposure_session() {
    let Some(token) = TestToken::of(super::TOKEN) else { return };
    let check_value = token.import("counters", "rotating-atc-session", KEY);
    let program = format!("{}\nexposure = \"session\"", program(&check_value));
    let Some(rig) = Setup::new().token(&token).table("program", &program).start() else { return };
    enrol(&rig);
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, WRONG), "0110 39=82");
    for stan in 2..=101 {
        north.send(&tap(stan, GOOD));
    }
    let codes: Vec<String> =
        north.receive_all(100).into_values().map(|answer| answer.plain.get(39).to_owned()).collect();
    assert_eq!(codes.iter().filter(|code| *code == "00").count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| *code == "82").count(), 99, "{codes:?}");
}

#[test]
fn the_proxys_data_and_its_keys_are_seen_by_nobody() {
    for exposure in ["none", "session"] {
        let Some(token) = TestToken::of(super::TOKEN) else { return };
        let usage = if exposure == "none" { "rotating-atc" } else { "rotating-atc-session" };
        let check_value = token.import("counters", usage, KEY);
        let program = format!("{}\nexposure = \"{exposure}\"", program(&check_value));
        let setup =
            Setup::new().token(&token).table("program", &program).environment("SIGNALBOX_LOG", "trace");
        let Some(rig) = setup.start() else { return };
        enrol(&rig);
        let secrets = Canaries::default();
        for secret in [KEY, PRIVATE[2]] {
            secrets.note_secret(&unhex(secret));
            // Searched for in logs, metrics and files too, when the rig ends.
            rig.watch_secret(&unhex(secret));
        }
        let mut north = rig.acquirer("north");
        let mut heard = Vec::new();
        for (stan, track, code) in [(1, WRONG, "82"), (2, GOOD, "00"), (3, GOOD, "82")] {
            heard.extend(north.ask(&tap(stan, track), &format!("0110 39={code}")).bytes);
        }
        secrets.insist_on_absence("what the acquirer hears", &heard);
        // The issuer must see neither these nor anything of the proxy.
        secrets.note(&Plain::of(&tap(2, GOOD)));
        let seen = rig.issuer("maple").wait_seen(1);
        secrets.insist_on_absence("what the issuer sees", &seen[0].received.bytes);
        // The search itself: a planted private counter and track are found.
        for planted in [PRIVATE[2].to_lowercase(), format!("track={GOOD}")] {
            assert!(!secrets.hits(planted.as_bytes()).is_empty(), "{planted} was planted");
        }
    }
}

/// The search that every scenario here ends with finds what is planted: in what the switch prints, and in what it
/// sends to an issuer.
#[test]
fn a_leak_that_is_planted_is_found() {
    let found = |rig: Rig| {
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(rig)));
        let why = ended.expect_err("a leak was planted");
        why.downcast_ref::<String>().expect("a sentence").clone()
    };
    // The folder of the journal is printed at the start; it is called like the card.
    let Some((rig, _token)) = start(|setup| setup.set("journal.dir", P1)) else { return };
    rig.acquirer("north").ask(&tap(1, GOOD), "0110 39=00");
    let why = found(rig);
    assert!(why.contains("card data in standard") && !why.contains(P1), "{why}");
    // A terminal's operator puts the code of a phone into a field that is passed on.
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let leaky = format!("11=000002 43={:<40}", &GOOD[17..]);
    rig.acquirer("north").ask(&purchase(&leaky), "0110 39=00");
    let why = found(rig);
    assert!(why.contains("card data in what maple was sent"), "{why}");
}

#[test]
fn a2_a_repeat_gets_the_stored_answer() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, GOOD), "0110 39=00");
    let repeat = Plain::of(&tap(1, GOOD)).with_mti("0101");
    north.ask(&repeat.to_string(), "0110 38=A12345 39=00");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
    rig.await_metric("duplicates_total{acquirer=north}", 1.0);
}

#[test]
fn a3_a_replayed_code_is_refused() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, GOOD), "0110 39=00");
    north.ask(&tap(2, GOOD), "0110 38=- 39=82");
    reason(&rig, "atc_used", 1.0);
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn a4_a_wrong_code_uses_nothing_up() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, WRONG), "0110 39=82");
    reason(&rig, "code_mismatch", 1.0);
    assert_eq!(rig.issuer("maple").seen().len(), 0);
    north.ask(&tap(2, GOOD), "0110 39=00");
}

#[test]
fn a5_three_wrong_codes_kill_the_atc() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    for stan in 1..=3 {
        north.ask(&tap(stan, WRONG), "0110 39=82");
    }
    north.ask(&tap(4, GOOD), "0110 39=82");
    reason(&rig, "atc_dead", 1.0);
}

#[test]
fn a6_an_atc_that_was_not_issued_is_refused_whatever_its_code() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let track = "9999100000000010=29122017000700544223";
    rig.acquirer("north").ask(&tap(1, track), "0110 39=82");
    reason(&rig, "atc_unknown", 1.0);
    assert!(rig.metric("proofs_total{program=wallet}") < 1.0, "the token need not be asked");
}

#[test]
fn a7_of_a_hundred_copies_one_passes() {
    for shards in [1, 2] {
        let Some((rig, _token)) = start(|setup| setup.set("switch.shards", shards)) else { return };
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
}

#[test]
fn a8_a_phones_code_on_a_stripe_was_harvested() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let request = Plain::of(&tap(1, GOOD)).with("22=900");
    rig.acquirer("north").ask(&request.to_string(), "0110 39=63");
    reason(&rig, "security_violation", 1.0);
}

#[test]
fn a_decline_of_the_issuer_leaves_the_atc_used() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    rig.issuer("maple").on(|_| tests::Act::answer("39=51"));
    let mut north = rig.acquirer("north");
    north.ask(&tap(1, GOOD), "0110 39=51");
    north.ask(&tap(2, GOOD), "0110 39=82");
}

#[test]
fn ten_wrong_codes_block_the_card() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    for stan in 0..10 {
        let track = format!("9999100000000010=291220170{:03}73100003", 40 + stan);
        north.ask(&tap(stan + 1, &track), "0110 39=82");
    }
    north.ask(&tap(11, GOOD), "0110 39=62");
    rig.change("/v1/cards/unblock", r#"{"pan":"9999100000000010"}"#);
    north.ask(&tap(12, GOOD), "0110 39=00");
}

#[test]
fn what_is_no_layout_is_a_format_error() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    for (stan, data) in
        [(1, "700427314785"), (2, "6004273147853"), (3, "7004273147854"), (4, "0000000000000")]
    {
        north.ask(&tap(stan, &format!("{P1}=2912201{data}")), "0110 39=30");
    }
}

/// Its code is right: it covers neither, and the issuer of the funding card sees neither.
#[test]
fn a_track_with_another_expiry_or_service_code_is_not_the_cards() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let pan = tests::with_check_digit("999910000000002");
    let card = |more: &str| {
        format!(r#"{{"pan":"{pan}","psn":1,"funding":{{"pan":"9999600000000019","expiry":"3011"}}{more}}}"#)
    };
    let enrol = card(r#","expiry":"2912","service_code":"201""#);
    for (more, field) in [(r#","expiry":"2913""#, "expiry"), (r#","service_code":"20""#, "service_code")] {
        let (status, told) = rig.post("/v1/cards", &card(more));
        assert!(status == 422 && told.contains(&format!("\"field\":\"{field}\"")), "{status} {told}");
    }
    rig.change("/v1/cards", &enrol);
    rig.change(
        "/v1/bundles",
        &format!(r#"{{"pan":"{pan}","id":1,"first":40,"count":10,"ttl_ms":86400000}}"#),
    );
    rig.change("/v1/bundles/confirm", &format!(r#"{{"pan":"{pan}","id":1}}"#));
    let mut north = rig.acquirer("north");
    for (stan, expiry, track) in [(1, "3012", "3012201"), (2, "2912", "2912101")] {
        let track = format!("{pan}={track}7004273147853");
        north.ask(
            &purchase(&format!("2={pan} 11={stan:06} 14={expiry} 22=910 35={track}")),
            "0110 38=- 39=82",
        );
    }
    reason(&rig, "track_mismatch", 2.0);
    // The code is another card's: asked about, and wrong.
    let track = format!("{pan}=29122017004273147853");
    north.ask(&purchase(&format!("2={pan} 11=000003 14=2912 22=910 35={track}")), "0110 38=- 39=82");
    reason(&rig, "code_mismatch", 1.0);
}

#[test]
fn a_revoked_bundle_and_a_stranger() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    rig.change("/v1/bundles/revoke", r#"{"pan":"9999100000000010","id":1}"#);
    north.ask(&tap(1, GOOD), "0110 39=82");
    reason(&rig, "atc_expired", 1.0);
    let stranger = tests::with_check_digit("999910000000002");
    north.ask(
        &purchase(&format!("2={stranger} 11=000002 14=2912 22=910 35={stranger}=29122017004273147853")),
        "0110 39=14",
    );
}

#[test]
fn the_door_for_cards_is_shut_to_strangers_and_says_what_is_wrong() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let look = r#"{"pan":"9999100000000010"}"#;
    assert_eq!(rig.post_as("another-access-token", "/v1/cards/look", look).0, 401);
    let cases = [
        (
            "/v1/cards",
            r#"{"pan":"9999100000000010","funding":{"pan":"9999600000000019","expiry":"3011"}}"#,
            409,
            "",
        ),
        ("/v1/cards", r#"{"pan":"9999100000000010"}"#, 422, "funding"),
        ("/v1/cards", r#"{"pan":"9999100000000011"}"#, 422, "pan"),
        ("/v1/cards", r#"{"pan":"9999600000000019"}"#, 422, "pan"),
        (
            "/v1/cards",
            r#"{"pan":"9999100000000010","funding":{"pan":"9999600000000019","expiry":"3013"}}"#,
            422,
            "funding.expiry",
        ),
        ("/v1/cards", r#"{"pan":"9999100000000010","colour":1}"#, 400, ""),
        ("/v1/cards", r#"{"pan":"9999100000000010","atc":1}"#, 422, "atc"),
        ("/v1/bundles", r#"{"pan":"9999100000000010","id":2,"first":49,"count":2,"ttl_ms":1}"#, 409, ""),
        ("/v1/bundles", r#"{"pan":"9999100000000010","id":2,"first":60,"count":0,"ttl_ms":1}"#, 422, "count"),
        (
            "/v1/bundles",
            r#"{"pan":"9999100000000010","id":2,"first":60,"count":1,"ttl_ms":0}"#,
            422,
            "ttl_ms",
        ),
        ("/v1/bundles/confirm", r#"{"pan":"9999100000000010","id":3}"#, 404, "pan"),
        ("/v1/challenges", r#"{"pan":"9999100000000010"}"#, 422, "pan"),
    ];
    for (path, body, status, field) in cases {
        let (found, told) = rig.post(path, body);
        assert_eq!(found, status, "{path} {body}: {told}");
        assert!(told.contains(&format!("\"field\":\"{field}\"")), "{path} {body}: {told}");
        assert!(!told.contains("99991000000000"), "no card number is told: {told}");
    }
}

#[test]
fn a9_while_the_token_is_gone_nothing_is_used_up() {
    let Some((rig, token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    token.hide(true);
    north.ask(&tap(1, GOOD), "0110 38=- 39=96");
    reason(&rig, "token_unavailable", 1.0);
    rig.await_gauge("token_up", 0.0);
    // What needs no proof goes on.
    north.ask(&purchase("11=000002"), "0110 39=00");
    north.ask(&tap(3, GOOD), "0110 39=96");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
    token.hide(false);
    rig.await_gauge("token_up", 1.0);
    north.ask(&tap(4, GOOD), "0110 39=00");
}

#[test]
fn a_lost_card_is_blocked_until_it_is_found() {
    let Some((rig, _token)) = start(|setup| setup) else { return };
    let mut north = rig.acquirer("north");
    rig.change("/v1/cards/block", r#"{"pan":"9999100000000010"}"#);
    north.ask(&tap(1, GOOD), "0110 39=62");
    rig.change("/v1/cards/unblock", r#"{"pan":"9999100000000010"}"#);
    north.ask(&tap(2, GOOD), "0110 39=00");
}

#[test]
fn without_an_access_token_the_door_for_cards_is_shut() {
    let Some(rig) = Setup::new().start() else { return };
    let (status, told) = rig.post("/v1/cards/look", r#"{"pan":"9999100000000010"}"#);
    assert_eq!(status, 403, "{told}");
    assert!(told.contains("admin.token_file"), "{told}");
}
