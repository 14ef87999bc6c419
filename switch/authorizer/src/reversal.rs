//! An acquirer undoes a request: 0400 asks for it, 0420 tells it. It is never refused: whatever had become of the
//! original, what is told back is that it is undone, and what its issuer may have approved is undone there too.
//!
//! | the original | what is done | rule |
//! | --- | --- | --- |
//! | was forgotten | the index is asked (`recall`) | R4 |
//! | was never seen | remembered, so that it is refused when it comes | R1, R10, R12 |
//! | waits for the token | ends here, its answer is never sent | R2 |
//! | waits for its issuer | ends here, its answer is never sent; the issuer is told | R3 |
//! | was approved, here or by its issuer, or was told as an advice | the issuer is told | R4, R8 |
//! | was declined, had timed out, was undone | nothing | R5, R6, R7 |
//! | had another amount, card or terminal, or is a reversal | nothing; 0400 is told so | R9, R13 |
//!
//! What the principal may ask for does not matter to the reversal of what it has asked for: rights may have been taken
//! away since. Where nothing is known to undo, they do.
//!
//! An original has an identity, and a reversal from its own terminal has all that makes it up. One that leaves something
//! out, or comes from elsewhere, is looked for among the newest by what DE 90 says, as often as [`Allowance::SEARCHES`] allows.
//!
//! Not here: our own reversals (`reply`), and how issuers are told (`saf`).

use crate::Authorizer;
use crate::counters::add_one;
use crate::decision::{DeclineReason, Outcome};
use crate::effect::{Effect, Effects};
use crate::event::{Now, ShardId, Ticket};
use crate::fact::Fact;
use crate::intake::reply_to;
use crate::issuer::LegState;
use crate::memory::{Entry, State};
use crate::planted::Planted;
use crate::request::{Class, Original, Request};
use crate::saf::Why;
use crate::transaction::{Sent, TransactionId};

impl Authorizer {
    /// A reversal at the home of its original's identity, which may hand it on, or where it was handed to.
    pub(crate) fn reversed(&mut self, request: &Request, may_hand: bool, now: Now, out: &mut Effects) {
        let Some(original) = request.original.as_deref() else {
            return self.declined_stateless(request, DeclineReason::FormatError, out);
        };
        if original.is_reversal {
            return self.reversal_excepted(request, DeclineReason::ReversalMismatch, out);
        }
        let known = self.memory.find(original.identity, now.monotonic_us);
        let may_search = known.is_none() && self.searches.take(now.monotonic_us);
        let named = if may_search { self.named(request, original, now) } else { None };
        let Some(place) = known.or(named) else {
            let elsewhere = if may_search && may_hand { self.named_elsewhere(original) } else { None };
            return match elsewhere {
                Some(to) => out.free.push(Effect::Hand { ticket: request.ticket, to }),
                None if self.recalls(request, original.identity, now, out) => {}
                None => self.buried(request, original, now, out),
            };
        };
        let Some(entry) = self.memory.get(place) else { return };
        let is_undone = matches!(entry.state, State::Tombstone | State::Undone);
        let differs = entry.sent.is_some_and(|sent| differs(request, &sent, &entry));
        if !is_undone && differs && !self.has_planted(Planted::MismatchUndoes) {
            if known.is_none() && !self.bury(request, original, now, out) {
                return;
            }
            return self.reversal_excepted(request, DeclineReason::ReversalMismatch, out);
        }
        let is_partial = original.left_minor.is_some_and(|left| left > 0);
        match entry.state {
            State::Proving(_) | State::Running(_) if is_partial && request.class == Class::ReversalAdvice => {
                // What was approved is not known yet: it comes again.
                self.declined_stateless(request, DeclineReason::StoreUnavailable, out);
            }
            State::Proving(_) | State::Running(_) if is_partial => {
                self.reversal_excepted(request, DeclineReason::ReversalMismatch, out);
            }
            State::Proving(id) => {
                if let Some(ticket) = self.proof_cancelled(id) {
                    self.undone(place, &entry, None, ticket, now, out);
                }
                self.reversal_taken(request, out);
            }
            State::Running(id) => {
                self.cancelled(place, &entry, id, now, out);
                self.reversal_taken(request, out);
            }
            State::Ended(outcome) if outcome.decline_reason().is_none() => {
                let is_whole = self.has_planted(Planted::PartIsWhole);
                let left_minor = original.left_minor.filter(|_| !is_whole).unwrap_or(0);
                self.approval_reversed(request, place, left_minor, now, out);
            }
            State::Ended(_) | State::Undone | State::Tombstone | State::Forgotten | State::InDoubt => {
                self.reversal_taken(request, out);
            }
        }
    }

