//! `make sim SEED=n`: one seed, or a range of them, through the simulated world.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tests::sim;

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
    let (from, seconds) = (number("FROM", 1), number("SECONDS", 60));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, worlds) = (AtomicU64::new(from), AtomicU64::new(0));
    let (paid, crashes, reversals) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let failed = AtomicU64::new(u64::MAX);
    let until = Instant::now() + Duration::from_secs(seconds);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while Instant::now() < until && failed.load(Ordering::Relaxed) == u64::MAX {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    match sim::run(seed, payments) {
                        Ok(ran) => {
                            worlds.fetch_add(1, Ordering::Relaxed);
                            paid.fetch_add(ran.payments, Ordering::Relaxed);
                            crashes.fetch_add(ran.crashes, Ordering::Relaxed);
                            reversals.fetch_add(ran.reversals, Ordering::Relaxed);
                        }
                        Err(story) => {
                            failed.fetch_min(seed, Ordering::Relaxed);
                            println!("{story}\n");
                        }
                    }
                }
            });
        }
    });
    println!(
        "seeds {from}..{}: {} worlds, {} payments, {} ends of the process, {} reversals, {} kinds of fault",
        next.into_inner(),
        worlds.into_inner(),
        paid.into_inner(),
        crashes.into_inner(),
        reversals.into_inner(),
        sim::Fault::ALL.len()
    );
    if failed.into_inner() == u64::MAX { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
