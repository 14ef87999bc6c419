//! S37: links whose messages bear a code, DE 64 or 128, both ways. The model hosts put codes on what they send and insist
//! on those of the switch; they compute them apart from any token.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::mac::{MAC_KEY, Mac};
use tests::rig::acquirer::connect;
use tests::rig::canary::Canaries;
use tests::wire::Heard;
use tests::{Acquirer, PATIENCE, Plain, Rig, Setup, TestToken, TokenKind, purchase};
use toml::{Table, Value};

use crate::drain::await_drain;

/// Long enough for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(300);

/// The table `mac` of a peer, whose key is put on the token.
fn table(token: &TestToken, label: &str, mac: Mac) -> Table {
    let usage = if mac == Mac::AesCmac { "mac-cmac-aes" } else { "mac-algorithm3" };
    let check_values = token.import_all(label, usage, MAC_KEY);
    let mut table = Table::new();
    table.insert("key".into(), label.into());
    table.insert("check_value".into(), check_values[0].clone().into());
    match mac {
        Mac::AesCmac => drop(table.insert("algorithm".into(), "aes-cmac".into())),
        Mac::Algorithm3(padding) => {
            table.insert("algorithm".into(), "algorithm-3".into());
            table.insert("left_check_value".into(), check_values[1].clone().into());
            table.insert("padding".into(), i64::from(padding).into());
        }
    }
    table
}

/// A switch with a token, and codes on these links.
fn start(setup: Setup, north: Option<Mac>, maple: Option<Mac>, token: &TestToken) -> Option<Rig> {
    let mut setup = setup.token(token);
    for (peer, mac) in [("acquirer.north", north), ("issuer.maple", maple)] {
        if let Some(mac) = mac {
            let table = table(token, &peer.replace('.', "-"), mac);
            setup = setup.set(&format!("{peer}.mac"), Value::Table(table));
        }
    }
    let rig = setup.start()?;
    rig.watch_secret(&tests::message_text::unhex(MAC_KEY));
    Some(rig)
}

fn checked(rig: &Rig, peer: &str, outcome: &str, count: f64) {
    rig.await_metric(&format!("macs_total{{peer={peer},outcome={outcome}}}"), count);
}

/// What goes both ways over the two links: sign-on, a purchase and its repeat, a reversal, an echo, and a message that is
/// answered before a decision. Every message has its code, or one of the hosts would not go on.
fn talk(setup: Setup, north: Mac, maple: Mac) {
    let Some(token) = TestToken::of(super::TOKEN) else { return };
    let setup = setup.set("issuer.maple.sign_on", true).set("acquirer.north.sign_on", true);
    let Some(rig) = start(setup, Some(north), Some(maple), &token) else { return };
    let mut acquirer = rig.acquirer("north");
    acquirer.ask("0800 7=1123120000 11=000001 70=001", "0810 39=00 128=* 64=-");
    for stan in 2..20 {
        acquirer.ask(&purchase(&format!("11={stan:06}")), "0110 39=00 38=A12345 64=*");
    }
    acquirer.ask(&purchase("0101 11=000002"), "0110 39=00 64=*");
    let original = format!("0100{:06}{}{:011}{:011}", 2, 1_123_120_000, 100_001, 0);
    acquirer.ask(&purchase(&format!("0400 11=000020 37=000000000002 90={original}")), "0410 39=00");
    acquirer.ask(&purchase("11=000021 4=-"), "0110 39=30 64=*");
    acquirer.ask(&purchase("11=000022 2=9999800000000015"), "0110 39=92 64=*");
    acquirer.ask("0800 7=1123120000 11=000023 70=301", "0810 39=00 128=*");
    let maple = rig.issuer("maple");
    let reversal = &maple.wait_reversals(1)[0];
    assert!(reversal.plain().has(128), "{}", reversal.plain());
    assert_eq!(maple.seen().len(), 18);
    assert!(maple.seen().iter().all(|seen| seen.plain().has(64)));
    checked(&rig, "north", "right", 24.0);
    // The sign-on, the purchases, the reversal.
    checked(&rig, "maple", "right", 20.0);
    for outcome in ["wrong", "unknown"] {
        assert!(rig.metric(&format!("macs_total{{peer=north,outcome={outcome}}}")) < 1.0);
        assert!(rig.metric(&format!("macs_total{{peer=maple,outcome={outcome}}}")) < 1.0);
    }
    assert!(rig.metric("macs_unmade_total") < 1.0);
}

