//! The dialects everyone starts from, as constants.
//!
//! Two tables, one per edition, say what each element holds and how long it is; a second axis, the encoding,
//! says how that is written. Where practice has outgrown the edition the table follows practice: DE 55 holds
//! chip data in 1987 too, the private elements 48 and 60 to 63 hold any printable character, and so does
//! DE 45, whose caret is no letter and no digit.

use super::{Dialect, MAX_RULES, MtiRule};
use crate::iso8583::{BitmapText, De, DeSet, FieldSpec, Kind, Length, PrefixText, Text, Version};

/// The built-in dialects by the names that configuration uses.
pub const BUILT_IN: &[(&str, &Dialect)] = &[
    ("iso87-ascii", &ISO87_ASCII),
    ("iso87-binary", &ISO87_BINARY),
    ("iso87-ebcdic", &ISO87_EBCDIC),
    ("iso93-ascii", &ISO93_ASCII),
    ("iso93-binary", &ISO93_BINARY),
];

/// A built-in dialect by name.
pub fn built_in(name: &str) -> Option<&'static Dialect> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, dialect)| *dialect)
}

/// ISO 8583:1987 in ASCII throughout; bitmaps and binary elements are hexadecimal characters.
pub static ISO87_ASCII: Dialect = dialect(Version::V1987, &ASCII);

/// ISO 8583:1987 with digits in BCD, text in ASCII, bitmaps and binary elements as bytes.
pub static ISO87_BINARY: Dialect = dialect(Version::V1987, &BINARY);

/// ISO 8583:1987 in EBCDIC, with bitmaps and binary elements as bytes.
pub static ISO87_EBCDIC: Dialect = dialect(Version::V1987, &EBCDIC);

/// ISO 8583:1993 in ASCII throughout; bitmaps and binary elements are hexadecimal characters.
pub static ISO93_ASCII: Dialect = dialect(Version::V1993, &ASCII);

/// ISO 8583:1993 with digits in BCD, text in ASCII, bitmaps and binary elements as bytes.
pub static ISO93_BINARY: Dialect = dialect(Version::V1993, &BINARY);

/// How each kind of content is written: the second axis.
struct Encoding {
    mti: Text,
    bitmap: BitmapText,
    digits: Text,
    track: Text,
    characters: Text,
    binary: Text,
    prefix: PrefixText,
}

const ASCII: Encoding = Encoding {
    mti: Text::Ascii,
    bitmap: BitmapText::HexAscii,
    digits: Text::Ascii,
    track: Text::Ascii,
    characters: Text::Ascii,
    binary: Text::HexAscii,
    prefix: PrefixText::Ascii,
};

const BINARY: Encoding = Encoding {
    mti: Text::Bcd,
    bitmap: BitmapText::Binary,
    digits: Text::Bcd,
    track: Text::BcdLeft,
    characters: Text::Ascii,
    binary: Text::Raw,
    prefix: PrefixText::Bcd,
};

const EBCDIC: Encoding = Encoding {
    mti: Text::Ebcdic,
    bitmap: BitmapText::Binary,
    digits: Text::Ebcdic,
    track: Text::Ebcdic,
    characters: Text::Ebcdic,
    binary: Text::Raw,
    prefix: PrefixText::Ebcdic,
};

const fn dialect(version: Version, encoding: &Encoding) -> Dialect {
    let (shapes, rules, echo) = match version {
        Version::V1987 => (SHAPES_1987, RULES_1987, ECHO_1987),
        Version::V1993 | Version::V2003 => (SHAPES_1993, RULES_1993, ECHO_1993),
    };
    Dialect::new(version, encoding.mti, encoding.bitmap, fields(shapes, encoding))
        .with_rules(rule_table(rules), echo)
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "runs when the crate is built"
)]
const fn fields(shapes: &[Shape], encoding: &Encoding) -> [Option<FieldSpec>; 129] {
    let mut fields = [None; 129];
    let mut next = 0;
    while next < shapes.len() {
        let (first, last, kind, length) = shapes[next];
        let mut number = first;
        while number <= last {
            let spec = write_as(kind, length, encoding);
            assert!(spec.is_sound() && fields[number as usize].is_none());
            fields[number as usize] = Some(spec);
            number += 1;
        }
        next += 1;
    }
    fields
}

