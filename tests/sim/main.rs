//! `make sim SEED=n`: one seed, or fresh ones for a time, through the simulated world. A seed that fails prints its story
//! and is written down in `failed_seeds.txt`. With `CANARY=1` one in a hundred fails on purpose, and the run fails where
//! it does not.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sim::Ran;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() -> ExitCode {
    let payments = number("PAYMENTS", sim::PAYMENTS);
    if let Some(seed) = std::env::var("SEED").ok().and_then(|text| text.parse().ok()) {
        return match sim::run(seed, payments) {
            Ok(ran) => {
                println!("seed {seed}: {ran:?}");
                ExitCode::SUCCESS
            }
            Err(story) => {
                println!("{story}");
                ExitCode::FAILURE
            }
        };
    }
    let range = Range {
        payments,
        until: Instant::now() + Duration::from_secs(number("SECONDS", 60)),
        with_canary: number("CANARY", 0) != 0,
        next: AtomicU64::new(number("FROM", 1)),
        sums: Default::default(),
        failed: AtomicBool::new(false),
    };
    let from = range.next.load(Ordering::Relaxed);
    let threads =
        number("THREADS", std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| range.run());
        }
    });
    let sums = range.sums.each_ref().map(|sum| sum.load(Ordering::Relaxed));
    let [worlds, paid, crashes, reversals, advices, stood_in, recalls, legs, heard] = sums;
    println!(
        "seeds {from}..{}: {worlds} worlds, {paid} payments, {crashes} ends of the process, {reversals} reversals, \
         {advices} advices, {stood_in} stood in for, {recalls} recalled, {legs} of them for late approvals, {} kinds of fault{}",
        range.next.load(Ordering::Relaxed),
        sim::Fault::ALL.len(),
        if range.with_canary { format!(", {heard} canaries heard") } else { String::new() },
    );
    if range.failed.load(Ordering::Relaxed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What the threads of one run share.
struct Range {
    payments: u64,
    until: Instant,
    with_canary: bool,
    next: AtomicU64,
    /// Worlds, payments, ends of the process, reversals, advices, stood in for, recalled, for late approvals,
    /// canaries.
    sums: [AtomicU64; 9],
    failed: AtomicBool,
}

impl Range {
    fn run(&self) {
        while Instant::now() < self.until && !self.failed.load(Ordering::Relaxed) {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            let canary = sim::canary(seed).filter(|_| self.with_canary);
            match (sim::run_with(seed, self.payments, canary), canary) {
                (Ok(ran), None) => self.add(&ran),
                (Err(story), Some(_)) => {
                    println!("{story}\n");
                    self.sums[8].fetch_add(1, Ordering::Relaxed);
                }
                (Ok(_), Some(_)) => {
                    println!(
                        "seed {seed}: the canary is silent: nothing that this run says of laws can be believed"
                    );
                    self.failed.store(true, Ordering::Relaxed);
                }
                (Err(story), None) => {
                    println!("{story}\n");
                    write_down(seed, &story);
                    self.failed.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    fn add(&self, ran: &Ran) {
        let ran = [
            1,
            ran.payments,
            ran.crashes,
            ran.reversals,
            ran.advices,
            ran.stood_in,
            ran.recalls,
            ran.legs_recalled,
        ];
        for (sum, more) in self.sums.iter().zip(ran) {
            sum.fetch_add(more, Ordering::Relaxed);
        }
    }
}

/// It runs with every test from now on.
fn write_down(seed: u64, story: &str) {
    let what = story.lines().next().unwrap_or_default();
    let file = std::fs::OpenOptions::new().append(true).open(sim::FAILED_SEEDS);
    if let Err(error) = file.and_then(|mut file| writeln!(file, "{seed} {what}")) {
        println!("{}: {error}", sim::FAILED_SEEDS);
    }
}
