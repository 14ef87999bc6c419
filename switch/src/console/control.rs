//! What can be changed from the console, where the configuration allows it: each action is asked for, told back in
//! words, and done when it is confirmed. Both are written to the audit log first; what cannot be written down is not
//! done.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use authorizer::event::{IssuerId, IssuerLink};
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Door;
use super::audit::{Audit, Entry};
use crate::admin::{self, Question};
use crate::api::saf;
use crate::hop::Hop;
use crate::registry::Registry;
use crate::setup::Setup;

/// How long a question waits for its confirmation.
const PATIENCE: Duration = Duration::from_secs(60);
/// Questions that wait at a time.
const ASKED_MAX: usize = 64;

/// What can be done.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Action {
    /// Read the configuration again.
    Reload,
    /// Finish what runs and stop.
    Drain,
    /// Other log lines: `info`, `debug`, or a filter by module.
    LogLevel {
        /// The filter.
        level: String,
    },
    /// Give a link of an issuer no new requests, or give it some again.
    Link {
        /// Whose.
        issuer: String,
        /// Which, from 0.
        link: u16,
        /// Whether it is to carry requests.
        on: bool,
    },
    /// Tell an issuer again what it refused for good.
    Release {
        /// Whom.
        issuer: String,
        /// Under which trace number of ours.
        stan: u32,
    },
}

impl Action {
    /// What it will do, as a question.
    fn said(&self) -> String {
        match self {
            Self::Reload => "Read the configuration again, and put it in force if it is sound?".to_owned(),
            Self::Drain => {
                "Stop the switch? No new requests are taken, running ones finish, then the process ends."
                    .to_owned()
            }
            Self::LogLevel { level } => format!("Log at {level:?} until the next start?"),
            Self::Link { issuer, link, on: true } => {
                format!("Let link {link} of issuer {issuer} carry requests again?")
            }
            Self::Link { issuer, link, on: false } => {
                format!("Take link {link} of issuer {issuer} out of use? What runs over it may end.")
            }
            Self::Release { issuer, stan } => {
                format!("Tell issuer {issuer} again what it refused under trace number {stan:06}?")
            }
        }
    }
}

/// What waits to be confirmed, and where it is written down.
pub(super) struct Control {
    audit: Audit,
    asked: Registry<u64, (Action, Instant)>,
    next: AtomicU64,
}

impl Control {
    /// Opens the audit log, which must be whole.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        Ok(Self { audit: Audit::open(path)?, asked: Registry::new(), next: AtomicU64::new(1) })
    }

    fn write(&self, from: SocketAddr, action: &Action, what: &str) -> Result<(), Box<Response>> {
        let entry =
            Entry { from: from.ip().to_string(), action: format!("{action:?}"), what: what.to_owned() };
        self.audit.write(&entry).map_err(|error| {
            tracing::error!(%error, "the audit log cannot be written: nothing is done");
            Box::new(refuse(StatusCode::SERVICE_UNAVAILABLE, "the audit log cannot be written"))
        })
    }
}

/// Asks for something.
pub(super) async fn ask(
    State(door): State<Door>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Json(action): Json<Action>,
) -> Response {
    let Some(control) = &door.control else { return not_allowed() };
    control.asked.retain(|_, (_, since)| since.elapsed() < PATIENCE);
    if control.asked.len() >= ASKED_MAX {
        return refuse(StatusCode::TOO_MANY_REQUESTS, "too many questions wait for their confirmation");
    }
    if let Err(refused) = control.write(from, &action, "asked") {
        return *refused;
    }
    let number = control.next.fetch_add(1, Ordering::Relaxed);
    let says = action.said();
    control.asked.insert(number, (action, Instant::now()));
    Json(json!({ "confirm": number, "says": says })).into_response()
}

/// Which question is confirmed.
#[derive(Deserialize)]
pub(super) struct Confirmed {
    confirm: u64,
}

/// Does what was asked for.
pub(super) async fn confirm(
    State(door): State<Door>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Json(confirmed): Json<Confirmed>,
) -> Response {
    let Some(control) = &door.control else { return not_allowed() };
    let asked = control.asked.remove(&confirmed.confirm).filter(|(_, (_, since))| since.elapsed() < PATIENCE);
    let Some((_, (action, _))) = asked else {
        return refuse(StatusCode::GONE, "nobody asked for this, or too long ago");
    };
    if let Err(refused) = control.write(from, &action, "confirmed") {
        return *refused;
    }
    let done = act(&door, &action).await;
    let outcome = if done.is_ok() { "done" } else { "failed" };
    if let Err(refused) = control.write(from, &action, outcome) {
        return *refused;
    }
    let (status, is_done, said) = match done {
        Ok(said) => (StatusCode::OK, true, said),
        Err(why) => (StatusCode::UNPROCESSABLE_ENTITY, false, why),
    };
    (status, Json(json!({ "done": is_done, "said": said }))).into_response()
}

/// Does it. What comes back, either way, is said to whoever asked.
async fn act(door: &Door, action: &Action) -> Result<Value, Value> {
    let gone = || Value::from("the switch does not answer");
    match action {
        Action::Reload => {
            let health = admin::ask(&door.questions, Question::Reload).await.ok_or_else(gone)?;
            if health.ok { Ok(health.body) } else { Err(health.body) }
        }
        Action::Drain => match admin::ask(&door.questions, Question::Drain).await.ok_or_else(gone)? {
            true => Ok("no new requests are taken".into()),
            false => Err("it is stopping already".into()),
        },
        Action::LogLevel { level } => {
            crate::log::change_level(level)?;
            Ok(format!("logging at {level}").into())
        }
        Action::Link { issuer, link, on } => Ok(switch_link(&door.setup, issuer, *link, *on)?.into()),
        Action::Release { issuer, stan } => match saf::let_go(&door.setup, issuer, *stan).await {
            Ok(()) => Ok("it goes out again".into()),
            Err(not) => Err(not.why.into()),
        },
    }
}

fn not_allowed() -> Response {
    refuse(StatusCode::FORBIDDEN, "the console only shows: the configuration has no console.control")
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "done": false, "said": why }))).into_response()
}

/// Takes a link out of use, or into it again.
///
/// # Errors
/// Why not.
fn switch_link(setup: &Setup, issuer: &str, link: u16, on: bool) -> Result<String, String> {
    let place = setup.start.issuers.iter().position(|settings| settings.name == issuer);
    let Some(place) = place else { return Err(format!("there is no issuer {issuer:?}")) };
    let link = IssuerLink { issuer: IssuerId(place as u16), link };
    let state = setup.links.get(&(link.issuer, link.link)).map(|state| *state);
    match (state, on) {
        (Some("up"), false) | (Some("out of use"), true) => {}
        (Some(state), _) => return Err(format!("link {} of {issuer} is {state}", link.link)),
        (None, _) => return Err(format!("{issuer} has no link {} that was ever connected", link.link)),
    }
    let shard = crate::edge::issuer_shard(setup, link);
    let sent = setup.mailbox(shard).send(Hop::Use(link, on));
    sent.map(|()| "told to its shard".to_owned()).map_err(|_| "its shard is too busy; try again".to_owned())
}
