//! A dialect file as written.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::config::given::{Given, List};

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Raw {
    pub(super) base: Option<Given<String>>,
    pub(super) version: Option<Given<u64>>,
    pub(super) mti: Option<Given<String>>,
    pub(super) bitmap: Option<Given<String>>,
    pub(super) echo: Option<List<u64>>,
    #[serde(default)]
    pub(super) encoding: Encoding,
    #[serde(default)]
    pub(super) fields: BTreeMap<Spanned<String>, Spanned<Field>>,
    #[serde(default)]
    pub(super) rules: BTreeMap<Spanned<String>, Rule>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Encoding {
    pub(super) digits: Option<Given<String>>,
    pub(super) track: Option<Given<String>>,
    pub(super) characters: Option<Given<String>>,
    pub(super) binary: Option<Given<String>>,
    pub(super) prefix: Option<Given<String>>,
}

/// `2 = "n..19"`, or `2 = { attribute = "n..19", text = "bcd", prefix = "binary" }` where one element is
/// written differently from the others of its kind.
#[derive(Debug)]
pub(super) enum Field {
    Attribute(String),
    Table(Box<FieldTable>),
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldTable {
    pub(super) attribute: Option<Given<String>>,
    pub(super) text: Option<Given<String>>,
    pub(super) prefix: Option<Given<String>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Rule {
    pub(super) mandatory: Option<List<u64>>,
    pub(super) forbidden: Option<List<u64>>,
    #[serde(default)]
    pub(super) one_of: Vec<List<u64>>,
    #[serde(default)]
    pub(super) when: BTreeMap<Spanned<String>, List<u64>>,
}

impl<'de> Deserialize<'de> for Field {
    // By hand, because serde's untagged enums forget where their values stand.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(super::field::EXPECTED)
            }

            fn visit_str<E: Error>(self, attribute: &str) -> Result<Field, E> {
                Ok(Field::Attribute(attribute.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field, A::Error> {
                FieldTable::deserialize(MapAccessDeserializer::new(map))
                    .map(|table| Field::Table(Box::new(table)))
            }
        }

        deserializer.deserialize_any(Either)
    }
}
