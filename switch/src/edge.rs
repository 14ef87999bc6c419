//! One shard's side of the world: its links, its envelopes, what waits for the next turn.
//!
//! Everything here belongs to one thread, so it is shared by `Rc` and changed through cells: no lock, no
//! atomic. Only the mailboxes in [`Setup`] are touched by others.

use std::cell::{Cell, Ref, RefCell};
use std::fmt;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use authorizer::cards::{AccountHash, Funding};
use authorizer::decision::DeclineReason;
use authorizer::event::{AcquirerLink, Event, IssuerLink, Leg, ShardId, Ticket, Unsent};
use authorizer::programs::{ProgramId, Question};
use authorizer::provision::Provision;
use authorizer::request::{Identity, Request};
use authorizer::saf::{Delivery, Stored};
use authorizer::tables::Tables;
use authorizer::verify::{Judgement, ProofId};
use codecs::ParseError;
use codecs::frame::FrameFormat;
use codecs::iso8583::{Dialect, MACS, Message, Mti, Plans, Weaves};
use codecs::value::Pan;

use crate::acquirer::link::AcquirerPort;
use crate::acquirer::translate::{self, Received};
use crate::crypto::{self, Crypto, Enrolment, Said, Waits};
use crate::envelope::{Envelope, Envelopes, Sender};
use crate::frame::{self, NotSent};
use crate::hop::{Hop, Overflow};
use crate::issuer::link::IssuerPort;
use crate::issuer::translate::{Onward, Passing, forward};
use crate::kept;
use crate::link::READ_BYTES;
use crate::mac::Macs;
use crate::metrics::Tally;
use crate::rules::{OwnRules, Rules};
use crate::setup::{Setup, links_of};
use crate::wire::whole;

/// The largest content of a frame that any link may be configured for.
const CONTENT_MAX: u32 = 65_536;

/// The same with its length field.
const FRAME_MAX: usize = CONTENT_MAX as usize + 4;

/// What one shard's links, ports and turn share.
pub(crate) struct Edge {
    pub(crate) shard: ShardId,
    pub(crate) setup: Arc<Setup>,
    /// In force for what is read from now on; what was read before has its own ([`Envelope::rules`]).
    rules: RefCell<OwnRules>,
    pub(crate) inbox: RefCell<Vec<Event>>,
    pub(crate) kick: Kick,
    pub(crate) envelopes: RefCell<Envelopes>,
    /// The ways over messages that were met before.
    plans: RefCell<Box<Plans>>,
    /// The answers that were put together of a request and its answer before.
    pub(crate) weaves: RefCell<Box<Weaves>>,
    pub(crate) acquirers: RefCell<Vec<Place>>,
    /// By issuer, then by link.
    pub(crate) issuers: RefCell<Vec<Vec<Option<Rc<IssuerPort>>>>>,
    pub(crate) overflow: Overflow,
    pub(crate) read_buffer: RefCell<Vec<u8>>,
    pub(crate) tally: RefCell<Tally>,
    pub(crate) crypto: RefCell<Crypto>,
    /// Messages whose codes are checked or made.
    pub(crate) macs: Macs,
    pub(crate) stopping: Cell<bool>,
}

/// A place for a connection of an acquirer. The generation tells its occupants apart.
#[derive(Default)]
pub(crate) struct Place {
    pub(crate) generation: u32,
    pub(crate) port: Option<Rc<AcquirerPort>>,
}

/// Says that the shard has something to do; its task looks once per round of the runtime.
#[derive(Default)]
pub(crate) struct Kick {
    pending: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Kick {
    /// There is something to do.
    pub(crate) fn set(&self) {
        if !self.pending.replace(true)
            && let Some(waker) = self.waker.borrow().as_ref()
        {
            waker.wake_by_ref();
        }
    }

    /// Whether there is something to do; the task is woken when there is again.
    pub(crate) fn take(&self, waker: &Waker) -> bool {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
        self.pending.take()
    }
}

/// A trace id as log lines, `signalbox trace` and the console write it.
pub(crate) struct Trace(pub(crate) Identity);

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0.0)
    }
}

