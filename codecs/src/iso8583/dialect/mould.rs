//! The quickest way over a message: what most messages of a neighbour have other than one before them is what their elements
//! say. They have the same type, the same elements, as long as they were, at the same places.
//!
//! A [`Mould`] is what such a message leaves behind: which bytes may stand where, and the index of all that fit into it. A
//! message that fits is sound; for one that does not there are the slower ways.

use super::Dialect;
use crate::iso8583::encoder::mti_bytes;
use crate::iso8583::index::{Place, Span, position};
use crate::iso8583::{BitmapText, De, DeSet, Index, Mti, Text, Version};
use crate::text::{self, BLOCK_BYTES, Block, Repertoire};

/// Moulds of the messages that were met last.
pub(super) struct Moulds([[Mould; WAYS]; SETS]);

/// Messages that begin alike and are as long meet in one set of moulds, and others by chance.
const SETS: usize = 16;
const WAYS: usize = 4;

/// The longest message that leaves a mould is so many blocks, the shortest is one.
const BLOCKS: usize = 16;
const BYTES_MAX: usize = BLOCKS * BLOCK_BYTES;

/// The most elements of a message that leaves one.
const ELEMENTS: usize = 64;

/// The most checks beside the bounds of each byte.
const CHECKS: usize = 24;

/// So many messages in a row fit into no mould of a set until one more takes the place of one that had fitted.
const WORTH: u8 = 15;

struct Mould {
    likeness: Likeness,
    bytes: usize,
    /// The bounds of each byte, but for the last ones, which are in `last`: it goes up to the end of the message.
    blocks: [Block; BLOCKS],
    last: Block,
    checks: [Check; CHECKS],
    checks_used: usize,
    mti: Option<Mti>,
    present: DeSet,
    elements: [(Place, Span); ELEMENTS],
    elements_used: usize,
    /// How long it stays although others do not fit.
    worth: u8,
}

/// All of a dialect by which a message is read.
#[derive(Clone, Copy, PartialEq)]
struct Likeness(u64, Version, Text, BitmapText);

/// A stretch of a message whose content no bounds describe.
#[derive(Clone, Copy)]
struct Check {
    from: usize,
    to: usize,
    content: Repertoire,
    /// The first element of the stretch and its units, for one that must be looked at as a whole.
    de: De,
    units: u16,
}

impl Moulds {
    pub(super) const NONE: Moulds = Moulds([const { [const { Mould::NONE }; WAYS] }; SETS]);

    /// Fills the index of a message that fits into a mould.
    #[inline(always)]
    pub(super) fn fill(&mut self, dialect: &Dialect, bytes: &[u8], index: &mut Index) -> Option<()> {
        let mould = self.of(dialect, bytes)?.iter_mut().find(|mould| mould.has(dialect, bytes))?;
        mould.worth = WORTH;
        mould.cast(index);
        Some(())
    }

    /// Keeps the shape of a message that was found sound and fits into no mould. It takes the place of one into which
    /// nothing has fitted for long.
    #[inline(never)]
    pub(super) fn keep(&mut self, dialect: &Dialect, bytes: &[u8], index: &Index) {
        let least = self.of(dialect, bytes).and_then(|set| set.iter_mut().min_by_key(|mould| mould.worth));
        let Some(mould) = least else { return };
        match mould.worth.checked_sub(1) {
            Some(worth) => mould.worth = worth,
            None if mould.make(dialect, bytes, index).is_some() => mould.worth = WORTH,
            // Half made it may still hold what the message said. The next one like it is not tried at once.
            None => *mould = Mould { worth: WORTH, ..Mould::NONE },
        }
    }

