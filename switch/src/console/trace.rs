//! One payment followed for the console: what `signalbox trace` tells, from the journal's files. Off the path: one reader at
//! a time, on a thread of its own that yields to every other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::Door;
use crate::journal::Fault;
use crate::journal::trace::{self, Opener, Wanted};
use crate::process;

/// How far back is looked where nothing is said.
const WITHIN_S: u64 = 3_600;
/// Payments told at a time, the newest.
const TOLD_MAX: usize = 20;
/// The longest DE 37.
const RRN_MAX: usize = 12;

/// Which payments: those that fit everything that is said.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// DE 37.
    rrn: Option<String>,
    /// DE 11, the acquirer's or ours.
    stan: Option<u32>,
    /// The trace id.
    trace: Option<String>,
    /// How far back is looked, seconds; 0 is everything that is kept.
    within_s: Option<u64>,
}

impl Asked {
    fn wanted(self, now_us: u64) -> Result<Wanted, &'static str> {
        let Self { rrn, stan, trace, within_s } = self;
        let is_rrn = rrn.as_ref().is_none_or(|rrn| (1..=RRN_MAX).contains(&rrn.len()));
        let trace = trace.map(|id| u128::from_str_radix(&id, 16).ok().filter(|_| id.len() == 32));
        if !is_rrn || trace == Some(None) || (rrn.is_none() && stan.is_none() && trace.is_none()) {
            return Err("expected rrn=DE 37, stan=DE 11 or trace=32 hexadecimal digits");
        }
        let within_us = within_s.unwrap_or(WITHIN_S).saturating_mul(1_000_000);
        let since_us = (within_us > 0).then(|| now_us.saturating_sub(within_us));
        Ok(Wanted { trace: trace.flatten(), rrn, stan, card: None, since_us })
    }
}

/// The right to read the journal, given back at the end of the reader.
struct Turn(Arc<AtomicBool>);

impl Turn {
    fn take(reading: &Arc<AtomicBool>) -> Option<Self> {
        (!reading.swap(true, Ordering::Acquire)).then(|| Self(reading.clone()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Everything that happened to the payments that are asked for. A card is masked, and never beside its token.
pub(super) async fn follow(State(door): State<Door>, Query(asked): Query<Asked>) -> Response {
    let Some(journal) = &door.setup.start.journal else {
        return refuse(StatusCode::NOT_FOUND, "without a journal nothing is written down of a payment");
    };
    let wanted = match asked.wanted(door.setup.now_us()) {
        Ok(wanted) => wanted,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, why),
    };
    let Some(turn) = Turn::take(&door.reading) else {
        return refuse(StatusCode::TOO_MANY_REQUESTS, "the journal is being read for somebody else");
    };
    let directory = journal.dir.clone();
    let opener = Opener::of(&door.setup.start);
    let (tell, told) = oneshot::channel();
    let reader = std::thread::Builder::new().name("trace".to_owned()).spawn(move || {
        process::let_payments_first();
        let read = || trace::read(&directory, opener.as_ref(), &wanted);
        // Retention may have taken a file between its listing and its reading: what is left is read again. While the token
        // that opens card numbers is gone, they are not shown.
        let told = match read() {
            Err(Fault::Key(_)) => trace::read(&directory, None, &wanted),
            told => told.or_else(|_| read()),
        };
        drop(turn);
        let _ = tell.send(told);
    });
    if let Err(error) = reader {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
    }
    match told.await {
        Ok(Ok(stories)) => {
            let more = stories.len().saturating_sub(TOLD_MAX);
            let payments: Vec<Value> = stories.iter().skip(more).map(without_token).collect();
            Json(json!({ "payments": payments, "more": more })).into_response()
        }
        Ok(Err(fault)) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &fault.to_string()),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the journal could not be read"),
    }
}

/// A token beside a masked number would help to find the number.
fn without_token(story: &trace::Story) -> Value {
    let mut said = story.said();
    if let Some(fields) = said.as_object_mut() {
        fields.remove("card_token");
    }
    said
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "said": why }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(rrn: Option<&str>, stan: Option<u32>, trace: Option<&str>) -> Asked {
        Asked { rrn: rrn.map(str::to_owned), stan, trace: trace.map(str::to_owned), within_s: None }
    }

    #[test]
    fn something_must_be_said_and_a_card_number_is_no_retrieval_reference() {
        let id = "00000000000000000000000000000abc";
        assert!(asked(None, None, None).wanted(0).is_err());
        assert!(asked(Some("9999960000000019"), None, None).wanted(0).is_err());
        assert!(asked(None, None, Some("abc")).wanted(0).is_err());
        assert_eq!(asked(None, None, Some(id)).wanted(0).map(|wanted| wanted.trace), Ok(Some(0xabc)));
        let hour = asked(Some("000000000007"), None, None).wanted(3_600_000_001);
        assert_eq!(hour.map(|wanted| wanted.since_us), Ok(Some(1)));
        let all = Asked { within_s: Some(0), ..asked(None, Some(7), None) };
        assert_eq!(all.wanted(5).map(|wanted| wanted.since_us), Ok(None));
    }

    #[test]
    fn one_reads_at_a_time() {
        let reading = Arc::new(AtomicBool::new(false));
        let turn = Turn::take(&reading);
        assert!(turn.is_some() && Turn::take(&reading).is_none());
        drop(turn);
        assert!(Turn::take(&reading).is_some());
    }
}
