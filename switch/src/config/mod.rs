//! What the switch is told at its start, and how far it is believed.
//!
//! The journey of a setting:
//!
//! 1. It is written into a TOML file, or into a variable such as `SIGNALBOX__SWITCH__SHARDS`
//!    (`environment` lays those over the file).
//! 2. `reader` turns the text into the structs of `raw`, which mirror the file, refuse unknown keys and give
//!    nothing a default. Each value remembers where it stands (`given`).
//! 3. `check` gives defaults, holds every value against its bounds and against the others, reads the dialect
//!    files (`dialect`) and looks for the certificate files that are named.
//! 4. What comes out is [`Config`]: plain values that need no second look (`checked`).
//!
//! A setting that does not arrive becomes a [`Fault`], with its file, line and column or its variable.
//! Steps 2 and 3 go on after a fault, so that one run shows all of them; the switch does not start with any.
//!
//! `effective` lists what came out, and what of it a reload may change.
//!
//! Not here: opening a port, reading a key, swapping anything while the switch runs.

mod check;
mod checked;
mod dialect;
pub(crate) mod effective;
mod environment;
mod fault;
mod given;
mod raw;
mod reader;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use checked::{
    Acquirer, Admin, Config, Console, Cvc3Key, Door, Hsm, Issuer, Journal, JournalKey, Limits, Mac,
    MacAlgorithm, Placement, Profile, Program, ProgramKind, ResponseKind, Route, StandIn, Switch, Timers,
    TlsFiles, Way,
};
pub use effective::{ChangedBy, Setting, settings};
pub use fault::{Fault, Faults, Place};

/// Reads and checks the configuration file at `path`. Of `environment` only names that begin with
/// `SIGNALBOX__` count.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Config, Faults> {
    match reader::text_of(path) {
        Ok(text) => parse(&text, path, environment),
        Err(fault) => Err(Faults::new(vec![fault])),
    }
}

/// Reads and checks a configuration that is at hand as a text. `origin` stands for it in faults, and
/// relative paths start at its folder.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(
    text: &str,
    origin: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, Faults> {
    let variables = environment::ours(environment);
    let mut report = fault::Report::new(origin, text, &variables);
    let folder = origin.parent().unwrap_or(Path::new(""));
    let config =
        reader::read(text, &variables, &mut report).and_then(|raw| check::check(&raw, folder, &mut report));
    match config {
        Some(config) if report.faults.is_empty() => Ok(config),
        _ => Err(Faults::new(report.faults)),
    }
}
