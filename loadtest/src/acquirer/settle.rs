//! What the fleet does with a message from the host.

use codecs::iso8583::{Class, Message};

use super::answer::{Answer, Echoed};
use super::fleet::Fleet;
use super::pending::{Pending, State};
use crate::codes::Code;
use crate::framing::Frame;
use crate::respond;

impl Fleet {
    /// Takes one message that came over `link` at `now_ns`.
    pub(super) fn receive(&mut self, link: usize, frame: &Frame, now_ns: u64) {
        let known = (&mut *self.plans, &mut self.index);
        let Ok(answer) = Answer::read(self.dialect, frame.message(), known) else {
            self.tally.mangled += 1;
            return;
        };
        match (answer.is_network(), answer.mti.is_response()) {
            (true, true) => self.tally.links.network_answered += 1,
            (true, false) => self.serve_network(link, frame),
            (false, true) if self.mix.recording().is_some() => self.settle_recorded(&answer, now_ns),
            (false, true) if answer.mti.class() == Class::Reversal => self.settle_reversal(&answer),
            (false, true) => {
                self.settle(&answer, now_ns);
                // In a closed loop every answer makes room, whatever it says.
                self.send_next(link);
            }
            (false, false) => self.tally.mangled += 1,
        }
    }

    /// Answers an echo test or the like.
    fn serve_network(&mut self, link: usize, frame: &Frame) {
        self.touch(link);
        let message = Message::new(self.dialect, frame.message(), &self.index);
        let code = respond::network_code(&message);
        let room_bytes = frame.message().len() + 64;
        let served =
            self.codec.encode_with(frame.header(), room_bytes, &mut self.links[link].bytes, |room| {
                respond::answer(&message, code, None, room)
            });
        self.tally.links.network_served += u64::from(served.is_some());
    }

    /// Finds the message that an answer belongs to, and counts it.
    fn settle(&mut self, answer: &Answer, now_ns: u64) {
        let Some(number) = self.find(answer) else {
            self.tally.unmatched += 1;
            return;
        };
        let Some(original) = self.pending(number) else { return };
        let content = self.sound_content(&original, answer);
        match (original.state, content) {
            (_, None) => self.tally.mangled += 1,
            (State::Queued | State::Sent, Some(said)) => {
                let expected = self.is_expected(&original, said.0);
                self.close(&original, said, now_ns, expected);
                self.offer_for_repeat(number);
                // A replay is no original, whatever became of it.
                if self.replays
                    && original.code().is_some()
                    && original.expect == original.first
                    && said.0.is_approval()
                {
                    self.offer_for_replay(&original);
                }
            }
            (State::Answered, Some(said)) => self.settle_again(&original, said, now_ns),
        }
    }

    /// An answer to a key that has one: that of the repeat on its way, or one too many.
    fn settle_again(&mut self, original: &Pending, said: (Code, [u8; 6]), now_ns: u64) {
        let same = original.answer == Some(said);
        self.tally.contradicting += u64::from(!same);
        let repeat = original.partner.and_then(|number| self.pending(number));
        match repeat {
            Some(repeat) if repeat.state != State::Answered => {
                self.close(&repeat, said, now_ns, same);
            }
            _ => self.tally.duplicate += 1,
        }
    }

    /// Counts the first answer to a message and measures it. Says whether it was in time, and is measured.
    pub(super) fn close(
        &mut self,
        pending: &Pending,
        said: (Code, [u8; 6]),
        now_ns: u64,
        expected: bool,
    ) -> bool {
        let Some(ordinal) = self.keys.ordinal(pending.number) else { return false };
        self.ring.close(ordinal, pending.number, said);
        let response_ns = now_ns.saturating_sub(pending.planned_ns);
        let service_ns = now_ns.saturating_sub(pending.sent_ns);
        self.second.times.service.saturating_record(service_ns);
        self.second.times.response.saturating_record(response_ns);
        self.second.answered += 1;

        let late = service_ns > self.patience_ns;
        if late {
            self.second.late += 1;
        } else {
            self.second.answer(said.0);
        }
        if !self.is_measured(pending.planned_ns) {
            return false;
        }
        self.tally.times.service.saturating_record(service_ns);
        self.tally.times.response.saturating_record(response_ns);
        let case = &mut self.tally.cases[usize::from(pending.case)];
        case.response.saturating_record(response_ns);
        if late {
            case.late += 1;
            self.tally.late += 1;
        } else {
            case.answer(said.0, expected);
        }
        !late
    }

