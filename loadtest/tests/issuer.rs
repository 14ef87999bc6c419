//! The model issuer, asked one message at a time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use codecs::iso8583::{De, DeSet, Dialect, Encoder, Index, Message};
use loadtest::issuer::behaviour::{Declines, Faults, Latency};
use loadtest::issuer::{Issuer, IssuerConfig};
use loadtest::{profile, units};

fn config(dialect: &str) -> IssuerConfig {
    IssuerConfig {
        name: "maple".to_string(),
        listen: vec!["127.0.0.1:0".to_string()],
        connect: Vec::new(),
        dialect: profile::dialect(dialect).unwrap(),
        framing: units::framing("binary2,header=5").unwrap(),
        latency: Latency::None,
        declines: Declines::default(),
        faults: Faults::default(),
        stalls: None,
        outages: None,
        seed: 1,
        length: None,
    }
}

/// One link to an issuer.
struct Asker {
    stream: TcpStream,
    dialect: &'static Dialect,
}

/// An answer: the message type, then the elements that were asked for; absent ones are empty.
type Answer = Vec<String>;

impl Asker {
    fn new(issuer: &Issuer, dialect: &str) -> Asker {
        let stream = TcpStream::connect(issuer.addresses()[0]).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Asker { stream, dialect: profile::dialect(dialect).unwrap() }
    }

    /// Asks, and returns what stands in the answer's `wanted` elements.
    fn ask(&mut self, mti: &[u8; 4], elements: &[(De, &str)], wanted: &[De]) -> Answer {
        let present = elements.iter().fold(DeSet::EMPTY, |set, (de, _)| set.with(*de));
        let mut room = [0; 512];
        let mut encoder = Encoder::new_with_digits(self.dialect, *mti, present, &mut room).unwrap();
        for (de, value) in elements {
            encoder.put(*de, value.as_bytes()).unwrap();
        }
        let length = encoder.finish().unwrap();
        self.ask_bytes(&room[..length], wanted)
    }

    fn ask_bytes(&mut self, message: &[u8], wanted: &[De]) -> Answer {
        let length = u16::try_from(message.len() + 5).unwrap().to_be_bytes();
        self.stream.write_all(&[&length, &b"TPDU5"[..], message].concat()).unwrap();
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).unwrap();
        assert_eq!(&head[2..], b"TPDU5", "the header is echoed");
        let mut answer = vec![0; usize::from(u16::from_be_bytes([head[0], head[1]])) - 5];
        self.stream.read_exact(&mut answer).unwrap();

        let mut index = Index::new();
        self.dialect.parse(&answer, &mut index).unwrap();
        let view = Message::new(self.dialect, &answer, &index);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut room = [0; 64];
        let elements: Vec<String> =
            wanted.iter().map(|de| text(view.decode(*de, &mut room).unwrap_or_default())).collect();
        [vec![text(&view.mti_digits().unwrap())], elements].concat()
    }
}

/// A purchase with this card and amount.
fn purchase<'a>(pan: &'a str, amount: &'a str) -> Vec<(De, &'a str)> {
    vec![
        (De::PAN, pan),
        (De::PROCESSING_CODE, "000000"),
        (De::AMOUNT, amount),
        (De::TRANSMISSION_TIME, "1123000101"),
        (De::STAN, "000042"),
        (De::EXPIRY, "4912"),
        (De::RRN, "000000000042"),
        (De::TERMINAL, "T0000001"),
        (De::CURRENCY, "840"),
    ]
}

const GOOD_CARD: &str = "9999600000000019";

