//! Which codes a run may use: each of them once.
//!
//! A run's supply is a list of entries, cards in turn, so that neighbours in time are not neighbours on a card.
//! Workers take entries as they take numbers: of three, the second has 1, 4, 7, ... What is used up is used up: a
//! message that finds no code is not sent.

use std::path::Path;

use codecs::discretionary::{Digits, DynamicData, Layout};
use serde::{Deserialize, Serialize};

use super::challenge::Responses;
use super::cvc3::{Stripe, StripeCodes};
use super::rotating::{self, RotatingCodes};
use super::{Kind, Program, pan_of};
use crate::clock::put_number;
use crate::mix::PAN_DIGITS_MAX;

/// Public ATCs have four digits in every layout.
pub(crate) const ATC_DIGITS: u8 = 4;
/// So this is the last.
pub const ATC_MAX: u16 = 9_999;
/// The bundle that a host is taken to know when nobody said otherwise, with every public ATC.
const ASSUMED_BUNDLE: u32 = 1;
/// More than any run needs; what is above stays unused.
const ENTRIES_MAX: usize = 50_000_000;

/// What a card was given: a line of a file, or what a switch was told.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its number.
    pub pan: String,
    /// Its sequence number.
    #[serde(default)]
    pub psn: u8,
    /// The number of a bundle.
    #[serde(default)]
    pub bundle: u32,
    /// Its first public ATC.
    #[serde(default)]
    pub first: u16,
    /// How many there are; none for a challenge.
    #[serde(default)]
    pub count: u16,
    /// Instead of a bundle: the eight digits of an open challenge.
    #[serde(default)]
    pub challenge: Option<String>,
}

impl std::fmt::Debug for Grant {
    // Written by hand because it holds a card number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant").field("bundle", &self.bundle).finish_non_exhaustive()
    }
}

impl Grant {
    /// Reads a file of JSON lines. Errors name the line and never what stands in it.
    pub fn read(path: &Path) -> Result<Vec<Grant>, String> {
        let named = |error: String| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let grants = lines.map(|(at, line)| {
            let grant: Grant = serde_json::from_str(line).map_err(|_| {
                format!("line {}: no JSON object with pan, and bundle, first and count, or challenge", at + 1)
            })?;
            grant.check().map_err(|error| format!("line {}: {error}", at + 1))?;
            Ok(grant)
        });
        let grants = grants.collect::<Result<Vec<Grant>, String>>().map_err(named)?;
        if grants.is_empty() { Err(named("no grants".to_string())) } else { Ok(grants) }
    }

    fn check(&self) -> Result<(), &'static str> {
        let digits = self.pan.bytes().all(|digit| digit.is_ascii_digit());
        if !digits || !self.pan.starts_with("9999") || !(13..=PAN_DIGITS_MAX).contains(&self.pan.len()) {
            return Err("pan: 13 to 19 digits of the test range 9999 are expected");
        }
        if self.psn > 99 {
            return Err("psn: 0 to 99");
        }
        match &self.challenge {
            Some(digits) if digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_digit()) => Ok(()),
            Some(_) => Err("challenge: eight digits are expected"),
            None if self.count == 0
                || u32::from(self.first) + u32::from(self.count) > u32::from(ATC_MAX) + 1 =>
            {
                Err("first, count: public ATCs end with 9999")
            }
            None => Ok(()),
        }
    }
}

/// The codes of one program, ready to be used.
#[derive(Debug)]
pub struct Supply {
    layout: Layout,
    card_digits: usize,
    codes: Codes,
    cards: Vec<Card>,
    entries: Vec<Entry>,
}

/// What computes them.
#[derive(Debug)]
enum Codes {
    Rotating(RotatingCodes),
    Stripe(Box<StripeCodes>),
    Responses(Responses),
}

/// A card with one bundle, or one challenge.
struct Card {
    pan: [u8; PAN_DIGITS_MAX],
    account: [u8; 8],
    bundle: u32,
    /// What it computes a CVC3 with.
    stripe: Option<Stripe>,
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Card")
    }
}

/// One use of a card.
#[derive(Clone, Copy, Debug)]
struct Entry {
    card: u32,
    /// The public ATC, or the challenge as a number.
    label: u32,
}

