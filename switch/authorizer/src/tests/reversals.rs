//! Reversals: ours and theirs, in each state of the original, and their way to the issuer.

use alloc::boxed::Box;

use codecs::value::ApprovalCode;

use super::*;
use crate::memory::{Memory, State};
use crate::recall::Known;
use crate::request::{Named, Original};
use crate::saf::Depth;

impl World {
    /// A reversal of the request with this trace number.
    pub(super) fn reversal(&mut self, class: Class, of: u32) -> Request {
        let request = self.request(of);
        Request {
            class,
            identity: Identity(u128::from(of) + 1_000_000),
            stan: Stan::new(500_000 + of).unwrap(),
            original: Some(Box::new(Original {
                identity: Identity(u128::from(of)),
                is_reversal: false,
                left_minor: None,
                named: Named {
                    stan: request.stan,
                    class: Some(Class::Authorization),
                    moment: Some(request.keys.moment),
                    acquirer: request.keys.acquirer,
                    forwarder: None,
                },
            })),
            ..request
        }
    }

    /// The same from a terminal, or from one that does not say which it is; its original has another identity than this says.
    fn reversal_from(&mut self, class: Class, of: u32, terminal: Option<&[u8]>) -> Request {
        let mut reversal = self.reversal(class, of);
        reversal.keys.terminal = terminal.and_then(TerminalId::parse);
        let original = reversal.original.as_mut().unwrap();
        original.identity = Identity(u128::from(of) + 2_000_000);
        reversal
    }

    pub(super) fn reverse(&mut self, of: u32) -> Vec<String> {
        let reversal = self.reversal(Class::ReversalAdvice, of);
        self.tell(Event::Request(reversal))
    }

    /// Asks, and lets the issuer approve.
    fn approved(&mut self, stan: u32, leg: u32) {
        self.ask(stan);
        let answer = self.answer(leg, stan);
        self.tell(Event::Answered(answer));
    }

    /// The issuer's answer to a reversal of the request with this trace number.
    pub(super) fn acknowledge(&mut self, leg: u32, of: u32, code: &[u8; 2]) -> Vec<String> {
        let answer = self.answer(leg, of);
        let keys = MatchKeys { moment: self.now.moment, ..answer.keys };
        let answer = Answer {
            class: Class::ReversalAdvice,
            response_code: ResponseCode::of(code),
            approval_code: None,
            keys,
            ..answer
        };
        self.tell(Event::Answered(answer))
    }

    pub(super) fn depth(&self) -> Depth {
        self.authorizer.saf_depth(MAPLE)
    }
}

#[test]
fn r01_r12_a_reversal_of_nothing_buries_what_may_still_come() {
    let mut world = World::new();
    assert_eq!(world.reverse(7), ["reply 1 on 0: 00"]);
    assert!(matches!(world.facts[..], [Fact::Tombstone { .. }]));
    assert_eq!(world.reverse(7), ["reply 2 on 0: 00"]);
    assert_eq!(world.ask(7), ["reply 3 on 0: 94"]);
    assert_eq!(world.depth(), Depth::default());
}

#[test]
fn r03_what_waits_for_its_issuer_is_cancelled_and_undone_there() {
    let mut world = World::new();
    world.ask(7);
    let told = world.reverse(7);
    assert_eq!(told, ["release 1", "0420 to 0.0 as 2 of 1", "reply 2 on 0: 00"]);
    // An approval now is for nobody. The reversal under way may have overtaken it: another one follows.
    let answer = world.answer(1, 7);
    assert_eq!(world.tell(Event::Answered(answer)), ["release 3"]);
    assert_eq!(world.ask(7), ["reply 4 on 0: 94"]);
    assert_eq!(world.acknowledge(2, 7, b"00"), ["release 5", "0421 to 0.0 as 3 of 1"]);
    assert_eq!(world.acknowledge(3, 7, b"00"), ["release 6"]);
    assert_eq!((world.depth(), world.authorizer.in_flight()), (Depth::default(), 0));
}

#[test]
fn r04_r06_an_approval_is_undone_once_however_often_it_is_said() {
    let mut world = World::new();
    world.approved(7, 1);
    assert_eq!(world.reverse(7), ["0420 to 0.0 as 2 of 1", "reply 3 on 0: 00"]);
    for ticket in 4..7 {
        assert_eq!(world.reverse(7), [format!("reply {ticket} on 0: 00")]);
    }
    assert_eq!(world.depth().waiting, 1);
    assert_eq!(world.ask(7), ["reply 7 on 0: 94"]);
}

