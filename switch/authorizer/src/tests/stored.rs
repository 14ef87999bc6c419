//! Advices of acquirers, the switch's own where it stands in for an issuer, and what issuers refuse.

use super::*;
use crate::parked::{Operation, Order};
use crate::provision::{Asker, Told};
use crate::stand_in::StandIn;

impl World {
    fn advise(&mut self, stan: u32) -> Vec<String> {
        let advice = Request { class: Class::AuthorizationAdvice, ..self.request(stan) };
        self.tell(Event::Request(advice))
    }

    /// The issuer's answer to the advice it was told under `leg`.
    fn take_advice(&mut self, leg: u32, of: u32, code: &[u8; 2]) -> Vec<String> {
        let answer = Answer {
            class: Class::AuthorizationAdvice,
            response_code: ResponseCode::of(code),
            approval_code: None,
            ..self.answer(leg, of)
        };
        self.tell(Event::Answered(answer))
    }

    fn order(&mut self, order: Order) -> Vec<String> {
        self.tell(Event::Operation(Operation { asker: Asker(1), order }))
    }

    /// A switch that may stand in for its issuer, whose links are down.
    fn alone() -> World {
        let mut world = World::with(1, 4, &[MAPLE], |tables| {
            tables.issuers[0].stand_in = Some(StandIn {
                iins: alloc::vec![Iin::parse(b"999960").unwrap()],
                currency: Currency::new(840).unwrap(),
                floor_minor: 1_000,
                card_daily_minor: 2_500,
                funding_daily_minor: 2_500,
                daily_minor: 3_000,
            });
        });
        world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::Lost));
        world
    }

    fn ask_for(&mut self, stan: u32, change: impl FnOnce(&mut Request)) -> Vec<String> {
        let mut request = self.request(stan);
        change(&mut request);
        self.tell(Event::Request(request))
    }
}

fn minor(minor: u64) -> Amount {
    Amount::new(minor, Currency::new(840).unwrap())
}

#[test]
fn an_advice_is_acknowledged_once_it_is_kept_and_told_until_its_issuer_has_it() {
    let mut world = World::new();
    assert_eq!(world.advise(7), ["reply 1 on 0: 00", "0120 to 0.0 as 1"]);
    assert!(matches!(world.facts[..], [Fact::Advised(_)]));
    // A repeat is told the same, and no second one goes out.
    assert_eq!(world.advise(7), ["reply 2 on 0: 00"]);
    assert_eq!(world.later(TIMEOUT_US + 1), Vec::<String>::new());
    assert_eq!(world.later(1_000_000), ["0121 to 0.0 as 1"]);
    assert_eq!(world.take_advice(1, 7, b"91"), ["release 3"]);
    assert_eq!(world.later(2_000_000), ["0121 to 0.0 as 1"]);
    assert_eq!(world.take_advice(1, 7, b"00"), ["release 4"]);
    assert_eq!(world.depth().waiting, 0);
    assert!(matches!(world.facts[..], [_, Fact::ReversalDone { .. }]));
    assert_eq!(world.advise(7), ["reply 5 on 0: 00"]);
}

#[test]
fn an_advice_is_not_refused_for_money_nor_for_an_absent_issuer() {
    let mut world = World::new();
    world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::Lost));
    let advice = |world: &mut World, stan, change: fn(&mut Request)| {
        let mut advice = Request { class: Class::FinancialAdvice, ..world.request(stan) };
        change(&mut advice);
        world.tell(Event::Request(advice))
    };
    assert_eq!(advice(&mut world, 1, |_| ()), ["reply 1 on 0: 00"]);
    assert_eq!(advice(&mut world, 2, |advice| advice.expiry = Expiry::parse(b"2001")), ["reply 2 on 0: 00"]);
    assert_eq!(advice(&mut world, 3, |advice| advice.amount = minor(0)), ["reply 3 on 0: 00"]);
    world.tell(Event::Drain);
    assert_eq!(advice(&mut world, 4, |_| ()), ["reply 4 on 0: 00"]);
    let nobody = |advice: &mut Request| advice.pan = Pan::parse(b"9999800000000015");
    assert_eq!(advice(&mut world, 5, nobody), ["reply 5 on 0: 92"]);
    world.tell(Event::StoreLow(true));
    assert_eq!(advice(&mut world, 6, |_| ()), ["reply 6 on 0: 96"]);
    let back = world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::Up));
    assert_eq!(back, ["0220 to 0.0 as 1", "0220 to 0.0 as 2", "0220 to 0.0 as 3", "0220 to 0.0 as 4"]);
}

#[test]
fn the_reversal_of_an_advice_waits_until_its_issuer_has_the_advice() {
    let mut world = World::new();
    world.advise(7);
    assert_eq!(world.reverse(7), ["reply 2 on 0: 00"]);
    assert_eq!(world.advise(7), ["reply 3 on 0: 94"]);
    assert_eq!(world.take_advice(1, 7, b"00"), ["release 4", "0420 to 0.0 as 2 of 1"]);
    assert_eq!(world.acknowledge(2, 7, b"00"), ["release 5"]);
    assert_eq!(world.depth().waiting, 0);
}

#[test]
fn advices_go_on_as_repeats_after_a_restart() {
    let mut world = World::new();
    world.advise(7);
    let mut next = world.restarted();
    assert_eq!(next.up(), ["0121 to 0.0 as 1"]);
    assert_eq!(next.advise(7), ["reply 2 on 0: 00"]);
    assert_eq!(next.ask(8), ["forward 3 to 0.0 as 2"]);
}

