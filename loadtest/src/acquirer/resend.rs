//! A recording in place of a mix: its messages are sent under keys of this run, and their answers compared with the
//! recorded ones.
//!
//! A repeat goes under the new key of what it repeats, and a message that refers to another names the new key of that.

use super::answer::{Answer, Echoed};
use super::fleet::Fleet;
use super::pending::{Pending, State};
use crate::clock::Stamp;
use crate::codes::Code;
use crate::replay::{Fresh, Recording, Request};

impl Fleet {
    /// Appends message `number` of a recording to a link's output.
    pub(super) fn render_recorded(&mut self, recording: &Recording, link: usize, number: u64) {
        let Some(request) = recording.request(number) else { return };
        let stamp = self.stamp_of(recording, request.same_key_as);
        let original = request.original.map(u64::from);
        let fresh = Fresh {
            stan: self.keys.stan(u64::from(request.same_key_as)),
            rrn: self.keys.rrn(u64::from(request.rrn_of)),
            stamp: &stamp,
            original: original
                .map(|number| (self.keys.stan(number), self.stamp_of(recording, number as u32))),
        };
        request.prepared.fill(&fresh, &mut self.links[link].bytes);
    }

    /// The second in which a request was planned, which its DE 7 names.
    fn stamp_of(&self, recording: &Recording, number: u32) -> Stamp {
        let at_ns = recording.request(u64::from(number)).map_or(0, |request| request.at_ns);
        Stamp::of(self.clock.unix_second(at_ns))
    }

    /// Finds the request that an answer belongs to, and counts it.
    pub(super) fn settle_recorded(&mut self, answer: &Answer, now_ns: u64) {
        let Some(recording) = self.mix.recording().cloned() else { return };
        let Some(first) = self.find_recorded(&recording, answer) else {
            self.tally.unmatched += 1;
            return;
        };
        let Some(said) = recording.request(first).and_then(|request| sound_content(request, answer)) else {
            self.tally.mangled += 1;
            return;
        };
        let (open, before) = self.first_without_answer(&recording, first);
        self.tally.contradicting += u64::from(before.is_some_and(|before| before != said));
        let Some(pending) = open else {
            self.tally.duplicate += 1;
            return;
        };
        let recorded = recording.request(pending.number).and_then(|request| request.answer);
        let expected = recorded.is_none_or(|code| code == said.0);
        let counted = self.close(&pending, said, now_ns, expected);
        if let (Some(recorded), false, true) = (recorded, expected, counted) {
            self.tally.differ(recorded, said.0);
        }
    }

    /// Of a request and its repeats, the first that waits; and what was said to one before it.
    fn first_without_answer(
        &mut self,
        recording: &Recording,
        first: u64,
    ) -> (Option<Pending>, Option<(Code, [u8; 6])>) {
        let (mut before, mut next) = (None, Some(first));
        while let Some(pending) = next.and_then(|number| self.pending(number)) {
            if pending.state != State::Answered {
                return (Some(pending), before);
            }
            before = pending.answer;
            next = recording.request(pending.number).and_then(|request| request.next_with_key).map(u64::from);
        }
        (None, before)
    }

    /// The first request with the key of an answer: DE 11 always, DE 7 and 37 where they are echoed.
    fn find_recorded(&mut self, recording: &Recording, answer: &Answer) -> Option<u64> {
        let newest = self.newest_number();
        let mut candidates = self.keys.of_stan(answer.stan?, newest).take(4);
        candidates.find(|&number| {
            let Some(request) = recording.request(number) else { return false };
            let stamp = self.stamp_of(recording, number as u32);
            let Ok(time) = <&[u8; 10]>::try_from(stamp.transmission_time()) else { return false };
            let rrn = self.keys.rrn(u64::from(request.rrn_of));
            let rrn_fits = !request.prepared.has_rrn() || fits_number(&answer.rrn, rrn);
            u64::from(request.same_key_as) == number
                && rrn_fits
                && answer.transmission_time.fits(time)
                && self.pending(number).is_some()
        })
    }
}

fn fits_number(echoed: &Echoed<u64>, ours: u64) -> bool {
    echoed.fits(&ours)
}

/// Code and approval code, when the rest of the answer is as it must be.
fn sound_content(request: &Request, answer: &Answer) -> Option<(Code, [u8; 6])> {
    let code = answer.code?;
    let partial = matches!(code.as_bytes(), b"10" | b"002");
    let amount_fits = match (answer.amount, request.amount) {
        (Some(theirs), Some(ours)) => theirs == ours || (partial && theirs < ours),
        (_, None) | (None, _) => true,
    };
    (answer.mti.digits() == request.response_mti && amount_fits).then_some((code, answer.approval))
}
