//! From text to the structs that mirror it, finding every fault of form on the way.

use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer, Error};

use super::environment::{self, Variable};
use super::fault::{self, Fault, Report};

/// The text of a file.
///
/// # Errors
/// Why it cannot be had.
pub(super) fn text_of(path: &Path) -> Result<String, Fault> {
    const EXPECTED: &str = "a TOML file that can be read";
    let bytes = std::fs::read(path).map_err(|error| fault::of_file(path, error.to_string(), EXPECTED))?;
    String::from_utf8(bytes).map_err(|_| fault::of_file(path, "bytes that are not UTF-8", EXPECTED))
}

/// Reads a text as `T`, with the variables laid over it. Nothing when no more can be made of it; whatever
/// is wrong is in the report.
pub(super) fn read<T: DeserializeOwned>(
    text: &str,
    variables: &[Variable],
    report: &mut Report<'_>,
) -> Option<T> {
    let (mut table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        syntax_fault(error, report);
    }
    if !errors.is_empty() {
        return None;
    }
    report.learn(table.get_ref());
    environment::apply(variables, table.get_mut(), report);
    deserialized(table, report)
}

/// Serde stops at the first key it does not know and at the first table that should be a list. Each is
/// noted and taken out, until the rest passes.
fn deserialized<T: DeserializeOwned>(mut table: Spanned<DeTable<'_>>, report: &mut Report<'_>) -> Option<T> {
    loop {
        let error = match T::deserialize(Deserializer::from(table.clone())) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let at = error.span().unwrap_or_default();
        form_fault(&error, &at, report);
        if !take_out(table.get_mut(), &at) {
            return None;
        }
    }
}

fn syntax_fault(error: &Error, report: &mut Report<'_>) {
    let at = error.span().unwrap_or_default();
    let (found, expected) = match error.message() {
        "duplicate key" => ("a key for the second time", "each key once"),
        message => message.split_once(", expected ").unwrap_or((message, "TOML")),
    };
    report.fault(&at, found, expected);
}

/// Takes serde's sentences apart: "unknown field `x`, expected one of `a`, `b`" and "invalid type: map,
/// expected a sequence".
fn form_fault(error: &Error, at: &Range<usize>, report: &mut Report<'_>) {
    let message = error.message();
    if message.starts_with("unknown field") {
        let mut names = message.split('`').skip(1).step_by(2);
        let found = names.next().unwrap_or_default();
        let known: Vec<&str> = names.collect();
        return report.unknown(at, "unknown key", found, &known);
    }
    let (found, expected) = message.split_once(", expected ").unwrap_or((message, "something else"));
    let found = match found.strip_prefix("invalid type: ").unwrap_or(found) {
        "map" => "a table",
        "sequence" => "a list",
        length if length.starts_with("invalid length") => "a list",
        // "string "x"", "integer `1`"
        scalar => scalar.split('`').nth(1).or(scalar.strip_prefix("string ")).unwrap_or(scalar),
    };
    let expected = match (found, expected) {
        ("a table", "a sequence") => "a list: [[...]] for each table of it",
        (_, "a sequence") => "a list",
        (_, "any valid TOML value") => "a smaller number",
        (_, other) => other,
    };
    report.wrong(at, found, expected);
}

/// Removes the entry whose key or value has this range; whether there was one.
fn take_out(table: &mut DeTable<'_>, at: &Range<usize>) -> bool {
    let found = table.iter().find(|(key, value)| key.span() == *at || value.span() == *at);
    if let Some(key) = found.map(|(key, _)| key.get_ref().to_string()) {
        return table.remove(key.as_str()).is_some();
    }
    table.iter_mut().any(|(_, value)| take_out_of_value(value.get_mut(), at))
}

fn take_out_of_value(value: &mut DeValue<'_>, at: &Range<usize>) -> bool {
    match value {
        DeValue::Table(table) => take_out(table, at),
        DeValue::Array(list) => {
            let others = |item: &Spanned<DeValue<'_>>| item.span() != *at;
            if list.iter().all(others) {
                return list.iter_mut().any(|item| take_out_of_value(item.get_mut(), at));
            }
            *list = std::mem::replace(list, DeArray::new()).into_iter().filter(others).collect();
            true
        }
        _ => false,
    }
}
