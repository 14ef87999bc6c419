//! The real world as a shard sees it: the [`Ports`] of a running switch.

use std::rc::Rc;

use authorizer::cards::Refused;
use authorizer::effect::Reply;
use authorizer::event::{AcquirerId, Event, IssuerId, Leg, Now};
use authorizer::fact::Fact;
use authorizer::ports::{Ports, Position};
use authorizer::provision::{Asker, Told};
use authorizer::request::Answer;
use authorizer::{AcquirerLink, Effect};
use codecs::iso8583::De;

use crate::acquirer::translate::{self, Answered};
use crate::edge::{self, Edge, room_for};
use crate::envelope::{Envelope, Sender};
use crate::frame::{self, NotSent};
use crate::hop::Hop;
use crate::journal::Journal;
use crate::metrics::JournalFigures;
use crate::slowest::Slow;
use crate::wall::Wall;

/// How often the calendar is asked, microseconds.
const CALENDAR_US: u64 = 1_000_000;

/// Sockets, clocks and other shards, through the shard's [`Edge`].
pub(crate) struct Live {
    edge: Rc<Edge>,
    now: Now,
    /// When what a turn decided is performed: read once for all of it.
    performing_us: u64,
    calendar_us: u64,
    /// Without one every fact is as durable as it will ever be.
    journal: Option<Journal>,
    position: Position,
    store_was_low: bool,
}

impl Live {
    /// The world of this shard.
    pub(crate) fn new(edge: Rc<Edge>, journal: Option<Journal>) -> Self {
        let now = Now { monotonic_us: 0, moment: 0, year: 0, month: 0 };
        Self { edge, now, performing_us: 0, calendar_us: 0, journal, position: 0, store_was_low: false }
    }

    /// The time, read last in the newest turn, microseconds of the monotonic clock.
    pub(crate) fn now_us(&self) -> u64 {
        self.performing_us
    }

    /// How the journal stands, for the page.
    pub(crate) fn journal_figures(&self) -> Option<JournalFigures> {
        self.journal.as_ref().map(Journal::figures)
    }
}

impl Ports for Live {
    fn now(&mut self) -> Now {
        let now_us = self.edge.setup.now_us();
        if now_us.saturating_sub(self.calendar_us) > CALENDAR_US {
            let wall = Wall::now();
            let (year, month) = wall.year_and_month();
            let moment =
                wall.month_to_second().iter().fold(0, |sum, digit| sum * 10 + u64::from(digit & 0x0F));
            self.calendar_us = now_us;
            self.now = Now { year, month, moment, ..self.now };
        }
        self.now.monotonic_us = now_us;
        self.performing_us = now_us;
        self.now
    }

    fn take(&mut self, events: &mut Vec<Event>) {
        self.edge.use_macs();
        std::mem::swap(&mut *self.edge.inbox.borrow_mut(), events);
        let is_low = self.journal.as_ref().is_some_and(Journal::is_low);
        if is_low != self.store_was_low {
            self.store_was_low = is_low;
            events.push(Event::StoreLow(is_low));
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Forward { ticket, to, stan, funding } => {
                self.edge.forward(ticket, Leg { to, stan }, funding, self.performing_us);
            }
            Effect::Deliver(delivery) => self.edge.deliver(&delivery),
            Effect::Ask { proof, ticket, program, question } => {
                self.edge.ask(ticket, proof, program, question);
            }
            Effect::Challenge { program, account, pan } => self.edge.challenge(program, account, pan),
            Effect::Reply(reply) => self.reply(&reply),
            Effect::Release(ticket) => self.edge.release(ticket),
            Effect::Recall { ticket, identity, ended_by_us } => {
                self.edge.recall(ticket, identity, ended_by_us);
            }
            Effect::RecallLeg(leg) => self.edge.recall_leg(leg),
            Effect::LeftStanding(answer) => self.log_left_standing(&answer),
            Effect::Hand { ticket, to } => {
                if let Some(envelope) = self.edge.envelopes.borrow_mut().take(ticket) {
                    self.edge.send(to, Hop::Handed(envelope));
                }
            }
        }
    }

