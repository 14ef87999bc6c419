//! After a restart: the facts of earlier processes, read in order, give back what was known. It is a fold; nothing
//! is decided anew, so that a newer version of the switch remembers what an older one promised.
//!
//! What was in doubt when the process ended is undone, never sent again: nobody knows whether its issuer has it.

use alloc::vec::Vec;

use codecs::value::Stan;

use crate::Authorizer;
use crate::advice::Advice;
use crate::decision::{DeclineReason, Outcome};
use crate::effect::Effects;
use crate::event::{IssuerId, Now, ShardId};
use crate::fact::Fact;
use crate::issuer::LegState;
use crate::memory::{Entry, State};
use crate::planted::{Planted, is_planted};
use crate::request::{Asked, Class, Fingerprint, Identity};
use crate::saf::{Reversal, Stored, Why};
use crate::transaction::Sent;

impl Authorizer {
    /// Takes a fact of an earlier process, written at a moment of this process's clock.
    pub fn recover(&mut self, fact: &Fact, at_us: u64) {
        match fact {
            Fact::Intent(sent) => self.recover_intent(sent, at_us),
            Fact::Result { identity, outcome } => self.recover_end(*identity, *outcome, at_us),
            Fact::Timeout { identity, outcome, undo } => {
                self.recover_end(*identity, *outcome, at_us);
                self.recover_undo(*identity, undo.as_deref(), at_us);
            }
            Fact::Reversed { .. } if self.has_planted(Planted::ReversedForgotten) => {}
            Fact::Reversed { identity, left_minor, undo } => {
                match self.memory.find(*identity, at_us) {
                    Some(place) => {
                        self.give_back(place, *left_minor);
                        self.memory.leave(place, *left_minor);
                    }
                    // It waited for the token, and no issuer was to be asked yet; or it had been forgotten before.
                    None if *left_minor == 0 => {
                        let _ = self.memory.insert(Entry::new(*identity, at_us, State::Undone));
                    }
                    // What became of the rest of it is the index's to tell.
                    None => {}
                }
                self.recover_undo(*identity, undo.as_deref(), at_us);
            }
            Fact::Tombstone { .. } if self.has_planted(Planted::TombstoneForgotten) => {}
            Fact::Tombstone { identity, .. } => {
                let _ = self.memory.insert(Entry::new(*identity, at_us, State::Tombstone));
            }
            Fact::Advised(advice) => self.recover_advice(advice, at_us),
            Fact::ReversalDone { issuer, stan } => {
                if let Some(saf) = self.saf.get_mut(issuer.index()) {
                    saf.remove(*stan);
                }
            }
            Fact::ReversalParked { issuer, stan } if self.has_planted(Planted::ParkedForgotten) => {
                if let Some(saf) = self.saf.get_mut(issuer.index()) {
                    saf.remove(*stan);
                }
            }
            Fact::ReversalParked { issuer, stan } => {
                if let Some(saf) = self.saf.get_mut(issuer.index()) {
                    saf.park(*stan);
                }
            }
            Fact::ReversalReleased { issuer, stan } => {
                if let Some(saf) = self.saf.get_mut(issuer.index()) {
                    saf.release(*stan, false, at_us);
                }
            }
            // As when it was written down: it pushes nothing out that is not old.
            Fact::Declined { outcome, .. }
                if outcome.decline_reason().is_some_and(DeclineReason::is_lasting)
                    && self.memory.is_pressed(at_us) => {}
            Fact::Declined { asked, outcome } => self.recover_ended_here(asked, *outcome, at_us),
            Fact::Judged { .. } if self.has_planted(Planted::ClaimForgotten) => {}
            Fact::Judged { account, program, question, is_right, .. } => {
                let Some(card) = self.cards.by_hash(*account) else { return };
                if *is_right {
                    // It was claimed, or nothing would have been written down: whatever today's programs and limits are.
                    question.claim(card);
                } else if let Some(program) = self.tables.program_counting(*program, question) {
                    // It was not blocked then.
                    let is_blocked = core::mem::take(&mut card.is_blocked);
                    // What it says of the request was said in its own fact.
                    let _ = program.as_program().judged(question, false, card, at_us);
                    card.is_blocked |= is_blocked;
                }
            }
            Fact::Provisioned(provision) => {
                // It was possible then; where it is no more (a bound was lowered), there is no one to tell.
                let _ = self.changed(provision, at_us);
            }
            Fact::Late { undo, .. } => {
                if let Some(undo) = undo.as_deref() {
                    self.recover_undo(undo.sent.asked.identity, Some(undo), at_us);
                    // It is undone once more: another approval to the same leg answers nothing.
                    if let Some(issuer) = self.issuers.get_mut(undo.sent.to.issuer.index()) {
                        issuer.end_leg(&undo.sent);
                    }
                }
            }
        }
    }

    /// Identities that this shard is home to, whose accounts live on others: which wrote facts about them, and when.
    pub fn recover_elsewhere(&mut self, told: impl Iterator<Item = (Identity, ShardId, u64)>) {
        for (identity, home, at_us) in told {
            self.memory.restore_elsewhere(identity, home, at_us);
        }
        self.memory.index_restored();
    }

