//! One link to an issuer: requests out under our own trace numbers, answers in.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use authorizer::event::{Event, IssuerLink, Leg, Ticket};
use authorizer::issuer::shard_of;
use authorizer::network::LinkLife;
use authorizer::request::Answer;
use codecs::iso8583::{De, Mti};
use codecs::value::{NetworkFunction, Stan};
use hsm::KeyId;

use super::translate;
use crate::acquirer::link::network_answer;
use crate::edge::{self, Edge, room_for};
use crate::envelope::{Envelope, Sender};
use crate::frame;
use crate::hop::Hop;
use crate::life;
use crate::link::{Conversation, Glitches};
use crate::mac::{CHECKS_MAX, End};
use crate::network;
use crate::wall::Wall;
use crate::wire::{Goodbye, Wire, whole};

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
    glitches: Glitches,
    /// Its first misdirected message was logged; the others are only counted.
    was_told: Cell<bool>,
    /// The key of its messages' codes on the token, if they bear some.
    mac: Option<KeyId>,
    /// Messages whose codes are being checked.
    checking: Cell<u32>,
    /// Frames whose codes are being made, and those of them that are requests.
    making: Cell<u32>,
    legs: RefCell<VecDeque<Leg>>,
}

impl IssuerPort {
    /// The end of a link just made.
    pub(crate) fn new(link: IssuerLink, life: LinkLife, output_bytes_max: usize, mac: Option<KeyId>) -> Self {
        Self {
            wire: Wire::new(output_bytes_max),
            link,
            life: RefCell::new(life),
            asked: Cell::new(None),
            own: Cell::new(0),
            glitches: Glitches::default(),
            was_told: Cell::new(false),
            mac,
            checking: Cell::new(0),
            making: Cell::new(0),
            legs: RefCell::default(),
        }
    }

    /// Whether nothing is about to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        self.making.get() == 0
    }

    /// Sends the whole frames that `write` appends, when their code was made where they bear one; nothing on an error.
    pub(crate) fn send<E>(
        self: &Rc<Self>,
        edge: &Edge,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.mac {
            None => self.wire.append(write),
            Some(key) => self.make(edge, (key, None), write),
        }
    }

    /// The same for a request, of which it can be told until its first byte was written.
    pub(crate) fn send_leg<E>(
        self: &Rc<Self>,
        edge: &Edge,
        leg: Leg,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.mac {
            None => self.wire.append_leg(leg, write),
            Some(key) => {
                self.make(edge, (key, Some(leg)), write)?;
                self.legs.borrow_mut().push_back(leg);
                Ok(())
            }
        }
    }

    fn make<E>(
        self: &Rc<Self>,
        edge: &Edge,
        (key, leg): (KeyId, Option<Leg>),
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut frame = Vec::new();
        write(&mut frame)?;
        self.making.set(self.making.get() + 1);
        edge.make_mac(key, frame, End::Issuer(self.clone()), leg);
        Ok(())
    }

    /// The code of a frame was made, or will not be.
    pub(crate) fn made(&self, frame: Option<&[u8]>) {
        self.making.set(self.making.get().saturating_sub(1));
        let Ok(()) = self.wire.append(whole(frame.unwrap_or_default()));
    }

    /// The same of a request. False where it was said to be unsent meanwhile; it is not sent then.
    pub(crate) fn made_leg(&self, leg: Leg, frame: Option<&[u8]>) -> bool {
        self.making.set(self.making.get().saturating_sub(1));
        let mut legs = self.legs.borrow_mut();
        // They are made in their order, unless a token worker was replaced.
        let Some(at) = legs.iter().position(|waiting| *waiting == leg) else { return false };
        legs.remove(at);
        if let Some(frame) = frame {
            let Ok(()) = self.wire.append_leg(leg, whole(frame));
        }
        true
    }

    /// The requests of which no byte was written. The link is over when this is asked.
    pub(crate) fn take_unsent(&self) -> Vec<Leg> {
        let mut unsent = self.wire.take_unsent();
        unsent.extend(self.legs.borrow_mut().drain(..));
        unsent
    }

    /// The code of a message was checked, or will not be.
    pub(crate) fn checked(&self) {
        let before = self.checking.get();
        self.checking.set(before.saturating_sub(1));
        // The link stopped reading at the bound.
        if before == CHECKS_MAX {
            self.wire.wake();
        }
    }

    /// Sends a network management request of our own.
    pub(crate) fn ask(self: &Rc<Self>, edge: &Edge, function: NetworkFunction) {
        let rules = edge.rules();
        let issuer = rules.issuer(self.link.issuer);
        let dialect = rules.dialect(issuer.dialect);
        self.own.set(self.own.get() % 999_999 + 1);
        let Some(stan) = Stan::new(self.own.get()) else { return };
        let mac = self.mac.map(|_| dialect);
        let sent = self.send(edge, |out| {
            frame::append(out, issuer.framing, &[], NETWORK_BYTES_MAX, mac, |out| {
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
        let sender = Sender::Issuer(self.port.link.issuer);
        let envelope = self.edge.enveloped(header, message, sender, now_us);
        let Some(key) = self.port.mac else { return self.authentic(envelope) };
        self.port.checking.set(self.port.checking.get() + 1);
        self.edge.check_mac(key, envelope, End::Issuer(self.port.clone()));
        Ok(())
    }

    fn keep_alive(&mut self) -> Result<(), Goodbye> {
        let now_us = self.now_us();
        self.port.life.borrow_mut().heard(now_us);
        Ok(())
    }

    fn is_paused(&self) -> bool {
        self.edge.overflow.is_blocked() || self.port.checking.get() >= CHECKS_MAX
    }

    fn now_us(&self) -> u64 {
        self.edge.setup.now_us()
    }
}

impl IssuerConversation {
    /// Reads a message of whom it claims to be from, as far as its link can tell.
    pub(crate) fn authentic(&mut self, mut envelope: Box<Envelope>) -> Result<(), Goodbye> {
        self.port.life.borrow_mut().heard(envelope.arrived_us);
        let parsed = {
            let rules = self.edge.rules_now();
            self.edge.parse(rules.issuer_dialect(self.port.link.issuer), &mut envelope)
        };
        let ends_with_mac = || self.edge.message(&envelope).is_some_and(|message| message.ends_with_mac());
        if self.port.mac.is_some() && !ends_with_mac() {
            return self.forged(envelope);
        }
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

    /// A message without a right code. It is as if it had never come.
    pub(crate) fn forged(&mut self, envelope: Box<Envelope>) -> Result<(), Goodbye> {
        if self.port.glitches.is_empty() {
            let issuer = &self.edge.setup.start.issuers[self.port.link.issuer.index()].name;
            tracing::warn!(%issuer, "a message of an issuer bears a wrong code or none; dropped and counted");
        }
        self.glitch(envelope)
    }

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
            self.edge.happened(|| Event::Answered(Answer { ticket, ..answer }));
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
            let (room, mac) =
                (room_for(message.bytes().len(), false), self.port.mac.map(|_| message.dialect()));
            let sent = self.port.send(&self.edge, |out| {
                frame::append(out, framing, envelope.header(), room, mac, |out| {
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
        if self.port.glitches.add(self.now_us()) >= self.edge.rules().config.limits.glitches_max {
            return Err(Goodbye::TooManyGlitches);
        }
        Ok(())
    }
}

/// Reads what a decision needs of an answer.
pub(crate) fn read_answer(edge: &Edge, envelope: &Envelope, mti: Mti, link: IssuerLink) -> Option<Answer> {
    translate::answer(&edge.message(envelope)?, mti, link, Ticket(0))
}
