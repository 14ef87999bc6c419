//! The life of the process: everything checked and bound before anything is taken, then the shards, then an
//! orderly stop.
//!
//! Stopping: no new connections, no new requests (they are answered 91), the running ones finish or time
//! out; then links are signed off and closed. Two ways are cut short: a second signal, and the end of
//! `drain_grace`. Both answer what still runs with 91 and say so in the exit code.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use authorizer::Authorizer;
use authorizer::event::{Event, IssuerId, ShardId};
use hsm::{Blame, Device, Secret};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use crate::admin::{self, Health, QUESTIONS_MAX, Question};
use crate::api;
use crate::board::{Board, links_up};
use crate::config::{self, Config, JournalKey, Placement};
use crate::console;
use crate::crypto::{self, Crypto, Inline};
use crate::door::{self, DoorCounts};
use crate::homes::Homes;
use crate::hop::Hop;
use crate::journal::{self, Archive, Directory, Found, Fresh, Index, Journal, Keys, Wrapper, history};
use crate::reload::{self, Reread, Retired};
use crate::rules::Rules;
use crate::setup::{Clock, Setup};
use crate::token::{self, Crew, Launcher, NotReady, Started, Supervisor};
use crate::wall::Wall;
use crate::{log, process, serve, service, tables};

/// A shard that has not looked around for this long is not alive.
const ALIVE_WITHIN_US: u64 = 5_000_000;
/// How often a stop looks whether the running requests have ended.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Changes of a reload that its log line names; all of them are in the answer to `/v1/reload`.
const CHANGES_SHOWN: usize = 20;

/// How the switch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every request was answered by its issuer or by its own deadline.
    Clean,
    /// So many requests were still running when the stop was cut short.
    CutShort(u32),
}

/// Why the switch did not start, or had to stop.
#[derive(Debug)]
pub enum Fault {
    /// Something in the configuration, or a file it names, cannot be used.
    Config(String),
    /// What was written down once is damaged: nothing is skipped.
    Damaged(String),
    /// The store refuses something.
    Store(String),
    /// A token or a key cannot be had.
    Key(String),
    /// A fault of the machine or of ours.
    Internal(String),
}

impl From<journal::Fault> for Fault {
    fn from(fault: journal::Fault) -> Self {
        let said = fault.to_string();
        match fault {
            journal::Fault::Damaged { .. } | journal::Fault::Older { .. } => Self::Damaged(said),
            journal::Fault::Store(_) => Self::Store(said),
            journal::Fault::Config(_) => Self::Config(said),
            journal::Fault::Key(_) => Self::Key(said),
        }
    }
}

/// Runs the switch until it is told to stop. `reread` gives the configuration again when it is told to reload.
///
/// # Errors
/// When it cannot start; when a shard failed, in which case nothing it held is trusted any more.
pub fn run(config: Config, reread: Reread) -> Result<Ended, Fault> {
    process::keep_memory_to_itself().map_err(internal)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(internal)?;
    // From here on: a start may take long, and who sends this one wants the switch to run. SIGTERM and SIGINT still end
    // a start at once, before anything was taken.
    let entered = runtime.enter();
    let hang_up = signal(SignalKind::hangup()).map_err(internal)?;
    drop(entered);
    let reloads = Reloads { reread, hang_up, retired: Retired::default(), drain: Notify::new() };
    // Before the processes of the token are started: they must not hold on to listeners.
    let passed = service::sockets();
    let tokens = Tokens::open(&config)?;
    let (homes, books) = open_books(&config)?;
    let (snapshots, taken) = mpsc::channel(usize::from(config.switch.shards) * 4);
    let rules = Rules::new(config, 1).map_err(Fault::Config)?;
    let clock = Clock::start(books.found.last_us.saturating_add(1));
    let setup = Setup::new(rules, homes, snapshots, clock);
    runtime.block_on(run_with(setup, books, tokens, passed, taken, reloads))
}

fn internal(error: impl std::fmt::Display) -> Fault {
    Fault::Internal(error.to_string())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Fault> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| internal(format!("cannot listen on {address}: {error}")))
}

