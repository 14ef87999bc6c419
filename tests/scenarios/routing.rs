//! Which issuer, which link, and what happens when none can be asked.

use std::collections::BTreeMap;

use tests::fixtures::with_check_digit;
use tests::{Act, Noise, Setup, purchase};

#[test]
fn the_longest_prefix_decides() {
    let Some(rig) = Setup::new().issuer("oak", "99996000001").start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001"), "0110 39=00");
    let pan = with_check_digit("999960000010000");
    north.ask(&purchase(&format!("11=000002 2={pan}")), "0110 39=00");
    assert_eq!((rig.issuer("maple").seen().len(), rig.issuer("oak").seen().len()), (1, 1));
}

#[test]
fn alternates_are_asked_in_their_order_while_the_first_is_down() {
    let setup = Setup::new().issuer("oak", "99997").issuer("elm", "99995").alternates(&["oak", "elm"]);
    let Some(rig) = setup.start() else { return };
    let (maple, oak, elm) = (rig.issuer("maple"), rig.issuer("oak"), rig.issuer("elm"));
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001"), "0110 39=00");
    take_down(&rig, "maple");
    north.ask(&purchase("11=000002"), "0110 39=00");
    take_down(&rig, "oak");
    north.ask(&purchase("11=000003"), "0110 39=00");
    take_down(&rig, "elm");
    north.ask(&purchase("11=000004"), "0110 39=91");
    maple.come_back();
    rig.await_links("maple", 1);
    north.ask(&purchase("11=000005"), "0110 39=00");
    assert_eq!([maple, oak, elm].map(|issuer| issuer.seen().len()), [2, 1, 1]);
}

fn take_down(rig: &tests::Rig, issuer: &str) {
    rig.issuer(issuer).go_down();
    rig.await_links(issuer, 0);
}

#[test]
fn an_alternate_is_asked_when_the_window_of_the_first_is_full() {
    let setup = Setup::new().issuer("oak", "99997").alternates(&["oak"]).set("issuer.maple.window", 1);
    let Some(rig) = setup.start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    north.ask(&purchase("11=000002"), "0110 11=000002 39=00");
    assert_eq!(rig.issuer("oak").seen().len(), 1);
    maple.answer(&seen[0], "");
    north.expect("0110 11=000001 39=00");
}

#[test]
fn a_request_once_sent_is_not_given_to_an_alternate() {
    let Some(rig) = Setup::new().issuer("oak", "99997").alternates(&["oak"]).start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    maple.wait_seen(1);
    maple.reset_links();
    north.expect("0110 11=000001 39=91");
    north.ask(&purchase("11=000002 2=9999700000000017"), "0110 39=00");
    assert_eq!(rig.issuer("oak").seen().len(), 1);
}

/// A bulkhead: what waits for one issuer is bounded, and the others are asked as ever.
#[test]
fn l8_an_issuer_that_is_slow_holds_up_its_window_and_no_other() {
    let Some(rig) = Setup::new().set("issuer.maple.window", 4).issuer("oak", "99997").start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    for stan in 0..4 {
        north.send(&purchase(&format!("11={stan:06}")));
    }
    let seen = maple.wait_seen(4);
    for stan in 100..200 {
        let noise = Noise::watch();
        let asked = std::time::Instant::now();
        north.ask(&purchase(&format!("11={stan:06} 2=9999700000000017")), "0110 39=00");
        noise.insist("the other issuer", asked.elapsed(), std::time::Duration::from_millis(50));
        north.ask(&purchase(&format!("11={:06}", stan + 200)), "0110 38=- 39=91");
    }
    for one in &seen {
        maple.answer(one, "");
    }
    assert!(north.receive_all(4).values().all(|answer| answer.plain.get(39) == "00"));
    assert!(maple.seen().len() == 4 && maple.reversals().is_empty());
}

