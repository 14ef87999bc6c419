//! One connection of an acquirer: requests in, answers out.
//!
//! What can be answered without a decision is answered here: network management, messages that do not
//! parse, classes the switch does not serve, a peer that has not signed on. Everything else becomes an event.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use authorizer::decision::{DeclineReason, Outcome};
use authorizer::event::{AcquirerId, AcquirerLink};
use authorizer::network::LinkLife;
use codecs::ParseError;
use codecs::iso8583::{De, MACS, Message};
use hsm::KeyId;

use super::translate;
use crate::edge::{self, Edge, room_for};
use crate::envelope::{Envelope, Sender};
use crate::frame;
use crate::life;
use crate::link::{Conversation, Glitches};
use crate::mac::End;
use crate::network;
use crate::throttle::Throttle;
use crate::wire::{Goodbye, Wire, whole};

/// Empty frames and network management messages of one connection in a second, above which nothing of it is read for a
/// while. What a concentrator passes on of its terminals is far below.
const SIGNS_PER_SECOND: u32 = 1_000;

/// The shard's end of a connection.
pub(crate) struct AcquirerPort {
    pub(crate) wire: Wire,
    pub(crate) acquirer: AcquirerId,
    pub(crate) link: AcquirerLink,
    pub(crate) life: RefCell<LinkLife>,
    /// Requests that came over this connection and have not ended.
    in_flight: Cell<u32>,
    window: u32,
    /// Nothing is read before then, monotonic microseconds: the principal is ahead of its rate.
    pub(crate) throttled_until_us: Cell<u64>,
    /// The rate of its signs of life.
    signs: Option<Throttle>,
    glitches: Glitches,
    /// Its first misdirected message was logged; the others are only counted.
    was_told: Cell<bool>,
    /// The key of its messages' codes on the token, if they bear some.
    mac: Option<KeyId>,
    /// Frames whose codes are being made.
    making: Cell<u32>,
}

impl AcquirerPort {
    /// The end of a connection just made.
    pub(crate) fn new(
        acquirer: AcquirerId,
        link: AcquirerLink,
        life: LinkLife,
        window: u32,
        output_bytes_max: usize,
        mac: Option<KeyId>,
    ) -> Self {
        Self {
            wire: Wire::new(output_bytes_max),
            acquirer,
            link,
            life: RefCell::new(life),
            in_flight: Cell::new(0),
            window,
            throttled_until_us: Cell::new(0),
            signs: Throttle::new(SIGNS_PER_SECOND),
            glitches: Glitches::default(),
            was_told: Cell::new(false),
            mac,
            making: Cell::new(0),
        }
    }

    /// Whether nothing that came over it is still running, and nothing is about to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.get() == 0 && self.making.get() == 0
    }

    /// Sends the whole frames that `write` appends, when their code was made where they bear one; nothing on an error.
    pub(crate) fn send<E>(
        self: &Rc<Self>,
        edge: &Edge,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(key) = self.mac else { return self.wire.append(write) };
        let mut frame = Vec::new();
        write(&mut frame)?;
        self.making.set(self.making.get() + 1);
        edge.make_mac(key, frame, End::Acquirer(self.clone()), None);
        Ok(())
    }

    /// The code of a frame was made, or will not be.
    pub(crate) fn made(&self, frame: Option<&[u8]>) {
        self.making.set(self.making.get().saturating_sub(1));
        let Ok(()) = self.wire.append(whole(frame.unwrap_or_default()));
    }

    /// One request that came over it has ended.
    pub(crate) fn finished(&self) {
        let before = self.in_flight.get();
        self.in_flight.set(before.saturating_sub(1));
        // The link stopped reading when its window was full.
        if before == self.window || before == 1 {
            self.wire.wake();
        }
    }
}

/// What the task of a connection does with its messages.
pub(crate) struct AcquirerConversation {
    pub(crate) edge: Rc<Edge>,
    pub(crate) port: Rc<AcquirerPort>,
}

impl Conversation for AcquirerConversation {
    fn message(&mut self, header: &[u8], message: &[u8], now_us: u64) -> Result<(), Goodbye> {
        self.throttle(now_us);
        let sender = Sender::Acquirer(self.port.acquirer, self.port.link);
        let envelope = self.edge.enveloped(header, message, sender, now_us);
        let Some(key) = self.port.mac else { return self.authentic(envelope) };
        self.port.in_flight.set(self.port.in_flight.get() + 1);
        self.edge.check_mac(key, envelope, End::Acquirer(self.port.clone()));
        Ok(())
    }

