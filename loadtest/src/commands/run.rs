//! `loadtest run`: one run of a profile, its report and its files.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use super::outputs::Outputs;
use super::{exit, fail, stop_on_signals};
use crate::acquirer::{self, RunError};
use crate::cli::RunArgs;
use crate::profile::{Overrides, Profile};
use crate::report::Report;
use crate::report::conditions::Conditions;
use crate::report::live::Live;
use crate::report::series::SecondRow;
use crate::report::text::{self, Ink};

/// `loadtest run`.
pub fn run(args: &RunArgs) -> ExitCode {
    match measure(args) {
        Ok(code) => ExitCode::from(code),
        Err((code, error)) => fail(code, &error),
    }
}

fn measure(args: &RunArgs) -> Result<u8, (u8, String)> {
    let failed = |error: &dyn std::fmt::Display| (exit::FAILED, error.to_string());
    let profile =
        Profile::load(&args.profile, &overrides(args)).map_err(|error| (exit::CONFIG, error.to_string()))?;
    let stop = stop_on_signals().map_err(|error| failed(&error))?;
    let mut outputs = Outputs::open(args).map_err(|error| failed(&error))?;
    let (mut out, terminal): (Box<dyn Write>, bool) = if outputs.take_stdout() {
        (Box::new(io::stderr()), io::stderr().is_terminal())
    } else {
        (Box::new(io::stdout()), io::stdout().is_terminal())
    };
    let ink = Ink::new(terminal);

    let mut rows = Vec::new();
    let mut live = Live::new(&mut out, terminal, ink);
    let outcome = acquirer::run(&profile, &stop, |second| {
        let row = SecondRow::of(second);
        outputs.second(second);
        if !args.quiet {
            // Whoever reads the lines may go away; the run goes on.
            let _ = live.show(&row);
        }
        rows.push(row);
    });
    if !args.quiet {
        let _ = live.end();
    }
    let outcome = outcome.map_err(|error| match error {
        RunError::Mix(_) => (exit::CONFIG, error.to_string()),
        RunError::Start(_) => failed(&error),
    })?;
    let report = Report::new(&profile, &outcome, rows, &args.threshold, Conditions::here());
    let _ = write!(out, "{}", text::render(&report, ink)).and_then(|()| out.flush());
    outputs.finish(&report).map_err(|error| failed(&error))?;
    Ok(match (report.interrupted, report.passed()) {
        (true, _) => exit::INTERRUPTED,
        (false, false) => exit::THRESHOLD,
        (false, true) => exit::CLEAN,
    })
}

fn overrides(args: &RunArgs) -> Overrides {
    Overrides {
        connect: args.connect.clone(),
        rate: args.rate,
        seconds: args.seconds,
        arrivals: args.arrivals,
        closed: args.closed,
        connections: args.connections,
        workers: args.workers,
        seed: args.seed,
        dialect: args.dialect.clone(),
        framing: args.framing.clone(),
        patience: args.patience.clone(),
        spin: args.spin.clone(),
    }
}
