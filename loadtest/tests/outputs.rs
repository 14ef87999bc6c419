//! The files of a run, read back as their readers would.

mod shell;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use shell::{Issuer, loadtest, output, run, scratch};

#[test]
fn every_file_tells_the_same_run() {
    let issuer = Issuer::start(&["--decline", "51=0.5"]);
    let paths = ["out.json", "out.csv", "out.hlog", "out.xml", "out.html"].map(scratch);
    let [json, csv, hdr, junit, html] = paths.each_ref().map(|path| path.to_str().unwrap());
    let thresholds = ["--threshold", "missing=0", "--threshold", "p99(response)<1ns"];
    let files = ["--json", json, "--csv", csv, "--hdr", hdr, "--junit", junit, "--html", html];
    let output = run(&issuer, &[&files[..], &thresholds].concat());
    assert_eq!(output.status.code(), Some(99), "{}", String::from_utf8_lossy(&output.stderr));

    let [json, csv, hdr, junit, html] = paths.each_ref().map(|path| std::fs::read_to_string(path).unwrap());
    let report: Value = serde_json::from_str(&json).unwrap();
    let answered = report["counts"]["answered"].as_u64().unwrap();
    let seconds = report["seconds"].as_array().unwrap();
    let sum = |figure: &str| seconds.iter().map(|row| row[figure].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("answered"), report["response"]["count"].as_u64().unwrap()), (answered, answered));
    let heat = seconds.iter().flat_map(|row| row["heat"].as_array().unwrap());
    assert_eq!(heat.map(|cell| cell[1].as_u64().unwrap()).sum::<u64>(), answered);
    assert!(report["curves"]["response"].as_array().unwrap().len() > 10);

    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let at = |name: &str| names.iter().position(|known| *known == name).unwrap();
    let rows: Vec<Vec<&str>> = lines.collect();
    let column = |name: &str| rows.iter().map(|row| row[at(name)].parse::<u64>().unwrap()).sum::<u64>();
    assert_eq!(column("answered"), answered);
    assert_eq!(column("rc_00") + column("rc_51"), answered);

    assert!(hdr.contains("#[StartTime: ") && hdr.contains("Tag=response,0.000,1.000,"), "{hdr}");
    assert_eq!(hdr.matches("Tag=").count(), seconds.len() * 3);

    for part in ["tests=\"3\"", "failures=\"1\"", "the generator kept up", "p99(response)&lt;1ns"] {
        assert!(junit.contains(part), "`{part}` in\n{junit}");
    }
    let (_, data) = html.split_once("application/json\">").unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), report, "the page holds the figures");
    // Nothing in the page can be fetched: no address but the name of SVG's own vocabulary.
    let addresses = html.matches("http").count() - html.matches("http-equiv").count();
    assert_eq!((addresses, html.matches("http://www.w3.org/2000/svg").count()), (1, 1));
    assert!(html.contains("default-src 'none'") && !html.contains("{{"));

    for (name, text) in [("json", &json), ("csv", &csv), ("hdr", &hdr), ("junit", &junit), ("html", &html)] {
        assert!(!text.contains("99996"), "a card number in {name}");
    }
}

#[test]
fn a_generator_that_fell_behind_is_marked_in_every_output() {
    let issuer = Issuer::start(&[]);
    let paths = ["bound.json", "bound.csv", "bound.hlog", "bound.xml", "bound.html"].map(scratch);
    let [json, csv, hdr, junit, html] = paths.each_ref().map(|path| path.to_str().unwrap());
    // More than one thread can send.
    let load = ["--rate", "9000000", "--seconds", "0.1", "--arrivals", "uniform", "--threshold", "mangled=0"];
    let files = ["--json", json, "--csv", csv, "--hdr", hdr, "--junit", junit, "--html", html];
    let fixed = ["run", "baseline", "--connect", &issuer.address];
    let said = output(&[&fixed[..], &load, &files].concat());
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("GENERATOR-BOUND: these figures are not about the host"), "{said}");
    let [json, csv, hdr, junit, html] = paths.map(|path| std::fs::read_to_string(path).unwrap());
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["generator"]["generator_bound"], true);
    let mut rows = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let at = rows.next().unwrap().iter().position(|name| *name == "generator_bound").unwrap();
    assert!(rows.all(|row| row[at] == "1"), "{csv}");
    assert!(hdr.lines().last().unwrap().starts_with("#[GENERATOR-BOUND: "), "{hdr}");
    assert!(junit.contains("<skipped message=\"GENERATOR-BOUND: "), "{junit}");
    assert!(html.contains("\"generator_bound\":true") && html.contains("GENERATOR-BOUND"));
}

#[test]
fn a_closed_loop_is_called_so() {
    let issuer = Issuer::start(&[]);
    let paths = ["closed_loop.json", "closed_loop.html"].map(scratch);
    let [json, html] = paths.each_ref().map(|path| path.to_str().unwrap());
    let fixed = ["run", "baseline", "--connect", &issuer.address, "--closed", "2", "--seconds", "0.3"];
    let said = output(&[&fixed[..], &["--json", json, "--html", html]].concat());
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("closed loop: the answers set the pace"), "{said}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((&report["load"]["mode"], &report["load"]["window"]), (&"closed".into(), &2.into()));
    assert!(std::fs::read_to_string(html).unwrap().contains("closed loop: a stall delays few messages"));
}

#[test]
fn a_file_that_cannot_be_written_costs_no_run() {
    let issuer = Issuer::start(&[]);
    let output = run(&issuer, &["--csv", "no/such/folder.csv"]);
    assert_eq!(output.status.code(), Some(70));
    assert!(!String::from_utf8(output.stdout).unwrap().contains("planned"), "a run took place");
    assert!(String::from_utf8(output.stderr).unwrap().contains("no/such/folder.csv"));
}

#[test]
fn metrics_are_there_while_the_run_lasts() {
    let issuer = Issuer::start(&["--decline", "51=0.5"]);
    let fixed = ["run", "baseline", "--connect", &issuer.address, "--seconds", "3", "--rate", "500"];
    let mut run = loadtest(&[&fixed[..], &["--metrics", "127.0.0.1:0"]].concat());
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(run.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap().trim().trim_end_matches("/metrics").to_string();
    let get = |path: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    std::thread::sleep(Duration::from_millis(2300));
    let text = get("/metrics");
    let value = |name: &str| {
        let line =
            text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let answered = value("loadtest_answered_total");
    assert!(answered > 300.0, "{text}");
    let by_code = value("loadtest_answers_total{code=\"00\"}") + value("loadtest_answers_total{code=\"51\"}");
    assert_eq!((by_code, value("loadtest_response_seconds_count")), (answered, answered));
    assert_eq!(value("loadtest_response_seconds_bucket{le=\"1.000e1\"}"), answered);
    assert!(get("/").starts_with("HTTP/1.1 404"));
    assert_eq!(run.wait().unwrap().code(), Some(0));
}
