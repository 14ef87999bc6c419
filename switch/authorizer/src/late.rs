//! What an issuer says when its leg has ended: it is late, or it answers nothing that was asked. A late approval stands at
//! its issuer, and a reversal that was sent before may have met nothing there: the issuer is told once more (Q13).
//!
//! | the request | what is done with its approval |
//! | --- | --- |
//! | is remembered | undone once more |
//! | was forgotten | the index is asked by what the leg has of it; then it is remembered again, and the approval undone |
//! | cannot be told | said to an operator: it may stand at its issuer |
//!
//! Nobody waits here as an acquirer does, so the index may take its time. What waits has a list of its own, in which no
//! issuer has more room than is free, and takes none from the requests that wait.
//!
//! Not here: how the reversal goes out (`saf`, `deliver`), and how patient the edge is with the index.

use alloc::boxed::Box;
use alloc::vec::Vec;

use codecs::value::Stan;

use crate::Authorizer;
use crate::counters::add_one;
use crate::effect::{Effect, Effects};
use crate::event::{IssuerId, Now};
use crate::fact::Fact;
use crate::issuer::{LegEntry, LegState, Of};
use crate::memory::{Entry, State};
use crate::planted::Planted;
use crate::recall::Known;
use crate::request::{Answer, Identity};
use crate::saf::{Reversal, Why};
use crate::transaction::Sent;

/// All that is known of a leg whose request was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForgottenLeg {
    /// Who was asked.
    pub issuer: IssuerId,
    /// Under which of our trace numbers.
    pub stan: Stan,
    /// The first bits of the request's identity.
    pub begins: u32,
}

impl ForgottenLeg {
    /// The first and the last identity that begin so.
    #[must_use]
    pub fn identities(&self) -> (Identity, Identity) {
        let first = u128::from(self.begins) << 96;
        (Identity(first), Identity(first | u128::MAX >> 32))
    }

    /// Whether this was sent to its issuer by it.
    #[must_use]
    pub fn is_of(&self, sent: &Sent) -> bool {
        sent.to.issuer == self.issuer
            && sent.stan == self.stan
            && Of::the(sent.asked.identity) == Of(self.begins)
    }
}

/// A late approval of something that was forgotten.
#[derive(Debug)]
pub(crate) struct Waiting {
    leg: ForgottenLeg,
    answer: Answer,
    /// Something was decided since the index was asked of what may be its request: what is answered is older than that.
    is_stale: bool,
}

/// Late approvals of one shard that may wait for the index.
const WAITING_MAX: usize = 1_024;

impl Authorizer {
    /// The answer belongs to no running transaction.
    pub(crate) fn late(&mut self, answer: &Answer, now: Now, out: &mut Effects) {
        out.free.push(Effect::Release(answer.ticket));
        self.late_decided(answer, now, out);
    }

    fn late_decided(&mut self, answer: &Answer, now: Now, out: &mut Effects) {
        let (issuer, code) = (answer.link.issuer, answer.response_code);
        let approved = self.tables.is_approval(code) || self.tables.is_unheard_of(code);
        let asks = approved && self.asks_for_legs();
        let stays_open = self.has_planted(Planted::LateUndoneAgain);
        let Some(leg) = self.issuers.get_mut(issuer.index()).and_then(|state| state.leg_mut(answer.stan))
        else {
            return self.unmatched(issuer);
        };
        let place = match leg.state {
            LegState::TimedOut(place) => place,
            LegState::Declined(place) if approved => place,
            LegState::Declined(_) | LegState::Pending(_) | LegState::Answered => {
                return self.unmatched(issuer);
            }
        };
        let Of(begins) = leg.of;
        let forgotten = ForgottenLeg { issuer, stan: answer.stan, begins };
        let sent = self.memory.sent(place).filter(|sent| forgotten.is_of(sent));
        if sent.is_some_and(|sent| !sent.asked.keys.fits(&answer.keys)) {
            return self.unmatched(issuer);
        }
        if asks && sent.is_none() {
            return self.recalls_leg(forgotten, answer, out);
        }
        if !stays_open {
            leg.state = if approved { LegState::Answered } else { LegState::Declined(place) };
        }
        self.came_late(place, answer, approved, now, out);
    }

