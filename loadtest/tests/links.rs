//! Links in other ways than connecting and asking: accepted ones, sign-off, key changes, and an issuer that goes away.

mod shell;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::Value;
use shell::{Issuer, loadtest, output, scratch, signal};

/// An address that nobody listens on at this moment.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_host_may_connect_to_us_and_hears_sign_on_key_changes_and_sign_off() {
    let profile = scratch("accepting.toml");
    let text = "name = 'accepting'\n[load]\nconnections = 2\nworkers = 2\nrate = 300\nseconds = 1.2\n[link]\n\
                sign_on = true\nsign_off = true\nkey_change_every = '300ms'\n\
                [[case]]\nname = 'purchase'\nweight = 1\niin = '99996'\nexpect = ['00']\n";
    std::fs::write(&profile, text).unwrap();
    let address = free_address();
    // The issuer calls until somebody listens, over two links.
    let both = format!("{address},{address}");
    let mut issuer = loadtest(&["issuer", "--connect", &both]).stdout(Stdio::piped()).spawn().unwrap();
    let report = scratch("accepting.json");
    let run = output(&[
        "run",
        profile.to_str().unwrap(),
        "--listen",
        &address,
        "--json",
        report.to_str().unwrap(),
        "--threshold",
        "missing=0",
        "--threshold",
        "unexpected=0",
    ]);
    signal(&issuer, "-TERM");
    let mut said = String::new();
    issuer.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(issuer.wait().unwrap().success());
    let text = String::from_utf8([run.stdout, run.stderr].concat()).unwrap();
    assert_eq!(run.status.code(), Some(0), "{text}{said}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
    // Two sign-ons before the start, two sign-offs, and at least one key change on each link.
    let (sent, answered) = (&report["counts"]["network_sent"], &report["counts"]["network_answered"]);
    assert_eq!(sent, answered, "{text}");
    assert!(sent.as_u64().unwrap() >= 4, "{text}");
    let heard = said.lines().find_map(|line| line.trim().strip_prefix("0800")?.trim().parse::<u64>().ok());
    assert_eq!(heard, Some(sent.as_u64().unwrap() + 2), "{said}");
}

#[test]
fn nobody_connects_and_that_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = output(&["run", "baseline", "--listen", &address]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(70) && said.contains(&address), "{said}");
    assert_eq!(
        output(&["run", "baseline", "--listen", &address, "--connect", &address]).status.code(),
        Some(64)
    );
}

#[test]
fn an_issuer_is_gone_by_schedule_and_comes_back() {
    let issuer = Issuer::start(&["--outage", "1s 300ms"]);
    let report = scratch("gone.json");
    let fixed = ["run", "baseline", "--connect", &issuer.address, "--rate", "300", "--seconds", "2.8"];
    let rest = ["--patience", "200ms", "--quiet", "--json", report.to_str().unwrap()];
    let run = output(&[&fixed[..], &rest].concat());
    let text = String::from_utf8(run.stdout).unwrap();
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
    let count = |figure: &str| report["counts"][figure].as_u64().unwrap();
    // Four links, two outages or three; while it is gone messages find no link, and afterwards they are answered again.
    assert!(count("links_lost") >= 8, "{text}");
    assert!(count("not_sent_link_down") > 20 && count("answered") > 200, "{text}");
    assert!(text.contains("GENERATOR-BOUND") && text.contains("found no link up"), "{text}");
}

#[test]
fn every_dialect_and_framing_is_spoken_and_links_are_kept_alive() {
    for (dialect, framing) in [
        ("iso87-ascii", "binary2"),
        ("iso87-binary", "binary4,inclusive"),
        ("iso87-ebcdic", "bcd2,header=5"),
        ("iso93-ascii", "ascii4,inclusive,header=2"),
        ("iso93-binary", "ascii4"),
    ] {
        let wire = ["--dialect", dialect, "--framing", framing];
        let issuer = Issuer::start(&wire);
        let profile = scratch("alive.toml");
        let text = "name = 'alive'\n[load]\nrate = 200\nseconds = 0.8\n[link]\nsign_on = true\nsign_off = true\n\
                    echo_every = '200ms'\n[[case]]\nname = 'purchase'\nweight = 1\niin = '99996'\nexpect = ['00']\n";
        std::fs::write(&profile, text).unwrap();
        let report = scratch("alive.json");
        let fixed = ["run", profile.to_str().unwrap(), "--connect", &issuer.address];
        let promises =
            ["--threshold", "missing=0", "--threshold", "unexpected=0", "--threshold", "mangled=0"];
        let files = ["--quiet", "--json", report.to_str().unwrap()];
        let run = output(&[&fixed[..], &wire, &promises, &files].concat());
        let text = String::from_utf8([run.stdout, run.stderr].concat()).unwrap();
        assert_eq!(run.status.code(), Some(0), "{dialect}: {text}");
        let report: Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
        let count = |figure: &str| report["counts"][figure].as_u64().unwrap();
        // Of four links each has asked at least twice, and signed off.
        assert_eq!(count("network_sent"), count("network_answered"), "{dialect}: {text}");
        assert!(count("network_sent") >= 12 && count("answered") > 100, "{dialect}: {text}");
    }
}

#[test]
fn what_is_no_answer_is_counted_as_mangled() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut room = [0; 4096];
                while stream.read(&mut room).is_ok_and(|bytes| bytes > 0) {
                    let _ = stream.write_all(b"\0\x12this is no message");
                }
            });
        }
    });
    let load = ["--rate", "100", "--seconds", "0.5", "--patience", "200ms", "--threshold", "mangled=0"];
    let run = output(&[&["run", "baseline", "--connect", &address], &load[..]].concat());
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.code() == Some(99) && text.contains("FAILED  mangled=0"), "{text}");
}
