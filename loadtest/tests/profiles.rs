//! Every profile through the program, and what only some of them have: reversals, bad manners, feeds.

mod shell;

use std::path::Path;

use serde_json::Value;
use shell::{Issuer, output, scratch};

/// Runs a profile and returns its report and everything that was said.
fn report(profile: &str, issuer: &Issuer, arguments: &[&str]) -> (Value, String) {
    let name = Path::new(profile).file_stem().unwrap().to_str().unwrap();
    let path = scratch(&format!("profile_{name}.json"));
    let fixed = ["run", profile, "--connect", &issuer.address, "--quiet", "--json", path.to_str().unwrap()];
    let output = output(&[&fixed[..], arguments].concat());
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(0), "{profile}: {text}");
    (serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap(), text)
}

fn count(report: &Value, figure: &str) -> u64 {
    report["counts"][figure].as_u64().unwrap()
}

/// Profiles whose messages a sound issuer answers, every one. It does not look at codes, and approves replayed and guessed
/// ones too.
const QUIET: &[(&str, [&str; 4])] = &[
    ("baseline", ["--seconds", "1", "--rate", "300"]),
    ("demo", ["--seconds", "1", "--rate", "300"]),
    ("demo_codes", ["--seconds", "1", "--rate", "300"]),
    ("slow_issuer", ["--seconds", "1", "--rate", "300"]),
    ("peak", ["--seconds", "3", "--rate", "200"]),
    ("chip_and_pin", ["--seconds", "1", "--rate", "300"]),
    ("wallet", ["--seconds", "1", "--rate", "300"]),
    ("replay_attack", ["--seconds", "1", "--rate", "300"]),
    ("wrong_codes", ["--seconds", "1", "--rate", "300"]),
];

#[test]
fn every_profile_is_tested_here() {
    let list = String::from_utf8(output(&["profiles"]).stdout).unwrap();
    let mut names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let mut tested: Vec<&str> = QUIET.iter().map(|(name, _)| *name).chain(["outage", "storm"]).collect();
    names.sort_unstable();
    tested.sort_unstable();
    assert_eq!(names, tested);
}

#[test]
fn the_quiet_profiles_are_answered_whole() {
    let issuer = Issuer::start(&["--latency", "exponential 1ms"]);
    for (profile, load) in QUIET {
        let (report, text) = report(profile, &issuer, load);
        assert!(count(&report, "answered") > 30, "{text}");
        assert_eq!(count(&report, "sent"), count(&report, "answered"), "{text}");
    }
}

#[test]
fn what_an_outage_leaves_without_an_answer_is_reversed() {
    // Of ten requests one is never answered, and of ten reversals one is not acknowledged at once.
    let issuer = Issuer::start(&["--silent", "0.1"]);
    let load = ["--seconds", "2", "--rate", "300", "--patience", "300ms", "--threshold", "reversals_open=0"];
    let (report, text) = report("outage", &issuer, &load);
    let (missing, reversals) = (count(&report, "missing"), count(&report, "reversals"));
    assert!(missing > 20, "{text}");
    assert_eq!(missing, reversals, "{text}");
    assert!(count(&report, "reversal_repeats") > 0, "{text}");
    assert_eq!(count(&report, "reversals_refused") + count(&report, "reversals_open"), 0, "{text}");
    assert!(text.contains("all acknowledged"), "{text}");
}

#[test]
fn answers_that_come_late_and_twice_are_counted_apart_from_reversals() {
    let faults = ["--late", "0.05 600ms", "--double", "0.05", "--wrong-key", "0.02"];
    let issuer = Issuer::start(&faults);
    let (report, text) =
        report("outage", &issuer, &["--seconds", "2", "--rate", "300", "--patience", "300ms"]);
    for figure in ["late", "duplicate", "unmatched", "reversals"] {
        assert!(count(&report, figure) > 0, "{figure}: {text}");
    }
    assert_eq!(count(&report, "mangled") + count(&report, "contradicting"), 0, "{text}");
}

#[test]
fn a_storm_is_survived_and_its_links_are_counted() {
    let issuer = Issuer::start(&[]);
    let (report, text) = report("storm", &issuer, &["--seconds", "3", "--rate", "200"]);
    assert!(count(&report, "links_dropped") >= 32, "{text}");
    assert!(count(&report, "answered") > 400, "{text}");
    // The host kept its side: whatever was lost was lost by our own hand.
    assert_eq!(count(&report, "links_lost") + count(&report, "mangled"), 0, "{text}");
    assert_eq!(count(&report, "missing") + count(&report, "late"), count(&report, "reversals"), "{text}");
}

#[test]
fn cards_may_come_from_a_file() {
    let issuer = Issuer::start(&[]);
    let csv = "pan,amount\n9999600000000019,4200\n9999600000000018,4200\n";
    let json = "{\"pan\": \"9999600000000019\"}\n{\"pan\": \"9999600000000018\", \"amount\": 100}\n";
    for (file, content) in [("cards.csv", csv), ("cards.jsonl", json)] {
        std::fs::write(scratch(file), content).unwrap();
        let profile = scratch("fed.toml");
        // One of the two cards has a wrong check digit: the issuer sees both.
        let text = format!("name = 'fed'\n[[case]]\nname = 'a'\nweight = 1\nfeed = '{file}'\n");
        std::fs::write(&profile, text).unwrap();
        let (report, text) = report(profile.to_str().unwrap(), &issuer, &["--seconds", "1", "--rate", "300"]);
        let codes = report["cases"][0]["codes"].as_object().unwrap();
        assert_eq!(codes.keys().collect::<Vec<_>>(), ["00", "14"], "{text}");
        assert!(!text.contains("99996"), "{text}");
    }
    std::fs::write(scratch("cards.csv"), "pan\n4999600000000018\n").unwrap();
    std::fs::write(scratch("fed.toml"), "name='x'\n[[case]]\nname='a'\nweight=1\nfeed='cards.csv'").unwrap();
    let output = output(&["run", scratch("fed.toml").to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("cards.csv: line 2") && !said.contains("49996"), "{said}");
}
