//! The binary as a process: found, started, signalled, measured, and everything it printed.

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::locked;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

/// What the process wrote to one stream so far.
type Captured = Arc<Mutex<Vec<u8>>>;

/// One run of the binary.
#[derive(Debug)]
pub struct Process {
    child: Mutex<Child>,
    pid: Pid,
    stdout: Captured,
    stderr: Captured,
    readers: Mutex<Vec<JoinHandle<()>>>,
    /// Nobody reads what it writes.
    unread: Arc<AtomicBool>,
}

/// The binary under test, or `None` after saying in one line what is missing.
///
/// # Panics
/// When `SIGNALBOX_TESTS=all` claims that every test runs and there is no binary.
#[must_use]
pub fn binary() -> Option<PathBuf> {
    let named = env::var_os("SIGNALBOX_BIN").map(PathBuf::from);
    let found = named.or_else(|| candidates().into_iter().find(|path| path.is_file()));
    if let Some(path) = found {
        assert!(path.is_file(), "SIGNALBOX_BIN names no file; build it with `make build`");
        return Some(path);
    }
    not_run("the signalbox binary: `make build`");
    None
}

/// Another program of the project, built beside the binary under test; `None` when it is not there.
#[must_use]
pub fn sibling(name: &str) -> Option<PathBuf> {
    let found = candidates().into_iter().map(|path| path.with_file_name(name)).find(|path| path.is_file());
    if found.is_none() {
        not_run(&format!("the {name} binary: `make build`"));
    }
    found
}

/// Says once per test binary what a test would need, past the capture of test output.
///
/// # Panics
/// When `SIGNALBOX_TESTS=all` claims that every test runs.
pub fn not_run(need: &str) {
    static ONCE: Once = Once::new();
    assert!(env::var("SIGNALBOX_TESTS").as_deref() != Ok("all"), "this test needs {need}");
    ONCE.call_once(|| {
        let _ = writeln!(io::stderr(), "not run, they need {need}");
    });
}

/// Where cargo puts the binary: the release build first.
fn candidates() -> Vec<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut targets = vec![workspace.join("target")];
    // This very program is target/<profile>/deps/<name>: CARGO_TARGET_DIR may have moved it.
    targets.extend(env::current_exe().ok().and_then(|exe| exe.ancestors().nth(3).map(Path::to_path_buf)));
    let profiles = ["release", "debug"].into_iter();
    profiles
        .flat_map(|profile| targets.iter().map(move |target| target.join(profile).join("signalbox")))
        .collect()
}