    #[inline(always)]
    fn of(&mut self, dialect: &Dialect, bytes: &[u8]) -> Option<&mut [Mould; WAYS]> {
        if !(BLOCK_BYTES..=BYTES_MAX).contains(&bytes.len()) {
            return None;
        }
        let head = bytes.get(..dialect.head_bytes())?;
        let middle = head.get(head.len().saturating_sub(8) >> 1..)?;
        let parts = [head.first_chunk()?, middle.first_chunk()?, head.last_chunk()?];
        let [first, middle, last] = parts.map(|part| u64::from_le_bytes(*part));
        let length = u64::from(position(bytes.len()));
        // Fibonacci hashing: the high bits of the product depend on all of the factor's.
        let mixed = first ^ middle.rotate_left(23) ^ last.rotate_left(47) ^ dialect.likeness ^ length;
        let [.., top] = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
        self.0.get_mut(usize::from(top >> 4))
    }
}

impl Mould {
    const NONE: Mould = Mould {
        likeness: Likeness(0, Version::V1987, Text::Ascii, BitmapText::Binary),
        bytes: 0,
        blocks: [Block::ZEROS; BLOCKS],
        last: Block::ZEROS,
        checks: [Check::NONE; CHECKS],
        checks_used: 0,
        mti: None,
        present: DeSet::EMPTY,
        elements: [(Place::of(De::MTI), Span::NOWHERE); ELEMENTS],
        elements_used: 0,
        worth: 0,
    };

    /// Whether a message fits.
    #[inline(always)]
    fn has(&self, dialect: &Dialect, bytes: &[u8]) -> bool {
        if self.bytes != bytes.len() || self.likeness != Likeness::of(dialect) {
            return false;
        }
        let Some(last) = bytes.last_chunk() else { return false };
        let (whole, _) = bytes.as_chunks();
        self.blocks.iter().zip(whole).all(|(block, bytes)| block.has(bytes))
            && self.last.has(last)
            && self.checks().iter().all(|check| check.passes(dialect, bytes))
    }

    #[inline(always)]
    fn checks(&self) -> &[Check] {
        self.checks.get(..self.checks_used).unwrap_or_default()
    }

    /// The index of a message that fits.
    #[inline(always)]
    fn cast(&self, index: &mut Index) {
        index.mti_digits = self.mti.map(Mti::digits);
        index.mti = self.mti;
        index.present = self.present;
        index.is_whole = true;
        index.end = position(self.bytes);
        for (place, span) in self.elements.get(..self.elements_used).unwrap_or_default() {
            index.put(*place, *span);
        }
    }

    /// Takes the shape of a sound message; nothing where it has too much of something.
    fn make(&mut self, dialect: &Dialect, bytes: &[u8], index: &Index) -> Option<()> {
        *self =
            Mould { likeness: Likeness::of(dialect), mti: index.mti, present: index.present, ..Mould::NONE };
        self.bytes = bytes.len();
        // What no element holds is as it is: type, bitmaps, the prefixes of lengths.
        (0_usize..).zip(bytes).for_each(|(at, byte)| self.bound(at, (*byte, *byte)));
        for de in index.present {
            let span = index.span(de)?;
            *self.elements.get_mut(self.elements_used)? = (Place::of(de), span);
            self.elements_used = self.elements_used.saturating_add(1);
            self.open(dialect, bytes, de, span)?;
        }
        Some(())
    }

    /// Lets an element say what it may.
    fn open(&mut self, dialect: &Dialect, bytes: &[u8], de: De, span: Span) -> Option<()> {
        let (from, to, units) = (usize::from(span.value()), usize::from(span.end()), span.units());
        let stride = dialect.strides.over(de.number());
        let content = if stride.is_alone() { Repertoire::Alone } else { stride.content };
        let Some((lowest, highest)) = content.bounds() else {
            (from..to).for_each(|at| self.bound(at, (0, u8::MAX)));
            return self.check(Check { from, to, content, de, units }, bytes);
        };
        for (at, byte) in (from..to).zip(bytes.get(from..to)?) {
            // The separator of a track stays where it is.
            if (lowest..=highest).contains(byte) {
                self.bound(at, (lowest, highest));
            }
        }
        Some(())
    }

