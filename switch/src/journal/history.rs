//! What became of every request, told from the facts that are kept: `signalbox export` and `signalbox verify`. Both read
//! only, need no key, and never show a card number. A request whose beginning is no longer kept is told only where
//! something of it is still open, or a reversal says what it was.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher;
use std::io::{self, Write};
use std::path::Path;

use authorizer::advice::Advice;
use authorizer::decision::{Outcome, Verdict};
use authorizer::event::ShardId;
use authorizer::fact::Fact;
use authorizer::programs::Question;
use authorizer::request::{Asked, Identity};
use authorizer::saf::{Reversal, Stored, Why};
use authorizer::snapshot::{Piece, Unacknowledged};
use authorizer::transaction::Sent;
use codecs::value::Stan;
use serde_json::{Value, json};
use siphasher::sip128::{Hasher128, SipHasher13};

use super::record::CardToken;
use super::segment::{self, Names, Recorded, Span};
use super::{Fault, Keys, snapshot};

/// What the facts of a data directory come to.
#[derive(Default)]
pub struct History {
    /// In the order of their first fact.
    payments: Vec<Payment>,
    by_identity: HashMap<Identity, usize>,
    /// By shard, issuer's name and trace number.
    undoings: HashMap<(u16, String, u32), usize>,
    reversals: Vec<Undoing>,
    /// Facts read.
    pub facts: u64,
    /// Snapshots read.
    pub snapshots: u64,
    /// Segments were removed from the shard that is being read: not every fact has its beginning.
    is_cut: bool,
    /// Bytes behind the end that a process was writing when it ended.
    pub torn_bytes: u64,
    broken: Vec<String>,
    /// By card, bundle where it is of one, and ATC.
    claims: BTreeMap<(u64, Option<u32>, u16), u32>,
}

struct Payment {
    shard: u16,
    segment: u64,
    offset: u64,
    asked: Option<Asked>,
    acquirer: String,
    issuer: Option<String>,
    issuer_stan: Option<u32>,
    token: Option<CardToken>,
    at_us: u64,
    ended_us: Option<u64>,
    outcome: Option<Outcome>,
    state: State,
    left_minor: Option<u64>,
    is_stood_in: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    InDoubt,
    Approved,
    /// An advice of the acquirer was taken.
    Advised,
    Declined,
    TimedOut,
    Reversed,
    PartlyReversed,
    Tombstone,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::InDoubt => "in_doubt",
            Self::Approved => "approved",
            Self::Advised => "advised",
            Self::Declined => "declined",
            Self::TimedOut => "timed_out",
            Self::Reversed => "reversed",
            Self::PartlyReversed => "partly_reversed",
            Self::Tombstone => "tombstone",
        }
    }
}

/// What an issuer is told until it acknowledges, and what that says of the payment.
struct Told<'a> {
    sent: &'a Sent,
    stan: Stan,
    why: &'static str,
    left_minor: u64,
    state: (State, Option<u64>),
    is_stood_in: bool,
}

impl<'a> From<&'a Reversal> for Told<'a> {
    fn from(reversal: &'a Reversal) -> Self {
        let state = match (reversal.why, reversal.left_minor) {
            (Why::Acquirer, 0) => (State::Reversed, Some(0)),
            (Why::Acquirer, left) => (State::PartlyReversed, Some(left)),
            _ => (State::TimedOut, None),
        };
        let Reversal { sent, stan, left_minor, .. } = reversal;
        let why = reversal.why.name();
        Self { sent, stan: *stan, why, left_minor: *left_minor, state, is_stood_in: false }
    }
}

impl<'a> From<&'a Advice> for Told<'a> {
    fn from(advice: &'a Advice) -> Self {
        let is_stood_in = advice.is_stand_in();
        let state = if is_stood_in { State::Approved } else { State::Advised };
        let sent = &advice.sent;
        Self { sent, stan: sent.stan, why: ADVICE, left_minor: 0, state: (state, None), is_stood_in }
    }
}

impl<'a> From<&'a Stored> for Told<'a> {
    fn from(message: &'a Stored) -> Self {
        match message {
            Stored::Reversal(reversal) => Self::from(reversal),
            Stored::Advice(advice) => Self::from(advice),
        }
    }
}

/// What stands for the reason of a reversal where it is none.
const ADVICE: &str = "advice";