impl Supply {
    /// What a program has, `wanted` at most: what was granted, or by convention bundle 1 with every public ATC for
    /// every card.
    pub fn new(program: &Program, wanted: usize) -> Supply {
        let assumed: Vec<Grant>;
        let grants = match &program.grants {
            Some(grants) => grants.as_slice(),
            // Nobody can guess what a card was asked.
            None if program.kind == Kind::Challenge => &[],
            None => {
                assumed = (1..=program.cards)
                    .map(|number| Grant {
                        pan: pan_of(&program.iin, program.card_digits, number),
                        psn: program.psn,
                        bundle: ASSUMED_BUNDLE,
                        first: 0,
                        count: ATC_MAX + 1,
                        challenge: None,
                    })
                    .collect();
                &assumed
            }
        };
        let codes = match (program.kind, &program.card_key) {
            (Kind::RotatingAtc, None) => Codes::Rotating(RotatingCodes::new(&program.key)),
            (Kind::RotatingAtc, Some(cards)) => {
                Codes::Stripe(Box::new(StripeCodes::new(&program.key, cards)))
            }
            (Kind::Challenge, _) => Codes::Responses(Responses::new(&program.key)),
        };
        let cards = grants.iter().map(|grant| {
            let mut pan = [b'0'; PAN_DIGITS_MAX];
            pan[..grant.pan.len()].copy_from_slice(grant.pan.as_bytes());
            let account = rotating::account(grant.pan.as_bytes(), grant.psn);
            let stripe = match &codes {
                Codes::Stripe(codes) => {
                    let track = program.personalised_track(&grant.pan);
                    Some(codes.card(grant.pan.as_bytes(), grant.psn, &track))
                }
                Codes::Rotating(_) | Codes::Responses(_) => None,
            };
            Card { pan, account, bundle: grant.bundle, stripe }
        });
        let mut entries = Vec::new();
        // A challenge is one code.
        let count = |grant: &Grant| if grant.challenge.is_some() { 1 } else { grant.count };
        let longest = grants.iter().map(count).max().unwrap_or(0);
        'all: for place in 0..longest {
            for (card, grant) in grants.iter().enumerate().filter(|(_, grant)| place < count(grant)) {
                if entries.len() >= wanted.min(ENTRIES_MAX) {
                    break 'all;
                }
                let challenge = grant.challenge.as_ref().and_then(|digits| digits.parse().ok());
                let label = challenge.unwrap_or(u32::from(grant.first + place));
                entries.push(Entry { card: card as u32, label });
            }
        }
        Supply {
            layout: program.layout,
            card_digits: program.card_digits,
            cards: cards.collect(),
            codes,
            entries,
        }
    }

    /// How many codes there are.
    pub fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of the card that an entry belongs to; as long as all of its program, and zeros behind it.
    #[inline]
    pub(crate) fn pan(&self, entry: u32) -> &[u8; PAN_DIGITS_MAX] {
        &self.cards[self.entries[entry as usize].card as usize].pan
    }

    /// The digits that a device puts at the end of its track for one entry and the terminal's number, as many as
    /// there is room for; `add` makes the code wrong.
    #[inline]
    pub(crate) fn discretionary(&self, entry: u32, un: u32, add: u64, out: &mut [u8]) {
        let Entry { card, label } = self.entries[entry as usize];
        let card = &self.cards[card as usize];
        let (un_digits, code_digits) = field_digits(&self.layout);
        let mut data = DynamicData {
            atc: Digits::NONE,
            reference: Digits::NONE,
            un: Digits::low(u64::from(un), un_digits),
            code: Digits::NONE,
            holder_verified: false,
        };
        let code = match &self.codes {
            Codes::Rotating(codes) => {
                data.atc = Digits::low(u64::from(label), ATC_DIGITS);
                codes.code(card.account, card.bundle, label as u16, un)
            }
            Codes::Stripe(codes) => {
                data.atc = Digits::low(u64::from(label), ATC_DIGITS);
                let entry = (card.account, card.bundle, label as u16);
                card.stripe.as_ref().map_or(0, |stripe| codes.code(stripe, entry, un))
            }
            Codes::Responses(responses) => {
                let mut challenge = [0; 8];
                put_number(&mut challenge, u64::from(label));
                data.reference = Digits::low(u64::from(label / 10_000), 4);
                responses.response(&card.pan[..self.card_digits], &challenge)
            }
        };
        data.code = Digits::low(code.wrapping_add(add), code_digits);
        // What the card was personalised with, where a layout leaves it.
        out.fill(b'0');
        let placed = self.layout.place(&data, out);
        debug_assert!(placed.is_some(), "the layout was checked against the card's length");
    }
}

