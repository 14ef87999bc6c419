//! A profile as it is written. Unknown keys are refused; every default stands here and nowhere else.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::pace::Arrivals;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProfile {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default = "one")]
    pub(super) seed: u64,
    #[serde(default)]
    pub(super) load: RawLoad,
    #[serde(default)]
    pub(super) link: RawLink,
    #[serde(default)]
    pub(super) terminals: RawTerminals,
    pub(super) reversals: Option<RawReversals>,
    #[serde(default)]
    pub(super) program: Vec<RawProgram>,
    pub(super) pin: Option<RawPin>,
    pub(super) cryptogram: Option<RawCryptogram>,
    pub(super) mac: Option<RawMac>,
    pub(super) replay: Option<RawReplay>,
    #[serde(default)]
    pub(super) case: Vec<RawCase>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLoad {
    pub(super) rate: f64,
    pub(super) seconds: f64,
    pub(super) arrivals: Arrivals,
    pub(super) closed: Option<usize>,
    /// Where nothing is said as many as a recording has, or else [`LINKS`].
    pub(super) connections: Option<usize>,
    pub(super) workers: usize,
    pub(super) shape: String,
    pub(super) warm_up: String,
    pub(super) cool_down: String,
    pub(super) patience: String,
    pub(super) spin: String,
}

impl Default for RawLoad {
    fn default() -> Self {
        RawLoad {
            rate: 1000.0,
            seconds: 10.0,
            arrivals: Arrivals::Poisson,
            closed: None,
            connections: None,
            workers: 1,
            shape: "constant".to_string(),
            warm_up: "0s".to_string(),
            cool_down: "0s".to_string(),
            patience: "10s".to_string(),
            spin: "5us".to_string(),
        }
    }
}

/// Links of a run.
pub(super) const LINKS: usize = 4;

