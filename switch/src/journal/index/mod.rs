//! The index of the journal: a file of SQLite in the data directory (`index.sqlite`) in which every request of the
//! retention is found by its identity, and which a person may ask anything. One thread for all shards follows the
//! journal behind the disk's end and writes rows; it waits for everybody: while the shards want the processors it falls
//! behind. Another reads, for shards that ask.
//!
//! It holds nothing that the journal does not say. An index that is missing, damaged, of another version, ahead of the
//! journal or behind a segment that was removed is built anew from snapshots and segments while the switch works.
//!
//! | file | what |
//! | --- | --- |
//! | `follow` | reads a shard's journal as it grows |
//! | `row` | one request, as the facts tell it |
//! | `store` | the file |
//! | `lookup` | what it knows of one identity |
//! | `asking` | shards ask for what their memory has forgotten |

mod asking;
mod follow;
mod lookup;
mod row;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use authorizer::event::ShardId;
use authorizer::fact::Fact;
use authorizer::recall;
use authorizer::request::Identity;
use authorizer::snapshot::Piece;

use super::keeper::Durability;
use super::renumber::Renumber;
use super::segment::{self, Recorded, folder};
use super::writer::Settings;
use super::{Fault, snapshot};
use crate::process;
use crate::wall::Wall;
use asking::Answering;
pub(crate) use asking::{Question, Recalls, Sought, Tell};
use follow::{Follower, Place};
use row::{Begun, Row};
use store::{Acknowledged, REMOVED_MAX, Store, Trouble};

/// Between two looks at what the journal has more.
const LOOK: Duration = Duration::from_millis(100);
/// How often rows are looked for whose time is over.
const RETENTION_EVERY: Duration = Duration::from_secs(1);
/// After something failed; it doubles.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Rows of a snapshot that are written at a time.
const PIECES: usize = 4_096;
/// No more of the journal is read into one transaction when it has told of so many requests: rows that share a page are
/// one write of it, and what a request has come to is mostly known before its row is written.
const ROWS: usize = 8_192;

/// How the index stands, for the page.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Requests it tells of.
    pub(crate) rows: AtomicU64,
    /// Facts on the disk that are not in it yet.
    pub(crate) behind: AtomicU64,
    /// How often it was built anew.
    pub(crate) rebuilds: AtomicU64,
    /// It was level with the journal since it was opened.
    pub(crate) is_whole: AtomicBool,
}

/// The running threads: the one that writes, and the one that reads.
pub(crate) struct Index {
    stop: Arc<AtomicBool>,
    handles: Vec<JoinHandle<()>>,
}

impl Index {
    /// Starts it over the journals of all shards; `tell` takes the answers to what shards ask.
    pub(super) fn start(
        directory: PathBuf,
        settings: Settings,
        shards: Vec<Arc<Durability>>,
        figures: Arc<Figures>,
        (recalls, tell): (Arc<Recalls>, Tell),
    ) -> Result<Self, Fault> {
        let stop = Arc::new(AtomicBool::new(false));
        let answering = Answering {
            directory: directory.clone(),
            settings: settings.clone(),
            shards: shards.clone(),
            recalls: recalls.clone(),
            stop: stop.clone(),
            tell,
        };
        let work = Work { directory, settings, shards, figures, recalls, stop: stop.clone() };
        let spawned = thread::Builder::new().name("index".to_owned()).spawn(move || work.run());
        let writing = spawned.map_err(|error| Fault::Store(format!("no thread for the index: {error}")))?;
        let mut index = Self { stop, handles: vec![writing] };
        index.handles.push(answering.start()?);
        Ok(index)
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for handle in self.handles.drain(..) {
            handle.thread().unpark();
            let _ = handle.join();
        }
    }
}

/// Why the work was put down.
enum Broken {
    Stopped,
    Trouble(Trouble),
}

impl From<Trouble> for Broken {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Whatever is the matter with the journal, what was read of it cannot be gone on from.
impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Unsound(fault.to_string())
    }
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Trouble(fault.into())
    }
}