#[test]
fn s37_every_message_of_both_links_bears_its_code() {
    talk(Setup::new(), Mac::Algorithm3(1), Mac::AesCmac);
}

#[test]
fn s37_codes_in_binary_dialects_inline() {
    let setup = Setup::in_dialect("iso87-binary").set("acquirer.north.framing.header_bytes", 5);
    talk(setup.set("hsm.placement", "inline"), Mac::AesCmac, Mac::Algorithm3(2));
}

#[test]
fn s37_codes_between_shards() {
    talk(Setup::new().set("switch.shards", 3).set("hsm.workers", 2), Mac::AesCmac, Mac::AesCmac);
}

#[test]
fn s37_what_is_decided_while_the_switch_stops_still_gets_its_code() {
    let Some(token) = TestToken::of(super::TOKEN) else { return };
    let mac = Some(Mac::AesCmac);
    let setup = Setup::new().set("issuer.maple.sign_on", true);
    let Some(rig) = start(setup, mac, mac, &token) else { return };
    let (maple, mut north) = (rig.issuer("maple"), rig.acquirer("north"));
    maple.hold();
    (0..5).for_each(|stan| north.send(&purchase(&format!("11={stan:06}"))));
    let seen = maple.wait_seen(5);
    rig.process().signal(Signal::TERM);
    await_drain(&rig);
    north.ask(&purchase("11=000009"), "0110 11=000009 38=- 39=91 64=*");
    seen.iter().for_each(|one| maple.answer(one, ""));
    assert!(north.receive_all(5).values().all(|one| one.plain.get(39) == "00"));
    assert_eq!(rig.process().exit_code(PATIENCE), 0);
    // It signed off, under a code too.
    assert_eq!(maple.wait_network(2)[1].plain().get(70), "002");
}

#[test]
fn s37_a_code_is_between_two_neighbours() {
    for (north, maple) in [(Some(Mac::AesCmac), None), (None, Some(Mac::AesCmac))] {
        let Some(token) = TestToken::of(super::TOKEN) else { return };
        let Some(rig) = start(Setup::new(), north, maple, &token) else { return };
        let mut acquirer = rig.acquirer("north");
        // Of a link without codes nobody checks the one that is there.
        let spoilt = if north.is_none() { "64=1122334455667788" } else { "" };
        let told = if north.is_none() { "0110 39=00 64=-" } else { "0110 39=00 64=*" };
        acquirer.ask(&purchase(&format!("11=000001 {spoilt}")), told);
        let seen = rig.issuer("maple").seen();
        assert_eq!(seen[0].plain().has(64), maple.is_some(), "{}", seen[0].plain());
        assert_ne!(seen[0].plain().get(64), "1122334455667788");
    }
}

