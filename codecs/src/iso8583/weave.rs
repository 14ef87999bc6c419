//! The quick way to an answer put together of two messages: the elements of the request by which its sender knows it, and
//! what somebody else has answered.
//!
//! Most pairs of such messages have the same elements, and everything that follows from these is worked out once: the
//! bitmaps, and which neighbours go in one piece. What no weave can vouch for is put together by an
//! [`Encoder`](super::Encoder), element by element.

use core::fmt;

use super::encoder::{mti_bytes, write_bitmaps, write_element, write_mti};
use super::index::Place;
use super::{BitmapText, De, DeSet, Dialect, Message};
use crate::writer::Writer;

/// Weaves for the pairs of messages that were met last: one for each thread that writes answers.
pub struct Weaves([Weave; WEAVES]);

/// Enough for the answers to a few neighbours; pairs that meet in one place take turns.
const WEAVES: usize = 8;

/// Pieces of a weave. An answer with more has none.
const PIECES: usize = 32;

/// Two bitmaps in hexadecimal.
const BITMAP_BYTES_MAX: usize = 32;

/// The two messages, and what is taken from which.
#[derive(Clone, Copy)]
pub struct Strands<'a> {
    /// What is answered: it gives the elements that the two sets below leave over.
    pub request: &'a Message<'a>,
    /// What somebody else has answered.
    pub answer: &'a Message<'a>,
    /// The elements to be written.
    pub present: DeSet,
    /// Those of them that the answer gives.
    pub of_answer: DeSet,
    /// Those that neither gives.
    pub said: DeSet,
}

/// All that the pieces depend on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pattern {
    /// [`Dialect::likeness`].
    likeness: u64,
    bitmap: BitmapText,
    request: DeSet,
    answer: DeSet,
    present: DeSet,
    of_answer: DeSet,
    said: DeSet,
}

struct Weave {
    pattern: Option<Pattern>,
    bitmaps: [u8; BITMAP_BYTES_MAX],
    bitmap_bytes: usize,
    pieces: [Piece; PIECES],
    used: usize,
}

/// Neighbours from one source: in it, nothing stands between them.
#[derive(Clone, Copy)]
struct Piece {
    source: Source,
    first: De,
    last: De,
    /// Where an index says where these two lie.
    places: [Place; 2],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Request,
    Answer,
    Said,
}

impl Weaves {
    /// No weave yet.
    pub const fn new() -> Weaves {
        Weaves([const { Weave::NONE }; WEAVES])
    }

    /// Writes a message of a type, four ASCII digits, and of these elements, and says how many bytes it takes; `say` gives
    /// the canonical form of an element that neither message has. Nothing where that is not certainly what an
    /// [`Encoder`](super::Encoder) would write; `out` then means nothing.
    pub fn write<'s>(
        &mut self,
        dialect: &Dialect,
        mti: [u8; 4],
        strands: &Strands<'_>,
        say: impl Fn(De) -> &'s [u8],
        out: &mut [u8],
    ) -> Option<usize> {
        let Strands { request, answer, present, of_answer, said } = *strands;
        let is_alike = core::ptr::eq(dialect, request.dialect) && core::ptr::eq(dialect, answer.dialect);
        if !(is_alike && request.is_whole() && answer.is_whole()) {
            return None;
        }
        let pattern = Pattern {
            likeness: dialect.likeness(),
            bitmap: dialect.bitmap,
            request: request.present(),
            answer: answer.present(),
            present,
            of_answer,
            said,
        };
        let weave = self.of(&pattern)?;
        if weave.pattern != Some(pattern) {
            weave.make(pattern)?;
        }
        let mut writer = Writer::new(out);
        write_mti(dialect.mti, mti, writer.reserve(mti_bytes(dialect.mti))?);
        writer.put(weave.bitmaps.get(..weave.bitmap_bytes)?)?;
        for piece in weave.pieces.get(..weave.used)? {
            let from = match piece.source {
                Source::Request => request,
                Source::Answer => answer,
                Source::Said => {
                    write_element(dialect.field(piece.first)?, say(piece.first), &mut writer).ok()?;
                    continue;
                }
            };
            // The pattern says that both are present.
            let [Some(first), Some(last)] = piece.places.map(|place| from.entry(place)) else { return None };
            writer.put(from.bytes().get(usize::from(first.start())..usize::from(last.end()))?)?;
        }
        Some(writer.at())
    }

    #[inline(always)]
    fn of(&mut self, pattern: &Pattern) -> Option<&mut Weave> {
        let ([low, high], [other, _]) = (pattern.answer.halves(), pattern.request.halves());
        // Fibonacci hashing: the high bits of the product depend on all of the factor's.
        let mixed = low ^ high.rotate_left(32) ^ other.rotate_left(16) ^ pattern.likeness;
        let [.., top] = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
        self.0.get_mut(usize::from(top >> 5))
    }
}

impl Default for Weaves {
    fn default() -> Weaves {
        Weaves::new()
    }
}

impl fmt::Debug for Weaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weaves").finish_non_exhaustive()
    }
}

impl Piece {
    const fn of(source: Source, de: De) -> Piece {
        let place = Place::of(de);
        Piece { source, first: de, last: de, places: [place, place] }
    }

    fn goes_on_to(&mut self, de: De) {
        let [first, _] = self.places;
        (self.last, self.places) = (de, [first, Place::of(de)]);
    }
}

impl Weave {
    const NONE: Weave = Weave {
        pattern: None,
        bitmaps: [0; BITMAP_BYTES_MAX],
        bitmap_bytes: 0,
        pieces: [Piece::of(Source::Said, De::MTI); PIECES],
        used: 0,
    };

    /// Works a weave out; nothing where an element is to come from a message that has it not, or there are too many pieces.
    #[inline(never)]
    fn make(&mut self, pattern: Pattern) -> Option<()> {
        *self = Weave::NONE;
        let mut writer = Writer::new(&mut self.bitmaps);
        write_bitmaps(pattern.bitmap, pattern.present.without(De::BITMAP), &mut writer)?;
        self.bitmap_bytes = writer.at();
        for de in pattern.present.without(De::BITMAP) {
            let (source, of_source) = if pattern.said.contains(de) {
                (Source::Said, DeSet::EMPTY)
            } else if pattern.of_answer.contains(de) {
                (Source::Answer, pattern.answer)
            } else {
                (Source::Request, pattern.request)
            };
            if source != Source::Said && !of_source.contains(de) {
                return None;
            }
            let last = self.used.checked_sub(1).and_then(|last| self.pieces.get_mut(last));
            match last {
                Some(last)
                    if last.source == source
                        && of_source.from(last.last).without(last.last).first() == Some(de) =>
                {
                    last.goes_on_to(de);
                }
                _ => {
                    *self.pieces.get_mut(self.used)? = Piece::of(source, de);
                    self.used = self.used.saturating_add(1);
                }
            }
        }
        self.pattern = Some(pattern);
        Some(())
    }
}
