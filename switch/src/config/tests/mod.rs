//! Text in; a configuration or a list of faults out.

mod environment;
mod faults;
mod mac;
mod programs;
mod tls;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use codecs::frame::{FrameFormat, LengthForm};
use codecs::iso8583::dialect::{ISO87_ASCII, ISO93_BINARY};

use super::{Config, Way, parse};

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// The least that can be said.
const LEAST: &str = r#"
[[acquirer]]
name = "north"
listen = "127.0.0.1:7001"
plain_tcp = true
[[issuer]]
name = "maple"
connect = ["127.0.0.1:7101", "127.0.0.1:7102"]
plain_tcp = true
[[route]]
iin = "99996"
issuer = "maple"
"#;

fn read(text: &str) -> Result<Config, String> {
    parse(text, Path::new("f.toml"), std::iter::empty())
        .map_err(|faults| faults.to_string().trim_end().to_owned())
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = read(LEAST).unwrap();
    let second = Duration::from_secs(1);

    let switch = &config.switch;
    assert_eq!((switch.shards, switch.pending_max, switch.recent_entries), (1, 65_536, 1_048_576));
    assert_eq!((switch.recent_window, switch.drain_grace), (72 * 3_600 * second, 15 * second));
    let approvals: Vec<&[u8]> = switch.approval_codes.iter().map(|code| code.as_bytes()).collect();
    assert_eq!(approvals, [&b"00"[..], b"10", b"000", b"002"]);
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9464");

    let limits = &config.limits;
    assert_eq!((limits.connections_max, limits.connections_per_address_max), (10_000, 10_000));
    assert_eq!((limits.accepts_per_second, limits.handshakes_max), (500, 64));
    assert_eq!((limits.output_bytes_max, limits.glitches_max), (1_048_576, 3));

    let timers = &config.timers;
    assert_eq!((timers.frame, timers.tls_handshake, timers.sign_on), (5 * second, 5 * second, 10 * second));
    assert_eq!((timers.echo_every, timers.echo_wait), (30 * second, 10 * second));
    assert_eq!((timers.reconnect_min, timers.reconnect_max), (second / 10, 10 * second));
    assert_eq!(timers.user_timeout, 20 * second);

    assert_eq!(config.dialects, [(String::from("iso87-ascii"), ISO87_ASCII.clone())]);
    assert!(config.warnings.is_empty());
}

#[test]
fn peers_have_defaults_too() {
    let config = read(LEAST).unwrap();
    let framing = FrameFormat {
        length: LengthForm::Binary2,
        inclusive: false,
        header_bytes: 0,
        max_bytes: 4_096,
        keep_alive: false,
    };

    let acquirer = &config.acquirers[0];
    assert_eq!(acquirer.name, "north");
    assert_eq!(acquirer.door.way, Way::Listen("127.0.0.1:7001".parse().unwrap()));
    assert_eq!((acquirer.door.tls.as_ref(), acquirer.dialect, acquirer.framing), (None, 0, framing));
    assert_eq!((acquirer.connections_max, acquirer.window, acquirer.requests_per_second), (64, 1_024, 0));
    assert_eq!((acquirer.sign_on, acquirer.patience), (false, Duration::from_secs(15)));
    assert!(acquirer.acquirer_ids.is_empty() && acquirer.forwarder_ids.is_empty());
    assert!(acquirer.mtis.is_empty() && acquirer.iins.is_empty() && acquirer.terminals.is_empty());
    assert!(acquirer.response_codes.is_empty());

    let issuer = &config.issuers[0];
    let addresses = ["127.0.0.1:7101", "127.0.0.1:7102"].map(String::from);
    assert_eq!(issuer.door.way, Way::Connect(addresses.to_vec()));
    assert_eq!((issuer.links_per_address, issuer.window, issuer.framing), (1, 512, framing));
    assert_eq!((issuer.timeout, issuer.sign_on, issuer.echo), (Duration::from_secs(10), false, true));
    assert_eq!(config.routes[0].issuers, [0]);
}

#[test]
fn the_example_says_nothing_but_defaults() {
    assert_eq!(format!("{:?}", read(EXAMPLE)), format!("{:?}", read(LEAST)));
}

