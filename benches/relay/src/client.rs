//! A pipelined client: one thread, epoll. In closed loop so many requests are in flight on each connection; in open loop
//! they are due at random moments of a given rate, and their time counts from the moment they were due.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::arrivals::Arrivals;
use crate::requests::{APART, Requests};
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

impl Load {
    /// `CONNECTIONSxWINDOW` for closed loop, a number for requests a second in open loop over eight connections.
    pub fn parse(text: &str, seconds: f64) -> Result<Load, String> {
        let wrong = || format!("a load is CONNECTIONSxWINDOW or a rate, not {text:?}");
        let (connections, window, rate) = match text.split_once('x') {
            Some((connections, window)) => {
                (connections.parse().map_err(|_| wrong())?, window.parse().map_err(|_| wrong())?, None)
            }
            None => (8, 0, Some(text.parse().map_err(|_| wrong())?)),
        };
        let (warm_up, time) = (Duration::from_millis(700), Duration::from_secs_f64(seconds));
        Ok(Load { connections, window, rate, warm_up, time })
    }
}

/// What the client saw.
pub struct Seen {
    /// From the first request on.
    pub all_answers: u64,
    /// Those of them that were no approval.
    pub declined: u64,
    /// After the warm-up, as everything below.
    pub answers: u64,
    /// A second.
    pub rate: f64,
    pub times_ns: Histogram<u64>,
}

/// Runs a load against a host. `mark` is called when the warm-up is over, and at the end.
pub fn run(to: SocketAddr, load: &Load, requests: &Requests, mark: &mut dyn FnMut()) -> io::Result<Seen> {
    system::tight_timers();
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut connections = Vec::new();
    for place in 0..load.connections {
        let connection = Connection::new(system::connect(to)?);
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&poll, &connection.stream, EventData::new_u64(place as u64), flags)?;
        connections.push(connection);
    }
    let begin = Instant::now();
    let mut books = Books::new(requests, begin + load.warm_up);
    let until = books.from + load.time;
    let mut arrivals = load.rate.map(|rate| Arrivals::new(rate, begin));
    if arrivals.is_none() {
        for connection in &mut connections {
            connection.ask(load.window, &mut books, begin)?;
            connection.flush()?;
        }
    }
    let mut events = Vec::with_capacity(256);
    let mut is_warm = false;
    loop {
        let now = Instant::now();
        if now >= books.from && !is_warm {
            is_warm = true;
            mark();
        }
        if now >= until {
            break;
        }
        let mut wait = until - now;
        if let Some(arrivals) = &mut arrivals {
            while let Some(due) = arrivals.due(now) {
                let turn = books.asked as usize % connections.len();
                connections[turn].ask(1, &mut books, due)?;
            }
            for connection in connections.iter_mut().filter(|connection| connection.has_unsent()) {
                connection.flush()?;
            }
            wait = wait.min(arrivals.pause());
        }
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        events.clear();
        epoll::wait(&poll, spare_capacity(&mut events), Some(&wait))?;
        for event in &events {
            let connection = &mut connections[event.data.u64() as usize];
            let answered = connection.answers(&mut books)?;
            if arrivals.is_none() {
                connection.ask(answered, &mut books, Instant::now())?;
            }
            connection.flush()?;
        }
    }
    mark();
    books.seen.rate = books.seen.answers as f64 / load.time.as_secs_f64();
    Ok(books.seen)
}

/// Asks one request after the other until one is approved. Their numbers are those of no load.
pub fn wait_for_approval(to: SocketAddr, requests: &Requests, patience: Duration) -> io::Result<()> {
    let until = Instant::now() + patience;
    let stream = system::connect(to)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(patience))?;
    let mut stream = &stream;
    for number in 0.. {
        let mut request = Vec::new();
        requests.write(APART + number, &mut request)?;
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

/// Which requests were asked and which answered, over all connections.
struct Books<'a> {
    requests: &'a Requests<'a>,
    /// When the warm-up is over.
    from: Instant,
    /// Requests so far: the number of the next.
    asked: u64,
    /// The number of the first request in `since`, and when those in flight were due.
    first: u64,
    since: VecDeque<Option<Instant>>,
    seen: Seen,
}

impl<'a> Books<'a> {
    fn new(requests: &'a Requests<'a>, from: Instant) -> Self {
        let times_ns = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds");
        let seen = Seen { all_answers: 0, answers: 0, rate: 0.0, times_ns, declined: 0 };
        Self { requests, from, asked: 0, first: 0, since: VecDeque::new(), seen }
    }

    fn ask(&mut self, out: &mut Vec<u8>, due: Instant) -> io::Result<()> {
        self.requests.write(self.asked, out)?;
        self.asked += 1;
        self.since.push_back(Some(due));
        Ok(())
    }

    fn answered(&mut self, answer: &[u8], now: Instant) -> io::Result<()> {
        let number = frame::get(&answer[frame::ANSWER_RRN..][..12]);
        let Some(due) = self.due(number) else {
            let text = String::from_utf8_lossy(answer);
            return Err(io::Error::other(format!("no approval of a request: {text}")));
        };
        self.seen.all_answers += 1;
        self.seen.declined += u64::from(!answer[frame::ANSWER_RRN + 12..].starts_with(b"00"));
        if now >= self.from {
            self.seen.answers += 1;
            if due >= self.from {
                let waited = u64::try_from((now - due).as_nanos()).unwrap_or(u64::MAX);
                self.seen.times_ns.saturating_record(waited.max(1));
            }
        }
        Ok(())
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

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    tail: usize,
    out: Vec<u8>,
    head: usize,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, unread: vec![0; 256 * 1024], tail: 0, out: Vec::new(), head: 0 }
    }

    fn ask(&mut self, count: usize, books: &mut Books, due: Instant) -> io::Result<()> {
        (0..count).try_for_each(|_| books.ask(&mut self.out, due))
    }

    fn has_unsent(&self) -> bool {
        self.head < self.out.len()
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
    fn answers(&mut self, books: &mut Books) -> io::Result<usize> {
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
                books.answered(&self.unread[at + frame::LENGTH..at + length], now)?;
                at += length;
                answered += 1;
            }
            self.unread.copy_within(end..self.tail, 0);
            self.tail -= end;
            if read < room {
                break;
            }
        }
        Ok(answered)
    }
}
