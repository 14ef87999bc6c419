//! The simulated world: acquirers, issuers, links, token, disks and one clock around the real shards of the switch, in
//! one thread, in an order that the seed decides.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use authorizer::Effect;
use authorizer::cards::Refused;
use authorizer::effect::Reply;
use authorizer::event::{AcquirerLink, Event, IssuerId, IssuerLink, Leg, LinkChange, Now, ShardId, Ticket};
use authorizer::fact::Fact;
use authorizer::late::ForgottenLeg;
use authorizer::limits::Limits;
use authorizer::ports::{Ports, Position};
use authorizer::provision::{Asker, Told};
use authorizer::request::{Answer, Identity, MatchKeys, Request};
use authorizer::saf::Delivery;
use authorizer::shard::Shard;
use authorizer::tables::Tables;
use authorizer::verify::{Judgement, ProofId};

use caps::Caps;
use codecs::value::Stan;

use super::dice::Dice;
use super::disk::Disk;
use super::faults::{Fault, Faults};
use super::issuer::Issuer;
use super::payments::{Cards, ORDINARY, PROXIES, Payment};

mod acquirers;
mod caps;
mod edge;
mod issuers;
mod laws;
mod links;
mod operator;
mod process;
mod story;
mod tables;

const SECOND: u64 = 1_000_000;
const ISSUER_TIMEOUT: u64 = 10 * SECOND;
const PATIENCE: u64 = 15 * SECOND;
const ACQUIRERS: u16 = 2;
const ISSUERS: u16 = 2;
const LINKS: u16 = 2;
/// Lines of a story.
const STORY_LINES: usize = 80;
/// How long the world may take to come to rest once it has healed.
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
    /// A reversal or an advice reaches an issuer.
    DeliveredAtIssuer(IssuerLink, u32, Box<Delivery>),
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
    /// A snapshot is whole.
    SnapshotWritten(u32, ShardId),
    /// A shard hands over to another.
    Handed(u32, ShardId, Box<Request>),
    /// The index of the journals answers a shard about an identity.
    Recalled(u32, ShardId, Ticket, Identity, u64),
    /// The same about a leg, looked up so often before.
    RecalledLeg(u32, ShardId, ForgottenLeg, u32),
    /// Links come back.
    AcquirerUp(u32, u16, u16),
    IssuerUp(u32, IssuerLink),
    /// The process starts again.
    Start,
    /// An orderly stop is over.
    Stopped(u32),
    /// An operator looks at what is parked.
    LookAtParked,
    /// And releases something of it.
    Release(u32, ShardId, IssuerId, Stan),
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

