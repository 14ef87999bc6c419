//! The door: accepts connections within bounds and hands each to the shard with the fewest.
//!
//! One thread for all listeners, apart from the shards, so that a storm of connections costs established
//! links nothing but the handshakes that are let through.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use authorizer::event::{AcquirerId, IssuerId, IssuerLink, ShardId};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::Way;
use crate::edge::issuer_shard;
use crate::hop::Hop;
use crate::registry::Registry;
use crate::setup::{Setup, links_of};

/// Connections the kernel completes before the door takes them.
const BACKLOG: u32 = 1_024;
/// How long the door waits when the process has no descriptor left.
const NO_DESCRIPTOR_WAIT: Duration = Duration::from_millis(50);
/// Why a connection can be refused, in the order of [`DoorCounts::refused`]; the last is counted elsewhere.
pub(crate) const REFUSALS: [&str; 6] = ["total", "address", "peer", "no_descriptor", "busy", "not_trusted"];

/// Who may knock at a listener.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Guest {
    Acquirer(AcquirerId),
    Issuer(IssuerId),
}

/// How many are inside.
pub(crate) struct DoorCounts {
    connections: AtomicU32,
    by_address: Registry<IpAddr, u32>,
    /// By acquirer.
    acquirers: Vec<AtomicU32>,
    /// By issuer, then by place.
    issuers: Vec<Vec<AtomicBool>>,
    handshakes: Arc<Semaphore>,
    /// Connections handed to each shard.
    by_shard: Vec<AtomicU32>,
    /// By [`REFUSALS`].
    pub(crate) refused: [AtomicU64; REFUSALS.len() - 1],
    /// Connections ever let in, by acquirer, then by issuer.
    pub(crate) accepted: Vec<AtomicU64>,
}

/// The right to be connected. Gives its place back when it is dropped.
pub(crate) struct Permit {
    counts: Arc<DoorCounts>,
    address: IpAddr,
    /// One of its peer's places. Not before it has shown who it is: a stranger must not keep the peer out.
    place: Option<Occupied>,
    shard: ShardId,
    handshake: Option<OwnedSemaphorePermit>,
}

#[derive(Clone, Copy)]
enum Occupied {
    Acquirer(AcquirerId),
    Issuer(IssuerLink),
}

