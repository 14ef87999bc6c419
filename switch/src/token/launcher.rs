//! The launcher: a process beside the switch that starts and ends the workers. It holds the PIN, and nothing else.
//!
//! It exists before the switch has threads or gives up rights, does one thing at a time and decides nothing. A worker is
//! the same binary executed again, so that a token which is linked into the binary works there too. What belongs to a
//! worker goes over its stream; its arguments and environment hold no secret.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hsm::wire::{self, Word};
use hsm::{Blame, Plan, Secret};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::control::{self, Order, Report};
use crate::config::Hsm;
use crate::service;

/// The binary that runs, whatever became of its file.
const MYSELF: &str = "/proc/self/exe";
/// Workers that were killed and have not ended, above which none is started.
const STUCK_MAX: usize = 4;
/// How often and how long it is looked whether a killed worker has ended.
const END_LOOKS: u32 = 100;
const END_LOOK: Duration = Duration::from_millis(2);
/// From the end of its parent to that of a process that may be logging in.
const LOGIN_WAIT: Duration = Duration::from_secs(1);
/// Between two looks whether it has ended.
const LOGIN_LOOK: Duration = Duration::from_millis(100);
/// How often a token is looked for at the start, and the pause between.
pub(super) const ATTEMPTS: u32 = 5;
pub(super) const ATTEMPT_WAIT: Duration = Duration::from_millis(50);
/// How long the token may take to open.
pub(super) const OPEN_WAIT: Duration = Duration::from_secs(10);

/// The switch's end.
pub(crate) struct Launcher {
    pub(super) control: OwnedFd,
    pub(super) process: Child,
}

/// A worker that is ready.
pub(crate) struct Started {
    pub(crate) number: u64,
    pub(crate) stream: UnixStream,
}

impl Launcher {
    /// Starts it. The PIN in `plan` is empty: the launcher reads the real one.
    pub(crate) fn start(hsm: &Hsm, plan: &Plan) -> io::Result<Launcher> {
        let (control, theirs) = control::pair()?;
        let process = child("hsm-launcher").stdin(Stdio::from(theirs)).spawn()?;
        let pin_file = hsm.pin_file.as_os_str().as_bytes();
        let mut first = (pin_file.len() as u32).to_le_bytes().to_vec();
        first.extend_from_slice(pin_file);
        wire::put_set_up(&mut first, plan);
        control::send_plan(&control, &first)?;
        Ok(Launcher { control, process })
    }

    /// Starts the first workers, one after the other, and waits until each is ready.
    ///
    /// # Errors
    /// Why one could not open the token.
    pub(crate) fn first_workers(&self, count: u64) -> Result<Vec<Started>, NotReady> {
        let mut workers = Vec::new();
        for number in 0..count {
            workers.push(self.first_worker(number)?);
        }
        Ok(workers)
    }

    fn first_worker(&self, number: u64) -> Result<Started, NotReady> {
        let failed =
            |error: io::Error| NotReady::Silent(format!("the launcher of token workers failed: {error}"));
        let mut attempts = 0;
        loop {
            attempts += 1;
            Order::Start(number).send(&self.control).map_err(failed)?;
            let stream = match Report::receive(&self.control).map_err(failed)? {
                Some(Report::Started(_, stream)) => UnixStream::from(stream),
                Some(Report::NotStarted(_, why)) => return Err(NotReady::Silent(why)),
                Some(Report::Ended(..)) | None => {
                    return Err(NotReady::Silent("the launcher of token workers ended".to_owned()));
                }
            };
            match wait_until_ready(&stream) {
                Ok(()) => return Ok(Started { number, stream }),
                // SoftHSM2 writes its token's file anew at each login, and who looks at it at that moment finds none.
                Err(NotReady::Refused(Blame::Token, _)) if attempts < ATTEMPTS => {
                    Order::End(number).send(&self.control).map_err(failed)?;
                    Report::receive(&self.control).map_err(failed)?;
                    std::thread::sleep(ATTEMPT_WAIT);
                }
                Err(why) => return Err(why),
            }
        }
    }
}

/// Why a worker is not ready.
pub(crate) enum NotReady {
    /// It says that it cannot open the token: what that lies in, and why.
    Refused(Blame, String),
    /// It says nothing that could be understood, or could not be asked.
    Silent(String),
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Refused(_, why) | Self::Silent(why)) = self;
        f.write_str(why)
    }
}

fn wait_until_ready(mut stream: &UnixStream) -> Result<(), NotReady> {
    let failed = |error: io::Error| NotReady::Silent(format!("a token worker did not start: {error}"));
    stream.set_read_timeout(Some(OPEN_WAIT)).map_err(failed)?;
    let mut heard = Vec::new();
    while !is_ready(&heard)? {
        let mut some = [0; 1024];
        match stream.read(&mut some).map_err(failed)? {
            0 => {
                return Err(NotReady::Silent("a token worker ended while it opened the token".to_owned()));
            }
            read => heard.extend_from_slice(&some[..read]),
        }
    }
    Ok(())
}

/// Whether a worker that was just started has said that it is ready.
pub(super) fn is_ready(heard: &[u8]) -> Result<bool, NotReady> {
    match wire::word(heard) {
        Ok(None) => Ok(false),
        Ok(Some((Word::Ready, taken))) if taken == heard.len() => Ok(true),
        Ok(Some((Word::Refused { blame, why }, _))) => Err(NotReady::Refused(blame, why.to_owned())),
        Ok(Some(_)) | Err(_) => {
            Err(NotReady::Silent("a token worker said something else than that it is ready".to_owned()))
        }
    }
}

