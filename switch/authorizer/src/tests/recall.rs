//! What memory has forgotten is asked of the index, and looked at as if it had never been forgotten.

use alloc::vec::Vec;

use super::*;
use crate::memory::{Entry, Memory, State};
use crate::recall::{self, Known, Recalled};

/// As long as identities are remembered here.
const WINDOW_US: u64 = 900_000_000;
/// An issuer's time and the token's behind the end of the window.
const ENDED_BY_US: u64 = 1 + TIMEOUT_US + 250_000;

impl World {
    /// What the facts so far say of an identity, as an index would.
    pub(super) fn index(&self, identity: Identity) -> Known {
        let of_it = self.facts.iter().filter(|fact| recall::identity_of(fact) == Some(identity));
        let entry: Option<Entry> = of_it.fold(None, |known, fact| recall::after(known, fact, 0));
        entry.map_or(Known::Nothing, |entry| Known::Entry(alloc::boxed::Box::new(entry), ShardId(0)))
    }

    /// The index answers a request.
    pub(super) fn recalled(&mut self, request: Request, known: Known) -> Vec<String> {
        self.tell(Event::Recalled(alloc::boxed::Box::new(Recalled { request, known })))
    }

    /// An approved payment that memory has forgotten.
    fn forgotten(stan: u32) -> Self {
        let mut world = Self::new();
        world.ask(stan);
        let answer = world.answer(1, stan);
        world.tell(Event::Answered(answer));
        world.later(WINDOW_US + 1);
        world
    }
}

#[test]
fn a_reversal_of_what_was_forgotten_reaches_its_issuer_once() {
    let mut world = World::forgotten(7);
    let reversal = world.reversal(Class::ReversalAdvice, 7);
    let asked = format!("recall 7 for 3, by {ENDED_BY_US}");
    assert_eq!(world.tell(Event::Request(reversal.clone())), [asked]);
    let known = world.index(Identity(7));
    let told = world.recalled(reversal, known);
    assert_eq!(told, ["0420 to 0.0 as 2 of 1", "reply 3 on 0: 00"]);
    assert_eq!(world.reverse(7), ["reply 4 on 0: 00"]);
    assert_eq!(world.depth().waiting, 1);
}

#[test]
fn what_never_was_is_buried_when_the_index_says_so() {
    let mut world = World::forgotten(7);
    let reversal = world.reversal(Class::Reversal, 8);
    assert_eq!(world.tell(Event::Request(reversal.clone())), [format!("recall 8 for 3, by {ENDED_BY_US}")]);
    assert_eq!(world.recalled(reversal, Known::Nothing), ["reply 3 on 0: 00"]);
    assert_eq!(world.ask(8), ["reply 4 on 0: 94"]);
}

#[test]
fn what_the_index_cannot_say_comes_again() {
    let mut world = World::forgotten(7);
    let reversal = world.reversal(Class::ReversalAdvice, 7);
    world.tell(Event::Request(reversal.clone()));
    assert_eq!(world.recalled(reversal, Known::Unsaid), ["reply 3 on 0: 96"]);
    let repeat = Request { is_repeat: true, ..world.request(7) };
    world.tell(Event::Request(repeat.clone()));
    assert_eq!(world.recalled(repeat, Known::Unsaid), ["reply 4 on 0: 96"]);
    assert!(world.facts.iter().all(|fact| !matches!(fact, Fact::Tombstone { .. } | Fact::Declined { .. })));
}

#[test]
fn a_repeat_of_what_was_forgotten_is_told_the_same_and_one_of_nothing_is_the_first() {
    let mut world = World::forgotten(7);
    let repeat = Request { is_repeat: true, ..world.request(7) };
    assert_eq!(world.tell(Event::Request(repeat.clone())), [format!("recall 7 for 3, by {ENDED_BY_US}")]);
    let known = world.index(Identity(7));
    assert_eq!(world.recalled(repeat, known), ["reply 3 on 0: 00+38"]);
    let first = Request { is_repeat: true, ..world.request(8) };
    world.tell(Event::Request(first.clone()));
    assert_eq!(world.recalled(first, Known::Nothing), ["forward 4 to 0.0 as 2"]);
}

#[test]
fn where_nothing_was_forgotten_nobody_is_asked() {
    let mut world = World::new();
    let repeat = Request { is_repeat: true, ..world.request(7) };
    assert_eq!(world.tell(Event::Request(repeat)), ["forward 1 to 0.0 as 1"]);
    assert_eq!(world.reverse(8), ["reply 2 on 0: 00"]);
}

#[test]
fn what_came_while_the_index_was_asked_is_what_counts() {
    let mut world = World::forgotten(7);
    let reversal = world.reversal(Class::Reversal, 8);
    world.tell(Event::Request(reversal.clone()));
    assert_eq!(world.ask(8), ["forward 4 to 0.0 as 2"]);
    let told = world.recalled(reversal, Known::Nothing);
    assert_eq!(told, ["release 4", "0420 to 0.0 as 3 of 2", "reply 3 on 0: 00"], "the running one is undone");
}

