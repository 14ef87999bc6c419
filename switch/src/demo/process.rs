//! A program of the demonstration: started, stopped, never left behind.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A running program. Killed when it is dropped while it still runs.
pub(super) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a program with these variables besides our own; what it prints goes to `log`, or to our own output.
    pub(super) fn start(
        name: &str,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        log: Option<&Path>,
    ) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null());
        if let Some(path) = log {
            let file = File::create(path).and_then(|file| Ok((file.try_clone()?, file)));
            let (out, err) = file.map_err(|error| format!("{}: {error}", path.display()))?;
            command.stdout(out).stderr(err);
        }
        let child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// Waits until it ends by itself, and says with which exit code.
    pub(super) fn wait(mut self) -> Result<Option<i32>, String> {
        let status = self.child.wait().map_err(|error| format!("{}: {error}", self.name))?;
        Ok(status.code())
    }

    /// Asks it to end, and says with which exit code it did.
    pub(super) fn stop(mut self, patience: Duration) -> Result<Option<i32>, String> {
        self.signal(Signal::TERM);
        let until = Instant::now() + patience;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status.code()),
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => return Err(format!("{}: {error}", self.name)),
            }
        }
        Err(format!("{} did not stop within {} s", self.name, patience.as_secs()))
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // One that has ended already needs no signal.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
