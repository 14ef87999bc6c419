//! Any bytes into what reads bytes beside the codec: what libFuzzer runs for as long as it is let, and `mutations.rs` for
//! a bounded number of mutants. Each says by a panic that something is wrong.

mod core;

use std::path::Path;

use switch::config;
use switch::journal;

pub use core::core;

/// Any bytes as the payload of a journal's batch: read to facts, or refused.
pub fn records(bytes: &[u8]) {
    let facts = journal::facts_in(bytes);
    assert!(facts <= bytes.len() / 5, "a record has a head of five bytes");
}

/// Any bytes as a segment of a journal: told what it holds, or where it is damaged.
pub fn segment(bytes: &[u8], folder: &Path) {
    let shard = folder.join("shard-000");
    std::fs::create_dir_all(&shard).expect("our own folder");
    std::fs::write(folder.join("shards"), "1").expect("our own folder");
    std::fs::write(shard.join("000000001.segment"), bytes).expect("our own folder");
    if let Ok(history) = journal::history::History::read(folder) {
        let mut lines = Vec::new();
        history.export(&mut lines).expect("memory");
        let _ = (history.broken(), history.open(), history.state_hash());
    }
}

/// Any text as a configuration: believed, or every fault told with a place.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Files that are named in it are looked for where there are none.
    let origin = Path::new("/nonexistent/signalbox.toml");
    if let Err(faults) = config::parse(text, origin, std::iter::empty()) {
        assert!(!faults.to_string().is_empty(), "refused without a word");
    }
}
