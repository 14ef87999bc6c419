//! One value as written: what it says, and where.
//!
//! A value of the wrong kind does not stop the reading. It stays in its place as an error until it is
//! checked, so that every other fault is found as well.

use std::fmt;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::{Spanned, Value};

use super::environment;
use super::fault::Report;

/// A value that stands somewhere, if it is of the right kind.
#[derive(Clone, Debug)]
pub(super) struct Given<T> {
    /// The value, or what was found instead.
    pub(super) value: Result<T, String>,
    /// The bytes it takes in its text.
    pub(super) at: Range<usize>,
}

/// A list of values, of which each knows its own place.
pub(super) type List<T> = Spanned<Vec<Given<T>>>;

/// What can be written as one TOML value.
pub(super) trait Written: Sized {
    /// What a fault says was expected.
    const EXPECTED: &'static str;

    /// Nothing when the value is of another kind.
    fn read(value: &Value) -> Option<Self>;
}

impl Written for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Written for u64 {
    const EXPECTED: &'static str = "a whole number";

    fn read(value: &Value) -> Option<Self> {
        value.as_integer().and_then(|number| u64::try_from(number).ok())
    }
}

impl Written for f64 {
    const EXPECTED: &'static str = "a number such as 0.0001";

    fn read(value: &Value) -> Option<Self> {
        value.as_float()
    }
}

impl Written for String {
    const EXPECTED: &'static str = "a text in quotes";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

/// A length of time: a whole number and its unit, such as `"250ms"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Period(pub(super) Duration);

impl Written for Period {
    const EXPECTED: &'static str = "a duration such as \"250ms\" or \"15m\"";

    fn read(value: &Value) -> Option<Self> {
        let (number, unit) = number_and_unit(value.as_str()?)?;
        let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
        let duration = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => seconds(1),
            "m" => seconds(60),
            "h" => seconds(3_600),
            _ => None,
        };
        duration.map(Period)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
        write_in_units(f, milliseconds, &units)
    }
}

/// A number of bytes with its unit, such as `"4KiB"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Size(pub(super) u64);

impl Written for Size {
    const EXPECTED: &'static str = "a size such as \"512B\" or \"4KiB\"";

    fn read(value: &Value) -> Option<Self> {
        let (number, unit) = number_and_unit(value.as_str()?)?;
        let bytes: u64 = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        number.checked_mul(bytes).map(Size)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")];
        write_in_units(f, self.0.into(), &units)
    }
}

/// In the largest unit that leaves a whole number.
fn write_in_units(f: &mut fmt::Formatter<'_>, number: u128, units: &[(u128, &str)]) -> fmt::Result {
    match units.iter().find(|(each, _)| number != 0 && number.is_multiple_of(*each)) {
        Some((each, unit)) => write!(f, "\"{}{unit}\"", number / each),
        None => write!(f, "\"0{}\"", units.last().map_or("", |(_, unit)| unit)),
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let (digits, unit) = text.split_at(text.find(|character: char| !character.is_ascii_digit())?);
    Some((digits.parse().ok()?, unit))
}

impl<'de, T: Written> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        let at = spanned.span();
        let value = spanned.into_inner();
        let read = match &value {
            // A variable has no quotes around its texts: it is TOML if that fits, else the text as it is.
            Value::String(text) if environment::variable_at(&at).is_some() => {
                text.parse().ok().and_then(|inner| T::read(&inner)).or_else(|| T::read(&value))
            }
            _ => T::read(&value),
        };
        Ok(Given { value: read.ok_or_else(|| shown(&value)), at })
    }
}

/// A value as it would be written, short enough for one line.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => String::from("a list"),
        Value::Table(_) => String::from("a table"),
        scalar => scalar.to_string(),
    }
}