#[test]
fn a_part_that_is_undone_of_something_forgotten_leaves_the_rest_to_the_index_after_a_restart() {
    let mut world = World::forgotten(7);
    let mut part = world.reversal(Class::ReversalAdvice, 7);
    part.original.as_mut().unwrap().left_minor = Some(400);
    world.tell(Event::Request(part.clone()));
    let known = world.index(Identity(7));
    world.recalled(part, known);
    let fact = world.facts.last().cloned().unwrap();
    assert!(matches!(fact, Fact::Reversed { left_minor: 400, .. }));
    let mut after = World::new();
    after.authorizer.recover(&fact, 5);
    assert_eq!(after.authorizer.remembered(), 0, "no memory that all of it was undone");
    assert!(matches!(world.index(Identity(7)), Known::Entry(entry, _) if entry.left_minor == Some(400)));
}

#[test]
fn what_was_handed_to_another_shard_while_the_index_was_asked_is_undone_there() {
    let mut world = World::with(2, 4, &[MAPLE], |_| ());
    world.ask(7);
    world.later(WINDOW_US + 1);
    let reversal = world.reversal(Class::ReversalAdvice, 8);
    world.tell(Event::Request(reversal.clone()));
    let original = Request { home: ShardId(1), ..world.request(8) };
    assert_eq!(world.tell(Event::Request(original)), ["hand 3 to 1"]);
    assert_eq!(world.recalled(reversal, Known::Nothing), ["hand 2 to 1"]);
}

/// What the index says of its home is newer than what a shard remembers of where a request was handed.
#[test]
fn between_two_shards_a_reversal_comes_to_rest_where_the_index_says() {
    let mut world = World::with(2, 4, &[MAPLE], |_| ());
    world.ask(7);
    let answer = world.answer(1, 7);
    world.tell(Event::Answered(answer));
    world.later(WINDOW_US + 1);
    // A copy with another card is handed away.
    let copy = Request { home: ShardId(1), is_repeat: true, ..world.request(7) };
    assert_eq!(world.tell(Event::Request(copy)), ["hand 3 to 1"]);
    let reversal = world.reversal(Class::ReversalAdvice, 7);
    assert_eq!(world.tell(Event::Request(reversal.clone())), ["hand 4 to 1"]);
    // The other one asked the index, which names this one.
    let asked = format!("recall 7 for 4, by {ENDED_BY_US}");
    assert_eq!(world.tell(Event::Handed(reversal.clone())), [asked]);
    let known = world.index(Identity(7));
    assert_eq!(world.recalled(reversal, known), ["0420 to 0.0 as 3 of 1", "reply 4 on 0: 00"]);
}

#[test]
fn a_process_that_began_with_a_snapshot_asks_and_waits_for_what_it_asked() {
    let mut world = World::new();
    world.authorizer.may_have_forgotten(5);
    let reversal = world.reversal(Class::ReversalAdvice, 8);
    world.tell(Event::Request(reversal.clone()));
    assert_eq!(world.authorizer.in_flight(), 1, "a stop waits for it");
    assert_eq!(world.recalled(reversal, Known::Nothing), ["reply 1 on 0: 00"]);
    assert_eq!(world.authorizer.in_flight(), 0);
}

/// Something of an older original is in another place of the ring: what counts is when the newest came that left.
#[test]
fn what_was_forgotten_is_as_new_as_the_newest_that_left() {
    let mut memory = Memory::new(2, WINDOW_US, true);
    for (identity, since_us) in [(1, 50), (2, 10), (3, 60), (4, 70)] {
        memory.insert(Entry::new(Identity(identity), since_us, State::Undone)).unwrap();
    }
    assert_eq!(memory.forgotten_us(80), 50);
    assert_eq!(memory.forgotten_us(70 + WINDOW_US), 70);
}

/// Two reversals of one payment ask at once, and memory has forgotten it again between their answers.
#[test]
fn an_answer_that_is_older_than_what_was_decided_since_is_asked_for_anew() {
    let mut world = World::forgotten(7);
    let whole = world.reversal(Class::ReversalAdvice, 7);
    let mut part = world.reversal(Class::ReversalAdvice, 7);
    part.original.as_mut().unwrap().left_minor = Some(400);
    world.tell(Event::Request(whole.clone()));
    world.tell(Event::Request(part.clone()));
    let (first, second) = (world.index(Identity(7)), world.index(Identity(7)));
    assert_eq!(world.recalled(whole, first), ["0420 to 0.0 as 2 of 1", "reply 3 on 0: 00"]);
    world.later(WINDOW_US + 1);
    assert!(world.recalled(part.clone(), second)[0].starts_with("recall 7 for 4"));
    let known = world.index(Identity(7));
    assert_eq!(world.recalled(part, known), ["reply 4 on 0: 00"], "it is undone whole");
}

#[test]
fn one_acquirer_leaves_room_among_the_questions() {
    let mut world = World::forgotten(7);
    let told: Vec<String> = (1_000..2_000).flat_map(|of| world.reverse(of)).collect();
    assert_eq!(told.iter().filter(|told| told.starts_with("recall")).count(), 512);
    assert!(told[512..].iter().all(|told| told.ends_with(": 96")));
}
