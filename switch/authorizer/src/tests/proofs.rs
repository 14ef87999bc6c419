//! Cards of programs: what is asked of the token, and what its answers lead to.

use super::*;
use crate::cards::{AccountHash, Funding, Personalised};
use crate::programs::{CardProgram, ProgramId, Tries, challenge, rotating_atc};
use crate::provision::{Asker, Change, Provision};
use crate::request::{CONTACTLESS_STRIPE, Presented};
use crate::verify::{Judgement, ProofId};

mod contactless;

const PROXY: &str = "9999100000000010";
const DAY_US: u64 = 86_400_000_000;
const ACCOUNT: AccountHash = AccountHash(77);
const TRIES: Tries = Tries { per_secret: 3, per_card: 10, window_us: DAY_US };

fn proxy() -> Pan {
    Pan::parse(PROXY.as_bytes()).unwrap()
}

fn funding() -> Funding {
    Funding { pan: Pan::parse(CARD.as_bytes()).unwrap(), expiry: Expiry::parse(b"3001").unwrap() }
}

fn dollars(minor: u64) -> Amount {
    Amount::new(minor, Currency::new(840).unwrap())
}

/// A world with one proxy card of a program, paid for by [`CARD`].
fn world(program: CardProgram) -> World {
    let mut world = World::with(1, 100, &[MAPLE], |tables| tables.programs.push(program));
    world.change(Change::Enrol {
        psn: 1,
        funding: Some(funding()),
        personalised: Personalised::NONE,
        atc: 0,
    });
    world
}

fn rotating() -> World {
    let mut world = world(CardProgram::RotatingAtc(rotating_atc::Settings {
        tries: TRIES,
        profile: rotating_atc::Profile::Aes,
    }));
    world.change(Change::IssueBundle { id: 1, first: 40, count: 10, ttl_us: DAY_US });
    world.change(Change::ConfirmBundle(1));
    world
}

fn asking(required: challenge::Required) -> World {
    let mut world = world(CardProgram::Challenge(challenge::Settings { tries: TRIES, required }));
    world.change(Change::Challenge { digits: *b"08154711", ttl_us: 120_000_000, tag: None });
    world
}

impl World {
    fn change(&mut self, change: Change) -> bool {
        let provision = Provision { asker: Some(Asker(1)), account: ACCOUNT, pan: proxy(), change };
        self.tell(Event::Provision(provision));
        matches!(self.out.told[..], [(Asker(1), Ok(_))])
    }

    /// A request of the proxy card with this in its track.
    fn present(&mut self, stan: u32, presented: Presented) -> Vec<String> {
        let request = self.proxy_request(stan, presented);
        self.tell(Event::Request(request))
    }

    fn proxy_request(&mut self, stan: u32, presented: Presented) -> Request {
        Request {
            pan: Some(proxy()),
            program: Some(ProgramId(0)),
            account: ACCOUNT,
            entry_mode: Some(CONTACTLESS_STRIPE),
            presented,
            ..self.request(stan)
        }
    }

    /// The one that was asked last.
    fn asked(&self) -> ProofId {
        let asked = self.out.free.iter().find_map(|effect| match effect {
            Effect::Ask { proof, .. } => Some(*proof),
            _ => None,
        });
        asked.expect("a question")
    }

    /// Presents a label and has the token say this.
    fn judge(&mut self, stan: u32, label: u16, judgement: Judgement) -> Vec<String> {
        self.present(stan, Presented::Label(label));
        let proof = self.asked();
        self.tell(Event::Judged(proof, judgement))
    }

    fn reason(&self) -> &'static str {
        self.out
            .free
            .iter()
            .chain(&self.out.visible)
            .find_map(|effect| match effect {
                Effect::Reply(reply) => reply.outcome.decline_reason(),
                _ => None,
            })
            .map_or("none", crate::decision::DeclineReason::name)
    }
}

