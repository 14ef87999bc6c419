//! The shard's side of its journal: one write per turn, at the place where the last one ended.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use authorizer::event::ShardId;
use authorizer::fact::Fact;
use authorizer::ports::Position;

use super::batch::{self, HEAD_BYTES, Head, Kind, Sum};
use super::durability::{Keeper, mark};
use super::keeper::{self, Durability, PREPARED, Shelf};
use super::keys::{Keys, Sealer};
use super::record::Writer;
use super::segment::{self, Names, Opening, Tail};
use super::snapshot::UNFINISHED;
use super::{Fault, Level};
use crate::metrics::JournalFigures;

/// Facts of one batch; a larger turn makes several.
const BATCH_MAX: usize = 256;
/// The most bytes of one fact: an advice with all that may be kept of it (`kept::BYTES_MAX`). Two card numbers with
/// everything around them take a third.
pub(super) const FACT_BYTES_MAX: usize = 1_536;
/// The smallest segment: an opening and two batches.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// After so much quiet the end is sealed, so that damage to it can be told from a torn write.
const SEAL_AFTER_US: u64 = 50_000;

/// What every shard's journal is told.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) level: Level,
    pub(crate) flush: Duration,
    pub(crate) segment_bytes: u64,
    pub(crate) names: Names,
    pub(crate) keys: Arc<Keys>,
    /// How much of journal there may be behind a snapshot before the next one is written.
    pub(crate) snapshot_bytes: u64,
    /// How long segments are kept.
    pub(crate) retention: Duration,
    /// Where the mark is.
    pub(crate) mark_file: PathBuf,
}

/// A shard's journal, open to be written.
pub(crate) struct Journal {
    settings: Settings,
    shard: ShardId,
    folder: PathBuf,
    number: u64,
    file: Arc<File>,
    offset: u64,
    size: u64,
    previous: Sum,
    position: Position,
    /// Where this process began.
    first: Position,
    /// Bytes this process has written.
    bytes: u64,
    sealer: Sealer,
    out: Vec<u8>,
    /// When facts were last written, until the end is sealed.
    unsealed_us: Option<u64>,
    keeper: Keeper<File>,
    shelf: Arc<Shelf>,
}

impl Journal {
    /// Opens a new segment behind what was read. What a torn write left there is cut off.
    pub(super) fn open(
        directory: &Path,
        shard: ShardId,
        settings: Settings,
        tail: &Tail,
        now_us: u64,
    ) -> Result<Self, Fault> {
        let folder = segment::folder(directory, shard);
        fs::create_dir_all(&folder).map_err(|error| Fault::store(&folder, &error))?;
        trim(&folder, tail)?;
        let number = tail.number + 1;
        let path = folder.join(segment::file_name(number));
        let file = fresh(&path, settings.segment_bytes).map_err(|error| Fault::store(&path, &error))?;
        let file = Arc::new(file);
        let shared = Durability::new(tail.position);
        let opening = Opening::new(shard, number, &settings.keys, tail.end, &settings.names)?;
        let sealer = settings.keys.for_new(&opening.salt, shard);
        let (keeper, shelf) = keeper::start(
            shared,
            folder.clone(),
            (number, file.clone()),
            settings.level,
            settings.flush,
            settings.segment_bytes,
        )
        .map_err(|error| Fault::store(&folder, &error))?;
        let mut journal = Self {
            size: settings.segment_bytes,
            settings,
            shard,
            folder,
            number,
            file,
            offset: 0,
            previous: tail.sum,
            position: tail.position,
            first: tail.position,
            bytes: 0,
            sealer,
            out: Vec::new(),
            unsealed_us: None,
            keeper,
            shelf,
        };
        journal.write_opening(&opening, now_us);
        Ok(journal)
    }

    /// Writes the facts of a turn with one call, and says at which position they end.
    pub(crate) fn append(&mut self, facts: &[Fact], now_us: u64) -> Position {
        if facts.is_empty() {
            if self.unsealed_us.is_some_and(|since_us| now_us.saturating_sub(since_us) >= SEAL_AFTER_US) {
                self.seal(now_us);
            }
            return self.position;
        }
        for facts in facts.chunks(BATCH_MAX) {
            self.make_room(HEAD_BYTES + facts.len() * FACT_BYTES_MAX, now_us);
            self.write_facts(facts, now_us);
        }
        self.unsealed_us = Some(now_us);
        if self.settings.level == Level::Sync {
            self.keeper.wake();
        }
        self.position
    }

    /// Up to where effects may be seen.
    pub(crate) fn durable_up_to(&self) -> Position {
        match self.settings.level {
            Level::Sync => self.keeper.shared.durable(),
            // What was written survives the process; the disk follows.
            Level::Written => self.position,
        }
    }

    /// What the keeper says of itself.
    pub(crate) fn durability(&self) -> &Arc<Durability> {
        &self.keeper.shared
    }

    /// Whether there is no room for another segment.
    pub(crate) fn is_low(&self) -> bool {
        self.shelf.is_low.load(Ordering::Relaxed)
    }