struct Undoing {
    of: Identity,
    issuer: String,
    stan: u32,
    why: &'static str,
    left_minor: u64,
    at_us: u64,
    done_us: Option<u64>,
    state: &'static str,
}

impl History {
    /// Reads a data directory.
    ///
    /// # Errors
    /// When it is damaged, or cannot be read.
    pub fn read(directory: &Path) -> Result<Self, Fault> {
        let mut history = Self::default();
        for shard in shards(directory)? {
            let segments = segment::numbers(&segment::folder(directory, shard), segment::ENDING)?;
            history.is_cut = segments.first().is_some_and(|first| *first > 1);
            history.read_snapshots(directory, shard)?;
            let keys = None::<&Keys>;
            let tail = segment::read(directory, shard, keys, Span::default(), &mut |recorded| {
                history.facts += 1;
                history.take(shard, &recorded);
            })?;
            history.torn_bytes += tail.torn_bytes;
        }
        Ok(history)
    }

    /// All must be sound. The newest knows of reversals that wait since before the segments that are kept.
    fn read_snapshots(&mut self, directory: &Path, shard: ShardId) -> Result<(), Fault> {
        let mut waiting = Vec::new();
        for number in snapshot::numbers(directory, shard, u64::MAX)? {
            waiting.clear();
            self.snapshots += 1;
            snapshot::read(directory, shard, number, None, &mut |piece, names| {
                if let Piece::Stored(stored) = piece {
                    let sent = stored.message.sent();
                    let issuer = name(&names.issuers, sent.to.issuer.index());
                    let acquirer = name(&names.acquirers, sent.asked.acquirer.index());
                    waiting.push((stored, issuer, acquirer));
                }
            })?;
        }
        if self.is_cut {
            for (waiting, issuer, acquirer) in waiting {
                self.waits(shard, &waiting, issuer, acquirer);
            }
        }
        Ok(())
    }

    /// A message that a snapshot knows, and the payment that it is about.
    fn waits(&mut self, shard: ShardId, waiting: &Unacknowledged, issuer: String, acquirer: String) {
        let told = &Told::from(&waiting.message);
        let place = self.place(told.sent.asked.identity, shard, (0, 0, waiting.since_us));
        let payment = &mut self.payments[place];
        payment.issuer = Some(issuer.clone());
        payment.acquirer = acquirer;
        payment.known_by(told);
        let key = (shard.0, issuer.clone(), told.stan.number());
        self.undoings.insert(key, self.reversals.len());
        let mut undoing = Undoing::new(told, issuer, waiting.since_us);
        if waiting.is_parked {
            undoing.state = "parked";
        }
        self.reversals.push(undoing);
    }

    fn take(&mut self, shard: ShardId, recorded: &Recorded<'_>) {
        match &recorded.fact {
            Fact::Intent(sent) => self.sent(shard, recorded, sent),
            Fact::Result { identity, outcome } => self.ended(*identity, *outcome, recorded),
            Fact::Timeout { identity, outcome, undo } => {
                self.ended(*identity, *outcome, recorded);
                self.of(*identity, recorded).state = State::TimedOut;
                self.undo(shard, undo.as_deref(), recorded);
            }
            Fact::Reversed { identity, left_minor, undo } => {
                if !self.by_identity.contains_key(identity) {
                    // It waited for the token, and no issuer was to be asked yet.
                    self.begin(*identity, shard, recorded);
                }
                let payment = self.of(*identity, recorded);
                payment.left_minor = Some(*left_minor);
                payment.state = if *left_minor == 0 { State::Reversed } else { State::PartlyReversed };
                payment.ended_us = payment.ended_us.or(Some(recorded.at_us));
                self.undo(shard, undo.as_deref(), recorded);
            }
            Fact::Tombstone { identity, acquirer } => {
                let name = name(&recorded.names.acquirers, acquirer.index());
                let place = self.begin(*identity, shard, recorded);
                self.payments[place].acquirer = name;
                self.payments[place].state = State::Tombstone;
            }
            Fact::Advised(advice) => {
                self.sent(shard, recorded, &advice.sent);
                self.ended(advice.sent.asked.identity, advice.outcome, recorded);
                self.of(advice.sent.asked.identity, recorded).is_stood_in = advice.is_stand_in();
                self.stored(shard, &Told::from(&**advice), recorded);
            }
            Fact::ReversalDone { issuer, stan } => {
                let known = self.undoing(shard, recorded, issuer.index(), stan.number());
                if let Some(undoing) = known {
                    undoing.state = "done";
                    undoing.done_us = Some(recorded.at_us);
                }
            }
            Fact::ReversalParked { issuer, stan } => {
                if let Some(undoing) = self.undoing(shard, recorded, issuer.index(), stan.number()) {
                    undoing.state = "parked";
                }
            }
            Fact::ReversalReleased { issuer, stan } => {
                if let Some(undoing) = self.undoing(shard, recorded, issuer.index(), stan.number()) {
                    undoing.state = "waiting";
                }
            }
            Fact::Declined { asked, outcome } => {
                let place = self.begin(asked.identity, shard, recorded);
                self.payments[place].acquirer = name(&recorded.names.acquirers, asked.acquirer.index());
                self.payments[place].asked = Some(*asked);
                self.ended(asked.identity, *outcome, recorded);
            }
            Fact::Judged { account, question, is_right, .. } => self.judged(account.0, question, *is_right),
            Fact::Provisioned(_) => {}
            Fact::Late { undo, .. } => self.undo(shard, undo.as_deref(), recorded),
        }
    }

