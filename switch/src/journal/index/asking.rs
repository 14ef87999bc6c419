//! What shards ask of the index: what became of an identity that their memory has forgotten. One thread answers, over a
//! connection of its own that only reads; an acquirer waits for it, so that it does not stand behind the payments as the
//! thread that writes does.
//!
//! The index is behind the journal, and an answer counts only where that changes nothing: *nothing* where it is past
//! the moment by which all had ended that the shard has forgotten, *something* where it is level with the journal as it was when
//! the question was taken. Whoever waits for that holds up nobody else, and not for long; then nothing can be said.
//!
//! Where a late approval asks, nobody waits: it is looked after while nobody asks who does, and again once a second, for minutes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use authorizer::event::{ShardId, Ticket};
use authorizer::late::ForgottenLeg;
use authorizer::recall::Known;
use authorizer::request::Identity;
use rusqlite::{Connection, OpenFlags};

use super::lookup::{Found, Lookup};
use super::store::{self, Trouble};
use crate::journal::Fault;
use crate::journal::keeper::Durability;
use crate::journal::writer::Settings;
use crate::sync::{ArrayQueue, AtomicBool, AtomicU64};

/// Questions that wait; more are not answered.
const QUESTIONS_MAX: usize = 1_024;
/// The same of those about legs. An eighth of it is what one shard may ask.
const ABOUT_LEGS_MAX: usize = 8_192;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same where nobody waits for it: an index that is a little behind has come level by then.
const PATIENCE_FOR_LEGS: Duration = Duration::from_secs(300);
/// Between two looks at one of these.
const LOOK_FOR_LEGS: Duration = Duration::from_secs(1);
/// Between two looks whether the index has come level.
const LOOK: Duration = Duration::from_millis(5);
/// Before a shard's full queue is tried again.
const RETRY: Duration = Duration::from_millis(1);

/// A shard's question.
pub(crate) struct Question {
    pub(crate) shard: ShardId,
    pub(crate) sought: Sought,
}

/// What is asked for, and for whom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sought {
    /// For a raw message that waits.
    Identity {
        ticket: Ticket,
        identity: Identity,
        /// All that the shard's memory does not know had ended by this moment, microseconds.
        ended_by_us: u64,
    },
    /// For late approvals: what was asked by their leg.
    Leg(ForgottenLeg),
}

/// Questions on their way, and how far the index is.
pub(crate) struct Recalls {
    /// With the moment by which each must be answered.
    questions: ArrayQueue<(Question, Instant)>,
    about_legs: ArrayQueue<(Question, Instant)>,
    answering: OnceLock<Thread>,
    /// The thread that writes, to be woken where it is waited for.
    writing: OnceLock<Thread>,
    /// The file can be read.
    is_open: AtomicBool,
    /// What was read of it is not sound: it must be built anew.
    is_unsound: AtomicBool,
    /// How often one was opened: what is read from an older one is nobody's.
    opened: AtomicU64,
    /// By shard.
    reached: Box<[Reached]>,
    /// Questions so far.
    pub(crate) asked: AtomicU64,
    /// Of these, those to which nothing could be said.
    pub(crate) unsaid: AtomicU64,
}

/// Up to where one shard's journal is in the index.
#[derive(Default)]
struct Reached {
    facts: AtomicU64,
    at_us: AtomicU64,
}

