//! What the walk over a message needs of each element, worked out when the dialect is made: a spec is written to be read
//! by people, and its matches for every element cost more than the element.

use super::Fields;
use crate::iso8583::{FieldSpec, Kind, Length, PrefixText, Text};
use crate::text::Repertoire;

/// One element.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Stride {
    /// How its length is known.
    pub(super) form: Form,
    /// Its units if the length is fixed, otherwise the most there may be.
    pub(super) units: u16,
    /// Its bytes on the wire if the length is fixed.
    pub(super) bytes: u16,
    /// What its content is checked as.
    pub(super) content: Repertoire,
    /// Two units a byte.
    pub(super) is_packed: bool,
    /// An odd count of units leaves half a byte over, which is not part of any run: padding on the right, or a mistake.
    pub(super) breaks_when_odd: bool,
    /// An odd count of units leaves half a byte in front, which is zero.
    pub(super) begins_with_zero_when_odd: bool,
    /// The length prefix, if it is a number, would also pass as content.
    pub(super) has_joint: bool,
}

/// How the length of an element is known. The common prefixes have a way of their own.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Form {
    /// The dialect has no such element.
    Unknown,
    Fixed,
    /// LL in ASCII.
    TwoCharacters,
    /// LLL in ASCII.
    ThreeCharacters,
    /// LL in BCD.
    PackedByte,
    /// Any other prefix.
    Other,
}

/// The elements by number.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Strides([Stride; 129]);

impl Strides {
    /// Of fields that are sound; for others it means as little as they do.
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "both arrays have 129 places"
    )]
    pub(super) const fn of(fields: &Fields) -> Strides {
        let mut strides = [Stride::UNKNOWN; 129];
        let mut number = 0;
        while number < fields.len() {
            if let Some(spec) = &fields[number] {
                strides[number] = Stride::over(spec);
            }
            number += 1;
        }
        Strides(strides)
    }

    /// A number that two dialects share only if all their elements are written alike, or by a chance of one in 2^64.
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "a constant function over an array of 129 places; From is not const"
    )]
    pub(super) const fn likeness(fields: &Fields) -> u64 {
        // FNV-1a (Fowler, Noll, Vo).
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        let mut number = 0;
        while number < fields.len() {
            let written = match &fields[number] {
                Some(spec) => {
                    let (form, digits, units) = match spec.length {
                        Length::Fixed(units) => (1, 0, units),
                        Length::Var { prefix_digits, max } => (2, prefix_digits, max),
                    };
                    let axes = [spec.kind as u8, spec.text as u8, spec.prefix as u8, form, digits, 0, 0, 0];
                    u64::from_le_bytes(axes) | (units as u64) << 48
                }
                None => 0,
            };
            hash = (hash ^ written).wrapping_mul(0x0000_0100_0000_01B3);
            hash ^= hash >> 32;
            number += 1;
        }
        hash
    }

    /// The stride over an element, by its number.
    #[inline(always)]
    pub(super) fn over(&self, number: u8) -> Stride {
        self.0.get(usize::from(number)).copied().unwrap_or(Stride::UNKNOWN)
    }
}

impl Stride {
    /// Bytes that so many units take on the wire.
    #[inline(always)]
    pub(super) const fn bytes_of(self, units: u16) -> u16 {
        match (self.form, self.is_packed) {
            (Form::Fixed, _) => self.bytes,
            (_, true) => (units >> 1).wrapping_add(units & 1),
            (_, false) => units,
        }
    }

    /// Whether an element is checked by itself: it is signed, or may be padded.
    pub(super) fn is_alone(self) -> bool {
        let may_be_padded = self.breaks_when_odd || self.begins_with_zero_when_odd;
        self.content == Repertoire::Alone
            || match self.form {
                Form::Fixed => may_be_padded && self.units & 1 != 0,
                _ => may_be_padded,
            }
    }

    const UNKNOWN: Stride = Stride {
        form: Form::Unknown,
        units: 0,
        bytes: 0,
        content: Repertoire::Alone,
        is_packed: false,
        breaks_when_odd: false,
        begins_with_zero_when_odd: false,
        has_joint: false,
    };

    const fn over(spec: &FieldSpec) -> Stride {
        let content = Repertoire::of(spec.text, spec.kind);
        let is_signed = matches!(spec.kind, Kind::SignedDigits);
        let stride = Stride {
            form: Form::Fixed,
            units: 0,
            bytes: 0,
            content,
            is_packed: matches!(spec.text, Text::Bcd | Text::BcdLeft),
            breaks_when_odd: matches!(spec.text, Text::BcdLeft | Text::HexAscii | Text::HexEbcdic),
            begins_with_zero_when_odd: matches!(spec.text, Text::Bcd) && !is_signed,
            has_joint: true,
        };
        match spec.length {
            Length::Fixed(units) => Stride { units, bytes: spec.wire_bytes(units), ..stride },
            Length::Var { prefix_digits, max } => {
                let form = match (spec.prefix, prefix_digits) {
                    (PrefixText::Ascii, 2) => Form::TwoCharacters,
                    (PrefixText::Ascii, 3) => Form::ThreeCharacters,
                    (PrefixText::Bcd, 1 | 2) => Form::PackedByte,
                    _ => Form::Other,
                };
                Stride { form, units: max, has_joint: prefix_joins(spec), ..stride }
            }
        }
    }
}

/// Whether a length prefix that is a number would also pass as content of its element.
const fn prefix_joins(spec: &FieldSpec) -> bool {
    match (spec.prefix, spec.text) {
        (PrefixText::Ascii, Text::Ascii | Text::HexAscii) => !matches!(spec.kind, Kind::Alpha),
        (PrefixText::Ebcdic, Text::Ebcdic | Text::HexEbcdic) => !matches!(spec.kind, Kind::Alpha),
        (PrefixText::Bcd, Text::Bcd | Text::BcdLeft) => true,
        _ => false,
    }
}
