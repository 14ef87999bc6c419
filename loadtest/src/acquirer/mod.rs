//! The acquirer fleet: sends the messages of a profile on schedule, not on reply, and settles the answers.
//!
//! In reading order: [`run`] starts the workers; `worker` is the life of one of them; `fleet` is what it
//! owns, `send` sends, `settle` takes answers, `reverse` undoes what was not answered, `resend` does both for
//! a recording; `link` keeps the connections;
//! `pending` remembers what was asked, under the numbers of `keys`; `answer` reads what the host says.

mod answer;
mod fleet;
mod keys;
mod link;
mod pending;
mod resend;
mod reverse;
mod send;
mod settle;
mod worker;

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::mix::Mix;
use crate::profile::Profile;
use crate::second::Second;
use crate::tally::Tally;
pub(crate) use keys::FirstKey;
pub(crate) use worker::News;
use worker::{Orders, Start};

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// The sum of what all workers saw.
    pub tally: Tally,
    /// When it started, in seconds since 1970.
    pub started_unix_second: u64,
    /// From the start to the last answer, or to the end of the wait for it.
    pub elapsed: Duration,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
}

/// A run that could not take place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RunError {
    /// The mix cannot be said in the dialect.
    Mix(String),
    /// A link or a thread could not be had.
    Start(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Mix(text) | RunError::Start(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for RunError {}

/// From "every worker is ready" to the start of the clock.
const LEAD: Duration = Duration::from_millis(50);

/// Runs a profile to its end, or until `stop` is set, and tells `on_second` about each second once all
/// workers have reported it.
pub fn run(
    profile: &Profile,
    stop: &Arc<AtomicBool>,
    on_second: impl FnMut(&Second),
) -> Result<Outcome, RunError> {
    Ready::prepare(profile, stop)?.start(LEAD, None, on_second)
}

/// A run whose links are up and whose clock has not started.
#[derive(Debug)]
pub struct Ready {
    cases: usize,
    stop: Arc<AtomicBool>,
    news: Receiver<News>,
    starts: Vec<oneshot::Sender<Start>>,
    threads: Vec<JoinHandle<()>>,
}

impl Ready {
    /// Starts the workers and waits until their links are up.
    pub fn prepare(profile: &Profile, stop: &Arc<AtomicBool>) -> Result<Ready, RunError> {
        let mix =
            Mix::new(profile).map_err(|(case, error)| RunError::Mix(format!("case `{case}`: {error}")))?;
        for (at, (program, supply)) in profile.programs.iter().zip(mix.supplies()).enumerate() {
            let expected = profile.codes_expected(at).unwrap_or_default() as u64;
            if supply.len() < expected {
                let (name, there) = (&program.name, supply.len());
                return Err(RunError::Mix(format!(
                    "program `{name}`: about {expected} codes are needed, and there are {there}: each is good for one \
                     message, so give it more cards, or make the run shorter"
                )));
            }
        }
        let listener = match &profile.link.listen {
            Some(address) => {
                Some(listen(address).map_err(|error| RunError::Start(format!("{address}: {error}")))?)
            }
            None => None,
        };
        let (profile, mix) = (Arc::new(profile.clone()), Arc::new(mix));
        let (news_sender, news) = channel();
        let mut ready = Ready {
            cases: profile.cases.len(),
            stop: Arc::clone(stop),
            news,
            starts: Vec::new(),
            threads: Vec::new(),
        };
        let first = profile.load.share.index * profile.load.workers;
        for worker in first..first + profile.load.workers {
            let (start_sender, start) = oneshot::channel();
            let orders = Orders {
                profile: Arc::clone(&profile),
                mix: Arc::clone(&mix),
                worker,
                stop: Arc::clone(stop),
                listener: match &listener {
                    Some(listener) => {
                        let theirs = listener.try_clone();
                        Some(theirs.map_err(|error| RunError::Start(error.to_string()))?)
                    }
                    None => None,
                },
                news: news_sender.clone(),
                start,
            };
            let thread = std::thread::Builder::new().name(format!("acquirer {worker}"));
            let thread = thread.spawn(move || worker::work(orders));
            ready.threads.push(thread.map_err(|error| RunError::Start(format!("no thread: {error}")))?);
            ready.starts.push(start_sender);
        }
        for _ in 0..ready.threads.len() {
            match ready.news.recv() {
                Ok(News::Ready(Ok(()))) => {}
                Ok(News::Ready(Err(error))) => return Err(RunError::Start(error)),
                Ok(_) | Err(_) => {
                    return Err(RunError::Start("a worker ended before it was ready".to_string()));
                }
            }
        }
        Ok(ready)
    }

    /// Starts the clock in a moment, and takes the run to its end. Where this generator is one of several they all
    /// begin at one key; without one the run begins at its own.
    pub(crate) fn start(
        self,
        lead: Duration,
        first_key: Option<FirstKey>,
        on_second: impl FnMut(&Second),
    ) -> Result<Outcome, RunError> {
        let clock = Clock::starting_at(Instant::now() + lead);
        let first_key = first_key.unwrap_or(FirstKey::of(&clock));
        for start in self.starts {
            // A worker that is gone says nothing more, which `gather` notices.
            let _ = start.send(Start { clock, first_key });
        }
        let mut tally = Tally::new(self.cases);
        gather(&self.news, self.threads.len(), &mut tally, on_second)?;
        let elapsed = Duration::from_nanos(clock.now_ns());
        for thread in self.threads {
            thread.join().map_err(|_| RunError::Start("a worker ended with a panic".to_string()))?;
        }
        let interrupted = self.stop.load(Ordering::Relaxed);
        Ok(Outcome { tally, started_unix_second: clock.unix_second(0), elapsed, interrupted })
    }
}

/// A listener that all workers share.
fn listen(address: &str) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Adds up what the workers, or the agents, report until all are done.
pub(crate) fn gather(
    news: &Receiver<News>,
    workers: usize,
    tally: &mut Tally,
    mut on_second: impl FnMut(&Second),
) -> Result<(), RunError> {
    let mut open: Vec<(Second, usize)> = Vec::new();
    let mut done = 0;
    while done < workers {
        match news.recv() {
            Ok(News::Second(second)) => {
                let slot = open.iter().position(|(known, _)| known.number == second.number);
                let at = match slot {
                    Some(at) => {
                        open[at].0.add(&second);
                        open[at].1 += 1;
                        at
                    }
                    None => {
                        open.push((*second, 1));
                        open.len() - 1
                    }
                };
                if open[at].1 == workers {
                    let (second, _) = open.remove(at);
                    if !second.is_empty() {
                        on_second(&second);
                    }
                }
            }
            Ok(News::Done(part)) => {
                tally.add(&part);
                done += 1;
            }
            Ok(News::Ready(Ok(()))) => {}
            Ok(News::Ready(Err(error))) => return Err(RunError::Start(error)),
            Err(_) => return Err(RunError::Start("a worker ended before its run did".to_string())),
        }
    }
    // Workers end in different seconds: what only some reported is shown as far as it goes.
    open.sort_by_key(|(second, _)| second.number);
    open.iter().filter(|(second, _)| !second.is_empty()).for_each(|(second, _)| on_second(second));
    Ok(())
}
