//! The index of the journal: every request of the retention in a file of SQLite that people may ask while the switch runs,
//! told from the journal alone and built anew from it whatever happens to the file (rules D4, S04).

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tests::{Act, Rig, Setup, purchase};

/// The columns that `export` has under the same name.
const COLUMNS: [&str; 23] = [
    "acquirer",
    "class",
    "state",
    "de4",
    "de49",
    "de7",
    "de11",
    "de32",
    "de33",
    "de37",
    "de41",
    "de42",
    "de38",
    "de39",
    "approved_minor",
    "reason",
    "left_minor",
    "issuer",
    "issuer_de11",
    "card_token",
    "ended_us",
    "received_us",
    "shard",
];

fn file(rig: &Rig) -> PathBuf {
    rig.folder().join("journal/index.sqlite")
}

/// Takes the file away, with what SQLite puts beside it.
fn remove(rig: &Rig) {
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = fs::remove_file(rig.folder().join("journal").join(name));
    }
}

fn opened(rig: &Rig) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(file(rig), flags).expect("a file of SQLite")
}

/// Every row by its trace number, with the columns that `export` has too.
fn rows(rig: &Rig) -> BTreeMap<String, Vec<String>> {
    let connection = opened(rig);
    let sql = format!("SELECT {} FROM payment", COLUMNS.join(", "));
    let mut statement = connection.prepare(&sql).expect("columns");
    let row =
        |row: &rusqlite::Row<'_>| (0..COLUMNS.len()).map(|at| row.get(at)).collect::<Result<Vec<Cell>, _>>();
    let rows = statement.query_map([], row).expect("rows").map(|cells| {
        let said = cells.expect("a row").into_iter().map(|cell| match cell {
            Cell::Null => String::new(),
            Cell::Integer(number) => number.to_string(),
            Cell::Text(text) => text,
            other => panic!("{other:?}"),
        });
        said.collect::<Vec<_>>()
    });
    rows.map(|cells| (cells[6].clone(), cells)).collect()
}

/// The same as `export` tells it.
fn exported(rig: &Rig) -> BTreeMap<String, Vec<String>> {
    let said = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let lines = rig.export();
    let cells = |line: &Value| -> Vec<String> {
        let of = |column: &&str| if *column == "shard" { &line["at"]["shard"] } else { &line[*column] };
        COLUMNS.iter().map(|column| said(of(column))).collect()
    };
    lines.iter().map(|line| (said(&line["de11"]), cells(line))).collect()
}

/// Waits until everything that is on the disk is in it.
fn await_level(rig: &Rig, rows: u32) {
    rig.await_gauge("index_rows", f64::from(rows));
    rig.await_gauge("index_behind_facts", 0.0);
    rig.await_gauge("index_whole", 1.0);
}

fn approved(rig: &Rig, stans: std::ops::Range<u32>) {
    let mut north = rig.acquirer("north");
    for stan in stans {
        north.ask(&purchase(&format!("11={stan:06} 37={stan:012} 4=1000")), "0110 38=A12345 39=00");
    }
}

fn reversal(stan: u32, of: u32, changes: &str) -> String {
    purchase(&format!("0420 11={stan:06} 4=1000 90=0100{of:06}11231200000000010000100000000000 {changes}"))
}

fn said(rig: &Rig) -> String {
    String::from_utf8_lossy(&rig.process().stderr()).into_owned()
}

/// One of most that can become of a request: approved, declined by the issuer and here, reversed, in part, before it came,
/// timed out. Six rows with a trace number, and that of the early reversal.
fn one_of_each(rig: &Rig) {
    let maple = rig.issuer("maple");
    maple.on(|request| match request.get(11) {
        _ if request.get(4) == "000000005100" => Act::answer("38=- 39=51"),
        _ if request.get(4) == "000000006800" => Act::Hold,
        _ => Act::answer(""),
    });
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001 4=1000"), "0110 38=A12345 39=00");
    north.ask(&purchase("11=000002 4=5100"), "0110 38=- 39=51");
    north.ask(&purchase("11=000003 4=1000"), "0110 38=A12345 39=00");
    north.ask(&reversal(9, 3, ""), "0430 39=00");
    north.ask(&purchase("11=000004 4=1000"), "0110 38=A12345 39=00");
    north.ask(&reversal(10, 4, "95=000000000400000000000000C00000000C00000000"), "0430 39=00");
    north.ask(&purchase("11=000005 4=6800"), "0110 38=- 39=91");
    north.ask(&reversal(11, 77, ""), "0430 39=00");
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
}

