//! A recorded exchange, written down by the tap and sent again, through the program.

mod shell;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use codecs::iso8583::dialect::ISO87_ASCII;
use codecs::iso8583::{De, DeSet, Encoder, Index, Message};
use loadtest::codes::Code;
use loadtest::respond;
use serde_json::Value;
use shell::{Issuer, background, output, scratch, signal};

/// Runs a profile through a tap, and leaves what passed.
fn record(issuer: &Issuer, name: &str, run: &[&str]) -> (PathBuf, String) {
    let path = scratch(name);
    let tap = ["record", "--listen", "127.0.0.1:0", "--connect", &issuer.address, "--out"];
    let mut tap = background(&[&tap[..], &[path.to_str().unwrap()]].concat());
    let [profile, rest @ ..] = run else { panic!() };
    let said = output(&[&["run", profile, "--connect", &tap.address, "--quiet"], rest].concat());
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    signal(&tap.process, "-TERM");
    let mut summary = String::new();
    tap.process.stdout.as_mut().unwrap().read_to_string(&mut summary).unwrap();
    assert!(tap.process.wait().unwrap().success());
    (path, summary)
}

/// Sends a recording again and returns exit code, report and what was said.
fn replay(recording: &Path, address: &str, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let report = recording.with_extension("json");
    let fixed = ["run", "--replay", recording.to_str().unwrap(), "--connect", address];
    let output = output(&[&fixed[..], &["--json", report.to_str().unwrap()], arguments].concat());
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!text.contains("99996"), "a card number was shown: {text}");
    let json = std::fs::read_to_string(&report).unwrap_or_default();
    std::fs::remove_file(&report).ok();
    (output.status.code(), serde_json::from_str(&json).unwrap_or(Value::Null), text)
}

const SAME: [&str; 8] = [
    "--threshold",
    "unexpected=0",
    "--threshold",
    "missing=0",
    "--threshold",
    "unmatched=0",
    "--threshold",
    "mangled=0",
];

#[test]
fn what_was_recorded_is_answered_as_it_was_and_another_host_is_found() {
    let issuer = Issuer::start(&["--latency", "fixed 5ms", "--decline", "51=0.3,05=0.1"]);
    // Payments of several types, repeats, and a sign-on of each link.
    let (recording, summary) = record(&issuer, "demo.jsonl", &["demo", "--rate", "300", "--seconds", "2"]);
    assert!(summary.contains("messages of 4 links written down"), "{summary}");
    let lines = std::fs::read_to_string(&recording).unwrap();
    let requests = lines.lines().filter(|line| line.contains("\"from\":\"client\"")).count() - 4;

    let (code, report, text) = replay(&recording, &issuer.address, &[&SAME[..], &["--speed", "2"]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(report["counts"]["answered"], requests, "{text}");
    assert_eq!(report["load"]["replay"]["compared"], requests, "{text}");
    assert_eq!((&report["load"]["mode"], &report["load"]["connections"]), (&"replay".into(), &4.into()));
    assert!(text.contains("every answer has its recorded code"), "{text}");
    // Twice as fast: about a second.
    let seconds = report["load"]["seconds"].as_f64().unwrap();
    assert!((0.7..1.1).contains(&seconds), "{seconds}");

    // The other one declines more, and nothing else is different.
    let stricter = Issuer::start(&["--decline", "51=0.6,05=0.1"]);
    let page = scratch("differences.html");
    let files = ["--html", page.to_str().unwrap()];
    let (code, report, text) = replay(&recording, &stricter.address, &[&SAME[..], &files].concat());
    assert_eq!(code, Some(99), "{text}");
    assert!(text.contains("recorded 00, now 51"), "{text}");
    let rows = report["differences"].as_array().unwrap();
    let differ: u64 = rows.iter().map(|row| row["count"].as_u64().unwrap()).sum();
    assert_eq!(differ, report["counts"]["unexpected"].as_u64().unwrap(), "{text}");
    assert!(differ > 50 && differ < requests as u64 / 2, "{text}");
    assert!(std::fs::read_to_string(page).unwrap().contains("\"recorded\":\"00\",\"now\":\"51\""));
}

#[test]
fn reversals_and_what_was_never_answered_are_sent_again() {
    let issuer = Issuer::start(&["--silent", "0.1"]);
    let run = ["outage", "--rate", "200", "--seconds", "1", "--patience", "200ms"];
    let (recording, _) = record(&issuer, "outage.jsonl", &run);
    let sound = Issuer::start(&[]);
    let (code, report, text) = replay(&recording, &sound.address, &[&SAME[..], &["--speed", "5"]].concat());
    assert_eq!(code, Some(0), "{text}");
    let compared = report["load"]["replay"]["compared"].as_u64().unwrap();
    assert!(compared < report["counts"]["answered"].as_u64().unwrap(), "{text}");
    let names: Vec<&str> =
        report["cases"].as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
    for mti in ["0100", "0200", "0420"] {
        assert!(names.contains(&mti), "{mti}: {text}");
    }
}

/// A host that approves everything, and hands out what it hears.
fn host() -> (String, Receiver<(Instant, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heard_sender, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let heard = heard_sender.clone();
            std::thread::spawn(move || serve(stream, |message| drop(heard.send((Instant::now(), message)))));
        }
    });
    (address, heard)
}

