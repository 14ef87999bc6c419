//! The floor that the switch is measured against, and what measures both.
//!
//!     relay prepare FOLDER [--switch PATH]      a token, cards and codes, for the rows with codes
//!     relay rounds [--switch PATH] [--codes FOLDER] [--shards 1] [--rounds 8] [--seconds 1.5] [--loads 64x1,...]
//!                  [--only PART OF A NAME]      rates, times and processor
//!     relay counts [the same]                   system calls and allocations
//!     relay growth [--switch PATH] [--rounds 8] [--seconds 1.5]
//!     relay issuer --listen ADDRESS
//!     relay floor --listen ADDRESS --issuer ADDRESS

mod arrivals;
mod client;
mod codes;
mod configuration;
mod counts;
mod floor;
mod frame;
mod growth;
mod issuer;
mod requests;
mod rounds;
mod subject;
mod system;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use pico_args::Arguments;

use codes::Codes;
use configuration::Shape;
use rounds::Plan;
use subject::Stand;

fn main() -> ExitCode {
    match run(Arguments::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    match arguments.subcommand()?.as_deref() {
        Some("issuer") => Ok(issuer::run(arguments.value_from_str("--listen")?)?),
        Some("floor") => {
            Ok(floor::run(arguments.value_from_str("--listen")?, arguments.value_from_str("--issuer")?)?)
        }
        Some("prepare") => {
            let switch = switch(&mut arguments)?;
            Ok(codes::prepare(&arguments.free_from_str::<PathBuf>()?, &switch)?)
        }
        Some("rounds") => rounds::run(&plan(arguments)?),
        Some("counts") => counts::run(plan(arguments)?),
        Some("growth") => growth::run(plan(arguments)?),
        _ => {
            Err("relay prepare | rounds | counts | growth | issuer | floor; see the head of src/main.rs"
                .into())
        }
    }
}

fn switch(arguments: &mut Arguments) -> Result<PathBuf, pico_args::Error> {
    Ok(arguments.opt_value_from_str("--switch")?.unwrap_or_else(|| "target/release/signalbox".into()))
}

fn plan(mut arguments: Arguments) -> Result<Plan, Box<dyn std::error::Error>> {
    let codes: Option<PathBuf> = arguments.opt_value_from_str("--codes")?;
    let shards = arguments.opt_value_from_str("--shards")?.unwrap_or(1);
    // Two shards need both processors, so that nobody is pinned.
    let pins = shards == 1 && std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
    let plan = Plan {
        stand: Stand {
            pins,
            switch: switch(&mut arguments)?,
            shape: Shape::with_shards(shards),
            codes: codes.map(|folder| Codes::open(&folder)).transpose()?.flatten(),
            environment: Vec::new(),
        },
        rounds: arguments.opt_value_from_str("--rounds")?.unwrap_or(8),
        seconds: arguments.opt_value_from_str("--seconds")?.unwrap_or(1.5),
        loads: arguments
            .opt_value_from_str("--loads")?
            .unwrap_or_else(|| "8x64,64x8,64x1,1x1,50000,200000".to_owned()),
        only: arguments.opt_value_from_str("--only")?.unwrap_or_default(),
    };
    let surplus = arguments.finish();
    if surplus.is_empty() { Ok(plan) } else { Err(format!("not understood: {surplus:?}").into()) }
}
