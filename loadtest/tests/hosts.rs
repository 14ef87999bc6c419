//! The fleet against hosts that are written out here, byte by byte: what they see, and what it makes of their
//! manners.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use codecs::iso8583::dialect::ISO87_ASCII;
use codecs::iso8583::{De, Dialect, Index, Message};
use loadtest::acquirer::{self, Outcome};
use loadtest::codes::Code;
use loadtest::profile::{Overrides, Profile};
use loadtest::respond;

static DIALECT: &Dialect = &ISO87_ASCII;

/// Runs a short profile against a host that serves connections with `serve`, one after the other.
fn run(seconds: f64, serve: impl Fn(usize, TcpStream) + Send + 'static) -> (Outcome, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = vec![listener.local_addr().unwrap().to_string()];
    let host = std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            serve(number, stream.unwrap());
        }
    });
    let overrides = Overrides {
        connect,
        rate: Some(500.0),
        seconds: Some(seconds),
        connections: Some(1),
        patience: Some("300ms".to_string()),
        ..Overrides::default()
    };
    let profile = Profile::load("baseline", &overrides).unwrap();
    let outcome = acquirer::run(&profile, &Arc::new(AtomicBool::new(false)), |_| {}).unwrap();
    (outcome, host)
}

fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

fn write_message(stream: &mut TcpStream, message: &[u8]) -> Option<()> {
    let length = u16::try_from(message.len()).ok()?.to_be_bytes();
    stream.write_all(&[&length[..], message].concat()).ok()
}

fn approve(request: &[u8]) -> Vec<u8> {
    let mut index = Index::new();
    DIALECT.parse(request, &mut index).unwrap();
    let message = Message::new(DIALECT, request, &index);
    let mut room = [0; 512];
    let code = Code::parse(b"00").unwrap();
    let length = respond::answer(&message, code, Some(*b"123456"), &mut room).unwrap();
    room[..length].to_vec()
}

#[test]
fn the_echo_test_of_a_host_is_answered() {
    const ECHO: &[u8] = b"080082200000000000000400000000000000\
        1123000101000042301";
    let (seen_sender, seen) = std::sync::mpsc::channel();
    let (outcome, _host) = run(0.4, move |_, mut stream| {
        write_message(&mut stream, ECHO).unwrap();
        while let Some(message) = read_message(&mut stream) {
            if message.starts_with(b"08") {
                seen_sender.send(message).unwrap();
            } else if write_message(&mut stream, &approve(&message)).is_none() {
                return;
            }
        }
    });
    let answer = seen.recv().unwrap();
    let mut index = Index::new();
    DIALECT.parse(&answer, &mut index).unwrap();
    let message = Message::new(DIALECT, &answer, &index);
    assert_eq!(message.mti_digits(), Some(*b"0810"));
    assert_eq!(message.number(De::STAN), Some(42));
    assert_eq!(message.value(De::RESPONSE_CODE), Some(&b"00"[..]));
    assert_eq!(outcome.tally.links.network_served, 1);
    assert_eq!(outcome.tally.sum(|case| case.answered), outcome.tally.sum(|case| case.sent));
}

#[test]
fn keys_are_unique_and_say_when() {
    let (keys_sender, keys) = std::sync::mpsc::channel();
    let (outcome, _host) = run(0.5, move |_, mut stream| {
        while let Some(request) = read_message(&mut stream) {
            let mut index = Index::new();
            DIALECT.parse(&request, &mut index).unwrap();
            DIALECT.check_rules(&index).unwrap();
            let message = Message::new(DIALECT, &request, &index);
            let text = |de| String::from_utf8(message.value(de).unwrap().to_vec()).unwrap();
            keys_sender.send((text(De::STAN), text(De::TRANSMISSION_TIME), text(De::RRN))).unwrap();
            if write_message(&mut stream, &approve(&request)).is_none() {
                return;
            }
        }
    });
    let mut keys: Vec<_> = keys.try_iter().collect();
    assert_eq!(keys.len() as u64, outcome.tally.sum(|case| case.sent));
    keys.sort_by(|one, other| one.2.cmp(&other.2));
    keys.dedup_by(|one, other| one.2 == other.2);
    assert_eq!(keys.len() as u64, outcome.tally.sum(|case| case.sent));
}

#[test]
fn a_lost_link_comes_back_and_what_was_on_it_is_missing() {
    let (outcome, _host) = run(1.0, |number, mut stream| {
        let mut served = 0;
        while let Some(request) = read_message(&mut stream) {
            served += 1;
            // The first connection goes away in the middle of its work.
            if number == 0 && served == 100 {
                return;
            }
            if write_message(&mut stream, &approve(&request)).is_none() {
                return;
            }
        }
    });
    let tally = &outcome.tally;
    assert_eq!(tally.links.lost, 1);
    let [planned, sent, answered] =
        [tally.sum(|case| case.planned), tally.sum(|case| case.sent), tally.sum(|case| case.answered)];
    // The message that was not answered, and at most what was on its way with it.
    assert!((1..50).contains(&(sent - answered)), "{sent} {answered}");
    // For about a tenth of a second there was no link.
    assert_eq!(planned - sent, tally.links.refused_down);
    assert!(tally.links.refused_down > 5, "{}", tally.links.refused_down);
    assert!(answered > 150, "{answered}");
}

#[test]
fn nonsense_ends_the_link_or_is_mangled() {
    let (outcome, _host) = run(0.4, |number, mut stream| {
        if number == 0 {
            let _ = read_message(&mut stream);
            let _ = write_message(&mut stream, b"this is no message");
            // A length beyond what the framing allows: nobody knows where the next message begins.
            let _ = stream.write_all(&[0xFF, 0xFF]);
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            return;
        }
        while let Some(request) = read_message(&mut stream) {
            if write_message(&mut stream, &approve(&request)).is_none() {
                return;
            }
        }
    });
    assert_eq!((outcome.tally.mangled, outcome.tally.links.lost), (1, 1));
    assert!(outcome.tally.sum(|case| case.answered) > 0);
}
