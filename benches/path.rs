//! One transaction without sockets: the frame cut, the message read, decided, forwarded; the answer cut, read,
//! decided, told. The same functions the edge calls, in the same order, with a shard's real turn around them.

use authorizer::cards::Refused;
use authorizer::effect::Effect;
use authorizer::event::{
    AcquirerId, AcquirerLink, Event, IssuerId, IssuerLink, LinkChange, Now, ShardId, Ticket,
};
use authorizer::fact::Fact;
use authorizer::ports::{Ports, Position};
use authorizer::provision::{Asker, Told};
use authorizer::request::Class;
use authorizer::shard::Shard;
use authorizer::{Answer, Authorizer};
use codecs::frame::{Cut, FrameFormat, LengthForm};
use codecs::iso8583::{De, Dialect, Index, Message, Plans, Weaves, built_in};
use switch::acquirer::translate::{Answered, Received};
use switch::homes::Homes;
use switch::issuer::translate::{Onward, Passing};
use switch::journal::bench::BenchJournal;
use switch::programs::Programs;
use switch::{acquirer, frame, issuer};

use crate::{APPROVAL, AUTHORIZATION, limits, message, tables};

const LINK: AcquirerLink = AcquirerLink { shard: ShardId(0), slot: 0, generation: 1 };
/// The one link to an issuer.
pub const ISSUER: IssuerLink = IssuerLink { issuer: IssuerId(0), link: 0 };
const FRAMING: FrameFormat = FrameFormat {
    length: LengthForm::Binary2,
    inclusive: false,
    header_bytes: 0,
    max_bytes: 4_096,
    keep_alive: false,
};

/// A message as it was read, and where its elements are.
struct Kept {
    bytes: Vec<u8>,
    index: Index,
}

/// A world of buffers: what would be written to a socket is appended to one.
struct Buffers {
    dialect: &'static Dialect,
    homes: Homes,
    programs: Programs,
    events: Vec<Event>,
    kept: Vec<Kept>,
    plans: Box<Plans>,
    weaves: Box<Weaves>,
    to_issuer: Vec<u8>,
    to_acquirer: Vec<u8>,
    now_us: u64,
    facts: Position,
    /// Without one, facts are counted, and as durable as they will ever be.
    journal: Option<BenchJournal>,
}

impl Ports for Buffers {
    fn now(&mut self) -> Now {
        self.now_us += 1;
        Now { monotonic_us: self.now_us, moment: 1_123_120_000, year: 2026, month: 11 }
    }

    fn take(&mut self, events: &mut Vec<Event>) {
        std::mem::swap(events, &mut self.events);
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Forward { ticket, stan, .. } => {
                let kept = &self.kept[ticket.0 as usize];
                let request = Message::new(self.dialect, &kept.bytes, &kept.index);
                let mti = kept.index.mti().expect("sound");
                frame::append(&mut self.to_issuer, FRAMING, &[], kept.bytes.len(), None, |out| {
                    let onward = Onward { mti, stan, passing: Passing::Restamped, funding: None };
                    issuer::translate::forward(&request, &onward, self.dialect, &mut self.weaves, out)
                })
                .expect("encodable");
            }
            Effect::Reply(reply) => {
                let kept = &self.kept[reply.ticket.0 as usize];
                let request = Message::new(self.dialect, &kept.bytes, &kept.index);
                let answer = &self.kept[reply.answer.expect("an issuer's answer").0 as usize];
                let answer = Message::new(self.dialect, &answer.bytes, &answer.index);
                frame::append(&mut self.to_acquirer, FRAMING, &[], kept.bytes.len() * 2, None, |out| {
                    acquirer::translate::reply(
                        &request,
                        self.dialect,
                        *b"0110",
                        &reply.outcome,
                        Some(Answered { message: &answer, funding: None }),
                        &mut self.weaves,
                        out,
                    )
                })
                .expect("encodable");
            }
            _ => {}
        }
    }

    fn submit(&mut self) {}

    fn tell(&mut self, _: Asker, _: Result<Told, Refused>) {}

    fn append(&mut self, facts: &[Fact]) -> Position {
        self.facts = match &mut self.journal {
            Some(journal) => journal.append(facts, self.now_us),
            None => self.facts + facts.len() as Position,
        };
        self.facts
    }

    fn durable_up_to(&self) -> Position {
        self.journal.as_ref().map_or(self.facts, BenchJournal::durable_up_to)
    }
}

impl Buffers {
    fn keep(&mut self, place: usize, bytes: &[u8]) {
        let kept = &mut self.kept[place];
        kept.bytes.clear();
        kept.bytes.extend_from_slice(bytes);
        self.plans.parse(self.dialect, &kept.bytes, &mut kept.index).expect("sound");
    }

    fn request(&mut self, place: usize, bytes: &[u8]) {
        self.keep(place, bytes);
        let kept = &self.kept[place];
        self.dialect.check_rules(&kept.index).expect("complete");
        let message = Message::new(self.dialect, &kept.bytes, &kept.index);
        let received = Received { ticket: Ticket(place as u32), link: LINK, acquirer: AcquirerId(0) };
        let mti = kept.index.mti().expect("sound");
        let request = acquirer::translate::request(
            &message,
            (mti, Class::Authorization),
            received,
            &self.homes,
            &self.programs,
            |_, _, _| None,
        );
        self.events.push(Event::Request(request.expect("consistent")));
    }

