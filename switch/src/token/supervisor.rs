//! Keeps every seat filled: a task of the main thread, between the launcher and the shards.
//!
//! One worker is warm beside those that work. It takes the seat of one that is lost at once, and of one that has derived
//! enough keys before that one leaves. Whatever cannot be started is tried again once a second.

use std::collections::VecDeque;
use std::future::pending;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hsm::Blame;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Seat;
use super::control::{Order, Report};
use super::launcher::{Launcher, NotReady, OPEN_WAIT, Started, is_ready};
use crate::hop::Hop;
use crate::setup::Setup;

/// Between two attempts after one that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// After one whose PIN was refused.
const REFUSED_PAUSE: Duration = Duration::from_secs(3_600);
/// Between two attempts to hand a worker to a shard whose queue is full.
const FULL_WAIT: Duration = Duration::from_millis(1);

/// What a shard says of its workers.
#[derive(Debug)]
pub(crate) enum News {
    /// One is gone or must go, and its seat is empty.
    Lost {
        /// Its seat.
        seat: Seat,
        /// Which.
        number: u64,
        /// Why, for the operator.
        why: &'static str,
    },
    /// One is to be replaced, and works on until then.
    Tired(Seat),
    /// One that was replaced has nothing to answer any more.
    Left(u64),
}

/// The task's state.
pub(crate) struct Supervisor {
    setup: Arc<Setup>,
    launcher: Launcher,
    news: mpsc::Receiver<News>,
    next: u64,
    /// Seats that wait for a worker.
    wanting: VecDeque<Seat>,
    spare: Option<(u64, UnixStream)>,
    /// Workers that are being started: asked for, or opening the token.
    starting: usize,
    opening: JoinSet<(u64, Result<UnixStream, NotReady>)>,
    /// Workers that the launcher has not been told to end yet.
    ending: VecDeque<u64>,
    /// No start before this, after one that failed.
    not_before: Instant,
    /// Whether the last start failed: told once.
    is_failing: bool,
}

/// What happens next.
enum Next {
    News(News),
    Report(std::io::Result<Option<Report>>),
    Opened(u64, Result<UnixStream, NotReady>),
    SpareDied,
    Retry,
}

impl Supervisor {
    /// Over a launcher whose first workers have these numbers: 0 up to `next`.
    pub(crate) fn new(setup: Arc<Setup>, launcher: Launcher, news: mpsc::Receiver<News>, next: u64) -> Self {
        Self {
            setup,
            launcher,
            news,
            next,
            wanting: VecDeque::new(),
            spare: None,
            starting: 0,
            opening: JoinSet::new(),
            ending: VecDeque::new(),
            not_before: Instant::now(),
            is_failing: false,
        }
    }

    /// Seats the first workers, before the shards have begun.
    pub(crate) fn seat_first(setup: &Setup, workers: Vec<Started>) -> std::io::Result<()> {
        let places = setup.start.hsm.as_ref().map_or(1, |hsm| hsm.workers);
        for (at, worker) in workers.into_iter().enumerate() {
            let (shard, place) = (at / usize::from(places), (at % usize::from(places)) as u16);
            worker.stream.set_nonblocking(true)?;
            worker.stream.set_read_timeout(None)?;
            // The queue is empty still.
            let _ = setup.mailboxes[shard].send(Hop::Worker(place, worker.number, worker.stream));
        }
        Ok(())
    }

    /// Runs as long as the switch does.
    pub(crate) async fn run(mut self) {
        let control = match self.control() {
            Ok(control) => control,
            Err(error) => return tracing::error!(%error, "token workers cannot be looked after"),
        };
        loop {
            self.start_what_is_missing();
            self.setup.has_spare.store(self.spare.is_some(), Ordering::Relaxed);
            match self.next(&control).await {
                Next::News(news) => self.hear(news).await,
                Next::Report(Ok(Some(report))) => self.reported(report),
                Next::Report(Ok(None) | Err(_)) => {
                    tracing::error!(
                        "the launcher of token workers ended: a worker that is lost is not replaced"
                    );
                    let _ = self.launcher.process.try_wait();
                    return pending().await;
                }
                Next::Opened(number, Ok(stream)) => {
                    self.starting -= 1;
                    self.is_failing = false;
                    self.not_before = Instant::now();
                    self.employ(number, stream).await;
                }
                Next::Opened(number, Err(why)) => {
                    self.starting -= 1;
                    self.end(number);
                    self.failed(&why.to_string());
                    if matches!(why, NotReady::Refused(Blame::Plan, _)) {
                        // Tokens count refused PINs, and lock.
                        self.not_before = Instant::now() + REFUSED_PAUSE;
                    }
                }
                Next::SpareDied => {
                    if let Some((number, _)) = self.spare.take() {
                        self.end(number);
                        self.failed("the spare ended");
                    }
                }
                Next::Retry => {}
            }
        }
    }

    /// The launcher's socket. It carries datagrams; only waiting for them is the stream's.
    fn control(&self) -> std::io::Result<UnixStream> {
        let control = std::os::unix::net::UnixStream::from(self.launcher.control.try_clone()?);
        control.set_nonblocking(true)?;
        UnixStream::from_std(control)
    }