#[test]
fn a_right_code_is_claimed_and_its_funding_card_charged() {
    let mut world = rotating();
    assert_eq!(world.present(7, Presented::Label(42)), ["ask 1 RotatingCode(1, 42)"]);
    assert_eq!(world.authorizer.in_flight(), 1);
    let proof = world.asked();
    assert_eq!(world.tell(Event::Judged(proof, Judgement::Right)), ["forward 1 to 0.0 as 1"]);
    assert!(matches!(world.facts[..], [.., Fact::Judged { is_right: true, .. }, Fact::Intent(_)]));
    let charged = world.out.visible.iter().find_map(|effect| match effect {
        Effect::Forward { funding, .. } => *funding,
        _ => None,
    });
    assert_eq!(charged.map(|funding| funding.pan), Pan::parse(CARD.as_bytes()));
    let answer = world.answer(1, 7);
    assert_eq!(world.tell(Event::Answered(answer)), ["reply 1 on 0: 00+38 with 2"]);
    assert!(matches!(world.out.visible[..], [Effect::Reply(reply)] if reply.funding.is_some()));
    assert_eq!(world.authorizer.in_flight(), 0);
    // The same message is the same payment; the same code in another message is not.
    assert_eq!(world.present(7, Presented::Label(42)), ["reply 3 on 0: 00+38"]);
    assert_eq!(world.present(8, Presented::Label(42)), ["reply 4 on 0: 82"]);
    assert_eq!(world.reason(), "atc_used");
}

#[test]
fn of_two_copies_under_way_one_passes() {
    let mut world = rotating();
    let proofs: Vec<ProofId> = (1..=3)
        .map(|stan| {
            world.present(stan, Presented::Label(42));
            world.asked()
        })
        .collect();
    assert_eq!(world.tell(Event::Judged(proofs[1], Judgement::Right)), ["forward 2 to 0.0 as 1"]);
    assert_eq!(world.tell(Event::Judged(proofs[0], Judgement::Right)), ["reply 1 on 0: 82"]);
    assert_eq!(world.reason(), "atc_used");
    // Judged twice counts once.
    assert!(world.tell(Event::Judged(proofs[1], Judgement::Right)).is_empty());
    assert_eq!(world.tell(Event::Judged(proofs[2], Judgement::Wrong)), ["reply 3 on 0: 82"]);
}

#[test]
fn wrong_codes_kill_an_entry_and_never_use_it_up_before() {
    let mut world = rotating();
    assert_eq!(world.judge(1, 42, Judgement::Wrong), ["reply 1 on 0: 82"]);
    assert_eq!(world.reason(), "code_mismatch");
    world.judge(2, 42, Judgement::Wrong);
    assert_eq!(world.judge(3, 42, Judgement::Right).len(), 1, "two wrong ones are borne");
    for stan in 4..7 {
        world.judge(stan, 43, Judgement::Wrong);
    }
    world.present(7, Presented::Label(43));
    assert_eq!(world.reason(), "atc_dead");
}

#[test]
fn too_many_wrong_codes_block_the_card_until_it_is_unblocked() {
    let mut world = rotating();
    for (stan, label) in (1..=10).zip((40..50).cycle()) {
        assert_eq!(world.judge(stan, label, Judgement::Wrong).len(), 1);
    }
    assert_eq!(world.present(11, Presented::Label(40)), ["reply 11 on 0: 62"]);
    assert!(world.change(Change::Unblock));
    assert_eq!(world.present(12, Presented::Label(40)), ["ask 12 RotatingCode(1, 40)"]);
}

/// After a restart under a configuration in which the program has another name: its number is none that is known.
#[test]
fn wrong_codes_stay_counted_whatever_their_program_is_called() {
    let lenient = Tries { per_card: 9, ..TRIES };
    let profile = rotating_atc::Profile::Aes;
    let rotating = |tries| CardProgram::RotatingAtc(rotating_atc::Settings { tries, profile });
    let strict = Tries { per_card: 3, ..TRIES };
    let required = challenge::Required::Always;
    let other =
        CardProgram::Challenge(challenge::Settings { tries: Tries { per_card: 1, ..TRIES }, required });
    let mut world = world(rotating(lenient));
    world.change(Change::IssueBundle { id: 1, first: 40, count: 10, ttl_us: DAY_US });
    world.change(Change::ConfirmBundle(1));
    for stan in 1..=3 {
        world.judge(stan, 42, Judgement::Wrong);
    }
    let programs = [rotating(lenient), other, rotating(strict)];
    let mut next = World::with(1, 100, &[MAPLE], |tables| tables.programs = programs.into());
    for mut fact in world.facts {
        if let Fact::Judged { program, .. } = &mut fact {
            *program = ProgramId(u16::MAX);
        }
        next.authorizer.recover(&fact, 1);
    }
    let card = next.authorizer.cards.get(ACCOUNT, &proxy()).unwrap();
    assert_eq!((card.wrong, card.is_blocked), (3, true), "the strictest of its kind bears no more");
    next.present(4, Presented::Label(43));
    assert_eq!(next.reason(), "card_blocked");
}

