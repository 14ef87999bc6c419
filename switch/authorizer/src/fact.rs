//! What must be durable before anything that follows from it is seen (the switch stores facts, not inputs:
//! an upgrade must not decide history anew).
//!
//! No fact holds a track, a code or a PIN block. The card numbers in [`Sent`], [`Reversal`], [`Advice`] and
//! [`Provision`] are written down encrypted only.

use alloc::boxed::Box;

use codecs::value::Stan;

use crate::advice::Advice;
use crate::cards::AccountHash;
use crate::decision::Outcome;
use crate::event::{AcquirerId, IssuerId};
use crate::programs::{ProgramId, Question};
use crate::provision::Provision;
use crate::request::{Asked, Identity};
use crate::saf::Reversal;
use crate::transaction::Sent;

/// One fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The request will be sent to an issuer: from here on it has an outcome or a reversal. A second one of the same
    /// request takes the place of the first, of which nothing was sent.
    Intent(Sent),
    /// The issuer answered; an approval is the commit point.
    Result {
        /// Which request.
        identity: Identity,
        /// What is told.
        outcome: Outcome,
    },
    /// The request ended without a valid answer, or with an approval that nobody was there to hear, and what the
    /// issuer may have done is undone.
    Timeout {
        /// Which request.
        identity: Identity,
        /// What any repeat is told.
        outcome: Outcome,
        /// What its issuer is told, where it may have approved.
        undo: Option<Box<Reversal>>,
    },
    /// The acquirer undid a request, whole or in part, whatever had become of it.
    Reversed {
        /// Which request.
        identity: Identity,
        /// What stays valid of an approval, minor units: nothing, where it is undone whole.
        left_minor: u64,
        /// What its issuer is told, where it may have approved.
        undo: Option<Box<Reversal>>,
    },
    /// The acquirer undid a request that was never seen: if it comes, it is refused.
    Tombstone {
        /// Which request.
        identity: Identity,
        /// Whose.
        acquirer: AcquirerId,
    },
    /// The acquirer told what became of a payment, or the switch approved one for its issuer: what was told, and what
    /// the issuer must be told, in one.
    Advised(Box<Advice>),
    /// An issuer has acknowledged a reversal or an advice.
    ReversalDone {
        /// Which issuer.
        issuer: IssuerId,
        /// The message's trace number.
        stan: Stan,
    },
    /// An issuer will not take a reversal or an advice: an operator must look.
    ReversalParked {
        /// Which issuer.
        issuer: IssuerId,
        /// The message's trace number.
        stan: Stan,
    },
    /// An operator lets a parked reversal or advice go out again.
    ReversalReleased {
        /// Which issuer.
        issuer: IssuerId,
        /// The message's trace number.
        stan: Stan,
    },
    /// Declined here, before any issuer was asked.
    Declined {
        /// Which request.
        asked: Asked,
        /// What is told.
        outcome: Outcome,
    },
    /// A code was right, and what it may be used for once is used; or it was wrong, and one try is gone.
    Judged {
        /// By which request.
        identity: Identity,
        /// Whose card.
        account: AccountHash,
        /// By which program's rules.
        program: ProgramId,
        /// What was proven, or not.
        question: Question,
        /// Whether it was.
        is_right: bool,
    },
    /// A card was changed.
    Provisioned(Box<Provision>),
    /// An answer came after its request had ended.
    Late {
        /// Who answered.
        issuer: IssuerId,
        /// To which of our trace numbers.
        stan: Stan,
        /// Whether it was an approval, which then stood at the issuer.
        approved: bool,
        /// What its issuer is told once more, where an earlier reversal had found nothing to undo.
        undo: Option<Box<Reversal>>,
    },
}