    fn sent(&mut self, shard: ShardId, recorded: &Recorded<'_>, sent: &Sent) {
        let place = self.begin(sent.asked.identity, shard, recorded);
        let payment = &mut self.payments[place];
        payment.asked = Some(sent.asked);
        payment.acquirer = name(&recorded.names.acquirers, sent.asked.acquirer.index());
        payment.issuer = Some(name(&recorded.names.issuers, sent.to.issuer.index()));
        payment.issuer_stan = Some(sent.stan.number());
        payment.token = recorded.token;
    }

    /// The payment of an identity: a new one, or the one that comes again after it was put off or declined.
    fn begin(&mut self, identity: Identity, shard: ShardId, recorded: &Recorded<'_>) -> usize {
        let at = (recorded.segment, recorded.offset, recorded.at_us);
        let place = self.place(identity, shard, at);
        self.payments[place].state = State::InDoubt;
        place
    }

    fn place(
        &mut self,
        identity: Identity,
        shard: ShardId,
        (segment, offset, at_us): (u64, u64, u64),
    ) -> usize {
        if let Some(place) = self.by_identity.get(&identity) {
            return *place;
        }
        self.by_identity.insert(identity, self.payments.len());
        self.payments.push(Payment {
            shard: shard.0,
            segment,
            offset,
            asked: None,
            acquirer: String::new(),
            issuer: None,
            issuer_stan: None,
            token: None,
            at_us,
            ended_us: None,
            outcome: None,
            state: State::InDoubt,
            left_minor: None,
            is_stood_in: false,
        });
        self.payments.len() - 1
    }

    fn ended(&mut self, identity: Identity, outcome: Outcome, recorded: &Recorded<'_>) {
        let payment = self.of(identity, recorded);
        payment.outcome = Some(outcome);
        payment.ended_us = Some(recorded.at_us);
        payment.state = match outcome.verdict {
            Verdict::Approved => State::Approved,
            Verdict::Declined(_) => State::Declined,
            Verdict::Taken => State::Advised,
        };
    }

    /// The payment that a fact ends. One that nothing began breaks the law of the journal, where all of it is kept.
    fn of(&mut self, identity: Identity, recorded: &Recorded<'_>) -> &mut Payment {
        if !self.by_identity.contains_key(&identity) && !self.is_cut {
            self.broken.push(format!(
                "segment {} byte {}: an end without a beginning",
                recorded.segment, recorded.offset
            ));
        }
        let place = match self.by_identity.get(&identity) {
            Some(place) => *place,
            None => self.begin(identity, ShardId(0), recorded),
        };
        &mut self.payments[place]
    }

    fn undo(&mut self, shard: ShardId, undo: Option<&Reversal>, recorded: &Recorded<'_>) {
        let Some(reversal) = undo else { return };
        self.stored(shard, &Told::from(reversal), recorded);
    }