async fn run_with(
    setup: Arc<Setup>,
    mut books: Books,
    tokens: Tokens,
    passed: HashMap<SocketAddr, std::net::TcpListener>,
    mut taken: mpsc::Receiver<Box<crate::metrics::Snapshot>>,
    mut reloads: Reloads,
) -> Result<Ended, Fault> {
    let admin = listen(setup.start.admin.listen).await?;
    let console = match &setup.start.console {
        Some(console) => {
            let listener = listen(console.listen).await?;
            Some(console::Bound::new(console, listener).map_err(Fault::Config)?)
        }
        None => None,
    };
    let doors = door::bind(&setup, passed).map_err(internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;

    #[cfg(feature = "otel")]
    let _traces = crate::otel::Exporter::start(&setup).map_err(internal)?;
    let (journals, keeping) = books.open(&setup)?;
    let (cryptos, supervisor) = tokens.place(&setup).map_err(internal)?;
    let shards =
        start_shards(&setup, std::mem::take(&mut books.authorizers), journals, cryptos).map_err(internal)?;
    let mut supervising = JoinSet::new();
    if let Some(supervisor) = supervisor {
        supervising.spawn(supervisor.run());
    }
    let counts = DoorCounts::new(&setup);
    let mut accepting = JoinSet::new();
    for door in doors {
        accepting.spawn(door::accept(setup.clone(), counts.clone(), door));
    }
    let (questions, mut asked) = mpsc::channel(QUESTIONS_MAX);
    let mut admin_task = JoinSet::new();
    let console_questions = questions.clone();
    let api = api::router(setup.clone(), questions.clone());
    admin_task.spawn(admin::serve(admin, questions, api));
    let mut board = Board::new(setup.clone(), counts);
    let mut console = console.map(|bound| {
        let (shown, serving) = console::open(bound, &setup, console_questions);
        admin_task.spawn(serving);
        shown
    });
    let mut second = interval(Duration::from_secs(1));
    let mut sign_of_life = interval(service::watchdog().unwrap_or(Duration::from_secs(3_600)));
    let is_watched = service::watchdog().is_some();
    service::ready();
    announce(&setup, &books.found);

    let mut drain: Option<Drain> = None;
    let mut look = interval(DRAIN_LOOK);
    loop {
        tokio::select! {
            Some(snapshot) = taken.recv() => board.update(snapshot),
            Some(question) = asked.recv() => answer(&setup, &board, &mut reloads, question),
            Some(()) = reloads.hang_up.recv() => drop(reloads.reload(&setup)),
            () = told_to_stop(&mut terminate, &mut interrupt, &reloads.drain) => match &mut drain {
                None => {
                    tracing::info!("stopping: no new requests are taken");
                    service::stopping();
                    accepting.abort_all();
                    setup.draining.store(true, Ordering::Relaxed);
                    tell_all(&setup, || Event::Drain);
                    drain = Some(Drain::new(&setup));
                }
                Some(drain) => drain.hurry(),
            },
            _ = sign_of_life.tick(), if is_watched && alive(&setup).ok => service::alive(),
            _ = second.tick() => {
                log::second();
                service::status(&standing(&setup));
                if let Some(console) = &mut console {
                    console.look(&setup, &board.page(), &board.slowest(), ready(&setup, &board).body);
                }
            }
            _ = look.tick() => {
                if shards.iter().any(JoinHandle::is_finished) {
                    return Err(Fault::Internal("a shard failed; its state is not trusted".to_owned()));
                }
                if let Some(ended) = drain.as_mut().and_then(|drain| drain.look(&setup)) {
                    let ended = finish(&setup, shards, ended).await;
                    drop(keeping);
                    return ended;
                }
            }
        }
    }
}

async fn told_to_stop(terminate: &mut Signal, interrupt: &mut Signal, console: &Notify) {
    tokio::select! {
        () = console.notified() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// The token, before there are shards to ask it.
enum Tokens {
    Nothing,
    /// One for each shard.
    Inline(Vec<Device>),
    /// A launcher, and a worker for each place of each shard.
    Workers(Launcher, Vec<Started>),
}

/// What shards may have to say of their workers before the supervisor listens.
const NEWS_MAX: usize = 1_024;

impl Tokens {
    /// Opens it, if it is asked while the switch runs. A switch that could prove nothing does not start.
    fn open(config: &Config) -> Result<Self, Fault> {
        let Some(hsm) = config.hsm.as_ref().filter(|_| config.asks_token()) else {
            return Ok(Self::Nothing);
        };
        let shards = config.switch.shards;
        match hsm.placement {
            Placement::Inline => {
                let open = |_| {
                    let pin = crate::keys::first_line(&hsm.pin_file).map_err(Fault::Config)?;
                    let plan = crypto::plan(config, hsm, pin);
                    Device::open(plan, shards == 1)
                        .map_err(|why| unusable(config, why.blame(), why.to_string()))
                };
                (0..shards).map(open).collect::<Result<_, _>>().map(Self::Inline)
            }
            Placement::Worker => {
                let plan = crypto::plan(config, hsm, Secret::new(Vec::new()));
                let launcher = Launcher::start(hsm, &plan).map_err(internal)?;
                let count = u64::from(shards) * u64::from(hsm.workers);
                let workers = launcher.first_workers(count).map_err(|why| match why {
                    NotReady::Refused(blame, why) => unusable(config, blame, why),
                    NotReady::Silent(why) => Fault::Key(why),
                })?;
                Ok(Self::Workers(launcher, workers))
            }
        }
    }

    /// What each shard asks, and who looks after the workers.
    fn place(self, setup: &Arc<Setup>) -> std::io::Result<(Vec<Crypto>, Option<Supervisor>)> {
        let (shards, hsm) = (0..setup.shards(), setup.start.hsm.as_ref());
        match (self, hsm) {
            (Self::Inline(devices), _) => {
                let inline = |device| Crypto::Inline(Box::new(Inline::new(device)));
                Ok((devices.into_iter().map(inline).collect(), None))
            }
            (Self::Workers(launcher, workers), Some(hsm)) => {
                let (news, heard) = mpsc::channel(NEWS_MAX);
                let next = workers.len() as u64;
                Supervisor::seat_first(setup, workers)?;
                let crews =
                    shards.map(|shard| Crypto::Workers(Crew::new(shard, hsm, news.clone()))).collect();
                Ok((crews, Some(Supervisor::new(setup.clone(), launcher, heard, next))))
            }
            (Self::Nothing | Self::Workers(..), _) => Ok((shards.map(|_| Crypto::Nothing).collect(), None)),
        }
    }
}

/// Why the token cannot be used; with the program or peer whose key it is about. A token that is away may come back, and
/// whoever started the switch may try again.
fn unusable(config: &Config, blame: Blame, why: String) -> Fault {
    match blame {
        Blame::Token => Fault::Key(why),
        Blame::Plan => Fault::Config(why),
        Blame::Key(key) => Fault::Config(match crypto::user_of(config, key) {
            Some(user) => format!("{user}: {why}"),
            None => why,
        }),
    }
}

/// What the switch knows before it takes anything: what earlier processes wrote down, and where that goes on.
struct Books {
    authorizers: Vec<Authorizer>,
    directory: Option<(Directory, Fresh)>,
    found: Found,
}

/// Reads what earlier processes wrote down.
fn open_books(config: &Config) -> Result<(Homes, Books), Fault> {
    let (shards, tables, limits) = (config.switch.shards, tables::tables(config), tables::limits(config));
    let fresh = move |shard| Authorizer::new(shard, shards, tables.clone(), limits);
    let names: Vec<&str> = config.acquirers.iter().map(|acquirer| acquirer.name.as_str()).collect();
    let Some(journal) = &config.journal else {
        let homes = Homes::drawn(shards, &names).map_err(internal)?;
        let authorizers = (0..shards).map(|shard| fresh(ShardId(shard))).collect();
        return Ok((homes, Books { authorizers, directory: None, found: Found::default() }));
    };
    let settings = || {
        Ok(journal::Settings {
            level: journal.level,
            flush: journal.flush,
            segment_bytes: journal.segment_bytes,
            names: history::names(config),
            keys: Arc::new(journal_keys(config, journal)?),
            snapshot_bytes: journal.snapshot_bytes,
            retention: journal.retention,
            mark_file: journal.mark_file.clone(),
        })
    };
    let mut directory = Directory::hold(&journal.dir, shards, settings)?;
    let keys = directory.keys();
    if !keys.are_locked() {
        tracing::warn!(
            "the journal's keys may be swapped out: the limit of locked memory is too low (ulimit -l)"
        );
    }
    let homes = Homes::new(shards, keys.of_identities(), &names);
    let (authorizers, found) = directory.recover(&homes, shards, &fresh)?;
    Ok((homes, Books { authorizers, directory: Some((directory, Box::new(fresh))), found }))
}

/// The keys of the journal. From here on no token is needed for them.
fn journal_keys(config: &Config, journal: &config::Journal) -> Result<Keys, journal::Fault> {
    match (&journal.key, &config.hsm) {
        (JournalKey::Token { label, check_value: [a, b, c] }, Some(hsm)) => {
            let wrapper = Wrapper { label: label.clone(), check_value: format!("{a:02X}{b:02X}{c:02X}") };
            journal::open_or_make(&journal.dir, &wrapper, &|salt| token::unwrap(hsm, &wrapper, salt))
        }
        (JournalKey::Token { .. }, None) => Err(journal::Fault::Config("no [hsm]".to_owned())),
        (JournalKey::File(path), _) => {
            journal::insist_on_none(&journal.dir)?;
            Keys::read(path).map_err(journal::Fault::Config)
        }
    }
}

/// What looks after the journals of all shards. The index ends first: the archive holds the directory.
type Keeping = (Index, Archive);

impl Books {
    /// The journal of each shard, to be written, and what looks after them.
    fn open(&mut self, setup: &Arc<Setup>) -> Result<(Vec<Option<Journal>>, Option<Keeping>), Fault> {
        let Some((directory, fresh)) = self.directory.take() else {
            return Ok(((0..setup.shards()).map(|_| None).collect(), None));
        };
        let open = |shard| directory.open(ShardId(shard), setup.now_us());
        let journals = (0..setup.shards()).map(open).collect::<Result<Vec<_>, _>>()?;
        let telling = setup.clone();
        let tell = Box::new(move |shard, sought, known| {
            let told = telling.mailbox(shard).send(Hop::Recalled(sought, known));
            told.map_err(|hop| match hop {
                Hop::Recalled(sought, known) => (sought, known),
                _ => unreachable!("a refused hop comes back as it was"),
            })
        });
        let index = directory.index(&journals, setup.index.clone(), (setup.recalls.clone(), tell))?;
        let archive = directory.archive(&journals, fresh)?;
        Ok((journals.into_iter().map(Some).collect(), Some((index, archive))))
    }
}

fn start_shards(
    setup: &Arc<Setup>,
    authorizers: Vec<Authorizer>,
    journals: Vec<Option<Journal>>,
    cryptos: Vec<Crypto>,
) -> std::io::Result<Vec<JoinHandle<()>>> {
    (0..setup.shards())
        .map(ShardId)
        .zip(authorizers.into_iter().zip(journals))
        .zip(cryptos)
        .map(|((shard, (authorizer, journal)), crypto)| {
            let setup = setup.clone();
            std::thread::Builder::new().name(format!("shard-{}", shard.0)).spawn(move || {
                if let Err(error) = serve::run(shard, &setup, authorizer, crypto, journal) {
                    tracing::error!(shard = shard.0, %error, "a shard could not start");
                }
            })
        })
        .collect()
}

fn announce(setup: &Setup, found: &Found) {
    for warning in &setup.start.warnings {
        tracing::warn!("{warning}");
    }
    match &setup.start.journal {
        Some(journal) => tracing::info!(
            journal = journal.level.name(),
            dir = %journal.dir.display(),
            retention_h = journal.retention.as_secs() / 3_600,
            snapshots = found.snapshots,
            facts = found.facts,
            torn_bytes = found.torn_bytes,
            "the journal was read"
        ),
        None => tracing::warn!(
            journal = "none",
            "no journal: after a crash repeats are not recognised, and reversals are answered 96"
        ),
    }
    if let Some(JournalKey::File(path)) = setup.start.journal.as_ref().map(|journal| &journal.key) {
        tracing::warn!(
            key_file = %path.display(),
            "the journal's key comes from a file: whoever reads it and the journal has every card number in it"
        );
    }
    if found.last_us > Wall::now().micros() {
        tracing::warn!(
            "the wall clock is behind the journal: it was set back, and stamps go on from the last one"
        );
    }
    if let Some(hsm) = setup.start.hsm.as_ref().filter(|_| setup.start.asks_token()) {
        tracing::info!(
            token = hsm.token,
            module = %hsm.module.display(),
            placement = hsm.placement.name(),
            programs = setup.start.programs.len(),
            "the token was opened"
        );
        for program in &setup.start.programs {
            tracing::info!(program = program.name, exposure = %program.exposure, "what keys of a program may be in memory");
        }
        if setup.start.journal.is_none() && !setup.start.programs.is_empty() {
            tracing::warn!(
                "cards, used ATCs and tries are in memory only: they are lost at the end of this process"
            );
        }
    }
    tracing::info!(
        profile = setup.start.switch.profile.name(),
        shards = setup.shards(),
        acquirers = setup.start.acquirers.len(),
        issuers = setup.start.issuers.len(),
        routes = setup.start.routes.len(),
        admin = %setup.start.admin.listen,
        "signalbox is up"
    );
}

/// Tells every shard's authorizer something.
fn tell_all(setup: &Setup, event: impl Fn() -> Event) {
    for mailbox in &setup.mailboxes {
        let mut hop = Hop::Event(Box::new(event()));
        // A full mailbox is being emptied by its shard at this moment.
        while let Err(again) = mailbox.send(hop) {
            hop = again;
            std::thread::yield_now();
        }
    }
}

/// A stop under way.
struct Drain {
    since: Instant,
    deadline: Instant,
    idle_looks: u8,
}

impl Drain {
    fn new(setup: &Setup) -> Self {
        let since = Instant::now();
        Self { since, deadline: since + setup.rules().config.switch.drain_grace, idle_looks: 0 }
    }

    /// A second signal: wait no longer.
    fn hurry(&mut self) {
        self.deadline = self.since;
    }

    /// Whether it is over, and how. What is still read meanwhile is answered 91 and need not be waited for.
    fn look(&mut self, setup: &Setup) -> Option<Ended> {
        let running: u32 = setup.gauges.iter().map(|shard| shard.in_flight.load(Ordering::Relaxed)).sum();
        // Three times in a row, because a request may be between two shards.
        self.idle_looks = if running == 0 { self.idle_looks.saturating_add(1) } else { 0 };
        if self.idle_looks >= 3 {
            Some(Ended::Clean)
        } else if Instant::now() >= self.deadline {
            Some(if running == 0 { Ended::Clean } else { Ended::CutShort(running) })
        } else {
            None
        }
    }
}

async fn finish(setup: &Setup, shards: Vec<JoinHandle<()>>, ended: Ended) -> Result<Ended, Fault> {
    tell_all(setup, || Event::Stop);
    let mut look = interval(DRAIN_LOOK);
    while !shards.iter().all(JoinHandle::is_finished) {
        look.tick().await;
    }
    for shard in shards {
        if shard.join().is_err() {
            return Err(Fault::Internal("a shard failed while stopping".to_owned()));
        }
    }
    match ended {
        Ended::Clean => tracing::info!("stopped; everything was answered"),
        Ended::CutShort(running) if setup.start.journal.is_some() => {
            tracing::warn!(running, "stop cut short: answered 91, their reversals are written down");
            return Ok(Ended::Clean);
        }
        Ended::CutShort(running) => {
            tracing::warn!(
                running,
                "stop cut short: answered 91, and nothing reverses them at their issuers"
            );
        }
    }
    Ok(ended)
}

/// One line for the service manager.
fn standing(setup: &Setup) -> String {
    let in_flight: u32 = setup.gauges.iter().map(|shard| shard.in_flight.load(Ordering::Relaxed)).sum();
    let up = (0..setup.start.issuers.len() as u16).filter(|id| links_up(setup, IssuerId(*id)) > 0).count();
    let taking = if setup.is_draining() { "stopping" } else { "taking payments" };
    format!("{taking}; {in_flight} in flight; {up} of {} issuers up", setup.start.issuers.len())
}

/// What operators may change, and what that needs.
struct Reloads {
    reread: Reread,
    /// SIGHUP says so.
    hang_up: Signal,
    retired: Retired,
    /// The console says so.
    drain: Notify,
}

impl Reloads {
    /// Begins a stop. Says whether none had begun.
    fn drain(&self, setup: &Setup) -> bool {
        let is_first = !setup.is_draining();
        if is_first {
            self.drain.notify_one();
        }
        is_first
    }

    /// Puts the configuration in force as it is written now, or leaves everything as it is. The service manager hears
    /// nothing of it from a switch that is stopping: "ready" would say that it is not.
    fn reload(&mut self, setup: &Setup) -> Health {
        if !setup.is_draining() {
            service::reloading();
        }
        let done = reload::reload(setup, &self.reread, &mut self.retired);
        if !setup.is_draining() {
            service::ready();
        }
        setup.reload_failed.store(done.is_err(), Ordering::Relaxed);
        match done {
            Ok(reloaded) => {
                let shown = reloaded.applied.iter().take(CHANGES_SHOWN).map(ToString::to_string);
                tracing::info!(
                    generation = reloaded.generation,
                    changes = reloaded.applied.len(),
                    applied = %shown.collect::<Vec<_>>().join(", "),
                    "reloaded"
                );
                for change in &reloaded.needs_restart {
                    tracing::warn!(%change, "needs a restart");
                }
                Health { ok: true, body: reloaded.said() }
            }
            Err(refused) => {
                tracing::error!(why = %refused, "not reloaded; everything stays as it was");
                Health { ok: false, body: refused.said(setup.rules().generation) }
            }
        }
    }
}

fn answer(setup: &Setup, board: &Board, reloads: &mut Reloads, question: Question) {
    match question {
        Question::Drain(to) => drop(to.send(reloads.drain(setup))),
        Question::Compare(to) => drop(to.send(reload::compare(setup, &reloads.reread))),
        Question::Reload(to) => drop(to.send(reloads.reload(setup))),
        Question::Metrics(to) => drop(to.send(board.page())),
        Question::Alive(to) => drop(to.send(alive(setup))),
        Question::Ready(to) => drop(to.send(ready(setup, board))),
    }
}

fn alive(setup: &Setup) -> Health {
    let now_us = setup.now_us();
    let stuck: Vec<usize> = (0..setup.gauges.len())
        .filter(|shard| {
            let seen_us = setup.gauges[*shard].seen_us.load(Ordering::Relaxed);
            now_us.saturating_sub(seen_us) > ALIVE_WITHIN_US
        })
        .collect();
    Health { ok: stuck.is_empty(), body: json!({ "alive": stuck.is_empty(), "stuck_shards": stuck }) }
}

fn ready(setup: &Setup, board: &Board) -> Health {
    let issuers: serde_json::Map<String, serde_json::Value> = (0_u16..)
        .zip(&setup.start.issuers)
        .map(|(id, issuer)| (issuer.name.clone(), json!({ "links_up": links_up(setup, IssuerId(id)) })))
        .collect();
    let any_up = issuers.values().any(|issuer| issuer["links_up"] != 0);
    let mut reasons = Vec::new();
    if setup.is_draining() {
        reasons.push("draining");
    }
    if !any_up {
        reasons.push("no issuer link is up");
    }
    if board.is_store_low() {
        reasons.push("the journal has no room");
    }
    let ok = reasons.is_empty();
    let journal = setup.start.journal.as_ref().map_or("none", |journal| journal.level.name());
    let cards = match (setup.start.programs.is_empty(), &setup.start.journal) {
        (true, _) => "none",
        (false, Some(_)) => "journal",
        (false, None) => "memory only",
    };
    let body = json!({
        "ready": ok, "reasons": reasons, "profile": setup.start.switch.profile.name(), "journal": journal,
        "cards": cards, "token": board.token(), "issuers": issuers,
    });
    Health { ok, body }
}