#[test]
fn r05_what_was_declined_needs_no_undoing() {
    let mut world = World::new();
    world.ask(7);
    let answer = Answer { response_code: ResponseCode::of(b"51"), ..world.answer(1, 7) };
    world.tell(Event::Answered(answer));
    assert_eq!(world.reverse(7), ["reply 3 on 0: 00"]);
    assert_eq!(world.ask(7), ["reply 4 on 0: 51"]);
}

#[test]
fn r07_what_timed_out_is_undone_already() {
    let mut world = World::new();
    world.ask(7);
    assert_eq!(world.later(TIMEOUT_US + 1), ["reply 1 on 0: 91", "0420 to 0.0 as 2 of 1"]);
    assert_eq!(world.reverse(7), ["reply 2 on 0: 00"]);
    assert_eq!(world.depth().waiting, 1);
    assert_eq!(world.ask(7), ["reply 3 on 0: 91"]);
}

#[test]
fn r08_parts_are_undone_once_each_and_never_more_than_there_was() {
    let mut world = World::new();
    world.approved(7, 1);
    let part = |world: &mut World, class, left_minor| {
        let mut reversal = world.reversal(class, 7);
        reversal.original.as_mut().unwrap().left_minor = Some(left_minor);
        world.tell(Event::Request(reversal))
    };
    let advice = Class::ReversalAdvice;
    assert_eq!(part(&mut world, advice, 600), ["0420 to 0.0 as 2 of 1 leaving 600", "reply 3 on 0: 00"]);
    assert_eq!(part(&mut world, advice, 600), ["reply 4 on 0: 00"]);
    assert_eq!(part(&mut world, advice, 800), ["reply 5 on 0: 00"], "what is undone stays undone");
    assert_eq!(part(&mut world, Class::Reversal, 1_001), ["reply 6 on 0: 13"]);
    assert_eq!(part(&mut world, advice, 1_001), ["reply 7 on 0: 00"]);
    assert_eq!(world.authorizer.counters().acquirers[0].reversal_exceptions, 2);
    // The approval still stands in part; the rest is undone behind the first.
    assert_eq!(world.ask(7), ["reply 8 on 0: 00+38"]);
    assert_eq!(world.reverse(7), ["reply 9 on 0: 00"]);
    assert_eq!(world.acknowledge(2, 7, b"00"), ["release 10", "0420 to 0.0 as 3 of 1"]);
}

#[test]
fn r09_r13_what_cannot_be_meant_is_said_to_who_asks() {
    let mut world = World::new();
    world.approved(7, 1);
    let changes: [fn(&mut Request); 3] = [
        |request| request.amount = Amount::new(999, Currency::new(840).unwrap()),
        |request| request.pan = Pan::parse(b"9999600000000027"),
        |request| request.original.as_mut().unwrap().is_reversal = true,
    ];
    for change in changes {
        for (class, code) in [(Class::Reversal, "12"), (Class::ReversalAdvice, "00")] {
            let mut reversal = world.reversal(class, 7);
            change(&mut reversal);
            let ticket = reversal.ticket.0;
            assert_eq!(world.tell(Event::Request(reversal)), [format!("reply {ticket} on 0: {code}")]);
        }
    }
    assert_eq!(world.depth().waiting, 0);
}

#[test]
fn r11_without_a_journal_a_reversal_stays_with_its_sender() {
    let mut world = World::with(1, 4, &[MAPLE], |tables| tables.has_journal = false);
    world.approved(7, 1);
    assert_eq!(world.reverse(7), ["reply 3 on 0: 96"]);
}