#[test]
fn d4_its_rows_say_what_export_says_while_the_switch_runs_and_after_a_crash() {
    let Some(mut rig) = Setup::new().set("issuer.maple.timeout", "300ms").start() else { return };
    one_of_each(&rig);
    await_level(&rig, 6);
    let before = rows(&rig);
    let states: Vec<&str> = before.values().map(|cells| cells[2].as_str()).collect();
    assert_eq!(states, ["tombstone", "approved", "declined", "reversed", "partly_reversed", "timed_out"]);
    rig.crash();
    rig.verify();
    assert_eq!(before, exported(&rig));
    rig.start_again();
    approved(&rig, 20..25);
    await_level(&rig, 11);
    let grown = rows(&rig);
    assert!(before.iter().all(|(stan, cells)| grown[stan] == *cells), "what was there is as it was");
    assert_eq!(rig.metric("index_rebuilds_total"), 0.0, "it went on where it was");
    rig.crash();
    assert_eq!(grown, exported(&rig));
    rig.start_again();
}

#[test]
fn d4_it_is_built_anew_when_it_is_deleted_garbage_damaged_or_of_another_key() {
    let Some(mut rig) = Setup::new().set("issuer.maple.timeout", "300ms").start() else { return };
    one_of_each(&rig);
    await_level(&rig, 6);
    let before = rows(&rig);
    let Some(other) = Setup::new().secret_file("journal.key", &"5b".repeat(32)).start() else { return };
    approved(&other, 500..503);
    await_level(&other, 3);
    assert_eq!(other.terminate(), 0);
    let foreign = fs::read(file(&other)).expect("our own");
    let garbage = vec![0x5A; 20_000];
    for (what, bytes) in [("deleted", None), ("garbage", Some(garbage)), ("of another key", Some(foreign))] {
        rig.crash();
        remove(&rig);
        if let Some(bytes) = &bytes {
            fs::write(file(&rig), bytes).expect("our own");
        }
        rig.start_again();
        rig.await_metric("index_rebuilds_total", 1.0);
        await_level(&rig, 6);
        assert_eq!(rows(&rig), before, "{what}");
        assert!(said(&rig).contains("is built"), "{what}: {}", said(&rig));
        let is_said = said(&rig).contains("it was written under another key");
        assert_eq!(is_said, what == "of another key", "{what}");
    }
    // And it is good for the next start.
    rig.crash();
    rig.start_again();
    await_level(&rig, 6);
    assert_eq!(rig.metric("index_rebuilds_total"), 0.0);
}

#[test]
fn d4_what_is_in_its_place_stops_no_payment_and_it_comes_when_there_is_room() {
    let Some(mut rig) = Setup::new().start() else { return };
    approved(&rig, 1..4);
    await_level(&rig, 3);
    rig.crash();
    remove(&rig);
    // A directory in its place cannot be made an index of.
    fs::create_dir(file(&rig)).expect("our own");
    rig.start_again();
    approved(&rig, 4..6);
    assert_eq!(rig.get("/readyz").0, 200);
    assert_eq!(rig.metric("index_whole"), 0.0);
    rig.await_that("the reason", || said(&rig).contains("the index of the journal cannot be written"));
    fs::remove_dir(file(&rig)).expect("our own");
    await_level(&rig, 5);
    assert_eq!(rows(&rig).len(), 5);
}

