//! What holds for all messages, tried on random ones.

use proptest::collection::vec;
use proptest::prelude::*;
use std::{sync::LazyLock, vec::Vec};

use super::*;
use crate::error::{EncodeError, Flaw, ParseError};
use crate::value::Stan;

/// A message as a list of elements in canonical form.
type Elements = Vec<(De, Vec<u8>)>;

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// The built-in dialects, and three of 1987 that write things otherwise than any of them.
static DIALECTS: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
    let otherwise = |base: &str, mti, bitmap, rewrite: fn(FieldSpec) -> FieldSpec| {
        let base = built_in(base).unwrap();
        let fields = base.fields().map(|spec| spec.map(rewrite));
        Dialect::new(base.version, mti, bitmap, fields).with_rules(base.rules, base.echo)
    };
    let others = [
        otherwise("iso87-binary", Text::Ascii, BitmapText::HexEbcdic, |spec| match spec.kind {
            Kind::Digits => FieldSpec { text: Text::BcdLeft, prefix: PrefixText::Binary, ..spec },
            Kind::Track => FieldSpec { text: Text::Bcd, prefix: PrefixText::Ascii, ..spec },
            Kind::Binary => FieldSpec { text: Text::HexAscii, ..spec },
            _ => FieldSpec { text: Text::Ebcdic, prefix: PrefixText::Bcd, ..spec },
        }),
        otherwise("iso87-ascii", Text::Ebcdic, BitmapText::HexAscii, |spec| match spec.kind {
            Kind::Binary => FieldSpec { text: Text::HexEbcdic, prefix: PrefixText::Ebcdic, ..spec },
            _ => FieldSpec { prefix: PrefixText::Ebcdic, ..spec },
        }),
        otherwise("iso87-ebcdic", Text::Bcd, BitmapText::Binary, |spec| match (spec.kind, spec.length) {
            (Kind::Text, Length::Var { .. }) => FieldSpec { kind: Kind::Alpha, ..spec },
            (Kind::Text, _) => FieldSpec { kind: Kind::Alpha, text: Text::Ascii, ..spec },
            (Kind::SignedDigits, _) => FieldSpec { text: Text::BcdLeft, ..spec },
            _ => spec,
        }),
    ];
    BUILT_IN.iter().map(|(_, dialect)| (*dialect).clone()).chain(others).collect()
});

/// A dialect and a message that it can carry, with up to two dozen elements.
fn message() -> impl Strategy<Value = (&'static Dialect, Elements)> {
    (0..DIALECTS.len(), vec(2..=128_u8, 0..24)).prop_flat_map(|(place, numbers)| {
        let dialect = &DIALECTS[place];
        assert_eq!(dialect.first_unsound(), None);
        (Just(dialect), elements_of(dialect, &numbers))
    })
}

/// Values for the elements of these numbers that the dialect has.
fn elements_of(dialect: &'static Dialect, numbers: &[u8]) -> Vec<(Just<De>, BoxedStrategy<Vec<u8>>)> {
    let present = DeSet::from_numbers(numbers);
    present.iter().filter_map(|de| dialect.field(de).map(|spec| (Just(de), content(spec)))).collect()
}

/// A dialect, and two messages of it.
fn two_messages() -> impl Strategy<Value = (&'static Dialect, Elements, Elements)> {
    let numbers = || vec(2..=128_u8, 0..24);
    (0..DIALECTS.len(), numbers(), numbers()).prop_flat_map(|(place, one, other)| {
        let dialect = &DIALECTS[place];
        (Just(dialect), elements_of(dialect, &one), elements_of(dialect, &other))
    })
}

fn content(spec: &FieldSpec) -> BoxedStrategy<Vec<u8>> {
    let is_hex = matches!(spec.text, Text::HexAscii | Text::HexEbcdic);
    let len = match spec.length {
        Length::Fixed(units) => usize::from(units)..usize::from(units) + 1,
        Length::Var { max, .. } => 0..usize::from(if is_hex { max / 2 } else { max }).min(60) + 1,
    };
    let of = |characters: &'static [u8]| vec(prop::sample::select(characters), len.clone()).boxed();
    match spec.kind {
        Kind::Digits => of(b"0123456789"),
        Kind::Alpha => of(b"AZaz "),
        Kind::AlphaDigits => of(b"AZaz 09"),
        Kind::Text => vec(b' '..=b'~', len).boxed(),
        Kind::Track => of(b"0123456789="),
        Kind::Binary => vec(any::<u8>(), len).boxed(),
        Kind::SignedDigits => of(b"0123456789")
            .prop_flat_map(|digits| (Just(digits), prop::sample::select(&b"CD"[..])))
            .prop_map(|(mut digits, sign)| {
                digits[0] = sign;
                digits
            })
            .boxed(),
    }
}