#[test]
fn a_reversal_comes_again_as_a_repeat_later_and_later() {
    let mut world = World::new();
    world.approved(7, 1);
    world.reverse(7);
    let mut waits = Vec::new();
    for _ in 0..9 {
        // Without an answer in time it is put off, and then sent again.
        assert_eq!(world.later(TIMEOUT_US + 1), Vec::<String>::new());
        let due_us = world.authorizer.next_deadline_us().unwrap();
        waits.push((due_us - world.now.monotonic_us) / 1_000);
        assert_eq!(world.later(due_us - world.now.monotonic_us), ["0421 to 0.0 as 2 of 1"]);
    }
    for (wait_ms, whole_ms) in waits.iter().zip([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
    {
        assert!((whole_ms * 3 / 4..=whole_ms).contains(wait_ms), "{waits:?}");
    }
    // An answer to any of them counts, whenever it comes.
    world.acknowledge(2, 7, b"00");
    assert_eq!((world.depth().waiting, world.authorizer.next_deadline_us()), (0, None));
}

#[test]
fn what_an_issuer_says_to_a_reversal() {
    for (code, waiting, parked) in [
        (b"00", 0, 0),
        (b"21", 0, 0),
        (b"25", 0, 0),
        (b"94", 0, 0),
        (b"91", 1, 0),
        (b"96", 1, 0),
        (b"68", 1, 0),
        (b"30", 1, 1),
        (b"12", 1, 1),
    ] {
        let mut world = World::new();
        world.approved(7, 1);
        world.reverse(7);
        world.acknowledge(2, 7, code);
        assert_eq!((world.depth().waiting, world.depth().parked), (waiting, parked), "{code:?}");
        let again = world.later(10_000_000);
        assert_eq!(again.len(), waiting - parked, "{code:?}: {again:?}");
    }
}

#[test]
fn an_answer_with_other_keys_acknowledges_nothing() {
    let mut world = World::new();
    world.approved(7, 1);
    world.reverse(7);
    world.acknowledge(2, 8, b"00");
    world.acknowledge(3, 7, b"00");
    assert_eq!(world.depth().waiting, 1);
    assert_eq!(world.authorizer.counters().issuers[0].unmatched, 2);
}

#[test]
fn reversals_wait_for_a_link_and_then_go_at_once_a_window_at_a_time() {
    let mut world = World::with(1, 200, &[MAPLE], |_| ());
    for stan in 1..=100 {
        world.approved(stan, stan);
    }
    world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::Lost));
    for stan in 1..=100 {
        assert_eq!(world.reverse(stan).len(), 1, "nothing can be sent");
    }
    assert_eq!(world.authorizer.next_deadline_us(), None, "nothing to wake up for");
    let sent = world.tell(Event::IssuerLink(to(MAPLE, 1), LinkChange::Up));
    assert_eq!((sent.len(), sent[0].as_str()), (64, "0420 to 0.1 as 101 of 1"));
    // Each acknowledgement makes room for the next.
    assert_eq!(world.acknowledge(101, 1, b"00").len(), 2);
    assert_eq!(world.depth().waiting, 99);
    // A lost link: what was on it may have arrived.
    world.tell(Event::IssuerLink(to(MAPLE, 1), LinkChange::Lost));
    let sent = world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::Up));
    assert_eq!(sent.iter().filter(|one| one.starts_with("0421")).count(), 64);
}

#[test]
fn q12_a_late_approval_is_undone_by_the_reversal_that_waits() {
    let mut world = World::new();
    world.ask(7);
    world.later(TIMEOUT_US + 1);
    // The reversal under way may have met nothing: another one waits behind it.
    let answer = world.answer(1, 7);
    assert_eq!(world.tell(Event::Answered(answer)), ["release 2"]);
    assert!(matches!(world.facts.last(), Some(Fact::Late { approved: true, undo: Some(_), .. })));
    assert_eq!(world.depth().waiting, 2);
    assert_eq!(world.acknowledge(2, 7, b"25"), ["release 3", "0421 to 0.0 as 3 of 1"]);
    world.acknowledge(3, 7, b"00");
    assert_eq!(world.depth().waiting, 0);
}

#[test]
fn q12_a_late_approval_needs_nothing_more_while_its_reversal_was_not_sent() {
    let mut world = World::new();
    world.ask(7);
    world.tell(Event::IssuerLink(to(MAPLE, 1), LinkChange::Up));
    world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::SignedOff));
    world.tell(Event::IssuerLink(to(MAPLE, 1), LinkChange::SignedOff));
    world.later(TIMEOUT_US + 1);
    let answer = world.answer(1, 7);
    world.tell(Event::Answered(answer));
    assert!(matches!(world.facts.last(), Some(Fact::Late { approved: true, undo: None, .. })));
    assert_eq!(world.depth().waiting, 1);
}

