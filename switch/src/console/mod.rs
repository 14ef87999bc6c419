//! The web console: what an operator with a pager wants to see first, in a browser, from this one binary. Nothing is
//! fetched from anywhere else, and without `console.control` nothing can be changed.
//!
//! A listener of its own on loopback: from another machine it is reached through a tunnel. Requests for other host
//! names are refused (a page elsewhere cannot make a browser read this one), and so is everything that changes
//! something and comes from another origin. With `console.token_file` a browser signs in once, and programs show the
//! token as a bearer; without one everybody on this machine may look.
//!
//! | file | what |
//! | --- | --- |
//! | `figures` | the metrics page, read back |
//! | `view` | one JSON object a second |
//! | `trace` | one payment followed, read from the journal |
//! | `session` | who may see it |
//! | `control`, `audit` | what may be changed, asked twice and written down |
//! | `page` | the page itself: no library, no build step |

pub mod audit;
mod control;
mod figures;
mod session;
mod trace;
mod view;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::admin::{self, Question};
use crate::config::Console as Settings;
use crate::setup::Setup;
use crate::slowest::Slow;
use crate::web;
use control::Control;
use session::Sessions;

/// Browsers that may listen at a time.
const LISTENERS_MAX: usize = 32;
/// A sign of life on a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/console.css");
const SCRIPT: &str = include_str!("page/console.js");
const LOGIN: &str = include_str!("page/login.html");
const ICON: &str = include_str!("page/icon.svg");

/// Everything a page may load comes from here, and nothing may frame it.
const POLICY: &str = "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'";

/// The main task's end: it says each second what the figures are.
pub(crate) struct Console {
    view: view::View,
    newest: watch::Sender<Arc<str>>,
}

impl Console {
    /// Says what there is to see at this moment.
    pub(crate) fn look(&mut self, setup: &Setup, page: &str, slow: &[Slow], ready: Value) {
        let said = self.view.look(setup, page, slow, ready).to_string();
        self.newest.send_replace(said.into());
    }
}

/// The task that answers browsers.
pub(crate) type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A console whose files are sound and whose listener is bound: nobody is answered yet.
pub(crate) struct Bound {
    listener: TcpListener,
    control: Option<Control>,
}

impl Bound {
    /// Opens the audit log behind the listener: that belongs to one process, and so does the end of the log's chain.
    ///
    /// # Errors
    /// Why the log cannot be used.
    pub(crate) fn new(settings: &Settings, listener: TcpListener) -> Result<Self, String> {
        let control = settings.audit_log.as_deref().map(Control::open).transpose()?;
        Ok(Self { listener, control: control.filter(|_| settings.control) })
    }
}

/// The console, and the task that serves it.
pub(crate) fn open(
    Bound { listener, control }: Bound,
    setup: &Arc<Setup>,
    questions: mpsc::Sender<Question>,
) -> (Console, Serving) {
    let (newest, seen) = watch::channel(Arc::from("null"));
    let door = Door {
        sessions: Arc::default(),
        control: control.map(Arc::new),
        listeners: Arc::default(),
        reading: Arc::default(),
        setup: setup.clone(),
        questions,
        seen,
    };
    let serving = web::serve("console", listener, router(door));
    (Console { view: view::View::default(), newest }, Box::pin(serving))
}

/// What the pages share.
#[derive(Clone)]
struct Door {
    sessions: Arc<Sessions>,
    control: Option<Arc<Control>>,
    listeners: Arc<AtomicUsize>,
    /// Whether the journal is being read for somebody.
    reading: Arc<AtomicBool>,
    setup: Arc<Setup>,
    questions: mpsc::Sender<Question>,
    seen: watch::Receiver<Arc<str>>,
}

fn router(door: Door) -> Router {
    let inside = Router::new()
        .route("/", get(|| async { text("text/html; charset=utf-8", PAGE) }))
        .route("/events", get(events))
        .route("/v1/console/snapshot", get(snapshot))
        .route("/v1/console/trace", get(trace::follow))
        .route("/v1/console/parked", get(parked))
        .route("/v1/console/configuration", get(configuration))
        .route("/v1/console/ask", post(control::ask))
        .route("/v1/console/do", post(control::confirm))
        .layer(middleware::from_fn_with_state(door.clone(), session::insist));
    Router::new()
        .merge(inside)
        .route("/login", get(|| async { text("text/html; charset=utf-8", LOGIN) }).post(session::login))
        .route("/console.css", get(|| async { text("text/css; charset=utf-8", STYLE) }))
        .route("/console.js", get(|| async { text("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/icon.svg", get(|| async { text("image/svg+xml", ICON) }))
        .layer(middleware::from_fn(careful))
        .with_state(door)
}

fn text(kind: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Refuses what no browser of ours would send, and tells the browser what it must not do.
async fn careful(request: Request, next: Next) -> Response {
    if let Some(why) = is_foreign(&request) {
        return why.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With "no-referrer" a browser would not say of its own form where it comes from.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Why a request is not one of our own pages'.
fn is_foreign(request: &Request) -> Option<(StatusCode, &'static str)> {
    let said = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if !web::is_for_us(request.headers()) {
        return Some((StatusCode::MISDIRECTED_REQUEST, "the console answers to loopback names only\n"));
    }
    let changes = !matches!(request.method().as_str(), "GET" | "HEAD");
    let host = said(header::HOST).map(|host| format!("http://{host}"));
    let is_elsewhere = said(header::ORIGIN).is_some_and(|origin| Some(origin) != host.as_deref());
    (changes && is_elsewhere).then_some((StatusCode::FORBIDDEN, "from another origin\n"))
}

async fn snapshot(State(door): State<Door>) -> Response {
    let newest = door.seen.borrow().clone();
    ([(header::CONTENT_TYPE, "application/json")], newest.to_string()).into_response()
}

/// What issuers refuse for good, as `/v1/saf` lists it.
async fn parked(State(door): State<Door>) -> Response {
    match crate::api::saf::parked(&door.setup).await {
        Some(listed) => Json(json!({ "parked": listed })).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// What the configuration says now, beside what is in force.
async fn configuration(State(door): State<Door>) -> Response {
    match admin::ask(&door.questions, Question::Compare).await {
        Some(compared) => Json(compared).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// A place among the listeners, given back at the end.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One snapshot a second. A browser that is behind gets the newest one and none of those in between.
async fn events(State(door): State<Door>) -> Response {
    if door.listeners.fetch_add(1, Ordering::Relaxed) >= LISTENERS_MAX {
        door.listeners.fetch_sub(1, Ordering::Relaxed);
        return (StatusCode::SERVICE_UNAVAILABLE, "too many browsers listen\n").into_response();
    }
    let place = Place(door.listeners.clone());
    let mut seen = door.seen.clone();
    seen.mark_changed();
    Sse::new(seconds(seen, place)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

fn seconds(seen: watch::Receiver<Arc<str>>, place: Place) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold((seen, place, 0_u64), async |(mut seen, place, number)| {
        seen.changed().await.ok()?;
        let newest = seen.borrow_and_update().clone();
        let event = Event::default().id(number.to_string()).data(&*newest);
        Some((Ok(event), (seen, place, number + 1)))
    })
}
