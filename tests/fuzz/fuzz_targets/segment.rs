//! Any bytes as a segment of a journal.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("signalbox-fuzz-{}", std::process::id())));

fuzz_target!(|data: &[u8]| tests::fuzz::segment(data, &FOLDER));