impl Edge {
    /// The edge of a shard without links.
    pub(crate) fn new(shard: ShardId, setup: Arc<Setup>, crypto: Crypto) -> Rc<Self> {
        let places = setup.start.issuers.iter().map(|issuer| vec![None; links_of(issuer)]).collect();
        Rc::new(Self {
            shard,
            rules: RefCell::new(Arc::new(setup.rules())),
            inbox: RefCell::default(),
            kick: Kick::default(),
            envelopes: RefCell::default(),
            plans: RefCell::default(),
            weaves: RefCell::default(),
            acquirers: RefCell::default(),
            issuers: RefCell::new(places),
            overflow: Overflow::new(usize::from(setup.shards())),
            read_buffer: RefCell::new(vec![0; READ_BYTES + FRAME_MAX]),
            tally: RefCell::new(Tally::new(&setup.start)),
            crypto: RefCell::new(crypto),
            macs: Macs::default(),
            stopping: Cell::new(false),
            setup,
        })
    }

    /// The rules in force. Hold on to them and they stay as they are.
    pub(crate) fn rules(&self) -> OwnRules {
        self.rules.borrow().clone()
    }

    /// The same for a moment, without counting: for every message.
    pub(crate) fn rules_now(&self) -> Ref<'_, OwnRules> {
        self.rules.borrow()
    }

    /// Reads a message into an envelope under the rules in force.
    pub(crate) fn enveloped(
        &self,
        header: &[u8],
        message: &[u8],
        sender: Sender,
        now_us: u64,
    ) -> Box<Envelope> {
        let mut envelope = self.envelopes.borrow_mut().fresh();
        envelope.fill(header, message, sender, now_us, &self.rules.borrow());
        envelope
    }

    /// Finds and checks the elements of a message.
    pub(crate) fn parse(&self, dialect: &Dialect, envelope: &mut Envelope) -> Result<(), ParseError> {
        let (bytes, index) = envelope.parts();
        self.plans.borrow_mut().parse(dialect, bytes, index)
    }

    /// Other rules are in force, for the links at once and for the authorizer from the next turn.
    pub(crate) fn swap_rules(&self, rules: Arc<Rules>, tables: Arc<Tables>) {
        if let (Some(crew), Some(hsm)) = (self.crypto.borrow_mut().crew(), &rules.config.hsm) {
            crew.set_deadline(hsm.deadline);
        }
        *self.rules.borrow_mut() = Arc::new(rules);
        self.happened(|| Event::Tables(tables));
    }

    /// Something happened that the authorizer must know in the next turn. The event is made where it is kept: pushed, it
    /// would be moved there twice.
    #[inline(always)]
    pub(crate) fn happened(&self, event: impl FnOnce() -> Event) {
        self.inbox.borrow_mut().extend(std::iter::once_with(event));
        self.kick.set();
    }

    /// Something happened that every shard's authorizer must know.
    pub(crate) fn happened_everywhere(&self, event: Event) {
        for shard in (0..self.setup.shards()).map(ShardId).filter(|shard| *shard != self.shard) {
            self.send(shard, Hop::Event(Box::new(event.clone())));
        }
        self.happened(|| event);
    }

    /// Hands something of a running transaction to another shard.
    pub(crate) fn send(&self, to: ShardId, hop: Hop) {
        self.overflow.send(&self.setup.mailboxes, to, hop);
    }

    /// A request was read: it goes to the home of its identity, this shard or another. Refuses what
    /// contradicts itself by giving the message back with what is wrong.
    pub(crate) fn submit(&self, envelope: Box<Envelope>) -> Result<(), (Box<Envelope>, DeclineReason)> {
        let ticket = self.envelopes.borrow_mut().keep(envelope);
        let taken = || self.envelopes.borrow_mut().take(ticket);
        let Some(request) = self.read_request(ticket) else {
            return taken().map_or(Ok(()), |envelope| Err((envelope, DeclineReason::FormatError)));
        };
        // A reversal goes where its original went.
        let named = request.original.as_ref().map_or(request.identity, |original| original.identity);
        let home = self.setup.homes.of_identity(named);
        if home == self.shard {
            self.happened(|| Event::Request(request));
            return Ok(());
        }
        match taken().map(|envelope| self.setup.mailbox(home).send(Hop::Request(envelope))) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(Hop::Request(envelope))) => Err((envelope, DeclineReason::Overloaded)),
            Some(Err(_)) => unreachable!("a refused hop comes back as it was"),
        }
    }

    /// A request came from another shard, which has read it before.
    pub(crate) fn arrived(&self, envelope: Box<Envelope>, event: impl FnOnce(Request) -> Event) {
        let ticket = self.envelopes.borrow_mut().keep(envelope);
        if let Some(request) = self.read_request(ticket) {
            return self.happened(|| event(request));
        }
        let mut envelopes = self.envelopes.borrow_mut();
        if let Some(envelope) = envelopes.take(ticket) {
            envelopes.recycle(envelope);
        }
    }

    /// What a request says; the envelope learns its name.
    #[inline(always)]
    pub(crate) fn read_request(&self, ticket: Ticket) -> Option<Request> {
        let envelopes = self.envelopes.borrow();
        let envelope = envelopes.get(ticket)?;
        let Sender::Acquirer(acquirer, link) = envelope.sender else { return None };
        let message = self.message(envelope)?;
        let mti = message.mti()?;
        let received = Received { ticket, link, acquirer };
        let class = translate::class(mti)?;
        let rules = envelope.rules()?;
        let keep = |class, pan: Option<&Pan>, program: Option<ProgramId>| {
            let proxy = pan.filter(|_| program.is_some_and(|program| rules.has_proxies(program)));
            rules.keeps(class, pan, program).then(|| kept::of(&message, proxy))
        };
        let (homes, programs) = (&self.setup.homes, &rules.programs);
        let request = translate::request(&message, (mti, class), received, homes, programs, keep).ok()?;
        envelope.identity.set(Some(request.identity));
        Some(request)
    }

    /// Notes what the token is asked about the code in a request's track.
    pub(crate) fn ask(&self, ticket: Ticket, proof: ProofId, program: ProgramId, question: Question) {
        let envelopes = self.envelopes.borrow();
        let asked = envelopes.get(ticket).is_some_and(|envelope| {
            let (Some(message), Some(rules)) = (self.message(envelope), envelope.rules()) else {
                return false;
            };
            self.crypto.borrow_mut().ask(proof, (program, question), &message, rules, &self.setup)
        });
        if !asked {
            self.said(Waits::Proof(proof), None);
        }
    }

    /// Asks the token for its part of a change of a card at home here. The next turn puts it.
    pub(crate) fn enrol(&self, enrolment: Enrolment) {
        let Enrolment { provision, question } = enrolment;
        let (card, waits) = (provision.account.0, Waits::Change(Box::new(provision)));
        let put = self.crypto.borrow_mut().put(waits, question, card, self.setup.now_us());
        if let Err(waits) = put {
            self.said(waits, None);
        }
        self.kick.set();
    }

    /// A token worker takes a place.
    pub(crate) fn token_seat(&self, place: u16, number: u64, stream: UnixStream) {
        if let Some(crew) = self.crypto.borrow_mut().crew() {
            crew.seat(place, number, stream, &|waits, said| self.said(waits, said));
        }
    }

    /// A token worker said something.
    pub(crate) fn token_heard(&self, place: u16, number: u64, heard: &mut Vec<u8>) {
        let now_us = self.setup.now_us();
        if let Some(crew) = self.crypto.borrow_mut().crew() {
            crew.heard(place, number, heard, now_us, &|waits, said| self.said(waits, said));
        }
    }

    /// A token worker is gone.
    pub(crate) fn token_lost(&self, place: u16, number: u64, why: &'static str) {
        if let Some(crew) = self.crypto.borrow_mut().crew() {
            crew.lost(place, number, why, &|waits, said| self.said(waits, said));
        }
    }

    /// The token said something, or will not.
    pub(crate) fn said(&self, waits: Waits, said: Said<'_>) {
        match waits {
            Waits::Proof(proof) => {
                let judgement = said.map_or(Judgement::Unknown, crypto::judgement);
                self.happened(|| Event::Judged(proof, judgement));
            }
            Waits::Change(provision) => match crypto::enrolled(*provision, said) {
                Some(provision) => self.happened(|| Event::Provision(provision)),
                None => provision.asker.into_iter().for_each(|asker| self.setup.askers.forget(asker)),
            },
            Waits::Mac(ticket) => self.mac_said(ticket, said),
        }
    }

    /// Draws a challenge for a card at home here.
    pub(crate) fn challenge(&self, program: ProgramId, account: AccountHash, pan: Pan) {
        let Some(change) = crate::api::new_challenge(&self.rules().config, program) else { return };
        self.happened(|| Event::Provision(Provision { asker: None, account, pan, change }));
    }

    /// The trace id of a request, if it is one of those that have lines in the log.
    pub(crate) fn traced(&self, envelope: &Envelope) -> Option<Trace> {
        let nth = envelope.rules()?.config.log_every_nth_payment;
        let identity = envelope.identity.get()?;
        (nth != 0 && (identity.0 as u32).is_multiple_of(nth)).then_some(Trace(identity))
    }

    /// The message in an envelope, in its sender's dialect.
    pub(crate) fn message<'a>(&'a self, envelope: &'a Envelope) -> Option<Message<'a>> {
        let rules = envelope.rules()?;
        let dialect = match envelope.sender {
            Sender::Acquirer(acquirer, _) => rules.acquirer_dialect(acquirer),
            Sender::Issuer(issuer) => rules.issuer_dialect(issuer),
        };
        Some(Message::new(dialect, envelope.message(), &envelope.index))
    }

    /// Appends a request to an issuer's link as its issuer sees it, or hands it to the shard of the link.
    pub(crate) fn forward(&self, ticket: Ticket, leg: Leg, funding: Option<Funding>, now_us: u64) {
        let port = self.issuer_port(leg.to);
        let envelopes = self.envelopes.borrow();
        let Some(envelope) = envelopes.get(ticket) else { return };
        envelope.forwarded_us.set(Some(now_us));
        if let Some(trace) = self.traced(envelope) {
            let issuer = &self.setup.start.issuers[leg.to.issuer.index()].name;
            let stan = leg.stan.number();
            tracing::info!(%trace, %issuer, link = leg.to.link, stan, "payment sent to its issuer");
        }
        let sent = match port {
            Some(port) => port.send_leg(self, leg, |out| self.encode_leg(envelope, leg, funding, out)),
            None => match self.issuer_shard(leg.to) {
                shard if shard != self.shard => {
                    let mut frame = Vec::new();
                    self.encode_leg(envelope, leg, funding, &mut frame)
                        .map(|()| self.send(shard, Hop::Forward(leg, frame)))
                }
                _ => return self.happened(|| Event::Unsent(leg, Unsent::LinkLost)),
            },
        };
        if let Err(error) = sent {
            tracing::debug!(issuer = %self.setup.start.issuers[leg.to.issuer.index()].name, ?error, "request cannot be said to its issuer");
            self.happened(|| Event::Unsent(leg, Unsent::NotEncodable));
        }
    }

    /// No byte of a leg was written: its shard asks elsewhere, or nobody.
    pub(crate) fn unsent(&self, leg: Leg, why: Unsent) {
        let owner = authorizer::issuer::shard_of(leg.stan, self.setup.shards());
        let event = Event::Unsent(leg, why);
        if owner == self.shard {
            self.happened(|| event);
        } else {
            self.send(owner, Hop::Event(Box::new(event)));
        }
    }

    fn encode_leg(
        &self,
        envelope: &Envelope,
        leg: Leg,
        funding: Option<Funding>,
        out: &mut Vec<u8>,
    ) -> Result<(), NotSent> {
        let Sender::Acquirer(acquirer, _) = envelope.sender else { return Err(NotSent::TooLong) };
        let (Some(message), Some(mti), Some(rules)) =
            (self.message(envelope), envelope.index.mti(), envelope.rules())
        else {
            return Err(NotSent::TooLong);
        };
        let (acquirer, issuer) = (rules.acquirer(acquirer), rules.issuer(leg.to.issuer));
        let same = acquirer.dialect == issuer.dialect;
        let dialect = rules.dialect(issuer.dialect);
        // A code is between two neighbours.
        let is_passed = acquirer.mac.is_none() && issuer.mac.is_none();
        let passing = match same {
            _ if !is_passed && !message.present().intersection(MACS).is_empty() => Passing::WithoutMac,
            true => Passing::Restamped,
            false => Passing::Whole,
        };
        // A funding card may stand where no number stood.
        let room = room_for(message.bytes().len(), same) + funding.map_or(0, |_| 64);
        frame::append(out, issuer.framing, &[], room, issuer.mac.as_ref().map(|_| dialect), |out| {
            let onward = Onward { mti, stan: leg.stan, passing, funding };
            forward(&message, &onward, dialect, &mut self.weaves.borrow_mut(), out)
        })
    }

    /// Sends a stored message, which needs no raw one, over an issuer's link. One that meets no link is sent again when
    /// its issuer is back.
    pub(crate) fn deliver(&self, delivery: &Delivery) {
        let Delivery { to, message } = delivery;
        let rules = self.rules();
        let issuer = rules.issuer(to.issuer);
        let dialect = rules.dialect(issuer.dialect);
        let leg = Leg { to: *to, stan: message.stan() };
        let mac = issuer.mac.as_ref().map(|_| dialect);
        let mut frame = Vec::new();
        let written = match message {
            Stored::Reversal(reversal) => {
                let room = crate::issuer::reversal::BYTES_MAX;
                frame::append(&mut frame, issuer.framing, &[], room, mac, |out| {
                    crate::issuer::reversal::write(reversal, dialect, out)
                })
            }
            Stored::Advice(advice) => {
                let room = crate::issuer::advice::BYTES_MAX + 2 * advice.kept.0.len();
                frame::append(&mut frame, issuer.framing, &[], room, mac, |out| {
                    crate::issuer::advice::write(advice, dialect, out)
                })
            }
        };
        if let Err(error) = written {
            tracing::error!(issuer = %issuer.name, stan = leg.stan.number(), ?error, "a stored message cannot be said to its issuer");
            return self.happened(|| Event::Unsent(leg, Unsent::NotEncodable));
        }
        match self.issuer_shard(*to) {
            shard if shard == self.shard => self.append_delivery(leg, &frame),
            shard => self.send(shard, Hop::Deliver(leg, frame)),
        }
    }

    /// Appends the frame of a stored message to a link of this shard.
    pub(crate) fn append_delivery(&self, leg: Leg, frame: &[u8]) {
        let Some(port) = self.issuer_port(leg.to) else { return };
        let Ok(()) = port.send(self, whole(frame));
    }

    /// The local end of an issuer's link, if it is here and connected.
    pub(crate) fn issuer_port(&self, link: IssuerLink) -> Option<Rc<IssuerPort>> {
        self.issuers.borrow().get(link.issuer.index())?.get(usize::from(link.link))?.clone()
    }

    /// Which shard reads and writes an issuer's link: they are dealt out in order of configuration.
    pub(crate) fn issuer_shard(&self, link: IssuerLink) -> ShardId {
        issuer_shard(&self.setup, link)
    }

    /// The local end of an acquirer's connection, if it is still the same one.
    pub(crate) fn acquirer_port(&self, link: AcquirerLink) -> Option<Rc<AcquirerPort>> {
        let places = self.acquirers.borrow();
        let place = places.get(usize::from(link.slot)).filter(|place| place.generation == link.generation)?;
        place.port.clone()
    }

    /// A request that came over this link is no longer in flight.
    pub(crate) fn finished(&self, link: AcquirerLink) {
        if link.shard != self.shard {
            return self.send(link.shard, Hop::Finished(link));
        }
        if let Some(port) = self.acquirer_port(link) {
            port.finished();
        }
    }

    /// Wipes the message of a ticket; the request it held is no longer in flight.
    pub(crate) fn release(&self, ticket: Ticket) {
        let envelope = self.envelopes.borrow_mut().take(ticket);
        if let Some(envelope) = envelope {
            if let Sender::Acquirer(_, link) = envelope.sender {
                self.finished(link);
            }
            self.envelopes.borrow_mut().recycle(envelope);
        }
    }

    /// Publishes how this shard is, for the health page.
    pub(crate) fn publish(&self, in_flight: usize) {
        let gauges = &self.setup.gauges[usize::from(self.shard.0)];
        gauges.in_flight.store(u32::try_from(in_flight).unwrap_or(u32::MAX), Ordering::Relaxed);
    }
}