fn write(dialect: &Dialect, elements: &Elements) -> Vec<u8> {
    let mut out = std::vec![0; 65_535];
    let present = elements.iter().map(|(de, _)| *de).collect();
    let mti = if dialect.version == Version::V1987 { *b"0100" } else { *b"1100" };
    let mut encoder = Encoder::new_with_digits(dialect, mti, present, &mut out).unwrap();
    for (de, value) in elements {
        encoder.put(*de, value).unwrap();
    }
    let len = encoder.finish().unwrap();
    out.truncate(len);
    out
}

/// Whether another dialect has the same elements of the same kinds.
fn can_say(other: &Dialect, dialect: &Dialect, elements: &Elements) -> bool {
    let kind = |dialect: &Dialect, de| dialect.field(de).map(|spec| spec.kind);
    other.version == dialect.version && elements.iter().all(|(de, _)| kind(other, *de) == kind(dialect, *de))
}

fn copy_all(encoder: &mut Encoder<'_>, message: &Message<'_>) -> Result<(), EncodeError> {
    message.present().iter().try_for_each(|de| encoder.copy(de, message))
}

fn read(message: &Message<'_>) -> Elements {
    let mut out = [0; 1_024];
    message.present().iter().map(|de| (de, message.decode(de, &mut out).unwrap().to_vec())).collect()
}

/// Reads a message by plans into an index that another one has used, and says all that was found.
fn parse_by(plans: &mut Plans, dialect: &Dialect, bytes: &[u8]) -> (Result<(), ParseError>, Places) {
    let mut index = Index::new();
    let _ = dialect.parse(b"0800822000000000000004000000000000001123220304000001301", &mut index);
    (plans.parse(dialect, bytes, &mut index), places(&index))
}

/// All that an index says.
type Places = (Option<Mti>, Option<[u8; 4]>, u16, Vec<(De, [u16; 4])>);

fn places(index: &Index) -> Places {
    let place = |de| {
        let span = index.span(de).unwrap();
        (de, [span.start(), span.value(), span.end(), span.units()])
    };
    (index.mti(), index.mti_digits(), index.end, index.present().iter().map(place).collect())
}

/// Calls everything that looks into a message: it must come back.
fn look_everywhere(message: &Message<'_>) {
    let mut out = [0; 300];
    for de in (1..=128).filter_map(De::new) {
        let _ = (message.raw(de), message.value(de), message.number(de), message.decode(de, &mut out));
    }
    let _ = (message.pan(), message.amount(), message.currency(), message.track2(), message.original());
    let _ = (message.transmission_time(), message.local_time(), message.local_date(), message.expiry());
    let _ = (message.stan(), message.rrn(), message.processing_code(), message.merchant_type());
    let _ = (message.pos_entry(), message.acquirer(), message.forwarder(), message.response_code());
    let _ = (message.terminal(), message.merchant(), message.approval_code(), message.network_function());
    let _ = (message.icc_data(&mut out).is_ok(), message.replacement_amounts());
    let mut copy = [0; 700];
    for dialect in DIALECTS.iter() {
        let mti = Mti::from_digits(*b"0110").unwrap();
        if let Ok(mut encoder) = Encoder::new(dialect, mti, message.present(), &mut copy) {
            let _ = copy_all(&mut encoder, message);
        }
    }
    let _ = Encoder::restamp(message, Mti::from_digits(*b"0101").unwrap(), Stan::new(7).unwrap(), &mut copy);
}

/// Beginnings that get noise past the message type.
const HEADS: &[&[u8]] = &[b"", b"0100", b"\x01\x00", b"\xF0\xF1\xF0\xF0", b"0800FFFFFFFFFFFFFFFF"];

