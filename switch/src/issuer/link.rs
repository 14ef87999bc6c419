//! One link to an issuer: requests out under our own trace numbers, answers in.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use authorizer::event::{Event, IssuerLink, Ticket};
use authorizer::issuer::shard_of;
use authorizer::network::LinkLife;
use authorizer::request::Answer;
use codecs::iso8583::{De, Mti};
use codecs::value::{NetworkFunction, Stan};

use super::translate;
use crate::acquirer::link::network_answer;
use crate::edge::{self, Edge, room_for};
use crate::envelope::{Envelope, Sender};
use crate::frame;
use crate::hop::Hop;
use crate::life;
use crate::link::Conversation;
use crate::network;
use crate::wall::Wall;
use crate::wire::{Goodbye, Wire};

/// The most bytes a network management message of our own can take, in any dialect.
const NETWORK_BYTES_MAX: usize = 128;

/// The shard's end of a link.
pub(crate) struct IssuerPort {
    pub(crate) wire: Wire,
    pub(crate) link: IssuerLink,
    pub(crate) life: RefCell<LinkLife>,
    /// The network management request that waits for its answer.
    asked: Cell<Option<(Stan, NetworkFunction)>>,
    /// Counts our own network management requests, for their trace numbers.
    own: Cell<u32>,
    glitches: Cell<u32>,
    /// Its first misdirected message was logged; the others are only counted.
    was_told: Cell<bool>,
}

impl IssuerPort {
    /// The end of a link just made.
    pub(crate) fn new(link: IssuerLink, life: LinkLife, output_bytes_max: usize) -> Self {
        Self {
            wire: Wire::new(output_bytes_max),
            link,
            life: RefCell::new(life),
            asked: Cell::new(None),
            own: Cell::new(0),
            glitches: Cell::new(0),
            was_told: Cell::new(false),
        }
    }

    /// Sends a network management request of our own.
    pub(crate) fn ask(&self, edge: &Edge, function: NetworkFunction) {
        let rules = edge.rules();
        let issuer = rules.issuer(self.link.issuer);
        let dialect = rules.dialect(issuer.dialect);
        self.own.set(self.own.get() % 999_999 + 1);
        let Some(stan) = Stan::new(self.own.get()) else { return };
        let sent = self.wire.append(|out| {
            frame::append(out, issuer.framing, &[], NETWORK_BYTES_MAX, |out| {
                network::request(dialect, function, stan, Wall::now(), out)
            })
        });
        match sent {
            Ok(()) => self.asked.set(Some((stan, function))),
            Err(error) => {
                tracing::error!(issuer = %issuer.name, ?error, "no network message in this dialect")
            }
        }
    }
}

/// What the task of a link does with its messages.
pub(crate) struct IssuerConversation {
    pub(crate) edge: Rc<Edge>,
    pub(crate) port: Rc<IssuerPort>,
}

impl Conversation for IssuerConversation {
    fn message(&mut self, header: &[u8], message: &[u8], now_us: u64) -> Result<(), Goodbye> {
        self.port.life.borrow_mut().heard(now_us);
        let sender = Sender::Issuer(self.port.link.issuer);
        let mut envelope = self.edge.enveloped(header, message, sender, now_us);
        let parsed = {
            let rules = self.edge.rules_now();
            self.edge.parse(rules.issuer_dialect(self.port.link.issuer), &mut envelope)
        };
        match (parsed, envelope.index.mti()) {
            (Ok(()), Some(mti)) if mti.is_response() && edge::is_network(mti) => {
                self.network_answered(envelope)
            }
            (Ok(()), Some(mti)) if mti.is_response() => self.answered(envelope, mti),
            (Ok(()), Some(mti)) if edge::is_network(mti) => self.network_asked(envelope),
            (Ok(()), Some(_)) => self.misdirected(envelope),
            _ => self.glitch(envelope),
        }
    }

    fn keep_alive(&mut self) -> Result<(), Goodbye> {
        let now_us = self.now_us();
        self.port.life.borrow_mut().heard(now_us);
        Ok(())
    }

    fn is_paused(&self) -> bool {
        self.edge.overflow.is_blocked()
    }

