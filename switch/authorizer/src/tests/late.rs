//! A late approval of what memory has forgotten is undone once more, as one of what it remembers.

use alloc::boxed::Box;

use super::*;
use crate::late::ForgottenLeg;
use crate::memory::{Entry, State};
use crate::recall::{self, Known};
use crate::saf::{Reversal, Why};

/// The issuer's reversals are acknowledged, and so many payments more were approved: the first was timed out.
const MORE: u32 = 5;

impl World {
    /// A shard that remembers so many requests, and one that timed out among them, which more have come behind.
    fn timed_out(entries: u32) -> Self {
        let mut world = Self::remembering(entries, 1, 4, &[MAPLE], |_| ());
        world.ask(7);
        world.later(TIMEOUT_US + 1);
        world.acknowledge(2, 7, b"25");
        world.more(3);
        world
    }

    /// A shard that has forgotten what timed out.
    fn forgetful() -> Self {
        Self::timed_out(MORE - 1)
    }

    /// Payments that are approved, the first by this leg.
    fn more(&mut self, from: u32) {
        for leg in from..from + MORE {
            self.ask(100 + leg);
            let answer = self.answer(leg, 100 + leg);
            self.tell(Event::Answered(answer));
        }
    }

    fn approved_late(&mut self) -> Vec<String> {
        let answer = self.answer(1, 7);
        self.tell(Event::Answered(answer))
    }

    /// What the facts so far say of a leg, as an index would.
    fn index_of_leg(&self, leg: ForgottenLeg) -> Known {
        let of_leg = |fact: &Fact| matches!(fact, Fact::Intent(sent) if leg.is_of(sent));
        let identity = self.facts.iter().rev().find(|fact| of_leg(fact)).and_then(recall::identity_of);
        identity.map_or(Known::Nothing, |identity| self.index(identity))
    }

    fn leg(stan: u32) -> ForgottenLeg {
        ForgottenLeg { issuer: MAPLE, stan: Stan::new(stan).unwrap(), begins: 0 }
    }

    fn leg_recalled(&mut self, stan: u32, known: Known) -> Vec<String> {
        self.tell(Event::RecalledLeg(Self::leg(stan), known))
    }

    fn leg_found(&mut self, stan: u32) -> Vec<String> {
        let known = self.index_of_leg(Self::leg(stan));
        self.leg_recalled(stan, known)
    }

    /// Late answers, those left standing among them, and answers to nothing.
    fn counted(&self) -> (u64, u64, u64) {
        let counters = &self.authorizer.counters().issuers[0];
        (counters.late, counters.left_standing, counters.unmatched)
    }