    /// Something that an issuer is told until it acknowledges.
    fn stored(&mut self, shard: ShardId, told: &Told<'_>, recorded: &Recorded<'_>) {
        let issuer = name(&recorded.names.issuers, told.sent.to.issuer.index());
        let key = (shard.0, issuer.clone(), told.stan.number());
        let identity = told.sent.asked.identity;
        let known = self.undoings.get(&key).map(|place| &self.reversals[*place]);
        if self.is_cut && known.is_some_and(|known| known.of == identity && known.state != "done") {
            // The snapshot has told of it already.
            return;
        }
        let acquirer = name(&recorded.names.acquirers, told.sent.asked.acquirer.index());
        let payment = self.of(identity, recorded);
        if payment.asked.is_none() {
            payment.issuer = Some(issuer.clone());
            payment.acquirer = acquirer;
            payment.known_by(told);
        }
        self.undoings.insert(key, self.reversals.len());
        self.reversals.push(Undoing::new(told, issuer, recorded.at_us));
    }

    fn undoing(
        &mut self,
        shard: ShardId,
        recorded: &Recorded<'_>,
        issuer: usize,
        stan: u32,
    ) -> Option<&mut Undoing> {
        let key = (shard.0, name(&recorded.names.issuers, issuer), stan);
        let place = self.undoings.get(&key).copied();
        if place.is_none() && !self.is_cut {
            self.broken.push(format!(
                "segment {} byte {}: an acknowledgement of nothing that was stored",
                recorded.segment, recorded.offset
            ));
        }
        self.reversals.get_mut(place?)
    }

    fn judged(&mut self, account: u64, question: &Question, is_right: bool) {
        let claimed = match question {
            Question::RotatingCode { bundle, atc, .. } => Some((Some(*bundle), *atc)),
            Question::CardCode { atcs, .. } => atcs.only().map(|atc| (None, atc)),
            Question::Response { .. } => None,
        };
        let Some((bundle, atc)) = claimed.filter(|_| is_right) else { return };
        let times = self.claims.entry((account, bundle, atc)).or_default();
        *times += 1;
        if *times == 2 {
            let public = if bundle.is_some() { "public " } else { "" };
            self.broken.push(format!("{public}ATC {atc} of one card was accepted twice"));
        }
    }

    /// What breaks a law that the facts must keep.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = self.broken.clone();
        for payment in &self.payments {
            let is_reversal = payment.asked.is_some_and(|asked| asked.class.is_reversal());
            if is_reversal {
                broken.push(format!(
                    "segment {} byte {}: a reversal as a payment",
                    payment.segment, payment.offset
                ));
            }
        }
        broken
    }

    /// Payments whose end was not written down, and reversals that wait: how many of each.
    #[must_use]
    pub fn open(&self) -> (usize, usize) {
        let in_doubt = self.payments.iter().filter(|payment| payment.state == State::InDoubt).count();
        (in_doubt, self.reversals.iter().filter(|undoing| undoing.state != "done").count())
    }

    /// A hash over everything that became of everything: the same after one recovery and after many.
    #[must_use]
    pub fn state_hash(&self) -> String {
        let mut lines: Vec<String> =
            self.with_reversals().map(|(payment, reversals)| payment.said(&reversals).to_string()).collect();
        lines.sort_unstable();
        let mut hasher = SipHasher13::new();
        lines.iter().for_each(|line| hasher.write(line.as_bytes()));
        format!("{:032x}", hasher.finish128().as_u128())
    }

    /// One JSON object a line: each request, with its reversals.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn export(&self, out: &mut impl Write) -> io::Result<()> {
        for (payment, reversals) in self.with_reversals() {
            let mut line = payment.said(&reversals);
            line["received_us"] = json!(payment.at_us);
            line["ended_us"] = json!(payment.ended_us);
            line["at"] =
                json!({ "shard": payment.shard, "segment": payment.segment, "offset": payment.offset });
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    /// Every payment, in order, with what was told to issuers to undo it.
    fn with_reversals(&self) -> impl Iterator<Item = (&Payment, Vec<Value>)> {
        let mut of: HashMap<Identity, Vec<&Undoing>> = HashMap::new();
        for undoing in &self.reversals {
            of.entry(undoing.of).or_default().push(undoing);
        }
        let mut identities: Vec<(&Identity, &usize)> = self.by_identity.iter().collect();
        identities.sort_unstable_by_key(|(_, place)| **place);
        // What began before the kept segments and is not open can be told by nobody.
        let is_told = |place: &usize| {
            let payment = &self.payments[*place];
            payment.asked.is_some() || payment.state == State::Tombstone || !payment.acquirer.is_empty()
        };
        identities.into_iter().filter(move |(_, place)| is_told(place)).map(move |(identity, place)| {
            let reversals = of.get(identity).into_iter().flatten().map(|undoing| undoing.said()).collect();
            (&self.payments[*place], reversals)
        })
    }
}

