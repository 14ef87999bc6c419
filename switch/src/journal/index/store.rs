//! The index's file: one row for each request, for a person with `sqlite3` and for look-ups by identity. No card number
//! is in it in the clear: the token of the card is a column, and what a reversal must say again is a sealed record, as
//! in a snapshot. The columns say what `signalbox export` says, under the same names.
//!
//! Everything in it comes from the journal, so it is never repaired: what is not sound is built anew.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use authorizer::event::ShardId;
use authorizer::request::Identity;
use authorizer::snapshot::{Leg, Piece};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::follow::Place;
use super::lookup::{Found, Lookup};
use super::row::Row;
use crate::journal::batch::sum;
use crate::journal::keys::{Keys, Sealer};
use crate::journal::record::Writer;
use crate::journal::segment::Names;

/// The file's name in the data directory, and what SQLite puts beside it.
pub(super) const FILES: [&str; 3] = ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"];
/// The version of the tables and of the sealed records in them.
const VERSION: i64 = 2;
/// Tells the file from other people's: `SBIX`.
const APPLICATION: i64 = 0x5342_4958;
/// Rows that are removed at a time.
pub(super) const REMOVED_MAX: usize = 2_000;
/// Pages of 4 KiB in the file's own log before they are brought into it: a page that changed often is brought once.
const LOG_PAGES: u32 = 8_192;
/// How long another process that holds the file is waited for.
const BUSY: Duration = Duration::from_secs(1);

/// Why the file cannot be used.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It must be built anew.
    Unsound(String),
    /// It may be better the next time: a full disk, somebody who holds the file.
    Passing(String),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        let passing = [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked, ErrorCode::DiskFull];
        match error.sqlite_error_code() {
            Some(code) if passing.contains(&code) => Self::Passing(error.to_string()),
            _ => Self::Unsound(error.to_string()),
        }
    }
}

/// The open file.
pub(super) struct Store {
    connection: Connection,
    keys: Arc<Keys>,
    names: Names,
    /// Under which number this process seals, and the key of that.
    session: i64,
    sealer: Sealer,
    lookup: Lookup,
    rows: u64,
    inode: u64,
    out: Vec<u8>,
}

impl Store {
    /// Opens the file, or makes it where there is none.
    pub(super) fn open(directory: &Path, keys: Arc<Keys>, names: Names) -> Result<Self, Trouble> {
        let path = directory.join(FILES[0]);
        // What SQLite puts beside it has the same mode.
        let made =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        made.map_err(|error| Trouble::Passing(format!("{}: {error}", path.display())))?;
        let connection = Connection::open(&path)?;
        connection.busy_timeout(BUSY)?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        match (application, version) {
            (0, 0) => connection.execute_batch(&format!(
                "PRAGMA journal_mode = WAL; BEGIN; {TABLES}
                 PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
            ))?,
            (APPLICATION, VERSION) => {}
            _ => return Err(Trouble::Unsound("it is of another version".to_owned())),
        }
        connection.execute_batch(&format!(
            "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000; PRAGMA wal_autocheckpoint = {LOG_PAGES};"
        ))?;
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(|error| Trouble::Passing(format!("no randomness: {error}")))?;
        let named = serde_json::to_string(&names).expect("names are JSON");
        let newest: Option<(u32, [u8; 8])> = connection
            .query_row("SELECT key, key_check FROM session ORDER BY id DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        if newest.is_some_and(|key| !keys.has(key)) {
            return Err(Trouble::Unsound("it was written under another key".to_owned()));
        }
        let (key, key_check) = keys.newest();
        connection.execute(
            "INSERT INTO session (salt, key, key_check, names) VALUES (?1, ?2, ?3, ?4)",
            params![salt, key, key_check, named],
        )?;
        let session = connection.last_insert_rowid();
        let rows = connection.query_row("SELECT count(*) FROM payment", [], |row| row.get::<_, i64>(0))?;
        let sealer = keys.for_new_index(&salt);
        let rows = rows as u64;
        let lookup = Lookup::new(keys.clone(), names.clone());
        let inode = fs::metadata(&path).map_or(0, |file| file.ino());
        Ok(Self { connection, keys, names, session, sealer, lookup, rows, inode, out: Vec::new() })
    }

    /// Removes the file with all that is beside it.
    pub(super) fn remove(directory: &Path) {
        for name in FILES {
            let _ = fs::remove_file(directory.join(name));
        }
    }

    /// Whether the file is still the one that has the name: it may have been taken away.
    pub(super) fn is_there(&self, directory: &Path) -> bool {
        fs::metadata(directory.join(FILES[0])).is_ok_and(|file| file.ino() == self.inode)
    }

