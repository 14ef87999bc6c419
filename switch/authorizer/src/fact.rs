//! What must be durable before anything that follows from it is seen (the switch stores facts, not inputs:
//! an upgrade must not decide history anew).
//!
//! No fact holds a track, a code, a PIN block or a card number in the clear; where a card number is needed
//! later the journal will hold it encrypted, made from the request's raw message when the fact is written.

use codecs::value::{Amount, Stan};

use crate::decision::Outcome;
use crate::event::{AcquirerId, IssuerId, IssuerLink, Ticket};
use crate::programs::Question;
use crate::request::{Class, Fingerprint, Identity};

/// One fact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fact {
    /// The request will be sent to an issuer: from here on it has an outcome or a reversal.
    Intent {
        /// Which request.
        identity: Identity,
        /// What it says.
        fingerprint: Fingerprint,
        /// Its raw message, from which the journal takes the encrypted card number.
        ticket: Ticket,
        /// Who asked.
        acquirer: AcquirerId,
        /// What kind of request.
        class: Class,
        /// How much.
        amount: Amount,
        /// Whom we ask.
        to: IssuerLink,
        /// Our trace number there.
        stan: Stan,
    },
    /// The issuer answered; an approval is the commit point.
    Result {
        /// Which request.
        identity: Identity,
        /// What is told.
        outcome: Outcome,
    },
    /// The request ended without a valid answer: by time, by a lost link, by an invalid answer.
    Timeout {
        /// Which request.
        identity: Identity,
        /// Who was asked.
        issuer: IssuerId,
        /// Our trace number there.
        stan: Stan,
        /// What is told.
        outcome: Outcome,
    },
    /// The issuer approved, but no link of the acquirer is up to tell it.
    Undeliverable {
        /// Which request.
        identity: Identity,
        /// Who was asked.
        issuer: IssuerId,
        /// Our trace number there.
        stan: Stan,
        /// What any repeat is told.
        outcome: Outcome,
    },
    /// Declined here, before any issuer was asked.
    Declined {
        /// Which request.
        identity: Identity,
        /// What it says.
        fingerprint: Fingerprint,
        /// Who asked.
        acquirer: AcquirerId,
        /// What is told.
        outcome: Outcome,
    },
    /// A code was right, and what it may be used for once is used.
    Claimed {
        /// By which request.
        identity: Identity,
        /// What was proven.
        question: Question,
    },
    /// A code was wrong, and one try is gone.
    Tried {
        /// By which request.
        identity: Identity,
        /// What was not proven.
        question: Question,
    },
    /// An answer came after its request had ended.
    Late {
        /// Who answered.
        issuer: IssuerId,
        /// To which of our trace numbers.
        stan: Stan,
        /// Whether it was an approval, which then stands at the issuer.
        approved: bool,
    },
}
