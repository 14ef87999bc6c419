//! Traces from the binary with the feature `otel`: to a receiver that decodes them by OpenTelemetry's own definitions, to
//! one that never answers, and to nobody.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use codecs::iso8583::{De, DeSet, Dialect, Encoder, Index, Message, Mti, built_in};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);
const CARD: &str = "9999600000000019";
/// What an answer must say again.
const ECHOED: [u8; 8] = [2, 3, 4, 7, 11, 37, 41, 49];
/// More payments than may wait to be told, and than are told at a time.
const MANY: u32 = 6_000;
const TOGETHER: usize = 100;

fn dialect() -> &'static Dialect {
    built_in("iso87-ascii").expect("built in")
}

fn frame(mti: &[u8; 4], elements: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let de = |number: u8| De::new(number).expect("1 to 128");
    let present = elements.iter().fold(DeSet::EMPTY, |set, (number, _)| set.with(de(*number)));
    let mut out = vec![0; 1_024];
    let mti = Mti::from_digits(*mti).expect("a message type");
    let mut encoder = Encoder::new(dialect(), mti, present, &mut out).expect("room");
    for (number, value) in elements {
        encoder.put(de(*number), value).expect("the dialect can say it");
    }
    let length = encoder.finish().expect("complete");
    let mut frame = (length as u16).to_be_bytes().to_vec();
    frame.extend_from_slice(&out[..length]);
    frame
}

fn purchase(stan: u32) -> Vec<u8> {
    let text = |text: &str| text.as_bytes().to_vec();
    let elements = [
        (2, text(CARD)),
        (3, text("000000")),
        (4, text("000000001000")),
        (7, text("1127220304")),
        (11, text(&format!("{stan:06}"))),
        (37, text(&format!("{stan:012}"))),
        (41, text("TERM0001")),
        (49, text("840")),
    ];
    frame(b"0100", &elements)
}

/// The next message of a stream; nothing at its end.
fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

fn element(message: &[u8], number: u8) -> Vec<u8> {
    let mut index = Index::new();
    dialect().parse(message, &mut index).expect("sound");
    let message = Message::new(dialect(), message, &index);
    message.decode(De::new(number).expect("a number"), &mut [0; 64]).map(<[u8]>::to_vec).unwrap_or_default()
}

/// An issuer that approves everything, a switch, and what it writes.
struct Rig {
    switch: Child,
    folder: PathBuf,
    north: TcpStream,
    admin: SocketAddr,
}

