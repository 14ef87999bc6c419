//! The tasks of a shard: its turn, its mailbox, its links, and a look around now and then.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use authorizer::Authorizer;
use authorizer::event::{AcquirerId, AcquirerLink, Event, IssuerLink, LinkChange, ShardId, Unsent};
use authorizer::network::{Action, LinkLife, LinkRules, Role};
use authorizer::shard::Shard;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, timeout};

use crate::acquirer::link::{AcquirerConversation, AcquirerPort};
use crate::alarm::Alarm;
use crate::connect;
use crate::crypto::Crypto;
use crate::door::{Guest, Opened, Permit};
use crate::edge::{Edge, Place, of_answers};
use crate::envelope::Envelope;
use crate::hop::Hop;
use crate::issuer::link::{IssuerConversation, IssuerPort, read_answer};
use crate::journal::Journal;
use crate::life;
use crate::link::{converse, linger};
use crate::live::Live;
use crate::metrics::Snapshot;
use crate::setup::Setup;
use crate::tls::{Stream, Tls};
use crate::wire::{Goodbye, whole};

/// How long a closing link may take to write what waits.
const FLUSH_WAIT: Duration = Duration::from_secs(1);
/// How long requests of other shards are awaited when everything stops.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How long a full queue of another shard is left alone. The runtime's timers have this resolution.
const RETRY_WAIT: Duration = Duration::from_millis(1);
/// Hops taken out of the mailbox before other tasks have their turn.
const HOPS_PER_POLL: usize = 256;

/// Runs a shard on this thread until the switch stops.
pub(crate) fn run(
    shard: ShardId,
    setup: &Arc<Setup>,
    authorizer: Authorizer,
    crypto: Crypto,
    journal: Option<Journal>,
) -> std::io::Result<()> {
    let runtime =
        Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default())?;
    let edge = Edge::new(shard, setup.clone(), crypto);
    runtime.block_on(async {
        // Before another shard's mail: what links it has must not be used for what is not known to be old yet.
        edge.happened(|| Event::Recovered);
        spawn_local(mail(edge.clone()));
        spawn_local(look_around(edge.clone()));
        spawn_local(retry(edge.clone()));
        connect::start(&edge);
        // A task among the others, so that it has its turn after every link that was read: as the runtime's
        // root it would be polled before them.
        let alarm = Alarm::new()?;
        spawn_local(turns(edge, Shard::new(authorizer), journal, alarm)).await.map_err(std::io::Error::other)
    })
}

/// Turns the shard whenever something happened or something falls due. When the switch stops and nothing runs
/// any more, the links are told goodbye, and it turns on until they are gone: another shard may still ask.
async fn turns(edge: Rc<Edge>, mut shard: Shard, journal: Option<Journal>, alarm: Alarm) {
    let durability = journal.as_ref().map(|journal| journal.durability().clone());
    let mut live = Live::new(edge.clone(), journal);
    let mut armed_us = None;
    let mut looked_us = 0;
    let mut goodbye_us = None;
    poll_fn(|context| {
        edge.kick.take(context.waker());
        if let Some(durability) = &durability {
            durability.waker.register(context.waker());
        }
        shard.turn(&mut live);
        edge.publish(shard.authorizer().in_flight());
        let now_us = live.now_us();
        // What has rung, seen or not, is set again; for another deadline only where that is nearer, and most move away.
        armed_us = armed_us.filter(|armed_us| *armed_us > now_us);
        if let Some(due_us) = shard.authorizer().next_deadline_us()
            && armed_us.is_none_or(|armed_us| due_us < armed_us)
        {
            armed_us = Some(due_us);
            alarm.set((due_us + 1).saturating_sub(now_us)).expect("the time of a timer is no mistake");
            if alarm.poll(context).is_ready() {
                context.waker().wake_by_ref();
            }
        }
        if now_us.saturating_sub(looked_us) >= crate::metrics::PERIOD_US {
            looked_us = now_us;
            let snapshot = Snapshot::take(&edge, shard.authorizer(), live.journal_figures());
            // When the door is behind, the next figures include these.
            let _ = edge.setup.snapshots.try_send(Box::new(snapshot));
        }
        // What was decided last is seen before the links are closed.
        let is_idle = shard.authorizer().in_flight() == 0 && !shard.holds_back();
        let is_over = edge.stopping.get() && is_idle && shard.authorizer().late_waiting() == 0;
        if is_over && goodbye_us.is_none() {
            goodbye_us = Some(now_us);
            edge.say_goodbye();
        }
        match goodbye_us.map(|since_us| Duration::from_micros(now_us.saturating_sub(since_us))) {
            Some(since) if since >= FLUSH_WAIT || (since >= edge.last_words() && !edge.has_links()) => {
                Poll::Ready(())
            }
            _ => Poll::Pending,
        }
    })
    .await;
}