    /// How many requests it tells of.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// How names are numbered here.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Up to where a shard's journal is in it.
    pub(super) fn place(&self, shard: ShardId) -> Result<Place, Trouble> {
        let place = self.connection.query_row(
            "SELECT segment, offset, sum, facts FROM progress WHERE shard = ?1",
            [shard.0],
            |row| {
                let (segment, offset, facts): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(3)?);
                Ok(Place {
                    segment: segment as u64,
                    offset: offset as u64,
                    sum: row.get(2)?,
                    facts: facts as u64,
                })
            },
        );
        Ok(place.optional()?.unwrap_or_default())
    }

    /// Does something with the file, all or nothing: what is looked up and written in one go needs the file's lock once.
    pub(super) fn at_once<T, E: From<Trouble>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let rows = self.rows;
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(Trouble::from)?;
        let done = work(self).and_then(|done| {
            self.connection.execute_batch("COMMIT").map_err(Trouble::from)?;
            Ok(done)
        });
        if done.is_err() {
            let _ = self.connection.execute_batch("ROLLBACK");
            self.rows = rows;
        }
        done
    }

    /// Writes rows and places.
    pub(super) fn write(
        &mut self,
        rows: &HashMap<Identity, Row>,
        told: &[Acknowledged],
        places: &[(ShardId, Place)],
    ) -> Result<(), Trouble> {
        let mut begin = self.connection.prepare_cached(BEGIN)?;
        let mut begin_anew = self.connection.prepare_cached(BEGIN_ANEW)?;
        let mut go_on = self.connection.prepare_cached(GO_ON)?;
        // In their order in the file: each page is met once.
        let mut rows: Vec<_> = rows.iter().collect();
        rows.sort_unstable_by_key(|(identity, _)| identity.0);
        for (identity, row) in rows {
            let name = identity.0.to_be_bytes();
            let sealed: Option<&[u8]> = row.known().map(|entry| {
                self.out.clear();
                let mut writer = Writer { out: &mut self.out, sealer: &mut self.sealer, keys: &self.keys };
                writer.piece(&Piece::Remembered(*entry, Leg::Gone));
                self.sealer.close(&mut self.out);
                let sum = sum(&name, &self.out);
                self.out.extend_from_slice(&sum);
                &self.out[..]
            });
            let outcome = row.outcome.as_ref();
            let changing = (
                row.state(),
                outcome.and_then(|outcome| outcome.approval_code.as_ref()).map(|code| text(code.as_bytes())),
                outcome.map(|outcome| text(outcome.response_code.as_bytes())),
                outcome.and_then(|outcome| outcome.approved_minor).map(|minor| minor as i64),
                row.reason(),
                row.left_minor().map(|minor| minor as i64),
            );
            let (state, de38, de39, approved, reason, left) = changing;
            let told = row.told.as_ref();
            let told_de11 = told.map(|told| format!("{:06}", told.stan));
            let (told_why, told_state) = (told.map(|told| told.why), told.map(|_| "waiting"));
            let ended_us = row.ended_us.map(|us| us as i64);
            let Some(begun) = &row.begun else {
                go_on.execute(params![
                    name,
                    state,
                    de38,
                    de39,
                    approved,
                    reason,
                    left,
                    ended_us,
                    told_de11,
                    told_why,
                    told_state,
                    self.session,
                    sealed
                ])?;
                continue;
            };
            let asked = row.asked.as_ref();
            let keys = asked.map(|asked| &asked.keys);
            let sent = row.sent();
            let issuer = sent.map(|sent| named(&self.names.issuers, sent.to.issuer.index()));
            let token = begun.token.map(|token| format!("{:032x}", u128::from_be_bytes(token)));
            let columns = params![
                name,
                state,
                de38,
                de39,
                approved,
                reason,
                left,
                ended_us,
                told_de11,
                told_why,
                told_state,
                self.session,
                sealed,
                row.acquirer.map(|acquirer| named(&self.names.acquirers, acquirer.index())),
                asked.map(|asked| asked.class.name()),
                issuer,
                sent.map(|sent| format!("{:06}", sent.stan.number())),
                asked.map(|asked| asked.amount.minor() as i64),
                asked.map(|asked| asked.amount.currency().number()),
                keys.map(|keys| format!("{:010}", keys.moment)),
                asked.map(|asked| format!("{:06}", asked.stan.number())),
                keys.and_then(|keys| keys.acquirer).map(|party| party.number() as i64),
                asked.and_then(|asked| asked.forwarder).map(|party| party.number() as i64),
                keys.and_then(|keys| keys.rrn.as_ref()).map(|rrn| text(rrn.as_bytes())),
                keys.and_then(|keys| keys.terminal.as_ref()).map(|terminal| text(terminal.as_bytes())),
                keys.and_then(|keys| keys.merchant.as_ref()).map(|merchant| text(merchant.as_bytes())),
                row.is_stood_in,
                token,
                begun.at_us as i64,
                begun.shard.0,
                begun.segment as i64,
                begun.offset as i64,
            ];
            match begin.execute(columns)? {
                0 => begin_anew.execute(columns)?,
                fresh => {
                    self.rows += fresh as u64;
                    fresh
                }
            };
        }
        let mut acknowledge = self.connection.prepare_cached(ACKNOWLEDGE)?;
        for Acknowledged { shard, issuer, stan, state } in told {
            acknowledge.execute(params![
                state,
                shard.0,
                named(&self.names.issuers, *issuer),
                format!("{stan:06}")
            ])?;
        }
        let mut go_to = self.connection.prepare_cached(
            "INSERT OR REPLACE INTO progress (shard, segment, offset, sum, facts) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for (shard, place) in places {
            let Place { segment, offset, sum, facts } = *place;
            go_to.execute(params![shard.0, segment as i64, offset as i64, sum, facts as i64])?;
        }
        Ok(())
    }

    /// What is known of an identity.
    pub(super) fn find(&mut self, identity: Identity) -> Result<Option<Found>, Trouble> {
        self.lookup.find(&self.connection, identity)
    }

    /// Removes requests that came before a moment, and says how many: the oldest first, so many at a time.
    pub(super) fn forget(&mut self, before_us: u64) -> Result<usize, Trouble> {
        let removed = self.connection.execute(
            "DELETE FROM payment WHERE identity IN
                 (SELECT identity FROM payment WHERE received_us < ?1 ORDER BY received_us LIMIT ?2)",
            params![before_us as i64, REMOVED_MAX as i64],
        )?;
        self.rows = self.rows.saturating_sub(removed as u64);
        Ok(removed)
    }
}

