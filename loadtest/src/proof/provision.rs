//! Tells a switch about the cards of a run over its `/v1`, and keeps what each card was given.
//!
//! A card that is there already is taken as it is: what it was given before is revoked, and new bundles get higher
//! numbers, so that a run can be made again. Card numbers travel in bodies only, and no error quotes one.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use super::supply::Grant;
use super::{Kind, Program, pan_of};
use crate::profile::Profile;

/// Connections that are used at once: the changes of several cards share the switch's waits for its disk.
const CONNECTIONS: u64 = 8;
/// What a switch takes in one bundle.
const BUNDLE_MAX: u64 = 1_000;
/// Bundles that a switch keeps for a card.
const BUNDLES_MAX: u64 = 8;
/// Longer than a run.
const TTL_MS: u64 = 8 * 86_400_000;
/// When the cards that pay expire; the switch says so to their issuer.
const FUNDING_EXPIRY: &str = "4912";

/// Where a switch is told, and what shows that we may.
#[derive(Clone)]
pub struct Admin {
    /// Host and port.
    address: String,
    token: String,
}

impl std::fmt::Debug for Admin {
    // Written by hand because it holds an access token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Admin {
    /// Takes `http://HOST:PORT` and the file whose first line is the access token.
    pub fn new(url: &str, token_file: &Path) -> Result<Admin, String> {
        let address = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let address = address.filter(|rest| rest.contains(':') && !rest.contains('/'));
        let address = address.ok_or_else(|| format!("--provision: `{url}` is not http://HOST:PORT"))?;
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", token_file.display());
        let text = std::fs::read_to_string(token_file).map_err(|error| named(&error))?;
        let token = text.lines().next().unwrap_or_default().trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(named(&"no access token in the first line"));
        }
        Ok(Admin { address: address.to_string(), token: token.to_string() })
    }

    /// Gives every program of a profile as many codes as a run of it needs. Returns how many cards that took.
    pub fn provision(&self, profile: &mut Profile) -> Result<u64, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        let mut cards = 0;
        for at in 0..profile.programs.len() {
            let program = Arc::clone(&profile.programs[at]);
            let wanted = profile.codes_wanted(at);
            let per_card = wanted.div_ceil(program.cards).max(1);
            let most = match program.kind {
                Kind::RotatingAtc => BUNDLES_MAX * BUNDLE_MAX,
                // A card is asked one thing at a time.
                Kind::Challenge => 1,
            };
            if per_card > most {
                return Err(format!(
                    "program `{}`: {wanted} codes are needed, and {} cards can have {most} each: more cards are needed",
                    program.name, program.cards
                ));
            }
            let grants = LocalSet::new().block_on(&runtime, self.grant(&program, per_card));
            let grants = grants.map_err(|error| format!("{}: {error}", self.address))?;
            cards += program.cards;
            profile.programs[at] = Arc::new(Program { grants: Some(Arc::new(grants)), ..(*program).clone() });
        }
        Ok(cards)
    }

    /// Gives each card of a program so many codes; connections take cards in turn.
    async fn grant(&self, program: &Arc<Program>, per_card: u64) -> Result<Vec<Grant>, String> {
        let mut tasks = JoinSet::new();
        for share in 0..CONNECTIONS.min(program.cards) {
            let (admin, program) = (self.clone(), Arc::clone(program));
            tasks.spawn_local(async move {
                let mut door = Door::open(admin).await?;
                let mut grants = Vec::new();
                for number in (1 + share..=program.cards).step_by(CONNECTIONS as usize) {
                    grants.extend(door.card(&program, number, per_card).await?);
                }
                Ok::<Vec<Grant>, String>(grants)
            });
        }
        let mut grants = Vec::new();
        while let Some(done) = tasks.join_next().await {
            grants.extend(done.map_err(|error| error.to_string())??);
        }
        // Tasks end in any order, and the same run must use the same codes.
        grants.sort_by(|one, other| (&one.pan, one.bundle).cmp(&(&other.pan, other.bundle)));
        Ok(grants)
    }
}

/// One connection.
struct Door {
    admin: Admin,
    sender: SendRequest<Full<Bytes>>,
}

