//! Everything that happened to one payment, in order and with its moments, told from the facts alone: `signalbox trace`
//! and the console. Reads only. Without the journal's key no card is shown at all, with it a masked one.
//!
//! Segments that retention has removed are told no more. The facts say when something was decided. A reply leaves when its fact is durable, which no fact says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use authorizer::advice::Advice;
use authorizer::decision::{Outcome, Verdict};
use authorizer::event::ShardId;
use authorizer::fact::Fact;
use authorizer::programs::Question;
use authorizer::request::{Asked, Identity};
use authorizer::saf::Reversal;
use authorizer::transaction::Sent;
use codecs::value::Pan;
use serde_json::{Value, json};

use super::record::CardToken;
use super::segment::{self, Recorded, Span};
use super::{Fault, Keys, history, wrapped};
use crate::config::{Config, Hsm, JournalKey};
use crate::keys::TokenArguments;
use crate::wall::Wall;

/// Which payments are wanted: those that fit everything that is said.
#[derive(Default)]
pub struct Wanted {
    /// The name of the message in logs and journal.
    pub trace: Option<u128>,
    /// DE 37.
    pub rrn: Option<String>,
    /// DE 11, as the acquirer or as the issuer sees it.
    pub stan: Option<u32>,
    /// Which card.
    pub card: Option<Card>,
    /// What was over before this moment is not looked for, microseconds since 1970.
    pub since_us: Option<u64>,
}

/// How a card is named.
pub enum Card {
    /// By the token that `export` shows.
    Token([u8; 16]),
    /// By its first six and last four digits, with asterisks between; needs the journal's key.
    Masked(String),
    /// By its number; needs the journal's key.
    Number(Pan),
}

impl Card {
    /// From a token of 32 hexadecimal digits, or a masked number.
    ///
    /// # Errors
    /// What it should be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_masked = text.contains('*') && text.bytes().all(|byte| byte == b'*' || byte.is_ascii_digit());
        if is_masked && (13..=19).contains(&text.len()) {
            return Ok(Self::Masked(text.to_owned()));
        }
        match u128::from_str_radix(text, 16) {
            Ok(token) if text.len() == 32 => Ok(Self::Token(token.to_be_bytes())),
            _ => Err(
                "a card is a token of 32 hexadecimal digits, or a masked number such as 999996******0019; \
                      a whole number is read from standard input (--card-stdin)"
                    .to_owned(),
            ),
        }
    }
}

/// What opens card numbers.
pub enum Opener {
    /// The journal's key in a file.
    File(PathBuf),
    /// The token that wraps its keys.
    Token(TokenArguments),
    /// The same from within the switch, through a process of its own.
    Asked(Box<Hsm>),
}

impl Opener {
    /// As the configuration says.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        match &config.journal.as_ref()?.key {
            JournalKey::File(path) => Some(Self::File(path.clone())),
            JournalKey::Token { .. } => config.hsm.clone().map(|hsm| Self::Asked(Box::new(hsm))),
        }
    }

    fn open(&self, directory: &Path) -> Result<Keys, Fault> {
        match self {
            Self::File(path) => Keys::read(path).map_err(Fault::Config),
            Self::Token(token) => wrapped::keys(directory, |wrapper| crate::keys::vault(token, wrapper)),
            Self::Asked(hsm) => wrapped::keys(directory, |wrapper| {
                let (hsm, wrapper) = (hsm.clone(), wrapper.clone());
                Ok(Box::new(move |salt| crate::token::unwrap(&hsm, &wrapper, salt)))
            }),
        }
    }
}

/// A whole number, from a line that holds nothing else.
#[must_use]
pub fn card_number(line: &str) -> Option<Card> {
    Pan::parse(line.trim().as_bytes()).map(Card::Number)
}

/// One payment and what happened to it.
pub struct Story {
    identity: Identity,
    acquirer: String,
    asked: Option<Asked>,
    card: Option<String>,
    token: Option<CardToken>,
    issuer: Option<String>,
    steps: Vec<Step>,
}

/// One thing that happened.
struct Step {
    at_us: u64,
    /// For programs: a word of a closed list.
    what: &'static str,
    /// For people.
    said: String,
    detail: Value,
}

