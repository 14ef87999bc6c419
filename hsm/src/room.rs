//! Blocks on their way to an open encryption or decryption and back: room that is used again, so that a call allocates
//! nothing, and that is wiped after each.

use std::mem;
use std::slice;

use zeroize::Zeroize;

use crate::error::Cause;
use crate::token::Stream;
use crate::verifier::MAX_BATCH;

/// Room for as many blocks as one call takes.
pub(crate) struct Room {
    one: Box<[u8; BYTES]>,
    other: Box<[u8; BYTES]>,
}

impl Room {
    /// Empty.
    pub(crate) fn new() -> Room {
        Room { one: Box::new([0; BYTES]), other: Box::new([0; BYTES]) }
    }

    /// Takes blocks in; more than [`MAX_BATCH`] are left out.
    pub(crate) fn take<const BLOCK: usize>(
        &mut self,
        blocks: impl Iterator<Item = [u8; BLOCK]>,
    ) -> Blocks<'_, BLOCK> {
        let (places, _) = self.one.as_chunks_mut();
        let mut used = 0;
        for (place, block) in places.iter_mut().zip(blocks) {
            *place = block;
            used += 1;
        }
        let (made, _) = self.other.as_chunks_mut();
        Blocks { blocks: &mut places[..used], made: &mut made[..used] }
    }
}

/// Blocks, wiped on drop, with those that they were made of.
pub(crate) struct Blocks<'room, const BLOCK: usize> {
    blocks: &'room mut [[u8; BLOCK]],
    made: &'room mut [[u8; BLOCK]],
}

impl<const BLOCK: usize> Blocks<'_, BLOCK> {
    /// Makes of each block what the stream makes of it.
    pub(crate) fn pass(&mut self, stream: &mut Stream) -> Result<(), Cause> {
        if self.blocks.is_empty() {
            return Ok(());
        }
        stream.pass(self.blocks.as_flattened(), self.made.as_flattened_mut())?;
        mem::swap(&mut self.blocks, &mut self.made);
        Ok(())
    }

    /// Each with room for another, which is of no meaning yet.
    pub(crate) fn with_room(&mut self) -> impl Iterator<Item = (&[u8; BLOCK], &mut [u8; BLOCK])> {
        self.blocks.iter().zip(self.made.iter_mut())
    }

    /// Takes what was put into the room of each in its place.
    pub(crate) fn take_room(&mut self) {
        mem::swap(&mut self.blocks, &mut self.made);
    }

    /// In their order.
    pub(crate) fn iter_mut(&mut self) -> slice::IterMut<'_, [u8; BLOCK]> {
        self.blocks.iter_mut()
    }
}

impl<const BLOCK: usize> Drop for Blocks<'_, BLOCK> {
    fn drop(&mut self) {
        self.blocks.as_flattened_mut().zeroize();
        self.made.as_flattened_mut().zeroize();
    }
}

/// Blocks of AES, the longer ones.
const BYTES: usize = MAX_BATCH * 16;
