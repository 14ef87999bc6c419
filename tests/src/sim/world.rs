//! The simulated world: acquirers, issuers, links, token, disks and one clock around the real shards of the switch, in
//! one thread, in an order that the seed decides.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use authorizer::cards::{AccountHash, Funding, Refused};
use authorizer::decision::{CodeSet, Verdict};
use authorizer::effect::Reply;
use authorizer::event::{
    AcquirerId, AcquirerLink, Event, IssuerId, IssuerLink, Leg, LinkChange, Now, ShardId, Ticket, Unsent,
};
use authorizer::fact::Fact;
use authorizer::iin_table::{IinTable, Route};
use authorizer::issuer::shard_of;
use authorizer::limits::Limits;
use authorizer::programs::{CardProgram, Tries, rotating_atc};
use authorizer::provision::{Asker, Change, Provision, Standing};
use authorizer::request::{Answer, Class, MatchKeys, Request};
use authorizer::rights::Rights;
use authorizer::saf::{Retry, Undoing};
use authorizer::tables::{Acquirer, Issuer as IssuerRow, Tables};
use authorizer::verify::{Judgement, ProofId};
use authorizer::{Authorizer, Effect};
use codecs::value::{ApprovalCode, Expiry, Iin, Pan, ResponseCode};
use switch::ports::{Ports, Position};
use switch::shard::Shard;

use super::dice::Dice;
use super::disk::Disk;
use super::faults::{Fault, Faults};
use super::issuer::{Issuer, Key};
use super::payments::{Cards, Held, PLAIN_CARDS, PROXIES, Payment, amount, is_promised};

const SECOND: u64 = 1_000_000;
const ISSUER_TIMEOUT: u64 = 10 * SECOND;
const PATIENCE: u64 = 15 * SECOND;
const ACQUIRERS: u16 = 2;
const ISSUERS: u16 = 2;
const LINKS: u16 = 2;
/// How long the world may take to come to rest once it has healed.
/// Lines of a story.
const STORY_LINES: usize = 80;
const HEALING: u64 = 3_600 * SECOND;

/// What happens at a moment.
#[derive(Clone, Debug)]
enum Happening {
    /// A payment begins.
    Begin,
    /// A message of an acquirer reaches the switch.
    ToSwitch(AcquirerLink, Box<Request>),
    /// An answer reaches an acquirer.
    ToAcquirer(u16, u64, Box<Reply>, bool),
    /// An acquirer sends what it has reversed.
    Stray(u64),
    /// An acquirer looks after a payment.
    LookAfter(u64),
    /// A request reaches an issuer.
    ToIssuer(IssuerLink, u32, Leg, u64),
    /// A reversal reaches an issuer.
    UndoAtIssuer(IssuerLink, u32, Box<Undoing>),
    /// Something of an issuer reaches the switch.
    FromIssuer(IssuerLink, u32, Box<Answer>),
    /// An answer that is said until it is heard.
    ForSure(Box<Answer>),
    /// The token has said something.
    Judged(u32, ShardId, ProofId, Judgement),
    /// A shard has something to do.
    Turn(u32, ShardId),
    /// A sync has ended.
    Synced(u32, ShardId),
    /// A shard hands over to another.
    Handed(u32, ShardId, Box<Request>),
    /// Links come back.
    AcquirerUp(u32, u16, u16),
    IssuerUp(u32, IssuerLink),
    /// The process starts again.
    Start,
    /// An orderly stop is over.
    Stopped(u32),
}

/// A raw message as the edge would keep it.
#[derive(Clone, Debug)]
enum Kept {
    Request(u64, Box<Request>),
    Answer,
}

/// A law that was broken, and by which payment.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which law, and how.
    pub what: String,
    /// The payment, where one is to blame.
    pub payment: Option<u64>,
}

/// A reversal, by issuer, trace number and moment.
type Undone = (u16, u32, u64);

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Payments begun.
    pub payments: u64,
    /// Of these, approved and standing at the end.
    pub approved: u64,
    /// Ends of the process.
    pub crashes: u64,
    /// Reversals sent to issuers.
    pub reversals: u64,
    /// A hash over everything that was seen, in order.
    pub trace: u64,
}

/// The world of one seed.
pub struct World {
    now_us: u64,
    moment_shift: u64,
    dice: Dice,
    faults: Faults,
    is_healing: bool,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    serial: u64,
    cards: Cards,
    tables: Tables,
    limits: Limits,
    shards: Vec<Shard>,
    /// Counts processes; what belongs to an earlier one is nobody's.
    process: u32,
    is_up: bool,
    frozen_until_us: u64,
    stopping: bool,
    disks: Vec<Disk>,
    inboxes: Vec<Vec<Event>>,
    turns: Vec<Option<u64>>,
    tickets: BTreeMap<u32, Kept>,
    next_ticket: u32,
    acquirer_links: Vec<(AcquirerLink, u16, bool)>,
    issuer_links: BTreeMap<(u16, u16), (u32, LinkChange)>,
    issuers: Vec<Issuer>,
    payments: Vec<Payment>,
    wanted: u64,
    gap_us: u64,
    labels: Vec<u16>,
    /// Public ATCs that were accepted, by card.
    claimed: BTreeMap<(usize, u16), u64>,
    /// How often each reversal was sent, and in which process it was acknowledged.
    undoings: BTreeMap<Undone, (u32, Option<u32>)>,
    /// Acknowledgements that a shard has seen while what it decided before may still leave.
    acknowledging: Vec<Vec<Undone>>,
    /// Payments whose code the token has called right.
    proven: BTreeSet<u64>,
    /// By leg: the reversals that leave so much of it.
    reversals_of: BTreeMap<(u16, u32, u64, u64), BTreeSet<u32>>,
    /// Legs of which the switch has seen an approval when it was too late.
    late: BTreeSet<(u16, u32)>,
    low_until_us: u64,
    /// When the last message of each connection to an issuer arrives.
    lines: BTreeMap<(u16, u16, u32), u64>,
    ran: Ran,
    violation: Option<Violation>,
    story: Option<Vec<(u64, Option<u64>, String)>>,
}

struct SimPorts<'a> {
    now: Now,
    events: &'a mut Vec<Event>,
    disk: &'a mut Disk,
    performed: Vec<Effect>,
}

impl Ports for SimPorts<'_> {
    fn now(&mut self) -> Now {
        self.now
    }

    fn take(&mut self, events: &mut Vec<Event>) {
        events.append(self.events);
    }

    fn perform(&mut self, effect: Effect) {
        self.performed.push(effect);
    }

    fn submit(&mut self) {}

    fn tell(&mut self, _: Asker, _: Result<Box<Standing>, Refused>) {}

    fn append(&mut self, facts: &[Fact]) -> Position {
        self.disk.append(facts, self.now.monotonic_us)
    }

    fn durable_up_to(&self) -> Position {
        self.disk.durable()
    }
}

