//! Where each element of one message lies.

use core::fmt;

use super::{De, DeSet, Mti};

/// The result of a parse: a position per element, and which elements are sound. About one KiB; it is meant to
/// be kept and used for message after message.
#[derive(Clone)]
pub struct Index {
    pub(super) mti_digits: Option<[u8; 4]>,
    pub(super) mti: Option<Mti>,
    pub(super) present: DeSet,
    /// All that was announced is sound.
    pub(super) is_whole: bool,
    /// Bytes of the message.
    pub(super) end: u16,
    /// Only those of `present` mean anything; the others are left over from earlier messages.
    spans: Spans,
}

/// A place for each element, from the first byte of a line of a cache on.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Spans([Span; ELEMENTS]);

const ELEMENTS: usize = 128;

/// The elements of payments and of answers to them, which have the first places: a message is looked at again when its answer
/// is there, and what lies in three lines of a cache comes sooner than what lies in seven.
const FIRST: [u8; 24] =
    [2, 3, 4, 7, 11, 12, 13, 32, 37, 38, 39, 41, 42, 49, 35, 14, 18, 22, 25, 43, 52, 55, 33, 54];

/// The place of each element by its number; the message type has none of its own.
const PLACES: [u8; 129] = places();

const fn places() -> [u8; 129] {
    let mut places = [u8::MAX; 129];
    let (mut next, mut rest) = (0_u8, FIRST.as_slice());
    while let [number, behind @ ..] = rest {
        (next, rest) = (put(&mut places, *number, next), behind);
    }
    let mut number = 1;
    while number <= 128 {
        next = put(&mut places, number, next);
        number = number.saturating_add(1);
    }
    places
}

/// Gives an element a place, if it has none yet, and says which is the next.
#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "numbers are 1 to 128, and get is not const"
)]
const fn put(places: &mut [u8; 129], number: u8, next: u8) -> u8 {
    if places[number as usize] != u8::MAX {
        return next;
    }
    places[number as usize] = next;
    next.saturating_add(1)
}

/// Where an element's entry is.
#[derive(Clone, Copy)]
pub(super) struct Place(u8);

impl Place {
    /// That of an element.
    #[inline(always)]
    #[expect(
        clippy::indexing_slicing,
        clippy::as_conversions,
        reason = "no number is above 128, and get is not const"
    )]
    pub(super) const fn of(de: De) -> Place {
        Place(PLACES[de.number() as usize])
    }

    #[inline(always)]
    fn number(self) -> usize {
        usize::from(self.0) % ELEMENTS
    }
}

/// Where one element lies, in bytes from the start of the message: four numbers of 16 bits side by side, so that they can
/// be moved together.
#[derive(Clone, Copy)]
pub(super) struct Span(u64);

impl Span {
    /// Nowhere.
    pub(super) const NOWHERE: Span = Span(0);

    /// Of positions in a message, none of which exceeds 65 535: its first byte, which is that of its length prefix if it has
    /// one, the first byte of its value, the first byte behind it; and its length in the units of its length prefix.
    #[inline(always)]
    pub(super) fn new(start: usize, value: usize, end: usize, units: u16) -> Span {
        let lane = |at: usize| u64::from(position(at));
        Span(lane(start) | lane(value) << 16 | lane(end) << 32 | u64::from(units) << 48)
    }

    /// The same element so many bytes further on, where no position exceeds 65 535.
    #[inline(always)]
    pub(super) fn moved_by(self, bytes: u16) -> Span {
        Span(self.0.wrapping_add(u64::from(bytes).wrapping_mul(0x0000_0001_0001_0001)))
    }

    /// Its first byte.
    #[inline(always)]
    pub(super) const fn start(self) -> u16 {
        let [low, high, ..] = self.0.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// The first byte of its value.
    #[inline(always)]
    pub(super) const fn value(self) -> u16 {
        let [_, _, low, high, ..] = self.0.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// The first byte behind it.
    #[inline(always)]
    pub(super) const fn end(self) -> u16 {
        let [.., low, high, _, _] = self.0.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// Its length in the units of its length prefix.
    #[inline(always)]
    pub(super) const fn units(self) -> u16 {
        let [.., low, high] = self.0.to_le_bytes();
        u16::from_le_bytes([low, high])
    }
}

impl Index {
    /// An index of no message.
    pub const fn new() -> Index {
        Index {
            mti_digits: None,
            mti: None,
            present: DeSet::EMPTY,
            is_whole: false,
            end: 0,
            spans: Spans([Span::NOWHERE; ELEMENTS]),
        }
    }

    /// Forgets the message.
    #[inline]
    pub fn clear(&mut self) {
        self.mti_digits = None;
        self.mti = None;
        self.present = DeSet::EMPTY;
        self.is_whole = false;
        self.end = 0;
    }

    /// The message type, if the standard has it.
    #[inline]
    pub fn mti(&self) -> Option<Mti> {
        self.mti
    }

    /// The four digits of the message type, also of one that the standard has not: it can still be answered.
    #[inline]
    pub fn mti_digits(&self) -> Option<[u8; 4]> {
        self.mti_digits
    }

    /// The elements that were found and whose content is sound.
    #[inline]
    pub fn present(&self) -> DeSet {
        self.present
    }

    /// The last entry of a place, also of an earlier message.
    #[inline(always)]
    pub(super) fn get(&self, place: Place) -> Option<Span> {
        self.spans.0.get(place.number()).copied()
    }

    #[inline(always)]
    pub(super) fn put(&mut self, place: Place, span: Span) {
        if let Some(entry) = self.spans.0.get_mut(place.number()) {
            *entry = span;
        }
    }

    #[inline(always)]
    pub(super) fn span(&self, de: De) -> Option<Span> {
        if !self.present.contains(de) {
            return None;
        }
        self.get(Place::of(de))
    }
}

/// The low 16 bits: all there is of a position in a message that has been let in.
#[inline(always)]
pub(super) const fn position(at: usize) -> u16 {
    let [low, high, ..] = at.to_le_bytes();
    u16::from_le_bytes([low, high])
}

impl Default for Index {
    fn default() -> Index {
        Index::new()
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("mti", &self.mti)
            .field("present", &self.present)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_a_place_of_its_own() {
        let mut taken = [false; ELEMENTS];
        for number in 1..=128 {
            let place = Place::of(De::known(number)).number();
            assert!(!core::mem::replace(&mut taken[place], true), "{number}");
        }
        for usual in FIRST {
            assert!(Place::of(De::known(usual)).number() < FIRST.len(), "{usual}");
        }
    }
}