#[test]
fn a_full_window_is_91_at_once() {
    let Some(rig) = Setup::new().set("issuer.maple.window", 2).start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    north.send(&purchase("11=000002"));
    let seen = maple.wait_seen(2);
    north.ask(&purchase("11=000003"), "0110 11=000003 38=- 39=91");
    rig.await_metric("declined_total{acquirer=north,reason=issuer_window_full}", 1.0);
    maple.answer(&seen[0], "");
    north.expect("0110 11=000001 39=00");
    maple.on(|_| Act::answer(""));
    north.ask(&purchase("11=000004"), "0110 11=000004 39=00");
    maple.answer(&seen[1], "");
    north.expect("0110 11=000002 39=00");
}

/// Whoever asks for more than the issuer answers has half of what it takes at a time; a second one of that kind, half of the
/// rest: never all.
#[test]
fn b09_one_acquirer_leaves_room_at_an_issuer_for_the_others() {
    let setup = Setup::new().acquirer("flood").acquirer("more").set("issuer.maple.window", 8);
    let Some(rig) = setup.start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let (mut flood, mut more, mut north) =
        (rig.acquirer("flood"), rig.acquirer("more"), rig.acquirer("north"));
    let refused = |link: &mut tests::Acquirer, count: usize| {
        (0..20).for_each(|stan| link.send(&purchase(&format!("11={stan:06}"))));
        let codes = link.receive_all(20 - count).into_values();
        assert!(codes.into_iter().all(|answer| answer.plain.get(39) == "91"));
    };
    refused(&mut flood, 4);
    refused(&mut more, 2);
    assert_eq!(maple.wait_seen(6).len(), 6);
    rig.await_metric("declined_total{acquirer=flood,reason=issuer_window_full}", 16.0);
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(7);
    maple.answer(&seen[6], "");
    north.expect("0110 11=000001 39=00");
    // What was answered makes room again.
    seen[..2].iter().for_each(|one| maple.answer(one, ""));
    flood.receive_all(2);
    maple.on(|_| Act::answer(""));
    flood.ask(&purchase("11=000100"), "0110 39=00");
    seen[2..6].iter().for_each(|one| maple.answer(one, ""));
    flood.receive_all(2);
    more.receive_all(2);
}

#[test]
fn several_links_share_the_load_by_least_outstanding() {
    let Some(rig) = Setup::new().addresses("maple", 2).set("issuer.maple.links_per_address", 2).start()
    else {
        return;
    };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    for stan in 0..12 {
        north.send(&purchase(&format!("11={stan:06}")));
    }
    let seen = maple.wait_seen(12);
    let mut per_link = BTreeMap::new();
    for one in &seen {
        *per_link.entry(one.link).or_insert(0) += 1;
    }
    assert_eq!(per_link.values().copied().collect::<Vec<i32>>(), [3, 3, 3, 3]);
    // A link that has answered all it had is the least burdened: the next three go there.
    for one in seen.iter().filter(|one| one.link == 0) {
        maple.answer(one, "");
    }
    north.receive_all(3);
    for stan in 20..23 {
        north.send(&purchase(&format!("11={stan:06}")));
    }
    assert!(maple.wait_seen(15)[12..].iter().all(|one| one.link == 0));
    for one in maple.seen().iter().filter(|one| one.link != 0 || one.plain().get(37) >= "000000000020") {
        maple.answer(one, "");
    }
    north.receive_all(12);
}

#[test]
fn trace_numbers_towards_an_issuer_are_its_own_and_differ() {
    let Some(rig) = Setup::new().acquirer("south").start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let (mut north, mut south) = (rig.acquirer("north"), rig.acquirer("south"));
    north.send(&purchase("11=000001"));
    south.send(&purchase("11=000001"));
    let seen = maple.wait_seen(2);
    assert_ne!(seen[0].plain().get(11), seen[1].plain().get(11));
    seen.iter().for_each(|one| maple.answer(one, ""));
    north.expect("0110 11=000001 39=00");
    south.expect("0110 11=000001 39=00");
}
