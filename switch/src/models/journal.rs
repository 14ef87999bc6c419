//! A shard writes, the thread beside it waits for the disk: `journal/durability.rs`.

use std::future::poll_fn;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use loom::sync::atomic::AtomicU64;
use loom::thread;

use super::durability::{Disk, Durability, Keeper, mark};
use super::sync::{Mistake, block_on, has};
use super::{Level, in_every_order};

/// A segment: up to which position it was written, and up to which the disk has it. Nothing but the hand-over makes one
/// thread see what another put here.
struct File {
    written: AtomicU64,
    synced: AtomicU64,
}

impl File {
    fn new() -> Arc<Self> {
        Arc::new(Self { written: AtomicU64::new(0), synced: AtomicU64::new(0) })
    }
}

struct Files;

impl Disk<File> for Files {
    fn sync(&mut self, file: &File) {
        if !has(Mistake::NotSynced) {
            file.synced.store(file.written.load(Relaxed), Relaxed);
        }
    }

    fn sync_names(&mut self) {}

    fn synced(&mut self, _: Duration) {}

    fn prepare(&mut self) -> bool {
        false
    }
}

/// A shard with a batch to write in each of these segments; position and offset are the batch's number.
#[derive(Clone)]
struct Shard {
    batches: &'static [u64],
    files: [Arc<File>; 2],
    shared: Arc<Durability<File>>,
    written: usize,
}

impl Shard {
    fn new(batches: &'static [u64]) -> Self {
        Self { batches, files: [File::new(), File::new()], shared: Durability::new(0), written: 0 }
    }

    /// With the thread beside it. That is not dropped where a model fails: a second failure in there would hide the first.
    fn start(batches: &'static [u64]) -> (Self, ManuallyDrop<Keeper<File>>) {
        let shard = Self::new(batches);
        let first = (1, shard.files[0].clone());
        let keeper = Keeper::start(shard.shared.clone(), first, Files, Duration::ZERO);
        (shard, ManuallyDrop::new(keeper.expect("a thread")))
    }

    /// The next batch, as `journal::writer` writes it: the segment told, the bytes written, then their end told.
    fn write(&mut self) {
        let segment = self.batches[self.written];
        let is_new = self.written > 0 && self.batches[self.written - 1] != segment;
        self.written += 1;
        let (position, file) = (self.written as u64, &self.files[segment as usize - 1]);
        let open = || assert!(self.shared.open(segment, file.clone()).is_ok(), "there is room for two");
        if is_new && !has(Mistake::OpenedLate) {
            open();
        }
        file.written.store(position, Relaxed);
        self.shared.wrote(position, mark(segment, position));
        if is_new && has(Mistake::OpenedLate) {
            open();
        }
    }