/// An issuer has acknowledged something, or will not, or is told again.
pub(super) struct Acknowledged {
    pub(super) shard: ShardId,
    pub(super) issuer: usize,
    pub(super) stan: u32,
    pub(super) state: &'static str,
}

fn named(names: &[String], index: usize) -> Option<&str> {
    names.get(index).map(String::as_str)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default().trim_end()
}

const TABLES: &str = "
    CREATE TABLE payment (
        identity BLOB NOT NULL UNIQUE,  -- hex(identity) is the trace of logs and commands
        acquirer TEXT, class TEXT,      -- who asked, and for what
        state TEXT NOT NULL,            -- in_doubt, approved, advised, declined, timed_out, reversed, ...
        de4 INTEGER, de49 INTEGER,      -- minor units, currency
        de7 TEXT, de11 TEXT, de32 INTEGER, de33 INTEGER, de37 TEXT, de41 TEXT, de42 TEXT,
        de38 TEXT, de39 TEXT, approved_minor INTEGER,
        reason TEXT,                    -- of a decline
        left_minor INTEGER,             -- what stays after a reversal
        stood_in INTEGER,
        issuer TEXT, issuer_de11 TEXT,
        card_token TEXT,
        received_us INTEGER NOT NULL, ended_us INTEGER,   -- microseconds since 1970
        told_de11 TEXT, told_why TEXT, told_state TEXT,   -- the newest reversal or advice to its issuer
        shard INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL,   -- where the journal begins with it
        session INTEGER NOT NULL, entry BLOB              -- sealed, for the switch
    );
    CREATE INDEX payment_received ON payment (received_us);
    CREATE INDEX payment_told ON payment (told_de11) WHERE told_state <> 'done';
    CREATE TABLE progress (
        shard INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL, sum BLOB, facts INTEGER NOT NULL
    );
    CREATE TABLE session (
        id INTEGER PRIMARY KEY, salt BLOB NOT NULL,
        key INTEGER NOT NULL, key_check BLOB NOT NULL,   -- the data key of the journal that it sealed under
        names TEXT NOT NULL
    );";

macro_rules! begin {
    () => {
        " INTO payment (
            identity, state, de38, de39, approved_minor, reason, left_minor, ended_us, told_de11, told_why, told_state,
            session, entry, acquirer, class, issuer, issuer_de11, de4, de49, de7, de11, de32, de33, de37, de41, de42,
            stood_in, card_token, received_us, shard, segment, offset)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
            ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32)"
    };
}

/// A row of a request that there is none of yet, and one that takes the place of another.
const BEGIN: &str = concat!("INSERT OR IGNORE", begin!());
const BEGIN_ANEW: &str = concat!("INSERT OR REPLACE", begin!());

const GO_ON: &str = "
    UPDATE payment SET state = ?2, de38 = coalesce(?3, de38), de39 = coalesce(?4, de39),
        approved_minor = coalesce(?5, approved_minor), reason = coalesce(?6, reason), left_minor = ?7,
        ended_us = coalesce(ended_us, ?8), told_de11 = coalesce(?9, told_de11), told_why = coalesce(?10, told_why),
        told_state = coalesce(?11, told_state), session = ?12, entry = ?13
    WHERE identity = ?1";

const ACKNOWLEDGE: &str = "
    UPDATE payment SET told_state = ?1
    WHERE told_de11 = ?4 AND told_state <> 'done' AND shard = ?2 AND issuer = ?3";
