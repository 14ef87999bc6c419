//! The command line of the switch.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use switch::cards;
use switch::config::{self, ChangedBy, Config, Faults};
use switch::demo;
use switch::examine;
use switch::journal::trace::{self, Card, Opener, Wanted};
use switch::journal::{self, history::History};
use switch::keys;
use switch::log::{self, LogFormat};
use switch::run::{self, Ended, Fault};
use switch::say::{self, say};
use switch::token;

/// Exit codes of the one table (sysexits where it has them).
mod exit {
    pub(crate) const DAMAGED: u8 = 3;
    pub(crate) const STORE: u8 = 4;
    pub(crate) const KEY: u8 = 5;
    pub(crate) const USAGE: u8 = 64;
    pub(crate) const INTERNAL: u8 = 70;
    pub(crate) const CUT_SHORT: u8 = 75;
    pub(crate) const CONFIG: u8 = 78;
}

/// A card authorization switch: acquirers ask, issuers answer, ISO 8583 in between.
#[derive(Parser)]
#[command(name = "signalbox", version = switch::VERSION.as_str(), after_help = EXAMPLES, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How log lines look; text on a terminal, JSON elsewhere.
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormat>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the switch. SIGHUP reads the configuration again; SIGTERM finishes what runs and stops.
    Serve {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Read a configuration and the files it names as `serve` would, print every fault, and do nothing else.
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
    /// Follow a payment: everything that happened to it, with times per stage. Reads only, also beside a running switch.
    Trace(Trace),
    /// Check a journal: checksums, chain, and the laws its facts must keep. Reads only.
    Verify {
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        journal: PathBuf,
    },
    /// Check the console's audit log: that no line was changed, taken out or put elsewhere. Reads only.
    Audit {
        /// The log.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Show what is in force: every setting with its value, and whether a reload changes it.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write completions for a shell to standard output.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual page to standard output.
    #[command(hide = true)]
    Man,
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
    /// A process that has the token unwrap the journal's keys; started by the switch.
    #[command(hide = true)]
    HsmUnwrap {
        /// The process number of the switch.
        parent: u32,
    },
    /// Show it working: two model issuers, a fleet of terminals, a live line, a summary.
    Demo(demo::Arguments),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Every setting with the value in force: the file's, the environment's, or the default.
    Show {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// What is in force, which is all there is to show.
        #[arg(long)]
        effective: bool,
    },
}

/// Which payment, and from where. What is said together must fit together.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true)
    .args(["rrn", "stan", "trace", "card", "card_stdin"]))]
struct Trace {
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    journal: PathBuf,
    /// Retrieval reference number, DE 37.
    #[arg(long, value_name = "DIGITS")]
    rrn: Option<String>,
    /// Trace number, DE 11: the acquirer's, or the one its issuer was asked under.
    #[arg(long, value_name = "NUMBER")]
    stan: Option<u32>,
    /// The trace id that log lines carry.
    #[arg(long, value_name = "ID", value_parser = trace_id)]
    trace: Option<u128>,
    /// The card: its token as `export` shows it, or its masked number, such as 999996******0019.
    #[arg(long, value_name = "CARD", conflicts_with = "card_stdin", value_parser = trace_card)]
    card: Option<String>,
    /// The card, by its whole number, read from standard input: arguments are for everybody to see.
    #[arg(long)]
    card_stdin: bool,
    /// The journal's key: needed to find a card by its number, and to show it masked.
    #[arg(long, value_name = "FILE", conflicts_with = "module")]
    key_file: Option<PathBuf>,
    /// The same where a token wraps it: its PKCS#11 module,
    #[arg(long, value_name = "FILE", requires_all = ["token", "pin_file"])]
    module: Option<PathBuf>,
    /// its label,
    #[arg(long, value_name = "LABEL", requires = "module")]
    token: Option<String>,
    /// and the file with its PIN.
    #[arg(long, value_name = "FILE", requires = "module")]
    pin_file: Option<PathBuf>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

fn trace_id(text: &str) -> Result<u128, String> {
    let id = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
    id.ok_or_else(|| "a trace id has 32 hexadecimal digits".to_owned())
}

fn trace_card(text: &str) -> Result<String, String> {
    // What is wrong with it is said without it: it may be a card number.
    Card::parse(text).map(|_| text.to_owned())
}

const EXAMPLES: &str = "\
Examples:
  signalbox demo --seconds 10 --rate 2000
  signalbox check --config signalbox.toml
  signalbox serve --config signalbox.toml
  signalbox export --journal signalbox-data > payments.jsonl
  signalbox verify --journal signalbox-data
  signalbox trace --journal signalbox-data --rrn 000000000007
  signalbox config show --effective --config signalbox.toml
  signalbox completions bash > /etc/bash_completion.d/signalbox
  signalbox keys list --module libsofthsm2.so --token switch --pin-file pin
  signalbox cards enrol cards.jsonl --token-file access.token

Every setting can be overridden by the environment: SIGNALBOX__SWITCH__SHARDS=2
Exit codes: 0 clean, 3 journal damaged, 4 store error, 5 token or keys not to be had, 64 usage, 65 cards refused, 69 no switch answers,
70 internal fault or broken law, 75 stop cut short, 78 configuration, 141 nobody reads the output any more";

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
            load(&config).and_then(|sound| serve(sound, config)).unwrap_or_else(|code| code)
        }
        Command::Check { config } => load(&config).map_or_else(|code| code, |config| approve(&config)),
        Command::Keys(command) => keys::run(&command),
        Command::Cards(arguments) => cards::run(&arguments),
        Command::Export { journal } => export(&journal),
        Command::Verify { journal } => verify(&journal),
        Command::HsmLauncher { parent } => token::launch(parent),
        Command::HsmWorker { parent } => token::work(parent),
        Command::HsmUnwrap { parent } => token::answer_unwrap(parent),
        Command::Trace(arguments) => trace(arguments).unwrap_or_else(|code| code),
        Command::Audit { file } => audit(&file),
        Command::Config(ConfigCommand::Show { config, effective: _ }) => {
            load(&config).map_or_else(|code| code, |config| show(&config))
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "signalbox", &mut script);
            say::ended(std::io::stdout().write_all(&script), ExitCode::SUCCESS)
        }
        Command::Man => manual(),
        Command::Demo(arguments) => demo::run(&arguments),
    }
}