impl Payment {
    /// Its beginning is no longer kept; what its issuer was told says what it was.
    fn known_by(&mut self, told: &Told<'_>) {
        self.asked = Some(told.sent.asked);
        self.issuer_stan = Some(told.sent.stan.number());
        (self.state, self.left_minor) = told.state;
        self.is_stood_in = told.is_stood_in;
    }

    /// `reversals` are all that its issuer was told of it, an advice too.
    fn said(&self, reversals: &[Value]) -> Value {
        let asked = self.asked.as_ref();
        let keys = asked.map(|asked| &asked.keys);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let outcome = self.outcome.as_ref();
        let (advices, reversals): (Vec<_>, Vec<_>) =
            reversals.iter().cloned().partition(|stored| stored["why"] == ADVICE);
        let advice = advices.into_iter().next();
        json!({
            "acquirer": self.acquirer,
            "class": asked.map(|asked| asked.class.name()),
            "state": self.state.name(),
            "de4": asked.map(|asked| asked.amount.minor()),
            "de49": asked.map(|asked| asked.amount.currency().number()),
            "de7": keys.map(|keys| format!("{:010}", keys.moment)),
            "de11": asked.map(|asked| format!("{:06}", asked.stan.number())),
            "de32": keys.and_then(|keys| keys.acquirer).map(|party| party.number()),
            "de33": asked.and_then(|asked| asked.forwarder).map(|party| party.number()),
            "de37": keys.and_then(|keys| keys.rrn).map(|rrn| text(rrn.as_bytes())),
            "de41": keys.and_then(|keys| keys.terminal).map(|terminal| text(terminal.as_bytes())),
            "de42": keys.and_then(|keys| keys.merchant).map(|merchant| text(merchant.as_bytes())),
            "de38": outcome.and_then(|outcome| outcome.approval_code).map(|code| text(code.as_bytes())),
            "de39": outcome.map(|outcome| text(outcome.response_code.as_bytes())),
            "approved_minor": outcome.and_then(|outcome| outcome.approved_minor),
            "reason": outcome.and_then(|outcome| match outcome.verdict {
                Verdict::Declined(reason) => Some(reason.name()),
                Verdict::Approved | Verdict::Taken => None,
            }),
            "left_minor": self.left_minor,
            "stood_in": self.is_stood_in,
            "issuer": self.issuer,
            "issuer_de11": self.issuer_stan.map(|stan| format!("{stan:06}")),
            "card_token": self.token.map(|token| token.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
            "advice": advice,
            "reversals": reversals,
        })
    }
}

impl Undoing {
    fn new(told: &Told<'_>, issuer: String, at_us: u64) -> Self {
        Self {
            of: told.sent.asked.identity,
            issuer,
            stan: told.stan.number(),
            why: told.why,
            left_minor: told.left_minor,
            at_us,
            done_us: None,
            state: "waiting",
        }
    }

    fn said(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "de11": format!("{:06}", self.stan),
            "why": self.why,
            "left_minor": self.left_minor,
            "state": self.state,
            "since_us": self.at_us,
            "done_us": self.done_us,
        })
    }
}

/// The shards of a data directory.
pub(super) fn shards(directory: &Path) -> Result<impl Iterator<Item = ShardId> + use<>, Fault> {
    let shards = std::fs::read_to_string(directory.join("shards"))
        .ok()
        .and_then(|text| text.trim().parse::<u16>().ok())
        .ok_or_else(|| Fault::Config(format!("{}: no journal is here", directory.display())))?;
    Ok((0..shards).map(ShardId))
}

/// A name of the configuration by its number in facts.
pub(super) fn name(names: &[String], index: usize) -> String {
    names.get(index).cloned().unwrap_or_default()
}

/// The names that a journal's facts refer to.
pub(crate) fn names(config: &crate::config::Config) -> Names {
    Names {
        acquirers: config.acquirers.iter().map(|acquirer| acquirer.name.clone()).collect(),
        issuers: config.issuers.iter().map(|issuer| issuer.name.clone()).collect(),
        programs: config.programs.iter().map(|program| program.name.clone()).collect(),
    }
}
