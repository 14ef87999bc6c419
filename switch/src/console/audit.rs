//! The audit log: one JSON line for each thing that somebody asked for, confirmed, or that was done. Every line holds
//! the hash of the line before it and its own, so that a line that was changed, taken out or put elsewhere is found.
//! What a chain cannot show is that its end is missing: ship the file elsewhere.
//!
//! A line that a full disk or the end of the machine cut short was never on the disk, so what it asks for was never done.
//! It is cut off, which the log and the chain say; everything else that is not as it was written is a fault.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use arc_swap::ArcSwap;
use crossbeam_queue::ArrayQueue;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::wall::Wall;

/// The hash before the first line.
const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One thing to write down.
pub(super) struct Entry {
    /// From which address.
    pub(super) from: String,
    /// What it is about.
    pub(super) action: String,
    /// Asked, confirmed, done, failed.
    pub(super) what: String,
}

/// The end of the chain, and of its whole lines in the file.
struct End {
    lines: u64,
    hash: String,
    bytes: u64,
}

/// An audit log that is whole, to be continued.
pub(super) struct Audit {
    file: File,
    end: ArcSwap<End>,
    /// One place, taken by whoever writes: the chain has one end.
    turn: ArrayQueue<()>,
}

impl Audit {
    /// Opens a log, whose lines must be whole. One that was never completed is cut off.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(told)?;
        let Verified { lines, last_hash: hash, bytes, torn_bytes } = verify(path)?;
        let turn = ArrayQueue::new(1);
        let _ = turn.push(());
        let audit = Self { file, end: ArcSwap::from_pointee(End { lines, hash, bytes }), turn };
        if torn_bytes > 0 {
            audit.file.set_len(bytes).map_err(told)?;
            let path = path.display();
            tracing::error!(%path, torn_bytes, "the last line of the audit log was never completed: cut off");
            let what = format!("{torn_bytes} bytes of a line that was never completed were cut off");
            let entry = Entry { from: "the start".into(), action: "Recover".into(), what };
            if let Err(error) = audit.write(&entry) {
                tracing::error!(%path, %error, "the audit log cannot be written: nothing can be changed until it can");
            }
        }
        Ok(audit)
    }

    /// Writes a line down, on the disk before this returns.
    pub(super) fn write(&self, entry: &Entry) -> std::io::Result<()> {
        let Some(()) = self.turn.pop() else {
            return Err(std::io::Error::other("somebody else is writing; try again"));
        };
        let written = self.append(entry);
        let _ = self.turn.push(());
        written
    }

    fn append(&self, entry: &Entry) -> std::io::Result<()> {
        let end = self.end.load();
        let body = json!({
            "line": end.lines + 1,
            "at": Wall::now().to_string(),
            "from": entry.from,
            "action": entry.action,
            "what": entry.what,
            "previous": end.hash,
        });
        let hash = hash_of(&body);
        let mut line = body;
        line["hash"] = json!(hash);
        let line = format!("{line}\n");
        let written = (&self.file).write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // The next line must not begin behind half of this one.
            self.file.set_len(end.bytes)?;
            return Err(error);
        }
        let bytes = end.bytes + line.len() as u64;
        self.end.store(Arc::new(End { lines: end.lines + 1, hash, bytes }));
        Ok(())
    }
}

fn hash_of(body: &Value) -> String {
    let sum = digest(&SHA256, body.to_string().as_bytes());
    sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a log comes to.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its whole lines.
    pub lines: u64,
    /// The hash of the last of them.
    pub last_hash: String,
    /// Where they end.
    bytes: u64,
    /// Bytes behind them, of a line that was never completed.
    pub torn_bytes: u64,
}