    fn submit(&mut self) {
        self.edge.put_macs(self.now.monotonic_us);
        self.edge
            .crypto
            .borrow_mut()
            .submit(self.now.monotonic_us, |waits, said| self.edge.said(waits, said));
    }

    fn tell(&mut self, asker: Asker, told: Result<Told, Refused>) {
        self.edge.setup.askers.tell(asker, told);
    }

    fn append(&mut self, facts: &[Fact]) -> Position {
        facts.iter().for_each(|fact| self.log(fact));
        let position = match &mut self.journal {
            Some(journal) => journal.append(facts, self.now.monotonic_us),
            None => {
                self.position += facts.len() as Position;
                self.position
            }
        };
        self.performing_us = self.edge.setup.now_us();
        position
    }

    fn durable_up_to(&self) -> Position {
        self.journal.as_ref().map_or(self.position, Journal::durable_up_to)
    }
}

impl Live {
    /// What an operator must know of without asking.
    fn log(&self, fact: &Fact) {
        let name = |issuer: &IssuerId| self.edge.setup.start.issuers[issuer.index()].name.as_str();
        match fact {
            Fact::ReversalParked { issuer, stan } => tracing::error!(
                issuer = name(issuer),
                stan = stan.number(),
                "an issuer refuses what it must be told: set aside, see /v1/saf"
            ),
            Fact::ReversalReleased { issuer, stan } => tracing::warn!(
                issuer = name(issuer),
                stan = stan.number(),
                "what an issuer refused goes out again by an operator's order"
            ),
            _ => {}
        }
    }

