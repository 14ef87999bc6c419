//! What a run does: its rate, its links, and the mix of messages. Read from TOML (`raw`), checked once;
//! the rest of the program sees only this.

mod check;
mod feed;
mod program;
mod raw;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use codecs::frame::FrameFormat;
use codecs::iso8583::Dialect;
use serde::{Deserialize, Serialize};

use crate::codes::Code;
use crate::pace::Arrivals;
use crate::proof::{Program, Seals};
use crate::replay::Recording;
use crate::shape::Shape;

pub use check::dialect;
pub use feed::{Feed, Record};
pub use raw::{Overrides, RawProfile};

/// One checked profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name, for the report.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// Everything that is drawn is drawn from this.
    pub seed: u64,
    /// How much, how long, how many.
    pub load: Load,
    /// The links to the host.
    pub link: Link,
    /// Whether payments without an answer are reversed.
    pub reversals: Option<Reversals>,
    /// Where the cards are presented.
    pub terminals: Terminals,
    /// Cards whose track carries a code.
    pub programs: Vec<Arc<Program>>,
    /// What is computed for messages beside codes.
    pub seals: Seals,
    /// The kinds of messages; never empty, at least one is not a repeat.
    pub cases: Vec<Case>,
    /// Instead of drawing messages: what is sent again. Then the cases are its message types.
    pub(crate) recording: Option<Arc<Recording>>,
}

/// How much, how long, how many.
#[derive(Clone, Debug)]
pub struct Load {
    /// What decides when a message is sent.
    pub drive: Drive,
    /// Length of the run.
    pub length: Duration,
    /// How the rate changes; closed loops have none.
    pub shape: Shape,
    /// At the beginning: sent and drawn, and not in the figures.
    pub warm_up: Duration,
    /// The same at the end.
    pub cool_down: Duration,
    /// Links in all, at least one per worker.
    pub connections: usize,
    /// Threads that send and receive, here.
    pub workers: usize,
    /// Which part of the run is done here.
    pub share: Share,
    /// An answer later than this after the sending counts as late: the terminal has given up.
    pub patience: Duration,
    /// How much of each wait for the next due message is spun away instead of slept: exact, and it costs
    /// processor time.
    pub spin: Duration,
}

/// One of several generators of a run. Their schedules interlock and their keys differ as those of workers do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub struct Share {
    /// Counted from 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

impl Share {
    /// All of it.
    pub const WHOLE: Share = Share { index: 0, of: 1 };
}

impl Load {
    /// Threads of all generators together.
    pub fn workers_in_all(&self) -> usize {
        self.workers * self.share.of
    }

    /// How much, how long, how many, in a sentence.
    pub fn describe(&self) -> String {
        let drive = match self.drive {
            Drive::Open { rate, arrivals } => {
                let arrivals = format!("{arrivals:?}").to_lowercase();
                format!("open loop, {arrivals}, {rate}/s, {}", self.shape)
            }
            Drive::Closed { window } => format!("closed loop, {window} in flight on each link"),
            Drive::Replay { speed } => format!("replay, {speed} times as fast"),
        };
        let seconds = (self.length.as_secs_f64() * 100.0).round() / 100.0;
        let (links, workers) = (self.connections, self.workers);
        format!("{drive}, {seconds} s, links: {links}, workers: {workers}")
    }
}

/// What decides when a message is sent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Drive {
    /// The clock: the schedule is fixed in advance.
    Open {
        /// Messages a second, over all workers.
        rate: f64,
        /// How they follow each other.
        arrivals: Arrivals,
    },
    /// The answers: each one lets the next message go. Finds a capacity; its latencies flatter a host that
    /// stalls.
    Closed {
        /// Messages in flight on each link.
        window: usize,
    },
    /// A recording.
    Replay {
        /// How many times as fast as it was recorded.
        speed: f64,
    },
}

