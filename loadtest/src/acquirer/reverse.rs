//! What was not answered in time is undone: a reversal (0420), repeated (0421) until it is acknowledged.
//!
//! Reversals are no part of the schedule and of no latency. They have STANs of their own, from the upper end down, so
//! that those of the payments still follow from their numbers; their RRN is that of the payment.

use std::collections::VecDeque;

use super::answer::Answer;
use super::fleet::Fleet;
use super::pending::{Pending, State};
use crate::clock::Stamp;
use crate::mix::PAN_DIGITS_MAX;
use crate::profile::Reversals;
use crate::respond;
use crate::template::{Content, OriginalKey};

/// The highest STAN.
const STAN_MAX: u32 = 999_999;
/// Acknowledged reversals whose acknowledgement may come once more.
const REMEMBERED: usize = 1024;

/// One worker's reversals.
#[derive(Debug)]
pub(super) struct Desk {
    settings: Reversals,
    /// Sent messages in the order in which their patience ends, and when it does.
    watched: VecDeque<(u64, u64)>,
    open: Vec<Open>,
    /// STANs of reversals that were answered, the newest last.
    closed: VecDeque<u32>,
    next_stan: u32,
    /// Workers take STANs in turn.
    stride: u32,
}

/// A reversal that is not acknowledged.
#[derive(Clone, Copy, Debug)]
struct Open {
    stan: u32,
    original: Pending,
    /// Times that it was sent.
    tries: u32,
    due_ns: u64,
}

impl Desk {
    pub(super) fn new(settings: Reversals, worker: u64, workers: u64) -> Desk {
        Desk {
            settings,
            watched: VecDeque::new(),
            open: Vec::new(),
            closed: VecDeque::new(),
            next_stan: STAN_MAX - worker as u32,
            stride: workers as u32,
        }
    }

    /// Notes when the patience with a message ends.
    pub(super) fn watch(&mut self, number: u64, until_ns: u64) {
        self.watched.push_back((until_ns, number));
    }

    fn take_stan(&mut self) -> u32 {
        let stan = self.next_stan;
        self.next_stan = stan.checked_sub(self.stride).filter(|next| *next > 0).unwrap_or(STAN_MAX);
        stan
    }
}

impl Fleet {
    /// Begins the reversals that are due and repeats those that nobody acknowledged.
    pub(super) fn reverse_due(&mut self, now_ns: u64) {
        let Some(mut desk) = self.reversals.take() else { return };
        while let Some(&(until_ns, number)) = desk.watched.front()
            && until_ns <= now_ns
        {
            desk.watched.pop_front();
            if let Some(original) = self.unanswered(number) {
                let stan = desk.take_stan();
                self.tally.reversals.sent += 1;
                desk.open.push(Open { stan, original, tries: 0, due_ns: now_ns });
            }
        }
        let every_ns = desk.settings.every.as_nanos() as u64;
        for open in desk.open.iter_mut().filter(|open| open.due_ns <= now_ns) {
            if open.tries <= desk.settings.repeats && self.send_reversal(open, now_ns) {
                self.tally.reversals.repeats += u64::from(open.tries > 0);
                open.tries += 1;
            }
            open.due_ns = now_ns + every_ns;
        }
        self.reversals = Some(desk);
        self.flush();
    }

    /// A message that has no answer and can be undone. Repeats are undone with their originals, advices never.
    fn unanswered(&mut self, number: u64) -> Option<Pending> {
        let ordinal = self.keys.ordinal(number)?;
        let pending = *self.ring.get_mut(ordinal, number)?;
        let message = self.mix.cases()[usize::from(pending.first)].message.as_ref()?;
        let waits = pending.state == State::Sent && !pending.repeat;
        (waits && message.reversal.is_some()).then_some(pending)
    }

    /// Renders a reversal into the next link's output; says whether there was one.
    fn send_reversal(&mut self, open: &Open, now_ns: u64) -> bool {
        let Ok(link) = self.choose_link() else { return false };
        self.touch(link);
        let original = &open.original;
        let Some(message) = &self.mix.cases()[usize::from(original.first)].message else { return false };
        let Some(reversal) = &message.reversal else { return false };
        let mut digits = [0; PAN_DIGITS_MAX];
        let card = self.mix.draw(original.number).card;
        let length = self.mix.pan(message, (card, original.code()), &mut digits);
        let stamp = Stamp::of(self.clock.unix_second(now_ns));
        let [version, class, function, origin] = message.response_mti;
        let content = Content {
            stan: open.stan,
            rrn: self.keys.rrn(original.number),
            stamp: &stamp,
            pan: &digits[..length],
            amount: original.amount,
            terminal: original.terminal,
            repeat: open.tries > 0,
            original: Some(OriginalKey {
                mti: [version, class, function - 1, origin],
                stan: self.keys.stan(original.number),
                stamp: Stamp::of(self.clock.unix_second(original.planned_ns)),
            }),
            discretionary: None,
        };
        reversal.fill(&content, &mut self.links[link].bytes);
        true
    }

    /// Takes the answer to a reversal.
    pub(super) fn settle_reversal(&mut self, answer: &Answer) {
        let Some(desk) = &mut self.reversals else {
            self.tally.unmatched += 1;
            return;
        };
        let at = desk.open.iter().position(|open| open.tries > 0 && Some(open.stan) == answer.stan);
        let Some(at) = at else {
            let known = answer.stan.is_some_and(|stan| desk.closed.contains(&stan));
            *(if known { &mut self.tally.duplicate } else { &mut self.tally.unmatched }) += 1;
            return;
        };
        let open = desk.open.swap_remove(at);
        if desk.closed.len() == REMEMBERED {
            desk.closed.pop_front();
        }
        desk.closed.push_back(open.stan);
        let version = self.dialect.version;
        let accepted = [respond::reversal_accepted(version), respond::approved(version)];
        if answer.code.is_some_and(|code| accepted.contains(&code)) {
            self.tally.reversals.acknowledged += 1;
        } else {
            self.tally.reversals.refused += 1;
        }
    }

    /// Whether nothing is waited for: every message answered, or given up and undone.
    pub(super) fn is_settled(&self) -> bool {
        match &self.reversals {
            None => self.ring.open() == 0,
            Some(desk) => desk.open.is_empty() && (self.ring.open() == 0 || desk.watched.is_empty()),
        }
    }

    /// Counts what is still open at the end of a run.
    pub(super) fn close_reversals(&mut self) {
        self.tally.reversals.open = self.reversals.as_ref().map_or(0, |desk| desk.open.len() as u64);
    }
}