/// Everything in a data directory about the payments that are wanted, in the order in which they began.
///
/// # Errors
/// When the journal is damaged or cannot be read, or the key does not fit.
pub fn read(directory: &Path, opener: Option<&Opener>, wanted: &Wanted) -> Result<Vec<Story>, Fault> {
    let keys = opener.map(|opener| opener.open(directory)).transpose()?;
    let card = match (&wanted.card, &keys) {
        (Some(Card::Masked(_) | Card::Number(_)), None) => {
            return Err(Fault::Config("to find a card by its number the journal's key is needed".to_owned()));
        }
        (Some(Card::Number(pan)), Some(keys)) => Some(Card::Token(keys.token(pan))),
        (Some(Card::Token(token)), _) => Some(Card::Token(*token)),
        (Some(Card::Masked(masked)), _) => Some(Card::Masked(masked.clone())),
        (None, _) => None,
    };
    let found = find(directory, keys.as_ref(), wanted, card.as_ref())?;
    let mut reading = Reading::default();
    let span = Span { since_us: wanted.since_us, ..Span::default() };
    for shard in history::shards(directory)? {
        segment::read(directory, shard, keys.as_ref(), span, &mut |recorded| {
            reading.take(shard, &recorded, &found);
        })?;
    }
    let mut stories: Vec<Story> = reading.stories.into_values().collect();
    for story in &mut stories {
        story.steps.sort_by_key(|step| step.at_us);
    }
    stories.sort_by_key(|story| story.steps.first().map(|step| step.at_us));
    Ok(stories)
}

/// The payments that fit.
fn find(
    directory: &Path,
    keys: Option<&Keys>,
    wanted: &Wanted,
    card: Option<&Card>,
) -> Result<HashSet<Identity>, Fault> {
    let mut found = HashSet::new();
    found.extend(wanted.trace.map(Identity));
    if wanted.rrn.is_none() && wanted.stan.is_none() && card.is_none() {
        return Ok(found);
    }
    let mut fitting = HashSet::new();
    let span = Span { since_us: wanted.since_us, ..Span::default() };
    for shard in history::shards(directory)? {
        segment::read(directory, shard, keys, span, &mut |recorded| {
            let (asked, sent) = match &recorded.fact {
                Fact::Intent(sent) => (&sent.asked, Some(sent)),
                Fact::Advised(advice) => (&advice.sent.asked, Some(&advice.sent)),
                Fact::Declined { asked, .. } => (asked, None),
                _ => return,
            };
            let fits_card = match card {
                None => true,
                Some(Card::Token(token)) => recorded.token == Some(*token),
                Some(Card::Masked(masked)) => sent.and_then(|sent| sent.pan).is_some_and(|pan| {
                    let shown = format!("{pan:?}");
                    shown == *masked
                }),
                Some(Card::Number(_)) => false,
            };
            let stan =
                |of: u32| asked.stan.number() == of || sent.is_some_and(|sent| sent.stan.number() == of);
            let rrn = |of: &str| {
                asked.keys.rrn.is_some_and(|rrn| rrn.as_bytes().trim_ascii() == of.trim().as_bytes())
            };
            if fits_card && wanted.stan.is_none_or(stan) && wanted.rrn.as_deref().is_none_or(rrn) {
                fitting.insert(asked.identity);
            }
        })?;
    }
    if wanted.trace.is_some() {
        found.retain(|identity| fitting.contains(identity));
        return Ok(found);
    }
    Ok(fitting)
}

/// What is being collected.
#[derive(Default)]
struct Reading {
    stories: BTreeMap<u128, Story>,
    /// Reversals under way, by shard, issuer's name and trace number.
    undoings: HashMap<(u16, String, u32), Identity>,
    /// Requests at issuers, the same way.
    legs: HashMap<(u16, String, u32), Identity>,
}

