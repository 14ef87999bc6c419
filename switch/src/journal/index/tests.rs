//! The index says of every request what `export` says, goes on after a restart, and is built anew whatever happens to it.

use std::fs;
use std::path::{Path, PathBuf};

use authorizer::decision::{DeclineReason, Outcome, Verdict};
use authorizer::event::{AcquirerId, IssuerId};
use authorizer::late::ForgottenLeg;
use authorizer::request::Identity;
use authorizer::saf::Why;
use authorizer::transaction::Sent;
use codecs::value::{ApprovalCode, ResponseCode, Stan};
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::Value;

use super::*;
use crate::journal::history::History;
use crate::journal::keys::tests::keys;
use crate::journal::record::tests::{advice, sent, undo};
use crate::journal::segment::{Names, Span, Tail};
use crate::journal::writer::Journal;
use crate::journal::{Keys, Level};

const SHARD: ShardId = ShardId(0);
/// Everything is as old as the clock of the tests says.
const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

/// A data directory that goes with the test.
struct Scratch {
    path: PathBuf,
    settings: Settings,
    tail: Tail,
}

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("signalbox-index-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(folder(&path, SHARD)).expect("a folder");
        fs::write(path.join("shards"), "1\n").expect("our own");
        let names = |kind: &str| (0..4).map(|number| format!("{kind}{number}")).collect();
        let settings = Settings {
            level: Level::Sync,
            flush: Duration::ZERO,
            segment_bytes: 1 << 20,
            names: Names { acquirers: names("acquirer"), issuers: names("issuer"), programs: Vec::new() },
            keys: Arc::new(keys()),
            snapshot_bytes: 1 << 20,
            retention: FOR_EVER,
            mark_file: PathBuf::new(),
        };
        Self { path, settings, tail: Tail::default() }
    }

    /// A process that writes these facts, and an index that follows it until it is level.
    fn process(&mut self, facts: &[Fact]) -> Arc<Figures> {
        let now_us = Wall::now().micros();
        let mut journal =
            Journal::open(&self.path, SHARD, self.settings.clone(), &self.tail, now_us).expect("a journal");
        let figures = Arc::new(Figures::default());
        let shards = vec![journal.durability().clone()];
        let nobody_asks = (Arc::new(Recalls::new(1)), Box::new(|_, _, _| Ok(())) as Tell);
        let index =
            Index::start(self.path.clone(), self.settings.clone(), shards, figures.clone(), nobody_asks)
                .expect("a thread");
        for fact in facts {
            journal.append(std::slice::from_ref(fact), now_us);
        }
        let until = Instant::now() + Duration::from_secs(20);
        let end = journal.append(&[], now_us);
        while journal.durable_up_to() < end
            || !figures.is_whole.load(Ordering::Acquire)
            || figures.behind.load(Ordering::Acquire) > 0
        {
            assert!(Instant::now() < until, "the index is not level: {figures:?}");
            thread::sleep(Duration::from_millis(5));
        }
        // What it last saw may be older than the end.
        thread::sleep(LOOK * 2);
        drop((index, journal));
        let span = Span::default();
        self.tail = segment::read(&self.path, SHARD, None::<&Keys>, span, &mut |_| {}).expect("sound");
        figures
    }

    fn file(&self) -> PathBuf {
        self.path.join(store::FILES[0])
    }

    /// Every row, with the columns that `export` has too.
    fn rows(&self) -> Vec<(String, Vec<Cell>)> {
        let connection = Connection::open(self.file()).expect("a file");
        let sql = format!(
            "SELECT lower(hex(identity)), {} FROM payment ORDER BY received_us, identity",
            COLUMNS.join(", ")
        );
        let mut statement = connection.prepare(&sql).expect("columns");
        let read = |row: &rusqlite::Row<'_>| {
            let cells = (0..COLUMNS.len()).map(|at| row.get(at + 1)).collect::<Result<_, _>>()?;
            Ok((row.get(0)?, cells))
        };
        statement.query_map([], read).expect("rows").collect::<Result<_, _>>().expect("rows")
    }

    /// The same of the journal itself.
    fn exported(&self) -> Vec<Vec<Cell>> {
        let mut out = Vec::new();
        History::read(&self.path).expect("sound").export(&mut out).expect("memory");
        let lines = String::from_utf8(out).expect("JSON");
        let line = |line: &str| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            COLUMNS.iter().map(|column| cell(&line, column)).collect()
        };
        let mut lines: Vec<Vec<Cell>> = lines.lines().map(line).collect();
        lines.sort_by_key(|cells| format!("{cells:?}"));
        lines
    }

    fn assert_agrees(&self) {
        let mut rows: Vec<Vec<Cell>> = self.rows().into_iter().map(|(_, cells)| cells).collect();
        rows.sort_by_key(|cells| format!("{cells:?}"));
        assert_eq!(rows, self.exported());
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The columns that `export` has under the same name.
const COLUMNS: [&str; 24] = [
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
    "segment",
    "offset",
];

fn cell(line: &Value, column: &str) -> Cell {
    let value = match column {
        "segment" | "offset" => &line["at"][column],
        _ => &line[column],
    };
    match value {
        Value::Null => Cell::Null,
        Value::Number(number) => Cell::Integer(number.as_i64().expect("a whole number")),
        Value::String(text) if !text.is_empty() => Cell::Text(text.clone()),
        Value::String(_) => Cell::Null,
        other => panic!("{other}"),
    }
}

fn numbered(identity: u128) -> Sent {
    let mut sent = sent();
    sent.asked.identity = Identity(identity);
    sent.stan = Stan::new(100 + identity as u32).expect("a number");
    sent
}

fn approved() -> Outcome {
    Outcome {
        verdict: Verdict::Approved,
        response_code: ResponseCode::of(b"00"),
        approval_code: ApprovalCode::parse(b"A12345"),
        approved_minor: None,
    }
}

fn undoing(identity: u128, why: Why, left_minor: u64) -> Option<Box<authorizer::saf::Reversal>> {
    let mut undo = undo().expect("a reversal");
    undo.sent = numbered(identity);
    undo.stan = Stan::new(200 + identity as u32).expect("a number");
    (undo.why, undo.left_minor) = (why, left_minor);
    Some(undo)
}

/// One of everything that can become of a request.
fn facts() -> Vec<Fact> {
    let result = |identity, outcome| Fact::Result { identity: Identity(identity), outcome };
    let timed_out = Outcome::declined(DeclineReason::IssuerTimedOut, ResponseCode::of(b"91"));
    let declined = Outcome::declined(DeclineReason::IssuerDeclined, ResponseCode::of(b"51"));
    let reversed = |identity, left_minor| Fact::Reversed {
        identity: Identity(identity),
        left_minor,
        undo: undoing(identity, Why::Acquirer, left_minor),
    };
    let mut facts: Vec<Fact> = (1..=6).map(|identity| Fact::Intent(numbered(identity))).collect();
    facts.extend([
        result(1, approved()),
        result(2, declined),
        Fact::Timeout { identity: Identity(3), outcome: timed_out, undo: undoing(3, Why::TimedOut, 0) },
        result(4, approved()),
        reversed(4, 0),
        result(5, approved()),
        reversed(5, 400),
        Fact::Declined {
            asked: numbered(7).asked,
            outcome: Outcome::declined(DeclineReason::NoRoute, ResponseCode::of(b"92")),
        },
        Fact::Tombstone { identity: Identity(8), acquirer: AcquirerId(1) },
        Fact::Advised(Box::new(advice())),
        Fact::ReversalDone { issuer: IssuerId(2), stan: Stan::new(203).expect("a number") },
        Fact::ReversalParked { issuer: IssuerId(2), stan: Stan::new(204).expect("a number") },
    ]);
    facts
}

#[test]
fn it_says_what_export_says_in_one_piece_and_in_many() {
    let mut scratch = Scratch::new("export");
    let figures = scratch.process(&facts());
    assert_eq!(figures.rows.load(Ordering::Relaxed), 9);
    assert_eq!(figures.rebuilds.load(Ordering::Relaxed), 0);
    scratch.assert_agrees();
    let connection = Connection::open(scratch.file()).expect("a file");
    let told = |identity: u128| -> (String, String) {
        connection
            .query_row(
                "SELECT told_why, told_state FROM payment WHERE identity = ?1",
                [identity.to_be_bytes()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .expect("a row")
    };
    let said = |why: &str, state: &str| (why.to_owned(), state.to_owned());
    assert_eq!(told(3), said("timed_out", "done"));
    assert_eq!(told(4), said("acquirer", "parked"));
    assert_eq!(told(5), said("acquirer", "waiting"));
    drop(connection);
    // Each fact in a process of its own says the same.
    let mut pieces = Scratch::new("pieces");
    for fact in facts() {
        assert_eq!(pieces.process(&[fact]).rebuilds.load(Ordering::Relaxed), 0);
    }
    pieces.assert_agrees();
}

#[test]
fn no_card_number_is_in_it() {
    let mut scratch = Scratch::new("cards");
    scratch.process(&facts());
    for name in fs::read_dir(&scratch.path).expect("a folder").flatten() {
        let bytes = fs::read(name.path()).unwrap_or_default();
        let digits = b"9999600000000019";
        assert!(!bytes.windows(digits.len()).any(|window| window == digits), "{name:?}");
        let packed = [0x99, 0x99, 0x60, 0, 0, 0, 0, 0x19];
        assert!(!bytes.windows(packed.len()).any(|window| window == packed), "{name:?}");
    }
}

#[test]
fn it_is_built_anew_when_it_is_missing_damaged_of_another_version_or_ahead() {
    let mut scratch = Scratch::new("anew");
    scratch.process(&facts());
    let rows = scratch.rows();
    let harms: [&dyn Fn(&Path); 6] = [
        &|path| fs::remove_file(path).expect("our own"),
        &|path| fs::write(path, b"this is no database at all, whatever its name says").expect("our own"),
        &|path| fs::File::options().write(true).open(path).expect("our own").set_len(8_192).expect("our own"),
        &|path| {
            let connection = Connection::open(path).expect("a file");
            connection.execute_batch("PRAGMA user_version = 999").expect("ours");
        },
        &|path| {
            let connection = Connection::open(path).expect("a file");
            connection.execute_batch("UPDATE progress SET offset = offset + 8").expect("ours");
        },
        &|path| {
            let connection = Connection::open(path).expect("a file");
            connection.execute_batch("UPDATE progress SET sum = zeroblob(16)").expect("ours");
        },
    ];
    for (number, harm) in harms.iter().enumerate() {
        for beside in &store::FILES[1..] {
            let _ = fs::remove_file(scratch.path.join(beside));
        }
        harm(&scratch.file());
        let figures = scratch.process(&[]);
        assert_eq!(figures.rebuilds.load(Ordering::Relaxed), 1, "harm {number}");
        assert_eq!(scratch.rows(), rows, "harm {number}");
    }
    assert_eq!(scratch.process(&[]).rebuilds.load(Ordering::Relaxed), 0);
}

#[test]
fn a_record_that_was_changed_is_found_when_it_is_read() {
    let mut scratch = Scratch::new("changed");
    scratch.process(&facts());
    let rows = scratch.rows();
    let connection = Connection::open(scratch.file()).expect("a file");
    connection
        .execute_batch("UPDATE payment SET entry = zeroblob(length(entry)) WHERE state = 'partly_reversed'")
        .expect("ours");
    drop(connection);
    let late = Fact::Late {
        issuer: IssuerId(2),
        stan: Stan::new(105).expect("a number"),
        approved: true,
        undo: undoing(5, Why::Acquirer, 400),
    };
    let figures = scratch.process(&[late]);
    assert_eq!(figures.rebuilds.load(Ordering::Relaxed), 1);
    assert_eq!(scratch.rows(), rows);
}

#[test]
fn rows_leave_when_their_time_is_over() {
    let mut scratch = Scratch::new("retention");
    scratch.process(&facts());
    assert_eq!(scratch.rows().len(), 9);
    scratch.settings.retention = Duration::from_millis(1);
    thread::sleep(Duration::from_millis(5));
    scratch.process(&[]);
    assert_eq!(scratch.rows(), Vec::new());
}

#[test]
fn it_goes_through_many_segments_and_over_those_that_are_gone() {
    let mut scratch = Scratch::new("segments");
    let facts: Vec<Fact> = (1..=9_000_u128)
        .flat_map(|identity| {
            [
                Fact::Intent(numbered(identity)),
                Fact::Result { identity: Identity(identity), outcome: approved() },
            ]
        })
        .collect();
    scratch.process(&facts);
    assert_eq!(scratch.rows().len(), 9_000);
    let numbers = segment::numbers(&folder(&scratch.path, SHARD), segment::ENDING).expect("ours");
    assert!(numbers.len() >= 4, "{numbers:?}");
    // Those that it has behind it are not missed.
    for number in &numbers[..2] {
        fs::remove_file(folder(&scratch.path, SHARD).join(segment::file_name(*number))).expect("ours");
    }
    assert_eq!(scratch.process(&[Fact::Intent(numbered(9_001))]).rebuilds.load(Ordering::Relaxed), 0);
    assert_eq!(scratch.rows().len(), 9_001);
    // An index that needs them is built from what is there.
    fs::remove_file(scratch.file()).expect("ours");
    let figures = scratch.process(&[]);
    assert_eq!(figures.rebuilds.load(Ordering::Relaxed), 1);
    let rows = scratch.rows().len();
    assert!((2_000..9_000).contains(&rows), "{rows}");
}

/// What was forgotten is found by what its leg has of it, without another index in the file.
#[test]
fn what_an_issuer_was_asked_is_found_by_its_leg() {
    let mut scratch = Scratch::new("leg");
    let begun = |begins: u32, stan: u32, nth: u128| {
        let mut sent = numbered((u128::from(begins) << 96) + nth);
        sent.stan = Stan::new(stan).expect("a number");
        Fact::Intent(sent)
    };
    scratch.process(&[begun(7, 101, 1), begun(7, 102, 3)]);
    // Later.
    scratch.process(&[begun(7, 102, 2), begun(6, 103, 4), begun(8, 103, 5)]);
    scratch.process(&(0..lookup::ALIKE_MAX as u128).map(|nth| begun(9, 104, nth)).collect::<Vec<_>>());
    let connection = Connection::open(scratch.file()).expect("a file");
    let mut lookup = lookup::Lookup::new(scratch.settings.keys.clone(), scratch.settings.names.clone());
    let mut find = |begins, issuer, stan| {
        let stan = Stan::new(stan).expect("a number");
        let leg = ForgottenLeg { issuer: IssuerId(issuer), stan, begins };
        let found = lookup.find_leg(&connection, &leg).expect("sound");
        found.map(|found| (found.entry.map(|entry| entry.identity.0 & 0xFF), found.is_untold))
    };
    assert_eq!(find(7, 2, 101), Some((Some(1), false)));
    assert_eq!(find(7, 2, 102), Some((Some(2), false)), "the newest");
    assert_eq!([find(7, 1, 101), find(7, 2, 103), find(5, 2, 103)], [None, None, None]);
    assert_eq!(find(9, 2, 104), Some((None, true)), "too many begin alike");
    let (begins, ends) = ([0_u8; 16], [1_u8; 16]);
    let explained = format!("EXPLAIN QUERY PLAN {}", lookup::ALIKE);
    let plan: String = connection
        .query_row(&explained, rusqlite::params![begins, ends, 3], |row| row.get(3))
        .expect("a plan");
    assert!(plan.starts_with("SEARCH payment USING INDEX sqlite_autoindex_payment_1"), "{plan}");
}