    fn undo(&self) -> Option<&Reversal> {
        match self.facts.last() {
            Some(Fact::Late { approved: true, undo, .. }) => undo.as_deref(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn q13_what_was_forgotten_is_undone_once_more_as_if_it_had_not_been() {
    let (mut forgetful, mut other) = (World::forgetful(), World::timed_out(1_000));
    assert_eq!(forgetful.approved_late()[1..], ["recall leg 1 of 0"]);
    assert!(!matches!(forgetful.facts.last(), Some(Fact::Late { .. })), "nothing is decided yet");
    let told = forgetful.leg_found(1);
    assert_eq!(told, ["0421 to 0.0 as 8 of 1"]);
    assert_eq!(other.approved_late()[1..], told);
    let before = forgetful.facts.len() - 1;
    assert_eq!(forgetful.facts[..before], other.facts[..before]);
    // The track is never written down.
    let mut remembered = other.undo().unwrap().clone();
    remembered.sent.asked.fingerprint.track = None;
    assert_eq!(forgetful.undo(), Some(&remembered));
    assert_eq!((forgetful.counted(), other.counted()), ((1, 0, 0), (1, 0, 0)));
    let undo = forgetful.undo().unwrap();
    assert_eq!((undo.why, undo.left_minor, undo.is_repeat), (Why::TimedOut, 0, true));
    assert_eq!(undo.approval_code, ApprovalCode::parse(b"ABC123"));
    assert_eq!(forgetful.reverse(7), other.reverse(7), "it is remembered again");
}

#[test]
fn q13_however_often_it_is_approved_it_is_undone_once() {
    let mut world = World::forgetful();
    world.approved_late();
    assert_eq!(world.approved_late(), ["release 14"], "it is asked for already");
    assert_eq!(world.leg_found(1).len(), 1);
    assert_eq!(world.approved_late(), ["release 15"]);
    assert_eq!(world.leg_found(1), Vec::<String>::new(), "nobody has asked");
    assert_eq!(world.counted(), (1, 0, 2));
    assert_eq!(world.depth().waiting, 1);
}

#[test]
fn an_approval_that_is_unheard_of_or_behind_a_decline_is_one() {
    let mut world = World::forgetful();
    let answer = Answer { response_code: ResponseCode::of(b"08"), ..world.answer(1, 7) };
    assert_eq!(world.tell(Event::Answered(answer))[1..], ["recall leg 1 of 0"]);
    assert_eq!(world.leg_found(1), ["0421 to 0.0 as 8 of 1"]);

    let mut world = World::remembering(MORE - 1, 1, 4, &[MAPLE], |_| ());
    world.ask(7);
    let declined = Answer { response_code: ResponseCode::of(b"51"), ..world.answer(1, 7) };
    world.tell(Event::Answered(declined));
    world.more(2);
    assert_eq!(world.approved_late()[1..], ["recall leg 1 of 0"]);
    assert_eq!(world.leg_found(1), ["0420 to 0.0 as 7 of 1"]);
    assert_eq!(world.undo().unwrap().why, Why::InvalidAnswer);
    assert_eq!(world.reverse(7)[0].split(": ").last(), Some("00"));
    assert_eq!(world.depth().waiting, 1);
}

#[test]
fn a_late_decline_asks_for_nothing_and_an_approval_behind_it_does() {
    let mut world = World::forgetful();
    let declined = Answer { response_code: ResponseCode::of(b"51"), ..world.answer(1, 7) };
    assert_eq!(world.tell(Event::Answered(declined)), ["release 13"]);
    assert_eq!(world.approved_late()[1..], ["recall leg 1 of 0"]);
    assert_eq!(world.leg_found(1), ["0421 to 0.0 as 8 of 1"]);
}

/// Unknown means no, and nothing is dropped in silence.
#[test]
fn what_the_index_cannot_say_is_told_an_operator_and_asked_for_once_more_when_it_comes_again() {
    for (first, is_found) in [(Known::Unsaid, true), (Known::Nothing, false)] {
        let mut world = World::forgetful();
        world.approved_late();
        assert_eq!(world.leg_recalled(1, first), ["1 is left standing"]);
        assert!(world.undo().is_none());
        assert_eq!(world.counted(), (1, 1, 0));
        world.approved_late();
        if is_found {
            assert_eq!(world.leg_found(1), ["0421 to 0.0 as 8 of 1"]);
            assert_eq!(world.counted(), (2, 1, 0));
        } else {
            assert_eq!(world.leg_recalled(1, Known::Unsaid), ["1 is left standing"]);
            // An issuer that says it for ever writes nothing down for ever.
            let facts = world.facts.len();
            assert_eq!(world.approved_late().len(), 1);
            assert_eq!((world.counted(), world.facts.len()), ((2, 2, 1), facts));
        }
    }
}

#[test]
fn what_the_index_says_of_another_leg_is_not_believed() {
    let mut world = World::forgetful();
    world.approved_late();
    let other = world.index(Identity(103));
    assert_eq!(world.leg_recalled(1, other), ["1 is left standing"]);
    // In doubt it is of another process, or not level.
    world.approved_late();
    let Known::Entry(entry, home) = world.index(Identity(7)) else { panic!("a row") };
    let doubtful = Box::new(Entry { state: State::InDoubt, ..*entry });
    assert_eq!(world.leg_recalled(1, Known::Entry(doubtful, home)), ["1 is left standing"]);
}

#[test]
fn an_answer_with_other_keys_undoes_nothing_and_does_not_stand_in_the_way() {
    let mut world = World::forgetful();
    let foreign = Answer { keys: keys(8), ..world.answer(1, 7) };
    assert_eq!(world.tell(Event::Answered(foreign))[1..], ["recall leg 1 of 0"]);
    assert_eq!(world.approved_late(), ["release 14"], "the same question");
    assert_eq!(world.leg_found(1), ["0421 to 0.0 as 8 of 1"]);
    assert_eq!(world.counted(), (1, 0, 1));

    let mut world = World::forgetful();
    let foreign = Answer { keys: keys(8), ..world.answer(1, 7) };
    world.tell(Event::Answered(foreign));
    assert_eq!(world.leg_found(1), Vec::<String>::new());
    assert_eq!(world.approved_late()[1..], ["0421 to 0.0 as 8 of 1"], "it is remembered again");
}

#[test]
fn what_a_reversal_has_recalled_meanwhile_is_what_counts() {
    let mut world = World::forgetful();
    world.approved_late();
    let reversal = world.reversal(Class::ReversalAdvice, 7);
    world.tell(Event::Request(reversal.clone()));
    let known = world.index(Identity(7));
    let old = world.index(Identity(7));
    world.recalled(reversal, known);
    let remembered = world.authorizer.remembered();
    assert_eq!(world.leg_recalled(1, old), ["0421 to 0.0 as 8 of 1"]);
    assert_eq!(world.authorizer.remembered(), remembered, "once");
}

#[test]
fn an_answer_that_is_older_than_what_was_decided_since_is_asked_for_anew_too() {
    let mut world = World::forgetful();
    world.approved_late();
    let reversal = world.reversal(Class::ReversalAdvice, 7);
    world.tell(Event::Request(reversal.clone()));
    let (known, old) = (world.index(Identity(7)), world.index(Identity(7)));
    world.recalled(reversal, known);
    world.more(8);
    assert_eq!(world.leg_recalled(1, old), ["recall leg 1 of 0"]);
    assert_eq!(world.leg_found(1), ["0421 to 0.0 as 13 of 1"]);
}

#[test]
fn its_number_may_be_given_to_another_while_the_index_is_asked() {
    let mut world = World::forgetful();
    world.approved_late();
    for leg in 8..8 + crate::limits::LEGS_MIN {
        world.ask(100 + leg);
        let answer = world.answer(leg, 100 + leg);
        world.tell(Event::Answered(answer));
    }
    assert_eq!(world.leg_found(1).len(), 1);
    assert_eq!(world.undo().unwrap().sent.stan, Stan::new(1).unwrap());
    assert_eq!(world.counted(), (1, 0, 0));
    world.approved_late();
    assert_eq!(world.counted(), (1, 0, 1), "of that leg nobody knows any more");
}

#[test]
fn an_issuer_leaves_room_for_the_others_and_acquirers_do_not_notice() {
    let mut world = World::remembering(MORE - 1, 1, 4, &[MAPLE], |tables| {
        tables.issuers[0].timeout_us = 1;
    });
    let asked = 600;
    let mut legs = Vec::new();
    for stan in 1..=asked {
        let told = world.ask(stan);
        legs.push(told[0].rsplit(' ').next().unwrap().parse().unwrap());
        world.later(2);
    }
    world.more(2 * asked + 1);
    let mut told = Vec::new();
    for (leg, stan) in legs.into_iter().zip(1..) {
        let answer = world.answer(leg, stan);
        told.push(world.tell(Event::Answered(answer)).remove(1));
    }
    assert_eq!(told.iter().filter(|told| told.starts_with("recall leg")).count(), 512);
    assert!(told[512..].iter().all(|told| told.ends_with("is left standing")));
    assert_eq!((world.authorizer.late_waiting(), world.authorizer.in_flight()), (512, 0));
    assert!(world.reverse(5)[0].starts_with("recall 5"));
    let standing = asked as u64 - 512;
    assert_eq!(world.counted(), (standing, standing, 0));
    // Whoever stops does not wait for them in vain.
    assert_eq!(world.tell(Event::Stop).len(), 512);
    assert_eq!(world.authorizer.late_waiting(), 0);
    let answer = world.answer(1, 1);
    assert_eq!(world.tell(Event::Answered(answer))[1..], ["1 is left standing"]);
}

#[test]
fn without_a_journal_there_is_nobody_to_ask() {
    let mut world = World::remembering(MORE - 1, 1, 4, &[MAPLE], |tables| tables.has_journal = false);
    world.ask(7);
    world.later(TIMEOUT_US + 1);
    world.more(2);
    assert_eq!(world.approved_late().len(), 1);
    assert_eq!(world.counted(), (1, 0, 0));
}

/// All that is left of a leg is in its place in the ring, also after a restart.
#[test]
fn what_an_earlier_process_has_forgotten_is_asked_for_too() {
    let before = World::forgetful();
    let mut world = World::remembering(MORE - 1, 1, 4, &[MAPLE], |_| ());
    for fact in &before.facts {
        world.authorizer.recover(fact, 5);
    }
    world.tell(Event::Recovered);
    world.facts = before.facts;
    assert_eq!(world.approved_late()[1..], ["recall leg 1 of 0"]);
    assert_eq!(world.leg_found(1), ["0421 to 0.0 as 8 of 1"]);
    let before = world;
    let mut world = World::remembering(MORE - 1, 1, 4, &[MAPLE], |_| ());
    for fact in &before.facts {
        world.authorizer.recover(fact, 5);
    }
    world.tell(Event::Recovered);
    assert_eq!(world.depth().waiting, 1);
    assert_eq!(world.approved_late().len(), 1, "it was undone once more already");
}

#[test]
fn identities_that_begin_alike_are_those_between_two() {
    let leg = |begins| ForgottenLeg { begins, ..World::leg(1) };
    let (first, last) = leg(0x1234_5678).identities();
    assert_eq!((first.0 >> 96, last.0 >> 96), (0x1234_5678, 0x1234_5678));
    assert_eq!((first.0 << 32, last.0 << 32), (0, u128::MAX << 32));
    assert_eq!(leg(u32::MAX).identities().1, Identity(u128::MAX));
}
