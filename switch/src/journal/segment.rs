//! Segments: files of batches. The first batch of each, its opening, says whose it is, under which key its card numbers
//! are, how the names of the configuration were numbered when it was written, and where the segment before it ended.
//! That end is final: nothing is ever written behind it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use authorizer::event::ShardId;
use authorizer::fact::Fact;
use serde::{Deserialize, Serialize};

use super::batch::{self, Kind, Sum};
use super::keys::{Keys, Sealer};
use super::record::{CardToken, NotARecord, Reader};
use super::{Fault, batch::Batch};

/// The format this version writes, and the only one it reads.
const VERSION: u16 = 2;
/// The ending of a segment's name.
pub(super) const ENDING: &str = ".segment";
/// More than the longest opening: the names of a few thousand peers.
const OPENING_MAX: u64 = 512 << 10;

/// The names of a configuration by their numbers in facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Names {
    /// By `AcquirerId`.
    pub(crate) acquirers: Vec<String>,
    /// By `IssuerId`.
    pub(crate) issuers: Vec<String>,
    /// By `ProgramId`.
    pub(crate) programs: Vec<String>,
}

/// What the first batch of a segment says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opening {
    pub(super) version: u16,
    pub(super) shard: u16,
    pub(super) number: u64,
    pub(super) salt: [u8; 32],
    /// The data key that its own key comes from.
    pub(super) key: u32,
    pub(super) key_check: [u8; 8],
    /// Where the segment before this one ended.
    pub(super) previous_end: u64,
    pub(super) names: Names,
}

impl Opening {
    pub(super) fn new(
        shard: ShardId,
        number: u64,
        keys: &Keys,
        previous_end: u64,
        names: &Names,
    ) -> Result<Self, Fault> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(|error| Fault::Store(format!("no randomness: {error}")))?;
        let (key, key_check) = keys.newest();
        Ok(Self {
            version: VERSION,
            shard: shard.0,
            number,
            salt,
            key,
            key_check,
            previous_end,
            names: names.clone(),
        })
    }

    pub(super) fn read(batch: &Batch<'_>) -> Option<Self> {
        serde_json::from_slice(batch.payload).ok()
    }

    /// What opens the card numbers of its file; nothing without the keys.
    pub(super) fn sealer(
        &self,
        path: &Path,
        shard: ShardId,
        keys: Option<&Keys>,
    ) -> Result<Option<Sealer>, Fault> {
        if self.version != VERSION {
            return Err(another_version(path, Some(self.version)));
        }
        let Some(keys) = keys else { return Ok(None) };
        match keys.for_old((self.key, self.key_check), &self.salt, shard) {
            None => Err(Fault::Key(format!("{}: written under another key", path.display()))),
            sealer => Ok(sealer),
        }
    }
}

/// Its version is said where it is known.
pub(super) fn another_version(path: &Path, version: Option<u16>) -> Fault {
    let theirs = version.map_or_else(|| "another version".to_owned(), |version| format!("version {version}"));
    Fault::Config(format!(
        "{}: written in {theirs} of the journal's format, and this signalbox reads version {VERSION} alone; use the one \
         that wrote it until nothing of it is open, then begin with an empty directory",
        path.display()
    ))
}

/// The name of a segment's file.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:09}{ENDING}")
}

/// The folder of a shard.
pub(super) fn folder(directory: &Path, shard: ShardId) -> PathBuf {
    directory.join(format!("shard-{:03}", shard.0))
}

/// One fact of the past.
pub(super) struct Recorded<'a> {
    pub(super) fact: Fact,
    /// The token of the card it names.
    pub(super) token: Option<CardToken>,
    /// When it was written, microseconds of the shard's clock.
    pub(super) at_us: u64,
    pub(super) names: &'a Names,
    /// In which segment its batch is, and where.
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// Where the facts of a shard end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// The last segment; 0 where there is none.
    pub(super) number: u64,
    /// Where it ends.
    pub(super) end: u64,
    pub(super) sum: Sum,
    /// How many facts were ever written.
    pub(super) position: u64,
    /// When the last batch was written.
    pub(super) at_us: u64,
    /// Bytes behind the end that were being written when the process ended.
    pub(super) torn_bytes: u64,
}

