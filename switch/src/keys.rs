//! `signalbox keys`: a token made ready by its custodians. Not a part of the running switch.

mod deliver;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use hsm::Secret;
use hsm::token::{Ceremony, Surveyed, Token, Usage, Verdict, initialise};

/// What is to be done with a token.
#[derive(Subcommand)]
pub enum Command {
    /// Initialise a token in the first free slot of the module.
    Init {
        /// Which token.
        #[command(flatten)]
        token: TokenArguments,
        /// The file with the security officer's PIN.
        #[arg(long, value_name = "FILE")]
        officer_pin_file: PathBuf,
    },
    /// Have the token make a key that nobody ever sees. Prints its check value.
    Generate {
        /// Which token.
        #[command(flatten)]
        token: TokenArguments,
        /// Which key.
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Put a key on the token whose value is known: for tests, because whoever has seen it can make its codes.
    Import {
        /// Which token.
        #[command(flatten)]
        token: TokenArguments,
        /// Which key.
        #[command(flatten)]
        key: KeyArguments,
        /// The file with the value, 32 hexadecimal digits.
        #[arg(long, value_name = "FILE")]
        danger_clear_file: PathBuf,
    },
    /// Seal the private counters of bundles to the keys of the devices that are to have them (HPKE, RFC 9180).
    #[command(after_help = deliver::HELP)]
    Deliver {
        /// Which token.
        #[command(flatten)]
        token: TokenArguments,
        /// The label of the master key: one of usage rotating-atc-session.
        #[arg(long, value_name = "LABEL")]
        label: String,
        /// Its check value.
        #[arg(long, value_name = "HEX")]
        check_value: String,
        /// Let the key be modifiable: for development.
        #[arg(long)]
        modifiable_key: bool,
        /// One JSON object on each line; standard input without a file.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Try what the switch would ask of a module: what it lists, what works, and how fast.
    Probe {
        /// Which token. Keys of known value are made in its session, none on it.
        #[command(flatten)]
        token: TokenArguments,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// List the keys with their check values, and what each is good for.
    List {
        /// Which token.
        #[command(flatten)]
        token: TokenArguments,
    },
}

/// Which token.
#[derive(Args)]
pub struct TokenArguments {
    /// The PKCS#11 module's library, or "devtoken": the development token, in the folder that SIGNALBOX_DEVTOKEN names.
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// The token's label.
    #[arg(long, value_name = "LABEL")]
    token: String,
    /// The file with the user PIN in its first line.
    #[arg(long, value_name = "FILE")]
    pin_file: PathBuf,
}

/// Which key.
#[derive(Args)]
pub struct KeyArguments {
    /// Its label on the token.
    #[arg(long, value_name = "LABEL")]
    label: String,
    /// What it is for; it can be used for nothing else.
    #[arg(long, value_enum)]
    usage: KeyUsage,
}

/// What a key is for.
#[derive(Clone, Copy, ValueEnum)]
enum KeyUsage {
    /// Private counters of rotating ATCs.
    RotatingAtc,
    /// The same, for a program with exposure "session".
    RotatingAtcSession,
    /// Account keys of challenge responses.
    Challenge,
}

impl From<KeyUsage> for Usage {
    fn from(usage: KeyUsage) -> Usage {
        match usage {
            KeyUsage::RotatingAtc => Usage::CounterMaster,
            KeyUsage::RotatingAtcSession => Usage::ExposedCounterMaster,
            KeyUsage::Challenge => Usage::ResponseMaster,
        }
    }
}

/// Does it. Results go to stdout, faults to stderr.
#[must_use]
pub fn run(command: &Command) -> ExitCode {
    match perform(command) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("signalbox keys: {why}");
            ExitCode::from(78)
        }
    }
}

fn perform(command: &Command) -> Result<String, String> {
    match command {
        Command::Init { token, officer_pin_file } => {
            let (officer, user) = (first_line(officer_pin_file)?, first_line(&token.pin_file)?);
            initialise(&token.module, &token.token, &officer, &user).map_err(|why| why.to_string())?;
            Ok(format!("token {:?} initialised", token.token))
        }
        Command::Generate { token, key } => {
            let made = open(token)?.generate(&key.label, key.usage.into());
            made.map(|check_value| format!("{} {check_value}", key.label)).map_err(|why| why.to_string())
        }
        Command::Import { token, key, danger_clear_file } => {
            eprintln!("signalbox keys: this key's value was in the clear; use it for tests only");
            let value = hexadecimal(danger_clear_file)?;
            let made = open(token)?.danger_import_clear(&key.label, key.usage.into(), &value);
            made.map(|check_value| format!("{} {check_value}", key.label)).map_err(|why| why.to_string())
        }
        Command::Deliver { token, label, check_value, modifiable_key, file } => {
            deliver::deliver(token, label, check_value, *modifiable_key, file.as_deref())
        }
        Command::Probe { token, json } => {
            let opened = Token::open(&token.module, &token.token, &first_line(&token.pin_file)?);
            let surveyed = opened.map_err(|why| why.to_string())?.survey().map_err(|why| why.to_string())?;
            Ok(if *json { survey_as_json(&surveyed) } else { survey_as_text(&surveyed) })
        }
        Command::List { token } => {
            let listed = open(token)?.list().map_err(|why| why.to_string())?;
            let line = |key: &hsm::token::Listed| {
                let check_value = key.check_value.map_or("------".to_owned(), |value| value.to_string());
                let usage = match &key.usages {
                    Ok(usages) => {
                        usages.iter().map(|usage| format!("{usage:?}")).collect::<Vec<_>>().join(" or ")
                    }
                    Err(why) => format!("not usable: {why}"),
                };
                format!("{check_value}  {:<32} {usage}", key.label)
            };
            Ok(listed.iter().map(line).collect::<Vec<_>>().join("\n"))
        }
    }
}

fn survey_as_text(surveyed: &[Surveyed]) -> String {
    let mut text = format!("{:<26} {:<20} listed {:>12}  outcome", "mechanism", "used as", "a second");
    for line in surveyed {
        let Surveyed { mechanism, is_listed, verdict, .. } = line;
        let (used_as, listed) = (line.capability.to_string(), if *is_listed { "yes" } else { "no" });
        let rate = line.per_second.map_or(String::from("-"), |rate| format!("{rate:.0}"));
        text.push_str(&format!("\n{mechanism:<26} {used_as:<20} {listed:<6} {rate:>12}  {verdict}"));
    }
    text
}

fn survey_as_json(surveyed: &[Surveyed]) -> String {
    let line = |line: &Surveyed| {
        serde_json::json!({
            "mechanism": line.mechanism,
            "used_as": line.capability.to_string(),
            "listed": line.is_listed,
            "works": line.verdict == Verdict::Works,
            "outcome": line.verdict.to_string(),
            "per_second": line.per_second.map(f64::round),
        })
    };
    serde_json::Value::Array(surveyed.iter().map(line).collect()).to_string()
}

fn open(token: &TokenArguments) -> Result<Ceremony, String> {
    let pin = first_line(&token.pin_file)?;
    Ceremony::open(&token.module, &token.token, &pin).map_err(|why| why.to_string())
}

/// The first line of a file that holds a secret.
pub(crate) fn first_line(path: &Path) -> Result<Secret, String> {
    let mut bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let secret = Secret::new(bytes[..line].to_vec());
    bytes.fill(0);
    Ok(secret)
}

fn hexadecimal(path: &Path) -> Result<Secret, String> {
    let mut text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let digit = |byte: &u8| (*byte as char).to_digit(16).map(|digit| digit as u8);
    let digits: Option<Vec<u8>> = text.trim_ascii().iter().map(digit).collect();
    text.fill(0);
    match digits {
        Some(mut digits) if digits.len() == 32 => {
            let value = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
            digits.fill(0);
            Ok(Secret::new(value))
        }
        _ => Err(format!("{}: not 32 hexadecimal digits", path.display())),
    }
}
