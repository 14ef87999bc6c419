//! What the service manager (systemd) is told, where there is one: ready, reloading, stopping, one line of status, and
//! a sign of life only while every shard turns. Without one nothing of this does anything.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// Payments are taken.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Another configuration is being read; [`ready`] ends it.
pub(crate) fn reloading() {
    let since = NotifyState::monotonic_usec_now().ok();
    tell(&[Some(NotifyState::Reloading), since].into_iter().flatten().collect::<Vec<_>>());
}

/// No new requests are taken.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How it stands, in one line.
pub(crate) fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// Every shard turns.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often the manager wants a sign of life: half of the time after which it takes the switch for dead.
pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|timeout| timeout / 2)
}

/// What the manager says to this process alone.
pub(crate) const VARIABLES: [&str; 6] =
    ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// Listeners that the manager has bound for us, by their addresses. None of them goes on into a process that is
/// started later.
pub(crate) fn sockets() -> HashMap<SocketAddr, TcpListener> {
    // Marks all of them as not to be passed on, whatever they are.
    let _ = sd_notify::listen_fds();
    let mut passed = ListenFd::from_env();
    let taken = (0..passed.len()).filter_map(|place| passed.take_tcp_listener(place).ok().flatten());
    taken.filter_map(|listener| Some((listener.local_addr().ok()?, listener))).collect()
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