/// A reversal or an advice, by issuer, trace number and moment.
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
    /// Advices sent to issuers.
    pub advices: u64,
    /// Times that the index was asked for what memory has forgotten.
    pub recalls: u64,
    /// Of these, times for a late approval.
    pub legs_recalled: u64,
    /// Purchases approved for an issuer that could not be asked.
    pub stood_in: u64,
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
    /// The newest ATC of each card of a program.
    labels: Vec<u16>,
    /// ATCs that were accepted, by card.
    claimed: BTreeMap<(usize, u16), u64>,
    /// How often each reversal and advice was sent, and in which process it was acknowledged.
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
    /// Since when each link to an issuer may carry requests.
    up_since_us: BTreeMap<(u16, u16), u64>,
    /// When each shard turned last: what had happened by then it knew.
    turned_us: Vec<u64>,
    /// What was stood in for.
    caps: Caps,
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
    told: Vec<Told>,
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

    fn tell(&mut self, _: Asker, told: Result<Told, Refused>) {
        self.told.extend(told.ok());
    }

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
        let mut faults = Faults::draw(&mut dice);
        let mut gap_us = dice.one_of(&[200, 2_000, 20_000, 200_000]);
        let memory = Memory::of(seed);
        if memory.is_small() {
            gap_us = SLOW_GAP;
            faults.leave_out(Fault::Burst);
            // A snapshot knows no legs but those of what is remembered.
            faults.leave_out(Fault::Snapshot);
        }
        let mut tables = tables::tables();
        tables::may_stand_in(&mut tables, faults.rate(Fault::StandIn));
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
                recent_entries: memory.entries,
                recent_window_us: memory.window_us,
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
            labels: vec![0; PROXIES + ORDINARY],
            claimed: BTreeMap::new(),
            undoings: BTreeMap::new(),
            acknowledging: vec![Vec::new(); shards],
            proven: BTreeSet::new(),
            reversals_of: BTreeMap::new(),
            late: BTreeSet::new(),
            low_until_us: 0,
            up_since_us: BTreeMap::new(),
            turned_us: vec![0; shards],
            caps: Caps::default(),
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
        world.at(SECOND, Happening::LookAtParked);
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
            Happening::DeliveredAtIssuer(link, generation, delivery) => {
                self.delivered_at_issuer(link, generation, &delivery)
            }
            Happening::FromIssuer(link, generation, answer) => self.issuer_says(link, generation, *answer),
            Happening::ForSure(answer) => self.send_for_sure(*answer),
            Happening::Judged(process, shard, proof, judgement) if self.is_of(process) => {
                self.event(shard, Event::Judged(proof, judgement));
            }
            Happening::Turn(process, shard) if self.is_of(process) => self.turn(shard),
            Happening::Synced(process, shard) if self.is_of(process) => self.synced(shard),
            Happening::SnapshotWritten(process, shard) if self.is_of(process) => self.snapshot_written(shard),
            Happening::Handed(process, shard, request) if self.is_of(process) => {
                self.event(shard, Event::Handed(*request));
            }
            Happening::Recalled(process, shard, ticket, identity, ended_by_us) if self.is_of(process) => {
                self.recalled(shard, ticket, identity, ended_by_us);
            }
            Happening::RecalledLeg(process, shard, leg, before) if self.is_of(process) => {
                self.leg_recalled(shard, leg, before);
            }
            Happening::AcquirerUp(process, acquirer, link) if self.is_of(process) => {
                self.acquirer_up(acquirer, link);
            }
            Happening::IssuerUp(process, link) if self.is_of(process) => self.issuer_up(link),
            Happening::Start => self.start(),
            Happening::Stopped(process) if self.is_of(process) => self.end("stopped in order"),
            Happening::LookAtParked => self.look_at_parked(),
            Happening::Release(process, shard, issuer, stan) if self.is_of(process) => {
                self.release_parked(shard, issuer, stan);
            }
            _ => {}
        }
    }

    fn is_of(&self, process: u32) -> bool {
        self.is_up && process == self.process
    }
}

/// How much the shards remember.
struct Memory {
    window_us: u64,
    entries: u32,
}

/// So few that places in memory are given to others while late answers are on their way.
const SMALL: u32 = 64;
/// And no more payments come than it can hold of them for as long as any first message is on its way.
const SLOW_GAP: u64 = 4 * SECOND;

impl Memory {
    /// In one world of four memory forgets what is older than its window: what comes behind that is the index's to know.
    /// Longer than any first message is on its way: of one that does not say that it is a repeat, nobody asks. In half of
    /// these there are so few places that nothing is left of what was forgotten.
    fn of(seed: u64) -> Self {
        let mut dice = Dice::new(!seed);
        let short = dice.happens(250_000).then(|| dice.one_of(&[100, 120, 200]) * SECOND);
        let is_small = short.is_some() && dice.happens(500_000);
        Self {
            window_us: short.unwrap_or(72 * 3_600 * SECOND),
            entries: if is_small { SMALL } else { 1 << 16 },
        }
    }

    fn is_small(&self) -> bool {
        self.entries == SMALL
    }
}

fn payment_of(keys: &MatchKeys) -> u64 {
    keys.rrn.map_or(0, |rrn| String::from_utf8_lossy(rrn.as_bytes()).parse().unwrap_or(0))
}