    /// The same of an approval that nothing is known of.
    fn log_left_standing(&self, answer: &Answer) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        tracing::error!(
            issuer = self.edge.setup.start.issuers[answer.link.issuer.index()].name.as_str(),
            issuer_de11 = format!("{:06}", answer.stan.number()),
            de37 = answer.keys.rrn.map(|rrn| text(rrn.as_bytes())),
            de38 = answer.approval_code.map(|code| text(code.as_bytes())),
            "an approval came late for what was forgotten, and the index cannot say what it approves: it is not undone, and \
             may stand at the issuer"
        );
    }

    /// Tells an acquirer what became of its request, over a link of this shard or of another.
    fn reply(&self, reply: &Reply) {
        self.answer(reply);
        self.edge.release(reply.ticket);
        if let Some(answer) = reply.answer {
            self.edge.release(answer);
        }
    }

    fn answer(&self, reply: &Reply) {
        let envelopes = self.edge.envelopes.borrow();
        let Some(request) = envelopes.get(reply.ticket) else { return };
        let answer = reply.answer.and_then(|answer| envelopes.get(answer));
        let Sender::Acquirer(acquirer, _) = request.sender else { return };
        let sent = if reply.link.shard == self.edge.shard {
            // A connection that ended since the decision changes nothing: the acquirer repeats or reverses.
            let Some(port) = self.edge.acquirer_port(reply.link) else { return };
            port.send(&self.edge, |out| self.encode(acquirer, request, answer, reply, out))
        } else {
            let mut frame = Vec::new();
            self.encode(acquirer, request, answer, reply, &mut frame).map(|()| self.send(reply.link, frame))
        };
        if let Err(error) = sent {
            let acquirer = &self.edge.setup.start.acquirers[acquirer.index()].name;
            tracing::debug!(%acquirer, ?error, "an answer cannot be said to its acquirer");
        }
        let now_us = self.performing_us;
        let whole_us = now_us.saturating_sub(request.arrived_us);
        let mut tally = self.edge.tally.borrow_mut();
        tally.replied(acquirer, &reply.outcome, whole_us, reply.issuer_us);
        if tally.slowest.takes(whole_us, now_us) {
            tally.slowest.put(self.slow(acquirer, request, answer, reply, now_us));
        }
        if let Some(trace) = self.edge.traced(request) {
            let acquirer = &self.edge.setup.start.acquirers[acquirer.index()].name;
            let de39 = String::from_utf8_lossy(reply.outcome.response_code.as_bytes()).into_owned();
            let issuer_us = reply.issuer_us;
            tracing::info!(%trace, %acquirer, de39, whole_us, issuer_us, "payment answered");
            #[cfg(feature = "otel")]
            self.trace(request, answer, reply, now_us);
        }
    }

    /// For the collector of traces, if there is one.
    #[cfg(feature = "otel")]
    fn trace(&self, request: &Envelope, answer: Option<&Envelope>, reply: &Reply, now_us: u64) {
        let Sender::Acquirer(acquirer, _) = request.sender else { return };
        let (Some(_), Some(identity), Some(mti)) =
            (self.edge.setup.start.log_otlp, request.identity.get(), request.index.mti())
        else {
            return;
        };
        let heard = answer.and_then(|answer| match answer.sender {
            Sender::Issuer(issuer) => Some((answer.arrived_us, issuer)),
            Sender::Acquirer(..) => None,
        });
        let told = crate::otel::Told {
            identity,
            acquirer,
            mti,
            code: reply.outcome.response_code,
            received_us: request.arrived_us,
            forwarded_us: request.forwarded_us.get(),
            heard,
            ended_us: now_us,
        };
        if !self.edge.setup.spans.put(told) {
            self.edge.setup.traces.lost.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// What is told of a payment that was among the slowest.
    fn slow(
        &self,
        acquirer: AcquirerId,
        request: &Envelope,
        answer: Option<&Envelope>,
        reply: &Reply,
        now_us: u64,
    ) -> Slow {
        let forwarded_us = request.forwarded_us.get();
        let heard_us = answer.map(|answer| answer.arrived_us);
        let between = |from: Option<u64>, to: Option<u64>| Some(to?.saturating_sub(from?));
        let message = self.edge.message(request);
        let said = |de: De| {
            let value = message.as_ref()?.decode(de, &mut [0; 32])?.to_vec();
            Some(String::from_utf8_lossy(&value).trim_end().to_owned())
        };
        let card = message.as_ref().and_then(|message| translate::card_of(message));
        Slow {
            at_us: now_us,
            acquirer,
            identity: request.identity.get(),
            code: reply.outcome.response_code,
            whole_us: now_us.saturating_sub(request.arrived_us),
            before_us: between(Some(request.arrived_us), forwarded_us),
            issuer_us: between(forwarded_us, heard_us),
            after_us: between(heard_us, Some(now_us)),
            card: card.map(|card| format!("{card:?}")),
            rrn: said(De::RRN),
        }
    }

    fn send(&self, link: AcquirerLink, frame: Vec<u8>) {
        self.edge.send(link.shard, Hop::Reply(link, frame));
    }

    fn encode(
        &self,
        acquirer: AcquirerId,
        request: &Envelope,
        answer: Option<&Envelope>,
        reply: &Reply,
        out: &mut Vec<u8>,
    ) -> Result<(), NotSent> {
        let (Some(message), Some(digits), Some(rules)) =
            (self.edge.message(request), edge::response_digits(request), request.rules())
        else {
            return Err(NotSent::TooLong);
        };
        let settings = rules.acquirer(acquirer);
        let dialect = rules.dialect(settings.dialect);
        let answer = answer.and_then(|answer| self.edge.message(answer));
        let bytes = message.bytes().len() + answer.as_ref().map_or(0, |answer| answer.bytes().len());
        let is_same = answer.as_ref().is_none_or(|answer| std::ptr::eq(answer.dialect(), dialect));
        // What is said here stands in neither.
        let room = room_for(bytes, is_same) + 64;
        let answer = answer.as_ref().map(|message| Answered { message, funding: reply.funding });
        let mut write = |answer: Option<Answered<'_>>| {
            let mac = settings.mac.as_ref().map(|_| dialect);
            frame::append(out, settings.framing, request.header(), room, mac, |out| {
                let mut weaves = self.edge.weaves.borrow_mut();
                translate::reply(&message, dialect, digits, &reply.outcome, answer, &mut weaves, out)
            })
        };
        let whole = write(answer);
        if whole.is_err() && answer.is_some() {
            // Something the issuer added cannot be said in this dialect: the outcome still can.
            return write(None);
        }
        whole
    }
}
