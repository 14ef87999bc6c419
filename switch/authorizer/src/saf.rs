//! Store and forward: reversals and advices on their way to issuers, each until its issuer has acknowledged it.
//!
//! None is ever dropped or counted out. A message goes out at once; without an answer it comes again, later and
//! later, as a repeat with the same elements, for as long as it takes. Several are under way to an issuer at a time,
//! beside the window of its requests, so that neither holds up the other. Of one original they go one after the other:
//! the reversal of an advice is not sent before the advice was acknowledged. One that an issuer refuses for what it
//! says is parked for an operator, and the others go on.
//!
//! Here is the queue. What becomes a reversal is in `reply` and `reversal`, what becomes an advice in `advice` and
//! `stand_in`, how they are sent and answered in `deliver`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use codecs::value::{ApprovalCode, Stan};

use crate::advice::Advice;
use crate::event::IssuerLink;
use crate::parked::SetAside;
use crate::snapshot::Unacknowledged;
use crate::transaction::Sent;

/// Why an issuer is told to undo a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It did not answer in time, or its link was lost.
    TimedOut,
    /// Its answer fits the request's keys but not its content.
    InvalidAnswer,
    /// It approved, and nobody was there to hear it.
    Undeliverable,
    /// The acquirer asked for it.
    Acquirer,
}

impl Why {
    /// Every reason, in the order of their numbers in the journal.
    pub const ALL: [Self; 4] = [Self::TimedOut, Self::InvalidAnswer, Self::Undeliverable, Self::Acquirer];

    /// Its number in the journal.
    #[must_use]
    pub fn number(self) -> u8 {
        Self::ALL.iter().position(|why| *why == self).and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
    }

    /// The reason with this number.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The name that exports and logs use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::InvalidAnswer => "invalid_answer",
            Self::Undeliverable => "undeliverable",
            Self::Acquirer => "acquirer",
        }
    }
}

/// A reversal to an issuer. Every transmission of it says the same, but for the repeat digit.
#[derive(Clone, Debug, PartialEq)]
pub struct Reversal {
    /// What is undone.
    pub sent: Sent,
    /// Its own trace number.
    pub stan: Stan,
    /// When it was made: DE 7, MMDDhhmmss as a number, UTC.
    pub moment: u64,
    /// The year of that.
    pub year: u16,
    /// Why.
    pub why: Why,
    /// What stays valid, minor units; nothing, where the whole is undone.
    pub left_minor: u64,
    /// DE 38 of the approval, where one is known.
    pub approval_code: Option<ApprovalCode>,
    /// It was sent before, or may have been.
    pub is_repeat: bool,
}

/// What an issuer is told until it acknowledges.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// That a request is undone.
    Reversal(Reversal),
    /// What was approved, or became of a payment, without asking it.
    Advice(Advice),
}

impl Stored {
    /// What it is about, as its issuer knows it.
    #[must_use]
    pub fn sent(&self) -> &Sent {
        match self {
            Self::Reversal(reversal) => &reversal.sent,
            Self::Advice(advice) => &advice.sent,
        }
    }

    /// Its own trace number.
    #[must_use]
    pub fn stan(&self) -> Stan {
        match self {
            Self::Reversal(reversal) => reversal.stan,
            Self::Advice(advice) => advice.sent.stan,
        }
    }

    /// It was sent before, or may have been.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        match self {
            Self::Reversal(reversal) => reversal.is_repeat,
            Self::Advice(advice) => advice.is_repeat,
        }
    }

    /// It is a reversal.
    #[must_use]
    pub fn is_reversal(&self) -> bool {
        matches!(self, Self::Reversal(_))
    }

    pub(crate) fn set_repeat(&mut self, is_repeat: bool) {
        match self {
            Self::Reversal(reversal) => reversal.is_repeat = is_repeat,
            Self::Advice(advice) => advice.is_repeat = is_repeat,
        }
    }
}

/// A message as it goes out.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Over which link.
    pub to: IssuerLink,
    /// What.
    pub message: Stored,
}

/// One message that is not acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) message: Stored,
    since_us: u64,
    pub(crate) attempts: u32,
    pub(crate) state: ItemState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemState {
    /// To be sent at this moment.
    Ready(u64),
    /// To be sent when the message of the same original that is before it was acknowledged.
    Behind(u32),
    /// Sent over this link; without an answer by this moment it is sent again.
    Flying(u64, u16),
    /// Refused for what it says.
    Parked,
}

/// How what an issuer must be told stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Not acknowledged, parked ones included.
    pub waiting: usize,
    /// Of these, parked.
    pub parked: usize,
    /// When the oldest came into being, monotonic microseconds.
    pub oldest_us: Option<u64>,
}

