//! What became of one identity, told from its facts alone: how an index of the journal knows it when memory has
//! forgotten it. It says of each identity what [`crate::recovery`] would have put into memory.

use crate::decision::Outcome;
use crate::fact::Fact;
use crate::memory::{Entry, State, Undo};
use crate::recovery::put_off;
use crate::request::{Asked, Fingerprint, Identity};
use crate::saf::Reversal;
use crate::transaction::Sent;

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
                Some(known) => left(known, *left_minor),
                // It waited for the token, and no issuer was to be asked yet.
                None => Entry::new(*identity, at_us, State::Undone),
            };
            Some(undone_by(known, undo.as_deref()))
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