    /// The place of an original whose identity is not known, by what is said of it: of its terminal, where the reversal says
    /// which, or of another.
    fn named(&self, request: &Request, original: &Original, now: Now) -> Option<u32> {
        let mut of_another = None;
        for place in self.memory.asked_under(request.acquirer, original.named.stan, now.monotonic_us) {
            let Some(sent) = self.memory.sent(place).filter(|sent| original.named.fits(&sent.asked)) else {
                continue;
            };
            if sent.asked.keys.is_same_place(&request.keys) {
                return Some(place);
            }
            of_another.get_or_insert(place);
        }
        of_another
    }

    /// The shard that decides what may be meant: this one is home to its name alone.
    fn named_elsewhere(&self, original: &Original) -> Option<ShardId> {
        self.memory.named_elsewhere(original.identity).filter(|to| !self.is_alone && *to != self.shard)
    }

    /// The original was never seen here: should it come, it is refused.
    pub(crate) fn buried(&mut self, request: &Request, original: &Original, now: Now, out: &mut Effects) {
        if !self.allows(request) {
            return self.declined_stateless(request, DeclineReason::NotAllowed, out);
        }
        if self.has_planted(Planted::NoTombstone) || self.bury(request, original, now, out) {
            self.reversal_taken(request, out);
        }
    }

    /// Remembers that what has this identity is undone. Where it cannot, the reversal stays with its sender.
    fn bury(&mut self, request: &Request, original: &Original, now: Now, out: &mut Effects) -> bool {
        // Reversals of nothing cost nothing, and must not push out what others may reverse.
        if self.memory.is_pressed(now.monotonic_us) && !self.burials.take(now.monotonic_us) {
            self.declined_stateless(request, DeclineReason::StoreUnavailable, out);
            return false;
        }
        let tombstone = Entry::new(original.identity, now.monotonic_us, State::Tombstone);
        if self.memory.insert(tombstone).is_err() {
            self.declined_stateless(request, DeclineReason::StoreUnavailable, out);
            return false;
        }
        self.counters.acquirer(request.acquirer, |counters| add_one(&mut counters.tombstones));
        out.facts.push(Fact::Tombstone { identity: original.identity, acquirer: request.acquirer });
        true
    }

    /// The original waits for its issuer. What the issuer says now is for nobody; it is told to undo it behind the
    /// original.
    fn cancelled(&mut self, place: u32, entry: &Entry, id: TransactionId, now: Now, out: &mut Effects) {
        if self.has_planted(Planted::CancelledGoesOn) {
            if let Some(undo) =
                entry.sent.and_then(|sent| self.reversal_of(&sent, Why::Acquirer, 0, None, now))
            {
                self.keep_reversal(place, &undo, now, out);
            }
            return;
        }
        let Some(transaction) = self.close(id, LegState::TimedOut(place)) else { return };
        self.undone(place, entry, entry.sent, transaction.ticket, now, out);
    }

    /// A running request ends undone; `sent` where its issuer may have it.
    fn undone(
        &mut self,
        place: u32,
        entry: &Entry,
        sent: Option<Sent>,
        ticket: Ticket,
        now: Now,
        out: &mut Effects,
    ) {
        let undo = sent.and_then(|sent| self.reversal_of(&sent, Why::Acquirer, 0, None, now));
        self.memory.conclude(place, State::Undone);
        out.facts.push(Fact::Reversed { identity: entry.identity, left_minor: 0, undo: undo.clone() });
        out.visible.push(Effect::Release(ticket));
        if let Some(undo) = undo {
            self.keep_reversal(place, &undo, now, out);
        }
    }