#[test]
fn q13_an_approval_after_the_acknowledgement_is_undone_again() {
    let mut world = World::new();
    world.ask(7);
    world.later(TIMEOUT_US + 1);
    world.acknowledge(2, 7, b"25");
    assert_eq!(world.depth().waiting, 0);
    let answer = world.answer(1, 7);
    assert_eq!(world.tell(Event::Answered(answer)), ["release 3", "0421 to 0.0 as 3 of 1"]);
    world.acknowledge(3, 7, b"00");
    assert_eq!(world.depth().waiting, 0);
    let counters = &world.authorizer.counters().issuers[0];
    assert_eq!((counters.saf_done, counters.saf_untraced), (2, 1));
}

#[test]
fn an_issuer_with_too_much_to_undo_is_asked_nothing_new() {
    let mut world = World::with(1, 100, &[MAPLE], |_| ());
    world.authorizer.reversals_max = 2;
    for stan in 1..=2 {
        world.approved(stan, (stan - 1) * 2 + 1);
        world.reverse(stan);
    }
    assert_eq!(world.ask(9), ["reply 7 on 0: 91"]);
    // The reversals themselves are never refused.
    world.acknowledge(2, 1, b"00");
    assert_eq!(world.ask(9), ["forward 9 to 0.0 as 5"]);
}

#[test]
fn a_reversal_says_what_was_approved() {
    let mut world = World::new();
    world.approved(7, 1);
    world.reverse(7);
    let undoing = world.out.visible.iter().find_map(|effect| match effect {
        Effect::Deliver(delivery) => match &delivery.message {
            Stored::Reversal(reversal) => Some(reversal.clone()),
            Stored::Advice(_) => None,
        },
        _ => None,
    });
    let reversal = undoing.unwrap();
    assert_eq!(reversal.approval_code, ApprovalCode::parse(b"ABC123"));
    assert_eq!(reversal.sent.asked.stan.number(), 7);
    let place = world.authorizer.memory.find(Identity(7), 0).unwrap();
    assert_eq!(world.authorizer.memory.get(place).unwrap().state, State::Undone);
}

#[test]
fn r09_from_another_terminal_it_undoes_nothing_and_what_it_may_mean_is_buried() {
    for (class, code) in [(Class::Reversal, "12"), (Class::ReversalAdvice, "00")] {
        let mut world = World::new();
        world.approved(7, 1);
        let reversal = world.reversal_from(class, 7, Some(b"ELSEWHER"));
        let buried = reversal.original.as_ref().unwrap().identity;
        assert_eq!(world.tell(Event::Request(reversal)), [format!("reply 3 on 0: {code}")]);
        assert_eq!(world.depth(), Depth::default());
        assert_eq!(world.authorizer.counters().acquirers[0].reversal_exceptions, 1);
        // It may have meant a payment of that terminal which comes behind it.
        let late = Request { identity: buried, ..world.request(7) };
        assert_eq!(world.tell(Event::Request(late)), ["reply 4 on 0: 94"]);
        assert_eq!(world.ask(7), ["reply 5 on 0: 00+38"]);
    }
}

#[test]
fn r09_what_a_reversal_leaves_out_does_not_hide_its_original() {
    type Change = fn(&mut Named);
    let less: [(&str, Change); 4] = [
        ("nothing but the terminal is left out", |_| {}),
        ("no message type", |named| named.class = None),
        ("no moment", |named| named.moment = None),
        ("no institution", |named| named.acquirer = None),
    ];
    for (what, change) in less {
        let mut world = World::new();
        world.approved(7, 1);
        let mut reversal = world.reversal_from(Class::ReversalAdvice, 7, None);
        change(&mut reversal.original.as_mut().unwrap().named);
        let told = world.tell(Event::Request(reversal));
        assert_eq!(told, ["0420 to 0.0 as 2 of 1", "reply 3 on 0: 00"], "{what}");
    }
}

#[test]
fn r09_of_several_that_are_named_alike_the_one_of_its_terminal_is_undone() {
    let mut world = World::new();
    world.approved(7, 1);
    let mut other = world.request(7);
    other.identity = Identity(3_000_000);
    other.keys.terminal = TerminalId::parse(b"ELSEWHER");
    world.tell(Event::Request(other));
    let answer = world.answer(2, 7);
    let keys = MatchKeys { terminal: None, ..answer.keys };
    world.tell(Event::Answered(Answer { keys, ..answer }));
    let reversal = world.reversal_from(Class::ReversalAdvice, 7, Some(b"TERM0001"));
    assert_eq!(world.tell(Event::Request(reversal)), ["0420 to 0.0 as 3 of 1", "reply 5 on 0: 00"]);
}

