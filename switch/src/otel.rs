//! Spans of sampled payments for a collector beside the switch (OpenTelemetry, OTLP over HTTP with JSON): the payments that
//! have lines in the log, under the same trace id. With the feature `otel` alone.
//!
//! A shard puts what it knows of a payment into a bounded queue and goes on. A thread of its own says it; what finds no
//! room, and what the collector does not take, is lost and counted. Nothing of a card, track or PIN can be in a span: it
//! is made from names, moments and DE 39.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use authorizer::event::{AcquirerId, IssuerId};
use authorizer::request::Identity;
use codecs::iso8583::Mti;
use codecs::value::ResponseCode;
use crossbeam_queue::ArrayQueue;
use serde_json::{Value, json};

use crate::http;
use crate::setup::Setup;

/// Payments that may wait to be said.
const WAITING_MAX: usize = 4_096;
/// Payments of one message.
const TOGETHER_MAX: usize = 256;
/// How often what waits is said.
const PERIOD: Duration = Duration::from_millis(250);
/// How long the collector may take for one message.
const WAIT: Duration = Duration::from_secs(2);
/// Where OTLP takes traces.
const PATH: &str = "/v1/traces";

/// Kinds of spans, as OTLP numbers them.
mod kind {
    pub(super) const INTERNAL: u8 = 1;
    pub(super) const SERVER: u8 = 2;
    pub(super) const CLIENT: u8 = 3;
}

/// A payment that was answered. Moments are microseconds of the switch's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) identity: Identity,
    pub(crate) acquirer: AcquirerId,
    pub(crate) mti: Mti,
    pub(crate) code: ResponseCode,
    pub(crate) received_us: u64,
    /// Handed to its issuer's link.
    pub(crate) forwarded_us: Option<u64>,
    /// The issuer's answer was read, and whose.
    pub(crate) heard: Option<(u64, IssuerId)>,
    pub(crate) ended_us: u64,
}

/// What shards put into.
pub(crate) struct Spans(ArrayQueue<Told>);

impl Default for Spans {
    fn default() -> Self {
        Self(ArrayQueue::new(WAITING_MAX))
    }
}

impl Spans {
    /// Puts one payment in. False where there is no room.
    pub(crate) fn put(&self, told: Told) -> bool {
        self.0.push(told).is_ok()
    }
}

/// The thread that says them, until this is dropped.
pub(crate) struct Exporter {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Starts it, where the configuration names a collector.
    pub(crate) fn start(setup: &Arc<Setup>) -> std::io::Result<Option<Self>> {
        let Some(at) = setup.start.log_otlp else { return Ok(None) };
        let is_over = Arc::new(AtomicBool::new(false));
        let (setup, over) = (setup.clone(), is_over.clone());
        let thread = thread::Builder::new().name("otel".to_owned()).spawn(move || run(&setup, at, &over))?;
        Ok(Some(Self { is_over, thread: Some(thread) }))
    }
}

impl Drop for Exporter {
    /// What waits is said first.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn run(setup: &Setup, at: SocketAddr, is_over: &AtomicBool) {
    let mut was_taken = true;
    loop {
        let is_last = is_over.load(Ordering::Relaxed);
        while !setup.spans.0.is_empty() {
            let together: Vec<Told> = std::iter::from_fn(|| setup.spans.0.pop()).take(TOGETHER_MAX).collect();
            let taken = say(setup, at, &together);
            let counted = if taken.is_ok() { &setup.traces.sent } else { &setup.traces.lost };
            counted.fetch_add(together.len() as u64, Ordering::Relaxed);
            if let (Err(why), true) = (&taken, was_taken) {
                tracing::warn!(%at, why, "the collector does not take traces; payments go on");
            }
            was_taken = taken.is_ok();
            if is_last && !was_taken {
                return;
            }
        }
        if is_last {
            return;
        }
        thread::park_timeout(PERIOD);
    }
}

fn say(setup: &Setup, at: SocketAddr, together: &[Told]) -> Result<(), String> {
    let body = message(setup, together).to_string();
    let (status, said) = http::post(at, PATH, None, &body, WAIT).map_err(|error| error.to_string())?;
    let refused = serde_json::from_str::<Value>(&said).ok();
    match refused.as_ref().map(|said| &said["partialSuccess"]["rejectedSpans"]) {
        _ if status != 200 => Err(format!("it answers {status}")),
        Some(Value::Number(_) | Value::String(_)) => Err(format!("it refuses some: {said}")),
        _ => Ok(()),
    }
}

/// One message: `ExportTraceServiceRequest`.
fn message(setup: &Setup, together: &[Told]) -> Value {
    let spans: Vec<Value> = together.iter().flat_map(|told| spans(setup, told)).collect();
    let version = crate::VERSION.as_str();
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            attribute("service.name", "signalbox"),
            attribute("service.version", version),
            attribute("service.instance.id", &setup.start.admin.listen.to_string()),
        ] },
        "scopeSpans": [{ "scope": { "name": "signalbox", "version": version }, "spans": spans }],
    }] })
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// One span for the whole, named by its MTI, and one for each part that is known.
fn spans(setup: &Setup, told: &Told) -> Vec<Value> {
    let acquirer = &setup.start.acquirers[told.acquirer.index()].name;
    let issuer = told.heard.map(|(_, issuer)| setup.start.issuers[issuer.index()].name.as_str());
    let mut about = vec![
        attribute("signalbox.acquirer", acquirer),
        attribute("signalbox.de39", &String::from_utf8_lossy(told.code.as_bytes())),
    ];
    about.extend(issuer.map(|issuer| attribute("signalbox.issuer", issuer)));
    let root = root_id(told);
    let mti = told.mti.digits();
    let mut spans = vec![span(
        told,
        (root, None),
        (&String::from_utf8_lossy(&mti), kind::SERVER),
        (told.received_us, told.ended_us),
        about,
    )];
    let mut part = |number: u64, name: &str, kind: u8, from: Option<u64>, to: Option<u64>| {
        if let (Some(from), Some(to)) = (from, to) {
            spans.push(span(told, (root + number, Some(root)), (name, kind), (from, to), Vec::new()));
        }
    };
    let heard_us = told.heard.map(|(at_us, _)| at_us);
    part(1, "before the issuer", kind::INTERNAL, Some(told.received_us), told.forwarded_us);
    part(2, "issuer", kind::CLIENT, told.forwarded_us, heard_us);
    part(3, "after the issuer", kind::INTERNAL, heard_us, Some(told.ended_us));
    spans
}

/// Not zero, another one for each repeat of a message, and with room for its parts behind it.
fn root_id(told: &Told) -> u64 {
    let id = (told.identity.0 as u64) ^ told.received_us.rotate_left(32);
    (id & !3) | 4
}

fn span(
    told: &Told,
    (id, parent): (u64, Option<u64>),
    (name, kind): (&str, u8),
    (from_us, to_us): (u64, u64),
    attributes: Vec<Value>,
) -> Value {
    let nanoseconds = |us: u64| format!("{us}000");
    let mut span = json!({
        "traceId": format!("{:032x}", told.identity.0),
        "spanId": format!("{id:016x}"),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": nanoseconds(from_us),
        "endTimeUnixNano": nanoseconds(to_us.max(from_us)),
        "attributes": attributes,
    });
    if let Some(parent) = parent {
        span["parentSpanId"] = json!(format!("{parent:016x}"));
    }
    span
}
