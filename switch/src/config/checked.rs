//! The configuration as trusted: every value is there, within its bounds and in agreement with the others.
//! The rest of the switch sees only this.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::journal::Level;
use authorizer::atc_window::Reach;
use codecs::discretionary::Layout;
use codecs::frame::FrameFormat;
use codecs::iso8583::{Dialect, Mti};
use codecs::value::{Amount, Currency, Iin, PartyId, ResponseCode};
use hsm::token::Exposure;
use hsm::{Derivation, Padding};

/// Everything the switch is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Threads, memory and stopping.
    pub switch: Switch,
    /// The door for operators.
    pub admin: Admin,
    /// The web console, if there is one.
    pub console: Option<Console>,
    /// Which payments have lines in the log: one in so many, by their trace id; 0 for none.
    pub log_every_nth_payment: u32,
    /// The collector that takes the traces of the same payments; with the feature `otel` alone.
    pub log_otlp: Option<SocketAddr>,
    /// What strangers may take up.
    pub limits: Limits,
    /// Times that belong to links.
    pub timers: Timers,
    /// The dialects in use, each once, by the name or path that was written. All are of one edition.
    pub dialects: Vec<(String, Dialect)>,
    /// Who sends requests; at most 1 000.
    pub acquirers: Vec<Acquirer>,
    /// Who answers for cards; at most 1 000.
    pub issuers: Vec<Issuer>,
    /// Which issuer answers for which cards; no prefix twice.
    pub routes: Vec<Route>,
    /// Where facts are kept, if they are.
    pub journal: Option<Journal>,
    /// The token that checks and makes codes, if there is one.
    pub hsm: Option<Hsm>,
    /// The programs that run on card ranges; at most 1 000, and only beside a token.
    pub programs: Vec<Program>,
    /// What is allowed but looks like a mistake, one line each.
    pub warnings: Vec<String>,
}

impl Config {
    /// The codes of messages, by peer: acquirers, then issuers.
    pub(crate) fn macs(&self) -> impl Iterator<Item = (&str, Option<&Mac>)> {
        let of_acquirers = self.acquirers.iter().map(|peer| (peer.name.as_str(), peer.mac.as_ref()));
        of_acquirers.chain(self.issuers.iter().map(|peer| (peer.name.as_str(), peer.mac.as_ref())))
    }

    /// Whether the token is asked while the switch runs. The key of a journal needs it at the start alone.
    pub(crate) fn asks_token(&self) -> bool {
        !self.programs.is_empty() || self.macs().any(|(_, mac)| mac.is_some())
    }
}

/// Threads, memory and stopping.
#[derive(Clone, Debug)]
pub struct Switch {
    /// How much is forgiven.
    pub profile: Profile,
    /// Threads that decide, 1 to 64.
    pub shards: u16,
    /// Transactions in flight, per shard.
    pub pending_max: u32,
    /// Ended transactions remembered for repeats, per shard.
    pub recent_entries: u32,
    /// How long they are remembered.
    pub recent_window: Duration,
    /// How long a stop waits for transactions in flight.
    pub drain_grace: Duration,
    /// DE 39 values of issuers that count as approvals; at least one.
    pub approval_codes: Vec<ResponseCode>,
}

/// How much a configuration is forgiven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// What is convenient and unsafe is allowed where it says so itself.
    Development,
    /// It is a fault.
    Production,
}

impl Profile {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Development => "development",
            Profile::Production => "production",
        }
    }
}

/// The door for operators: metrics, health, readiness.
#[derive(Clone, Debug)]
pub struct Admin {
    /// On loopback.
    pub listen: SocketAddr,
    /// The file with the token that callers of `/v1` must show; `/v1` is shut without.
    pub token_file: Option<PathBuf>,
}

/// The web console.
#[derive(Clone, Debug)]
pub struct Console {
    /// On loopback.
    pub listen: SocketAddr,
    /// The file with the token that a browser signs in with; without one everybody on this machine may look.
    pub token_file: Option<PathBuf>,
    /// Whether anything can be changed; then there are a token and an audit log.
    pub control: bool,
    /// Where it is written down who changed what.
    pub audit_log: Option<PathBuf>,
}

/// What strangers may take up.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections on all listeners.
    pub connections_max: u32,
    /// Connections from one address.
    pub connections_per_address_max: u32,
    /// Connections taken per second on all listeners; the rest wait in the kernel.
    pub accepts_per_second: u32,
    /// TLS handshakes under way.
    pub handshakes_max: u32,
    /// Bytes a peer has not read yet, per link; above it the link is closed.
    pub output_bytes_max: usize,
    /// Messages that cannot be identified, per connection; above it the connection is closed.
    pub glitches_max: u32,
    /// Cards of programs, per shard.
    pub cards_max: u32,
    /// Reversals and advices that one issuer has not acknowledged, per shard; with so many it is asked nothing new.
    pub reversals_max: u32,
}

