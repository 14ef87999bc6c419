//! Dialects: a built-in name, or a file in the form of those in `switch/dialects`.
//!
//! A file says `version`, `mti`, `bitmap`, `echo`, `[encoding]`, `[fields]` and `[rules.*]`. With
//! `base = "iso87-ascii"`, or another built-in name, it says only what is different: an encoding holds for
//! the fields of the base too; a field, the rule of a message type and `echo` replace those of the base.

mod field;
mod raw;
mod rule;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::Path;

use codecs::iso8583::dialect::BUILT_IN;
use codecs::iso8583::{BitmapText, Dialect, Text, Version};

use self::raw::Raw;
use super::fault::Report;
use super::given::Given;
use super::reader;

const MTI_TEXTS: [(&str, Text); 3] = [("ascii", Text::Ascii), ("ebcdic", Text::Ebcdic), ("bcd", Text::Bcd)];
const BITMAP_TEXTS: [(&str, BitmapText); 3] = [
    ("binary", BitmapText::Binary),
    ("hex-ascii", BitmapText::HexAscii),
    ("hex-ebcdic", BitmapText::HexEbcdic),
];

/// The dialect of a built-in name, or of a file relative to `folder`. `at` is where the name was written.
pub(super) fn find(name: &str, folder: &Path, at: &Range<usize>, report: &mut Report<'_>) -> Option<Dialect> {
    if let Some((_, dialect)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return Some(Dialect::clone(dialect));
    }
    if !name.contains('/') && !name.ends_with(".toml") {
        let built_in = BUILT_IN.iter().map(|(known, _)| *known);
        let names: Vec<&str> = built_in.chain(["the path of a .toml file"]).collect();
        report.unknown(at, "unknown dialect", name, &names);
        return None;
    }
    let path = folder.join(name);
    match reader::text_of(&path) {
        Ok(text) => parse(&text, &path, report),
        Err(fault) => {
            report.fault(at, format!("{}: {}", path.display(), fault.found), fault.expected);
            None
        }
    }
}

/// Reads a dialect file. Its faults join those of the configuration that names it.
fn parse(text: &str, path: &Path, configuration: &mut Report<'_>) -> Option<Dialect> {
    let mut report = Report::new(path, text, &[]);
    let dialect = reader::read(text, &[], &mut report).and_then(|raw| build(&raw, &mut report));
    let is_sound = report.faults.is_empty();
    configuration.faults.append(&mut report.faults);
    dialect.filter(|_| is_sound)
}

fn build(raw: &Raw, report: &mut Report<'_>) -> Option<Dialect> {
    let base = match &raw.base {
        Some(given) => Some(report.one_of(given, "base", BUILT_IN)?),
        None => None,
    };
    let version = match &raw.version {
        Some(given) => version(given, base, report),
        None => inherited(base.map(|base| base.version), "version = 1987", report),
    };
    let mti = match &raw.mti {
        Some(given) => report.one_of(given, "encoding", &MTI_TEXTS),
        None => inherited(base.map(|base| base.mti), "mti = \"ascii\"", report),
    };
    let bitmap = match &raw.bitmap {
        Some(given) => report.one_of(given, "encoding", &BITMAP_TEXTS),
        None => inherited(base.map(|base| base.bitmap), "bitmap = \"binary\"", report),
    };
    let fields = field::fields(raw, base, report);
    let rules = rule::rules(raw, base, version, fields.as_ref(), report);
    let echo = match &raw.echo {
        Some(list) => Some(rule::defined(list, fields.as_ref(), report)),
        None => inherited(base.map(|base| base.echo), "echo = [2, 3, 4, 7, 11, ...]", report),
    };
    Some(Dialect::new(version?, mti?, bitmap?, fields?).with_rules(rules, echo?))
}

fn version(given: &Given<u64>, base: Option<&Dialect>, report: &mut Report<'_>) -> Option<Version> {
    let version = match report.sound(given)? {
        1987 => Version::V1987,
        1993 => Version::V1993,
        year => {
            report.wrong(&given.at, &year.to_string(), "1987 or 1993");
            return None;
        }
    };
    if base.is_some_and(|base| base.version != version) {
        report.fault(&given.at, "another version than that of the base", "the same, or none");
        return None;
    }
    Some(version)
}

/// What the base has. Without a base the file should have said it itself; that fault has no place of its
/// own.
fn inherited<T>(base: Option<T>, expected: &str, report: &mut Report<'_>) -> Option<T> {
    if base.is_none() {
        let key = expected.split(' ').next().unwrap_or_default();
        report.fault(&(0..0), format!("neither {key:?} nor a base that has it"), expected);
    }
    base
}