impl DoorCounts {
    /// Nobody is inside.
    pub(crate) fn new(setup: &Setup) -> Arc<Self> {
        let config = &setup.start;
        let places = |issuer| (0..links_of(issuer)).map(|_| AtomicBool::new(false)).collect();
        Arc::new(Self {
            connections: AtomicU32::new(0),
            by_address: Registry::new(),
            acquirers: config.acquirers.iter().map(|_| AtomicU32::new(0)).collect(),
            issuers: config.issuers.iter().map(places).collect(),
            handshakes: Arc::new(Semaphore::new(config.limits.handshakes_max as usize)),
            by_shard: (0..setup.shards()).map(|_| AtomicU32::new(0)).collect(),
            refused: Default::default(),
            accepted: (0..config.acquirers.len() + config.issuers.len()).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    fn admit(self: &Arc<Self>, setup: &Setup, guest: Guest, address: IpAddr) -> Result<Permit, usize> {
        let rules = setup.rules();
        let limits = &rules.config.limits;
        take_one(&self.connections, limits.connections_max).ok_or(0_usize)?;
        let mut here = self.by_address.entry(address).or_insert(0);
        if *here >= limits.connections_per_address_max {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(1);
        }
        *here += 1;
        drop(here);
        let shard = match guest {
            Guest::Acquirer(_) => Some(self.emptiest()),
            Guest::Issuer(id) => {
                self.free_links(setup, id).map(|(_, shard)| shard).min_by_key(|shard| self.on(*shard))
            }
        };
        let Some(shard) = shard else {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            self.leave(address);
            return Err(2);
        };
        self.by_shard[usize::from(shard.0)].fetch_add(1, Ordering::Relaxed);
        Ok(Permit { counts: self.clone(), address, place: None, shard, handshake: None })
    }

    /// The links that an issuer may still open, and the shards they are for.
    fn free_links(&self, setup: &Setup, id: IssuerId) -> impl Iterator<Item = (IssuerLink, ShardId)> {
        let links = (0..).map(move |link| IssuerLink { issuer: id, link });
        let free = links.zip(&self.issuers[id.index()]).filter(|(_, place)| !place.load(Ordering::Relaxed));
        free.map(|(link, _)| (link, issuer_shard(setup, link)))
    }

    fn take_link(&self, setup: &Setup, id: IssuerId, shard: ShardId) -> Option<IssuerLink> {
        let mut free = self.free_links(setup, id).filter(|(_, on)| *on == shard).map(|(link, _)| link);
        let is_taken = |link: &IssuerLink| {
            !self.issuers[id.index()][usize::from(link.link)].swap(true, Ordering::Relaxed)
        };
        free.find(is_taken)
    }

    /// Connections of an acquirer that are inside.
    pub(crate) fn of_acquirer(&self, id: AcquirerId) -> u32 {
        self.acquirers[id.index()].load(Ordering::Relaxed)
    }

    /// The shard with the fewest connections. The kernel's own spreading is uneven where links are few and
    /// live long.
    fn emptiest(&self) -> ShardId {
        let shards = (0..self.by_shard.len() as u16).map(ShardId);
        shards.min_by_key(|shard| self.on(*shard)).unwrap_or(ShardId(0))
    }

    fn on(&self, shard: ShardId) -> u32 {
        self.by_shard[usize::from(shard.0)].load(Ordering::Relaxed)
    }

    fn leave(&self, address: IpAddr) {
        self.by_address.remove_if_mut(&address, |_, here| {
            *here = here.saturating_sub(1);
            *here == 0
        });
    }

    fn refuse(&self, why: usize) {
        self.refused[why].fetch_add(1, Ordering::Relaxed);
    }
}

fn take_one(counter: &AtomicU32, max: u32) -> Option<()> {
    let more = |count: u32| (count < max).then_some(count + 1);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| ())
}

impl Permit {
    /// The right to be in a handshake, to be dropped when it is over.
    pub(crate) fn take_handshake(&mut self) -> Option<OwnedSemaphorePermit> {
        self.handshake.take()
    }

    /// Takes a place of its peer, which whoever came has shown to be. False where there is none left: that is counted.
    pub(crate) fn take_place(&mut self, setup: &Setup, guest: Guest) -> bool {
        if self.place.is_some() {
            return true;
        }
        let counts = &self.counts;
        let (place, peer) = match guest {
            Guest::Acquirer(id) => {
                let max = setup.rules().acquirer(id).connections_max;
                (take_one(&counts.acquirers[id.index()], max).map(|()| Occupied::Acquirer(id)), id.index())
            }
            Guest::Issuer(id) => {
                let place = counts.take_link(setup, id, self.shard).map(Occupied::Issuer);
                (place, counts.acquirers.len() + id.index())
            }
        };
        match place {
            Some(_) => drop(counts.accepted[peer].fetch_add(1, Ordering::Relaxed)),
            None => counts.refuse(2),
        }
        self.place = place;
        place.is_some()
    }

    /// The link that it has the place of.
    pub(crate) fn link(&self) -> Option<IssuerLink> {
        match self.place? {
            Occupied::Issuer(link) => Some(link),
            Occupied::Acquirer(_) => None,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.counts.connections.fetch_sub(1, Ordering::Relaxed);
        self.counts.by_shard[usize::from(self.shard.0)].fetch_sub(1, Ordering::Relaxed);
        self.counts.leave(self.address);
        match self.place {
            Some(Occupied::Acquirer(id)) => {
                self.counts.acquirers[id.index()].fetch_sub(1, Ordering::Relaxed);
            }
            Some(Occupied::Issuer(link)) => {
                self.counts.issuers[link.issuer.index()][usize::from(link.link)]
                    .store(false, Ordering::Relaxed);
            }
            None => {}
        }
    }
}

/// On which side a connection with an issuer was opened. What the issuer opened becomes a link when it has shown who it
/// is.
pub(crate) enum Opened {
    Here(IssuerLink),
    There(IssuerId, Permit),
}

impl Opened {
    /// Which issuer, and the permit of what it opened.
    pub(crate) fn peer(&mut self) -> (IssuerId, Option<&mut Permit>) {
        match self {
            Self::Here(link) => (link.issuer, None),
            Self::There(issuer, permit) => (*issuer, Some(permit)),
        }
    }

    /// Which link it is, unless the issuer has all that it may have.
    pub(crate) fn link(&mut self, setup: &Setup) -> Option<IssuerLink> {
        match self {
            Self::Here(link) => Some(*link),
            Self::There(issuer, permit) => {
                permit.take_place(setup, Guest::Issuer(*issuer)).then(|| permit.link()).flatten()
            }
        }
    }
}

/// A bound listener, not yet accepting.
pub(crate) struct Door {
    listener: TcpListener,
    guest: Guest,
}

/// Binds every configured listener that was not passed to us. Must be called inside a runtime.
///
/// # Errors
/// The address that cannot be bound, and why.
pub(crate) fn bind(
    setup: &Setup,
    mut passed: HashMap<SocketAddr, std::net::TcpListener>,
) -> Result<Vec<Door>, String> {
    let config = &setup.start;
    let acquirers =
        (0..).map(AcquirerId).zip(&config.acquirers).map(|(id, peer)| (Guest::Acquirer(id), &peer.door));
    let issuers = (0..).map(IssuerId).zip(&config.issuers).map(|(id, peer)| (Guest::Issuer(id), &peer.door));
    let mut doors = Vec::new();
    for (guest, door) in acquirers.chain(issuers) {
        if let Way::Listen(address) = &door.way {
            let listener = match passed.remove(address) {
                Some(listener) => adopted(listener),
                None => listen(*address),
            };
            let listener = listener.map_err(|error| format!("cannot listen on {address}: {error}"))?;
            doors.push(Door { listener, guest });
        }
    }
    for address in passed.keys() {
        tracing::warn!(%address, "the service manager passed a listener that no peer has: it is closed");
    }
    Ok(doors)
}

/// A listener that the service manager bound for us: connections wait in it while the switch starts anew.
fn adopted(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until the task is dropped.
pub(crate) async fn accept(setup: Arc<Setup>, counts: Arc<DoorCounts>, door: Door) {
    let mut reserve = File::open("/dev/null").ok();
    let mut next = Instant::now();
    loop {
        sleep_until(next).await;
        match door.listener.accept().await {
            Ok((stream, peer)) => {
                let pace = Duration::from_secs(1) / setup.rules().config.limits.accepts_per_second.max(1);
                next = next.max(Instant::now() - pace * 16) + pace;
                admit(&setup, &counts, door.guest, stream, peer).await;
            }
            Err(error) if is_out_of_descriptors(&error) => {
                counts.refuse(3);
                // With the reserve the waiting connection is taken and closed, so the peer knows, and the
                // listener does not report it again and again.
                drop(reserve.take());
                if let Ok(Ok((stream, _))) =
                    tokio::time::timeout(NO_DESCRIPTOR_WAIT, door.listener.accept()).await
                {
                    drop(stream);
                }
                reserve = File::open("/dev/null").ok();
                sleep(NO_DESCRIPTOR_WAIT).await;
            }
            Err(error) => tracing::debug!(%error, "a connection was gone before it was accepted"),
        }
    }
}

async fn admit(
    setup: &Arc<Setup>,
    counts: &Arc<DoorCounts>,
    guest: Guest,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let mut permit = match counts.admit(setup, guest, peer.ip()) {
        Ok(permit) => permit,
        Err(why) => {
            counts.refuse(why);
            return tracing::debug!(%peer, limit = REFUSALS[why], "connection refused");
        }
    };
    if is_secured(setup, guest) {
        // Waiting here leaves the rest of a storm in the kernel's queue.
        permit.handshake = counts.handshakes.clone().acquire_owned().await.ok();
    } else if !permit.take_place(setup, guest) {
        return tracing::debug!(%peer, limit = REFUSALS[2], "connection refused");
    }
    let Ok(socket) = stream.into_std() else { return };
    let shard = permit.shard;
    let hop = match guest {
        Guest::Acquirer(id) => Hop::Acquirer(id, socket, peer, permit),
        Guest::Issuer(id) => Hop::Issuer(id, socket, peer, permit),
    };
    if setup.mailbox(shard).send(hop).is_err() {
        counts.refuse(4);
    }
}

fn is_secured(setup: &Setup, guest: Guest) -> bool {
    match guest {
        Guest::Acquirer(id) => setup.start.acquirers[id.index()].door.tls.is_some(),
        Guest::Issuer(id) => setup.start.issuers[id.index()].door.tls.is_some(),
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}
