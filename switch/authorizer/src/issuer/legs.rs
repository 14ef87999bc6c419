//! Our own trace numbers at one issuer, and the legs that were sent under them: those that wait for an answer, and those
//! that ended and may still be answered late.
//!
//! Not here: what an issuer was asked, which stands with the request.

use alloc::vec;
use alloc::vec::Vec;

use codecs::value::Stan;

use crate::event::ShardId;
use crate::limits::{LEGS_MAX, LEGS_MIN, LEGS_PER_WINDOW, STAN_SEARCH_MAX};
use crate::near::near;
use crate::request::Identity;
use crate::transaction::TransactionId;

/// The largest trace number of six digits.
const STAN_MAX: u32 = 999_999;

/// What became of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegState {
    /// The issuer is asked.
    Pending(TransactionId),
    /// It answered; a second answer is one to nothing.
    Answered,
    /// It declined, in time or late, or approved what nothing could be said of. An approval that comes behind that is still
    /// undone, anything else is an answer to nothing. The request's place in the memory of identities.
    Declined(u32),
    /// It did not answer in time, or the request was undone; an answer that comes now is late. The request's place in
    /// the memory of identities.
    TimedOut(u32),
}

/// One leg.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LegEntry {
    pub(super) stan: u32,
    pub(super) link: u16,
    pub(crate) state: LegState,
    pub(crate) of: Of,
}

/// A quarter of a million of them are in no cache.
const _: () = assert!(size_of::<Option<LegEntry>>() == 20);

/// Tells the requests apart that had the same trace number or the same place in memory one after the other: the first bits
/// of an identity, which is a keyed hash. Requests that are forgotten are found by them in the index, which is in the order
/// of identities. All that their answers must carry stands with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Of(pub(crate) u32);

impl Of {
    pub(crate) fn the(identity: Identity) -> Self {
        let [a, b, c, d, ..] = identity.0.to_be_bytes();
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

/// The legs of one issuer and shard: a ring that is indexed by the trace number itself.
#[derive(Debug)]
pub(super) struct Legs {
    ring: Vec<Option<LegEntry>>,
    mask: u32,
    /// How many trace numbers this shard has.
    count: u32,
    next: u32,
    shard: u32,
    pub(super) shards: u32,
}

impl Legs {
    pub(super) fn new(in_flight_max: u32, shard: ShardId, shards: u16) -> Self {
        let room = in_flight_max.saturating_mul(LEGS_PER_WINDOW).clamp(LEGS_MIN, LEGS_MAX);
        let room = room.checked_next_power_of_two().unwrap_or(LEGS_MAX);
        let shards = u32::from(shards.max(1));
        let shard = u32::from(shard.0);
        let count = STAN_MAX.saturating_sub(shard).checked_div(shards).unwrap_or(1).max(1);
        Self {
            ring: vec![None; usize::try_from(room).unwrap_or(0)],
            mask: room.saturating_sub(1),
            count,
            next: 0,
            shard,
            shards,
        }
    }

    pub(super) fn open(&mut self, link: u16, transaction: TransactionId, identity: Identity) -> Option<Stan> {
        for _ in 0..STAN_SEARCH_MAX {
            let (number, stan) = self.next_number();
            let place = self.place(number)?;
            if place.is_none_or(|leg| !matches!(leg.state, LegState::Pending(_))) {
                let of = Of::the(identity);
                *place = Some(LegEntry { stan, link, state: LegState::Pending(transaction), of });
                return Stan::new(stan);
            }
        }
        None
    }

    /// A number that stands in no place of the ring.
    pub(super) fn take(&mut self) -> Option<Stan> {
        for _ in 0..STAN_SEARCH_MAX {
            let (number, stan) = self.next_number();
            let place = self.place(number)?;
            if place.is_none_or(|leg| !matches!(leg.state, LegState::Pending(_))) {
                return Stan::new(stan);
            }
        }
        None
    }

    fn next_number(&mut self) -> (u32, u32) {
        let number = self.next;
        self.next = if number.saturating_add(1) >= self.count { 0 } else { number.saturating_add(1) };
        (number, self.stan(number))
    }

    /// The trace number at a place among this shard's.
    fn stan(&self, number: u32) -> u32 {
        number.saturating_mul(self.shards).saturating_add(self.shard).saturating_add(1)
    }

    /// The place of one of this shard's trace numbers among them.
    fn number(&self, stan: Stan) -> Option<u32> {
        let number = stan.number().checked_sub(1)?.checked_sub(self.shard)?;
        if number.checked_rem(self.shards)? != 0 {
            return None;
        }
        number.checked_div(self.shards)
    }

    pub(super) fn past(&mut self, stan: Stan) {
        if let Some(number) = self.number(stan) {
            self.next = if number.saturating_add(1) >= self.count { 0 } else { number.saturating_add(1) };
        }
    }

    pub(super) fn restore(&mut self, stan: Stan, leg: LegEntry) {
        if let Some(place) = self.number(stan).and_then(|number| self.place(number)) {
            *place = Some(leg);
        }
    }

    /// The newest number that was taken; `None` where the next one is the first.
    pub(super) fn newest(&self) -> Option<Stan> {
        Stan::new(self.stan(self.next.checked_sub(1)?))
    }

    /// The leg with this number will be looked at soon.
    pub(super) fn expect(&self, stan: Stan) {
        self.slot(stan).into_iter().for_each(near);
    }

    /// The leg with this number, if its place was not given to another.
    pub(super) fn get(&self, stan: Stan) -> Option<&LegEntry> {
        self.slot(stan)?.as_ref().filter(|leg| leg.stan == stan.number())
    }

    pub(super) fn get_mut(&mut self, stan: Stan) -> Option<&mut LegEntry> {
        let number = self.number(stan)?;
        self.place(number)?.as_mut().filter(|leg| leg.stan == stan.number())
    }

    /// The transactions that wait for an answer on a link.
    pub(super) fn pending_on(&self, link: u16) -> impl Iterator<Item = TransactionId> + '_ {
        self.ring.iter().flatten().filter(move |leg| leg.link == link).filter_map(|leg| match leg.state {
            LegState::Pending(id) => Some(id),
            LegState::Answered | LegState::Declined(_) | LegState::TimedOut(_) => None,
        })
    }

    fn slot(&self, stan: Stan) -> Option<&Option<LegEntry>> {
        self.ring.get(usize::try_from(self.number(stan)? & self.mask).ok()?)
    }

    fn place(&mut self, number: u32) -> Option<&mut Option<LegEntry>> {
        self.ring.get_mut(usize::try_from(number & self.mask).ok()?)
    }
}