fn serve(mut stream: TcpStream, heard: impl Fn(Vec<u8>)) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut bytes).unwrap();
        heard(bytes.clone());
        let mut index = Index::new();
        ISO87_ASCII.parse(&bytes, &mut index).unwrap();
        let message = Message::new(&ISO87_ASCII, &bytes, &index);
        let mut room = [0; 512];
        let code = Code::parse(b"00").unwrap();
        let answer = respond::answer(&message, code, None, &mut room).unwrap();
        let _ = stream.write_all(&[&(answer as u16).to_be_bytes()[..], &room[..answer]].concat());
    }
}

/// A line of a recording.
fn line(at_us: u64, from: &str, mti: &[u8; 4], elements: &[(u8, &str)]) -> String {
    let elements: Vec<(De, &str)> =
        elements.iter().map(|(de, value)| (De::new(*de).unwrap(), *value)).collect();
    let present = elements.iter().fold(DeSet::EMPTY, |set, (de, _)| set.with(*de));
    let mut room = [0; 512];
    let mut encoder = Encoder::new_with_digits(&ISO87_ASCII, *mti, present, &mut room).unwrap();
    elements.iter().for_each(|(de, value)| encoder.put(*de, value.as_bytes()).unwrap());
    let length = encoder.finish().unwrap();
    let hex = room[..length].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!("{{\"at_us\": {at_us}, \"link\": 0, \"from\": \"{from}\", \"message\": \"{hex}\"}}\n")
}

fn text(message: &[u8], de: u8) -> String {
    let mut index = Index::new();
    ISO87_ASCII.parse(message, &mut index).unwrap();
    let view = Message::new(&ISO87_ASCII, message, &index);
    String::from_utf8(view.value(De::new(de).unwrap()).unwrap_or_default().to_vec()).unwrap()
}

const CARD: (u8, &str) = (2, "9999600000000019");

#[test]
fn keys_are_new_and_still_refer_to_each_other() {
    let (sale_time, reversal_time) = ("0311120000", "0311120001");
    let sale = [
        CARD,
        (3, "000000"),
        (4, "000000004200"),
        (7, sale_time),
        (11, "000017"),
        (12, "130000"),
        (13, "0311"),
        (37, "407112000017"),
        (41, "TERM0001"),
    ];
    let original = format!("0200000017{sale_time}{}", "0".repeat(22));
    let undo = [
        CARD,
        (3, "000000"),
        (4, "000000004200"),
        (7, reversal_time),
        (11, "000018"),
        (37, "407112000017"),
        (41, "TERM0001"),
        (90, &original),
    ];
    let recording = scratch("references.jsonl");
    let lines = [
        line(5_000_000, "client", b"0200", &sale),
        line(5_100_000, "client", b"0420", &undo),
        line(5_200_000, "client", b"0421", &undo),
        line(5_300_000, "host", b"0430", &[(11, "000018"), (39, "00")]),
        line(5_301_000, "host", b"0430", &[(11, "000018"), (39, "00")]),
        // Another purchase whose STAN has come round.
        line(
            5_400_000,
            "client",
            b"0200",
            &[
                CARD,
                (3, "000000"),
                (4, "000000000100"),
                (7, "0311120002"),
                (11, "000017"),
                (37, "407112000099"),
                (41, "TERM0001"),
            ],
        ),
    ];
    std::fs::write(&recording, lines.concat()).unwrap();
    let (address, heard) = host();
    let (code, report, said) = replay(&recording, &address, &SAME);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        (&report["counts"]["answered"], &report["load"]["replay"]["compared"]),
        (&4.into(), &2.into())
    );
    let heard: Vec<Vec<u8>> = heard.try_iter().map(|(_, message)| message).collect();
    let [sale, undo, again, other] = &heard[..] else { panic!("{}", heard.len()) };
    assert_eq!([&sale[..4], &undo[..4], &again[..4], &other[..4]], [b"0200", b"0420", b"0421", b"0200"]);
    // The reversal names the new key of the sale, and shares its new reference.
    assert_eq!(text(undo, 90), format!("0200{}{}{}", text(sale, 11), text(sale, 7), "0".repeat(22)));
    assert_eq!(text(undo, 37), text(sale, 37));
    assert_ne!(text(undo, 11), text(sale, 11));
    // Its repeat is the same message but for the mark.
    assert_eq!(undo[4..], again[4..]);
    // Nothing recorded is left of the keys; times are those of now.
    for message in &heard {
        assert!(
            !text(message, 7).starts_with("0311") && !text(message, 37).starts_with("407112"),
            "{message:?}"
        );
    }
    assert_eq!(
        (text(sale, 12), text(sale, 13)),
        (text(sale, 7)[4..].to_string(), text(sale, 7)[..4].to_string())
    );
    assert_ne!((text(other, 11), text(other, 37)), (text(sale, 11), text(sale, 37)));
    assert_eq!((text(sale, 4), text(sale, 41)), ("000000004200".into(), "TERM0001".into()));
}

