//! What a run counts and measures. One tally per worker, added up without loss.
//!
//! What is absent: the course of a run, which [`second`](crate::second) keeps.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::clock::SECOND_NS;
use crate::codes::Code;

/// The longest time that is told apart, in nanoseconds: an hour. Longer ones count as that.
const LONGEST_NS: u64 = 3600 * SECOND_NS;

/// A histogram of times in nanoseconds, three digits exact.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are constants that fit each other")
}

/// Everything that one worker saw.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Tally {
    /// By case, in the profile's order.
    pub cases: Vec<CaseTally>,
    /// Messages planned in warm-up or cool-down: sent and drawn, and in no other figure.
    pub cut_off: u64,
    /// Answers that came when the terminal had given up.
    pub late: u64,
    /// Answers to messages that had been answered already.
    pub duplicate: u64,
    /// Answers whose key fits no message.
    pub unmatched: u64,
    /// Messages that are no sound answer: unreadable, of the wrong type, without code, with another amount.
    pub mangled: u64,
    /// Second answers to one key that say something else than the first.
    pub contradicting: u64,
    /// Messages that were not sent because every code of their program was used up.
    pub out_of_codes: u64,
    /// In a replay: how often which recorded code has become which other.
    pub differences: Vec<((Code, Code), u64)>,
    /// Times that are measured.
    pub times: Times,
    /// What was undone.
    pub reversals: ReversalTally,
    /// What happened to the links.
    pub links: LinkTally,
}

/// The messages of one case. Planned = sent + not sent; sent = answered + late + missing.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CaseTally {
    /// Messages that the schedule asked for.
    pub planned: u64,
    /// Messages handed to the kernel.
    pub sent: u64,
    /// Messages answered in time.
    pub answered: u64,
    /// Messages answered late.
    pub late: u64,
    /// Answers in time that approve.
    pub approved: u64,
    /// Answers in time whose code the case does not expect.
    pub unexpected: u64,
    /// Answers in time by code, in the order in which codes were first seen.
    pub codes: Vec<(Code, u64)>,
    /// Response times, late answers included.
    #[serde(with = "sparse")]
    pub response: Histogram<u64>,
}

impl Default for CaseTally {
    fn default() -> Self {
        CaseTally {
            planned: 0,
            sent: 0,
            answered: 0,
            late: 0,
            approved: 0,
            unexpected: 0,
            codes: Vec::new(),
            response: new_histogram(),
        }
    }
}

impl CaseTally {
    /// Messages of which nothing was heard.
    pub fn missing(&self) -> u64 {
        self.sent.saturating_sub(self.answered + self.late)
    }

    /// Counts an answer in time.
    #[inline]
    pub fn answer(&mut self, code: Code, expected: bool) {
        self.answered += 1;
        self.approved += u64::from(code.is_approval());
        self.unexpected += u64::from(!expected);
        add_code(&mut self.codes, code, 1);
    }

    fn add(&mut self, other: &CaseTally) {
        self.planned += other.planned;
        self.sent += other.sent;
        self.answered += other.answered;
        self.late += other.late;
        self.approved += other.approved;
        self.unexpected += other.unexpected;
        other.codes.iter().for_each(|(code, count)| add_code(&mut self.codes, *code, *count));
        add(&mut self.response, &other.response);
    }
}

/// Counts `count` answers with a code.
#[inline]
pub(crate) fn add_code(codes: &mut Vec<(Code, u64)>, code: Code, count: u64) {
    // A case sees a handful of codes: looking through them is quicker than hashing.
    match codes.iter_mut().find(|(seen, _)| *seen == code) {
        Some((_, total)) => *total += count,
        None => codes.push((code, count)),
    }
}

/// Reversals of payments without an answer. sent = acknowledged + refused + open.
#[derive(Clone, Default, Debug, Deserialize, Serialize)]
pub struct ReversalTally {
    /// Reversals begun.
    pub sent: u64,
    /// Times that one was sent once more.
    pub repeats: u64,
    /// Reversals that were accepted.
    pub acknowledged: u64,
    /// Reversals that were answered with another code.
    pub refused: u64,
    /// Reversals that were never answered.
    pub open: u64,
}

impl ReversalTally {
    fn add(&mut self, other: &ReversalTally) {
        self.sent += other.sent;
        self.repeats += other.repeats;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.open += other.open;
    }
}

/// What happened to the links.
#[derive(Clone, Default, Debug, Deserialize, Serialize)]
pub struct LinkTally {
    /// Connections that were lost in the run.
    pub lost: u64,
    /// Connections that we dropped on purpose.
    pub dropped: u64,
    /// Messages that found no link up.
    pub refused_down: u64,
    /// Messages that found the output of their link full: the host did not read.
    pub refused_full: u64,
    /// Times that a link's socket would take no more for the moment.
    pub blocked: u64,
    /// Network messages (0800) that we sent.
    pub network_sent: u64,
    /// Answers to them.
    pub network_answered: u64,
    /// Network messages of the host that we answered.
    pub network_served: u64,
}

