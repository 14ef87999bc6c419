//! Settings from the environment.

use tests::{Setup, purchase};

use crate::{good, run};

#[test]
fn the_environment_overrides_the_file() {
    let setup = Setup::new().environment("SIGNALBOX__ISSUER__0__TIMEOUT", "200ms");
    let Some(rig) = setup.start() else { return };
    rig.issuer("maple").hold();
    let start = std::time::Instant::now();
    rig.acquirer("north").ask(&purchase(""), "0110 39=91");
    // The file says 5 s.
    assert!(start.elapsed() < std::time::Duration::from_secs(4));
}

#[test]
fn a_section_that_the_file_leaves_out_can_be_set() {
    let Some(rig) = Setup::new().environment("SIGNALBOX__SWITCH__SHARDS", "2").start() else { return };
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
    assert!(rig.get("/metrics").1.contains("shard=\"1\""), "there is no second shard");
}

#[test]
fn a_fault_in_the_environment_is_78_and_named() {
    for (name, value) in [
        ("SIGNALBOX__SWITCH__SHARDS", "none"),
        ("SIGNALBOX__SWITCH__SHRADS", "1"),
        ("SIGNALBOX__ISSUER__0__TIMEOUT", "5"),
    ] {
        let Some(run) = run(&["check", "--config", "signalbox.toml"], &good(), &[(name, value)]) else {
            return;
        };
        assert_eq!(run.code, 78, "{name}: {}", run.stderr);
        assert!(run.stderr.contains(name), "{name} is not named: {}", run.stderr);
    }
}
