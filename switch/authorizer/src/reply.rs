//! A transaction ends: its outcome becomes a fact, is remembered for repeats, and is told.

use alloc::boxed::Box;

use codecs::value::ApprovalCode;

use crate::Authorizer;
use crate::counters::{add_at, add_one};
use crate::decision::{DeclineReason, Outcome, Verdict};
use crate::effect::{Effect, Effects, Reply};
use crate::event::{AcquirerId, Now, Ticket};
use crate::fact::Fact;
use crate::issuer::LegState;
use crate::memory::State;
use crate::planted::Planted;
use crate::recovery;
use crate::request::Answer;
use crate::saf::{Reversal, Why};
use crate::transaction::{Transaction, TransactionId};

impl Authorizer {
    /// Every transaction whose deadline has passed ends without an answer.
    pub(crate) fn expired(&mut self, now: Now, out: &mut Effects) {
        self.proofs_expired(now.monotonic_us, now, out);
        while let Some(id) = self.deadlines.due(now.monotonic_us, &self.transactions) {
            self.timed_out(id, now, out);
        }
        self.deliveries_expired(now, out);
    }

    /// The switch stops and can wait no longer: everything that runs ends without an answer.
    pub(crate) fn stopped(&mut self, now: Now, out: &mut Effects) {
        self.proofs_expired(u64::MAX, now, out);
        while let Some(id) = self.deadlines.due(u64::MAX, &self.transactions) {
            self.timed_out(id, now, out);
        }
        self.late_stopped(out);
    }

    /// The issuer did not answer in time, or its link was lost with the request on it.
    pub(crate) fn timed_out(&mut self, id: TransactionId, now: Now, out: &mut Effects) {
        let Some(transaction) = self.transactions.get(id) else { return };
        let end = LegState::TimedOut(transaction.memory);
        self.conclude_without_answer(id, DeclineReason::IssuerTimedOut, end, now, out);
    }

    /// The issuer was asked and may have approved, but no valid answer is there: what it did is unknown, and
    /// unknown means no.
    pub(crate) fn conclude_without_answer(
        &mut self,
        id: TransactionId,
        reason: DeclineReason,
        end: LegState,
        now: Now,
        out: &mut Effects,
    ) {
        let Some(transaction) = self.close(id, end) else { return };
        let outcome = Outcome::declined(reason, self.tables.response_code(transaction.acquirer, reason));
        if reason == DeclineReason::IssuerTimedOut {
            self.counters.issuer(transaction.to.issuer, |issuer| add_one(&mut issuer.timed_out));
        }
        let why = if reason == DeclineReason::InvalidAnswer { Why::InvalidAnswer } else { Why::TimedOut };
        let undo = self.undo_running(&transaction, why, None, now);
        let left_out = match why {
            Why::InvalidAnswer => self.has_planted(Planted::InvalidNotUndone),
            _ => self.has_planted(Planted::TimeoutNotUndone),
        };
        let undo = undo.filter(|_| !left_out);
        out.facts.push(Fact::Timeout { identity: transaction.identity, outcome, undo: undo.clone() });
        self.told(&transaction, outcome, None, now, out);
        if let Some(undo) = undo {
            self.keep_reversal(transaction.memory, &undo, now, out);
        }
    }

    /// The request never reached an issuer, and now none can be asked.
    pub(crate) fn conclude_unsent(
        &mut self,
        id: TransactionId,
        reason: DeclineReason,
        now: Now,
        out: &mut Effects,
    ) {
        self.deadlines.remove(id, &mut self.transactions);
        let Some(transaction) = self.transactions.remove(id) else { return };
        let outcome = Outcome::declined(reason, self.tables.response_code(transaction.acquirer, reason));
        out.facts.push(Fact::Result { identity: transaction.identity, outcome });
        self.told(&transaction, outcome, None, now, out);
    }

