//! Deterministic mutations of good frames through the cutter and the parser of every dialect: no panic, and
//! not one allocation. `SIGNALBOX_MUTATIONS` sets how many per dialect. A tenth as many of the seeds of the fuzz targets
//! go through what else reads bytes.

#![forbid(unsafe_code)]

use codecs::frame::{Cut, FrameFormat, LengthForm};
use codecs::iso8583::dialect::BUILT_IN;
use codecs::iso8583::{Dialect, Index, Message, Plans};
use tests::rig::places::scratch_folder;
use tests::{Plain, authorization_93, fuzz, purchase};

const FIELDS_87: &str = "33=200002 35=9999600000000019=49122010000012345 43=\"CORNER SHOP\" 48=\"TERMINAL DATA 0017\" \
     52=0123456789ABCDEF 54=0001840C000000001000 55=9F3602004282025C00 60=0020 102=ACCOUNT0001";

/// How many mutants of each dialect.
fn mutants() -> u64 {
    let wanted = std::env::var("SIGNALBOX_MUTATIONS").ok().map(|text| text.parse().expect("a number"));
    wanted.unwrap_or(if cfg!(debug_assertions) { 20_000 } else { 200_000 })
}

/// A small generator with a fixed start, so that a failure has a number.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).expect("small")).expect("small")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[3]
    }
}

const FORMATS: [FrameFormat; 4] = [
    FrameFormat {
        length: LengthForm::Binary2,
        inclusive: false,
        header_bytes: 0,
        max_bytes: 4096,
        keep_alive: false,
    },
    FrameFormat {
        length: LengthForm::Binary4,
        inclusive: true,
        header_bytes: 5,
        max_bytes: 4096,
        keep_alive: true,
    },
    FrameFormat {
        length: LengthForm::Bcd2,
        inclusive: false,
        header_bytes: 12,
        max_bytes: 9999,
        keep_alive: false,
    },
    FrameFormat {
        length: LengthForm::Ascii4,
        inclusive: true,
        header_bytes: 0,
        max_bytes: 9999,
        keep_alive: false,
    },
];

#[test]
fn mutants_of_iso87_ascii() {
    mutate("iso87-ascii");
}

#[test]
fn mutants_of_iso87_binary() {
    mutate("iso87-binary");
}

#[test]
fn mutants_of_iso87_ebcdic() {
    mutate("iso87-ebcdic");
}

#[test]
fn mutants_of_iso93_ascii() {
    mutate("iso93-ascii");
}

#[test]
fn mutants_of_iso93_binary() {
    mutate("iso93-binary");
}

#[test]
fn mutants_of_journal_records() {
    mutate_seeds("records", fuzz::records);
}

#[test]
fn mutants_of_journal_segments() {
    let folder = scratch_folder();
    mutate_seeds("segment", |bytes| fuzz::segment(bytes, &folder));
    std::fs::remove_dir_all(folder).expect("our own folder");
}

#[test]
fn mutants_of_configurations() {
    mutate_seeds("configuration", fuzz::configuration);
}

#[test]
fn mutants_of_events() {
    mutate_seeds("core", fuzz::core);
}

/// Mutants of a fuzz target's seeds, through its body.
fn mutate_seeds(target: &str, body: impl Fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = std::fs::read_dir(folder).expect("seeds").flatten();
    let mut seeds: Vec<Vec<u8>> = files.map(|file| std::fs::read(file.path()).expect("a seed")).collect();
    seeds.sort();
    let mut chance = Chance(0x5EED_0002);
    seeds.iter().for_each(|seed| body(seed));
    for _ in 0..mutants() / 10 {
        let mut bytes = seeds[chance.below(seeds.len())].clone();
        for _ in 0..=chance.below(4) {
            change(&mut bytes, &mut chance);
        }
        body(&bytes);
    }
}

