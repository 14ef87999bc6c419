//! Every wait has an end, and what comes after it changes nothing.

use std::thread;
use std::time::{Duration, Instant};

use tests::{Act, Noise, Rig, Setup, purchase};

const T_ISSUER: Duration = Duration::from_millis(300);

fn with_short_timeout() -> Setup {
    Setup::new().set("issuer.maple.timeout", "300ms")
}

/// After this, the answer to a new purchase is the next thing that arrives: nothing else was under way.
fn nothing_else_comes(rig: &Rig, north: &mut tests::Acquirer, stan: &str) {
    rig.issuer("maple").on(|_| Act::answer(""));
    north.ask(&purchase(&format!("11={stan}")), &format!("0110 11={stan} 39=00"));
}

#[test]
fn q08_silent_issuer_is_91_at_its_timeout_plus_100_ms() {
    let Some(rig) = with_short_timeout().start() else { return };
    rig.issuer("maple").hold();
    let mut north = rig.acquirer("north");
    let noise = Noise::watch();
    for stan in 0..5 {
        let sent = Instant::now();
        let answer = north.ask(&purchase(&format!("11={stan:06}")), "0110 38=- 39=91");
        let took = answer.at - sent;
        assert!(took >= T_ISSUER, "gave up early: {took:?}");
        noise.insist("a 91", took, T_ISSUER + Duration::from_millis(100));
    }
    rig.await_metric("timed_out_total{issuer=maple}", 5.0);
    rig.await_metric("declined_total{acquirer=north,reason=issuer_timed_out}", 5.0);
    rig.await_gauge("in_flight", 0.0);
}

#[test]
fn q08_a_profile_may_say_68() {
    let setup = with_short_timeout().set("acquirer.north.response_codes.issuer_timed_out", "68");
    let Some(rig) = setup.start() else { return };
    rig.issuer("maple").hold();
    rig.acquirer("north").ask(&purchase(""), "0110 39=68");
}

#[test]
fn q09_an_issuer_that_refuses_is_91_within_50_ms() {
    let setup = Setup::new().absent("maple").issuer("oak", "99997");
    let Some(rig) = setup.start() else { return };
    let mut north = rig.acquirer("north");
    let noise = Noise::watch();
    for stan in 0..5 {
        let sent = Instant::now();
        let answer = north.ask(&purchase(&format!("11={stan:06}")), "0110 38=- 39=91");
        noise.insist("a 91", answer.at - sent, Duration::from_millis(50));
    }
    rig.await_metric("declined_total{acquirer=north,reason=issuer_down}", 5.0);
    assert!(rig.metric("forwarded_total{issuer=maple}") == 0.0);
}

#[test]
fn q09_a_repeat_of_that_91_is_the_same_91() {
    let Some(rig) = Setup::new().absent("maple").issuer("oak", "99997").start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001"), "0110 39=91");
    north.ask(&purchase("0101 11=000001"), "0110 39=91");
}

#[test]
fn q10_a_link_that_breaks_inside_the_request_is_91_and_nothing_is_sent_again() {
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    let mut north = rig.acquirer("north");
    let length = north.wire().frame_text(&purchase("")).len();
    let cuts = (1..length).step_by(length / 12).chain([2, length - 1]);
    for (number, bytes) in cuts.enumerate() {
        let connects = maple.connects();
        maple.cut_after(Some(bytes));
        north.ask(&purchase(&format!("11={number:06}")), &format!("0110 11={number:06} 38=- 39=91"));
        maple.cut_after(None);
        maple.wait_connects(connects + 1);
        rig.await_links("maple", 1);
        // Were the request sent again it would come first on the new link.
        let before = maple.seen().len();
        north.ask(&purchase(&format!("11=1{number:05}")), &format!("0110 11=1{number:05} 39=00"));
        let seen = maple.seen();
        assert_eq!(seen.len(), before + 1, "cut after {bytes}");
        assert_eq!(seen[before].plain().get(37), format!("0000001{number:05}"), "cut after {bytes}");
    }
}

#[test]
fn q10_requests_stuck_before_an_issuer_that_does_not_read_are_91_when_it_resets() {
    const MANY: usize = 400;
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.stop_reading(true);
    let mut north = rig.acquirer("north");
    // 1.5 MB: more than the sockets between the two take up.
    let filler = "A".repeat(940);
    for stan in 0..MANY {
        north.send(&purchase(&format!("11={stan:06} 48={filler} 60={filler} 61={filler} 62={filler}")));
    }
    rig.await_gauge("in_flight", 400.0);
    maple.reset_links();
    let answers = north.receive_all(MANY);
    assert!(answers.values().all(|one| one.plain.get(39) == "91"));
    maple.stop_reading(false);
    maple.wait_connects(2);
    rig.await_links("maple", 1);
    north.ask(&purchase("11=900000"), "0110 11=900000 39=00");
    let resent = maple.seen().iter().filter(|seen| seen.plain().get(37) != "000000900000").count();
    assert_eq!(resent, 0, "requests were sent again");
}