impl Recalls {
    /// Nobody answers yet.
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            questions: ArrayQueue::new(QUESTIONS_MAX),
            about_legs: ArrayQueue::new(ABOUT_LEGS_MAX),
            answering: OnceLock::new(),
            writing: OnceLock::new(),
            is_open: AtomicBool::new(false),
            is_unsound: AtomicBool::new(false),
            opened: AtomicU64::new(0),
            reached: (0..shards).map(|_| Reached::default()).collect(),
            asked: AtomicU64::new(0),
            unsaid: AtomicU64::new(0),
        }
    }

    /// Asks, or gives the question back where nobody answers or too many wait.
    pub(crate) fn ask(&self, question: Question) -> Result<(), Question> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let asked = match self.answering.get() {
            Some(answering) => {
                let (questions, patience) = match question.sought {
                    Sought::Identity { .. } => (&self.questions, PATIENCE),
                    Sought::Leg(_) => (&self.about_legs, PATIENCE_FOR_LEGS),
                };
                let pushed = questions.push((question, Instant::now() + patience));
                pushed.map(|()| answering.unpark()).map_err(|(question, _)| question)
            }
            None => Err(question),
        };
        asked.inspect_err(|_| {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// This thread writes.
    pub(super) fn write_here(&self) {
        let _ = self.writing.set(thread::current());
    }

    /// Whether what was read of the file was not sound, since this was asked last.
    pub(super) fn take_unsound(&self) -> bool {
        self.is_unsound.swap(false, Ordering::AcqRel)
    }

    /// There is a file, and what was read of another counts no more.
    pub(super) fn open(&self) {
        self.is_unsound.store(false, Ordering::Release);
        self.opened.fetch_add(1, Ordering::AcqRel);
        self.is_open.store(true, Ordering::Release);
    }

    /// There is none, or it cannot be used.
    pub(super) fn close(&self) {
        self.is_open.store(false, Ordering::Release);
    }

    /// A shard's journal is in the index up to here.
    pub(super) fn reach(&self, shard: usize, facts: u64, at_us: u64) {
        if let Some(reached) = self.reached.get(shard) {
            reached.at_us.store(at_us, Ordering::Release);
            reached.facts.store(facts, Ordering::Release);
        }
    }

    /// The moment up to which all is in the index, where it holds less than so many facts of each shard; otherwise the end of time.
    fn reached_us(&self, facts: &[u64]) -> u64 {
        let behind = self.reached.iter().zip(facts);
        let behind = behind.filter(|(reached, facts)| reached.facts.load(Ordering::Acquire) < **facts);
        behind.map(|(reached, _)| reached.at_us.load(Ordering::Acquire)).min().unwrap_or(u64::MAX)
    }
}

/// Tells a shard, or gives back what it has no room for.
pub(crate) type Tell = Box<dyn Fn(ShardId, Sought, Known) -> Result<(), (Sought, Known)> + Send>;

/// The thread.
pub(super) struct Answering {
    pub(super) directory: PathBuf,
    pub(super) settings: Settings,
    pub(super) shards: Vec<Arc<Durability>>,
    pub(super) recalls: Arc<Recalls>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) tell: Tell,
}

impl Answering {
    pub(super) fn start(self) -> Result<JoinHandle<()>, Fault> {
        let spawned = thread::Builder::new().name("recall".to_owned()).spawn(move || self.run());
        spawned.map_err(|error| Fault::Store(format!("no thread for the index: {error}")))
    }

    fn run(self) {
        let _ = self.recalls.answering.set(thread::current());
        let mut file = File { opened: 0, connection: None, lookup: self.lookup() };
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut about_legs: VecDeque<(Waiting, Instant)> = VecDeque::new();
        while !self.stop.load(Ordering::Acquire) {
            self.take(&mut waiting, &mut about_legs);
            if waiting.is_empty() && about_legs.is_empty() {
                thread::park();
                continue;
            }
            for asked in std::mem::take(&mut waiting) {
                match self.known(&mut file, &asked) {
                    Some(known) => self.say(&asked.question, known),
                    None => waiting.push(asked),
                }
            }
            // Until somebody asks who waits, or those who do are looked after again.
            let pause = Instant::now() + LOOK;
            let mut look_at = None;
            while self.recalls.questions.is_empty() {
                let now = Instant::now();
                look_at = about_legs.front().map(|(_, look_at)| *look_at);
                if now >= pause || look_at.is_none_or(|look_at| look_at > now) {
                    break;
                }
                let Some((asked, _)) = about_legs.pop_front() else { break };
                match self.known(&mut file, &asked) {
                    Some(known) => self.say(&asked.question, known),
                    None => about_legs.push_back((asked, now + LOOK_FOR_LEGS)),
                }
            }
            if waiting.is_empty() && about_legs.is_empty() {
                continue;
            }
            self.recalls.writing.get().into_iter().for_each(Thread::unpark);
            let pause = (!waiting.is_empty()).then_some(pause);
            if self.recalls.questions.is_empty()
                && let Some(next) = pause.into_iter().chain(look_at).min()
            {
                thread::park_timeout(next.saturating_duration_since(Instant::now()));
            }
        }
    }

    /// All that was asked, as far as there is room. What is asked about legs is looked at before what was looked at.
    fn take(&self, waiting: &mut Vec<Waiting>, about_legs: &mut VecDeque<(Waiting, Instant)>) {
        // All that was decided before a question is among them: it is one of the effects that wait for that.
        let level = self.settings.level;
        let mut facts: Option<Arc<[u64]>> = None;
        let mut taken = |(question, until): (Question, Instant)| {
            let seen = || self.shards.iter().map(|shard| shard.seen(level)).collect();
            Waiting { question, until, facts: facts.get_or_insert_with(seen).clone() }
        };
        while waiting.len() < QUESTIONS_MAX
            && let Some(asked) = self.recalls.questions.pop()
        {
            waiting.push(taken(asked));
        }
        let now = Instant::now();
        while about_legs.len() < ABOUT_LEGS_MAX
            && let Some(asked) = self.recalls.about_legs.pop()
        {
            about_legs.push_front((taken(asked), now));
        }
    }

