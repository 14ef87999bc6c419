//! What the benches ask of the operating system.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity, set_current_timer_slack};

/// Keeps this thread on one processor, and what it starts.
pub fn pin(processor: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    Ok(sched_setaffinity(None, &set)?)
}

/// Where a process may run, as the kernel writes it.
pub fn processors(process: u32) -> io::Result<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    Ok(list.unwrap_or_default().trim().to_owned())
}

/// A short sleep is to be a short sleep.
pub fn tight_timers() {
    let _ = set_current_timer_slack(NonZeroU64::new(1));
}

/// Connects, with patience for a listener that is being started. A hundred thousand card ranges take ten seconds to read.
pub fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let until = Instant::now() + Duration::from_secs(60);
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

/// A thread of a process, or of one that the process started.
pub struct Thread {
    pub process: u32,
    pub id: u32,
    pub name: String,
}

impl Thread {
    /// Nanoseconds that it has run so far.
    pub fn cpu_ns(&self) -> u64 {
        let figures = fs::read_to_string(format!("/proc/{}/task/{}/schedstat", self.process, self.id));
        figures.ok().and_then(|figures| figures.split(' ').next()?.parse().ok()).unwrap_or(0)
    }
}

/// The threads of a process and of all that it started.
pub fn threads(process: u32) -> Vec<Thread> {
    let mut found = Vec::new();
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    for folder in tasks.map(|task| task.path()) {
        let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let Some(id) = folder.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
        found.push(Thread { process, id, name: text("comm").trim_end().to_owned() });
        for child in text("children").split_whitespace().filter_map(|child| child.parse().ok()) {
            found.extend(threads(child));
        }
    }
    found
}

/// Whether a thread stands on the path of a transaction. The switch names its shards; what has no shards does nothing
/// beside the path.
pub fn is_on_path(name: &str, all: &[Thread]) -> bool {
    let is_shard = |name: &str| name.starts_with("shard");
    is_shard(name) || !all.iter().any(|thread| is_shard(&thread.name))
}

/// Nanoseconds of processor: of all threads, and of those on the path.
#[derive(Clone, Copy, Default)]
pub struct Cpu {
    pub all_ns: u64,
    pub path_ns: u64,
}

impl Cpu {
    /// What a process and those it started have used so far.
    pub fn of(process: u32) -> Self {
        let all = threads(process);
        let mut cpu = Cpu::default();
        for thread in &all {
            let spent_ns = thread.cpu_ns();
            cpu.all_ns += spent_ns;
            cpu.path_ns += if is_on_path(&thread.name, &all) { spent_ns } else { 0 };
        }
        cpu
    }
}

/// Bytes of memory that a process has now, without what the kernel has for its sockets.
pub fn resident_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

/// As many open files as this process may have, for it and for what it starts.
pub fn many_files() -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Asks a process to end.
pub fn signal(process: u32, signal: Signal) {
    if let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        // One that has ended needs no signal.
        let _ = kill_process(process, signal);
    }
}