/// Times that belong to links.
#[derive(Clone, Debug)]
pub struct Timers {
    /// From the first byte of a frame to its last.
    pub frame: Duration,
    /// From accept or connect to the end of the handshake.
    pub tls_handshake: Duration,
    /// From connection to sign-on.
    pub sign_on: Duration,
    /// Idle time before an echo test.
    pub echo_every: Duration,
    /// How long the answer to an echo test may take.
    pub echo_wait: Duration,
    /// The first pause before connecting again.
    pub reconnect_min: Duration,
    /// The longest pause before connecting again; not less than `reconnect_min`.
    pub reconnect_max: Duration,
    /// How long sent bytes may stay unacknowledged (`TCP_USER_TIMEOUT`).
    pub user_timeout: Duration,
    /// The first pause before a reversal or an advice is sent again; each other one is twice as long.
    pub reversal_retry_min: Duration,
    /// The longest; not less than `reversal_retry_min`.
    pub reversal_retry_max: Duration,
}

/// Where facts are kept.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The data directory.
    pub dir: PathBuf,
    /// What protects card numbers in it.
    pub key: JournalKey,
    /// How far a fact must have got before anything that follows from it is seen.
    pub level: Level,
    /// At level `written`: how long what was written may stay off the disk.
    pub flush: Duration,
    /// The size of one file.
    pub segment_bytes: u64,
    /// How much may be written after a snapshot before the next one is due.
    pub snapshot_bytes: u64,
    /// How long what was written is kept.
    pub retention: Duration,
    /// The file that tells an older journal from a newer one; not in the data directory.
    pub mark_file: PathBuf,
}

/// Where the key of a journal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalKey {
    /// In a file that nobody but its owner can read.
    File(PathBuf),
    /// On the token, where it wraps the keys that are in the data directory.
    Token {
        /// Its label.
        label: String,
        /// Its check value.
        check_value: [u8; 3],
    },
}

/// A principal that sends requests.
#[derive(Clone, Debug)]
pub struct Acquirer {
    /// Among acquirers and issuers no name is given twice.
    pub name: String,
    /// How its connections come about.
    pub door: Door,
    /// Index into [`Config::dialects`].
    pub dialect: usize,
    /// Where its messages begin and end.
    pub framing: FrameFormat,
    /// Whether it must sign on before it asks.
    pub sign_on: bool,
    /// Its connections at a time.
    pub connections_max: u32,
    /// Requests in flight per connection; above it the switch stops reading.
    pub window: u32,
    /// Above it the switch stops reading; 0 for no such limit.
    pub requests_per_second: u32,
    /// It takes an approval of a part of what it asked for (DE 39 = 10 or 002); to others it is an invalid answer.
    pub partial_approvals: bool,
    /// DE 32 values it may use; empty for any.
    pub acquirer_ids: Vec<PartyId>,
    /// DE 33 values it may use; empty for any.
    pub forwarder_ids: Vec<PartyId>,
    /// Message types it may send, each without its repeat mark; empty for any.
    pub mtis: Vec<Mti>,
    /// Card prefixes it may ask for; empty for any.
    pub iins: Vec<Iin>,
    /// Prefixes of the DE 41 values it may use, 1 to 8 characters; empty for any.
    pub terminals: Vec<String>,
    /// How long it waits for an answer; longer than the timeout of every issuer.
    pub patience: Duration,
    /// The code that every message bears, both ways; nothing by default.
    pub mac: Option<Mac>,
    /// DE 39 of declines made here, by the name of the reason, where it differs from the default. Never an
    /// approval code.
    pub response_codes: Vec<(String, ResponseCode)>,
}

/// A principal that answers for cards.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Among acquirers and issuers no name is given twice.
    pub name: String,
    /// How its links come about.
    pub door: Door,
    /// Links to each address of `door`.
    pub links_per_address: u32,
    /// Index into [`Config::dialects`].
    pub dialect: usize,
    /// Where its messages begin and end.
    pub framing: FrameFormat,
    /// From the receipt of a request to the end of waiting for this issuer.
    pub timeout: Duration,
    /// Requests in flight per link.
    pub window: u32,
    /// Whether we sign on before a link is used.
    pub sign_on: bool,
    /// Whether an idle link is tested with an echo.
    pub echo: bool,
    /// The code that every message bears, both ways; nothing by default.
    pub mac: Option<Mac>,
    /// What may be approved for it while it cannot be asked; nothing by default, and only beside a journal.
    pub stand_in: Option<StandIn>,
}

/// What was agreed on with an issuer for the time when it cannot be asked. Amounts are minor units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StandIn {
    /// Cards, as the issuer knows them; at least one prefix.
    pub iins: Vec<Iin>,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The most for one purchase.
    pub floor_minor: u64,
    /// The most for one card in a day; not less than the floor.
    pub card_daily_minor: u64,
    /// The most for all cards in a day, on all shards; not less than that for one.
    pub daily_minor: u64,
}

/// The code that every message of a link bears, DE 64 or 128.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mac {
    /// The label of its key on the token.
    pub key: String,
    /// That key's check value.
    pub check_value: [u8; 3],
    /// How it is made.
    pub algorithm: MacAlgorithm,
}