/// Takes what other threads hand to this shard.
async fn mail(edge: Rc<Edge>) {
    let setup = edge.setup.clone();
    poll_fn::<(), _>(|context| {
        for _ in 0..HOPS_PER_POLL {
            match setup.mailbox(edge.shard).receive(context) {
                Some(hop) => deliver(&edge, hop),
                None => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn deliver(edge: &Rc<Edge>, hop: Hop) {
    match hop {
        Hop::Acquirer(acquirer, socket, peer, permit) => {
            if let Some(stream) = adopt(edge, socket) {
                spawn_local(serve_acquirer(edge.clone(), acquirer, stream, peer, Some(permit)));
            }
        }
        Hop::Issuer(issuer, socket, peer, permit) => {
            if let Some(stream) = adopt(edge, socket) {
                spawn_local(serve_issuer(edge.clone(), Opened::There(issuer, permit), stream, peer));
            }
        }
        Hop::Request(envelope) => edge.arrived(envelope, Event::Request),
        Hop::Handed(envelope) => edge.arrived(envelope, Event::Handed),
        Hop::Recalled(sought, known) => edge.index_answered(sought, known),
        Hop::Answered(link, envelope) => answered(edge, link, envelope),
        Hop::Forward(leg, frame) => match edge.issuer_port(leg.to) {
            Some(port) => {
                let Ok(()) = port.send_leg(edge, leg, whole(&frame));
            }
            None => edge.unsent(leg, Unsent::LinkLost),
        },
        Hop::Reply(link, frame) => {
            if let Some(port) = edge.acquirer_port(link) {
                let Ok(()) = port.send(edge, whole(&frame));
            }
        }
        Hop::Deliver(leg, frame) => edge.append_delivery(leg, &frame),
        Hop::Finished(link) => edge.finished(link),
        Hop::Worker(place, number, stream) => match stream.try_clone() {
            Ok(heard) => {
                edge.token_seat(place, number, stream);
                spawn_local(crate::token::listen(edge.clone(), place, number, heard));
            }
            Err(error) => tracing::error!(%error, place, "a token worker cannot be heard"),
        },
        Hop::Use(link, on) => {
            if let Some(port) = edge.issuer_port(link) {
                life::use_issuer(edge, &port, on);
            }
        }
        Hop::Enrol(enrolment) => edge.enrol(*enrolment),
        Hop::Rules(rules, tables) => edge.swap_rules(rules, tables),
        Hop::Event(event) => {
            if matches!(*event, Event::Stop) {
                edge.stopping.set(true);
            }
            edge.happened(|| *event);
        }
    }
}

fn answered(edge: &Rc<Edge>, link: IssuerLink, envelope: Box<Envelope>) {
    let answer = envelope.index.mti().and_then(|mti| read_answer(edge, &envelope, mti, link));
    let Some(answer) = answer else {
        return edge.envelopes.borrow_mut().recycle(envelope);
    };
    let ticket = edge.envelopes.borrow_mut().keep(envelope);
    edge.happened(|| Event::Answered(authorizer::Answer { ticket, ..answer }));
}

fn adopt(edge: &Edge, socket: std::net::TcpStream) -> Option<TcpStream> {
    let stream =
        connect::tuned(socket, edge.rules().config.timers.user_timeout).and_then(TcpStream::from_std);
    stream.inspect_err(|error| tracing::warn!(%error, "connection lost before it was served")).ok()
}

/// Which side opened a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Accepted,
    Connected,
}

/// Makes the connection a TLS one where the peer has certificates, within its time.
async fn secured(edge: &Edge, tls: Option<&Tls>, stream: TcpStream, way: Way) -> Result<Stream, Goodbye> {
    let Some(tls) = tls else { return Ok(Stream::Plain(stream)) };
    let shaking = async {
        match way {
            Way::Accepted => tls.accept(stream).await,
            Way::Connected => tls.connect(stream).await,
        }
    };
    match timeout(edge.rules().config.timers.tls_handshake, shaking).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => {
            tracing::warn!(%error, "handshake refused");
            Err(Goodbye::NotTrusted)
        }
        Err(_) => Err(Goodbye::NotTrusted),
    }
}

/// Serves one connection of an acquirer from its first byte to its last.
pub(crate) async fn serve_acquirer(
    edge: Rc<Edge>,
    acquirer: AcquirerId,
    stream: TcpStream,
    peer: SocketAddr,
    mut permit: Option<Permit>,
) {
    let (setup, rules) = (edge.setup.clone(), edge.rules());
    let settings = rules.acquirer(acquirer);
    let way = if permit.is_some() { Way::Accepted } else { Way::Connected };
    let handshaking = permit.as_mut().and_then(Permit::take_handshake);
    let secured = secured(&edge, rules.acquirer_tls[acquirer.index()].as_ref(), stream, way).await;
    drop(handshaking);
    let mut stream = match secured {
        Ok(stream) => stream,
        Err(why) => return log_end(&edge, "acquirer", &settings.name, peer, why),
    };
    if permit.as_mut().is_some_and(|permit| !permit.take_place(&setup, Guest::Acquirer(acquirer))) {
        return tracing::debug!(acquirer = %settings.name, %peer, "all its places are taken");
    }
    let timers = &rules.config.timers;
    let link_rules = LinkRules {
        role: Role::TowardsAcquirer,
        sign_on: settings.sign_on,
        sign_on_us: timers.sign_on.as_micros() as u64,
        echo_every_us: None,
        echo_wait_us: timers.echo_wait.as_micros() as u64,
    };
    let (life, action) = LinkLife::connected(link_rules, setup.now_us());
    let port = edge.add_acquirer(acquirer, life);
    tracing::info!(acquirer = %settings.name, %peer, "acquirer connected");
    edge.happened_everywhere(Event::AcquirerLink(port.link, acquirer, LinkChange::Up));
    if action != Action::Up {
        tracing::debug!(acquirer = %settings.name, "waiting for sign-on");
    }

    let mut conversation = AcquirerConversation { edge: edge.clone(), port: port.clone() };
    let why = converse(&mut stream, settings.framing, &port.wire, &edge.read_buffer, &mut conversation).await;
    if answers_first(why) {
        // Still live for its own answers, but no more for those of other links.
        edge.happened_everywhere(Event::AcquirerLink(port.link, acquirer, LinkChange::SignedOff));
        // What was sound before is answered first; a peer that only stopped sending may still read.
        let is_idle = || port.is_idle();
        let _ = timeout(settings.patience, linger(&mut stream, &port.wire, is_idle)).await;
    }
    edge.remove_acquirer(port.link);
    edge.happened_everywhere(Event::AcquirerLink(port.link, acquirer, LinkChange::Lost));
    log_end(&edge, "acquirer", &settings.name, peer, why);
    drop(permit);
}

/// Whether the requests of a link that ends like this are still answered over it.
fn answers_first(why: Goodbye) -> bool {
    match why {
        Goodbye::BadFrame | Goodbye::TooManyGlitches | Goodbye::FrameTimedOut | Goodbye::Stopping => true,
        Goodbye::PeerClosed
        | Goodbye::Broken
        | Goodbye::SlowReader
        | Goodbye::NotTrusted
        | Goodbye::Network(_)
        | Goodbye::Fault => false,
    }
}

/// Serves one link to an issuer from its first byte to its last.
pub(crate) async fn serve_issuer(edge: Rc<Edge>, mut opened: Opened, stream: TcpStream, peer: SocketAddr) {
    let (setup, rules) = (edge.setup.clone(), edge.rules());
    let (issuer, permit) = opened.peer();
    let way = if permit.is_some() { Way::Accepted } else { Way::Connected };
    let settings = rules.issuer(issuer);
    let handshaking = permit.and_then(Permit::take_handshake);
    let secured = secured(&edge, rules.issuer_tls[issuer.index()].as_ref(), stream, way).await;
    drop(handshaking);
    let mut stream = match secured {
        Ok(stream) => stream,
        Err(why) => return log_end(&edge, "issuer", &settings.name, peer, why),
    };
    let Some(link) = opened.link(&setup) else {
        return tracing::debug!(issuer = %settings.name, %peer, "all its places are taken");
    };
    let timers = &rules.config.timers;
    let link_rules = LinkRules {
        role: Role::TowardsIssuer,
        sign_on: settings.sign_on,
        sign_on_us: timers.sign_on.as_micros() as u64,
        echo_every_us: settings.echo.then_some(timers.echo_every.as_micros() as u64),
        echo_wait_us: timers.echo_wait.as_micros() as u64,
    };
    let (life, action) = LinkLife::connected(link_rules, setup.now_us());
    let mac = setup.issuer_mac(link.issuer);
    let port = Rc::new(IssuerPort::new(link, life, rules.config.limits.output_bytes_max, mac));
    edge.set_issuer(link, Some(port.clone()));
    setup.links.insert((link.issuer, link.link), "connected");
    tracing::info!(issuer = %settings.name, link = link.link, %peer, "issuer connected");
    life::issuer_acts(&edge, &port, action);

    let mut conversation = IssuerConversation { edge: edge.clone(), port: port.clone() };
    let framing = of_answers(settings.framing);
    let why = converse(&mut stream, framing, &port.wire, &edge.read_buffer, &mut conversation).await;
    if why == Goodbye::Stopping {
        let _ = timeout(FLUSH_WAIT, linger(&mut stream, &port.wire, || port.is_idle())).await;
    }
    end_issuer(&edge, &port);
    log_end(&edge, "issuer", &settings.name, peer, why);
    drop(opened);
}

/// Tells every shard that a link is gone, and the owners of legs that were never begun that they may ask
/// elsewhere: in this order, so that they do not choose the dying link again.
fn end_issuer(edge: &Edge, port: &IssuerPort) {
    edge.set_issuer(port.link, None);
    edge.setup.links.insert((port.link.issuer, port.link.link), "down");
    edge.happened_everywhere(Event::IssuerLink(port.link, LinkChange::SignedOff));
    for leg in port.take_unsent() {
        edge.unsent(leg, Unsent::LinkLost);
    }
    edge.happened_everywhere(Event::IssuerLink(port.link, LinkChange::Lost));
}

fn log_end(edge: &Edge, side: &'static str, name: &str, peer: SocketAddr, why: Goodbye) {
    edge.tally.borrow_mut().ended(why);
    tracing::info!(side, %name, %peer, why = why.name(), "link ended");
}

/// Looks at every link now and then: unfinished frames, sign-ons, echo tests, pauses that are over.
async fn look_around(edge: Rc<Edge>) {
    let timers = &edge.setup.start.timers;
    let shortest = [timers.frame, timers.sign_on, timers.echo_every, timers.echo_wait].into_iter().min();
    let period =
        (shortest.unwrap_or_default() / 8).clamp(Duration::from_millis(5), Duration::from_millis(100));
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        let now_us = edge.setup.now_us();
        let frame_us = edge.rules().config.timers.frame.as_micros() as u64;
        edge.setup.gauges[usize::from(edge.shard.0)].seen_us.store(now_us, Ordering::Relaxed);
        for port in edge.acquirer_ports() {
            if is_overdue(port.wire.frame_since_us.get(), now_us, frame_us) {
                port.wire.close(Goodbye::FrameTimedOut);
            }
            let action = port.life.borrow_mut().tick(now_us);
            life::acquirer_acts(&edge, &port, action);
            if port.throttled_until_us.get() != 0 && port.throttled_until_us.get() <= now_us {
                port.throttled_until_us.set(0);
                port.wire.wake();
            }
        }
        for port in edge.issuer_ports() {
            if is_overdue(port.wire.frame_since_us.get(), now_us, frame_us) {
                port.wire.close(Goodbye::FrameTimedOut);
            }
            let action = port.life.borrow_mut().tick(now_us);
            life::issuer_acts(&edge, &port, action);
        }
        // Tracks and codes that were read, and are nowhere else any more.
        crate::process::wipe_stack();
        // A turn at least this often keeps the published figures fresh.
        edge.kick.set();
    }
}

/// Sends again what found another shard's queue full; then lets the links read again.
async fn retry(edge: Rc<Edge>) {
    loop {
        edge.overflow.blocked().await;
        while edge.overflow.drain(&edge.setup.mailboxes) {
            tokio::time::sleep(RETRY_WAIT).await;
        }
        for port in edge.acquirer_ports() {
            port.wire.wake();
        }
        for port in edge.issuer_ports() {
            port.wire.wake();
        }
    }
}

fn is_overdue(since_us: Option<u64>, now_us: u64, limit_us: u64) -> bool {
    since_us.is_some_and(|since_us| now_us.saturating_sub(since_us) > limit_us)
}

impl Edge {
    /// Gives a new connection of an acquirer a place.
    fn add_acquirer(&self, acquirer: AcquirerId, life: LinkLife) -> Rc<AcquirerPort> {
        let rules = self.rules();
        let settings = rules.acquirer(acquirer);
        let mut places = self.acquirers.borrow_mut();
        let slot = places.iter().position(|place| place.port.is_none()).unwrap_or_else(|| {
            places.push(Place::default());
            places.len() - 1
        });
        let place = &mut places[slot];
        place.generation = place.generation.wrapping_add(1);
        let link = AcquirerLink { shard: self.shard, slot: slot as u16, generation: place.generation };
        let bytes_max = rules.config.limits.output_bytes_max;
        let mac = self.setup.acquirer_mac(acquirer);
        let port = Rc::new(AcquirerPort::new(acquirer, link, life, settings.window, bytes_max, mac));
        place.port = Some(port.clone());
        port
    }

    fn remove_acquirer(&self, link: AcquirerLink) {
        if let Some(place) = self.acquirers.borrow_mut().get_mut(usize::from(link.slot)) {
            place.port = None;
        }
    }

    fn set_issuer(&self, link: IssuerLink, port: Option<Rc<IssuerPort>>) {
        if let Some(place) = self
            .issuers
            .borrow_mut()
            .get_mut(link.issuer.index())
            .and_then(|links| links.get_mut(usize::from(link.link)))
        {
            *place = port;
        }
    }

    fn acquirer_ports(&self) -> Vec<Rc<AcquirerPort>> {
        self.acquirers.borrow().iter().filter_map(|place| place.port.clone()).collect()
    }

    fn issuer_ports(&self) -> Vec<Rc<IssuerPort>> {
        self.issuers.borrow().iter().flatten().flatten().cloned().collect()
    }

    /// How long other shards may still have a request for this one after its own links were told goodbye.
    fn last_words(&self) -> Duration {
        if self.setup.shards() == 1 { Duration::ZERO } else { LAST_WORDS }
    }

    /// Signs off where we signed on, and closes every link once it has written what waits.
    fn say_goodbye(&self) {
        for port in self.issuer_ports() {
            if self.rules().issuer(port.link.issuer).sign_on {
                port.ask(self, codecs::value::NetworkFunction::SignOff);
            }
            port.wire.close(Goodbye::Stopping);
        }
        for port in self.acquirer_ports() {
            port.wire.close(Goodbye::Stopping);
        }
    }

    fn has_links(&self) -> bool {
        !(self.acquirer_ports().is_empty() && self.issuer_ports().is_empty())
    }
}