/// The elements that were drawn.
fn chosen(drawn: &[bool]) -> DeSet {
    let numbers = (1..=128).filter(|number| drawn[usize::from(*number)]);
    numbers.filter_map(De::new).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_written_is_read((dialect, elements) in message()) {
        let bytes = write(dialect, &elements);
        let mut index = Index::new();
        prop_assert_eq!(dialect.parse(&bytes, &mut index), Ok(()));
        // The second time by a plan.
        let mut plans = Plans::new();
        for _ in 0..2 {
            prop_assert_eq!(parse_by(&mut plans, dialect, &bytes), (Ok(()), places(&index)));
        }
        let message = Message::new(dialect, &bytes, &index);
        prop_assert_eq!(&read(&message), &elements);
        // As one piece, and by way of any other dialect that has the elements and room for them.
        let mut out = std::vec![0; bytes.len()];
        let mti = message.mti().unwrap();
        let mut copy = Encoder::new(dialect, mti, message.present(), &mut out).unwrap();
        copy_all(&mut copy, &message).unwrap();
        prop_assert_eq!(copy.finish(), Ok(bytes.len()));
        prop_assert_eq!(&out, &bytes);
        for other in DIALECTS.iter().filter(|other| can_say(other, dialect, &elements)) {
            let translated = write(other, &elements);
            let mut index = Index::new();
            prop_assert_eq!(other.parse(&translated, &mut index), Ok(()));
            let translated = Message::new(other, &translated, &index);
            let mut out = std::vec![0; bytes.len()];
            let mut back = Encoder::new(dialect, mti, message.present(), &mut out).unwrap();
            copy_all(&mut back, &translated).unwrap();
            prop_assert_eq!(back.finish(), Ok(bytes.len()));
            prop_assert_eq!(&out, &bytes);
        }
    }

    #[test]
    fn what_is_woven_of_two_messages_is_what_is_written_element_by_element(
        (dialect, request, answer) in two_messages(),
        (left_out, of_answer, said) in any::<([bool; 129], [bool; 129], [bool; 129])>()
            .prop_map(|(a, b, c)| (chosen(&a), chosen(&b), chosen(&c))),
        damage in any::<prop::sample::Index>(),
    ) {
        let (one, mut other) = (write(dialect, &request), write(dialect, &answer));
        let (mut one_index, mut other_index) = (Index::new(), Index::new());
        dialect.parse(&one, &mut one_index).unwrap();
        dialect.parse(&other, &mut other_index).unwrap();
        let mut weaves = Weaves::new();
        let mut out = std::vec![0; 65_535];
        {
            let (one, other) =
                (Message::new(dialect, &one, &one_index), Message::new(dialect, &other, &other_index));
            let present = one.present().union(other.present()).minus(left_out);
            let said = said.intersection(one.present()).intersection(present);
            let of_answer = of_answer.union(present.minus(one.present())).intersection(other.present());
            let of_answer = of_answer.intersection(present).minus(said);
            let strands = Strands { request: &one, answer: &other, present, of_answer, said };
            let say = |de: De| &*request.iter().find(|(one, _)| *one == de).unwrap().1;
            let mut encoder = Encoder::new_with_digits(dialect, *b"0110", present, &mut out).unwrap();
            for de in present {
                let source = if of_answer.contains(de) { &other } else { &one };
                encoder.copy(de, source).unwrap();
            }
            let written = encoder.finish().unwrap();
            // The second time by a weave that is there.
            for _ in 0..2 {
                let mut woven = std::vec![0; 65_535];
                prop_assert_eq!(weaves.write(dialect, *b"0110", &strands, say, &mut woven), Some(written));
                prop_assert_eq!(&woven[..written], &out[..written]);
                prop_assert_eq!(weaves.write(dialect, *b"0110", &strands, say, &mut woven[..written - 1]), None);
            }
            // An element that the request has not.
            if let Some(de) = other.present().minus(one.present()).first() {
                let strands = Strands { present: present.with(de), of_answer: of_answer.without(de), ..strands };
                prop_assert_eq!(weaves.write(dialect, *b"0110", &strands, say, &mut out), None);
            }
        }
        // With something unsound in it a message is not woven: what is left out would go along.
        let place = damage.index(other.len());
        other[place] ^= 0xFF;
        if dialect.parse(&other, &mut other_index).is_err() {
            let (one, other) =
                (Message::new(dialect, &one, &one_index), Message::new(dialect, &other, &other_index));
            let (present, of_answer, said) = (one.present(), DeSet::EMPTY, DeSet::EMPTY);
            let strands = Strands { request: &one, answer: &other, present, of_answer, said };
            prop_assert_eq!(weaves.write(dialect, *b"0110", &strands, |_| b"", &mut out), None);
        }
    }

    #[test]
    fn a_damaged_message_is_refused_or_read_but_never_a_panic(
        (dialect, elements) in message(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = write(dialect, &elements);
        let mut plans = Plans::new();
        plans.parse(dialect, &bytes, &mut Index::new()).unwrap();
        for (place, byte, how) in damage {
            let place = place.index(bytes.len());
            match how {
                0 => bytes[place] = byte,
                1 => bytes[place] ^= 1 << (byte & 7),
                2 => bytes.insert(place, byte),
                _ => bytes.truncate(place + cut.index(bytes.len() - place) + 1),
            }
        }
        let mut index = Index::new();
        let result = dialect.parse(&bytes, &mut index);
        prop_assert_eq!(parse_by(&mut plans, dialect, &bytes), (result, places(&index)));
        let message = Message::new(dialect, &bytes, &index);
        look_everywhere(&message);
        let _ = dialect.check_rules(&index);
        // What is said to be sound can be written again, and is read as the same.
        let sound = read(&message);
        let again = write(dialect, &sound);
        let mut other = Index::new();
        prop_assert_eq!(dialect.parse(&again, &mut other), Ok(()));
        prop_assert_eq!(read(&Message::new(dialect, &again, &other)), sound);
        if let Err(error) = result {
            let is_content = !matches!(error.flaw, Flaw::TrailingBytes);
            prop_assert!(!(is_content && message.has(error.de)), "{}", error);
            prop_assert!(usize::from(error.offset) <= bytes.len());
        }
    }

    #[test]
    fn noise_is_never_a_panic(
        bytes in vec(any::<u8>(), 0..300),
        head in prop::sample::select(HEADS),
    ) {
        let bytes = [head, &bytes].concat();
        for dialect in DIALECTS.iter() {
            let mut index = Index::new();
            let _ = dialect.parse(&bytes, &mut index);
            look_everywhere(&Message::new(dialect, &bytes, &index));
        }
    }
}
