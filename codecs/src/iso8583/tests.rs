//! Whole messages, in and out as text: the message type, then `number=value` per element. Values are in
//! canonical form; those of binary elements are in hexadecimal, and `_` stands for a space.

use std::{format, string::String, string::ToString, vec, vec::Vec};

use super::*;
use crate::error::{EncodeError, EncodeFlaw, ParseError};
use crate::value::{NetworkFunction, Stan};

const PAYMENT: &str = "0100 2=5413330089010434 3=000000 4=000000001250 7=1231142359 11=000042 22=051 \
    32=12345678901 35=5413330089010434=29122017004273147853 37=436614000042 41=TERM0001 49=978 \
    52=123456789ABCDEF0 55=9F36021E47";

fn element(number: u8) -> De {
    De::new(number).unwrap()
}

fn dialect(name: &str) -> &'static Dialect {
    built_in(name).unwrap()
}

fn is_binary(dialect: &Dialect, de: De) -> bool {
    dialect.field(de).is_some_and(|spec| spec.kind == Kind::Binary)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn try_write(dialect: &Dialect, text: &str) -> Result<Vec<u8>, EncodeError> {
    let (mti, elements) = text.split_once(' ').unwrap_or((text, ""));
    let elements: Vec<(De, Vec<u8>)> = elements
        .split_whitespace()
        .map(|element| {
            let (number, value) = element.split_once('=').unwrap();
            let de = super::De::new(number.parse().unwrap()).unwrap();
            let value = value.replace('_', " ");
            (de, if is_binary(dialect, de) { unhex(&value) } else { value.into_bytes() })
        })
        .collect();
    let mut out = vec![0; 4_096];
    let present = elements.iter().map(|(de, _)| *de).collect();
    let mti = mti.as_bytes().try_into().unwrap();
    let mut encoder = Encoder::new_with_digits(dialect, mti, present, &mut out)?;
    for (de, value) in &elements {
        encoder.put(*de, value)?;
    }
    let len = encoder.finish()?;
    out.truncate(len);
    Ok(out)
}

fn write(dialect: &Dialect, text: &str) -> Vec<u8> {
    try_write(dialect, text).unwrap()
}

/// What can be read of a message, and what is wrong with it.
fn read(dialect: &Dialect, bytes: &[u8]) -> (String, Result<(), ParseError>) {
    let mut index = Index::new();
    let result = dialect.parse(bytes, &mut index);
    let message = Message::new(dialect, bytes, &index);
    let mut text =
        message.mti_digits().map_or("????".to_string(), |mti| String::from_utf8(mti.into()).unwrap());
    for de in message.present() {
        let mut out = [0; 1_000];
        let value = message.decode(de, &mut out).unwrap();
        let value = match is_binary(dialect, de) {
            true => hex(value),
            false => String::from_utf8(value.into()).unwrap().replace(' ', "_"),
        };
        text += &format!(" {}={value}", de.number());
    }
    (text, result)
}

/// Parses, and checks the rules if that went well.
fn judge(dialect: &Dialect, bytes: &[u8]) -> String {
    let mut index = Index::new();
    match dialect.parse(bytes, &mut index).and_then(|()| dialect.check_rules(&index)) {
        Ok(()) => "ok".to_string(),
        Err(error) => error.to_string(),
    }
}

fn with_message<T>(dialect: &Dialect, bytes: &[u8], look: impl FnOnce(Message<'_>) -> T) -> T {
    let mut index = Index::new();
    dialect.parse(bytes, &mut index).unwrap();
    look(Message::new(dialect, bytes, &index))
}

/// The expected bytes were written by another implementation.
#[test]
fn the_same_payment_in_three_dialects() {
    let signed = &format!("{PAYMENT} 97=C0000000000000017");
    let ascii = b"0100F2200401288092000000000080000000165413330089010434000000000000001250123114235900\
        00420511112345678901375413330089010434=29122017004273147853436614000042TERM0001978123456789AB\
        CDEF00109F36021E47C0000000000000017";
    let ebcdic = "F0F1F0F0F2200401288092000000000080000000F1F6F5F4F1F3F3F3F0F0F8F9F0F1F0F4F3F4F0F0F0F0F0F0\
        F0F0F0F0F0F0F0F0F1F2F5F0F1F2F3F1F1F4F2F3F5F9F0F0F0F0F4F2F0F5F1F1F1F1F2F3F4F5F6F7F8F9F0F1F3F7F5F4\
        F1F3F3F3F0F0F8F9F0F1F0F4F3F47EF2F9F1F2F2F0F1F7F0F0F4F2F7F3F1F4F7F8F5F3F4F3F6F6F1F4F0F0F0F0F4F2E3\
        C5D9D4F0F0F0F1F9F7F8123456789ABCDEF0F0F0F59F36021E47C3F0F0F0F0F0F0F0F0F0F0F0F0F0F0F1F7";
    let binary = "0100722004012880920016541333008901043400000000000000125012311423590000420051110123456789\
        01375413330089010434D29122017004273147853F3433363631343030303034325445524D30303031393738123456789A\
        BCDEF000059F36021E47";
    for (name, text, bytes) in [
        ("iso87-ascii", signed.as_str(), ascii.to_vec()),
        ("iso87-ebcdic", signed, unhex(ebcdic)),
        ("iso87-binary", PAYMENT, unhex(binary)),
    ] {
        assert_eq!(hex(&write(dialect(name), text)), hex(&bytes), "{name}");
        assert_eq!(read(dialect(name), &bytes), (text.to_string(), Ok(())), "{name}");
    }
}

#[test]
fn every_dialect_reads_what_it_writes() {
    for (name, dialect) in BUILT_IN {
        let version = if dialect.version == Version::V1987 { "0" } else { "1" };
        for text in [
            "800 11=000001",
            "800 7=0101000000 11=999999 128=0011223344556677",
            "100 2=541333008901043 35=5413330089010434=2912201= 45=B541333^A/B^29122010",
            "100 2=54133300890104344 36=12345678=9 60=free_text_{}~ 63=!",
            "420 32=1 33= 48= 55= 102=alias@example.org 103=x",
        ] {
            let text = &format!("{version}{text}");
            assert_eq!(read(dialect, &write(dialect, text)), (text.clone(), Ok(())), "{name}");
        }
    }
}

#[test]
fn padding_of_fixed_lengths() {
    for (name, dialect) in BUILT_IN {
        let written = write(dialect, "0800 3=42 11=7 41=T2 52=0000000000000001");
        let (text, _) = read(dialect, &written);
        assert_eq!(text, "0800 3=000042 11=000007 41=T2______ 52=0000000000000001", "{name}");
    }
}

/// Each row changes one place of a sound message. What is sound elsewhere is still there.
#[test]
fn flaws_and_what_is_left() {
    let ascii = dialect("iso87-ascii");
    let sound = "0100 2=5413330089010434 3=000000 11=000042 35=5413330089010434=2912201 41=TERM0001 \
        52=0011223344556677";
    // Where each starts: DE 2 at 20, DE 3 at 38, DE 11 at 44, DE 35 at 50, DE 41 at 76, DE 52 at 84.
    for (at, change, error, left) in [
        (0, "0", "ok", "2 3 11 35 41 52"),
        (3, "9", "MTI at offset 0: bad message type", "2 3 11 35 41 52"),
        (0, "1", "MTI at offset 0: bad message type", "2 3 11 35 41 52"),
        (1, "X", "MTI at offset 0: bad message type", ""),
        (6, "g", "DE 1 at offset 4: not hex", ""),
        (20, "1X", "DE 2 at offset 20: length not digits", ""),
        (20, "20", "DE 2 at offset 20: too long", ""),
        (30, "=", "DE 2 at offset 30: not digits", "3 11 35 41 52"),
        (38, "A", "DE 3 at offset 38: not digits", "2 11 35 41 52"),
        (49, " ", "DE 11 at offset 49: not digits", "2 3 35 41 52"),
        (60, "E", "DE 35 at offset 60: not text", "2 3 11 41 52"),
        (83, "\n", "DE 41 at offset 83: not text", "2 3 11 35 52"),
        (98, "G", "DE 52 at offset 98: not hex", "2 3 11 35 41"),
        // DE 35 takes DE 41, which takes half of DE 52, which is then cut off; but DE 35 was wrong first.
        (50, "37", "DE 35 at offset 76: not text", "2 3 11 41"),
        (50, "25", "DE 35 at offset 76: not text", "2 3 11 41"),
        (50, "23", "DE 52 at offset 99: trailing bytes", "2 3 11 35 41 52"),
    ] {
        let mut bytes = write(ascii, sound);
        bytes[at..at + change.len()].copy_from_slice(change.as_bytes());
        let mut index = Index::new();
        let result = ascii.parse(&bytes, &mut index).map_or_else(|error| error.to_string(), |()| "ok".into());
        let numbers: Vec<String> = index.present().iter().map(|de| de.number().to_string()).collect();
        assert_eq!((result.as_str(), numbers.join(" ").as_str()), (error, left), "{at} {change:?}");
    }
}

#[test]
fn flaws_of_structure() {
    let ascii = dialect("iso87-ascii");
    let sound = write(ascii, "0800 7=0101000000 11=000001 70=301");
    assert_eq!(judge(ascii, &sound), "ok");
    for len in 0..sound.len() {
        assert!(judge(ascii, &sound[..len]).ends_with("too short"), "{len}");
    }
    let behind = [&sound[..], b"0"].concat();
    assert_eq!(judge(ascii, &behind), "DE 70 at offset 55: trailing bytes");
    assert_eq!(read(ascii, &behind).0, "0800 7=0101000000 11=000001 70=301");

    // A third bitmap: what stands before it can still be read.
    let tertiary = [&sound[..20], b"8", &sound[21..]].concat();
    assert_eq!(judge(ascii, &tertiary), "DE 65 at offset 52: tertiary bitmap");
    assert_eq!(read(ascii, &tertiary).0, "0800 7=0101000000 11=000001");

    let mut fields = *ascii.fields();
    fields[70] = None;
    let without_70 = ascii.clone().with_fields(fields);
    assert_eq!(judge(&without_70, &sound), "DE 70 at offset 52: unknown element");
    assert_eq!(judge(ascii, &vec![b'0'; 65_536]), "MTI at offset 65535: too long");
    // No secondary bitmap is needed, but one without elements is allowed.
    assert_eq!(judge(ascii, b"080080000000000000000000000000000000"), "DE 7 at offset 36: missing");
}

#[test]
fn flaws_of_binary_coded_digits() {
    let binary = dialect("iso87-binary");
    let bytes =
        write(binary, "0100 2=541333008901043 22=051 35=5413330089010434=2912201 52=0011223344556677");
    // Offsets: 2 bitmap, 10 DE 2, 19 DE 22, 21 DE 35, 34 DE 52.
    for (at, change, error) in [
        (0, 0xA1, "MTI at offset 0: bad message type"),
        (10, 0x1A, "DE 2 at offset 10: length not digits"),
        (11, 0x15, "DE 2 at offset 11: not binary-coded digits"),
        (18, 0x4F, "DE 2 at offset 18: not binary-coded digits"),
        (19, 0x10, "DE 22 at offset 19: not binary-coded digits"),
        (30, 0xE0, "DE 35 at offset 30: not binary-coded digits"),
        (33, 0xFF, "DE 35 at offset 33: not binary-coded digits"),
    ] {
        let mut changed = bytes.clone();
        changed[at] = change;
        assert_eq!(judge(binary, &changed), error, "{at} {change:#x}");
    }
}

#[test]
fn signs_and_pairs() {
    let (ascii, binary) = (dialect("iso87-ascii"), dialect("iso87-binary"));
    for (name, dialect) in BUILT_IN.iter().filter(|(_, dialect)| dialect.version == Version::V1987) {
        let text = "0220 28=C00000100 29=D00000200 30=C12345678";
        assert_eq!(read(dialect, &write(dialect, text)), (text.to_string(), Ok(())), "{name}");
    }
    let mut bytes = write(ascii, "0220 28=C00000100 29=D00000200");
    bytes[29] = b'0';
    assert_eq!(judge(ascii, &bytes), "DE 29 at offset 29: bad sign");
    bytes[29] = b'D';
    bytes[33] = b'C';
    assert_eq!(judge(ascii, &bytes), "DE 29 at offset 33: not digits");
    let mut bytes = write(binary, "0220 28=C00000100 29=D00000200");
    bytes[16] = 0xF0;
    assert_eq!(judge(binary, &bytes), "DE 29 at offset 16: not binary-coded digits");
    let odd = [&write(ascii, "0100 11=000001 55=9F")[..26], b"0039F0"].concat();
    assert_eq!(judge(ascii, &odd), "DE 55 at offset 29: not hex");
}

#[test]
fn rules_by_type() {
    let ascii = dialect("iso87-ascii");
    let payment = "3=000000 4=000000001250 7=1231142359 11=000042";
    for (text, verdict) in [
        (format!("0100 2=54133300 {payment} 41=T1 49=978"), "ok"),
        (format!("0101 {payment} 41=T1 49=978 102=alias"), "ok"),
        (format!("0100 2=54133300 {payment} 49=978"), "DE 41 at offset 67: missing"),
        (format!("0100 {payment} 41=T1 49=978"), "DE 2 at offset 65: missing"),
        (format!("0100 2=54133300 {payment} 39=00 41=T1 49=978"), "DE 39 at offset 64: forbidden"),
        (format!("0120 2=54133300 {payment} 39=00 41=T1 49=978"), "ok"),
        ("0110 7=1231142359 11=000042 39=05".to_string(), "ok"),
        ("0110 7=1231142359 11=000042".to_string(), "DE 39 at offset 36: missing"),
        ("0421 4=0 7=1231142359 11=000042 90=0".to_string(), "ok"),
        ("0420 4=0 7=1231142359 11=000042".to_string(), "DE 90 at offset 48: missing"),
        ("0800 7=1231142359 11=000042 70=301".to_string(), "ok"),
        ("0500 11=000042".to_string(), "ok"),
    ] {
        assert_eq!(judge(ascii, &write(ascii, &text)), verdict, "{text}");
    }
    let foreign = "0100 2=54133300 3=0 4=1 5=1 7=1231142359 11=000042 41=T1 49=978";
    assert_eq!(judge(ascii, &write(ascii, foreign)), "DE 50 at offset 87: missing");
    let ascii = dialect("iso93-ascii");
    for (text, verdict) in [
        ("1804 11=000042 12=241231142359 24=831", "ok"),
        ("1804 11=000042 12=241231142359", "DE 24 at offset 38: missing"),
        ("1420 4=1 11=000042 12=241231142359 56=1100000042241231142359", "ok"),
    ] {
        assert_eq!(judge(ascii, &write(ascii, text)), verdict, "{text}");
    }
}

#[test]
fn values_of_a_payment() {
    for (name, dialect) in BUILT_IN.iter().take(3) {
        let answered = PAYMENT.replace("41=", "38=A1B2C3 39=00 41=");
        with_message(dialect, &write(dialect, &answered), |message| {
            assert_eq!(message.mti(), Mti::from_digits(*b"0100"));
            assert_eq!(message.pan().unwrap().unwrap().danger_clear_digits(), b"5413330089010434");
            assert_eq!(message.processing_code().unwrap().transaction_type(), 0);
            assert_eq!(message.amount(), Ok(Some(1_250)));
            assert_eq!(message.currency().unwrap().unwrap().alpha(), Some("EUR"));
            assert_eq!(message.stan(), Stan::new(42));
            assert_eq!(message.transmission_time().unwrap().unwrap().hour(), 14);
            assert_eq!(message.pos_entry().unwrap().entry_mode(), 5);
            assert_eq!(message.acquirer().unwrap().number(), 12_345_678_901);
            assert_eq!(message.track2().unwrap().unwrap().discretionary(), b"7004273147853");
            assert_eq!(message.rrn().unwrap().as_bytes(), b"436614000042");
            assert_eq!(message.approval_code().unwrap().as_bytes(), b"A1B2C3");
            assert!(message.response_code().unwrap().is_approval());
            assert_eq!(message.terminal().unwrap().as_bytes(), b"TERM0001");
            assert_eq!(message.icc_data(&mut [0; 255]).unwrap().unwrap().atc(), Some(0x1E47));
            assert_eq!((message.merchant(), message.forwarder(), message.expiry()), (None, None, Ok(None)));
            assert_eq!(format!("{message:?}").find("5413"), None, "{name}");
        });
    }
}

#[test]
fn values_by_edition() {
    let text = "1100 11=000042 12=241231142359 22=51010151134C 24=831";
    for name in ["iso93-ascii", "iso93-binary"] {
        with_message(dialect(name), &write(dialect(name), text), |message| {
            assert_eq!(message.local_time().unwrap().unwrap().digits(), *b"142359");
            assert_eq!(message.local_date().unwrap().unwrap().digits(), *b"1231");
            assert_eq!(message.pos_entry().unwrap().entry_mode(), 5);
            assert_eq!(message.network_function(), Some(NetworkFunction::Echo));
            assert_eq!(message.original(), Ok(None));
        });
    }
    let ascii = dialect("iso87-ascii");
    let text = "0420 11=000043 12=142359 13=1231 70=301 90=010000004212311423590000001234500000000000 \
        95=000000000500000000000000C00000000D00000000";
    with_message(ascii, &write(ascii, text), |message| {
        assert_eq!(message.local_time().unwrap().unwrap().digits(), *b"142359");
        assert_eq!((message.local_date_time(), message.network_code()), (Ok(None), Some(301)));
        assert_eq!(message.network_function(), Some(NetworkFunction::Echo));
        let original = message.original().unwrap().unwrap();
        assert_eq!((original.stan, original.acquirer.unwrap().number()), (Stan::new(42).unwrap(), 12_345));
        assert_eq!(message.replacement_amounts().unwrap().unwrap().transaction, 500);
    });
}

#[test]
fn values_that_no_value_can_be() {
    let ascii = dialect("iso87-ascii");
    let text = "0100 2=1234567 7=1331142359 14=2913 35=5413330089010434 49=EUR 55=9F3601";
    with_message(ascii, &write(ascii, text), |message| {
        let shown = |error: Option<ParseError>| error.unwrap().to_string();
        assert_eq!(shown(message.pan().err()), "DE 2 at offset 22: bad value");
        assert_eq!(shown(message.transmission_time().err()), "DE 7 at offset 29: bad value");
        assert_eq!(shown(message.expiry().err()), "DE 14 at offset 39: bad value");
        assert_eq!(shown(message.track2().err()), "DE 35 at offset 45: bad track");
        assert_eq!(shown(message.currency().err()), "DE 49 at offset 61: bad value");
        assert_eq!(shown(message.icc_data(&mut [0; 9]).err()), "DE 55 at offset 67: bad TLV");
    });
}

#[test]
fn a_request_is_answered_and_passed_on() {
    for (name, dialect) in BUILT_IN.iter().take(3) {
        let bytes = write(dialect, &format!("{PAYMENT} 90=0"));
        let mut out = [0; 512];
        with_message(dialect, &bytes, |message| {
            let echoed = dialect.echo.intersection(message.present()).with(De::RESPONSE_CODE);
            let mut reply =
                Encoder::new(dialect, message.mti().unwrap().response(), echoed, &mut out).unwrap();
            for de in echoed {
                match de {
                    De::RESPONSE_CODE => reply.put(de, b"51").unwrap(),
                    _ => reply.copy(de, &message).unwrap(),
                }
            }
            let len = reply.finish().unwrap();
            let zeros = "0".repeat(42);
            let expected = format!(
                "0110 2=5413330089010434 3=000000 4=000000001250 7=1231142359 11=000042 32=12345678901 \
                 37=436614000042 39=51 41=TERM0001 49=978 90={zeros}"
            );
            assert_eq!(read(dialect, &out[..len]), (expected, Ok(())), "{name}");

            let (mti, stan) = (Mti::from_digits(*b"0101").unwrap(), Stan::new(987_654).unwrap());
            let len = Encoder::restamp(&message, mti, stan, &mut out).unwrap();
            let expected = format!("{PAYMENT} 90={zeros}").replacen("0100", "0101", 1);
            let expected = expected.replacen("11=000042", "11=987654", 1);
            assert_eq!(read(dialect, &out[..len]), (expected, Ok(())), "{name}");
        });
    }
}

#[test]
fn elements_of_every_size_are_translated() {
    let with_long_48 = |name: &str| {
        let mut fields = *dialect(name).fields();
        let length = Length::Var { prefix_digits: 4, max: 9_999 };
        fields[48] = fields[48].map(|spec| FieldSpec { length, ..spec });
        dialect(name).clone().with_fields(fields)
    };
    let (ascii, ebcdic) = (with_long_48("iso87-ascii"), with_long_48("iso87-ebcdic"));
    let (mti, set) = (Mti::from_digits(*b"0100").unwrap(), DeSet::of(&[De::PRIVATE_48]));
    let mut bytes = [0; 10_100];
    let mut out = [0; 10_100];
    for len in [0, 64, 65, 512, 513, 999, 1_000, 9_999] {
        let mut encoder = Encoder::new(&ebcdic, mti, set, &mut bytes).unwrap();
        encoder.put(De::PRIVATE_48, &vec![b'x'; len]).unwrap();
        let end = encoder.finish().unwrap();
        with_message(&ebcdic, &bytes[..end], |message| {
            let mut encoder = Encoder::new(&ascii, mti, set, &mut out).unwrap();
            encoder.copy(De::PRIVATE_48, &message).unwrap();
            let end = encoder.finish().unwrap();
            assert_eq!(&out[20..24], format!("{len:04}").as_bytes());
            assert_eq!(out[24..end], vec![b'x'; len]);
        });
    }
}

#[test]
fn a_type_that_no_edition_has_is_answered_in_kind() {
    let ascii = dialect("iso87-ascii");
    let bytes = write(ascii, "0999 11=000042");
    let mut index = Index::new();
    assert!(ascii.parse(&bytes, &mut index).is_err());
    let message = Message::new(ascii, &bytes, &index);
    assert_eq!((message.mti(), message.mti_digits(), message.stan()), (None, Some(*b"0999"), Stan::new(42)));
    let mut out = [0; 64];
    let mut reply = Encoder::new_with_digits(ascii, *b"0999", message.present(), &mut out).unwrap();
    reply.copy(De::STAN, &message).unwrap();
    let len = reply.finish().unwrap();
    assert_eq!(out[..len], bytes[..]);
}

#[test]
fn messages_that_cannot_be_written() {
    let ascii = dialect("iso87-ascii");
    for (text, de, flaw) in [
        ("01X0 11=1", De::MTI, EncodeFlaw::NotEncodable),
        ("0100 11=1234567", De::STAN, EncodeFlaw::TooLong),
        ("0100 11=12345A", De::STAN, EncodeFlaw::NotEncodable),
        ("0100 2=12345678901234567890", De::PAN, EncodeFlaw::TooLong),
        ("0100 35=5413^", De::TRACK2, EncodeFlaw::NotEncodable),
        ("0100 52=00", De::PIN, EncodeFlaw::WrongLength),
        ("0100 28=C1", element(28), EncodeFlaw::WrongLength),
        ("0100 11=1 3=1", De::STAN, EncodeFlaw::OutOfOrder),
    ] {
        assert_eq!(try_write(ascii, text), Err(EncodeError { de, flaw }), "{text}");
    }
    let set = DeSet::of(&[De::STAN, De::TERMINAL]);
    let mti = Mti::from_digits(*b"0100").unwrap();
    let mut out = [0; 64];
    let mut encoder = Encoder::new(ascii, mti, set, &mut out).unwrap();
    encoder.put_number(De::STAN, 42).unwrap();
    assert_eq!(encoder.put_number(De::STAN, 42).unwrap_err().flaw, EncodeFlaw::OutOfOrder);
    assert_eq!(encoder.finish(), Err(EncodeError { de: De::TERMINAL, flaw: EncodeFlaw::Incomplete }));
    let unknown = DeSet::from_numbers(&[65]);
    let mut encoder = Encoder::new(ascii, mti, unknown, &mut out).unwrap();
    assert_eq!(encoder.put(element(65), b"").unwrap_err().flaw, EncodeFlaw::UnknownElement);
    let whole = write(ascii, PAYMENT);
    with_message(ascii, &whole, |message| {
        for room in 0..whole.len() {
            let mut out = vec![0; room];
            let encoder = Encoder::new(ascii, mti, message.present(), &mut out);
            let copied = encoder
                .and_then(|mut copy| message.present().iter().try_for_each(|de| copy.copy(de, &message)));
            let error = copied.unwrap_err();
            assert_eq!(error.flaw, EncodeFlaw::Full, "{room}");
            assert!(Encoder::restamp(&message, mti, Stan::new(1).unwrap(), &mut out).is_err());
        }
    });
}

#[test]
fn an_index_is_used_again_and_again() {
    let (ascii, binary) = (dialect("iso87-ascii"), dialect("iso87-binary"));
    let (long, short) = (write(ascii, PAYMENT), write(binary, "0800 11=000001"));
    let mut index = Index::new();
    ascii.parse(&long, &mut index).unwrap();
    binary.parse(&short, &mut index).unwrap();
    assert_eq!(index.present(), DeSet::of(&[De::STAN]));
    // The bytes of another message: wrong, but harmless.
    ascii.parse(&long, &mut index).unwrap();
    let message = Message::new(ascii, &short, &index);
    assert_eq!((message.value(De::ICC_DATA), message.track2().is_err()), (None, true));
    assert!(ascii.parse(b"", &mut index).is_err());
    assert_eq!((index.present(), index.mti()), (DeSet::EMPTY, None));
}

#[test]
fn dialects_that_contradict_themselves() {
    for (name, dialect) in BUILT_IN {
        assert_eq!(dialect.first_unsound(), None, "{name}");
        assert_eq!(built_in(name), Some(*dialect));
    }
    assert_eq!(built_in("iso03-ascii"), None);
    let spoilt = |number: usize, spec: FieldSpec| {
        let mut fields = *dialect("iso87-binary").fields();
        fields[number] = Some(spec);
        dialect("iso87-binary").clone().with_fields(fields).first_unsound().map(De::number)
    };
    let spec = |kind, length, text| FieldSpec { kind, length, text, prefix: PrefixText::Bcd };
    let var = |prefix_digits, max| Length::Var { prefix_digits, max };
    assert_eq!(spoilt(48, spec(Kind::Text, Length::Fixed(9), Text::Bcd)), Some(48));
    assert_eq!(spoilt(48, spec(Kind::Text, var(2, 100), Text::Ascii)), Some(48));
    assert_eq!(spoilt(48, spec(Kind::Text, var(5, 9), Text::Ascii)), Some(48));
    assert_eq!(spoilt(48, spec(Kind::SignedDigits, Length::Fixed(8), Text::Bcd)), Some(48));
    assert_eq!(spoilt(48, spec(Kind::Binary, Length::Fixed(0), Text::Raw)), Some(48));
    assert_eq!(spoilt(65, spec(Kind::Binary, Length::Fixed(1), Text::Raw)), Some(65));
    assert_eq!(spoilt(48, spec(Kind::Text, var(4, 9_999), Text::Ascii)), None);
}
