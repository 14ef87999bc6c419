//! A pipelined client: one thread, epoll. In closed loop so many requests are in flight on each connection; in open loop
//! they are due at random moments of a given rate, and their time counts from the moment they were due.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::{frame, system};

/// What is asked of the client.
pub struct Load {
    pub connections: usize,
    /// In flight on each connection; unused in open loop.
    pub window: usize,
    /// Requests a second over all connections; closed loop without.
    pub rate: Option<f64>,
    pub warm_up: Duration,
    pub time: Duration,
}

/// What the client saw after the warm-up.
pub struct Seen {
    pub answers: u64,
    /// A second.
    pub rate: f64,
    pub times_ns: Histogram<u64>,
    /// Nanoseconds of processor that the watched process used for each answer.
    pub cpu_ns: f64,
    /// Answers that were no approval.
    pub declined: u64,
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    tail: usize,
    out: Vec<u8>,
    head: usize,
    /// The number of the next request; connections count from different beginnings.
    next: u64,
    /// The number of the first request in `since`, and when those in flight were due.
    first: u64,
    since: VecDeque<Option<Instant>>,
}

/// Requests of one connection before those of the next.
const APART: u64 = 1_000_000_000;

/// Runs a load against a host and watches a process meanwhile.
pub fn run(to: SocketAddr, load: &Load, watched: u32) -> io::Result<Seen> {
    system::tight_timers();
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut connections = Vec::new();
    for place in 0..load.connections {
        let connection = Connection::new(system::connect(to)?, place as u64 * APART);
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&poll, &connection.stream, EventData::new_u64(place as u64), flags)?;
        connections.push(connection);
    }
    let template = frame::request();
    let begin = Instant::now();
    let (from, until) = (begin + load.warm_up, begin + load.warm_up + load.time);
    let times_ns = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds");
    let mut seen = Seen { answers: 0, rate: 0.0, times_ns, cpu_ns: 0.0, declined: 0 };
    let mut arrivals = load.rate.map(|rate| Arrivals::new(rate, begin));
    if arrivals.is_none() {
        for connection in &mut connections {
            (0..load.window).for_each(|_| connection.ask(&template, begin));
            connection.flush()?;
        }
    }
    let mut events = Vec::with_capacity(256);
    let mut cpu_before = None;
    loop {
        let now = Instant::now();
        if now >= from && cpu_before.is_none() {
            cpu_before = Some(system::cpu_ns(watched));
        }
        if now >= until {
            break;
        }
        let mut wait = until - now;
        if let Some(arrivals) = &mut arrivals {
            wait = wait.min(arrivals.send(&mut connections, &template, now)?);
        }
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        events.clear();
        epoll::wait(&poll, spare_capacity(&mut events), Some(&wait))?;
        for event in &events {
            let connection = &mut connections[event.data.u64() as usize];
            let answered = connection.answers(from, &mut seen)?;
            if arrivals.is_none() {
                let now = Instant::now();
                (0..answered).for_each(|_| connection.ask(&template, now));
            }
            connection.flush()?;
        }
    }
    let spent = system::cpu_ns(watched) - cpu_before.unwrap_or_default();
    seen.rate = seen.answers as f64 / load.time.as_secs_f64();
    seen.cpu_ns = spent as f64 / seen.answers.max(1) as f64;
    Ok(seen)
}

/// Asks one request after the other until one is approved. Their numbers are below those of a load.
pub fn wait_for_approval(to: SocketAddr, patience: Duration) -> io::Result<()> {
    use std::io::{Read as _, Write as _};
    let until = Instant::now() + patience;
    let stream = system::connect(to)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut stream = &stream;
    let mut request = frame::request();
    for number in 0.. {
        frame::number(&mut request, APART_FROM_ALL + number);
        stream.write_all(&request)?;
        let mut head = [0; frame::LENGTH];
        stream.read_exact(&mut head)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(head))];
        stream.read_exact(&mut answer)?;
        if answer.get(frame::ANSWER_RRN + 12..).is_some_and(|rest| rest.starts_with(b"00")) {
            return Ok(());
        }
        if Instant::now() > until {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(io::Error::other("no approval came"))
}

