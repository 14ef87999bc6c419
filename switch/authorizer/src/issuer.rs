//! An issuer as one shard sees it: its links, our own trace numbers, the legs that wait for an answer, and
//! those that ended and may still be answered late.
//!
//! The trace numbers of one issuer are dealt out over the shards (shard s of n uses s+1, s+1+n, ...), so the
//! number on an answer says whose leg it is and no two shards share a table. A number is reused only after
//! all others were: 999,999 legs later with one shard.
//!
//! Not here: what becomes of an answer to a leg that has ended (`late`).

use alloc::vec;
use alloc::vec::Vec;

use codecs::value::{Currency, Stan};

use crate::Authorizer;
use crate::counters::add_one;
use crate::decision::{DeclineReason, Outcome, Verdict};
use crate::effect::{Effect, Effects};
use crate::event::{AcquirerId, IssuerLink, Leg, LinkChange, Now, ShardId, Unsent};
use crate::limits::STORED_IN_FLIGHT;
use crate::planted::{Planted, is_planted};
use crate::request::{Answer, Identity, same_if_both};
use crate::tables::{Issuer, Tables};
use crate::transaction::{Sent, Transaction, TransactionId};

mod legs;

pub use self::legs::LegState;
use self::legs::Legs;
pub(crate) use self::legs::{LegEntry, Of};

/// One issuer's links and legs.
#[derive(Debug)]
pub struct IssuerState {
    links: Vec<LinkState>,
    /// Requests this shard may have in flight on one link.
    window: u32,
    /// Requests by [`AcquirerId`]; empty where there is one acquirer, who shares with nobody.
    of_acquirers: Vec<u32>,
    legs: Legs,
}

#[derive(Clone, Copy, Debug)]
struct LinkState {
    change: LinkChange,
    in_flight: u32,
}

impl IssuerState {
    /// No link is up yet.
    #[must_use]
    pub fn new(issuer: &Issuer, acquirers: usize, shard: ShardId, shards: u16) -> Self {
        let window = issuer.window.checked_div(u32::from(shards.max(1))).unwrap_or(1).max(1);
        let in_flight_max = window.saturating_mul(u32::from(issuer.links));
        Self {
            links: vec![LinkState { change: LinkChange::Lost, in_flight: 0 }; usize::from(issuer.links)],
            window,
            of_acquirers: if acquirers > 1 { vec![0; acquirers] } else { Vec::new() },
            legs: Legs::new(in_flight_max, shard, shards),
        }
    }

    /// Changes the window per link, over all shards. What is in flight above a smaller one may end.
    pub fn set_window(&mut self, window: u32) {
        self.window = window.checked_div(self.legs.shards).unwrap_or(1).max(1);
    }

    /// The link with the fewest requests in flight that may take one more of this acquirer.
    ///
    /// # Errors
    /// [`DeclineReason::IssuerDown`] when no link is up, [`DeclineReason::IssuerWindowFull`] when all that
    /// are carry as much as they may, or as much of this acquirer as it may have.
    pub fn least_loaded(&self, acquirer: AcquirerId) -> Result<u16, DeclineReason> {
        let mut best: Option<(u16, u32)> = None;
        let mut free = 0_u32;
        for (link, state) in (0_u16..).zip(&self.links).filter(|(_, state)| state.change == LinkChange::Up) {
            free = free.saturating_add(self.window.saturating_sub(state.in_flight));
            if best.is_none_or(|(_, least)| state.in_flight < least) {
                best = Some((link, state.in_flight));
            }
        }
        // One that asks for more than the issuer answers leaves room for the others: half where it is alone, a third where
        // there are two of its kind.
        let has_share = self.of_acquirers.get(acquirer.index()).is_none_or(|own| *own < free);
        match best {
            None => Err(DeclineReason::IssuerDown),
            Some((_, in_flight)) if in_flight >= self.window || !has_share => {
                Err(DeclineReason::IssuerWindowFull)
            }
            Some((link, _)) => Ok(link),
        }
    }

    /// A trace number for a leg that is about to be sent; `None` when too many numbers in a row are in use.
    pub fn open_leg(
        &mut self,
        link: u16,
        transaction: TransactionId,
        (acquirer, identity): (AcquirerId, Identity),
    ) -> Option<Stan> {
        let stan = self.legs.open(link, transaction, identity)?;
        self.count_in_flight(link, acquirer, |in_flight| in_flight.saturating_add(1));
        Some(stan)
    }

