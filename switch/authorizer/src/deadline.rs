//! Which transactions are due. The deadline belongs to the transaction, not to a stage of it: without that,
//! a request lost between two stages is never answered.
//!
//! Every transaction of one issuer waits equally long from its receipt, so the order of arrival is the order of
//! falling due: one linked list per issuer, threaded through the slab. A request that waited for the token comes
//! a little late and is put before those that overtook it, as is one that came after the wait was made shorter. Otherwise adding, removing and looking at the first
//! cost the same however many wait.

use alloc::vec;
use alloc::vec::Vec;

use crate::transaction::{Timer, TransactionId, Transactions};

/// The lists, by issuer.
#[derive(Debug)]
pub struct Deadlines {
    lists: Vec<List>,
}

#[derive(Clone, Copy, Debug, Default)]
struct List {
    first: Option<TransactionId>,
    last: Option<TransactionId>,
}

impl Deadlines {
    /// One empty list per issuer.
    #[must_use]
    pub fn new(issuers: usize) -> Self {
        Self { lists: vec![List::default(); issuers] }
    }

    /// Puts a transaction behind the others of its list ([`crate::transaction::Transaction::to`]'s issuer) that
    /// fall due no later.
    pub fn push(&mut self, id: TransactionId, transactions: &mut Transactions) {
        let Some(transaction) = transactions.get(id) else { return };
        let (number, deadline_us) = (transaction.to.issuer.0, transaction.deadline_us);
        let Some(list) = self.lists.get_mut(usize::from(number)) else { return };
        let (mut before, mut after) = (list.last, None);
        while let Some(later) = before.and_then(|id| transactions.get(id)) {
            if later.deadline_us <= deadline_us {
                break;
            }
            (after, before) = (before, later.timer.previous);
        }
        if let Some(transaction) = transactions.get_mut(id) {
            transaction.timer = Timer { list: number, previous: before, next: after };
        }
        match before.and_then(|before| transactions.get_mut(before)) {
            Some(before) => before.timer.next = Some(id),
            None => list.first = Some(id),
        }
        match after.and_then(|after| transactions.get_mut(after)) {
            Some(after) => after.timer.previous = Some(id),
            None => list.last = Some(id),
        }
    }

    /// Takes a transaction out of its list.
    pub fn remove(&mut self, id: TransactionId, transactions: &mut Transactions) {
        let Some(timer) = transactions.get(id).map(|transaction| transaction.timer) else { return };
        let Some(list) = self.lists.get_mut(usize::from(timer.list)) else { return };
        match timer.previous.and_then(|previous| transactions.get_mut(previous)) {
            Some(previous) => previous.timer.next = timer.next,
            None => list.first = timer.next,
        }
        match timer.next.and_then(|next| transactions.get_mut(next)) {
            Some(next) => next.timer.previous = timer.previous,
            None => list.last = timer.previous,
        }
    }

    /// A transaction whose deadline has passed, if there is one.
    #[must_use]
    pub fn due(&self, now_us: u64, transactions: &Transactions) -> Option<TransactionId> {
        self.firsts(transactions).find(|(_, deadline_us)| *deadline_us < now_us).map(|(id, _)| id)
    }

    /// When the next one falls due, monotonic microseconds.
    #[must_use]
    pub fn next_us(&self, transactions: &Transactions) -> Option<u64> {
        self.firsts(transactions).map(|(_, deadline_us)| deadline_us).min()
    }

    fn firsts<'a>(
        &'a self,
        transactions: &'a Transactions,
    ) -> impl Iterator<Item = (TransactionId, u64)> + 'a {
        self.lists.iter().filter_map(|list| {
            let id = list.first?;
            Some((id, transactions.get(id)?.deadline_us))
        })
    }
}