    /// The original was approved: what is not to stay of it is undone at its issuer.
    fn approval_reversed(
        &mut self,
        request: &Request,
        place: u32,
        left_minor: u64,
        now: Now,
        out: &mut Effects,
    ) {
        let Some(entry) = self.memory.get(place) else { return };
        let (State::Ended(outcome), Some(sent)) = (entry.state, entry.sent) else {
            return self.reversal_taken(request, out);
        };
        let whole_minor = outcome.approved_minor.unwrap_or(sent.asked.amount.minor());
        if left_minor > whole_minor {
            return self.reversal_excepted(request, DeclineReason::OverReversal, out);
        }
        if left_minor < entry.left_minor.unwrap_or(whole_minor) || self.has_planted(Planted::ReversedTwice) {
            let undo = self.reversal_of(&sent, Why::Acquirer, left_minor, outcome.approval_code, now);
            self.give_back(place, left_minor);
            if !self.has_planted(Planted::ReversedTwice) {
                self.memory.leave(place, left_minor);
            }
            out.facts.push(Fact::Reversed { identity: entry.identity, left_minor, undo: undo.clone() });
            if let Some(undo) = undo {
                self.keep_reversal(place, &undo, now, out);
            }
        }
        self.reversal_taken(request, out);
    }

    fn reversal_taken(&mut self, request: &Request, out: &mut Effects) {
        let outcome = Outcome::taken(self.tables.code_set(request.acquirer));
        self.count_outcome(request.acquirer, &outcome);
        out.visible.push(Effect::Reply(reply_to(request, outcome)));
    }

    /// It undoes nothing, and its sender should be asked why: a 0400 is told, a 0420 cannot be refused.
    fn reversal_excepted(&mut self, request: &Request, reason: DeclineReason, out: &mut Effects) {
        self.counters.acquirer(request.acquirer, |counters| add_one(&mut counters.reversal_exceptions));
        if request.class == Class::ReversalAdvice {
            return self.reversal_taken(request, out);
        }
        let outcome = Outcome::declined(reason, self.tables.response_code(request.acquirer, reason));
        self.count_outcome(request.acquirer, &outcome);
        out.visible.push(Effect::Reply(reply_to(request, outcome)));
    }
}

/// So many may happen at once, then one every so many microseconds: what a reversal of nothing may ask for, which anybody
/// can send.
#[derive(Debug)]
pub(crate) struct Allowance {
    every_us: u64,
    ahead_us: u64,
    /// When the next one may be taken without being ahead, monotonic microseconds.
    next_us: u64,
}

impl Allowance {
    /// A search for an original takes as long as hundreds of payments.
    pub(crate) const SEARCHES: Self = Self::of(8, 50_000);
    /// Tombstones, where each pushes out something that is not old.
    pub(crate) const BURIALS: Self = Self::of(100, 10_000);

    const fn of(count: u64, every_us: u64) -> Self {
        Self { every_us, ahead_us: every_us.saturating_mul(count), next_us: 0 }
    }

    /// Takes one, if there is one left.
    fn take(&mut self, now_us: u64) -> bool {
        let next_us = self.next_us.max(now_us);
        let may = next_us.saturating_sub(now_us) < self.ahead_us;
        if may {
            self.next_us = next_us.saturating_add(self.every_us);
        }
        may
    }
}

/// Whether a reversal speaks of another amount, card or terminal than its original had.
fn differs(request: &Request, sent: &Sent, entry: &Entry) -> bool {
    let asked = sent.asked.amount;
    let approved = match entry.state {
        State::Ended(outcome) => outcome.approved_minor,
        _ => None,
    };
    let minor = request.amount.minor();
    // 1993 says in DE 4 what is left of a payment that is undone in part.
    let left = request.original.as_ref().and_then(|original| original.left_minor);
    let same_amount = minor == asked.minor() || [approved, left].contains(&Some(minor));
    let no_currency = request.amount.currency() == codecs::value::Currency::NONE;
    let same_currency = no_currency || request.amount.currency() == asked.currency();
    // Behind a proxy the issuer knows another card than the acquirer.
    let same_card = sent.is_funded || request.pan.is_none() || request.pan == sent.pan;
    let same_place = sent.asked.keys.is_same_place(&request.keys);
    !(same_amount && same_currency && same_card && same_place)
}
