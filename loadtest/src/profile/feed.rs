//! Cards from a file: CSV with a head line, or JSON lines. Both name `pan`, and may name `amount` (minor units) and
//! `terminal` (a number); what is not there is drawn as everywhere else.
//!
//! Errors name the line and never what stands in it. Which record a message has follows from seed and number.

use std::path::Path;

use codecs::value::Pan;
use serde::Deserialize;

use crate::mix::PAN_DIGITS_MAX;

/// A record of a feed.
#[derive(Clone, Copy)]
pub struct Record {
    pan: [u8; PAN_DIGITS_MAX],
    /// DE 4, where the file has it.
    pub amount: Option<u64>,
    /// DE 41, where the file has it.
    pub terminal: Option<u32>,
}

/// The records of one file; never empty, and all card numbers are as long as each other.
#[derive(Clone)]
pub struct Feed {
    records: Vec<Record>,
    pan_digits: usize,
}

impl std::fmt::Debug for Feed {
    // Written by hand because records hold card numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("records", &self.records.len()).finish_non_exhaustive()
    }
}

/// Records of one file.
const RECORDS_MAX: usize = 5_000_000;
/// DE 4 has twelve digits, and DE 41 seven behind its letter.
const AMOUNT_MAX: u64 = 999_999_999_999;
const TERMINAL_MAX: u32 = 9_999_999;

/// A record as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecord {
    pan: String,
    amount: Option<u64>,
    terminal: Option<u32>,
}

impl Feed {
    /// Reads a file: CSV when its name ends so, JSON lines otherwise.
    pub fn read(path: &Path) -> Result<Feed, String> {
        let named = |error: String| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        let csv = path.extension().is_some_and(|ending| ending == "csv");
        Feed::parse(&text, csv).map_err(named)
    }

    fn parse(text: &str, csv: bool) -> Result<Feed, String> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let head: Vec<&str> = match csv {
            true => lines.next().map_or(Vec::new(), |(_, line)| line.split(',').map(str::trim).collect()),
            false => Vec::new(),
        };
        let mut feed = Feed { records: Vec::new(), pan_digits: 0 };
        for (at, line) in lines {
            let raw = if csv { csv_record(&head, line) } else { json_record(line) };
            let record = raw.and_then(|raw| feed.check(&raw));
            feed.records.push(record.map_err(|error| format!("line {}: {error}", at + 1))?);
        }
        match feed.records.len() {
            0 => Err("no records".to_string()),
            1..=RECORDS_MAX => Ok(feed),
            _ => Err(format!("more than {RECORDS_MAX} records")),
        }
    }

    /// The first record says how long card numbers are.
    fn check(&mut self, raw: &RawRecord) -> Result<Record, String> {
        let digits = raw.pan.as_bytes();
        let sound = Pan::parse(digits).is_some() && raw.pan.starts_with("9999");
        if !sound || !(13..=PAN_DIGITS_MAX).contains(&digits.len()) {
            return Err("pan: 13 to 19 digits of the test range 9999 are expected".to_string());
        }
        if self.pan_digits == 0 {
            self.pan_digits = digits.len();
        }
        if digits.len() != self.pan_digits {
            return Err("pan: not as long as in the first record; a case sends one length".to_string());
        }
        if raw.amount.is_some_and(|amount| amount > AMOUNT_MAX) {
            return Err("amount: more than twelve digits".to_string());
        }
        if raw.terminal.is_some_and(|terminal| terminal > TERMINAL_MAX) {
            return Err("terminal: more than seven digits".to_string());
        }
        let mut pan = [b'0'; PAN_DIGITS_MAX];
        pan[..digits.len()].copy_from_slice(digits);
        Ok(Record { pan, amount: raw.amount, terminal: raw.terminal })
    }

    /// How many records there are.
    pub fn len(&self) -> u64 {
        self.records.len() as u64
    }

    /// Never: a feed without records is not made.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Digits of every card number.
    pub fn pan_digits(&self) -> usize {
        self.pan_digits
    }

    /// A record by its number, below [`len`](Feed::len).
    #[inline]
    pub fn record(&self, number: u64) -> &Record {
        &self.records[number as usize]
    }
}

impl Record {
    /// The card number, as long as all of its feed, and zeros behind it.
    pub(crate) fn pan(&self) -> &[u8; PAN_DIGITS_MAX] {
        &self.pan
    }
}

fn csv_record(head: &[&str], line: &str) -> Result<RawRecord, String> {
    let cells: Vec<&str> = line.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
    if cells.len() != head.len() {
        return Err("not as many cells as the head line has".to_string());
    }
    let mut raw = RawRecord { pan: String::new(), amount: None, terminal: None };
    for (name, cell) in head.iter().zip(cells) {
        match *name {
            "pan" => raw.pan = cell.to_string(),
            "amount" if cell.is_empty() => {}
            "amount" => raw.amount = Some(cell.parse().map_err(|_| "amount: no whole number")?),
            "terminal" if cell.is_empty() => {}
            "terminal" => raw.terminal = Some(cell.parse().map_err(|_| "terminal: no whole number")?),
            _ => return Err("head line: pan, amount and terminal are known".to_string()),
        }
    }
    Ok(raw)
}

fn json_record(line: &str) -> Result<RawRecord, String> {
    // The parser's own words might quote the line.
    serde_json::from_str(line)
        .map_err(|_| "no JSON object with pan, and perhaps amount and terminal".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let csv =
            Feed::parse("pan,amount,terminal\n9999600000000019,4200,7\n9999600000000027,,\n", true).unwrap();
        let json = "{\"pan\": \"9999600000000019\", \"amount\": 4200, \"terminal\": 7}\n{\"pan\": \"9999600000000027\"}";
        let json = Feed::parse(json, false).unwrap();
        for feed in [csv, json] {
            assert_eq!((feed.len(), feed.pan_digits()), (2, 16));
            assert_eq!((feed.record(0).amount, feed.record(0).terminal), (Some(4200), Some(7)));
            assert_eq!((feed.record(1).amount, feed.record(1).terminal), (None, None));
            assert_eq!(&feed.record(1).pan()[..16], b"9999600000000027");
        }
    }

    #[test]
    fn faults_name_the_line_and_no_card() {
        for (text, csv, part) in [
            ("pan\n4111111111111111", true, "line 2: pan"),
            ("pan\n9999600000000019\n99996000000000", true, "line 3: pan: not as long"),
            ("pan,amount\n9999600000000019", true, "line 2: not as many"),
            ("pan,colour\n9999600000000019,red", true, "head line"),
            ("pan,amount\n9999600000000019,12.50", true, "line 2: amount"),
            ("{\"pan\": 4111111111111111}", false, "line 1: no JSON object"),
            ("", true, "no records"),
        ] {
            let error = Feed::parse(text, csv).unwrap_err();
            assert!(error.contains(part) && !error.contains("1111") && !error.contains("99996"), "{error}");
        }
    }
}