#[test]
fn the_example_shows_every_setting() {
    // A key that nobody knows makes each table tell which keys it has.
    let probes = ["[switch]", "[admin]", "[limits]", "[timers]", "[[acquirer]]", "[[issuer]]", "[[route]]"];
    let inner = ["[[acquirer]]\n[acquirer.framing]", "[[issuer]]\n[issuer.tls]"];
    for table in probes.iter().chain(&inner) {
        let faults = read(&format!("{table}\n? = 1\n").replace('?', "unheard-of")).unwrap_err();
        let unknown = faults.lines().find(|line| line.contains("unknown key")).unwrap();
        let keys = unknown.split("expected one of ").nth(1).or(unknown.split("expected ").nth(1)).unwrap();
        for key in keys.trim_matches('"').split(", ") {
            let shown = ["\n", "# ", "{ ", ", ", "."].iter().any(|before| {
                EXAMPLE.contains(&format!("{before}{key} =")) || EXAMPLE.contains(&format!("{before}{key}]"))
            });
            assert!(shown, "{key} of {table}");
        }
    }
}

#[test]
fn a_full_configuration() {
    let text = r#"
        admin.listen = "[::1]:0"
        [[acquirer]]
        name = "a_1-x"
        connect = ["localhost:1", "[::1]:2"]
        dialect = "iso93-binary"
        framing = { length = "ascii4", inclusive = true, header_bytes = 5, max = "64KiB", keep_alive = true }
        plain_tcp = true
        acquirer_ids = ["100001", "1"]
        mtis = ["1100", "1804"]
        iins = ["4", "99996123456"]
        terminals = ["T"]
        response_codes = { no_route = "912", luhn_failed = "111" }
        [[issuer]]
        name = "one"
        listen = "127.0.0.1:0"
        dialect = "iso93-binary"
        plain_tcp = true
        [[issuer]]
        name = "two"
        listen = "127.0.0.1:0"
        dialect = "iso93-ascii"
        plain_tcp = true
        [[route]]
        iin = "4"
        issuer = "two"
        alternates = ["one"]
    "#;
    let config = read(text).unwrap();
    assert_eq!(config.dialects[0], (String::from("iso93-binary"), ISO93_BINARY.clone()));
    let dialects: Vec<usize> = config.issuers.iter().map(|issuer| issuer.dialect).collect();
    assert_eq!((dialects, config.routes[0].issuers.as_slice()), (vec![0, 1], &[1, 0][..]));

    let acquirer = &config.acquirers[0];
    let framing = acquirer.framing;
    assert_eq!((framing.length, framing.max_bytes), (LengthForm::Ascii4, 65_536));
    assert_eq!((framing.inclusive, framing.header_bytes, framing.keep_alive), (true, 5, true));
    assert_eq!(acquirer.acquirer_ids.iter().map(|id| id.number()).collect::<Vec<_>>(), [100_001, 1]);
    assert_eq!(acquirer.mtis.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1100", "1804"]);
    assert_eq!(acquirer.iins.iter().map(|iin| iin.digits().len()).collect::<Vec<_>>(), [1, 11]);
    let codes: BTreeMap<&str, &[u8]> =
        acquirer.response_codes.iter().map(|(name, code)| (name.as_str(), code.as_bytes())).collect();
    assert_eq!(codes, BTreeMap::from([("luhn_failed", &b"111"[..]), ("no_route", b"912")]));
}

#[test]
fn what_looks_like_a_mistake_is_a_warning() {
    let more =
        "[[issuer]]\nname = \"oak\"\nlisten = \"127.0.0.1:7002\"\nplain_tcp = true\nlinks_per_address = 2";
    let expected = ["issuer oak: no route leads to it"];
    assert_eq!(read(&format!("{LEAST}{more}")).unwrap().warnings, expected);
}

#[test]
fn frames_longer_than_their_length_can_say_are_a_warning() {
    let told = |framing: &str| {
        let line = format!("name = \"north\"\nframing = {{ {framing} }}");
        read(&LEAST.replace("name = \"north\"", &line)).unwrap().warnings
    };
    for framing in [
        "length = \"ascii4\"",
        "length = \"ascii4\", max = \"9999B\"",
        "length = \"bcd2\", inclusive = true, max = \"9997B\"",
        "length = \"binary2\", max = \"65535B\"",
        "length = \"binary4\", max = \"64KiB\"",
    ] {
        assert_eq!(told(framing), Vec::<String>::new(), "{framing}");
    }
    for (framing, max, longest) in [
        ("length = \"ascii4\", max = \"10000B\"", 10_000, 9_999),
        ("length = \"ascii4\", inclusive = true, max = \"9996B\"", 9_996, 9_995),
        ("length = \"bcd2\", max = \"16KiB\"", 16_384, 9_999),
    ] {
        let expected = format!(
            "acquirer north: framing.max is {max} bytes, and its length can say no more than {longest}"
        );
        assert_eq!(told(framing), [expected]);
    }
}

#[test]
fn cards_to_stand_in_for_that_no_route_leads_to_their_issuer_are_a_warning() {
    let key = programs::tempfile();
    let told = |iins: &str, routes: &str| {
        let agreed = format!(
            "stand_in = {{ iins = [{iins}], currency = \"840\", floor = 1, card_per_day = 1, per_day = 1 }}"
        );
        let maple = format!("name = \"maple\"\n{agreed}");
        let oak = "[[issuer]]\nname = \"oak\"\nlisten = \"127.0.0.1:7002\"\nplain_tcp = true\nlinks_per_address = 2";
        let journal = format!("[journal]\ndir = \"d\"\nkey_file = {key:?}");
        let text = format!(
            "{}\n{oak}\n[[route]]\niin = \"4\"\nissuer = \"oak\"\n{routes}\n{journal}",
            LEAST.replace("name = \"maple\"", &maple)
        );
        read(&text).unwrap().warnings
    };
    assert_eq!(told("\"99996\", \"9999612\", \"9\"", ""), Vec::<String>::new());
    assert_eq!(told("\"99997\"", ""), ["issuer maple: no route leads its stand_in cards 99997 to it"]);
    // A longer route leads all of them elsewhere.
    let longer = "[[route]]\niin = \"999961\"\nissuer = \"oak\"";
    assert_eq!(
        told("\"9999612\"", longer),
        ["issuer maple: no route leads its stand_in cards 9999612 to it"]
    );
    assert_eq!(told("\"9999612\"", &format!("{longer}\nalternates = [\"maple\"]")), Vec::<String>::new());
    let _ = std::fs::remove_file(key);
}

#[test]
fn peers_are_bounded() {
    let peer = |index: usize| {
        format!("[[issuer]]\nname = \"i{index}\"\nlisten = \"127.0.0.1:0\"\nplain_tcp = true\n")
    };
    let thousand: String = LEAST.trim_start().to_owned() + &(1..1_000).map(peer).collect::<String>();
    assert_eq!(read(&thousand).unwrap().issuers.len(), 1_000);
    let one_more = read(&(thousand + &peer(1_000))).unwrap_err();
    assert_eq!(one_more, "f.toml:4008:1: found more than 1000 issuers, expected at most 1000");
    let nobody = "f.toml:1:1: found no acquirer, expected at least one [[acquirer]]\n\
                  f.toml:1:1: found no issuer, expected at least one [[issuer]]";
    assert_eq!(read("").map(|_| ()), Err(nobody.to_owned()));
}

#[test]
fn a_dialect_file_lies_beside_the_configuration() {
    let folder = tls::Folder::new("dialect");
    folder.write("own.toml", "base = \"iso87-ascii\"\nfields.61 = \"none\"\n", 0o644);
    let text = LEAST.replacen("plain_tcp", "dialect = \"own.toml\"\nplain_tcp", 2);
    let path = folder.write("switch.toml", &text, 0o644);
    let config = super::load(&path, std::iter::empty()).unwrap();
    assert_eq!(config.dialects.len(), 1);
    assert_eq!((config.dialects[0].0.as_str(), &config.dialects[0].1.fields()[61]), ("own.toml", &None));

    let broken = folder.write("own.toml", "base = \"iso87-ascii\"\nfields.61 = 3\n", 0o644);
    let faults = super::load(&path, std::iter::empty()).unwrap_err().to_string();
    assert!(faults.starts_with(&format!("{}:2:13: found 61 = ", broken.display())), "{faults}");
    assert_eq!(faults.lines().count(), 1, "a file that two peers share is told once: {faults}");
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let folder = tls::Folder::new("unreadable");
    let missing = folder.path("missing.toml");
    let faults = super::load(&missing, std::iter::empty()).unwrap_err().to_string();
    assert!(faults.starts_with(&format!("{}:1:1: found No such file", missing.display())), "{faults}");

    let latin = folder.path("latin.toml");
    std::fs::write(&latin, b"# \xE4\n").unwrap();
    let faults = super::load(&latin, std::iter::empty()).unwrap_err().to_string();
    assert!(faults.contains(":1:1: found bytes that are not UTF-8"), "{faults}");
}