/// The same binary, for another job.
pub(super) fn child(job: &str) -> Command {
    let mut command = Command::new(MYSELF);
    command.arg0("signalbox").arg(job).arg(std::process::id().to_string()).stdout(Stdio::null());
    for variable in service::VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// The launcher's life, from its first order to the end of the switch. `parent` is the switch.
#[must_use]
pub fn launch(parent: u32) -> ExitCode {
    run(|control| {
        if !tie_to(parent)? {
            return Ok(());
        }
        let mut plan = plan_of(&control::receive_plan(&control)?)?;
        let mut set_up = Zeroizing::new(Vec::new());
        wire::put_set_up(&mut set_up, &plan);
        plan.pin = Secret::new(Vec::new());
        let mut workers: Vec<(u64, Child)> = Vec::new();
        // Killed, and still held by something in the kernel: a device's driver.
        let mut stuck: Vec<Child> = Vec::new();
        while let Some(order) = Order::receive(&control)? {
            stuck.retain_mut(|worker| !matches!(worker.try_wait(), Ok(Some(_))));
            match order {
                Order::Start(number) if stuck.len() >= STUCK_MAX => {
                    let why = "workers that were killed do not end: their device holds them".to_owned();
                    Report::NotStarted(number, why).send(&control)?;
                }
                Order::Start(number) => match start(&set_up) {
                    Ok((worker, stream)) => {
                        workers.push((number, worker));
                        Report::Started(number, stream).send(&control)?;
                    }
                    Err(error) => Report::NotStarted(number, error.to_string()).send(&control)?,
                },
                Order::End(number) => {
                    if let Some(at) = workers.iter().position(|(worker, _)| *worker == number) {
                        let (_, mut worker) = workers.swap_remove(at);
                        match ended(&mut worker) {
                            Some(how) => Report::Ended(number, said(how)).send(&control)?,
                            None => stuck.push(worker),
                        }
                    }
                }
            }
        }
        // The workers end with this process, or when they have logged in and find it gone: one that does is not killed.
        Ok(())
    })
}

/// The plan of the first datagram, with the PIN from its file.
fn plan_of(first: &[u8]) -> io::Result<Plan> {
    let no_plan = || io::Error::from(io::ErrorKind::InvalidData);
    let (len, rest) = first.split_first_chunk().ok_or_else(no_plan)?;
    let len = u32::from_le_bytes(*len) as usize;
    let (pin_file, set_up) = rest.split_at_checked(len).ok_or_else(no_plan)?;
    let Ok(Some((wire::Order::SetUp(mut plan), _))) = wire::order(set_up) else { return Err(no_plan()) };
    plan.pin = crate::keys::first_line(Path::new(std::ffi::OsStr::from_bytes(pin_file)))
        .map_err(io::Error::other)?;
    Ok(plan)
}

/// A worker, and the switch's end of its stream, in which its plan waits already.
fn start(set_up: &[u8]) -> io::Result<(Child, OwnedFd)> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let worker = child("hsm-worker").stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
    ours.write_all(set_up)?;
    Ok((worker, ours.into()))
}

/// Ends a worker and tells how it ended; nothing when it does not within a moment.
fn ended(worker: &mut Child) -> Option<ExitStatus> {
    let _ = worker.kill();
    for _ in 0..END_LOOKS {
        if let Ok(Some(status)) = worker.try_wait() {
            return Some(status);
        }
        std::thread::sleep(END_LOOK);
    }
    None
}

fn said(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// A worker's life, from its plan to the end of its stream. `parent` is the launcher.
#[must_use]
pub fn work(parent: u32) -> ExitCode {
    run(|stream| {
        watched(parent)?;
        hsm::worker::serve(&mut UnixStream::from(stream), || tie_to(parent))
    })
}

/// From now on this process is killed when its parent ends. False where that has ended before.
///
/// Whoever logs in to a token is tied afterwards: SoftHSM empties the file of its token for each login before it writes it
/// again, and one that is killed between the two takes the token along. Until then it is [watched](watched).
pub(super) fn tie_to(parent: u32) -> io::Result<bool> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    IS_TIED.store(true, Ordering::Relaxed);
    Ok(is_child_of(parent))
}

/// Of this process: nobody need watch it any more.
static IS_TIED: AtomicBool = AtomicBool::new(false);

fn is_child_of(parent: u32) -> bool {
    rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get() as u32) == Some(parent)
}

/// Ends this process some time after its parent: long enough for a login, and not left behind by a module that hangs in one.
pub(super) fn watched(parent: u32) -> io::Result<()> {
    let watch = move || {
        while is_child_of(parent) {
            if IS_TIED.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(LOGIN_LOOK);
        }
        std::thread::sleep(LOGIN_WAIT);
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    };
    std::thread::Builder::new().name("parent".to_owned()).spawn(watch)?;
    Ok(())
}

/// Runs a job over the socket that is this process's standard input: without memory dumps, and deaf to the signals that tell
/// the switch to stop, for it still needs its token then.
pub(super) fn run(job: impl FnOnce(OwnedFd) -> io::Result<()>) -> ExitCode {
    let run = || -> io::Result<()> {
        crate::process::keep_memory_to_itself()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        let _deaf = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        );
        drop(entered);
        job(io::stdin().as_fd().try_clone_to_owned()?)
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("signalbox: a process of the token ends: {error}");
            ExitCode::FAILURE
        }
    }
}