/// The links to the host.
#[derive(Clone, Debug)]
pub struct Link {
    /// Addresses, taken in turn by the links.
    pub connect: Vec<String>,
    /// Where the host connects to us, instead.
    pub listen: Option<String>,
    /// The dialect's name, for the report.
    pub dialect_name: String,
    /// The dialect spoken.
    pub dialect: &'static Dialect,
    /// The framing spoken.
    pub framing: FrameFormat,
    /// Whether a link signs on (0800/001) before it asks.
    pub sign_on: bool,
    /// Whether it signs off (0800/002) when the run is over.
    pub sign_off: bool,
    /// A link sends an echo test (0800/301) this often.
    pub echo_every: Option<Duration>,
    /// A link asks for a new working key (0800/161) this often.
    pub key_change_every: Option<Duration>,
    /// DE 32: who we say we are.
    pub acquirer: String,
    /// What is done wrong on purpose.
    pub manners: Manners,
}

/// What an acquirer does wrong on purpose. The default does nothing wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Manners {
    /// Messages go out a few bytes at a time.
    pub split_frames: bool,
    /// Pause after each read.
    pub slow_reader: Option<Duration>,
    /// Further links that send half a length and nothing more.
    pub half_open: usize,
    /// Each link is dropped and opened again this often.
    pub storm: Option<Duration>,
}

/// What is done about a payment whose answer did not come within the patience.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reversals {
    /// How often a reversal that is not acknowledged is repeated.
    pub repeats: u32,
    /// How long an acknowledgement is waited for.
    pub every: Duration,
}

/// Where the cards are presented.
#[derive(Clone, Copy, Debug)]
pub struct Terminals {
    /// How many there are.
    pub count: u32,
    /// Zipf's exponent; `None` means that all are equally busy.
    pub zipf: Option<f64>,
}

/// One kind of message in the mix.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, for the report.
    pub name: String,
    /// Its share of the messages, relative to the others.
    pub weight: f64,
    /// What is sent.
    pub message: CaseMessage,
    /// Answers that are right; empty when every answer is. A repeat is always expected to be answered as its
    /// original was.
    pub expect: Vec<Code>,
}

/// What a case sends.
#[derive(Clone, Debug)]
pub enum CaseMessage {
    /// A message of its own.
    First(First),
    /// An answered message of the run once more, with the repeat mark (0101, 0201, 0121).
    Repeat,
    /// The track of an approved message of a program once more, under an identity of its own: what a thief does who
    /// has read it.
    Replay,
    /// What a recording says.
    Recorded,
}

/// The shape of a first message.
#[derive(Clone, Debug)]
pub struct First {
    /// Message type, in the dialect's edition.
    pub mti: [u8; 4],
    /// Leading digits of the cards.
    pub iin: String,
    /// How many different cards.
    pub cards: u64,
    /// Where cards, amounts and terminals come from instead of being drawn.
    pub feed: Option<Arc<Feed>>,
    /// Digits of a card number.
    pub card_digits: usize,
    /// Minor units of the currency.
    pub amounts: RangeInclusive<u64>,
    /// Currency, ISO 4217 numeric.
    pub currency: [u8; 3],
    /// DE 3.
    pub processing_code: [u8; 6],
    /// DE 14, and the same in track 2: YYMM.
    pub expiry: [u8; 4],
    /// Whether track 2 is sent.
    pub track2: bool,
    /// What is wrong with it on purpose, beside an expiry in the past.
    pub flaw: Option<Flaw>,
    /// Which of the profile's programs has the cards, if one has: then the track carries a code.
    pub program: Option<usize>,
    /// Whether a PIN block is sent.
    pub pin: bool,
    /// Whether chip data with a cryptogram are sent.
    pub chip: bool,
}

impl First {
    /// The reversal of such a message: an advice, so that it must be delivered (0420, 1420).
    pub fn reversal(&self) -> First {
        First {
            mti: [self.mti[0], b'4', b'2', b'0'],
            track2: false,
            flaw: None,
            program: None,
            // Nobody types a PIN to undo what was not answered.
            pin: false,
            ..self.clone()
        }
    }
}

/// What is wrong with a message on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// The card number's check digit.
    Luhn,
    /// A letter stands in the amount.
    Format,
    /// The code in the track is another than the right one.
    Code,
}

/// A profile that cannot be used, and why. The text names the place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProfileError(pub String);