    fn lookup(&self) -> Lookup {
        Lookup::new(self.settings.keys.clone(), self.settings.names.clone())
    }

    fn say(&self, question: &Question, known: Known) {
        if matches!(known, Known::Unsaid) {
            self.recalls.unsaid.fetch_add(1, Ordering::Relaxed);
        }
        let mut said = (self.tell)(question.shard, question.sought, known);
        while let Err((sought, known)) = said {
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            thread::sleep(RETRY);
            said = (self.tell)(question.shard, sought, known);
        }
    }

    /// What can be said of a question now; nothing while there is time to wait for more.
    fn known(&self, file: &mut File, asked: &Waiting) -> Option<Known> {
        let question = &asked.question;
        let is_late = Instant::now() >= asked.until;
        // Before the look-up: what it finds is at least as new, unless the file became another.
        let opened = self.recalls.opened.load(Ordering::Acquire);
        let reached_us = self.recalls.reached_us(&asked.facts);
        let is_level = reached_us == u64::MAX;
        let is_past = match question.sought {
            Sought::Identity { ended_by_us, .. } => reached_us > ended_by_us,
            Sought::Leg(_) => is_level,
        };
        if !is_past {
            // Whatever is found does not count yet.
            return is_late.then_some(Known::Unsaid);
        }
        let known = match self.find(file, &question.sought) {
            _ if self.recalls.opened.load(Ordering::Acquire) != opened => None,
            Ok(Some(found)) if is_level => Some(match (found.entry, found.is_untold) {
                (Some(entry), _) => Known::Entry(Box::new(entry), found.shard),
                (None, true) => Known::Unsaid,
                (None, false) => Known::Nothing,
            }),
            Ok(None) => Some(Known::Nothing),
            Ok(Some(_)) => None,
            Err(why) => {
                file.connection = None;
                if let Trouble::Unsound(why) = why {
                    tracing::warn!(%why, "the index was asked, and what it says is not sound");
                    self.recalls.is_unsound.store(true, Ordering::Release);
                }
                None
            }
        };
        known.or(is_late.then_some(Known::Unsaid))
    }

    fn find(&self, file: &mut File, sought: &Sought) -> Result<Option<Found>, Trouble> {
        let opened = self.recalls.opened.load(Ordering::Acquire);
        if !self.recalls.is_open.load(Ordering::Acquire) {
            return Err(Trouble::Passing("there is none".to_owned()));
        }
        let connection = match file.connection.take() {
            Some(connection) if file.opened == opened => connection,
            _ => {
                *file = File { opened, connection: None, lookup: self.lookup() };
                let path = self.directory.join(store::FILES[0]);
                let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
                connection.busy_timeout(LOOK)?;
                connection
            }
        };
        let connection = file.connection.insert(connection);
        match sought {
            Sought::Identity { identity, .. } => file.lookup.find(connection, *identity),
            Sought::Leg(leg) => file.lookup.find_leg(connection, leg),
        }
    }
}

/// A question that was taken.
struct Waiting {
    question: Question,
    until: Instant,
    /// By shard: how many facts an index must hold that is level with it.
    facts: Arc<[u64]>,
}

/// The file as this thread has it open.
struct File {
    opened: u64,
    connection: Option<Connection>,
    lookup: Lookup,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_past_what_every_shard_that_is_behind_has_reached() {
        let recalls = Recalls::new(2);
        assert_eq!(recalls.reached_us(&[0, 0]), u64::MAX, "level with nothing");
        assert_eq!(recalls.reached_us(&[1, 0]), 0);
        recalls.reach(0, 7, 500);
        recalls.reach(1, 9, 300);
        assert_eq!(recalls.reached_us(&[7, 9]), u64::MAX);
        assert_eq!(recalls.reached_us(&[8, 9]), 500, "the other one is level");
        assert_eq!(recalls.reached_us(&[8, 10]), 300);
    }

    #[test]
    fn where_nobody_answers_a_question_comes_back() {
        let recalls = Recalls::new(1);
        let sought = Sought::Identity { ticket: Ticket(7), identity: Identity(1), ended_by_us: 0 };
        let question = Question { shard: ShardId(0), sought };
        assert!(recalls.ask(question).is_err_and(|question| question.sought == sought));
        assert_eq!(recalls.unsaid.load(Ordering::Relaxed), 1);
    }
}
