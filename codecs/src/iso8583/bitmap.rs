//! A set of data elements, and the bitmaps that carry it on the wire.

use core::fmt;

use super::de::De;

/// A set of data elements 1 to 128. Bit n-1 stands for DE n; [`De::MTI`] is in no set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DeSet(u128);

impl DeSet {
    /// No element.
    pub const EMPTY: DeSet = DeSet(0);

    /// The set of the elements given.
    pub const fn of(elements: &[De]) -> DeSet {
        let mut set = DeSet::EMPTY;
        let mut rest = elements;
        while let [first, tail @ ..] = rest {
            set = set.with(*first);
            rest = tail;
        }
        set
    }

    /// The set of the elements with these numbers; numbers outside 1 to 128 are left out.
    pub const fn from_numbers(numbers: &[u8]) -> DeSet {
        let mut set = DeSet::EMPTY;
        let mut rest = numbers;
        while let [first, tail @ ..] = rest {
            if let Some(de) = De::new(*first) {
                set = set.with(de);
            }
            rest = tail;
        }
        set
    }

    /// Whether the set has the element.
    #[inline]
    pub const fn contains(self, de: De) -> bool {
        let [low, high] = self.halves();
        let place = shift(de.number());
        match de.number() {
            1..=64 => low.wrapping_shr(place) & 1 == 1,
            65..=128 => high.wrapping_shr(place) & 1 == 1,
            _ => false,
        }
    }

    /// The set and this element.
    #[must_use]
    #[inline]
    pub const fn with(self, de: De) -> DeSet {
        DeSet(self.0 | bit(de))
    }

    /// The set but this element.
    #[must_use]
    #[inline]
    pub const fn without(self, de: De) -> DeSet {
        DeSet(self.0 & !bit(de))
    }

    /// Elements of either set.
    #[must_use]
    #[inline]
    pub const fn union(self, other: DeSet) -> DeSet {
        DeSet(self.0 | other.0)
    }

    /// Elements of both sets.
    #[must_use]
    #[inline]
    pub const fn intersection(self, other: DeSet) -> DeSet {
        DeSet(self.0 & other.0)
    }

    /// Elements of this set that the other has not.
    #[must_use]
    #[inline]
    pub const fn minus(self, other: DeSet) -> DeSet {
        DeSet(self.0 & !other.0)
    }

    /// Whether the set has no element.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many elements the set has.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Its lowest element.
    #[inline]
    pub const fn first(self) -> Option<De> {
        match self.0.trailing_zeros() {
            128 => None,
            zeros => Some(numbered(zeros)),
        }
    }

    /// Its elements, ascending.
    pub const fn iter(self) -> Elements {
        Elements(self)
    }

    /// Whether a message with these elements needs a secondary bitmap.
    pub const fn has_secondary(self) -> bool {
        self.0 >> 64 != 0
    }

    /// The set but its lowest element.
    #[must_use]
    #[inline]
    pub(crate) const fn without_first(self) -> DeSet {
        DeSet(self.0 & self.0.wrapping_sub(1))
    }

    /// Elements not lower than `de`.
    #[must_use]
    #[inline]
    pub const fn from(self, de: De) -> DeSet {
        DeSet(self.0 & !bit(de).wrapping_sub(1))
    }

    /// Elements lower than `de`.
    #[must_use]
    #[inline]
    pub(crate) const fn below(self, de: De) -> DeSet {
        DeSet(self.0 & bit(de).wrapping_sub(1))
    }

    /// From the two bitmaps as they stand on the wire, first byte first. Bit 1 of each bitmap counts as
    /// the element of its number: 1 and 65.
    pub(crate) const fn from_wire(primary: [u8; 8], secondary: [u8; 8]) -> DeSet {
        let [low, high] =
            [u64::from_be_bytes(primary).reverse_bits(), u64::from_be_bytes(secondary).reverse_bits()];
        DeSet::from_halves(low, high)
    }

    /// The two bitmaps as they go on the wire.
    pub(crate) const fn to_wire(self) -> [[u8; 8]; 2] {
        let [low, high] = self.halves();
        [low.reverse_bits().to_be_bytes(), high.reverse_bits().to_be_bytes()]
    }

    /// Elements 1 to 64 and 65 to 128, lowest bit first: quicker to walk than 128 bits at once.
    #[expect(clippy::as_conversions, reason = "From is not const; the shift leaves 64 bits")]
    pub(crate) const fn halves(self) -> [u64; 2] {
        [self.0 as u64, (self.0 >> 64) as u64]
    }

    #[expect(clippy::as_conversions, reason = "From is not const; nothing is lost")]
    pub(crate) const fn from_halves(low: u64, high: u64) -> DeSet {
        DeSet((high as u128) << 64 | low as u128)
    }
}

/// The elements of a [`DeSet`], ascending.
#[derive(Clone, Debug)]
pub struct Elements(DeSet);

impl Iterator for Elements {
    type Item = De;

    fn next(&mut self) -> Option<De> {
        let next = self.0.first()?;
        self.0 = self.0.without_first();
        Some(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = usize::try_from(self.0.len()).unwrap_or_default();
        (count, Some(count))
    }
}

impl ExactSizeIterator for Elements {}

impl IntoIterator for DeSet {
    type Item = De;
    type IntoIter = Elements;

    fn into_iter(self) -> Elements {
        self.iter()
    }
}

impl FromIterator<De> for DeSet {
    fn from_iter<I: IntoIterator<Item = De>>(elements: I) -> DeSet {
        elements.into_iter().fold(DeSet::EMPTY, DeSet::with)
    }
}

impl fmt::Debug for DeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(De::number)).finish()
    }
}

const fn bit(de: De) -> u128 {
    match de.number() {
        number @ 1..=128 => 1_u128.wrapping_shl(shift(number)),
        _ => 0,
    }
}

#[expect(clippy::as_conversions, reason = "From is not const; u8 into u32")]
const fn shift(number: u8) -> u32 {
    number.wrapping_sub(1) as u32
}

#[expect(clippy::as_conversions, reason = "the caller has ruled out more than 127 zeros")]
const fn numbered(zeros: u32) -> De {
    De::known(zeros.wrapping_add(1) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{format, vec::Vec};

    #[test]
    fn set_algebra() {
        let set = DeSet::from_numbers(&[2, 64, 65, 128, 0, 129]);
        assert_eq!(set.iter().map(De::number).collect::<Vec<_>>(), [2, 64, 65, 128]);
        assert_eq!(set.len(), 4);
        assert_eq!(set.first(), De::new(2));
        assert!(set.has_secondary() && !DeSet::of(&[De::MAC_64]).has_secondary());
        assert_eq!(set.minus(DeSet::of(&[De::PAN])).first(), De::new(64));
        assert!(set.with(De::MTI) == set && !set.contains(De::MTI));
        assert_eq!(DeSet::EMPTY.first(), None);
        assert_eq!(format!("{set:?}"), "{2, 64, 65, 128}");
    }

    #[test]
    fn first_bit_on_the_wire_is_the_highest_of_the_first_byte() {
        let set = DeSet::from_numbers(&[1, 3, 64, 66]);
        let [primary, secondary] = set.to_wire();
        assert_eq!(primary, [0xA0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(secondary, [0x40, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(DeSet::from_wire(primary, secondary), set);
    }
}