/// Far above the numbers of any connection.
const APART_FROM_ALL: u64 = 900_000_000_000;

impl Connection {
    fn new(stream: TcpStream, first: u64) -> Self {
        let unread = vec![0; 256 * 1024];
        let since = VecDeque::new();
        Self { stream, unread, tail: 0, out: Vec::new(), head: 0, next: first, first, since }
    }

    fn ask(&mut self, template: &[u8], due: Instant) {
        let begins = self.out.len();
        self.out.extend_from_slice(template);
        frame::number(&mut self.out[begins..], self.next);
        self.next += 1;
        self.since.push_back(Some(due));
    }

    fn flush(&mut self) -> io::Result<()> {
        self.head += system::write(&self.stream, &self.out[self.head..])?;
        if self.head == self.out.len() {
            self.out.clear();
            self.head = 0;
        }
        Ok(())
    }

    /// Reads what has come and gives the number of answers in it.
    fn answers(&mut self, from: Instant, seen: &mut Seen) -> io::Result<usize> {
        let mut answered = 0;
        loop {
            let room = self.unread.len() - self.tail;
            let Some(read) = system::read(&self.stream, &mut self.unread[self.tail..])? else { break };
            self.tail += read;
            let now = Instant::now();
            let end = frame::whole(&self.unread[..self.tail]);
            let mut at = 0;
            while at < end {
                let length = frame::length(&self.unread[at..]).expect("a whole frame");
                let answer = &self.unread[at + frame::LENGTH..at + length];
                let number = frame::get(&answer[frame::ANSWER_RRN..][..12]);
                let is_approved = answer[frame::ANSWER_RRN + 12..].starts_with(b"00");
                at += length;
                answered += 1;
                let due = self.due(number).ok_or_else(|| io::Error::other("an answer nobody waits for"))?;
                if now >= from {
                    seen.answers += 1;
                    seen.declined += u64::from(!is_approved);
                    if due >= from {
                        let waited = u64::try_from((now - due).as_nanos()).unwrap_or(u64::MAX);
                        seen.times_ns.saturating_record(waited.max(1));
                    }
                }
            }
            self.unread.copy_within(end..self.tail, 0);
            self.tail -= end;
            if read < room {
                break;
            }
        }
        Ok(answered)
    }

    /// When the request of this number was due; it is then no longer in flight.
    fn due(&mut self, number: u64) -> Option<Instant> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let due = self.since.get_mut(place)?.take();
        while let Some(None) = self.since.front() {
            self.since.pop_front();
            self.first += 1;
        }
        due
    }
}

/// Moments at which requests are due: independent of each other, so many a second on average.
struct Arrivals {
    gap_ns: f64,
    next: Instant,
    dice: u64,
    turn: usize,
}

impl Arrivals {
    fn new(rate: f64, begin: Instant) -> Self {
        Self { gap_ns: 1e9 / rate, next: begin, dice: 0x9E37_79B9_7F4A_7C15, turn: 0 }
    }

    /// Sends everything that is due and says how long nothing will be.
    fn send(
        &mut self,
        connections: &mut [Connection],
        template: &[u8],
        now: Instant,
    ) -> io::Result<Duration> {
        while self.next <= now {
            let connection = &mut connections[self.turn];
            connection.ask(template, self.next);
            self.turn = (self.turn + 1) % connections.len();
            let gap_ns = -self.chance().ln() * self.gap_ns;
            self.next += Duration::from_nanos(gap_ns as u64);
        }
        for connection in connections.iter_mut().filter(|connection| connection.head < connection.out.len()) {
            connection.flush()?;
        }
        Ok(self.next.saturating_duration_since(Instant::now()))
    }

    /// Above 0, at most 1.
    fn chance(&mut self) -> f64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        ((self.dice >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }
}
