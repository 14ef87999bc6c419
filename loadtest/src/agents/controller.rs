//! The controller: hands out shares, says when, and adds up what comes back.

use std::io::BufReader;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use super::{LEAD, Order, Word, receive, send};
use crate::acquirer::{FirstKey, News, Outcome, RunError, gather};
use crate::clock::Clock;
use crate::profile::{Overrides, Profile, Share};
use crate::proof::supply::Grant;
use crate::report::conditions::Conditions;
use crate::second::Second;
use crate::tally::Tally;

/// Between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(20);

/// One agent.
struct Agent {
    address: String,
    to: TcpStream,
    from: BufReader<TcpStream>,
}

/// Agents that are ready to run.
pub struct Agents {
    agents: Vec<Agent>,
    /// Their machines, in order.
    pub conditions: Vec<Conditions>,
}

impl Agents {
    /// Gives each agent its share of a profile, and waits until all are ready.
    pub fn prepare(
        addresses: &[String],
        (text, overrides): (&str, &Overrides),
        profile: &Profile,
    ) -> Result<Agents, RunError> {
        let grants = profile.programs.iter().map(|program| program.grants.as_deref().cloned());
        let grants: Vec<Option<Vec<Grant>>> = grants.collect();
        let mut agents = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            let connected = TcpStream::connect(address).and_then(|stream| {
                stream.set_nodelay(true)?;
                let mut agent =
                    Agent { address: address.clone(), to: stream.try_clone()?, from: BufReader::new(stream) };
                let share = Share { index, of: addresses.len() };
                let order = Order::Prepare {
                    profile: text.to_string(),
                    overrides: Box::new(overrides.clone()),
                    share,
                    grants: grants.clone(),
                };
                send(&mut agent.to, &order)?;
                Ok(agent)
            });
            agents.push(connected.map_err(|error| named(address, &error))?);
        }
        let mut conditions = Vec::new();
        for agent in &mut agents {
            match receive(&mut agent.from) {
                Ok(Some(Word::Ready(here))) => conditions.push(*here),
                Ok(Some(Word::Failed(error))) => return Err(named(&agent.address, &error)),
                Ok(_) => return Err(named(&agent.address, &"the agent went away")),
                Err(error) => return Err(named(&agent.address, &error)),
            }
        }
        Ok(Agents { agents, conditions })
    }

    /// Starts all agents and adds up what they report.
    pub fn run(
        self,
        profile: &Profile,
        stop: &Arc<AtomicBool>,
        on_second: impl FnMut(&Second),
    ) -> Result<Outcome, RunError> {
        let (news_sender, news) = channel();
        let clock = Clock::starting_at(Instant::now() + LEAD);
        let count = self.agents.len();
        let mut stoppers = Vec::new();
        for mut agent in self.agents {
            let started =
                send(&mut agent.to, &Order::Start(FirstKey::of(&clock))).and_then(|()| agent.to.try_clone());
            stoppers.push(started.map_err(|error| named(&agent.address, &error))?);
            let news = news_sender.clone();
            let thread = std::thread::Builder::new().name("agent".to_string());
            let thread = thread.spawn(move || listen(agent, &news));
            thread.map_err(|error| RunError::Start(format!("no thread: {error}")))?;
        }
        drop(news_sender);
        let over = Arc::new(AtomicBool::new(false));
        let watcher = watch(stoppers, Arc::clone(stop), Arc::clone(&over));
        let mut tally = Tally::new(profile.cases.len());
        let gathered = gather(&news, count, &mut tally, on_second);
        over.store(true, Ordering::Relaxed);
        let _ = watcher.join();
        gathered?;
        let interrupted = stop.load(Ordering::Relaxed);
        let elapsed = Duration::from_nanos(clock.now_ns());
        Ok(Outcome { tally, started_unix_second: clock.unix_second(0), elapsed, interrupted })
    }
}

fn named(address: &str, error: &dyn std::fmt::Display) -> RunError {
    RunError::Start(format!("agent {address}: {error}"))
}

/// Hands on what one agent reports.
fn listen(mut agent: Agent, news: &Sender<News>) {
    loop {
        let said = match receive(&mut agent.from) {
            Ok(Some(Word::Second(second))) => News::Second(second),
            Ok(Some(Word::Done(tally))) => {
                let _ = news.send(News::Done(tally));
                return;
            }
            Ok(Some(Word::Failed(error))) => News::Ready(Err(format!("agent {}: {error}", agent.address))),
            Ok(Some(Word::Ready(_))) => continue,
            Ok(None) => {
                News::Ready(Err(format!("agent {}: went away in the middle of a run", agent.address)))
            }
            Err(error) => News::Ready(Err(format!("agent {}: {error}", agent.address))),
        };
        let ended = matches!(said, News::Ready(_));
        if news.send(said).is_err() || ended {
            return;
        }
    }
}

/// Tells the agents when somebody wants the run to stop.
fn watch(
    mut agents: Vec<TcpStream>,
    stop: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            if stop.load(Ordering::Relaxed) {
                agents.iter_mut().for_each(|agent| drop(send(agent, &Order::Stop)));
                return;
            }
            std::thread::sleep(LOOK);
        }
    })
}
