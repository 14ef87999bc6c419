//! How long a decline takes must not tell what was wrong: a wrong code, for which the token is asked, a code that was
//! used, a card that is locked, and a number that was never enrolled, in turns over one link.

use std::time::{Duration, Instant};

use tests::{Acquirer, Rig, Setup, TestToken, purchase, with_check_digit};

use super::on_softhsm::rotating_atc::{GOOD, KEY, P1, enrol, program, tap};

const FLOOR: Duration = Duration::from_millis(4);
/// As long as this takes; each turn is four declines.
const RUN: Duration = Duration::from_secs(10);
/// Wrong codes of a card before it would be locked, each for another entry.
const WRONG_PER_CARD: u32 = 9;

/// The card of a number, in the range of the wallet's program.
pub(super) fn card(at: u32) -> String {
    with_check_digit(&format!("99991000000{at:04}"))
}

/// Enrols a card with ten entries from 40 on, good for a day.
pub(super) fn enrol_card(rig: &Rig, pan: &str) {
    rig.change(
        "/v1/cards",
        &format!(r#"{{"pan":"{pan}","psn":1,"funding":{{"pan":"9999600000000019","expiry":"3011"}}}}"#),
    );
    rig.change(
        "/v1/bundles",
        &format!(r#"{{"pan":"{pan}","id":1,"first":40,"count":10,"ttl_ms":86400000}}"#),
    );
    rig.change("/v1/bundles/confirm", &format!(r#"{{"pan":"{pan}","id":1}}"#));
}

fn present(north: &mut Acquirer, stan: u32, pan: &str, track: &str, code: &str) -> Duration {
    let message = purchase(&format!("2={pan} 11={stan:06} 14=2912 22=910 35={track}"));
    let asked = Instant::now();
    north.send(&message);
    let answer = north.receive();
    let took = asked.elapsed();
    assert_eq!(answer.plain.get(39), code);
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn s26_a_wrong_code_a_used_one_a_locked_card_and_a_stranger_take_equally_long() {
    let Some(token) = TestToken::new() else { return };
    let check_value = token.import("counters", "rotating-atc", KEY);
    let setup = Setup::new().token(&token).set("hsm.decline_floor", "4ms").set("hsm.deadline", "1s");
    let Some(rig) = setup.table("program", &program(&check_value)).start() else { return };
    let mut north = rig.acquirer("north");
    // Used up; and locked.
    enrol(&rig);
    north.ask(&tap(1, GOOD), "0110 39=00");
    let locked = card(9_000);
    enrol_card(&rig, &locked);
    rig.change("/v1/cards/block", &format!(r#"{{"pan":"{locked}"}}"#));
    let stranger = card(9_001);
    let cards: Vec<String> = (100..200).map(card).collect();
    cards.iter().for_each(|pan| enrol_card(&rig, pan));

    let (started, mut stan) = (Instant::now(), 1);
    let mut took: [Vec<Duration>; 4] = Default::default();
    'run: for pan in &cards {
        for at in 0..WRONG_PER_CARD {
            if started.elapsed() > RUN {
                break 'run;
            }
            // One of ten thousand such codes is right by chance; these are not.
            let wrong = format!("{pan}=29122017{:04}73100003", 40 + at);
            let used = format!("{locked}=29122017004273147853");
            let unknown = format!("{stranger}=29122017004273147853");
            let mut turn = [
                (0, pan.as_str(), wrong, "82"),
                (1, P1, GOOD.to_owned(), "82"),
                (2, &locked, used, "62"),
                (3, &stranger, unknown, "14"),
            ];
            turn.rotate_left(at as usize % 4);
            for (kind, pan, track, code) in turn {
                stan += 1;
                took[kind].push(present(&mut north, stan, pan, &track, code));
            }
        }
    }
    let samples = took[0].len();
    let medians = took.map(median);
    let [wrong, used, locked, stranger] = medians;
    println!("{samples} of each: wrong {wrong:?}, used {used:?}, locked {locked:?}, stranger {stranger:?}");
    assert!(samples >= 100, "{samples} samples");
    assert!(medians.iter().all(|median| *median >= FLOOR), "none before its time: {medians:?}");
    let (least, most) = (medians.iter().min().expect("four"), medians.iter().max().expect("four"));
    let allowed = least.mul_f64(0.05).max(Duration::from_micros(50));
    assert!(*most - *least <= allowed, "the time tells the reason: {medians:?}");
    rig.await_metric("program_declined_total{program=wallet,reason=code_mismatch}", samples as f64);
}
