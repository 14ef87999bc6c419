//! The token in processes of its own: what hangs, crashes or lies in a vendor's module costs the questions that were
//! put to it, and nothing else.
//!
//! ```text
//! switch  main thread   supervisor ------- control socket -------- launcher    holds the PIN, starts and ends workers
//!            |              | a worker's socket is handed to a shard   |
//!         shards           crew ---------- one stream each ---------- worker     the module, the keys
//! ```
//!
//! * [`launcher`] is a process that exists before the threads of the switch; it alone reads the PIN. It starts workers,
//!   each the same binary executed again, and passes the switch the other end of their stream.
//! * [`supervisor`] keeps every seat of every shard filled and one worker warm beside them.
//! * [`crew`] is a shard's end: questions of a turn in one write, answers as events, a deadline, a bound and a breaker
//!   for each worker. It has no lock and waits for nothing.
//! * `unwrap` is a process for a moment at the start, which has the token unwrap the journal's keys.
//! * [`control`] is what supervisor and launcher say to each other; what crew and worker say is [`hsm::wire`].
//!
//! A worker serves one shard and, where a shard has several, the cards that a keyed hash gives it, so that what it keeps
//! of cards is kept once. No process survives the one that started it.

mod board;
mod breaker;
mod control;
mod crew;
mod launcher;
mod listen;
mod supervisor;
mod unwrap;

pub(crate) use board::told;
pub(crate) use crew::{Crew, Figures};
pub(crate) use launcher::{Launcher, NotReady, Started};
pub(crate) use listen::listen;
pub(crate) use supervisor::{News, Supervisor};
pub(crate) use unwrap::unwrap;

pub use launcher::{launch, work};
pub use unwrap::answer_unwrap;

/// A place for a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seat {
    /// Of which shard.
    pub(crate) shard: u16,
    /// Which of that shard's.
    pub(crate) place: u16,
}
