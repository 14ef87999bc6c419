//! The line, decided without an edge: events in, effects out, told as text.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use codecs::value::{
    Amount, ApprovalCode, Currency, Expiry, Iin, Pan, PartyId, ProcessingCode, ResponseCode, Rrn, Stan,
    TerminalId,
};

use crate::Authorizer;
use crate::advice::Kept;
use crate::cards::AccountHash;
use crate::decision::CodeSet;
use crate::effect::{Effect, Effects};
use crate::event::{
    AcquirerId, AcquirerLink, Event, IssuerId, IssuerLink, Leg, LinkChange, Now, ShardId, Ticket, Unsent,
};
use crate::fact::Fact;
use crate::iin_table::{IinTable, Route};
use crate::issuer::shard_of;
use crate::limits::Limits;
use crate::request::{Answer, Class, Fingerprint, Identity, MatchKeys, Presented, Request};
use crate::rights::Rights;
use crate::saf::{Delivery, Retry, Stored};
use crate::tables::{Acquirer, Issuer, Tables};

mod answers;
mod late;
mod proofs;
mod recall;
mod recovery;
mod reversals;
mod stored;

const NORTH: AcquirerId = AcquirerId(0);
const MAPLE: IssuerId = IssuerId(0);
const OAK: IssuerId = IssuerId(1);
const CARD: &str = "9999600000000019";
const TIMEOUT_US: u64 = 1_000_000;

fn said(content: u128) -> Fingerprint {
    Fingerprint { content, track: Some(0) }
}

fn link(slot: u16) -> AcquirerLink {
    AcquirerLink { shard: ShardId(0), slot, generation: 1 }
}

fn to(issuer: IssuerId, link: u16) -> IssuerLink {
    IssuerLink { issuer, link }
}

/// One shard, its clock, and what it last asked for.
struct World {
    authorizer: Authorizer,
    out: Effects,
    now: Now,
    facts: Vec<Fact>,
    tickets: u32,
}

impl World {
    fn new() -> Self {
        Self::with(1, 4, &[MAPLE], |_| ())
    }

    fn with(shards: u16, window: u32, issuers: &[IssuerId], change: impl FnOnce(&mut Tables)) -> Self {
        Self::remembering(1_000, shards, window, issuers, change)
    }

    fn remembering(
        recent_entries: u32,
        shards: u16,
        window: u32,
        issuers: &[IssuerId],
        change: impl FnOnce(&mut Tables),
    ) -> Self {
        let issuer = Issuer { timeout_us: TIMEOUT_US, window, links: 2, stand_in: None };
        let mut tables = Tables {
            acquirers: alloc::vec![Acquirer {
                rights: Rights::default(),
                takes_parts: true,
                codes: CodeSet::Response1987,
                overrides: Vec::new(),
            }],
            issuers: alloc::vec![issuer.clone(), issuer],
            iins: IinTable::new(alloc::vec![(
                Iin::parse(b"99996").unwrap(),
                Route { issuers: issuers.to_vec() }
            )]),
            approval_codes: alloc::vec![ResponseCode::of(b"00"), ResponseCode::of(b"10")],
            programs: Vec::new(),
            proof_timeout_us: 250_000,
            decline_floor_us: 0,
            has_journal: true,
            planted: None,
            retry: Retry::default(),
        };
        change(&mut tables);
        let limits = Limits {
            pending_max: 100,
            recent_entries,
            recent_window_us: 900_000_000,
            cards_max: 100,
            reversals_max: 1_000,
        };
        let mut world = Self {
            authorizer: Authorizer::new(ShardId(0), shards, tables, limits),
            out: Effects::default(),
            now: Now { monotonic_us: 0, moment: 1_123_120_000, year: 2026, month: 11 },
            facts: Vec::new(),
            tickets: 0,
        };
        world.tell(Event::AcquirerLink(link(0), NORTH, LinkChange::Up));
        for issuer in issuers {
            world.tell(Event::IssuerLink(to(*issuer, 0), LinkChange::Up));
        }
        world
    }

