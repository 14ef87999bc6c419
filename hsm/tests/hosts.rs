//! Vectors of what is between two hosts, through every token there is: MACs of messages, PIN blocks.

mod bench;
mod tokens;

use cryptoki::object::{Attribute, KeyType};
use hsm::{
    Answer, Cause, CheckMac, Covered, HsmError, KeyId, Kind, MacKeySpec, MakeMac, Padding, PinBlock,
    PinFormat, Question, Retry, TranslatePin,
};

use bench::{Bench, pan};
use tokens::{AES_CMAC, AES_ECB, DES3_CBC, DES3_CMAC, DES3_ECB, Vector, hex, vectors};

/// Made, right, wrong in each byte, absent, and over another message.
fn mac(bench: &mut Bench<'_>, key: KeyId, vector: &Vector, (message, mac): (&[u8], &[u8])) {
    let right: [u8; 8] = mac[..8].try_into().expect("eight bytes");
    let made = bench
        .ask(Question::MakeMac(MakeMac { key, message: Covered::new(message.to_vec()).expect("short") }));
    assert_eq!(made, Ok(Answer::Mac(right)), "{}", vector.id());
    let mut check = |message: &[u8], presented| {
        bench.ask(Question::CheckMac(CheckMac {
            key,
            message: Covered::new(message.to_vec()).expect("short"),
            presented,
        }))
    };
    assert_eq!(check(message, Some(right)), Ok(Answer::Right), "{}", vector.id());
    for at in 0..8 {
        let mut wrong = right;
        wrong[at] ^= 0x80;
        assert_eq!(check(message, Some(wrong)), Ok(Answer::Wrong), "{}: byte {at}", vector.id());
    }
    assert_eq!(check(message, None), Ok(Answer::WrongLength), "{}", vector.id());
    assert_eq!(check(&[message, b"1"].concat(), Some(right)), Ok(Answer::Wrong), "{}", vector.id());
}

fn algorithm3(bench: &mut Bench<'_>, value: &[u8], padding: Padding, label: &str) -> KeyId {
    let whole = bench.make(label, value, DES3_ECB);
    let twice = [&value[..8], &value[..8]].concat();
    let kind = (KeyType::DES2, Attribute::Encrypt(true), DES3_CBC);
    let left = bench.make_for(&format!("{label}-left"), &twice, kind);
    let spec = MacKeySpec::Algorithm3 { whole: &whole, left: &left, padding };
    bench.verifier.load_mac(&spec).expect("a key")
}

#[test]
fn macs_of_messages() {
    tokens::run("macs_of_messages", |hsm| {
        let mut bench = Bench::new(hsm);
        for vector in vectors("mac_alg3") {
            let padding = if vector.number("padding_method") == 1 { Padding::Zeros } else { Padding::OneBit };
            let key = algorithm3(&mut bench, &hex(vector.input("key")), padding, vector.id());
            mac(&mut bench, key, &vector, (&hex(vector.input("data")), &hex(vector.text("mac"))));
        }
        for vector in vectors("mac_cmac_tdes") {
            let kind = (KeyType::DES2, Attribute::Sign(true), DES3_CMAC);
            let spec = bench.make_for(vector.id(), &hex(vector.input("key")), kind);
            let key = bench.verifier.load_mac(&MacKeySpec::TripleDesCmac(&spec)).expect("a key");
            mac(&mut bench, key, &vector, (&hex(vector.input("data")), &hex(vector.text("mac"))));
        }
        for vector in vectors("mac_cmac_aes") {
            let key = cmac(&mut bench, vector.id(), vector.input("key"));
            mac(&mut bench, key, &vector, (&hex(vector.input("data")), &hex(vector.text("mac"))));
        }
    });
}

fn cmac(bench: &mut Bench<'_>, label: &str, value: &str) -> KeyId {
    let spec = bench.make_for(label, &hex(value), (KeyType::AES, Attribute::Sign(true), AES_CMAC));
    bench.verifier.load_mac(&MacKeySpec::AesCmac(&spec)).expect("a key")
}