impl Process {
    /// Starts the binary with these arguments and environment additions.
    #[must_use]
    pub fn start(
        binary: &Path,
        arguments: &[&str],
        environment: &[(String, String)],
        folder: &Path,
    ) -> Process {
        let mut child = Command::new(binary)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|why| panic!("cannot start {}: {why}", binary.display()));
        let pid = Pid::from_child(&child);
        let unread = Arc::<AtomicBool>::default();
        let (stdout, first) = capture(child.stdout.take().expect("piped"), &unread);
        let (stderr, second) = capture(child.stderr.take().expect("piped"), &unread);
        Process {
            child: Mutex::new(child),
            pid,
            stdout,
            stderr,
            readers: Mutex::new(vec![first, second]),
            unread,
        }
    }

    /// Stops or goes on reading what the process writes.
    pub fn leave_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::Relaxed);
    }

    /// Sends a signal; a process that has ended is left alone.
    pub fn signal(&self, signal: Signal) {
        if !self.has_ended() {
            kill_process(self.pid, signal).expect("our own child can be signalled");
        }
    }

    /// Freezes it; gives back once every thread stands still.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        while !self.threads_all_stopped() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the freeze.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn threads_all_stopped(&self) -> bool {
        let threads = fs::read_dir(self.proc("task")).expect("a running process").flatten();
        let mut states = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
        states.all(|stat| stat.rsplit(") ").next().is_some_and(|state| state.starts_with('T')))
    }

    /// Ends it at once.
    pub fn kill(&self) {
        let mut child = locked(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Whether it is dead, though its parent may not have been told yet.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        let stat = fs::read_to_string(self.proc("stat"));
        stat.map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|state| state.starts_with(['Z', 'X'])))
    }

    /// Whether every thread of it is traced.
    #[must_use]
    pub fn is_traced(&self) -> bool {
        let threads = fs::read_dir(self.proc("task")).expect("a running process").flatten();
        let mut states = threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
        states
            .all(|status| status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")))
    }

    /// Whether one thread of it is traced.
    #[must_use]
    pub fn is_thread_traced(&self, thread: i32) -> bool {
        let status = fs::read_to_string(self.proc("task").join(thread.to_string()).join("status"));
        let is_free = |line: &str| line.starts_with("TracerPid:") && line.ends_with("\t0");
        status.is_ok_and(|status| !status.lines().any(is_free))
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// The number of one of its threads.
    #[must_use]
    pub fn thread(&self, name: &str) -> Option<i32> {
        let threads = fs::read_dir(self.proc("task")).ok()?.flatten();
        let is_named =
            |path: &PathBuf| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name);
        let path = threads.map(|thread| thread.path()).find(is_named)?;
        path.file_name()?.to_str()?.parse().ok()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        locked(&self.child).try_wait().expect("our own child").is_some()
    }

    /// Waits for the end and gives the exit code; -1 when a signal ended it.
    ///
    /// # Panics
    /// When it has not ended within this time.
    pub fn exit_code(&self, within: Duration) -> i32 {
        let deadline = Instant::now() + within;
        let status = loop {
            if let Some(status) = locked(&self.child).try_wait().expect("our own child") {
                break status;
            }
            if Instant::now() > deadline {
                self.kill();
                panic!("the switch did not end within {within:?}{}", self.last_words());
            }
            thread::sleep(Duration::from_millis(2));
        };
        for reader in locked(&self.readers).drain(..) {
            let _ = reader.join();
        }
        status.code().unwrap_or(-1)
    }

    /// Everything written to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> Vec<u8> {
        locked(&self.stdout).clone()
    }

    /// Everything written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> Vec<u8> {
        locked(&self.stderr).clone()
    }

    /// The end of standard error, for a failure message.
    #[must_use]
    pub fn last_words(&self) -> String {
        let stderr = self.stderr();
        let tail = &stderr[stderr.len().saturating_sub(4000)..];
        format!("\n--- standard error of the switch ---\n{}", String::from_utf8_lossy(tail))
    }

    /// Resident memory in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).expect("a running process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kibibytes: u64 =
            line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
        kibibytes * 1024
    }

    /// Processor time used so far.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).expect("a running process");
        let after_name = stat.rsplit(") ").next().expect("a name in brackets");
        let ticks =
            after_name.split_whitespace().skip(11).take(2).map(|word| word.parse::<u64>().expect("ticks"));
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// How many files and sockets it has open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        fs::read_dir(self.proc("fd")).expect("a running process").count()
    }

    /// Lowers or raises its limit of open files while it runs.
    pub fn limit_files(&self, files: u64) {
        let hard = prlimit(Some(self.pid), Resource::Nofile, Rlimit { current: Some(files), maximum: None });
        if hard.is_err() {
            // Without the right to raise the hard limit the soft one is enough.
            let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
            prlimit(Some(self.pid), Resource::Nofile, Rlimit { current: Some(files), maximum })
                .expect("our own child can be limited");
        }
    }

    /// Lets no file of it grow beyond so many bytes.
    pub fn limit_file_size(&self, bytes: u64) {
        let maximum = rustix::process::getrlimit(Resource::Fsize).maximum;
        prlimit(Some(self.pid), Resource::Fsize, Rlimit { current: Some(bytes), maximum })
            .expect("our own child can be limited");
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid.as_raw_nonzero()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn capture(mut stream: impl Read + Send + 'static, unread: &Arc<AtomicBool>) -> (Captured, JoinHandle<()>) {
    let unread = Arc::clone(unread);
    let captured = Captured::default();
    let into = Arc::clone(&captured);
    let reader = thread::spawn(move || {
        let mut chunk = [0; 8192];
        while let Ok(count) = stream.read(&mut chunk) {
            if count == 0 {
                break;
            }
            locked(&into).extend_from_slice(&chunk[..count]);
            while unread.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
    (captured, reader)
}

/// Living processes whose parent is this one.
///
/// # Panics
/// When there is no list of processes.
#[must_use]
pub fn children(parent: i32) -> Vec<i32> {
    let stat = |process: i32| fs::read_to_string(format!("/proc/{process}/stat")).ok();
    let processes = fs::read_dir("/proc").expect("a list of processes").flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter(|process| {
            let stat = stat(*process).unwrap_or_default();
            let mut words = stat.rsplit(") ").next().unwrap_or_default().split(' ');
            let (state, of) =
                (words.next().unwrap_or_default(), words.next().and_then(|word| word.parse().ok()));
            of == Some(parent) && !matches!(state, "Z" | "X")
        })
        .collect()
}

/// The numbers of a switch's token workers: children of their launcher, which is the switch's only child.
#[must_use]
pub fn token_workers(switch: &Process) -> Vec<i32> {
    children(switch.id()).into_iter().flat_map(children).collect()
}

/// Memory of a process that is in use, bytes.
#[must_use]
pub fn resident_bytes(process: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        Process::start(Path::new("/bin/sh"), &["-c", script], &[], Path::new("/"))
    }

    #[test]
    fn output_and_exit_code_are_kept() {
        let process = shell("echo seen; echo heard >&2; exit 78");
        assert_eq!(process.exit_code(Duration::from_secs(5)), 78);
        assert_eq!((process.stdout(), process.stderr()), (b"seen\n".to_vec(), b"heard\n".to_vec()));
    }

    #[test]
    fn a_frozen_process_does_nothing() {
        let process = shell("while :; do :; done");
        process.freeze();
        let used = process.processor_time();
        thread::sleep(Duration::from_millis(50));
        assert_eq!(process.processor_time(), used);
        process.thaw();
        let deadline = Instant::now() + Duration::from_secs(10);
        while process.processor_time() == used && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(process.processor_time() > used);
    }

    #[test]
    fn a_signal_ends_it() {
        let process = shell("exec sleep 60");
        assert!(!process.has_ended() && process.resident_bytes() > 0 && process.open_files() >= 3);
        process.signal(Signal::TERM);
        assert_eq!(process.exit_code(Duration::from_secs(5)), -1);
    }
}