/// Checks a whole log.
///
/// # Errors
/// The first line that is not as it was written, or why the file cannot be read.
pub fn verify(path: &Path) -> Result<Verified, String> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut log = BufReader::new(file);
    let mut found = Verified { lines: 0, last_hash: BEGINNING.to_owned(), bytes: 0, torn_bytes: 0 };
    let mut line = Vec::new();
    loop {
        let number = found.lines + 1;
        let broken = |why: &str| format!("{}:{number}: {why}", path.display());
        line.clear();
        let bytes = log.read_until(b'\n', &mut line).map_err(|error| broken(&error.to_string()))? as u64;
        if bytes == 0 {
            return Ok(found);
        }
        if line.pop_if(|byte| *byte == b'\n').is_none() {
            if has_more_than_a_line(&line) {
                return Err(broken("it does not end as it was written"));
            }
            return Ok(Verified { torn_bytes: bytes, ..found });
        }
        let hash = link(&line, number, &found.last_hash).map_err(broken)?;
        found = Verified { lines: number, last_hash: hash, bytes: found.bytes + bytes, torn_bytes: 0 };
    }
}

/// The hash of a line, which must be as it was written behind the one before it.
fn link(line: &[u8], number: u64, previous: &str) -> Result<String, &'static str> {
    let mut body: Value = serde_json::from_slice(line).map_err(|_| "no JSON")?;
    let hash = body.as_object_mut().and_then(|fields| fields.remove("hash"));
    let Some(Value::String(hash)) = hash else { return Err("no hash") };
    if body["line"] != json!(number) || body["previous"] != json!(previous) {
        return Err("it does not follow the line before it");
    }
    if hash_of(&body) != hash { Err("it is not as it was written") } else { Ok(hash) }
}

/// Whether something follows a line where only its end can: then it was whole once.
fn has_more_than_a_line(bytes: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    values.next().is_some_and(|first| first.is_ok()) && values.byte_offset() < bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, lines: u64) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("signalbox-audit-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        for number in 0..lines {
            // Opened anew each time, as by one process after another.
            let audit = Audit::open(&path).expect("whole");
            let entry =
                Entry { from: "127.0.0.1".into(), action: format!("Reload {number}"), what: "asked".into() };
            audit.write(&entry).expect("written");
        }
        path
    }

    #[test]
    fn every_changed_byte_and_every_missing_line_is_found() {
        let path = written("bytes", 5);
        let whole = std::fs::read(&path).expect("written");
        assert_eq!(verify(&path).map(|found| (found.lines, found.torn_bytes)), Ok((5, 0)));
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 0x01;
            std::fs::write(&path, &changed).expect("ours");
            assert!(verify(&path).is_err(), "byte {place}");
        }
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        for missing in 0..4 {
            let rest: Vec<u8> = lines
                .iter()
                .enumerate()
                .filter(|(place, _)| *place != missing)
                .flat_map(|(_, line)| line.to_vec())
                .collect();
            std::fs::write(&path, rest).expect("ours");
            assert!(verify(&path).is_err(), "line {missing}");
        }
        let _ = std::fs::remove_file(&path);
    }

    #[test]
    fn a_line_that_was_never_completed_is_cut_off_wherever_it_was_torn() {
        let path = written("torn", 3);
        let whole = std::fs::read(&path).expect("written");
        let last = whole.split_inclusive(|byte| *byte == b'\n').next_back().expect("three").len();
        for torn in 1..last {
            std::fs::write(&path, &whole[..whole.len() - last + torn]).expect("ours");
            assert_eq!(verify(&path).map(|found| (found.lines, found.torn_bytes)), Ok((2, torn as u64)));
        }
        // What was cut off is told by the line that takes its place, and the chain goes on.
        Audit::open(&path).expect("cut off");
        assert_eq!(verify(&path).map(|found| (found.lines, found.torn_bytes)), Ok((3, 0)));
        let text = std::fs::read_to_string(&path).expect("ours");
        assert!(text.contains(&format!("{} bytes of a line", last - 1)), "{text}");
        let _ = std::fs::remove_file(&path);
    }
}