/// The numbers of a shard's files with this ending, ascending.
pub(super) fn numbers(folder: &Path, ending: &str) -> Result<Vec<u64>, Fault> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Fault::store(folder, &error)),
    };
    let number = |name: String| name.strip_suffix(ending)?.parse().ok();
    let mut numbers: Vec<u64> =
        entries.flatten().filter_map(|entry| number(entry.file_name().into_string().ok()?)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Which segments are to be read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    /// The first follows this place; where it is not said, the first that is there is taken.
    pub(super) after: Option<Tail>,
    /// The last; where it is not said, the last that is there.
    pub(super) until: Option<u64>,
    /// Those that ended before this moment are left out, microseconds since 1970.
    pub(super) since_us: Option<u64>,
}

/// Reads what a shard has written, in order. Without the keys card numbers stay closed.
pub(super) fn read(
    directory: &Path,
    shard: ShardId,
    keys: Option<&Keys>,
    span: Span,
    each: &mut dyn FnMut(Recorded<'_>),
) -> Result<Tail, Fault> {
    let folder = folder(directory, shard);
    let mut numbers = numbers(&folder, ENDING)?;
    numbers.retain(|number| span.after.is_none_or(|after| *number > after.number));
    if let Some(since_us) = span.since_us {
        numbers.drain(..before(&folder, &numbers, since_us)?);
    }
    let mut tail = span.after.unwrap_or_default();
    let mut expected = span.after.map(|after| after.number + 1);
    for (place, number) in numbers.iter().enumerate() {
        if span.until.is_some_and(|until| *number > until) {
            break;
        }
        if expected.is_some_and(|expected| expected != *number) {
            let file = folder.join(file_name(expected.unwrap_or_default()));
            return Err(Fault::Damaged { file, offset: 0, why: "it is missing" });
        }
        expected = Some(number + 1);
        let path = folder.join(file_name(*number));
        let bytes = fs::read(&path).map_err(|error| Fault::store(&path, &error))?;
        if batch::is_earlier(&bytes) {
            return Err(another_version(&path, Some(VERSION - 1)));
        }
        let next = numbers.get(place + 1).map(|next| folder.join(file_name(*next)));
        let end = match &next {
            Some(next) => opening(next)?.map(|(opening, _)| opening.previous_end),
            None => None,
        };
        let segment = Reading { path: &path, bytes: &bytes, number: *number, shard, end };
        if next.is_none() && end.is_none() && segment.was_never_opened() {
            // The process ended before the first batch of a new segment was whole: nothing was written to it.
            tail.torn_bytes = 0;
            break;
        }
        let is_first = place == 0 && span.after.is_none();
        segment.read(keys, &mut tail, is_first, each)?;
    }
    Ok(tail)
}

/// How many segments had ended at a moment: those before the last one that was opened before it.
fn before(folder: &Path, numbers: &[u64], since_us: u64) -> Result<usize, Fault> {
    for (place, number) in numbers.iter().enumerate().rev() {
        let opened = opening(&folder.join(file_name(*number)))?;
        if opened.is_some_and(|(_, at_us)| at_us < since_us) {
            return Ok(place);
        }
    }
    Ok(0)
}

/// What a segment's first batch says, and when it was written. Nothing where that batch is not sound.
pub(super) fn opening(path: &Path) -> Result<Option<(Opening, u64)>, Fault> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(OPENING_MAX).read_to_end(&mut bytes));
    read.map_err(|error| Fault::store(path, &error))?;
    Ok(batch::read(&bytes).and_then(|opening| Some((Opening::read(&opening)?, opening.at_us))))
}

/// One segment that is being read.
struct Reading<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    number: u64,
    shard: ShardId,
    /// Where the next segment says that this one ended; `None` for the last one.
    end: Option<u64>,
}