#[test]
fn macs_of_whole_messages() {
    tokens::run("macs_of_whole_messages", |hsm| {
        let mut bench = Bench::new(hsm);
        for vector in vectors("iso8583_message") {
            let (value, algorithm) = (vector.input("mac_key"), vector.input("mac_algorithm"));
            let key = if algorithm.contains("CMAC") {
                cmac(&mut bench, vector.id(), value)
            } else {
                algorithm3(&mut bench, &hex(value), Padding::Zeros, vector.id())
            };
            let (covered, made) = (hex(vector.input("mac_input")), hex(vector.text("mac")));
            assert_eq!([&covered[..], &made].concat(), hex(vector.text("message")), "{}", vector.id());
            mac(&mut bench, key, &vector, (&covered, &made));
        }
    });
}

fn format(number: u64) -> PinFormat {
    match number {
        0 => PinFormat::Iso0,
        1 => PinFormat::Iso1,
        3 => PinFormat::Iso3,
        4 => PinFormat::Iso4,
        other => panic!("format {other}"),
    }
}

/// The zone key of a value, for blocks that come in, go out, or go out with another card's number.
fn zone(bench: &mut Bench<'_>, way: &str, value: &str, format: PinFormat) -> KeyId {
    let is_aes = format == PinFormat::Iso4;
    let label = format!("{way}-{value}");
    let (key_type, mechanism) = if is_aes { (KeyType::AES, AES_ECB) } else { (KeyType::DES2, DES3_ECB) };
    let may = if way == "in" { Attribute::Decrypt(true) } else { Attribute::Encrypt(true) };
    bench.once(&label, |bench| {
        let spec = bench.make_for(&label, &hex(value), (key_type, may, mechanism));
        let loaded = match way {
            "in" => bench.verifier.load_pin_in(&spec, format),
            _ => bench.verifier.load_pin_out(&spec, format, way == "other"),
        };
        loaded.expect("a zone key")
    })
}

struct Translation<'a> {
    vector: &'a Vector,
    keys: (KeyId, KeyId),
    to_format: PinFormat,
    pans: (&'a str, &'a str),
}

impl Translation<'_> {
    fn of(&self, from_format: PinFormat, block: &[u8]) -> Question {
        let (pan_in, pan_out) = (pan(self.pans.0), pan(self.pans.1));
        Question::TranslatePin(TranslatePin {
            from: self.keys.0,
            to: self.keys.1,
            from_format,
            to_format: self.to_format,
            other_pan: (pan_in != pan_out).then_some(pan_out),
            pan: pan_in,
            block: PinBlock::new(block).expect("a block"),
        })
    }
}

#[test]
fn pin_blocks() {
    tokens::run("pin_blocks", |hsm| {
        let mut bench = Bench::new(hsm);
        for vector in vectors("pin_translate") {
            let (from, to) = (format(vector.number("format_in")), format(vector.number("format_out")));
            let (pan_in, pan_out) = (vector.input("pan_in"), vector.input("pan_out"));
            let key_in = zone(&mut bench, "in", vector.input("key_in"), from);
            let strict = zone(&mut bench, "out", vector.input("key_out"), to);
            let other = zone(&mut bench, "other", vector.input("key_out"), to);
            let block = hex(vector.input("pin_block_in"));
            let mut translation = Translation {
                vector: &vector,
                keys: (key_in, strict),
                to_format: to,
                pans: (pan_in, pan_out),
            };
            if pan_in != pan_out {
                let refused = bench.ask(translation.of(from, &block));
                assert_eq!(refused, Ok(Answer::Refused), "{}: the number changes", vector.id());
                translation.keys.1 = other;
            }
            let Ok(Answer::PinBlock(made)) = bench.ask(translation.of(from, &block)) else {
                panic!("{}", vector.id())
            };
            let expected = hex(vector.text("pin_block_out"));
            if to == PinFormat::Iso4 {
                // Eight bytes of it are random: it is read back and put under a key of format 0, as the vector's own is.
                assert_ne!(made.as_bytes(), expected, "{}", vector.id());
                let back = (zone(&mut bench, "in", vector.input("key_out"), to), zone_0(&mut bench));
                let back = Translation {
                    keys: back,
                    to_format: PinFormat::Iso0,
                    pans: (pan_out, pan_out),
                    ..translation
                };
                let mut plain = |block: &[u8]| bench.ask(back.of(to, block));
                let same = plain(made.as_bytes());
                assert!(matches!(same, Ok(Answer::PinBlock(_))), "{}: {same:?}", back.vector.id());
                assert_eq!(same, plain(&expected), "{}", back.vector.id());
            } else {
                assert_eq!(made.as_bytes(), expected, "{}", vector.id());
            }
        }
    });
}

