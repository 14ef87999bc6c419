//! The vectors of `vectors/card_crypto.json` that need no key: how tracks, the digits in them, chip data and whole messages are
//! read, and which counters may be meant. Those that need one pass through every token, in `hsm/tests`.

#![forbid(unsafe_code)]

use authorizer::atc_window::{AtcWindow, Reach};
use codecs::discretionary::{Digits, DynamicData, Layout};
use codecs::emv::{IccData, tag};
use codecs::tlv::TlvWriter;
use codecs::track::{Track1, Track2};
use codecs::value::Expiry;
use serde_json::Value;

fn vectors(scheme: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("vectors/card_crypto.json")).expect("JSON");
    let all = file["vectors"].as_array().expect("vectors");
    let found: Vec<_> = all.iter().filter(|vector| vector["scheme"] == scheme).cloned().collect();
    assert!(!found.is_empty(), "no vectors of {scheme}");
    found
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn hex(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn digits(ascii: &str) -> Digits {
    Digits::parse(ascii.as_bytes()).expect("digits")
}

#[test]
fn track_2() {
    for vector in vectors("de35_parse") {
        // A whole byte of packed digits ends in F; it is not a character of the track.
        let track = text(&vector["inputs"], "de35").trim_end_matches('F');
        let track = Track2::parse(track.as_bytes()).expect("a track");
        let expected = &vector["expected"];
        assert_eq!(track.pan().danger_clear_digits(), text(expected, "pan").as_bytes(), "{}", vector["id"]);
        let expiry = Expiry::parse(text(expected, "expiry_yymm").as_bytes());
        assert!(expiry.is_some() && track.expiry() == expiry, "{}", vector["id"]);
        let service_code = track.service_code().expect("a service code");
        assert_eq!(service_code, text(expected, "service_code").as_bytes(), "{}", vector["id"]);
        assert_eq!(track.discretionary(), text(expected, "dd").as_bytes(), "{}", vector["id"]);
    }
}

#[test]
fn track_1() {
    for vector in vectors("de45_parse") {
        let track = Track1::parse(text(&vector["inputs"], "de45").as_bytes()).expect("a track");
        let expected = &vector["expected"];
        assert_eq!(track.pan().danger_clear_digits(), text(expected, "pan").as_bytes());
        assert_eq!(track.name(), text(expected, "name").as_bytes());
        assert_eq!(track.expiry(), Expiry::parse(text(expected, "expiry_yymm").as_bytes()));
        assert_eq!(track.service_code().expect("one"), text(expected, "service_code").as_bytes());
        assert_eq!(track.discretionary(), text(expected, "dd").as_bytes());
    }
}

fn layout(inputs: &Value) -> Layout {
    let bitmap = |name| u16::from_str_radix(text(inputs, name), 16).expect("a bitmap");
    Layout::Bitmaps {
        pcvc3: bitmap("pcvc3track2"),
        punatc: bitmap("punatctrack2"),
        natc: u8::try_from(number(inputs, "natctrack2")).expect("small"),
    }
}

/// What a reader writes, and what is read of it.
fn placed(vector: &Value, code: Digits, expected: &str) {
    let inputs = &vector["inputs"];
    let layout = layout(inputs);
    let Layout::Bitmaps { punatc, natc, .. } = layout else { unreachable!("bitmaps") };
    let un_count = u8::try_from(punatc.count_ones()).expect("small") - natc;
    let atc = u64::from_str_radix(text(inputs, "atc"), 16).expect("an ATC");
    let un = text(inputs, "un_numeric").parse().expect("digits");
    let data = DynamicData {
        atc: Digits::low(atc, natc),
        reference: Digits::NONE,
        un: Digits::low(un, un_count),
        code,
        holder_verified: false,
    };
    let mut discretionary = text(inputs, "dd_template").as_bytes().to_vec();
    layout.place(&data, &mut discretionary).expect("a place for each digit");
    assert_eq!(String::from_utf8_lossy(&discretionary), expected, "{}", vector["id"]);
    assert_eq!(layout.extract(&discretionary), Ok(data), "{}", vector["id"]);
}

#[test]
fn digits_of_a_cvc3_in_the_track() {
    for vector in vectors("cvc3_track2").iter().filter(|vector| vector["inputs"]["dd_template"].is_string()) {
        let expected = &vector["expected"];
        let parsed = &expected["parsed"];
        placed(vector, digits(text(parsed, "cvc3_digits")), text(expected, "dd"));
        let track = Track2::parse(text(expected, "de35").as_bytes()).expect("a track");
        let read = layout(&vector["inputs"]).extract(track.discretionary()).expect("digits");
        assert_eq!(read.atc, digits(text(parsed, "atc_digits")), "{}", vector["id"]);
        assert_eq!(read.un, digits(text(parsed, "un_digits")), "{}", vector["id"]);
        assert_eq!(read.code, digits(text(parsed, "cvc3_digits")), "{}", vector["id"]);
        assert_eq!(read.un.len().to_string(), text(parsed, "nun_digit"), "{}", vector["id"]);
    }
    for vector in vectors("cvc3_dd_placement") {
        let code = u64::from_str_radix(text(&vector["inputs"], "cvc3_hex"), 16).expect("a code");
        let expected = &vector["expected"];
        assert_eq!(Digits::low(code, 3), digits(text(expected, "cvc3_digits")), "{}", vector["id"]);
        placed(&vector, Digits::low(code, 3), text(expected, "dd"));
    }
}

#[test]
fn counters_that_may_be_meant() {
    let in_reach = |vector: &Value, last: &str, ahead: &str| {
        let inputs = &vector["inputs"];
        let last = u16::try_from(number(inputs, last)).expect("a counter");
        let behind = inputs["max_behind"].as_u64().unwrap_or(0);
        // The policy of these vectors remembers only the last: those behind it were left out, until one is claimed.
        let mut window = AtcWindow::new(last.saturating_sub(65));
        assert!(window.claim(last));
        let reach = Reach {
            ahead: u16::try_from(number(inputs, ahead)).expect("a jump"),
            behind: u8::try_from(behind).expect("at most 64"),
        };
        let digits = text(inputs, "atc_digits");
        let count = u32::try_from(digits.len()).expect("small");
        let found = window.candidates(digits.parse().expect("digits"), count, reach).expect("not too many");
        let wanted: Vec<u64> = vector["expected"]["candidate_atcs"]
            .as_array()
            .expect("counters")
            .iter()
            .map(|atc| atc.as_u64().expect("a counter"))
            .collect();
        let found: Vec<u64> = found.as_slice().iter().map(|atc| u64::from(*atc)).collect();
        assert_eq!(found, wanted, "{}", vector["id"]);
    };
    for vector in vectors("atc_window") {
        in_reach(&vector, "last_accepted_atc", "max_ahead");
    }
    for vector in vectors("cvc3_window_batch") {
        in_reach(&vector, "last_atc", "window_ahead");
    }
}

#[test]
fn what_a_chip_signed() {
    for vector in vectors("arqc") {
        let inputs = &vector["inputs"];
        let mut out = [0; 255];
        let mut writer = TlvWriter::new(&mut out);
        let tags = inputs["tags"].as_object().expect("tags").iter().map(|(tag, value)| {
            (u32::from_str_radix(tag, 16).expect("a tag"), hex(value.as_str().expect("a value")))
        });
        for (tag, value) in tags.chain([(tag::ATC, hex(text(inputs, "atc")))]) {
            writer.put(tag, &value).expect("room");
        }
        if let Some(iad) = inputs["9F10"].as_str() {
            writer.put(tag::IAD, &hex(iad)).expect("room");
        }
        writer.put(tag::CRYPTOGRAM, &hex(text(&vector["expected"], "arqc"))).expect("room");
        let icc = IccData::parse(writer.into_written()).expect("chip data");
        let signed = icc.signed_data().expect("everything that is signed");
        let all = hex(text(inputs, "mac_data"));
        assert_eq!(all[..signed.len()], signed, "{}", vector["id"]);
        assert_eq!(icc.cryptogram().expect("one").to_vec(), hex(text(&vector["expected"], "arqc")));
        if let Some(iad) = inputs["9F10"].as_str() {
            assert_eq!(icc.iad().map(<[u8]>::to_vec), Some(hex(iad)), "{}", vector["id"]);
        }
    }
}
