//! What a shard may perform: everything between a decision and the world goes through here, so that a
//! simulated world can stand in its place.

use alloc::vec::Vec;

use crate::Effect;
use crate::cards::Refused;
use crate::event::{Event, Now};
use crate::fact::Fact;
use crate::provision::{Asker, Told};

/// How many facts were ever appended to the journal: the place of the last one.
pub type Position = u64;

/// The world as a shard sees it.
pub trait Ports {
    /// The time at the beginning of a turn.
    fn now(&mut self) -> Now;

    /// Moves what has happened since the last turn into `events`.
    fn take(&mut self, events: &mut Vec<Event>);

    /// Does what an effect asks for.
    fn perform(&mut self, effect: Effect);

    /// Puts the questions of a turn to the token, all at once.
    fn submit(&mut self);

    /// Tells those who asked or changed something.
    fn tell(&mut self, asker: Asker, told: Result<Told, Refused>);

    /// Appends the facts of a turn to the journal and says where it ends now.
    fn append(&mut self, facts: &[Fact]) -> Position;

    /// Up to where the journal is durable.
    fn durable_up_to(&self) -> Position;
}