fn zone_0(bench: &mut Bench<'_>) -> KeyId {
    zone(bench, "out", "C1868F08CEE9940E31976D9740685EE3", PinFormat::Iso0)
}

#[test]
fn pin_blocks_that_go_nowhere() {
    tokens::run("pin_blocks_that_go_nowhere", |hsm| {
        let mut bench = Bench::new(hsm);
        let vector = vectors("pin_translate").remove(0);
        let key_in = zone(&mut bench, "in", vector.input("key_in"), PinFormat::Iso0);
        let key_out = zone_0(&mut bench);
        let block = hex(vector.input("pin_block_in"));
        let number = vector.input("pan_in");
        let translation =
            |keys, to_format| Translation { vector: &vector, keys, to_format, pans: (number, number) };
        // A block that is bound to a card goes to no format that is not.
        let unbound = translation((key_in, key_out), PinFormat::Iso1).of(PinFormat::Iso0, &block);
        assert_eq!(bench.ask(unbound), Ok(Answer::Refused));
        let good = translation((key_in, key_out), PinFormat::Iso0);
        // Another card's number, and a block of another format: no PIN is in it.
        let other = Translation {
            pans: ("4761739001010028", "4761739001010028"),
            ..translation(good.keys, PinFormat::Iso0)
        };
        let wrong = [
            other.of(PinFormat::Iso0, &block),
            good.of(PinFormat::Iso3, &block),
            good.of(PinFormat::Iso0, &[0; 8]),
        ];
        for question in wrong {
            assert_eq!(bench.ask(question), Ok(Answer::Wrong));
        }
        // In one batch with good ones, each gets its own answer.
        let mixed = [
            good.of(PinFormat::Iso0, &[0; 8]),
            good.of(PinFormat::Iso0, &block),
            translation(good.keys, PinFormat::Iso1).of(PinFormat::Iso0, &block),
            good.of(PinFormat::Iso0, &block),
        ];
        let answers = bench.verifier.answer(&mixed);
        let right = PinBlock::new(&hex(vector.text("pin_block_out"))).expect("a block");
        let right = || Ok(Answer::PinBlock(right));
        assert_eq!(answers, [Ok(Answer::Wrong), right(), Ok(Answer::Refused), right()]);
        // Keys the wrong way round, and a format of another cipher.
        let error = HsmError { question: Kind::TranslatePin, cause: Cause::NotThatKey, retry: Retry::Never };
        let turned = translation((key_out, key_in), PinFormat::Iso0).of(PinFormat::Iso0, &block);
        assert_eq!(bench.ask(turned), Err(error));
        assert_eq!(bench.ask(good.of(PinFormat::Iso4, &[0; 16])), Err(error));
        assert_eq!(
            bench.ask(translation(good.keys, PinFormat::Iso4).of(PinFormat::Iso0, &block)),
            Err(error)
        );
    });
}
