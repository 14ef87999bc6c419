//! The thread beside a shard that makes its journal durable. The shard writes; this thread waits for the disk, says how
//! far it got, and fills the next segment with zeros while there is nothing else to do.
//!
//! One sync carries everything that was written before it began, so a slow disk makes larger groups and no longer
//! queues. A sync that fails is never tried again: the pages may be marked clean although they are not on the disk. The
//! process ends, and what it could not write down was never seen by anybody.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use atomic_waker::AtomicWaker;
use authorizer::buckets::Buckets;
use crossbeam_queue::ArrayQueue;

use super::Level;
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
/// Bits of a mark that hold the offset; the segment's number is above them.
const OFFSET_BITS: u32 = 40;

/// What shard and keeper tell each other.
pub(crate) struct Durability {
    /// Position up to which the shard has written.
    written: AtomicU64,
    /// Segment and offset up to which it has written.
    written_mark: AtomicU64,
    /// Position up to which the disk has it.
    durable: AtomicU64,
    durable_mark: AtomicU64,
    /// How long syncs took, for the page.
    pub(super) sync_times: SyncTimes,
    /// There is no room for another segment.
    pub(crate) is_low: AtomicBool,
    /// Woken when the disk has more.
    pub(crate) waker: AtomicWaker,
    stop: AtomicBool,
    /// A segment that is ready to be used.
    pub(super) prepared: ArrayQueue<File>,
    /// Segments that the shard went on to.
    pub(super) opened: ArrayQueue<(u64, Arc<File>)>,
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

/// Segment and offset in one number.
pub(super) fn mark(segment: u64, offset: u64) -> u64 {
    segment << OFFSET_BITS | offset
}

impl Durability {
    /// Nothing was written yet behind this position.
    pub(super) fn new(position: u64) -> Arc<Self> {
        Arc::new(Self {
            written: AtomicU64::new(position),
            written_mark: AtomicU64::new(0),
            durable: AtomicU64::new(position),
            durable_mark: AtomicU64::new(0),
            sync_times: SyncTimes::default(),
            is_low: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            stop: AtomicBool::new(false),
            prepared: ArrayQueue::new(1),
            opened: ArrayQueue::new(8),
        })
    }

    /// The shard has written up to here.
    pub(super) fn wrote(&self, position: u64, mark: u64) {
        self.written_mark.store(mark, Ordering::Release);
        self.written.store(position, Ordering::Release);
    }

    /// Up to which position the disk has it.
    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// The segment in which the disk's end is; 0 before the first sync.
    pub(super) fn durable_segment(&self) -> u64 {
        self.durable_mark.load(Ordering::Acquire) >> OFFSET_BITS
    }

    /// Segment and offset up to which nothing changes any more for those who read behind the shard.
    pub(super) fn followable(&self, level: Level) -> (u64, u64) {
        let mark = match level {
            Level::Sync => &self.durable_mark,
            Level::Written => &self.written_mark,
        };
        let mark = mark.load(Ordering::Acquire);
        (mark >> OFFSET_BITS, mark & ((1 << OFFSET_BITS) - 1))
    }

    /// Up to which offset of a segment the disk has it.
    pub(super) fn durable_offset(&self, segment: u64) -> u64 {
        let mark = self.durable_mark.load(Ordering::Acquire);
        if mark >> OFFSET_BITS == segment { mark & ((1 << OFFSET_BITS) - 1) } else { 0 }
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

/// The running thread.
pub(super) struct Keeper {
    pub(super) shared: Arc<Durability>,
    thread: Thread,
    handle: Option<thread::JoinHandle<()>>,
}

impl Keeper {
    /// Starts it over an open segment.
    pub(super) fn start(
        shared: Arc<Durability>,
        folder: PathBuf,
        (number, file): (u64, Arc<File>),
        level: Level,
        flush: Duration,
        segment_bytes: u64,
    ) -> std::io::Result<Self> {
        let work = Work {
            shared: shared.clone(),
            folder,
            number,
            file,
            segment_bytes,
            preparing: None,
            retry: None,
        };
        let idle = if level == Level::Sync { IDLE } else { flush };
        let handle = thread::Builder::new().name("journal".to_owned()).spawn(move || work.run(idle))?;
        Ok(Self { shared, thread: handle.thread().clone(), handle: Some(handle) })
    }

    /// There is something to sync, and somebody waits for it.
    pub(super) fn wake(&self) {
        self.thread.unpark();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.unpark();
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}

struct Work {
    shared: Arc<Durability>,
    folder: PathBuf,
    number: u64,
    file: Arc<File>,
    segment_bytes: u64,
    /// The next segment, and how much of it is filled.
    preparing: Option<(File, u64)>,
    /// When a full disk is tried again.
    retry: Option<Instant>,
}

impl Work {
    fn run(mut self, idle: Duration) {
        loop {
            let is_last = self.shared.stop.load(Ordering::Acquire);
            let written = self.shared.written.load(Ordering::Acquire);
            if written > self.shared.durable() || self.has_unsynced_marks() {
                self.sync(written);
            } else if is_last {
                return;
            } else if self.wants_to_prepare() {
                self.prepare();
            } else {
                thread::park_timeout(idle);
            }
        }
    }

    fn has_unsynced_marks(&self) -> bool {
        self.shared.written_mark.load(Ordering::Acquire) != self.shared.durable_mark.load(Ordering::Acquire)
    }

    /// Everything written before this began is on the disk when it returns.
    fn sync(&mut self, written: u64) {
        let mark = self.shared.written_mark.load(Ordering::Acquire);
        let began = Instant::now();
        self.sync_file();
        while self.number < mark >> OFFSET_BITS {
            // The shard has put it there before it wrote the mark.
            let Some((number, file)) = self.shared.opened.pop() else { break };
            (self.number, self.file) = (number, file);
            self.sync_file();
            self.sync_folder();
        }
        self.shared.durable_mark.store(mark, Ordering::Release);
        self.shared.durable.store(written, Ordering::Release);
        self.shared.sync_times.add(began.elapsed());
        self.shared.waker.wake();
    }

    fn sync_file(&self) {
        if let Err(error) = self.file.sync_data() {
            fail(&self.folder, &error);
        }
    }

    fn sync_folder(&self) {
        if let Err(error) = File::open(&self.folder).and_then(|folder| folder.sync_all()) {
            fail(&self.folder, &error);
        }
    }

    fn wants_to_prepare(&self) -> bool {
        self.shared.prepared.is_empty() && self.retry.is_none_or(|at| Instant::now() >= at)
    }

    /// Fills a piece of the next segment.
    fn prepare(&mut self) {
        match self.fill() {
            Ok(()) => {
                self.retry = None;
                self.shared.is_low.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                if !self.shared.is_low.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "no room for another journal segment: new requests are refused");
                }
                self.preparing = None;
                self.retry = Some(Instant::now() + FULL_WAIT);
            }
        }
    }

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
            let _ = self.shared.prepared.push(file);
        }
        Ok(())
    }
}

/// A new file that only its owner may read.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}