    async fn next(&mut self, control: &UnixStream) -> Next {
        let report = async {
            loop {
                control.readable().await?;
                match control.try_io(Interest::READABLE, || Report::receive(control)) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    report => return report,
                }
            }
        };
        let spare = self.spare.as_ref();
        let spare_died = async {
            let Some((_, stream)) = spare else { return pending().await };
            loop {
                let _ = stream.readable().await;
                match stream.try_read(&mut [0; 1]) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    // It has nothing to say: one that speaks is as useless as one that ended.
                    Ok(_) | Err(_) => return,
                }
            }
        };
        let is_missing = !self.ending.is_empty() || self.is_missing();
        tokio::select! {
            Some(news) = self.news.recv() => Next::News(news),
            report = report => Next::Report(report),
            Some(Ok((number, opened))) = self.opening.join_next() => Next::Opened(number, opened),
            () = spare_died => Next::SpareDied,
            () = sleep_until(self.not_before), if is_missing => Next::Retry,
        }
    }

    /// One for each seat that waits, and a spare; no more, and one after the other, because some modules cannot be
    /// started twice at one moment. What must end, first.
    fn start_what_is_missing(&mut self) {
        while let Some(number) = self.ending.front() {
            if Order::End(*number).send(&self.launcher.control).is_err() {
                self.not_before = Instant::now() + PAUSE;
                return;
            }
            self.ending.pop_front();
        }
        if self.is_missing() && Instant::now() >= self.not_before {
            if let Err(error) = Order::Start(self.next).send(&self.launcher.control) {
                return self.failed(&error.to_string());
            }
            self.next += 1;
            self.starting += 1;
            // The next one when this one is ready, or when it takes long.
            self.not_before = Instant::now() + PAUSE;
        }
    }

    fn is_missing(&self) -> bool {
        self.wanting.len() + 1 > self.starting + usize::from(self.spare.is_some())
    }

    fn failed(&mut self, why: &str) {
        self.not_before = Instant::now() + PAUSE;
        if !self.is_failing {
            self.is_failing = true;
            let why: String = why.chars().take(200).collect();
            tracing::error!(why, "a token worker cannot be started; tried again");
        }
    }

    fn end(&mut self, number: u64) {
        self.ending.push_back(number);
    }

    async fn hear(&mut self, news: News) {
        match news {
            News::Lost { seat, number, why } => {
                tracing::error!(
                    shard = seat.shard,
                    place = seat.place,
                    worker = number,
                    why,
                    "a token worker is lost"
                );
                self.end(number);
                self.fill(seat).await;
            }
            News::Tired(seat) => {
                tracing::info!(
                    shard = seat.shard,
                    place = seat.place,
                    "a token worker is replaced: enough derivations"
                );
                self.fill(seat).await;
            }
            News::Left(number) => self.end(number),
        }
    }

    async fn fill(&mut self, seat: Seat) {
        match self.spare.take() {
            Some((number, stream)) => self.hand(seat, number, stream).await,
            None => self.wanting.push_back(seat),
        }
    }

    async fn employ(&mut self, number: u64, stream: UnixStream) {
        match self.wanting.pop_front() {
            Some(seat) => self.hand(seat, number, stream).await,
            None => self.spare = Some((number, stream)),
        }
    }

    async fn hand(&mut self, seat: Seat, number: u64, stream: UnixStream) {
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => {
                self.end(number);
                self.wanting.push_front(seat);
                return self.failed(&error.to_string());
            }
        };
        let mut hop = Hop::Worker(seat.place, number, stream);
        while let Err(again) = self.setup.mailboxes[usize::from(seat.shard)].send(hop) {
            hop = again;
            sleep(FULL_WAIT).await;
        }
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::Started(number, stream) => {
                self.opening.spawn(async move { (number, opened(stream.into()).await) });
            }
            Report::NotStarted(_, why) => {
                self.starting -= 1;
                self.failed(&why);
            }
            Report::Ended(number, how) => tracing::info!(worker = number, how, "a token worker ended"),
        }
    }
}

/// Waits until a worker has opened the token.
async fn opened(stream: std::os::unix::net::UnixStream) -> Result<UnixStream, NotReady> {
    let failed = |error: std::io::Error| NotReady::Silent(error.to_string());
    stream.set_nonblocking(true).map_err(failed)?;
    let stream = UnixStream::from_std(stream).map_err(failed)?;
    let mut heard = Vec::new();
    let opening = async {
        while !is_ready(&heard)? {
            stream.readable().await.map_err(failed)?;
            match stream.try_read_buf(&mut heard) {
                Ok(0) => return Err(NotReady::Silent("it ended while it opened the token".to_owned())),
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(failed(error)),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    };
    match timeout(OPEN_WAIT, opening).await {
        Ok(outcome) => outcome.map(|()| stream),
        Err(_) => Err(NotReady::Silent("it did not open the token in time".to_owned())),
    }
}
