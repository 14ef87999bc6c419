//! The keys of messages (DE 7, 11, 37) as a host sees them: those of two runs never meet, and what a host wants to change
//! about them is answered.

mod shell;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use codecs::iso8583::dialect::ISO87_ASCII;
use codecs::iso8583::{De, DeSet, Encoder, Index, Message};
use loadtest::codes::Code;
use loadtest::respond;
use shell::output;

/// A host that approves everything, and hands out each request and each answer that it hears. Each link hears `first` at
/// its beginning.
fn host(first: Option<Vec<u8>>) -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heard_sender, heard) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (heard, first) = (heard_sender.clone(), first.clone());
            std::thread::spawn(move || {
                if let Some(first) = first {
                    let _ = write(&mut stream, &first);
                }
                while let Some(message) = read(&mut stream) {
                    let asks = message[2] == b'0';
                    let _ = heard.send(message.clone());
                    if asks && write(&mut stream, &approve(&message)).is_none() {
                        return;
                    }
                }
            });
        }
    });
    (address, heard)
}

fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

fn write(stream: &mut TcpStream, message: &[u8]) -> Option<()> {
    stream.write_all(&[&(message.len() as u16).to_be_bytes()[..], message].concat()).ok()
}

fn approve(request: &[u8]) -> Vec<u8> {
    let mut index = Index::new();
    ISO87_ASCII.parse(request, &mut index).unwrap();
    let message = Message::new(&ISO87_ASCII, request, &index);
    let mut room = [0; 512];
    let code = Code::parse(b"00").unwrap();
    let length = respond::answer(&message, code, Some(*b"123456"), &mut room).unwrap();
    room[..length].to_vec()
}

fn text(message: &[u8], de: De) -> String {
    let mut index = Index::new();
    ISO87_ASCII.parse(message, &mut index).unwrap();
    let view = Message::new(&ISO87_ASCII, message, &index);
    String::from_utf8(view.value(de).unwrap_or_default().to_vec()).unwrap()
}

#[test]
fn runs_with_one_seed_in_one_second_share_no_key() {
    let (address, heard) = host(None);
    // Six runs, of which every two or three begin in one second; all have the seed of the profile.
    let runs = ["--rounds", "3", "--seconds", "0.1", "--rate", "500", "--arrivals", "uniform"];
    let said = output(&[&["ab", "baseline", "--a", &address, "--b", &address], &runs[..]].concat());
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    let requests: Vec<Vec<u8>> = heard.try_iter().collect();
    assert!(requests.len() >= 6 * 49, "{}", requests.len());
    let whole = |message: &Vec<u8>| [De::TRANSMISSION_TIME, De::STAN, De::RRN].map(|de| text(message, de));
    assert_eq!(requests.iter().map(whole).collect::<HashSet<_>>().len(), requests.len());
    // Hosts that do not look at the RRN tell them apart too.
    let short = |message: &Vec<u8>| [De::TRANSMISSION_TIME, De::STAN].map(|de| text(message, de));
    assert_eq!(requests.iter().map(short).collect::<HashSet<_>>().len(), requests.len());
    // What was asked is the same in each run: of every card, amount and terminal there are six.
    let content = |message: &Vec<u8>| [De::PAN, De::AMOUNT, De::TERMINAL].map(|de| text(message, de));
    assert!(requests.iter().map(content).collect::<HashSet<_>>().len() <= 51);
}

/// 0800/161 of a host, perhaps with what might be a key.
fn key_change(key: Option<(De, &[u8])>) -> Vec<u8> {
    let present = DeSet::of(&[De::TRANSMISSION_TIME, De::STAN, De::NETWORK_CODE]);
    let present = key.iter().fold(present, |set, (de, _)| set.with(*de));
    let mut room = [0; 256];
    let mut encoder = Encoder::new_with_digits(&ISO87_ASCII, *b"0800", present, &mut room).unwrap();
    for de in present.iter() {
        match (de, key) {
            (De::TRANSMISSION_TIME, _) => encoder.put(de, b"1123000101").unwrap(),
            (De::STAN, _) => encoder.put_number(de, 42).unwrap(),
            (De::NETWORK_CODE, _) => encoder.put_number(de, 161).unwrap(),
            (_, Some((_, value))) => encoder.put(de, value).unwrap(),
            (_, None) => unreachable!(),
        }
    }
    let length = encoder.finish().unwrap();
    room[..length].to_vec()
}

#[test]
fn a_key_that_a_host_brings_is_refused_and_the_question_for_one_is_answered() {
    let security_code = De::new(96).unwrap();
    for (key, code) in [
        (None, "00"),
        (Some((De::PRIVATE_48, &b"K1A7F3E0C55D2B9C8811223344556677881A2B3C"[..])), "40"),
        (Some((De::SECURITY_CONTROL, b"0100000000000000")), "40"),
        (Some((security_code, &[7; 8][..])), "40"),
    ] {
        let (address, heard) = host(Some(key_change(key)));
        let load = ["--seconds", "0.4", "--rate", "200", "--connections", "1", "--threshold", "missing=0"];
        let said = output(&[&["run", "baseline", "--connect", &address], &load[..]].concat());
        // The payments go on.
        assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stdout));
        let answer = heard.try_iter().find(|message| message.starts_with(b"0810")).expect("an answer");
        assert_eq!(
            (text(&answer, De::STAN), text(&answer, De::NETWORK_CODE)),
            ("000042".into(), "161".into())
        );
        assert_eq!(text(&answer, De::RESPONSE_CODE), code, "{key:?}");
    }
}
