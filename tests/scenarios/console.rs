//! The web console: over HTTP as a stranger meets it, and in a browser under load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::rig::places::free_address;
use tests::rig::process::{self, Process};
use tests::{Act, PATIENCE, Plain, Rig, Setup, purchase};

const TOKEN: &str = "a-console-token-of-the-tests";

fn setup(console: SocketAddr) -> Setup {
    Setup::new()
        .secret_file("console.token", TOKEN)
        .set("console.listen", console.to_string())
        .set("console.token_file", "console.token")
}

/// One request, and everything that comes back until the end.
fn ask(console: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(console).expect("the console listens");
    let length = body.len();
    write!(stream, "{head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn post(console: SocketAddr, path: &str, body: &str) -> (String, Value) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {console}\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json"
    );
    let answer = ask(console, &head, body);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn get(console: SocketAddr, path: &str) -> (String, Value) {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {console}\r\nauthorization: Bearer {TOKEN}");
    let answer = ask(console, &head, "");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (status(head).to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn snapshot(console: SocketAddr) -> Value {
    get(console, "/v1/console/snapshot").1
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).expect("a status")
}

#[test]
fn what_is_wrong_with_the_console_is_found_before_a_payment_can_be_taken() {
    let console = free_address();
    let Some(mut rig) = Setup::new().secret_file("short.token", "too-short").start() else { return };
    rig.crash();
    let segments = |rig: &Rig| {
        let names = std::fs::read_dir(rig.folder().join("journal/shard-000")).expect("the journal").flatten();
        names.filter(|name| name.path().extension().is_some_and(|end| end == "segment")).count()
    };
    let before = segments(&rig);
    let mut refused = |settings: &str, code: i32, said: &str| {
        let table = format!("[console]\nlisten = \"{console}\"\n{settings}\n\n[switch]");
        let sound = rig.edit_config(|text| text.replace("[switch]", &table));
        assert_eq!(rig.fail_to_start(), code, "{settings}");
        let words = rig.process().last_words();
        assert!(words.contains(said), "{words}");
        // A shard begins a segment before it takes anything.
        assert_eq!(segments(&rig), before, "{settings}");
        rig.edit_config(|_| sound);
    };
    refused("token_file = \"short.token\"", 78, "at least 16 characters");
    refused(
        "token_file = \"journal.key\"\ncontrol = true\naudit_log = \"nowhere/audit.jsonl\"",
        78,
        "nowhere/audit.jsonl",
    );
    let _taken = std::net::TcpListener::bind(console).expect("free until now");
    refused("", 70, &console.to_string());
    rig.start_again();
}

#[test]
fn strangers_see_nothing_and_other_origins_change_nothing() {
    let console = free_address();
    let Some(rig) = setup(console).start() else { return };
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
    let bare = |path: &str, more: &str| ask(console, &format!("GET {path} HTTP/1.1\r\n{more}"), "");
    let host = format!("host: {console}");
    assert_eq!(status(&bare("/v1/console/snapshot", &host)), "401");
    assert_eq!(status(&bare("/events", &host)), "401");
    assert!(bare("/", &host).contains("location: /login"));
    assert_eq!(status(&bare("/login", "host: evil.example")), "421", "a name that leads here from elsewhere");
    let shown = format!("{host}\r\nauthorization: Bearer {TOKEN}");
    let page = bare("/", &shown);
    assert_eq!(status(&page), "200");
    assert!(page.contains("content-security-policy: default-src 'self'"), "{page}");
    let elsewhere = format!("POST /v1/console/ask HTTP/1.1\r\n{shown}\r\norigin: http://evil.example");
    assert_eq!(status(&ask(console, &elsewhere, "{}")), "403");
    // Without console.control nothing can be changed.
    assert!(post(console, "/v1/console/ask", "{\"action\":\"drain\"}").0.contains(" 403 "));
    rig.await_that("a second of figures", || snapshot(console)["acquirers"][0]["name"] == "north");
    assert_eq!(snapshot(console)["control"], false);
}

#[test]
fn a_link_goes_out_of_use_and_back_asked_twice_and_written_down() {
    let console = free_address();
    let setup = setup(console).set("console.control", true).set("console.audit_log", "audit.jsonl");
    let Some(rig) = setup.start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001"), "0110 11=000001 39=00");
    twice(console, "{\"action\":\"link\",\"issuer\":\"maple\",\"link\":0,\"on\":false}");
    rig.await_links("maple", 0);
    north.ask(&purchase("11=000002"), "0110 11=000002 39=91");
    twice(console, "{\"action\":\"link\",\"issuer\":\"maple\",\"link\":0,\"on\":true}");
    rig.await_links("maple", 1);
    north.ask(&purchase("11=000003"), "0110 11=000003 39=00");
    // What nobody asked for is not done, nor is anything done twice.
    assert!(post(console, "/v1/console/do", "{\"confirm\":1}").0.contains(" 410 "));
    let (code, said) = rig.run(&["audit", "--file", "audit.jsonl"]);
    assert_eq!((code, said.lines().next()), (0, Some("lines 6")), "{said}");
    let log = rig.folder().join("audit.jsonl");
    let whole = std::fs::read_to_string(&log).expect("written");
    std::fs::write(&log, whole.replacen("maple", "birch", 1)).expect("ours");
    assert_eq!(rig.run(&["audit", "--file", "audit.jsonl"]).0, 3);
    std::fs::write(&log, whole).expect("ours");
}

/// Half a line at the end is what a full disk or the end of the machine leaves; a line that says something else is not.
#[test]
fn s43_a_line_of_the_audit_log_that_was_never_completed_is_cut_off_and_a_changed_one_is_refused() {
    let console = free_address();
    let setup = setup(console).set("console.control", true).set("console.audit_log", "audit.jsonl");
    let Some(mut rig) = setup.start() else { return };
    twice(console, "{\"action\":\"log_level\",\"level\":\"info\"}");
    rig.crash();
    let log = rig.folder().join("audit.jsonl");
    let whole = std::fs::read_to_string(&log).expect("written");
    let begun = whole.lines().last().expect("three lines")[..50].to_owned();
    std::fs::write(&log, whole.clone() + &begun).expect("ours");
    let torn = rig.run(&["audit", "--file", "audit.jsonl"]).1;
    assert!(torn.contains("lines 3\n") && torn.ends_with("torn_bytes 50\n"), "{torn}");
    rig.start_again();
    assert!(rig.process().last_words().contains("never completed"), "{}", rig.process().last_words());
    twice(console, "{\"action\":\"log_level\",\"level\":\"info\"}");
    let (code, said) = rig.run(&["audit", "--file", "audit.jsonl"]);
    assert_eq!((code, said.lines().next()), (0, Some("lines 7")), "{said}");
    rig.crash();
    let whole = std::fs::read_to_string(&log).expect("written");
    std::fs::write(&log, whole.replacen("asked", "never", 1)).expect("ours");
    assert_eq!(rig.fail_to_start(), 78);
    std::fs::write(&log, whole).expect("ours");
    rig.start_again();
}

/// S44: on a full disk nothing privileged is done, payments go on, and the log is whole when there is room again.
#[test]
fn s44_without_room_for_the_audit_log_nothing_is_changed_and_payments_go_on() {
    let console = free_address();
    let setup = setup(console).set("console.control", true).set("console.audit_log", "audit.jsonl");
    let Some(rig) = setup.without_journal().ignoring_size_limit().start() else { return };
    twice(console, "{\"action\":\"log_level\",\"level\":\"info\"}");
    let log = rig.folder().join("audit.jsonl");
    let length = || std::fs::metadata(&log).expect("written").len();
    let whole = length();
    let ask = "{\"action\":\"drain\"}";
    rig.process().limit_file_size(whole + 40);
    assert!(post(console, "/v1/console/ask", ask).0.contains(" 503 "));
    assert_eq!(length(), whole, "half a line was left");
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
    rig.process().limit_file_size(1 << 30);
    twice(console, "{\"action\":\"log_level\",\"level\":\"info\"}");
    assert_eq!(rig.run(&["audit", "--file", "audit.jsonl"]).1.lines().next(), Some("lines 6"));
}

#[test]
fn what_an_issuer_refuses_is_shown_and_let_go_by_whoever_may_control() {
    let console = free_address();
    let setup = setup(console).set("console.control", true).set("console.audit_log", "audit.jsonl");
    let Some(rig) = setup.start() else { return };
    let maple = rig.issuer("maple");
    maple.on(|request| Act::answer(if request.mti() == "0120" { "39=30 38=-" } else { "" }));
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0120 11=000001 4=1000 37=000000000001 39=00"), "0130 39=00");
    rig.await_gauge("saf_parked{issuer=maple}", 1.0);
    let (status, listed) = get(console, "/v1/console/parked");
    let one = &listed["parked"][0];
    assert_eq!((&*status, &one["kind"], &one["de37"]), ("200", &"advice".into(), &"000000000001".into()));
    assert_eq!(one["card"], "999960******0019");
    maple.on(|_| Act::answer("38=-"));
    let release = format!(r#"{{"action":"release","issuer":"maple","stan":{}}}"#, one["stan"]);
    twice(console, &release);
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    // Nothing is there any more: said, and written down as failed.
    let (_, asked) = post(console, "/v1/console/ask", &release);
    assert!(asked["says"].as_str().is_some_and(|says| says.contains("issuer maple")), "{asked}");
    let (head, done) = post(console, "/v1/console/do", &format!("{{\"confirm\":{}}}", asked["confirm"]));
    assert!(head.contains(" 422 ") && done["said"] == "nothing is set aside under it", "{head} {done}");
    let log = std::fs::read_to_string(rig.folder().join("audit.jsonl")).expect("written");
    let outcomes: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|line| line["action"].as_str().is_some_and(|action| action.starts_with("Release")))
        .map(|line| line["what"].clone())
        .collect();
    assert_eq!(outcomes, ["asked", "confirmed", "done", "asked", "confirmed", "failed"]);
}

#[test]
fn one_payment_is_followed_as_the_command_follows_it_with_its_card_masked() {
    let console = free_address();
    let Some(rig) = setup(console).start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000007 37=000000000007"), "0110 11=000007 38=A12345 39=00");
    north.ask(&purchase("11=000008 37=000000000008"), "0110 11=000008 39=00");
    let (status, told) = get(console, "/v1/console/trace?rrn=000000000007");
    assert_eq!((&*status, &told["more"]), ("200", &0.into()), "{told}");
    let payment = &told["payments"][0];
    let words = |story: &Value| -> Vec<String> {
        let steps = story["steps"].as_array().expect("steps");
        steps.iter().map(|step| step["said"].to_string()).collect()
    };
    assert_eq!((&payment["card"], &payment["de37"]), (&"999960******0019".into(), &"000000000007".into()));
    assert_eq!(payment["card_token"], Value::Null, "never beside the masked number");
    let (_, said) = rig.run(&["trace", "--journal", "journal", "--json", "--rrn", "000000000007"]);
    let by_command: Value = serde_json::from_str(said.trim()).expect("JSON");
    assert_eq!((words(payment), &payment["trace"]), (words(&by_command), &by_command["trace"]));
    // By the names that the slowest of the minute and the log have, too.
    let trace = format!("/v1/console/trace?trace={}", payment["trace"].as_str().expect("an id"));
    assert_eq!(get(console, &trace).1, told);
    let stan = get(console, "/v1/console/trace?stan=8&within_s=0").1;
    assert_eq!(stan["payments"][0]["de37"], "000000000008");
    assert_eq!(get(console, "/v1/console/trace?rrn=000000000099").1["payments"], serde_json::json!([]));
    for wrong in ["", "?rrn=9999600000000019", "?trace=abc", "?card=9999600000000019"] {
        assert_eq!(get(console, &format!("/v1/console/trace{wrong}")).0, "400", "{wrong}");
    }
    assert_eq!(
        self::status(&ask(console, &format!("GET /v1/console/trace?stan=8 HTTP/1.1\r\nhost: {console}"), "")),
        "401"
    );
}

#[test]
fn what_the_file_says_is_shown_beside_what_is_in_force() {
    let console = free_address();
    let Some(rig) = setup(console).start() else { return };
    let compared = || get(console, "/v1/console/configuration").1;
    let same = serde_json::json!({ "generation": 1, "is_sound": true, "applies": [], "needs_restart": [] });
    assert_eq!(compared(), same);
    let good = rig.edit_config(|text| {
        let text = text.replace("segment = \"1MiB\"", "segment = \"2MiB\"");
        text.replace("timeout = \"5s\"", "timeout = \"4s\"")
    });
    let other = compared();
    assert_eq!(other["applies"][0]["setting"], "issuer.maple.timeout", "{other}");
    assert_eq!(other["needs_restart"][0]["setting"], "journal.segment", "{other}");
    rig.edit_config(|text| text.replace("iin = \"99996\"", "iin = \"9999x\""));
    let faulty = compared();
    assert_eq!((&faulty["is_sound"], &faulty["generation"]), (&false.into(), &1.into()), "{faulty}");
    assert!(faulty["faults"][0]["line"].as_u64() > Some(1), "{faulty}");
    rig.edit_config(|_| good);
    assert_eq!(compared(), same, "nothing was put in force by looking");
}

fn twice(console: SocketAddr, action: &str) {
    let (_, asked) = post(console, "/v1/console/ask", action);
    let confirm = asked["confirm"].as_u64().unwrap_or_else(|| panic!("{asked}"));
    let (_, done) = post(console, "/v1/console/do", &format!("{{\"confirm\":{confirm}}}"));
    assert_eq!(done["done"], true, "{done}");
}

#[test]
fn the_log_says_more_and_the_switch_drains_when_it_was_asked_twice() {
    let console = free_address();
    let setup = setup(console).set("console.control", true).set("console.audit_log", "audit.jsonl");
    let Some(mut rig) = setup.start() else { return };
    let mut north = rig.acquirer("north");
    let refusals = |rig: &Rig| {
        let said = String::from_utf8_lossy(&rig.process().stderr()).into_owned();
        said.matches("\"level\":\"DEBUG\",\"message\":\"message refused\"").count()
    };
    let mut spoiled = |stan: &str| {
        let mut bytes = Plain::of(&purchase(&format!("11={stan}"))).encode(north.wire().dialect);
        bytes.push(b'X');
        let frame = north.wire().frame(&bytes);
        north.send_bytes(&frame);
        north.expect(&format!("0110 11={stan} 39=30"));
    };
    spoiled("000001");
    twice(console, "{\"action\":\"log_level\",\"level\":\"debug\"}");
    spoiled("000002");
    rig.await_that("a line that was not written before", || refusals(&rig) == 1);
    twice(console, "{\"action\":\"log_level\",\"level\":\"info\"}");
    spoiled("000003");
    // One question alone does nothing.
    let (_, asked) = post(console, "/v1/console/ask", "{\"action\":\"drain\"}");
    assert!(asked["says"].as_str().is_some_and(|says| says.starts_with("Stop the switch?")), "{asked}");
    north.ask(&purchase("11=000004"), "0110 11=000004 39=00");
    twice(console, "{\"action\":\"drain\"}");
    assert_eq!((rig.process().exit_code(PATIENCE), refusals(&rig)), (0, 1));
    let (code, said) = rig.run(&["audit", "--file", "audit.jsonl"]);
    assert_eq!((code, said.lines().next()), (0, Some("lines 10")), "{said}");
    rig.start_again();
}

#[test]
fn in_a_browser_figures_move_and_the_end_of_the_switch_is_seen_within_three_seconds() {
    let (Some(loadtest), Some(script)) = (process::sibling("loadtest"), script()) else { return };
    let (console, maple) = (free_address(), free_address());
    let setup = setup(console).set("console.control", true).set("console.audit_log", "audit.jsonl");
    let Some(rig) = setup.played_at("maple", maple).start() else { return };
    let issuer =
        ["issuer", "--listen", &maple.to_string(), "--latency", "exponential 2ms", "--decline", "51=0.05"];
    let _issuer = Process::start(&loadtest, &issuer, &[], rig.folder());
    rig.await_links("maple", 1);
    let address = rig.address("north").to_string();
    let load = ["run", "baseline", "--connect", &address, "--rate", "300", "--seconds", "90", "--quiet"];
    let _load = Process::start(&loadtest, &load, &[], rig.folder());
    let shots = std::env::var("SIGNALBOX_SHOTS").unwrap_or_else(|_| rig.folder().display().to_string());
    let url = format!("http://{console}");
    let script = script.display().to_string();
    let browser =
        Process::start(Path::new("/usr/bin/node"), &[&script, &url, TOKEN, &shots], &[], rig.folder());
    let said = || String::from_utf8_lossy(&browser.stdout()).into_owned();
    await_browser(&rig, || said().contains("kill") || browser.has_ended());
    rig.process().kill();
    let code = browser.exit_code(PATIENCE);
    let complaint = String::from_utf8_lossy(&browser.stderr()).into_owned();
    println!("{}", said());
    assert_eq!(code, 0, "{}{complaint}", said());
    rig.forget();
}

/// A browser takes its time to start.
fn await_browser(rig: &Rig, mut holds: impl FnMut() -> bool) {
    for _ in 0..4 {
        let until = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < until {
            if holds() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    panic!("the browser says nothing{}", rig.process().last_words());
}

fn script() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("console");
    if folder.join("node_modules/playwright-core").exists() && Path::new("/usr/bin/chromium").exists() {
        return Some(folder.join("console.mjs"));
    }
    process::not_run("Chromium and playwright-core: `sh tests/console/setup.sh`");
    None
}