    /// Decides an event and tells what follows, one effect a line.
    fn tell(&mut self, event: Event) -> Vec<String> {
        self.out.clear();
        self.authorizer.step(&event, self.now, &mut self.out);
        self.facts.append(&mut self.out.facts);
        self.out.free.iter().chain(&self.out.visible).map(told).collect()
    }

    fn later(&mut self, us: u64) -> Vec<String> {
        self.now.monotonic_us += us;
        self.tell(Event::Tick)
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn ask(&mut self, stan: u32) -> Vec<String> {
        let request = self.request(stan);
        self.tell(Event::Request(request))
    }

    fn request(&mut self, stan: u32) -> Request {
        Request {
            ticket: self.ticket(),
            link: link(0),
            acquirer: NORTH,
            class: Class::Authorization,
            is_repeat: false,
            identity: Identity(u128::from(stan)),
            fingerprint: said(1),
            home: ShardId(0),
            stan: Stan::new(stan).unwrap(),
            original: None,
            local_time: None,
            local_date: None,
            pan: Pan::parse(CARD.as_bytes()),
            amount: Amount::new(1_000, Currency::new(840).unwrap()),
            processing_code: ProcessingCode::parse(b"000000"),
            expiry: Expiry::parse(b"2912"),
            verification_only: false,
            program: None,
            account: AccountHash(0),
            entry_mode: None,
            service_code: None,
            presented: Presented::Nothing,
            forwarder: None,
            keys: keys(stan),
            kept: Some(Kept(alloc::boxed::Box::from(&b"kept"[..]))),
        }
    }

    fn answer(&mut self, leg_stan: u32, request_stan: u32) -> Answer {
        Answer {
            ticket: self.ticket(),
            link: to(MAPLE, 0),
            class: Class::Authorization,
            stan: Stan::new(leg_stan).unwrap(),
            keys: keys(request_stan),
            pan: Pan::parse(CARD.as_bytes()),
            processing_code: ProcessingCode::parse(b"000000"),
            amount_minor: Some(1_000),
            currency: None,
            approval_code: ApprovalCode::parse(b"ABC123"),
            response_code: ResponseCode::of(b"00"),
        }
    }
}

fn keys(stan: u32) -> MatchKeys {
    MatchKeys {
        moment: 1_123_220_304,
        acquirer: PartyId::new(100_001),
        rrn: Rrn::parse(format!("{stan:012}").as_bytes()),
        terminal: TerminalId::parse(b"TERM0001"),
        merchant: None,
    }
}

fn told(effect: &Effect) -> String {
    match effect {
        Effect::Forward { ticket, to, stan, .. } => {
            format!("forward {} to {}.{} as {}", ticket.0, to.issuer.0, to.link, stan.number())
        }
        Effect::Reply(reply) => {
            let code = core::str::from_utf8(reply.outcome.response_code.as_bytes()).unwrap().to_string();
            let approval = if reply.outcome.approval_code.is_some() { "+38" } else { "" };
            let answer = reply.answer.map_or_else(String::new, |answer| format!(" with {}", answer.0));
            format!("reply {} on {}: {code}{approval}{answer}", reply.ticket.0, reply.link.slot)
        }
        Effect::Deliver(delivery) => {
            let Delivery { to, message } = &**delivery;
            let repeat = u8::from(message.is_repeat());
            let Stored::Reversal(reversal) = message else {
                let class = if message.sent().asked.class == Class::FinancialAdvice { 2 } else { 1 };
                let stan = message.stan().number();
                return format!("0{class}2{repeat} to {}.{} as {stan}", to.issuer.0, to.link);
            };
            let mti = format!("042{repeat}");
            let left = if reversal.left_minor > 0 {
                format!(" leaving {}", reversal.left_minor)
            } else {
                String::new()
            };
            let (stan, of) = (reversal.stan.number(), reversal.sent.stan.number());
            format!("{mti} to {}.{} as {stan} of {of}{left}", to.issuer.0, to.link)
        }
        Effect::Release(ticket) => format!("release {}", ticket.0),
        Effect::Ask { ticket, question, .. } => format!("ask {} {question:?}", ticket.0),
        Effect::Challenge { .. } => "challenge".to_string(),
        Effect::Recall { ticket, identity, ended_by_us } => {
            format!("recall {} for {}, by {ended_by_us}", identity.0, ticket.0)
        }
        Effect::RecallLeg(leg) => format!("recall leg {} of {}", leg.stan.number(), leg.issuer.0),
        Effect::LeftStanding(answer) => format!("{} is left standing", answer.stan.number()),
        Effect::Hand { ticket, to } => format!("hand {} to {}", ticket.0, to.0),
    }
}

#[test]
fn a_request_goes_to_its_issuer_and_the_answer_comes_back() {
    let mut world = World::new();
    assert_eq!(world.ask(7), ["forward 1 to 0.0 as 1"]);
    let answer = world.answer(1, 7);
    assert_eq!(world.tell(Event::Answered(answer)), ["reply 1 on 0: 00+38 with 2"]);
    assert!(matches!(world.facts[..], [Fact::Intent(_), Fact::Result { .. }]));
    assert_eq!(world.authorizer.in_flight(), 0);
}

#[test]
fn q01_a_repeat_joins_the_request_in_flight_on_the_newest_link() {
    let mut world = World::new();
    world.tell(Event::AcquirerLink(link(1), NORTH, LinkChange::Up));
    world.ask(7);
    let repeat = Request { link: link(1), ..world.request(7) };
    assert_eq!(world.tell(Event::Request(repeat)), ["release 1"]);
    let answer = world.answer(1, 7);
    assert_eq!(world.tell(Event::Answered(answer)), ["reply 2 on 1: 00+38 with 3"]);
}

#[test]
fn q02_a_repeat_after_the_end_gets_the_stored_answer() {
    let mut world = World::new();
    world.ask(7);
    let answer = world.answer(1, 7);
    world.tell(Event::Answered(answer));
    for ticket in 3..6 {
        assert_eq!(world.ask(7), [format!("reply {ticket} on 0: 00+38")]);
    }
    assert_eq!(world.facts.len(), 2);
}

#[test]
fn q03_a_repeat_after_a_time_out_is_no_new_attempt() {
    let mut world = World::new();
    world.ask(7);
    assert_eq!(world.later(TIMEOUT_US), Vec::<String>::new());
    assert_eq!(world.later(1), ["reply 1 on 0: 91", "0420 to 0.0 as 2 of 1"]);
    assert_eq!(world.ask(7), ["reply 2 on 0: 91"]);
    assert!(matches!(world.facts[..], [Fact::Intent(_), Fact::Timeout { .. }]));
}

#[test]
fn q05_one_identity_with_other_content_is_refused_and_the_original_untouched() {
    let mut world = World::new();
    world.ask(7);
    let other = Request { fingerprint: said(2), ..world.request(7) };
    assert_eq!(world.tell(Event::Request(other)), ["reply 2 on 0: 94"]);
    let answer = world.answer(1, 7);
    assert_eq!(world.tell(Event::Answered(answer)), ["reply 1 on 0: 00+38 with 3"]);
}

#[test]
fn q09_an_issuer_that_is_down_is_said_at_once() {
    let mut world = World::new();
    world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::SignedOff));
    assert_eq!(world.ask(7), ["reply 1 on 0: 91"]);
    assert!(matches!(world.facts[..], [Fact::Declined { .. }]));
}