#[test]
fn what_an_issuer_refuses_for_good_waits_for_an_operator() {
    let mut world = World::new();
    world.advise(7);
    world.take_advice(1, 7, b"30");
    assert_eq!((world.depth().waiting, world.depth().parked), (1, 1));
    assert_eq!(world.later(600_000_000), Vec::<String>::new());
    world.order(Order::List);
    let [(Asker(1), Ok(Told::Parked(parked)))] = &world.out.told[..] else { panic!("{:?}", world.out.told) };
    assert_eq!(parked[0].message.stan().number(), 1);

    // It is still there after a restart, and goes out again only by order.
    let mut next = world.restarted();
    assert!(next.up().is_empty());
    let (issuer, stan) = (MAPLE, Stan::new(1).unwrap());
    assert_eq!(next.order(Order::Release { issuer, stan }), ["0121 to 0.0 as 1"]);
    assert!(matches!(next.out.told[..], [(_, Ok(Told::Released))]));
    next.order(Order::Release { issuer, stan });
    assert!(matches!(next.out.told[..], [(_, Err(_))]), "released once");
    next.take_advice(1, 7, b"94");
    assert_eq!(next.depth().waiting, 0);
}

#[test]
fn h08_stand_in_is_off_by_default() {
    let mut world = World::new();
    world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::Lost));
    assert_eq!(world.ask(7), ["reply 1 on 0: 91"]);
}

#[test]
fn h08_an_absent_issuer_is_stood_in_for_within_floor_and_caps() {
    let mut world = World::alone();
    assert_eq!(world.ask(1), ["reply 1 on 0: 00+38"]);
    assert!(matches!(&world.facts[..], [Fact::Advised(advice)] if advice.is_stand_in()));
    assert_eq!(world.ask(1), ["reply 2 on 0: 00+38"], "a repeat is told the same");
    assert_eq!(world.ask_for(2, |request| request.amount = minor(1_001)), ["reply 3 on 0: 91"]);
    assert_eq!(world.ask(3), ["reply 4 on 0: 00+38"]);
    assert_eq!(world.ask(4), ["reply 5 on 0: 91"], "the card's day is used up");
    let other = |request: &mut Request| request.pan = Pan::parse(b"9999600000000027");
    assert_eq!(world.ask_for(5, other), ["reply 6 on 0: 00+38"]);
    assert_eq!(world.ask_for(6, other), ["reply 7 on 0: 91"], "everybody's day is used up");
    assert_eq!(world.authorizer.counters().issuers[0].stand_in_refused, 3);

    // The caps are known after a restart, and forgotten with the day.
    let mut next = world.restarted();
    assert_eq!(next.ask(7), ["reply 8 on 0: 91"]);
    next.now.monotonic_us += 86_400_000_000;
    assert_eq!(next.ask(8), ["reply 9 on 0: 00+38"]);
    assert_eq!(next.up().len(), 4);
}

#[test]
fn h08_only_listed_cards_purchases_and_the_agreed_currency() {
    let mut world = World::alone();
    let cases: [fn(&mut Request); 6] = [
        |request| request.pan = Pan::parse(b"9999610000000018"),
        |request| request.processing_code = ProcessingCode::parse(b"010000"),
        |request| request.processing_code = None,
        |request| request.amount = Amount::new(1_000, Currency::new(978).unwrap()),
        |request| request.verification_only = true,
        |request| request.kept = None,
    ];
    for (stan, change) in (1..).zip(cases) {
        assert_eq!(world.ask_for(stan, change), [format!("reply {stan} on 0: 91")]);
    }
}

#[test]
fn h08_one_that_is_signed_off_is_absent_and_one_that_is_silent_is_not() {
    let mut world = World::alone();
    world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::SignedOff));
    assert_eq!(world.ask(1), ["reply 1 on 0: 00+38"]);
    assert_eq!(world.up(), ["0120 to 0.0 as 1"]);
    world.ask(2);
    assert_eq!(world.later(TIMEOUT_US + 1), ["reply 2 on 0: 91", "0420 to 0.0 as 3 of 2"]);
    assert_eq!(world.ask(2), ["reply 3 on 0: 91"]);
}

#[test]
fn h08_a_stood_in_approval_is_reversed_behind_its_advice_and_gives_back_its_part_of_the_cap() {
    let mut world = World::alone();
    for stan in 1..=2 {
        world.ask(stan);
    }
    assert_eq!(world.ask(3), ["reply 3 on 0: 91"]);
    assert_eq!(world.reverse(1), ["reply 4 on 0: 00"]);
    assert_eq!(world.ask(4), ["reply 5 on 0: 00+38"]);
    assert_eq!(world.restarted().ask(5), ["reply 6 on 0: 91"]);
    assert_eq!(world.up(), ["0120 to 0.0 as 1", "0120 to 0.0 as 2", "0120 to 0.0 as 4"]);
    assert_eq!(world.take_advice(1, 1, b"00"), ["release 6", "0420 to 0.0 as 3 of 1"]);
    // One whose advice was acknowledged long ago is undone at once.
    assert_eq!(world.take_advice(2, 2, b"00"), ["release 7"]);
    assert_eq!(world.reverse(2), ["0420 to 0.0 as 5 of 2", "reply 8 on 0: 00"]);
}
