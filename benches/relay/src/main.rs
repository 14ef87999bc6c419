//! The floor that the switch is measured against, and the rounds that measure both.
//!
//!     relay rounds [--switch PATH] [--rounds 8] [--seconds 2] [--loads 64x1,64x8,8x64,1x1,50000]
//!     relay issuer --listen ADDRESS
//!     relay floor --listen ADDRESS --issuer ADDRESS

mod client;
mod floor;
mod frame;
mod issuer;
mod rounds;
mod subject;
mod system;
mod table;

use std::process::ExitCode;

use pico_args::Arguments;

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
        Some("rounds") => rounds::run(&rounds::Plan {
            switch: arguments
                .opt_value_from_str("--switch")?
                .unwrap_or_else(|| "target/release/signalbox".into()),
            rounds: arguments.opt_value_from_str("--rounds")?.unwrap_or(8),
            seconds: arguments.opt_value_from_str("--seconds")?.unwrap_or(2.0),
            loads: arguments
                .opt_value_from_str("--loads")?
                .unwrap_or_else(|| "64x1,64x8,8x64,1x1,50000".to_owned()),
        }),
        _ => Err("relay rounds | issuer | floor; see the head of src/main.rs".into()),
    }
}