impl Report<'_> {
    /// The value given, or the default; nothing when there is a fault.
    pub(super) fn or<T: Written + Clone>(&mut self, given: &Option<Given<T>>, default: T) -> Option<T> {
        match given {
            Some(given) => self.sound(given),
            None => Some(default),
        }
    }

    /// A text that has no default; `owner` is the place of the table that should have it.
    pub(super) fn required(
        &mut self,
        given: &Option<Given<String>>,
        owner: &Range<usize>,
        key: &str,
    ) -> Option<String> {
        if given.is_none() {
            self.fault(owner, format!("no {key:?}"), format!("{key} = \"...\""));
        }
        self.sound(given.as_ref()?)
    }

    /// The value if it is of the right kind.
    pub(super) fn sound<T: Written + Clone>(&mut self, given: &Given<T>) -> Option<T> {
        match &given.value {
            Ok(value) => Some(value.clone()),
            Err(found) => {
                self.wrong(&given.at, found, T::EXPECTED);
                None
            }
        }
    }

    /// Every sound value of a list, as `read` takes it; an absent list is empty.
    pub(super) fn each<T>(
        &mut self,
        list: &Option<List<String>>,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for given in list.iter().flat_map(|list| list.get_ref()) {
            let Some(text) = self.sound(given) else { continue };
            match read(&text) {
                Some(value) => values.push(value),
                None => self.wrong(&given.at, &format!("{text:?}"), expected),
            }
        }
        values
    }

    /// One of the words of a table, and what it stands for. `kind` says what kind of word it is.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        given: &Given<String>,
        kind: &str,
        table: &[(&str, T)],
    ) -> Option<T> {
        let word = self.sound(given)?;
        let known = table.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning);
        if known.is_none() {
            let words: Vec<&str> = table.iter().map(|(known, _)| *known).collect();
            self.unknown(&given.at, &format!("unknown {kind}"), &word, &words);
        }
        known
    }

    /// An address to listen on.
    pub(super) fn address(&mut self, given: &Given<String>) -> Option<SocketAddr> {
        let text = self.sound(given)?;
        let address = text.parse().ok();
        if address.is_none() {
            let expected = "an IP address and a port such as \"127.0.0.1:7001\"";
            self.wrong(&given.at, &format!("{text:?}"), expected);
        }
        address
    }

    /// A number within bounds.
    pub(super) fn count<N>(
        &mut self,
        given: &Option<Given<u64>>,
        default: N,
        bounds: RangeInclusive<N>,
    ) -> Option<N>
    where
        N: Copy + TryFrom<u64> + Into<u64>,
    {
        let bounds: RangeInclusive<u64> = (*bounds.start()).into()..=(*bounds.end()).into();
        self.within(given, default.into(), bounds).and_then(|number| N::try_from(number).ok())
    }

    /// A duration within bounds.
    pub(super) fn period(
        &mut self,
        given: &Option<Given<Period>>,
        default: Duration,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let bounds = Period(*bounds.start())..=Period(*bounds.end());
        self.within(given, Period(default), bounds).map(|Period(duration)| duration)
    }

    /// A size within bounds, all in bytes.
    pub(super) fn bytes(
        &mut self,
        given: &Option<Given<Size>>,
        default: u64,
        bounds: RangeInclusive<u64>,
    ) -> Option<u64> {
        let bounds = Size(*bounds.start())..=Size(*bounds.end());
        self.within(given, Size(default), bounds).map(|Size(bytes)| bytes)
    }

    fn within<T: Written + PartialOrd + fmt::Display + Copy>(
        &mut self,
        given: &Option<Given<T>>,
        default: T,
        bounds: RangeInclusive<T>,
    ) -> Option<T> {
        let Some(given) = given else { return Some(default) };
        let found = match &given.value {
            Ok(value) if bounds.contains(value) => return Some(*value),
            Ok(value) => value.to_string(),
            Err(found) => found.clone(),
        };
        let expected = format!("{}, from {} to {}", T::EXPECTED, bounds.start(), bounds.end());
        self.wrong(&given.at, &found, expected);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(text: &str) -> Option<Duration> {
        Period::read(&Value::String(text.to_owned())).map(|Period(duration)| duration)
    }

    fn size(text: &str) -> Option<u64> {
        Size::read(&Value::String(text.to_owned())).map(|Size(bytes)| bytes)
    }

    #[test]
    fn durations() {
        for (text, milliseconds) in
            [("0s", 0), ("250ms", 250), ("5s", 5_000), ("15m", 900_000), ("72h", 259_200_000)]
        {
            assert_eq!(period(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["\"0ms\"", "\"250ms\"", "\"90s\"", "\"15m\"", "\"72h\""] {
            let duration = period(text.trim_matches('"')).unwrap();
            assert_eq!(Period(duration).to_string(), text);
        }
        for text in ["", "5", "s", "5 s", "-5s", "1.5s", "5S", "1m30s", "99999999999999999999s"] {
            assert_eq!(period(text), None, "{text}");
        }
        assert_eq!(period(&format!("{}h", u64::MAX)), None);
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("0B", 0), ("64B", 64), ("4KiB", 4_096), ("1MiB", 1_048_576), ("1GiB", 1 << 30)]
        {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["\"0B\"", "\"65B\"", "\"4KiB\"", "\"1MiB\"", "\"3GiB\""] {
            assert_eq!(Size(size(text.trim_matches('"')).unwrap()).to_string(), text);
        }
        for text in ["", "4", "4KB", "4kib", "KiB", "4 KiB"] {
            assert_eq!(size(text), None, "{text}");
        }
        assert_eq!(size(&format!("{}GiB", u64::MAX)), None);
    }
}
