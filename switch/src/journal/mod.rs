//! The journal: every fact on the disk before anything that follows from it is seen.
//!
//! ```text
//! DIR/lock                        held while a switch uses the directory
//! DIR/shards                      how many shards there are: fixed when the directory is made
//! DIR/keys                        what protects card numbers, wrapped by a token; not where it comes from a file
//! DIR/shard-000/000000001.segment batches, one per turn that had facts; a new segment at each start
//! DIR/shard-000/next              the segment after that, filled with zeros in advance
//! DIR/shard-000/000000001.snapshot what the shard knew at the end of that segment
//! DIR/index.sqlite                every request by its identity, told from the segments
//! DIR.mark                        how many facts there were: an older journal is told by it
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | `record` | a fact as bytes |
//! | `batch` | one write: checksum, chain, seal |
//! | `segment` | names and openings of segments; reading them back |
//! | `writer` | the shard's side: one write per turn |
//! | `durability` | the hand-over between the shard and the thread that waits for the disk |
//! | `keeper` | what that thread does to files: durable, and the next segment prepared |
//! | `keys` | what protects card numbers |
//! | `wrapped` | the same, wrapped by a token |
//! | `piece`, `snapshot` | what a shard knew at the end of a segment, as bytes and as a file |
//! | `fold` | the newest snapshot and the facts after it, read back |
//! | `renumber` | names that have other numbers now |
//! | `archive` | the thread that writes snapshots and removes what is over |
//! | `index` | the thread that keeps an index of them in SQLite |
//! | `mark` | tells an older journal from a newer one |
//! | `directory` | the whole data directory: lock, recovery, start |
//! | `history` | what became of every request, for `export` and `verify` |
//! | `trace` | everything that happened to one request, and when |
//!
//! Not here: what the facts mean (`authorizer::recovery`), and when they are released (`shard`).

mod archive;
mod batch;
pub mod bench;
mod directory;
mod durability;
mod fold;
pub mod history;
mod index;
mod keeper;
mod keys;
mod mark;
mod piece;
mod record;
mod renumber;
mod segment;
mod snapshot;
pub mod trace;
mod wrapped;
mod writer;

pub(crate) use archive::{Archive, Fresh};
pub(crate) use directory::{Directory, Found, examine};
pub(crate) use index::{Figures as IndexFigures, Index, Question, Recalls, Sought};
pub(crate) use keys::Keys;
pub(crate) use wrapped::{Vault, Wrapper, insist_on_none, open_or_make, rewrap};
pub(crate) use writer::{Journal, SEGMENT_BYTES_MIN, Settings};

use std::path::{Path, PathBuf};

use crate::sync;

/// How many facts stand in the payload of a batch before its end, or before something that is none: for those who test
/// the reader with bytes of their own.
#[must_use]
pub fn facts_in(payload: &[u8]) -> usize {
    let Ok(mut reader) = record::Reader::new(payload, None) else { return 0 };
    std::iter::from_fn(|| reader.next()?.ok()).count()
}

/// How far a fact must have got before anything that follows from it is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// On the disk: it survives the loss of power.
    Sync,
    /// With the operating system: it survives the end of the process, and reaches the disk soon after.
    Written,
}

impl Level {
    /// The name that configuration and health page use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Written => "written",
        }
    }
}

/// Why a journal cannot be used.
#[derive(Debug)]
pub enum Fault {
    /// What was on the disk once is not sound now. Nothing is skipped and nothing is cut off.
    Damaged {
        /// The segment.
        file: PathBuf,
        /// The first byte that cannot be trusted.
        offset: u64,
        /// In which way.
        why: &'static str,
    },
    /// It has fewer facts than it once had: an older one was put in its place.
    Older {
        /// The file that says so.
        mark: PathBuf,
        /// Of which shard.
        shard: u16,
        /// How many facts it has.
        has: u64,
        /// How many it had.
        had: u64,
    },
    /// The machine refuses something.
    Store(String),
    /// The configuration does not fit what is there.
    Config(String),
    /// Its keys cannot be had.
    Key(String),
}

impl Fault {
    fn store(path: &Path, error: &std::io::Error) -> Self {
        Self::Store(format!("{}: {error}", path.display()))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Damaged { file, offset, why } => {
                write!(f, "the journal is damaged: {} at byte {offset}: {why}", file.display())
            }
            Self::Older { mark, shard, has, had } => write!(
                f,
                "an older journal was put in the place of a newer one: shard {shard} has {has} facts and had {had}. \
                 What was used or undone since then would be good again; whoever accepts that removes {}",
                mark.display()
            ),
            Self::Store(what) | Self::Config(what) | Self::Key(what) => f.write_str(what),
        }
    }
}
