//! The web console: over HTTP as a stranger meets it, and in a browser under load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::rig::places::free_address;
use tests::rig::process::{self, Process};
use tests::{PATIENCE, Rig, Setup, purchase};

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

fn snapshot(console: SocketAddr) -> Value {
    let head =
        format!("GET /v1/console/snapshot HTTP/1.1\r\nhost: {console}\r\nauthorization: Bearer {TOKEN}");
    let answer = ask(console, &head, "");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str(body).expect("JSON")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).expect("a status")
}

#[test]
fn strangers_see_nothing_and_other_origins_change_nothing() {
    let console = free_address();
    let Some(rig) = setup(console).start() else { return };
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
    let get = |path: &str, more: &str| ask(console, &format!("GET {path} HTTP/1.1\r\n{more}"), "");
    let host = format!("host: {console}");
    assert_eq!(status(&get("/v1/console/snapshot", &host)), "401");
    assert_eq!(status(&get("/events", &host)), "401");
    assert!(get("/", &host).contains("location: /login"));
    assert_eq!(status(&get("/login", "host: evil.example")), "421", "a name that leads here from elsewhere");
    let shown = format!("{host}\r\nauthorization: Bearer {TOKEN}");
    let page = get("/", &shown);
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

fn twice(console: SocketAddr, action: &str) {
    let (_, asked) = post(console, "/v1/console/ask", action);
    let confirm = asked["confirm"].as_u64().unwrap_or_else(|| panic!("{asked}"));
    let (_, done) = post(console, "/v1/console/do", &format!("{{\"confirm\":{confirm}}}"));
    assert_eq!(done["done"], true, "{done}");
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
