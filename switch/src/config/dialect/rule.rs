//! `[rules.*]`: what messages of each type must and must not have.

use codecs::iso8583::dialect::MAX_RULES;
use codecs::iso8583::{De, DeSet, Dialect, Mti, MtiRule, Version};
use toml::Spanned;

use super::field::Fields;
use super::raw::{Raw, Rule};
use crate::config::fault::Report;
use crate::config::given::{Given, List};

type Rules = [Option<MtiRule>; MAX_RULES];

/// The rules of the base, replaced by those of the file, which come behind them where they are new.
/// `version` and `fields` are absent when they have faults of their own.
pub(super) fn rules(
    raw: &Raw,
    base: Option<&Dialect>,
    version: Option<Version>,
    fields: Option<&Fields>,
    report: &mut Report<'_>,
) -> Rules {
    let mut rules = base.map_or([None; MAX_RULES], |base| base.rules);
    let mut seen: Vec<[u8; 2]> = Vec::new();
    for (digits, raw) in &raw.rules {
        let at = digits.span();
        let Some(key) = message_type(digits, version, report) else { continue };
        if seen.contains(&key) {
            report.fault(&at, "a second rule for one class and function", "one rule for each");
        }
        seen.push(key);
        let rule = rule(key, raw, fields, report);
        if let Some(de) = rule.mandatory.intersection(rule.forbidden).first() {
            report.fault(&at, format!("{de} both mandatory and forbidden"), "one of them");
        }
        match slot(&mut rules, key) {
            Some(slot) => *slot = Some(rule),
            None => report.fault(&at, "one rule too many", format!("at most {MAX_RULES}")),
        }
    }
    let inherited = rules.iter().flatten().filter(|rule| !seen.contains(&rule.mti));
    for rule in inherited {
        still_possible(rule, raw, fields, report);
    }
    rules
}

/// A rule of the base must not demand an element that the file takes away.
fn still_possible(rule: &MtiRule, raw: &Raw, fields: Option<&Fields>, report: &mut Report<'_>) {
    for number in raw.fields.keys() {
        let Some(de) = number.get_ref().parse().ok().and_then(De::new) else { continue };
        if rule.mandatory.contains(de) && fields.is_some_and(|fields| lacks(fields, de)) {
            let [class, function] = rule.mti.map(char::from);
            let found = format!("no {de}, which the base demands of messages x{class}{function}x");
            report.fault(&number.span(), found, "a rule of your own for them, without it");
        }
    }
}

/// Where a rule belongs: in place of the one for the same messages, or behind the last.
fn slot(rules: &mut Rules, key: [u8; 2]) -> Option<&mut Option<MtiRule>> {
    let index = rules.iter().position(|slot| slot.is_none_or(|rule| rule.mti == key))?;
    rules.get_mut(index)
}

/// Class and function of the message type that a rule is written for.
fn message_type(
    digits: &Spanned<String>,
    version: Option<Version>,
    report: &mut Report<'_>,
) -> Option<[u8; 2]> {
    let mti = digits.get_ref().as_bytes().try_into().ok().and_then(Mti::from_digits);
    let fits = |mti: &Mti| version.is_none_or(|version| version == mti.version()) && !mti.is_repeat();
    let mti = mti.filter(fits);
    if mti.is_none() {
        let expected =
            "a message type of the dialect's version without repeat mark, such as \"0100\" or \"1804\"";
        report.fault(&digits.span(), format!("{:?}", digits.get_ref()), expected);
    }
    mti.map(Mti::class_and_function)
}

fn rule(key: [u8; 2], raw: &Rule, fields: Option<&Fields>, report: &mut Report<'_>) -> MtiRule {
    let mut rule = MtiRule::for_type(key);
    if let Some(list) = &raw.mandatory {
        rule.mandatory = defined(list, fields, report);
    }
    if let Some(list) = &raw.forbidden {
        // It does no harm to forbid what the dialect has not.
        rule.forbidden = defined(list, None, report);
    }
    for (index, list) in raw.one_of.iter().enumerate() {
        let set = defined(list, fields, report);
        match rule.one_of.get_mut(index) {
            Some(slot) => *slot = set,
            None => {
                report.fault(&list.span(), "one list too many", format!("at most {}", rule.one_of.len()));
            }
        }
    }
    for (index, (condition, list)) in raw.when.iter().enumerate() {
        let set = defined(list, fields, report);
        let Some(de) = element_named(condition, report) else { continue };
        match rule.when.get_mut(index) {
            Some(slot) => *slot = (de, set),
            None => {
                let most = rule.when.len();
                report.fault(&condition.span(), "one condition too many", format!("at most {most}"));
            }
        }
    }
    rule
}

/// A set of elements, of which each must be among `fields` where these are given: whoever demands or echoes
/// another one would fail each message.
pub(super) fn defined(list: &List<u64>, fields: Option<&Fields>, report: &mut Report<'_>) -> DeSet {
    let mut set = DeSet::EMPTY;
    for given in list.get_ref() {
        let Some(de) = element(given, report) else { continue };
        if fields.is_some_and(|fields| lacks(fields, de)) {
            let found = format!("{de}, which the dialect does not define");
            report.fault(&given.at, found, "an element of [fields]");
        }
        set = set.with(de);
    }
    set
}

fn lacks(fields: &Fields, de: De) -> bool {
    fields.get(usize::from(de.number())).is_none_or(Option::is_none)
}

fn element(given: &Given<u64>, report: &mut Report<'_>) -> Option<De> {
    let number = report.sound(given)?;
    let de = u8::try_from(number).ok().and_then(De::new);
    if de.is_none() {
        report.wrong(&given.at, &number.to_string(), ELEMENT);
    }
    de
}

/// The element that is the key of a condition.
fn element_named(key: &Spanned<String>, report: &mut Report<'_>) -> Option<De> {
    let de = key.get_ref().parse().ok().and_then(De::new);
    if de.is_none() {
        report.fault(&key.span(), format!("{:?}", key.get_ref()), ELEMENT);
    }
    de
}

const ELEMENT: &str = "the number of an element, 1 to 128";
