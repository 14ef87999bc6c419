//! A thousand mixed transactions, made from a fixed seed and written as text, one per line:
//! `request => the issuer's answer, or - => the acquirer's answer`, with `~` before an answer of which only
//! the named elements are checked. Both languages read the same file.

use std::fmt::Write;

use tests::Plain;
use tests::fixtures::{A1, U1};

/// What part of the switch a workload may count on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    /// Nothing: the two peers talk to each other.
    Nobody,
    /// The whole switch: local declines, echoes and repeats are in the mix.
    TheSwitch,
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) request: Plain,
    pub(crate) issuer: Option<Plain>,
    pub(crate) acquirer: Plain,
    pub(crate) exact: bool,
}

/// The lines of a workload; `is_binary` leaves out what the Python codec cannot write in BCD.
pub(crate) fn lines(count: usize, between: Between, is_binary: bool) -> Vec<Line> {
    let mut chance = Chance(0xACE1_2345_6789_ABCD);
    let mut lines: Vec<Line> = Vec::with_capacity(count);
    for number in 0..count {
        let kind = if between == Between::Nobody { 50 } else { chance.below(100) };
        let line = match kind {
            0..5 => echo(number),
            5..10 => local(number, &format!("2={U1}"), "92"),
            10..13 => local(number, "4=000000000000", "13"),
            13..18 => repeat(&lines, number, &mut chance),
            18..30 => payment(number, "0120", is_binary, &mut chance),
            30..40 => payment(number, "0200", is_binary, &mut chance),
            _ => payment(number, "0100", is_binary, &mut chance),
        };
        lines.push(line);
    }
    lines
}

/// The file both sides read.
pub(crate) fn text(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let issuer = line.issuer.as_ref().map_or("-".to_owned(), Plain::to_string);
        let mark = if line.exact { "" } else { "~" };
        writeln!(text, "{} => {issuer} => {mark}{}", line.request, line.acquirer).expect("a string grows");
    }
    text
}

fn base(number: usize) -> Plain {
    Plain::of(&format!(
        "0100 2={A1} 3=000000 4=000000001000 7=1123120000 11={number:06} 12=120000 13=1123 14=4912 18=5411 \
         22=012 25=00 32=100001 37={number:012} 41=TERM0001 42=MERCH0000000001 49=840"
    ))
}

fn payment(number: usize, mti: &str, is_binary: bool, chance: &mut Chance) -> Line {
    let amount = 1 + chance.below(10_000_000);
    let request = base(number).with_mti(mti).with(&format!("4={amount:012} 18={:04}", chance.below(10_000)));
    let request = sprinkle(request, REQUEST_EXTRAS, is_binary, chance);
    let request = if mti == "0120" { request.with("38=OFF001 39=00") } else { request };

    let echoed = [2, 3, 4, 7, 12, 13, 32, 33, 37, 41, 42, 49];
    let mut answer = Plain::default().with_mti(&format!("{}0", &response_digits(mti)));
    answer.set(11, request.get(11));
    for de in echoed.into_iter().filter(|&de| request.has(de)) {
        answer.set(de, request.get(de));
    }
    let answer = match chance.below(10) {
        0..6 => answer.with("38=A12345 39=00"),
        6 => answer.with("38=B00001 39=10").with(&format!("4={:012}", amount / 2 + 1)),
        7 => answer.with("39=51"),
        8 => answer.with("39=05 44=C"),
        _ => answer.with("39=Z9"),
    };
    let answer = sprinkle(answer, ANSWER_EXTRAS, is_binary, chance);
    Line { request, acquirer: answer.clone(), issuer: Some(answer), exact: true }
}

/// `0100` becomes `011`.
fn response_digits(mti: &str) -> String {
    let number: u32 = mti.parse().expect("digits");
    format!("{:03}", number / 10 + 1)
}

/// Elements that come and go, with something to hold for each; the first list is about half present.
const REQUEST_EXTRAS: &[(u8, &str)] = &[
    (6, "000000000900 51=978"),
    (15, "1123"),
    (19, "840"),
    (23, "001"),
    (26, "12"),
    (28, "D00000100"),
    (33, "200002"),
    (35, "9999600000000019=49122010000012345"),
    (43, "\"CORNER SHOP, 1 (MAIN) ST   RIGA      LV \""),
    (48, "\"TERMINAL DATA 0017 +-*/%&<>?\""),
    (52, "0123456789ABCDEF"),
    (53, "2001010100000000"),
    (54, "0040840D000000001000"),
    (55, "9F2608A1B2C3D4E5F607089F3602004282025C009F3704A1B2C3D4"),
    (60, "0020"),
    (61, "\"61 \""),
    (62, "X"),
    (63, "\"PRIVATE\""),
    (100, "300003"),
    (102, "ACCOUNT0001"),
    (103, "\"ACCOUNT 0002\""),
    (104, "\"DESCRIPTION\""),
    (120, "\"RECORD\""),
    (127, "\"LAST BUT ONE\""),
];

const ANSWER_EXTRAS: &[(u8, &str)] = &[
    (15, "1124"),
    (54, "0002840C000000012345"),
    (55, "910AA1B2C3D4E5F6071800128A023030"),
    (62, "\"ISSUER DATA\""),
    (102, "ACCOUNT0009"),
];

fn sprinkle(mut message: Plain, extras: &[(u8, &str)], is_binary: bool, chance: &mut Chance) -> Plain {
    for (de, value) in extras {
        // A sign before packed digits: the Python codec has no such field.
        if chance.below(2) == 0 && !(is_binary && *de == 28) {
            message = message.with(&format!("{de}={value}"));
        }
    }
    message
}

fn local(number: usize, changes: &str, code: &str) -> Line {
    let request = base(number).with(changes);
    let acquirer =
        Plain::of(&format!("0110 7=1123120000 11={number:06} 37={number:012} 39={code} 41=TERM0001"));
    Line { request, issuer: None, acquirer, exact: false }
}

fn echo(number: usize) -> Line {
    let request = Plain::of(&format!("0800 7=1123120000 11={number:06} 70=301"));
    let acquirer = Plain::of(&format!("0810 7=1123120000 11={number:06} 39=00 70=301"));
    Line { request, issuer: None, acquirer, exact: false }
}

/// Repeats an earlier payment: the same outcome, and nothing for the issuer.
fn repeat(before: &[Line], number: usize, chance: &mut Chance) -> Line {
    let payments: Vec<_> = before.iter().filter(|line| line.exact).collect();
    let Some(original) = payments.get(chance.below(payments.len())) else { return echo(number) };
    let mti = format!("{}1", &original.request.mti()[..3]);
    let mut acquirer = Plain::default().with_mti(original.acquirer.mti());
    for de in [4, 7, 11, 37, 38, 39, 41] {
        if original.acquirer.has(de) {
            acquirer.set(de, original.acquirer.get(de));
        }
    }
    Line { request: original.request.with_mti(&mti), issuer: None, acquirer, exact: false }
}

/// A small generator with a fixed start.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 32).expect("small") % bound.max(1)
    }
}
