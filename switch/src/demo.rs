//! The main job with one command.

use std::process::ExitCode;

/// What the demonstration is asked for.
#[derive(clap::Args)]
pub struct Arguments {
    /// How long the terminals ask.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many requests a second.
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
}

/// Runs it.
pub fn run(_: &Arguments) -> ExitCode {
    ExitCode::SUCCESS
}
