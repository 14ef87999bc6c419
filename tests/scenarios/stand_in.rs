//! The switch approves for an issuer that cannot be asked, where that was agreed on, and tells it (H8, W8).

use tests::{Act, Rig, Setup, TestToken, purchase, with_check_digit};

fn alone(setup: Setup) -> Option<Rig> {
    let rig = setup.start()?;
    rig.issuer("maple").go_down();
    rig.await_links("maple", 0);
    Some(rig)
}

const REVERSAL: &str = "0420 11=000009 4=1000 90=010000000111231200000000010000100000000000";

#[test]
fn h08_off_by_default() {
    let Some(rig) = alone(Setup::new()) else { return };
    rig.acquirer("north").ask(&purchase("11=000001 4=1"), "0110 38=- 39=91");
}

#[test]
fn h08_within_floor_and_caps_and_no_further_across_a_restart() {
    let Some(mut rig) = alone(Setup::new().stand_in([1_000, 2_500, 3_000])) else { return };
    let mut north = rig.acquirer("north");
    let first = north.ask(&purchase("11=000001 4=1000"), "0110 11=000001 38=* 39=00").plain;
    north.ask(&purchase("0101 11=000001 4=1000"), &format!("0110 38={} 39=00", first.get(38)));
    north.ask(&purchase("11=000002 4=1001"), "0110 38=- 39=91");
    north.ask(&purchase("11=000003 4=1000"), "0110 39=00");
    north.ask(&purchase("11=000004 4=501"), "0110 39=91");
    rig.crash();
    // It is there for the start, says nothing, and is gone again.
    rig.issuer("maple").on(|_| Act::Hold);
    rig.issuer("maple").come_back();
    rig.start_again();
    rig.issuer("maple").go_down();
    rig.await_links("maple", 0);
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0101 11=000001 4=1000"), &format!("0110 38={} 39=00", first.get(38)));
    north.ask(&purchase("11=000005 4=501"), "0110 39=91");
    north.ask(&purchase("11=000006 4=500"), "0110 39=00");
    let other = "2=9999600000000027";
    north.ask(&purchase(&format!("11=000007 4=501 {other}")), "0110 39=91");
    north.ask(&purchase(&format!("11=000008 4=500 {other}")), "0110 39=00");
    north.ask(&purchase(&format!("11=000009 4=1 {other}")), "0110 39=91");
    rig.await_metric("stood_in_total{issuer=maple}", 2.0);
    rig.await_metric("stand_in_refused_total{issuer=maple}", 3.0);

    rig.issuer("maple").on(|_| Act::answer(""));
    rig.issuer("maple").come_back();
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    let told = rig.issuer("maple").seen();
    let said = told.iter().rev().find(|one| one.plain().get(38) == first.get(38)).expect("told").plain();
    assert_eq!((said.mti(), said.get(38), said.get(39)), ("0121", first.get(38), "00"));
    assert_eq!(
        (said.get(4), said.get(37), said.get(2)),
        ("000000001000", "000000000001", "9999600000000019")
    );
    let export = rig.export();
    assert_eq!((&export[0]["state"], &export[0]["stood_in"]), (&"approved".into(), &true.into()));
    assert_eq!(export[0]["advice"]["state"], "done");
    // It can be asked again, and is.
    rig.await_links("maple", 1);
    north.ask(&purchase("11=000010 4=5000"), "0110 38=A12345 39=00");
}

#[test]
fn h08_only_what_was_agreed_on() {
    let Some(rig) = alone(Setup::new().stand_in([1_000, 9_000, 9_000])) else { return };
    let mut north = rig.acquirer("north");
    for (stan, changes) in (1..).zip(["3=010000", "3=200000", "49=978", "2=9999610000000018"]) {
        north.ask(&purchase(&format!("11={stan:06} 4=100 {changes}")), "0110 38=- 39=91");
    }
    north.ask(&purchase("0200 11=000009 4=100"), "0210 38=* 39=00");
}

#[test]
fn h08_signed_off_is_absent_and_silent_is_not() {
    let setup = Setup::new().stand_in([1_000, 9_000, 9_000]).set("issuer.maple.timeout", "200ms");
    let Some(rig) = setup.start() else { return };
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001 4=100"), "0110 38=- 39=91");
    rig.issuer("maple").wait_reversals(1);
    rig.await_metric("stood_in_total{issuer=maple}", 0.0);
}

