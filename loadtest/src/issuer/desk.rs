//! The issuer at work: takes requests as they come and puts answers out, at once or when they are due.

use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use codecs::iso8583::{Class, De, Dialect, Index, Message, Plans};

use super::IssuerConfig;
use super::alarm::Alarm;
use super::behaviour::{Fault, Faults, Latency, Stalls};
use super::decide::{Decision, Rules};
use super::summary::Summary;
use crate::clock::{Clock, Stamp};
use crate::dice::Dice;
use crate::framing::{Frame, FrameCodec};
use crate::output::Output;
use crate::respond;

/// The desk as its tasks share it. Never borrowed across an await.
pub(super) type SharedDesk = Rc<RefCell<Desk>>;

/// Everything that the issuer's tasks share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) codec: FrameCodec,
    /// Links by the order in which they came up; numbers are not used again, so that no answer goes to the
    /// wrong link.
    pub(super) links: HashMap<u64, Output>,
    pub(super) summary: Summary,
    pub(super) alarm: Alarm,
    dialect: &'static Dialect,
    rules: Rules,
    latency: Latency,
    faults: Faults,
    stalls: Option<Stalls>,
    outages: Option<Stalls>,
    started: Instant,
    dice: Dice,
    /// Reused for every message.
    index: Index,
    plans: Box<Plans>,
    held: BinaryHeap<Reverse<Held>>,
    /// Tells apart what is due at the same moment.
    held_ever: u64,
    links_ever: u64,
}

/// An answer that is not due yet.
#[derive(Debug)]
struct Held {
    due: Instant,
    order: u64,
    link: u64,
    frame: BytesMut,
}

impl Desk {
    pub(super) fn new(config: &IssuerConfig) -> std::io::Result<Desk> {
        let version = config.dialect.version;
        let clock = Clock::starting_at(Instant::now());
        Ok(Desk {
            codec: FrameCodec::new(config.framing),
            links: HashMap::new(),
            summary: Summary::new(&config.name),
            alarm: Alarm::start()?,
            dialect: config.dialect,
            rules: Rules {
                declines: config.declines.in_version(version),
                seed: config.seed,
                version,
                today: year_and_month(&Stamp::of(clock.unix_second(0))),
            },
            latency: config.latency,
            faults: config.faults,
            stalls: config.stalls,
            outages: config.outages,
            started: Instant::now(),
            dice: Dice::new(config.seed),
            index: Index::new(),
            plans: Box::default(),
            held: BinaryHeap::new(),
            held_ever: 0,
            links_ever: 0,
        })
    }

    /// Takes a new link into use, and returns its number.
    pub(super) fn open_link(&mut self, output: Output) -> u64 {
        self.links_ever += 1;
        self.summary.links_opened += 1;
        self.links.insert(self.links_ever, output);
        self.links_ever
    }

    /// Takes one message that came over a link. Answers that are due at once are in the link's output
    /// afterwards; the caller flushes.
    pub(super) fn receive(&mut self, link: u64, frame: &Frame) {
        let sound = self.plans.parse(self.dialect, frame.message(), &mut self.index).is_ok();
        let message = Message::new(self.dialect, frame.message(), &self.index);
        let Some(mti) = message.mti().filter(|mti| mti.is_request() && message.has(De::STAN)) else {
            // Without these there is nobody to answer; an answer is nothing that was asked for.
            self.summary.not_answerable += 1;
            return;
        };
        self.summary.count_request(mti.digits());
        let at_once = |code| (Decision { code, approval: None }, None, Duration::ZERO);
        let (decision, fault, wait) = if !sound {
            at_once(respond::format_error(self.rules.version))
        } else if mti.class() == Class::Network {
            at_once(respond::network_code(&message))
        } else {
            let (fault, latency_ns) =
                (self.faults.draw(&mut self.dice), self.latency.draw_ns(&mut self.dice));
            let wait = match fault {
                Some(Fault::Late(after)) => after,
                _ => Duration::from_nanos(latency_ns),
            };
            (self.rules.decide(&message), fault, wait)
        };
        if fault == Some(Fault::Silent) {
            self.summary.silent += 1;
            return;
        }
        let Some(output) = self.links.get_mut(&link) else { return };
        let mut held = BytesMut::new();
        let out = if wait.is_zero() { &mut output.bytes } else { &mut held };
        if write_answer(&self.codec, frame, &message, decision, fault, out).is_none() {
            self.summary.not_answerable += 1;
            return;
        }
        self.summary.count_answer(decision.code, fault);
        if !wait.is_zero() {
            self.hold(link, held, wait);
        }
    }

