//! The switch in a world of its own: real shards and authorizers, simulated acquirers, issuers, links, token, disks and
//! clock, in one thread, from a seed. Everything that goes wrong in it goes wrong again with the same seed.
//!
//! | file | what |
//! | --- | --- |
//! | `dice` | chance from a seed |
//! | `faults` | everything that can go wrong, and how often in this world |
//! | `payments` | the acquirers' book |
//! | `issuer` | the issuers' books |
//! | `disk` | a journal of which the newest part can be lost |
//! | `world` | who does what when; the laws that are checked on the way and, in `world/laws`, at the end |
//!
//! A package by itself: its planted mistakes are in no other build of the authorizer.
//!
//! Not here: bytes. Messages, frames and segments are tested where they are read and written.

mod dice;
mod disk;
mod faults;
mod issuer;
mod payments;
mod world;

pub use authorizer::planted::Planted;
use dice::Dice;

pub use faults::Fault;
pub use world::{Ran, Violation, World};

/// Payments of one seed, unless it is said otherwise.
pub const PAYMENTS: u64 = 400;

/// The first seed from `from` on, of so many, in which a planted mistake is found, and the law by which.
#[must_use]
pub fn find(mistake: Planted, from: u64, seeds: u64, payments: u64) -> Option<(u64, String)> {
    (from..from + seeds).find_map(|seed| {
        let found = World::new(seed, payments, |tables| tables.planted = Some(mistake)).run();
        found.err().map(|violation| (seed, violation.what))
    })
}

/// One seed in a hundred has a mistake planted in it, so that a run that is told of no failure can be seen to be awake.
#[must_use]
pub fn canary(seed: u64) -> Option<Planted> {
    Dice::new(seed ^ 0x00c0_ffee).happens(10_000).then_some(Planted::ForwardedTwice)
}

/// Where the seeds are in which something was found once.
pub const FAILED_SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/failed_seeds.txt");

/// These seeds: they run for ever.
///
/// # Panics
/// Without the file.
#[must_use]
pub fn failed_once() -> Vec<u64> {
    let text = std::fs::read_to_string(FAILED_SEEDS).expect(FAILED_SEEDS);
    text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// Runs a seed.
///
/// # Errors
/// The law that was broken, with what happened to the payment that broke it.
pub fn run(seed: u64, payments: u64) -> Result<Ran, String> {
    run_with(seed, payments, None)
}

/// The same, with a mistake.
///
/// # Errors
/// As [`run`].
pub fn run_with(seed: u64, payments: u64, mistake: Option<Planted>) -> Result<Ran, String> {
    let world = || World::new(seed, payments, |tables| tables.planted = mistake);
    world().run().map_err(|_| {
        // Again, and told.
        let mut world = world().told();
        let faults = world.faults().join(" ");
        let violation = match world.run() {
            Err(violation) => violation,
            Ok(_) => Violation {
                what: "it does not happen again: the world is not of its seed".into(),
                payment: None,
            },
        };
        let story = world.story_of(violation.payment).join("\n");
        format!("seed {seed}, payment {:?}: {}\nfaults: {faults}\n{story}", violation.payment, violation.what)
    })
}
