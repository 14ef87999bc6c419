//! The release binary killed under load, again and again, and the books of acquirer, switch and issuer compared each
//! time: nothing lost, nothing doubled.
//!
//! `SIGNALBOX_CHAOS` says how many times (10 where every test is to run, otherwise 2). Each kill comes at a moment of
//! chance; in every fifth round the switch is frozen and its issuer's links are cut as well.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tests::books::{Book, reconcile, request, settle};
use tests::{Acquirer, Act, Setup};

/// Requests that wait for an answer at a time.
const IN_FLIGHT: usize = 100;
/// Kills of one data directory.
const KILLS: usize = 5;

fn rounds() -> usize {
    let all = std::env::var("SIGNALBOX_TESTS").as_deref() == Ok("all");
    let said = std::env::var("SIGNALBOX_CHAOS").ok().and_then(|rounds| rounds.parse().ok());
    said.unwrap_or(if all { 10 } else { 2 })
}

/// Chance from a seed that is printed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Asks as fast as the answers come, until the switch is gone.
fn load(north: &mut Acquirer, book: &mut Book, next: &mut u32) {
    let mut open = 0;
    loop {
        while open < IN_FLIGHT {
            *next += 1;
            book.insert(*next, None);
            if !north.try_send(&request("0100", *next)) {
                return;
            }
            open += 1;
        }
        let Ok(answer) = north.receive_until(Instant::now() + Duration::from_secs(5)) else { return };
        let number: u32 = answer.plain.get(37).parse().expect("our own number");
        book.insert(number, Some(answer.plain.get(39).to_owned()));
        open -= 1;
    }
}

#[test]
fn killed_under_load_nothing_is_lost_and_nothing_doubled() {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let seed = wall.as_nanos() as u64 | 1;
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let (mut done, mut paid, mut since) = (0, 0, Instant::now());
    while done < rounds() {
        let level = if dice.below(2) == 0 { "sync" } else { "written" };
        let setup = Setup::new().set("journal.level", level).set("timers.reversal_retry_min", "50ms");
        let Some(mut rig) = setup.set("issuer.maple.timeout", "1s").start() else { return };
        rig.issuer("maple").on(|request| {
            let number: u64 = request.get(37).parse().unwrap_or(0);
            Act::After(Duration::from_micros(number * 7_919 % 60_000), String::new())
        });
        let (mut book, mut next) = (Book::new(), 0);
        for kill in 0..KILLS.min(rounds() - done) {
            let after = Duration::from_millis(20 + dice.below(400));
            let rude = kill % 5 == 4;
            let mut north = rig.acquirer("north");
            std::thread::scope(|scope| {
                let rig = &rig;
                scope.spawn(move || {
                    std::thread::sleep(after);
                    if rude {
                        rig.process().freeze();
                        rig.issuer("maple").reset_links();
                        std::thread::sleep(Duration::from_millis(300));
                        rig.process().thaw();
                    }
                    rig.crash();
                });
                load(&mut north, &mut book, &mut next);
            });
            rig.start_again();
            settle(&mut rig.acquirer("north"), &mut book);
            done += 1;
        }
        reconcile(&rig, &book, &format!("seed {seed}"));
        paid += book.len();
        if since.elapsed() > Duration::from_secs(30) {
            since = Instant::now();
            println!("{done} kills, {paid} payments");
        }
    }
    println!("{done} kills, {paid} payments: nothing lost, nothing doubled");
}