const fn write_as(kind: Kind, length: Length, encoding: &Encoding) -> FieldSpec {
    let text = match kind {
        Kind::Digits | Kind::SignedDigits => encoding.digits,
        Kind::Track => encoding.track,
        Kind::Alpha | Kind::AlphaDigits | Kind::Text => encoding.characters,
        Kind::Binary => encoding.binary,
    };
    // The prefix counts characters where bytes are shown as such: twice as many, as far as three digits go.
    let length = match (length, text) {
        (Length::Var { prefix_digits, max }, Text::HexAscii | Text::HexEbcdic) => {
            let doubled = max.saturating_mul(2);
            Length::Var { prefix_digits, max: if doubled > 998 { 998 } else { doubled } }
        }
        _ => length,
    };
    FieldSpec { kind, length, text, prefix: encoding.prefix }
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs when the crate is built; too many rules do not build"
)]
const fn rule_table(rules: &[MtiRule]) -> [Option<MtiRule>; MAX_RULES] {
    let mut table = [None; MAX_RULES];
    let mut next = 0;
    while next < rules.len() {
        table[next] = Some(rules[next]);
        next += 1;
    }
    table
}

/// First and last number of a run of like elements, what they hold, how long they are.
type Shape = (u8, u8, Kind, Length);

const fn n(digits: u16) -> (Kind, Length) {
    (Kind::Digits, Length::Fixed(digits))
}

const fn text(characters: u16) -> (Kind, Length) {
    (Kind::Text, Length::Fixed(characters))
}

const fn ll(kind: Kind, max: u16) -> (Kind, Length) {
    (kind, Length::Var { prefix_digits: 2, max })
}

const fn lll(kind: Kind, max: u16) -> (Kind, Length) {
    (kind, Length::Var { prefix_digits: 3, max })
}

const fn one(number: u8, (kind, length): (Kind, Length)) -> Shape {
    (number, number, kind, length)
}

const fn run(first: u8, last: u8, (kind, length): (Kind, Length)) -> Shape {
    (first, last, kind, length)
}

/// ISO 8583:1987, 4.4 (table of data elements).
const SHAPES_1987: &[Shape] = &[
    one(2, ll(Kind::Digits, 19)),
    one(3, n(6)),
    run(4, 6, n(12)),
    one(7, n(10)),
    run(8, 10, n(8)),
    run(11, 12, n(6)),
    run(13, 18, n(4)),
    run(19, 24, n(3)),
    run(25, 26, n(2)),
    one(27, n(1)),
    run(28, 31, (Kind::SignedDigits, Length::Fixed(9))),
    run(32, 33, ll(Kind::Digits, 11)),
    one(34, ll(Kind::Text, 28)),
    one(35, ll(Kind::Track, 37)),
    one(36, lll(Kind::Track, 104)),
    one(37, (Kind::AlphaDigits, Length::Fixed(12))),
    one(38, (Kind::AlphaDigits, Length::Fixed(6))),
    one(39, (Kind::AlphaDigits, Length::Fixed(2))),
    one(40, (Kind::AlphaDigits, Length::Fixed(3))),
    one(41, text(8)),
    one(42, text(15)),
    one(43, text(40)),
    one(44, ll(Kind::Text, 25)),
    one(45, ll(Kind::Text, 76)),
    run(46, 48, lll(Kind::Text, 999)),
    run(49, 51, (Kind::AlphaDigits, Length::Fixed(3))),
    one(52, (Kind::Binary, Length::Fixed(8))),
    one(53, n(16)),
    one(54, lll(Kind::Text, 120)),
    one(55, lll(Kind::Binary, 255)),
    run(56, 63, lll(Kind::Text, 999)),
    one(64, (Kind::Binary, Length::Fixed(8))),
    one(66, n(1)),
    one(67, n(2)),
    run(68, 70, n(3)),
    run(71, 72, n(4)),
    one(73, n(6)),
    run(74, 81, n(10)),
    run(82, 85, n(12)),
    run(86, 89, n(16)),
    one(90, n(42)),
    one(91, (Kind::AlphaDigits, Length::Fixed(1))),
    one(92, (Kind::AlphaDigits, Length::Fixed(2))),
    one(93, (Kind::AlphaDigits, Length::Fixed(5))),
    one(94, (Kind::AlphaDigits, Length::Fixed(7))),
    one(95, (Kind::AlphaDigits, Length::Fixed(42))),
    one(96, (Kind::Binary, Length::Fixed(8))),
    one(97, (Kind::SignedDigits, Length::Fixed(17))),
    one(98, text(25)),
    run(99, 100, ll(Kind::Digits, 11)),
    one(101, ll(Kind::Text, 17)),
    run(102, 103, ll(Kind::Text, 28)),
    one(104, lll(Kind::Text, 100)),
    run(105, 127, lll(Kind::Text, 999)),
    one(128, (Kind::Binary, Length::Fixed(8))),
];

