//! The thread that keeps the journal short enough to start from: it writes snapshots, removes segments when their time is
//! over, and raises the mark. Everything it does is behind the disk's end of the journal, where nothing changes any more,
//! and nobody waits for it.
//!
//! A snapshot is a recovery, written down: the newest snapshot and the segments after it are read back as a start would
//! read them. So damage to what is on the disk is noticed while the switch runs.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use authorizer::Authorizer;
use authorizer::event::ShardId;

use super::Fault;
use super::directory::Directory;
use super::fold::Fold;
use super::keeper::Durability;
use super::segment::{self, folder};
use super::snapshot;
use crate::wall::Wall;

/// Between two looks at what is to be done.
const LOOK: Duration = Duration::from_millis(200);
/// How often the mark goes up.
const MARK_EVERY: Duration = Duration::from_secs(5);
/// How often segments are looked at whose time may be over.
const RETENTION_EVERY: Duration = Duration::from_secs(10);
/// After something failed.
const PAUSE: Duration = Duration::from_secs(10);
/// A snapshot may take a tenth of the time, however fast the journal grows.
const REST: u32 = 9;
/// A snapshot is due when the journal has grown by a quarter of it: the start reads that, and the disk writes it.
const GROWTH: u64 = 4;
/// Snapshots that are kept: the newest, and one to fall back on.
const KEPT: usize = 2;

/// Makes an authorizer that knows nothing.
pub(crate) type Fresh = Box<dyn Fn(ShardId) -> Authorizer + Send>;

/// The running thread.
pub(crate) struct Archive {
    stop: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl Archive {
    /// Starts it. The first mark is written before this returns.
    pub(super) fn start(
        directory: Directory,
        shards: Vec<Arc<Durability>>,
        fresh: Fresh,
    ) -> Result<Self, Fault> {
        let stop = Arc::new(AtomicBool::new(false));
        let of_shard = |durability| OfShard { durability, snapshot: None, rest_until: None };
        let shards = shards.into_iter().map(of_shard).collect();
        let mut work = Work { directory, shards, fresh, stop: stop.clone() };
        work.raise_mark()?;
        let spawned = thread::Builder::new().name("archive".to_owned()).spawn(move || work.run());
        let handle = spawned.map_err(|error| Fault::Store(format!("no thread for the archive: {error}")))?;
        Ok(Self { stop, handle: Some(handle) })
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(handle) = self.handle.take() {
            handle.thread().unpark();
            let _ = handle.join();
        }
    }
}

struct Work {
    directory: Directory,
    shards: Vec<OfShard>,
    fresh: Fresh,
    stop: Arc<AtomicBool>,
}

struct OfShard {
    durability: Arc<Durability>,
    /// The newest snapshot and its bytes, once it was looked for.
    snapshot: Option<(u64, u64)>,
    rest_until: Option<Instant>,
}

impl Work {
    fn run(mut self) {
        let (mut mark_at, mut retention_at) = (Instant::now() + MARK_EVERY, Instant::now());
        while !self.stop.load(Ordering::Acquire) {
            thread::park_timeout(LOOK);
            let now = Instant::now();
            if now >= mark_at {
                mark_at = now + MARK_EVERY;
                self.raise_mark().unwrap_or_else(|fault| complain("the mark beside it", &fault));
            }
            for shard in 0..self.shards.len() {
                self.snapshot_if_due(shard);
            }
            if now >= retention_at {
                retention_at = now + RETENTION_EVERY;
                for shard in 0..self.shards.len() {
                    let removed = self.retain(shard);
                    removed.unwrap_or_else(|fault| complain("a segment that is over", &fault));
                }
            }
        }
        self.raise_mark().unwrap_or_else(|fault| complain("the mark beside it", &fault));
    }

    fn raise_mark(&mut self) -> Result<(), Fault> {
        let facts: Vec<u64> = self.shards.iter().map(|shard| shard.durability.durable()).collect();
        self.directory.mark.raise(&facts)
    }

    fn snapshot_if_due(&mut self, shard: usize) {
        if self.shards[shard].rest_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        let since = Instant::now();
        match self.snapshot(shard) {
            Ok(false) => {}
            Ok(true) => self.shards[shard].rest_until = Some(Instant::now() + since.elapsed() * REST),
            Err(fault) => {
                complain("a snapshot", &fault);
                self.shards[shard].rest_until = Some(Instant::now() + PAUSE);
            }
        }
    }

