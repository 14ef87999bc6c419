//! After a restart: the facts of the first world are read by a second one, which must know the same.

use super::*;
use crate::memory::State;

impl World {
    /// A new process that read the facts of this one, before any link is up.
    pub(super) fn restarted(&self) -> World {
        let issuers = self.authorizer.tables.issuers.clone();
        let mut next = World::with(1, 4, &[], |tables| {
            tables.issuers = issuers;
            tables.iins = IinTable::new(alloc::vec![(
                Iin::parse(b"99996").unwrap(),
                Route { issuers: alloc::vec![MAPLE] }
            )]);
        });
        next.now = self.now;
        next.tickets = self.tickets;
        for fact in &self.facts {
            next.authorizer.recover(fact, self.now.monotonic_us);
        }
        next.tell(Event::Recovered);
        next
    }

    pub(super) fn up(&mut self) -> Vec<String> {
        self.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::Up))
    }

    fn state(&self, stan: u32) -> Option<State> {
        let place = self.authorizer.memory.find(Identity(u128::from(stan)), self.now.monotonic_us)?;
        self.authorizer.memory.get(place).map(|entry| entry.state)
    }
}

#[test]
fn c1_c2_what_was_in_flight_is_undone_never_sent_again() {
    let mut world = World::new();
    world.ask(7);
    let mut next = world.restarted();
    assert!(matches!(next.facts[..], [Fact::Timeout { undo: Some(_), .. }]));
    assert_eq!(next.up(), ["0421 to 0.0 as 2 of 1"]);
    assert_eq!(next.ask(7), ["reply 2 on 0: 91"]);
    // Its issuer answers at last: late, and undone by the reversal that waits.
    let answer = next.answer(1, 7);
    next.tell(Event::Answered(answer));
    assert_eq!(next.authorizer.counters().issuers[0].late, 1);
}

#[test]
fn c4_c5_an_approval_is_told_again_and_not_undone() {
    let mut world = World::new();
    world.ask(7);
    let answer = world.answer(1, 7);
    world.tell(Event::Answered(answer));
    let mut next = world.restarted();
    assert!(next.facts.is_empty() && next.up().is_empty());
    assert_eq!(next.ask(7), ["reply 3 on 0: 00+38"]);
    // Trace numbers go on behind the last one.
    assert_eq!(next.ask(8), ["forward 4 to 0.0 as 2"]);
}

#[test]
fn c6_c7_c8_reversals_go_on_as_repeats_until_acknowledged() {
    let mut world = World::new();
    for stan in [7, 8] {
        world.ask(stan);
    }
    world.later(TIMEOUT_US + 1);
    let mut next = world.restarted();
    assert_eq!(next.up(), ["0421 to 0.0 as 3 of 1", "0421 to 0.0 as 4 of 2"]);
    let answer = Answer {
        class: Class::ReversalAdvice,
        keys: MatchKeys { moment: next.now.moment, ..next.answer(3, 7).keys },
        ..next.answer(3, 7)
    };
    next.tell(Event::Answered(answer));
    let mut both = world.facts.clone();
    both.append(&mut next.facts);
    world.facts = both;
    assert_eq!(world.restarted().up(), ["0421 to 0.0 as 4 of 2"]);
}

#[test]
fn c13_recovering_twice_is_recovering_once() {
    let mut world = World::new();
    for stan in 1..=3 {
        world.ask(stan);
    }
    let answer = world.answer(2, 2);
    world.tell(Event::Answered(answer));
    let once = world.restarted();
    // A second crash in recovery, after its facts were written.
    let mut all = World::new();
    all.facts = world.facts.iter().chain(&once.facts).cloned().collect();
    all.now = world.now;
    let twice = all.restarted();
    assert!(twice.facts.is_empty(), "{:?}", twice.facts);
    for stan in 1..=3 {
        assert_eq!(once.state(stan), twice.state(stan));
    }
}

#[test]
fn declines_tombstones_and_parked_reversals_are_remembered() {
    let mut world = World::new();
    let expired = Request { expiry: Expiry::parse(b"2610"), ..world.request(5) };
    world.tell(Event::Request(expired));
    world.facts.push(Fact::Tombstone { identity: Identity(6), acquirer: NORTH });
    world.ask(7);
    world.later(TIMEOUT_US + 1);
    world.facts.push(Fact::ReversalParked { issuer: MAPLE, stan: Stan::new(2).unwrap() });
    let mut next = world.restarted();
    assert!(next.up().is_empty(), "parked stays parked");
    assert_eq!(next.ask(6), ["reply 3 on 0: 94"]);
    let expired = Request { expiry: Expiry::parse(b"2610"), ..next.request(5) };
    assert_eq!(next.tell(Event::Request(expired)), ["reply 4 on 0: 54"]);
    assert_eq!(next.authorizer.saf_depth(MAPLE).parked, 1);
}

#[test]
fn the_track_is_not_compared_after_a_restart() {
    let mut world = World::new();
    world.ask(7);
    let answer = world.answer(1, 7);
    world.tell(Event::Answered(answer));
    let other_track = |world: &mut World| Request {
        fingerprint: Fingerprint { content: 1, track: Some(9) },
        ..world.request(7)
    };
    let repeat = other_track(&mut world);
    assert_eq!(world.tell(Event::Request(repeat)), ["reply 3 on 0: 94"]);
    let mut next = world.restarted();
    let repeat = other_track(&mut next);
    assert_eq!(next.tell(Event::Request(repeat)), ["reply 4 on 0: 00+38"]);
}
