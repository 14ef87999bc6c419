//! `signalbox keys`: a token made ready by its custodians. Not a part of the running switch.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use hsm::Secret;
use hsm::token::{Ceremony, Usage, initialise};

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
    /// The PKCS#11 module's library.
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
    /// The same, for a program with exposure "session" or profile "cvc3".
    RotatingAtcSession,
    /// Account keys of challenge responses.
    Challenge,
    /// Tags of enrolled responses.
    ChallengePepper,
    /// The same, by HMAC-SHA-256.
    ChallengeHmac,
    /// Static codes of cards; with it goes a key of its left half.
    Cvv,
    /// Card keys of CVC3.
    Cvc3,
    /// Card keys of dynamic CVVs.
    DynamicCvv,
    /// Card keys of application cryptograms.
    Cryptogram,
    /// The same for cards with AES.
    CryptogramAes,
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
            KeyUsage::ChallengePepper => Usage::ResponsePepper,
            KeyUsage::ChallengeHmac => Usage::ResponseHmac,
            KeyUsage::Cvv => Usage::CardVerification,
            KeyUsage::Cvc3 => Usage::Cvc3Master,
            KeyUsage::DynamicCvv => Usage::DynamicCvvMaster,
            KeyUsage::Cryptogram => Usage::CryptogramMaster,
            KeyUsage::CryptogramAes => Usage::AesCryptogramMaster,
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
        Command::Import { token, key, source } => {
            let made = source.import(&open(token)?, &key.label, key.usage.into())?;
            let lines = made.iter().map(|(label, check_value)| format!("{label} {check_value}"));
            Ok(lines.collect::<Vec<_>>().join("\n"))
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
