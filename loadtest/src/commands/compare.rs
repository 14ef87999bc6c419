//! `loadtest compare`: two JSON reports beside each other.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use super::{exit, fail};
use crate::cli::CompareArgs;
use crate::compare::{Change, FailOn, Run, Unit, compare as changes, differences};
use crate::report::SCHEMA_VERSION;
use crate::report::text::{self, Ink};

/// `loadtest compare`.
pub fn compare(args: &CompareArgs) -> ExitCode {
    let (one, other) = match (read(&args.a), read(&args.b)) {
        (Ok(one), Ok(other)) => (one, other),
        (Err(error), _) | (_, Err(error)) => return fail(exit::FAILED, &error),
    };
    let ink = Ink::new(io::stdout().is_terminal());
    let mut out = String::new();
    for (name, run) in [("A", &one), ("B", &other)] {
        if let Some(doubt) = run.doubt() {
            out.push_str(&format!(
                "{}\n",
                ink.warn(format!("{name} is {doubt}: its figures are not about the host"))
            ));
        }
    }
    for difference in differences(&one, &other) {
        out.push_str(&format!("{}\n", ink.warn(format!("not the same load, {difference}"))));
    }
    let changes = changes(&one, &other);
    out.push_str(&table(&changes, ink));
    let caught = verdicts(&mut out, &args.fail_on, &changes, ink);
    let _ = write!(io::stdout(), "{out}");
    ExitCode::from(if caught { exit::THRESHOLD } else { exit::CLEAN })
}

fn read(path: &Path) -> Result<Run, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
    let run: Run = serde_json::from_str(&text).map_err(|error| named(&error))?;
    if run.schema_version == SCHEMA_VERSION {
        Ok(run)
    } else {
        Err(named(&format!("schema version {} is not {SCHEMA_VERSION}", run.schema_version)))
    }
}

/// The changes, a line each.
pub(super) fn table(changes: &[Change], ink: Ink) -> String {
    let title = format!("  {:<12}{:>12}{:>12}{:>12}{:>12}", "", "A", "B", "change", "noise");
    let mut out = format!("{}\n", ink.faint(title));
    for change in changes {
        let unit = if change.unit == Unit::Percent { "pt" } else { "%" };
        let noise = change.noise.map_or("?".to_string(), |noise| format!("{noise:.1} {unit}"));
        let moved = format!("{:>12}", format!("{:+.1} {unit}", change.change));
        let moved = if change.is_real() { ink.strong(moved) } else { ink.faint(moved) };
        let word = match (change.is_real(), change.noise) {
            (true, _) => "",
            (false, None) => "too short to tell",
            (false, Some(_)) => "within noise",
        };
        let (a, b) = (value(change.a, change.unit), value(change.b, change.unit));
        let line = format!("  {:<12}{a:>12}{b:>12}{moved}{noise:>12}  {}", change.figure, ink.faint(word));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A value in the unit of its figure.
fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Time => text::time(value as u64),
        Unit::Rate => format!("{}/s", text::count(value.round() as u64)),
        Unit::Percent => format!("{value:.2} %"),
    }
}

/// Says what became of each limit; returns whether one was passed.
pub(super) fn verdicts(out: &mut String, limits: &[FailOn], changes: &[Change], ink: Ink) -> bool {
    let mut caught = false;
    for limit in limits {
        let hit = changes.iter().any(|change| limit.catches(change));
        caught |= hit;
        let word = if hit { ink.bad("FAILED") } else { ink.good("held  ") };
        out.push_str(&format!("  fail on     {word}  {}\n", limit.text()));
    }
    caught
}