#[test]
fn a_token_that_does_not_say_uses_nothing_up() {
    let mut world = rotating();
    assert_eq!(world.judge(1, 42, Judgement::Unknown), ["reply 1 on 0: 96"]);
    world.present(2, Presented::Label(42));
    assert_eq!(world.authorizer.next_deadline_us(), Some(250_000));
    let late = world.asked();
    assert_eq!(world.later(250_001), ["reply 2 on 0: 96"]);
    assert!(world.tell(Event::Judged(late, Judgement::Right)).is_empty(), "too late");
    assert_eq!(world.judge(3, 42, Judgement::Right), ["forward 3 to 0.0 as 1"]);
}

#[test]
fn a_repeat_joins_the_request_that_waits_for_the_token() {
    let mut world = rotating();
    world.present(7, Presented::Label(42));
    let proof = world.asked();
    assert_eq!(world.present(7, Presented::Label(42)), ["release 1"]);
    assert_eq!(world.tell(Event::Judged(proof, Judgement::Right)), ["forward 2 to 0.0 as 1"]);
}

#[test]
fn what_is_refused_without_the_token() {
    let mut world = rotating();
    let cases = [
        (1, Presented::Label(7), "atc_unknown"),
        (2, Presented::Broken, "format_error"),
        (3, Presented::Absent, "format_error"),
    ];
    for (stan, presented, reason) in cases {
        world.present(stan, presented);
        assert_eq!(world.reason(), reason);
    }
    let stripe = Request { entry_mode: Some(90), ..world.proxy_request(4, Presented::Label(42)) };
    world.tell(Event::Request(stripe));
    assert_eq!(world.reason(), "security_violation");
    let stranger =
        Request { pan: Pan::parse(b"9999150000000015"), ..world.proxy_request(5, Presented::Label(42)) };
    world.tell(Event::Request(stranger));
    assert_eq!(world.reason(), "unknown_card");
    assert!(world.change(Change::RevokeBundle(1)));
    world.present(6, Presented::Label(42));
    assert_eq!(world.reason(), "atc_expired");
    assert!(!world.change(Change::ConfirmBundle(1)), "revoked is for ever");
}

#[test]
fn bundles_that_may_be_used_never_overlap() {
    let mut world = rotating();
    let issue = |id, first| Change::IssueBundle { id, first, count: 10, ttl_us: 1_000 };
    assert!(!world.change(issue(2, 49)));
    assert!(!world.change(issue(1, 60)), "the number is taken");
    assert!(world.change(issue(2, 50)));
    world.present(1, Presented::Label(50));
    assert_eq!(world.reason(), "atc_expired", "not confirmed");
    world.now.monotonic_us += DAY_US;
    assert!(world.change(issue(3, 40)), "the first one is over");
}

/// Enrolled while its range was of cards that pay themselves.
#[test]
fn a_proxy_that_nobody_pays_for_is_sent_to_no_issuer() {
    let settings = [
        CardProgram::RotatingAtc(rotating_atc::Settings {
            tries: TRIES,
            profile: rotating_atc::Profile::Aes,
        }),
        CardProgram::Challenge(challenge::Settings {
            tries: TRIES,
            required: challenge::Required::Above(dollars(2_500)),
        }),
    ];
    for program in settings {
        let mut world = World::with(1, 100, &[MAPLE], |tables| tables.programs.push(program));
        world.change(Change::Enrol { psn: 1, funding: None, personalised: Personalised::NONE, atc: 0 });
        world.change(Change::IssueBundle { id: 1, first: 40, count: 10, ttl_us: DAY_US });
        world.change(Change::ConfirmBundle(1));
        for (stan, presented) in [(1, Presented::Label(42)), (2, Presented::Absent)] {
            assert_eq!(world.present(stan, presented), [alloc::format!("reply {stan} on 0: 14")]);
            assert_eq!(world.reason(), "unknown_card");
        }
    }
}