#[test]
fn a_recording_keeps_its_pace_or_a_multiple_of_it() {
    let recording = scratch("pace.jsonl");
    let request = |number: u32, at_ms: u64| {
        let (stan, rrn) = (format!("{number:06}"), format!("{number:012}"));
        let elements =
            [CARD, (3, "000000"), (4, "000000000100"), (7, "0311120000"), (11, &*stan), (37, &*rrn)];
        line(at_ms * 1_000, "client", b"0100", &elements)
    };
    let lines: Vec<String> =
        [0, 50, 800, 820].iter().enumerate().map(|(at, ms)| request(at as u32 + 1, *ms)).collect();
    std::fs::write(&recording, lines.concat()).unwrap();
    for (speed, expected) in [("1", [50.0, 800.0, 820.0]), ("4", [12.5, 200.0, 205.0])] {
        let (address, heard) = host();
        let (code, _, said) = replay(&recording, &address, &[&SAME[..], &["--speed", speed]].concat());
        assert_eq!(code, Some(0), "{said}");
        let at: Vec<Instant> = heard.try_iter().map(|(at, _)| at).collect();
        let seen: Vec<f64> = at[1..].iter().map(|then| (*then - at[0]).as_secs_f64() * 1e3).collect();
        let near = seen.iter().zip(expected).all(|(seen, expected)| (seen - expected).abs() < 60.0);
        assert!(seen.len() == 3 && near, "{speed}: {seen:?}");
    }
}

