//! The program as a shell sees it: what it writes where, and how it ends.

mod shell;

use std::process::Stdio;
use std::time::Duration;

use shell::{Issuer, loadtest, output, scratch, signal};

#[test]
fn faults_have_the_exit_codes_of_the_table() {
    for (arguments, code) in [
        (&["--version"][..], 0),
        (&["run", "--help"][..], 0),
        (&[][..], 64),
        (&["run"][..], 64),
        (&["run", "baseline", "--speed", "9"][..], 64),
        (&["run", "baseline", "--threshold", "happiness>1"][..], 64),
        (&["issuer", "--listen", "127.0.0.1:0", "--latency", "soon"][..], 64),
        (&["run", "no_such_profile"][..], 78),
        (&["profiles", "no_such_profile"][..], 78),
        (&["profiles"][..], 0),
        (&["ab", "wallet", "--a", "127.0.0.1:1", "--b", "127.0.0.1:2"][..], 64),
        (&["run", "wallet", "--find-capacity", "--threshold", "missing=0"][..], 64),
        (&["run", "wallet", "--provision", "127.0.0.1:1"][..], 64),
        (&["run", "baseline", "--rate", "0"][..], 78),
        (&["run", "baseline", "--connect", "127.0.0.1:1"][..], 70),
        (&["issuer", "--listen", "no.such.host.invalid:1"][..], 70),
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert_eq!(output.stderr.is_empty(), code == 0, "{arguments:?}");
    }
}

#[test]
fn a_report_is_text_and_json_and_keeps_its_promises() {
    let issuer = Issuer::start(&["--decline", "51=0.5"]);
    let path = scratch("report.json");
    let path = path.to_str().unwrap();
    let run = |threshold: &str| {
        let fixed = ["run", "baseline", "--connect", &issuer.address, "--rate", "500", "--seconds", "1.2"];
        output(&[&fixed[..], &["--json", path, "--threshold", threshold]].concat())
    };
    let held = run("missing=0");
    let text = String::from_utf8(held.stdout).unwrap();
    assert_eq!(held.status.code(), Some(0), "{text}");
    for part in ["   1 s  planned", "sent = answered", "51  ", "insufficient funds", "held", "conditions"] {
        assert!(text.contains(part), "`{part}` in\n{text}");
    }
    assert!(!text.contains('\x1b') && !text.contains("99996"), "{text}");

    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["counts"]["sent"], json["counts"]["answered"]);
    assert_eq!(json["thresholds"][0]["passed"], true);
    assert!(json["response"]["p99_ns"].as_u64().unwrap() > 0);
    assert!(json["outcomes"].as_array().unwrap().iter().any(|row| row["code"] == "51"));

    let failed = run("approved>=99%");
    assert_eq!(failed.status.code(), Some(99));
    assert!(String::from_utf8(failed.stdout).unwrap().contains("FAILED"));
}

#[test]
fn a_built_in_profile_can_be_printed_and_run_from_a_copy() {
    let list = String::from_utf8(output(&["profiles"]).stdout).unwrap();
    for name in ["baseline", "peak", "slow_issuer", "outage", "replay_attack", "wrong_codes", "storm"] {
        assert!(list.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}: {list}");
        let copy = scratch(&format!("copy_of_{name}.toml"));
        std::fs::write(&copy, output(&["profiles", name]).stdout).unwrap();
        // Nobody listens: everything before that was right.
        let run = output(&["run", copy.to_str().unwrap(), "--connect", "127.0.0.1:1"]);
        assert_eq!(run.status.code(), Some(70), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn json_can_have_standard_output_for_itself() {
    let issuer = Issuer::start(&[]);
    let output =
        output(&["run", "baseline", "--connect", &issuer.address, "--seconds", "0.3", "--json", "-"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["load"]["profile"], "baseline");
    assert!(String::from_utf8(output.stderr).unwrap().contains("sent = answered"));
}

#[test]
fn an_interrupt_leaves_a_partial_report() {
    let issuer = Issuer::start(&[]);
    let run = loadtest(&["run", "baseline", "--connect", &issuer.address, "--seconds", "600", "--quiet"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(800));
    signal(&run, "-INT");
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8(output.stdout).unwrap().contains("this report is partial"));
}

#[test]
fn an_issuer_says_what_it_did_when_it_is_told_to_end() {
    let mut issuer = Issuer::start(&["--name", "oak"]);
    let run = output(&["run", "baseline", "--connect", &issuer.address, "--seconds", "0.3"]);
    assert_eq!(run.status.code(), Some(0));
    signal(&issuer.process, "-TERM");
    let mut said = String::new();
    std::io::Read::read_to_string(issuer.process.stdout.as_mut().unwrap(), &mut said).unwrap();
    assert_eq!(issuer.process.wait().unwrap().code(), Some(0));
    for part in ["issuer oak", "received", "0100", "approved"] {
        assert!(said.contains(part), "`{part}` in\n{said}");
    }
}
