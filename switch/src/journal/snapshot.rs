//! Snapshots: what a shard knew at the end of a segment, so that a start reads the newest of them and the segments after
//! it. A snapshot is written to a file of another name and gets its own when it is on the disk; the one before it goes
//! only then.
//!
//! It is made of the same batches as a segment: an opening with the names and the salt of its key, chained to the end of
//! the segment it stands for; pieces; and an end that says how many there are, so that no part can be missing.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use authorizer::event::ShardId;
use authorizer::snapshot::Piece;

use super::Fault;
use super::batch::{self, HEAD_BYTES, Head, Kind};
use super::keeper;
use super::keys::{Keys, Sealer};
use super::record::{NotARecord, Reader, Writer};
use super::segment::{self, Names, Opening, Tail, folder};
use super::writer::Settings;

/// The ending of a snapshot's name.
pub(super) const ENDING: &str = ".snapshot";
/// Its name while it is written.
pub(super) const UNFINISHED: &str = "snapshot.next";
/// A batch is written when it has become so large.
const BATCH_BYTES: usize = 256 << 10;
/// So many bytes are brought to the disk at a time, so that a sync of the journal does not wait behind all of them.
const SYNC_BYTES: usize = 4 << 20;

/// The name of the snapshot that stands for everything up to the end of a segment.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:09}{ENDING}")
}

/// The numbers of a shard's snapshots up to this one, ascending.
pub(super) fn numbers(directory: &Path, shard: ShardId, until: u64) -> Result<Vec<u64>, Fault> {
    let mut numbers = segment::numbers(&folder(directory, shard), ENDING)?;
    numbers.retain(|number| *number <= until);
    Ok(numbers)
}

/// What was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) pieces: u64,
    pub(super) bytes: u64,
}

/// Writes what a shard knew at the end of a segment, and gives it its name when it is on the disk.
pub(super) fn write(
    directory: &Path,
    shard: ShardId,
    settings: &Settings,
    tail: &Tail,
    pieces: impl Iterator<Item = Piece>,
) -> Result<Written, Fault> {
    let folder = folder(directory, shard);
    let unfinished = folder.join(UNFINISHED);
    let opening = Opening::new(shard, tail.number, &settings.keys, tail.end, &settings.names)?;
    let write = || {
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = Writing::begin(keeper::create(&unfinished)?, tail, &opening)?;
        let mut sealer = settings.keys.for_new(&opening.salt, shard);
        for piece in pieces {
            let mut writer = Writer { out: &mut file.out, sealer: &mut sealer, keys: &settings.keys };
            writer.piece(&piece);
            file.took_one(&mut sealer)?;
        }
        let written = file.end(&mut sealer)?;
        fs::rename(&unfinished, folder.join(file_name(tail.number)))?;
        File::open(&folder)?.sync_all()?;
        Ok(written)
    };
    write().map_err(|error| Fault::store(&unfinished, &error))
}

/// A snapshot that is being written.
struct Writing<'a> {
    file: File,
    tail: &'a Tail,
    /// The sum of the batch before.
    previous: batch::Sum,
    /// The batch that is being filled.
    out: Vec<u8>,
    records: u32,
    pieces: u64,
    bytes: u64,
    unsynced: usize,
}

impl<'a> Writing<'a> {
    fn begin(file: File, tail: &'a Tail, opening: &Opening) -> std::io::Result<Self> {
        let out = Vec::with_capacity(BATCH_BYTES * 2);
        let (records, pieces, bytes, unsynced) = (0, 0, 0, 0);
        let mut writing = Self { file, tail, previous: tail.sum, out, records, pieces, bytes, unsynced };
        writing.fresh();
        serde_json::to_writer(&mut writing.out, opening).map_err(std::io::Error::other)?;
        writing.write(Kind::Snapshot)?;
        Ok(writing)
    }

    /// A piece was put into the batch.
    fn took_one(&mut self, sealer: &mut Sealer) -> std::io::Result<()> {
        self.records += 1;
        self.pieces += 1;
        if self.out.len() >= BATCH_BYTES { self.pieces(sealer) } else { Ok(()) }
    }

    fn pieces(&mut self, sealer: &mut Sealer) -> std::io::Result<()> {
        sealer.close(&mut self.out);
        self.write(Kind::Pieces)
    }

    fn end(mut self, sealer: &mut Sealer) -> std::io::Result<Written> {
        if self.records > 0 {
            self.pieces(sealer)?;
        }
        self.out.extend_from_slice(&self.pieces.to_le_bytes());
        self.write(Kind::End)?;
        self.file.sync_all()?;
        Ok(Written { pieces: self.pieces, bytes: self.bytes })
    }

