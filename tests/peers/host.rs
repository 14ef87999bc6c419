//! `loadtest` drives a host that knows nothing of this project.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::rig::places::scratch_folder;
use tests::rig::process;

use crate::python::{interpreter, is_ready, peers};

#[test]
fn loadtest_drives_a_host_of_somebody_else() {
    if !is_ready() {
        return;
    }
    let Some(switch) = process::binary() else { return };
    let loadtest = switch.with_file_name("loadtest");
    if !loadtest.is_file() {
        return process::not_run("the loadtest binary: `make build`");
    }
    let mut host = Command::new(interpreter())
        .arg(peers().join("host.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the Python of the virtual environment runs");
    let mut told = BufReader::new(host.stdout.take().expect("piped"));
    let mut line = String::new();
    told.read_line(&mut line).expect("text");
    let port = line.trim().strip_prefix("listening ").expect("a port");

    // Purchases, sales, repeats, wrong check digits and sign-ons; a host in Python takes some hundreds a second.
    let folder = scratch_folder();
    let (profile, report) = (folder.join("foreign.toml"), folder.join("report.json"));
    std::fs::write(&profile, PROFILE).expect("a file in our own folder");
    let output = Command::new(&loadtest)
        .arg("run")
        .arg(&profile)
        .args(["--connect", &format!("127.0.0.1:{port}"), "--quiet", "--json"])
        .arg(&report)
        .args(["--threshold", "missing=0", "--threshold", "unexpected=0", "--threshold", "unmatched=0"])
        .args(["--threshold", "mangled=0", "--threshold", "contradicting=0"])
        .output()
        .expect("loadtest runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("JSON");
    std::fs::remove_dir_all(&folder).ok();

    drop(host.stdin.take());
    line.clear();
    told.read_line(&mut line).expect("text");
    assert!(host.wait().expect("our own child").success());
    let seen = |mti: &str| -> u64 {
        let prefix = format!("{mti}=");
        line.split_whitespace().find_map(|word| word.strip_prefix(&prefix)?.parse().ok()).unwrap_or(0)
    };
    // Both sides counted the same, and there was something of each kind.
    let payments = ["0100", "0101", "0200", "0201"].map(seen);
    assert_eq!(report["counts"]["answered"], payments.iter().sum::<u64>(), "{line}{said}");
    assert!(payments[0] > 0 && payments[1] > 0 && payments[2] > 0 && seen("0800") == 3, "{line}");
}

const PROFILE: &str = r#"
name = "foreign"

[load]
rate = 150
seconds = 2
connections = 3

[link]
sign_on = true

[[case]]
name = "purchase"
weight = 6
iin = "99996"
expect = ["00"]

[[case]]
name = "sale"
weight = 2
mti = "0200"
iin = "99996"
expect = ["00"]

[[case]]
name = "wrong check digit"
weight = 1
iin = "99996"
flaw = "luhn"
expect = ["14"]

[[case]]
name = "repeat"
weight = 1
repeat = true
"#;