#[test]
fn q11_when_the_link_drops_all_in_flight_are_91_within_100_ms() {
    const MANY: usize = 200;
    let Some(rig) = Setup::new().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    for stan in 0..MANY {
        north.send(&purchase(&format!("11={stan:06}")));
    }
    maple.wait_seen(MANY);
    let noise = Noise::watch();
    let dropped = maple.reset_links();
    let answers = north.receive_all(MANY);
    let last = answers.values().map(|one| one.at).max().expect("answers");
    noise.insist("the last of 200 answers", last - dropped, Duration::from_millis(100));
    assert!(answers.values().all(|one| one.plain.get(39) == "91" && !one.plain.has(38)));
    maple.wait_connects(2);
    rig.await_links("maple", 1);
    nothing_else_comes(&rig, &mut north, "900000");
    assert_eq!(maple.seen().len(), MANY + 1, "requests were sent again");
}

#[test]
fn q11_what_was_on_a_lost_link_is_not_sent_again_on_another() {
    const MANY: usize = 20;
    let Some(rig) = Setup::new().addresses("maple", 2).start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    for stan in 0..MANY {
        north.send(&purchase(&format!("11={stan:06}")));
    }
    let seen = maple.wait_seen(MANY);
    maple.reset_link(seen[0].link);
    let lost = seen.iter().filter(|one| one.link == seen[0].link).count();
    let answers = north.receive_all(lost);
    assert!(answers.values().all(|one| one.plain.get(39) == "91"));
    // The other link has its half as before.
    for one in seen.iter().filter(|one| one.link != seen[0].link) {
        maple.answer(one, "");
    }
    let answers = north.receive_all(MANY - lost);
    assert!(answers.values().all(|one| one.plain.get(39) == "00"));
    nothing_else_comes(&rig, &mut north, "900000");
    assert_eq!(maple.seen().len(), MANY + 1, "requests were sent again");
}

#[test]
fn q12_x9_a_late_approval_never_reaches_the_acquirer() {
    let Some(rig) = with_short_timeout().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    north.send(&purchase("11=000002"));
    let seen = maple.wait_seen(2);
    assert!(north.receive_all(2).values().all(|one| one.plain.get(39) == "91"));
    maple.answer(&seen[0], "39=00");
    rig.await_metric("late_total{issuer=maple}", 1.0);
    maple.answer(&seen[1], "39=05 38=-");
    rig.await_metric("late_total{issuer=maple}", 2.0);
    nothing_else_comes(&rig, &mut north, "000003");
    // The repeat is still told what the first was told.
    north.ask(&purchase("0101 11=000001"), "0110 11=000001 38=- 39=91");
}

#[test]
fn q12_an_answer_just_after_the_deadline_is_late() {
    let Some(rig) = with_short_timeout().start() else { return };
    rig.issuer("maple").on(|_| Act::After(T_ISSUER + Duration::from_millis(1), String::new()));
    let mut north = rig.acquirer("north");
    // The issuer's clock starts after ours; a millisecond later by its clock is later by ours.
    for stan in 0..5 {
        north.ask(&purchase(&format!("11={stan:06}")), &format!("0110 11={stan:06} 39=91"));
    }
    rig.await_metric("late_total{issuer=maple}", 5.0);
}

#[test]
fn q15_after_a_freeze_past_the_deadline_the_deadline_decides() {
    let Some(rig) = with_short_timeout().start() else { return };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    rig.process().freeze();
    // The approval waits in the socket, the deadline passes, then both are there at once.
    maple.answer(&seen[0], "39=00");
    thread::sleep(2 * T_ISSUER);
    rig.process().thaw();
    north.expect("0110 11=000001 38=- 39=91");
    rig.await_metric("late_total{issuer=maple}", 1.0);
    nothing_else_comes(&rig, &mut north, "000002");
}

#[test]
fn a_slow_answer_within_its_time_is_an_answer() {
    let Some(rig) = Setup::new().set("issuer.maple.timeout", "5s").start() else { return };
    rig.issuer("maple").on(|_| Act::After(Duration::from_millis(400), String::new()));
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
}
