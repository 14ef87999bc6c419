//! What issuers refuse for good is set aside; an operator looks at it here, and lets it go out again.

use alloc::vec::Vec;

use codecs::value::Stan;

use crate::Authorizer;
use crate::cards::Refused;
use crate::effect::Effects;
use crate::event::{IssuerId, Now};
use crate::fact::Fact;
use crate::planted::Planted;
use crate::provision::{Asker, Told};
use crate::saf::Stored;

/// How many one shard tells of at a time, the oldest numbers first.
pub const LISTED_MAX: usize = 1_000;

/// What an operator asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who is told.
    pub asker: Asker,
    /// What is to be done.
    pub order: Order,
}

/// What is to be done with what was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is listed.
    List,
    /// It goes out again.
    Release {
        /// To which issuer.
        issuer: IssuerId,
        /// Under which of our trace numbers.
        stan: Stan,
    },
}

/// A message that was set aside.
#[derive(Clone, Debug, PartialEq)]
pub struct SetAside {
    /// What was to be told.
    pub message: Stored,
    /// When it came into being, monotonic microseconds.
    pub since_us: u64,
    /// How often this process has sent it.
    pub attempts: u32,
}

impl Authorizer {
    /// Does what an operator asks, and tells.
    pub(crate) fn operated(&mut self, operation: Operation, now: Now, out: &mut Effects) {
        let told = match operation.order {
            Order::List => Ok(Told::Parked(self.set_aside())),
            Order::Release { issuer, stan } => match self.release(issuer, stan, now, out) {
                true => Ok(Told::Released),
                false => Err(Refused::Unknown),
            },
        };
        out.told.push((operation.asker, told));
    }

    fn set_aside(&self) -> Vec<SetAside> {
        self.saf.iter().flat_map(|saf| saf.parked()).take(LISTED_MAX).collect()
    }

    /// Lets a message go out again. Says whether there was such a one.
    fn release(&mut self, issuer: IssuerId, stan: Stan, now: Now, out: &mut Effects) -> bool {
        let is_first = self.has_planted(Planted::ReleasedAsFirst);
        let saf = self.saf.get_mut(issuer.index());
        let is_parked = saf.is_some_and(|saf| saf.release(stan, is_first, now.monotonic_us));
        if is_parked {
            out.facts.push(Fact::ReversalReleased { issuer, stan });
            self.deliver(issuer, now, out);
        }
        is_parked
    }
}