/// Times in nanoseconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Times {
    /// Answered minus planned: what a customer waits. Late answers are in it.
    #[serde(with = "sparse")]
    pub response: Histogram<u64>,
    /// Answered minus sent: what the host needs.
    #[serde(with = "sparse")]
    pub service: Histogram<u64>,
    /// Sent minus planned: what the generator, or a host that does not read, adds.
    #[serde(with = "sparse")]
    pub lag: Histogram<u64>,
}

impl Times {
    /// Nothing measured yet.
    pub fn new() -> Times {
        Times { response: new_histogram(), service: new_histogram(), lag: new_histogram() }
    }

    /// Takes over what `other` measured.
    pub fn add(&mut self, other: &Times) {
        add(&mut self.response, &other.response);
        add(&mut self.service, &other.service);
        add(&mut self.lag, &other.lag);
    }
}

impl Default for Times {
    fn default() -> Self {
        Times::new()
    }
}

/// A histogram as the values that it holds and how often: nothing is lost, and what is empty costs nothing.
mod sparse {
    use hdrhistogram::Histogram;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(times: &Histogram<u64>, to: S) -> Result<S::Ok, S::Error> {
        let recorded = times.iter_recorded();
        to.collect_seq(recorded.map(|value| (value.value_iterated_to(), value.count_since_last_iteration())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Histogram<u64>, D::Error> {
        let mut times = super::new_histogram();
        for (value, count) in Vec::<(u64, u64)>::deserialize(from)? {
            times.record_n(value, count).map_err(|_| D::Error::custom("a time beyond the longest"))?;
        }
        Ok(times)
    }
}

/// Adds `part` to `total`, which loses nothing: all histograms here have the same bounds.
pub(crate) fn add(total: &mut Histogram<u64>, part: &Histogram<u64>) {
    total.add(part).expect("all histograms here have the same bounds");
}

impl Tally {
    /// Nothing counted yet, for so many cases.
    pub fn new(cases: usize) -> Tally {
        Tally {
            cases: vec![CaseTally::default(); cases],
            cut_off: 0,
            late: 0,
            duplicate: 0,
            unmatched: 0,
            mangled: 0,
            contradicting: 0,
            out_of_codes: 0,
            differences: Vec::new(),
            times: Times::new(),
            reversals: ReversalTally::default(),
            links: LinkTally::default(),
        }
    }

    /// The sum of one figure over all cases.
    pub fn sum(&self, figure: impl Fn(&CaseTally) -> u64) -> u64 {
        self.cases.iter().map(figure).sum()
    }

    /// Counts an answer with another code than the recorded one.
    pub fn differ(&mut self, recorded: Code, now: Code) {
        self.add_difference((recorded, now), 1);
    }

    fn add_difference(&mut self, pair: (Code, Code), count: u64) {
        match self.differences.iter_mut().find(|(seen, _)| *seen == pair) {
            Some((_, total)) => *total += count,
            None => self.differences.push((pair, count)),
        }
    }

    /// Takes over what another worker counted.
    pub fn add(&mut self, other: &Tally) {
        self.cases.iter_mut().zip(&other.cases).for_each(|(case, theirs)| case.add(theirs));
        self.cut_off += other.cut_off;
        self.late += other.late;
        self.duplicate += other.duplicate;
        self.unmatched += other.unmatched;
        self.mangled += other.mangled;
        self.contradicting += other.contradicting;
        self.out_of_codes += other.out_of_codes;
        other.differences.iter().for_each(|(pair, count)| self.add_difference(*pair, *count));
        self.times.add(&other.times);
        self.reversals.add(&other.reversals);
        let (links, theirs) = (&mut self.links, &other.links);
        links.lost += theirs.lost;
        links.dropped += theirs.dropped;
        links.refused_down += theirs.refused_down;
        links.refused_full += theirs.refused_full;
        links.blocked += theirs.blocked;
        links.network_sent += theirs.network_sent;
        links.network_answered += theirs.network_answered;
        links.network_served += theirs.network_served;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up() {
        let (approved, declined) = (Code::parse(b"00").unwrap(), Code::parse(b"51").unwrap());
        let mut one = Tally::new(2);
        one.cases[0].sent = 3;
        one.cases[0].answer(approved, true);
        one.times.response.record(1000).unwrap();
        let mut other = Tally::new(2);
        other.cases[0].sent = 1;
        other.cases[0].answer(declined, false);
        other.cases[1].answer(approved, true);
        one.add(&other);
        assert_eq!(one.cases[0].codes, [(approved, 1), (declined, 1)]);
        assert_eq!((one.cases[0].missing(), one.cases[0].unexpected), (2, 1));
        assert_eq!(one.sum(|case| case.approved), 2);
        assert_eq!(one.times.response.len(), 1);
    }

    #[test]
    fn a_tally_arrives_as_it_was_sent() {
        let mut tally = Tally::new(1);
        tally.cases[0].answer(Code::parse(b"51").unwrap(), true);
        for value in [1, 999, 2_047, 2_048, 1_234_567, 98_765_432_101, LONGEST_NS] {
            tally.times.response.record_n(value, value % 7 + 1).unwrap();
        }
        let arrived: Tally = serde_json::from_str(&serde_json::to_string(&tally).unwrap()).unwrap();
        assert_eq!(arrived.times.response, tally.times.response);
        assert_eq!(arrived.cases[0].codes, tally.cases[0].codes);
    }
}