    /// Bounds a byte of the message.
    fn bound(&mut self, at: usize, bounds: (u8, u8)) {
        let (block, place) = (at.checked_div(BLOCK_BYTES), at.checked_rem(BLOCK_BYTES));
        if let (Some(block), Some(place)) = (block.and_then(|block| self.blocks.get_mut(block)), place) {
            block.bound(place, bounds);
        }
        if let Some(place) = at.saturating_add(BLOCK_BYTES).checked_sub(self.bytes) {
            self.last.bound(place, bounds);
        }
    }

    /// One check more, or one that goes further.
    fn check(&mut self, check: Check, bytes: &[u8]) -> Option<()> {
        let last = self.checks_used.checked_sub(1).and_then(|last| self.checks.get_mut(last));
        if let Some(last) = last
            && last.content == check.content
            && check.content != Repertoire::Alone
            // What is between them is as it is.
            && check.content.has(bytes.get(last.to..check.from)?)
        {
            last.to = check.to;
            return Some(());
        }
        *self.checks.get_mut(self.checks_used)? = check;
        self.checks_used = self.checks_used.saturating_add(1);
        Some(())
    }
}

impl Check {
    const NONE: Check = Check { from: 0, to: 0, content: Repertoire::Any, de: De::MTI, units: 0 };

    #[inline(always)]
    fn passes(&self, dialect: &Dialect, bytes: &[u8]) -> bool {
        let Some(stretch) = bytes.get(self.from..self.to) else { return false };
        match self.content {
            Repertoire::Alone => {
                dialect.field(self.de).is_some_and(|spec| text::is_sound(spec, stretch, self.units))
            }
            content => content.has(stretch),
        }
    }
}

impl Likeness {
    #[inline(always)]
    fn of(dialect: &Dialect) -> Likeness {
        Likeness(dialect.likeness, dialect.version, dialect.mti, dialect.bitmap)
    }
}

