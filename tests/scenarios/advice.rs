//! Told afterwards: 0120 and 0220 are acknowledged once they are kept, and their issuer is told until it has them.

use tests::{Act, Plain, Rig, Setup, authorization_93, purchase};

/// What the issuer was told, once it has acknowledged everything.
fn told(rig: &Rig, count: usize) -> Vec<Plain> {
    rig.issuer("maple").wait_seen(count);
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    rig.issuer("maple").seen().iter().map(|one| one.plain().clone()).collect()
}

#[test]
fn an_advice_is_acknowledged_and_reaches_its_issuer_as_it_was_said() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let sale = "4=1000 18=5411 25=00 39=00 48=PRIVATE 52=1122334455667788";
    north.ask(&purchase(&format!("0120 11=000001 38=OFFL01 {sale}")), "0130 11=000001 38=- 39=00");
    north.ask(&purchase(&format!("0220 11=000002 38=OFFL02 {sale}")), "0230 11=000002 38=- 39=00");
    let told = told(&rig, 2);
    assert_eq!(told.iter().map(Plain::mti).collect::<Vec<_>>(), ["0120", "0220"]);
    for (de, value) in
        [(2, "9999600000000019"), (4, "000000001000"), (18, "5411"), (38, "OFFL01"), (39, "00")]
    {
        assert_eq!(told[0].get(de), value, "DE {de}");
    }
    assert_eq!(told[0].get(37), "000000000001");
    for de in [35, 45, 48, 52] {
        assert!(!told[0].has(de), "DE {de} was never kept");
    }
    rig.await_metric("advices_total{acquirer=north}", 2.0);
}

#[test]
fn a_repeated_advice_is_told_the_same_and_kept_once() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    for mti in ["0120", "0121", "0120", "0121"] {
        north.ask(&purchase(&format!("{mti} 11=000001 39=00")), "0130 11=000001 39=00");
    }
    told(&rig, 1);
    north.ask(&purchase("0121 11=000001 39=00 4=9"), "0130 39=94");
    north.ask(&purchase("0121 11=000001 39=00"), "0130 39=00");
    assert_eq!(told(&rig, 1).len(), 1);
}

#[test]
fn an_advice_is_told_until_its_issuer_acknowledges_it() {
    let retry = [("timers.reversal_retry_min", "30ms"), ("timers.reversal_retry_max", "100ms")];
    let setup = retry.into_iter().fold(Setup::new(), |setup, (key, value)| setup.set(key, value));
    let Some(rig) = setup.set("issuer.maple.timeout", "150ms").start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    rig.acquirer("north").ask(&purchase("0120 11=000001 39=00"), "0130 39=00");
    maple.wait_seen(2);
    maple.on(|_| Act::answer("39=91"));
    maple.wait_seen(4);
    maple.on(|_| Act::answer("38=-"));
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    let seen = maple.seen();
    let first = seen[0].plain();
    assert_eq!(first.mti(), "0120");
    for again in &seen[1..] {
        assert_eq!(again.plain().mti(), "0121");
        assert_eq!(again.plain().clone().with_mti("0120").to_string(), first.to_string());
    }
}

#[test]
fn advices_are_not_refused_for_money_and_wait_for_an_absent_issuer_across_a_crash() {
    let Some(mut rig) = Setup::new().start() else { return };
    rig.issuer("maple").go_down();
    rig.await_links("maple", 0);
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0120 11=000001 39=00"), "0130 39=00");
    north.ask(&purchase("0220 11=000002 39=00 14=2001"), "0230 39=00");
    north.ask(&purchase("0220 11=000003 39=51 4=0"), "0230 39=00");
    // Nobody can be told of this one.
    north.ask(&purchase("0120 11=000004 39=00 2=4012888888881881"), "0130 39=92");
    rig.await_gauge("saf_depth{issuer=maple}", 3.0);
    rig.crash();
    rig.issuer("maple").come_back();
    rig.start_again();
    let told = told(&rig, 3);
    assert_eq!(told.iter().map(Plain::mti).collect::<Vec<_>>(), ["0121", "0221", "0221"]);
    rig.acquirer("north").ask(&purchase("0121 11=000001 39=00"), "0130 39=00");
    let export = rig.export();
    let states: Vec<&str> = export.iter().map(|line| line["state"].as_str().expect("a state")).collect();
    assert_eq!(states, ["advised", "advised", "advised", "declined"]);
    assert_eq!(export[0]["advice"]["state"], "done");
}

#[test]
fn the_reversal_of_an_advice_comes_behind_it() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0220 11=000001 39=00"), "0230 39=00");
    let advice = maple.wait_seen(1)[0].clone();
    let reversal = purchase("0420 11=000009 90=022000000111231200000000010000100000000000");
    north.ask(&reversal, "0430 39=00");
    north.ask(&purchase("0221 11=000001 39=00"), "0230 39=94");
    rig.await_gauge("saf_depth{issuer=maple}", 2.0);
    assert!(maple.reversals().is_empty(), "not before the advice was acknowledged");
    maple.answer(&advice, "39=00 38=-");
    let told = maple.wait_reversals(1)[0].plain().clone();
    let (stan, moment) = (advice.plain().get(11), advice.plain().get(7));
    assert_eq!(told.get(90), format!("0220{stan}{moment}0000010000100000000000"));
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
}

#[test]
fn an_advice_in_every_dialect() {
    for dialect in ["iso87-binary", "iso87-ebcdic"] {
        let Some(rig) = Setup::in_dialect(dialect).start() else { return };
        rig.acquirer("north").ask(&purchase("0120 11=000001 39=00 38=OFFL01"), "0130 39=00");
        assert_eq!(told(&rig, 1)[0].get(38), "OFFL01");
    }
    for dialect in ["iso93-ascii", "iso93-binary"] {
        let Some(rig) = Setup::in_dialect(dialect).start() else { return };
        rig.issuer("maple").on(|_| Act::answer("39=901 38=-"));
        let advice = authorization_93("1120 11=000001 12=261123120000 24=100 38=OFFL01 39=000 4=1000");
        rig.acquirer("north").ask(&advice, "1130 39=900");
        let told = told(&rig, 1);
        assert_eq!((told[0].mti(), told[0].get(38), told[0].get(24)), ("1120", "OFFL01", "100"));
    }
}

#[test]
fn advices_find_their_shard_and_their_answers_come_home() {
    let Some(rig) = Setup::new().set("switch.shards", 3).start() else { return };
    let mut links = [rig.acquirer("north"), rig.acquirer("north")];
    for stan in 1..=24_usize {
        links[stan % 2].ask(&purchase(&format!("0120 11={stan:06} 39=00")), "0130 39=00");
    }
    assert_eq!(told(&rig, 24).len(), 24);
    rig.await_metric("unmatched_total{issuer=maple}", 0.0);
}

#[test]
fn without_a_journal_an_advice_goes_to_its_issuer_at_once_or_comes_again() {
    let Some(rig) = Setup::new().without_journal().set("issuer.maple.timeout", "200ms").start() else {
        return;
    };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0120 11=000001 39=00"), "0130 11=000001 39=91");
    maple.on(|_| Act::answer(""));
    north.ask(&purchase("0121 11=000001 39=00"), "0130 11=000001 39=00");
    north.ask(&purchase("0121 11=000001 39=00"), "0130 11=000001 39=00");
    assert!(maple.seen().len() == 2 && maple.seen()[1].plain().mti() == "0120");
}