    /// Writes a snapshot where one is due.
    fn snapshot(&mut self, shard: usize) -> Result<bool, Fault> {
        let id = ShardId(shard as u16);
        // Everything before the segment in which the disk's end is was finished and is on the disk.
        let Some(until) = self.shards[shard].durability.durable_segment().checked_sub(1) else {
            return Ok(false);
        };
        let (newest, bytes) = self.newest(shard)?;
        if until <= newest || !self.is_due(id, newest, bytes, until)? {
            return Ok(false);
        }
        let since = Instant::now();
        let fresh = || (self.fresh)(id);
        let (directory, settings) = (&self.directory.path, &self.directory.settings);
        let fold = Fold { directory, shard: id, settings, homes: None, fresh: &fresh, until: Some(until) };
        let folded = fold.run()?;
        let pieces = folded.authorizer.pieces(folded.tail.at_us);
        let written = snapshot::write(directory, id, settings, &folded.tail, pieces)?;
        self.shards[shard].snapshot = Some((until, written.bytes));
        tracing::info!(
            shard,
            segment = until,
            pieces = written.pieces,
            bytes = written.bytes,
            ms = since.elapsed().as_millis() as u64,
            "a snapshot was written"
        );
        for old in snapshot::numbers(directory, id, until)?.iter().rev().skip(KEPT) {
            remove(&folder(directory, id).join(snapshot::file_name(*old)))?;
        }
        Ok(true)
    }

    fn newest(&mut self, shard: usize) -> Result<(u64, u64), Fault> {
        if let Some(known) = self.shards[shard].snapshot {
            return Ok(known);
        }
        let id = ShardId(shard as u16);
        let known = match snapshot::numbers(&self.directory.path, id, u64::MAX)?.pop() {
            Some(number) => {
                let path = folder(&self.directory.path, id).join(snapshot::file_name(number));
                (number, bytes_of(&path)?)
            }
            None => (0, 0),
        };
        self.shards[shard].snapshot = Some(known);
        Ok(known)
    }

    fn is_due(&self, shard: ShardId, newest: u64, snapshot_bytes: u64, until: u64) -> Result<bool, Fault> {
        let folder = folder(&self.directory.path, shard);
        let mut bytes = 0;
        for number in newest + 1..=until {
            bytes += bytes_of(&folder.join(segment::file_name(number)))?;
        }
        Ok(bytes >= self.directory.settings.snapshot_bytes.max(snapshot_bytes / GROWTH))
    }

    /// Removes segments whose time is over, oldest first. Those that the older of the kept snapshots does not stand for
    /// are never among them.
    fn retain(&self, shard: usize) -> Result<(), Fault> {
        let id = ShardId(shard as u16);
        let folder = folder(&self.directory.path, id);
        let Some(oldest) = snapshot::numbers(&self.directory.path, id, u64::MAX)?.first().copied() else {
            return Ok(());
        };
        let kept = self.directory.settings.retention;
        let over_us = Wall::now().micros().saturating_sub(kept.as_micros() as u64);
        for number in segment::numbers(&folder, segment::ENDING)? {
            if number > oldest {
                break;
            }
            // It ended when the next one began.
            let next = segment::opening(&folder.join(segment::file_name(number + 1)))?;
            if next.is_none_or(|(_, at_us)| at_us >= over_us) {
                break;
            }
            remove(&folder.join(segment::file_name(number)))?;
            tracing::info!(shard, segment = number, "a segment was removed: its time is over");
        }
        Ok(())
    }
}

fn bytes_of(path: &Path) -> Result<u64, Fault> {
    fs::metadata(path).map(|file| file.len()).map_err(|error| Fault::store(path, &error))
}

fn remove(path: &Path) -> Result<(), Fault> {
    fs::remove_file(path).map_err(|error| Fault::store(path, &error))
}

/// The journal itself goes on: what failed is tried again.
fn complain(what: &str, fault: &Fault) {
    tracing::error!(%fault, "{what} could not be taken care of, the journal goes on without");
}