#[test]
fn h08_a_stood_in_approval_is_reversed_whatever_has_become_of_its_advice() {
    let setup = Setup::new().stand_in([1_000, 9_000, 9_000]).set("issuer.maple.timeout", "20s");
    let Some(rig) = alone(setup.set("acquirer.north.patience", "30s")) else { return };
    let maple = rig.issuer("maple");
    let mut north = rig.acquirer("north");
    // Not sent yet.
    north.ask(&purchase("11=000001 4=1000"), "0110 39=00");
    north.ask(&purchase(REVERSAL), "0430 39=00");
    north.ask(&purchase("0101 11=000001 4=1000"), "0110 38=- 39=94");
    maple.on(|_| Act::Hold);
    maple.come_back();
    let advice = maple.wait_seen(1)[0].clone();
    assert_eq!(advice.plain().mti(), "0120");
    assert!(maple.reversals().is_empty(), "the advice first");
    maple.answer(&advice, "39=00");
    let said = maple.wait_reversals(1)[0].plain().clone();
    let (stan, moment) = (advice.plain().get(11), advice.plain().get(7));
    assert_eq!(said.get(90), format!("0120{stan}{moment}0000010000100000000000"));
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    // Acknowledged long ago.
    maple.go_down();
    rig.await_links("maple", 0);
    maple.on(|_| Act::answer(""));
    north.ask(&purchase("11=000002 4=1000"), "0110 39=00");
    maple.come_back();
    maple.wait_seen(2);
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    north.ask(&purchase(&REVERSAL.replace("0000011123", "0000021123")), "0430 39=00");
    maple.wait_reversals(2);
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
}

#[test]
fn h08_codes_are_still_checked_and_nobody_stands_in_for_the_token() {
    let Some(token) = TestToken::new() else { return };
    let check_value = token.import("counters", "rotating-atc", "000102030405060708090A0B0C0D0E0F");
    let program = format!(
        "name = \"wallet\"\nkind = \"rotating_atc\"\niins = [\"99991\"]\nkey = \"counters\"\ncheck_value = \"{check_value}\""
    );
    let setup = Setup::new().token(&token).table("program", &program).stand_in([1_000, 9_000, 9_000]);
    let Some(rig) = alone(setup) else { return };
    rig.change(
        "/v1/cards",
        r#"{"pan":"9999100000000010","psn":1,"funding":{"pan":"9999600000000019","expiry":"3011"}}"#,
    );
    rig.change("/v1/bundles", r#"{"pan":"9999100000000010","id":1,"first":40,"count":10,"ttl_ms":86400000}"#);
    rig.change("/v1/bundles/confirm", r#"{"pan":"9999100000000010","id":1}"#);
    let wrong = "2=9999100000000010 14=2912 22=910 35=9999100000000010=29122017004273147863";
    rig.acquirer("north").ask(&purchase(&format!("4=100 {wrong}")), "0110 38=- 39=82");
    rig.await_metric("stood_in_total{issuer=maple}", 0.0);
}

/// The proxies of a card are at home on any shard, none of which asks another.
#[test]
fn h08_what_a_card_pays_for_its_proxies_stays_within_its_cap_whatever_shards_they_live_on() {
    let Some(token) = TestToken::new() else { return };
    let check_value = token.import("responses", "challenge", "101112131415161718191A1B1C1D1E1F");
    let program = format!(
        "name = \"wallet\"\nkind = \"challenge\"\niins = [\"999915\"]\nkey = \"responses\"\n\
         check_value = \"{check_value}\"\nrequired_above = 2500\ncurrency = \"840\""
    );
    let setup = Setup::new().token(&token).table("program", &program).stand_in([1_000, 2_000, 90_000]);
    let Some(rig) = alone(setup.set("switch.shards", 2).set("issuer.maple.links_per_address", 2)) else {
        return;
    };
    let mut north = rig.acquirer("north");
    let mut approved = 0;
    for at in 1..=16_u32 {
        let proxy = with_check_digit(&format!("99991500000{at:04}"));
        let body = format!(r#"{{"pan":"{proxy}","funding":{{"pan":"9999600000000019","expiry":"3011"}}}}"#);
        rig.change("/v1/cards", &body);
        let track = format!("{proxy}=29122010000000000000");
        north.send(&purchase(&format!("2={proxy} 11={at:06} 4=600 14=2912 22=910 35={track}")));
        approved += usize::from(north.receive().plain.get(39) == "00");
    }
    // Each shard has 1,000 of the 2,000: one purchase of 600.
    assert_eq!(approved, 2);
}