    /// An answer to something that has ended, which was at this place in memory.
    fn came_late(&mut self, place: u32, answer: &Answer, approved: bool, now: Now, out: &mut Effects) {
        let issuer = answer.link.issuer;
        self.counters.issuer(issuer, |counters| add_one(&mut counters.late));
        let is_undone = approved && !self.has_planted(Planted::LateOnlyCounted);
        let undo = if is_undone { self.undo_once_more(place, answer, now) } else { None };
        out.facts.push(Fact::Late { issuer, stan: answer.stan, approved, undo: undo.clone() });
        if let Some(undo) = undo {
            self.keep_reversal(place, &undo, now, out);
        }
    }

    fn unmatched(&mut self, issuer: IssuerId) {
        self.counters.issuer(issuer, |counters| add_one(&mut counters.unmatched));
    }

    /// An issuer's approval came when the request had ended. A reversal that was sent before may have met nothing: one
    /// is sent after the approval was seen, under a number of its own, so that no acknowledgement of the earlier one can
    /// be taken for its (Q13). A reversal that was not sent yet will do.
    fn undo_once_more(&mut self, place: u32, answer: &Answer, now: Now) -> Option<Box<Reversal>> {
        let entry = self.memory.get(place)?;
        let sent =
            entry.sent.filter(|sent| sent.stan == answer.stan && sent.to.issuer == answer.link.issuer)?;
        let Some(undo) = entry.undo else {
            // It had declined: there was nothing to undo.
            let is_declined = matches!(entry.state, State::Ended(outcome) if !outcome.is_approved());
            return is_declined
                .then(|| self.reversal_of(&sent, Why::InvalidAnswer, 0, answer.approval_code, now))
                .flatten();
        };
        let saf = self.saf.get(sent.to.issuer.index())?;
        let waits = saf.has(undo.stan) && self.has_planted(Planted::LateLeftToEarlier);
        if waits || saf.is_unsent(undo.stan) {
            return None;
        }
        let mut reversal = self.reversal_of(&sent, undo.why, undo.left_minor, answer.approval_code, now)?;
        reversal.is_repeat = true;
        Some(reversal)
    }

    /// Whether there is an index to ask.
    fn asks_for_legs(&self) -> bool {
        let left_out = [Planted::LateForgottenCounted, Planted::LateOnlyCounted, Planted::IndexUnasked];
        self.tables.has_journal && !left_out.iter().any(|mistake| self.has_planted(*mistake))
    }

    /// Asks the index what an issuer was asked. The leg stays as it is until that is known: of two answers with different
    /// keys only one can be its own.
    fn recalls_leg(&mut self, leg: ForgottenLeg, answer: &Answer, out: &mut Effects) {
        let of_leg = || self.late.iter().filter(|waiting| waiting.leg == leg);
        if of_leg().any(|waiting| waiting.answer.keys == answer.keys) {
            return self.unmatched(leg.issuer);
        }
        let is_asked = of_leg().next().is_some();
        let own = self.late.iter().filter(|waiting| waiting.leg.issuer == leg.issuer).count();
        if self.is_stopped || own >= WAITING_MAX.saturating_sub(self.late.len()) {
            return self.left_standing(leg, answer, out);
        }
        self.late.push(Waiting { leg, answer: *answer, is_stale: false });
        if !is_asked {
            out.visible.push(Effect::RecallLeg(leg));
        }
    }

