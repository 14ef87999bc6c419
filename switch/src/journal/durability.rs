//! The hand-over between a shard and the thread beside it that waits for the disk: what is written, what is durable,
//! who wakes whom. `models` runs these lines with every order in which the two can meet.
//!
//! One sync carries everything that was written before it began, so a slow disk makes larger groups and no longer
//! queues. Not here: files and what they hold (`keeper`, `writer`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Level;
use super::sync::thread::{self, JoinHandle, Thread};
use super::sync::{ArrayQueue, AtomicBool, AtomicU64, AtomicWaker};

/// Bits of a mark that hold the offset; the segment's number is above them.
const OFFSET_BITS: u32 = 40;
/// Segments the shard may be ahead of the disk.
const OPENED_MAX: usize = 8;

/// What shard and keeper tell each other; `F` is a segment's file.
pub(crate) struct Durability<F> {
    /// Position up to which the shard has written.
    written: AtomicU64,
    /// Segment and offset up to which it has written.
    written_mark: AtomicU64,
    /// Position up to which the disk has it.
    durable: AtomicU64,
    durable_mark: AtomicU64,
    /// Woken when the disk has more.
    pub(crate) waker: AtomicWaker,
    stop: AtomicBool,
    /// Segments that the shard went on to.
    opened: ArrayQueue<(u64, Arc<F>)>,
}

/// Segment and offset in one number.
pub(super) fn mark(segment: u64, offset: u64) -> u64 {
    segment << OFFSET_BITS | offset
}

impl<F> Durability<F> {
    /// Nothing was written yet behind this position.
    pub(super) fn new(position: u64) -> Arc<Self> {
        Arc::new(Self {
            written: AtomicU64::new(position),
            written_mark: AtomicU64::new(0),
            durable: AtomicU64::new(position),
            durable_mark: AtomicU64::new(0),
            waker: AtomicWaker::new(),
            stop: AtomicBool::new(false),
            opened: ArrayQueue::new(OPENED_MAX),
        })
    }

    /// The shard goes on to this segment, before it writes there. Refused when the disk is several behind.
    pub(super) fn open(&self, number: u64, file: Arc<F>) -> Result<(), (u64, Arc<F>)> {
        self.opened.push((number, file))
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

    /// Up to which position effects may be seen.
    pub(super) fn seen(&self, level: Level) -> u64 {
        match level {
            Level::Sync => self.durable(),
            Level::Written => self.written.load(Ordering::Acquire),
        }
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

/// What the keeper does to files. It does not return from what the disk refuses.
pub(super) trait Disk<F> {
    /// Everything written to a file before this began is on the disk when it returns.
    fn sync(&mut self, file: &F);

    /// The same for the names of the segments.
    fn sync_names(&mut self);

    /// Everything that was asked for is durable, after so long.
    fn synced(&mut self, took: Duration);

    /// Does something towards the next segment, if there is something to do.
    fn prepare(&mut self) -> bool;
}

/// The running thread.
pub(super) struct Keeper<F> {
    pub(super) shared: Arc<Durability<F>>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

impl<F: Send + Sync + 'static> Keeper<F> {
    /// Starts it over an open segment. It looks at least so often.
    pub(super) fn start(
        shared: Arc<Durability<F>>,
        (number, file): (u64, Arc<F>),
        disk: impl Disk<F> + Send + 'static,
        idle: Duration,
    ) -> std::io::Result<Self> {
        let work = Work { shared: shared.clone(), number, file, disk };
        let handle = thread::Builder::new().name("journal".to_owned()).spawn(move || work.run(idle))?;
        Ok(Self { shared, thread: handle.thread().clone(), handle: Some(handle) })
    }
}

impl<F> Keeper<F> {
    /// There is something to sync, and somebody waits for it.
    pub(super) fn wake(&self) {
        self.thread.unpark();
    }
}

/// What was written is durable before this returns.
impl<F> Drop for Keeper<F> {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.unpark();
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}

struct Work<F, D> {
    shared: Arc<Durability<F>>,
    number: u64,
    file: Arc<F>,
    disk: D,
}

impl<F, D: Disk<F>> Work<F, D> {
    fn run(mut self, idle: Duration) {
        loop {
            // Looked at first: what was written before the stop is seen behind it.
            let is_last = self.shared.stop.load(Ordering::Acquire);
            let written = self.shared.written.load(Ordering::Acquire);
            if written > self.shared.durable() || self.has_unsynced_marks() {
                self.sync(written);
            } else if is_last {
                return;
            } else if !self.disk.prepare() {
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
        self.disk.sync(&self.file);
        while self.number < mark >> OFFSET_BITS {
            // The shard has put it there before it wrote the mark.
            let Some((number, file)) = self.shared.opened.pop() else { break };
            (self.number, self.file) = (number, file);
            self.disk.sync(&self.file);
            self.disk.sync_names();
        }
        self.shared.durable_mark.store(mark, Ordering::Release);
        self.shared.durable.store(written, Ordering::Release);
        self.disk.synced(began.elapsed());
        self.shared.waker.wake();
    }
}
