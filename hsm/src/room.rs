//! Blocks on their way to an open encryption or decryption and back: room that is used again, so that a call allocates
//! nothing, and that is wiped after each.

use zeroize::Zeroize;

use crate::error::Cause;
use crate::token::Stream;
use crate::verifier::MAX_BATCH;

/// Room for as many blocks as one call takes.
pub(crate) struct Room {
    given: Box<[u8; BYTES]>,
    made: Box<[u8; BYTES]>,
}

impl Room {
    /// Empty.
    pub(crate) fn new() -> Room {
        Room { given: Box::new([0; BYTES]), made: Box::new([0; BYTES]) }
    }

    /// Passes blocks through a stream, and lets `read` see what it made of them. More than [`MAX_BATCH`] are not
    /// possible.
    pub(crate) fn pass<const BLOCK: usize, T>(
        &mut self,
        stream: &mut Stream,
        blocks: impl Iterator<Item = [u8; BLOCK]>,
        read: impl FnOnce(&[[u8; BLOCK]]) -> T,
    ) -> Result<T, Cause> {
        let mut used = 0;
        for block in blocks {
            let place = self.given.get_mut(used..used + BLOCK).ok_or(Cause::NotThatKey)?;
            place.copy_from_slice(&block);
            used += BLOCK;
        }
        let (given, made) = (&mut self.given[..used], &mut self.made[..used]);
        let outcome = match used {
            0 => Ok(()),
            _ => stream.pass(given, made),
        };
        let outcome = outcome.map(|()| read(made.as_chunks().0));
        given.zeroize();
        made.zeroize();
        outcome
    }
}

/// Blocks of AES, the longer ones.
const BYTES: usize = MAX_BATCH * 16;
