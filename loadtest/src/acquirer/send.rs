//! How the fleet sends: what is due, on the next link in turn, rendered straight into its output.

use std::sync::Arc;

use super::fleet::{Fleet, FleetDrive};
use super::pending::{NO_CODE, Pending, State};
use crate::clock::Stamp;
use crate::mix::{Draw, PAN_DIGITS_MAX};
use crate::output::Flushed;
use crate::tally::Tally;
use crate::template::{Content, discretionary_digits};

/// Messages rendered before the sockets are looked at again.
const BATCH: usize = 256;

/// Answered messages kept for being repeated.
const REPEATABLE: usize = 64;

/// Discretionary digits behind the shortest card number.
const DISCRETIONARY_DIGITS_MAX: usize = 16;

/// Why a message finds no link.
pub(super) enum NoLink {
    /// None is up.
    Down,
    /// None that is up takes any more: the host does not read.
    Full,
}

impl Fleet {
    /// Sends what is due, up to a batch. Returns whether more is due already.
    pub(super) fn send_due(&mut self) -> bool {
        let FleetDrive::Open(_) = &self.drive else { return false };
        let now_ns = self.clock.now_ns();
        for _ in 0..BATCH {
            let Some(planned_ns) = self.take_due(now_ns) else {
                self.bell.reached(now_ns);
                self.flush();
                return false;
            };
            match self.choose_next_link() {
                Ok(link) => self.send(link, planned_ns),
                Err(NoLink::Down) => self.refuse(planned_ns, |tally| tally.links.refused_down += 1),
                Err(NoLink::Full) => self.refuse(planned_ns, |tally| tally.links.refused_full += 1),
            }
        }
        self.flush();
        true
    }

    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<u64> {
        let FleetDrive::Open(schedule) = &mut self.drive else { return None };
        if schedule.peek()? <= now_ns { schedule.next() } else { None }
    }

    /// Closed loop: fills the window of a link.
    pub(super) fn fill_window(&mut self, link: usize) {
        if let FleetDrive::Closed { window, .. } = self.drive {
            (0..window).for_each(|_| self.send_next(link));
        }
    }

    /// Closed loop: an answer came over this link, so the next message may go.
    pub(super) fn send_next(&mut self, link: usize) {
        let now_ns = self.clock.now_ns();
        if let FleetDrive::Closed { end_ns, .. } = self.drive
            && now_ns < end_ns
            && self.links[link].is_up()
        {
            self.send(link, now_ns);
        }
    }

    /// The next link that is up and not full, each in its turn.
    pub(super) fn choose_link(&mut self) -> Result<usize, NoLink> {
        let count = self.links.len();
        let mut reason = NoLink::Down;
        for step in 0..count {
            let link = (self.next_link + step) % count;
            if !self.links[link].is_up() {
                continue;
            }
            if !self.links[link].is_full() {
                self.next_link = (link + 1) % count;
                return Ok(link);
            }
            reason = NoLink::Full;
        }
        Err(reason)
    }

    /// The link of the message that comes next: in a replay, the one on which it was.
    fn choose_next_link(&mut self) -> Result<usize, NoLink> {
        let Some(recording) = self.mix.recording() else { return self.choose_link() };
        let request = recording.request(self.keys.number(self.next_ordinal));
        let link = request.map_or(0, |request| request.link as usize) % self.links.len();
        match (self.links[link].is_up(), self.links[link].is_full()) {
            (false, _) => Err(NoLink::Down),
            (true, true) => Err(NoLink::Full),
            (true, false) => Ok(link),
        }
    }

    /// Counts a message that was planned and cannot be sent.
    pub(super) fn refuse(&mut self, planned_ns: u64, count: impl FnOnce(&mut Tally)) {
        let draw = self.mix.draw(self.keys.number(self.next_ordinal));
        self.next_ordinal += 1;
        self.second.planned += 1;
        if self.plan(draw.case, planned_ns) {
            count(&mut self.tally);
        }
    }

    /// Counts a planned message where it belongs; says whether it is measured.
    fn plan(&mut self, case: usize, planned_ns: u64) -> bool {
        let measured = self.is_measured(planned_ns);
        if measured {
            self.tally.cases[case].planned += 1;
        } else {
            self.tally.cut_off += 1;
        }
        measured
    }

    /// Renders the next message into a link's output.
    pub(super) fn send(&mut self, link: usize, planned_ns: u64) {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        let number = self.keys.number(ordinal);
        let draw = self.mix.draw(number);
        let composed = self.compose(number, &draw, planned_ns);
        let case = composed.as_ref().map_or(draw.first, |(pending, _)| usize::from(pending.case));
        let measured = self.plan(case, planned_ns);
        self.second.planned += 1;
        let Some((pending, shown)) = composed else {
            self.tally.out_of_codes += u64::from(measured);
            return;
        };
        self.touch(link);
        let card = if shown.number == number { draw.card } else { self.mix.draw(shown.number).card };
        match self.mix.recording() {
            None => self.render(link, &shown, card),
            Some(recording) => {
                let recording = Arc::clone(recording);
                self.render_recorded(&recording, link, number);
            }
        }
        self.links[link].mark(ordinal);
        self.ring.insert(ordinal, pending);
    }

