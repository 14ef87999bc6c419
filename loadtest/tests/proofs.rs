//! What messages prove themselves with, read by a host that has the keys: PIN block, cryptogram and MAC of every message
//! that the program sends.

mod shell;

use std::io::{Read, Write};
use std::net::TcpListener;

use codecs::discretionary::Layout;
use codecs::iso8583::dialect::{ISO87_ASCII, ISO87_BINARY};
use codecs::iso8583::{De, Dialect, Index, Message};
use loadtest::codes::Code;
use loadtest::dice::Dice;
use loadtest::proof::cryptogram::{Cryptograms, Purchase};
use loadtest::proof::cvc3::StripeCodes;
use loadtest::proof::key::TestKey;
use loadtest::proof::mac::{MessageMac, RetailMac};
use loadtest::proof::pin::PinBlocks;
use loadtest::proof::rotating::account;
use loadtest::respond;
use shell::{output, scratch};

const ZONE: &str = "3DDADFB0DC7654049D89B96E048AE3EC";
const MASTER: &str = "32C725EF752C6B10971F9E19E6BAF280";
const MAC: &str = "6189A40D7386D9765B25FE8C7FF48629";

/// What a host checks; it answers 05 to what is wrong.
struct Host {
    dialect: &'static Dialect,
    mac: MessageMac,
}

impl Host {
    fn is_right(&self, message: &Message<'_>, bytes: &[u8]) -> bool {
        let raw = |de: De, room: &mut [u8; 128]| message.decode(de, room).map(<[u8]>::to_vec);
        let mut room = [0; 128];
        let Some(mac_at) = message.value_offset(De::MAC_64) else { return false };
        let authentic =
            raw(De::MAC_64, &mut room) == Some(self.mac.mac(&bytes[..usize::from(mac_at)]).to_vec());
        let pan = message.track2().unwrap().unwrap().pan();
        let pan = pan.danger_clear_digits();
        let pins = PinBlocks::new(&TestKey::parse(ZONE).unwrap(), false, "1234");
        let pin = raw(De::PIN, &mut room) == Some(pins.block(pan, &mut Dice::new(1)).to_vec());
        let Some(chip) = raw(De::ICC_DATA, &mut room) else { return false };
        let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        let purchase = Purchase {
            pan,
            amount: message.number(De::AMOUNT).unwrap(),
            currency: *b"840",
            date: &digits(&chip[37..40]).into_bytes(),
            kind: *b"00",
            un: u32::from_be_bytes(chip[46..50].try_into().unwrap()),
            atc: u16::from_be_bytes(chip[57..59].try_into().unwrap()),
        };
        let cryptograms = Cryptograms::new(&TestKey::parse(MASTER).unwrap());
        authentic && pin && cryptograms.element(&purchase)[..] == chip[..]
    }

    /// Serves one link until it ends.
    fn serve(&self, listener: &TcpListener) {
        let (mut stream, _) = listener.accept().unwrap();
        loop {
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                return;
            }
            let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut bytes).unwrap();
            let mut index = Index::new();
            self.dialect.parse(&bytes, &mut index).unwrap();
            let message = Message::new(self.dialect, &bytes, &index);
            let code = if self.is_right(&message, &bytes) { &b"00"[..] } else { b"05" };
            let mut room = [0; 512];
            let length =
                respond::answer(&message, Code::parse(code).unwrap(), Some(*b"123456"), &mut room).unwrap();
            stream.write_all(&[&(length as u16).to_be_bytes()[..], &room[..length]].concat()).unwrap();
        }
    }
}

fn run(host: Host, dialect: &str, algorithm: &str, keys: [&str; 3]) -> (Option<i32>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let host = std::thread::spawn(move || host.serve(&listener));
    let [zone, master, mac] = keys;
    let profile = scratch(&format!("proofs_{dialect}_{algorithm}_{}.toml", &zone[..4]));
    let text = format!(
        "name = 'proofs'\n[load]\nconnections = 1\n[pin]\ntest_key = '{zone}'\ntest_pin = '1234'\n\
         [cryptogram]\ntest_key = '{master}'\n[mac]\nalgorithm = '{algorithm}'\ntest_key = '{mac}'\n\
         [[case]]\nname = 'chip and PIN'\nweight = 1\niin = '99996'\npin = true\nchip = true\nexpect = ['00']\n"
    );
    std::fs::write(&profile, text).unwrap();
    let fixed =
        ["run", profile.to_str().unwrap(), "--connect", &address, "--dialect", dialect, "--rate", "200"];
    let promises = ["--seconds", "1", "--quiet", "--threshold", "unexpected=0", "--threshold", "missing=0"];
    let output = output(&[&fixed[..], &promises].concat());
    host.join().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!keys.iter().any(|key| said.contains(*key)), "a key was shown: {said}");
    (output.status.code(), said)
}