#[test]
fn q11_a_lost_link_answers_everything_on_it_and_sends_nothing_again() {
    let mut world = World::with(1, 4, &[MAPLE, OAK], |_| ());
    world.ask(1);
    world.ask(2);
    let lost = world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::Lost));
    assert_eq!(lost, ["reply 1 on 0: 91", "reply 2 on 0: 91"]);
    assert_eq!(world.ask(3), ["forward 3 to 1.0 as 1"]);
}

#[test]
fn q10_a_leg_that_was_never_begun_goes_to_the_alternate() {
    let mut world = World::with(1, 4, &[MAPLE, OAK], |_| ());
    world.ask(1);
    world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::SignedOff));
    let leg = Leg { to: to(MAPLE, 0), stan: Stan::new(1).unwrap() };
    assert_eq!(world.tell(Event::Unsent(leg, Unsent::LinkLost)), ["forward 1 to 1.0 as 1"]);
    assert_eq!(world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::Lost)), Vec::<String>::new());
    assert_eq!(world.later(TIMEOUT_US + 1), ["reply 1 on 0: 91", "0420 to 1.0 as 2 of 1"]);
}

#[test]
fn s37_a_leg_for_which_no_code_was_made_is_96_and_goes_nowhere_else() {
    let mut world = World::with(1, 4, &[MAPLE, OAK], |_| ());
    world.ask(1);
    let leg = Leg { to: to(MAPLE, 0), stan: Stan::new(1).unwrap() };
    assert_eq!(world.tell(Event::Unsent(leg, Unsent::NoMac)), ["reply 1 on 0: 96"]);
    assert_eq!(world.later(TIMEOUT_US + 1), Vec::<String>::new());
}

