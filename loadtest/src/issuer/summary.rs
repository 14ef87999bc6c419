//! What an issuer has to say about its work.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::behaviour::Fault;
use crate::codes::Code;
use crate::report::text::{count, share};

/// What a model issuer counted.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The issuer's name.
    pub name: String,
    /// Requests by message type.
    pub requests: Vec<([u8; 4], u64)>,
    /// Answers by code, those that are still held back included.
    pub codes: Vec<(Code, u64)>,
    /// Requests that were left without an answer on purpose.
    pub silent: u64,
    /// Answers that were held back for long on purpose.
    pub late: u64,
    /// Answers that were sent twice on purpose.
    pub doubled: u64,
    /// Answers that were sent under a wrong key on purpose.
    pub wrong_key: u64,
    /// Messages that cannot be answered: unreadable, or no requests.
    pub not_answerable: u64,
    /// Held answers whose link was gone when they were due.
    pub undeliverable: u64,
    /// Times that the issuer stood still on purpose.
    pub stalls: u64,
    /// Links that came up.
    pub links_opened: u64,
    /// Links that broke the framing.
    pub links_broken: u64,
    first_request: Option<Instant>,
    last_request: Option<Instant>,
}

impl Summary {
    pub(super) fn new(name: &str) -> Summary {
        Summary {
            name: name.to_string(),
            requests: Vec::new(),
            codes: Vec::new(),
            silent: 0,
            late: 0,
            doubled: 0,
            wrong_key: 0,
            not_answerable: 0,
            undeliverable: 0,
            stalls: 0,
            links_opened: 0,
            links_broken: 0,
            first_request: None,
            last_request: None,
        }
    }

    /// Notes when requests came; once per read is enough.
    pub(super) fn note_activity(&mut self) {
        let now = Instant::now();
        self.first_request.get_or_insert(now);
        self.last_request = Some(now);
    }

    pub(super) fn count_request(&mut self, mti: [u8; 4]) {
        add(&mut self.requests, mti);
    }

    pub(super) fn count_answer(&mut self, code: Code, fault: Option<Fault>) {
        add(&mut self.codes, code);
        match fault {
            Some(Fault::Late(_)) => self.late += 1,
            Some(Fault::Double) => self.doubled += 1,
            Some(Fault::WrongKey) => self.wrong_key += 1,
            Some(Fault::Silent) | None => {}
        }
    }

    /// All requests.
    pub fn received(&self) -> u64 {
        self.requests.iter().map(|(_, count)| count).sum()
    }

    /// All answers, each counted once.
    pub fn answered(&self) -> u64 {
        self.codes.iter().map(|(_, count)| count).sum()
    }

    /// From the first request to the last.
    pub fn busy(&self) -> Duration {
        match (self.first_request, self.last_request) {
            (Some(first), Some(last)) => last.duration_since(first),
            _ => Duration::ZERO,
        }
    }
}

/// A handful of kinds: looking through them is quicker than hashing.
fn add<T: PartialEq>(counts: &mut Vec<(T, u64)>, kind: T) {
    match counts.iter_mut().find(|(known, _)| *known == kind) {
        Some((_, total)) => *total += 1,
        None => counts.push((kind, 1)),
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let received = self.received();
        let requests: BTreeMap<String, u64> = self
            .requests
            .iter()
            .map(|(mti, count)| (mti.iter().map(|&digit| char::from(digit)).collect(), *count))
            .collect();
        let codes: BTreeMap<Code, u64> = self.codes.iter().copied().collect();
        let seconds = self.busy().as_secs_f64();
        let rate = if seconds > 0.0 { received as f64 / seconds } else { 0.0 };
        writeln!(f, "issuer {}", self.name)?;
        writeln!(f, "  received {:>13}   in {seconds:.1} s, {}/s", count(received), count(rate as u64))?;
        for (mti, requests) in &requests {
            writeln!(f, "    {mti}   {:>13}", count(*requests))?;
        }
        writeln!(f, "  answered {:>13}", count(self.answered()))?;
        for (code, answers) in &codes {
            let share = share(*answers, self.answered());
            writeln!(f, "    {code:<4}   {:>13}  {share:>8}  {}", count(*answers), code.meaning())?;
        }
        for (name, value) in [
            ("silent on purpose", self.silent),
            ("late on purpose", self.late),
            ("twice on purpose", self.doubled),
            ("wrong key on purpose", self.wrong_key),
            ("stalls on purpose", self.stalls),
            ("not answerable", self.not_answerable),
            ("undeliverable", self.undeliverable),
            ("links broken", self.links_broken),
        ] {
            if value > 0 {
                writeln!(f, "  {name:<22} {:>9}", count(value))?;
            }
        }
        write!(f, "  links {:>16}", count(self.links_opened))
    }
}
