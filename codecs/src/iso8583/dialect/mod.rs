//! A dialect: how one kind of neighbour writes ISO 8583, as plain data of fixed size.
//!
//! Nothing here knows where a dialect comes from. Those of [`built_in`](mod@built_in) are constants; others
//! are read from a file by the switch, which then asks [`Dialect::first_unsound`].

pub mod built_in;

mod mould;
mod parse;
mod plan;
mod rules;
mod stride;

pub use built_in::{BUILT_IN, ISO87_ASCII, ISO87_BINARY, ISO87_EBCDIC, ISO93_ASCII, ISO93_BINARY, built_in};
pub use plan::Plans;

use super::{BitmapText, De, DeSet, FieldSpec, Text, Version};
use crate::text;
use stride::Strides;

/// The most rules per dialect.
pub const MAX_RULES: usize = 16;

/// How each element is written, by number; 0 and 1 are not used.
pub type Fields = [Option<FieldSpec>; 129];

/// How one kind of neighbour writes its messages. About six KiB, without pointers.
#[derive(Clone, PartialEq, Debug)]
pub struct Dialect {
    /// The edition of the standard: the first digit of every message type.
    pub version: Version,
    /// How the message type is written: [`Text::Ascii`], [`Text::Ebcdic`] or [`Text::Bcd`].
    pub mti: Text,
    /// How the bitmaps are written.
    pub bitmap: BitmapText,
    /// What each message type must and must not have. A type without a rule may have anything.
    pub rules: [Option<MtiRule>; MAX_RULES],
    /// The elements that a response made here carries back from its request.
    pub echo: DeSet,
    fields: Fields,
    /// Made of the fields, for the walk over a message.
    strides: Strides,
    /// That of the fields.
    likeness: u64,
    /// Elements whose canonical form stands on the wire.
    canonical: DeSet,
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

/// The elements whose canonical form stands on the wire.
const fn canonical(fields: &Fields) -> DeSet {
    let mut found = DeSet::EMPTY;
    let (mut rest, mut number) = (fields.as_slice(), 0_u8);
    while let [field, behind @ ..] = rest {
        if let (Some(spec), Some(de)) = (field, De::new(number))
            && text::is_canonical_on_the_wire(spec)
        {
            found = found.with(de);
        }
        (rest, number) = (behind, number.wrapping_add(1));
    }
    found
}

impl Dialect {
    /// A dialect without rules, in which a response carries nothing back.
    pub const fn new(version: Version, mti: Text, bitmap: BitmapText, fields: Fields) -> Dialect {
        Dialect {
            version,
            mti,
            bitmap,
            rules: [None; MAX_RULES],
            echo: DeSet::EMPTY,
            strides: Strides::of(&fields),
            likeness: Strides::likeness(&fields),
            canonical: canonical(&fields),
            fields,
        }
    }

    /// The same dialect with these rules, and these elements carried back by responses.
    #[must_use]
    pub const fn with_rules(mut self, rules: [Option<MtiRule>; MAX_RULES], echo: DeSet) -> Dialect {
        self.rules = rules;
        self.echo = echo;
        self
    }

    /// How every element is written.
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The same dialect, except that its elements are written so.
    #[must_use]
    pub const fn with_fields(self, fields: Fields) -> Dialect {
        Dialect {
            strides: Strides::of(&fields),
            likeness: Strides::likeness(&fields),
            canonical: canonical(&fields),
            fields,
            ..self
        }
    }

    /// The elements whose value stands on the wire as [`Message::decode`](super::Message::decode) gives it.
    #[inline]
    pub const fn canonical(&self) -> DeSet {
        self.canonical
    }

    #[inline(always)]
    pub(super) fn likeness(&self) -> u64 {
        self.likeness
    }

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