#[test]
fn q12_a_late_approval_reaches_no_acquirer() {
    let mut world = World::new();
    world.ask(7);
    world.later(TIMEOUT_US + 1);
    let answer = world.answer(1, 7);
    assert_eq!(world.tell(Event::Answered(answer)), ["release 2"]);
    assert!(matches!(world.facts.last(), Some(Fact::Late { approved: true, .. })));
    assert_eq!(world.authorizer.counters().issuers[0].late, 1);
}

#[test]
fn q15_the_deadline_decides_when_answer_and_timer_come_together() {
    let mut world = World::new();
    world.ask(7);
    world.now.monotonic_us += TIMEOUT_US + 1;
    let answer = world.answer(1, 7);
    assert_eq!(
        world.tell(Event::Answered(answer)),
        ["release 2", "reply 1 on 0: 91", "0420 to 0.0 as 2 of 1"]
    );
}

#[test]
fn l1_an_approval_nobody_can_hear_is_not_kept() {
    let mut world = World::new();
    world.ask(7);
    world.tell(Event::AcquirerLink(link(0), NORTH, LinkChange::Lost));
    let answer = world.answer(1, 7);
    assert_eq!(world.tell(Event::Answered(answer)), ["release 1", "release 2", "0420 to 0.0 as 2 of 1"]);
    assert!(matches!(world.facts.last(), Some(Fact::Timeout { .. })));
    world.tell(Event::AcquirerLink(link(1), NORTH, LinkChange::Up));
    let repeat = Request { link: link(1), ..world.request(7) };
    assert_eq!(world.tell(Event::Request(repeat)), ["reply 3 on 1: 91"]);
}

#[test]
fn another_link_of_the_same_acquirer_hears_the_answer() {
    let mut world = World::new();
    world.tell(Event::AcquirerLink(link(1), NORTH, LinkChange::Up));
    world.ask(7);
    world.tell(Event::AcquirerLink(link(0), NORTH, LinkChange::Lost));
    let answer = world.answer(1, 7);
    assert_eq!(world.tell(Event::Answered(answer)), ["reply 1 on 1: 00+38 with 2"]);
}

#[test]
fn links_share_the_load_and_a_full_window_is_said() {
    let mut world = World::with(1, 2, &[MAPLE], |_| ());
    world.tell(Event::IssuerLink(to(MAPLE, 1), LinkChange::Up));
    let links: Vec<String> = (1..=5).map(|stan| world.ask(stan).remove(0)).collect();
    assert_eq!(
        links,
        [
            "forward 1 to 0.0 as 1",
            "forward 2 to 0.1 as 2",
            "forward 3 to 0.0 as 3",
            "forward 4 to 0.1 as 4",
            "reply 5 on 0: 91"
        ]
    );
}

