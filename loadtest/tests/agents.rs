//! A controller and its agents, in processes of their own.

mod shell;

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use shell::{Issuer, background, loadtest, output, scratch, signal};

fn agent() -> Issuer {
    background(&["agent", "--listen", "127.0.0.1:0"])
}

/// Runs two seconds at 1,000 a second; `agents` is empty for none.
fn run(issuer: &Issuer, name: &str, agents: &str) -> (Value, String) {
    let path = scratch(name);
    let fixed = ["run", "baseline", "--connect", &issuer.address, "--rate", "1000", "--seconds", "2"];
    let rest = ["--arrivals", "uniform", "--json", path.to_str().unwrap()];
    let agents = if agents.is_empty() { vec![] } else { vec!["--agents", agents] };
    let output = output(&[&fixed[..], &rest, &agents].concat());
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    (serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap(), text)
}

/// Pairs of runs, on a machine that has other work.
const PAIRS_MAX: usize = 6;

#[test]
fn two_agents_measure_what_one_generator_does() {
    let issuer = Issuer::start(&["--latency", "lognormal p50=4ms p99=20ms"]);
    let agents = [agent(), agent()];
    let both = format!("{},{}", agents[0].address, agents[1].address);
    // Agents serve one run after the other. A generator that fell behind measured the machine's other work: then both run
    // again.
    let mut pairs = 0;
    let (alone, (together, text)) = loop {
        let (alone, _) = run(&issuer, "alone.json", "");
        let together = run(&issuer, "together.json", &both);
        pairs += 1;
        let behind = |report: &Value| report["generator"]["generator_bound"] == true;
        if pairs >= 2 && (pairs == PAIRS_MAX || !behind(&alone) && !behind(&together.0)) {
            break (alone, together);
        }
    };
    for figure in ["planned", "sent", "answered", "missing", "unmatched", "duplicate"] {
        assert_eq!(together["counts"][figure], alone["counts"][figure], "{figure}: {text}");
    }
    assert_eq!(together["counts"]["answered"], 2000);
    assert_eq!(together["response"]["count"], 2000);
    for quantile in ["p50_ns", "p90_ns"] {
        let (one, other) = (&alone["response"][quantile], &together["response"][quantile]);
        let ratio = other.as_f64().unwrap() / one.as_f64().unwrap();
        assert!((0.7..1.4).contains(&ratio), "{quantile}: {one} and {other}");
    }
    let rows = together["seconds"].as_array().unwrap();
    assert!(rows[0]["planned"].as_u64().unwrap().abs_diff(1000) < 50, "{text}");
    assert_eq!(together["agents"].as_array().unwrap().len(), 2);
}

#[test]
fn what_an_agent_cannot_do_is_said() {
    let agent = agent();
    let run = |arguments: &[&str]| {
        let output = output(&[&["run", "baseline", "--agents", &agent.address], arguments].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run(&["--connect", "127.0.0.1:1"]);
    assert_eq!(code, Some(70), "{said}");
    assert!(said.contains(&agent.address) && said.contains("127.0.0.1:1: "), "{said}");
    assert_eq!(run(&["--connections", "1", "--workers", "1", "--rate", "0"]).0, Some(78));
    let nobody = output(&["run", "baseline", "--agents", "127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(70));
}

#[test]
fn an_interrupted_controller_has_a_partial_report_and_frees_its_agents() {
    let (issuer, agent) = (Issuer::start(&[]), agent());
    let fixed = ["run", "baseline", "--connect", &issuer.address, "--seconds", "600", "--quiet"];
    let run = loadtest(&[&fixed[..], &["--agents", &agent.address]].concat());
    let run = { run }.stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    signal(&run, "-INT");
    let output = run.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("this report is partial") && text.contains("sent = answered"), "{text}");
    self::run(&issuer, "after.json", &agent.address);
}