    fn keep_alive(&mut self) -> Result<(), Goodbye> {
        let now_us = self.now_us();
        self.port.life.borrow_mut().heard(now_us);
        self.throttle(now_us);
        self.sign_of_life(now_us);
        Ok(())
    }

    fn is_paused(&self) -> bool {
        let throttled_until_us = self.port.throttled_until_us.get();
        self.port.in_flight.get() >= self.port.window
            || self.edge.overflow.is_blocked()
            || (throttled_until_us != 0 && throttled_until_us > self.now_us())
    }

    fn now_us(&self) -> u64 {
        self.edge.setup.now_us()
    }
}

impl AcquirerConversation {
    /// Reads a message of whom it claims to be from, as far as its link can tell.
    pub(crate) fn authentic(&mut self, mut envelope: Box<Envelope>) -> Result<(), Goodbye> {
        self.port.life.borrow_mut().heard(envelope.arrived_us);
        let parsed = {
            let rules = self.edge.rules_now();
            let dialect = rules.acquirer_dialect(self.port.acquirer);
            self.edge.parse(dialect, &mut envelope).and_then(|()| dialect.check_rules(&envelope.index))
        };
        let ends_with_mac = || self.edge.message(&envelope).is_some_and(|message| message.ends_with_mac());
        if self.port.mac.is_some() && parsed.is_ok() && !ends_with_mac() {
            return self.forged(envelope);
        }
        self.read(envelope, parsed)
    }

    /// A message without a right code. Nothing of it is used.
    pub(crate) fn forged(&mut self, envelope: Box<Envelope>) -> Result<(), Goodbye> {
        if self.port.glitches.is_empty() {
            let acquirer = self.name();
            tracing::warn!(%acquirer, "a message of an acquirer bears a wrong code or none; dropped and counted");
        }
        self.glitch(envelope)
    }

    /// Tells the kinds of message apart.
    fn read(&mut self, envelope: Box<Envelope>, parsed: Result<(), ParseError>) -> Result<(), Goodbye> {
        let Some(digits) = envelope.index.mti_digits() else { return self.glitch(envelope) };
        if translate::response_digits(digits).is_none() {
            return self.misdirected(envelope);
        }
        if !envelope.index.present().contains(De::STAN) {
            return self.glitch(envelope);
        }
        let mti = envelope.index.mti();
        let is_network = mti.is_some_and(edge::is_network);
        if mti.and_then(translate::class).is_none() && !is_network {
            return self.refuse(envelope, DeclineReason::NotSupported);
        }
        if let Err(error) = parsed {
            let acquirer = self.name();
            tracing::debug!(%acquirer, %error, "message refused");
            return self.refuse(envelope, DeclineReason::FormatError);
        }
        if is_network {
            return self.network(envelope);
        }
        if !self.port.life.borrow().is_signed_on() {
            return self.refuse(envelope, DeclineReason::NotAllowed);
        }
        self.port.in_flight.set(self.port.in_flight.get() + 1);
        self.edge.submit(envelope).or_else(|(envelope, reason)| {
            self.port.finished();
            self.refuse(envelope, reason)
        })
    }

    /// A network management request is answered at once; what it says may change the link.
    fn network(&mut self, envelope: Box<Envelope>) -> Result<(), Goodbye> {
        self.sign_of_life(self.now_us());
        if let Some(message) = self.edge.message(&envelope) {
            let version = message.dialect().version;
            if let Some(function) = message.network_function() {
                let action = self.port.life.borrow_mut().asked(function);
                life::acquirer_acts(&self.edge, &self.port, action);
            }
            self.edge.tally.borrow_mut().network(self.port.acquirer);
            self.send(&envelope, |message, digits, out| {
                network_answer(message, digits, network::accepted(version), out)
            });
        }
        self.edge.envelopes.borrow_mut().recycle(envelope);
        Ok(())
    }

