//! What issuers refuse for good: listed, and let go again by an operator who has seen to it.

use std::sync::Arc;

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
    let mut listed = Vec::new();
    for shard in (0..door.setup.shards()).map(ShardId) {
        match send(&door.setup, shard, Order::List).await {
            Some(Ok(Told::Parked(parked))) => {
                listed.extend(parked.iter().map(|message| said(&door.setup, message)));
            }
            _ => return silent(),
        }
    }
    Json(json!({ "parked": listed })).into_response()
}

/// Lets one go out again, to be refused or acknowledged anew.
pub(super) async fn release(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refused) = door.admit(&headers) {
        return *refused;
    }
    let Ok(Named { issuer, stan }) = serde_json::from_slice(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "", "expected {\"issuer\": \"NAME\", \"stan\": NUMBER}");
    };
    let config = &door.setup.start;
    let Some(id) = config.issuers.iter().position(|known| known.name == issuer) else {
        return refuse(StatusCode::NOT_FOUND, "issuer", "no such issuer");
    };
    let Some(stan) = Stan::new(stan) else {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "stan", "0 to 999999");
    };
    let shard = shard_of(stan, door.setup.shards());
    match send(&door.setup, shard, Order::Release { issuer: IssuerId(id as u16), stan }).await {
        Some(Ok(Told::Released)) => Json(json!({ "released": true })).into_response(),
        Some(Err(Refused::Unknown)) => refuse(StatusCode::NOT_FOUND, "stan", "nothing is set aside under it"),
        _ => silent(),
    }
}

async fn send(setup: &Arc<Setup>, shard: ShardId, order: Order) -> Option<Outcome> {
    wait_for(setup, shard, |asker| Event::Operation(Operation { asker, order })).await
}

fn silent() -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "", "a shard does not answer; list again before trying again")
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
