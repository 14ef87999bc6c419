//! What became of one identity, told from its facts alone: how an index of the journal knows it when memory has
//! forgotten it. It says of each identity what [`crate::recovery`] would have put into memory.
//!
//! The index is asked where memory does not know what a reversal undoes, or what a request repeats by its own word, and
//! has forgotten something; for a late approval by what its leg has (`late`). What it tells is remembered again, and the
//! request is looked at as if it had never been forgotten. A request that does not say that it is a repeat is not asked
//! about: nearly all of them are new, and a look-up is as long as many payments.
//!
//! Not here: the index itself, which is the edge's.

use alloc::boxed::Box;

use crate::Authorizer;
use crate::decision::{DeclineReason, Outcome};
use crate::effect::{Effect, Effects};
use crate::event::{AcquirerId, Now, ShardId, Ticket};
use crate::fact::Fact;
use crate::memory::{Entry, State, Undo};
use crate::planted::Planted;
use crate::recovery::put_off;
use crate::request::{Asked, Fingerprint, Identity, Request};
use crate::saf::Reversal;
use crate::transaction::Sent;

/// What the index says to [`Effect::Recall`], and the request that waited for it.
#[derive(Clone, Debug)]
pub struct Recalled {
    /// The request.
    pub request: Request,
    /// What is known of its identity, or of that of what it undoes.
    pub known: Known,
}

/// What the index knows of an identity.
#[derive(Clone, Debug)]
pub enum Known {
    /// What became of it, and the shard whose journal says so.
    Entry(Box<Entry>, ShardId),
    /// It never was, as far as the journal is kept.
    Nothing,
    /// It cannot be said now: the index is not there, or too far behind the journal.
    Unsaid,
}

/// A request that waits for the index.
#[derive(Debug)]
pub(crate) struct Waiting {
    ticket: Ticket,
    acquirer: AcquirerId,
    identity: Identity,
    /// Something was decided of its identity since it was asked for: what is answered is older than that.
    is_stale: bool,
}

impl Waiting {
    pub(crate) fn is_about(&self, identity: Identity) -> bool {
        self.identity == identity
    }

    pub(crate) fn outdate(&mut self) {
        self.is_stale = true;
    }
}

/// Requests of one shard that may wait for the index.
const WAITING_MAX: usize = 1_024;

impl Authorizer {
    /// Asks the index for an identity that memory does not know, behind the facts that were decided before: it is told by
    /// them. False where memory has forgotten nothing, or nothing is written down: there is nothing to ask for.
    pub(crate) fn recalls(
        &mut self,
        request: &Request,
        identity: Identity,
        now: Now,
        out: &mut Effects,
    ) -> bool {
        let forgotten_us = self.memory.forgotten_us(now.monotonic_us);
        let asks = forgotten_us > 0 && self.tables.has_journal && !self.has_planted(Planted::IndexUnasked);
        if !asks {
            return false;
        }
        // Nobody has more of the room than is free, so that there is some for the others.
        let own = self.recalling.iter().filter(|waiting| waiting.acquirer == request.acquirer).count();
        if own >= WAITING_MAX.saturating_sub(self.recalling.len()) {
            self.declined_stateless(request, DeclineReason::StoreUnavailable, out);
            return true;
        }
        let longest_us = self.tables.issuers.iter().map(|issuer| issuer.timeout_us).max().unwrap_or(0);
        let longest_us = longest_us.saturating_add(self.tables.proof_timeout_us);
        let ended_by_us = forgotten_us.saturating_add(longest_us);
        let (ticket, acquirer) = (request.ticket, request.acquirer);
        self.recalling.push(Waiting { ticket, acquirer, identity, is_stale: false });
        out.visible.push(Effect::Recall { ticket, identity, ended_by_us });
        true
    }

    /// The index has answered. What could not be said is not taken for nothing: the request comes again.
    pub(crate) fn recalled(&mut self, recalled: &Recalled, now: Now, out: &mut Effects) {
        let Recalled { request, known } = recalled;
        let identity = request.original.as_ref().map_or(request.identity, |original| original.identity);
        let waited = self.recalling.iter().position(|waiting| waiting.ticket == request.ticket);
        let is_stale = waited.is_some_and(|waited| self.recalling.swap_remove(waited).is_stale);
        // It came meanwhile, and memory is newer than any answer.
        let is_known = self.memory.find(identity, now.monotonic_us).is_some();
        let is_asked_anew = is_stale && !is_known && !matches!(known, Known::Unsaid);
        if is_asked_anew && self.recalls(request, identity, now, out) {
            return;
        }
        self.outdate(identity);
        match known {
            _ if is_known => self.admitted(request, now, out),
            Known::Entry(_, home) if *home != self.shard => {
                out.free.push(Effect::Hand { ticket: request.ticket, to: *home });
            }
            Known::Entry(entry, _) if !entry.state.is_running() => {
                let entry = Entry { since_us: now.monotonic_us, ..**entry };
                match self.memory.insert(entry) {
                    Ok(_) => self.admitted(request, now, out),
                    Err(_) => self.declined_stateless(request, DeclineReason::StoreUnavailable, out),
                }
            }
            Known::Nothing => self.never_seen(request, now, out),
            Known::Entry(..) | Known::Unsaid => {
                self.declined_stateless(request, DeclineReason::StoreUnavailable, out);
            }
        }
    }

