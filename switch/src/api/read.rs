//! Reads what callers send, and says of what it cannot read which field is wrong and what was expected there,
//! without a word of what was sent: that may be a card number, in the wrong place.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

/// What cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The field, such as `funding.expiry`; empty where it is none that a form has.
    pub(super) field: String,
    /// What was expected of it.
    pub(super) why: String,
}

/// Names that forms have. Others are not repeated.
const FIELDS: [&str; 15] = [
    "pan",
    "psn",
    "atc",
    "funding",
    "expiry",
    "service_code",
    "id",
    "first",
    "count",
    "ttl_ms",
    "digits",
    "response",
    "track2",
    "issuer",
    "stan",
];

/// Reads a form.
pub(super) fn form<F: DeserializeOwned>(body: &[u8]) -> Result<F, Flaw> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let form = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let why = error.inner();
        if why.is_data() { flaw(error.path(), &why.to_string()) } else { no_json(why) }
    })?;
    reader.end().map_err(|why| no_json(&why))?;
    Ok(form)
}

fn no_json(why: &serde_json::Error) -> Flaw {
    Flaw { field: String::new(), why: format!("no JSON (line {}, column {})", why.line(), why.column()) }
}

/// What the reader says, without what it quotes.
fn flaw(path: &Path, said: &str) -> Flaw {
    let names = path.iter().filter_map(|segment| match segment {
        Segment::Map { key } => FIELDS.iter().find(|field| *field == key).copied(),
        _ => None,
    });
    let mut names: Vec<&str> = names.collect();
    // What comes last is the reader's own: the text before it may quote.
    let expected = said.rsplit_once(" at line ").map_or(said, |(said, _)| said).rsplit_once("expected ");
    let expected = expected.map(|(_, expected)| expected);
    let quoted = |text: &str| {
        text.split('`').nth(1).and_then(|name| FIELDS.iter().find(|field| **field == name).copied())
    };
    let why = if said.starts_with("missing field") {
        names.extend(quoted(said));
        "is missing".to_owned()
    } else if said.starts_with("duplicate field") {
        names.extend(quoted(said));
        "is given twice".to_owned()
    } else if said.starts_with("unknown field") {
        format!("there is no such field; expected {}", expected.unwrap_or("none"))
    } else {
        format!("expected {}", expected.unwrap_or("something else"))
    };
    Flaw { field: names.join("."), why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::form::{Enrol, IssueBundle};

    fn told<F: DeserializeOwned>(body: &str) -> (String, String) {
        let flaw = form::<F>(body.as_bytes()).err().expect("a flaw");
        (flaw.field, flaw.why)
    }

    #[test]
    fn the_field_is_named_and_nothing_that_was_sent() {
        let cases = [
            (told::<Enrol>("{}"), "pan", "is missing"),
            (told::<Enrol>(r#"{"pan":9999100000000010}"#), "pan", "expected a string"),
            (told::<Enrol>(r#"{"pan":"1","psn":"9999100000000010"}"#), "psn", "expected u8"),
            (told::<Enrol>(r#"{"pan":"1","psn":300}"#), "psn", "expected u8"),
            (told::<Enrol>(r#"{"pan":"1","pan":"2"}"#), "pan", "is given twice"),
            (told::<Enrol>(r#"{"pan":"1","funding":{"pan":"2"}}"#), "funding.expiry", "is missing"),
            (told::<IssueBundle>(r#"{"pan":"1","first":-1}"#), "first", "expected u16"),
        ];
        for ((field, why), expected_field, expected_why) in cases {
            assert_eq!((field.as_str(), why.as_str()), (expected_field, expected_why));
        }
        let (field, why) = told::<Enrol>(r#"{"pan":"1","9999100000000010":1}"#);
        assert!(field.is_empty() && why.contains("`psn`") && !why.contains("99991"), "{why}");
        for broken in ["", "{", "[", "{\"pan\":\"1\"} x", "nonsense"] {
            assert!(told::<Enrol>(broken).1.starts_with("no JSON"), "{broken}");
        }
    }
}