    /// Requests on all links.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.links.iter().map(|link| u64::from(link.in_flight)).sum()
    }

    /// Whether any link may carry something.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.links.iter().any(|link| link.change == LinkChange::Up)
    }

    /// How many stored messages may be under way at a time, beside the window of requests.
    #[must_use]
    pub fn stored_window(&self) -> usize {
        STORED_IN_FLIGHT
    }

    /// The link for a stored message: the one its original went over, or any that is up.
    #[must_use]
    pub fn link_for_stored(&self, preferred: u16) -> Option<u16> {
        let is_up = |link: &LinkState| link.change == LinkChange::Up;
        if self.links.get(usize::from(preferred)).is_some_and(is_up) {
            return Some(preferred);
        }
        (0_u16..).zip(&self.links).find(|(_, link)| is_up(link)).map(|(link, _)| link)
    }

    /// A trace number for something that is no leg.
    pub fn take_stan(&mut self) -> Option<Stan> {
        self.legs.take()
    }

    /// The newest of our own trace numbers; `None` where the next one is the first.
    #[must_use]
    pub fn newest_stan(&self) -> Option<Stan> {
        self.legs.newest()
    }

    /// How the leg of a request stands, where its number was not given to another.
    #[must_use]
    pub fn leg(&self, sent: &Sent) -> Option<LegState> {
        let leg = self.legs.get(sent.stan).filter(|leg| leg.of == Of::the(sent.asked.identity))?;
        Some(leg.state)
    }

    /// After a restart: a leg of an earlier process ended like this.
    pub fn restore_leg(&mut self, sent: &Sent, state: LegState) {
        self.legs.restore(
            sent.stan,
            LegEntry {
                stan: sent.stan.number(),
                link: sent.to.link,
                state,
                of: Of::the(sent.asked.identity),
            },
        );
    }

    /// After a restart: a leg of an earlier process was answered, where its number was not given to another.
    pub fn end_leg(&mut self, sent: &Sent) {
        if let Some(leg) = self.legs.get_mut(sent.stan).filter(|leg| leg.of == Of::the(sent.asked.identity)) {
            leg.state = LegState::Answered;
        }
    }

    /// After a restart: numbers go on behind this one.
    pub fn past_stan(&mut self, stan: Stan) {
        self.legs.past(stan);
    }

    /// The leg with this number, if its place was not given to another.
    pub(crate) fn leg_mut(&mut self, stan: Stan) -> Option<&mut LegEntry> {
        self.legs.get_mut(stan)
    }

    /// An answer with this trace number is decided soon.
    pub(crate) fn expect(&self, stan: Stan) {
        self.legs.expect(stan);
    }

    /// The running transaction whose leg this is.
    pub(crate) fn transaction(&self, stan: Stan) -> Option<TransactionId> {
        match self.legs.get(stan)?.state {
            LegState::Pending(id) => Some(id),
            LegState::Answered | LegState::Declined(_) | LegState::TimedOut(_) => None,
        }
    }

    /// Ends a leg; what comes for it afterwards is late.
    pub fn close_leg(&mut self, link: u16, stan: Stan, acquirer: AcquirerId, end: LegState) {
        if let Some(leg) = self.legs.get_mut(stan) {
            leg.state = end;
        }
        self.count_in_flight(link, acquirer, |in_flight| in_flight.saturating_sub(1));
    }

    fn count_in_flight(&mut self, link: u16, acquirer: AcquirerId, change: impl Fn(u32) -> u32) {
        if let Some(link) = self.links.get_mut(usize::from(link)) {
            link.in_flight = change(link.in_flight);
        }
        if let Some(of_acquirer) = self.of_acquirers.get_mut(acquirer.index()) {
            *of_acquirer = change(*of_acquirer);
        }
    }
}

/// The shard whose leg an issuer's trace number names, among `shards`.
#[must_use]
pub fn shard_of(stan: Stan, shards: u16) -> ShardId {
    let number = stan.number().saturating_sub(1).checked_rem(u32::from(shards.max(1))).unwrap_or(0);
    ShardId(u16::try_from(number).unwrap_or(0))
}

impl Authorizer {
    /// An issuer says something to one of our legs, or claims to.
    pub(crate) fn answered(&mut self, answer: &Answer, now: Now, out: &mut Effects) {
        if answer.class.is_reversal() || self.keeps(answer.class) {
            return self.delivery_answered(answer, now, out);
        }
        let Some((id, transaction)) = self.matched(answer) else { return self.late(answer, now, out) };
        // The deadline decides, even when answer and timer come out of one turn after a freeze.
        if now.monotonic_us > transaction.deadline_us {
            self.timed_out(id, now, out);
            return self.late(answer, now, out);
        }
        let fits = (fits_content(transaction, answer, &self.tables)
            && !self.tables.is_unheard_of(answer.response_code))
            || self.has_planted(Planted::ContentIgnored);
        let round_trip_us = now.monotonic_us.saturating_sub(transaction.forwarded_us);
        let memory = transaction.memory;
        self.counters.issuer(answer.link.issuer, |issuer| {
            add_one(&mut issuer.answered);
            issuer.round_trips.observe(round_trip_us);
            if !fits {
                add_one(&mut issuer.invalid);
            }
        });
        if fits {
            return self.conclude_answered((id, memory), answer, now, out);
        }
        // A valid one may follow.
        let end = LegState::TimedOut(memory);
        self.conclude_without_answer(id, DeclineReason::InvalidAnswer, end, now, out);
        out.visible.push(Effect::Release(answer.ticket));
    }