fn mutate(name: &str) {
    let (_, dialect) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name).expect("built in");
    let seeds = seeds(dialect, name.starts_with("iso93"));
    let mut chance = Chance(0x5EED_0001);
    let (mut buffer, mut index) = (Vec::with_capacity(64 * 1024), Index::new());
    let mut plans = Box::new(Plans::new());
    let mut outcomes = [0_u64; 3];
    for mutant in 0..mutants() {
        let format = FORMATS[chance.below(FORMATS.len())];
        let seed = &seeds[chance.below(seeds.len())];
        frame(&format, seed, &mut buffer);
        for _ in 0..=chance.below(4) {
            change(&mut buffer, &mut chance);
        }
        let counted = allocation_counter::measure(|| {
            let outcome = digest(dialect, &format, &buffer, (&mut plans, &mut index));
            outcomes[outcome] += 1;
        });
        assert_eq!(counted.count_total, 0, "mutant {mutant} of {name} made the codec allocate");
    }
    // The mutants must reach the parser and both of its ends, or this proves nothing.
    assert!(
        outcomes.iter().all(|&count| count > mutants() / 1000),
        "frame, parse error, message: {outcomes:?}"
    );
}

fn seeds(dialect: &Dialect, is_1993: bool) -> Vec<Vec<u8>> {
    let texts = if is_1993 {
        [authorization_93(""), authorization_93("35=9999600000000019=49122010000012345 52=0123456789ABCDEF")]
    } else {
        [purchase(FIELDS_87), "0800 7=1123120000 11=000001 70=301".to_owned()]
    };
    texts.iter().map(|text| Plain::of(text).encode(dialect)).collect()
}

fn frame(format: &FrameFormat, message: &[u8], buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(format.overhead_bytes(), 0);
    format.seal(&[], message.len(), buffer).expect("a frame that fits");
    buffer.extend_from_slice(message);
}

/// One change: a bit, a byte, a digit for a digit, a cut, a copy of a piece, a length field of its own.
fn change(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(bytes.len());
    match chance.below(7) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
        1 if !bytes.is_empty() => bytes[at] = chance.byte(),
        2 if !bytes.is_empty() => bytes[at] = b'0' + chance.byte() % 10,
        3 => bytes.truncate(at),
        4 => bytes.insert(at, chance.byte()),
        5 => {
            let end = (at + chance.below(20)).min(bytes.len());
            bytes.extend_from_within(at..end);
        }
        _ => {
            let digits = chance.below(10_000).to_be_bytes();
            let length = digits.len();
            for (byte, digit) in bytes[at..].iter_mut().zip(&digits[length - 2..]) {
                *byte = *digit;
            }
        }
    }
}

/// Where the value of each element begins, how long it is, and how long with its length prefix.
fn places(dialect: &Dialect, message: &[u8], index: &Index) -> [Option<(u16, usize, usize)>; 129] {
    let (read, mut places) = (Message::new(dialect, message, index), [None; 129]);
    for de in index.present() {
        let (value, raw) = (read.value(de).expect("indexed"), read.raw(de).expect("indexed"));
        places[usize::from(de.number())] = read.value_offset(de).map(|at| (at, value.len(), raw.len()));
    }
    places
}

/// What the edge does with bytes: cut, parse, check, read every element. Gives how far it came.
fn digest(
    dialect: &Dialect,
    format: &FrameFormat,
    bytes: &[u8],
    (plans, index): (&mut Plans, &mut Index),
) -> usize {
    let Ok(Cut::Frame { message, taken, .. }) = format.cut(bytes) else { return 0 };
    assert!(taken <= bytes.len() && message.len() <= taken);
    let carefully = dialect.parse(message, index);
    let (present, found) = (index.present(), places(dialect, message, index));
    let parsed = plans.parse(dialect, message, index);
    assert_eq!((&parsed, index.present()), (&carefully, present));
    assert_eq!(places(dialect, message, index), found);
    let _ = dialect.check_rules(index);
    // What is left of a flawed message is read too: the answer echoes it.
    let read = Message::new(dialect, message, index);
    let mut room = [0; 4096];
    for de in index.present().iter() {
        let (raw, value) = (read.raw(de).expect("indexed"), read.value(de).expect("indexed"));
        assert!(raw.ends_with(value) && raw.len() <= message.len());
        let _ = (read.decode(de, &mut room), read.number(de));
    }
    let _ = (read.pan(), read.amount(), read.stan(), read.track2(), read.original());
    usize::from(parsed.is_ok()) + 1
}