/// Flips one byte after the other of a frame with a right code.
fn flip_each(dialect: &str, mac: Mac, flips: &[u8]) {
    let Some(token) = TestToken::of(super::TOKEN) else { return };
    let setup = Setup::in_dialect(dialect).set("limits.glitches_max", 1_000_000);
    let Some(rig) = start(setup, Some(mac), None, &token) else { return };
    let wire = rig.wire("north").clone();
    let frame = wire.frame_text(&purchase("11=000001"));
    let mut north = rig.acquirer("north");
    let mut flipped = 0.0;
    for at in wire.length_bytes()..frame.len() {
        for flip in flips {
            let mut frame = frame.clone();
            frame[at] ^= flip;
            north.send_bytes(&frame);
            flipped += 1.0;
        }
    }
    // The first answer is to the message behind them all: nothing else was answered, or even decided.
    north.ask(&purchase("11=000002"), "0110 11=000002 39=00");
    checked(&rig, "north", "wrong", flipped);
    checked(&rig, "north", "right", 1.0);
    rig.await_metric("glitches_total{peer=north}", flipped);
    // A length that is not the message's: its end is waited for, or taken from what follows.
    for at in 0..wire.length_bytes() {
        let mut frame = frame.clone();
        frame[at] ^= 1;
        let mut other = Acquirer::new(connect(rig.address("north")), wire.clone(), Canaries::default());
        other.send_bytes(&frame);
        assert!(other.receive_until(Instant::now() + SILENCE).is_err());
    }
    assert_eq!(rig.issuer("maple").seen().len(), 1);
    // The frame itself is good.
    north.send_bytes(&frame);
    north.expect("0110 11=000001 39=00");
}

#[test]
fn s37_each_byte_flipped_of_a_frame_in_characters() {
    flip_each("iso87-ascii", Mac::Algorithm3(1), &[0x01]);
}

#[test]
fn s37_each_byte_flipped_of_a_binary_frame() {
    flip_each("iso87-binary", Mac::AesCmac, &[0x01, 0x20, 0x80]);
}

/// Everything a stranger could send in place of a message: each is the end of nothing but its own connection, and only
/// after as many as any other malformed input is allowed.
#[test]
fn s37_no_code_is_no_answer_and_a_few_are_the_end_of_the_connection() {
    let Some(token) = TestToken::of(super::TOKEN) else { return };
    let Some(rig) = start(Setup::new(), Some(Mac::AesCmac), None, &token) else { return };
    let wire = rig.wire("north").clone();
    let plain = Plain::of(&purchase("11=000001"));
    let sealed = wire.encode(&plain);
    let mut other = plain.with("4=2000").encode(wire.dialect);
    other.extend_from_slice(&sealed[sealed.len() - 16..]);
    let with_other_code = Mac::Algorithm3(1).seal(&plain, wire.dialect);
    let echo = Plain::of("0800 7=1123120000 11=000001 70=301").encode(wire.dialect);
    let bare = plain.encode(wire.dialect);
    let messages: [&[u8]; 9] = [
        &bare,
        &echo,
        &other,
        &with_other_code,
        &sealed[..sealed.len() - 16],
        &sealed[16..],
        b"0100",
        b"x",
        &[0; 16],
    ];
    let mut count = 0.0;
    for three in messages.chunks(3) {
        let mut north = Acquirer::new(connect(rig.address("north")), wire.clone(), Canaries::default());
        for message in three {
            north.send_bytes(&wire.frame(message));
            count += 1.0;
            checked(&rig, "north", "wrong", count);
        }
        north.expect_closed();
    }
    rig.await_metric("glitches_total{peer=north}", count);
    rig.await_metric("links_ended_total{reason=too_many_glitches}", count / 3.0);
    assert!(rig.issuer("maple").seen().is_empty());
    // Under the right key, but announced by no bitmap: it comes from the acquirer, who is told of its mistake.
    let mut misplaced = plain.encode(wire.dialect);
    let code = Mac::AesCmac.code(&misplaced);
    misplaced.extend_from_slice(tests::message_text::hex(&code).as_bytes());
    let mut north = rig.acquirer("north");
    north.send_bytes(&wire.frame(&misplaced));
    north.expect("0110 11=000001 39=30 64=*");
    north.ask(&purchase("11=000002"), "0110 11=000002 39=00");
}

