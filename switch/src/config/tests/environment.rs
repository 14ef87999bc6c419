//! Variables laid over the file.

use std::path::Path;

use codecs::frame::LengthForm;
use proptest::prelude::*;

use super::LEAST;
use crate::config::{Config, Way, parse};

fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    parse(LEAST, Path::new("f.toml"), environment).map_err(|faults| faults.to_string().trim_end().to_owned())
}

#[test]
fn a_variable_wins_over_file_and_default() {
    let config = read(&[
        ("SIGNALBOX__SWITCH__SHARDS", "4"),
        ("SIGNALBOX__SWITCH__DRAIN_GRACE", "1s"),
        ("SIGNALBOX__LIMITS__OUTPUT_BYTES_MAX", "\"64KiB\""),
        ("SIGNALBOX__ACQUIRER__0__LISTEN", "[::1]:9000"),
        ("SIGNALBOX__ACQUIRER__0__FRAMING__LENGTH", "bcd2"),
        ("SIGNALBOX__ISSUER__0__CONNECT__1", "127.0.0.1:9"),
        ("SIGNALBOX__ISSUER__0__ECHO", "false"),
        ("SIGNALBOX__ROUTE__0__IIN", "007"),
    ])
    .unwrap();
    assert_eq!((config.switch.shards, config.switch.drain_grace.as_secs()), (4, 1));
    assert_eq!(config.limits.output_bytes_max, 65_536);
    assert_eq!(config.acquirers[0].door.way, Way::Listen("[::1]:9000".parse().unwrap()));
    assert_eq!(config.acquirers[0].framing.length, LengthForm::Bcd2);
    let addresses = ["127.0.0.1:7101", "127.0.0.1:9"].map(String::from);
    assert_eq!(config.issuers[0].door.way, Way::Connect(addresses.to_vec()));
    assert!(!config.issuers[0].echo);
    assert_eq!(config.routes[0].iin.digits(), b"007");
}

#[test]
fn variables_add_tables_and_lists() {
    let config = read(&[
        // In no order: a list grows from its front all the same.
        ("SIGNALBOX__ROUTE__2__IIN", "5"),
        ("SIGNALBOX__ROUTE__2__ISSUER", "1"),
        ("SIGNALBOX__ROUTE__1__ISSUER", "maple"),
        ("SIGNALBOX__ROUTE__1__ALTERNATES__0", "1"),
        ("SIGNALBOX__ROUTE__1__IIN", "4"),
        ("SIGNALBOX__ISSUER__1", r#"{ name = "1", listen = "127.0.0.1:0", plain_tcp = true, window = 9 }"#),
        ("SIGNALBOX__SWITCH__APPROVAL_CODES", r#"["00"]"#),
        ("SIGNALBOX__ACQUIRER__0__RESPONSE_CODES__NO_ROUTE", "15"),
    ])
    .unwrap();
    assert_eq!((config.issuers[1].name.as_str(), config.issuers[1].window), ("1", 9));
    let issuers: Vec<&[usize]> = config.routes.iter().map(|route| route.issuers.as_slice()).collect();
    assert_eq!(issuers, [&[0][..], &[0, 1], &[1]]);
    assert_eq!(config.switch.approval_codes.len(), 1);
    assert_eq!(config.acquirers[0].response_codes[0].0, "no_route");
}

#[test]
fn other_variables_are_not_ours() {
    assert!(
        read(&[("PATH", "/bin"), ("SIGNALBOX_LOG", "debug"), ("SIGNALBOX", "x"), ("XSIGNALBOX__A", "")])
            .is_ok()
    );
}

#[test]
fn a_fault_names_the_variable() {
    let faults = read(&[
        ("SIGNALBOX__SWITCH__SHARDS", "x"),
        ("SIGNALBOX__SWITCH__SHARDS__MORE", "1"),
        ("SIGNALBOX__SWICTH__SHARDS", "1"),
        ("SIGNALBOX__ACQUIRER__0__WINDOW", "0"),
        ("SIGNALBOX__ACQUIRER__2__NAME", "a"),
        ("SIGNALBOX__ACQUIRER__NAME", "b"),
        ("SIGNALBOX__ISSUER__0__FRAMING", "{ lenght = \"bcd2\" }"),
        ("SIGNALBOX__ADMIN", "1"),
        ("SIGNALBOX__7", "1"),
        ("SIGNALBOX__", "1"),
    ])
    .unwrap_err();
    let expected = "\
environment variable SIGNALBOX__: found an empty name, expected the name of a setting
environment variable SIGNALBOX__7: found the number 7, expected the name of a setting
environment variable SIGNALBOX__ACQUIRER__0__WINDOW: found 0, expected a whole number, from 1 to 65536
environment variable SIGNALBOX__ACQUIRER__2__NAME: found the number 2, expected 0 to 1
environment variable SIGNALBOX__ACQUIRER__NAME: found the name \"name\" in a list, expected a number, counted from 0
environment variable SIGNALBOX__ADMIN: found \"1\", expected a table
environment variable SIGNALBOX__ISSUER__0__FRAMING: found unknown key \"lenght\", expected one of length, inclusive, header_bytes, max, keep_alive; did you mean \"length\"?
environment variable SIGNALBOX__SWICTH__SHARDS: found unknown key \"swicth\", expected one of switch, admin, console, log, limits, timers, journal, acquirer, issuer, route, hsm, program; did you mean \"switch\"?
environment variable SIGNALBOX__SWITCH__SHARDS: found \"x\", expected a whole number, from 1 to 64
environment variable SIGNALBOX__SWITCH__SHARDS__MORE: found a name below a string, expected the name of a table or list";
    assert_eq!(faults, expected);
}

/// Names that are nearly right, values that are nearly TOML, texts that are nearly configurations.
const NAMES: &str = "(SWITCH|ACQUIRER|ROUTE|X|0|1|9|NAME|IIN|)(__(0|1|NAME|SHARDS|FRAMING|TLS|))*";
const VALUE: &str = "[\\[\\]{}=\"a0,. ]{0,12}";
const TEXT: &str = "([a-z_]{0,9}|\\[\\[?(acquirer|issuer|route|switch)\\]?\\]|[ \n=\"{}\\[\\],.0-9-]){0,40}";

proptest! {
    #[test]
    fn a_variable_says_the_same_as_the_file(shards in 0_u16..100, window in 0_u32..100_000, echo: bool) {
        let more = format!("window = {window}\necho = {echo}\n[[route]]");
        let in_file = super::read(&format!("switch.shards = {shards}{}", LEAST.replacen("[[route]]", &more, 1)));
        let in_environment = read(&[
            ("SIGNALBOX__SWITCH__SHARDS", &shards.to_string()),
            ("SIGNALBOX__ISSUER__0__WINDOW", &window.to_string()),
            ("SIGNALBOX__ISSUER__0__ECHO", &echo.to_string()),
        ]);
        match (in_file, in_environment) {
            (Ok(one), Ok(other)) => prop_assert_eq!(format!("{one:?}"), format!("{other:?}")),
            (one, other) => {
                let faults = |read: Result<Config, String>| read.err().map(|text| text.lines().count());
                prop_assert_eq!(faults(one), faults(other));
            }
        }
    }

    #[test]
    fn no_environment_breaks_the_reader(names in prop::collection::vec(NAMES, 0..6), value in VALUE) {
        let environment = names.iter().map(|name| (format!("SIGNALBOX__{name}"), value.clone()));
        let _ = parse(LEAST, Path::new("f.toml"), environment);
    }

    #[test]
    fn no_text_breaks_the_reader(text in TEXT) {
        let _ = super::read(&text);
    }
}
