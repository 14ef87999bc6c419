//! The two commands: from arguments to an exit code.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::acquirer::{self, RunError};
use crate::cli::{IssuerArgs, RunArgs};
use crate::issuer::behaviour::Faults;
use crate::issuer::{Issuer, IssuerConfig};
use crate::profile::{self, Overrides, Profile};
use crate::report::Report;
use crate::report::conditions::Conditions;
use crate::report::figures::SecondRow;
use crate::report::live::Live;
use crate::report::text::{self, Ink};
use crate::units;

/// Exit codes, from the one table that the project has.
pub mod exit {
    /// Done.
    pub const CLEAN: u8 = 0;
    /// The command line is wrong.
    pub const USAGE: u8 = 64;
    /// The run could not take place: nobody listens, no thread.
    pub const FAILED: u8 = 70;
    /// The profile is wrong.
    pub const CONFIG: u8 = 78;
    /// A threshold failed.
    pub const THRESHOLD: u8 = 99;
    /// Stopped by a signal; the report is partial.
    pub const INTERRUPTED: u8 = 130;
}

/// `loadtest run`.
pub fn run(args: &RunArgs) -> ExitCode {
    let profile = match Profile::load(&args.profile, &overrides(args)) {
        Ok(profile) => profile,
        Err(error) => return fail(exit::CONFIG, &error),
    };
    let stop = match stop_on_signals() {
        Ok(stop) => stop,
        Err(error) => return fail(exit::FAILED, &error),
    };
    // A report that goes to standard output must be alone there.
    let json_to_stdout = args.json.as_deref() == Some(Path::new("-"));
    let (mut out, terminal): (Box<dyn Write>, bool) = if json_to_stdout {
        (Box::new(io::stderr()), io::stderr().is_terminal())
    } else {
        (Box::new(io::stdout()), io::stdout().is_terminal())
    };
    let ink = Ink::new(terminal);

    let mut rows = Vec::new();
    let mut live = Live::new(&mut out, terminal, ink);
    let outcome = acquirer::run(&profile, &stop, |second| {
        let row = SecondRow::of(second);
        rows.push(row);
        if !args.quiet {
            // Whoever reads the lines may go away; the run goes on.
            let _ = live.show(&row);
        }
    });
    if !args.quiet {
        let _ = live.end();
    }
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error @ RunError::Mix(_)) => return fail(exit::CONFIG, &error),
        Err(error @ RunError::Start(_)) => return fail(exit::FAILED, &error),
    };
    let report = Report::new(&profile, &outcome, rows, &args.threshold, Conditions::here());
    let _ = write!(out, "{}", text::render(&report, ink)).and_then(|()| out.flush());
    if let Some(path) = &args.json
        && let Err(error) = write_json(&report, path)
    {
        return fail(exit::FAILED, &format!("{}: {error}", path.display()));
    }
    ExitCode::from(match (report.interrupted, report.passed()) {
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

fn write_json(report: &Report, path: &Path) -> io::Result<()> {
    let mut out: Box<dyn Write> =
        if path == Path::new("-") { Box::new(io::stdout()) } else { Box::new(File::create(path)?) };
    serde_json::to_writer_pretty(&mut out, report)?;
    writeln!(out)?;
    out.flush()
}

/// `loadtest issuer`.
pub fn issuer(args: &IssuerArgs) -> ExitCode {
    let config = match issuer_config(args) {
        Ok(config) => config,
        Err(error) => return fail(exit::USAGE, &error),
    };
    let signals = match stop_on_signals() {
        Ok(signals) => signals,
        Err(error) => return fail(exit::FAILED, &error),
    };
    let issuer = match Issuer::start(config) {
        Ok(issuer) => issuer,
        Err(error) => return fail(exit::FAILED, &error),
    };
    for address in issuer.addresses() {
        let _ = writeln!(io::stdout(), "issuer {} listens on {address}", args.name);
    }
    for address in &args.connect {
        let _ = writeln!(io::stdout(), "issuer {} connects to {address}", args.name);
    }
    let stop = issuer.stop_flag();
    while !signals.load(Ordering::Relaxed) && !issuer.is_over() {
        std::thread::sleep(Duration::from_millis(20));
    }
    stop.store(true, Ordering::Relaxed);
    match issuer.wait() {
        Ok(summary) => {
            let _ = writeln!(io::stdout(), "{summary}");
            ExitCode::from(exit::CLEAN)
        }
        Err(error) => fail(exit::FAILED, &error),
    }
}

fn issuer_config(args: &IssuerArgs) -> Result<IssuerConfig, String> {
    let length = args.seconds.map(Duration::try_from_secs_f64).transpose();
    Ok(IssuerConfig {
        name: args.name.clone(),
        listen: args.listen.clone(),
        connect: args.connect.clone(),
        dialect: profile::dialect(&args.dialect)?,
        framing: units::framing(&args.framing)?,
        latency: args.latency,
        declines: args.decline.clone(),
        faults: Faults {
            silent: args.silent,
            late: args.late,
            double: args.double,
            wrong_key: args.wrong_key,
        },
        stalls: args.stall,
        seed: args.seed,
        length: length.map_err(|error| format!("--seconds: {error}"))?,
    })
}

/// A flag that SIGINT and SIGTERM set. A second signal ends the process at once.
fn stop_on_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Listening before the thread runs: a signal at once must not be the default end.
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new().name("signals".to_string()).spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if theirs.swap(true, Ordering::Relaxed) {
                    std::process::exit(i32::from(exit::INTERRUPTED));
                }
            }
        });
    })?;
    Ok(stop)
}

fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("loadtest: {error}");
    ExitCode::from(code)
}
