//! A request arrives: repeats, rights, and every check that needs no issuer.
//!
//! The order is the law of the line. Repeats come first: what was told once is told again, whatever the principal may
//! ask for since then, and an identity is of one principal, so that nothing of another's can be told. Then rights,
//! because a principal that may not ask is told nothing else. Format and consistency were checked at the edge, where
//! the data elements still have numbers.

use crate::Authorizer;
use crate::counters::{add_at, add_one};
use crate::decision::{DeclineReason, Outcome};
use crate::effect::{Effect, Effects, Reply};
use crate::event::{Now, ShardId};
use crate::fact::Fact;
use crate::memory::{Entry, State};
use crate::planted::{Planted, is_planted};
use crate::request::Request;

impl Authorizer {
    /// A request at the home of its identity: refused at once, handed to the home of its account, or
    /// admitted here.
    pub(crate) fn received(&mut self, request: &Request, now: Now, out: &mut Effects) {
        self.counters.acquirer(request.acquirer, |acquirer| {
            add_at(&mut acquirer.received, request.class.index());
        });
        if request.class.is_reversal() {
            if !self.tables.has_journal {
                // It cannot be kept; 96 makes the sender keep it.
                return self.declined_stateless(request, DeclineReason::StoreUnavailable, out);
            }
            return match self.home_of_original(request, now) {
                Some(home) => out.free.push(Effect::Hand { ticket: request.ticket, to: home }),
                None => self.reversed(request, true, now, out),
            };
        }
        match self.home_of(request, now) {
            home if home == self.shard => self.admitted(request, now, out),
            home => out.free.push(Effect::Hand { ticket: request.ticket, to: home }),
        }
    }

    /// A request at the home of its account: a repeat of something known, or a new transaction.
    pub(crate) fn admitted(&mut self, request: &Request, now: Now, out: &mut Effects) {
        if request.class.is_reversal() {
            return self.reversed(request, false, now, out);
        }
        if let Some(place) = self.memory.find(request.identity, now.monotonic_us)
            && !self.forgets(place)
        {
            return self.repeated(place, request, out);
        }
        if request.is_repeat && self.recalls(request, request.identity, now, out) {
            return;
        }
        self.begun(request, now, out);
    }

    /// A request of which nothing is known.
    pub(crate) fn begun(&mut self, request: &Request, now: Now, out: &mut Effects) {
        if let Some(reason) = self.refused(request) {
            // The room that is left is for what runs; and an advice must be able to come again when it may.
            return match self.store_is_low || request.class.is_advice() {
                true => self.declined_stateless(request, reason, out),
                false => self.declined(request, reason, now, out),
            };
        }
        let reason = match self.keeps(request.class) {
            true => self.store_is_low.then_some(DeclineReason::StoreUnavailable),
            false => self.declined_before_routing(request, now),
        };
        if let Some(reason) = reason {
            return self.declined(request, reason, now, out);
        }
        match request.program {
            Some(program) => self.prove(request, program, now, out),
            None => self.forward(request, None, None, now, out),
        }
    }

    /// Whether the principal may ask this.
    pub(crate) fn allows(&self, request: &Request) -> bool {
        let acquirer = self.tables.acquirers.get(request.acquirer.index());
        acquirer.is_some_and(|acquirer| acquirer.rights.allow(request))
    }

    /// What is no request at all: its sender may not ask it, or nobody has such a card.
    fn refused(&self, request: &Request) -> Option<DeclineReason> {
        if !self.allows(request) {
            Some(DeclineReason::NotAllowed)
        } else if request.pan.is_some_and(|pan| !pan.luhn_ok()) {
            Some(DeclineReason::LuhnFailed)
        } else {
            None
        }
    }

    /// Where the request's account lives. A known identity keeps the home of its first message, so that a
    /// repeat with another card number still meets its original.
    fn home_of(&mut self, request: &Request, now: Now) -> ShardId {
        // With one shard the answer is always here; `admitted` looks it up, once.
        if self.is_alone || self.memory.find(request.identity, now.monotonic_us).is_some() {
            return self.shard;
        }
        if let Some(home) = self.memory.home_elsewhere(request.identity, now.monotonic_us) {
            return home;
        }
        if request.home != self.shard {
            self.memory.insert_elsewhere(request.identity, request.home, now.monotonic_us);
        }
        request.home
    }

    /// The other shard where the original of a reversal lives. Whom it is handed to does not ask again: it comes back only
    /// where the index says so.
    fn home_of_original(&self, request: &Request, now: Now) -> Option<ShardId> {
        let identity = request.original.as_ref().filter(|original| !original.is_reversal)?.identity;
        match self.memory.find(identity, now.monotonic_us) {
            Some(_) => None,
            None => self.memory.home_elsewhere(identity, now.monotonic_us),
        }
    }

    /// For planted mistakes: what is remembered counts for nothing.
    fn forgets(&mut self, place: u32) -> bool {
        let Some(state) = self.memory.state(place) else { return false };
        let forgets = (state == State::Tombstone && self.has_planted(Planted::TombstoneIgnored))
            || (matches!(state, State::Ended(_)) && self.has_planted(Planted::RepeatIsNew));
        if forgets {
            self.memory.conclude(place, State::Forgotten);
        }
        forgets
    }