struct Work {
    directory: PathBuf,
    settings: Settings,
    shards: Vec<Arc<Durability>>,
    figures: Arc<Figures>,
    recalls: Arc<Recalls>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn run(self) {
        process::let_payments_first();
        self.recalls.write_here();
        let mut pause = PAUSE_MIN;
        let mut was_removed = false;
        loop {
            let since = Instant::now();
            let Err(broken) = self.follow(was_removed);
            self.figures.is_whole.store(false, Ordering::Release);
            if since.elapsed() > pause {
                // It was good for a while: what is wrong now is something else.
                pause = PAUSE_MIN;
            }
            match broken {
                Broken::Stopped => return,
                Broken::Trouble(Trouble::Passing(why)) => {
                    tracing::error!(%why, "the index of the journal cannot be written, it is tried again");
                }
                Broken::Trouble(Trouble::Unsound(why)) => {
                    tracing::error!(%why, "the index of the journal is built anew");
                    self.recalls.close();
                    Store::remove(&self.directory);
                    was_removed = true;
                    if since.elapsed() > pause {
                        continue;
                    }
                }
            }
            if self.sleeps(pause) {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Whether it is to stop meanwhile.
    fn sleeps(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while !self.stop.load(Ordering::Acquire) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::park_timeout(left);
        }
        true
    }

    /// Opens the index and keeps it level with the journal until something is in the way. `was_removed`: there was one
    /// before, which was not sound.
    fn follow(&self, was_removed: bool) -> Result<std::convert::Infallible, Broken> {
        let (settings, since) = (&self.settings, Instant::now());
        let mut store = Store::open(&self.directory, settings.keys.clone(), settings.names.clone())?;
        let mut followers = Vec::new();
        for shard in (0..self.shards.len() as u16).map(ShardId) {
            let place = store.place(shard)?;
            followers.push(Follower::new(&self.directory, shard, settings.keys.clone(), place));
        }
        let ahead = self.shards.iter().zip(&followers);
        if ahead.into_iter().any(|(shard, follower)| follower.place.facts > shard.seen(settings.level)) {
            return Err(Trouble::Unsound("it is ahead of the journal".to_owned()).into());
        }
        let is_new = followers.iter().all(|follower| follower.place == Place::default());
        if is_new && (was_removed || self.has_past()?) {
            self.figures.rebuilds.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("the index of the journal is built from what is there of it");
            self.take_snapshots(&mut store)?;
        }
        self.publish(&store, &followers);
        self.recalls.open();
        let mut retention_at = Instant::now();
        loop {
            if self.recalls.take_unsound() {
                return Err(Trouble::Unsound("a record of it is not sound".to_owned()).into());
            }
            let until = self.shards.iter().map(|shard| shard.followable(settings.level)).collect::<Vec<_>>();
            let mut has_read = false;
            while self.read_on(&mut store, &mut followers, &until)? {
                has_read = true;
                self.publish(&store, &followers);
                if self.stop.load(Ordering::Acquire) {
                    return Err(Broken::Stopped);
                }
            }
            self.publish(&store, &followers);
            if self.stop.load(Ordering::Acquire) {
                return Err(Broken::Stopped);
            }
            if until.iter().any(|(segment, _)| *segment == 0) {
                // This process has nothing on the disk yet: there is no end to be level with.
                thread::park_timeout(LOOK / 20);
                continue;
            }
            if !self.figures.is_whole.swap(true, Ordering::AcqRel) && is_new {
                let ms = since.elapsed().as_millis() as u64;
                tracing::info!(rows = store.rows(), ms, "the index of the journal is level with it");
            }
            if Instant::now() >= retention_at {
                if !store.is_there(&self.directory) {
                    return Err(Trouble::Unsound("its file was taken away".to_owned()).into());
                }
                let kept = settings.retention.as_micros() as u64;
                let removed = store.forget(Wall::now().micros().saturating_sub(kept))?;
                let again = if removed < REMOVED_MAX { RETENTION_EVERY } else { Duration::ZERO };
                retention_at = Instant::now() + again;
            }
            if !has_read {
                thread::park_timeout(LOOK);
            }
        }
    }

    fn publish(&self, store: &Store, followers: &[Follower]) {
        let behind = self.shards.iter().zip(followers);
        let behind = behind.map(|(shard, follower)| shard.durable().saturating_sub(follower.place.facts));
        self.figures.behind.store(behind.sum(), Ordering::Relaxed);
        self.figures.rows.store(store.rows(), Ordering::Relaxed);
        for (shard, follower) in followers.iter().enumerate() {
            self.recalls.reach(shard, follower.place.facts, follower.at_us);
        }
    }

    /// Whether the journal began before this process.
    fn has_past(&self) -> Result<bool, Fault> {
        for shard in (0..self.shards.len() as u16).map(ShardId) {
            let numbers = segment::numbers(&folder(&self.directory, shard), segment::ENDING)?;
            if numbers.iter().any(|number| *number > 1) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What snapshots know of requests whose segments are gone. What the segments say comes after it.
    fn take_snapshots(&self, store: &mut Store) -> Result<(), Broken> {
        for shard in (0..self.shards.len() as u16).map(ShardId) {
            let numbers = segment::numbers(&folder(&self.directory, shard), segment::ENDING)?;
            if numbers.first().is_none_or(|first| *first == 1) {
                continue;
            }
            for number in snapshot::numbers(&self.directory, shard, u64::MAX)? {
                self.take_snapshot(store, shard, number)?;
            }
        }
        Ok(())
    }

    fn take_snapshot(&self, store: &mut Store, shard: ShardId, number: u64) -> Result<(), Broken> {
        let (mut rows, mut trouble) = (HashMap::new(), None);
        let (names, keys) = (store.names().clone(), self.settings.keys.clone());
        let mut renumber = Renumber::new(&names);
        snapshot::read(&self.directory, shard, number, Some(&keys), &mut |piece, then| {
            let Some(Piece::Remembered(entry, _)) = renumber.piece(piece, then) else { return };
            let token = entry.sent.and_then(|sent| sent.pan).map(|pan| keys.token(&pan));
            let begun = Begun { shard, segment: 0, offset: 0, at_us: entry.since_us, token };
            rows.insert(entry.identity, Row::of_snapshot(entry, begun));
            if rows.len() == PIECES && trouble.is_none() {
                trouble = self.write(store, std::mem::take(&mut rows)).err();
            }
        })?;
        trouble.map_or(Ok(()), Err)?;
        self.write(store, rows)
    }

    fn write(&self, store: &mut Store, rows: HashMap<Identity, Row>) -> Result<(), Broken> {
        if self.stop.load(Ordering::Acquire) {
            return Err(Broken::Stopped);
        }
        store.at_once(|store| Ok(store.write(&rows, &[], &[])?))
    }

    /// A piece of every shard's journal, up to these places, in one transaction. Whether there was any.
    fn read_on(
        &self,
        store: &mut Store,
        followers: &mut [Follower],
        until: &[(u64, u64)],
    ) -> Result<bool, Broken> {
        if followers.iter().zip(until).all(|(follower, until)| follower.is_at(*until)) {
            return Ok(false);
        }
        store.at_once(|store| {
            let mut reading = Reading { rows: HashMap::new(), told: Vec::new(), trouble: None };
            let mut has_more = true;
            while has_more && reading.rows.len() < ROWS {
                has_more = false;
                for (shard, (until, follower)) in
                    (0..).map(ShardId).zip(until.iter().zip(followers.iter_mut()))
                {
                    let mut each = |recorded: Recorded<'_>| reading.take(store, shard, recorded);
                    has_more |= follower.read_on(*until, &mut each)?;
                }
            }
            if let Some(trouble) = reading.trouble {
                return Err(trouble.into());
            }
            let places: Vec<_> =
                (0..).map(ShardId).zip(followers.iter().map(|follower| follower.place)).collect();
            store.write(&reading.rows, &reading.told, &places)?;
            Ok(true)
        })
    }
}

/// What a piece of the journal has told.
struct Reading {
    rows: HashMap<Identity, Row>,
    told: Vec<Acknowledged>,
    trouble: Option<Trouble>,
}

impl Reading {
    fn take(&mut self, store: &mut Store, shard: ShardId, recorded: Recorded<'_>) {
        if self.trouble.is_some() {
            return;
        }
        let Recorded { fact, token, at_us, names, segment, offset } = recorded;
        let Some(fact) = Renumber::new(store.names()).fact(fact, names) else { return };
        let acknowledged = match &fact {
            Fact::ReversalDone { issuer, stan } => Some((issuer, stan, "done")),
            Fact::ReversalParked { issuer, stan } => Some((issuer, stan, "parked")),
            Fact::ReversalReleased { issuer, stan } => Some((issuer, stan, "waiting")),
            _ => None,
        };
        self.told.extend(acknowledged.map(|(issuer, stan, state)| Acknowledged {
            shard,
            issuer: issuer.index(),
            stan: stan.number(),
            state,
        }));
        let Some(identity) = recall::identity_of(&fact) else { return };
        let row = match self.rows.entry(identity) {
            Entry::Occupied(known) => known.into_mut(),
            // Whatever there was of it, it begins anew.
            Entry::Vacant(place) if Row::begins(&fact) => place.insert(Row::default()),
            Entry::Vacant(place) => match store.find(identity) {
                Ok(found) => place.insert(Row::of(found)),
                Err(trouble) => return self.trouble = Some(trouble),
            },
        };
        row.take(&fact, Begun { shard, segment, offset, at_us, token });
    }
}
