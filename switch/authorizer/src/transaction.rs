//! The running transactions: a slab, so that a transaction is found by its place and never searched.

use alloc::vec::Vec;

use codecs::value::{Amount, Pan, ProcessingCode, Stan};

use crate::cards::Funding;
use crate::event::{AcquirerId, AcquirerLink, IssuerLink, Ticket};
use crate::near::near;
use crate::request::{Asked, Class, Identity, MatchKeys};

/// A place in the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub u32);

impl TransactionId {
    fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// What an issuer was asked, as far as a reversal must say it again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sent {
    /// Over which link.
    pub to: IssuerLink,
    /// Under which of our trace numbers.
    pub stan: Stan,
    /// The card, as its issuer knows it.
    pub pan: Option<Pan>,
    /// It is the card behind a proxy, of which the acquirer knows nothing.
    pub is_funded: bool,
    /// When the request was received, monotonic microseconds: before the token was asked, where it was.
    pub received_us: u64,
    /// The request behind it.
    pub asked: Asked,
}

/// A request that is waiting for its issuer.
#[derive(Clone, Copy, Debug)]
pub struct Transaction {
    /// The raw message of the newest copy of the request: the answer is made from it.
    pub ticket: Ticket,
    /// The newest connection that asked.
    pub link: AcquirerLink,
    /// Who asked.
    pub acquirer: AcquirerId,
    /// What kind of request.
    pub class: Class,
    /// Which message.
    pub identity: Identity,
    /// Its place in the memory of identities.
    pub memory: u32,
    /// The card, as its issuer knows it.
    pub pan: Option<Pan>,
    /// The card that pays, where the request bears a proxy; `pan` is then its number.
    pub funding: Option<Funding>,
    /// What was asked for.
    pub amount: Amount,
    /// DE 3.
    pub processing_code: Option<ProcessingCode>,
    /// What its answer must carry.
    pub keys: MatchKeys,
    /// Where it was sent.
    pub to: IssuerLink,
    /// Under which trace number.
    pub stan: Stan,
    /// When it was sent, monotonic microseconds.
    pub forwarded_us: u64,
    /// The moment after which no answer counts, monotonic microseconds.
    pub deadline_us: u64,
    /// Neighbours in the list of deadlines.
    pub(crate) timer: Timer,
}

/// Where a transaction stands among those that fall due before and after it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer {
    pub(crate) list: u16,
    pub(crate) previous: Option<TransactionId>,
    pub(crate) next: Option<TransactionId>,
}

/// The slab.
#[derive(Debug)]
pub struct Transactions {
    slots: Vec<Option<Transaction>>,
    free: Vec<TransactionId>,
    running: usize,
    max: usize,
}

impl Transactions {
    /// Room for `max` transactions; memory is taken as it is needed.
    #[must_use]
    pub fn new(max: u32) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            running: 0,
            max: usize::try_from(max).unwrap_or(usize::MAX),
        }
    }

    /// How many are running.
    #[must_use]
    pub fn len(&self) -> usize {
        self.running
    }

    /// Whether none is running.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.running == 0
    }

    /// Whether one more would be one too many.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.running >= self.max
    }

    /// The transaction at a place.
    #[must_use]
    pub fn get(&self, id: TransactionId) -> Option<&Transaction> {
        self.slots.get(id.index())?.as_ref()
    }

    /// The transaction at a place, to be changed.
    pub fn get_mut(&mut self, id: TransactionId) -> Option<&mut Transaction> {
        self.slots.get_mut(id.index())?.as_mut()
    }

    /// The transaction at a place will be looked at soon.
    pub(crate) fn expect(&self, id: TransactionId) {
        if let Some(transaction) = self.get(id) {
            near(&transaction.identity);
            near(&transaction.funding);
            near(&transaction.keys);
            near(&transaction.timer);
        }
    }

    /// The place the next transaction will have; `None` when full.
    #[must_use]
    pub fn next_id(&self) -> Option<TransactionId> {
        if self.is_full() {
            return None;
        }
        self.free.last().copied().or_else(|| u32::try_from(self.slots.len()).ok().map(TransactionId))
    }

    /// Puts a transaction at the place [`Self::next_id`] named.
    pub fn insert(&mut self, transaction: Transaction) {
        self.running = self.running.saturating_add(1);
        match self.free.pop().and_then(|id| self.slots.get_mut(id.index())) {
            Some(slot) => *slot = Some(transaction),
            None => self.slots.push(Some(transaction)),
        }
    }

    /// Takes a transaction out.
    pub fn remove(&mut self, id: TransactionId) -> Option<Transaction> {
        let transaction = self.slots.get_mut(id.index())?.take()?;
        self.free.push(id);
        self.running = self.running.saturating_sub(1);
        Some(transaction)
    }
}
