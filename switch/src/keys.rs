//! `signalbox keys`: a token made ready by its custodians. Not a part of the running switch.

mod deliver;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use hsm::token::{Ceremony, CheckValue, KeySpec, Surveyed, Token, Usage, Verdict, initialise};
use hsm::{Blame, Secret};

use crate::journal::{self, Wrapper};
use crate::say::say;

#[path = "keys/import.rs"]
mod import;

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
    /// Put a key on the token that exists elsewhere: out of a key block, of the components that two or three
    /// custodians hold, or, for tests, of a value that is known. Prints the check value of each key it made.
    Import {
        /// Which token.
        #[command(flatten)]
        token: TokenArguments,
        /// Which key.
        #[command(flatten)]
        key: KeyArguments,
        /// Where it comes from.
        #[command(flatten)]
        source: import::Source,
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
    /// Wrap the keys of a journal anew, under another key of the token or the same, and draw a data key for what is written
    /// from the next start on. Goes on beside a running switch.
    Rewrap {
        /// Which token.
        #[command(flatten)]
        token: TokenArguments,
        /// The data directory.
        #[arg(long, value_name = "DIR")]
        journal: PathBuf,
        /// The label of another key, of usage journal.
        #[arg(long, value_name = "LABEL", requires = "check_value")]
        label: Option<String>,
        /// Its check value.
        #[arg(long, value_name = "HEX", requires = "label")]
        check_value: Option<String>,
    },
    /// List the keys with their check values, and what each is good for.
    List {
        /// Which token.
        #[command(flatten)]
        token: TokenArguments,
    },
}

/// Which token.
#[derive(Args, Clone)]
pub struct TokenArguments {
    /// The PKCS#11 module's library, or "devtoken": the development token, in the folder that SIGNALBOX_DEVTOKEN names.
    #[arg(long, value_name = "FILE")]
    pub module: PathBuf,
    /// The token's label.
    #[arg(long, value_name = "LABEL")]
    pub token: String,
    /// The file with the user PIN in its first line, for its owner alone.
    #[arg(long, value_name = "FILE")]
    pub pin_file: PathBuf,
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
    /// The same, for a program with exposure "session" or profile "cvc3".
    RotatingAtcSession,
    /// Account keys of challenge responses.
    Challenge,
    /// The same, for a program with exposure "card".
    ChallengeCard,
    /// Tags of enrolled responses.
    ChallengePepper,
    /// The same, by HMAC-SHA-256.
    ChallengeHmac,
    /// Wraps the data keys of a journal.
    Journal,
    /// Static codes of cards; with it goes a key of its left half.
    Cvv,
    /// Card keys of CVC3.
    Cvc3,
    /// The same, for a program with exposure "card".
    Cvc3Card,
    /// Card keys of dynamic CVVs.
    DynamicCvv,
    /// The same, for exposure "card".
    DynamicCvvCard,
    /// Card keys of application cryptograms.
    Cryptogram,
    /// The same, for exposure "card".
    CryptogramCard,
    /// Card keys of application cryptograms, for cards with AES.
    CryptogramAes,
    /// The same, for exposure "card".
    CryptogramAesCard,
    /// A zone key under which PIN blocks of format 0, 1 or 3 come in.
    PinIn,
    /// The same, under which they go out.
    PinOut,
    /// A zone key under which PIN blocks of format 4 come in.
    PinInAes,
    /// The same, under which they go out.
    PinOutAes,
    /// MACs of messages by algorithm 3; with it goes a key of its left half.
    MacAlgorithm3,
    /// MACs of messages by CMAC with 3DES.
    MacCmac,
    /// MACs of messages by CMAC with AES.
    MacCmacAes,
    /// Protects key blocks of version B.
    KeyBlock,
    /// Protects key blocks of version D.
    KeyBlockAes,
}

impl From<KeyUsage> for Usage {
    fn from(usage: KeyUsage) -> Usage {
        match usage {
            KeyUsage::RotatingAtc => Usage::CounterMaster,
            KeyUsage::RotatingAtcSession => Usage::ExposedCounterMaster,
            KeyUsage::Challenge => Usage::ResponseMaster,
            KeyUsage::ChallengeCard => Usage::ExposedResponseMaster,
            KeyUsage::ChallengePepper => Usage::ResponsePepper,
            KeyUsage::ChallengeHmac => Usage::ResponseHmac,
            KeyUsage::Journal => Usage::JournalKeys,
            KeyUsage::Cvv => Usage::CardVerification,
            KeyUsage::Cvc3 => Usage::Cvc3Master,
            KeyUsage::Cvc3Card => Usage::ExposedCvc3Master,
            KeyUsage::DynamicCvv => Usage::DynamicCvvMaster,
            KeyUsage::DynamicCvvCard => Usage::ExposedDynamicCvvMaster,
            KeyUsage::Cryptogram => Usage::CryptogramMaster,
            KeyUsage::CryptogramCard => Usage::ExposedCryptogramMaster,
            KeyUsage::CryptogramAes => Usage::AesCryptogramMaster,
            KeyUsage::CryptogramAesCard => Usage::ExposedAesCryptogramMaster,
            KeyUsage::PinIn => Usage::PinIn,
            KeyUsage::PinOut => Usage::PinOut,
            KeyUsage::PinInAes => Usage::AesPinIn,
            KeyUsage::PinOutAes => Usage::AesPinOut,
            KeyUsage::MacAlgorithm3 => Usage::MacAlgorithm3,
            KeyUsage::MacCmac => Usage::MacTripleDes,
            KeyUsage::MacCmacAes => Usage::MacAes,
            KeyUsage::KeyBlock => Usage::KeyBlockProtection,
            KeyUsage::KeyBlockAes => Usage::AesKeyBlockProtection,
        }
    }
}