    fn is_expected(&self, pending: &Pending, code: Code) -> bool {
        // What stands in for a repeat is judged as the case whose message it is.
        let expect = &self.mix.cases()[usize::from(pending.expect)].expect;
        expect.is_empty() || expect.contains(&code)
    }

    pub(super) fn pending(&mut self, number: u64) -> Option<Pending> {
        let ordinal = self.keys.ordinal(number)?;
        self.ring.get_mut(ordinal, number).copied()
    }

    /// The number of the message whose key the answer carries.
    fn find(&mut self, answer: &Answer) -> Option<u64> {
        let stan = answer.stan?;
        match answer.rrn {
            Echoed::Value(rrn) => Some(self.keys.of_rrn(rrn)).filter(|&number| self.fits(number, answer)),
            Echoed::Absent => {
                let newest = self.newest_number();
                // A ring holds no more than a few rounds of STANs.
                self.keys.of_stan(stan, newest).take(4).find(|&number| self.fits(number, answer))
            }
            Echoed::Foreign => None,
        }
    }

    /// Whether the key of message `number` is the answer's: DE 11 always, DE 7 and 41 where they are echoed.
    fn fits(&mut self, number: u64, answer: &Answer) -> bool {
        let Some(pending) = self.pending(number) else { return false };
        if pending.repeat || answer.stan != Some(self.keys.stan(number)) {
            return false;
        }
        self.stamp_as(&pending);
        let Ok(time) = <&[u8; 10]>::try_from(self.stamp.transmission_time()) else { return false };
        answer.transmission_time.fits(time) && answer.terminal.fits(&pending.terminal)
    }

