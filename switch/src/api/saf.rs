//! What issuers refuse for good: listed, and let go again by an operator who has seen to it. The console shows and lets
//! go by the same.

use authorizer::cards::Refused;
use authorizer::event::{Event, IssuerId, ShardId};
use authorizer::issuer::shard_of;
use authorizer::parked::{Operation, Order, SetAside};
use authorizer::provision::Told;
use authorizer::saf::Stored;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use codecs::value::Stan;
use serde::Deserialize;
use serde_json::{Value, json};

use super::read::{self, Flaw};
use super::{Door, Outcome, refuse, wait_for};
use crate::setup::Setup;

/// Which message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    issuer: String,
    /// DE 11 as the issuer was told it.
    stan: u32,
}

/// Everything that is set aside, on every shard.
pub(super) async fn list(State(door): State<Door>, headers: HeaderMap) -> Response {
    if let Err(refused) = door.admit(&headers) {
        return *refused;
    }
    parked(&door.setup).await.map_or_else(silent, |listed| Json(json!({ "parked": listed })).into_response())
}

/// Everything that is set aside; nothing when a shard does not answer.
pub(crate) async fn parked(setup: &Setup) -> Option<Vec<Value>> {
    let mut listed = Vec::new();
    for shard in (0..setup.shards()).map(ShardId) {
        let Some(Ok(Told::Parked(parked))) = send(setup, shard, Order::List).await else { return None };
        listed.extend(parked.iter().map(|message| said(setup, message)));
    }
    Some(listed)
}

/// Lets one go out again, to be refused or acknowledged anew.
pub(super) async fn release(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refused) = door.admit(&headers) {
        return *refused;
    }
    let Named { issuer, stan } = match read::form(&body) {
        Ok(named) => named,
        Err(Flaw { field, why }) => return refuse(StatusCode::BAD_REQUEST, &field, &why),
    };
    match let_go(&door.setup, &issuer, stan).await {
        Ok(()) => Json(json!({ "released": true })).into_response(),
        Err(NotReleased { status, field, why }) => refuse(status, field, why),
    }
}

/// Why nothing was let go.
pub(crate) struct NotReleased {
    status: StatusCode,
    field: &'static str,
    pub(crate) why: &'static str,
}

/// Lets the message that an issuer refuses under this trace number go out again.
///
/// # Errors
/// Why not.
pub(crate) async fn let_go(setup: &Setup, issuer: &str, stan: u32) -> Result<(), NotReleased> {
    let not = |status, field, why| NotReleased { status, field, why };
    let known = setup.start.issuers.iter().position(|known| known.name == issuer);
    let id = known.ok_or_else(|| not(StatusCode::NOT_FOUND, "issuer", "no such issuer"))?;
    let stan = Stan::new(stan).ok_or_else(|| not(StatusCode::UNPROCESSABLE_ENTITY, "stan", "0 to 999999"))?;
    let order = Order::Release { issuer: IssuerId(id as u16), stan };
    match send(setup, shard_of(stan, setup.shards()), order).await {
        Some(Ok(Told::Released)) => Ok(()),
        Some(Err(Refused::Unknown)) => {
            Err(not(StatusCode::NOT_FOUND, "stan", "nothing is set aside under it"))
        }
        _ => Err(not(StatusCode::SERVICE_UNAVAILABLE, "", SILENT)),
    }
}

async fn send(setup: &Setup, shard: ShardId, order: Order) -> Option<Outcome> {
    wait_for(setup, shard, |asker| Event::Operation(Operation { asker, order })).await
}

const SILENT: &str = "a shard does not answer; list again before trying again";

fn silent() -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "", SILENT)
}

fn said(setup: &Setup, set_aside: &SetAside) -> Value {
    let SetAside { message, since_us, attempts } = set_aside;
    let (sent, asked) = (message.sent(), &message.sent().asked);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let (kind, why) = match message {
        Stored::Reversal(reversal) => ("reversal", reversal.why.name()),
        Stored::Advice(advice) if advice.is_stand_in() => ("advice", "stand_in"),
        Stored::Advice(_) => ("advice", "acquirer"),
    };
    json!({
        "issuer": setup.start.issuers[sent.to.issuer.index()].name,
        "stan": message.stan().number(),
        "kind": kind,
        "why": why,
        "since_us": since_us,
        "attempts": attempts,
        "card": sent.pan.map(|pan| format!("{pan:?}")),
        "acquirer": setup.start.acquirers[asked.acquirer.index()].name,
        "de4": asked.amount.minor(),
        "de7": format!("{:010}", asked.keys.moment),
        "de11": format!("{:06}", asked.stan.number()),
        "de37": asked.keys.rrn.map(|rrn| text(rrn.as_bytes())),
        "de41": asked.keys.terminal.map(|terminal| text(terminal.as_bytes())),
    })
}
