//! A scriptable issuer: a thread per link, a script that decides what to do with each request, and a record
//! of everything it saw.

mod answer;
mod link;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use answer::honest_answer;

use super::acquirer::reset;
use super::canary::Canaries;
use super::places::free_address;
use super::{PATIENCE, locked};
use crate::message_text::Plain;
use crate::wire::{Received, Wire};

/// What the issuer does with a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers at once: the honest approval with these changes, such as `39=05 38=-`.
    Answer(String),
    /// Answers so much later, from another thread.
    After(Duration, String),
    /// Answers twice.
    Twice(String, String),
    /// Answers exactly this; only DE 11 is the request's.
    Exactly(Plain),
    /// Says nothing; the test may answer by hand.
    Hold,
    /// Resets the link.
    Reset,
}

impl Act {
    /// Answers at once, with these changes to the honest approval.
    #[must_use]
    pub fn answer(changes: &str) -> Act {
        Act::Answer(changes.to_owned())
    }
}

/// A request as the issuer saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The link it came on, counted from 0 in the order of connecting.
    pub link: usize,
    /// The message.
    pub received: Received,
}

impl Seen {
    /// The message, readable.
    #[must_use]
    pub fn plain(&self) -> &Plain {
        &self.received.plain
    }
}

/// Decides what to do with a request.
type Script = Box<dyn FnMut(&Plain) -> Act + Send>;

/// A model issuer with one listener per configured address.
#[derive(Debug)]
pub struct Issuer {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    wire: Wire,
    canaries: Canaries,
    board: Mutex<Board>,
    changed: Condvar,
    payments: Mutex<Script>,
    reversals: Mutex<Script>,
    network: Mutex<Script>,
    stopping: AtomicBool,
    /// Each link is reset when it has taken this many more bytes.
    cut_after: AtomicUsize,
    /// Each new link is taken and closed at once.
    flapping: AtomicBool,
    /// Nothing is read.
    deaf: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Issuer").field("board", &self.board).finish_non_exhaustive()
    }
}

/// Everything that happened, in order.
#[derive(Debug, Default)]
struct Board {
    payments: Vec<Seen>,
    reversals: Vec<Seen>,
    network: Vec<Seen>,
    links: Vec<Link>,
    connects: usize,
    /// The test wants nobody to listen.
    is_down: bool,
    /// How many listeners are open.
    listening: usize,
}

#[derive(Debug)]
struct Link {
    stream: Arc<TcpStream>,
    open: bool,
}

impl Issuer {
    /// Listens on so many addresses.
    #[must_use]
    pub fn listen(wire: Wire, addresses: usize, canaries: Canaries) -> Issuer {
        let mut issuer = Issuer::silent(wire, canaries);
        issuer.addresses = (0..addresses).map(|_| free_address()).collect();
        for &address in &issuer.addresses {
            let shared = Arc::clone(&issuer.shared);
            issuer.threads.push(thread::spawn(move || link::listen(address, &shared)));
        }
        issuer.wait("its listeners", |board| board.listening == addresses);
        issuer
    }

    /// Connects nowhere yet.
    #[must_use]
    pub fn silent(wire: Wire, canaries: Canaries) -> Issuer {
        let shared = Shared {
            wire,
            canaries,
            board: Mutex::default(),
            changed: Condvar::new(),
            payments: Mutex::new(Box::new(|_| Act::answer(""))),
            reversals: Mutex::new(Box::new(|_| Act::answer(""))),
            network: Mutex::new(Box::new(|_| Act::answer(""))),
            stopping: AtomicBool::new(false),
            cut_after: AtomicUsize::new(usize::MAX),
            flapping: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
        };
        Issuer { shared: Arc::new(shared), addresses: Vec::new(), threads: Vec::new() }
    }

