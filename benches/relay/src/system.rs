//! What the benches ask of the operating system.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity, set_current_timer_slack};

/// Keeps this thread on one processor, and what it starts.
pub fn pin(processor: Option<usize>) {
    let Some(processor) = processor else { return };
    let mut set = CpuSet::new();
    set.set(processor);
    if let Err(error) = sched_setaffinity(None, &set) {
        eprintln!("not pinned to processor {processor}: {error}");
    }
}

/// A short sleep is to be a short sleep.
pub fn tight_timers() {
    let _ = set_current_timer_slack(NonZeroU64::new(1));
}

/// Connects, with patience for a listener that is being started.
pub fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect(to) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                return Ok(stream);
            }
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Reads once. `None` when there is nothing.
pub fn read(mut stream: &TcpStream, into: &mut [u8]) -> io::Result<Option<usize>> {
    match stream.read(into) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes until everything is written or the socket takes no more, and says how much went.
pub fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut head = 0;
    while head < bytes.len() {
        match stream.write(&bytes[head..]) {
            Ok(written) => head += written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(head)
}

/// Nanoseconds that all threads of a process have run so far.
pub fn cpu_ns(process: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|figures| figures.split(' ').next()?.parse::<u64>().ok())
        .sum()
}
