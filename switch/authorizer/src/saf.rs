//! Store and forward: reversals on their way to issuers, each until its issuer has acknowledged it.
//!
//! None is ever dropped or counted out. A reversal goes out at once; without an answer it comes again, later and
//! later, as a repeat with the same elements, for as long as it takes. Several are under way to an issuer at a time,
//! beside the window of its requests, so that neither holds up the other. One that an issuer refuses for what it says is
//! parked for an operator, and the others go on.
//!
//! Not here: what becomes a reversal (`reply`, `reversal`), and that the fact is durable before anything is sent.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use codecs::value::{ApprovalCode, ResponseCode, Stan};

use crate::Authorizer;
use crate::counters::add_one;
use crate::effect::{Effect, Effects};
use crate::event::{IssuerId, IssuerLink, Now};
use crate::fact::Fact;
use crate::limits::REVERSALS_IN_FLIGHT;
use crate::planted::{Planted, is_planted};
use crate::request::Answer;
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

/// A reversal as it goes out.
#[derive(Clone, Debug, PartialEq)]
pub struct Undoing {
    /// Over which link.
    pub to: IssuerLink,
    /// What.
    pub reversal: Reversal,
}

/// One reversal that is not acknowledged.
#[derive(Clone, Debug)]
struct Item {
    reversal: Reversal,
    since_us: u64,
    attempts: u32,
    state: ItemState,
    /// An earlier reversal of the same request, which must be acknowledged first.
    behind: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ItemState {
    /// To be sent at this moment.
    Ready(u64),
    /// Sent over this link; without an answer by this moment it is sent again.
    Flying(u64, u16),
    /// Refused for what it says.
    Parked,
}

/// How an issuer's reversals stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Not acknowledged, parked ones included.
    pub waiting: usize,
    /// Of these, parked.
    pub parked: usize,
    /// When the oldest came into being, monotonic microseconds.
    pub oldest_us: Option<u64>,
}

/// The reversals of one issuer, by their trace number.
#[derive(Debug, Default)]
pub struct Saf {
    items: BTreeMap<u32, Item>,
    ready: BTreeSet<(u64, u32)>,
    flying: BTreeSet<(u64, u32)>,
    by_age: BTreeSet<(u64, u32)>,
    parked: usize,
}

/// How an issuer took a reversal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// It is undone, or was, or there was nothing to undo.
    Done,
    /// Not now.
    Later,
    /// It will not take it as it is.
    Refused,
}

