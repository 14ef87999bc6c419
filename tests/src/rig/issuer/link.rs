//! One link of a model issuer: reads frames, records them, does what the script says.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::{Act, Board, Link, Script, Seen, Shared, honest_answer, reset};
use crate::message_text::Plain;
use crate::rig::locked;
use crate::wire::{Heard, Received, hear};

/// How often a link looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);

/// Listens until the issuer stops, except while it is down; one thread for each link.
pub(super) fn listen(address: SocketAddr, shared: &Arc<Shared>) {
    let mut links = Vec::new();
    while !shared.stopping.load(Ordering::SeqCst) {
        let listener = TcpListener::bind(address).expect("a port of our own");
        shared.record(|board| board.listening += 1);
        for stream in listener.incoming() {
            if shared.is_down() {
                break;
            }
            let (stream, shared) = (stream.expect("a link"), Arc::clone(shared));
            links.push(thread::spawn(move || serve(stream, &shared)));
        }
        drop(listener);
        shared.record(|board| board.listening -= 1);
        while shared.is_down() && !shared.stopping.load(Ordering::SeqCst) {
            thread::sleep(LOOK);
        }
    }
    for link in links {
        let _ = link.join();
    }
}

/// Serves one link until it ends.
pub(super) fn serve(stream: TcpStream, shared: &Arc<Shared>) {
    shared.record(|board| board.connects += 1);
    if shared.flapping.load(Ordering::SeqCst) {
        return;
    }
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let link = shared.record(|board| {
        board.links.push(Link { stream: Arc::clone(&stream), open: !board.is_down });
        (!board.is_down).then_some(board.links.len() - 1)
    });
    // It was taken before the issuer went down, and nobody knew of it when all links were reset.
    let Some(link) = link else { return reset(&stream) };
    read(&stream, link, shared);
    let _ = stream.shutdown(std::net::Shutdown::Both);
    shared.record(|board| board.links[link].open = false);
}

fn read(stream: &Arc<TcpStream>, link: usize, shared: &Arc<Shared>) {
    let mut arrived = Vec::new();
    let mut taken = 0;
    while !shared.stopping.load(Ordering::SeqCst) {
        // Looks before it takes, so that an order given meanwhile holds for the very next byte.
        if !has_something(stream) {
            continue;
        }
        if shared.deaf.load(Ordering::SeqCst) {
            thread::sleep(LOOK);
            continue;
        }
        let cut_after = shared.cut_after.load(Ordering::SeqCst);
        let before = arrived.len();
        match hear(stream, &mut arrived, Instant::now() + LOOK, cut_after.saturating_sub(taken).max(1)) {
            Heard::Closed => return,
            Heard::Nothing => continue,
            Heard::Bytes => {}
        }
        // Bytes count only once a cut was ordered, so that the order may come while a link is up.
        if cut_after != usize::MAX {
            taken += arrived.len() - before;
        }
        if taken >= cut_after {
            return reset(stream);
        }
        while let Some(received) = shared.wire.take(&mut arrived) {
            shared.act(stream, link, received);
        }
    }
}

/// Whether there is something to read, be it the end; waits a little for it.
fn has_something(stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(LOOK)).expect("a read time-out");
    let outcome = stream.peek(&mut [0]);
    !outcome.is_err_and(|why| {
        matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
    })
}

impl Shared {
    fn act(self: &Arc<Self>, stream: &Arc<TcpStream>, link: usize, received: Received) {
        let request = received.plain.clone();
        self.canaries.note(&request);
        let class = request.mti().as_bytes()[1];
        let is_answer = (request.mti().as_bytes()[2] - b'0') % 2 == 1;
        let header = received.header.clone();
        let seen = Seen { link, received };
        self.record(|board| match class {
            b'8' => board.network.push(seen),
            b'4' => board.reversals.push(seen),
            _ => board.payments.push(seen),
        });
        if is_answer {
            return;
        }
        let script = match class {
            b'8' => &self.network,
            b'4' => &self.reversals,
            _ => &self.payments,
        };
        let act = decide(&mut locked(script), &request);
        let answer = honest_answer(&self.wire, &request);
        match act {
            Act::Answer(changes) => self.send(stream, &header, &answer.with(&changes)),
            Act::Twice(first, second) => {
                self.send(stream, &header, &answer.with(&first));
                self.send(stream, &header, &answer.with(&second));
            }
            Act::After(delay, changes) => {
                let (shared, stream) = (Arc::clone(self), Arc::clone(stream));
                thread::spawn(move || {
                    thread::sleep(delay);
                    shared.send(&stream, &header, &answer.with(&changes));
                });
            }
            Act::Exactly(mut answer) => {
                answer.set(11, request.get(11));
                self.send(stream, &header, &answer);
            }
            Act::Hold => {}
            Act::Reset => reset(stream),
        }
    }

    /// Writes one frame in one call; the header of the request goes back as it came. A link that is gone is
    /// the scenario's business.
    pub(super) fn send(&self, mut stream: &TcpStream, header: &[u8], message: &Plain) {
        self.canaries.note(message);
        let mut wire = self.wire.clone();
        if header.len() == wire.header.len() {
            header.clone_into(&mut wire.header);
        }
        let _ = stream.write_all(&wire.frame(&wire.encode(message)));
    }

    fn is_down(&self) -> bool {
        locked(&self.board).is_down
    }

    pub(super) fn record<T>(&self, entry: impl FnOnce(&mut Board) -> T) -> T {
        let entered = entry(&mut locked(&self.board));
        self.changed.notify_all();
        entered
    }
}

fn decide(script: &mut Script, request: &Plain) -> Act {
    script(request)
}
