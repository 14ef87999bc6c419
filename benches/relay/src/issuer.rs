//! An issuer that approves everything: one thread, epoll, one read and one write per wake-up of a connection.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::{frame, system};

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Bytes of `unread` that were read.
    tail: usize,
    out: Vec<u8>,
    /// Bytes of `out` that were written.
    head: usize,
}

/// Answers for ever.
pub fn run(listen: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, EventData::new_u64(u64::MAX), EventFlags::IN)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        epoll::wait(&poll, spare_capacity(&mut events), None)?;
        for event in &events {
            let place = event.data.u64();
            if place == u64::MAX {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                    epoll::add(&poll, &stream, EventData::new_u64(connections.len() as u64), flags)?;
                    let unread = vec![0; 256 * 1024];
                    connections.push(Some(Connection { stream, unread, tail: 0, out: Vec::new(), head: 0 }));
                }
            } else if let Some(connection) = &mut connections[place as usize]
                && connection.pump().is_err()
            {
                connections[place as usize] = None;
            }
        }
    }
}

impl Connection {
    fn pump(&mut self) -> io::Result<()> {
        loop {
            self.head += system::write(&self.stream, &self.out[self.head..])?;
            if self.head < self.out.len() {
                return Ok(());
            }
            self.out.clear();
            self.head = 0;
            let room = self.unread.len() - self.tail;
            let Some(read) = system::read(&self.stream, &mut self.unread[self.tail..])? else {
                return Ok(());
            };
            self.tail += read;
            let end = frame::whole(&self.unread[..self.tail]);
            let mut at = 0;
            while at < end {
                let length = frame::length(&self.unread[at..]).expect("a whole frame");
                frame::answer(&self.unread[at..at + length], &mut self.out);
                at += length;
            }
            self.unread.copy_within(end..self.tail, 0);
            self.tail -= end;
            if read < room {
                // Drained: one write, and no second read that would only be told so.
                self.head += system::write(&self.stream, &self.out[self.head..])?;
                return Ok(());
            }
        }
    }
}
