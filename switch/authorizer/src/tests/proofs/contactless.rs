//! Ordinary contactless cards: which counters are asked about, and which of them are used.

use alloc::vec;

use super::*;
use crate::atc_window::{AtcWindow, Reach};
use crate::programs::contactless;

/// A card whose newest counter is 1,000, and whose track was told.
fn ordinary(atc_digits: u8) -> World {
    let mut world = served_by(program(atc_digits, 10));
    world.change(Change::Enrol { psn: 1, funding: None, personalised: Personalised::NONE, atc: 1_000 });
    world.change(Change::Stripe { psn: 1, constant: [0xEB, 0x06] });
    world
}

/// A world in which the card's own number is routed.
fn served_by(program: CardProgram) -> World {
    World::with(1, 100, &[MAPLE], |tables| {
        let route = Route { issuers: vec![MAPLE] };
        tables.iins = IinTable::new(vec![(Iin::parse(b"99991").unwrap(), route)]);
        tables.programs.push(program);
    })
}

fn program(atc_digits: u8, tries_per_card: u8) -> CardProgram {
    let reach = Reach { ahead: 100, behind: 10 };
    CardProgram::Contactless(contactless::Settings { atc_digits, reach, tries_per_card, window_us: DAY_US })
}

impl World {
    fn window(&self) -> AtcWindow {
        self.authorizer.cards.get(ACCOUNT, &proxy()).expect("enrolled").window
    }
}

#[test]
fn a1_a_counter_is_used_once_and_the_card_pays_itself() {
    let mut world = ordinary(4);
    assert_eq!(world.present(7, Presented::Label(1_003)), ["ask 1 CardCode([1003])"]);
    let proof = world.asked();
    assert_eq!(world.window().last(), 1_000, "nothing moves before the token has said so");
    world.tell(Event::Judged(proof, Judgement::RightFor(1_003)));
    assert!(matches!(world.facts[..], [.., Fact::Judged { is_right: true, .. }, Fact::Intent(sent)]
        if !sent.is_funded && sent.pan == Some(proxy())));
    assert_eq!(world.window().last(), 1_003);
    world.present(8, Presented::Label(1_003));
    assert_eq!(world.reason(), "atc_used");
    // One that was left out is good, once.
    assert_eq!(world.judge(9, 1_001, Judgement::RightFor(1_001)).len(), 1);
    world.present(10, Presented::Label(1_001));
    assert_eq!((world.reason(), world.window().last()), ("atc_used", 1_003));
}

#[test]
fn a2_a_counter_out_of_reach_is_not_asked_about() {
    let mut world = ordinary(4);
    for (stan, label, reason) in [(1, 1_101, "atc_unknown"), (2, 999, "atc_used"), (3, 900, "atc_unknown")] {
        world.present(stan, Presented::Label(label));
        assert_eq!(world.reason(), reason, "{label}");
    }
    assert_eq!(world.window(), AtcWindow::new(1_000));
    assert_eq!(world.present(4, Presented::Label(1_100)), ["ask 4 CardCode([1100])"]);
}

#[test]
fn a3_a_wrong_code_moves_nothing_and_too_many_block_the_card() {
    let mut world = ordinary(4);
    for stan in 1..=9 {
        world.judge(stan, 1_100, Judgement::Wrong);
        assert_eq!(world.reason(), "code_mismatch");
    }
    assert_eq!(world.judge(10, 1_001, Judgement::RightFor(1_001)).len(), 1);
    world.judge(11, 1_050, Judgement::Wrong);
    world.present(12, Presented::Label(1_002));
    assert_eq!((world.reason(), world.window().last()), ("card_blocked", 1_001));
    assert!(world.change(Change::Unblock));
    assert_eq!(world.judge(13, 1_002, Judgement::RightFor(1_002)).len(), 1);
}

