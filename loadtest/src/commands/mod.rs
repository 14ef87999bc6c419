//! The commands: from arguments to an exit code, a file for each.

mod ab;
mod agent;
mod compare;
mod issuer;
mod outputs;
mod profiles;
mod record;
mod run;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::LoadArgs;
use crate::profile::Overrides;

pub use ab::ab;
pub use agent::agent;
pub use compare::compare;
pub use issuer::issuer;
pub use profiles::profiles;
pub use record::record;
pub use run::run;

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

/// What the command line sets instead of the profile.
fn overrides(connect: &[String], load: &LoadArgs) -> Overrides {
    Overrides {
        connect: connect.to_vec(),
        listen: None,
        rate: load.rate,
        seconds: load.seconds,
        arrivals: load.arrivals,
        closed: load.closed,
        connections: load.connections,
        workers: load.workers,
        seed: load.seed,
        dialect: load.dialect.clone(),
        framing: load.framing.clone(),
        shape: load.shape.clone(),
        warm_up: load.warm_up.clone(),
        cool_down: load.cool_down.clone(),
        patience: load.patience.clone(),
        spin: load.spin.clone(),
        replay: None,
        speed: None,
    }
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