    /// The index has answered: what it tells is remembered again, and the approval looked at as if it had never been
    /// forgotten. The leg's number may have been given to another since.
    pub(crate) fn leg_recalled(&mut self, leg: ForgottenLeg, known: &Known, now: Now, out: &mut Effects) {
        let is_leg = |waiting: &mut Waiting| waiting.leg == leg;
        let waiting: Vec<Waiting> = self.late.extract_if(.., is_leg).collect();
        if waiting.is_empty() {
            return;
        }
        let entry = match known {
            Known::Entry(entry, _) if !entry.state.is_running() => {
                Some(**entry).filter(|entry| entry.sent.is_some_and(|sent| leg.is_of(&sent)))
            }
            Known::Entry(..) | Known::Nothing | Known::Unsaid => None,
        };
        let place = entry.and_then(|entry| self.memory.find(entry.identity, now.monotonic_us));
        let is_stale = waiting.iter().any(|waiting| waiting.is_stale);
        if entry.is_some() && place.is_none() && is_stale {
            self.late.extend(waiting.into_iter().map(|waiting| Waiting { is_stale: false, ..waiting }));
            return out.visible.push(Effect::RecallLeg(leg));
        }
        // Memory is newer than any answer, where it came meanwhile.
        let place = place.filter(|place| self.memory.sent(*place).is_some_and(|sent| leg.is_of(&sent)));
        let place = place.or_else(|| {
            let fresh = entry.filter(|entry| self.memory.find(entry.identity, now.monotonic_us).is_none())?;
            self.outdate(fresh.identity);
            self.memory.insert(Entry { since_us: now.monotonic_us, ..fresh }).ok()
        });
        let Some(place) = place else {
            return waiting.iter().for_each(|waiting| self.left_standing(leg, &waiting.answer, out));
        };
        let is_there = self.forgotten_leg(leg).is_some_and(|known| {
            match &mut known.state {
                LegState::TimedOut(forgotten) | LegState::Declined(forgotten) => *forgotten = place,
                LegState::Pending(_) | LegState::Answered => {}
            }
            true
        });
        let mut is_undone = false;
        for Waiting { answer, .. } in &waiting {
            let fits = || self.memory.sent(place).is_some_and(|sent| sent.asked.keys.fits(&answer.keys));
            if is_there {
                self.late_decided(answer, now, out);
            } else if !is_undone && fits() {
                is_undone = true;
                self.came_late(place, answer, true, now, out);
            } else {
                self.unmatched(leg.issuer);
            }
        }
    }

    /// The leg itself, unless its number was given to another.
    fn forgotten_leg(&mut self, leg: ForgottenLeg) -> Option<&mut LegEntry> {
        let state = self.issuers.get_mut(leg.issuer.index())?;
        state.leg_mut(leg.stan).filter(|known| known.of == Of(leg.begins))
    }

    /// Something is decided of an identity: what the index was asked about it before is older.
    pub(crate) fn outdate(&mut self, identity: Identity) {
        let of = Of::the(identity);
        for waiting in self.late.iter_mut().filter(|waiting| Of(waiting.leg.begins) == of) {
            waiting.is_stale = true;
        }
        for waiting in self.recalling.iter_mut().filter(|waiting| waiting.is_about(identity)) {
            waiting.outdate();
        }
    }

    /// Nothing could be said of what was approved, so that nothing is undone: an operator must know. Should it be approved
    /// again, the index is asked once more, and not for ever.
    fn left_standing(&mut self, leg: ForgottenLeg, answer: &Answer, out: &mut Effects) {
        let ForgottenLeg { issuer, stan, .. } = leg;
        if let Some(known) = self.forgotten_leg(leg) {
            known.state = match known.state {
                LegState::TimedOut(place) => LegState::Declined(place),
                LegState::Declined(_) | LegState::Answered => LegState::Answered,
                LegState::Pending(id) => LegState::Pending(id),
            };
        }
        self.counters.issuer(issuer, |counters| {
            add_one(&mut counters.late);
            add_one(&mut counters.left_standing);
        });
        out.facts.push(Fact::Late { issuer, stan, approved: true, undo: None });
        out.free.push(Effect::LeftStanding(Box::new(*answer)));
    }

    /// The process ends: what waits can be told no more, and nothing more is asked.
    pub(crate) fn late_stopped(&mut self, out: &mut Effects) {
        self.is_stopped = true;
        for Waiting { leg, answer, .. } in core::mem::take(&mut self.late) {
            self.left_standing(leg, &answer, out);
        }
    }

    /// How many late approvals wait for the index here.
    #[must_use]
    pub fn late_waiting(&self) -> usize {
        self.late.len()
    }
}