/// Does it. Results go to stdout, faults to stderr.
#[must_use]
pub fn run(command: &Command) -> ExitCode {
    match perform(command) {
        Ok(said) => say(said, ExitCode::SUCCESS),
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
        Command::Import { token, key, source } => {
            let made = source.import(&open(token)?, &key.label, key.usage.into())?;
            let lines = made.iter().map(|(label, check_value)| format!("{label} {check_value}"));
            Ok(lines.collect::<Vec<_>>().join("\n"))
        }
        Command::Deliver { token, label, check_value, modifiable_key, file } => {
            deliver::deliver(token, label, check_value, *modifiable_key, file.as_deref())
        }
        Command::Probe { token, json } => {
            let opened = Token::open(&token.module, &token.token, &first_line(&token.pin_file)?);
            let surveyed = opened.map_err(|why| why.to_string())?.survey().map_err(|why| why.to_string())?;
            Ok(if *json { survey_as_json(&surveyed) } else { survey_as_text(&surveyed) })
        }
        Command::Rewrap { token, journal, label, check_value } => {
            let to = label.clone().zip(check_value.clone());
            let to = to
                .map(|(label, check_value)| Wrapper { label, check_value: check_value.to_ascii_uppercase() });
            let done = journal::rewrap(journal, to, |wrapper| vault(token, wrapper));
            let (wrapper, left) = done.map_err(|fault| fault.to_string())?;
            Ok(format!("wrapped under {wrapper}; data keys {left:?}, of which the last is new"))
        }
        Command::List { token } => {
            let listed = open(token)?.list().map_err(|why| why.to_string())?;
            let line = |key: &hsm::token::Listed| {
                let check_value = key.check_value.map_or("------".to_owned(), |value| value.to_string());
                let usage = match &key.usages {
                    Ok(usages) => usages.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "),
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

/// The key of a token that wraps the keys of a journal.
pub(crate) fn vault(token: &TokenArguments, wrapper: &Wrapper) -> Result<journal::Vault, journal::Fault> {
    let spec = journal_key(wrapper).map_err(journal::Fault::Config)?;
    let pin = first_line(&token.pin_file).map_err(journal::Fault::Config)?;
    let opened = hsm::Vault::open(&token.module, &token.token, &pin, &spec);
    let vault = opened.map_err(|why| match why.blame() {
        Blame::Plan => journal::Fault::Config(why.to_string()),
        Blame::Token | Blame::Key(_) => journal::Fault::Key(why.to_string()),
    })?;
    Ok(Box::new(move |salt| vault.key_for(salt).map_err(|why| journal::Fault::Key(why.to_string()))))
}

/// Such a key as it is looked for.
pub(crate) fn journal_key(wrapper: &Wrapper) -> Result<KeySpec, String> {
    let digits = wrapper.check_value.as_str();
    let value = u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 6);
    let value = value.ok_or_else(|| format!("{digits:?} is no check value of six hexadecimal digits"))?;
    let [_, a, b, c] = value.to_be_bytes();
    // It is asked once: that some tokens copy no such key into a session costs nothing.
    Ok(KeySpec { label: wrapper.label.clone(), check_value: CheckValue([a, b, c]), danger_modifiable: false })
}

fn open(token: &TokenArguments) -> Result<Ceremony, String> {
    let pin = first_line(&token.pin_file)?;
    Ceremony::open(&token.module, &token.token, &pin).map_err(|why| why.to_string())
}

/// Refuses a file with a secret that others than its owner may use.
pub(crate) fn for_its_owner_alone(path: &Path) -> Result<(), String> {
    let file = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mode = file.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("{}: others may use it (mode {mode:03o}); make it 400", path.display()));
    }
    Ok(())
}

/// The first line of a file that holds a secret.
pub(crate) fn first_line(path: &Path) -> Result<Secret, String> {
    for_its_owner_alone(path)?;
    let mut bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let secret = Secret::new(bytes[..line].to_vec());
    bytes.fill(0);
    Ok(secret)
}

/// The bytes that hexadecimal digits spell.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_calls_a_usage_as_it_is_asked_for() {
        for usage in KeyUsage::value_variants() {
            let name = usage.to_possible_value().expect("none is hidden").get_name().to_owned();
            assert_eq!(Usage::from(*usage).to_string(), name);
        }
    }
}
