//! The command line: usage is 64, help and version are 0, and nothing panics.

use crate::{good, run};

#[test]
fn wrong_usage_is_64() {
    for arguments in [
        &["serve"][..],
        &["check"],
        &["chekc", "--config", "signalbox.toml"],
        &["serve", "--confg", "signalbox.toml"],
        &["serve", "--config"],
        &["serve", "--config", "signalbox.toml", "--log-format", "song"],
    ] {
        let Some(run) = run(arguments, &good(), &[]) else { return };
        assert_eq!(run.code, 64, "{arguments:?}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("sage") || run.stderr.contains("--"), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn help_and_version_are_0_and_say_something() {
    for (arguments, named) in [
        (&["--help"][..], "serve"),
        (&["serve", "--help"], "--config"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let Some(run) = run(arguments, "", &[]) else { return };
        assert_eq!(run.code, 0, "{arguments:?}: {}", run.stderr);
        assert!(run.stdout.contains(named), "{arguments:?}: {}", run.stdout);
    }
}

#[test]
fn check_prints_nothing_on_standard_output_when_there_is_a_fault() {
    let config = good().replacen("iso87-ascii", "iso87-askii", 1);
    let Some(run) = run(&["check", "--config", "signalbox.toml"], &config, &[]) else { return };
    assert_eq!((run.code, run.stdout.as_str()), (78, ""));
}
