//! Links that we open: connect, serve, wait a little longer after every failure, connect again.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use authorizer::event::{AcquirerId, IssuerId, IssuerLink};
use backon::{BackoffBuilder, ExponentialBuilder};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout};

use crate::config::Way;
use crate::door::Opened;
use crate::edge::Edge;
use crate::serve::{serve_acquirer, serve_issuer};

/// How long a connect may take.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// A link that lived this long was a good one: the next attempt starts from the shortest wait again.
const GOOD_LIFE: Duration = Duration::from_secs(5);

/// Starts a task for every link of this shard that we open. To be called in its runtime.
pub(crate) fn start(edge: &Rc<Edge>) {
    let config = &edge.setup.start;
    for (number, issuer) in (0_u16..).zip(&config.issuers) {
        let Way::Connect(addresses) = &issuer.door.way else { continue };
        for (link, address) in (0_u16..).zip(addresses.iter().cycle().take(crate::setup::links_of(issuer))) {
            let link = IssuerLink { issuer: IssuerId(number), link };
            if edge.issuer_shard(link) == edge.shard {
                spawn_local(keep_issuer(edge.clone(), link, address.clone()));
            }
        }
    }
    for (number, acquirer) in (0_u16..).zip(&config.acquirers) {
        let Way::Connect(addresses) = &acquirer.door.way else { continue };
        for (place, address) in addresses.iter().enumerate() {
            let shards = usize::from(edge.setup.shards());
            if (usize::from(number) + place) % shards == usize::from(edge.shard.0) {
                spawn_local(keep_acquirer(edge.clone(), AcquirerId(number), address.clone()));
            }
        }
    }
}

async fn keep_issuer(edge: Rc<Edge>, link: IssuerLink, address: String) {
    let name = edge.setup.start.issuers[link.issuer.index()].name.clone();
    keep(&edge, &name, &address, async |stream, peer| {
        serve_issuer(edge.clone(), Opened::Here(link), stream, peer).await;
    })
    .await;
}

async fn keep_acquirer(edge: Rc<Edge>, acquirer: AcquirerId, address: String) {
    let name = edge.setup.start.acquirers[acquirer.index()].name.clone();
    keep(&edge, &name, &address, async |stream, peer| {
        serve_acquirer(edge.clone(), acquirer, stream, peer, None).await;
    })
    .await;
}

/// Connects and serves, again and again, until the switch stops.
async fn keep(edge: &Edge, name: &str, address: &str, serve: impl AsyncFn(TcpStream, SocketAddr)) {
    let waits = || {
        let timers = &edge.rules().config.timers;
        ExponentialBuilder::default()
            .with_min_delay(timers.reconnect_min)
            .with_max_delay(timers.reconnect_max)
            .without_max_times()
            .with_jitter()
            .build()
    };
    let mut wait = waits();
    let mut told = false;
    while !edge.setup.is_draining() {
        match connected(edge, address).await {
            Ok((stream, peer)) => {
                told = false;
                let since = Instant::now();
                serve(stream, peer).await;
                if since.elapsed() >= GOOD_LIFE {
                    wait = waits();
                }
            }
            Err(error) => {
                if !told {
                    tracing::warn!(%name, %address, %error, "cannot connect; will keep trying");
                    told = true;
                }
            }
        }
        sleep(wait.next().unwrap_or_else(|| edge.rules().config.timers.reconnect_max)).await;
    }
}

async fn connected(edge: &Edge, address: &str) -> io::Result<(TcpStream, SocketAddr)> {
    let stream = timeout(CONNECT_WAIT, TcpStream::connect(address)).await??;
    let stream = tuned(stream.into_std()?, edge.rules().config.timers.user_timeout)?;
    let stream = TcpStream::from_std(stream)?;
    let peer = stream.peer_addr()?;
    Ok((stream, peer))
}

/// A socket as every link wants it: no delay, no blocking, and a dead peer noticed both when it owes us an
/// acknowledgement and when it owes us nothing.
pub(crate) fn tuned(socket: std::net::TcpStream, user_timeout: Duration) -> io::Result<std::net::TcpStream> {
    socket.set_nonblocking(true)?;
    let options = SockRef::from(&socket);
    options.set_tcp_nodelay(true)?;
    options.set_tcp_user_timeout(Some(user_timeout))?;
    let idle = user_timeout.max(Duration::from_secs(2)) / 2;
    options.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(idle).with_interval(idle.max(Duration::from_secs(1))).with_retries(3),
    )?;
    Ok(socket)
}
