//! Structured logs on standard error: a line per link event and per oddity, nothing per transaction above
//! `debug`. Lines go through a bounded queue to a thread of their own: when nobody reads them, lines are lost and
//! payments go on. Values are names, addresses, counts and flaws; no line is ever made from what a message holds.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

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
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).init(),
        LogFormat::Text => {
            let coloured = is_terminal && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(coloured).with_target(false).init();
        }
    }
    guard
}

/// Makes a panic say where it happened and nothing else: its text could be made from a message.
pub fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(%place, "internal fault");
        eprintln!("internal fault at {place}");
    }));
}
