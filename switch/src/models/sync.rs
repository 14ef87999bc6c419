//! Stand-ins for what `crate::sync` names, seen through by loom.

use std::cell::Cell as Plain;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};

use loom::cell::Cell;
use loom::sync::atomic::{self, AtomicUsize};
use loom::sync::{Condvar, Mutex};

pub(super) use loom::sync::atomic::AtomicBool;

/// What is left out on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    None,
    /// Whoever finds nothing does not say that it waits.
    NotRegistered,
    /// Whoever said that it waits does not look again.
    NotLookedAgain,
    /// Whoever looked says only then that it waits.
    RegisteredLate,
    /// Whoever has something wakes nobody.
    NotWoken,
    /// The shard does not wake the thread of the journal.
    NotUnparked,
    /// What finds no room is gone.
    Dropped,
    /// What found no room is overtaken by what comes after it.
    Overtaken,
    /// Positions are told without what they stand for.
    Relaxed,
    /// A segment is left before the disk has all of it.
    NotSynced,
    /// The mark is in a segment before the segment is told.
    OpenedLate,
}

thread_local! {
    // Loom runs all threads of a model on the one of its test.
    static MISTAKE: Plain<Mistake> = const { Plain::new(Mistake::None) };
    static LOOKS_AGAIN: Plain<bool> = const { Plain::new(false) };
}

/// From here on this mistake is made.
pub(super) fn make(mistake: Mistake) {
    MISTAKE.set(mistake);
}

/// Whether this mistake is made.
pub(super) fn has(mistake: Mistake) -> bool {
    MISTAKE.get() == mistake
}

/// A position or a mark.
pub(super) struct AtomicU64(atomic::AtomicU64);

impl AtomicU64 {
    pub(super) fn new(value: u64) -> Self {
        Self(atomic::AtomicU64::new(value))
    }

    pub(super) fn load(&self, order: Ordering) -> u64 {
        self.0.load(weakened(order))
    }

    pub(super) fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, weakened(order));
    }
}

fn weakened(order: Ordering) -> Ordering {
    if has(Mistake::Relaxed) { Ordering::Relaxed } else { order }
}

/// A waker that another thread may wake.
pub(super) struct AtomicWaker(loom::future::AtomicWaker);

impl AtomicWaker {
    pub(super) fn new() -> Self {
        Self(loom::future::AtomicWaker::new())
    }

    pub(super) fn register(&self, waker: &Waker) {
        LOOKS_AGAIN.set(true);
        if !has(Mistake::NotRegistered) {
            self.0.register_by_ref(waker);
        }
    }

    pub(super) fn wake(&self) {
        if !has(Mistake::NotWoken) {
            self.0.wake();
        }
    }
}

/// A bounded queue from many threads to one. It promises less than crossbeam's: it may seem empty or full to a thread
/// that has not heard otherwise.
pub(super) struct ArrayQueue<T> {
    slots: Vec<Slot<T>>,
    /// Where the one that takes is.
    head: Plain<usize>,
    /// Where the next one that puts will be.
    tail: AtomicUsize,
}

struct Slot<T> {
    /// Free for the n-th: n. Taken by it: n + 1.
    stamp: AtomicUsize,
    value: Cell<Option<T>>,
}

impl<T> ArrayQueue<T> {
    pub(super) fn new(places: usize) -> Self {
        let slot = |n| Slot { stamp: AtomicUsize::new(n), value: Cell::new(None) };
        // Twice as many numbers as places, so that with one place "taken" is not "free for the next".
        Self {
            slots: (0..places).map(|n| slot(2 * n)).collect(),
            head: Plain::new(0),
            tail: AtomicUsize::new(0),
        }
    }