    /// A valid answer came: the commit point, if it approves.
    pub(crate) fn replied(
        &mut self,
        transaction: &Transaction,
        outcome: Outcome,
        answer: Option<Ticket>,
        now: Now,
        out: &mut Effects,
    ) {
        if !self.has_planted(Planted::NoResult) {
            out.facts.push(Fact::Result { identity: transaction.identity, outcome });
        }
        self.told(transaction, outcome, answer, now, out);
    }

    /// The issuer approved, but the acquirer has no link to hear it: it will repeat and be told no.
    pub(crate) fn undeliverable(
        &mut self,
        transaction: &Transaction,
        answer: &Answer,
        now: Now,
        out: &mut Effects,
    ) {
        let reason = DeclineReason::IssuerTimedOut;
        let outcome = Outcome::declined(reason, self.tables.response_code(transaction.acquirer, reason));
        let undo = self.undo_running(transaction, Why::Undeliverable, answer.approval_code, now);
        let undo = undo.filter(|_| !self.has_planted(Planted::UndeliverableNotUndone));
        out.facts.push(Fact::Timeout { identity: transaction.identity, outcome, undo: undo.clone() });
        self.remember(transaction, outcome);
        self.counters.acquirer(transaction.acquirer, |acquirer| add_one(&mut acquirer.undeliverable));
        out.visible.push(Effect::Release(transaction.ticket));
        out.visible.push(Effect::Release(answer.ticket));
        if let Some(undo) = undo {
            self.keep_reversal(transaction.memory, &undo, now, out);
        }
    }

    fn undo_running(
        &mut self,
        transaction: &Transaction,
        why: Why,
        approval_code: Option<ApprovalCode>,
        now: Now,
    ) -> Option<Box<Reversal>> {
        let sent = self.memory.sent(transaction.memory)?;
        self.reversal_of(&sent, why, 0, approval_code, now)
    }

    /// Remembers the outcome and tells it, over the connection that asked last or another of the same
    /// acquirer.
    fn told(
        &mut self,
        transaction: &Transaction,
        outcome: Outcome,
        answer: Option<Ticket>,
        now: Now,
        out: &mut Effects,
    ) {
        self.remember(transaction, outcome);
        self.count_outcome(transaction.acquirer, &outcome);
        if outcome.is_approved() {
            let amount = transaction.amount;
            let minor = outcome.approved_minor.unwrap_or(amount.minor());
            self.counters.approved(minor, amount.currency());
        }
        let deliverable = self.live.deliverable(transaction.link, transaction.acquirer);
        let elsewhere = AcquirerId(1_u16.saturating_sub(transaction.acquirer.0));
        let mistaken =
            self.has_planted(Planted::OtherAcquirer).then(|| self.live.newest_of(elsewhere)).flatten();
        let Some(link) = mistaken.or(deliverable) else {
            self.counters.acquirer(transaction.acquirer, |acquirer| add_one(&mut acquirer.undeliverable));
            out.visible.push(Effect::Release(transaction.ticket));
            out.visible.extend(answer.map(Effect::Release));
            return;
        };
        out.visible.push(Effect::Reply(Reply {
            ticket: transaction.ticket,
            link,
            outcome,
            answer,
            funding: transaction.funding.map(|funding| funding.pan),
            issuer_us: now.monotonic_us.saturating_sub(transaction.forwarded_us),
        }));
    }

    fn remember(&mut self, transaction: &Transaction, outcome: Outcome) {
        let state = if recovery::put_off(transaction.class, outcome) {
            State::Forgotten
        } else {
            State::Ended(outcome)
        };
        self.memory.conclude(transaction.memory, state);
    }

    pub(crate) fn count_outcome(&mut self, acquirer: AcquirerId, outcome: &Outcome) {
        self.counters.acquirer(acquirer, |counters| match outcome.verdict {
            Verdict::Approved => add_one(&mut counters.approved),
            Verdict::Taken => add_one(&mut counters.reversals),
            Verdict::Declined(reason) => add_at(&mut counters.declined, reason.index()),
        });
    }
}
