//! The simulated world: a fresh range of seeds, the same seed twice, seeds that failed once, and the mistakes that were
//! planted to see whether anybody would notice.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sim::{PAYMENTS, Planted, World};

/// How long fresh seeds are tried: a minute where everything is to run.
fn patience() -> Duration {
    let all = std::env::var("SIGNALBOX_TESTS").as_deref() == Ok("all");
    Duration::from_secs(if all { 60 } else { 5 })
}

#[test]
fn no_law_is_broken_in_a_fresh_range_of_seeds() {
    let from = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let until = Instant::now() + patience();
    let mut seed = from;
    while Instant::now() < until {
        sim::run(seed, PAYMENTS).unwrap_or_else(|story| panic!("{story}"));
        seed += 1;
    }
    println!("seeds {from}..{seed}");
}

#[test]
fn what_failed_once_holds() {
    for seed in sim::failed_once() {
        sim::run(seed, PAYMENTS).unwrap_or_else(|story| panic!("{story}"));
    }
}

#[test]
fn a_seed_is_its_world() {
    for seed in [1, 2, 3, 1_000_003] {
        assert_eq!(sim::run(seed, PAYMENTS), sim::run(seed, PAYMENTS));
    }
}

/// One seed in a hundred fails on purpose, and no other.
#[test]
fn the_canary_is_heard() {
    let mut heard = 0;
    for seed in 1..=400 {
        let canary = sim::canary(seed);
        match (canary, sim::run_with(seed, 100, canary)) {
            (Some(_), Err(story)) => {
                assert!(story.contains(&format!("seed {seed}, payment Some")), "{story}");
                heard += 1;
            }
            (None, Ok(_)) => {}
            (planted, ran) => panic!("seed {seed}, planted {planted:?}: {ran:?}"),
        }
    }
    assert!((1..=12).contains(&heard), "{heard} of about 4");
}

/// Worlds in which a mistake must be found. Where a world changes, the seeds in which the hardest are found change too.
const WORLDS: u64 = 10_000;

/// Silence proves nothing until each of these was found.
#[test]
fn every_planted_mistake_is_found() {
    let mut unnoticed = Vec::new();
    for mistake in Planted::ALL {
        match sim::find(*mistake, 1, WORLDS, PAYMENTS) {
            Some((seed, law)) => println!("{mistake:?}: seed {seed}, {law}"),
            None => unnoticed.push(*mistake),
        }
    }
    assert_eq!(unnoticed, [], "not found in {WORLDS} worlds");
}

/// The pipeline is awake: a failure is told with what happened to the payment.
#[test]
fn a_failure_tells_its_story() {
    let mut world = World::new(1, PAYMENTS, |tables| tables.planted = Some(Planted::ForwardedTwice)).told();
    let violation = world.run().expect_err("planted");
    let story = world.story_of(violation.payment).join("\n");
    assert!(story.contains("the acquirer begins") && story.contains("forwarded to"), "{story}");
}
