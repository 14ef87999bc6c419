//! Told afterwards: what goes on-line and is answered by its issuer.

use tests::{Act, Setup, purchase};

#[test]
fn advices_are_forwarded_and_answered() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0120 11=000001 39=00 38=OFFL01"), "0130 11=000001 39=00");
    north.ask(&purchase("0220 11=000002 39=00 38=OFFL02"), "0230 11=000002 39=00");
    let seen = rig.issuer("maple").wait_seen(2);
    assert_eq!(seen.iter().map(|one| one.plain().mti()).collect::<Vec<_>>(), ["0120", "0220"]);
    assert_eq!(seen[0].plain().get(38), "OFFL01");
}

#[test]
fn a_repeated_advice_that_was_taken_is_answered_from_memory() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0120 11=000001 39=00"), "0130 11=000001 39=00");
    north.ask(&purchase("0121 11=000001 39=00"), "0130 11=000001 39=00");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn an_advice_that_did_not_arrive_is_forwarded_again_when_repeated() {
    let Some(rig) = Setup::new().set("issuer.maple.timeout", "200ms").start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0120 11=000001 39=00"), "0130 11=000001 39=91");
    maple.on(|_| Act::answer(""));
    north.ask(&purchase("0121 11=000001 39=00"), "0130 11=000001 39=00");
    assert!(maple.seen().len() == 2 && maple.seen()[1].plain().mti() == "0120");
}

#[test]
fn an_advice_for_an_absent_issuer_is_forwarded_when_it_is_back() {
    let Some(rig) = Setup::new().issuer("oak", "99997").start() else { return };
    let oak = rig.issuer("oak");
    oak.go_down();
    rig.await_links("oak", 0);
    let mut north = rig.acquirer("north");
    let advice = "2=9999700000000017 11=000001 39=00";
    north.ask(&purchase(&format!("0120 {advice}")), "0130 39=91");
    oak.come_back();
    rig.await_links("oak", 1);
    north.ask(&purchase(&format!("0121 {advice}")), "0130 39=00");
}
