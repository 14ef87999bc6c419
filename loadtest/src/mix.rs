//! What message number n of a run is.
//!
//! Everything about a message but its time follows from the seed and its number, so nothing of it has to be
//! kept to send it again, and two runs with one seed ask the same.

use std::sync::Arc;

use crate::clock::put_number;
use crate::codes::Code;
use crate::dice::{Dice, Weighted, scatter};
use crate::profile::{CaseMessage, Drive, Feed, First, Flaw, Profile};
use crate::proof::supply::{Supply, field_digits};
use crate::replay::Recording;
use crate::template::{Template, TemplateError};

/// Digits of the longest card number.
pub const PAN_DIGITS_MAX: usize = 19;

/// The cases of a profile, ready to be sent.
#[derive(Debug)]
pub struct Mix {
    seed: u64,
    cases: Vec<PreparedCase>,
    /// Draws among all cases.
    all: Weighted,
    /// Draws among the cases that send a message of their own.
    firsts: Weighted,
    terminals: TerminalDraw,
    /// Of each program, the codes that may be used.
    supplies: Vec<Supply>,
    /// Instead of drawing: what is sent again.
    recording: Option<Arc<Recording>>,
}

/// One case, ready to be sent.
#[derive(Debug)]
pub struct PreparedCase {
    /// Answers that are right; empty when every answer is.
    pub expect: Vec<Code>,
    /// The message, or `None` where another one is sent once more.
    pub message: Option<PreparedMessage>,
    /// Whether what is sent once more gets an identity of its own.
    pub replay: bool,
}

/// A message, ready to be filled in.
#[derive(Debug)]
pub struct PreparedMessage {
    /// The frame.
    pub template: Template,
    /// Message type of the answer.
    pub response_mti: [u8; 4],
    cards: Cards,
    pub(crate) card_digits: usize,
    /// What undoes it.
    pub reversal: Option<Template>,
    amount_low: u64,
    amount_count: u64,
    /// Which supply its codes are from.
    pub(crate) supply: Option<usize>,
    /// What is added to the right code.
    pub(crate) wrong_by: u64,
    /// Terminals' unpredictable numbers are below this; 0 where none is drawn.
    un_count: u64,
}

#[derive(Debug)]
enum TerminalDraw {
    Uniform(u32),
    Zipf(Weighted),
}

/// What was drawn for one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Draw {
    /// The case that the number fell on.
    pub case: usize,
    /// The case whose message is sent: the same, or a stand-in where a repeat was drawn and there is nothing
    /// to repeat yet.
    pub first: usize,
    /// Which of the case's cards.
    pub card: u64,
    /// DE 4.
    pub amount: u64,
    /// DE 41.
    pub terminal: u32,
    /// The terminal's unpredictable number, where the message has a code.
    pub un: u32,
}

impl Mix {
    /// Prepares the cases of a profile. The error names the case.
    pub fn new(profile: &Profile) -> Result<Mix, (String, TemplateError)> {
        let cases = profile.cases.iter().map(|case| {
            let message = match &case.message {
                CaseMessage::Repeat | CaseMessage::Replay | CaseMessage::Recorded => None,
                CaseMessage::First(first) => {
                    let template = Template::new(first, &profile.link, &profile.seals);
                    let template = template.map_err(|error| (case.name.clone(), error))?;
                    let reversal = profile.reversals.filter(|_| first.mti[2] == b'0');
                    let reversal =
                        reversal.map(|_| Template::new(&first.reversal(), &profile.link, &profile.seals));
                    let reversal = reversal.transpose().map_err(|error| (case.name.clone(), error))?;
                    let mut message = PreparedMessage::new(first, (template, reversal), profile.seed);
                    if let Some(at) = first.program {
                        message.un_count =
                            10_u64.pow(u32::from(field_digits(&profile.programs[at].layout).0));
                    }
                    Some(message)
                }
            };
            let replay = matches!(case.message, CaseMessage::Replay);
            Ok(PreparedCase { expect: case.expect.clone(), message, replay })
        });
        let cases: Vec<PreparedCase> = cases.collect::<Result<_, (String, TemplateError)>>()?;
        let recorded = profile.recording.is_some();
        let weights: Vec<f64> = profile.cases.iter().map(|case| case.weight).collect();
        let first_weights: Vec<f64> = cases
            .iter()
            .zip(&weights)
            .map(|(case, weight)| if case.message.is_some() || recorded { *weight } else { 0.0 })
            .collect();
        let terminals = match profile.terminals.zipf {
            None => TerminalDraw::Uniform(profile.terminals.count),
            Some(exponent) => TerminalDraw::Zipf(weighted(Weighted::zipf(profile.terminals.count, exponent))),
        };
        Ok(Mix {
            seed: profile.seed,
            cases,
            all: weighted(Weighted::new(&weights)),
            firsts: weighted(Weighted::new(&first_weights)),
            terminals,
            supplies: (0..profile.programs.len())
                .map(|at| Supply::new(&profile.programs[at], wanted(profile, at)))
                .collect(),
            recording: profile.recording.clone(),
        })
    }