    fn recover_intent(&mut self, sent: &Sent, at_us: u64) {
        let asked = &sent.asked;
        let entry = Entry {
            fingerprint: Fingerprint { track: None, ..asked.fingerprint },
            sent: Some(*sent),
            ..Entry::new(asked.identity, at_us, State::InDoubt)
        };
        let place = match self.memory.find(asked.identity, at_us) {
            Some(place) => {
                self.memory.replace(place, entry);
                Some(place)
            }
            None => self.memory.insert(entry).ok(),
        };
        if let (Some(place), Some(issuer)) = (place, self.issuers.get_mut(sent.to.issuer.index())) {
            issuer.restore_leg(sent, LegState::TimedOut(place));
            // Facts come in the order in which numbers were taken.
            issuer.past_stan(sent.stan);
        }
    }

    fn recover_end(&mut self, identity: Identity, outcome: Outcome, at_us: u64) {
        let Some(place) = self.memory.find(identity, at_us) else { return };
        let sent = self.memory.sent(place);
        let put_off = sent.is_some_and(|sent| put_off(sent.asked.class, outcome));
        self.memory.conclude(place, if put_off { State::Forgotten } else { State::Ended(outcome) });
        // A valid answer came: another one to the same leg answers nothing.
        let answered =
            outcome.is_approved() || outcome.decline_reason() == Some(DeclineReason::IssuerDeclined);
        if let Some(sent) = sent.filter(|_| answered)
            && let Some(issuer) = self.issuers.get_mut(sent.to.issuer.index())
        {
            issuer.restore_leg(&sent, LegState::Answered);
            if is_planted(&self.tables, Planted::StanGoesBack) {
                issuer.past_stan(sent.stan);
            }
        }
    }

    fn recover_advice(&mut self, advice: &Advice, at_us: u64) {
        let (sent, asked) = (advice.sent, advice.sent.asked);
        self.recover_ended_here(&asked, advice.outcome, at_us);
        if let Some(place) = self.memory.find(asked.identity, at_us) {
            self.memory.send(place, &sent);
        }
        if advice.is_stand_in() && !self.has_planted(Planted::CapForgotten) {
            self.count_stand_in(advice, at_us);
        }
        if let Some(issuer) = self.issuers.get_mut(sent.to.issuer.index()) {
            issuer.past_stan(sent.stan);
        }
        if let Some(saf) = self.saf.get_mut(sent.to.issuer.index()) {
            saf.add(Stored::Advice(advice.clone()), None, at_us);
        }
    }

    fn recover_ended_here(&mut self, asked: &Asked, outcome: Outcome, at_us: u64) {
        let entry = Entry {
            fingerprint: Fingerprint { track: None, ..asked.fingerprint },
            ..Entry::new(asked.identity, at_us, State::Ended(outcome))
        };
        match self.memory.find(asked.identity, at_us) {
            Some(place) => self.memory.replace(place, entry),
            None => drop(self.memory.insert(entry)),
        }
    }

    fn recover_undo(&mut self, identity: Identity, undo: Option<&Reversal>, at_us: u64) {
        let Some(reversal) = undo else { return };
        let behind =
            self.memory.find(identity, at_us).and_then(|place| self.memory.undone_by(place, reversal));
        let issuer = reversal.sent.to.issuer.index();
        if let Some(issuer) = self.issuers.get_mut(issuer) {
            issuer.past_stan(reversal.stan);
        }
        if let Some(saf) = self.saf.get_mut(issuer) {
            saf.add(Stored::Reversal(reversal.clone()), behind, at_us);
        }
    }

    /// All facts were read: what is in doubt ends as if its issuer had not answered, and every reversal that goes out
    /// from here on may be the second of its kind.
    pub(crate) fn recovered(&mut self, now: Now, out: &mut Effects) {
        for saf in &mut self.saf {
            saf.all_are_repeats();
        }
        let in_doubt: Vec<u32> = self.memory.in_doubt();
        for place in in_doubt {
            let Some(sent) = self.memory.sent(place) else { continue };
            let reason = DeclineReason::IssuerTimedOut;
            let outcome = Outcome::declined(reason, self.tables.response_code(sent.asked.acquirer, reason));
            let mut undo = self.reversal_of(&sent, Why::TimedOut, 0, None, now);
            if let Some(undo) = &mut undo {
                undo.is_repeat = true;
            }
            let undo = undo.filter(|_| !self.has_planted(Planted::DoubtNotUndone));
            out.facts.push(Fact::Timeout { identity: sent.asked.identity, outcome, undo: undo.clone() });
            let end =
                if put_off(sent.asked.class, outcome) { State::Forgotten } else { State::Ended(outcome) };
            self.memory.conclude(place, end);
            if let Some(undo) = undo {
                self.keep_reversal(place, &undo, now, out);
            }
        }
    }

    /// Which issuers have something stored that they have not acknowledged.
    pub fn issuers_with_stored(&self) -> impl Iterator<Item = IssuerId> + '_ {
        (0_u16..).map(IssuerId).zip(&self.saf).filter(|(_, saf)| saf.depth().waiting > 0).map(|(id, _)| id)
    }

    /// Whether something with this trace number is stored for an issuer.
    #[must_use]
    pub fn has_stored(&self, issuer: IssuerId, stan: Stan) -> bool {
        self.saf.get(issuer.index()).is_some_and(|saf| saf.has(stan))
    }
}

/// An advice that did not arrive must be able to come again and be delivered.
pub(crate) fn put_off(class: Class, outcome: Outcome) -> bool {
    let by_issuer = outcome.decline_reason() == Some(DeclineReason::IssuerDeclined);
    class.is_advice() && !outcome.is_approved() && !by_issuer
}
