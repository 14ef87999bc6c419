//! The closed list of what can be asked of the edge, in two classes.
//!
//! *Visible* effects reach an acquirer or an issuer, or must keep their order with those that do. They wait
//! until every fact decided before them is durable, even one decided for another request: a repeat may
//! quote a result that is not on the disk yet. *Free* effects promise nothing and leave at once.

use alloc::boxed::Box;
use alloc::vec::Vec;

use codecs::value::{Pan, Stan};

use crate::cards::{AccountHash, Funding, Refused};
use crate::decision::Outcome;
use crate::event::{AcquirerLink, IssuerLink, ShardId, Ticket};
use crate::fact::Fact;
use crate::late::ForgottenLeg;
use crate::programs::{ProgramId, Question};
use crate::provision::{Asker, Told};
use crate::request::{Answer, Identity};
use crate::saf::Delivery;
use crate::verify::ProofId;

/// What the edge is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send the request to an issuer under our own trace number.
    Forward {
        /// The request's raw message.
        ticket: Ticket,
        /// Over which link.
        to: IssuerLink,
        /// DE 11 as the issuer sees it.
        stan: Stan,
        /// The card that pays, where the request bears a proxy: the issuer sees nothing of the proxy.
        funding: Option<Funding>,
    },
    /// Send what is stored for an issuer.
    Deliver(Box<Delivery>),
    /// Ask the token about the code in a request's track.
    Ask {
        /// Whose answer it will be.
        proof: ProofId,
        /// The request's raw message, which holds the code.
        ticket: Ticket,
        /// Which program asks: its key and layout.
        program: ProgramId,
        /// What is asked.
        question: Question,
    },
    /// Draw a new challenge for a card.
    Challenge {
        /// Whose settings say how long it lives.
        program: ProgramId,
        /// The hash of the card's number.
        account: AccountHash,
        /// The card.
        pan: Pan,
    },
    /// Answer a request. The edge releases both raw messages afterwards.
    Reply(Reply),
    /// A raw message is not needed any more.
    Release(Ticket),
    /// Ask the index of the journal what became of an identity that memory may have forgotten: the request's own, or
    /// that of what it undoes. Visible: what was decided before must be there to be found.
    Recall {
        /// The request's raw message, which waits.
        ticket: Ticket,
        /// Which identity.
        identity: Identity,
        /// All that memory does not know had ended by this moment, monotonic microseconds.
        ended_by_us: u64,
    },
    /// Ask the index what an issuer was asked by a leg that was approved late, where memory has forgotten it. Nobody waits.
    /// Visible, for the same reason.
    RecallLeg(ForgottenLeg),
    /// An operator must know of this late approval: what it approves could not be told, so that it was not undone.
    LeftStanding(Box<Answer>),
    /// The account of this request lives on another shard.
    Hand {
        /// The request's raw message, which goes along.
        ticket: Ticket,
        /// The account's home.
        to: ShardId,
    },
}

/// An answer to an acquirer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reply {
    /// The request's raw message, whose own identifying elements the answer carries.
    pub ticket: Ticket,
    /// The connection to use.
    pub link: AcquirerLink,
    /// What is told.
    pub outcome: Outcome,
    /// The issuer's raw message, whose other elements go along; `None` when the answer is made here.
    pub answer: Option<Ticket>,
    /// The card that the issuer was asked under, where the acquirer must not see it.
    pub funding: Option<Pan>,
    /// Microseconds that were spent waiting for the issuer, for the switch's own share of the time.
    pub issuer_us: u64,
}

/// What one turn asks for: facts to be made durable, effects that wait for them, effects that do not.
#[derive(Debug, Default)]
pub struct Effects {
    /// To be appended to the journal, in this order.
    pub facts: Vec<Fact>,
    /// To be performed, in this order, once the facts are durable.
    pub visible: Vec<Effect>,
    /// To be performed at once.
    pub free: Vec<Effect>,
    /// What those are told who changed cards, or looked at what was set aside.
    pub told: Vec<(Asker, Result<Told, Refused>)>,
}

impl Effects {
    /// Forgets everything; keeps the memory.
    pub fn clear(&mut self) {
        self.facts.clear();
        self.visible.clear();
        self.free.clear();
        self.told.clear();
    }
}