    fn hold(&mut self, link: u64, frame: BytesMut, wait: Duration) {
        let due = Instant::now() + wait;
        self.held_ever += 1;
        self.held.push(Reverse(Held { due, order: self.held_ever, link, frame }));
        self.name_next();
    }

    /// Puts out every answer that is due by now.
    pub(super) fn release_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse(held)) = self.held.peek()
            && held.due <= now
        {
            match self.links.get_mut(&held.link) {
                Some(output) => output.bytes.extend_from_slice(&held.frame),
                None => self.summary.undeliverable += 1,
            }
            self.held.pop();
        }
        self.links.values_mut().filter(|output| output.has_work()).for_each(flush);
        self.name_next();
    }

    fn name_next(&self) {
        self.alarm.set(self.held.peek().map(|Reverse(held)| held.due));
    }

    /// Writes what waits on one link.
    pub(super) fn flush(&mut self, link: u64) {
        if let Some(output) = self.links.get_mut(&link) {
            flush(output);
        }
    }

    /// Whether it is gone at this moment.
    pub(super) fn is_out(&self) -> bool {
        self.outages.is_some_and(|outages| !outages.rest(self.started.elapsed()).is_zero())
    }

    /// Until it is gone the next time; nothing when it never is.
    pub(super) fn until_outage(&self) -> Option<Duration> {
        self.outages.map(|outages| outages.next(self.started.elapsed()))
    }

    /// Stands still for as long as a stall lasts: the whole thread does, as an issuer would whose machine
    /// is busy with something else.
    pub(super) fn stall(&mut self) {
        let Some(stalls) = self.stalls else { return };
        let rest = stalls.rest(self.started.elapsed());
        if !rest.is_zero() {
            self.summary.stalls += 1;
            std::thread::sleep(rest);
        }
    }
}

fn flush(output: &mut Output) {
    // Full and broken sockets are the link's own tasks' business.
    let _ = output.flush(|_| {});
}

/// Appends an answer, with its fault.
fn write_answer(
    codec: &FrameCodec,
    frame: &Frame,
    request: &Message<'_>,
    decision: Decision,
    fault: Option<Fault>,
    out: &mut BytesMut,
) -> Option<()> {
    let start = out.len();
    // Beyond what is echoed an answer has two short elements, and perhaps another bitmap.
    let room_bytes = frame.message().len() + 64;
    codec.encode_with(frame.header(), room_bytes, out, |room| {
        let length = respond::answer(request, decision.code, decision.approval, room)?;
        if fault == Some(Fault::WrongKey) {
            falsify_stan(request.dialect(), &mut room[..length]);
        }
        Some(length)
    })?;
    if fault == Some(Fault::Double) {
        out.extend_from_within(start..out.len());
    }
    Some(())
}

/// Turns the last digit of DE 11 into its neighbour, in any text.
fn falsify_stan(dialect: &Dialect, response: &mut [u8]) {
    let mut index = Index::new();
    if dialect.parse(response, &mut index).is_err() {
        return;
    }
    let stan = Message::new(dialect, response, &index);
    let last = stan
        .value_offset(De::STAN)
        .zip(stan.value(De::STAN))
        .map(|(at, value)| usize::from(at) + value.len() - 1);
    if let Some(last) = last {
        response[last] ^= 1;
    }
}

fn year_and_month(stamp: &Stamp) -> (u16, u8) {
    let two = |digits: &[u8]| (digits[0] - b'0') * 10 + (digits[1] - b'0');
    let digits = stamp.year_and_month();
    (2000 + u16::from(two(&digits[..2])), two(&digits[2..]))
}

impl Ord for Held {
    fn cmp(&self, other: &Held) -> Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Held) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Held {}