/// The code covers neither, and the issuer of the funding card sees neither.
#[test]
fn expiry_and_service_code_are_those_that_were_told_of_the_proxy() {
    let (expiry, service_code) = (Expiry::parse(b"2912"), Some(*b"201"));
    let personalised = Personalised { expiry, service_code };
    let rotating = rotating_atc::Settings { tries: TRIES, profile: rotating_atc::Profile::Aes };
    let asking = challenge::Settings { tries: TRIES, required: challenge::Required::Above(dollars(2_500)) };
    for (program, label, reason, code) in [
        (CardProgram::RotatingAtc(rotating), 42, "track_mismatch", "82"),
        (CardProgram::Challenge(asking), 815, "challenge_unknown", "1A"),
    ] {
        let mut world = World::with(1, 100, &[MAPLE], |tables| tables.programs.push(program));
        world.change(Change::Enrol { psn: 1, funding: Some(funding()), personalised, atc: 0 });
        world.change(Change::IssueBundle { id: 1, first: 40, count: 10, ttl_us: DAY_US });
        world.change(Change::ConfirmBundle(1));
        world.change(Change::Challenge { digits: *b"08154711", ttl_us: DAY_US, tag: None });
        let mut tap = |stan, expiry, service_code| {
            let request = world.proxy_request(stan, Presented::Label(label));
            let told = world.tell(Event::Request(Request { expiry, service_code, ..request }));
            (told, world.reason())
        };
        let others = [(Expiry::parse(b"3012"), service_code), (None, service_code), (expiry, Some(*b"101"))];
        for (stan, (expiry, service_code)) in (1..).zip(others.into_iter().chain([(expiry, None)])) {
            let told = alloc::vec![alloc::format!("reply {stan} on 0: {code}")];
            assert_eq!(tap(stan, expiry, service_code), (told, reason));
        }
        assert!(tap(5, expiry, service_code).0[0].starts_with("ask"), "nothing was used up or counted");
    }
}

#[test]
fn a_challenge_is_answered_once() {
    let mut world = asking(challenge::Required::Always);
    assert_eq!(world.judge(1, 815, Judgement::Right), ["forward 1 to 0.0 as 1"]);
    assert_eq!(world.present(2, Presented::Label(815)), ["reply 2 on 0: 1A"]);
    assert_eq!(world.reason(), "challenge_consumed");
    world.present(3, Presented::Label(816));
    assert_eq!(world.reason(), "challenge_unknown");
}

#[test]
fn wrong_responses_lock_a_challenge() {
    let mut world = asking(challenge::Required::Always);
    for stan in 1..=3 {
        assert_eq!(world.judge(stan, 815, Judgement::Wrong)[0][8..], *"on 0: 55");
    }
    assert_eq!(world.present(4, Presented::Label(815)), ["reply 4 on 0: 75"]);
    // No way around the limit: while it would have lived nothing new is asked by itself.
    assert_eq!(world.present(5, Presented::Absent), ["reply 5 on 0: 1A"]);
    world.now.monotonic_us += 120_000_000;
    assert_eq!(world.present(6, Presented::Absent), ["challenge", "reply 6 on 0: 1A"]);
}

/// Each of them asks for a challenge before the first is there.
#[test]
fn payments_of_one_turn_make_one_challenge() {
    let mut world = world(CardProgram::Challenge(challenge::Settings {
        tries: TRIES,
        required: challenge::Required::Always,
    }));
    for stan in 1..=3 {
        assert_eq!(world.present(stan, Presented::Absent)[0], "challenge");
    }
    world.facts.clear();
    for digits in [*b"08150001", *b"08160002", *b"08170003"] {
        let change = Change::Challenge { digits, ttl_us: 120_000_000, tag: None };
        let drawn = Provision { asker: None, account: ACCOUNT, pan: proxy(), change };
        world.tell(Event::Provision(drawn));
    }
    assert_eq!(world.facts.len(), 1, "{:?}", world.facts);
    assert_eq!(world.present(4, Presented::Label(815)), ["ask 4 Response(..)"]);
    let asked = Change::Challenge { digits: *b"08180004", ttl_us: 120_000_000, tag: None };
    assert!(world.change(asked), "who asks for one has one");
}

#[test]
fn a_response_comes_in_time_or_not_at_all() {
    let mut world = asking(challenge::Required::Always);
    world.now.monotonic_us += 120_000_000;
    world.present(1, Presented::Label(815));
    assert_eq!(world.reason(), "challenge_expired");
}

#[test]
fn a_newer_challenge_takes_the_place_of_an_older_one() {
    let mut world = asking(challenge::Required::Always);
    world.present(1, Presented::Label(815));
    let proof = world.asked();
    assert!(world.change(Change::Challenge { digits: *b"08160000", ttl_us: 1_000, tag: None }));
    assert_eq!(world.tell(Event::Judged(proof, Judgement::Right)), ["reply 1 on 0: 1A"]);
    assert!(
        !world.change(Change::Challenge { digits: *b"08160000", ttl_us: 1_000, tag: None }),
        "asked before"
    );
    assert!(
        world.change(Change::Challenge { digits: *b"08160001", ttl_us: 1_000, tag: None }),
        "only its reference was"
    );
}

