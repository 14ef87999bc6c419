//! One message in the hands of two codecs: ours, and iso8583_rs 0.1.10.
//!
//! iso8583_rs reads one specification per process, named by `SPEC_FILE`; so each dialect has a test binary of
//! its own. It writes whatever it reads to its log, card data included; no logger is installed here, so the
//! log goes nowhere. What it prints itself, the test harness captures.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use codecs::iso8583::{De, DeSet, Dialect, Encoder, FieldSpec, Index, Kind, Length, Message};
use iso8583_rs::iso8583::iso_spec::{IsoMsg, Spec, new_msg, spec};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Elements by number, in canonical form: characters, or hex for binary ones.
pub type Elements = BTreeMap<u8, String>;

/// The elements that both can express, and a few more of each kind: n, an, ans, z, b; fixed, LL and LLL.
pub const SHARED: [u8; 30] = [
    2, 3, 4, 7, 11, 12, 13, 14, 18, 22, 23, 25, 32, 33, 35, 37, 38, 39, 41, 42, 43, 48, 49, 52, 54, 55, 60,
    64, 90, 102,
];

/// The specification that `SPEC_FILE` names.
///
/// # Panics
/// When it is not named.
pub fn their_spec() -> &'static Spec {
    assert!(
        std::env::var_os("SPEC_FILE").is_some(),
        "run by `sh tests/foreign/run.sh`, which names SPEC_FILE"
    );
    spec("")
}

/// How many messages each way.
const MESSAGES: u32 = 2_000;

/// The same messages in every run.
const SEED: [u8; 32] = *b"signalbox against iso8583_rs 001";

/// Two thousand messages of a fixed seed: each side reads what the other writes, and both write the same.
///
/// # Panics
/// With the smallest message on which they disagree.
pub fn both_agree(dialect: &Dialect, elements: impl Strategy<Value = Elements>) {
    let theirs = their_spec();
    let config = Config { cases: MESSAGES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    let outcome = runner.run(&elements, |elements| {
        let ours = encode(dialect, &elements);
        let foreign = their_bytes(theirs, &elements);
        prop_assert_eq!(&ours, &foreign, "the bytes differ");
        prop_assert_eq!(
            their_elements(theirs, &ours, &elements),
            Some(elements.clone()),
            "they read ours otherwise"
        );
        prop_assert_eq!(decode(dialect, &foreign), Ok(elements), "we read theirs otherwise");
        Ok(())
    });
    if let Err(why) = outcome {
        panic!("{why}");
    }
}

/// What our codec writes.
fn encode(dialect: &Dialect, elements: &Elements) -> Vec<u8> {
    let numbers: Vec<u8> = elements.keys().copied().collect();
    let mut out = vec![0; 16 * 1024];
    let mut encoder = Encoder::new_with_digits(dialect, *b"0100", DeSet::from_numbers(&numbers), &mut out)
        .expect("there is room");
    for (&number, value) in elements {
        let canonical = if is_binary(dialect, number) { unhex(value) } else { value.as_bytes().to_vec() };
        encoder.put(element(number), &canonical).expect("a value of its kind");
    }
    let length = encoder.finish().expect("every element is written");
    out.truncate(length);
    out
}

/// What our codec reads.
fn decode(dialect: &Dialect, bytes: &[u8]) -> Result<Elements, String> {
    let mut index = Index::new();
    dialect.parse(bytes, &mut index).map_err(|why| why.to_string())?;
    let message = Message::new(dialect, bytes, &index);
    let mut room = vec![0; 16 * 1024];
    let mut elements = Elements::new();
    for de in message.present().iter() {
        let value = message.decode(de, &mut room).ok_or("indexed and not decoded")?;
        let text = if is_binary(dialect, de.number()) {
            hex(value)
        } else {
            String::from_utf8_lossy(value).into_owned()
        };
        elements.insert(de.number(), text);
    }
    Ok(elements)
}

/// What iso8583_rs writes.
fn their_bytes(spec: &'static Spec, elements: &Elements) -> Vec<u8> {
    let segment = spec.get_message("payment").expect("our own specification");
    let mut message = new_msg(spec, segment);
    message.set("message_type", "0100").expect("our own specification");
    for (&number, value) in elements {
        message.set_on(u32::from(number), value).expect("an element of the specification");
    }
    message.assemble().expect("a whole message")
}

/// What iso8583_rs reads; it may panic on what it does not understand.
fn their_elements(spec: &'static Spec, bytes: &[u8], asked: &Elements) -> Option<Elements> {
    let read = || -> Option<IsoMsg> { spec.parse(&mut bytes.to_vec()).ok() };
    let message = catch_unwind(AssertUnwindSafe(read)).ok()??;
    let value = |number: u8| Some((number, message.bmp_child_value(u32::from(number)).ok()?));
    let numbers = SHARED.into_iter().filter(|number| message.bmp.is_on(u32::from(*number)));
    let values = numbers.map(value).collect::<Option<Elements>>()?;
    // It gives hex in lower case.
    let upper = |(number, value): (u8, String)| {
        let same = asked.get(&number).is_some_and(|asked| asked.eq_ignore_ascii_case(&value));
        (number, if same { asked[&number].clone() } else { value })
    };
    Some(values.into_iter().map(upper).collect())
}

/// Messages with DE 3 and 11 and any others of [`SHARED`], each with a value of its kind and length.
pub fn messages(dialect: &'static Dialect) -> impl Strategy<Value = Elements> {
    let choice = proptest::collection::vec(any::<bool>(), SHARED.len());
    choice.prop_flat_map(move |chosen| {
        let numbers: Vec<u8> = SHARED
            .into_iter()
            .zip(chosen)
            .filter(|(number, chosen)| *chosen || [3, 11].contains(number))
            .map(|(number, _)| number)
            .collect();
        let values: Vec<_> = numbers.iter().map(|&number| value(dialect, number)).collect();
        values.prop_map(move |values| numbers.iter().copied().zip(values).collect())
    })
}

/// Any value of an element.
fn value(dialect: &Dialect, number: u8) -> BoxedStrategy<String> {
    let spec = field(dialect, number);
    let (shortest, longest) = match spec.length {
        Length::Fixed(length) => (usize::from(length), usize::from(length)),
        Length::Var { max, .. } => (1, usize::from(max).min(120)),
    };
    let characters = match spec.kind {
        Kind::Digits => "0123456789",
        Kind::Track => "0123456789=",
        Kind::Binary => "0123456789ABCDEF",
        Kind::AlphaDigits => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz 0123456789",
        _ => "ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz0123456789.,-/*&%?:()+=",
    };
    let characters: Vec<char> = characters.chars().collect();
    // Two hex digits make one byte, and binary lengths here count bytes.
    let per_unit = if spec.kind == Kind::Binary { 2 } else { 1 };
    (shortest..=longest)
        .prop_flat_map(move |length| {
            proptest::collection::vec(proptest::sample::select(characters.clone()), length * per_unit)
        })
        .prop_map(String::from_iter)
        .boxed()
}

fn field(dialect: &Dialect, number: u8) -> &FieldSpec {
    dialect.field(element(number)).expect("an element of the dialect")
}

fn is_binary(dialect: &Dialect, number: u8) -> bool {
    field(dialect, number).kind == Kind::Binary
}

fn element(number: u8) -> De {
    De::new(number).expect("1 to 128")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(pair).collect()
}
