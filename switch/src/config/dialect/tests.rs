//! The files shown to users, and what may be wrong with others.

use std::path::Path;

use codecs::iso8583::dialect::{BUILT_IN, ISO87_ASCII, ISO87_BINARY};
use codecs::iso8583::{De, DeSet, Dialect, FieldSpec, Kind, Length, PrefixText, Text, Version};

use super::parse;
use crate::config::fault::{Faults, Report};

const SHOWN: [(&str, &str); 5] = [
    ("iso87-ascii", include_str!("../../../dialects/iso87-ascii.toml")),
    ("iso87-binary", include_str!("../../../dialects/iso87-binary.toml")),
    ("iso87-ebcdic", include_str!("../../../dialects/iso87-ebcdic.toml")),
    ("iso93-ascii", include_str!("../../../dialects/iso93-ascii.toml")),
    ("iso93-binary", include_str!("../../../dialects/iso93-binary.toml")),
];

fn read(text: &str) -> Result<Dialect, String> {
    let mut report = Report::new(Path::new("switch.toml"), "", &[]);
    parse(text, Path::new("d.toml"), &mut report).ok_or_else(|| Faults::new(report.faults).to_string())
}

/// Reads a file and compares its faults, one a line.
fn check(text: &str, faults: &str) {
    let found = read(text).map(|_| ()).unwrap_err();
    assert_eq!(found.lines().collect::<Vec<_>>(), faults.trim_start().lines().collect::<Vec<_>>(), "{text}");
}