    /// Declines without a decision. It promises nothing, so it waits for nothing.
    fn refuse(&mut self, envelope: Box<Envelope>, reason: DeclineReason) -> Result<(), Goodbye> {
        let rules = self.edge.rules();
        let rules = envelope.rules().unwrap_or(&rules);
        let acquirer = rules.acquirer(self.port.acquirer);
        let dialect = rules.dialect(acquirer.dialect);
        let own = acquirer.response_codes.iter().find(|(name, _)| name == reason.name());
        let code = own.map_or_else(|| reason.code(translate::code_set(dialect.version)), |(_, code)| *code);
        let outcome = Outcome::declined(reason, code);
        self.edge.tally.borrow_mut().refused(self.port.acquirer, reason, code);
        self.send(&envelope, |message, digits, out| {
            let mut weaves = self.edge.weaves.borrow_mut();
            translate::reply(message, dialect, digits, &outcome, None, &mut weaves, out)
        });
        self.edge.envelopes.borrow_mut().recycle(envelope);
        Ok(())
    }

    /// Writes an answer to a message straight to its connection.
    fn send(
        &self,
        envelope: &Envelope,
        encode: impl FnOnce(&Message<'_>, [u8; 4], &mut [u8]) -> Result<usize, codecs::EncodeError>,
    ) {
        let (Some(digits), Some(message)) = (edge::response_digits(envelope), self.edge.message(envelope))
        else {
            return;
        };
        let framing = self.edge.setup.start.acquirers[self.port.acquirer.index()].framing;
        let (room, mac) = (room_for(message.bytes().len(), false), self.port.mac.map(|_| message.dialect()));
        let sent = self.port.send(&self.edge, |out| {
            frame::append(out, framing, envelope.header(), room, mac, |out| encode(&message, digits, out))
        });
        if let Err(error) = sent {
            tracing::debug!(?error, "an answer made here cannot be encoded");
        }
    }

    fn name(&self) -> &str {
        &self.edge.setup.start.acquirers[self.port.acquirer.index()].name
    }

    /// A message that is itself an answer has no business here.
    fn misdirected(&mut self, envelope: Box<Envelope>) -> Result<(), Goodbye> {
        self.edge.tally.borrow_mut().misdirected += 1;
        if !self.port.was_told.replace(true) {
            let acquirer = self.name();
            tracing::warn!(%acquirer, "an acquirer sends responses; dropped and counted");
        }
        self.edge.envelopes.borrow_mut().recycle(envelope);
        Ok(())
    }

    /// A message that cannot even be answered: counted, and the end of the connection after a few.
    fn glitch(&mut self, envelope: Box<Envelope>) -> Result<(), Goodbye> {
        self.edge.envelopes.borrow_mut().recycle(envelope);
        self.edge.tally.borrow_mut().acquirer_glitch(self.port.acquirer);
        if self.port.glitches.add(self.now_us()) >= self.edge.rules().config.limits.glitches_max {
            return Err(Goodbye::TooManyGlitches);
        }
        Ok(())
    }

    fn throttle(&self, now_us: u64) {
        let rules = self.edge.rules_now();
        let throttle = &rules.throttles[self.port.acquirer.index()];
        self.pause(throttle.as_ref().and_then(|throttle| throttle.count(now_us)));
    }

    /// Each costs a look and perhaps an answer, and no rate of requests need be set: a flood of them must not take the
    /// shard's time from others.
    fn sign_of_life(&self, now_us: u64) {
        self.pause(self.port.signs.as_ref().and_then(|signs| signs.count(now_us)));
    }

    /// Reads nothing before then.
    fn pause(&self, until_us: Option<u64>) {
        if let Some(until_us) = until_us {
            self.port.throttled_until_us.set(until_us.max(self.port.throttled_until_us.get()));
        }
    }
}

/// The answer to a network management request: everything it carried, and DE 39.
pub(crate) fn network_answer(
    message: &Message<'_>,
    digits: [u8; 4],
    code: &[u8],
    out: &mut [u8],
) -> Result<usize, codecs::EncodeError> {
    let present = message.present().minus(MACS).with(De::RESPONSE_CODE);
    let mut encoder = codecs::iso8583::Encoder::new_with_digits(message.dialect(), digits, present, out)?;
    for de in present.iter() {
        if de == De::RESPONSE_CODE {
            encoder.put(de, code)?;
        } else {
            encoder.copy(de, message)?;
        }
    }
    encoder.finish()
}