/// Half of what its issuer takes, where it is alone; whatever ends a request gives its place back.
#[test]
fn an_acquirer_leaves_room_for_the_others_and_gets_back_what_ended() {
    let mut world = World::with(1, 4, &[MAPLE], |tables| tables.acquirers.push(tables.acquirers[0].clone()));
    let ends: [fn(&mut World, Leg); 5] = [
        |_, _| (),
        |world, leg| drop(world.tell(Event::Unsent(leg, Unsent::NoMac))),
        |world, leg| drop(world.tell(Event::Unsent(leg, Unsent::LinkLost))),
        |world, _| drop(world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::Lost))),
        |_, _| (),
    ];
    for (end, first) in ends.into_iter().zip((1..).step_by(3)) {
        let told: Vec<String> = (first..first + 3).map(|stan| world.ask(stan).remove(0)).collect();
        assert!(told[..2].iter().all(|told| told.starts_with("forward")), "{told:?}");
        assert!(told[2].ends_with("91"), "{told:?}");
        for told in &told[..2] {
            let stan = told.rsplit(' ').next().unwrap().parse().unwrap();
            end(&mut world, Leg { to: to(MAPLE, 0), stan: Stan::new(stan).unwrap() });
        }
        world.later(TIMEOUT_US + 1);
        world.up();
        assert_eq!(world.authorizer.in_flight(), 0);
    }
}