/// What one issuer must be told, by trace number.
#[derive(Debug, Default)]
pub struct Saf {
    pub(crate) items: BTreeMap<u32, Item>,
    ready: BTreeSet<(u64, u32)>,
    /// Those that were ready when the issuer came back: due whatever their time, and before the others.
    hurried: BTreeSet<(u64, u32)>,
    pub(crate) flying: BTreeSet<(u64, u32)>,
    /// Who waits behind whom.
    followers: BTreeMap<u32, u32>,
    by_age: BTreeSet<(u64, u32)>,
    parked: usize,
}

impl Saf {
    /// How it stands.
    #[must_use]
    pub fn depth(&self) -> Depth {
        Depth {
            waiting: self.items.len(),
            parked: self.parked,
            oldest_us: self.by_age.first().map(|(since_us, _)| *since_us),
        }
    }

    /// Whether the message with this trace number is not acknowledged yet.
    #[must_use]
    pub fn has(&self, stan: Stan) -> bool {
        self.items.contains_key(&stan.number())
    }

    /// Whether it waits and was never sent by this process.
    #[must_use]
    pub fn is_unsent(&self, stan: Stan) -> bool {
        self.items.get(&stan.number()).is_some_and(|item| item.attempts == 0)
    }

    /// Takes a message, to be sent at once, or behind another one that is not acknowledged yet.
    pub fn add(&mut self, message: Stored, behind: Option<Stan>, now_us: u64) {
        let number = message.stan().number();
        let behind = behind.map(Stan::number).filter(|before| self.items.contains_key(before));
        let item = Item { message, since_us: now_us, attempts: 0, state: ItemState::Parked };
        self.by_age.insert((now_us, number));
        self.items.insert(number, item);
        self.queue(number, behind.map_or(ItemState::Ready(now_us), ItemState::Behind));
    }

    /// Takes one that an earlier process had, as it was.
    pub fn restore(&mut self, waiting: Unacknowledged) {
        let number = waiting.message.stan().number();
        self.add(waiting.message, None, waiting.since_us);
        if waiting.is_parked {
            self.change(number, ItemState::Parked);
        } else if let Some(before) = waiting.behind {
            // It is in the same snapshot, for what waits behind nothing is due.
            self.change(number, ItemState::Behind(before.number()));
        }
    }

    /// All of them, as they are to be restored.
    pub fn unacknowledged(&self) -> impl Iterator<Item = Unacknowledged> {
        self.items.values().map(|item| Unacknowledged {
            message: item.message.clone(),
            since_us: item.since_us,
            is_parked: item.state == ItemState::Parked,
            behind: match item.state {
                ItemState::Behind(before) => Stan::new(before),
                _ => None,
            },
        })
    }

    /// Takes out what was acknowledged. What waited behind it is due.
    pub fn remove(&mut self, stan: Stan) -> Option<Stored> {
        let number = stan.number();
        self.unqueue(number);
        let item = self.items.remove(&number)?;
        self.by_age.remove(&(item.since_us, number));
        if let Some(follower) = self.followers.remove(&number)
            && let Some(waiting) = self.items.get(&follower)
            && waiting.state == ItemState::Behind(number)
        {
            self.change(follower, ItemState::Ready(waiting.since_us));
        }
        Some(item.message)
    }

    /// Sets aside what was refused. Says whether it was there and was not set aside before.
    pub fn park(&mut self, stan: Stan) -> bool {
        let is_new = self.items.get(&stan.number()).is_some_and(|item| item.state != ItemState::Parked);
        if is_new {
            self.change(stan.number(), ItemState::Parked);
        }
        is_new
    }

    /// Lets what was set aside go out again. Says whether there was such a one.
    /// `as_first` is for a planted mistake.
    pub(crate) fn release(&mut self, stan: Stan, as_first: bool, now_us: u64) -> bool {
        let is_parked = self.items.get(&stan.number()).is_some_and(|item| item.state == ItemState::Parked);
        if is_parked {
            self.change(stan.number(), ItemState::Ready(now_us));
        }
        if let Some(item) = self.items.get_mut(&stan.number()).filter(|_| is_parked && as_first) {
            item.attempts = 0;
            item.message.set_repeat(false);
        }
        is_parked
    }

    /// Those that are set aside.
    pub fn parked(&self) -> impl Iterator<Item = SetAside> {
        let is_parked = |item: &&Item| item.state == ItemState::Parked;
        self.items.values().filter(is_parked).map(|item| SetAside {
            message: item.message.clone(),
            since_us: item.since_us,
            attempts: item.attempts,
        })
    }