    /// Code and approval code, when the rest of the answer is as it must be.
    fn sound_content(&self, pending: &Pending, answer: &Answer) -> Option<(Code, [u8; 6])> {
        let code = answer.code?;
        let message = self.mix.cases()[usize::from(pending.first)].message.as_ref()?;
        let partial = matches!(code.as_bytes(), b"10" | b"002");
        let amount_fits = answer
            .amount
            .is_none_or(|amount| amount == pending.amount || (partial && amount < pending.amount));
        (answer.mti.digits() == message.response_mti && amount_fits).then_some((code, answer.approval))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::super::keys::FirstKey;
    use super::super::worker::Start;
    use super::*;
    use crate::clock::Clock;
    use crate::mix::Mix;
    use crate::output::Output;
    use crate::profile::{Overrides, Profile};
    use bytes::BytesMut;
    use codecs::iso8583::{De, DeSet, Encoder, Index};
    use tokio_util::codec::{Decoder, Encoder as _};

    /// A fleet with one link that leads nowhere: what it sends stays in the output.
    fn fleet() -> Fleet {
        let text = "name = 'x'\n[[case]]\nname = 'a'\nweight = 1\niin = '99996'\nexpect = ['00']";
        let profile = Profile::parse(text, &Overrides::default()).unwrap();
        let mix = Arc::new(Mix::new(&profile).unwrap());
        let clock = Clock::starting_at(Instant::now());
        let start = Start { clock, first_key: FirstKey::of(&clock) };
        Fleet::new(&profile, mix, start, 0, Fleet::room(&profile), vec![Output::default()])
    }

    /// Sends a message and returns it.
    fn send(fleet: &mut Fleet) -> Vec<u8> {
        fleet.send(0, 0);
        let mut codec = fleet.codec;
        let frame = codec.decode(&mut fleet.links[0].bytes).unwrap().unwrap();
        frame.message().to_vec()
    }

    /// Answers a message with `code`, other elements replaced (or left out, where nothing stands instead).
    fn reply(fleet: &mut Fleet, request: &[u8], code: &str, changes: &[(De, Option<&str>)]) {
        let mut index = Index::new();
        fleet.dialect.parse(request, &mut index).unwrap();
        let message = Message::new(fleet.dialect, request, &index);
        let left_out = changes.iter().filter(|(_, value)| value.is_none());
        let left_out = left_out.fold(DeSet::EMPTY, |set, (de, _)| set.with(*de));
        let echoed = message.present().intersection(fleet.dialect.echo);
        let present = echoed.with(De::RESPONSE_CODE).minus(left_out);
        let mut room = [0; 512];
        let mut encoder =
            Encoder::new(fleet.dialect, message.mti().unwrap().response(), present, &mut room).unwrap();
        for de in present.iter() {
            match changes.iter().find(|(changed, _)| *changed == de) {
                Some((_, Some(value))) => encoder.put(de, value.as_bytes()).unwrap(),
                _ if de == De::RESPONSE_CODE => encoder.put(de, code.as_bytes()).unwrap(),
                _ => encoder.copy(de, &message).unwrap(),
            }
        }
        let length = encoder.finish().unwrap();
        receive(fleet, &room[..length]);
    }

    fn receive(fleet: &mut Fleet, message: &[u8]) {
        let mut codec = fleet.codec;
        let mut stream = BytesMut::new();
        codec.encode(message, &mut stream).unwrap();
        let frame = codec.decode(&mut stream).unwrap().unwrap();
        fleet.receive(0, &frame, 1_000);
    }

    /// answered, duplicate, unmatched, mangled, contradicting, unexpected
    fn counted(fleet: &Fleet) -> [u64; 6] {
        let tally = &fleet.tally;
        let answered = tally.sum(|case| case.answered);
        let unexpected = tally.sum(|case| case.unexpected);
        [answered, tally.duplicate, tally.unmatched, tally.mangled, tally.contradicting, unexpected]
    }

    #[test]
    fn answers_find_their_messages() {
        let mut fleet = fleet();
        let (first, second) = (send(&mut fleet), send(&mut fleet));
        reply(&mut fleet, &second, "00", &[]);
        reply(&mut fleet, &first, "51", &[(De::RRN, None), (De::TERMINAL, None)]);
        assert_eq!(counted(&fleet), [2, 0, 0, 0, 0, 1]);
        assert_eq!(fleet.ring.open(), 0);
    }

    #[test]
    fn a_second_answer_is_a_duplicate() {
        let mut fleet = fleet();
        let request = send(&mut fleet);
        reply(&mut fleet, &request, "00", &[]);
        reply(&mut fleet, &request, "00", &[]);
        reply(&mut fleet, &request, "05", &[]);
        assert_eq!(counted(&fleet), [1, 2, 0, 0, 1, 0]);
    }

    #[test]
    fn any_other_key_is_unmatched() {
        let mut fleet = fleet();
        let request = send(&mut fleet);
        for change in [
            (De::STAN, Some("999999")),
            (De::TRANSMISSION_TIME, Some("0101000000")),
            (De::RRN, Some("999999999999")),
            (De::RRN, Some("ABC")),
            (De::TERMINAL, Some("T9999999")),
        ] {
            reply(&mut fleet, &request, "00", &[change]);
        }
        reply(&mut fleet, &request, "00", &[(De::STAN, None)]);
        assert_eq!(counted(&fleet), [0, 0, 6, 0, 0, 0]);
        assert_eq!(fleet.ring.open(), 1);
    }

    #[test]
    fn an_answer_that_says_other_things_is_mangled() {
        let mut fleet = fleet();
        let request = send(&mut fleet);
        reply(&mut fleet, &request, "00", &[(De::AMOUNT, Some("999999999999"))]);
        reply(&mut fleet, &request, "00", &[(De::RESPONSE_CODE, None)]);
        receive(&mut fleet, b"0110 and then nothing");
        // A request is no answer.
        receive(&mut fleet, &request);
        assert_eq!(counted(&fleet), [0, 0, 0, 4, 0, 0]);
        // A partial approval may be lower.
        reply(&mut fleet, &request, "10", &[(De::AMOUNT, Some("000000000001"))]);
        assert_eq!(counted(&fleet), [1, 0, 0, 4, 0, 1]);
    }
}
