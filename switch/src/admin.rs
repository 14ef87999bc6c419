//! The operators' listener: is it alive, does it take payments, what are its figures.
//!
//! These pages answer to any host name, for Prometheus may know this machine by another; what changes something (`api`)
//! answers to loopback names only.
//!
//! The handlers know nothing: each asks the switch's main task, which owns the figures, and waits.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::web;

/// Questions that may wait for the main task.
pub(crate) const QUESTIONS_MAX: usize = 16;

/// What a page needs to know.
pub(crate) enum Question {
    /// The figures, as Prometheus text.
    Metrics(oneshot::Sender<String>),
    /// Whether every shard turns.
    Alive(oneshot::Sender<Health>),
    /// Whether payments are taken.
    Ready(oneshot::Sender<Health>),
    /// Finish what runs and stop: confirmed at the console. Says whether it was not stopping already.
    Drain(oneshot::Sender<bool>),
    /// Read the configuration again and put it in force.
    Reload(oneshot::Sender<Health>),
    /// What the configuration says now, beside what is in force.
    Compare(oneshot::Sender<serde_json::Value>),
}

/// The state of the switch in words.
pub(crate) struct Health {
    /// Whether all is well.
    pub(crate) ok: bool,
    /// A JSON object.
    pub(crate) body: serde_json::Value,
}

/// Serves the pages until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, questions: mpsc::Sender<Question>, api: Router) {
    let router = Router::new()
        .route("/livez", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(questions)
        .merge(api);
    web::serve("admin", listener, router).await;
}

type Questions = State<mpsc::Sender<Question>>;

async fn alive(questions: Questions) -> Response {
    health(questions, Question::Alive).await
}

async fn ready(questions: Questions) -> Response {
    health(questions, Question::Ready).await
}

async fn metrics(State(questions): Questions) -> Response {
    match ask(&questions, Question::Metrics).await {
        Some(page) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
        }
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn health(State(questions): Questions, of: fn(oneshot::Sender<Health>) -> Question) -> Response {
    let Some(health) = ask(&questions, of).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let status = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = format!("{:#}\n", health.body);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

pub(crate) async fn ask<T>(
    questions: &mpsc::Sender<Question>,
    of: impl Fn(oneshot::Sender<T>) -> Question,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    questions.send(of(answer)).await.ok()?;
    answered.await.ok()
}
