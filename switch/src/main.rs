//! The command line of the switch.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use switch::cards;
use switch::config::{self, Config};
use switch::demo;
use switch::journal::{self, history::History};
use switch::keys;
use switch::log::{self, LogFormat};
use switch::run::{self, Ended, Fault};
use switch::token;

/// Exit codes of the one table (sysexits where it has them).
mod exit {
    pub(crate) const DAMAGED: u8 = 3;
    pub(crate) const STORE: u8 = 4;
    pub(crate) const USAGE: u8 = 64;
    pub(crate) const INTERNAL: u8 = 70;
    pub(crate) const CUT_SHORT: u8 = 75;
    pub(crate) const CONFIG: u8 = 78;
}

/// A card authorization switch: acquirers ask, issuers answer, ISO 8583 in between.
#[derive(Parser)]
#[command(name = "signalbox", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How log lines look; text on a terminal, JSON elsewhere.
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormat>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the switch. SIGTERM finishes what runs and stops.
    Serve {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Read a configuration as `serve` would, print every fault with its line, and do nothing else.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Make a PKCS#11 token ready: initialise it, make keys, list them.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Enrol cards, issue bundles, make challenges, look: JSON lines through the /v1 of a running switch.
    Cards(cards::Arguments),
    /// Write every request of a journal and what became of it, as JSON lines. Reads only.
    Export {
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        journal: PathBuf,
    },
    /// Check a journal: checksums, chain, and the laws its facts must keep. Reads only.
    Verify {
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        journal: PathBuf,
    },
    /// The process that starts the token's workers; started by the switch.
    #[command(hide = true)]
    HsmLauncher {
        /// The process number of the switch.
        parent: u32,
    },
    /// A process that holds the token; started by the launcher.
    #[command(hide = true)]
    HsmWorker {
        /// The process number of the launcher.
        parent: u32,
    },
    /// Show it working: two model issuers, a fleet of terminals, a live line, a summary.
    Demo(demo::Arguments),
}

const EXAMPLES: &str = "\
Examples:
  signalbox demo --seconds 10 --rate 2000
  signalbox check --config signalbox.toml
  signalbox serve --config signalbox.toml
  signalbox export --journal signalbox-data > payments.jsonl
  signalbox verify --journal signalbox-data
  signalbox keys list --module libsofthsm2.so --token switch --pin-file pin
  signalbox cards enrol cards.jsonl --token-file access.token

Every setting can be overridden by the environment: SIGNALBOX__SWITCH__SHARDS=2
Exit codes: 0 clean, 3 journal damaged, 4 store error, 64 usage, 65 cards refused, 69 no switch answers,
70 internal fault or broken law, 75 stop cut short, 78 configuration";

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    log::hide_panics();
    match arguments.command {
        Command::Serve { config } => {
            let _lines = log::start(arguments.log_format);
            load(&config).and_then(serve).unwrap_or_else(|code| code)
        }
        Command::Check { config } => load(&config).map_or_else(|code| code, |config| approve(&config)),
        Command::Keys(command) => keys::run(&command),
        Command::Cards(arguments) => cards::run(&arguments),
        Command::Export { journal } => export(&journal),
        Command::Verify { journal } => verify(&journal),
        Command::HsmLauncher { parent } => token::launch(parent),
        Command::HsmWorker { parent } => token::work(parent),
        Command::Demo(arguments) => demo::run(&arguments),
    }
}

fn load(path: &Path) -> Result<Config, ExitCode> {
    // A variable that is no UTF-8 is none of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    config::load(path, environment).map_err(|faults| {
        eprint!("{faults}");
        exit::CONFIG.into()
    })
}

fn approve(config: &Config) -> ExitCode {
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    println!(
        "sound: {} acquirers, {} issuers, {} routes",
        config.acquirers.len(),
        config.issuers.len(),
        config.routes.len()
    );
    ExitCode::SUCCESS
}

fn read_history(directory: &Path) -> Result<History, ExitCode> {
    History::read(directory).map_err(|fault| {
        eprintln!("{fault}");
        match fault {
            journal::Fault::Damaged { .. } | journal::Fault::Older { .. } => exit::DAMAGED.into(),
            journal::Fault::Store(_) => exit::STORE.into(),
            journal::Fault::Config(_) => exit::CONFIG.into(),
        }
    })
}

fn export(directory: &Path) -> ExitCode {
    let written = read_history(directory).map(|history| {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        history.export(&mut out).and_then(|()| out.flush())
    });
    match written {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("cannot write: {error}");
            exit::STORE.into()
        }
        Err(code) => code,
    }
}

fn verify(directory: &Path) -> ExitCode {
    let history = match read_history(directory) {
        Ok(history) => history,
        Err(code) => return code,
    };
    let broken = history.broken();
    for law in &broken {
        eprintln!("broken: {law}");
    }
    let (in_doubt, undoings) = history.open();
    println!("facts {}", history.facts);
    println!("snapshots {}", history.snapshots);
    println!("torn_bytes {}", history.torn_bytes);
    println!("in_doubt {in_doubt}");
    println!("reversals_waiting {undoings}");
    println!("state_hash {}", history.state_hash());
    if broken.is_empty() { ExitCode::SUCCESS } else { exit::INTERNAL.into() }
}

fn serve(config: Config) -> Result<ExitCode, ExitCode> {
    match run::run(config) {
        Ok(Ended::Clean) => Ok(ExitCode::SUCCESS),
        Ok(Ended::CutShort(_)) => Err(exit::CUT_SHORT.into()),
        Err(Fault::Config(fault)) => {
            eprintln!("{fault}");
            Err(exit::CONFIG.into())
        }
        Err(Fault::Damaged(fault)) => {
            eprintln!("{fault}");
            Err(exit::DAMAGED.into())
        }
        Err(Fault::Store(fault)) => {
            eprintln!("{fault}");
            Err(exit::STORE.into())
        }
        Err(Fault::Internal(fault)) => {
            tracing::error!(%fault, "the switch stops");
            Err(exit::INTERNAL.into())
        }
    }
}