impl World {
    /// The world of a seed, with so many payments.
    #[must_use]
    pub fn new(seed: u64, payments: u64, change: impl FnOnce(&mut Tables)) -> World {
        let mut dice = Dice::new(seed);
        let shards = dice.one_of(&[1_usize, 1, 2, 3]);
        let faults = Faults::draw(&mut dice);
        let gap_us = dice.one_of(&[200, 2_000, 20_000, 200_000]);
        let mut tables = tables();
        change(&mut tables);
        let mut world = World {
            now_us: 1_000_000 * SECOND,
            moment_shift: 0,
            faults,
            is_healing: false,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            serial: 0,
            cards: Cards::new(shards),
            tables,
            limits: Limits {
                pending_max: dice.one_of(&[50, 1_000, 100_000]),
                recent_entries: 1 << 16,
                recent_window_us: 72 * 3_600 * SECOND,
                cards_max: 100,
                reversals_max: dice.one_of(&[100, 100_000]),
            },
            shards: Vec::new(),
            process: 0,
            is_up: false,
            frozen_until_us: 0,
            stopping: false,
            disks: (0..shards).map(|_| Disk::default()).collect(),
            inboxes: vec![Vec::new(); shards],
            turns: vec![None; shards],
            tickets: BTreeMap::new(),
            next_ticket: 0,
            acquirer_links: Vec::new(),
            issuer_links: BTreeMap::new(),
            issuers: (0..ISSUERS).map(|_| Issuer::default()).collect(),
            payments: Vec::new(),
            wanted: payments,
            gap_us,
            labels: vec![0; PROXIES],
            claimed: BTreeMap::new(),
            undoings: BTreeMap::new(),
            acknowledging: vec![Vec::new(); shards],
            proven: BTreeSet::new(),
            reversals_of: BTreeMap::new(),
            late: BTreeSet::new(),
            low_until_us: 0,
            lines: BTreeMap::new(),
            ran: Ran::default(),
            violation: None,
            story: None,
            dice,
        };
        for acquirer in 0..ACQUIRERS {
            for slot in 0..LINKS {
                let link = AcquirerLink { shard: ShardId(0), slot: acquirer * LINKS + slot, generation: 0 };
                world.acquirer_links.push((link, acquirer, false));
            }
        }
        world.at(0, Happening::Start);
        world.at(SECOND, Happening::Begin);
        world
    }

    /// Keeps a line of everything that happens, for a person.
    #[must_use]
    pub fn told(mut self) -> World {
        self.story = Some(Vec::new());
        self
    }