#[test]
fn the_number_of_a_real_card_is_neither_written_down_nor_sent() {
    let sale =
        [(2, "4111111111111111"), (3, "000000"), (4, "000000004200"), (7, "0311120000"), (11, "000017")];
    let real = line(0, "client", b"0100", &sale);
    let recording = scratch("real.jsonl");
    std::fs::write(&recording, &real).unwrap();
    let (code, _, said) = replay(&recording, "127.0.0.1:1", &[]);
    assert!(
        code == Some(78) && said.contains("real.jsonl: line 1: DE 2") && !said.contains("1111"),
        "{said}"
    );

    let (address, heard) = host();
    let path = scratch("none.jsonl");
    let tap = ["record", "--listen", "127.0.0.1:0", "--connect", &address, "--out", path.to_str().unwrap()];
    let mut tap = background(&tap);
    let message: Value = serde_json::from_str(&real).unwrap();
    let hex = message["message"].as_str().unwrap();
    let bytes: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    let mut client = TcpStream::connect(&tap.address).unwrap();
    client.write_all(&[&(bytes.len() as u16).to_be_bytes()[..], &bytes].concat()).unwrap();
    // It passes, and so does the answer, which has the number too.
    let mut answer = [0; 2];
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client.read_exact(&mut answer).unwrap();
    assert_eq!(heard.recv().unwrap().1, bytes);
    std::thread::sleep(Duration::from_millis(100));
    signal(&tap.process, "-TERM");
    let mut summary = String::new();
    tap.process.stdout.as_mut().unwrap().read_to_string(&mut summary).unwrap();
    assert!(summary.contains("0 messages") && summary.contains("2 not: "), "{summary}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let recording = scratch("short.jsonl");
    let recording = recording.to_str().unwrap();
    for (text, part) in [
        ("", "no request of a client"),
        ("{}", "line 1: no JSON object"),
        ("{\"at_us\": 1, \"from\": \"client\", \"message\": \"303\"}", "line 1: message: an even number"),
        (
            "{\"at_us\": 1, \"from\": \"client\", \"message\": \"30313030\"}",
            "line 1: no message of iso87-ascii",
        ),
    ] {
        std::fs::write(recording, text).unwrap();
        let said = output(&["run", "--replay", recording, "--connect", "127.0.0.1:1"]);
        let text = String::from_utf8(said.stderr).unwrap();
        assert!(said.status.code() == Some(78) && text.contains(part), "{part}: {text}");
    }
    for (arguments, code) in [
        (&["run", "--replay", "no/such/file"][..], 78),
        (&["run", "--replay", recording, "--rate", "5"], 64),
        (&["run", "baseline", "--speed", "2"], 64),
        (&["record", "--listen", "127.0.0.1:0", "--connect", "127.0.0.1:1", "--out", "no/such/folder/x"], 70),
        (
            &[
                "record",
                "--listen",
                "127.0.0.1:0",
                "--connect",
                "127.0.0.1:1",
                "--out",
                "x",
                "--dialect",
                "iso2003",
            ],
            64,
        ),
        (
            &["record", "--listen", "no.such.host.invalid:1", "--connect", "127.0.0.1:1", "--out", recording],
            70,
        ),
    ] {
        assert_eq!(output(arguments).status.code(), Some(code), "{arguments:?}");
    }
}

/// The lines of a recording as packets of a capture (bare IP), split as a network may split them.
fn as_capture(lines: &str) -> Vec<u8> {
    let mut file = [0xD4, 0xC3, 0xB2, 0xA1].to_vec();
    file.extend([0; 16]);
    file.extend(101_u32.to_le_bytes());
    let mut next = std::collections::HashMap::new();
    let mut packet = |at_us: u64, from: u16, to: u16, payload: &[u8]| {
        let number: &mut u32 = next.entry((from, to)).or_insert(7);
        let mut packet = vec![0x45, 0];
        packet.extend((40 + payload.len() as u16).to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        packet.extend(from.to_be_bytes().into_iter().chain(to.to_be_bytes()).chain(number.to_be_bytes()));
        packet.extend([0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0]);
        packet.extend(payload);
        *number += payload.len() as u32;
        let [seconds, parts] = [at_us / 1_000_000, at_us % 1_000_000].map(|part| part as u32);
        for number in [seconds, parts, packet.len() as u32, packet.len() as u32] {
            file.extend(number.to_le_bytes());
        }
        file.extend(packet);
    };
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (hex, client) =
            (line["message"].as_str().unwrap(), 40_000 + line["link"].as_u64().unwrap() as u16);
        let (from, to) = if line["from"] == "client" { (client, 7001) } else { (7001, client) };
        let mut bytes = (hex.len() as u16 / 2).to_be_bytes().to_vec();
        bytes.extend((0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()));
        let (front, rest) = bytes.split_at(1);
        packet(line["at_us"].as_u64().unwrap(), from, to, front);
        packet(line["at_us"].as_u64().unwrap() + 1, from, to, rest);
    }
    file
}

#[test]
fn a_capture_of_the_network_is_as_good_as_a_recording() {
    let issuer = Issuer::start(&["--decline", "51=0.3"]);
    let (recording, _) =
        record(&issuer, "for_capture.jsonl", &["baseline", "--rate", "200", "--seconds", "1"]);
    let capture = scratch("capture.pcap");
    std::fs::write(&capture, as_capture(&std::fs::read_to_string(&recording).unwrap())).unwrap();
    let [written, captured] = [&recording, &capture].map(|file| {
        let (code, report, said) = replay(file, &issuer.address, &SAME);
        assert_eq!(code, Some(0), "{said}");
        let replay = &report["load"]["replay"];
        [&report["counts"]["answered"], &replay["requests"], &replay["compared"]]
            .map(|count| count.as_u64().unwrap())
    });
    assert!(written == captured && written[0] > 100, "{written:?} {captured:?}");
}
