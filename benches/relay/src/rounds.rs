//! Interleaved rounds: every subject under every load once a round, in turning order, so that what the machine does
//! meanwhile meets all of them. The subject has one processor to itself, client and issuer share the other.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::{self, Load, Seen};
use crate::subject::{Running, Subject, free_address};
use crate::{system, table};

/// What is asked for.
pub struct Plan {
    pub switch: PathBuf,
    pub rounds: usize,
    pub seconds: f64,
    /// `CONNECTIONSxWINDOW` for closed loop, a number for requests a second in open loop, with commas between.
    pub loads: String,
}

/// What one run of one subject showed.
#[derive(Clone, Copy)]
pub struct Figures {
    pub rate: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub cpu_ns: f64,
}

/// Where the subject runs, and where everything else does.
const SUBJECT: usize = 0;
const OTHERS: usize = 1;

/// Runs all of it and prints a table per load.
pub fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let loads = plan.loads.split(',').map(|load| Ok((load, parse(load, plan.seconds)?)));
    let loads: Vec<(&str, Load)> = loads.collect::<Result<_, String>>()?;
    let subjects = Subject::all();
    println!("{} rounds of {} s, interleaved; every cell median (min to max)", plan.rounds, plan.seconds);
    for (name, load) in &loads {
        let mut figures = vec![Vec::new(); subjects.len()];
        for round in 0..plan.rounds {
            for turn in 0..subjects.len() {
                let place = (round + turn) % subjects.len();
                figures[place].push(once(subjects[place], load, plan)?);
            }
        }
        table::print(name, &subjects, &figures);
    }
    Ok(())
}

fn once(subject: Subject, load: &Load, plan: &Plan) -> io::Result<Figures> {
    let (listen, at) = (free_address()?, free_address()?);
    let has_two = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
    system::pin(has_two.then_some(OTHERS));
    let issuer = Running::issuer(at)?;
    // The floor gives up where nobody listens.
    drop(system::connect(at)?);
    // A child runs where its parent did when it was started.
    system::pin(has_two.then_some(SUBJECT));
    let running = subject.start(&plan.switch, listen, at)?;
    system::pin(has_two.then_some(OTHERS));
    wait_until_it_answers(listen)?;
    let seen = client::run(listen, load, running.id())?;
    drop((running, issuer));
    if seen.declined > 0 {
        return Err(io::Error::other(format!("{}: {} declined", subject.name(), seen.declined)));
    }
    Ok(figures(&seen))
}

/// The switch declines until its issuer's link is up: asks until an approval comes.
fn wait_until_it_answers(listen: std::net::SocketAddr) -> io::Result<()> {
    client::wait_for_approval(listen, Duration::from_secs(10))
}

fn figures(seen: &Seen) -> Figures {
    let us = |quantile| seen.times_ns.value_at_quantile(quantile) as f64 / 1e3;
    Figures { rate: seen.rate, p50_us: us(0.5), p99_us: us(0.99), p999_us: us(0.999), cpu_ns: seen.cpu_ns }
}

fn parse(load: &str, seconds: f64) -> Result<Load, String> {
    let wrong = || format!("a load is CONNECTIONSxWINDOW or a rate, not {load:?}");
    let (warm_up, time) = (Duration::from_millis(700), Duration::from_secs_f64(seconds));
    match load.split_once('x') {
        Some((connections, window)) => Ok(Load {
            connections: connections.parse().map_err(|_| wrong())?,
            window: window.parse().map_err(|_| wrong())?,
            rate: None,
            warm_up,
            time,
        }),
        None => Ok(Load {
            connections: 8,
            window: 0,
            rate: Some(load.parse().map_err(|_| wrong())?),
            warm_up,
            time,
        }),
    }
}