    /// The issuer is back: nothing needs to wait for its time. A link that flaps must not cost a look at each of a
    /// hundred thousand, so they change their queue as a whole.
    pub fn hurry(&mut self) {
        if self.hurried.is_empty() {
            core::mem::swap(&mut self.hurried, &mut self.ready);
        } else {
            self.hurried.append(&mut self.ready);
        }
    }

    /// A link is gone: what was sent over it is sent again.
    pub fn lost(&mut self, link: u16, now_us: u64) {
        let over_it = |number: &u32| {
            self.items
                .get(number)
                .is_some_and(|item| matches!(item.state, ItemState::Flying(_, over) if over == link))
        };
        let lost: Vec<u32> = self.flying.iter().map(|(_, number)| *number).filter(over_it).collect();
        for number in lost {
            self.change(number, ItemState::Ready(now_us));
        }
    }

    /// After a restart nobody knows what was sent.
    pub fn all_are_repeats(&mut self) {
        for item in self.items.values_mut() {
            item.message.set_repeat(true);
        }
    }

    /// When something is to be done, if a link is up to do it with.
    pub(crate) fn next_us(&self, can_send: bool, window: usize) -> Option<u64> {
        let flying = self.flying.first().map(|(due_us, _)| *due_us);
        let ready = self.hurried.first().map(|_| 0).or_else(|| self.ready.first().map(|(due_us, _)| *due_us));
        let ready = ready.filter(|_| can_send && self.flying.len() < window);
        flying.into_iter().chain(ready).min()
    }

    pub(crate) fn due(&self, now_us: u64) -> Option<u32> {
        let ready = || self.ready.first().filter(|(due_us, _)| *due_us <= now_us);
        self.hurried.first().or_else(ready).map(|(_, number)| *number)
    }

    fn change(&mut self, number: u32, state: ItemState) {
        self.unqueue(number);
        self.queue(number, state);
    }

    fn queue(&mut self, number: u32, state: ItemState) {
        let Some(item) = self.items.get_mut(&number) else { return };
        item.state = state;
        match state {
            ItemState::Ready(due_us) => drop(self.ready.insert((due_us, number))),
            ItemState::Behind(before) => drop(self.followers.insert(before, number)),
            ItemState::Flying(due_us, _) => drop(self.flying.insert((due_us, number))),
            ItemState::Parked => self.parked = self.parked.saturating_add(1),
        }
    }

    fn unqueue(&mut self, number: u32) {
        let Some(item) = self.items.get(&number) else { return };
        match item.state {
            ItemState::Ready(due_us) => {
                let _ = self.ready.remove(&(due_us, number)) || self.hurried.remove(&(due_us, number));
            }
            ItemState::Behind(_) => {}
            ItemState::Flying(due_us, _) => drop(self.flying.remove(&(due_us, number))),
            ItemState::Parked => self.parked = self.parked.saturating_sub(1),
        }
    }

    /// Sends one that is due over `link`, and says what goes out.
    pub(crate) fn send(&mut self, number: u32, link: u16, now_us: u64, timeout_us: u64) -> Option<Delivery> {
        self.change(number, ItemState::Flying(now_us.saturating_add(timeout_us), link));
        let item = self.items.get_mut(&number)?;
        item.attempts = item.attempts.saturating_add(1);
        let mut message = item.message.clone();
        item.message.set_repeat(true);
        message.set_repeat(message.is_repeat() || item.attempts > 1);
        Some(Delivery { to: IssuerLink { issuer: message.sent().to.issuer, link }, message })
    }

    /// Puts one off: each time for longer, and not all of them for equally long.
    pub(crate) fn put_off(&mut self, number: u32, now_us: u64, retry: Retry) {
        let Some(item) = self.items.get(&number) else { return };
        let wait_us = retry.wait_us(item.attempts, number);
        self.change(number, ItemState::Ready(now_us.saturating_add(wait_us)));
    }
}

/// How long a message waits before it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// After the first attempt, microseconds; twice as long after each other one.
    pub min_us: u64,
    /// At most, microseconds.
    pub max_us: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { min_us: 1_000_000, max_us: 60_000_000 }
    }
}

impl Retry {
    /// The wait after so many attempts, up to a quarter shorter, by the number.
    fn wait_us(self, attempts: u32, number: u32) -> u64 {
        let doublings = attempts.saturating_sub(1).min(32);
        let whole = self.min_us.saturating_mul(1 << doublings).min(self.max_us);
        let spread = u64::from(number.wrapping_mul(2_654_435_761).wrapping_add(attempts) % 256);
        whole.saturating_sub((whole / 1_024).saturating_mul(spread))
    }
}
