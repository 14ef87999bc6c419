//! Structured logs on standard error: a line per link event and per oddity, nothing per transaction above
//! `debug`. Lines go through a bounded queue to a thread of their own: when nobody reads them, lines are lost and
//! payments go on. Of lines that repeat the most are left out (`repeats`). Values are names, addresses, counts and flaws;
//! no line is ever made from what a message holds.

mod repeats;

use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, reload};

use repeats::Repeats;
pub(crate) use repeats::second;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Starts logging. `SIGNALBOX_LOG` sets the level (`info`), per module if wanted. What is given back must be kept
/// until the end: dropping it writes the lines that wait.
pub fn start(format: Option<LogFormat>) -> WorkerGuard {
    let is_terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if is_terminal { LogFormat::Text } else { LogFormat::Json });
    let filter = EnvFilter::try_from_env("SIGNALBOX_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let (writer, guard) = NonBlockingBuilder::default().lossy(true).finish(std::io::stderr());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false).with_filter_reloading();
            keep(builder.reload_handle());
            builder.finish().with(Repeats).init();
        }
        LogFormat::Text => {
            let coloured = is_terminal && std::env::var_os("NO_COLOR").is_none();
            let builder = builder.with_ansi(coloured).with_target(false).with_filter_reloading();
            keep(builder.reload_handle());
            builder.finish().with(Repeats).init();
        }
    }
    guard
}

fn keep<S: 'static>(handle: reload::Handle<EnvFilter, S>) {
    let _ = CHANGE.set(Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())));
}

/// What changes the filter of the lines; there from the start of logging on.
static CHANGE: OnceLock<Change> = OnceLock::new();

type Change = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// Changes which lines are written, until the next start: `info`, `debug`, or a filter by module.
///
/// # Errors
/// Why not.
pub fn change_level(level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|error| error.to_string())?;
    CHANGE.get().ok_or_else(|| "nothing is logged yet".to_owned())?(filter)
}

/// Makes a panic say where it happened and nothing else: its text could be made from a message.
pub fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(%place, "internal fault");
        eprintln!("internal fault at {place}");
    }));
}
