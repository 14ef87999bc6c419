//! The bytes of the profile `chip_and_pin`, taken apart by a reader that shares no code with what wrote them: PIN blocks
//! are deciphered, cryptograms and MACs computed another way round, from the message alone and the keys in the profile.

mod shell;

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};

use codecs::iso8583::dialect::ISO87_ASCII;
use codecs::iso8583::{De, Index, Message};
use codecs::tlv::Tlvs;
use des::TdesEde2;
use des::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use loadtest::codes::Code;
use loadtest::respond;
use shell::output;

type Block = [u8; 8];

fn enciphered(key: [u8; 16], mut block: Block) -> Block {
    TdesEde2::new((&key).into()).encrypt_block((&mut block).into());
    block
}

fn deciphered(key: [u8; 16], mut block: Block) -> Block {
    TdesEde2::new((&key).into()).decrypt_block((&mut block).into());
    block
}

/// ISO 9797-1 algorithm 3 over whole blocks, by 3DES alone: a chain under the left half twice, and one block under the
/// whole key at the end.
fn retail_mac(key: [u8; 16], data: &[u8]) -> Block {
    let mut left_twice = key;
    left_twice.copy_within(..8, 8);
    let blocks: Vec<Block> = data.chunks(8).map(|chunk| chunk.try_into().expect("whole blocks")).collect();
    let (last, front) = blocks.split_last().expect("a block");
    let xor = |one: Block, other: &Block| -> Block { std::array::from_fn(|at| one[at] ^ other[at]) };
    let chained = front.iter().fold([0; 8], |state, block| enciphered(left_twice, xor(state, block)));
    enciphered(key, xor(chained, last))
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("digits")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A key as the profile has it.
fn key(profile: &toml::Table, table: &str) -> [u8; 16] {
    unhex(profile[table]["test_key"].as_str().expect("a key")).try_into().expect("sixteen bytes")
}

/// A message, its elements as text.
struct Seen {
    bytes: Vec<u8>,
    elements: HashMap<u8, Vec<u8>>,
}

impl Seen {
    fn new(bytes: &[u8]) -> Seen {
        let mut index = Index::new();
        ISO87_ASCII.parse(bytes, &mut index).expect("a message");
        let message = Message::new(&ISO87_ASCII, bytes, &index);
        let mut room = [0; 512];
        let mut value = |de: De| message.decode(de, &mut room).expect("room").to_vec();
        let elements = message.present().iter().map(|de| (de.number(), value(de))).collect();
        Seen { bytes: bytes.to_vec(), elements }
    }

    fn text(&self, de: u8) -> String {
        String::from_utf8(self.elements[&de].clone()).expect("text")
    }

    /// The PIN in DE 52.
    fn pin(&self, zone: [u8; 16]) -> String {
        let block = deciphered(zone, self.elements[&52][..].try_into().expect("eight bytes"));
        let pan = self.text(2);
        let account = unhex(&format!("0000{}", &pan[pan.len() - 13..pan.len() - 1]));
        let clear: Vec<u8> = block.iter().zip(account).map(|(byte, with)| byte ^ with).collect();
        let clear = hex(&clear);
        assert!(clear.starts_with("04") && clear.ends_with("FFFFFFFFFF"), "{clear}");
        clear[2..6].to_string()
    }

    /// Checks DE 55, and returns the card's counter.
    fn check_cryptogram(&self, master: [u8; 16]) -> String {
        let objects: HashMap<u32, Vec<u8>> = Tlvs::new(&self.elements[&55])
            .map(|object| object.map(|object| (object.tag, object.value.to_vec())).expect("an object"))
            .collect();
        // What the terminal says agrees with the message.
        assert_eq!(hex(&objects[&0x9F02]), self.text(4));
        assert_eq!(hex(&objects[&0x5F2A]), format!("0{}", self.text(49)));
        assert_eq!(hex(&objects[&0x9A])[2..], self.text(13));
        assert_eq!(objects[&0x9F27], [0x80]);
        assert_eq!(objects[&0x9F10][2], 0x12, "version 18");
        // EMV Book 2: card key of the rightmost digits of number and sequence number 00, and session key of the counter.
        let digits = format!("{}00", self.text(2));
        let y: Block = unhex(&digits[digits.len() - 16..]).try_into().expect("sixteen digits");
        let card = [enciphered(master, y), enciphered(master, y.map(|byte| !byte))].concat();
        let card: [u8; 16] = card.try_into().expect("two blocks");
        let counter = &objects[&0x9F36];
        let half = |third: u8| enciphered(card, [counter[0], counter[1], third, 0, 0, 0, 0, 0]);
        let session: [u8; 16] = [half(0xF0), half(0x0F)].concat().try_into().expect("two blocks");
        let order = [0x9F02, 0x9F03, 0x9F1A, 0x95, 0x5F2A, 0x9A, 0x9C, 0x9F37, 0x82, 0x9F36, 0x9F10];
        let mut data: Vec<u8> = order.iter().flat_map(|tag| objects[tag].clone()).collect();
        data.push(0x80);
        data.resize(data.len().next_multiple_of(8), 0);
        assert_eq!(hex(&retail_mac(session, &data)), hex(&objects[&0x9F26]));
        hex(counter)
    }

    /// Checks the MAC, which is the last element.
    fn check_mac(&self, key: [u8; 16]) {
        let de = if self.elements.contains_key(&128) { 128 } else { 64 };
        // Sixteen hexadecimal digits in this dialect.
        let mut data = self.bytes[..self.bytes.len() - 16].to_vec();
        data.resize(data.len().next_multiple_of(8), 0);
        assert_eq!(hex(&retail_mac(key, &data)), hex(&self.elements[&de]));
    }
}

/// Hands out what it hears, approves payments, and lets one in ten wait for ever.
fn serve(mut stream: TcpStream, heard: &Sender<Vec<u8>>) {
    let (mut length, mut number) = ([0; 2], 0);
    while stream.read_exact(&mut length).is_ok() {
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut bytes).expect("a message");
        heard.send(bytes.clone()).expect("the test listens");
        number += 1;
        if bytes.starts_with(b"01") && number % 10 == 0 {
            continue;
        }
        let mut index = Index::new();
        ISO87_ASCII.parse(&bytes, &mut index).expect("a message");
        let message = Message::new(&ISO87_ASCII, &bytes, &index);
        let mut room = [0; 512];
        let code = Code::parse(b"00").expect("a code");
        let length = respond::answer(&message, code, None, &mut room).expect("an answer");
        let _ = stream.write_all(&[&(length as u16).to_be_bytes()[..], &room[..length]].concat());
    }
}