#[test]
fn a_host_with_the_keys_finds_everything_right() {
    let retail = MessageMac::Retail(RetailMac::new(&TestKey::parse(MAC).unwrap()));
    let cmac = MessageMac::cmac(&TestKey::parse(MAC).unwrap());
    let (code, said) =
        run(Host { dialect: &ISO87_ASCII, mac: retail }, "iso87-ascii", "retail", [ZONE, MASTER, MAC]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) =
        run(Host { dialect: &ISO87_BINARY, mac: cmac }, "iso87-binary", "cmac", [ZONE, MASTER, MAC]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_host_with_other_keys_finds_it_wrong() {
    for (at, name) in [(0, "pin"), (1, "cryptogram"), (2, "mac")] {
        let mut keys = [ZONE, MASTER, MAC];
        keys[at] = "FF0102030405060708090A0B0C0D0E0F";
        let retail = MessageMac::Retail(RetailMac::new(&TestKey::parse(MAC).unwrap()));
        let (code, said) = run(Host { dialect: &ISO87_ASCII, mac: retail }, "iso87-ascii", "retail", keys);
        assert!(code == Some(99) && said.contains("approved             0"), "{name}: {said}");
    }
}

/// Reads the codes as an issuer would: digits where a reader put them, and a CVC3 of the private counter that belongs to the
/// public one.
#[test]
fn codes_of_profile_cvc3_stand_where_a_reader_puts_them() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let host = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut length, mut seen) = ([0; 2], Vec::new());
        while stream.read_exact(&mut length).is_ok() {
            let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut bytes).unwrap();
            let mut index = Index::new();
            ISO87_ASCII.parse(&bytes, &mut index).unwrap();
            let message = Message::new(&ISO87_ASCII, &bytes, &index);
            let mut room = [0; 64];
            seen.push(String::from_utf8(message.decode(De::TRACK2, &mut room).unwrap().to_vec()).unwrap());
            let mut room = [0; 512];
            let length = respond::answer(&message, Code::parse(b"00").unwrap(), None, &mut room).unwrap();
            stream.write_all(&[&(length as u16).to_be_bytes()[..], &room[..length]].concat()).unwrap();
        }
        seen
    });
    let profile = scratch("cvc3.toml");
    let text = format!(
        "name = 'cvc3'\n[load]\nconnections = 1\n[[program]]\nname = 'tap'\nkind = 'rotating_atc'\nprofile = 'cvc3'\n\
         iin = '999910'\ncards = 3\npsn = 1\ntest_key = '{MASTER}'\ncard_test_key = '{ZONE}'\n\
         bitmaps = {{ pcvc3 = '0038', punatc = '03C6', natc = 4 }}\n\
         [[case]]\nname = 'tap'\nweight = 1\nprogram = 'tap'\nexpect = ['00']\n"
    );
    std::fs::write(&profile, text).unwrap();
    let load = ["--rate", "200", "--seconds", "0.5", "--quiet", "--threshold", "unexpected=0"];
    let said = output(&[&["run", profile.to_str().unwrap(), "--connect", &address], &load[..]].concat());
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));

    let seen = host.join().unwrap();
    assert!(seen.len() > 50, "{}", seen.len());
    let layout = Layout::Bitmaps { pcvc3: 0x0038, punatc: 0x03C6, natc: 4 };
    let codes = StripeCodes::new(&TestKey::parse(MASTER).unwrap(), &TestKey::parse(ZONE).unwrap());
    for track in seen {
        let (pan, rest) = track.split_once('=').unwrap();
        let (fixed, digits) = rest.split_at(7);
        let data = layout.extract(digits.as_bytes()).unwrap();
        // As it was personalised, what the reader wrote is zero.
        let card = codes.card(pan.as_bytes(), 1, &format!("{pan}={fixed}{}", "0".repeat(13)));
        let entry = (account(pan.as_bytes(), 1), 1, data.atc.number() as u16);
        let code = codes.code(&card, entry, data.un.number() as u32) % 1_000;
        assert_eq!(data.code.number(), code, "{digits}");
    }
}
