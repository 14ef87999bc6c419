//! What happened in one second of a run: its course, of which the tally is the sum.

use serde::{Deserialize, Serialize};

use crate::codes::Code;
use crate::tally::{Times, add_code};

/// What happened in one second of a run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Second {
    /// 1 is the first.
    pub number: u64,
    /// Messages that became due.
    pub planned: u64,
    /// Messages sent.
    pub sent: u64,
    /// Answers, late ones included.
    pub answered: u64,
    /// Approvals among them, in time.
    pub approved: u64,
    /// Answers that came when the terminal had given up.
    pub late: u64,
    /// Messages without an answer at its end.
    pub in_flight: u64,
    /// Answers in time by code.
    pub codes: Vec<(Code, u64)>,
    /// Times of the messages answered (response, service) or sent (lag) in it.
    pub times: Times,
}

impl Second {
    /// The second `number` with nothing in it.
    pub fn new(number: u64) -> Second {
        Second {
            number,
            planned: 0,
            sent: 0,
            answered: 0,
            approved: 0,
            late: 0,
            in_flight: 0,
            codes: Vec::new(),
            times: Times::new(),
        }
    }

    /// Counts the code of an answer in time.
    #[inline]
    pub fn answer(&mut self, code: Code) {
        self.approved += u64::from(code.is_approval());
        add_code(&mut self.codes, code, 1);
    }

    /// Whether nothing happened and nothing was waited for: the rest of a run behind its last answer.
    pub fn is_empty(&self) -> bool {
        self.planned + self.sent + self.answered + self.in_flight == 0
    }

    /// Takes over what another worker saw in the same second.
    pub fn add(&mut self, other: &Second) {
        self.planned += other.planned;
        self.sent += other.sent;
        self.answered += other.answered;
        self.approved += other.approved;
        self.late += other.late;
        self.in_flight += other.in_flight;
        other.codes.iter().for_each(|(code, count)| add_code(&mut self.codes, *code, *count));
        self.times.add(&other.times);
    }
}
