//! Ports and folders that no other test has.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

/// A port nobody has: below the range the system hands out, tried, and claimed until this program ends.
///
/// The claim is the UDP port of the same number, which tests of another program running beside this one try
/// first as well.
#[must_use]
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(7919);
    for _ in 0..PORTS.len() {
        let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(PORTS.start + step).expect("a port")));
        if let Ok(claim) = UdpSocket::bind(address)
            && TcpListener::bind(address).is_ok()
        {
            std::mem::forget(claim);
            return address;
        }
    }
    panic!("no free port");
}

/// Linux hands out ports from 32768 up.
const PORTS: std::ops::Range<u32> = 10_000..32_000;

/// A port that is taken, so that nobody else gets it, and refuses; kept until the program ends.
pub fn refusing_address() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let address = socket.local_addr().expect("bound").as_socket().expect("IPv4");
    std::mem::forget(socket);
    address
}

/// A new folder for one run.
#[must_use]
pub fn scratch_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("signalbox-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).expect("a folder for temporary files");
    folder
}

/// Tests with thousands of connections need as many open files as the system allows; the switch inherits it.
pub(super) fn raise_own_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_free_and_refusing_ones_refuse() {
        assert_ne!(free_address(), free_address());
        let refused = std::net::TcpStream::connect(refusing_address()).expect_err("nobody listens");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