#[test]
fn a_challenge_is_required_above_an_amount_and_verified_below_it() {
    let mut world = asking(challenge::Required::Above(dollars(2_500)));
    assert_eq!(world.present(1, Presented::Absent), ["forward 1 to 0.0 as 1"]);
    assert_eq!(world.judge(2, 815, Judgement::Wrong), ["reply 2 on 0: 55"]);
    let dear = Request { amount: dollars(2_501), ..world.proxy_request(3, Presented::Absent) };
    assert_eq!(world.tell(Event::Request(dear)), ["reply 3 on 0: 1A"], "one is open, so none is made");
    for (stan, currency) in [(4, Currency::new(414).unwrap()), (5, Currency::NONE)] {
        let other =
            Request { amount: Amount::new(1, currency), ..world.proxy_request(stan, Presented::Absent) };
        assert_eq!(world.tell(Event::Request(other)).len(), 1, "the same number is another amount");
        assert_eq!(world.reason(), "challenge_required");
    }
}

#[test]
fn a_stop_ends_what_waits_for_the_token() {
    let mut world = rotating();
    world.present(1, Presented::Label(42));
    assert_eq!(world.tell(Event::Stop), ["reply 1 on 0: 96"]);
    assert_eq!(world.authorizer.in_flight(), 0);
}

#[test]
fn a_bundles_number_never_comes_again() {
    let mut world = rotating();
    let issue = |id| Change::IssueBundle { id, first: 40, count: 10, ttl_us: 1_000 };
    // Its private counters would be those that were used, whether it is remembered or has made room.
    for id in 2..=20 {
        world.now.monotonic_us += DAY_US;
        assert!(world.change(issue(id)), "{id}");
        assert!(!world.change(issue(1)) && !world.change(issue(id)), "{id}");
    }
    assert!(world.authorizer.cards.get(ACCOUNT, &proxy()).unwrap().bundles.len() <= 8);
}

#[test]
fn the_wait_for_the_token_is_part_of_the_wait() {
    let mut world = rotating();
    world.present(1, Presented::Label(42));
    let proof = world.asked();
    world.now.monotonic_us = 100_000;
    assert_eq!(world.ask(2), ["forward 2 to 0.0 as 1"]);
    world.now.monotonic_us = 200_000;
    assert_eq!(world.tell(Event::Judged(proof, Judgement::Right)), ["forward 1 to 0.0 as 2"]);
    // Received first, it falls due first, though it was forwarded last.
    assert_eq!(world.authorizer.next_deadline_us(), Some(TIMEOUT_US));
    world.now.monotonic_us = 0;
    assert_eq!(world.later(TIMEOUT_US + 1), ["reply 1 on 0: 91", "0420 to 0.0 as 3 of 2"]);
    assert_eq!(world.authorizer.next_deadline_us(), Some(TIMEOUT_US + 100_000));
    assert_eq!(world.later(100_000), ["reply 2 on 0: 91", "0420 to 0.0 as 4 of 1"]);
}

#[test]
fn a_wrong_code_that_is_not_counted_is_no_fact() {
    let mut world = rotating();
    world.present(1, Presented::Label(42));
    let late = world.asked();
    world.judge(2, 42, Judgement::Right);
    world.facts.clear();
    assert_eq!(world.tell(Event::Judged(late, Judgement::Wrong)), ["reply 1 on 0: 82"]);
    assert!(matches!(world.facts[..], [Fact::Declined { .. }]), "{:?}", world.facts);
}

