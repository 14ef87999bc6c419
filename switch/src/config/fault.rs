//! Faults: where each stands, what was found there, what was expected instead.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment::{self, Variable};

/// Everything that is wrong with a configuration: at least one fault, in order of place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults {
    list: Vec<Fault>,
}

impl Faults {
    pub(super) fn new(mut list: Vec<Fault>) -> Self {
        list.sort_by(|one, other| one.place.cmp(&other.place));
        Self { list }
    }

    /// The faults in order of place.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.list.iter()
    }
}

impl<'f> IntoIterator for &'f Faults {
    type Item = &'f Fault;
    type IntoIter = std::slice::Iter<'f, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One line per fault, each ended.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.iter().try_for_each(|fault| writeln!(f, "{fault}"))
    }
}

impl std::error::Error for Faults {}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Where it stands.
    pub place: Place,
    /// What stands there.
    pub found: String,
    /// What could stand there.
    pub expected: String,
    /// A known word close to the one found.
    pub suggestion: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, expected {}", self.place, self.found, self.expected)?;
        match &self.suggestion {
            Some(word) => write!(f, "; did you mean {word:?}?"),
            None => Ok(()),
        }
    }
}

/// Where a setting was written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// In a file.
    File {
        /// The file, as it was named to us.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
    },
    /// In the environment: the name of the variable.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Place::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// Collects the faults of one text and knows where each byte of it stands.
pub(super) struct Report<'t> {
    path: &'t Path,
    text: &'t str,
    variables: &'t [Variable],
    /// The name of each setting by the bytes that its value takes.
    settings: HashMap<Range<usize>, Setting>,
    pub(super) faults: Vec<Fault>,
}

/// What stands at a range of bytes.
enum Setting {
    /// The value of this setting.
    Value(String),
    /// One item of the list that is this setting's value.
    Item(String),
}

impl<'t> Report<'t> {
    pub(super) fn new(path: &'t Path, text: &'t str, variables: &'t [Variable]) -> Self {
        Self { path, text, variables, settings: HashMap::new(), faults: Vec::new() }
    }

    /// Learns the names of the settings, so that faults can speak of them.
    pub(super) fn learn(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            self.learn_value(key.get_ref(), value);
        }
    }

    fn learn_value(&mut self, key: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => return self.learn(table),
            DeValue::Array(list) => {
                for item in list {
                    match item.get_ref() {
                        DeValue::Table(table) => self.learn(table),
                        _ => self.name(item.span(), Setting::Item(key.to_owned())),
                    }
                }
            }
            _ => {}
        }
        self.name(value.span(), Setting::Value(key.to_owned()));
    }

    fn name(&mut self, at: Range<usize>, setting: Setting) {
        // A list of tables has the range of its first one, and faults of a table speak for themselves.
        let is_own = self.text.get(at.clone()).is_some_and(|text| !text.starts_with("[["));
        if is_own {
            self.settings.insert(at, setting);
        }
    }

    /// Notes a fault at a range of bytes.
    pub(super) fn fault(&mut self, at: &Range<usize>, found: impl Into<String>, expected: impl Into<String>) {
        let (found, expected) = (found.into(), expected.into());
        self.faults.push(Fault { place: self.place(at), found, expected, suggestion: None });
    }

    /// Notes that the value at a range of bytes is not what was expected. `found` is the value.
    pub(super) fn wrong(&mut self, at: &Range<usize>, found: &str, expected: impl Into<String>) {
        let found = self.named(at, found);
        self.fault(at, found, expected);
    }

    /// A value found, with the name of its setting.
    fn named(&self, at: &Range<usize>, found: &str) -> String {
        match self.settings.get(at) {
            Some(Setting::Value(key)) if found.starts_with("a ") => format!("{found} for {key}"),
            Some(Setting::Value(key)) => format!("{key} = {found}"),
            Some(Setting::Item(key)) => format!("{found} in {key}"),
            None => found.to_owned(),
        }
    }

    /// Notes a word that is none of those known. `found` says what kind of word it is.
    pub(super) fn unknown<W: AsRef<str>>(&mut self, at: &Range<usize>, found: &str, word: &str, known: &[W]) {
        let words: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        let expected = match words.as_slice() {
            [] => String::from("one that is defined"),
            [only] => format!("{only:?}"),
            several => format!("one of {}", several.join(", ")),
        };
        let suggestion = closest(word, &words).map(str::to_owned);
        let found = format!("{found} {word:?}");
        self.faults.push(Fault { place: self.place(at), found, expected, suggestion });
    }

    /// The place of a range of bytes: that of its first.
    pub(super) fn place(&self, at: &Range<usize>) -> Place {
        match environment::variable_at(at).and_then(|index| self.variables.get(index)) {
            Some(variable) => Place::Variable(variable.name.clone()),
            None => {
                let before = self.text.get(..at.start).unwrap_or(self.text);
                let line = before.matches('\n').count() + 1;
                let start_of_line = before.rfind('\n').map_or(0, |newline| newline + 1);
                let column = before.chars().count() - before[..start_of_line].chars().count() + 1;
                Place::File { path: self.path.to_owned(), line, column }
            }
        }
    }
}

/// A fault of a whole file, such as one that cannot be read.
pub(super) fn of_file(path: &Path, found: impl Into<String>, expected: &str) -> Fault {
    let place = Place::File { path: path.to_owned(), line: 1, column: 1 };
    Fault { place, found: found.into(), expected: expected.to_owned(), suggestion: None }
}

/// The word that `word` is most likely a slip of: at most one edit in three characters.
fn closest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let allowed = (word.chars().count() / 3).max(1);
    let near = known.iter().map(|candidate| (edits(word, candidate), *candidate));
    near.filter(|(distance, _)| *distance <= allowed).min().map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn edits(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![vec![0_usize; other.len() + 1]; one.len() + 1];
    for i in 0..=one.len() {
        for j in 0..=other.len() {
            if i == 0 || j == 0 {
                rows[i][j] = i + j;
                continue;
            }
            let differs = usize::from(one[i - 1] != other[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + differs);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_one_edit() {
        for slip in ["windw", "wndow", "windoww", "wimdow", "iwndow"] {
            assert_eq!(edits(slip, "window"), 1, "{slip}");
        }
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("listen", "connect"), 6);
    }

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["listen", "connect", "window"];
        assert_eq!(closest("lisen", &known), Some("listen"));
        assert_eq!(closest("conect", &known), Some("connect"));
        assert_eq!(closest("colour", &known), None);
        assert_eq!(closest("", &known), None);
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a = 1\nä = 2\n";
        let report = Report::new(Path::new("f.toml"), text, &[]);
        let place = |at: usize| report.place(&(at..at)).to_string();
        assert_eq!(place(0), "f.toml:1:1");
        assert_eq!(place(text.find('2').unwrap()), "f.toml:2:5");
        assert_eq!(place(text.len()), "f.toml:3:1");
        assert_eq!(place(text.len() + 9), "f.toml:3:1");
    }
}
