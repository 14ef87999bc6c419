//! Reads a shard's journal behind its end, as it grows, and knows its place again after a restart. A place is known by
//! the sum of the batch before it: where the chain does not go on from there, another journal is here, or an index that
//! ran ahead of what the disk kept.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use authorizer::event::ShardId;

use crate::journal::batch::{self, Batch, Kind, Sum};
use crate::journal::keys::{Keys, Sealer};
use crate::journal::record::{NotARecord, Reader};
use crate::journal::segment::{self, Opening, Recorded};
use crate::journal::{Fault, writer};

/// Read at a time: more than the largest batch or opening.
const CHUNK: u64 = 1 << 20;
const _: () = assert!(CHUNK > 2 * (writer::FACT_BYTES_MAX * 250) as u64);

/// Up to where a shard's journal was followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The segment; 0 before the first.
    pub(super) segment: u64,
    pub(super) offset: u64,
    /// Of the last batch; nothing before the first.
    pub(super) sum: Option<Sum>,
    /// How many facts there were up to here.
    pub(super) facts: u64,
}

/// One shard's journal, being followed.
pub(super) struct Follower {
    folder: PathBuf,
    shard: ShardId,
    keys: Arc<Keys>,
    pub(super) place: Place,
    /// When the newest fact was written down that was read, microseconds.
    pub(super) at_us: u64,
    open: Option<Open>,
    buffer: Vec<u8>,
}

/// The segment that is being read.
struct Open {
    path: PathBuf,
    file: File,
    opening: Opening,
    sealer: Sealer,
    /// Where it ends, once the next one says so.
    end: Option<u64>,
}

impl Follower {
    pub(super) fn new(directory: &Path, shard: ShardId, keys: Arc<Keys>, place: Place) -> Self {
        let folder = segment::folder(directory, shard);
        Self { folder, shard, keys, place, at_us: 0, open: None, buffer: Vec::new() }
    }

    /// Whether there is nothing to read up to this segment and offset.
    pub(super) fn is_at(&self, until: (u64, u64)) -> bool {
        until.0 == 0 || until == (self.place.segment, self.place.offset)
    }

    /// Reads on, at most up to this segment and offset, and says whether something was read.
    ///
    /// # Errors
    /// When the journal does not go on from the place, or is damaged.
    pub(super) fn read_on(
        &mut self,
        until: (u64, u64),
        each: &mut dyn FnMut(Recorded<'_>),
    ) -> Result<bool, Fault> {
        let (last, last_offset) = until;
        if last == 0 {
            // Nothing is on the disk yet.
            return Ok(false);
        }
        if self.place.segment == 0 {
            let numbers = segment::numbers(&self.folder, segment::ENDING)?;
            let Some(first) = numbers.first() else { return Ok(false) };
            self.place.segment = *first;
        }
        loop {
            let end = match self.place.segment {
                number if number == last => last_offset,
                number if number > last => return Err(self.damaged("it was followed further than it goes")),
                number => self.end_of(number)?,
            };
            if self.place.offset < end {
                return self.read_up_to(end, each).map(|()| true);
            }
            if self.place.offset > end {
                return Err(self.damaged("it was followed further than it goes"));
            }
            if self.place.segment == last {
                return Ok(false);
            }
            self.place.segment += 1;
            self.place.offset = 0;
            self.open = None;
        }
    }

    /// Where a segment ended that another follows.
    fn end_of(&mut self, number: u64) -> Result<u64, Fault> {
        if let Some(end) = self.open.as_ref().and_then(|open| open.end) {
            return Ok(end);
        }
        let next = segment::opening(&self.path(number + 1))?;
        let (opening, _) =
            next.ok_or_else(|| self.damaged("the opening of the next segment is not sound"))?;
        if let Some(open) = &mut self.open {
            open.end = Some(opening.previous_end);
        }
        Ok(opening.previous_end)
    }

    fn read_up_to(&mut self, end: u64, each: &mut dyn FnMut(Recorded<'_>)) -> Result<(), Fault> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.open(self.place.segment)?,
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize((end - self.place.offset).min(CHUNK) as usize, 0);
        let read = open.file.read_exact_at(&mut buffer, self.place.offset);
        read.map_err(|error| Fault::store(&open.path, &error))?;
        let mut rest = &buffer[..];
        while let Some(batch) = batch::read(rest) {
            self.take(&batch, &open, each)?;
            rest = rest.get(batch.bytes()..).unwrap_or_default();
        }
        if rest.len() == buffer.len() {
            return Err(self.damaged("it is not sound"));
        }
        self.buffer = buffer;
        self.open = Some(open);
        Ok(())
    }

    fn take(
        &mut self,
        batch: &Batch<'_>,
        open: &Open,
        each: &mut dyn FnMut(Recorded<'_>),
    ) -> Result<(), Fault> {
        if self.place.sum.is_some_and(|sum| sum != batch.previous) {
            return Err(self.damaged("it does not follow what is before it"));
        }
        if batch.kind == Kind::Facts {
            let unknown = |NotARecord| self.damaged("a record that this version does not know");
            let mut records = Reader::new(batch.payload, Some(&open.sealer)).map_err(unknown)?;
            while let Some(record) = records.next() {
                let (fact, token) = record.map_err(unknown)?;
                each(Recorded {
                    fact,
                    token,
                    at_us: batch.at_us,
                    names: &open.opening.names,
                    segment: self.place.segment,
                    offset: self.place.offset,
                });
            }
            self.at_us = batch.at_us;
            self.place.facts = batch.first + u64::from(batch.records) - 1;
        }
        self.place.sum = Some(batch.sum);
        self.place.offset += batch.bytes() as u64;
        Ok(())
    }

    fn open(&self, number: u64) -> Result<Open, Fault> {
        let path = self.path(number);
        let opened = segment::opening(&path)?;
        let Some((opening, _)) =
            opened.filter(|(known, _)| (known.number, known.shard) == (number, self.shard.0))
        else {
            return Err(self.damaged("its opening is not sound"));
        };
        let sealer = opening.sealer(&path, self.shard, Some(&self.keys))?;
        let sealer = sealer.ok_or_else(|| Fault::Store("no key for the index".to_owned()))?;
        let file = File::open(&path).map_err(|error| Fault::store(&path, &error))?;
        Ok(Open { path, file, opening, sealer, end: None })
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(segment::file_name(number))
    }

    fn damaged(&self, why: &'static str) -> Fault {
        Fault::Damaged { file: self.path(self.place.segment), offset: self.place.offset, why }
    }
}
