//! One write of the journal: a header, and the records of one turn.
//!
//! ```text
//!   0  magic, kind, payload bytes, records
//!  16  moment            microseconds of the shard's clock
//!  24  first             position of the first record
//!  32  durable end       up to where this segment was known to be on the disk when this was written
//!  40  previous          the sum of the batch before this one
//!  56  sum               over all of the above and the payload
//!  72  payload, then zeros up to a multiple of eight
//! ```
//!
//! Each batch can be checked by itself, and is chained to the one before it. The durable end tells damage from a torn
//! end: what was on the disk once, and is not sound now, was damaged.

use twox_hash::XxHash3_128;

/// The last byte is the version of the format.
const MAGIC: u32 = u32::from_le_bytes(*b"SBJ2");
/// What files of earlier versions begin with, whose batches nobody here can check.
const EARLIER: [u8; 4] = *b"SBJ1";
/// Bytes before the payload.
pub(super) const HEAD_BYTES: usize = 72;
const SUM_AT: usize = 56;

/// The sum of a batch.
pub(super) type Sum = [u8; 16];

/// What a batch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The beginning of a segment.
    Opening,
    /// Facts.
    Facts,
    /// Nothing new: it says that everything before it is on the disk.
    Seal,
    /// The beginning of a snapshot.
    Snapshot,
    /// Pieces of what a shard knew.
    Pieces,
    /// The end of a snapshot.
    End,
}

/// A batch that was read and found sound in itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch<'a> {
    pub(super) kind: Kind,
    pub(super) records: u32,
    pub(super) at_us: u64,
    pub(super) first: u64,
    pub(super) durable_end: u64,
    pub(super) previous: Sum,
    pub(super) sum: Sum,
    pub(super) payload: &'a [u8],
}

impl Batch<'_> {
    /// Bytes it takes in the file.
    pub(super) fn bytes(&self) -> usize {
        (HEAD_BYTES + self.payload.len()).next_multiple_of(8)
    }
}

/// What stands in a batch's header beside its sum.
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) records: u32,
    pub(super) at_us: u64,
    pub(super) first: u64,
    pub(super) durable_end: u64,
    pub(super) previous: Sum,
}

/// Completes a batch whose payload stands in `out` behind [`HEAD_BYTES`], and gives its sum.
pub(super) fn complete(head: &Head, out: &mut Vec<u8>) -> Sum {
    let payload_bytes = (out.len() - HEAD_BYTES) as u32;
    let kind = match head.kind {
        Kind::Opening => 1_u16,
        Kind::Facts => 2,
        Kind::Seal => 3,
        Kind::Snapshot => 4,
        Kind::Pieces => 5,
        Kind::End => 6,
    };
    let batch = &mut out[..];
    batch[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    batch[4..6].copy_from_slice(&kind.to_le_bytes());
    batch[6..8].fill(0);
    batch[8..12].copy_from_slice(&payload_bytes.to_le_bytes());
    batch[12..16].copy_from_slice(&head.records.to_le_bytes());
    batch[16..24].copy_from_slice(&head.at_us.to_le_bytes());
    batch[24..32].copy_from_slice(&head.first.to_le_bytes());
    batch[32..40].copy_from_slice(&head.durable_end.to_le_bytes());
    batch[40..56].copy_from_slice(&head.previous);
    let sum = sum(&batch[..SUM_AT], &batch[HEAD_BYTES..]);
    batch[SUM_AT..HEAD_BYTES].copy_from_slice(&sum);
    out.resize((HEAD_BYTES + payload_bytes as usize).next_multiple_of(8), 0);
    sum
}

/// Whether a file was written by an earlier version of the format.
pub(super) fn is_earlier(bytes: &[u8]) -> bool {
    bytes.starts_with(&EARLIER)
}

/// How many bytes the batch at the beginning of `bytes` says it takes; nothing of it was checked.
pub(super) fn bytes_of(bytes: &[u8]) -> Option<usize> {
    let head = bytes.first_chunk::<HEAD_BYTES>()?;
    Some((HEAD_BYTES + word(head, 8) as usize).next_multiple_of(8))
}

/// Reads the batch at the beginning of `bytes`; `None` when there is none, or it is not sound.
pub(super) fn read(bytes: &[u8]) -> Option<Batch<'_>> {
    let head = bytes.first_chunk::<HEAD_BYTES>()?;
    if word(head, 0) != MAGIC {
        return None;
    }
    let kind = match word(head, 4) {
        1 => Kind::Opening,
        2 => Kind::Facts,
        3 => Kind::Seal,
        4 => Kind::Snapshot,
        5 => Kind::Pieces,
        6 => Kind::End,
        _ => return None,
    };
    let payload_bytes = word(head, 8) as usize;
    let padded = (HEAD_BYTES + payload_bytes).next_multiple_of(8);
    let payload = bytes.get(HEAD_BYTES..HEAD_BYTES + payload_bytes)?;
    let padding = bytes.get(HEAD_BYTES + payload_bytes..padded)?;
    let written: Sum = head[SUM_AT..].try_into().ok()?;
    if written != sum(&head[..SUM_AT], payload) || padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    Some(Batch {
        kind,
        records: word(head, 12),
        at_us: long(head, 16),
        first: long(head, 24),
        durable_end: long(head, 32),
        previous: head[40..56].try_into().ok()?,
        sum: written,
        payload,
    })
}

/// It finds accidents. Whoever can write to the disk can make another one. A head has [`SUM_AT`] bytes at most.
pub(super) fn sum(head: &[u8], payload: &[u8]) -> Sum {
    let mut both = [0; SUM_AT + size_of::<Sum>()];
    both[..head.len()].copy_from_slice(head);
    both[SUM_AT..].copy_from_slice(&XxHash3_128::oneshot(payload).to_le_bytes());
    XxHash3_128::oneshot(&both).to_le_bytes()
}

fn word(head: &[u8; HEAD_BYTES], at: usize) -> u32 {
    u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"))
}

fn long(head: &[u8; HEAD_BYTES], at: usize) -> u64 {
    u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut out = vec![0; HEAD_BYTES];
        out.extend_from_slice(b"thirteen byte");
        let head =
            Head { kind: Kind::Facts, records: 1, at_us: 5, first: 7, durable_end: 9, previous: [3; 16] };
        complete(&head, &mut out);
        out
    }

    #[test]
    fn a_batch_comes_back() {
        let bytes = sample();
        let batch = read(&bytes).expect("sound");
        assert_eq!((batch.payload, batch.bytes()), (&b"thirteen byte"[..], bytes.len()));
        assert_eq!((batch.at_us, batch.first, batch.durable_end, batch.previous), (5, 7, 9, [3; 16]));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = sample();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&changed).is_none(), "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_none(), "cut at {end}");
        }
    }
}
