//! `loadtest ab`: two hosts in turn, A B, B A, A B, ..., and the differences of each pair.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use super::compare::{table, verdicts};
use super::{exit, fail, overrides, stop_on_signals};
use crate::acquirer::{self, RunError};
use crate::cli::AbArgs;
use crate::compare::{Change, Run};
use crate::paired::paired;
use crate::profile::Profile;
use crate::report::conditions::Conditions;
use crate::report::series::SecondRow;
use crate::report::text::{self, Ink};
use crate::report::{Report, SCHEMA_VERSION};

/// Between two runs.
const BETWEEN_RUNS: Duration = Duration::from_millis(200);

/// What `--json` holds.
#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    conditions: Conditions,
    /// Whether the generator fell behind in any round.
    generator_bound: bool,
    changes: &'a [Change],
    /// Of each round, A before B.
    rounds: &'a [(Report, Report)],
}

/// `loadtest ab`.
pub fn ab(args: &AbArgs) -> ExitCode {
    match alternate(args) {
        Ok(code) => ExitCode::from(code),
        Err((code, error)) => fail(code, &error),
    }
}

fn alternate(args: &AbArgs) -> Result<u8, (u8, String)> {
    let load = |connect| {
        Profile::load(&args.profile, &overrides(connect, &args.load))
            .map_err(|error| (exit::CONFIG, error.to_string()))
    };
    let (a, b) = (load(&args.a)?, load(&args.b)?);
    if !a.programs.is_empty() {
        let why = "ab: codes are good for one run, so a profile with programs cannot be run again and again";
        return Err((exit::USAGE, why.to_string()));
    }
    let failed = |error: &dyn std::fmt::Display| (exit::FAILED, error.to_string());
    let stop = stop_on_signals().map_err(|error| failed(&error))?;
    let ink = Ink::new(io::stdout().is_terminal());
    let mut out = io::stdout();
    let mut rounds: Vec<(Report, Report)> = Vec::new();
    for round in 1..=args.rounds {
        // Who goes first changes, so that neither host always finds the machine as the other left it.
        let pair = if round % 2 == 1 {
            let first = run(&a, &stop)?;
            (first, run(&b, &stop)?)
        } else {
            let first = run(&b, &stop)?;
            (run(&a, &stop)?, first)
        };
        if pair.0.interrupted || pair.1.interrupted {
            return Err((exit::INTERRUPTED, "interrupted: no comparison was made".to_string()));
        }
        let _ = writeln!(out, "{}", line(round, &pair, ink));
        rounds.push(pair);
    }
    let runs: Vec<(Run, Run)> = rounds
        .iter()
        .map(|(a, b)| Ok((facts(a)?, facts(b)?)))
        .collect::<Result<_, String>>()
        .map_err(|error| failed(&error))?;
    let changes = paired(&runs);
    let bound = rounds.iter().any(|(a, b)| a.generator.generator_bound || b.generator.generator_bound);
    let mut text =
        format!("\n  B against A in {} rounds; noise: how far the mean difference is known\n", rounds.len());
    text.push_str(&table(&changes, ink));
    if bound {
        let words = "GENERATOR-BOUND in some rounds: the figures are not about the hosts";
        text.push_str(&format!("  generator   {}\n", ink.bad(words)));
    }
    let caught = verdicts(&mut text, &args.fail_on, &changes, ink);
    let _ = write!(out, "{text}");
    if let Some(path) = &args.json {
        let document = Document {
            schema_version: SCHEMA_VERSION,
            conditions: Conditions::here(),
            generator_bound: bound,
            changes: &changes,
            rounds: &rounds,
        };
        let json = serde_json::to_vec_pretty(&document).map_err(|error| failed(&error))?;
        std::fs::write(path, json).map_err(|error| failed(&format!("{}: {error}", path.display())))?;
    }
    Ok(if caught { exit::THRESHOLD } else { exit::CLEAN })
}

/// One run of one host.
fn run(profile: &Profile, stop: &Arc<AtomicBool>) -> Result<Report, (u8, String)> {
    let mut rows = Vec::new();
    let outcome = acquirer::run(profile, stop, |second| rows.push(SecondRow::of(second)));
    let outcome = outcome.map_err(|error| match error {
        RunError::Mix(_) => (exit::CONFIG, error.to_string()),
        RunError::Start(_) => (exit::FAILED, error.to_string()),
    })?;
    std::thread::sleep(BETWEEN_RUNS);
    Ok(Report::new(profile, &outcome, rows, &[], Conditions::here()))
}

/// The report as `compare` would read it.
fn facts(report: &Report) -> Result<Run, String> {
    let value = serde_json::to_value(report).map_err(|error| error.to_string())?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn line(round: u16, (a, b): &(Report, Report), ink: Ink) -> String {
    let side = |name: &str, report: &Report| {
        let bound =
            if report.generator.generator_bound { ink.bad(" GENERATOR-BOUND") } else { String::new() };
        let (p50, p99) = (text::time(report.response.p50_ns), text::time(report.response.p99_ns));
        format!("{name}  p50 {p50:>8}  p99 {p99:>8}{bound}")
    };
    format!("round {round:>3}   {}   {}", side("A", a), side("B", b))
}