impl Reading {
    fn take(&mut self, shard: ShardId, recorded: &Recorded<'_>, found: &HashSet<Identity>) {
        let issuer = |issuer: usize| history::name(&recorded.names.issuers, issuer);
        match &recorded.fact {
            Fact::Intent(sent) if found.contains(&sent.asked.identity) => self.sent(shard, recorded, sent),
            Fact::Advised(advice) if found.contains(&advice.sent.asked.identity) => {
                self.advised(shard, recorded, advice);
            }
            Fact::Declined { asked, outcome } if found.contains(&asked.identity) => {
                let story = self.asked(recorded, asked);
                let step = Step {
                    at_us: recorded.at_us,
                    what: "declined_here",
                    said: format!("declined here: {}", outcome_said(outcome)),
                    detail: outcome_detail(outcome),
                };
                story.steps.push(step);
            }
            Fact::Result { identity, outcome } if found.contains(identity) => {
                let said = format!("the issuer answered: {}", outcome_said(outcome));
                self.step(*identity, recorded.at_us, "answered", said, outcome_detail(outcome));
            }
            Fact::Timeout { identity, outcome, undo } if found.contains(identity) => {
                let said = format!("ended without a valid answer: {}", outcome_said(outcome));
                self.step(*identity, recorded.at_us, "timed_out", said, outcome_detail(outcome));
                self.undo(shard, *identity, undo.as_deref(), recorded);
            }
            Fact::Reversed { identity, left_minor, undo } if found.contains(identity) => {
                let left = if *left_minor == 0 { String::new() } else { format!(", {left_minor} stay") };
                let said = format!("undone by its acquirer{left}");
                self.step(*identity, recorded.at_us, "reversed", said, json!({ "left_minor": left_minor }));
                self.undo(shard, *identity, undo.as_deref(), recorded);
            }
            Fact::Tombstone { identity, acquirer } if found.contains(identity) => {
                let name = history::name(&recorded.names.acquirers, acquirer.index());
                self.story(*identity).acquirer = name;
                let said = "a reversal came before the request, which is refused if it comes".to_owned();
                self.step(*identity, recorded.at_us, "tombstone", said, json!({}));
            }
            Fact::Judged { identity, program, question, is_right, .. } if found.contains(identity) => {
                let program = history::name(&recorded.names.programs, usize::from(program.0));
                let asked = match question {
                    Question::RotatingCode { atc, .. } => format!("the code for ATC {atc:04}"),
                    Question::Response { .. } => "the response to the challenge".to_owned(),
                    Question::CardCode { atcs, .. } => {
                        let of = |atc| format!("the card's code for its ATC {atc}");
                        atcs.only().map_or_else(|| "the card's code".to_owned(), of)
                    }
                };
                let judged = if *is_right { "right" } else { "wrong" };
                let detail = json!({ "program": program, "is_right": is_right });
                let said = format!("program {program}: {asked} is {judged}");
                self.step(*identity, recorded.at_us, "proven", said, detail);
            }
            Fact::Late { issuer: of, stan, approved, undo } => {
                let key = (shard.0, issuer(of.index()), stan.number());
                if let Some(identity) = self.legs.get(&key).copied() {
                    let answer = if *approved { "an approval" } else { "an answer" };
                    let said = format!("{answer} came late and reaches nobody");
                    self.step(identity, recorded.at_us, "late", said, json!({ "approved": approved }));
                    self.undo(shard, identity, undo.as_deref(), recorded);
                }
            }
            Fact::ReversalDone { issuer: of, stan } => {
                let said = "has acknowledged it";
                self.undone(recorded, (shard.0, issuer(of.index()), stan.number()), "reversal_done", said);
            }
            Fact::ReversalParked { issuer: of, stan } => {
                let said = "refuses it for good: it is set aside";
                self.undone(recorded, (shard.0, issuer(of.index()), stan.number()), "reversal_parked", said);
            }
            Fact::ReversalReleased { issuer: of, stan } => {
                let said = "is told again: an operator released it";
                self.undone(
                    recorded,
                    (shard.0, issuer(of.index()), stan.number()),
                    "reversal_released",
                    said,
                );
            }
            _ => {}
        }
    }

