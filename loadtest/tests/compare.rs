//! Comparison of runs, through the program.

mod shell;

use shell::{Issuer, output, scratch};

/// Leaves the JSON report of a run of three seconds.
fn leave(issuer: &Issuer, path: &str) {
    let fixed =
        ["run", "baseline", "--connect", &issuer.address, "--rate", "500", "--seconds", "3", "--quiet"];
    let output = output(&[&fixed[..], &["--json", path]].concat());
    assert_eq!(output.status.code(), Some(0));
}

fn compare(arguments: &[&str]) -> (Option<i32>, String) {
    let output = output(&[&["compare"], arguments].concat());
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn a_slower_issuer_is_found_and_the_same_one_is_not() {
    let paths = ["a.json", "same.json", "slow.json"].map(scratch);
    let [a, same, slow] = paths.each_ref().map(|path| path.to_str().unwrap());
    let quick = Issuer::start(&["--latency", "fixed 5ms"]);
    leave(&quick, a);
    leave(&quick, same);
    leave(&Issuer::start(&["--latency", "fixed 15ms"]), slow);

    let (code, text) = compare(&[a, same, "--fail-on", "p50>50%", "--fail-on", "missing>0%"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("held    p50>50%"), "{text}");
    let (code, text) = compare(&[a, slow, "--fail-on", "p50>50%"]);
    assert_eq!(code, Some(99), "{text}");
    assert!(text.contains("FAILED  p50>50%"), "{text}");
    // A gain is no failure.
    assert_eq!(compare(&[slow, a, "--fail-on", "p50>50%"]).0, Some(0));
}

#[test]
fn what_cannot_be_compared_is_named() {
    let path = scratch("not_a_report.json");
    std::fs::write(&path, "{}").unwrap();
    let path = path.to_str().unwrap();
    let (code, text) = compare(&[path, path]);
    assert_eq!(code, Some(70));
    assert!(text.contains("not_a_report.json"), "{text}");
    assert_eq!(compare(&[path, path, "--fail-on", "p98>1%"]).0, Some(64));
}

#[test]
fn two_hosts_are_told_apart_in_turn() {
    let (quick, slow) =
        (Issuer::start(&["--latency", "fixed 5ms"]), Issuer::start(&["--latency", "fixed 15ms"]));
    let path = scratch("ab.json");
    let ab = |a: &Issuer, b: &Issuer| {
        let hosts = ["ab", "baseline", "--a", &a.address, "--b", &b.address];
        let load = ["--rounds", "3", "--rate", "300", "--seconds", "0.5", "--fail-on", "p50>50%"];
        let output = output(&[&hosts[..], &load, &["--json", path.to_str().unwrap()]].concat());
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, text) = ab(&quick, &slow);
    assert_eq!(code, Some(99), "{text}");
    assert!(text.contains("round   3") && text.contains("FAILED  p50>50%"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(json["rounds"].as_array().unwrap().len(), 3);
    let p50 = json["changes"].as_array().unwrap().iter().find(|change| change["figure"] == "p50").unwrap();
    let (change, noise) = (p50["change"].as_f64().unwrap(), p50["noise"].as_f64().unwrap());
    assert!((100.0..300.0).contains(&change) && noise < change, "{text}");

    let (code, text) = ab(&quick, &quick);
    assert_eq!(code, Some(0), "{text}");
}