    pub(super) fn push(&self, value: T) -> Result<(), T> {
        let mut tail = self.tail.load(Ordering::Relaxed);
        loop {
            let slot = &self.slots[tail % self.slots.len()];
            if slot.stamp.load(Ordering::Acquire) != 2 * tail {
                if has(Mistake::Dropped) {
                    return Ok(());
                }
                return Err(value);
            }
            match self.tail.compare_exchange(tail, tail + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    slot.value.set(Some(value));
                    slot.stamp.store(2 * tail + 1, Ordering::Release);
                    return Ok(());
                }
                Err(now) => tail = now,
            }
        }
    }

    pub(super) fn pop(&self) -> Option<T> {
        if LOOKS_AGAIN.take() && has(Mistake::NotLookedAgain) {
            return None;
        }
        let head = self.head.get();
        let slot = &self.slots[head % self.slots.len()];
        if slot.stamp.load(Ordering::Acquire) != 2 * head + 1 {
            return None;
        }
        let value = slot.value.take();
        self.head.set(head + 1);
        slot.stamp.store(2 * (head + self.slots.len()), Ordering::Release);
        value
    }

    pub(super) fn len(&self) -> usize {
        self.tail.load(Ordering::Relaxed) - self.head.get()
    }
}

/// What somebody sleeps for. Whoever wakes it before it sleeps has woken it all the same.
pub(super) struct Token {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Token {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { is_set: Mutex::new(false), changed: Condvar::new() })
    }

    pub(super) fn set(&self) {
        *self.is_set.lock().expect("nobody panics") = true;
        self.changed.notify_one();
    }

    /// Without an end, so that a wake-up that is lost is found.
    pub(super) fn wait(&self) {
        let mut is_set = self.is_set.lock().expect("nobody panics");
        while !*is_set {
            is_set = self.changed.wait(is_set).expect("nobody panics");
        }
        *is_set = false;
    }
}

impl Wake for Token {
    fn wake(self: Arc<Self>) {
        self.set();
    }
}

/// Runs a task, which sleeps whenever it has nothing to do.
pub(super) fn block_on<T>(task: impl Future<Output = T>) -> T {
    let (mut task, token) = (pin!(task), Token::new());
    let waker = Waker::from(token.clone());
    loop {
        match task.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => token.wait(),
        }
    }
}

/// Threads that sleep until they are woken.
pub(super) mod thread {
    use std::cell::RefCell;
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use loom::thread;

    use super::{Mistake, Token, has};

    loom::thread_local! {
        static TOKEN: RefCell<Option<Arc<Token>>> = RefCell::new(None);
    }

    #[derive(Clone)]
    pub(in super::super) struct Thread(Arc<Token>);

    impl Thread {
        pub(in super::super) fn unpark(&self) {
            if !has(Mistake::NotUnparked) {
                self.0.set();
            }
        }
    }

    /// For ever, if nobody wakes it.
    pub(in super::super) fn park_timeout(_: Duration) {
        let token = TOKEN.with(|token| token.borrow().clone());
        token.expect("a thread that was built").wait();
    }

    pub(in super::super) struct JoinHandle<T> {
        thread: Thread,
        handle: thread::JoinHandle<T>,
    }

    impl<T> JoinHandle<T> {
        pub(in super::super) fn thread(&self) -> &Thread {
            &self.thread
        }

        pub(in super::super) fn join(self) -> std::thread::Result<T> {
            self.handle.join()
        }
    }

    pub(in super::super) struct Builder;

    impl Builder {
        pub(in super::super) fn new() -> Self {
            Self
        }

        pub(in super::super) fn name(self, _: String) -> Self {
            self
        }

        pub(in super::super) fn spawn<T: 'static>(
            self,
            work: impl FnOnce() -> T + 'static,
        ) -> io::Result<JoinHandle<T>> {
            let token = Token::new();
            let own = token.clone();
            let handle = thread::spawn(move || {
                TOKEN.with(|token| *token.borrow_mut() = Some(own));
                work()
            });
            Ok(JoinHandle { thread: Thread(token), handle })
        }
    }
}