    /// Told by its acquirer, or approved here for its issuer, who is told either.
    fn advised(&mut self, shard: ShardId, recorded: &Recorded<'_>, advice: &Advice) {
        let sent = &advice.sent;
        let issuer = history::name(&recorded.names.issuers, sent.to.issuer.index());
        let stan = sent.stan.number();
        self.undoings.insert((shard.0, issuer.clone(), stan), sent.asked.identity);
        let told = outcome_said(&advice.outcome);
        let (what, said) = match advice.is_stand_in() {
            true => ("stood_in", format!("approved for {issuer}, which could not be asked: {told}")),
            false => ("advised", format!("an advice, taken: {told}")),
        };
        let story = self.asked(recorded, &sent.asked);
        story.token = recorded.token;
        story.card = sent.pan.map(|pan| format!("{pan:?}"));
        story.issuer = Some(issuer.clone());
        let step = |at_us, what, said, detail| Step { at_us, what, said, detail };
        story.steps.push(step(sent.received_us, "received", "received".to_owned(), json!({})));
        story.steps.push(step(recorded.at_us, what, said, outcome_detail(&advice.outcome)));
        let detail = json!({ "issuer": issuer, "de11": format!("{stan:06}") });
        let said = format!("{issuer} is told by an advice, as {stan:06}");
        story.steps.push(step(recorded.at_us, "advice", said, detail));
    }

    fn sent(&mut self, shard: ShardId, recorded: &Recorded<'_>, sent: &Sent) {
        let issuer = history::name(&recorded.names.issuers, sent.to.issuer.index());
        self.legs.insert((shard.0, issuer.clone(), sent.stan.number()), sent.asked.identity);
        let story = self.asked(recorded, &sent.asked);
        story.token = recorded.token;
        story.card = sent.pan.map(|pan| format!("{pan:?}"));
        story.issuer = Some(issuer.clone());
        if !story.steps.iter().any(|step| step.what == "received") {
            story.steps.push(Step {
                at_us: sent.received_us,
                what: "received",
                said: "received".to_owned(),
                detail: json!({}),
            });
        }
        story.steps.push(Step {
            at_us: recorded.at_us,
            what: "sent",
            said: format!("sent to {issuer} over link {} as {:06}", sent.to.link, sent.stan.number()),
            detail: json!({ "issuer": issuer, "link": sent.to.link, "de11": format!("{:06}", sent.stan.number()) }),
        });
    }

    fn asked(&mut self, recorded: &Recorded<'_>, asked: &Asked) -> &mut Story {
        let acquirer = history::name(&recorded.names.acquirers, asked.acquirer.index());
        let story = self.story(asked.identity);
        story.acquirer = acquirer;
        story.asked = Some(*asked);
        story
    }

    fn story(&mut self, identity: Identity) -> &mut Story {
        self.stories.entry(identity.0).or_insert_with(|| Story {
            identity,
            acquirer: String::new(),
            asked: None,
            card: None,
            token: None,
            issuer: None,
            steps: Vec::new(),
        })
    }

    fn step(&mut self, identity: Identity, at_us: u64, what: &'static str, said: String, detail: Value) {
        self.story(identity).steps.push(Step { at_us, what, said, detail });
    }

    fn undo(&mut self, shard: ShardId, of: Identity, undo: Option<&Reversal>, recorded: &Recorded<'_>) {
        let Some(reversal) = undo else { return };
        let issuer = history::name(&recorded.names.issuers, reversal.sent.to.issuer.index());
        self.undoings.insert((shard.0, issuer.clone(), reversal.stan.number()), of);
        let detail = json!({
            "issuer": issuer, "de11": format!("{:06}", reversal.stan.number()), "why": reversal.why.name(),
        });
        let said = format!(
            "{issuer} is told to undo it, as {:06} ({})",
            reversal.stan.number(),
            reversal.why.name().replace('_', " ")
        );
        self.step(of, recorded.at_us, "reversal", said, detail);
    }

    fn undone(&mut self, recorded: &Recorded<'_>, key: (u16, String, u32), what: &'static str, said: &str) {
        if let Some(identity) = self.undoings.get(&key).copied() {
            let (_, issuer, stan) = key;
            let detail = json!({ "issuer": issuer, "de11": format!("{stan:06}") });
            self.step(identity, recorded.at_us, what, format!("{issuer} {said}"), detail);
        }
    }
}

fn outcome_said(outcome: &Outcome) -> String {
    let code = String::from_utf8_lossy(outcome.response_code.as_bytes()).into_owned();
    match (outcome.verdict, outcome.approval_code) {
        (Verdict::Declined(reason), _) => format!("{code}, {}", reason.name().replace('_', " ")),
        (_, Some(approval)) => format!("{code}, approval {}", String::from_utf8_lossy(approval.as_bytes())),
        (_, None) => code,
    }
}