impl Door {
    async fn open(admin: Admin) -> Result<Door, String> {
        let stream = TcpStream::connect(&admin.address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::task::spawn_local(connection);
        Ok(Door { admin, sender })
    }

    /// Enrols a card, or takes it over, and gives it bundles.
    async fn card(&mut self, program: &Program, number: u64, codes: u64) -> Result<Vec<Grant>, String> {
        let pan = pan_of(&program.iin, program.card_digits, number);
        let mut enrol = json!({ "pan": pan, "psn": program.psn });
        if let Some(iin) = &program.funding_iin {
            enrol["funding"] = json!({ "pan": pan_of(iin, 16, number), "expiry": FUNDING_EXPIRY });
        }
        let mut id = match self.post("cards", &enrol).await? {
            (StatusCode::CREATED, _) => 1,
            (StatusCode::CONFLICT, _) => self.take_over(program, &pan).await?,
            refused => return Err(said("cards", &refused)),
        };
        if program.kind == Kind::Challenge {
            return Ok(vec![self.challenge(program, pan).await?]);
        }
        let mut grants = Vec::new();
        for first in (0..codes).step_by(BUNDLE_MAX as usize) {
            let count = (codes - first).min(BUNDLE_MAX);
            let bundle = json!({ "pan": pan, "id": id, "first": first, "count": count, "ttl_ms": TTL_MS });
            self.change("bundles", &bundle).await?;
            self.change("bundles/confirm", &json!({ "pan": pan, "id": id })).await?;
            let (first, count) = (first as u16, count as u16);
            let psn = program.psn;
            grants.push(Grant { pan: pan.clone(), psn, bundle: id, first, count, challenge: None });
            id += 1;
        }
        Ok(grants)
    }

    /// Has a card asked something new, which supersedes what it was asked before.
    async fn challenge(&mut self, program: &Program, pan: String) -> Result<Grant, String> {
        let card = self.change("challenges", &json!({ "pan": pan, "ttl_ms": TTL_MS })).await?;
        let open = card["challenges"].as_array().into_iter().flatten().find(|one| one["state"] == "open");
        let digits = open.and_then(|one| one["digits"].as_str());
        let digits = digits.ok_or("/v1/challenges: the card has no open challenge")?.to_string();
        Ok(Grant { pan, psn: program.psn, bundle: 0, first: 0, count: 0, challenge: Some(digits) })
    }

    /// Makes a card of an earlier run usable again. Returns the number of its next bundle.
    async fn take_over(&mut self, program: &Program, pan: &str) -> Result<u32, String> {
        let card = self.change("cards/look", &json!({ "pan": pan })).await?;
        if card["psn"] != program.psn {
            return Err("a card is there with another sequence number".to_string());
        }
        if card["blocked"] == true {
            self.change("cards/unblock", &json!({ "pan": pan })).await?;
        }
        let mut highest = 0;
        for bundle in card["bundles"].as_array().into_iter().flatten() {
            let id = bundle["id"].as_u64().unwrap_or(0);
            highest = highest.max(id);
            if bundle["state"] != "revoked" {
                self.change("bundles/revoke", &json!({ "pan": pan, "id": id })).await?;
            }
        }
        u32::try_from(highest + 1).map_err(|_| "a card has had every bundle number".to_string())
    }

    /// Makes a change that must succeed.
    async fn change(&mut self, path: &str, body: &Value) -> Result<Value, String> {
        match self.post(path, body).await? {
            (status, told) if status.is_success() => Ok(told),
            refused => Err(said(path, &refused)),
        }
    }

    async fn post(&mut self, path: &str, body: &Value) -> Result<(StatusCode, Value), String> {
        let request = Request::post(format!("/v1/{path}"))
            .header(HOST, &self.admin.address)
            .header(AUTHORIZATION, format!("Bearer {}", self.admin.token))
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|error| error.to_string())?;
        let answer = self.sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}

/// What the switch said to a change; its words never quote a card number.
fn said(path: &str, (status, told): &(StatusCode, Value)) -> String {
    let (field, why) = (&told["error"]["field"], &told["error"]["why"]);
    let field = field.as_str().filter(|field| !field.is_empty()).map_or(String::new(), |f| format!("{f}: "));
    format!("/v1/{path}: {status}: {field}{}", why.as_str().unwrap_or("no reason given"))
}