fn taken(code: ResponseCode) -> Taken {
    match code.as_bytes() {
        // Accepted, no action taken, original not found, duplicate; 1993: 4xx, 914, 913.
        b"00" | b"21" | b"25" | b"94" | b"914" | b"913" | [b'4', _, _] => Taken::Done,
        b"68" | b"91" | b"96" | b"906" | b"907" | b"908" | b"909" | b"910" | b"911" | b"912" | b"921" => {
            Taken::Later
        }
        _ => Taken::Refused,
    }
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

    /// Whether the reversal with this trace number is not acknowledged yet.
    #[must_use]
    pub fn has(&self, stan: Stan) -> bool {
        self.items.contains_key(&stan.number())
    }

    /// Whether it waits and was never sent by this process.
    #[must_use]
    pub fn is_unsent(&self, stan: Stan) -> bool {
        self.items.get(&stan.number()).is_some_and(|item| item.attempts == 0)
    }

    /// Takes a reversal, to be sent at once.
    pub fn add(&mut self, reversal: Reversal, behind: Option<Stan>, now_us: u64) {
        let number = reversal.stan.number();
        let behind = behind.map(Stan::number).filter(|before| self.items.contains_key(before));
        let item = Item { reversal, since_us: now_us, attempts: 0, state: ItemState::Ready(now_us), behind };
        self.by_age.insert((now_us, number));
        self.ready.insert((now_us, number));
        self.items.insert(number, item);
    }

    /// Takes one that an earlier process had, as it was.
    pub fn restore(&mut self, waiting: Unacknowledged) {
        let (stan, since_us) = (waiting.reversal.stan, waiting.since_us);
        self.add(waiting.reversal, None, since_us);
        if let Some(item) = self.items.get_mut(&stan.number()) {
            item.behind = waiting.behind.map(Stan::number);
        }
        if waiting.is_parked {
            self.park(stan);
        }
    }

    /// All of them, as they are to be restored.
    pub fn unacknowledged(&self) -> impl Iterator<Item = Unacknowledged> {
        self.items.values().map(|item| Unacknowledged {
            reversal: item.reversal.clone(),
            since_us: item.since_us,
            is_parked: item.state == ItemState::Parked,
            behind: item.behind.and_then(Stan::new),
        })
    }

    /// Takes out what was acknowledged.
    pub fn remove(&mut self, stan: Stan) -> Option<Reversal> {
        let number = stan.number();
        self.unqueue(number);
        let item = self.items.remove(&number)?;
        self.by_age.remove(&(item.since_us, number));
        Some(item.reversal)
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
    pub fn release(&mut self, stan: Stan, now_us: u64) -> bool {
        let is_parked = self.items.get(&stan.number()).is_some_and(|item| item.state == ItemState::Parked);
        if is_parked {
            self.change(stan.number(), ItemState::Ready(now_us));
        }
        is_parked
    }

    /// Those that are set aside.
    pub fn parked(&self) -> impl Iterator<Item = (&Reversal, u64)> {
        let is_parked = |item: &&Item| item.state == ItemState::Parked;
        self.items.values().filter(is_parked).map(|item| (&item.reversal, item.since_us))
    }

    /// The issuer is back: nothing needs to wait for its time.
    pub fn hurry(&mut self, now_us: u64) {
        let waiting: Vec<u32> = self.ready.iter().map(|(_, number)| *number).collect();
        for number in waiting {
            self.change(number, ItemState::Ready(now_us));
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
            item.reversal.is_repeat = true;
        }
    }

    /// When something is to be done, if a link is up to do it with.
    fn next_us(&self, can_send: bool, window: usize) -> Option<u64> {
        let flying = self.flying.first().map(|(due_us, _)| *due_us);
        let ready = self.ready.first().map(|(due_us, _)| *due_us);
        let ready = ready.filter(|_| can_send && self.flying.len() < window);
        flying.into_iter().chain(ready).min()
    }

    fn due(&self, now_us: u64) -> Option<u32> {
        self.ready.first().filter(|(due_us, _)| *due_us <= now_us).map(|(_, number)| *number)
    }

    fn change(&mut self, number: u32, state: ItemState) {
        self.unqueue(number);
        let Some(item) = self.items.get_mut(&number) else { return };
        item.state = state;
        match state {
            ItemState::Ready(due_us) => drop(self.ready.insert((due_us, number))),
            ItemState::Flying(due_us, _) => drop(self.flying.insert((due_us, number))),
            ItemState::Parked => self.parked = self.parked.saturating_add(1),
        }
    }

    fn unqueue(&mut self, number: u32) {
        let Some(item) = self.items.get(&number) else { return };
        match item.state {
            ItemState::Ready(due_us) => drop(self.ready.remove(&(due_us, number))),
            ItemState::Flying(due_us, _) => drop(self.flying.remove(&(due_us, number))),
            ItemState::Parked => self.parked = self.parked.saturating_sub(1),
        }
    }

    /// Sends one that is due over `link`, and says what goes out.
    fn send(&mut self, number: u32, link: u16, now_us: u64, timeout_us: u64) -> Option<Undoing> {
        self.change(number, ItemState::Flying(now_us.saturating_add(timeout_us), link));
        let item = self.items.get_mut(&number)?;
        item.attempts = item.attempts.saturating_add(1);
        let mut reversal = item.reversal.clone();
        item.reversal.is_repeat = true;
        reversal.is_repeat |= item.attempts > 1;
        Some(Undoing { to: IssuerLink { issuer: reversal.sent.to.issuer, link }, reversal })
    }

    /// Puts one off: each time for longer, and not all of them for equally long.
    fn put_off(&mut self, number: u32, now_us: u64, retry: Retry) {
        let Some(item) = self.items.get(&number) else { return };
        let wait_us = retry.wait_us(item.attempts, number);
        self.change(number, ItemState::Ready(now_us.saturating_add(wait_us)));
    }
}

/// How long a reversal waits before it is sent again.
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

impl Authorizer {
    /// A new reversal of what an issuer was sent. An advice that did not arrive is not undone: it comes again.
    pub(crate) fn reversal_of(
        &mut self,
        sent: &Sent,
        why: Why,
        left_minor: u64,
        approval_code: Option<ApprovalCode>,
        now: Now,
    ) -> Option<Box<Reversal>> {
        let comes_again = sent.asked.class.is_advice() && why != Why::Acquirer;
        if !self.tables.has_journal || comes_again {
            return None;
        }
        let stan = self.own_stan(sent.to.issuer)?;
        Some(Box::new(Reversal {
            sent: *sent,
            stan,
            moment: now.moment,
            year: now.year,
            why,
            left_minor,
            approval_code,
            is_repeat: false,
        }))
    }

    /// A trace number that no leg and no reversal of this issuer has.
    fn own_stan(&mut self, issuer: IssuerId) -> Option<Stan> {
        let saf = self.saf.get(issuer.index())?;
        let legs = self.issuers.get_mut(issuer.index())?;
        // Each try takes another number; reversals that wait are few beside a million.
        (0..=saf.items.len()).find_map(|_| legs.take_stan().filter(|stan| !saf.has(*stan)))
    }

    /// Keeps a reversal until it is acknowledged, and sends it as soon as it may be. The fact that holds it has been
    /// written by the caller.
    pub(crate) fn keep_reversal(&mut self, memory: u32, reversal: &Reversal, now: Now, out: &mut Effects) {
        let behind = self.memory.undone_by(memory, reversal);
        let issuer = reversal.sent.to.issuer;
        if let Some(saf) = self.saf.get_mut(issuer.index())
            && (saf.flying.len() < REVERSALS_IN_FLIGHT || !is_planted(&self.tables, Planted::WindowForgets))
        {
            saf.add(reversal.clone(), behind, now.monotonic_us);
        }
        self.send_reversals(issuer, now, out);
    }

    /// Sends what is due to an issuer, as far as its window reaches.
    pub(crate) fn send_reversals(&mut self, issuer: IssuerId, now: Now, out: &mut Effects) {
        let timeout_us = self.tables.issuers.get(issuer.index()).map_or(0, |issuer| issuer.timeout_us);
        let (Some(saf), Some(state)) = (self.saf.get_mut(issuer.index()), self.issuers.get(issuer.index()))
        else {
            return;
        };
        while saf.flying.len() < state.reversal_window() {
            let Some(number) = saf.due(now.monotonic_us) else { break };
            let Some(item) = saf.items.get(&number) else { break };
            if item.behind.is_some_and(|before| saf.items.contains_key(&before)) {
                saf.change(number, ItemState::Ready(now.monotonic_us.saturating_add(BEHIND_US)));
                continue;
            }
            // The link of the original first, so that it is not overtaken.
            let Some(link) = state.link_for_reversal(item.reversal.sent.to.link) else { break };
            let Some(mut undoing) = saf.send(number, link, now.monotonic_us, timeout_us) else { break };
            undoing.reversal.is_repeat &= !is_planted(&self.tables, Planted::AlwaysFirst);
            self.counters.issuer(issuer, |counters| {
                let count = if undoing.reversal.is_repeat {
                    &mut counters.reversals_repeated
                } else {
                    &mut counters.reversals_sent
                };
                add_one(count);
            });
            out.visible.push(Effect::Undo(Box::new(undoing)));
        }
    }

    /// Reversals that were not answered in time come again; those that are due go out.
    pub(crate) fn reversals_expired(&mut self, now: Now, out: &mut Effects) {
        for index in 0..u16::try_from(self.saf.len()).unwrap_or(u16::MAX) {
            let issuer = IssuerId(index);
            let Some(saf) = self.saf.get_mut(issuer.index()) else { continue };
            if saf.items.is_empty() {
                continue;
            }
            while let Some((due_us, number)) = saf.flying.first().copied()
                && due_us < now.monotonic_us
            {
                let attempts = saf.items.get(&number).map_or(0, |item| item.attempts);
                if attempts >= 3 && is_planted(&self.tables, Planted::DroppedAfterThree) {
                    if let Some(stan) = Stan::new(number) {
                        saf.remove(stan);
                    }
                    continue;
                }
                saf.put_off(number, now.monotonic_us, self.tables.retry);
            }
            self.send_reversals(issuer, now, out);
        }
    }

    /// When a reversal falls due.
    pub(crate) fn next_reversal_us(&self) -> Option<u64> {
        let next = |(saf, state): (&Saf, &crate::issuer::IssuerState)| {
            saf.next_us(state.is_up(), state.reversal_window())
        };
        self.saf.iter().zip(&self.issuers).filter(|(saf, _)| !saf.items.is_empty()).filter_map(next).min()
    }

    /// An issuer says something to a reversal. An answer to any transmission of it counts.
    pub(crate) fn reversal_answered(&mut self, answer: &Answer, now: Now, out: &mut Effects) {
        out.free.push(Effect::Release(answer.ticket));
        let issuer = answer.link.issuer;
        let retry = self.tables.retry;
        let Some(saf) = self.saf.get_mut(issuer.index()) else { return };
        let number = answer.stan.number();
        let item = saf.items.get(&number).filter(|item| fits(&item.reversal, answer));
        let Some(item) = item else {
            return self.counters.issuer(issuer, |counters| add_one(&mut counters.unmatched));
        };
        let is_parked = item.state == ItemState::Parked;
        let said = taken(answer.response_code);
        let said = if is_planted(&self.tables, Planted::AnyAnswerAcknowledges) { Taken::Done } else { said };
        match said {
            Taken::Done => {
                saf.remove(answer.stan);
                let untraced = matches!(answer.response_code.as_bytes(), b"25" | b"914");
                self.counters.issuer(issuer, |counters| {
                    add_one(&mut counters.reversals_done);
                    if untraced {
                        add_one(&mut counters.reversals_untraced);
                    }
                });
                out.facts.push(Fact::ReversalDone { issuer, stan: answer.stan });
            }
            Taken::Later if !is_parked => saf.put_off(number, now.monotonic_us, retry),
            Taken::Later => {}
            Taken::Refused => self.park_reversal(issuer, answer.stan, out),
        }
        self.send_reversals(issuer, now, out);
    }

    /// Sets a reversal aside for an operator.
    pub(crate) fn park_reversal(&mut self, issuer: IssuerId, stan: Stan, out: &mut Effects) {
        let Some(saf) = self.saf.get_mut(issuer.index()) else { return };
        if saf.park(stan) {
            self.counters.issuer(issuer, |counters| add_one(&mut counters.reversals_parked));
            out.facts.push(Fact::ReversalParked { issuer, stan });
        }
    }

    /// How the reversals of an issuer stand here.
    #[must_use]
    pub fn saf_depth(&self, issuer: IssuerId) -> Depth {
        self.saf.get(issuer.index()).map(Saf::depth).unwrap_or_default()
    }
}

/// How long a reversal waits between two looks whether the one before it was acknowledged.
const BEHIND_US: u64 = 50_000;

/// Whether an answer's keys are those of a reversal, as far as it carries them.
fn fits(reversal: &Reversal, answer: &Answer) -> bool {
    fn same<T: PartialEq>(ours: Option<T>, theirs: Option<T>) -> bool {
        ours.is_none() || theirs.is_none() || ours == theirs
    }
    let keys = &reversal.sent.asked.keys;
    // 1993 may answer with DE 12, which has the year before it.
    let with_year =
        u64::from(reversal.year % 100).saturating_mul(10_000_000_000).saturating_add(reversal.moment);
    [reversal.moment, with_year].contains(&answer.keys.moment)
        && same(keys.rrn, answer.keys.rrn)
        && same(keys.terminal, answer.keys.terminal)
        && same(keys.merchant, answer.keys.merchant)
        && same(keys.acquirer, answer.keys.acquirer)
}