fn load(path: &Path) -> Result<Config, ExitCode> {
    read(path).map_err(|faults| {
        eprint!("{faults}");
        exit::CONFIG.into()
    })
}

fn read(path: &Path) -> Result<Config, Faults> {
    // A variable that is no UTF-8 is none of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    config::load(path, environment)
}

fn approve(config: &Config) -> ExitCode {
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    let faults = examine::faults(config);
    if !faults.is_empty() {
        eprintln!("{}", faults.join("\n"));
        return exit::CONFIG.into();
    }
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let sound = format!(
        "sound: {}, {}, {}",
        counted(config.acquirers.len(), "acquirer"),
        counted(config.issuers.len(), "issuer"),
        counted(config.routes.len(), "route")
    );
    say(sound, ExitCode::SUCCESS)
}

/// In the order of the example file. What needs a restart is marked.
fn show(config: &Config) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let written = config::settings(config).iter().try_for_each(|setting| {
        let mark = if setting.changed_by == ChangedBy::Restart { "  # restart" } else { "" };
        writeln!(out, "{} = {}{mark}", setting.path, setting.value)
    });
    say::ended(written, ExitCode::SUCCESS)
}

fn manual() -> ExitCode {
    let written = clap_mangen::Man::new(Arguments::command()).render(&mut std::io::stdout());
    say::ended(written, ExitCode::SUCCESS)
}

fn audit(file: &Path) -> ExitCode {
    match switch::console::audit::verify(file) {
        Ok(found) => {
            let (lines, hash, torn) = (found.lines, found.last_hash, found.torn_bytes);
            say(format!("lines {lines}\nlast_hash {hash}\ntorn_bytes {torn}"), ExitCode::SUCCESS)
        }
        Err(why) => {
            eprintln!("{why}");
            exit::DAMAGED.into()
        }
    }
}

fn read_history(directory: &Path) -> Result<History, ExitCode> {
    History::read(directory).map_err(|fault| unreadable(&fault))
}

fn unreadable(fault: &journal::Fault) -> ExitCode {
    eprintln!("{fault}");
    match fault {
        journal::Fault::Damaged { .. } | journal::Fault::Older { .. } => exit::DAMAGED.into(),
        journal::Fault::Store(_) => exit::STORE.into(),
        journal::Fault::Config(_) => exit::CONFIG.into(),
        journal::Fault::Key(_) => exit::KEY.into(),
    }
}

fn trace(arguments: Trace) -> Result<ExitCode, ExitCode> {
    let usage = |why: &str| {
        eprintln!("{why}");
        ExitCode::from(exit::USAGE)
    };
    let card = match (arguments.card.as_deref().map(Card::parse), arguments.card_stdin) {
        (None, false) => None,
        (Some(card), _) => Some(card.map_err(|why| usage(&why))?),
        (None, true) => {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map_err(|error| usage(&error.to_string()))?;
            let number = trace::card_number(&line);
            Some(number.ok_or_else(|| usage("standard input has no card number"))?)
        }
    };
    let Trace { journal, rrn, stan, trace, key_file, module, token, pin_file, json, .. } = arguments;
    let opener = match (module, token, pin_file) {
        (Some(module), Some(token), Some(pin_file)) => {
            Some(Opener::Token(keys::TokenArguments { module, token, pin_file }))
        }
        _ => key_file.map(Opener::File),
    };
    let wanted = Wanted { trace, rrn, stan, card, since_us: None };
    let stories = trace::read(&journal, opener.as_ref(), &wanted).map_err(|fault| unreadable(&fault))?;
    if stories.is_empty() {
        eprintln!("nothing of it is in this journal");
    }
    let mut out = std::io::stdout().lock();
    let written = stories.iter().try_for_each(|story| match json {
        true => writeln!(out, "{}", story.said()),
        false => writeln!(out, "{story}"),
    });
    Ok(say::ended(written, ExitCode::SUCCESS))
}

fn export(directory: &Path) -> ExitCode {
    let written = read_history(directory).map(|history| {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        history.export(&mut out).and_then(|()| out.flush())
    });
    written.map_or_else(|code| code, |written| say::ended(written, ExitCode::SUCCESS))
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
    let found = format!(
        "facts {}\nsnapshots {}\ntorn_bytes {}\nin_doubt {in_doubt}\nreversals_waiting {undoings}\nstate_hash {}",
        history.facts,
        history.snapshots,
        history.torn_bytes,
        history.state_hash()
    );
    say(found, if broken.is_empty() { ExitCode::SUCCESS } else { exit::INTERNAL.into() })
}

fn serve(config: Config, path: PathBuf) -> Result<ExitCode, ExitCode> {
    match run::run(config, Box::new(move || read(&path))) {
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
        Err(Fault::Key(fault)) => {
            eprintln!("{fault}");
            Err(exit::KEY.into())
        }
        Err(Fault::Internal(fault)) => {
            tracing::error!(%fault, "the switch stops");
            Err(exit::INTERNAL.into())
        }
    }
}
