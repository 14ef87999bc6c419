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
    /// Bytes of the message.
    pub(super) end: u16,
    /// Only those of `present` mean anything; the others are left over from earlier messages.
    spans: [Span; 129],
}

/// Where one element lies, in bytes from the start of the message.
#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    /// Its first byte, which is that of its length prefix if it has one.
    pub(super) start: u16,
    /// The first byte of its value.
    pub(super) value: u16,
    /// The first byte behind it.
    pub(super) end: u16,
    /// Its length in the units of its length prefix.
    pub(super) units: u16,
}

impl Span {
    /// Of positions in a message, none of which exceeds 65 535.
    #[inline(always)]
    pub(super) fn new(start: usize, value: usize, end: usize, units: u16) -> Span {
        Span { start: position(start), value: position(value), end: position(end), units }
    }

    /// Its value among the bytes of the message.
    #[inline(always)]
    pub(super) fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(usize::from(self.value)..usize::from(self.end)).unwrap_or_default()
    }
}

impl Index {
    /// An index of no message.
    pub const fn new() -> Index {
        let nowhere = Span { start: 0, value: 0, end: 0, units: 0 };
        Index { mti_digits: None, mti: None, present: DeSet::EMPTY, end: 0, spans: [nowhere; 129] }
    }

    /// Forgets the message.
    #[inline]
    pub fn clear(&mut self) {
        self.mti_digits = None;
        self.mti = None;
        self.present = DeSet::EMPTY;
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

    /// The last entry for an element, also of an earlier message.
    #[inline(always)]
    pub(super) fn get(&self, de: De) -> Option<Span> {
        self.spans.get(usize::from(de.number())).copied()
    }

    #[inline(always)]
    pub(super) fn put(&mut self, de: De, span: Span) {
        if let Some(place) = self.spans.get_mut(usize::from(de.number())) {
            *place = span;
        }
    }

    #[inline(always)]
    pub(super) fn span(&self, de: De) -> Option<Span> {
        if !self.present.contains(de) {
            return None;
        }
        self.get(de)
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
