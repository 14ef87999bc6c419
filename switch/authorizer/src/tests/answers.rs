//! What issuers say: which answer is to what was asked, and what is done with every other.

use super::*;

#[test]
fn q16_a_second_answer_answers_nothing() {
    let mut world = World::new();
    world.ask(7);
    let answer = world.answer(1, 7);
    world.tell(Event::Answered(answer));
    let again = world.answer(1, 7);
    assert_eq!(world.tell(Event::Answered(again)), ["release 3"]);
    assert_eq!(world.authorizer.counters().issuers[0].unmatched, 1);
}

/// Whatever was said before: an approval that nobody was told must not stand at its issuer.
#[test]
fn an_approval_behind_another_answer_is_undone() {
    let said: [fn(&mut Answer); 3] = [
        |answer| answer.response_code = ResponseCode::of(b"05"),
        |answer| answer.amount_minor = Some(999),
        |answer| answer.currency = Currency::new(978),
    ];
    for change in said {
        let mut world = World::new();
        world.ask(7);
        let mut answer = world.answer(1, 7);
        change(&mut answer);
        world.tell(Event::Answered(answer));
        // What was sent of an undoing by now is acknowledged before the approval comes.
        let undone = world.depth().waiting;
        if undone > 0 {
            world.acknowledge(2, 7, b"25");
        }
        let approval = world.answer(1, 7);
        let told = world.tell(Event::Answered(approval));
        assert!(told.iter().any(|effect| effect.starts_with("042")), "{told:?}");
        assert_eq!(world.depth().waiting, 1);
        // A third answer answers nothing.
        let third = world.answer(1, 7);
        assert!(!world.tell(Event::Answered(third)).iter().any(|effect| effect.starts_with("042")));
        assert_eq!(world.authorizer.counters().issuers[0].unmatched, 1);
    }
}

#[test]
fn a_second_decline_answers_nothing_and_hides_no_approval() {
    let mut world = World::new();
    world.ask(7);
    world.later(TIMEOUT_US + 1);
    world.acknowledge(2, 7, b"25");
    let declined =
        |world: &mut World| Answer { response_code: ResponseCode::of(b"05"), ..world.answer(1, 7) };
    for (late, unmatched) in [(1, 0), (1, 1)] {
        let answer = declined(&mut world);
        world.tell(Event::Answered(answer));
        let counters = &world.authorizer.counters().issuers[0];
        assert_eq!((counters.late, counters.unmatched), (late, unmatched));
    }
    let approval = world.answer(1, 7);
    assert!(world.tell(Event::Answered(approval)).iter().any(|effect| effect.starts_with("0421")));
}

#[test]
fn an_approval_of_a_kind_that_was_not_agreed_on_is_undone() {
    for code in [b"08", b"11", b"16"] {
        let mut world = World::new();
        world.ask(7);
        let answer = Answer { response_code: ResponseCode::of(code), ..world.answer(1, 7) };
        let told = world.tell(Event::Answered(answer));
        assert_eq!(told, ["reply 1 on 0: 96", "0420 to 0.0 as 2 of 1", "release 2"]);
    }
}

#[test]
fn an_answer_with_any_other_key_is_not_ours() {
    let wrong: [fn(&mut Answer); 6] = [
        |answer| answer.keys.moment += 1,
        |answer| answer.keys.rrn = Rrn::parse(b"000000000009"),
        |answer| answer.keys.terminal = TerminalId::parse(b"TERM0002"),
        |answer| answer.keys.acquirer = PartyId::new(100_002),
        |answer| answer.link.issuer = OAK,
        |answer| answer.class = Class::Financial,
    ];
    for change in wrong {
        let mut world = World::new();
        world.ask(7);
        let mut answer = world.answer(1, 7);
        change(&mut answer);
        assert_eq!(world.tell(Event::Answered(answer)), ["release 2"]);
        assert_eq!(world.authorizer.in_flight(), 1);
        let right = world.answer(1, 7);
        assert_eq!(world.tell(Event::Answered(right)), ["reply 1 on 0: 00+38 with 3"]);
    }
}

#[test]
fn an_answer_with_other_content_is_invalid() {
    let wrong: [fn(&mut Answer); 6] = [
        |answer| answer.currency = Currency::new(978),
        // A part must say how much, and be one.
        |answer| (answer.response_code, answer.amount_minor) = (ResponseCode::of(b"10"), None),
        |answer| (answer.response_code, answer.amount_minor) = (ResponseCode::of(b"10"), Some(0)),
        |answer| answer.amount_minor = Some(1_001),
        |answer| answer.pan = Pan::parse(b"9999700000000017"),
        |answer| answer.processing_code = ProcessingCode::parse(b"200000"),
    ];
    for change in wrong {
        let mut world = World::new();
        world.ask(7);
        let mut answer = world.answer(1, 7);
        change(&mut answer);
        assert_eq!(
            world.tell(Event::Answered(answer)),
            ["reply 1 on 0: 96", "0420 to 0.0 as 2 of 1", "release 2"]
        );
        assert!(matches!(world.facts.last(), Some(Fact::Timeout { .. })));
    }
}

#[test]
fn less_is_approved_only_where_the_issuer_says_so() {
    let mut world = World::new();
    world.ask(7);
    let less =
        Answer { amount_minor: Some(400), response_code: ResponseCode::of(b"10"), ..world.answer(1, 7) };
    assert_eq!(world.tell(Event::Answered(less)), ["reply 1 on 0: 10+38 with 2"]);
    world.ask(8);
    let less = Answer { amount_minor: Some(400), ..world.answer(2, 8) };
    assert_eq!(world.tell(Event::Answered(less)), ["reply 3 on 0: 96", "0420 to 0.0 as 3 of 2", "release 4"]);
}

#[test]
fn q21_an_unknown_code_is_a_decline_without_an_approval_code() {
    let mut world = World::new();
    world.ask(7);
    let answer = Answer { response_code: ResponseCode::of(b"Z9"), ..world.answer(1, 7) };
    assert_eq!(world.tell(Event::Answered(answer)), ["reply 1 on 0: Z9 with 2"]);
}
