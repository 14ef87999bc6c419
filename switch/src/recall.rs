//! A request waits for the index of the journal, or a late approval does: what it undoes, repeats or approves was forgotten
//! here.

use authorizer::event::{Event, Ticket};
use authorizer::late::ForgottenLeg;
use authorizer::recall::{Known, Recalled};
use authorizer::request::Identity;

use crate::edge::Edge;
use crate::journal::{Question, Sought};

impl Edge {
    /// Asks for a request that waits. What has no room among the questions is not said.
    pub(crate) fn recall(&self, ticket: Ticket, identity: Identity, ended_by_us: u64) {
        self.ask_index(Sought::Identity { ticket, identity, ended_by_us });
    }

    /// Asks for what was asked by a leg, which was approved late.
    pub(crate) fn recall_leg(&self, leg: ForgottenLeg) {
        self.ask_index(Sought::Leg(leg));
    }

    fn ask_index(&self, sought: Sought) {
        if self.setup.recalls.ask(Question { shard: self.shard, sought }).is_err() {
            self.index_answered(sought, Known::Unsaid);
        }
    }

    /// The index has answered.
    pub(crate) fn index_answered(&self, sought: Sought, known: Known) {
        match sought {
            Sought::Identity { ticket, .. } => self.recalled(ticket, known),
            Sought::Leg(leg) => self.happened(|| Event::RecalledLeg(leg, known)),
        }
    }

    /// The request is read again.
    fn recalled(&self, ticket: Ticket, known: Known) {
        match self.read_request(ticket) {
            Some(request) => self.happened(|| Event::Recalled(Box::new(Recalled { request, known }))),
            None => self.release(ticket),
        }
    }
}
