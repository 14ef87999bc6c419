//! `signalbox cards`: what cards of programs need, from files of JSON lines, through the `/v1` of a running switch.
//!
//! Card numbers are in files and bodies, never on the command line, where everybody on the machine could read them.

use std::fs;
use std::io::{Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::{http, say};

/// What is to be done, to which cards.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// What is to be done.
    #[arg(value_enum)]
    action: Action,
    /// One JSON object on each line, as `/v1/openapi.json` describes it; standard input without a file.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The operators' listener of the switch.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    admin: SocketAddr,
    /// The file with the access token in its first line, for its owner alone.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
}

const EXAMPLES: &str = r#"Each line is answered by a line: how the card stands, its number masked. Refusals go to stderr, with the line, the
field and why; the others are done all the same.

  enrol      {"pan":"9999100000000010","psn":1,"expiry":"2912","service_code":"201","funding":{"pan":"9999600000000019","expiry":"3011"}}
  enrol      {"pan":"9999610000000026","psn":1,"atc":1000}               a card that pays itself, with its newest counter
  look       {"pan":"9999100000000010"}                                  also block, unblock
  issue      {"pan":"9999100000000010","id":1,"first":40,"count":10,"ttl_ms":86400000}
  confirm    {"pan":"9999100000000010","id":1}                           also revoke
  track      {"pan":"9999100000000010","psn":1,"track2":"9999100000000010D29122010000000000000F"}
  challenge  {"pan":"9999150000000015","ttl_ms":120000}                  "response" where it is enrolled

Exit codes: 0 all done, 65 some refused, 69 the switch does not answer, 78 the access token"#;

/// What can be done to a card.
#[derive(Clone, Copy, ValueEnum)]
enum Action {
    /// Enrol cards.
    Enrol,
    /// Tell how cards stand.
    Look,
    /// Block cards that were lost.
    Block,
    /// Unblock cards.
    Unblock,
    /// Issue bundles of rotating ATCs.
    Issue,
    /// Confirm bundles that devices have.
    Confirm,
    /// Revoke bundles.
    Revoke,
    /// Tell the tracks that cards were personalised with, for codes that are CVC3s.
    Track,
    /// Make challenges.
    Challenge,
}

impl Action {
    fn path(self) -> &'static str {
        match self {
            Action::Enrol => "/v1/cards",
            Action::Look => "/v1/cards/look",
            Action::Block => "/v1/cards/block",
            Action::Unblock => "/v1/cards/unblock",
            Action::Issue => "/v1/bundles",
            Action::Confirm => "/v1/bundles/confirm",
            Action::Revoke => "/v1/bundles/revoke",
            Action::Track => "/v1/cards/track",
            Action::Challenge => "/v1/challenges",
        }
    }
}

/// Some lines were refused.
const REFUSED: u8 = 65;
/// The switch does not answer.
const UNAVAILABLE: u8 = 69;
/// What was given cannot be used.
const CONFIG: u8 = 78;

/// Does it. Answers go to stdout, refusals to stderr.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let (token, lines) = match (access_token(&arguments.token_file), lines(arguments.file.as_deref())) {
        (Ok(token), Ok(lines)) => (token, lines),
        (Err(why), _) | (_, Err(why)) => {
            eprintln!("signalbox cards: {why}");
            return CONFIG.into();
        }
    };
    let (mut ended, mut written) = (ExitCode::SUCCESS, Ok(()));
    for (number, line) in (1..).zip(lines.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match http::post(arguments.admin, arguments.action.path(), Some(&token), line, http::WAIT) {
            Ok((200..=299, told)) => {
                // Those that follow are done all the same: what was asked for does not depend on who reads of it.
                written = written.and_then(|()| writeln!(std::io::stdout(), "{}", told.trim_end()));
            }
            Ok((status, told)) => {
                eprintln!("line {number}: {}", refusal(status, &told));
                ended = REFUSED.into();
            }
            Err(why) => {
                eprintln!(
                    "line {number}: no answer of {}: {why}; this line and those after it",
                    arguments.admin
                );
                return UNAVAILABLE.into();
            }
        }
    }
    say::ended(written, ended)
}

/// What was refused and why, in the switch's words.
fn refusal(status: u16, told: &str) -> String {
    let told: serde_json::Value = serde_json::from_str(told).unwrap_or_default();
    match (told["error"]["field"].as_str(), told["error"]["why"].as_str()) {
        (Some(""), Some(why)) => format!("{status} {why}"),
        (Some(field), Some(why)) => format!("{status} {field}: {why}"),
        _ => format!("{status}"),
    }
}

fn access_token(path: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    crate::keys::for_its_owner_alone(path)?;
    let text = fs::read_to_string(path).map_err(told)?;
    let token = text.lines().next().unwrap_or_default().trim();
    // It becomes a part of a head of HTTP.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{}: no access token in its first line", path.display()));
    }
    Ok(token.to_owned())
}

/// What a file holds, or standard input.
pub(crate) fn lines(file: Option<&Path>) -> Result<String, String> {
    let mut text = String::new();
    match file {
        Some(path) => {
            text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => {
            _ = std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| format!("standard input: {error}"))?
        }
    }
    Ok(text)
}
