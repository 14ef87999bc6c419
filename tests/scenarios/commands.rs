//! Commands that need no switch: what a package and a shell take from the binary.

use std::path::Path;
use std::process::Command;

use tests::rig::process;
use tests::{Setup, purchase};

#[test]
fn completions_manual_and_version_come_from_the_binary() {
    let Some(binary) = process::binary() else { return };
    let said = |arguments: &[&str]| {
        let output = Command::new(&binary).args(arguments).output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(said(&["completions", "bash"]).contains("_signalbox"));
    assert!(said(&["man"]).contains(".TH signalbox"));
    let version = said(&["--version"]);
    assert!(version.starts_with(&format!("signalbox {}", env!("CARGO_PKG_VERSION"))), "{version}");
}

/// As in `signalbox export ... | head`: whoever reads may have read enough.
#[test]
fn a_reader_that_leaves_ends_a_command_quietly() {
    let Some(binary) = process::binary() else { return };
    let Some(rig) = Setup::new().start() else { return };
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
    rig.crash();
    let unread = |arguments: &[&str], folder: &Path| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let command = Command::new(&binary).args(arguments).current_dir(folder).stdout(writer).output();
        let ended = command.expect("it runs");
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    for arguments in [
        &["completions", "bash"][..],
        &["man"],
        &["check", "--config", "signalbox.toml"],
        &["config", "show", "--config", "signalbox.toml"],
        &["export", "--journal", "journal"],
        &["verify", "--journal", "journal"],
        &["trace", "--journal", "journal", "--stan", "1"],
    ] {
        let (code, said) = unread(arguments, rig.folder());
        assert_eq!(code, Some(141), "{arguments:?}: {said}");
        assert!(!said.contains("fault") && !said.contains("cannot write"), "{arguments:?}: {said}");
    }
    rig.forget();
}
