//! One request in the index: what the facts have said of it since it was read or begun.

use authorizer::decision::{Outcome, Verdict};
use authorizer::event::{AcquirerId, ShardId};
use authorizer::fact::Fact;
use authorizer::memory::{Entry, State};
use authorizer::recall;
use authorizer::request::Asked;
use authorizer::saf::{Reversal, Why};
use authorizer::transaction::Sent;

use super::lookup::Found;
use crate::journal::record::CardToken;

/// A row that changes.
#[derive(Default)]
pub(super) struct Row {
    entry: Option<Entry>,
    /// It is in the file already.
    is_there: bool,
    /// Nothing, where the file says it.
    pub(super) begun: Option<Begun>,
    pub(super) asked: Option<Asked>,
    pub(super) acquirer: Option<AcquirerId>,
    pub(super) is_stood_in: bool,
    /// What was told, where this process read it: a reversal takes it out of the entry.
    pub(super) outcome: Option<Outcome>,
    pub(super) ended_us: Option<u64>,
    /// The newest that its issuer is told of it.
    pub(super) told: Option<Told>,
    is_timed_out: bool,
}

/// Where the journal begins with it.
pub(super) struct Begun {
    pub(super) shard: ShardId,
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) at_us: u64,
    pub(super) token: Option<CardToken>,
}

/// A reversal or an advice.
pub(super) struct Told {
    pub(super) stan: u32,
    pub(super) why: &'static str,
}

impl Row {
    /// As the file has it.
    pub(super) fn of(found: Option<Found>) -> Self {
        let Some(found) = found else { return Self::default() };
        Self { entry: found.entry, is_there: true, is_timed_out: found.is_timed_out, ..Self::default() }
    }

    /// As a snapshot has it.
    pub(super) fn of_snapshot(entry: Entry, begun: Begun) -> Self {
        let asked = entry.sent.map(|sent| sent.asked);
        Self {
            asked,
            acquirer: asked.map(|asked| asked.acquirer),
            is_stood_in: entry.is_stood_in(),
            outcome: outcome_of(&entry),
            told: entry.undo.map(|undo| Told { stan: undo.stan.number(), why: undo.why.name() }),
            is_timed_out: entry.undo.is_some_and(|undo| undo.why != Why::Acquirer),
            entry: Some(entry),
            begun: Some(begun),
            ..Self::default()
        }
    }

    /// Whether nothing that was there before counts any more.
    pub(super) fn begins(fact: &Fact) -> bool {
        matches!(fact, Fact::Intent(_) | Fact::Declined { .. } | Fact::Advised(_) | Fact::Tombstone { .. })
    }

    /// Takes a fact about it; `here` is where the fact stands.
    pub(super) fn take(&mut self, fact: &Fact, here: Begun) {
        let at_us = here.at_us;
        if Self::begins(fact) || !(self.is_there || self.begun.is_some()) {
            *self = Self { begun: Some(here), ..Self::default() };
        }
        self.entry = recall::after(self.entry.take(), fact, at_us);
        self.outcome = self.entry.as_ref().and_then(outcome_of).or(self.outcome);
        match fact {
            Fact::Intent(sent) => self.ask(&sent.asked),
            Fact::Declined { asked, .. } => {
                self.ask(asked);
                self.ended_us = Some(at_us);
            }
            Fact::Advised(advice) => {
                self.ask(&advice.sent.asked);
                self.ended_us = Some(at_us);
                self.is_stood_in = advice.is_stand_in();
                self.told = Some(Told { stan: advice.sent.stan.number(), why: "advice" });
            }
            Fact::Tombstone { acquirer, .. } => self.acquirer = Some(*acquirer),
            Fact::Result { .. } => self.ended_us = Some(at_us),
            Fact::Timeout { undo, .. } => {
                self.ended_us = Some(at_us);
                self.is_timed_out = true;
                self.undo(undo.as_deref());
            }
            Fact::Reversed { undo, .. } => {
                self.ended_us.get_or_insert(at_us);
                self.undo(undo.as_deref());
            }
            Fact::Late { undo, .. } => self.undo(undo.as_deref()),
            _ => {}
        }
    }

    fn ask(&mut self, asked: &Asked) {
        self.asked = Some(*asked);
        self.acquirer = Some(asked.acquirer);
    }

    fn undo(&mut self, undo: Option<&Reversal>) {
        if let Some(undo) = undo {
            self.told = Some(Told { stan: undo.stan.number(), why: undo.why.name() });
        }
    }

    /// What a look-up is told: nothing, where it may come again as if it never had.
    pub(super) fn known(&self) -> Option<&Entry> {
        self.entry.as_ref().filter(|entry| entry.state != State::Forgotten)
    }

    pub(super) fn sent(&self) -> Option<Sent> {
        self.entry?.sent
    }

    pub(super) fn left_minor(&self) -> Option<u64> {
        self.entry?.left_minor
    }

    pub(super) fn reason(&self) -> Option<&'static str> {
        match self.outcome?.verdict {
            Verdict::Declined(reason) => Some(reason.name()),
            Verdict::Approved | Verdict::Taken => None,
        }
    }

    /// As `signalbox export` calls it.
    pub(super) fn state(&self) -> &'static str {
        let Some(entry) = &self.entry else { return "in_doubt" };
        match entry.state {
            State::Tombstone => "tombstone",
            State::Undone => "reversed",
            State::Ended(_) if entry.left_minor.is_some() => "partly_reversed",
            State::Ended(_) | State::Forgotten if self.is_timed_out => "timed_out",
            State::Ended(outcome) => match outcome.verdict {
                Verdict::Approved => "approved",
                Verdict::Taken => "advised",
                Verdict::Declined(_) => "declined",
            },
            _ => "in_doubt",
        }
    }
}

fn outcome_of(entry: &Entry) -> Option<Outcome> {
    match entry.state {
        State::Ended(outcome) => Some(outcome),
        _ => None,
    }
}