/// A recorded exchange, in place of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReplay {
    pub(super) file: PathBuf,
    #[serde(default = "as_recorded")]
    pub(super) speed: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLink {
    pub(super) connect: Vec<String>,
    /// Instead of connecting: the host connects to this address.
    pub(super) listen: Option<String>,
    pub(super) dialect: String,
    pub(super) framing: String,
    pub(super) sign_on: bool,
    pub(super) sign_off: bool,
    pub(super) echo_every: Option<String>,
    pub(super) key_change_every: Option<String>,
    pub(super) acquirer: String,
    pub(super) split_frames: bool,
    pub(super) slow_reader: Option<String>,
    pub(super) half_open: usize,
    pub(super) storm: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawReversals {
    pub(super) repeats: u32,
    pub(super) every: String,
}

impl Default for RawReversals {
    fn default() -> Self {
        RawReversals { repeats: 3, every: "5s".to_string() }
    }
}

impl Default for RawLink {
    fn default() -> Self {
        RawLink {
            connect: vec!["127.0.0.1:7001".to_string()],
            listen: None,
            dialect: "iso87-ascii".to_string(),
            framing: "binary2".to_string(),
            sign_on: false,
            sign_off: false,
            echo_every: None,
            key_change_every: None,
            acquirer: "100001".to_string(),
            split_frames: false,
            slow_reader: None,
            half_open: 0,
            storm: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTerminals {
    pub(super) count: u32,
    pub(super) spread: Spread,
    pub(super) exponent: f64,
}

impl Default for RawTerminals {
    fn default() -> Self {
        RawTerminals { count: 1000, spread: Spread::Zipf, exponent: 1.0 }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Spread {
    Uniform,
    Zipf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCase {
    pub(super) name: String,
    pub(super) weight: f64,
    #[serde(default)]
    pub(super) expect: Vec<String>,
    /// Instead of everything below: send an answered message once more.
    #[serde(default)]
    pub(super) repeat: bool,
    /// Instead of everything below: send the track of an approved message of a program under a fresh identity.
    #[serde(default)]
    pub(super) replay: bool,
    /// The program whose cards pay; it has the card's digits.
    pub(super) program: Option<String>,
    pub(super) mti: Option<String>,
    pub(super) iin: Option<String>,
    pub(super) cards: Option<u64>,
    /// A CSV file with a head line, or JSON lines: pan, amount, terminal.
    pub(super) feed: Option<PathBuf>,
    pub(super) card_digits: Option<usize>,
    pub(super) amount: Option<[u64; 2]>,
    pub(super) currency: Option<String>,
    pub(super) processing_code: Option<String>,
    pub(super) track2: Option<bool>,
    #[serde(default)]
    pub(super) pin: bool,
    #[serde(default)]
    pub(super) chip: bool,
    pub(super) flaw: Option<RawFlaw>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawFlaw {
    Luhn,
    Expired,
    Format,
    Code,
}

/// Cards whose track carries a code.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProgram {
    pub(super) name: String,
    pub(super) kind: RawKind,
    /// The master key, 32 hexadecimal digits; or the file that has them in its first line.
    pub(super) test_key: Option<RawKey>,
    pub(super) test_key_file: Option<PathBuf>,
    /// Of rotating_atc: what codes are.
    #[serde(default)]
    pub(super) profile: RawCodes,
    /// Of profile cvc3: the master key of the cards' own keys.
    pub(super) card_test_key: Option<RawKey>,
    pub(super) card_test_key_file: Option<PathBuf>,
    pub(super) layout: Option<RawLayout>,
    /// Instead of a layout, for profile cvc3: where a contactless reader puts the digits.
    pub(super) bitmaps: Option<RawBitmaps>,
    pub(super) iin: String,
    #[serde(default = "usual_cards")]
    pub(super) cards: u64,
    #[serde(default)]
    pub(super) psn: u8,
    pub(super) funding_iin: Option<String>,
    /// JSON lines that say what each card was given.
    pub(super) grants: Option<PathBuf>,
}

/// A key as it is written; it is never shown.
#[derive(Clone, Deserialize)]
pub(super) struct RawKey(pub(super) String);

impl std::fmt::Debug for RawKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawKey")
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawKind {
    RotatingAtc,
    Challenge,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawCodes {
    #[default]
    Aes,
    Cvc3,
}

/// Tags 9F65 and 9F66 in hexadecimal, and 9F67.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBitmaps {
    pub(super) pcvc3: String,
    pub(super) punatc: String,
    pub(super) natc: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(super) enum RawLayout {
    R,
    R19,
    Q,
}

/// PIN blocks: DE 52 of the cases with `pin = true`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPin {
    pub(super) test_key: Option<RawKey>,
    pub(super) test_key_file: Option<PathBuf>,
    /// 0, or 3.
    #[serde(default)]
    pub(super) format: u8,
    /// The PIN of every card, 4 to 12 digits.
    pub(super) test_pin: RawKey,
}

/// Cryptograms: DE 55 of the cases with `chip = true`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCryptogram {
    pub(super) test_key: Option<RawKey>,
    pub(super) test_key_file: Option<PathBuf>,
}

/// MACs: DE 64 or 128 of every payment and reversal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMac {
    pub(super) test_key: Option<RawKey>,
    pub(super) test_key_file: Option<PathBuf>,
    pub(super) algorithm: RawMacAlgorithm,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawMacAlgorithm {
    Retail,
    Cmac,
}

fn usual_cards() -> u64 {
    100
}

fn as_recorded() -> f64 {
    1.0
}

fn one() -> u64 {
    1
}

/// What the command line sets instead of the file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Overrides {
    /// Addresses of the host.
    pub connect: Vec<String>,
    /// Where the host connects.
    pub listen: Option<String>,
    /// Messages a second.
    pub rate: Option<f64>,
    /// Seconds of the run.
    pub seconds: Option<f64>,
    /// How messages follow each other.
    pub arrivals: Option<Arrivals>,
    /// Closed loop with so many in flight on each link.
    pub closed: Option<usize>,
    /// Links.
    pub connections: Option<usize>,
    /// Threads.
    pub workers: Option<usize>,
    /// Seed of the draws.
    pub seed: Option<u64>,
    /// Dialect.
    pub dialect: Option<String>,
    /// Framing.
    pub framing: Option<String>,
    /// How the rate changes.
    pub shape: Option<String>,
    /// What is cut off at the beginning.
    pub warm_up: Option<String>,
    /// What is cut off at the end.
    pub cool_down: Option<String>,
    /// When an answer is late.
    pub patience: Option<String>,
    /// How much of a wait is spun away.
    pub spin: Option<String>,
    /// What is sent again.
    pub replay: Option<PathBuf>,
    /// How many times as fast.
    pub speed: Option<f64>,
}

impl RawProfile {
    /// Puts what the command line said over what the file says.
    pub(super) fn apply(&mut self, overrides: &Overrides) {
        fn set<T: Clone>(target: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                *target = value.clone();
            }
        }
        if !overrides.connect.is_empty() {
            self.link.connect = overrides.connect.clone();
        }
        if overrides.listen.is_some() {
            self.link.listen = overrides.listen.clone();
        }
        set(&mut self.seed, &overrides.seed);
        set(&mut self.load.rate, &overrides.rate);
        set(&mut self.load.seconds, &overrides.seconds);
        set(&mut self.load.arrivals, &overrides.arrivals);
        set(&mut self.load.workers, &overrides.workers);
        set(&mut self.load.shape, &overrides.shape);
        set(&mut self.load.warm_up, &overrides.warm_up);
        set(&mut self.load.cool_down, &overrides.cool_down);
        set(&mut self.load.patience, &overrides.patience);
        set(&mut self.load.spin, &overrides.spin);
        set(&mut self.link.dialect, &overrides.dialect);
        set(&mut self.link.framing, &overrides.framing);
        if overrides.connections.is_some() {
            self.load.connections = overrides.connections;
        }
        if overrides.closed.is_some() {
            self.load.closed = overrides.closed;
        }
        if let Some(file) = &overrides.replay {
            // It is named from where the command is given, not from where the profile lies.
            let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            self.replay = Some(RawReplay { file, speed: as_recorded() });
            self.case.clear();
        }
        if let Some(replay) = &mut self.replay {
            set(&mut replay.speed, &overrides.speed);
        }
    }
}
