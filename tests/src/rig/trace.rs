//! strace on a running switch: to see its system calls, or to spoil one of them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Rig;
use super::process::not_run;

/// strace attached to the switch of a rig.
#[derive(Debug)]
pub struct Trace {
    child: Child,
    log: PathBuf,
}

/// One call: when it ended, and what it was. `who` is the end of a connection or a file, as strace names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Such as `fdatasync`.
    pub name: String,
    /// The file or the two ends of the connection.
    pub who: String,
}

impl Trace {
    /// Attaches; `None` after saying what is missing. `calls` is what strace takes behind `-e`.
    ///
    /// # Panics
    /// When strace cannot attach.
    #[must_use]
    pub fn of(rig: &Rig, calls: &[&str]) -> Option<Trace> {
        Self::of_process(rig, &[], calls)
    }

    /// The same for calls on one file only.
    #[must_use]
    pub fn of_path(rig: &Rig, path: &Path, calls: &[&str]) -> Option<Trace> {
        Self::of_process(rig, &["-P".as_ref(), path.as_os_str()], calls)
    }

    /// The same for one of its threads.
    #[must_use]
    pub fn of_thread(rig: &Rig, thread: i32, calls: &[&str]) -> Option<Trace> {
        let trace = Trace::start(rig, thread, &[], calls)?;
        rig.await_that("strace to attach", || rig.process().is_thread_traced(thread));
        Some(trace)
    }

    fn of_process(rig: &Rig, options: &[&OsStr], calls: &[&str]) -> Option<Trace> {
        let options: Vec<&OsStr> = options.iter().copied().chain(["-f".as_ref()]).collect();
        let trace = Trace::start(rig, rig.process().id(), &options, calls)?;
        rig.await_that("strace to attach", || rig.process().is_traced());
        Some(trace)
    }

    fn start(rig: &Rig, number: impl std::fmt::Display, options: &[&OsStr], calls: &[&str]) -> Option<Trace> {
        if !rustix::process::geteuid().is_root() {
            // The switch keeps its memory to itself (S07), so that nobody else may look over its shoulder.
            not_run("the superuser, who alone may trace the switch");
            return None;
        }
        let log = rig.folder().join("trace");
        let started = Command::new("strace")
            .args(["-yy", "-s", "0", "-o"])
            .arg(&log)
            .args(options)
            .args(calls.iter().flat_map(|call| ["-e", call]))
            .args(["-p", &number.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            not_run("strace");
            return None;
        };
        Some(Trace { child, log })
    }

    /// Detaches and gives the calls that ended well, in the order of their ends.
    #[must_use]
    pub fn calls(mut self) -> Vec<Call> {
        self.end();
        let text = fs::read_to_string(&self.log).expect("a trace");
        fs::remove_file(&self.log).expect("our own");
        ended(&text)
    }
}

impl Trace {
    /// Ends strace, which lets go of the switch: politely, and where it waits for a process that is dead, at once.
    fn end(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, Signal::INT);
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.child.try_wait().expect("our own child").is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads lines such as `12 pwrite64(9</tmp/x.segment>, ""..., 300, 8) = 300`. A call that was interrupted by another
/// thread's line counts where it was resumed.
#[must_use]
pub fn ended(text: &str) -> Vec<Call> {
    let mut unfinished: Vec<(String, Call)> = Vec::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let place = unfinished.iter().position(|(whose, _)| whose == thread);
            if let Some((_, call)) = place.map(|place| unfinished.remove(place))
                && !resumed.contains("= -1")
            {
                calls.push(call);
            }
            continue;
        }
        let Some((name, rest)) = rest.split_once('(') else { continue };
        // An address pair has an arrow in it, so the name ends with what follows it.
        let end =
            |who: &str| who.find(">,").or_else(|| who.find(">)")).or_else(|| who.find("> ")).unwrap_or(0);
        let who = rest.split_once('<').map_or("", |(_, who)| &who[..end(who)]);
        let call = Call { name: name.to_owned(), who: who.to_owned() };
        if rest.contains("<unfinished") {
            unfinished.push((thread.to_owned(), call));
        } else if !rest.contains("= -1") {
            calls.push(call);
        }
    }
    calls
}
