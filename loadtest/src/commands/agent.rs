//! `loadtest agent`: waits for controllers until a signal ends it.

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use super::{exit, fail, stop_on_signals};
use crate::agents::agent::serve;
use crate::cli::AgentArgs;

/// `loadtest agent`.
pub fn agent(args: &AgentArgs) -> ExitCode {
    let served = TcpListener::bind(&args.listen).and_then(|listener| {
        let stop = stop_on_signals()?;
        let _ = writeln!(io::stdout(), "agent listens on {}", listener.local_addr()?);
        serve(&listener, &stop)
    });
    match served {
        Ok(()) => ExitCode::from(exit::CLEAN),
        Err(error) => fail(exit::FAILED, &format!("{}: {error}", args.listen)),
    }
}
