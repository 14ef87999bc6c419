//! Messages that are framed well and written badly: 30 with their own trace number where it can be read, and
//! the connection stays.

use codecs::iso8583::{De, Dialect, Index, Kind, Length, Message, Text};
use tests::{Plain, Setup, purchase};

const FULL: &str = "18=5411 22=051 23=001 33=200002 35=9999600000000019=49122010000012345 43=\"CORNER SHOP  RIGA\" \
     48=\"TERMINAL DATA 0017\" 52=0123456789ABCDEF 55=9F3602004282025C009F3704A1B2C3D4 60=\"0020\" \
     102=ACCOUNT0001 103=ACCOUNT0002";

#[test]
fn q19_each_field_spoilt_in_turn_is_30_in_ascii() {
    each_field_spoilt("iso87-ascii");
}

#[test]
fn q19_each_field_spoilt_in_turn_is_30_in_binary() {
    each_field_spoilt("iso87-binary");
}

#[test]
fn q19_each_field_spoilt_in_turn_is_30_in_ebcdic() {
    each_field_spoilt("iso87-ebcdic");
}

fn each_field_spoilt(dialect: &str) {
    let setup = Setup::new().set("acquirer.north.dialect", dialect).set("limits.glitches_max", 1000);
    let Some(rig) = setup.start() else { return };
    let mut north = rig.acquirer("north");
    let dialect = north.wire().dialect;
    let mut answered = 0;
    for (number, (de, at, bad)) in spoilable(dialect).into_iter().enumerate() {
        let mut bytes = message(number).encode(dialect);
        bytes[at] = bad;
        let frame = north.wire().frame(&bytes);
        north.send_bytes(&frame);
        // Marks the end of what the spoilt message brought: one answer, or none where DE 11 was unreadable.
        north.send(&purchase(&format!("11=9{number:05}")));
        let first = north.receive();
        if first.plain.get(11) == format!("{number:06}") {
            let misfits = first.plain.misfits(&north.wire().expectation("0110 38=- 39=30"));
            assert!(misfits.is_empty(), "{de}: {misfits:?}");
            north.expect(&format!("0110 11=9{number:05} 39=00"));
            answered += 1;
        } else {
            // A flaw in DE 11 itself, or one that hides where DE 11 lies.
            assert!(de.number() <= 11, "{de} got no answer of its own");
            assert_eq!(first.plain.get(11), format!("9{number:05}"));
        }
    }
    assert!(answered > 20, "only {answered} were answered with 30");
    let forwarded = rig.issuer("maple").seen();
    assert!(
        forwarded.iter().all(|one| one.plain().get(37).starts_with("0000009")),
        "a spoilt message went on"
    );
}

fn message(number: usize) -> Plain {
    Plain::of(&purchase(&format!("{FULL} 11={number:06}")))
}

/// Where to spoil the content of each element, and each variable length, and with which byte.
fn spoilable(dialect: &Dialect) -> Vec<(De, usize, u8)> {
    let bytes = message(0).encode(dialect);
    let mut index = Index::new();
    dialect.parse(&bytes, &mut index).expect("a good message");
    let message = Message::new(dialect, &bytes, &index);
    let mut places = Vec::new();
    for de in message.present().iter() {
        let spec = dialect.fields()[usize::from(de.number())].expect("a known element");
        let at = usize::from(message.value_offset(de).expect("a present element"));
        let prefix = message.raw(de).expect("present").len() - message.value(de).expect("present").len();
        if spec.kind != Kind::Binary || spec.text == Text::HexAscii {
            // No character in any set, no digit in any packing.
            places.push((de, at, 0xFF));
        }
        if matches!(spec.length, Length::Var { .. }) {
            places.push((de, at - prefix, 0xFF));
        }
    }
    places
}

#[test]
fn x8_a_message_that_ends_before_its_bitmap_does_is_30() {
    let Some(rig) = Setup::new().set("limits.glitches_max", 1000).start() else { return };
    let mut north = rig.acquirer("north");
    let dialect = north.wire().dialect;
    let whole = Plain::of(&purchase("11=000008")).encode(dialect);
    // DE 11 ends at byte 66: MTI 4, bitmap 16, DE 2 18, 3 6, 4 12, 7 10. Everything after may be missing.
    let after_stan = 4 + 16 + 18 + 6 + 12 + 10 + 6;
    for end in [after_stan, after_stan + 1, after_stan + 20, whole.len() - 1] {
        let frame = north.wire().frame(&whole[..end]);
        north.send_bytes(&frame);
        north.expect("0110 11=000008 38=- 39=30");
    }
    // DE 4 announced and not there: the trace number cannot be told from what stands in its place.
    let announced = 4 + 16 + 18 + 6;
    let frame = north.wire().frame(&[&whole[..announced], &whole[announced + 12..]].concat());
    north.send_bytes(&frame);
    north.send(&purchase("11=000009"));
    let mut answer = north.receive();
    if answer.plain.get(11) != "000009" {
        assert_eq!(answer.plain.get(39), "30");
        answer = north.receive();
    }
    assert_eq!((answer.plain.get(11), answer.plain.get(39)), ("000009", "00"));
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn q19_a_30_carries_what_could_be_read_and_no_card_data() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let mut bytes =
        Plain::of(&purchase("11=000010 35=9999600000000019=49122010000012345")).encode(north.wire().dialect);
    let last = bytes.len() - 1;
    bytes[last] = b'X';
    let frame = north.wire().frame(&bytes);
    north.send_bytes(&frame);
    north.expect("0110 3=000000 7=1123120000 11=000010 35=- 39=30 41=TERM0001");
}

#[test]
fn q19_a_format_error_is_not_remembered_as_an_outcome() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let good = purchase("11=000011");
    let mut bytes = Plain::of(&good).encode(north.wire().dialect);
    let last = bytes.len() - 1;
    bytes[last] = b'X';
    let frame = north.wire().frame(&bytes);
    north.send_bytes(&frame);
    north.expect("0110 11=000011 39=30");
    north.ask(&good, "0110 11=000011 39=00");
}