    fn fresh(&mut self) {
        self.out.clear();
        self.out.resize(HEAD_BYTES, 0);
        self.records = 0;
    }

    fn write(&mut self, kind: Kind) -> std::io::Result<()> {
        let head = Head {
            kind,
            records: self.records,
            at_us: self.tail.at_us,
            first: self.tail.position,
            durable_end: self.tail.end,
            previous: self.previous,
        };
        self.previous = batch::complete(&head, &mut self.out);
        self.file.write_all(&self.out)?;
        self.bytes += self.out.len() as u64;
        self.unsynced += self.out.len();
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        self.fresh();
        Ok(())
    }
}

/// Reads the snapshot that stands for everything up to the end of a segment, and says where that was. Without the
/// keys card numbers stay closed.
pub(super) fn read(
    directory: &Path,
    shard: ShardId,
    number: u64,
    keys: Option<&Keys>,
    each: &mut dyn FnMut(Piece, &Names),
) -> Result<Tail, Fault> {
    let path = folder(directory, shard).join(file_name(number));
    let file = File::open(&path).map_err(|error| Fault::store(&path, &error))?;
    let mut reading = Reading { path: &path, file, buffer: Vec::new(), offset: 0 };
    let first = reading.next()?;
    let opening = Opening::read(&first).filter(|_| first.kind == Kind::Snapshot);
    let Some(opening) = opening.filter(|known| (known.number, known.shard) == (number, shard.0)) else {
        return Err(damaged(&path, 0, "it is not the opening of this snapshot"));
    };
    let sealer = opening.sealer(&path, shard, keys)?;
    let tail = Tail {
        number,
        end: opening.previous_end,
        sum: first.previous,
        position: first.first,
        at_us: first.at_us,
        torn_bytes: 0,
    };
    let (mut previous, mut pieces) = (first.sum, 0_u64);
    loop {
        let offset = reading.offset;
        let batch = reading.next()?;
        if batch.previous != previous {
            return Err(damaged(&path, offset, "it does not follow what is before it"));
        }
        previous = batch.sum;
        if batch.kind == Kind::End {
            let is_whole = batch.payload == pieces.to_le_bytes();
            return if is_whole && reading.is_at_end()? {
                Ok(tail)
            } else {
                Err(damaged(&path, offset, "it has another number of pieces than it says"))
            };
        }
        let unknown = |NotARecord| damaged(&path, offset, "a piece that this version does not know");
        let mut records = Reader::new(batch.payload, sealer.as_ref()).map_err(unknown)?;
        while let Some(piece) = records.next_piece() {
            let piece = piece.map_err(unknown)?;
            pieces += 1;
            each(piece, &opening.names);
        }
    }
}

/// A snapshot that is being read, batch by batch.
struct Reading<'a> {
    path: &'a Path,
    file: File,
    buffer: Vec<u8>,
    /// Where the next batch begins.
    offset: u64,
}

impl Reading<'_> {
    fn next(&mut self) -> Result<batch::Batch<'_>, Fault> {
        self.buffer.clear();
        self.fill(HEAD_BYTES)?;
        let bytes = batch::bytes_of(&self.buffer);
        // Never more than was ever written, whatever a damaged head says.
        if let Some(bytes) = bytes.filter(|bytes| *bytes <= BATCH_MAX) {
            self.fill(bytes)?;
        }
        match batch::read(&self.buffer) {
            Some(batch) => {
                self.offset += batch.bytes() as u64;
                Ok(batch)
            }
            None if self.offset == 0 && batch::is_earlier(&self.buffer) => {
                Err(segment::another_version(self.path, None))
            }
            None => Err(damaged(self.path, self.offset, "it is not sound")),
        }
    }

    /// Reads on until the buffer holds so many bytes, or the file has no more.
    fn fill(&mut self, bytes: usize) -> Result<(), Fault> {
        let wanted = bytes.saturating_sub(self.buffer.len()) as u64;
        let read = (&mut self.file).take(wanted).read_to_end(&mut self.buffer);
        read.map(drop).map_err(|error| Fault::store(self.path, &error))
    }

    fn is_at_end(&mut self) -> Result<bool, Fault> {
        self.buffer.clear();
        self.fill(1)?;
        Ok(self.buffer.is_empty())
    }
}

/// The largest batch: a full one, and the largest piece, a card with all its bundles.
const BATCH_MAX: usize = BATCH_BYTES + (1 << 20);

fn damaged(path: &Path, offset: u64, why: &'static str) -> Fault {
    Fault::Damaged { file: path.to_path_buf(), offset, why }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