    /// The faults that are on.
    #[must_use]
    pub fn faults(&self) -> Vec<&'static str> {
        self.faults.names()
    }

    /// Runs to the end: all payments, then healing, then rest.
    ///
    /// # Errors
    /// The first law that is broken.
    pub fn run(&mut self) -> Result<Ran, Violation> {
        let mut healed_us = None;
        while let Some(Reverse((at_us, serial))) = self.queue.pop() {
            self.now_us = self.now_us.max(at_us);
            let Some(happening) = self.happenings.remove(&serial) else { continue };
            self.happen(happening);
            if let Some(violation) = self.violation.take() {
                return Err(violation);
            }
            if !self.is_healing && self.payments.len() as u64 >= self.wanted {
                self.heal();
                healed_us = Some(self.now_us);
            }
            if healed_us.is_some_and(|since_us| self.now_us - since_us > HEALING) {
                return Err(self.unsettled());
            }
            if self.is_healing && serial.is_multiple_of(64) && self.is_at_rest() {
                break;
            }
        }
        if !self.is_at_rest() {
            return Err(self.unsettled());
        }
        self.check()?;
        self.ran.payments = self.payments.len() as u64;
        Ok(self.ran)
    }

    /// What happened to a payment, a line each; everything of the last moments where none is named.
    #[must_use]
    pub fn story_of(&self, payment: Option<u64>) -> Vec<String> {
        let story = self.story.as_deref().unwrap_or_default();
        let of: Vec<String> = story
            .iter()
            .filter(|(_, whose, _)| payment.is_none() || whose.is_none() || *whose == payment)
            .map(|(at_us, _, what)| format!("{:>12.6} s  {what}", *at_us as f64 / 1e6 - 1e6))
            .collect();
        of[of.len().saturating_sub(STORY_LINES)..].to_vec()
    }

    fn tell(&mut self, payment: Option<u64>, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push((self.now_us, payment, what()));
        }
    }

    fn broken(&mut self, payment: Option<u64>, what: String) {
        self.violation.get_or_insert(Violation { what, payment });
    }

    fn seen(&mut self, what: u64) {
        self.ran.trace = Dice::new(self.ran.trace ^ what ^ self.now_us.rotate_left(17)).number();
    }

    fn at(&mut self, after_us: u64, happening: Happening) {
        self.serial += 1;
        self.queue.push(Reverse((self.now_us + after_us, self.serial)));
        self.happenings.insert(self.serial, happening);
    }

    fn happens(&mut self, fault: Fault) -> bool {
        let rate = self.faults.rate(fault);
        self.dice.happens(rate)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Begin => self.begin(),
            Happening::ToSwitch(link, request) => self.switch_hears(link, *request),
            Happening::ToAcquirer(acquirer, payment, reply, is_reversal) => {
                self.acquirer_hears(acquirer, payment, &reply, is_reversal);
            }
            Happening::Stray(payment) => self.send(payment),
            Happening::LookAfter(payment) => self.look_after(payment),
            Happening::ToIssuer(link, generation, leg, payment) => {
                self.issuer_hears(link, generation, leg, payment)
            }
            Happening::UndoAtIssuer(link, generation, undoing) => {
                self.undo_at_issuer(link, generation, &undoing)
            }
            Happening::FromIssuer(link, generation, answer) => self.issuer_says(link, generation, *answer),
            Happening::ForSure(answer) => self.send_for_sure(*answer),
            Happening::Judged(process, shard, proof, judgement) if self.is_of(process) => {
                self.event(shard, Event::Judged(proof, judgement));
            }
            Happening::Turn(process, shard) if self.is_of(process) => self.turn(shard),
            Happening::Synced(process, shard) if self.is_of(process) => self.synced(shard),
            Happening::Handed(process, shard, request) if self.is_of(process) => {
                self.event(shard, Event::Handed(*request));
            }
            Happening::AcquirerUp(process, acquirer, link) if self.is_of(process) => {
                self.acquirer_up(acquirer, link);
            }
            Happening::IssuerUp(process, link) if self.is_of(process) => self.issuer_up(link),
            Happening::Start => self.start(),
            Happening::Stopped(process) if self.is_of(process) => self.end("stopped in order"),
            _ => {}
        }
    }

    fn is_of(&self, process: u32) -> bool {
        self.is_up && process == self.process
    }

    // ---- acquirers ----

    fn begin(&mut self) {
        if self.payments.len() as u64 >= self.wanted {
            return;
        }
        let burst = if self.happens(Fault::Burst) { self.dice.within(10, 60) } else { 1 };
        for _ in 0..burst {
            self.begin_one();
        }
        let gap_us = self.dice.below(self.gap_us * 2);
        self.at(gap_us, Happening::Begin);
    }

    fn begin_one(&mut self) {
        let number = self.payments.len() as u64;
        let card = self.dice.below((PLAIN_CARDS + PROXIES) as u64) as usize;
        let is_advice = self.happens(Fault::Advice) && card < PLAIN_CARDS;
        let label = (card >= PLAIN_CARDS).then(|| self.label(card - PLAIN_CARDS));
        let payment = Payment {
            number,
            acquirer: self.dice.below(u64::from(ACQUIRERS)) as u16,
            moment: self.moment(),
            amount: self.dice.within(2, 100_000),
            class: if is_advice {
                Class::AuthorizationAdvice
            } else {
                self.dice.one_of(&[Class::Authorization, Class::Financial])
            },
            card,
            label,
            state: Held::Waiting,
            sent: 0,
            told: None,
            was_reversed: false,
        };
        self.payments.push(payment);
        self.tell(Some(number), || "the acquirer begins".to_owned());
        if !is_advice && self.happens(Fault::Overtaken) {
            self.reverse(number, 0);
        }
        self.send(number);
        self.at(PATIENCE, Happening::LookAfter(number));
        if self.happens(Fault::Impatient) {
            let after_us = self.dice.below(PATIENCE);
            self.at(after_us, Happening::LookAfter(number));
        }
    }

    fn label(&mut self, proxy: usize) -> (u16, bool) {
        let is_right = !self.happens(Fault::WrongCode);
        let newest = self.labels[proxy];
        if newest > 0 && self.happens(Fault::ReplayedCode) {
            return (self.dice.below(u64::from(newest)) as u16, is_right);
        }
        self.labels[proxy] = (newest + 1).min(9_999);
        (newest, is_right)
    }

    fn moment(&self) -> u64 {
        1_101_000_000 + (self.now_us / SECOND + self.moment_shift) % 20_000_000
    }

    /// A link of an acquirer that is up.
    fn link_of(&mut self, acquirer: u16) -> Option<AcquirerLink> {
        let up: Vec<AcquirerLink> = self
            .acquirer_links
            .iter()
            .filter(|(_, whose, is_up)| *whose == acquirer && *is_up)
            .map(|(link, ..)| *link)
            .collect();
        (!up.is_empty()).then(|| self.dice.one_of(&up))
    }

    fn send(&mut self, number: u64) {
        let payment = &mut self.payments[number as usize];
        payment.sent += 1;
        let payment = payment.clone();
        let Some(link) = self.link_of(payment.acquirer) else { return };
        if self.happens(Fault::RequestLost) {
            return;
        }
        let mut request = payment.request(&self.cards, link, Ticket(0));
        if payment.told.is_some() && self.happens(Fault::OtherContent) {
            request.fingerprint.content ^= 1 << 100;
        }
        let delay_us = self.acquirer_delay();
        self.at(delay_us, Happening::ToSwitch(link, Box::new(request)));
    }

    fn reverse(&mut self, number: u64, left: u64) {
        self.payments[number as usize].was_reversed = true;
        self.payments[number as usize].state = Held::Reversing(left);
        self.send_reversal(number);
        self.at(PATIENCE, Happening::LookAfter(number));
    }

    fn send_reversal(&mut self, number: u64) {
        let payment = self.payments[number as usize].clone();
        let Held::Reversing(left) = payment.state else { return };
        self.tell(Some(number), || format!("the acquirer reverses, leaving {left}"));
        let Some(link) = self.link_of(payment.acquirer) else { return };
        if self.happens(Fault::RequestLost) {
            return;
        }
        // A part can only be told: what a 0400 would refuse must not be asked.
        let class = if left == 0 {
            self.dice.one_of(&[Class::Reversal, Class::ReversalAdvice])
        } else {
            Class::ReversalAdvice
        };
        let request = payment.reversal(&self.cards, link, Ticket(0), (class, left, payment.acquirer));
        let delay_us = self.acquirer_delay();
        self.at(delay_us, Happening::ToSwitch(link, Box::new(request)));
    }

    /// Reversals that no honest acquirer sends. Nothing may come of them.
    fn mischief(&mut self, number: u64) {
        let payment = self.payments[number as usize].clone();
        if self.happens(Fault::ForeignReversal) {
            let by = 1 - payment.acquirer;
            if let Some(link) = self.link_of(by) {
                let request = payment.reversal(&self.cards, link, Ticket(0), (Class::ReversalAdvice, 0, by));
                self.at(1_000, Happening::ToSwitch(link, Box::new(request)));
            }
        }
        // Before anything is known of the payment a reversal buries it, whatever it says.
        if payment.told.is_some()
            && self.happens(Fault::WrongReversal)
            && let Some(link) = self.link_of(payment.acquirer)
        {
            let mut request =
                payment.reversal(&self.cards, link, Ticket(0), (Class::ReversalAdvice, 0, payment.acquirer));
            request.amount = amount(payment.amount + 1);
            self.at(1_000, Happening::ToSwitch(link, Box::new(request)));
        }
    }

    fn acquirer_delay(&mut self) -> u64 {
        let slow = self.happens(Fault::SlowAcquirer);
        if slow { self.dice.below(20 * SECOND) } else { self.dice.within(50, 2_000) }
    }

    fn look_after(&mut self, number: u64) {
        let payment = self.payments[number as usize].clone();
        match payment.state {
            Held::Waiting if payment.class.is_advice() || payment.sent < 4 || self.is_healing => {
                let cancels = !payment.class.is_advice() && self.happens(Fault::Cancels);
                if cancels {
                    return self.reverse(number, 0);
                }
                self.tell(Some(number), || "the acquirer repeats".to_owned());
                self.send(number);
                self.at(PATIENCE, Happening::LookAfter(number));
            }
            Held::Waiting => self.reverse(number, 0),
            Held::Reversing(_) => {
                self.send_reversal(number);
                self.at(PATIENCE, Happening::LookAfter(number));
            }
            Held::Approved(_) | Held::Declined | Held::Reversed => {}
        }
    }

    fn acquirer_hears(&mut self, acquirer: u16, number: u64, reply: &Reply, is_reversal: bool) {
        let outcome = reply.outcome;
        self.tell(Some(number), || format!("the acquirer is told {outcome:?}"));
        let payment = &mut self.payments[number as usize];
        if payment.acquirer != acquirer {
            if !is_reversal {
                self.broken(Some(number), "E9: an answer reached another acquirer".to_owned());
            }
            return;
        }
        if is_reversal {
            let is_taken = outcome.verdict == Verdict::Taken;
            match payment.state {
                Held::Reversing(0) if is_taken => {
                    payment.state = Held::Reversed;
                    if self.happens(Fault::Stray) {
                        let after_us = self.dice.below(60 * SECOND);
                        self.at(after_us, Happening::Stray(number));
                    }
                }
                Held::Reversing(left) if is_taken => payment.state = Held::Approved(left),
                _ => {}
            }
            return;
        }
        if !payment.was_reversed
            && let Err(what) = payment.hear(&outcome)
        {
            return self.broken(Some(number), what);
        }
        let approved = outcome.is_approved().then(|| outcome.approved_minor.unwrap_or(payment.amount));
        if payment.state != Held::Waiting {
            return;
        }
        match approved {
            Some(minor) => {
                payment.state = Held::Approved(minor);
                self.after_approval(number, minor);
            }
            None if payment.class.is_advice() => {}
            // Another copy may still be taken: nobody has promised that it will not.
            None if !is_promised(&outcome) && payment.sent > 1 => self.reverse(number, 0),
            None => payment.state = Held::Declined,
        }
    }

    fn after_approval(&mut self, number: u64, minor: u64) {
        self.mischief(number);
        if self.happens(Fault::Repeats) {
            self.send(number);
        }
        if self.payments[number as usize].class.is_advice() {
            return;
        }
        if self.happens(Fault::Reverses) {
            return self.reverse(number, 0);
        }
        if minor > 1 && self.happens(Fault::ReversesPart) {
            let left = self.dice.within(1, minor - 1);
            self.reverse(number, left);
        }
    }

    // ---- the switch ----

    fn start(&mut self) {
        self.process += 1;
        self.is_up = true;
        self.stopping = false;
        let (count, tables, limits) = (self.cards.shards as u16, self.tables.clone(), self.limits);
        let mut authorizers: Vec<Authorizer> =
            (0..count).map(|shard| Authorizer::new(ShardId(shard), count, tables.clone(), limits)).collect();
        for shard in 0..count {
            for (fact, at_us) in self.disks[usize::from(shard)].facts() {
                authorizers[usize::from(shard)].recover(fact, *at_us);
                let identity = match fact {
                    Fact::Intent(sent) => Some(sent.asked.identity),
                    Fact::Declined { asked, .. } => Some(asked.identity),
                    _ => None,
                };
                if let Some(identity) = identity {
                    let home = self.home_of(identity.0);
                    if home != shard {
                        authorizers[usize::from(home)].recover_elsewhere(identity, ShardId(shard), *at_us);
                    }
                }
            }
        }
        self.shards = authorizers.into_iter().map(Shard::new).collect();
        self.tell(None, || "the switch starts".to_owned());
        for shard in (0..count).map(ShardId) {
            self.inboxes[usize::from(shard.0)].clear();
            self.turns[usize::from(shard.0)] = None;
            self.acknowledging[usize::from(shard.0)].clear();
            self.event(shard, Event::Recovered);
        }
        self.enrol();
        for index in 0..self.acquirer_links.len() {
            let (_, acquirer, _) = self.acquirer_links[index];
            let after_us = self.dice.within(1_000, SECOND);
            self.at(after_us, Happening::AcquirerUp(self.process, acquirer, index as u16));
        }
        for (issuer, link) in (0..ISSUERS).flat_map(|issuer| (0..LINKS).map(move |link| (issuer, link))) {
            let after_us = self.dice.within(1_000, SECOND);
            let link = IssuerLink { issuer: IssuerId(issuer), link };
            self.at(after_us, Happening::IssuerUp(self.process, link));
        }
        if self.happens(Fault::CrashInRecovery) {
            self.turn(ShardId(0));
            if self.is_up {
                self.end("ends again while it recovers");
            }
        }
    }

    fn home_of(&self, identity: u128) -> u16 {
        ((identity >> 64) % self.cards.shards as u128) as u16
    }

    /// Proxies that are known already are refused, which is nobody's concern.
    fn enrol(&mut self) {
        for proxy in 0..PROXIES {
            let card = PLAIN_CARDS + proxy;
            let home = ShardId((card % self.cards.shards) as u16);
            let funding = Funding {
                pan: self.cards.pans[(proxy * 2) % PLAIN_CARDS],
                expiry: Expiry::parse(b"4912").expect("a month"),
            };
            let changes = [
                Change::Enrol { psn: 0, funding: Some(funding) },
                Change::IssueBundle { id: 1, first: 0, count: 10_000, ttl_us: 400 * 86_400 * SECOND },
                Change::ConfirmBundle(1),
            ];
            for change in changes {
                let (account, pan) = (AccountHash(card as u64 + 1), self.cards.pans[card]);
                self.event(home, Event::Provision(Provision { asker: None, account, pan, change }));
            }
        }
    }

    fn event(&mut self, shard: ShardId, event: Event) {
        self.inboxes[usize::from(shard.0)].push(event);
        let after_us = self.dice.within(1, 200);
        self.turn_at(shard, self.now_us + after_us);
    }

    fn event_everywhere(&mut self, event: &Event) {
        for shard in (0..self.cards.shards as u16).map(ShardId) {
            self.event(shard, event.clone());
        }
    }

    fn turn_at(&mut self, shard: ShardId, at_us: u64) {
        let planned = &mut self.turns[usize::from(shard.0)];
        let at_us = at_us.max(self.frozen_until_us).max(self.now_us);
        if planned.is_none_or(|planned| at_us < planned) {
            *planned = Some(at_us);
            self.at(at_us - self.now_us, Happening::Turn(self.process, shard));
        }
    }

    fn turn(&mut self, shard: ShardId) {
        let index = usize::from(shard.0);
        if self.now_us < self.frozen_until_us {
            self.turns[index] = None;
            return self.turn_at(shard, self.frozen_until_us);
        }
        self.turns[index] = None;
        self.acknowledged(index);
        let moment = self.moment();
        let written = self.disks[index].facts().len();
        let mut ports = SimPorts {
            now: Now { monotonic_us: self.now_us, moment, year: 2026, month: 11 },
            events: &mut self.inboxes[index],
            disk: &mut self.disks[index],
            performed: Vec::new(),
        };
        self.shards[index].turn(&mut ports);
        let performed = ports.performed;
        for (fact, _) in &self.disks[index].facts()[written..] {
            if let Fact::Late { issuer, stan, approved: true, .. } = fact {
                self.late.insert((issuer.0, stan.number()));
            }
        }
        self.tell_facts(index, written);
        self.begin_sync(shard);
        for effect in performed {
            self.perform(shard, effect);
        }
        if !self.is_up {
            return;
        }
        if !self.shards[index].holds_back() {
            for known in std::mem::take(&mut self.acknowledging[index]) {
                if let Some((_, acknowledged)) = self.undoings.get_mut(&known) {
                    *acknowledged = Some(self.process);
                }
            }
        }
        self.accidents(shard);
        if !self.is_up {
            return;
        }
        if let Some(due_us) = self.shards[index].authorizer().next_deadline_us() {
            self.turn_at(shard, due_us + 1);
        }
        if self.stopping
            && self.shards.iter().all(|shard| shard.authorizer().in_flight() == 0 && !shard.holds_back())
        {
            self.at(0, Happening::Stopped(self.process));
        }
    }

    /// For a person: what a turn has written down.
    fn tell_facts(&mut self, shard: usize, before: usize) {
        if self.story.is_none() {
            return;
        }
        let facts: Vec<Fact> =
            self.disks[shard].facts()[before..].iter().map(|(fact, _)| fact.clone()).collect();
        for fact in facts {
            let (identity, what) = match &fact {
                Fact::Intent(sent) => (Some(sent.asked.identity), "INTENT".to_owned()),
                Fact::Result { identity, outcome } => {
                    (Some(*identity), format!("RESULT {:?}", outcome.verdict))
                }
                Fact::Timeout { identity, undo, .. } => {
                    (Some(*identity), format!("TIMEOUT, undone by {:?}", undo.as_ref().map(|undo| undo.stan)))
                }
                Fact::Reversed { identity, left_minor, undo } => (
                    Some(*identity),
                    format!("REVERSED but {left_minor}, by {:?}", undo.as_ref().map(|undo| undo.stan)),
                ),
                Fact::Tombstone { identity, .. } => (Some(*identity), "TOMBSTONE".to_owned()),
                Fact::Declined { asked, outcome } => {
                    (Some(asked.identity), format!("DECLINED {:?}", outcome.verdict))
                }
                _ => continue,
            };
            let payment = self.payments.iter().find(|payment| Some(payment.identity()) == identity);
            let number = payment.map(|payment| payment.number);
            if number.is_some() {
                self.tell(number, || format!("shard {shard} writes {what}"));
            }
        }
    }

    /// Notes which reversals the shard is about to see acknowledged.
    fn acknowledged(&mut self, shard: usize) {
        for event in &self.inboxes[shard] {
            if let Event::Answered(answer) = event
                && answer.class.is_reversal()
                && matches!(answer.response_code.as_bytes(), b"00" | b"25")
            {
                self.acknowledging[shard].push((
                    answer.link.issuer.0,
                    answer.stan.number(),
                    answer.keys.moment,
                ));
            }
        }
    }

    fn begin_sync(&mut self, shard: ShardId) {
        let disk = &mut self.disks[usize::from(shard.0)];
        if disk.wants_sync() {
            disk.begin_sync();
            let slow = self.happens(Fault::SlowDisk);
            let after_us = if slow { self.dice.below(2 * SECOND) } else { self.dice.within(20, 500) };
            self.at(after_us, Happening::Synced(self.process, shard));
        }
    }

    fn synced(&mut self, shard: ShardId) {
        if self.happens(Fault::SyncFails) {
            return self.end("a sync fails");
        }
        self.disks[usize::from(shard.0)].end_sync();
        self.begin_sync(shard);
        self.turn_at(shard, self.now_us + 1);
    }

    /// What may befall the whole process after a turn.
    fn accidents(&mut self, shard: ShardId) {
        if self.happens(Fault::Crash) {
            return self.end("ends without a word");
        }
        if self.happens(Fault::Freeze) {
            self.frozen_until_us = self.now_us + self.dice.within(SECOND, 60 * SECOND);
            self.tell(None, || "the switch freezes".to_owned());
        }
        if !self.stopping && self.happens(Fault::Stop) {
            self.stopping = true;
            self.tell(None, || "the switch is stopped".to_owned());
            self.event_everywhere(&Event::Drain);
            self.event_everywhere(&Event::Stop);
        }
        if self.happens(Fault::ClockJumps) {
            self.moment_shift += self.dice.one_of(&[3_600, 86_400, 19_990_000]);
        }
        if self.low_until_us == 0 && self.happens(Fault::StoreLow) {
            self.low_until_us = self.now_us + self.dice.within(SECOND, 20 * SECOND);
            self.event(shard, Event::StoreLow(true));
        } else if self.low_until_us != 0 && (self.low_until_us < self.now_us || self.is_healing) {
            self.low_until_us = 0;
            self.event_everywhere(&Event::StoreLow(false));
        }
        if self.happens(Fault::AcquirerCut) {
            let index = self.dice.below(self.acquirer_links.len() as u64) as usize;
            self.cut_acquirer(index);
        }
        if self.happens(Fault::IssuerCut) {
            let link = self.any_issuer_link();
            self.cut_issuer(link);
        }
        if self.happens(Fault::SignedOff) {
            let link = self.any_issuer_link();
            if self.is_link_up(link) {
                self.issuer_links
                    .insert((link.issuer.0, link.link), (self.generation(link), LinkChange::SignedOff));
                self.event_everywhere(&Event::IssuerLink(link, LinkChange::SignedOff));
                let after_us = self.dice.within(SECOND, 30 * SECOND);
                self.at(after_us, Happening::IssuerUp(self.process, link));
            }
        }
        if self.happens(Fault::BlackHole) {
            let issuer = self.dice.below(u64::from(ISSUERS)) as usize;
            self.issuers[issuer].hole_until_us = self.now_us + self.dice.within(SECOND, 60 * SECOND);
        }
    }

    /// The process is gone, and with it everything that was not durable.
    fn end(&mut self, how: &str) {
        let how = how.to_owned();
        self.tell(None, || format!("the switch {how}"));
        self.is_up = false;
        self.ran.crashes += 1;
        self.frozen_until_us = 0;
        self.low_until_us = 0;
        for index in 0..self.disks.len() {
            let torn = self.happens(Fault::Torn);
            let unsynced = self.disks[index].unsynced() as u64;
            let kept = if torn { self.dice.below(unsynced + 1) as usize } else { 0 };
            self.disks[index].crash(kept);
        }
        self.tickets.clear();
        for (link, _, is_up) in &mut self.acquirer_links {
            link.generation += 1;
            *is_up = false;
        }
        for (generation, change) in self.issuer_links.values_mut() {
            *generation += 1;
            *change = LinkChange::Lost;
        }
        let after_us = self.dice.within(1_000, 5 * SECOND);
        self.at(after_us, Happening::Start);
    }

    fn perform(&mut self, shard: ShardId, effect: Effect) {
        match effect {
            Effect::Forward { ticket, to, stan, funding } => self.forward(ticket, Leg { to, stan }, funding),
            Effect::Undo(undoing) => self.undo(*undoing),
            Effect::Ask { proof, ticket, .. } => self.ask(shard, ticket, proof),
            Effect::Challenge { .. } => {}
            Effect::Reply(reply) => self.reply(reply),
            Effect::Release(ticket) => self.release(ticket),
            Effect::Hand { ticket, to } => {
                if let Some(Kept::Request(_, request)) = self.tickets.get(&ticket.0).cloned() {
                    let after_us = self.dice.within(1, 500);
                    self.at(after_us, Happening::Handed(self.process, to, request));
                }
            }
        }
    }

    fn switch_hears(&mut self, link: AcquirerLink, request: Request) {
        self.tell(Some(payment_of(&request.keys)), || format!("{} reaches the switch", request.class.name()));
        let is_same = self.acquirer_links.iter().any(|(known, _, is_up)| *known == link && *is_up);
        if !self.is_up || !is_same {
            return;
        }
        let number = payment_of(&request.keys);
        self.next_ticket += 1;
        let request = Request { ticket: Ticket(self.next_ticket), ..request };
        self.tickets.insert(self.next_ticket, Kept::Request(number, Box::new(request)));
        let named = request.original.map_or(request.identity, |original| original.identity);
        let home = ShardId(self.home_of(named.0));
        self.event(home, Event::Request(request));
    }

    fn release(&mut self, ticket: Ticket) {
        if self.tickets.remove(&ticket.0).is_none() {
            self.broken(None, format!("a raw message was released twice: {}", ticket.0));
        }
    }

    fn reply(&mut self, reply: Reply) {
        let kept = self.tickets.get(&reply.ticket.0).cloned();
        self.release(reply.ticket);
        if let Some(answer) = reply.answer {
            self.release(answer);
        }
        let Some(Kept::Request(number, request)) = kept else { return };
        let is_reversal = request.class.is_reversal();
        let payment = &self.payments[number as usize];
        if is_reversal && (request.amount.minor(), request.acquirer.0) != (payment.amount, payment.acquirer) {
            // Nobody waits for the answer to mischief.
            return;
        }
        self.seen(number << 8 | u64::from(reply.outcome.response_code.as_bytes()[0]));
        let is_other = request.fingerprint.content != u128::from(self.payments[number as usize].amount);
        if is_other && !is_reversal && reply.outcome.is_approved() {
            return self.broken(Some(number), "Q5: another content was told the approval".to_owned());
        }
        let whose = self.acquirer_links.iter().find(|(link, _, is_up)| *link == reply.link && *is_up);
        let Some((_, acquirer, _)) = whose.copied() else { return };
        if self.happens(Fault::ReplyLost) {
            return;
        }
        let delay_us = self.acquirer_delay();
        self.at(delay_us, Happening::ToAcquirer(acquirer, number, Box::new(reply), is_reversal));
    }

    fn ask(&mut self, shard: ShardId, ticket: Ticket, proof: ProofId) {
        let Some(Kept::Request(number, _)) = self.tickets.get(&ticket.0).cloned() else { return };
        let is_right = self.payments[number as usize].label.is_some_and(|(_, is_right)| is_right);
        let judgement = if self.happens(Fault::TokenGone) {
            Judgement::Unknown
        } else if is_right {
            Judgement::Right
        } else {
            Judgement::Wrong
        };
        if judgement == Judgement::Right {
            self.proven.insert(number);
        }
        let slow = self.happens(Fault::SlowToken);
        let after_us = if slow { self.dice.below(2 * SECOND) } else { self.dice.within(20, 400) };
        self.at(after_us, Happening::Judged(self.process, shard, proof, judgement));
    }

    // ---- issuers ----

    fn issuer_delay(&mut self) -> u64 {
        let slow = self.happens(Fault::SlowIssuer);
        if slow { self.dice.below(15 * SECOND) } else { self.dice.within(100, 20_000) }
    }

    /// How long a message to an issuer takes: nothing overtakes on one connection.
    fn in_line(&mut self, link: IssuerLink, generation: u32) -> u64 {
        let arrives_us = self.now_us + self.issuer_delay();
        let newest = self.lines.entry((link.issuer.0, link.link, generation)).or_insert(0);
        *newest = arrives_us.max(*newest + 1);
        *newest - self.now_us
    }

    fn any_issuer_link(&mut self) -> IssuerLink {
        let issuer = IssuerId(self.dice.below(u64::from(ISSUERS)) as u16);
        IssuerLink { issuer, link: self.dice.below(u64::from(LINKS)) as u16 }
    }

    fn generation(&self, link: IssuerLink) -> u32 {
        self.issuer_links.get(&(link.issuer.0, link.link)).map_or(0, |(generation, _)| *generation)
    }

    fn is_link_up(&self, link: IssuerLink) -> bool {
        self.issuer_links
            .get(&(link.issuer.0, link.link))
            .is_some_and(|(_, change)| *change == LinkChange::Up)
    }

    fn is_connected(&self, link: IssuerLink, generation: u32) -> bool {
        self.issuer_links
            .get(&(link.issuer.0, link.link))
            .is_some_and(|(known, change)| *known == generation && *change != LinkChange::Lost)
    }

    fn issuer_up(&mut self, link: IssuerLink) {
        if self.is_link_up(link) {
            return;
        }
        let generation = self.generation(link);
        self.issuer_links.insert((link.issuer.0, link.link), (generation, LinkChange::Up));
        self.event_everywhere(&Event::IssuerLink(link, LinkChange::Up));
        if self.happens(Fault::IssuerFlap) {
            self.cut_issuer(link);
        }
    }

    fn cut_issuer(&mut self, link: IssuerLink) {
        if !self.is_connected(link, self.generation(link)) {
            return;
        }
        self.tell(None, || format!("link {}.{} is cut", link.issuer.0, link.link));
        let generation = self.generation(link) + 1;
        self.issuer_links.insert((link.issuer.0, link.link), (generation, LinkChange::Lost));
        self.event_everywhere(&Event::IssuerLink(link, LinkChange::SignedOff));
        // What was queued and not begun is said to be so, before the link is said to be lost.
        let unsent: Vec<(u64, Leg)> = self
            .happenings
            .iter()
            .filter_map(|(serial, happening)| match happening {
                Happening::ToIssuer(to, before, leg, _) if *to == link && *before + 1 == generation => {
                    Some((*serial, *leg))
                }
                _ => None,
            })
            .collect();
        for (serial, leg) in unsent {
            if self.happens(Fault::UnsentOnCut) {
                self.happenings.remove(&serial);
                let owner = shard_of(leg.stan, self.cards.shards as u16);
                self.event(owner, Event::Unsent(leg, Unsent::LinkLost));
            }
        }
        self.event_everywhere(&Event::IssuerLink(link, LinkChange::Lost));
        let after_us = self.dice.within(10_000, 20 * SECOND);
        self.at(after_us, Happening::IssuerUp(self.process, link));
    }

    fn cut_acquirer(&mut self, index: usize) {
        let (link, acquirer, is_up) = self.acquirer_links[index];
        if !is_up {
            return;
        }
        self.acquirer_links[index].2 = false;
        self.event_everywhere(&Event::AcquirerLink(link, AcquirerId(acquirer), LinkChange::Lost));
        self.acquirer_links[index].0.generation += 1;
        let after_us = self.dice.within(10_000, 30 * SECOND);
        self.at(after_us, Happening::AcquirerUp(self.process, acquirer, index as u16));
    }

    fn acquirer_up(&mut self, acquirer: u16, index: u16) {
        let (link, _, is_up) = &mut self.acquirer_links[usize::from(index)];
        if !*is_up {
            *is_up = true;
            let link = *link;
            self.event_everywhere(&Event::AcquirerLink(link, AcquirerId(acquirer), LinkChange::Up));
        }
    }

    fn forward(&mut self, ticket: Ticket, leg: Leg, funding: Option<Funding>) {
        let Some(Kept::Request(number, _)) = self.tickets.get(&ticket.0).cloned() else {
            return self.broken(None, "a request was forwarded after it was released".to_owned());
        };
        self.seen(number << 8 | 1);
        self.tell(Some(number), || {
            format!("forwarded to {}.{} as {}", leg.to.issuer.0, leg.to.link, leg.stan.number())
        });
        let payment = &self.payments[number as usize];
        if let Some((label, is_right)) = payment.label {
            let card = payment.card;
            if !is_right || funding.is_none() || !self.proven.contains(&number) {
                return self.broken(
                    Some(number),
                    "a code that is not known to be right went to the issuer".to_owned(),
                );
            }
            let first = *self.claimed.entry((card, label)).or_insert(number);
            if first != number {
                return self.broken(
                    Some(number),
                    format!("E8: ATC {label} of card {card} was accepted twice, by {first} too"),
                );
            }
        }
        if !self.is_connected(leg.to, self.generation(leg.to)) {
            let owner = shard_of(leg.stan, self.cards.shards as u16);
            return self.event(owner, Event::Unsent(leg, Unsent::LinkLost));
        }
        if self.happens(Fault::ForwardLost) {
            return;
        }
        let generation = self.generation(leg.to);
        let delay_us = self.in_line(leg.to, generation);
        self.at(delay_us, Happening::ToIssuer(leg.to, generation, leg, number));
    }

    fn undo(&mut self, undoing: Undoing) {
        let reversal = &undoing.reversal;
        let number = payment_of(&reversal.sent.asked.keys);
        let issuer = undoing.to.issuer.0;
        self.seen(number << 8 | 2);
        self.ran.reversals += 1;
        self.tell(Some(number), || {
            format!(
                "reversal {} of {} to {}.{}, repeat {}",
                reversal.stan.number(),
                reversal.sent.stan.number(),
                issuer,
                undoing.to.link,
                reversal.is_repeat
            )
        });
        let known = (issuer, reversal.stan.number(), reversal.moment);
        let approved_late = self.late.contains(&(issuer, reversal.sent.stan.number()));
        let (sent, acknowledged) = self.undoings.entry(known).or_insert((0, None));
        let was_sent = *sent > 0;
        let acknowledged = *acknowledged;
        *sent += 1;
        let leg = (issuer, reversal.sent.stan.number(), reversal.sent.asked.keys.moment, reversal.left_minor);
        let several = self.reversals_of.entry(leg).or_default();
        several.insert(reversal.stan.number());
        if several.len() > 1 && !approved_late {
            return self.broken(Some(number), "E7: two reversals of one request".to_owned());
        }
        if was_sent && !reversal.is_repeat {
            return self.broken(Some(number), "E7: a reversal was sent twice as the first".to_owned());
        }
        if !was_sent && reversal.is_repeat && self.process == 1 && !approved_late {
            return self.broken(Some(number), "E7: a reversal began with a repeat".to_owned());
        }
        if acknowledged == Some(self.process) {
            return self.broken(Some(number), "E7: a reversal was sent after its acknowledgement".to_owned());
        }
        if !self.is_connected(undoing.to, self.generation(undoing.to)) || self.happens(Fault::ReversalLost) {
            return;
        }
        let generation = self.generation(undoing.to);
        let delay_us = self.in_line(undoing.to, generation);
        self.at(delay_us, Happening::UndoAtIssuer(undoing.to, generation, Box::new(undoing)));
    }

    fn issuer_hears(&mut self, link: IssuerLink, generation: u32, leg: Leg, number: u64) {
        // What was on a link that was cut may have arrived.
        if !self.is_connected(link, generation) && self.dice.happens(500_000) {
            return;
        }
        let payment = self.payments[number as usize].clone();
        let key: Key = (leg.stan.number(), payment.moment);
        let is_advice = payment.class.is_advice();
        let issuer = usize::from(link.issuer.0);
        let wanted = if !is_advice && self.happens(Fault::Declined) {
            None
        } else if !is_advice && self.happens(Fault::Partial) {
            Some(self.dice.within(1, payment.amount - 1))
        } else {
            Some(payment.amount)
        };
        let approved = self.issuers[issuer].take(key, number, wanted, is_advice);
        self.tell(Some(number), || format!("the issuer has it as {}: {approved:?}", leg.stan.number()));
        if approved.is_some() && self.issuers[issuer].has_forgotten(key) {
            let answer = self.answer_to(&payment, leg, approved);
            self.send_for_sure(answer);
        }
        let silent = self.now_us < self.issuers[issuer].hole_until_us;
        if silent || self.happens(Fault::Silent) {
            return;
        }
        let answer = self.answer_to(&payment, leg, approved);
        self.send_answer(link, generation, answer);
    }

    /// An approval of what an issuer was told to undo before, and forgot, can be undone only by who sees it: it comes
    /// through, if not now then when the world has healed.
    fn send_for_sure(&mut self, answer: Answer) {
        let link =
            (0..LINKS).map(|link| IssuerLink { link, ..answer.link }).find(|link| self.is_link_up(*link));
        match link.filter(|_| self.is_up && self.is_healing) {
            Some(link) => {
                self.at(1_000, Happening::FromIssuer(link, self.generation(link), Box::new(answer)))
            }
            None => self.at(SECOND, Happening::ForSure(Box::new(answer))),
        }
    }

    fn answer_to(&mut self, payment: &Payment, leg: Leg, approved: Option<u64>) -> Answer {
        let is_partial = approved.is_some_and(|minor| minor != payment.amount);
        let code = match approved {
            Some(_) if is_partial => b"10",
            Some(_) => b"00",
            None => b"05",
        };
        let pan = self.pan_at_issuer(payment);
        Answer {
            ticket: Ticket(0),
            link: leg.to,
            class: payment.class,
            stan: leg.stan,
            keys: payment.keys(),
            pan: Some(pan),
            processing_code: None,
            amount_minor: approved.or(Some(payment.amount)),
            approval_code: approved
                .and_then(|_| ApprovalCode::parse(format!("{:06}", leg.stan.number()).as_bytes())),
            response_code: ResponseCode::of(code),
        }
    }

    fn pan_at_issuer(&self, payment: &Payment) -> Pan {
        match payment.label {
            Some(_) => self.cards.pans[((payment.card - PLAIN_CARDS) * 2) % PLAIN_CARDS],
            None => self.cards.pans[payment.card],
        }
    }

    fn send_answer(&mut self, link: IssuerLink, generation: u32, mut answer: Answer) {
        if self.happens(Fault::AnswerLost) {
            return;
        }
        let is_late = self.happens(Fault::Late);
        let delay_us = if is_late { self.dice.within(9 * SECOND, 40 * SECOND) } else { self.issuer_delay() };
        let honest = answer;
        if self.happens(Fault::Contradicting) {
            // The second word is not in the books: only the first may count.
            let other = Answer { response_code: ResponseCode::of(b"05"), approval_code: None, ..honest };
            self.at(delay_us, Happening::FromIssuer(link, generation, Box::new(honest)));
            return self.at(delay_us + 1, Happening::FromIssuer(link, generation, Box::new(other)));
        }
        if self.happens(Fault::WrongKeys) {
            // It is another request's answer, and says something else.
            answer.keys.moment += 1;
            let is_approved = answer.approval_code.is_some();
            answer.response_code = ResponseCode::of(if is_approved { b"05" } else { b"00" });
            answer.approval_code = if is_approved { None } else { ApprovalCode::parse(b"OTHERS") };
        }
        if self.happens(Fault::WrongAmount) {
            // More than was asked, whatever that was.
            answer.amount_minor = answer.amount_minor.map(|minor| minor + 1_000_000);
        }
        if self.happens(Fault::WrongCard) {
            answer.pan = Pan::parse(b"9999800000000015");
        }
        let mut over = link;
        if self.happens(Fault::OtherLink) {
            over.link = 1 - over.link;
        }
        let generation = if over == link { generation } else { self.generation(over) };
        self.at(delay_us, Happening::FromIssuer(over, generation, Box::new(answer)));
        if self.happens(Fault::Double) || self.happens(Fault::DoubledAnswer) {
            let again_us = self.dice.below(3 * SECOND);
            self.at(delay_us + again_us, Happening::FromIssuer(link, generation, Box::new(honest)));
        }
    }

    fn undo_at_issuer(&mut self, link: IssuerLink, generation: u32, undoing: &Undoing) {
        if !self.is_connected(link, generation) && self.dice.happens(500_000) {
            return;
        }
        let issuer = usize::from(link.issuer.0);
        let reversal = &undoing.reversal;
        let number = payment_of(&reversal.sent.asked.keys);
        let silent = self.now_us < self.issuers[issuer].hole_until_us;
        let code = if self.happens(Fault::Later) {
            b"91"
        } else {
            let forgets = self.happens(Fault::NoTombstones);
            self.issuers[issuer].undo(reversal, !forgets)
        };
        self.tell(Some(number), || {
            format!(
                "the issuer takes the reversal of {}: {}",
                reversal.sent.stan.number(),
                String::from_utf8_lossy(code)
            )
        });
        if silent || self.happens(Fault::AcknowledgementLost) {
            return;
        }
        let keys = MatchKeys { moment: reversal.moment, ..reversal.sent.asked.keys };
        let answer = Answer {
            ticket: Ticket(0),
            link,
            class: Class::ReversalAdvice,
            stan: reversal.stan,
            keys,
            pan: None,
            processing_code: None,
            amount_minor: None,
            approval_code: None,
            response_code: ResponseCode::of(code),
        };
        let delay_us = self.issuer_delay();
        self.at(delay_us, Happening::FromIssuer(link, generation, Box::new(answer)));
    }

    fn issuer_says(&mut self, link: IssuerLink, generation: u32, answer: Answer) {
        if !self.is_up || !self.is_connected(link, generation) {
            return;
        }
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.tickets.insert(self.next_ticket, Kept::Answer);
        let owner = shard_of(answer.stan, self.cards.shards as u16);
        self.event(owner, Event::Answered(Answer { ticket, link, ..answer }));
    }

    // ---- the end ----

    /// No fault happens any more; everything comes back.
    fn heal(&mut self) {
        self.is_healing = true;
        self.faults = Faults::none();
        for issuer in &mut self.issuers {
            issuer.hole_until_us = 0;
        }
        self.tell(None, || "the world heals".to_owned());
    }

    fn is_at_rest(&self) -> bool {
        self.is_up
            && !self.stopping
            && self.payments.iter().all(Payment::is_settled)
            && self.tickets.is_empty()
            && self.inboxes.iter().all(Vec::is_empty)
            && self.shards.iter().all(|shard| {
                let authorizer = shard.authorizer();
                let waits = (0..ISSUERS).any(|issuer| authorizer.saf_depth(IssuerId(issuer)).waiting > 0);
                authorizer.in_flight() == 0 && !shard.holds_back() && !waits
            })
            && !self.happenings.values().any(is_on_its_way)
    }

    fn unsettled(&self) -> Violation {
        let open = self.payments.iter().find(|payment| !payment.is_settled());
        let waiting: usize = self
            .shards
            .iter()
            .flat_map(|shard| {
                (0..ISSUERS).map(|issuer| shard.authorizer().saf_depth(IssuerId(issuer)).waiting)
            })
            .sum();
        let what = format!(
            "the world does not come to rest: {} messages kept, {waiting} reversals wait, up {}, open {:?}",
            self.tickets.len(),
            self.is_up,
            open.map(|payment| payment.state)
        );
        Violation { what, payment: open.map(|payment| payment.number) }
    }

    /// The books of acquirers and issuers agree.
    fn check(&mut self) -> Result<(), Violation> {
        for payment in &self.payments {
            let number = payment.number;
            let broken = |what: String| Err(Violation { what, payment: Some(number) });
            let asked: u32 =
                self.issuers.iter().map(|issuer| issuer.asked.get(&number).copied().unwrap_or(0)).sum();
            if asked > 1 {
                return broken(format!("E5: the issuers were asked {asked} times"));
            }
            if payment.class.is_advice() {
                continue;
            }
            let (standing, approvals) = self
                .issuers
                .iter()
                .map(|issuer| issuer.standing(number))
                .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            match payment.state {
                Held::Approved(minor) if (standing, approvals) != (minor, 1) => {
                    return broken(format!(
                        "E3: approved over {minor}, at the issuers {approvals} over {standing}"
                    ));
                }
                Held::Declined | Held::Reversed if standing != 0 => {
                    return broken(format!("E3: {:?}, at the issuers {standing}", payment.state));
                }
                _ => {}
            }
            if matches!(payment.state, Held::Approved(_)) {
                self.ran.approved += 1;
            }
        }
        Ok(())
    }
}

