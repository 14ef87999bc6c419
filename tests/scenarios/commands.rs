//! Commands that need no switch: what a package and a shell take from the binary.

use std::process::Command;

use tests::rig::process;

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
