//! What the file knows of one identity, or of what an issuer was asked by one leg: the sealed record of its row, opened again.

use std::collections::HashMap;
use std::sync::Arc;

use authorizer::event::ShardId;
use authorizer::late::ForgottenLeg;
use authorizer::memory::Entry;
use authorizer::request::Identity;
use authorizer::snapshot::Piece;
use rusqlite::{Connection, OptionalExtension, params};

use super::store::Trouble;
use crate::journal::batch::sum;
use crate::journal::keys::{Keys, Sealer};
use crate::journal::record::Reader;
use crate::journal::renumber::Renumber;
use crate::journal::segment::Names;

/// Keys of processes that are held at a time.
const SESSIONS_MAX: usize = 16;
/// Rows whose identities begin alike are nearly always one; of those that an acquirer has made so, no more are looked at.
pub(super) const ALIKE_MAX: usize = 1_024;

/// Payments whose identities begin alike.
pub(super) const ALIKE: &str = "SELECT identity, issuer, issuer_de11, received_us FROM payment
    WHERE identity BETWEEN ?1 AND ?2 LIMIT ?3";

/// Opens sealed records, whichever process sealed them.
pub(super) struct Lookup {
    keys: Arc<Keys>,
    names: Names,
    /// What processes sealed under, and how they numbered names.
    sessions: HashMap<i64, (Sealer, Names)>,
}

/// What is known of an identity.
pub(super) struct Found {
    /// Nothing, where it may come again as if it never had.
    pub(super) entry: Option<Entry>,
    /// There is an entry, of an acquirer or issuer that the configuration has no more; or too many were alike.
    pub(super) is_untold: bool,
    pub(super) is_timed_out: bool,
    /// Whose journal begins with it.
    pub(super) shard: ShardId,
}

impl Lookup {
    /// Under these keys; `names` are numbered as this process numbers them.
    pub(super) fn new(keys: Arc<Keys>, names: Names) -> Self {
        Self { keys, names, sessions: HashMap::new() }
    }

    /// What is known of an identity.
    pub(super) fn find(
        &mut self,
        connection: &Connection,
        identity: Identity,
    ) -> Result<Option<Found>, Trouble> {
        let name = identity.0.to_be_bytes();
        let sql = "SELECT entry, session, state, shard FROM payment WHERE identity = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let found: Option<(Option<Vec<u8>>, i64, String, u16)> =
            connection.prepare_cached(sql)?.query_row([name], read).optional()?;
        let Some((sealed, session, state, shard)) = found else { return Ok(None) };
        let entry = sealed.map(|sealed| self.open(connection, &name, session, &sealed)).transpose()?;
        let (is_untold, is_timed_out) = (matches!(entry, Some(None)), state == "timed_out");
        Ok(Some(Found { entry: entry.flatten(), is_untold, is_timed_out, shard: ShardId(shard) }))
    }

    /// What is known of what an issuer was asked by a leg; the newest, where it was asked twice under one number.
    pub(super) fn find_leg(
        &mut self,
        connection: &Connection,
        leg: &ForgottenLeg,
    ) -> Result<Option<Found>, Trouble> {
        let (first, last) = leg.identities();
        let (first, last) = (first.0.to_be_bytes(), last.0.to_be_bytes());
        let (issuer, stan) =
            (self.names.issuers.get(leg.issuer.index()), format!("{:06}", leg.stan.number()));
        let mut statement = connection.prepare_cached(ALIKE)?;
        let mut rows = statement.query(params![first, last, ALIKE_MAX as i64])?;
        let (mut newest, mut alike): (Option<(i64, [u8; 16])>, usize) = (None, 0);
        while let Some(row) = rows.next()? {
            alike += 1;
            let (asked, under): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
            if asked.as_ref() == issuer && under.as_ref() == Some(&stan) {
                newest = newest.max(Some((row.get(3)?, row.get(0)?)));
            }
        }
        if alike == ALIKE_MAX {
            let nobody = ShardId(0);
            return Ok(Some(Found { entry: None, is_untold: true, is_timed_out: false, shard: nobody }));
        }
        let Some((_, identity)) = newest else { return Ok(None) };
        self.find(connection, Identity(u128::from_be_bytes(identity)))
    }

    fn open(
        &mut self,
        connection: &Connection,
        name: &[u8; 16],
        session: i64,
        sealed: &[u8],
    ) -> Result<Option<Entry>, Trouble> {
        let unsound = || Trouble::Unsound("a record of it is not sound".to_owned());
        let (record, written) = sealed.split_last_chunk::<16>().ok_or_else(unsound)?;
        // SQLite does not look at what is in its pages.
        if *written != sum(name, record) {
            return Err(unsound());
        }
        if !self.sessions.contains_key(&session) {
            if self.sessions.len() >= SESSIONS_MAX {
                self.sessions.clear();
            }
            let known = self.session(connection, session)?;
            self.sessions.insert(session, known);
        }
        let (sealer, names) = self.sessions.get(&session).ok_or_else(unsound)?;
        let piece = Reader::new(record, Some(sealer)).ok().and_then(|mut reader| reader.next_piece()?.ok());
        match Renumber::new(&self.names).piece(piece.ok_or_else(unsound)?, names) {
            Some(Piece::Remembered(entry, _)) => Ok(Some(entry)),
            // Its acquirer or issuer is no more.
            _ => Ok(None),
        }
    }

    /// What a process sealed under, and how it numbered names.
    fn session(&self, connection: &Connection, session: i64) -> Result<(Sealer, Names), Trouble> {
        let sql = "SELECT salt, key, key_check, names FROM session WHERE id = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, (row.get(1)?, row.get(2)?), row.get(3)?));
        let (salt, key, names): ([u8; 32], (u32, [u8; 8]), String) =
            connection.query_row(sql, [session], read)?;
        let names = serde_json::from_str(&names).ok();
        let known = self.keys.for_old_index(key, &salt).zip(names);
        known.ok_or_else(|| Trouble::Unsound("a record of it is under another key".to_owned()))
    }
}