/// How the code of a message is made. Eight bytes are presented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MacAlgorithm {
    /// Algorithm 3 of ISO/IEC 9797-1, with 3DES at its end.
    Algorithm3 {
        /// The check value of the key that is the left half twice, labelled as the other with `-left` behind.
        left_check_value: [u8; 3],
        /// How messages are made whole blocks.
        padding: Padding,
    },
    /// CMAC with AES.
    AesCmac,
}

/// How connections with a peer come about.
#[derive(Clone, Debug)]
pub struct Door {
    /// Who connects.
    pub way: Way,
    /// Nothing for plain TCP, which its flags have allowed.
    pub tls: Option<TlsFiles>,
}

/// Who connects. It says nothing of who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// The peer does.
    Listen(SocketAddr),
    /// We do: `host:port` each, at least one, none twice.
    Connect(Vec<String>),
}

/// What a TLS link needs. The files could be read when the configuration was; paths are relative to the
/// configuration's folder no more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// Our certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM; nobody but the owner can read the file.
    pub key: PathBuf,
    /// Whom we trust to vouch for the peer, PEM.
    pub ca: PathBuf,
    /// Certificates that are trusted no more, PEM.
    pub crl: Option<PathBuf>,
    /// The name that the peer's certificate must bear.
    pub peer_name: String,
}

/// Which issuer answers for the cards of one prefix.
#[derive(Clone, Debug)]
pub struct Route {
    /// The prefix; the longest that fits a card decides.
    pub iin: Iin,
    /// Indexes into [`Config::issuers`]: the primary one, then alternates in order; none twice.
    pub issuers: Vec<usize>,
}

/// A PKCS#11 token.
#[derive(Clone, Debug)]
pub struct Hsm {
    /// The module's library, or the name of the development token.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The file that holds the user PIN in its first line; nobody but the owner can read it.
    pub pin_file: PathBuf,
    /// Where it works.
    pub placement: Placement,
    /// Worker processes for each shard, 1 to 16.
    pub workers: u16,
    /// Keys that a worker derives before it is replaced; 0 for no end.
    pub recycle_after: u64,
    /// How long a request waits for the token.
    pub deadline: Duration,
    /// A decline for the state of a program's card or for its code is not told sooner; zero: at once.
    pub decline_floor: Duration,
}

/// Where a token works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// In processes of its own.
    Worker,
    /// In the shards' threads.
    Inline,
}

impl Placement {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Placement::Worker => "worker",
            Placement::Inline => "inline",
        }
    }
}

/// A program and the card ranges it serves.
#[derive(Clone, Debug)]
pub struct Program {
    /// No two programs have the same.
    pub name: String,
    /// Which of the published systems.
    pub kind: ProgramKind,
    /// How much of what comes of its keys may be in memory for the time of one answer.
    pub exposure: Exposure,
    /// The ranges; no other program serves one of them.
    pub iins: Vec<Iin>,
    /// Where things are in the track's discretionary data.
    pub layout: Layout,
    /// Digits of a code.
    pub code_digits: usize,
    /// The label of its master key on the token.
    pub key: String,
    /// That key's check value.
    pub check_value: [u8; 3],
    /// The master key of CVC3s, where that is what codes are: profile `cvc3`.
    pub cvc3: Option<Cvc3Key>,
    /// Whether the keys may be modifiable on the token.
    pub modifiable_key: bool,
    /// Wrong codes for one entry or challenge; a card with a counter of its own has none of these.
    pub tries_per_secret: u8,
    /// Wrong codes for one card within the window.
    pub tries_per_card: u8,
    /// That window.
    pub tries_window: Duration,
    /// The chance of a guess that it may have.
    pub guess_ceiling: f64,
}

/// From which keys of cards are derived that make CVC3s.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cvc3Key {
    /// Its label on the token.
    pub key: String,
    /// Its check value.
    pub check_value: [u8; 3],
    /// How keys of cards depend on their numbers.
    pub derivation: Derivation,
}

/// Where a response to a challenge comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResponseKind {
    /// A device computes it with a key of its account.
    Computed,
    /// It was told with the challenge, and a tag of it is stored, by AES.
    Enrolled,
    /// The same, by HMAC-SHA-256.
    EnrolledByHmac,
}

/// Which of the published systems a program is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProgramKind {
    /// Rotating application transaction counters.
    RotatingAtc,
    /// Challenge response in track data.
    Challenge {
        /// Purchases of more than this, or in another currency, need a response; nothing: all do.
        required_above: Option<Amount>,
        /// How long a challenge may be answered.
        ttl: Duration,
        /// Where responses come from.
        response: ResponseKind,
    },
    /// Ordinary contactless cards, whose codes are CVC3s over their own counters.
    Contactless {
        /// How keys of cards depend on their numbers.
        derivation: Derivation,
        /// Digits of the counter in the track.
        atc_digits: u8,
        /// How far the counter may be from the last one.
        reach: Reach,
    },
}
