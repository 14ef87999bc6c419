//! `[fields]` and `[encoding]`: what each element holds and how long it is, and how that is written.

use std::ops::Range;

use codecs::iso8583::{Dialect, FieldSpec, Kind, Length, PrefixText, Text};

use super::inherited;
use super::raw::{Field, Raw};
use crate::config::fault::Report;
use crate::config::given::Given;

/// The elements of a dialect by number.
pub(super) type Fields = [Option<FieldSpec>; 129];

/// What stands for an element that the base has and this dialect has not.
const NONE: &str = "none";

pub(super) const EXPECTED: &str =
    "an attribute as the standard writes it, such as \"n6\", \"x+n8\", \"ans..25\", \"ans...999\" or \"b8\"";

/// How each kind of content is written.
struct Encoding {
    digits: Text,
    track: Text,
    characters: Text,
    binary: Text,
    prefix: PrefixText,
}

/// Kinds that are written alike.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Digits,
    Track,
    Characters,
    Binary,
}

const PACKABLE: &[(&str, Text)] =
    &[("ascii", Text::Ascii), ("ebcdic", Text::Ebcdic), ("bcd", Text::Bcd), ("bcd-left", Text::BcdLeft)];
const CHARACTERS: &[(&str, Text)] = &[("ascii", Text::Ascii), ("ebcdic", Text::Ebcdic)];
const BINARY: &[(&str, Text)] =
    &[("raw", Text::Raw), ("hex-ascii", Text::HexAscii), ("hex-ebcdic", Text::HexEbcdic)];
const PREFIXES: &[(&str, PrefixText)] = &[
    ("ascii", PrefixText::Ascii),
    ("ebcdic", PrefixText::Ebcdic),
    ("bcd", PrefixText::Bcd),
    ("binary", PrefixText::Binary),
];

impl Encoding {
    fn text(&self, kind: Kind) -> Text {
        match Family::of(kind) {
            Family::Digits => self.digits,
            Family::Track => self.track,
            Family::Characters => self.characters,
            Family::Binary => self.binary,
        }
    }
}

impl Family {
    fn of(kind: Kind) -> Family {
        match kind {
            Kind::Digits | Kind::SignedDigits => Family::Digits,
            Kind::Track => Family::Track,
            Kind::Alpha | Kind::AlphaDigits | Kind::Text => Family::Characters,
            Kind::Binary => Family::Binary,
        }
    }

    fn texts(self) -> &'static [(&'static str, Text)] {
        match self {
            Family::Digits | Family::Track => PACKABLE,
            Family::Characters => CHARACTERS,
            Family::Binary => BINARY,
        }
    }
}

pub(super) fn fields(raw: &Raw, base: Option<&Dialect>, report: &mut Report<'_>) -> Option<Fields> {
    let encoding = encoding(raw, base, report)?;
    let mut fields = match base {
        Some(base) => base.fields().map(|spec| spec.map(|spec| rewritten(spec, &encoding))),
        None => [None; 129],
    };
    let mut sound = true;
    for (number, field) in &raw.fields {
        let slot = slot(number.get_ref(), &mut fields);
        if slot.is_none() {
            let found = format!("element {:?}", number.get_ref());
            report.fault(&number.span(), found, "a number from 2 to 128, but not 65");
        }
        match (spec(field.get_ref(), &field.span(), &encoding, report), slot) {
            (Some(spec), Some(slot)) => *slot = spec,
            _ => sound = false,
        }
    }
    sound.then_some(fields)
}

/// Elements 1 and 65 are the bitmaps.
fn slot<'f>(number: &str, fields: &'f mut Fields) -> Option<&'f mut Option<FieldSpec>> {
    let index: usize = number.parse().ok()?;
    let is_plain = !number.starts_with(['0', '+']);
    if is_plain && index >= 2 && index != 65 { fields.get_mut(index) } else { None }
}

fn encoding(raw: &Raw, base: Option<&Dialect>, report: &mut Report<'_>) -> Option<Encoding> {
    let raw = &raw.encoding;
    let digits = text(&raw.digits, Family::Digits, base, report);
    let track = text(&raw.track, Family::Track, base, report);
    let characters = text(&raw.characters, Family::Characters, base, report);
    let binary = text(&raw.binary, Family::Binary, base, report);
    let prefix = match &raw.prefix {
        Some(given) => report.one_of(given, "encoding", PREFIXES),
        None => {
            let mut specs = base.iter().flat_map(|base| base.fields().iter().flatten());
            inherited(specs.next().map(|spec| spec.prefix), "encoding.prefix = \"ascii\"", report)
        }
    };
    Some(Encoding {
        digits: digits?,
        track: track?,
        characters: characters?,
        binary: binary?,
        prefix: prefix?,
    })
}

