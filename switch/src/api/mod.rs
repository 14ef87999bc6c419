//! The door through which cards get what their programs need (enrolment, bundles, challenges, blocks), and operators see
//! to what issuers refuse. HTTP with JSON under `/v1` of the operators' listener, for callers who show an access token.
//!
//! Card numbers travel in bodies only: paths end up in logs. Each change is sent to the card's home and
//! answered with how the card stands there, so what a caller reads is what the next payment meets.
//!
//! Not here yet: roles, private counters for delivery to devices, and a file that outlives the process.

mod form;
mod read;
pub(crate) mod saf;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use authorizer::cards::Refused;
use authorizer::event::{Event, ShardId};
use authorizer::programs::ProgramId;
use authorizer::provision::{Asker, Change, Provision, Told};
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::admin::{self, Question};
use crate::config::{Config, ProgramKind, ResponseKind};
use crate::crypto::Enrolment;
use crate::hop::Hop;
use crate::registry::Registry;
use crate::setup::Setup;
use crate::web;
use form::{Fault, Form, Wanted};

/// Between two lines of the log about requests without the access token.
const WARN_EVERY_US: u64 = 1_000_000;
/// How long a card's home may take.
const WAIT: Duration = Duration::from_secs(5);

/// What a caller shows: the first line of a file that only its owner may read.
#[derive(Clone)]
pub(crate) struct AccessToken(Vec<u8>);

impl AccessToken {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let token = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
        if token.len() < 16 {
            return Err(format!("{}: an access token has at least 16 characters", path.display()));
        }
        Ok(Self(token.to_vec()))
    }

    /// Whether a request shows it.
    pub(crate) fn is_shown(&self, headers: &HeaderMap) -> bool {
        let shown =
            headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        shown.is_some_and(|shown| self.is(shown))
    }

    /// Whether this is it.
    pub(crate) fn is(&self, shown: &[u8]) -> bool {
        bool::from(shown.ct_eq(&self.0))
    }
}

impl PartialEq for AccessToken {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

/// Those who wait for the outcome of a change.
#[derive(Default)]
pub(crate) struct Askers {
    waiting: Registry<Asker, oneshot::Sender<Outcome>>,
    next: AtomicU64,
}

type Outcome = Result<Told, Refused>;

impl Askers {
    /// Tells one of them.
    pub(crate) fn tell(&self, asker: Asker, outcome: Outcome) {
        if let Some((_, waiting)) = self.waiting.remove(&asker) {
            let _ = waiting.send(outcome);
        }
    }

    fn ask(&self) -> (Asker, oneshot::Receiver<Outcome>) {
        let asker = Asker(self.next.fetch_add(1, Ordering::Relaxed));
        let (tell, told) = oneshot::channel();
        self.waiting.insert(asker, tell);
        (asker, told)
    }

    /// Ends the wait of one of them without an outcome.
    pub(crate) fn forget(&self, asker: Asker) {
        self.waiting.remove(&asker);
    }
}

#[derive(Clone)]
struct Door {
    setup: Arc<Setup>,
    /// When it was last told that somebody is refused, microseconds of the switch's clock.
    refused_us: Arc<AtomicU64>,
    questions: mpsc::Sender<Question>,
}

/// Every path under `/v1` with what is sent to it. `openapi.json` describes the same.
macro_rules! paths {
    ($($path:literal => $form:ty;)*) => {
        fn forms(router: Router<Door>) -> Router<Door> {
            router$(.route($path, post(change::<$form>)))*
        }

        #[cfg(test)]
        const PATHS: &[&str] = &[$($path),*];
    };
}

paths! {
    "/v1/cards" => form::Enrol;
    "/v1/cards/look" => form::Look;
    "/v1/cards/block" => form::Block;
    "/v1/cards/unblock" => form::Unblock;
    "/v1/bundles" => form::IssueBundle;
    "/v1/bundles/confirm" => form::ConfirmBundle;
    "/v1/bundles/revoke" => form::RevokeBundle;
    "/v1/cards/track" => form::Track;
    "/v1/challenges" => form::NewChallenge;
}

/// What a program needs to know to write a client (OpenAPI 3.1).
const DESCRIPTION: &str = include_str!("openapi.json");

/// The pages under `/v1`.
pub(crate) fn router(setup: Arc<Setup>, questions: mpsc::Sender<Question>) -> Router {
    let description = get(async || ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION));
    forms(Router::new())
        .route("/v1/reload", post(reload))
        .route("/v1/saf", get(saf::list))
        .route("/v1/saf/release", post(saf::release))
        .route("/v1/openapi.json", description)
        .layer(middleware::from_fn(for_us))
        .with_state(Door { setup, refused_us: Arc::default(), questions })
}

/// Refuses what was sent to a name of somebody else's.
async fn for_us(request: Request, next: Next) -> Response {
    if web::is_for_us(request.headers()) {
        return next.run(request).await;
    }
    refuse(StatusCode::MISDIRECTED_REQUEST, "host", "/v1 answers to loopback names only")
}

impl Door {
    /// Lets those in who show the access token.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Box<Response>> {
        let (status, field, why) = match self.setup.rules().access.as_ref() {
            None => (StatusCode::FORBIDDEN, "", "/v1 is shut: the configuration has no admin.token_file"),
            Some(token) if token.is_shown(headers) => return Ok(()),
            Some(_) => {
                self.warn();
                (StatusCode::UNAUTHORIZED, "authorization", "not the access token")
            }
        };
        Err(Box::new(refuse(status, field, why)))
    }
}

