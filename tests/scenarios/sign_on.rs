//! Link management: sign-on and echo, by either side.

use std::time::{Duration, Instant};

use tests::{Act, Noise, Setup, purchase};

fn network(code: &str, stan: &str) -> String {
    format!("0800 7=1123120000 11={stan} 70={code}")
}

#[test]
fn an_acquirer_may_sign_on_echo_and_sign_off() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    for (stan, code) in ["001", "301", "002"].into_iter().enumerate() {
        let stan = format!("00000{stan}");
        north.ask(&network(code, &stan), &format!("0810 7=1123120000 11={stan} 39=00 70={code}"));
    }
    assert_eq!(rig.issuer("maple").seen().len(), 0);
}

#[test]
fn an_echo_in_1993_is_answered_in_kind() {
    let Some(rig) = Setup::in_dialect("iso93-ascii").start() else { return };
    let echo = "1804 7=1123120000 11=000001 12=261123120000 24=831";
    let answer = rig.acquirer("north").ask(echo, "1814 11=000001 24=831 39=*");
    assert!(["800", "000"].contains(&answer.plain.get(39)), "{}", answer.plain);
}

#[test]
fn where_sign_on_is_asked_for_nothing_goes_before_it() {
    let Some(rig) = Setup::new().set("acquirer.north.sign_on", true).start() else { return };
    let mut early = rig.acquirer("north");
    early.send(&purchase("11=000001"));
    // Refused or cut off, as the switch likes, but not forwarded.
    if let Ok(answer) = early.receive_until(Instant::now() + tests::PATIENCE) {
        assert_ne!(answer.plain.get(39), "00");
    }
    let mut north = rig.acquirer("north");
    north.ask(&network("001", "000002"), "0810 39=00");
    north.ask(&purchase("11=000003"), "0110 11=000003 39=00");
    let seen = rig.issuer("maple").seen();
    assert_eq!(seen.iter().map(|one| one.plain().get(37)).collect::<Vec<_>>(), ["000000000003"]);
}

#[test]
fn b08_an_acquirer_that_does_not_sign_on_is_cut_off_at_its_time() {
    let setup = Setup::new().set("acquirer.north.sign_on", true).set("timers.sign_on", "300ms");
    let Some(rig) = setup.start() else { return };
    let (mut silent, mut signed) = (rig.acquirer("north"), rig.acquirer("north"));
    signed.ask(&network("001", "000001"), "0810 39=00");
    let noise = Noise::watch();
    let took = silent.expect_closed();
    noise.insist("the end of an unsigned connection", took, Duration::from_millis(300 + 200));
    rig.await_gauge("connections{peer=north}", 1.0);
    signed.ask(&purchase("11=000002"), "0110 39=00");
}

#[test]
fn an_issuer_link_is_used_once_the_issuer_accepts_our_sign_on() {
    let Some(rig) = Setup::new().set("issuer.maple.sign_on", true).start() else { return };
    let sign_on = &rig.issuer("maple").wait_network(1)[0];
    let expected = rig.wire("north").expectation("0800 7=* 11=* 70=001");
    assert_eq!(sign_on.plain().misfits(&expected), Vec::<String>::new());
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
}

#[test]
fn an_issuer_that_declines_our_sign_on_is_not_asked() {
    let setup = Setup::new().issuer("oak", "99997").set("issuer.oak.sign_on", true);
    let Some(rig) = setup.start() else { return };
    let (oak, mut north) = (rig.issuer("oak"), rig.acquirer("north"));
    oak.on_network(|_| Act::answer("39=91"));
    oak.reset_links();
    oak.wait_network(2);
    rig.await_links("oak", 0);
    north.ask(&purchase("2=9999700000000017 11=000001"), "0110 39=91");
    assert_eq!(oak.seen().len(), 0);
    oak.on_network(|_| Act::answer(""));
    rig.await_links("oak", 1);
    north.ask(&purchase("2=9999700000000017 11=000002"), "0110 39=00");
}

#[test]
fn an_idle_issuer_link_is_tested_with_an_echo() {
    let setup = Setup::new().set("issuer.maple.echo", true).set("timers.echo_every", "100ms");
    let Some(rig) = setup.start() else { return };
    let echoes = rig.issuer("maple").wait_network(3);
    assert!(echoes.iter().all(|one| one.plain().mti() == "0800" && one.plain().get(70) == "301"));
    rig.await_links("maple", 1);
    assert_eq!(rig.issuer("maple").connects(), 1);
}

#[test]
fn l4_two_unanswered_echoes_mean_the_link_is_down() {
    let setup = Setup::new()
        .set("issuer.maple.echo", true)
        .set("timers.echo_every", "100ms")
        .set("timers.echo_wait", "100ms");
    let Some(rig) = setup.start() else { return };
    let maple = rig.issuer("maple");
    maple.wait_network(1);
    maple.on_network(|_| Act::Hold);
    // A new link is tried, and given up in its turn while echoes stay unanswered.
    maple.wait_connects(3);
    maple.on_network(|_| Act::answer(""));
    rig.await_links("maple", 1);
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
}

#[test]
fn a_request_in_flight_on_a_link_found_dead_is_91() {
    let setup = Setup::new()
        .set("issuer.maple.echo", true)
        .set("timers.echo_every", "100ms")
        .set("timers.echo_wait", "100ms")
        .set("issuer.maple.timeout", "10s");
    let Some(rig) = setup.start() else { return };
    rig.issuer("maple").hold();
    rig.issuer("maple").on_network(|_| Act::Hold);
    // Long before the issuer's own time is over.
    let noise = Noise::watch();
    let sent = Instant::now();
    let answer = rig.acquirer("north").ask(&purchase(""), "0110 38=- 39=91");
    noise.insist("a 91 for a dead link", answer.at - sent, Duration::from_secs(2));
}

#[test]
fn an_issuer_may_sign_on_and_echo_too() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.send_on(0, &tests::Plain::of(&network("001", "000041")));
    maple.send_on(0, &tests::Plain::of(&network("301", "000042")));
    let answers = maple.wait_network(2);
    let told = answers.iter().map(|one| ["0810", "000041", "000042"].map(|_| one.plain().to_string()));
    assert!(told.flatten().all(|text| text.starts_with("0810") && text.contains("39=00")));
    assert_eq!(answers.iter().map(|one| one.plain().get(11)).collect::<Vec<_>>(), ["000041", "000042"]);
}

#[test]
fn q09_an_issuer_that_signed_off_is_not_asked_until_it_signs_on() {
    let Some(rig) = Setup::new().start() else { return };
    let (maple, mut north) = (rig.issuer("maple"), rig.acquirer("north"));
    maple.send_on(0, &tests::Plain::of(&network("002", "000051")));
    maple.wait_network(1);
    rig.await_links("maple", 0);
    let (noise, sent) = (Noise::watch(), Instant::now());
    let answer = north.ask(&purchase("11=000001"), "0110 38=- 39=91");
    noise.insist("a 91", answer.at - sent, Duration::from_millis(50));
    assert_eq!(maple.seen().len(), 0);
    maple.send_on(0, &tests::Plain::of(&network("001", "000052")));
    maple.wait_network(2);
    rig.await_links("maple", 1);
    north.ask(&purchase("11=000002"), "0110 39=00");
    assert_eq!(maple.connects(), 1, "signing off and on needs no new link");
}