    /// The codes that may be used, in the order of the programs.
    pub fn supplies(&self) -> &[Supply] {
        &self.supplies
    }

    /// What is sent again, if that is what a run does.
    #[inline]
    pub(crate) fn recording(&self) -> Option<&Arc<Recording>> {
        self.recording.as_ref()
    }

    /// The cases, in the profile's order.
    pub fn cases(&self) -> &[PreparedCase] {
        &self.cases
    }

    /// What message `number` is.
    #[inline]
    pub fn draw(&self, number: u64) -> Draw {
        if let Some(recording) = &self.recording {
            let request = recording.request(number);
            let case = request.map_or(0, |request| usize::from(request.case));
            let amount = request.and_then(|request| request.amount).unwrap_or(0);
            return Draw { case, first: case, card: 0, amount, terminal: 0, un: 0 };
        }
        let mut dice = Dice::of(self.seed, number);
        let case = self.all.draw(&mut dice);
        let first = if self.cases[case].message.is_some() { case } else { self.firsts.draw(&mut dice) };
        let message = self.cases[first].message.as_ref();
        let (card, mut amount) = message.map_or((0, 0), |message| {
            (dice.below(message.cards.count()), message.amount_low + dice.below(message.amount_count))
        });
        let mut terminal = 1 + match &self.terminals {
            TerminalDraw::Uniform(count) => dice.below(u64::from(*count)) as u32,
            TerminalDraw::Zipf(weighted) => weighted.draw(&mut dice) as u32,
        };
        if let Some(Cards::Fed(feed)) = message.map(|message| &message.cards) {
            let record = feed.record(card);
            amount = record.amount.unwrap_or(amount);
            terminal = record.terminal.unwrap_or(terminal);
        }
        let un_count = message.map_or(0, |message| message.un_count);
        let un = if un_count > 0 { dice.below(un_count) as u32 } else { 0 };
        Draw { case, first, card, amount, terminal, un }
    }

    /// The number of the card that its code belongs to, or of the card that was drawn. Returns how many digits it has.
    #[inline]
    pub(crate) fn pan(
        &self,
        message: &PreparedMessage,
        (card, code): (u64, Option<u32>),
        digits: &mut [u8; PAN_DIGITS_MAX],
    ) -> usize {
        match (message.supply, code) {
            (Some(supply), Some(code)) => {
                *digits = *self.supplies[supply].pan(code);
                message.card_digits
            }
            _ => message.pan(card, digits),
        }
    }
}

/// Codes that a supply should have: in a closed loop, all.
fn wanted(profile: &Profile, at: usize) -> usize {
    if matches!(profile.load.drive, Drive::Open { .. }) {
        profile.codes_wanted(at) as usize
    } else {
        usize::MAX
    }
}

/// The checks of the profile have seen to it that something can be drawn.
fn weighted(weighted: Option<Weighted>) -> Weighted {
    weighted.expect("a checked profile has a case with a weight, and a terminal")
}

impl PreparedMessage {
    fn new(first: &First, (template, reversal): (Template, Option<Template>), seed: u64) -> PreparedMessage {
        let [version, class, function, origin] = first.mti;
        PreparedMessage {
            template,
            response_mti: [version, class, function + 1, origin],
            reversal,
            cards: match &first.feed {
                Some(feed) => Cards::Fed(Arc::clone(feed)),
                None => Cards::Range(CardRange::new(first, seed)),
            },
            amount_low: *first.amounts.start(),
            amount_count: first.amounts.end() - first.amounts.start() + 1,
            card_digits: first.card_digits,
            supply: first.program,
            wrong_by: u64::from(first.flaw == Some(Flaw::Code)),
            un_count: 0,
        }
    }