#[test]
fn searches_for_originals_are_few() {
    let mut world = World::new();
    world.approved(7, 1);
    for of in 100..108 {
        world.reverse(of);
    }
    let reversal = world.reversal_from(Class::ReversalAdvice, 7, None);
    assert_eq!(world.tell(Event::Request(reversal)), ["reply 11 on 0: 00"], "nobody looked");
    assert_eq!(world.depth(), Depth::default());
    world.later(60_000);
    let mut again = world.reversal_from(Class::ReversalAdvice, 7, None);
    again.original.as_mut().unwrap().identity = Identity(4_000_000);
    assert_eq!(world.tell(Event::Request(again)), ["0420 to 0.0 as 2 of 1", "reply 12 on 0: 00"]);
}

#[test]
fn r08_a_part_of_what_waits_for_its_issuer_comes_again() {
    let mut world = World::new();
    world.ask(7);
    let part = |world: &mut World, class| {
        let mut reversal = world.reversal(class, 7);
        reversal.original.as_mut().unwrap().left_minor = Some(400);
        world.tell(Event::Request(reversal))
    };
    assert_eq!(part(&mut world, Class::ReversalAdvice), ["reply 2 on 0: 96"]);
    assert_eq!(part(&mut world, Class::Reversal), ["reply 3 on 0: 12"]);
    let answer = world.answer(1, 7);
    world.tell(Event::Answered(answer));
    let told = part(&mut world, Class::ReversalAdvice);
    assert_eq!(told, ["0420 to 0.0 as 2 of 1 leaving 400", "reply 5 on 0: 00"]);
}

#[test]
fn what_was_set_aside_stops_no_payments_but_has_a_bound() {
    let mut world = World::with(1, 100, &[MAPLE], |_| ());
    world.authorizer.reversals_max = 2;
    let mut leg = 1;
    for stan in 1..=4 {
        assert_eq!(world.ask(stan).len(), 1, "{stan}");
        let answer = world.answer(leg, stan);
        world.tell(Event::Answered(answer));
        world.reverse(stan);
        world.acknowledge(leg + 1, stan, b"30");
        assert_eq!((world.depth().waiting, world.depth().parked), (stan as usize, stan as usize));
        leg += 2;
    }
    let told = world.ask(9);
    assert!(matches!(&told[..], [reply] if reply.ends_with(": 91")), "{told:?}");
}

/// A million requests that nobody has to answer for take an acquirer seconds.
#[test]
fn what_reached_no_issuer_pushes_out_nothing_that_did() {
    let mut world = World::with(1, 100, &[MAPLE], |_| ());
    world.authorizer.memory = Memory::new(256, 72 * 3_600_000_000, true);
    let nobodys = |world: &mut World, stan| {
        let unknown = Request { pan: Pan::parse(b"4111111111111111"), ..world.request(stan) };
        assert!(world.tell(Event::Request(unknown))[0].ends_with(": 92"));
    };
    (1_000..1_150).for_each(|stan| nobodys(&mut world, stan));
    world.approved(7, 1);
    (2_000..2_500).for_each(|stan| nobodys(&mut world, stan));
    assert_eq!(world.authorizer.memory.evicted(), 0);
    let told: Vec<String> = (3_000..3_500).map(|of| reverse_nothing(&mut world, of)).collect();
    assert_eq!(told.iter().filter(|reply| reply.ends_with(": 96")).count(), 400, "put off, not forgotten");
    assert_eq!(world.authorizer.memory.evicted(), 100);
    assert!(world.ask(7)[0].ends_with(": 00+38"), "told again");
    // A quarter of an hour later there is room for all of it.
    world.later(900_000_001);
    assert!((4_000..4_150).all(|of| reverse_nothing(&mut world, of).ends_with(": 00")));
}

/// A reversal of what the index does not know either, where it is asked.
fn reverse_nothing(world: &mut World, of: u32) -> String {
    let reversal = world.reversal(Class::ReversalAdvice, of);
    let told = world.tell(Event::Request(reversal.clone()));
    let told = if told[0].starts_with("recall") { world.recalled(reversal, Known::Nothing) } else { told };
    told[0].clone()
}