    /// How it stands, for the page.
    pub(crate) fn figures(&self) -> JournalFigures {
        JournalFigures {
            facts: self.position - self.first,
            bytes: self.bytes,
            syncs: self.shelf.sync_times.read(),
            is_low: self.is_low(),
        }
    }

    fn write_facts(&mut self, facts: &[Fact], now_us: u64) {
        let head = self.head(Kind::Facts, facts.len() as u32, now_us);
        self.begin();
        for fact in facts {
            let mut writer =
                Writer { out: &mut self.out, sealer: &mut self.sealer, keys: &self.settings.keys };
            writer.fact(fact);
        }
        self.sealer.close(&mut self.out);
        self.position += facts.len() as u64;
        self.write(&head);
    }

    /// An empty batch.
    fn begin(&mut self) {
        self.out.clear();
        self.out.resize(HEAD_BYTES, 0);
    }

    fn head(&self, kind: Kind, records: u32, at_us: u64) -> Head {
        Head {
            kind,
            records,
            at_us,
            first: self.position + 1,
            durable_end: self.keeper.shared.durable_offset(self.number),
            previous: self.previous,
        }
    }

    /// Says that everything so far is on the disk. It is itself only there with what follows.
    fn seal(&mut self, now_us: u64) {
        if self.keeper.shared.durable() < self.position
            || self.keeper.shared.durable_offset(self.number) < self.offset
        {
            return;
        }
        self.unsealed_us = None;
        self.make_room(HEAD_BYTES, now_us);
        let head = self.head(Kind::Seal, 0, now_us);
        self.begin();
        self.write(&head);
        self.keeper.wake();
    }

    /// Completes the batch in `out` and writes it behind the last one.
    fn write(&mut self, head: &Head) {
        self.previous = batch::complete(head, &mut self.out);
        if let Err(error) = self.file.write_all_at(&self.out, self.offset) {
            keeper::fail(&self.folder, &error);
        }
        self.offset += self.out.len() as u64;
        self.bytes += self.out.len() as u64;
        self.keeper.shared.wrote(self.position, mark(self.number, self.offset));
    }

    /// Goes on to the next segment where so many bytes may not fit into this one.
    fn make_room(&mut self, bytes: usize, now_us: u64) {
        if self.offset + bytes as u64 <= self.size {
            return;
        }
        if let Err(fault) = self.roll(now_us) {
            keeper::fail(&self.folder, &std::io::Error::other(fault.to_string()));
        }
    }

    fn roll(&mut self, now_us: u64) -> Result<(), Fault> {
        let number = self.number + 1;
        let path = self.folder.join(segment::file_name(number));
        let file = match self.shelf.prepared.pop() {
            Some(file) => fs::rename(self.folder.join(PREPARED), &path).map(|()| file),
            None => fresh(&path, self.size),
        };
        let file = Arc::new(file.map_err(|error| Fault::store(&path, &error))?);
        let opening =
            Opening::new(self.shard, number, &self.settings.keys, self.offset, &self.settings.names)?;
        self.sealer = self.settings.keys.for_new(&opening.salt, self.shard);
        (self.number, self.file, self.offset) = (number, file, 0);
        if self.keeper.shared.open(number, self.file.clone()).is_err() {
            return Err(Fault::Store("the disk is several segments behind".to_owned()));
        }
        self.write_opening(&opening, now_us);
        Ok(())
    }

    fn write_opening(&mut self, opening: &Opening, now_us: u64) {
        let head = self.head(Kind::Opening, 0, now_us);
        self.begin();
        self.out.extend_from_slice(&serde_json::to_vec(opening).expect("names and numbers are JSON"));
        self.write(&head);
    }
}

/// Cuts off what a torn write left behind the end, and removes segments that were never opened and what was not
/// finished.
fn trim(folder: &Path, tail: &Tail) -> Result<(), Fault> {
    for entry in fs::read_dir(folder).map_err(|error| Fault::store(folder, &error))?.flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let number: Option<u64> = name.strip_suffix(segment::ENDING).and_then(|number| number.parse().ok());
        if [PREPARED, UNFINISHED].contains(&name.as_str())
            || number.is_some_and(|number| number > tail.number)
        {
            fs::remove_file(entry.path()).map_err(|error| Fault::store(&entry.path(), &error))?;
        }
    }
    if tail.number == 0 {
        return Ok(());
    }
    let path = folder.join(segment::file_name(tail.number));
    let cut = || {
        let file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(tail.end)?;
        file.sync_all()
    };
    cut().map_err(|error| Fault::store(&path, &error))
}

/// Zeros written at a time. Linux keeps what one call wrote in folios as large, and looks at every block of a folio when a
/// few bytes of it are written: with a MiB at a time each write of the path took two and a half times as long (3.2 to
/// 1.3 us on ext4, Linux 6.18), and the filling no less.
const FILL_BYTES: usize = 1 << 16;

/// A segment full of zeros, with its name on the disk.
fn fresh(path: &Path, bytes: u64) -> std::io::Result<File> {
    let mut file = keeper::create(path)?;
    let zeros = vec![0; FILL_BYTES];
    let mut left = bytes as usize;
    while left > 0 {
        let piece = left.min(zeros.len());
        file.write_all(&zeros[..piece])?;
        left -= piece;
    }
    file.sync_all()?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}