#[test]
fn every_block_cryptogram_and_mac_is_right() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (heard_sender, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let heard = heard_sender.clone();
            std::thread::spawn(move || serve(stream, &heard));
        }
    });
    let load =
        ["--rate", "200", "--seconds", "1", "--patience", "300ms", "--quiet", "--threshold", "unexpected=0"];
    let said = output(&[&["run", "chip_and_pin", "--connect", &address], &load[..]].concat());
    let text = String::from_utf8([said.stdout, said.stderr].concat()).expect("text");
    assert_eq!(said.status.code(), Some(0), "{text}");

    let profile = String::from_utf8(output(&["profiles", "chip_and_pin"]).stdout).expect("text");
    let profile: toml::Table = profile.parse().expect("a profile");
    let [zone, master, mac] = ["pin", "cryptogram", "mac"].map(|table| key(&profile, table));
    let messages: Vec<Seen> = heard.try_iter().map(|bytes| Seen::new(&bytes)).collect();
    let (payments, reversals): (Vec<&Seen>, Vec<&Seen>) =
        messages.iter().partition(|message| message.bytes.starts_with(b"01"));
    messages.iter().for_each(|message| message.check_mac(mac));
    let counters: HashSet<String> = payments.iter().map(|message| message.check_cryptogram(master)).collect();
    assert_eq!(counters.len(), payments.len(), "a counter was used twice");
    assert!(reversals.iter().all(|message| !message.elements.contains_key(&52)), "a reversal has a PIN");
    let with_pin: Vec<&&Seen> =
        payments.iter().filter(|message| message.elements.contains_key(&52)).collect();
    assert!(with_pin.iter().all(|message| message.pin(zone) == "4071"));
    assert!(payments.len() > 100 && reversals.len() > 5, "{} {}", payments.len(), reversals.len());
    assert!(with_pin.len() > payments.len() / 2 && with_pin.len() < payments.len());
}