/// ISO 8583:1993, 4.4 (table of data elements).
const SHAPES_1993: &[Shape] = &[
    one(2, ll(Kind::Digits, 19)),
    one(3, n(6)),
    run(4, 6, n(12)),
    one(7, n(10)),
    run(8, 10, n(8)),
    one(11, n(6)),
    one(12, n(12)),
    run(13, 14, n(4)),
    one(15, n(6)),
    run(16, 18, n(4)),
    run(19, 21, n(3)),
    one(22, (Kind::AlphaDigits, Length::Fixed(12))),
    run(23, 24, n(3)),
    run(25, 26, n(4)),
    one(27, n(1)),
    one(28, n(6)),
    one(29, n(3)),
    one(30, n(24)),
    one(31, ll(Kind::Text, 99)),
    run(32, 33, ll(Kind::Digits, 11)),
    one(34, ll(Kind::Text, 28)),
    one(35, ll(Kind::Track, 37)),
    one(36, lll(Kind::Track, 104)),
    run(37, 37, text(12)),
    one(38, text(6)),
    run(39, 40, n(3)),
    one(41, text(8)),
    one(42, text(15)),
    run(43, 44, ll(Kind::Text, 99)),
    one(45, ll(Kind::Text, 76)),
    one(46, lll(Kind::Text, 204)),
    run(47, 48, lll(Kind::Text, 999)),
    run(49, 51, (Kind::AlphaDigits, Length::Fixed(3))),
    one(52, (Kind::Binary, Length::Fixed(8))),
    one(53, ll(Kind::Binary, 48)),
    one(54, lll(Kind::Text, 120)),
    one(55, lll(Kind::Binary, 255)),
    one(56, ll(Kind::Digits, 35)),
    one(57, n(3)),
    one(58, ll(Kind::Digits, 11)),
    run(59, 63, lll(Kind::Text, 999)),
    one(64, (Kind::Binary, Length::Fixed(8))),
    one(66, lll(Kind::Text, 204)),
    one(67, n(2)),
    run(68, 70, n(3)),
    one(71, n(8)),
    one(72, lll(Kind::Text, 999)),
    one(73, n(6)),
    run(74, 85, n(10)),
    run(86, 89, n(16)),
    one(90, n(10)),
    run(91, 92, n(3)),
    run(93, 94, ll(Kind::Digits, 11)),
    one(95, ll(Kind::Text, 99)),
    one(96, lll(Kind::Binary, 999)),
    one(97, (Kind::SignedDigits, Length::Fixed(17))),
    one(98, text(25)),
    one(99, ll(Kind::AlphaDigits, 11)),
    one(100, ll(Kind::Digits, 11)),
    one(101, ll(Kind::Text, 17)),
    run(102, 103, ll(Kind::Text, 28)),
    one(104, lll(Kind::Text, 100)),
    run(105, 106, n(16)),
    run(107, 108, n(10)),
    run(109, 110, ll(Kind::Text, 84)),
    run(111, 127, lll(Kind::Text, 999)),
    one(128, (Kind::Binary, Length::Fixed(8))),
];

