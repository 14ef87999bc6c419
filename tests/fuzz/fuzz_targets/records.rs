//! Any bytes as the records of a journal's batch.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tests::fuzz::records(data));
