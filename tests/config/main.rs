//! `signalbox check` and `signalbox serve` on configurations with faults, and the command line around them.

#![forbid(unsafe_code)]

mod command_line;
mod faults;
mod files;
mod keys;
mod overrides;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tests::rig::places::scratch_folder;
use tests::rig::process::{Process, binary};

/// One finished run of the binary in a folder of its own.
#[derive(Debug)]
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs `signalbox` with these arguments beside a configuration called `signalbox.toml`.
fn run(arguments: &[&str], config: &str, environment: &[(&str, &str)]) -> Option<Run> {
    let binary = binary()?;
    let folder = Folder::new();
    fs::write(folder.0.join("signalbox.toml"), config).expect("a file in our own folder");
    let environment: Vec<_> =
        environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let process = Process::start(&binary, arguments, &environment, &folder.0);
    let code = process.exit_code(Duration::from_secs(20));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Some(Run { code, stdout: text(process.stdout()), stderr: text(process.stderr()) })
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        Folder(scratch_folder())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A configuration without a fault.
const GOOD: &str = r#"
[admin]
listen = "127.0.0.1:{admin}"

[[acquirer]]
name = "north"
listen = "127.0.0.1:{north}"
dialect = "iso87-ascii"
framing = { length = "binary2" }
plain_tcp = true

[[issuer]]
name = "maple"
connect = ["127.0.0.1:{maple}"]
dialect = "iso87-ascii"
framing = { length = "binary2" }
plain_tcp = true
timeout = "10s"

[[route]]
iin = "99996"
issuer = "maple"
"#;

/// [`GOOD`] with ports nobody has.
fn good() -> String {
    let port = || tests::rig::places::free_address().port().to_string();
    GOOD.replace("{admin}", &port()).replace("{north}", &port()).replace("{maple}", &port())
}