    fn answer(&mut self, place: usize, bytes: &[u8]) {
        self.keep(place, bytes);
        let kept = &self.kept[place];
        let message = Message::new(self.dialect, &kept.bytes, &kept.index);
        let mti = kept.index.mti().expect("sound");
        let answer: Answer =
            issuer::translate::answer(&message, mti, ISSUER, Ticket(place as u32)).expect("has what it must");
        self.events.push(Event::Answered(answer));
    }
}

/// Where the elements stand that make every request a new one.
#[derive(Clone, Copy)]
struct Places {
    stan: usize,
    rrn: usize,
    terminal: usize,
}

/// Patches them. Trace numbers repeat after a million requests, so the terminal changes then.
fn number(bytes: &mut [u8], at: Places, number: u64) {
    let mut digits = [b'0'; 12];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit |= (rest % 10) as u8;
        rest /= 10;
    }
    bytes[at.stan..at.stan + 6].copy_from_slice(&digits[6..]);
    bytes[at.rrn..at.rrn + 12].copy_from_slice(&digits);
    bytes[at.terminal..at.terminal + 6].copy_from_slice(&digits[..6]);
}

fn offset(dialect: &Dialect, bytes: &[u8], de: De) -> usize {
    let mut index = Index::new();
    dialect.parse(bytes, &mut index).expect("sound");
    Message::new(dialect, bytes, &index).value_offset(de).expect("present").into()
}

/// A shard with buffers for a world, and the samples that pass through it.
pub struct Path {
    shard: Shard,
    world: Buffers,
    request: Vec<u8>,
    approval: Vec<u8>,
    asked_at: Places,
    answered_at: Places,
    sent: u64,
}

impl Path {
    /// For turns of at most `batch` transactions.
    ///
    /// # Panics
    /// Never: the samples are sound.
    #[must_use]
    pub fn new(batch: usize) -> Self {
        Self::over(batch, None)
    }

    /// The same over a journal.
    ///
    /// # Panics
    /// Never: the samples are sound.
    #[must_use]
    pub fn over(batch: usize, journal: Option<BenchJournal>) -> Self {
        let dialect = built_in("iso87-ascii").expect("built in");
        let request = message(dialect, b"0100", &AUTHORIZATION);
        let approval = message(dialect, b"0110", &APPROVAL);
        let places = |bytes: &[u8]| Places {
            stan: offset(dialect, bytes, De::STAN),
            rrn: offset(dialect, bytes, De::RRN),
            terminal: offset(dialect, bytes, De::TERMINAL),
        };
        let mut shard = Shard::new(Authorizer::new(ShardId(0), 1, tables(1_000), limits()));
        let mut world = Buffers {
            dialect,
            homes: Homes::new(1, *b"a key of a bench", &["bench"]),
            programs: Programs::default(),
            events: vec![
                Event::AcquirerLink(LINK, AcquirerId(0), LinkChange::Up),
                Event::IssuerLink(ISSUER, LinkChange::Up),
            ],
            kept: (0..2 * batch).map(|_| Kept { bytes: Vec::new(), index: Index::new() }).collect(),
            plans: Box::default(),
            weaves: Box::default(),
            to_issuer: Vec::new(),
            to_acquirer: Vec::new(),
            now_us: 0,
            facts: 0,
            journal,
        };
        shard.turn(&mut world);
        let (asked_at, answered_at) = (places(&request), places(&approval));
        Self { shard, world, request, approval, asked_at, answered_at, sent: 0 }
    }

    /// Two turns: `batch` requests come and are forwarded, their answers come and are told.
    ///
    /// # Panics
    /// When not every request was forwarded and answered.
    pub fn turns(&mut self, batch: usize) {
        let Self { shard, world, request, approval, asked_at, answered_at, sent } = self;
        for place in 0..batch {
            *sent += 1;
            number(request, *asked_at, *sent);
            world.request(place, std::hint::black_box(request));
        }
        decide(shard, world);
        let asked = std::mem::take(&mut world.to_issuer);
        let mut rest = &asked[..];
        let mut place = batch;
        while let Ok(Cut::Frame { message, taken, .. }) = FRAMING.cut(rest) {
            for (to, from, length) in [
                (answered_at.stan, asked_at.stan, 6),
                (answered_at.rrn, asked_at.rrn, 12),
                (answered_at.terminal, asked_at.terminal, 8),
            ] {
                approval[to..to + length].copy_from_slice(&message[from..from + length]);
            }
            world.answer(place, approval);
            place += 1;
            rest = &rest[taken..];
        }
        decide(shard, world);
        assert_eq!(place, 2 * batch, "every request was forwarded");
        assert!(world.to_acquirer.len() > 100 * batch, "every answer was told");
        world.to_issuer = asked;
        world.to_issuer.clear();
        world.to_acquirer.clear();
    }
}

/// One turn, and those after it until everything that was decided may be seen.
fn decide(shard: &mut Shard, world: &mut Buffers) {
    shard.turn(world);
    while shard.holds_back() {
        std::thread::yield_now();
        shard.turn(world);
    }
}