impl Dialect {
    /// What every message has: its type and the first bitmap.
    #[inline(always)]
    fn head_bytes(&self) -> usize {
        mti_bytes(self.mti).saturating_add(match self.bitmap {
            BitmapText::Binary => 8,
            BitmapText::HexAscii | BitmapText::HexEbcdic => 16,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::iso8583::{BUILT_IN, Encoder, Version};

    const CARD: &[u8] = b"9999600000000019";

    /// A payment with every kind of element, with this card number and RRN.
    fn payment(dialect: &Dialect, card: &[u8], rrn: &[u8]) -> Vec<u8> {
        payment_with(dialect, card, rrn, &[0x9F, 0x36, 0x02, 0x00, 0x2A])
    }

    fn payment_with(dialect: &Dialect, card: &[u8], rrn: &[u8], icc: &[u8]) -> Vec<u8> {
        let track = [card, b"=291220100000000"].concat();
        let elements: [(u8, &[u8]); 14] = [
            (2, card),
            (3, b"000000"),
            (4, b"000000001000"),
            (7, b"1123220304"),
            (11, b"000001"),
            (22, b"021"),
            (28, b"D00000100"),
            (32, b"100001"),
            (35, &track),
            (37, rrn),
            (41, b"TERM0001"),
            (49, b"840"),
            (52, &[0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC, 0xDE, 0xF0]),
            (55, icc),
        ];
        let present = elements.iter().map(|(number, _)| De::known(*number)).collect();
        let mut out = vec![0; 512];
        let mti = Mti::from_digits(*b"0100").unwrap();
        let mut encoder = Encoder::new(dialect, mti, present, &mut out).unwrap();
        elements.iter().for_each(|(number, value)| encoder.put(De::known(*number), value).unwrap());
        let length = encoder.finish().unwrap();
        out.truncate(length);
        out
    }

    fn of_1987() -> impl Iterator<Item = &'static Dialect> {
        BUILT_IN.iter().map(|(_, dialect)| *dialect).filter(|dialect| dialect.version == Version::V1987)
    }

    /// Moulds of which one is that of a message.
    fn moulds_of(dialect: &Dialect, message: &[u8]) -> Box<Moulds> {
        let (mut moulds, mut index) = (Box::new(Moulds::NONE), Index::new());
        assert_eq!(dialect.parse(message, &mut index), Ok(()));
        assert!(moulds.fill(dialect, message, &mut index).is_none());
        moulds.keep(dialect, message, &index);
        moulds
    }

    /// All that an index says.
    fn said(index: &Index) -> impl PartialEq + core::fmt::Debug {
        let spans: Vec<_> = index
            .present
            .iter()
            .map(|de| index.span(de).map(|span| (span.start(), span.value(), span.end(), span.units())))
            .collect();
        (index.mti, index.mti_digits, index.present, index.is_whole, index.end, spans)
    }

    #[test]
    fn what_has_the_shape_of_another_message_fits() {
        for dialect in of_1987() {
            let mut moulds = moulds_of(dialect, &payment(dialect, CARD, b"000000000001"));
            let other = payment(dialect, b"4111111111111111", b"ABC DEF 9876");
            let (mut quickly, mut carefully) = (Index::new(), Index::new());
            assert!(moulds.fill(dialect, &other, &mut quickly).is_some());
            assert_eq!(dialect.parse(&other, &mut carefully), Ok(()));
            assert_eq!(said(&quickly), said(&carefully));
            // Another length, another dialect, nothing at all.
            let longer = payment(dialect, b"99996000000000191", b"000000000001");
            assert!(moulds.fill(dialect, &longer, &mut quickly).is_none());
            for another in of_1987().filter(|another| !core::ptr::eq(*another, dialect)) {
                assert!(moulds.fill(another, &other, &mut quickly).is_none());
            }
            assert!((0..40).all(|end| moulds.fill(dialect, &other[..end], &mut quickly).is_none()));
        }
    }

    #[test]
    fn no_byte_makes_a_message_fit_that_is_not_sound() {
        for dialect in of_1987() {
            let message = payment(dialect, CARD, b"000000000001");
            let mut moulds = moulds_of(dialect, &message);
            let (mut quickly, mut carefully, mut fitted) = (Index::new(), Index::new(), 0);
            for at in 0..message.len() {
                for byte in 0..=u8::MAX {
                    let mut other = message.clone();
                    other[at] = byte;
                    if moulds.fill(dialect, &other, &mut quickly).is_some() {
                        fitted += 1;
                        assert_eq!(dialect.parse(&other, &mut carefully), Ok(()), "{byte} at {at}");
                        assert_eq!(said(&quickly), said(&carefully), "{byte} at {at}");
                    }
                }
            }
            // Ten digits fit in most places.
            assert!(fitted > 5 * message.len(), "{fitted}");
        }
    }

    /// Payments that begin alike and are as long, with their elements at other places.
    fn of_one_length(dialect: &Dialect, card_digits: usize) -> Vec<u8> {
        let icc = vec![0x5A; 30 - card_digits];
        payment_with(dialect, &b"9999600000000000019"[..card_digits], b"000000000001", &icc)
    }

    #[test]
    fn what_messages_fit_into_stays_while_others_come_and_go() {
        let (_, dialect) = BUILT_IN[0];
        let usual = of_one_length(dialect, 16);
        let mut moulds = moulds_of(dialect, &usual);
        let mut index = Index::new();
        let mut met = |moulds: &mut Moulds, message: &[u8]| {
            dialect.parse(message, &mut index).unwrap();
            let fits = moulds.fill(dialect, message, &mut index).is_some();
            if !fits {
                moulds.keep(dialect, message, &index);
            }
            fits
        };
        for round in 0..100_usize {
            assert!(met(&mut moulds, &usual), "{round}");
            for other in 0..usize::from(WORTH) {
                let other = of_one_length(dialect, 8 + (round * 5 + other) % 8);
                assert_eq!(other.len(), usual.len());
                met(&mut moulds, &other);
            }
        }
        // Until it comes no more.
        let others = (0..1_000).map(|other| of_one_length(dialect, 8 + other % 8));
        for other in others {
            met(&mut moulds, &other);
        }
        assert!(!met(&mut moulds, &usual));
    }
}
