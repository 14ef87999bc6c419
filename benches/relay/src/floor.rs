//! The floor: a relay that gives each frame a trace number of its own on the way to the issuer and the old one back on
//! the way home, and looks at nothing else. One thread, many clients, one link to the issuer; one read and one write
//! per wake-up of a link.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};

use crate::frame;

/// Requests in flight.
const PENDING_MAX: usize = 1 << 17;
const READ_BYTES: usize = 256 * 1024;

/// Relays for ever.
pub fn run(listen: SocketAddr, issuer: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let (issuer, answers) = Side::new(TcpStream::connect(issuer).await?)?;
        let relay = Rc::new(Relay {
            pending: RefCell::new(Pending::new()),
            clients: RefCell::default(),
            issuer,
            dirty: Notify::new(),
        });
        spawn_local(relay.issuer.clone().write_the_rest());
        spawn_local(relay.clone().write_to_issuer());
        spawn_local(relay.clone().read_answers(answers));
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (side, requests) = Side::new(listener.accept().await?.0)?;
            let place = relay.clients.borrow().len() as u32;
            relay.clients.borrow_mut().push(side.clone());
            spawn_local(side.write_the_rest());
            spawn_local(relay.clone().read_requests(requests, place));
        }
    })
}

struct Relay {
    pending: RefCell<Pending>,
    clients: RefCell<Vec<Rc<Side>>>,
    issuer: Rc<Side>,
    dirty: Notify,
}

/// Who asked, and under which trace number, by the number that the issuer sees.
struct Pending {
    slots: Vec<(u32, [u8; 6])>,
    free: Vec<u32>,
}

impl Pending {
    fn new() -> Self {
        Self { slots: vec![(0, [0; 6]); PENDING_MAX], free: (0..PENDING_MAX as u32).rev().collect() }
    }

    fn forward(&mut self, client: u32, request: &[u8], out: &mut Vec<u8>) {
        let slot = self.free.pop().expect("more in flight than the relay is made for");
        let stan = out.len() + frame::LENGTH + frame::STAN;
        out.extend_from_slice(request);
        let stan = &mut out[stan..stan + 6];
        self.slots[slot as usize] = (client, stan.try_into().expect("six digits"));
        frame::put(stan, u64::from(slot));
    }

    fn back(&mut self, answer: &mut [u8]) -> u32 {
        let stan = &mut answer[frame::LENGTH + frame::STAN..][..6];
        let slot = frame::get(stan) as u32;
        let (client, own) = self.slots[slot as usize];
        stan.copy_from_slice(&own);
        self.free.push(slot);
        client
    }
}

impl Relay {
    async fn read_requests(self: Rc<Self>, requests: OwnedReadHalf, client: u32) {
        let mut inbox = Inbox::new(requests);
        while let Some(frames) = inbox.read().await {
            if frames.is_empty() {
                continue;
            }
            let mut pending = self.pending.borrow_mut();
            let mut out = self.issuer.out.borrow_mut();
            each(frames, |request| pending.forward(client, request, &mut out));
            if !self.issuer.is_dirty.replace(true) {
                self.dirty.notify_one();
            }
        }
    }

    /// Runs behind the readers that were woken before it, so that their frames leave in one write.
    async fn write_to_issuer(self: Rc<Self>) {
        loop {
            self.dirty.notified().await;
            self.issuer.is_dirty.set(false);
            self.issuer.flush();
        }
    }

    async fn read_answers(self: Rc<Self>, answers: OwnedReadHalf) {
        let mut inbox = Inbox::new(answers);
        let mut dirty: Vec<Rc<Side>> = Vec::new();
        while let Some(frames) = inbox.read().await {
            let mut pending = self.pending.borrow_mut();
            let clients = self.clients.borrow();
            each(frames, |answer| {
                let client = &clients[pending.back(answer) as usize];
                client.out.borrow_mut().extend_from_slice(answer);
                if !client.is_dirty.replace(true) {
                    dirty.push(client.clone());
                }
            });
            for client in dirty.drain(..) {
                client.is_dirty.set(false);
                client.flush();
            }
        }
    }
}

fn each(mut frames: &mut [u8], mut with: impl FnMut(&mut [u8])) {
    while let Some(length) = frame::length(frames) {
        let (first, rest) = frames.split_at_mut(length);
        with(first);
        frames = rest;
    }
}

/// What was read and not passed on.
struct Inbox {
    from: OwnedReadHalf,
    bytes: Vec<u8>,
    /// Where the frames of the last read end, and where what was read ends.
    whole: usize,
    tail: usize,
}

impl Inbox {
    fn new(from: OwnedReadHalf) -> Self {
        Self { from, bytes: vec![0; READ_BYTES], whole: 0, tail: 0 }
    }

    /// Reads once: a short read is taken as all there was. Gives whole frames, nothing at the end.
    async fn read(&mut self) -> Option<&mut [u8]> {
        self.bytes.copy_within(self.whole..self.tail, 0);
        self.tail -= self.whole;
        let read = self.from.read(&mut self.bytes[self.tail..]).await.ok().filter(|read| *read > 0)?;
        self.tail += read;
        self.whole = frame::whole(&self.bytes[..self.tail]);
        Some(&mut self.bytes[..self.whole])
    }
}

/// One connection's way out.
struct Side {
    to: OwnedWriteHalf,
    out: RefCell<Vec<u8>>,
    is_dirty: Cell<bool>,
    /// The socket took no more; the rest is another task's.
    is_slow: Cell<bool>,
    slow: Notify,
}

impl Side {
    fn new(stream: TcpStream) -> io::Result<(Rc<Self>, OwnedReadHalf)> {
        stream.set_nodelay(true)?;
        let (from, to) = stream.into_split();
        let out = RefCell::new(Vec::with_capacity(READ_BYTES));
        let side =
            Self { to, out, is_dirty: Cell::new(false), is_slow: Cell::new(false), slow: Notify::new() };
        Ok((Rc::new(side), from))
    }

    fn flush(&self) {
        if self.is_slow.get() {
            return;
        }
        let mut out = self.out.borrow_mut();
        let mut head = 0;
        while let Ok(written) = self.to.try_write(&out[head..])
            && head < out.len()
        {
            head += written;
        }
        out.drain(..head);
        if !out.is_empty() {
            self.is_slow.set(true);
            self.slow.notify_one();
        }
    }

    async fn write_the_rest(self: Rc<Self>) {
        loop {
            self.slow.notified().await;
            while !self.out.borrow().is_empty() {
                if self.to.writable().await.is_err() {
                    return;
                }
                let mut out = self.out.borrow_mut();
                let written = self.to.try_write(&out).unwrap_or(0);
                out.drain(..written);
            }
            self.is_slow.set(false);
        }
    }
}