#[test]
fn d4_it_comes_again_when_its_file_is_taken_away_or_spoiled_under_a_running_switch() {
    let Some(rig) = Setup::new().set("switch.recent_entries", 4).start() else { return };
    approved(&rig, 1..9);
    await_level(&rig, 8);
    let mut north = rig.acquirer("north");
    remove(&rig);
    rig.await_metric("index_rebuilds_total", 1.0);
    await_level(&rig, 8);
    north.ask(&reversal(90, 1, ""), "0430 39=00");
    // What is asked of it meanwhile comes again.
    for name in ["index.sqlite", "index.sqlite-wal"] {
        let path = rig.folder().join("journal").join(name);
        let bytes = fs::metadata(&path).expect("SQLite's").len() as usize;
        let spoiled = OpenOptions::new().write(true).open(&path).expect("our own");
        spoiled.write_all_at(&vec![0x5A; bytes], 0).expect("our own");
    }
    north.send(&reversal(91, 2, ""));
    let answer = north.receive();
    assert!(["00", "96"].contains(&answer.plain.get(39)), "{answer:?}");
    rig.await_metric("index_rebuilds_total", 2.0);
    await_level(&rig, 8);
    north.ask(&reversal(92, 2, ""), "0430 39=00");
    rig.issuer("maple").wait_reversals(2);
    assert_eq!(rig.issuer("maple").reversals().len(), 2);
}

#[test]
fn retention_is_of_the_index_too() {
    let Some(rig) = Setup::new().set("journal.retention", "3s").start() else { return };
    approved(&rig, 1..11);
    rig.await_gauge("index_rows", 10.0);
    rig.await_gauge("index_rows", 0.0);
    assert!(rows(&rig).is_empty());
    approved(&rig, 20..22);
    rig.await_gauge("index_rows", 2.0);
}

#[test]
fn s04_no_card_number_is_in_it_in_the_clear_and_only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let Some(rig) = Setup::new().set("issuer.maple.timeout", "300ms").start() else { return };
    one_of_each(&rig);
    await_level(&rig, 6);
    // The rig looks for the digits in every file at the end; as two in a byte nothing of it looks for them.
    let packed = [0x99, 0x99, 0x60, 0, 0, 0, 0, 0x19];
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let path = rig.folder().join("journal").join(name);
        let bytes = fs::read(&path).expect("SQLite's");
        for wanted in [&packed[..], b"9999600000000019"] {
            assert!(!bytes.windows(wanted.len()).any(|window| window == wanted), "{name}");
        }
        assert_eq!(fs::metadata(&path).expect("SQLite's").permissions().mode() & 0o077, 0, "{name}");
    }
    let sealed: i64 = opened(&rig)
        .query_row("SELECT count(entry) FROM payment WHERE card_token IS NOT NULL", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(sealed, 5, "cards are there, sealed");
}

/// The question that the README asks.
const QUESTION: &str =
    "SELECT lower(hex(identity)), state, de11, de4, de39, acquirer, issuer FROM payment ORDER BY de11";

#[test]
fn a_person_may_ask_it_while_the_switch_runs_and_trace_tells_the_rest() {
    let Some(rig) = Setup::new().start() else { return };
    approved(&rig, 1..4);
    await_level(&rig, 3);
    let connection = opened(&rig);
    let mut statement = connection.prepare(QUESTION).expect("columns");
    let row = |row: &rusqlite::Row<'_>| {
        let amount: i64 = row.get(3)?;
        let rest: Vec<String> =
            [1, 2, 4, 5, 6].into_iter().map(|at| row.get(at)).collect::<Result<_, rusqlite::Error>>()?;
        Ok((row.get::<_, String>(0)?, amount, rest))
    };
    let found: Vec<_> = statement.query_map([], row).expect("rows").map(|row| row.expect("a row")).collect();
    assert_eq!(found.len(), 3);
    for ((trace, amount, rest), stan) in found.iter().zip(1..) {
        assert_eq!((*amount, rest.join("|")), (1_000, format!("approved|{stan:06}|00|north|maple")));
        let (code, told) = rig.run(&["trace", "--journal", "journal", "--trace", trace]);
        assert_eq!(code, 0, "{told}");
        assert!(told.contains(&format!("DE 11 {stan:06}")), "{told}");
    }
    // Whoever reads for long keeps nobody.
    let held = connection.unchecked_transaction().expect("a transaction");
    approved(&rig, 4..7);
    await_level(&rig, 6);
    drop(held);
    if let Ok(output) = Command::new("sqlite3").arg("-readonly").arg(file(&rig)).arg(QUESTION).output() {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("|approved|000006|1000|00|north|maple"), "{said}");
    }
}