fn outcome_detail(outcome: &Outcome) -> Value {
    let reason = match outcome.verdict {
        Verdict::Declined(reason) => Some(reason.name()),
        Verdict::Approved | Verdict::Taken => None,
    };
    json!({
        "de39": String::from_utf8_lossy(outcome.response_code.as_bytes()),
        "de38": outcome.approval_code.map(|code| String::from_utf8_lossy(code.as_bytes()).into_owned()),
        "reason": reason,
    })
}

impl Story {
    /// The name of the message in logs and journal.
    #[must_use]
    pub fn trace(&self) -> String {
        format!("{:032x}", self.identity.0)
    }

    /// For programs: one JSON object.
    #[must_use]
    pub fn said(&self) -> Value {
        let asked = self.asked.as_ref();
        let mut before = None;
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                let since = before.map(|before| step.at_us.saturating_sub(before));
                before = Some(step.at_us);
                let mut said = json!({
                    "what": step.what, "at_us": step.at_us, "after_us": since, "said": step.said,
                });
                if let (Some(said), Some(detail)) = (said.as_object_mut(), step.detail.as_object()) {
                    said.extend(detail.clone());
                }
                said
            })
            .collect();
        json!({
            "trace": self.trace(),
            "acquirer": self.acquirer,
            "issuer": self.issuer,
            "class": asked.map(|asked| asked.class.name()),
            "de4": asked.map(|asked| asked.amount.minor()),
            "de49": asked.map(|asked| asked.amount.currency().number()),
            "de7": asked.map(|asked| format!("{:010}", asked.keys.moment)),
            "de11": asked.map(|asked| format!("{:06}", asked.stan.number())),
            "de37": asked.and_then(|asked| asked.keys.rrn).map(|rrn| text(rrn.as_bytes())),
            "de41": asked.and_then(|asked| asked.keys.terminal).map(|terminal| text(terminal.as_bytes())),
            "card": self.card,
            "card_token": self.token.map(|token| format!("{:032x}", u128::from_be_bytes(token))),
            "steps": steps,
        })
    }
}

/// For people: a head, then a line for each step with the time since the one before.
impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trace {}", self.trace())?;
        if let Some(asked) = &self.asked {
            let keys = &asked.keys;
            let amount = asked.amount;
            write!(f, "\n  {} {} ", self.acquirer, asked.class.name().replace('_', " "))?;
            writeln!(f, "{} minor units of {:03}", amount.minor(), amount.currency().number())?;
            write!(f, "  DE 7 {:010}  DE 11 {:06}", keys.moment, asked.stan.number())?;
            let shown = [
                ("DE 37", keys.rrn.map(|rrn| text(rrn.as_bytes()))),
                ("DE 41", keys.terminal.map(|terminal| text(terminal.as_bytes()))),
                ("card", self.card.clone()),
            ];
            for (name, value) in shown {
                if let Some(value) = value {
                    write!(f, "  {name} {value}")?;
                }
            }
        }
        writeln!(f)?;
        let mut before = None;
        for step in &self.steps {
            let when = match before {
                None => Wall::of_micros(step.at_us).to_string(),
                Some(before) => format!("+{}", length(step.at_us.saturating_sub(before))),
            };
            writeln!(f, "  {when:>27}  {}", step.said)?;
            before = Some(step.at_us);
        }
        Ok(())
    }
}

fn length(us: u64) -> String {
    if us == 0 {
        return "0us".to_owned();
    }
    format!("{:.1?}", Duration::from_micros(us)).replace('µ', "u")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_a_token_or_masked_and_never_a_number() {
        assert!(matches!(Card::parse("999996******0019"), Ok(Card::Masked(_))));
        assert!(matches!(Card::parse("0102030405060708090a0b0c0d0e0f10"), Ok(Card::Token([1, 2, ..]))));
        assert!(Card::parse("9999960000000019").is_err());
        assert!(Card::parse("0019").is_err());
    }

    #[test]
    fn lengths_are_short() {
        assert_eq!(length(0), "0us");
        assert_eq!(length(84), "84.0us");
        assert_eq!(length(2_412), "2.4ms");
    }
}
