//! `loadtest`: arguments in, exit code out. The work is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use loadtest::cli::{Cli, Command};
use loadtest::commands::{self, exit};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::CLEAN });
        }
    };
    match &cli.command {
        Command::Run(args) => commands::run(args),
        Command::Ab(args) => commands::ab(args),
        Command::Agent(args) => commands::agent(args),
        Command::Compare(args) => commands::compare(args),
        Command::Issuer(args) => commands::issuer(args),
        Command::Record(args) => commands::record(args),
        Command::Profiles(args) => commands::profiles(args),
    }
}