#[test]
fn each_file_shown_is_the_built_in_dialect() {
    assert_eq!(SHOWN.map(|(name, _)| name), *BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for ((name, text), (_, built_in)) in SHOWN.iter().zip(BUILT_IN) {
        let dialect = read(text).unwrap_or_else(|faults| panic!("{name}: {faults}"));
        for number in 1..=128 {
            let de = De::new(number).unwrap();
            assert_eq!(dialect.field(de), built_in.field(de), "{name} {de}");
        }
        assert_eq!(dialect.rules, built_in.rules, "{name}");
        assert_eq!(dialect, **built_in, "{name}");
    }
}

#[test]
fn each_file_shown_gives_one_line_and_a_comment_to_each_element() {
    for (name, text) in SHOWN {
        let fields = text.split("[fields]\n").nth(1).unwrap().split("\n\n").next().unwrap();
        assert!(fields.lines().all(|line| line.contains(" = \"") && line.contains("# ")), "{name}");
        assert!(text.lines().all(|line| line.len() <= 110), "{name}");
    }
}

#[test]
fn a_base_alone_is_that_base() {
    for (name, built_in) in BUILT_IN {
        assert_eq!(read(&format!("base = {name:?}")).as_ref(), Ok(*built_in), "{name}");
    }
}

#[test]
fn what_a_file_says_replaces_the_base() {
    let dialect = read(
        r#"
        base = "iso87-ascii"
        mti = "bcd"
        echo = [2, 11]
        fields.61 = "none"
        fields.48 = { attribute = "ans....2000", prefix = "binary" }
        rules.0100 = { mandatory = [11], one_of = [[2, 35]], when = { 52 = [53] } }
        rules.0600 = { forbidden = [39] }
        "#,
    )
    .unwrap();
    let base = &ISO87_ASCII;
    assert_eq!((dialect.mti, dialect.bitmap, dialect.version), (Text::Bcd, base.bitmap, Version::V1987));
    assert_eq!(dialect.echo, DeSet::from_numbers(&[2, 11]));
    assert_eq!(dialect.fields()[61], None);
    let length = Length::Var { prefix_digits: 4, max: 2_000 };
    let spec = FieldSpec { kind: Kind::Text, length, text: Text::Ascii, prefix: PrefixText::Binary };
    assert_eq!(dialect.fields()[48], Some(spec));
    assert_eq!(dialect.fields()[2], base.fields()[2]);

    let rules: Vec<_> = dialect.rules.iter().flatten().collect();
    assert_eq!(rules.len(), base.rules.iter().flatten().count() + 1);
    assert_eq!(rules[0].mandatory, DeSet::of(&[De::STAN]));
    assert_eq!(rules[0].one_of, [DeSet::of(&[De::PAN, De::TRACK2]), DeSet::EMPTY]);
    assert_eq!(rules[0].when[0], (De::PIN, DeSet::of(&[De::SECURITY_CONTROL])));
    assert_eq!(rules.last().map(|rule| rule.mti), Some(*b"60"));
}

#[test]
fn an_encoding_holds_for_the_fields_of_the_base() {
    let binary = read(
        r#"
        base = "iso87-ascii"
        mti = "bcd"
        bitmap = "binary"
        encoding = { digits = "bcd", track = "bcd-left", binary = "raw", prefix = "bcd" }
        "#,
    );
    assert_eq!(binary, Ok(ISO87_BINARY.clone()));
}

#[test]
fn faults_of_the_file() {
    check(
        r#""#,
        r#"
d.toml:1:1: found neither "version" nor a base that has it, expected version = 1987
d.toml:1:1: found neither "mti" nor a base that has it, expected mti = "ascii"
d.toml:1:1: found neither "bitmap" nor a base that has it, expected bitmap = "binary"
d.toml:1:1: found neither "encoding.digits" nor a base that has it, expected encoding.digits = "ascii"
d.toml:1:1: found neither "encoding.track" nor a base that has it, expected encoding.track = "ascii"
d.toml:1:1: found neither "encoding.characters" nor a base that has it, expected encoding.characters = "ascii"
d.toml:1:1: found neither "encoding.binary" nor a base that has it, expected encoding.binary = "raw"
d.toml:1:1: found neither "encoding.prefix" nor a base that has it, expected encoding.prefix = "ascii"
d.toml:1:1: found neither "echo" nor a base that has it, expected echo = [2, 3, 4, 7, 11, ...]"#,
    );
    check(
        r#"base = "iso87-asci""#,
        r#"
d.toml:1:8: found unknown base "iso87-asci", expected one of iso87-ascii, iso87-binary, iso87-ebcdic, iso93-ascii, iso93-binary; did you mean "iso87-ascii"?"#,
    );
    check(
        r#"base = "iso87-ascii"
version = 1993
mti = "raw"
bitmap = 1
echo = [2, 65, 200]
[encodings]"#,
        r#"
d.toml:2:11: found another version than that of the base, expected the same, or none
d.toml:3:7: found unknown encoding "raw", expected one of ascii, ebcdic, bcd
d.toml:4:10: found bitmap = 1, expected a text in quotes
d.toml:5:12: found DE 65, which the dialect does not define, expected an element of [fields]
d.toml:5:16: found 200 in echo, expected the number of an element, 1 to 128
d.toml:6:2: found unknown key "encodings", expected one of base, version, mti, bitmap, echo, encoding, fields, rules; did you mean "encoding"?"#,
    );
    check(
        r#"version = 2003"#,
        r#"
d.toml:1:1: found neither "mti" nor a base that has it, expected mti = "ascii"
d.toml:1:1: found neither "bitmap" nor a base that has it, expected bitmap = "binary"
d.toml:1:1: found neither "encoding.digits" nor a base that has it, expected encoding.digits = "ascii"
d.toml:1:1: found neither "encoding.track" nor a base that has it, expected encoding.track = "ascii"
d.toml:1:1: found neither "encoding.characters" nor a base that has it, expected encoding.characters = "ascii"
d.toml:1:1: found neither "encoding.binary" nor a base that has it, expected encoding.binary = "raw"
d.toml:1:1: found neither "encoding.prefix" nor a base that has it, expected encoding.prefix = "ascii"
d.toml:1:1: found neither "echo" nor a base that has it, expected echo = [2, 3, 4, 7, 11, ...]
d.toml:1:11: found version = 2003, expected 1987 or 1993"#,
    );
    check(
        r#"base = "iso87-ascii"
[encoding]
digits = "raw"
characters = "bcd"
prefx = "bcd""#,
        r#"
d.toml:3:10: found unknown encoding "raw", expected one of ascii, ebcdic, bcd, bcd-left
d.toml:4:14: found unknown encoding "bcd", expected one of ascii, ebcdic
d.toml:5:1: found unknown key "prefx", expected one of digits, track, characters, binary, prefix; did you mean "prefix"?"#,
    );
}

#[test]
fn faults_of_fields() {
    check(
        r#"base = "iso87-ascii"
[fields]
1 = "b8"
65 = "b8"
129 = "n1"
02 = "n1"
x = "n1"
2 = "n"
3 = "q6"
4 = "n..100"
5 = "n0"
6 = "n.....5"
7 = 7
8 = {}
9 = { attribute = "n3", txt = "bcd" }
10 = { attribute = "b3", text = "bcd" }
11 = { attribute = "n..9", prefix = "hex" }"#,
        r#"
d.toml:3:1: found element "1", expected a number from 2 to 128, but not 65
d.toml:4:1: found element "65", expected a number from 2 to 128, but not 65
d.toml:5:1: found element "129", expected a number from 2 to 128, but not 65
d.toml:6:1: found element "02", expected a number from 2 to 128, but not 65
d.toml:7:1: found element "x", expected a number from 2 to 128, but not 65
d.toml:8:5: found 2 = "n", expected an attribute as the standard writes it, such as "n6", "x+n8", "ans..25", "ans...999" or "b8"
d.toml:9:5: found 3 = "q6", expected an attribute as the standard writes it, such as "n6", "x+n8", "ans..25", "ans...999" or "b8"
d.toml:10:5: found 4 = "n..100", expected a length from 1 to what its prefix can count
d.toml:11:5: found 5 = "n0", expected a length from 1 to what its prefix can count
d.toml:12:5: found 6 = "n.....5", expected an attribute as the standard writes it, such as "n6", "x+n8", "ans..25", "ans...999" or "b8"
d.toml:13:5: found 7 = 7, expected an attribute as the standard writes it, such as "n6", "x+n8", "ans..25", "ans...999" or "b8"
d.toml:14:5: found no "attribute", expected attribute = "..."
d.toml:15:25: found unknown key "txt", expected one of attribute, text, prefix; did you mean "text"?
d.toml:16:33: found unknown encoding "bcd", expected one of raw, hex-ascii, hex-ebcdic
d.toml:17:37: found unknown encoding "hex", expected one of ascii, ebcdic, bcd, binary"#,
    );
}

#[test]
fn faults_of_rules() {
    check(
        r#"base = "iso87-ascii"
fields.61 = "none"
[rules.1100]
[rules.0101]
[rules.0200]
mandatory = [39]
forbidden = [39]
[rules.0400]
one_of = [[2], [3], [4]]
when = { 0 = [1], 2 = [61] }
[rules.0420]
mandatory = [61, "3", 3]
when = { 2 = [3], 3 = [4], 4 = [5], 5 = [6], 6 = [7] }
[rules.0800]
[rules.0804]
always = [1]"#,
        r#"
d.toml:3:8: found "1100", expected a message type of the dialect's version without repeat mark, such as "0100" or "1804"
d.toml:4:8: found "0101", expected a message type of the dialect's version without repeat mark, such as "0100" or "1804"
d.toml:5:8: found DE 39 both mandatory and forbidden, expected one of them
d.toml:9:21: found one list too many, expected at most 2
d.toml:10:10: found "0", expected the number of an element, 1 to 128
d.toml:10:15: found DE 1, which the dialect does not define, expected an element of [fields]
d.toml:10:24: found DE 61, which the dialect does not define, expected an element of [fields]
d.toml:12:14: found DE 61, which the dialect does not define, expected an element of [fields]
d.toml:12:18: found "3" in mandatory, expected a whole number
d.toml:13:46: found one condition too many, expected at most 4
d.toml:15:8: found a second rule for one class and function, expected one rule for each
d.toml:16:1: found unknown key "always", expected one of mandatory, forbidden, one_of, when"#,
    );
    check(
        r#"base = "iso87-ascii"
fields.41 = "none"
rules.0200 = { mandatory = [11] }"#,
        r#"
d.toml:2:8: found no DE 41, which the base demands of messages x10x, expected a rule of your own for them, without it
d.toml:2:8: found no DE 41, which the base demands of messages x12x, expected a rule of your own for them, without it
d.toml:2:8: found no DE 41, which the base demands of messages x22x, expected a rule of your own for them, without it"#,
    );
}
