//! Signalbox: a card authorization switch.
//!
//! This crate is the edge, the only place where anything is read, written or waited for; the decision is the
//! `authorizer`. `ARCHITECTURE.md` beside this crate draws the whole. In the order of a payment's path:
//!
//! | file | what it does |
//! | --- | --- |
//! | `door`, `tls`, `connect` | connections made within bounds, principals proved |
//! | `link`, `wire` | bytes cut into messages; frames written once a turn |
//! | `acquirer`, `homes` | a message becomes a request, and finds its shard |
//! | `programs`, `crypto` | what a track presents to a program; questions to the token |
//! | `token` | the token in processes of its own: launcher, workers, a breaker for each |
//! | `live` | the world as the turn sees it (`authorizer::shard`): events in, facts durable, effects out |
//! | `journal` | facts on the disk before anything that follows from them is seen |
//! | `issuer`, `kept` | a leg becomes a message, a message becomes an answer; what is told later is made from what was kept |
//! | `envelope`, `edge`, `hop` | raw messages kept, one shard's world, shards talking |
//! | `alarm` | a shard turns when something falls due |
//! | `registry` | maps that threads share beside the path |
//! | `sync`, `models` | what threads share on this path; every order of it, tried by tests |
//! | `metrics`, `catalogue`, `board`, `process`, `admin`, `log` | what operators see |
//! | `service` | what the service manager is told |
//! | `console`, `slowest` | the web console |
//! | `api`, `cards` | cards enrolled, bundles and challenges given, over HTTP; the command that asks for it |
//! | `config`, `tables`, `setup`, `run` | how it starts, and how it stops |
//! | `rules`, `reload` | what a reload swaps, and how |
#![forbid(unsafe_code)]

/// The version, with the commit it was built from where the build was told (`SIGNALBOX_COMMIT`, as `make package` does).
pub static VERSION: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    let commit = option_env!("SIGNALBOX_COMMIT").filter(|commit| !commit.is_empty());
    commit.map_or_else(
        || env!("CARGO_PKG_VERSION").to_owned(),
        |commit| format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
    )
});

pub mod acquirer;
mod admin;
mod alarm;
mod api;
mod board;
pub mod cards;
pub mod catalogue;
pub mod config;
mod connect;
pub mod console;
mod crypto;
pub mod demo;
mod door;
mod edge;
mod envelope;
pub mod examine;
pub mod frame;
pub mod homes;
mod hop;
mod http;
pub mod issuer;
pub mod journal;
pub mod kept;
pub mod keys;
mod life;
mod link;
mod live;
pub mod log;
mod mac;
pub mod mentions;
pub mod metrics;
#[cfg(test)]
mod models;
mod network;
#[cfg(feature = "otel")]
mod otel;
mod process;
pub mod programs;
mod recall;
mod registry;
pub mod reload;
mod rules;
pub mod run;
pub mod say;
mod serve;
mod service;
mod setup;
mod slowest;
mod sync;
mod tables;
mod throttle;
mod tls;
pub mod token;
mod wall;
mod web;
mod wire;
