//! The Python peers as processes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tests::rig::places::scratch_folder;
use tests::rig::process::not_run;

use crate::Manner;
use crate::workload::{Line, text};

/// Whether the virtual environment is there; says in one line what is missing.
pub(crate) fn is_ready() -> bool {
    let ready = interpreter().is_file();
    if !ready {
        not_run("the Python peers: `tests/peers/setup.sh`");
    }
    ready
}

/// A Python acquirer at work.
#[derive(Debug)]
pub(crate) struct PythonAcquirer(Script);

/// A Python issuer that serves until it is told to finish.
#[derive(Debug)]
pub(crate) struct PythonIssuer {
    script: Script,
    address: SocketAddr,
}

impl PythonAcquirer {
    pub(crate) fn start(manner: Manner, lines: &[Line], address: SocketAddr) -> PythonAcquirer {
        PythonAcquirer(Script::start("acquirer.py", manner, lines, &["--connect", &address.to_string()]))
    }

    /// Waits for its end and insists that every answer was as it should be.
    pub(crate) fn finish(self, count: usize) {
        self.0.finish(&format!("checked {count} faults 0"));
    }
}

impl PythonIssuer {
    /// `None` when the virtual environment is not there.
    pub(crate) fn start(manner: Manner, lines: &[Line]) -> Option<PythonIssuer> {
        if !is_ready() {
            return None;
        }
        let mut script = Script::start("issuer.py", manner, lines, &[]);
        let first = script.line();
        let port: u16 = first.strip_prefix("listening ").and_then(|port| port.parse().ok()).expect("a port");
        Some(PythonIssuer { script, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it and insists that every request was as it should be.
    pub(crate) fn finish(self, count: usize) {
        self.script.finish(&format!("seen {count} faults 0"));
    }
}

/// One running script with its workload in a folder of its own.
#[derive(Debug)]
struct Script {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    folder: PathBuf,
}

impl Script {
    fn start(name: &str, manner: Manner, lines: &[Line], more: &[&str]) -> Script {
        let folder = scratch_folder();
        let workload = folder.join("workload.txt");
        fs::write(&workload, text(lines)).expect("a file in our own folder");
        let mut child = Command::new(interpreter())
            .arg(peers().join(name))
            .args(["--dialect", manner.dialect, "--framing", manner.framing, "--workload"])
            .arg(&workload)
            .args(more)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the Python of the virtual environment runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Script { child, output, folder }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    fn finish(mut self, summary: &str) {
        // The end of standard input is what the issuer waits for.
        drop(self.child.stdin.take());
        let told = self.line();
        let status = self.child.wait().expect("our own child");
        assert!(status.success() && told == summary, "{status}: {told:?}, expected {summary:?}");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

pub(crate) fn interpreter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python")
}