    /// The number of a card; returns how many digits it has.
    #[inline]
    pub fn pan(&self, card: u64, digits: &mut [u8; PAN_DIGITS_MAX]) -> usize {
        match &self.cards {
            Cards::Range(range) => range.pan(card, digits),
            Cards::Fed(feed) => {
                *digits = *feed.record(card).pan();
                feed.pan_digits()
            }
        }
    }
}

/// Where a case's cards come from.
#[derive(Debug)]
enum Cards {
    Range(CardRange),
    Fed(Arc<Feed>),
}

impl Cards {
    fn count(&self) -> u64 {
        match self {
            Cards::Range(range) => range.count,
            Cards::Fed(feed) => feed.len(),
        }
    }
}

/// Cards with neighbouring numbers. They are computed, not stored.
#[derive(Debug)]
struct CardRange {
    /// The prefix, then zeros.
    sample: [u8; PAN_DIGITS_MAX],
    prefix_digits: usize,
    digits: usize,
    /// The number of the first card between prefix and check digit.
    lowest: u64,
    count: u64,
    /// What is added to the right check digit.
    flaw: u8,
}

impl CardRange {
    fn new(first: &First, seed: u64) -> CardRange {
        let mut sample = [b'0'; PAN_DIGITS_MAX];
        sample[..first.iin.len()].copy_from_slice(first.iin.as_bytes());
        let free = 10_u64.pow((first.card_digits - first.iin.len() - 1) as u32) - first.cards + 1;
        CardRange {
            sample,
            prefix_digits: first.iin.len(),
            digits: first.card_digits,
            lowest: Dice::of(scatter(seed), first.cards).below(free),
            count: first.cards,
            flaw: u8::from(first.flaw == Some(Flaw::Luhn)),
        }
    }

    fn pan(&self, card: u64, digits: &mut [u8; PAN_DIGITS_MAX]) -> usize {
        *digits = self.sample;
        let (body, check) = digits[..self.digits].split_at_mut(self.digits - 1);
        put_number(&mut body[self.prefix_digits..], self.lowest + card);
        check[0] = b'0' + (luhn_check_digit(body) + self.flaw) % 10;
        self.digits
    }
}

/// The check digit that belongs behind these digits (ISO/IEC 7812-1, annex B).
pub fn luhn_check_digit(body: &[u8]) -> u8 {
    let sum: u32 = body
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            match (place % 2, digit) {
                (0, 5..) => digit * 2 - 9,
                (0, _) => digit * 2,
                _ => digit,
            }
        })
        .sum();
    ((10 - sum % 10) % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{BUILT_IN, Overrides};
    use codecs::value::Pan;

    fn mix(name: &str) -> Mix {
        let text = BUILT_IN.iter().find(|(built_in, _)| *built_in == name).unwrap().1;
        Mix::new(&Profile::parse(text, &Overrides::default()).unwrap()).unwrap()
    }

    #[test]
    fn a_number_is_always_the_same_message() {
        let (one, other) = (mix("demo"), mix("demo"));
        assert!((0..1000).all(|number| one.draw(number) == other.draw(number)));
    }

    #[test]
    fn weights_make_the_mix() {
        let mix = mix("demo");
        let mut seen = vec![0; mix.cases().len()];
        (0..100_000).for_each(|number| seen[mix.draw(number).case] += 1);
        assert!((43_000..45_000).contains(&seen[0]), "{seen:?}");
        assert!((350..650).contains(&seen[9]), "{seen:?}");
    }

    #[test]
    fn cards_have_the_check_digit_they_should() {
        let mix = mix("demo");
        for number in 0..2000 {
            let draw = mix.draw(number);
            let message = mix.cases()[draw.first].message.as_ref().unwrap();
            let mut digits = [0; PAN_DIGITS_MAX];
            let length = message.pan(draw.card, &mut digits);
            let pan = Pan::parse(&digits[..length]).unwrap();
            assert_eq!(pan.luhn_ok(), matches!(&message.cards, Cards::Range(range) if range.flaw == 0));
            assert_eq!(&digits[..4], b"9999");
        }
        assert_eq!(luhn_check_digit(b"999960000000001"), 9);
    }

    #[test]
    fn a_repeat_has_a_stand_in() {
        let mix = mix("demo");
        let repeat = mix.cases().iter().position(|case| case.message.is_none()).unwrap();
        let draws: Vec<Draw> = (0..10_000).map(|number| mix.draw(number)).collect();
        assert!(draws.iter().any(|draw| draw.case == repeat));
        assert!(draws.iter().all(|draw| draw.first != repeat));
    }
}