impl Rig {
    fn start(name: &str, collector: SocketAddr) -> Rig {
        let folder = std::env::temp_dir().join(format!("signalbox-otel-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let maple = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = maple.local_addr().expect("bound");
        thread::spawn(move || {
            for stream in maple.incoming().map_while(Result::ok) {
                thread::spawn(move || approve(stream));
            }
        });
        let (north, admin) = (free_address(), free_address());
        let framing = "dialect = \"iso87-ascii\"\nframing = { length = \"binary2\" }\nplain_tcp = true";
        let config = format!(
            "[admin]\nlisten = \"{admin}\"\n[log]\nevery_nth_payment = 1\notlp = \"{collector}\"\n\
             [[acquirer]]\nname = \"north\"\nlisten = \"{north}\"\n{framing}\n\
             [[issuer]]\nname = \"maple\"\nconnect = [\"{address}\"]\n{framing}\n\
             [[route]]\niin = \"99996\"\nissuer = \"maple\"\n"
        );
        fs::write(folder.join("signalbox.toml"), config).expect("a file");
        let switch = Command::new(env!("CARGO_BIN_EXE_signalbox"))
            .args(["serve", "--log-format", "json", "--config"])
            .arg(folder.join("signalbox.toml"))
            .stderr(fs::File::create(folder.join("log")).expect("a file"))
            .spawn()
            .expect("it starts");
        let rig = |north| Rig { switch, folder, north, admin };
        let until = Instant::now() + PATIENCE;
        while !http_get(admin, "/readyz").starts_with("HTTP/1.1 200") {
            assert!(Instant::now() < until, "it takes no payments");
            thread::sleep(Duration::from_millis(20));
        }
        let north = TcpStream::connect(north).expect("it listens");
        north.set_read_timeout(Some(PATIENCE)).expect("a socket");
        rig(north)
    }

    /// So many at a time that they fit into their issuer's window.
    fn pay(&mut self, stans: std::ops::Range<u32>) {
        for first in stans.clone().step_by(TOGETHER) {
            let some = first..stans.end.min(first + TOGETHER as u32);
            for stan in some.clone() {
                self.north.write_all(&purchase(stan)).expect("sent");
            }
            for _ in some {
                let answer = receive(&mut self.north).expect("an answer");
                assert_eq!(element(&answer, 39), b"00");
            }
        }
    }

    fn metric(&self, name: &str) -> f64 {
        let page = http_get(self.admin, "/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name}"))
    }

    fn await_that(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < until, "{what}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).expect("a log")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.switch.kill();
        let _ = self.switch.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn approve(mut stream: TcpStream) {
    while let Some(request) = receive(&mut stream) {
        let said = |number: u8| (number, element(&request, number));
        let mut elements: Vec<_> =
            ECHOED.into_iter().map(said).filter(|(_, value)| !value.is_empty()).collect();
        elements.extend([(38, b"A12345".to_vec()), (39, b"00".to_vec())]);
        elements.sort_by_key(|(number, _)| *number);
        if stream.write_all(&frame(b"0110", &elements)).is_err() {
            return;
        }
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

fn http_get(at: SocketAddr, path: &str) -> String {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(at)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().unwrap_or_default()
}

/// A receiver in Python with OpenTelemetry's own definitions; nothing where they are not installed.
fn receiver() -> Option<(Child, SocketAddr, BufReader<std::process::ChildStdout>)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let python = tests.join(".venv/bin/python");
    let has_them = Command::new(&python)
        .args(["-c", "import opentelemetry.proto.collector.trace.v1.trace_service_pb2"])
        .stderr(Stdio::null())
        .status();
    if !has_them.is_ok_and(|status| status.success()) {
        let all = std::env::var("SIGNALBOX_TESTS").is_ok_and(|tests| tests == "all");
        assert!(!all, "OpenTelemetry's definitions are needed: sh tests/peers/setup.sh");
        println!("not run: needs OpenTelemetry's definitions (sh tests/peers/setup.sh)");
        return None;
    }
    let mut child = Command::new(python)
        .arg(tests.join("otlp/receiver.py"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    let port: u16 =
        line.trim().strip_prefix("listening ").and_then(|port| port.parse().ok()).expect("a port");
    Some((child, SocketAddr::from(([127, 0, 0, 1], port)), said))
}

#[test]
fn a_payment_is_a_trace_of_its_stages_under_the_id_of_its_log_lines_and_holds_no_card() {
    let Some((mut python, collector, mut said)) = receiver() else { return };
    let mut rig = Rig::start("told", collector);
    rig.pay(7..8);
    let mut lines = Vec::new();
    while lines.len() < 4 {
        let mut line = String::new();
        assert!(said.read_line(&mut line).expect("a line") > 0, "the receiver ended: {lines:?}");
        assert!(!line.contains(CARD) && !line.contains("refused"), "{line}");
        lines.push(serde_json::from_str::<Value>(&line).expect("JSON"));
    }
    let root = &lines[0];
    assert_eq!((&root["name"], &root["kind"], &root["parent"]), (&"0100".into(), &2.into(), &"".into()));
    let about = serde_json::json!({
        "signalbox.acquirer": "north", "signalbox.de39": "00", "signalbox.issuer": "maple",
    });
    assert_eq!(root["about"], about);
    assert_eq!(root["of"]["service.name"], "signalbox");
    let names: Vec<_> = lines[1..].iter().map(|span| span["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["before the issuer", "issuer", "after the issuer"]);
    let moment = |span: &Value, key: &str| span[key].as_u64().expect("nanoseconds");
    for pair in lines[1..].windows(2) {
        assert_eq!(moment(&pair[0], "end_ns"), moment(&pair[1], "start_ns"), "{pair:?}");
    }
    for span in &lines[1..] {
        assert_eq!((&span["trace"], &span["parent"]), (&root["trace"], &root["id"]));
        assert!(moment(span, "start_ns") >= moment(root, "start_ns"), "{span}");
        assert!(moment(span, "end_ns") <= moment(root, "end_ns"), "{span}");
    }
    let trace = root["trace"].as_str().expect("an id");
    rig.await_that("its lines in the log", |rig| rig.log().matches(trace).count() >= 2);
    rig.await_that("it to be counted", |rig| rig.metric("signalbox_traces_sent_total") >= 1.0);
    assert!(rig.metric("signalbox_traces_lost_total") < 1.0);
    // Nobody there any more: counted, said once, and payments go on.
    python.kill().expect("it runs");
    python.wait().expect("it ended");
    rig.pay(8..9);
    rig.await_that("the loss", |rig| rig.metric("signalbox_traces_lost_total") >= 1.0);
    rig.pay(9..19);
    rig.await_that("more loss", |rig| rig.metric("signalbox_traces_lost_total") >= 11.0);
    assert_eq!(rig.log().matches("the collector does not take traces").count(), 1);
}

#[test]
fn a_collector_that_never_answers_costs_traces_and_no_payment() {
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut rig = Rig::start("deaf", deaf.local_addr().expect("bound"));
    rig.pay(1..MANY + 1);
    // No room for so many: those that found none are lost at once, and the others wait in a bounded queue.
    rig.await_that("the loss", |rig| rig.metric("signalbox_traces_lost_total") >= 1.0);
    assert!(rig.metric("signalbox_traces_sent_total") < 1.0);
    let approved = |rig: &Rig| rig.metric("signalbox_approved_total{acquirer=\"north\"}");
    rig.await_that("all of them on the page", |rig| approved(rig) > f64::from(MANY) - 0.5);
}
