//! The program in a process of its own, as a shell starts it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

pub(crate) fn loadtest(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn output(arguments: &[&str]) -> Output {
    loadtest(arguments).output().unwrap()
}

/// A running model issuer; ended when dropped.
pub(crate) struct Issuer {
    pub(crate) process: Child,
    pub(crate) address: String,
}

impl Issuer {
    pub(crate) fn start(arguments: &[&str]) -> Issuer {
        let all = [&["issuer", "--listen", "127.0.0.1:0"], arguments].concat();
        background(&all)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &process.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

pub(crate) fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Something that runs in the background, is reached at an address, and is ended when dropped.
pub(crate) fn background(arguments: &[&str]) -> Issuer {
    let mut process = loadtest(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut first_line = String::new();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    out.read_line(&mut first_line).unwrap();
    process.stdout = Some(out.into_inner());
    let address = first_line.rsplit(' ').next().unwrap().trim().to_string();
    Issuer { process, address }
}

/// Runs `run baseline` against an issuer for a short time.
pub(crate) fn run(issuer: &Issuer, arguments: &[&str]) -> Output {
    let fixed = ["run", "baseline", "--connect", &issuer.address, "--rate", "500", "--seconds", "1.2"];
    output(&[&fixed[..], arguments].concat())
}
