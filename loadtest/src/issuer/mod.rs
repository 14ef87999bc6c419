//! The model issuer: answers what a switch or an acquirer asks, as slowly and as badly as it is told to.
//!
//! In reading order: [`Issuer::start`]; `link` accepts and reads; `desk` answers, at once or when the
//! `alarm` says; `decide` chooses the code; [`behaviour`] is what the command line can set.
//!
//! What is absent: accounts. Card and amount alone decide, so two issuers with one seed say the same.

mod alarm;
pub mod behaviour;
mod decide;
mod desk;
mod link;
mod summary;

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use codecs::frame::FrameFormat;
use codecs::iso8583::Dialect;
use tokio::task::LocalSet;

use behaviour::{Declines, Faults, Latency, Stalls};
use desk::Desk;
pub use summary::Summary;

/// What a model issuer is told.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// Its name, for the summary.
    pub name: String,
    /// Addresses it listens on; port 0 takes any free one.
    pub listen: Vec<String>,
    /// Addresses it connects to.
    pub connect: Vec<String>,
    /// The dialect spoken.
    pub dialect: &'static Dialect,
    /// The framing spoken.
    pub framing: FrameFormat,
    /// How long an answer takes.
    pub latency: Latency,
    /// What is declined.
    pub declines: Declines,
    /// What goes wrong.
    pub faults: Faults,
    /// When it stands still.
    pub stalls: Option<Stalls>,
    /// When it is gone: no link is up, and none is taken.
    pub outages: Option<Stalls>,
    /// What is drawn is drawn from this.
    pub seed: u64,
    /// It ends by itself after this long.
    pub length: Option<Duration>,
}

/// A running model issuer.
#[derive(Debug)]
pub struct Issuer {
    addresses: Vec<SocketAddr>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Summary>>,
}

/// Between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(20);

impl Issuer {
    /// Opens the listeners and starts the issuer on a thread of its own.
    pub fn start(config: IssuerConfig) -> io::Result<Issuer> {
        let mut listeners = Vec::new();
        for address in &config.listen {
            let listener = TcpListener::bind(address)
                .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
            listener.set_nonblocking(true)?;
            listeners.push(listener);
        }
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name(format!("issuer {}", config.name))
            .spawn(move || work(config, listeners, &theirs))?;
        Ok(Issuer { addresses, stop, thread })
    }

    /// Where it listens, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Setting this to true ends it.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Whether it has ended by itself.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until it ends by itself or by its flag.
    pub fn wait(self) -> io::Result<Summary> {
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the issuer's thread panicked")))
    }

    /// Ends it.
    pub fn stop(self) -> io::Result<Summary> {
        self.stop.store(true, Ordering::Relaxed);
        self.wait()
    }
}

fn work(config: IssuerConfig, listeners: Vec<TcpListener>, stop: &AtomicBool) -> io::Result<Summary> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let desk = Rc::new(RefCell::new(Desk::new(&config)?));
        for listener in listeners {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::task::spawn_local(link::listen(Rc::clone(&desk), listener));
        }
        for address in &config.connect {
            tokio::task::spawn_local(link::connect(Rc::clone(&desk), address.clone()));
        }
        tokio::task::spawn_local(link::release(Rc::clone(&desk)));
        let started = Instant::now();
        while !stop.load(Ordering::Relaxed) && config.length.is_none_or(|length| started.elapsed() < length) {
            tokio::time::sleep(LOOK).await;
        }
        let summary = desk.borrow().summary.clone();
        Ok(summary)
    })
}