impl Door {
    /// Tells that somebody is refused, once a second at most: who guesses must not fill the log.
    fn warn(&self) {
        let now_us = self.setup.now_us();
        let is_due =
            |last_us| (now_us.saturating_sub(last_us) >= WARN_EVERY_US || last_us == 0).then_some(now_us);
        if self.refused_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due).is_ok() {
            tracing::warn!("a request without the right access token at /v1");
        }
    }
}

/// Reads the configuration again and puts it in force, whole or not at all.
async fn reload(State(door): State<Door>, headers: HeaderMap) -> Response {
    if let Err(refused) = door.admit(&headers) {
        return *refused;
    }
    match admin::ask(&door.questions, Question::Reload).await {
        Some(health) => {
            let status = if health.ok { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            (status, Json(health.body)).into_response()
        }
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Changes a card as a form says.
async fn change<F: Form + DeserializeOwned>(
    State(door): State<Door>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(refused) = door.admit(&headers) {
        return *refused;
    }
    let form: F = match read::form(&body) {
        Ok(form) => form,
        Err(read::Flaw { field, why }) => return refuse(StatusCode::BAD_REQUEST, &field, &why),
    };
    let rules = door.setup.rules();
    match form.change(&rules.config, &rules.programs) {
        Ok(Wanted { pan, change, question, response }) => {
            let account = door.setup.homes.account(&pan);
            let provision = |asker| Provision { asker: Some(asker), account, pan, change };
            let outcome = send(&door.setup, provision, question).await;
            answer(&door.setup, outcome, matches!(change, Change::Enrol { .. }), response)
        }
        Err(Fault { field, why }) => refuse(StatusCode::UNPROCESSABLE_ENTITY, field, why),
    }
}

async fn send(
    setup: &Setup,
    provision: impl FnOnce(Asker) -> Provision,
    question: Option<hsm::Question>,
) -> Option<Outcome> {
    ask(setup, |asker| {
        let provision = provision(asker);
        let home = setup.homes.of_account(Some(&provision.pan));
        let hop = match question {
            Some(question) => Hop::Enrol(Box::new(Enrolment { provision, question })),
            None => Hop::Event(Box::new(Event::Provision(provision))),
        };
        (home, hop)
    })
    .await
}

async fn wait_for(setup: &Setup, shard: ShardId, event: impl FnOnce(Asker) -> Event) -> Option<Outcome> {
    ask(setup, |asker| (shard, Hop::Event(Box::new(event(asker))))).await
}

/// Puts something to a shard and waits for what it says.
async fn ask(setup: &Setup, hop: impl FnOnce(Asker) -> (ShardId, Hop)) -> Option<Outcome> {
    let (asker, told) = setup.askers.ask();
    let (home, hop) = hop(asker);
    let outcome = match setup.mailbox(home).send(hop) {
        Ok(()) => timeout(WAIT, told).await.ok().and_then(Result::ok),
        Err(_) => None,
    };
    setup.askers.forget(asker);
    outcome
}

fn answer(setup: &Setup, outcome: Option<Outcome>, is_new: bool, response: Option<String>) -> Response {
    match outcome {
        Some(Ok(Told::Card(standing))) => {
            let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
            let rules = setup.rules();
            let mut standing = form::standing(&standing, &rules.programs, &rules.config);
            if let Some(response) = response {
                standing["response"] = response.into();
            }
            (status, Json(standing)).into_response()
        }
        Some(Err(Refused::Unknown)) => {
            refuse(StatusCode::NOT_FOUND, "pan", "no such card, or it has no such bundle")
        }
        Some(Err(Refused::Conflict)) => refuse(
            StatusCode::CONFLICT,
            "",
            "it is there already, overlaps what is promised, or has another sequence number",
        ),
        Some(Err(Refused::TooMany)) => refuse(StatusCode::INSUFFICIENT_STORAGE, "", "no room for one more"),
        Some(Ok(_)) | None => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "",
            "the card's home or its token does not answer; look before trying again",
        ),
    }
}

fn refuse(status: StatusCode, field: &str, why: &str) -> Response {
    (status, Json(json!({ "error": { "field": field, "why": why } }))).into_response()
}

/// A challenge drawn for a card of this program, if it is one whose devices compute their responses.
pub(crate) fn new_challenge(config: &Config, program: ProgramId) -> Option<Change> {
    let ProgramKind::Challenge { ttl, response: ResponseKind::Computed, .. } =
        config.programs.get(usize::from(program.0))?.kind
    else {
        return None;
    };
    Some(Change::Challenge { digits: drawn()?, ttl_us: ttl.as_micros() as u64, tag: None })
}

/// Eight digits from the operating system.
fn drawn() -> Option<[u8; 8]> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).ok()?;
    let mut number = u64::from_le_bytes(random);
    Some([0; 8].map(|_: u8| {
        let digit = b'0' + (number % 10) as u8;
        number /= 10;
        digit
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_description_has_every_path_and_no_other() {
        let description: serde_json::Value = serde_json::from_str(DESCRIPTION).expect("JSON");
        let described = description["paths"].as_object().expect("paths").keys().map(String::as_str);
        let served = PATHS.iter().copied().chain(["/v1/reload", "/v1/saf", "/v1/saf/release"]);
        let [described, served]: [BTreeSet<&str>; 2] = [described.collect(), served.collect()];
        assert_eq!(described, served);
    }
}