#[test]
fn s37_an_issuers_answer_without_a_right_code_never_came() {
    let Some(token) = TestToken::of(super::TOKEN) else { return };
    let setup = Setup::new().set("issuer.maple.timeout", "800ms").set("limits.glitches_max", 100);
    let Some(rig) = start(setup, None, Some(Mac::Algorithm3(1)), &token) else { return };
    let (maple, mut north) = (rig.issuer("maple"), rig.acquirer("north"));
    maple.hold();
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1)[0].clone();
    let wire = tests::Wire { mac: Some(Mac::Algorithm3(1)), ..rig.wire("north").clone() };
    let approval = tests::rig::issuer::honest_answer(&wire, seen.plain());
    let mut spoilt = wire.encode(&approval);
    *spoilt.last_mut().expect("a code") ^= 1;
    maple.send_bytes_on(seen.link, &wire.frame(&spoilt));
    maple.send_bytes_on(seen.link, &wire.frame(&approval.encode(wire.dialect)));
    north.expect("0110 11=000001 39=91 38=-");
    let reversal = &maple.wait_reversals(1)[0];
    assert_eq!(&reversal.plain().get(90)[4..10], seen.plain().get(11));
    checked(&rig, "maple", "wrong", 2.0);
    rig.await_metric("timed_out_total{issuer=maple}", 1.0);
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    // The link goes on.
    maple.on(|_| tests::Act::answer(""));
    north.ask(&purchase("11=000002"), "0110 11=000002 39=00");
}

/// A token that hangs: what needs a code is not used and not sent, and everything else goes on.
#[test]
fn s37_unknown_means_no() {
    if super::TOKEN != TokenKind::SoftHsm {
        return;
    }
    let Some(token) = TestToken::new() else { return };
    let shim = token.shim();
    let setup = Setup::new().acquirer("south").issuer("oak", "99997");
    let macs = ["acquirer.north", "issuer.maple"]
        .map(|peer| (peer, table(&token, &peer.replace('.', "-"), Mac::AesCmac)));
    let setup = macs.into_iter().fold(setup.token(&token).shim(&shim), |setup, (peer, table)| {
        setup.set(&format!("{peer}.mac"), Value::Table(table))
    });
    let Some(rig) = setup.set("hsm.deadline", "250ms").start() else { return };
    let (mut north, mut south) = (rig.acquirer("north"), rig.acquirer("south"));
    north.ask(&purchase("11=000001"), "0110 39=00");
    shim.spoil("C_Sign hang");
    // Nothing came of it, and the connection bears no grudge.
    north.send(&purchase("11=000002"));
    checked(&rig, "north", "unknown", 1.0);
    // The worker is another by now, and hangs too.
    let asked = Instant::now();
    south.ask(&purchase("11=000003"), "0110 39=96 38=-");
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    rig.await_metric("macs_unmade_total{peer=maple}", 1.0);
    south.ask(&purchase("11=000004 2=9999700000000017"), "0110 39=00");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
    assert_eq!(rig.issuer("oak").seen().len(), 1);
    shim.heal();
    let mut stan = 100;
    rig.await_that("the token to be asked again", || {
        stan += 1;
        north.send(&purchase(&format!("11={stan:06}")));
        match north.receive_until(Instant::now() + SILENCE) {
            Ok(received) => received.plain.get(39) == "00",
            Err(heard) => {
                assert_eq!(heard, Heard::Nothing);
                false
            }
        }
    });
    // What was not answered is no fault of the acquirer's.
    assert!(rig.metric("glitches_total{peer=north}") < 1.0);
    assert!(rig.metric("macs_total{peer=north,outcome=wrong}") < 1.0);
}

#[test]
fn s37_a_key_that_is_not_the_one_stops_the_start() {
    let Some(token) = TestToken::of(super::TOKEN) else { return };
    let Some(mut rig) = start(Setup::new(), Some(Mac::AesCmac), None, &token) else { return };
    rig.edit_config(|text| {
        let line = text.lines().find(|line| line.starts_with("check_value")).expect("a line").to_owned();
        text.replace(&line, "check_value = \"000000\"")
    });
    rig.crash();
    assert_eq!(rig.fail_to_start(), 78);
    let words = rig.process().last_words();
    assert!(
        words.contains("mac of \"north\": key \"acquirer-north\"") && words.contains("another key"),
        "{words}"
    );
    rig.expect_exit(78);
}