#[test]
fn of_copies_under_way_one_passes_and_the_token_is_not_believed_everything() {
    let mut world = ordinary(4);
    let proofs: Vec<ProofId> = (1..=3)
        .map(|stan| {
            world.present(stan, Presented::Label(1_002));
            world.asked()
        })
        .collect();
    // It was not asked about this one.
    assert_eq!(world.tell(Event::Judged(proofs[0], Judgement::RightFor(1_003))), ["reply 1 on 0: 96"]);
    assert_eq!(world.tell(Event::Judged(proofs[2], Judgement::RightFor(1_002))), ["forward 3 to 0.0 as 1"]);
    assert_eq!(world.tell(Event::Judged(proofs[1], Judgement::RightFor(1_002))), ["reply 2 on 0: 82"]);
    assert_eq!(world.reason(), "atc_used");
}

#[test]
fn few_digits_stand_for_several_counters_of_which_the_token_names_one() {
    let mut world = ordinary(2);
    assert_eq!(world.present(1, Presented::Label(0)), ["ask 1 CardCode([1100])"], "1,000 is used");
    assert_eq!(world.present(2, Presented::Label(95)), ["ask 2 CardCode([1095])"]);
    let proof = world.asked();
    world.tell(Event::Judged(proof, Judgement::RightFor(1_095)));
    assert_eq!(world.present(3, Presented::Label(90)), ["ask 3 CardCode([1090, 1190])"]);
    let proof = world.asked();
    assert_eq!(world.tell(Event::Judged(proof, Judgement::Right)).len(), 1, "of which?");
    assert_eq!(world.judge(4, 90, Judgement::RightFor(1_090)).len(), 1);
    assert!(!world.window().is_new(1_090) && world.window().is_new(1_190));
    let mut world = ordinary(1);
    assert_eq!(world.present(1, Presented::Label(5)).len(), 1, "ten counters");
    assert_eq!(ordinary(0).present(1, Presented::Label(0)).len(), 1, "more than a question may have");
}

#[test]
fn what_is_refused_without_the_token() {
    let mut world = ordinary(4);
    for (stan, presented) in [(1, Presented::Broken), (2, Presented::Absent), (3, Presented::Nothing)] {
        world.present(stan, presented);
        assert_eq!(world.reason(), "format_error");
    }
    let stripe = Request { entry_mode: Some(90), ..world.proxy_request(4, Presented::Label(1_001)) };
    world.tell(Event::Request(stripe));
    assert_eq!(world.reason(), "security_violation");
    world.change(Change::Block);
    world.present(5, Presented::Label(1_001));
    assert_eq!(world.reason(), "card_blocked");
    let mut untold = served_by(program(4, 10));
    untold.change(Change::Enrol { psn: 1, funding: None, personalised: Personalised::NONE, atc: 0 });
    untold.present(6, Presented::Label(1));
    assert_eq!(untold.reason(), "atc_unknown");
}

/// Also where the limit of tries was lowered meanwhile, so that the card would have been blocked earlier.
#[test]
fn a4_a5_a_used_counter_stays_used_after_a_silent_issuer_a_reversal_and_a_restart() {
    let mut world = ordinary(4);
    for stan in 1..=3 {
        world.judge(stan, 1_001, Judgement::Wrong);
    }
    world.judge(4, 1_001, Judgement::RightFor(1_001));
    world.later(60_000_000);
    world.present(5, Presented::Label(1_001));
    assert_eq!(world.reason(), "atc_used");
    for tries in [10, 3] {
        let mut next = served_by(program(4, tries));
        for fact in &world.facts {
            next.authorizer.recover(fact, 1);
        }
        assert_eq!(next.window(), world.window());
        let mut restored = served_by(program(4, tries));
        for piece in next.authorizer.pieces(1) {
            restored.authorizer.restore(piece);
        }
        restored.authorizer.restored();
        assert_eq!(restored.window(), world.window());
        let required = challenge::Required::Always;
        let others = [None, Some(CardProgram::Challenge(challenge::Settings { tries: TRIES, required }))];
        for other in others {
            // Under another program, or none, what was used is used.
            let mut elsewhere = World::with(1, 100, &[MAPLE], |tables| tables.programs.extend(other));
            for fact in &world.facts {
                elsewhere.authorizer.recover(fact, 1);
            }
            assert_eq!(elsewhere.window(), world.window());
        }
        restored.change(Change::Unblock);
        restored.present(6, Presented::Label(1_001));
        assert_eq!(restored.reason(), "atc_used");
    }
}
