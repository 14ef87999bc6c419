//! The audit log: one JSON line for each thing that somebody asked for, confirmed, or that was done. Every line holds
//! the hash of the line before it and its own, so that a line that was changed, taken out or put elsewhere is found.
//! What a chain cannot show is that its end is missing: ship the file elsewhere.

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

/// The end of the chain.
struct End {
    lines: u64,
    hash: String,
}

/// An audit log that is whole, to be continued.
pub(super) struct Audit {
    file: File,
    end: ArcSwap<End>,
    /// One place, taken by whoever writes: the chain has one end.
    turn: ArrayQueue<()>,
}

impl Audit {
    /// Opens a log, which must be whole.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(told)?;
        let lines = verify(path)?;
        let end = ArcSwap::from_pointee(End { lines: lines.0, hash: lines.1 });
        let turn = ArrayQueue::new(1);
        let _ = turn.push(());
        Ok(Self { file, end, turn })
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
        (&self.file).write_all(format!("{line}\n").as_bytes())?;
        self.file.sync_data()?;
        self.end.store(Arc::new(End { lines: end.lines + 1, hash }));
        Ok(())
    }
}

fn hash_of(body: &Value) -> String {
    let sum = digest(&SHA256, body.to_string().as_bytes());
    sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks a whole log. Gives its lines and the hash of the last one.
///
/// # Errors
/// The first line that is not as it was written, or why the file cannot be read.
pub fn verify(path: &Path) -> Result<(u64, String), String> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut lines, mut previous) = (0, BEGINNING.to_owned());
    for line in BufReader::new(file).lines() {
        let number = lines + 1;
        let broken = |why: &str| format!("{}:{number}: {why}", path.display());
        let line = line.map_err(|error| broken(&error.to_string()))?;
        let mut body: Value = serde_json::from_str(&line).map_err(|_| broken("no JSON"))?;
        let hash = body.as_object_mut().and_then(|fields| fields.remove("hash"));
        let Some(Value::String(hash)) = hash else { return Err(broken("no hash")) };
        if body["line"] != json!(number) || body["previous"] != json!(previous) {
            return Err(broken("it does not follow the line before it"));
        }
        if hash_of(&body) != hash {
            return Err(broken("it is not as it was written"));
        }
        (lines, previous) = (number, hash);
    }
    Ok((lines, previous))
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
        assert_eq!(verify(&path).map(|(lines, _)| lines), Ok(5));
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
}
