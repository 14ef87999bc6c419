//! What two threads share on the path of a payment, run by loom in every order the two can meet in, reads of stale
//! values included: the very files the switch is made of, over the stand-ins of `sync`. A wait that nobody ends is a
//! deadlock to it, and fails.
//!
//! | file | what |
//! | --- | --- |
//! | `sync` | stand-ins that promise no more than what they stand for, and mistakes that can be put into them |
//! | `hops` | from shard to shard: nothing lost, doubled or overtaken, nobody left asleep |
//! | `journal` | from shard to disk and back: nothing told durable before it is, nobody left asleep, nothing lost at the stop |
//!
//! Each property has its mistakes, and each of them must be found. Not here: the queue and the waker themselves, which
//! are crossbeam's and atomic-waker's.

mod hops;
mod journal;
mod sync;

#[allow(dead_code, clippy::duplicate_mod, reason = "the switch's own lines, over other atomics")]
#[path = "../journal/durability.rs"]
mod durability;
#[allow(dead_code, clippy::duplicate_mod, reason = "the switch's own lines, over another queue")]
#[path = "../hop/mailbox.rs"]
mod mailbox;

use crate::journal::Level;

use sync::Mistake;

/// How often a thread may be stopped where it need not be, in one order. Mistakes of this kind show with two.
const PREEMPTIONS_MAX: usize = 2;

/// Runs a model in every order, with a mistake in it or none.
fn in_every_order(mistake: Mistake, model: impl Fn() + Send + Sync + 'static) {
    sync::make(mistake);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(model);
}