    fn never_seen(&mut self, request: &Request, now: Now, out: &mut Effects) {
        let Some(original) = &request.original else { return self.begun(request, now, out) };
        // It may have come meanwhile, and its account be at home on another shard.
        match self.memory.home_elsewhere(original.identity, now.monotonic_us) {
            Some(to) => out.free.push(Effect::Hand { ticket: request.ticket, to }),
            None => self.buried(request, original, now, out),
        }
    }
}

/// Which identity a fact tells something of.
#[must_use]
pub fn identity_of(fact: &Fact) -> Option<Identity> {
    match fact {
        Fact::Intent(sent) => Some(sent.asked.identity),
        Fact::Result { identity, .. }
        | Fact::Timeout { identity, .. }
        | Fact::Reversed { identity, .. }
        | Fact::Tombstone { identity, .. } => Some(*identity),
        Fact::Advised(advice) => Some(advice.sent.asked.identity),
        Fact::Declined { asked, .. } => Some(asked.identity),
        Fact::Late { undo, .. } => undo.as_deref().map(|undo| undo.sent.asked.identity),
        Fact::ReversalDone { .. }
        | Fact::ReversalParked { .. }
        | Fact::ReversalReleased { .. }
        | Fact::Judged { .. }
        | Fact::Provisioned(_) => None,
    }
}

/// What is known of an identity after a fact about it, and what was known before; `None` where nothing is known.
#[must_use]
pub fn after(known: Option<Entry>, fact: &Fact, at_us: u64) -> Option<Entry> {
    // It may come again as if it never had.
    let known = known.filter(|known| known.state != State::Forgotten);
    match fact {
        Fact::Intent(sent) => Some(Entry { sent: Some(*sent), ..fresh(&sent.asked, State::InDoubt, at_us) }),
        Fact::Result { outcome, .. } => known.map(|known| ended(known, *outcome)),
        Fact::Timeout { outcome, undo, .. } => {
            known.map(|known| undone_by(ended(known, *outcome), undo.as_deref()))
        }
        Fact::Reversed { identity, left_minor, undo } => {
            let known = match known {
                Some(known) => Some(left(known, *left_minor)),
                // It waited for the token, and no issuer was to be asked yet; or it is known no more.
                None => (*left_minor == 0).then(|| Entry::new(*identity, at_us, State::Undone)),
            };
            known.map(|known| undone_by(known, undo.as_deref()))
        }
        Fact::Tombstone { identity, .. } => Some(Entry::new(*identity, at_us, State::Tombstone)),
        Fact::Advised(advice) => {
            let entry = fresh(&advice.sent.asked, State::Ended(advice.outcome), at_us);
            Some(Entry { sent: Some(advice.sent), ..entry })
        }
        Fact::Declined { asked, outcome } => Some(fresh(asked, State::Ended(*outcome), at_us)),
        Fact::Late { undo, .. } => known.map(|known| undone_by(known, undo.as_deref())),
        _ => known,
    }
}

fn fresh(asked: &Asked, state: State, at_us: u64) -> Entry {
    let fingerprint = Fingerprint { track: None, ..asked.fingerprint };
    Entry { fingerprint, ..Entry::new(asked.identity, at_us, state) }
}

fn ended(known: Entry, outcome: Outcome) -> Entry {
    let is_put_off = |sent: Sent| put_off(sent.asked.class, outcome);
    let state = if known.sent.is_some_and(is_put_off) { State::Forgotten } else { State::Ended(outcome) };
    Entry { state, ..known }
}

fn left(known: Entry, left_minor: u64) -> Entry {
    let state = if left_minor == 0 { State::Undone } else { known.state };
    Entry { left_minor: Some(left_minor), state, ..known }
}

fn undone_by(known: Entry, undo: Option<&Reversal>) -> Entry {
    let undo = undo.map(|undo| Undo { stan: undo.stan, why: undo.why, left_minor: undo.left_minor });
    Entry { undo: undo.or(known.undo), ..known }
}
