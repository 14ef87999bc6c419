//! Messages that wait for their answers, and for a while those that have them.
//!
//! A ring indexed by the message's own number: nothing is searched, nothing is allocated after the start, and
//! an answer that comes twice is still recognised. The ring is bounded; a message that is overtaken by a
//! whole round of others is given up, and its answer, if it comes, is unmatched.

use crate::codes::Code;

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Rendered, not yet wholly handed to the kernel.
    Queued,
    /// Sent; an answer is due.
    Sent,
    /// Answered.
    Answered,
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// Its number in the run.
    pub number: u64,
    /// When it was due, in nanoseconds of the run; DE 7 is the second in which that was.
    pub planned_ns: u64,
    /// When the kernel took it.
    pub sent_ns: u64,
    /// DE 4.
    pub amount: u64,
    /// For a repeat the number of its original; for an original that of a repeat on its way.
    pub partner: Option<u64>,
    /// DE 41.
    pub terminal: u32,
    /// The case it counts for.
    pub case: u16,
    /// The case whose message it is.
    pub first: u16,
    /// The case that says which answers are right.
    pub expect: u16,
    /// The entry of the supply that its code is of; [`NO_CODE`] where it has none.
    pub code: u32,
    /// The terminal's unpredictable number that the code was made for.
    pub un: u32,
    /// Where it stands.
    pub state: State,
    /// Whether it is a repeat, which goes under the key of its original.
    pub repeat: bool,
    /// How it was answered: DE 39 and 38.
    pub answer: Option<(Code, [u8; 6])>,
}

/// In place of an entry of a supply.
pub(super) const NO_CODE: u32 = u32::MAX;

impl Pending {
    /// The entry of the supply that its code is of.
    pub(super) fn code(&self) -> Option<u32> {
        (self.code != NO_CODE).then_some(self.code)
    }
}

/// The ring.
#[derive(Debug)]
pub(super) struct PendingRing {
    slots: Vec<Option<Pending>>,
    /// Messages without an answer.
    open: u64,
}

/// The least and the most messages that a ring holds.
const SLOTS: std::ops::RangeInclusive<usize> = 1 << 10..=1 << 21;

impl PendingRing {
    /// A ring that holds at least `messages`, within bounds.
    pub(super) fn new(messages: usize) -> PendingRing {
        let slots = messages.clamp(*SLOTS.start(), *SLOTS.end()).next_power_of_two();
        PendingRing { slots: vec![None; slots], open: 0 }
    }

    /// Messages without an answer.
    pub(super) fn open(&self) -> u64 {
        self.open
    }

    fn at(&self, ordinal: u64) -> usize {
        ordinal as usize & (self.slots.len() - 1)
    }

    /// Adds the message that is this worker's `ordinal`-th. What stood in its place is forgotten.
    pub(super) fn insert(&mut self, ordinal: u64, pending: Pending) {
        let at = self.at(ordinal);
        if self.slots[at].is_some_and(|old| old.state != State::Answered) {
            self.open -= 1;
        }
        self.slots[at] = Some(pending);
        self.open += 1;
    }

    /// The message with this number.
    #[inline]
    pub(super) fn get_mut(&mut self, ordinal: u64, number: u64) -> Option<&mut Pending> {
        let at = self.at(ordinal);
        self.slots[at].as_mut().filter(|pending| pending.number == number)
    }

    /// Notes that a message was answered.
    #[inline]
    pub(super) fn close(&mut self, ordinal: u64, number: u64, answer: (Code, [u8; 6])) {
        if let Some(pending) = self.get_mut(ordinal, number)
            && pending.state != State::Answered
        {
            pending.state = State::Answered;
            pending.answer = Some(answer);
            self.open -= 1;
        }
    }

    /// Takes back a message that could not be sent.
    pub(super) fn withdraw(&mut self, ordinal: u64, number: u64) {
        if let Some(pending) = self.get_mut(ordinal, number)
            && pending.state != State::Answered
        {
            let at = self.at(ordinal);
            self.slots[at] = None;
            self.open -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(number: u64) -> Pending {
        Pending {
            number,
            planned_ns: 0,
            sent_ns: 0,
            amount: 0,
            partner: None,
            terminal: 1,
            case: 0,
            first: 0,
            expect: 0,
            code: NO_CODE,
            un: 0,
            state: State::Sent,
            repeat: false,
            answer: None,
        }
    }

    #[test]
    fn a_slot_is_small() {
        assert!(size_of::<Option<Pending>>() <= 80);
    }

    #[test]
    fn answers_close_and_overtaken_messages_are_given_up() {
        let mut ring = PendingRing::new(0);
        let answer = (Code::parse(b"00").unwrap(), *b"123456");
        ring.insert(1, pending(1));
        ring.insert(2, pending(2));
        ring.close(1, 1, answer);
        ring.close(1, 1, answer);
        assert_eq!(ring.open(), 1);
        assert!(ring.get_mut(1, 1).is_some_and(|pending| pending.state == State::Answered));
        ring.insert(2 + 1024, pending(1026));
        assert!(ring.get_mut(2, 2).is_none());
        assert_eq!(ring.open(), 1);
        ring.withdraw(1026, 1026);
        assert_eq!(ring.open(), 0);
    }
}