fn text(
    given: &Option<Given<String>>,
    family: Family,
    base: Option<&Dialect>,
    report: &mut Report<'_>,
) -> Option<Text> {
    if let Some(given) = given {
        return report.one_of(given, "encoding", family.texts());
    }
    // A base writes all elements of a family alike.
    let mut specs = base.iter().flat_map(|base| base.fields().iter().flatten());
    let text = specs.find(|spec| Family::of(spec.kind) == family).map(|spec| spec.text);
    let expected = match family {
        Family::Digits => "encoding.digits = \"ascii\"",
        Family::Track => "encoding.track = \"ascii\"",
        Family::Characters => "encoding.characters = \"ascii\"",
        Family::Binary => "encoding.binary = \"raw\"",
    };
    inherited(text, expected, report)
}

/// An element of the base in the encoding of the file.
fn rewritten(spec: FieldSpec, encoding: &Encoding) -> FieldSpec {
    let length = match (spec.length, spec.text) {
        (Length::Var { prefix_digits, max }, Text::HexAscii | Text::HexEbcdic) => {
            Length::Var { prefix_digits, max: max / 2 }
        }
        (length, _) => length,
    };
    written(spec.kind, length, encoding.text(spec.kind), encoding.prefix)
}

/// An element as a file has it; `Some(None)` for one that is taken away.
fn spec(
    field: &Field,
    at: &Range<usize>,
    encoding: &Encoding,
    report: &mut Report<'_>,
) -> Option<Option<FieldSpec>> {
    let (word, at, text, prefix) = match field {
        Field::Attribute(word) => (word.clone(), at, &None, &None),
        Field::Table(table) => {
            let word = report.required(&table.attribute, at, "attribute")?;
            let at = table.attribute.as_ref().map_or(at, |given| &given.at);
            (word, at, &table.text, &table.prefix)
        }
    };
    if word == NONE {
        return Some(None);
    }
    let Some((kind, length)) = attribute(&word) else {
        report.wrong(at, &format!("{word:?}"), EXPECTED);
        return None;
    };
    let text = match text {
        Some(given) => report.one_of(given, "encoding", Family::of(kind).texts())?,
        None => encoding.text(kind),
    };
    let prefix = match prefix {
        Some(given) => report.one_of(given, "encoding", PREFIXES)?,
        None => encoding.prefix,
    };
    let spec = written(kind, length, text, prefix);
    if !spec.is_sound() {
        report.wrong(at, &format!("{word:?}"), "a length from 1 to what its prefix can count");
        return None;
    }
    Some(Some(spec))
}

/// Takes apart an attribute of the standard. The dots before the length are the digits of its prefix; the
/// length counts digits, characters, or bytes of binary, and no sign.
fn attribute(word: &str) -> Option<(Kind, Length)> {
    let kind_ends = word.find(|character: char| character == '.' || character.is_ascii_digit())?;
    let (kind, length) = word.split_at(kind_ends);
    let kind = match kind.trim_end() {
        "n" => Kind::Digits,
        "x+n" => Kind::SignedDigits,
        "a" => Kind::Alpha,
        "an" => Kind::AlphaDigits,
        "ans" => Kind::Text,
        "z" => Kind::Track,
        "b" => Kind::Binary,
        _ => return None,
    };
    let digits = length.trim_start_matches('.');
    let units: u16 = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    let units = units.checked_add(u16::from(kind == Kind::SignedDigits))?;
    let length = match length.len() - digits.len() {
        0 => Length::Fixed(units),
        dots @ 1..=4 => Length::Var { prefix_digits: u8::try_from(dots).ok()?, max: units },
        _ => return None,
    };
    Some((kind, length))
}

/// The spec of an element whose length is that of its attribute. Where bytes are shown as characters their
/// prefix counts the characters: twice as many, as far as its digits go.
fn written(kind: Kind, length: Length, text: Text, prefix: PrefixText) -> FieldSpec {
    let length = match (length, text) {
        (Length::Var { prefix_digits, max }, Text::HexAscii | Text::HexEbcdic) => {
            let most = 10_u16.saturating_pow(prefix_digits.into()).saturating_sub(2);
            Length::Var { prefix_digits, max: max.saturating_mul(2).min(most) }
        }
        _ => length,
    };
    FieldSpec { kind, length, text, prefix }
}
