//! What the switch and its launcher say to each other: datagrams, of which one kind carries a socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// Most bytes of a datagram; the plan is the longest.
const DATAGRAM_MAX: usize = 96 << 10;

/// What the launcher hears after the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// Start a worker of this number.
    Start(u64),
    /// End it, if it has not ended.
    End(u64),
}

/// What the launcher says.
#[derive(Debug)]
pub(super) enum Report {
    /// A worker was started; this is the other end of its stream.
    Started(u64, OwnedFd),
    /// It could not be.
    NotStarted(u64, String),
    /// A worker was ended, or had ended; how.
    Ended(u64, String),
}

const START: u8 = 1;
const END: u8 = 2;
const STARTED: u8 = 3;
const NOT_STARTED: u8 = 4;
const ENDED: u8 = 5;

/// Two connected ends that keep datagrams apart and tell when the other is gone.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

impl Order {
    pub(super) fn send(self, to: impl AsFd) -> io::Result<()> {
        let (kind, number) = match self {
            Order::Start(number) => (START, number),
            Order::End(number) => (END, number),
        };
        send(to, &datagram(kind, number, ""), None)
    }

    /// Waits for one; nothing when the switch is gone.
    pub(super) fn receive(from: impl AsFd) -> io::Result<Option<Order>> {
        let mut bytes = [0; 16];
        let (read, _) = receive(from, &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        match parts(&bytes[..read]) {
            Some((START, number, _)) => Ok(Some(Order::Start(number))),
            Some((END, number, _)) => Ok(Some(Order::End(number))),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Report {
    pub(super) fn send(&self, to: impl AsFd) -> io::Result<()> {
        match self {
            Report::Started(number, stream) => {
                send(to, &datagram(STARTED, *number, ""), Some(stream.as_fd()))
            }
            Report::NotStarted(number, why) => send(to, &datagram(NOT_STARTED, *number, why), None),
            Report::Ended(number, how) => send(to, &datagram(ENDED, *number, how), None),
        }
    }

    /// The next one; nothing when the launcher is gone.
    pub(super) fn receive(from: impl AsFd) -> io::Result<Option<Report>> {
        let mut bytes = [0; 1024];
        let (read, stream) = receive(from, &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        let text = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        match (parts(&bytes[..read]), stream) {
            (Some((STARTED, number, _)), Some(stream)) => Ok(Some(Report::Started(number, stream))),
            (Some((NOT_STARTED, number, why)), _) => Ok(Some(Report::NotStarted(number, text(why)))),
            (Some((ENDED, number, how)), _) => Ok(Some(Report::Ended(number, text(how)))),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn datagram(kind: u8, number: u64, text: &str) -> Vec<u8> {
    let text = text.as_bytes();
    [&[kind][..], &number.to_le_bytes(), &text[..text.len().min(512)]].concat()
}

fn parts(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (number, text) = rest.split_first_chunk()?;
    Some((*kind, u64::from_le_bytes(*number), text))
}

/// Sends the first datagram.
pub(super) fn send_plan(to: impl AsFd, plan: &[u8]) -> io::Result<()> {
    send(to, plan, None)
}

/// Receives the first datagram.
pub(super) fn receive_plan(from: impl AsFd) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; DATAGRAM_MAX];
    let (read, _) = receive(from, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn send(to: impl AsFd, bytes: &[u8], passed: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let passed = passed.as_slice();
    if !passed.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(passed));
    }
    rustix::net::sendmsg(to, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(from: impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(bytes)];
    let received = loop {
        match rustix::net::recvmsg(&from, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => (),
            outcome => break outcome?,
        }
    };
    let mut passed = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(files) = message {
            passed = files.last();
        }
    }
    Ok((received.bytes, passed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_stream_is_passed_and_the_end_is_seen() {
        let (here, there) = pair().unwrap();
        Order::Start(7).send(&there).unwrap();
        Order::End(u64::MAX).send(&there).unwrap();
        assert_eq!(Order::receive(&here).unwrap(), Some(Order::Start(7)));
        assert_eq!(Order::receive(&here).unwrap(), Some(Order::End(u64::MAX)));

        let (mut kept, passed) = UnixStream::pair().unwrap();
        Report::Started(7, passed.into()).send(&here).unwrap();
        Report::Ended(7, "signal 11".to_owned()).send(&here).unwrap();
        let Ok(Some(Report::Started(7, stream))) = Report::receive(&there) else { panic!("a stream") };
        kept.write_all(b"heard").unwrap();
        let mut heard = [0; 5];
        UnixStream::from(stream).read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"heard");
        assert!(matches!(Report::receive(&there), Ok(Some(Report::Ended(7, how))) if how == "signal 11"));

        drop(here);
        assert!(matches!(Report::receive(&there), Ok(None)));
    }
}