#[test]
fn local_declines_have_their_codes_and_are_remembered() {
    type Case = (fn(&mut Request), &'static str);
    let cases: [Case; 4] = [
        (|request| request.pan = Pan::parse(b"9999600000000018"), "14"),
        (|request| request.pan = Pan::parse(b"9999800000000015"), "92"),
        (|request| request.expiry = Expiry::parse(b"2610"), "54"),
        (|request| request.amount = Amount::new(0, Currency::new(840).unwrap()), "13"),
    ];
    for (change, code) in cases {
        let mut world = World::new();
        let mut request = world.request(7);
        change(&mut request);
        assert_eq!(world.tell(Event::Request(request.clone())), [format!("reply 1 on 0: {code}")]);
        request.ticket = world.ticket();
        assert_eq!(world.tell(Event::Request(request)), [format!("reply 2 on 0: {code}")]);
    }
}

#[test]
fn a_card_is_good_until_the_end_of_its_month() {
    let mut world = World::new();
    let request = Request { expiry: Expiry::parse(b"2611"), ..world.request(7) };
    assert_eq!(world.tell(Event::Request(request)), ["forward 1 to 0.0 as 1"]);
}

#[test]
fn s31_w09_who_may_not_ask_is_told_so_behind_its_fact_and_told_again() {
    let rights = Rights { acquirer_ids: alloc::vec![PartyId::new(200_002).unwrap()], ..Rights::default() };
    let mut world = World::with(1, 4, &[MAPLE], |tables| tables.acquirers[0].rights = rights);
    assert_eq!(world.ask(7), ["reply 1 on 0: 58"]);
    assert!(matches!(world.facts[..], [Fact::Declined { .. }]));
    assert_eq!(world.ask(7), ["reply 2 on 0: 58"]);
    let advice = Request { class: Class::AuthorizationAdvice, ..world.request(8) };
    assert_eq!(world.tell(Event::Request(advice)), ["reply 3 on 0: 58"]);
    world.tell(Event::StoreLow(true));
    assert_eq!(world.ask(9), ["reply 4 on 0: 58"]);
    assert_eq!(world.facts.len(), 1, "what may come again leaves no fact");
}

#[test]
fn an_acquirer_may_have_codes_of_its_own() {
    let own = (crate::decision::DeclineReason::IssuerTimedOut, ResponseCode::of(b"68"));
    let mut world = World::with(1, 4, &[MAPLE], |tables| tables.acquirers[0].overrides.push(own));
    world.ask(7);
    assert_eq!(world.later(TIMEOUT_US + 1), ["reply 1 on 0: 68", "0420 to 0.0 as 2 of 1"]);
}

#[test]
fn without_a_journal_an_advice_that_did_not_arrive_may_come_again() {
    let mut world = World::with(1, 4, &[MAPLE], |tables| tables.has_journal = false);
    let advice = Request { class: Class::AuthorizationAdvice, ..world.request(7) };
    world.tell(Event::Request(advice));
    assert_eq!(world.later(TIMEOUT_US + 1), ["reply 1 on 0: 91"]);
    let again = Request { class: Class::AuthorizationAdvice, ..world.request(7) };
    assert_eq!(world.tell(Event::Request(again)), ["forward 2 to 0.0 as 2"]);
    let answer = Answer { class: Class::AuthorizationAdvice, ..world.answer(2, 7) };
    assert_eq!(world.tell(Event::Answered(answer)), ["reply 2 on 0: 00+38 with 3"]);
}

#[test]
fn draining_takes_nothing_new_and_finishes_what_runs() {
    let mut world = World::new();
    world.ask(7);
    world.tell(Event::Drain);
    assert_eq!(world.ask(8), ["reply 2 on 0: 91"]);
    let answer = world.answer(1, 7);
    assert_eq!(world.tell(Event::Answered(answer)), ["reply 1 on 0: 00+38 with 3"]);
    assert_eq!(world.ask(7), ["reply 4 on 0: 00+38"], "a repeat is still told");
}

#[test]
fn stopping_answers_what_still_runs() {
    let mut world = World::new();
    world.ask(7);
    world.ask(8);
    let told = world.tell(Event::Stop);
    assert_eq!(
        told,
        ["reply 1 on 0: 91", "0420 to 0.0 as 3 of 1", "reply 2 on 0: 91", "0420 to 0.0 as 4 of 2"]
    );
}

#[test]
fn a_request_goes_to_the_home_of_its_account_and_so_do_its_repeats() {
    let mut world = World::with(2, 4, &[MAPLE], |_| ());
    let request = Request { home: ShardId(1), ..world.request(7) };
    assert_eq!(world.tell(Event::Request(request)), ["hand 1 to 1"]);
    // A repeat that names another card still meets its original.
    let repeat = Request { home: ShardId(0), fingerprint: said(2), ..world.request(7) };
    assert_eq!(world.tell(Event::Request(repeat)), ["hand 2 to 1"]);
    let handed = Request { ticket: world.ticket(), ..world.request(8) };
    assert_eq!(
        world.tell(Event::Handed(handed.clone()))[0],
        format!("forward {} to 0.0 as 1", handed.ticket.0)
    );
}

#[test]
fn trace_numbers_are_dealt_out_over_the_shards() {
    let mut world = World::with(3, 30, &[MAPLE], |_| ());
    for (stan, expected) in [(1, 1), (2, 4), (3, 7)] {
        assert_eq!(world.ask(stan), [format!("forward {stan} to 0.0 as {expected}")]);
    }
    for stan in 1..20 {
        assert_eq!(u32::from(shard_of(Stan::new(stan).unwrap(), 3).0), (stan - 1) % 3);
    }
}

#[test]
fn more_than_may_run_is_refused_and_not_remembered() {
    let mut world = World::with(1, 1_000, &[MAPLE], |_| ());
    for stan in 1..=100 {
        world.ask(stan);
    }
    assert_eq!(world.ask(101), ["reply 101 on 0: 91"]);
    let answer = world.answer(1, 1);
    world.tell(Event::Answered(answer));
    assert_eq!(world.ask(101), ["forward 103 to 0.0 as 101"]);
}

#[test]
fn many_transactions_leave_nothing_behind() {
    let mut world = World::with(1, 10, &[MAPLE], |_| ());
    for stan in 1..=200_000_u32 {
        let mut request = world.request(stan % 900_000);
        request.identity = Identity(u128::from(stan));
        let effects = world.tell(Event::Request(request));
        let leg = effects[0].rsplit(' ').next().unwrap().parse().unwrap();
        let answer = world.answer(leg, stan % 900_000);
        assert!(world.tell(Event::Answered(answer))[0].contains(": 00+38"), "transaction {stan}");
        world.facts.clear();
        world.now.monotonic_us += 100;
    }
    assert_eq!(world.authorizer.in_flight(), 0);
    assert_eq!(world.authorizer.remembered(), 1_000);
}