impl std::fmt::Display for ProfileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ProfileError {}

/// The profiles that come with the program.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("baseline", include_str!("../../profiles/baseline.toml")),
    ("demo", include_str!("../../profiles/demo.toml")),
    ("demo_codes", include_str!("../../profiles/demo_codes.toml")),
    ("peak", include_str!("../../profiles/peak.toml")),
    ("outage", include_str!("../../profiles/outage.toml")),
    ("chip_and_pin", include_str!("../../profiles/chip_and_pin.toml")),
    ("storm", include_str!("../../profiles/storm.toml")),
    ("slow_issuer", include_str!("../../profiles/slow_issuer.toml")),
    ("wallet", include_str!("../../profiles/wallet.toml")),
    ("replay_attack", include_str!("../../profiles/replay_attack.toml")),
    ("wrong_codes", include_str!("../../profiles/wrong_codes.toml")),
];

impl Profile {
    /// A recording that is sent again, with the usual settings.
    pub fn of_recording(overrides: &Overrides) -> Result<Profile, ProfileError> {
        let text = "name = 'replay'\ndescription = 'a recorded exchange, sent again'";
        Profile::parse(text, overrides)
    }

    /// Finds a profile by the name of a built-in one or by the path of a TOML file, and checks it.
    pub fn load(name_or_path: &str, overrides: &Overrides) -> Result<Profile, ProfileError> {
        let text = Profile::text(name_or_path)?;
        let folder = Path::new(name_or_path).parent().unwrap_or(Path::new(""));
        Profile::parse_in(folder, &text, overrides)
            .map_err(|error| ProfileError(format!("{name_or_path}: {error}")))
    }

    /// Messages with a code of program `at` that are to be expected of a run; none in a closed loop, of which nobody
    /// knows.
    pub fn codes_expected(&self, at: usize) -> Option<f64> {
        let Drive::Open { rate, .. } = self.load.drive else { return None };
        let all: f64 = self.cases.iter().map(|case| case.weight).sum();
        // What stands in for a repeat or replay without an original may fall on any of the first messages.
        let ours = |case: &&Case| match &case.message {
            CaseMessage::First(first) => first.program == Some(at),
            CaseMessage::Repeat | CaseMessage::Replay | CaseMessage::Recorded => true,
        };
        let share: f64 = self.cases.iter().filter(ours).map(|case| case.weight).sum::<f64>() / all;
        Some(rate * self.load.length.as_secs_f64() * self.load.shape.mean(self.load.length) * share)
    }

    /// Codes of program `at` that a run should have: so many more that workers whose shares fall out unequal do not run
    /// dry. In a closed loop a thousand for each card.
    pub fn codes_wanted(&self, at: usize) -> u64 {
        let Some(expected) = self.codes_expected(at) else { return 1_000 * self.programs[at].cards };
        let workers = self.load.workers_in_all() as f64;
        let of_one = expected / workers;
        ((of_one + 6.0 * of_one.sqrt() + 10.0) * workers).ceil() as u64
    }

    /// The text of a built-in profile or of a file.
    pub fn text(name_or_path: &str) -> Result<String, ProfileError> {
        let built_in = BUILT_IN.iter().find(|(name, _)| *name == name_or_path).map(|(_, text)| *text);
        match built_in {
            Some(text) => Ok(text.to_string()),
            None => std::fs::read_to_string(Path::new(name_or_path)).map_err(|error| {
                let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                ProfileError(format!(
                    "{name_or_path}: {error}, and no built-in profile has that name: {}",
                    names.join(", ")
                ))
            }),
        }
    }

    /// Reads and checks the text of a profile.
    pub fn parse(text: &str, overrides: &Overrides) -> Result<Profile, ProfileError> {
        Profile::parse_in(Path::new(""), text, overrides)
    }

    /// The same; the files that it names are looked for in `folder`.
    fn parse_in(folder: &Path, text: &str, overrides: &Overrides) -> Result<Profile, ProfileError> {
        let mut raw: RawProfile = toml::from_str(text).map_err(|error| ProfileError(error.to_string()))?;
        raw.apply(overrides);
        check::check(raw, folder)
    }
}