#[test]
fn every_type_has_its_answer() {
    const ORIGINAL: &str = "010000004211230001010000010000100000000000";
    let issuer = Issuer::start(config("iso87-ascii")).unwrap();
    let mut asker = Asker::new(&issuer, "iso87-ascii");
    let sale = purchase(GOOD_CARD, "000000001000");
    for (mti, response) in [(b"0100", "0110"), (b"0200", "0210"), (b"0120", "0130"), (b"0221", "0230")] {
        let answer = asker.ask(mti, &sale, &[De::RESPONSE_CODE, De::STAN, De::RRN, De::EXPIRY]);
        assert_eq!(answer, [response, "00", "000042", "000000000042", ""]);
    }
    let undo = [&sale[1..5], &sale[6..], &[(De::ORIGINAL, ORIGINAL)]].concat();
    for (mti, response) in [(b"0400", "0410"), (b"0420", "0430"), (b"0421", "0430")] {
        let answer = asker.ask(mti, &undo, &[De::RESPONSE_CODE, De::ORIGINAL, De::APPROVAL_CODE]);
        assert_eq!(answer, [response, "00", ORIGINAL, ""]);
    }
    let echo = [(De::TRANSMISSION_TIME, "1123000101"), (De::STAN, "000001"), (De::NETWORK_CODE, "301")];
    assert_eq!(asker.ask(b"0800", &echo, &[De::RESPONSE_CODE, De::NETWORK_CODE]), ["0810", "00", "301"]);
    let summary = issuer.stop().unwrap();
    assert_eq!((summary.received(), summary.answered()), (8, 8));
}

#[test]
fn what_is_wrong_with_a_card_or_a_message_is_said() {
    let issuer = Issuer::start(config("iso87-ascii")).unwrap();
    let mut asker = Asker::new(&issuer, "iso87-ascii");
    let wanted = [De::RESPONSE_CODE, De::APPROVAL_CODE];
    let mut ask = |elements: &[(De, &str)]| asker.ask(b"0100", elements, &wanted)[1..].to_vec();
    assert_eq!(ask(&purchase("9999600000000018", "000000001000")), ["14", ""]);
    assert_eq!(ask(&purchase(GOOD_CARD, "000000000000")), ["13", ""]);
    let mut expired = purchase(GOOD_CARD, "000000001000");
    expired[5].1 = "2001";
    assert_eq!(ask(&expired), ["54", ""]);

    let broken = b"010010200000000000000000000A0010000042";
    assert_eq!(asker.ask_bytes(broken, &[De::RESPONSE_CODE, De::STAN]), ["0110", "30", "000042"]);
    issuer.stop().unwrap();
}

#[test]
fn a_repeat_is_told_the_same_in_the_words_of_its_edition() {
    let mut settings = config("iso93-binary");
    settings.declines = "51=0.5".parse().unwrap();
    let issuer = Issuer::start(settings).unwrap();
    let mut asker = Asker::new(&issuer, "iso93-binary");
    let mut codes = Vec::new();
    for amount in 1..=40 {
        let amount = format!("{amount:012}");
        let mut sale = purchase(GOOD_CARD, &amount);
        sale.insert(5, (De::LOCAL_TIME, "261123000101"));
        let wanted = [De::RESPONSE_CODE, De::APPROVAL_CODE];
        let first = asker.ask(b"1100", &sale, &wanted);
        assert_eq!(first, asker.ask(b"1101", &sale, &wanted));
        assert_eq!(first[0], "1110");
        assert_eq!(first[1] == "000", first[2].len() == 6);
        codes.push(first[1].clone());
    }
    assert!(codes.iter().all(|code| code == "000" || code == "116"), "{codes:?}");
    assert!(codes.contains(&"000".to_string()) && codes.contains(&"116".to_string()));
    issuer.stop().unwrap();
}

#[test]
fn latency_is_kept() {
    let mut settings = config("iso87-ascii");
    settings.latency = "fixed 30ms".parse().unwrap();
    let issuer = Issuer::start(settings).unwrap();
    let mut asker = Asker::new(&issuer, "iso87-ascii");
    let start = std::time::Instant::now();
    for _ in 0..3 {
        asker.ask(b"0100", &purchase(GOOD_CARD, "000000001000"), &[]);
    }
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(90) && elapsed < Duration::from_secs(3), "{elapsed:?}");
    issuer.stop().unwrap();
}

#[test]
fn an_issuer_may_be_the_one_who_connects() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = config("iso87-ascii");
    settings.listen.clear();
    settings.connect = vec![listener.local_addr().unwrap().to_string()];
    let issuer = Issuer::start(settings).unwrap();
    // A lost link comes back.
    for _ in 0..2 {
        let (stream, _) = listener.accept().unwrap();
        let mut asker = Asker { stream, dialect: profile::dialect("iso87-ascii").unwrap() };
        let answer = asker.ask(b"0100", &purchase(GOOD_CARD, "000000001000"), &[De::RESPONSE_CODE]);
        assert_eq!(answer, ["0110", "00"]);
    }
    assert_eq!(issuer.stop().unwrap().links_opened, 2);
}
