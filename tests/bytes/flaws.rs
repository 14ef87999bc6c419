//! B11: every way to write an element wrong. Each is 30 with its own trace number, the connection stays, and
//! nothing is forwarded.

use codecs::iso8583::{De, Dialect, Index, Message};
use tests::{Plain, Rig, Setup, purchase};

const FIELDS: &str =
    "33=200002 43=\"CORNER SHOP\" 48=\"TERMINAL DATA 0017\" 55=9F360200428202 60=0020 102=ACCOUNT0001";

/// A flaw: what it is, and how it is put into a good message.
type Flaw = (&'static str, fn(&Good) -> Vec<u8>);

/// A good message and where its elements lie.
struct Good {
    dialect: &'static Dialect,
    bytes: Vec<u8>,
}

impl Good {
    /// Offset and length of an element with its length prefix.
    fn element(&self, de: u8) -> (usize, usize, usize) {
        let mut index = Index::new();
        self.dialect.parse(&self.bytes, &mut index).expect("a good message");
        let message = Message::new(self.dialect, &self.bytes, &index);
        let de = De::new(de).expect("1 to 128");
        let value = usize::from(message.value_offset(de).expect("present"));
        let (raw, content) =
            (message.raw(de).expect("present").len(), message.value(de).expect("present").len());
        (value - (raw - content), value, content)
    }

    /// The same with other bytes from an offset on.
    fn with(&self, at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut changed = self.bytes.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    }

    fn with_prefix(&self, de: u8, prefix: &[u8]) -> Vec<u8> {
        self.with(self.element(de).0, prefix)
    }

    fn with_content(&self, de: u8, content: &[u8]) -> Vec<u8> {
        self.with(self.element(de).1, content)
    }

    /// The same with one more bit in the bitmap of an ASCII message.
    fn with_bit_in_ascii(&self, bit: usize) -> Vec<u8> {
        let at = 4 + (bit - 1) / 4;
        let digit = (self.bytes[at] as char).to_digit(16).expect("hex") | 8 >> ((bit - 1) % 4);
        self.with(at, format!("{digit:X}").as_bytes())
    }

    /// The same in a dialect with a binary bitmap behind an MTI of so many bytes.
    fn with_bit_in_binary(&self, mti_bytes: usize, bit: usize) -> Vec<u8> {
        let at = mti_bytes + (bit - 1) / 8;
        self.with(at, &[self.bytes[at] | 0x80 >> ((bit - 1) % 8)])
    }
}

const ASCII_FLAWS: [Flaw; 17] = [
    ("LL beyond the field's own bound", |good| good.with_prefix(33, b"12")),
    ("LL beyond the message", |good| good.with_prefix(102, b"28")),
    ("LL that is no number", |good| good.with_prefix(33, b"0x")),
    ("LL with a sign", |good| good.with_prefix(33, b"+6")),
    ("LL with a blank", |good| good.with_prefix(33, b" 6")),
    ("LLL beyond the message", |good| good.with_prefix(48, b"999")),
    ("LLL that is no number", |good| good.with_prefix(48, b"zzz")),
    ("LLL too short, so that the rest shifts", |good| good.with_prefix(48, b"017")),
    ("LLL of hex with half a byte", |good| good.with_prefix(55, b"013")),
    ("hex that is none", |good| good.with_content(55, b"9G")),
    ("letters among digits", |good| good.with_content(33, b"2O")),
    ("a control character in text", |good| good.with_content(43, b"\x07")),
    ("a byte above 0x7F in text", |good| good.with_content(43, b"\xE9")),
    ("a tertiary bitmap", |good| good.with_bit_in_ascii(65)),
    ("an element announced and absent", |good| good.with_bit_in_ascii(103)),
    ("all 128 elements announced", |good| good.with(4 + 16, b"FFFFFFFFFFFFFFFF")),
    ("bytes after the last element", |good| [good.bytes.as_slice(), b"0"].concat()),
];

const BINARY_FLAWS: [Flaw; 10] = [
    ("LL with a bad BCD nibble", |good| good.with_prefix(33, &[0x0A])),
    ("LL beyond the field's own bound", |good| good.with_prefix(33, &[0x12])),
    ("LLL beyond the message", |good| good.with_prefix(48, &[0x09, 0x99])),
    ("LLL with a bad BCD nibble", |good| good.with_prefix(48, &[0x00, 0xF8])),
    ("a bad BCD nibble in digits", |good| good.with_content(33, &[0x2A])),
    ("a separator among digits", |good| good.with_content(33, &[0xD0])),
    ("a control character in text", |good| good.with_content(43, &[0x00])),
    ("a tertiary bitmap", |good| good.with_bit_in_binary(2, 65)),
    ("an element announced and absent", |good| good.with_bit_in_binary(2, 103)),
    ("the last element twice", |good| {
        let (start, ..) = good.element(102);
        [&good.bytes, &good.bytes[start..]].concat()
    }),
];

const EBCDIC_FLAWS: [Flaw; 6] = [
    ("LL in ASCII digits", |good| good.with_prefix(33, b"06")),
    ("LL beyond the field's own bound", |good| good.with_prefix(33, &[0xF1, 0xF2])),
    ("LLL beyond the message", |good| good.with_prefix(48, &[0xF9, 0xF9, 0xF9])),
    ("letters among digits", |good| good.with_content(33, &[0xC1])),
    ("a control character in text", |good| good.with_content(43, &[0x05])),
    ("bytes after the last element", |good| [good.bytes.as_slice(), &[0xF0]].concat()),
];

#[test]
fn b11_flaws_in_ascii_are_30() {
    each_is_30("iso87-ascii", &ASCII_FLAWS);
}

#[test]
fn b11_flaws_in_binary_are_30() {
    each_is_30("iso87-binary", &BINARY_FLAWS);
}

#[test]
fn b11_flaws_in_ebcdic_are_30() {
    each_is_30("iso87-ebcdic", &EBCDIC_FLAWS);
}

fn each_is_30(dialect: &str, flaws: &[Flaw]) {
    let Some(rig) = Setup::new().set("acquirer.north.dialect", dialect).start() else { return };
    let mut north = rig.acquirer("north");
    let dialect = north.wire().dialect;
    for (number, (name, flaw)) in flaws.iter().enumerate() {
        let text = purchase(&format!("{FIELDS} 11={number:06}"));
        let good = Good { dialect, bytes: Plain::of(&text).encode(dialect) };
        let frame = north.wire().frame(&flaw(&good));
        north.send_bytes(&frame);
        // The next request tells apart a missing answer and a late one.
        north.send(&purchase(&format!("11=9{number:05}")));
        let answer = north.receive();
        let misfits =
            answer.plain.misfits(&north.wire().expectation(&format!("0110 11={number:06} 38=- 39=30")));
        assert!(misfits.is_empty(), "{name}: {misfits:?}");
        north.expect(&format!("0110 11=9{number:05} 39=00"));
    }
    nothing_was_forwarded_but(&rig, flaws.len());
}

fn nothing_was_forwarded_but(rig: &Rig, good: usize) {
    let seen = rig.issuer("maple").seen();
    assert_eq!(seen.len(), good, "a flawed message was forwarded");
}

/// Two variable elements whose lengths lie in each other's favour: the sum is right, the parts are wrong.
#[test]
fn b11_lengths_that_cancel_out_do_not_change_what_is_forwarded() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let dialect = north.wire().dialect;
    let good = Plain::of(&purchase("11=000001 32=100001 33=200002")).encode(dialect);
    let text = String::from_utf8(good).expect("ASCII").replacen("0610000106200002", "0710000100520002", 1);
    let frame = north.wire().frame(text.as_bytes());
    north.send_bytes(&frame);
    let answer = north.receive();
    // It reads as DE 32 = 1000010 and DE 33 = 20002: well-formed, so it is that, byte for byte, or refused.
    if answer.plain.get(39) == "00" {
        let seen = rig.issuer("maple").wait_seen(1);
        assert_eq!((seen[0].plain().get(32), seen[0].plain().get(33)), ("1000010", "20002"));
    } else {
        assert_eq!(answer.plain.get(39), "30");
    }
}