/// What hosts really demand of 1987 messages, which is less than the standard's table of mandatory
/// elements: enough to know what is asked, to match the answer, and to undo. DE 37 is not in it because many
/// terminals leave it to their host. A response is held to even less, for an answer refused here is an
/// answer lost.
const RULES_1987: &[MtiRule] = &[
    request_1987(*b"10"),
    response(*b"11", &[7, 11, 39]),
    advice_1987(*b"12"),
    response(*b"13", &[7, 11, 39]),
    request_1987(*b"20"),
    response(*b"21", &[7, 11, 39]),
    advice_1987(*b"22"),
    response(*b"23", &[7, 11, 39]),
    reversal_1987(*b"40"),
    response(*b"41", &[7, 11, 39]),
    reversal_1987(*b"42"),
    response(*b"43", &[7, 11, 39]),
    response(*b"80", &[7, 11, 70]),
    response(*b"81", &[7, 11, 39, 70]),
];

/// As for 1987. Here DE 12 holds date and time and is mandatory, DE 7 need not come; the originals are in
/// DE 56, and DE 24 says what a network message is about.
const RULES_1993: &[MtiRule] = &[
    request_1993(*b"10"),
    response(*b"11", &[11, 12, 39]),
    advice_1993(*b"12"),
    response(*b"13", &[11, 12, 39]),
    request_1993(*b"20"),
    response(*b"21", &[11, 12, 39]),
    advice_1993(*b"22"),
    response(*b"23", &[11, 12, 39]),
    reversal_1993(*b"40"),
    response(*b"41", &[11, 12, 39]),
    reversal_1993(*b"42"),
    response(*b"43", &[11, 12, 39]),
    response(*b"80", &[11, 12, 24]),
    response(*b"81", &[11, 12, 39]),
];

/// A payer must be named somehow: by number, by a track, or by an alias in DE 102.
const PAYER: DeSet = DeSet::from_numbers(&[2, 34, 35, 36, 45, 102]);

/// An amount in a second currency is worth nothing without that currency.
const CURRENCIES: [(De, DeSet); 4] = [
    (De::known(5), DeSet::from_numbers(&[50])),
    (De::known(6), DeSet::from_numbers(&[51])),
    (De::MTI, DeSet::EMPTY),
    (De::MTI, DeSet::EMPTY),
];

/// Nobody has decided yet: no approval code, no response code.
const OUTCOME: DeSet = DeSet::from_numbers(&[38, 39]);

const fn payment(mti: [u8; 2], mandatory: &[u8], forbidden: DeSet) -> MtiRule {
    MtiRule {
        mandatory: DeSet::from_numbers(mandatory),
        forbidden,
        one_of: [PAYER, DeSet::EMPTY],
        when: CURRENCIES,
        ..MtiRule::for_type(mti)
    }
}

const fn request_1987(mti: [u8; 2]) -> MtiRule {
    payment(mti, &[3, 4, 7, 11, 41, 49], OUTCOME)
}

const fn request_1993(mti: [u8; 2]) -> MtiRule {
    payment(mti, &[3, 4, 11, 12, 41, 49], OUTCOME)
}

/// An advice tells an outcome, so that it may carry one.
const fn advice_1987(mti: [u8; 2]) -> MtiRule {
    payment(mti, &[3, 4, 7, 11, 41, 49], DeSet::EMPTY)
}

const fn advice_1993(mti: [u8; 2]) -> MtiRule {
    payment(mti, &[3, 4, 11, 12, 41, 49], DeSet::EMPTY)
}

/// A reversal is found by its original, not by its payer.
const fn reversal_1987(mti: [u8; 2]) -> MtiRule {
    response(mti, &[4, 7, 11, 90])
}

const fn reversal_1993(mti: [u8; 2]) -> MtiRule {
    response(mti, &[4, 11, 12, 56])
}

/// A rule of mandatory elements only.
const fn response(mti: [u8; 2], mandatory: &[u8]) -> MtiRule {
    MtiRule { mandatory: DeSet::from_numbers(mandatory), ..MtiRule::for_type(mti) }
}

/// What the standard has a response echo, and what terminals match it by. Never what must not travel back:
/// tracks, expiry, PIN and chip data.
const ECHO_1987: DeSet = DeSet::from_numbers(&[
    2, 3, 4, 7, 11, 12, 13, 15, 24, 25, 32, 33, 37, 41, 42, 49, 70, 90, 95, 100, 102, 103,
]);

const ECHO_1993: DeSet =
    DeSet::from_numbers(&[2, 3, 4, 7, 11, 12, 15, 24, 32, 33, 37, 41, 42, 49, 56, 93, 94, 100, 102, 103]);