    /// The running transaction this answer belongs to: same issuer, trace number, class, and every key that
    /// both carry.
    fn matched(&self, answer: &Answer) -> Option<(TransactionId, &Transaction)> {
        let leg = self.issuers.get(answer.link.issuer.index())?.legs.get(answer.stan)?;
        let LegState::Pending(id) = leg.state else { return None };
        let transaction = self.transactions.get(id)?;
        let fits = (transaction.keys.fits(&answer.keys) && transaction.class == answer.class)
            || is_planted(&self.tables, Planted::MatchedByStanAlone);
        fits.then_some((id, transaction))
    }

    fn conclude_answered(
        &mut self,
        (id, memory): (TransactionId, u32),
        answer: &Answer,
        now: Now,
        out: &mut Effects,
    ) {
        let approved = self.tables.is_approval(answer.response_code);
        let end = if approved { LegState::Answered } else { LegState::Declined(memory) };
        let Some(transaction) = self.close(id, end) else { return };
        let verdict =
            if approved { Verdict::Approved } else { Verdict::Declined(DeclineReason::IssuerDeclined) };
        let outcome = Outcome {
            verdict,
            response_code: answer.response_code,
            // An approval code of something not approved would be a trap for whoever reads only DE 38.
            approval_code: if approved { answer.approval_code } else { None },
            approved_minor: answer
                .amount_minor
                .filter(|minor| approved && *minor != transaction.amount.minor()),
        };
        match self.live.deliverable(transaction.link, transaction.acquirer) {
            None if approved => self.undeliverable(&transaction, answer, now, out),
            _ => self.replied(&transaction, outcome, Some(answer.ticket), now, out),
        }
    }

    /// A link to an issuer came, was signed off, or went. What was on a lost link may have been sent, so it
    /// is answered at once and never sent again.
    pub(crate) fn issuer_link_changed(
        &mut self,
        link: IssuerLink,
        change: LinkChange,
        now: Now,
        out: &mut Effects,
    ) {
        let Some(issuer) = self.issuers.get_mut(link.issuer.index()) else { return };
        if let Some(state) = issuer.links.get_mut(usize::from(link.link)) {
            state.change = change;
        }
        let saf = self.saf.get_mut(link.issuer.index());
        match (change, saf) {
            (LinkChange::Up, Some(saf)) => saf.hurry(),
            (LinkChange::Lost, Some(saf)) => saf.lost(link.link, now.monotonic_us),
            _ => {}
        }
        if change == LinkChange::Lost {
            let lost: Vec<TransactionId> = issuer.legs.pending_on(link.link).collect();
            for id in lost {
                if self.has_planted(Planted::ResentAfterLoss) {
                    self.forward_again(id, now, out);
                    continue;
                }
                self.timed_out(id, now, out);
            }
        }
        self.deliver(link.issuer, now, out);
    }

    /// No byte of this leg was written, so nothing can have happened at the issuer: after a lost link another
    /// one, or an alternate, is asked. Without a code it would fare no better there: one token makes them all.
    pub(crate) fn unsent(&mut self, leg: Leg, why: Unsent, now: Now, out: &mut Effects) {
        if why == Unsent::NotEncodable && self.has_stored(leg.to.issuer, leg.stan) {
            return self.park(leg.to.issuer, leg.stan, out);
        }
        let Some(issuer) = self.issuers.get_mut(leg.to.issuer.index()) else { return };
        let Some(entry) = issuer.legs.get_mut(leg.stan) else { return };
        let LegState::Pending(id) = entry.state else { return };
        let Some(transaction) = self.transactions.get(id) else { return };
        issuer.close_leg(leg.to.link, leg.stan, transaction.acquirer, LegState::Answered);
        match why {
            Unsent::LinkLost => self.forward_again(id, now, out),
            Unsent::NotEncodable => self.conclude_unsent(id, DeclineReason::FormatError, now, out),
            Unsent::NoMac => self.conclude_unsent(id, DeclineReason::TokenUnavailable, now, out),
        }
    }
}

/// Whether an answer says something that can be said to the request: its own processing code, card and currency, and its
/// own amount, or a part of it where the answer is a partial approval, which must say how much and be to somebody who
/// takes parts.
fn fits_content(transaction: &Transaction, answer: &Answer, tables: &Tables) -> bool {
    let (asked, currency) = (transaction.amount.minor(), transaction.amount.currency());
    let fits_amount = match (answer.response_code.as_bytes(), answer.amount_minor) {
        (b"10" | b"002", minor) => {
            tables.takes_parts(transaction.acquirer)
                && minor.is_some_and(|minor| (1..=asked).contains(&minor))
        }
        (_, minor) => minor.is_none_or(|minor| minor == asked),
    };
    same_if_both(answer.processing_code, transaction.processing_code)
        && same_if_both(answer.pan, transaction.pan)
        && answer.currency.is_none_or(|theirs| currency == Currency::NONE || theirs == currency)
        && fits_amount
}