/// Digits of the terminal's number, and of a code.
pub(crate) fn field_digits(layout: &Layout) -> (u8, u8) {
    match layout {
        Layout::Fixed { un, code, .. } => (un.digits, code.digits),
        Layout::Bitmaps { pcvc3, punatc, natc } => {
            ((punatc.count_ones() as u8).saturating_sub(*natc), pcvc3.count_ones() as u8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::key::TestKey;

    fn program(cards: u64) -> Program {
        Program {
            name: "wallet".to_string(),
            kind: Kind::RotatingAtc,
            key: TestKey::parse("000102030405060708090a0b0c0d0e0f").unwrap(),
            layout: Layout::ROTATING,
            iin: "999910".to_string(),
            cards,
            card_digits: 16,
            psn: 1,
            card_key: None,
            expiry: *b"2912",
            funding_iin: None,
            grants: None,
        }
    }

    #[test]
    fn the_track_of_a_card_with_a_cvc3() {
        // Where the places of the worked example are: counter, three digits of the code, number, count.
        let card_key = TestKey::parse("7A3D46AEE9523DEFD53EB6403B707625").unwrap();
        let layout = Layout::Bitmaps { pcvc3: 0x0038, punatc: 0x03C6, natc: 4 };
        let program = Program { card_key: Some(card_key.clone()), layout, ..program(1) };
        let supply = Supply::new(&program, 100);
        let mut digits = [0; 13];
        supply.discretionary(42, 31, 0, &mut digits);
        assert!(digits.starts_with(b"0000042") && digits.ends_with(b"312"), "{digits:?}");
        let codes = StripeCodes::new(&program.key, &card_key);
        let track = "9999100000000010=29122010000000000000";
        let card = codes.card(b"9999100000000010", 1, track);
        let account = rotating::account(b"9999100000000010", 1);
        let code = codes.code(&card, (account, 1, 42), 31) % 1_000;
        assert_eq!(&digits[7..10], format!("{code:03}").as_bytes());
    }

    #[test]
    fn the_track_of_the_worked_example() {
        let supply = Supply::new(&program(1), 100);
        let mut digits = [0; 13];
        supply.discretionary(42, 731, 0, &mut digits);
        assert_eq!(&digits, b"7004273147853");
        supply.discretionary(42, 731, 1, &mut digits);
        assert_eq!(&digits, b"7004273147863");
        assert_eq!(&supply.pan(42)[..16], b"9999100000000010");
    }

    #[test]
    fn the_track_of_the_worked_example_with_a_challenge() {
        let grant = Grant {
            pan: "9999150000000015".to_string(),
            psn: 0,
            bundle: 0,
            first: 0,
            count: 0,
            challenge: Some("08154711".to_string()),
        };
        let program = Program {
            kind: Kind::Challenge,
            key: TestKey::parse("101112131415161718191a1b1c1d1e1f").unwrap(),
            layout: Layout::QUESTION,
            iin: "999915".to_string(),
            grants: Some(vec![grant].into()),
            ..program(1)
        };
        let supply = Supply::new(&program, 100);
        let mut digits = [0; 13];
        supply.discretionary(0, 0, 0, &mut digits);
        assert_eq!(&digits, b"8081598474700");
        assert_eq!(supply.len(), 1);
        assert!(Supply::new(&Program { grants: None, ..program }, 100).is_empty());
    }

    #[test]
    fn no_card_has_an_atc_twice_and_cards_take_turns() {
        let supply = Supply::new(&program(7), 1_000);
        assert_eq!(supply.len(), 1_000);
        let mut seen: Vec<(u32, u32)> =
            supply.entries.iter().map(|entry| (entry.card, entry.label)).collect();
        assert!(seen[..7].iter().all(|(_, label)| *label == 0));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1_000);
        assert_eq!(Supply::new(&program(1), usize::MAX).len(), 10_000);
    }

    #[test]
    fn grants_of_different_lengths_are_all_used() {
        let grant = |number, first, count| Grant {
            pan: pan_of("999910", 16, number),
            psn: 1,
            bundle: 3,
            first,
            count,
            challenge: None,
        };
        let grants = vec![grant(1, 40, 2), grant(2, 0, 5)];
        let supply = Supply::new(&Program { grants: Some(grants.into()), ..program(9) }, 100);
        let seen: Vec<(u32, u32)> = supply.entries.iter().map(|entry| (entry.card, entry.label)).collect();
        assert_eq!(seen, [(0, 40), (1, 0), (0, 41), (1, 1), (1, 2), (1, 3), (1, 4)]);
    }

    #[test]
    fn faults_of_a_file_name_the_line_and_no_card() {
        let path = std::env::temp_dir().join(format!("loadtest-grants-{}.jsonl", std::process::id()));
        for (text, part) in [
            ("{\"pan\": \"4111111111111111\", \"bundle\": 1, \"first\": 0, \"count\": 1}", "line 1: pan"),
            ("\n{\"pan\": \"9999100000000010\"}", "line 2: first, count"),
            ("{\"card\": \"9999100000000010\"}", "line 1: no JSON object"),
            ("{\"pan\": \"9999100000000010\", \"bundle\": 1, \"first\": 9999, \"count\": 2}", "9999"),
            ("", "no grants"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Grant::read(&path).unwrap_err();
            assert!(error.contains(part) && !error.contains("1111") && !error.contains("99991"), "{error}");
        }
        let good = "{\"pan\": \"9999100000000010\", \"psn\": 1, \"bundle\": 1, \"first\": 40, \"count\": 10}";
        std::fs::write(&path, good).unwrap();
        assert_eq!(Grant::read(&path).unwrap().len(), 1);
        std::fs::remove_file(&path).unwrap();
    }
}
