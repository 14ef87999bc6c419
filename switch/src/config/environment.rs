//! Settings from the environment, laid over the table that the file gave.
//!
//! `SIGNALBOX__SWITCH__SHARDS=2` is `switch.shards = 2`, and `SIGNALBOX__ACQUIRER__0__LISTEN` the `listen` of
//! the first `[[acquirer]]`; the number after the last one adds another. Texts need no quotes. A list or
//! a table is written as in TOML.
//!
//! A value from here carries a range of bytes that no text has, and that range leads back to the variable.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use super::fault::Report;

const PREFIX: &str = "SIGNALBOX__";

/// No text is this long: ranges from here on stand for variables.
const FIRST_RANGE: usize = usize::MAX / 2;

/// A variable that sets something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Variable {
    path: Vec<Step>,
    /// As it stands in the environment.
    pub(super) name: String,
    value: String,
}

/// One step from the top of the file to a setting.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    /// Into a list.
    Item(usize),
    /// Into a table.
    Key(String),
}

/// Those of the environment's variables that are ours, in the order in which they are applied: a list
/// grows from its front, whatever order the environment has.
pub(super) fn ours(environment: impl Iterator<Item = (String, String)>) -> Vec<Variable> {
    let mut variables: Vec<Variable> = environment
        .filter_map(|(name, value)| {
            let path = name.strip_prefix(PREFIX)?.split("__").map(step).collect();
            Some(Variable { path, name, value })
        })
        .collect();
    variables.sort();
    variables
}

fn step(segment: &str) -> Step {
    match segment.parse() {
        Ok(index) => Step::Item(index),
        Err(_) => Step::Key(segment.to_ascii_lowercase()),
    }
}

/// The variable that a range of bytes leads back to, if it is not a place in a text.
pub(super) fn variable_at(at: &Range<usize>) -> Option<usize> {
    at.start.checked_sub(FIRST_RANGE)
}

/// Sets in `table` what the variables say.
pub(super) fn apply<'v>(variables: &'v [Variable], table: &mut DeTable<'v>, report: &mut Report<'_>) {
    for (index, variable) in variables.iter().enumerate() {
        let start = FIRST_RANGE + index;
        let setting = Setting { at: start..start, text: &variable.value };
        if let Err(Astray { found, expected }) = setting.set_in_table(table, &variable.path) {
            report.fault(&setting.at, found, expected);
        }
    }
}

/// The path of a variable does not fit the configuration.
struct Astray {
    found: String,
    expected: String,
}

fn astray(found: impl Into<String>, expected: impl Into<String>) -> Astray {
    Astray { found: found.into(), expected: expected.into() }
}

/// What a variable says, and the range that leads back to it.
struct Setting<'v> {
    at: Range<usize>,
    text: &'v str,
}

impl<'v> Setting<'v> {
    fn set_in_table(&self, table: &mut DeTable<'v>, path: &[Step]) -> Result<(), Astray> {
        match path {
            [Step::Key(key), rest @ ..] if !key.is_empty() => {
                let key: Spanned<DeString<'v>> = self.here(key.clone().into());
                self.set_in_value(table.entry(key).or_insert_with(|| self.empty_for(rest)), rest)
            }
            [Step::Item(index), ..] => Err(astray(format!("the number {index}"), "the name of a setting")),
            _ => Err(astray("an empty name", "the name of a setting")),
        }
    }

    fn set_in_value(&self, value: &mut Spanned<DeValue<'v>>, path: &[Step]) -> Result<(), Astray> {
        match (path, value.get_mut()) {
            ([], _) => {
                *value = self.written();
                Ok(())
            }
            (_, DeValue::Table(table)) => self.set_in_table(table, path),
            ([Step::Item(index), rest @ ..], DeValue::Array(list)) => {
                if *index == list.len() {
                    list.push(self.empty_for(rest));
                }
                let most = list.len();
                match list.get_mut(*index) {
                    Some(item) => self.set_in_value(item, rest),
                    None => Err(astray(format!("the number {index}"), format!("0 to {most}"))),
                }
            }
            ([Step::Key(key), ..], DeValue::Array(_)) => {
                Err(astray(format!("the name {key:?} in a list"), "a number, counted from 0"))
            }
            (_, scalar) => {
                Err(astray(format!("a name below a {}", scalar.type_str()), "the name of a table or list"))
            }
        }
    }

    /// What must be made for the rest of a path to lead into; a setting itself is filled in afterwards.
    fn empty_for(&self, rest: &[Step]) -> Spanned<DeValue<'v>> {
        self.here(match rest.first() {
            Some(Step::Item(_)) => DeValue::Array(DeArray::new()),
            _ => DeValue::Table(DeTable::new()),
        })
    }

    /// A list or a table if the text reads as one. Everything else stays a text: only the setting's own
    /// kind can tell whether 00 is a number.
    fn written(&self) -> Spanned<DeValue<'v>> {
        let is_compound = self.text.starts_with(['[', '{']);
        match DeValue::parse(self.text) {
            Ok(value) if is_compound => self.moved_here(value),
            _ => self.here(DeValue::String(self.text.into())),
        }
    }

    /// The same value with the range of its variable throughout.
    fn moved_here(&self, value: Spanned<DeValue<'v>>) -> Spanned<DeValue<'v>> {
        self.here(match value.into_inner() {
            DeValue::Array(list) => {
                DeValue::Array(list.into_iter().map(|item| self.moved_here(item)).collect())
            }
            DeValue::Table(table) => {
                let moved = |(key, value): (Spanned<DeString<'v>>, Spanned<DeValue<'v>>)| {
                    (self.here(key.into_inner()), self.moved_here(value))
                };
                DeValue::Table(table.into_iter().map(moved).collect())
            }
            scalar => scalar,
        })
    }

    fn here<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(self.at.clone(), value)
    }
}
