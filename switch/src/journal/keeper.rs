//! What the thread beside a shard does to files: it makes them durable, and fills the next segment with zeros while there
//! is nothing else to do. When it does which, and whom it tells, is `durability`.
//!
//! A sync that fails is never tried again: the pages may be marked clean although they are not on the disk. The
//! process ends, and what it could not write down was never seen by anybody.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use authorizer::buckets::Buckets;

use super::Level;
use super::durability::{Disk, Keeper};
use super::sync::ArrayQueue;
use crate::metrics::SYNC_US;

/// The process's exit code when its store fails.
const EXIT_STORE: i32 = 4;
/// The name of the next segment while it waits to be used.
pub(super) const PREPARED: &str = "next";
/// Zeros written at a time, so that a sync is not kept waiting.
const CHUNK: usize = 256 << 10;
/// Between two attempts to prepare a segment on a full disk.
const FULL_WAIT: Duration = Duration::from_millis(500);
/// Longest sleep when nothing is asked.
const IDLE: Duration = Duration::from_secs(1);

/// What shard and keeper tell each other.
pub(crate) type Durability = super::durability::Durability<File>;

/// What else they share.
pub(super) struct Shelf {
    /// How long syncs took, for the page.
    pub(super) sync_times: SyncTimes,
    /// There is no room for another segment.
    pub(super) is_low: AtomicBool,
    /// A segment that is ready to be used.
    pub(super) prepared: ArrayQueue<File>,
}

impl Shelf {
    fn new() -> Self {
        Self {
            sync_times: SyncTimes::default(),
            is_low: AtomicBool::new(false),
            prepared: ArrayQueue::new(1),
        }
    }
}

/// Written by the keeper, read by the shard.
#[derive(Default)]
pub(super) struct SyncTimes {
    counts: [AtomicU64; SYNC_US.len() + 1],
    sum_us: AtomicU64,
}

impl SyncTimes {
    fn add(&self, took: Duration) {
        let us = took.as_micros() as u64;
        let bucket = SYNC_US.iter().position(|end_us| us <= *end_us).unwrap_or(SYNC_US.len());
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Buckets<{ SYNC_US.len() }> {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let (counts, beyond) = counts.split_at(SYNC_US.len());
        let counts = counts.try_into().expect("as many as there are ends");
        Buckets::of(&SYNC_US, counts, beyond[0], self.sum_us.load(Ordering::Relaxed))
    }
}

/// Ends the process: what could not be written down must not be acted on.
pub(super) fn fail(what: &Path, error: &std::io::Error) -> ! {
    // The log may be on the same disk, and nothing may be waited for.
    let _ = writeln!(
        std::io::stderr(),
        "the journal cannot be written, the switch stops: {}: {error}",
        what.display()
    );
    std::process::exit(EXIT_STORE);
}

/// Starts the thread over an open segment.
pub(super) fn start(
    shared: Arc<Durability>,
    folder: PathBuf,
    segment: (u64, Arc<File>),
    level: Level,
    flush: Duration,
    segment_bytes: u64,
) -> std::io::Result<(Keeper<File>, Arc<Shelf>)> {
    let shelf = Arc::new(Shelf::new());
    let files = Files { shelf: shelf.clone(), folder, segment_bytes, preparing: None, retry: None };
    let idle = if level == Level::Sync { IDLE } else { flush };
    Ok((Keeper::start(shared, segment, files, idle)?, shelf))
}

/// The thread's side of the files.
struct Files {
    shelf: Arc<Shelf>,
    folder: PathBuf,
    segment_bytes: u64,
    /// The next segment, and how much of it is filled.
    preparing: Option<(File, u64)>,
    /// When a full disk is tried again.
    retry: Option<Instant>,
}

impl Disk<File> for Files {
    fn sync(&mut self, file: &File) {
        if let Err(error) = file.sync_data() {
            fail(&self.folder, &error);
        }
    }

    fn sync_names(&mut self) {
        if let Err(error) = File::open(&self.folder).and_then(|folder| folder.sync_all()) {
            fail(&self.folder, &error);
        }
    }

    fn synced(&mut self, took: Duration) {
        self.shelf.sync_times.add(took);
    }

    /// Fills a piece of the next segment.
    fn prepare(&mut self) -> bool {
        if !self.shelf.prepared.is_empty() || self.retry.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        match self.fill() {
            Ok(()) => {
                self.retry = None;
                self.shelf.is_low.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                if !self.shelf.is_low.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "no room for another journal segment: new requests are refused");
                }
                self.preparing = None;
                self.retry = Some(Instant::now() + FULL_WAIT);
            }
        }
        true
    }
}

impl Files {
    fn fill(&mut self) -> std::io::Result<()> {
        let path = self.folder.join(PREPARED);
        if self.preparing.is_none() {
            let _ = fs::remove_file(&path);
            self.preparing = Some((create(&path)?, 0));
        }
        let Some((file, filled)) = &mut self.preparing else { return Ok(()) };
        let wanted = (self.segment_bytes - *filled).min(CHUNK as u64);
        file.write_all(&vec![0; wanted as usize])?;
        *filled += wanted;
        if *filled >= self.segment_bytes
            && let Some((file, _)) = self.preparing.take()
        {
            file.sync_all()?;
            let _ = self.shelf.prepared.push(file);
        }
        Ok(())
    }
}

/// A new file that only its owner may read.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}
