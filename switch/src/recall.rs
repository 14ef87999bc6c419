//! A request waits for the index of the journal: what it undoes or repeats was forgotten here.

use authorizer::event::{Event, Ticket};
use authorizer::recall::{Known, Recalled};
use authorizer::request::Identity;

use crate::edge::Edge;
use crate::journal::Question;

impl Edge {
    /// Asks for a request that waits. What has no room among the questions is not said.
    pub(crate) fn recall(&self, ticket: Ticket, identity: Identity, ended_by_us: u64) {
        let question = Question { shard: self.shard, ticket, identity, ended_by_us };
        if self.setup.recalls.ask(question).is_err() {
            self.recalled(ticket, Known::Unsaid);
        }
    }

    /// The index has answered: the request is read again.
    pub(crate) fn recalled(&self, ticket: Ticket, known: Known) {
        match self.read_request(ticket) {
            Some(request) => self.happened(|| Event::Recalled(Box::new(Recalled { request, known }))),
            None => self.release(ticket),
        }
    }
}
