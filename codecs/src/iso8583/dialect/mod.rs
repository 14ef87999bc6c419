//! A dialect: how one kind of neighbour writes ISO 8583, as plain data of fixed size.
//!
//! Nothing here knows where a dialect comes from. Those of [`built_in`](mod@built_in) are constants; others
//! are read from a file by the switch, which then asks [`Dialect::first_unsound`].

pub mod built_in;

mod parse;
mod rules;

pub use built_in::{BUILT_IN, ISO87_ASCII, ISO87_BINARY, ISO87_EBCDIC, ISO93_ASCII, ISO93_BINARY, built_in};

use super::{BitmapText, De, DeSet, FieldSpec, Text, Version};

/// The most rules per dialect.
pub const MAX_RULES: usize = 16;

/// How one kind of neighbour writes its messages. About six KiB, without pointers.
#[derive(Clone, PartialEq, Debug)]
pub struct Dialect {
    /// The edition of the standard: the first digit of every message type.
    pub version: Version,
    /// How the message type is written: [`Text::Ascii`], [`Text::Ebcdic`] or [`Text::Bcd`].
    pub mti: Text,
    /// How the bitmaps are written.
    pub bitmap: BitmapText,
    /// The elements by number; 0 and 1 are not used.
    pub fields: [Option<FieldSpec>; 129],
    /// What each message type must and must not have. A type without a rule may have anything.
    pub rules: [Option<MtiRule>; MAX_RULES],
    /// The elements that a response made here carries back from its request.
    pub echo: DeSet,
}

/// What messages of one class and function must and must not have, whatever their version and origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MtiRule {
    /// The second and third digit of the message type in ASCII: `10` for 0100, 0101 and 1100.
    pub mti: [u8; 2],
    /// All of these must be present.
    pub mandatory: DeSet,
    /// None of these may be.
    pub forbidden: DeSet,
    /// At least one of each set that is not empty must be present.
    pub one_of: [DeSet; 2],
    /// If the element is present the set must be too; [`De::MTI`] marks an unused entry.
    pub when: [(De, DeSet); 4],
}

impl MtiRule {
    /// A rule that asks for nothing, to start from.
    pub const fn for_type(mti: [u8; 2]) -> MtiRule {
        MtiRule {
            mti,
            mandatory: DeSet::EMPTY,
            forbidden: DeSet::EMPTY,
            one_of: [DeSet::EMPTY; 2],
            when: [(De::MTI, DeSet::EMPTY); 4],
        }
    }
}

impl Dialect {
    /// How an element is written, if the dialect has it.
    #[inline(always)]
    pub fn field(&self, de: De) -> Option<&FieldSpec> {
        self.fields.get(usize::from(de.number()))?.as_ref()
    }

    /// The first element whose spec contradicts itself ([`De::MTI`] for the text of the message type), or
    /// that is defined although it is a bitmap; nothing when the dialect may be used.
    pub fn first_unsound(&self) -> Option<De> {
        if !matches!(self.mti, Text::Ascii | Text::Ebcdic | Text::Bcd) {
            return Some(De::MTI);
        }
        let unsound = |de: &De| {
            let is_bitmap = matches!(de.number(), 1 | 65);
            self.field(*de).is_some_and(|spec| is_bitmap || !spec.is_sound())
        };
        (1..=128).map(De::known).find(unsound)
    }
}