/// The same time for every reason; a right code is told at once.
#[test]
fn declines_are_held_until_their_time_and_no_longer() {
    const FLOOR_US: u64 = 5_000;
    let mut world = World::with(1, 100, &[MAPLE], |tables| {
        tables.programs.push(CardProgram::RotatingAtc(rotating_atc::Settings {
            tries: TRIES,
            profile: rotating_atc::Profile::Aes,
        }));
        tables.decline_floor_us = FLOOR_US;
    });
    world.change(Change::Enrol {
        psn: 1,
        funding: Some(funding()),
        personalised: Personalised::NONE,
        atc: 0,
    });
    world.change(Change::IssueBundle { id: 1, first: 40, count: 10, ttl_us: DAY_US });
    world.change(Change::ConfirmBundle(1));
    // Judged late and asked first: told first.
    world.present(1, Presented::Label(42));
    let proof = world.asked();
    world.later(1_000);
    assert!(world.present(2, Presented::Label(99)).is_empty(), "unknown");
    world.later(1_000);
    assert!(world.tell(Event::Judged(proof, Judgement::Wrong)).is_empty());
    assert!(matches!(world.facts[..], [.., Fact::Judged { is_right: false, .. }]), "counted at once");
    assert_eq!((world.authorizer.in_flight(), world.authorizer.proving()), (2, 0));
    assert_eq!(world.authorizer.next_deadline_us(), Some(world.now.monotonic_us + FLOOR_US - 2_000));
    assert!(world.later(FLOOR_US - 2_001).is_empty());
    assert_eq!(world.later(1), ["reply 1 on 0: 82"]);
    assert_eq!(world.reason(), "code_mismatch");
    // A copy joins the one that waits; one that was undone is told by the reversal alone.
    world.present(2, Presented::Label(99));
    assert_eq!(world.later(1_000).len(), 1);
    assert_eq!((world.reason(), world.authorizer.in_flight()), ("atc_unknown", 0));
    // Slower than the floor: at once. A stop ends every wait.
    world.present(3, Presented::Label(42));
    let proof = world.asked();
    world.later(FLOOR_US);
    assert_eq!(world.tell(Event::Judged(proof, Judgement::Wrong)).len(), 1);
    assert!(world.present(4, Presented::Label(99)).is_empty());
    assert_eq!(world.tell(Event::Stop).len(), 1);
    assert_eq!(world.judge(5, 43, Judgement::Right).len(), 1, "a right code is told at once");
    let pan = Pan::parse(b"9999150000000015");
    let stranger = Request { pan, ..world.proxy_request(6, Presented::Label(42)) };
    assert!(world.tell(Event::Request(stranger)).is_empty(), "one that was not enrolled");
    assert_eq!(world.later(FLOOR_US).len(), 1);
    assert_eq!(world.reason(), "unknown_card");
}

#[test]
fn what_the_token_says_after_its_issuers_time_is_sent_to_nobody() {
    let mut world = rotating();
    let mut tables = (*world.authorizer.tables).clone();
    tables.proof_timeout_us = 10 * TIMEOUT_US;
    world.tell(Event::Tables(tables.into()));
    world.present(7, Presented::Label(42));
    let proof = world.asked();
    world.now.monotonic_us += TIMEOUT_US + 1;
    assert_eq!(world.tell(Event::Judged(proof, Judgement::Right)), ["reply 1 on 0: 96"]);
    assert_eq!((world.reason(), world.authorizer.in_flight()), ("token_unavailable", 0));
    assert!(!world.facts.iter().any(|fact| matches!(fact, Fact::Intent(_))));
}

/// The proxies of one card may have their homes on any shard, so that each has a part of the card's cap.
#[test]
fn what_a_card_pays_for_its_proxies_has_a_cap_of_its_own_when_its_issuer_is_away() {
    let mut world = rotating();
    let mut tables = (*world.authorizer.tables).clone();
    tables.issuers[0].stand_in = Some(crate::stand_in::StandIn {
        iins: alloc::vec![Iin::parse(b"999960").unwrap()],
        currency: Currency::new(840).unwrap(),
        floor_minor: 1_000,
        card_daily_minor: 2_500,
        funding_daily_minor: 1_500,
        daily_minor: 9_000,
    });
    world.tell(Event::Tables(alloc::sync::Arc::new(tables)));
    world.tell(Event::IssuerLink(to(MAPLE, 0), LinkChange::Lost));
    let mut pay = |stan: u32, label: u16| {
        let mut request = world.proxy_request(stan, Presented::Label(label));
        request.amount = dollars(1_000);
        world.tell(Event::Request(request));
        let proof = world.asked();
        world.tell(Event::Judged(proof, Judgement::Right))
    };
    assert_eq!(pay(1, 42).len(), 1);
    let told = [pay(2, 43), pay(3, 44)];
    assert!(told.iter().all(|told| told[0].ends_with(": 91")), "{told:?}");
    // The card itself has the rest of its own.
    for (stan, code) in [(4, ": 00+38"), (5, ": 91")] {
        let request = Request { amount: dollars(1_000), ..world.request(stan) };
        let told = world.tell(Event::Request(request));
        assert!(told[0].ends_with(code), "{told:?}");
    }
}