/// How an issuer's frames are cut. A request may be as long as a frame may be, and its answer has DE 38 and 39 beside what it
/// echoes: it must not cost the link, and all that is on it.
pub(crate) fn of_answers(framing: FrameFormat) -> FrameFormat {
    let max_bytes = framing.max_bytes.saturating_add(ANSWER_BYTES_MORE).min(CONTENT_MAX);
    FrameFormat { max_bytes, ..framing }
}

/// What an answer has more than its request, at least: DE 38 and 39, and a few bytes for what an issuer adds.
const ANSWER_BYTES_MORE: u32 = 64;

/// Room for a message said anew: hex text and characters take twice the bytes of binary and digits.
pub(crate) fn room_for(bytes: usize, same_dialect: bool) -> usize {
    if same_dialect { bytes } else { bytes * 2 + 64 }
}

/// Which shard reads and writes an issuer's link.
pub(crate) fn issuer_shard(setup: &Setup, link: IssuerLink) -> ShardId {
    let before: usize = setup.start.issuers.iter().take(link.issuer.index()).map(links_of).sum();
    ShardId(((before + usize::from(link.link)) % usize::from(setup.shards())) as u16)
}

/// The MTI of the answer to an envelope's message.
pub(crate) fn response_digits(envelope: &Envelope) -> Option<[u8; 4]> {
    translate::response_digits(envelope.index.mti_digits()?)
}

/// Whether an MTI belongs to network management.
pub(crate) fn is_network(mti: Mti) -> bool {
    mti.class() == codecs::iso8583::Class::Network
}