    fn now_us(&self) -> u64 {
        self.edge.setup.now_us()
    }
}

impl IssuerConversation {
    /// An answer goes to the shard whose trace number it carries.
    fn answered(&mut self, envelope: Box<Envelope>, mti: Mti) -> Result<(), Goodbye> {
        let Some(answer) = read_answer(&self.edge, &envelope, mti, self.port.link) else {
            self.edge.tally.borrow_mut().unmatched(self.port.link.issuer);
            self.edge.envelopes.borrow_mut().recycle(envelope);
            return Ok(());
        };
        let shard = shard_of(answer.stan, self.edge.setup.shards());
        if shard == self.edge.shard {
            let ticket = self.edge.envelopes.borrow_mut().keep(envelope);
            self.edge.happened(Event::Answered(Answer { ticket, ..answer }));
        } else {
            self.edge.send(shard, Hop::Answered(self.port.link, envelope));
        }
        Ok(())
    }

    /// The issuer answered a network management request of ours.
    fn network_answered(&mut self, envelope: Box<Envelope>) -> Result<(), Goodbye> {
        if let Some(message) = self.edge.message(&envelope) {
            let version = message.dialect().version;
            let approved = message.decode(De::RESPONSE_CODE, &mut [0; 3]) == Some(network::accepted(version));
            if let Some((stan, function)) = self.port.asked.get()
                && message.stan() == Some(stan)
            {
                self.port.asked.set(None);
                let action = self.port.life.borrow_mut().answered(function, approved);
                life::issuer_acts(&self.edge, &self.port, action);
            }
        }
        self.edge.envelopes.borrow_mut().recycle(envelope);
        Ok(())
    }

    /// The issuer sent a network management request of its own.
    fn network_asked(&mut self, envelope: Box<Envelope>) -> Result<(), Goodbye> {
        if let (Some(message), Some(digits)) =
            (self.edge.message(&envelope), edge::response_digits(&envelope))
        {
            let version = message.dialect().version;
            if let Some(function) = message.network_function() {
                let action = self.port.life.borrow_mut().asked(function);
                life::issuer_acts(&self.edge, &self.port, action);
            }
            let framing = self.edge.setup.start.issuers[self.port.link.issuer.index()].framing;
            let room = room_for(message.bytes().len(), false);
            let sent = self.port.wire.append(|out| {
                frame::append(out, framing, envelope.header(), room, |out| {
                    network_answer(&message, digits, network::accepted(version), out)
                })
            });
            if let Err(error) = sent {
                tracing::debug!(?error, "an answer made here cannot be encoded");
            }
        }
        self.edge.envelopes.borrow_mut().recycle(envelope);
        Ok(())
    }

    /// An issuer has no right to ask for authorizations.
    fn misdirected(&mut self, envelope: Box<Envelope>) -> Result<(), Goodbye> {
        self.edge.tally.borrow_mut().misdirected += 1;
        if !self.port.was_told.replace(true) {
            let issuer = &self.edge.setup.start.issuers[self.port.link.issuer.index()].name;
            tracing::warn!(%issuer, "an issuer sends requests; dropped and counted");
        }
        self.edge.envelopes.borrow_mut().recycle(envelope);
        Ok(())
    }

    /// A message that does not parse: counted, and the end of the link after a few.
    fn glitch(&mut self, envelope: Box<Envelope>) -> Result<(), Goodbye> {
        self.edge.envelopes.borrow_mut().recycle(envelope);
        self.edge.tally.borrow_mut().issuer_glitch(self.port.link.issuer);
        let glitches = self.port.glitches.get() + 1;
        self.port.glitches.set(glitches);
        if glitches >= self.edge.rules().config.limits.glitches_max {
            return Err(Goodbye::TooManyGlitches);
        }
        Ok(())
    }
}

/// Reads what a decision needs of an answer.
pub(crate) fn read_answer(edge: &Edge, envelope: &Envelope, mti: Mti, link: IssuerLink) -> Option<Answer> {
    translate::answer(&edge.message(envelope)?, mti, link, Ticket(0))
}