    /// One turn, as `serve::turns` makes it: it says that it waits, writes, and looks how far the disk is.
    fn turn(&mut self, keeper: &Keeper<File>, context: &Context<'_>) -> Poll<()> {
        if !has(Mistake::RegisteredLate) {
            self.shared.waker.register(context.waker());
        }
        if self.written < self.batches.len() {
            self.write();
            keeper.wake();
            context.waker().wake_by_ref();
        }
        let durable = self.shared.durable();
        self.insist_on(|at, _| at < durable);
        if has(Mistake::RegisteredLate) {
            self.shared.waker.register(context.waker());
        }
        if durable == self.batches.len() as u64 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The disk has each of these batches.
    fn insist_on(&self, is_told: impl Fn(u64, u64) -> bool) {
        for (at, segment) in (0..).zip(self.batches).filter(|(at, segment)| is_told(*at, **segment)) {
            let synced = self.files[*segment as usize - 1].synced.load(Relaxed);
            assert!(synced > at, "told durable before it is: batch {at}");
        }
    }

    /// One look of a thread that reads behind the shard, as `journal::archive` and `journal::index` do.
    fn follow(&self, level: Level) {
        let (segment, offset) = self.shared.followable(level);
        if level == Level::Sync {
            self.insist_on(|at, of| of < segment || of == segment && at < offset);
        } else if let Some(file) = (segment as usize).checked_sub(1).and_then(|at| self.files.get(at)) {
            assert!(file.written.load(Relaxed) >= offset, "told written before it is");
        }
    }
}

/// A shard writes these batches, waits until all are durable, and stops.
fn nothing_is_told_early_and_nobody_sleeps_on(batches: &'static [u64], mistake: Mistake) {
    in_every_order(mistake, move || {
        let (mut shard, keeper) = Shard::start(batches);
        block_on(poll_fn(|context| shard.turn(&keeper, context)));
        drop(ManuallyDrop::into_inner(keeper));
    });
}

/// A shard stops with these batches under way.
fn nothing_is_lost_at_the_stop(batches: &'static [u64], mistake: Mistake) {
    in_every_order(mistake, move || {
        let (mut shard, keeper) = Shard::start(batches);
        for _ in batches {
            shard.write();
            keeper.wake();
        }
        drop(ManuallyDrop::into_inner(keeper));
        assert_eq!(shard.shared.durable(), batches.len() as u64, "a batch was left at the stop");
        shard.insist_on(|_, _| true);
    });
}

/// These batches are written, and somebody reads behind them what is durable.
fn what_is_durable_may_be_followed(batches: &'static [u64], mistake: Mistake) {
    in_every_order(mistake, move || {
        let (mut shard, keeper) = Shard::start(batches);
        batches.iter().for_each(|_| shard.write());
        keeper.wake();
        shard.follow(Level::Sync);
        drop(ManuallyDrop::into_inner(keeper));
    });
}

/// These batches are written, and somebody else reads behind them what is written.
fn what_is_written_may_be_followed(batches: &'static [u64], mistake: Mistake) {
    in_every_order(mistake, move || {
        let mut shard = Shard::new(batches);
        let reader = shard.clone();
        let reader = thread::spawn(move || reader.follow(Level::Written));
        batches.iter().for_each(|_| shard.write());
        reader.join().expect("it looked");
    });
}

#[test]
fn a_batch_is_told_durable_when_it_is_and_its_shard_is_woken() {
    nothing_is_told_early_and_nobody_sleeps_on(&[1, 1], Mistake::None);
}

#[test]
fn a_batch_in_the_next_segment_is_told_durable_when_it_is() {
    nothing_is_told_early_and_nobody_sleeps_on(&[1, 2], Mistake::None);
}

#[test]
fn a_stop_waits_for_the_batches_under_way() {
    nothing_is_lost_at_the_stop(&[1, 1], Mistake::None);
    nothing_is_lost_at_the_stop(&[1, 2], Mistake::None);
}

#[test]
fn who_reads_behind_the_shard_reads_what_is_there() {
    what_is_durable_may_be_followed(&[1, 2], Mistake::None);
    what_is_written_may_be_followed(&[1, 2], Mistake::None);
}

/// The models must find what is planted before their silence counts.
mod planted {
    use super::*;

    #[test]
    #[should_panic(expected = "told durable before it is")]
    fn positions_told_without_what_they_stand_for_are_found() {
        nothing_is_told_early_and_nobody_sleeps_on(&[1, 1], Mistake::Relaxed);
    }

    #[test]
    #[should_panic(expected = "told durable before it is")]
    fn a_batch_that_was_not_synced_is_found() {
        nothing_is_told_early_and_nobody_sleeps_on(&[1, 1], Mistake::NotSynced);
    }

    #[test]
    #[should_panic(expected = "told durable before it is")]
    fn a_segment_told_after_its_mark_is_found() {
        nothing_is_told_early_and_nobody_sleeps_on(&[1, 2], Mistake::OpenedLate);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_shard_that_is_not_woken_is_found() {
        nothing_is_told_early_and_nobody_sleeps_on(&[1], Mistake::NotWoken);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_shard_that_says_too_late_that_it_waits_is_found() {
        nothing_is_told_early_and_nobody_sleeps_on(&[1], Mistake::RegisteredLate);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_thread_that_is_not_woken_is_found() {
        nothing_is_told_early_and_nobody_sleeps_on(&[1], Mistake::NotUnparked);
    }

    #[test]
    #[should_panic(expected = "told durable before it is")]
    fn a_reader_that_is_told_durable_too_early_is_found() {
        what_is_durable_may_be_followed(&[1, 2], Mistake::Relaxed);
    }

    #[test]
    #[should_panic(expected = "told written before it is")]
    fn a_reader_that_is_told_written_too_early_is_found() {
        what_is_written_may_be_followed(&[1, 2], Mistake::Relaxed);
    }
}