    /// What message `number` is, and what is shown to the host: the same, or in place of a repeat its original. None
    /// when it needs a code and all are used up.
    fn compose(&mut self, number: u64, draw: &Draw, planned_ns: u64) -> Option<(Pending, Pending)> {
        let mut pending = Pending {
            number,
            planned_ns,
            sent_ns: planned_ns,
            amount: draw.amount,
            partner: None,
            terminal: draw.terminal,
            // Until there is something to say again, the case is that of a first message, and so is its count.
            case: draw.first as u16,
            first: draw.first as u16,
            expect: draw.first as u16,
            code: NO_CODE,
            un: draw.un,
            state: State::Queued,
            repeat: false,
            answer: None,
        };
        let case = draw.case as u16;
        if draw.case != draw.first {
            if self.mix.cases()[draw.case].replay {
                if let Some(original) = self.replayable.pop_front() {
                    let Pending { first, code, un, amount, terminal, .. } = original;
                    pending = Pending { case, first, expect: case, code, un, amount, terminal, ..pending };
                    return Some((pending, pending));
                }
            } else if let Some(original) = self.take_repeatable(number) {
                let (first, partner) = (original.first, Some(original.number));
                return Some((Pending { case, first, partner, repeat: true, ..pending }, original));
            }
        }
        let supply = self.mix.cases()[draw.first].message.as_ref().and_then(|message| message.supply);
        if let Some(supply) = supply {
            pending.code = self.take_code(supply)?;
        }
        Some((pending, pending))
    }

    /// The next code of a program that is this worker's.
    fn take_code(&mut self, supply: usize) -> Option<u32> {
        let taken = self.keys.number(self.codes_taken[supply]);
        if taken >= self.mix.supplies()[supply].len() {
            return None;
        }
        self.codes_taken[supply] += 1;
        u32::try_from(taken).ok()
    }

    /// An answered message, for message `repeat` to say it again.
    fn take_repeatable(&mut self, repeat: u64) -> Option<Pending> {
        while let Some(number) = self.repeatable.pop_front() {
            let ordinal = self.keys.ordinal(number)?;
            if let Some(original) = self.ring.get_mut(ordinal, number) {
                original.partner = Some(repeat);
                // What is rendered is the original with the mark of a repeat.
                return Some(Pending { repeat: true, ..*original });
            }
        }
        None
    }

    /// Notes that the track of an approved message may be sent again.
    pub(super) fn offer_for_replay(&mut self, original: &Pending) {
        if self.replayable.len() == REPEATABLE {
            self.replayable.pop_front();
        }
        self.replayable.push_back(*original);
    }

    /// Notes that an answered message may be repeated.
    pub(super) fn offer_for_repeat(&mut self, number: u64) {
        if self.repeatable.len() == REPEATABLE {
            self.repeatable.pop_front();
        }
        self.repeatable.push_back(number);
    }

    /// Appends a message under its own key.
    fn render(&mut self, link: usize, pending: &Pending, card: u64) {
        self.stamp_as(pending);
        let Some(message) = &self.mix.cases()[usize::from(pending.first)].message else { return };
        let mut digits = [0; PAN_DIGITS_MAX];
        let length = self.mix.pan(message, (card, pending.code()), &mut digits);
        let mut room = [0; DISCRETIONARY_DIGITS_MAX];
        let discretionary = message.supply.zip(pending.code()).map(|(supply, code)| {
            let digits = &mut room[..discretionary_digits(length)];
            self.mix.supplies()[supply].discretionary(code, pending.un, message.wrong_by, digits);
            &*digits
        });
        let content = Content {
            stan: self.keys.stan(pending.number),
            rrn: self.keys.rrn(pending.number),
            stamp: &self.stamp,
            pan: &digits[..length],
            amount: pending.amount,
            terminal: pending.terminal,
            repeat: pending.repeat,
            original: None,
            discretionary,
        };
        message.template.fill(&content, &mut self.links[link].bytes);
    }

    /// Sets the stamp to the second in which a message was planned, which its DE 7 names.
    pub(super) fn stamp_as(&mut self, pending: &Pending) {
        let unix_second = self.clock.unix_second(pending.planned_ns);
        if self.stamp.unix_second != unix_second {
            self.stamp = Stamp::of(unix_second);
        }
    }

    /// Notes that a link is about to be given bytes, to be written at the end of the turn.
    pub(super) fn touch(&mut self, link: usize) {
        // One that has work already is noted, or waits for its socket.
        if !self.links[link].has_work() {
            self.touched.push(link);
        }
    }

    /// Writes what this turn brought, each link once.
    pub(super) fn flush(&mut self) {
        while let Some(link) = self.touched.pop() {
            self.flush_link(link);
        }
    }

    /// Writes what waits on one link.
    pub(super) fn flush_link(&mut self, link: usize) {
        if !self.links[link].has_work() {
            return;
        }
        let now_ns = self.clock.now_ns();
        let Fleet { links, ring, keys, tally, second, measured_ns, reversals, patience_ns, .. } = self;
        let flushed = links[link].flush(|ordinal| {
            let Some(pending) = ring.get_mut(ordinal, keys.number(ordinal)) else { return };
            pending.sent_ns = now_ns;
            if pending.state == State::Queued {
                pending.state = State::Sent;
            }
            let lag_ns = now_ns.saturating_sub(pending.planned_ns);
            if let Some(desk) = reversals {
                desk.watch(pending.number, now_ns + *patience_ns);
            }
            second.times.lag.saturating_record(lag_ns);
            second.sent += 1;
            if measured_ns.contains(&pending.planned_ns) {
                tally.cases[usize::from(pending.case)].sent += 1;
                tally.times.lag.saturating_record(lag_ns);
            }
        });
        match flushed {
            Flushed::Blocked { newly: true } => tally.links.blocked += 1,
            // The reader of the link sees the end too, and reports it.
            Flushed::Whole | Flushed::Blocked { newly: false } | Flushed::Broken => {}
        }
    }
}