impl Reading<'_> {
    /// Whether nothing sound was ever written to it.
    fn was_never_opened(&self) -> bool {
        batch::read(self.bytes).is_none() && self.later_claims(0).is_none()
    }

    fn read(
        &self,
        keys: Option<&Keys>,
        tail: &mut Tail,
        is_first: bool,
        each: &mut dyn FnMut(Recorded<'_>),
    ) -> Result<(), Fault> {
        let (opening, sealer) = self.opening(keys, tail, is_first)?;
        let mut offset = 0;
        loop {
            if self.end == Some(offset as u64) {
                break;
            }
            let Some(batch) = batch::read(self.bytes.get(offset..).unwrap_or_default()) else {
                self.insist_on_torn(offset)?;
                break;
            };
            if offset > 0 && batch.previous != tail.sum {
                return Err(self.damaged(offset, "it does not follow what is before it"));
            }
            if batch.kind == Kind::Facts {
                self.facts(&batch, offset, &opening, sealer.as_ref(), each)?;
                tail.position = batch.first + u64::from(batch.records) - 1;
            }
            tail.sum = batch.sum;
            tail.at_us = tail.at_us.max(batch.at_us);
            offset += batch.bytes();
        }
        tail.number = self.number;
        tail.end = offset as u64;
        let rest = self.bytes.get(offset..).unwrap_or_default();
        tail.torn_bytes = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
        Ok(())
    }

    fn opening(
        &self,
        keys: Option<&Keys>,
        tail: &Tail,
        is_first: bool,
    ) -> Result<(Opening, Option<Sealer>), Fault> {
        let Some(batch) = batch::read(self.bytes).filter(|batch| batch.kind == Kind::Opening) else {
            return Err(self.damaged(0, "its opening is not sound"));
        };
        let Some(opening) = Opening::read(&batch) else {
            return Err(another_version(self.path, None));
        };
        if opening.number != self.number || opening.shard != self.shard.0 {
            return Err(self.damaged(0, "it is the opening of another segment"));
        }
        if !is_first && (batch.previous != tail.sum || opening.previous_end != tail.end) {
            return Err(self.damaged(0, "it does not follow the segment before it"));
        }
        let sealer = opening.sealer(self.path, self.shard, keys)?;
        Ok((opening, sealer))
    }

    fn facts(
        &self,
        batch: &Batch<'_>,
        offset: usize,
        opening: &Opening,
        sealer: Option<&Sealer>,
        each: &mut dyn FnMut(Recorded<'_>),
    ) -> Result<(), Fault> {
        let unknown = |NotARecord| self.damaged(offset, "a record that this version does not know");
        let mut records = Reader::new(batch.payload, sealer).map_err(unknown)?;
        let mut count = 0;
        while let Some(record) = records.next() {
            let (fact, token) = record.map_err(unknown)?;
            count += 1;
            each(Recorded {
                fact,
                token,
                at_us: batch.at_us,
                names: &opening.names,
                segment: self.number,
                offset: offset as u64,
            });
        }
        if count != batch.records {
            return Err(self.damaged(offset, "it has another number of records than it says"));
        }
        Ok(())
    }

    /// What is not sound here may be a write that the end of the process cut short. It is damage where a segment
    /// follows, or where a later batch says that this place was on the disk.
    fn insist_on_torn(&self, offset: usize) -> Result<(), Fault> {
        if self.end.is_some() {
            return Err(
                self.damaged(offset, "it is not sound, and the next segment follows what comes behind it")
            );
        }
        match self.later_claims(offset) {
            Some(_) => Err(self.damaged(offset, "it is not sound, and a later batch says that it was")),
            None => Ok(()),
        }
    }

    /// A sound batch behind `offset` that was written when `offset` was on the disk already.
    fn later_claims(&self, offset: usize) -> Option<usize> {
        let from = (offset + 8).next_multiple_of(8);
        let last = self.bytes.iter().rposition(|byte| *byte != 0)?;
        (from..=last).step_by(8).find(|at| {
            let batch = self.bytes.get(*at..).and_then(batch::read);
            batch.is_some_and(|batch| batch.durable_end > offset as u64)
        })
    }

    fn damaged(&self, offset: usize, why: &'static str) -> Fault {
        Fault::Damaged { file: self.path.to_path_buf(), offset: offset as u64, why }
    }
}