/// Whether it may still change what the books say.
fn is_on_its_way(happening: &Happening) -> bool {
    matches!(
        happening,
        Happening::ToSwitch(..)
            | Happening::ToAcquirer(..)
            | Happening::Stray(..)
            | Happening::ToIssuer(..)
            | Happening::UndoAtIssuer(..)
            | Happening::FromIssuer(..)
            | Happening::ForSure(..)
            | Happening::Judged(..)
            | Happening::Handed(..)
            | Happening::Start
            | Happening::Stopped(..)
    )
}

fn payment_of(keys: &MatchKeys) -> u64 {
    keys.rrn.map_or(0, |rrn| String::from_utf8_lossy(rrn.as_bytes()).parse().unwrap_or(0))
}

fn tables() -> Tables {
    let acquirer =
        Acquirer { rights: Rights::default(), codes: CodeSet::Response1987, overrides: Vec::new() };
    let issuer = IssuerRow { timeout_us: ISSUER_TIMEOUT, window: 1_000, links: LINKS };
    let route = |digits: &[u8], issuers: &[u16]| {
        let issuers = issuers.iter().map(|issuer| IssuerId(*issuer)).collect();
        (Iin::parse(digits).expect("digits"), Route { issuers })
    };
    let tries = Tries { per_secret: 3, per_card: 200, window_us: 86_400 * SECOND };
    Tables {
        acquirers: vec![acquirer; usize::from(ACQUIRERS)],
        issuers: vec![issuer; usize::from(ISSUERS)],
        iins: IinTable::new(vec![route(b"99996", &[0, 1]), route(b"99997", &[1])]),
        approval_codes: vec![ResponseCode::of(b"00"), ResponseCode::of(b"10")],
        programs: vec![CardProgram::RotatingAtc(rotating_atc::Settings { tries })],
        proof_timeout_us: SECOND / 2,
        has_journal: true,
        planted: None,
        retry: Retry { min_us: SECOND, max_us: 20 * SECOND },
    }
}
