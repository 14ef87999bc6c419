//! How long a start takes that has a million records of open state to read: from exec to `/readyz` ok.

use std::time::{Duration, Instant};

use authorizer::snapshot::Piece;
use tests::left_behind::{card, leave_behind, payment, reversal};
use tests::{Act, Rig, Setup, purchase};

const SHARDS: u16 = 2;
/// The unit of the package, whose environment is the one to start in.
const UNIT: &str = include_str!("../../switch/packaging/signalbox.service");
const RECORDS: u32 = 1_000_000;
/// Of each thousand records: cards of programs, and reversals that their issuer has not acknowledged. The others are
/// payments that a repeat or a reversal may name.
const CARDS: u32 = 40;
const REVERSALS: u32 = 10;

fn record(number: u32, now_us: u64) -> Piece {
    match number / u32::from(SHARDS) % 1_000 {
        place if place < CARDS => card(number, now_us),
        place if place < CARDS + REVERSALS => reversal(number, now_us),
        _ => payment(number, now_us),
    }
}

/// One start: time by the clock, and of the processors.
fn start(rig: &mut Rig) -> (Duration, Duration) {
    let began = Instant::now();
    rig.start_again();
    (began.elapsed(), rig.process().processor_time())
}

#[test]
fn a_start_with_a_million_records_of_open_state() {
    let set = UNIT.lines().find_map(|line| line.strip_prefix("Environment="));
    let (name, value) = set.and_then(|set| set.split_once('=')).expect("the unit sets a variable");
    // As many as there are by default.
    let setup = Setup::new().environment(name, value).set("switch.recent_entries", 1_048_576);
    let Some(mut rig) = setup.set("switch.shards", i64::from(SHARDS)).start() else { return };
    rig.issuer("maple").on_reversal(|_| Act::Hold);
    rig.crash();
    let (_, idle) = start(&mut rig);
    rig.crash();
    leave_behind(rig.folder(), SHARDS, RECORDS, record);
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let took = start(&mut rig);
        best = (best.0.min(took.0), best.1.min(took.1));
        rig.crash();
    }
    let (wall, processor) = best;
    println!(
        "ready after {wall:?}, {processor:?} of the processors, {idle:?} of them without anything to read"
    );
    rig.start_again();
    assert!(String::from_utf8_lossy(&rig.process().stderr()).contains("\"snapshots\":2"));
    let waiting = f64::from(RECORDS / 1_000 * REVERSALS);
    assert!(
        rig.metric("saf_depth{issuer=maple}") >= waiting - 1.0,
        "{}",
        rig.metric("saf_depth{issuer=maple}")
    );
    assert!(processor.saturating_sub(idle) <= LIMIT, "{processor:?} of the processors");
    // The switch is whole behind it.
    rig.acquirer("north").ask(&purchase("11=000001"), "0110 39=00");
    rig.forget_cards();
    rig.crash();
    rig.forget();
}

/// Everything that waited while an issuer was gone is told when it is back: 5,000 a second at least.
#[test]
fn an_issuer_that_returns_is_told_five_thousand_reversals_a_second() {
    const WAITING: u32 = 60_000;
    let Some(mut rig) = Setup::new().start() else { return };
    rig.crash();
    leave_behind(rig.folder(), 1, WAITING, reversal);
    rig.issuer("maple").on_reversal(|_| Act::Hold);
    rig.start_again();
    let maple = rig.issuer("maple");
    maple.go_down();
    rig.await_links("maple", 0);
    rig.await_gauge("saf_depth{issuer=maple}", f64::from(WAITING));
    maple.on_reversal(|_| Act::answer(""));
    maple.come_back();
    rig.await_links("maple", 1);
    let began = Instant::now();
    rig.await_that("all to be acknowledged", || rig.metric("saf_depth{issuer=maple}") < 1.0);
    let took = began.elapsed();
    let rate = f64::from(WAITING) / took.as_secs_f64();
    println!("{WAITING} reversals in {took:?}: {rate:.0} a second");
    assert!(rate >= 5_000.0, "{rate:.0} a second");
    // The switch is whole behind it.
    rig.acquirer("north").ask(&purchase("11=000001"), "0110 39=00");
    rig.forget_cards();
}

/// What a start may take of the processors, both shards together.
const LIMIT: Duration = Duration::from_millis(1_600);