    /// One identity, one outcome: a repeat joins the request in flight or gets the stored answer.
    fn repeated(&mut self, place: u32, request: &Request, out: &mut Effects) {
        let Some(entry) = self.memory.get(place) else { return };
        if matches!(entry.state, State::Tombstone | State::Undone) {
            return self.declined_stateless(request, DeclineReason::Tombstoned, out);
        }
        if !entry.fingerprint.fits(&request.fingerprint) && !self.has_planted(Planted::OtherContentTold) {
            return self.declined_stateless(request, DeclineReason::DuplicateOtherContent, out);
        }
        match entry.state {
            State::Proving(id) => {
                if let Some(proof) = self.proofs.get_mut(id) {
                    // The token was asked about the older copy, whose release is behind that in order.
                    out.visible.push(Effect::Release(proof.request.ticket));
                    proof.request.ticket = request.ticket;
                    proof.request.link = request.link;
                }
                self.counters.acquirer(request.acquirer, |acquirer| add_one(&mut acquirer.joined));
            }
            State::Running(id) => {
                if let Some(transaction) = self.transactions.get_mut(id) {
                    // One answer, on the newest connection that asked. The older copy may still be needed
                    // by a forward that waits for its fact, so its release waits behind it.
                    if !is_planted(&self.tables, Planted::JoinLeaks) {
                        out.visible.push(Effect::Release(transaction.ticket));
                    }
                    transaction.ticket = request.ticket;
                    transaction.link = request.link;
                }
                self.counters.acquirer(request.acquirer, |acquirer| add_one(&mut acquirer.joined));
            }
            State::Ended(outcome) => {
                self.counters.acquirer(request.acquirer, |acquirer| add_one(&mut acquirer.duplicates));
                out.visible.push(Effect::Reply(reply_to(request, outcome)));
            }
            State::Forgotten | State::Tombstone | State::Undone | State::InDoubt => {
                out.free.push(Effect::Release(request.ticket))
            }
        }
    }

    /// What can be said of a new request without asking anybody.
    fn declined_before_routing(&self, request: &Request, now: Now) -> Option<DeclineReason> {
        if self.draining {
            Some(DeclineReason::Draining)
        } else if self.store_is_low {
            Some(DeclineReason::StoreUnavailable)
        } else if self.in_flight() >= self.pending_max {
            Some(DeclineReason::Overloaded)
        } else if request.expiry.is_some_and(|expiry| expiry.is_past(now.year, now.month)) {
            Some(DeclineReason::ExpiredCard)
        } else if is_purchase_over_nothing(request) {
            Some(DeclineReason::InvalidAmount)
        } else {
            None
        }
    }

    /// Declines a new request, as a fact that any repeat is told again.
    pub(crate) fn declined(&mut self, request: &Request, reason: DeclineReason, now: Now, out: &mut Effects) {
        self.declined_known(request, None, reason, now, out);
    }

    /// The same for a request that may be at a place in the memory of identities already.
    pub(crate) fn declined_known(
        &mut self,
        request: &Request,
        known: Option<u32>,
        reason: DeclineReason,
        now: Now,
        out: &mut Effects,
    ) {
        let promised = !matches!(
            reason,
            DeclineReason::Draining | DeclineReason::Overloaded | DeclineReason::StoreUnavailable
        );
        let put_off =
            request.class.is_advice() && !self.tables.has_journal && reason != DeclineReason::NoRoute;
        if !promised || put_off {
            // Shed, or an advice that cannot be kept: nothing is promised, and what comes again is looked at anew.
            if let Some(place) = known {
                self.memory.conclude(place, State::Forgotten);
            }
            return self.declined_stateless(request, reason, out);
        }
        let outcome = Outcome::declined(reason, self.tables.response_code(request.acquirer, reason));
        let entry = entry_of(request, State::Ended(outcome), now);
        if let Some(place) = known {
            self.memory.conclude(place, entry.state);
        } else if reason.is_lasting() && self.memory.is_pressed(now.monotonic_us) {
            // A repeat will be told the same without it. Anybody can ask for a million of these in seconds, and what they
            // would push out is other acquirers' payments.
        } else if self.memory.insert(entry).is_err() {
            return self.declined_stateless(request, DeclineReason::Overloaded, out);
        }
        if !self.has_planted(Planted::NoDecline) {
            out.facts.push(Fact::Declined { asked: request.asked(), outcome });
        }
        self.count_outcome(request.acquirer, &outcome);
        self.count_program_decline(request, reason);
        out.visible.push(Effect::Reply(reply_to(request, outcome)));
    }

    /// Declines without remembering: the answer promises nothing, so it waits for nothing.
    pub(crate) fn declined_stateless(&mut self, request: &Request, reason: DeclineReason, out: &mut Effects) {
        let outcome = Outcome::declined(reason, self.tables.response_code(request.acquirer, reason));
        self.count_outcome(request.acquirer, &outcome);
        out.free.push(Effect::Reply(reply_to(request, outcome)));
    }
}

/// What is remembered of a request.
pub(crate) fn entry_of(request: &Request, state: State, now: Now) -> Entry {
    Entry { fingerprint: request.fingerprint, ..Entry::new(request.identity, now.monotonic_us, state) }
}

/// The answer to a request that no issuer was asked for.
pub(crate) fn reply_to(request: &Request, outcome: Outcome) -> Reply {
    Reply { ticket: request.ticket, link: request.link, outcome, answer: None, funding: None, issuer_us: 0 }
}

/// Goods and services, cash, or goods with cash back (ISO 8583 processing codes 00, 01, 09) for no amount,
/// where the message is not a mere account verification.
fn is_purchase_over_nothing(request: &Request) -> bool {
    request.amount.is_zero()
        && !request.verification_only
        && request.processing_code.is_some_and(|code| matches!(code.transaction_type(), 0 | 1 | 9))
}