    /// Connects to a switch that listens for this issuer, as soon as it does.
    pub fn connect(&mut self, address: SocketAddr) {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(why) if Instant::now() > deadline => {
                    panic!("the switch does not listen for an issuer: {why}")
                }
                Err(_) => thread::sleep(super::POLL),
            }
        };
        let shared = Arc::clone(&self.shared);
        self.threads.push(thread::spawn(move || link::serve(stream, &shared)));
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What to do with payments from now on.
    pub fn on(&self, script: impl FnMut(&Plain) -> Act + Send + 'static) {
        *locked(&self.shared.payments) = Box::new(script);
    }

    /// Keeps every payment to be answered by hand.
    pub fn hold(&self) {
        self.on(|_| Act::Hold);
    }

    /// What to do with reversals from now on; each is acknowledged where nothing else is said.
    pub fn on_reversal(&self, script: impl FnMut(&Plain) -> Act + Send + 'static) {
        *locked(&self.shared.reversals) = Box::new(script);
    }

    /// What to do with sign-on, echo and the like from now on.
    pub fn on_network(&self, script: impl FnMut(&Plain) -> Act + Send + 'static) {
        *locked(&self.shared.network) = Box::new(script);
    }

    /// The payments seen so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.board().payments.clone()
    }

    /// Waits until this many payments were seen, and gives all that were.
    pub fn wait_seen(&self, count: usize) -> Vec<Seen> {
        self.wait(&format!("{count} requests"), |board| board.payments.len() >= count);
        self.seen()
    }

    /// The reversals seen so far.
    #[must_use]
    pub fn reversals(&self) -> Vec<Seen> {
        self.board().reversals.clone()
    }

    /// Waits until this many reversals were seen, and gives all that were.
    pub fn wait_reversals(&self, count: usize) -> Vec<Seen> {
        self.wait(&format!("{count} reversals"), |board| board.reversals.len() >= count);
        self.reversals()
    }

    /// Waits until this many network messages were seen, and gives all that were.
    pub fn wait_network(&self, count: usize) -> Vec<Seen> {
        self.wait(&format!("{count} network messages"), |board| board.network.len() >= count);
        self.board().network.clone()
    }

    /// How often a link was made or tried.
    #[must_use]
    pub fn connects(&self) -> usize {
        self.board().connects
    }

    /// Waits until links were made or tried so often.
    pub fn wait_connects(&self, count: usize) {
        self.wait(&format!("{count} connects"), |board| board.connects >= count);
    }

    /// Waits until so many links are open.
    pub fn wait_links(&self, count: usize) {
        self.wait(&format!("{count} open links"), |board| {
            board.links.iter().filter(|link| link.open).count() == count
        });
    }

    /// Answers a request by hand, on the link it came on.
    pub fn answer(&self, seen: &Seen, changes: &str) {
        self.answer_on(seen.link, seen, changes);
    }

    /// Answers a request on a link of the test's choice.
    pub fn answer_on(&self, link: usize, seen: &Seen, changes: &str) {
        self.send_on(link, &honest_answer(&self.shared.wire, seen.plain()).with(changes));
    }

    /// Sends any message on a link.
    pub fn send_on(&self, link: usize, message: &Plain) {
        let stream = self.link(link);
        self.shared.send(&stream, &[], message);
    }

    /// Sends bytes as they are on a link.
    pub fn send_bytes_on(&self, link: usize, bytes: &[u8]) {
        let stream = self.link(link);
        (&*stream).write_all(bytes).expect("the switch takes what we send");
    }

    /// Answers several requests of one link in pieces that keep to no frame.
    pub fn answer_in_pieces(&self, requests: &[Seen], changes: &str) {
        let wire = &self.shared.wire;
        let frames = requests.iter().map(|seen| honest_answer(wire, seen.plain()).with(changes));
        let bytes: Vec<u8> = frames.flat_map(|answer| wire.frame(&wire.encode(&answer))).collect();
        for piece in bytes.chunks(7) {
            self.send_bytes_on(requests[0].link, piece);
        }
    }

    /// Resets one link.
    pub fn reset_link(&self, link: usize) {
        reset(&self.link(link));
    }

    /// Resets every open link and gives the time of the first.
    pub fn reset_links(&self) -> Instant {
        let start = Instant::now();
        self.board().links.iter().filter(|link| link.open).for_each(|link| reset(&link.stream));
        start
    }

    /// From now on every link is reset once it has taken this many bytes; `None` ends it.
    pub fn cut_after(&self, bytes: Option<usize>) {
        self.shared.cut_after.store(bytes.unwrap_or(usize::MAX), Ordering::SeqCst);
    }

    /// Closes the listeners, so that whoever connects is refused, and resets every link.
    pub fn go_down(&self) {
        self.shared.record(|board| board.is_down = true);
        self.wake_listeners();
        self.wait("its listeners to close", |board| board.listening == 0);
        self.reset_links();
    }

    /// Listens again where it did before.
    pub fn come_back(&self) {
        self.shared.record(|board| board.is_down = false);
        self.wait("its listeners", |board| board.listening == self.addresses.len());
    }

    /// From now on every new link is taken and closed at once, or kept.
    pub fn flap(&self, flap: bool) {
        self.shared.flapping.store(flap, Ordering::SeqCst);
    }

    /// From now on nothing is read, or everything again.
    pub fn stop_reading(&self, stop: bool) {
        self.shared.deaf.store(stop, Ordering::SeqCst);
    }

    /// A link of the issuer, which may be about to be made: the switch counts it up a little earlier.
    fn link(&self, link: usize) -> Arc<TcpStream> {
        self.wait("that link", |board| board.links.len() > link);
        Arc::clone(&self.board().links[link].stream)
    }

    /// A thread that waits for a link looks around when one comes.
    fn wake_listeners(&self) {
        for address in &self.addresses {
            let _ = TcpStream::connect(address);
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        locked(&self.shared.board)
    }

    fn wait(&self, what: &str, holds: impl Fn(&Board) -> bool) {
        let waiting = self.shared.changed.wait_timeout_while(self.board(), PATIENCE, |board| !holds(board));
        let (board, outcome) = waiting.unwrap_or_else(PoisonError::into_inner);
        let counts = (board.payments.len(), board.network.len(), board.connects);
        drop(board);
        assert!(
            !outcome.timed_out(),
            "the issuer waited for {what}; requests, network, connects: {counts:?}"
        );
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.record(|board| board.is_down = true);
        self.wake_listeners();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Acquirer;

    /// The two model hosts against each other: what the scenarios stand on.
    #[test]
    fn scripts_answer_by_order_hand_delay_and_reset() {
        let wire = Wire::named("iso87-binary");
        let issuer = Issuer::listen(wire.clone(), 1, Canaries::default());
        let stream = super::super::acquirer::connect(issuer.addresses()[0]);
        let mut acquirer = Acquirer::new(stream, wire, Canaries::default());
        acquirer.ask(&crate::purchase("11=000001"), "0110 11=000001 39=00");

        issuer.on(|request| match request.get(4) {
            "000000000001" => Act::Twice("39=05 38=-".into(), "39=00".into()),
            "000000000002" => Act::After(Duration::from_millis(1), "39=51 38=-".into()),
            "000000000003" => Act::Reset,
            _ => Act::Hold,
        });
        acquirer.send(&crate::purchase("11=000002 4=1"));
        acquirer.expect("0110 11=000002 39=05 38=-");
        acquirer.expect("0110 11=000002 39=00");
        acquirer.ask(&crate::purchase("11=000003 4=2"), "0110 39=51");
        acquirer.send(&crate::purchase("11=000004 4=9"));
        let seen = issuer.wait_seen(4);
        issuer.answer(&seen[3], "39=14 38=-");
        acquirer.expect("0110 11=000004 39=14");
        acquirer.send(&crate::purchase("4=3"));
        acquirer.expect_closed();
        issuer.wait_links(0);
    }

    #[test]
    fn an_issuer_that_is_down_refuses_until_it_comes_back() {
        let issuer = Issuer::listen(Wire::named("iso87-ascii"), 2, Canaries::default());
        issuer.go_down();
        assert!(issuer.addresses().iter().all(|address| TcpStream::connect(address).is_err()));
        issuer.come_back();
        assert!(issuer.addresses().iter().all(|address| TcpStream::connect(address).is_ok()));
    }

    #[test]
    fn a_cut_takes_exactly_so_many_bytes() {
        let wire = Wire::named("iso87-ascii");
        let issuer = Issuer::listen(wire.clone(), 1, Canaries::default());
        issuer.cut_after(Some(20));
        let stream = super::super::acquirer::connect(issuer.addresses()[0]);
        let mut acquirer = Acquirer::new(stream, wire, Canaries::default());
        acquirer.send(&crate::purchase(""));
        acquirer.expect_closed();
        assert!(issuer.seen().is_empty());
    }
}
