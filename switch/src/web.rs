//! What the two listeners of operators, admin and console, have in common: how many may be connected, how long a request
//! may take to arrive and an answer to be read, and under which names they answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// Connections at a time; others wait until one ends.
const CONNECTIONS_MAX: usize = 128;
/// How long the head of a request may take, and how long a connection may wait for the next one.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// How long its body may take.
const BODY_WAIT: Duration = Duration::from_secs(10);
/// The longest body.
const BODY_BYTES_MAX: usize = 4_096;
/// How long what was answered may stay unread; then the connection ends.
const UNREAD_MAX: Duration = Duration::from_secs(10);
/// After a connection that could not be taken, such as for want of a descriptor.
const ACCEPT_WAIT: Duration = Duration::from_secs(1);

/// Serves pages until the task is dropped.
pub(crate) async fn serve(name: &'static str, listener: TcpListener, pages: Router) {
    let pages = pages.layer(middleware::from_fn(whole));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        if places.available_permits() == 0 {
            tracing::warn!(name, max = CONNECTIONS_MAX, "a listener of operators is full: others wait");
        }
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => drop(tokio::spawn(converse(stream, peer, pages.clone(), place))),
            Err(error) => {
                tracing::warn!(name, %error, "a connection of an operator could not be taken");
                sleep(ACCEPT_WAIT).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, peer: SocketAddr, pages: Router, place: OwnedSemaphorePermit) {
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD_MAX));
    let pages = TowerToHyperService::new(pages.layer(Extension(ConnectInfo(peer))));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .serve_connection(TokioIo::new(stream), pages)
        .await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection of an operator ended");
    }
    drop(place);
}

/// Lets a page begin when the whole body is there: nobody holds one open with half of it.
async fn whole(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match timeout(BODY_WAIT, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => next.run(Request::from_parts(head, Body::from(body))).await,
        Ok(Err(_)) => (StatusCode::PAYLOAD_TOO_LARGE, "too long a body\n").into_response(),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the body did not come in time\n").into_response(),
    }
}

/// Whether a request is for a name of this machine. A page from elsewhere can have a browser ask a name of its own that
/// leads here, and would be shown the answer.
pub(crate) fn is_for_us(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    // Of two nobody knows which the browser meant.
    let only = hosts.next().filter(|_| hosts.next().is_none());
    only.and_then(|host| host.to_str().ok()).is_some_and(is_loopback)
}

/// Whether a host name with an optional port leads to this machine.
fn is_loopback(host: &str) -> bool {
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = port.map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_named_and_no_other() {
        let named = |hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, host.parse().expect("a name"));
            }
            is_for_us(&headers)
        };
        assert!(named(&["localhost"]));
        assert!(!named(&[]) && !named(&["evil.example"]) && !named(&["localhost", "evil.example"]));
    }

    #[test]
    fn only_loopback_names_are_ours() {
        for host in ["localhost", "localhost:9465", "127.0.0.1:9465", "127.1.2.3", "[::1]:9465"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "evil.example", "evil.example:9465", "10.0.0.1:9465", "localhost.evil.example", "[::2]:1"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
