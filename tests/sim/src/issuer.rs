//! A model issuer: honest in its books, and as rude in its manners as the faults say.

use std::collections::{BTreeMap, BTreeSet};

use authorizer::advice::Advice;
use authorizer::saf::Reversal;

use super::dice::Dice;

/// An approval in the issuer's books.
#[derive(Clone, Copy, Debug)]
pub(super) struct Approval {
    /// Of which payment.
    pub(super) payment: u64,
    /// What of it stands, minor units.
    pub(super) left: u64,
}

/// How the issuer knows a request: our trace number and its moment.
pub(super) type Key = (u32, u64);

/// The books of one issuer.
#[derive(Debug, Default)]
pub(super) struct Issuer {
    /// By the request they answer.
    pub(super) approvals: BTreeMap<Key, Approval>,
    /// Requests it has decided.
    decided: BTreeMap<Key, bool>,
    /// Reversals that came before their original.
    tombstones: BTreeSet<Key>,
    /// How often each payment was asked for as an original.
    pub(super) asked: BTreeMap<u64, u32>,
    /// Messages that it refuses for what they say, by their trace number, and those that somebody has seen to.
    refused: BTreeSet<u32>,
    seen_to: BTreeSet<u32>,
    /// Requests whose reversal it was told before, and forgot.
    forgotten: BTreeSet<Key>,
    /// Until when it takes everything and says nothing.
    pub(super) hole_until_us: u64,
}

impl Issuer {
    /// Whether it had forgotten a reversal of this request.
    pub(super) fn has_forgotten(&self, key: Key) -> bool {
        self.forgotten.contains(&key)
    }

    /// Takes a request and decides it once: the amount it approves, or nothing.
    pub(super) fn take(&mut self, key: Key, payment: u64, wanted: Option<u64>) -> Option<u64> {
        *self.asked.entry(payment).or_default() += 1;
        if self.tombstones.contains(&key) {
            return None;
        }
        self.decided.insert(key, wanted.is_some());
        let left = wanted?;
        self.approvals.insert(key, Approval { payment, left });
        Some(left)
    }

    /// Takes an advice: told twice, booked once, whatever came before.
    pub(super) fn take_advice(&mut self, advice: &Advice, payment: u64) -> &'static [u8; 2] {
        let key = (advice.sent.stan.number(), advice.sent.asked.keys.moment);
        if self.approvals.contains_key(&key) {
            return b"94";
        }
        self.approvals.insert(key, Approval { payment, left: advice.sent.asked.amount.minor() });
        b"00"
    }

    /// Whether it refuses a message for what it says: once it does, until somebody has seen to it.
    pub(super) fn refuses(&mut self, stan: u32, rate: u32, dice: &mut Dice) -> bool {
        if !self.seen_to.contains(&stan) && dice.happens(rate) {
            self.refused.insert(stan);
        }
        self.refused.contains(&stan)
    }

    /// Somebody has seen to it.
    pub(super) fn see_to(&mut self, stan: u32) {
        self.refused.remove(&stan);
        self.seen_to.insert(stan);
    }

    /// Takes a reversal and says what it found.
    pub(super) fn undo(&mut self, reversal: &Reversal, keeps_tombstones: bool) -> &'static [u8; 2] {
        let key = (reversal.sent.stan.number(), reversal.sent.asked.keys.moment);
        if let Some(approval) = self.approvals.get_mut(&key) {
            approval.left = approval.left.min(reversal.left_minor);
            return b"00";
        }
        if !self.decided.contains_key(&key) {
            let into = if keeps_tombstones { &mut self.tombstones } else { &mut self.forgotten };
            into.insert(key);
        }
        b"25"
    }

    /// What stands of a payment, and over how many approvals.
    #[must_use]
    pub(super) fn standing(&self, payment: u64) -> (u64, usize) {
        let of = self.approvals.values().filter(|approval| approval.payment == payment && approval.left > 0);
        of.fold((0, 0), |(sum, count), approval| (sum + approval.left, count + 1))
    }
}
