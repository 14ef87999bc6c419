//! Who takes part: institutions (DE 32, 33, 100), terminal (DE 41), merchant (DE 42 and 18).

use core::fmt;
use core::num::NonZeroU64;

use crate::text;

/// An institution of up to 11 digits. Leading zeros do not count: `000123` and `123` are the same. They are said again,
/// though, where it is.
#[derive(Clone, Copy)]
pub struct PartyId(
    /// One more than the number, so that one which is not there takes no room of its own; above [`NUMBER_BITS`] with how
    /// many digits it came, 0 where it came as a number.
    NonZeroU64,
);

/// Eleven digits and one more take 37.
const NUMBER_BITS: u32 = 40;
const NUMBER: u64 = (1 << NUMBER_BITS) - 1;

impl PartyId {
    /// Up to 11 digits.
    #[inline]
    pub const fn new(number: u64) -> Option<PartyId> {
        PartyId::of(number, 0)
    }

    /// Reads 1 to 11 ASCII digits.
    #[inline]
    pub fn parse(ascii: &[u8]) -> Option<PartyId> {
        let length = u64::try_from(ascii.len()).ok().filter(|length| *length <= 11)?;
        PartyId::of(super::number(ascii)?, length)
    }

    #[inline]
    const fn of(number: u64, length: u64) -> Option<PartyId> {
        if number > 99_999_999_999 || length > 11 {
            return None;
        }
        match NonZeroU64::new((number.saturating_add(1)) | (length << NUMBER_BITS)) {
            Some(packed) => Some(PartyId(packed)),
            None => None,
        }
    }

    /// The digits as a number.
    #[inline]
    pub const fn number(self) -> u64 {
        (self.0.get() & NUMBER).saturating_sub(1)
    }

    /// Eleven ASCII digits with leading zeros, as DE 90 has them.
    pub const fn digits(self) -> [u8; 11] {
        super::digits(self.number())
    }

    /// As many of [`Self::digits`], from the right, as it came with.
    pub fn given(self, digits: &[u8; 11]) -> &[u8] {
        let came = usize::try_from(self.0.get() >> NUMBER_BITS).unwrap_or(0);
        let needed = digits.iter().skip_while(|digit| **digit == b'0').count().max(1);
        let left_out = digits.len().saturating_sub(came.max(needed));
        digits.get(left_out..).unwrap_or(digits)
    }

    /// All of it in one number, for what is written down.
    #[inline]
    pub const fn packed(self) -> u64 {
        self.number() | ((self.0.get() >> NUMBER_BITS) << NUMBER_BITS)
    }

    /// What [`Self::packed`] gave.
    #[inline]
    pub const fn unpacked(packed: u64) -> Option<PartyId> {
        PartyId::of(packed & NUMBER, packed >> NUMBER_BITS)
    }
}

impl PartialEq for PartyId {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.0.get() & NUMBER == other.0.get() & NUMBER
    }
}

impl Eq for PartyId {}

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.number(), f)
    }
}

impl fmt::Debug for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Both identifiers are text of a fixed length, padded with spaces on the right.
macro_rules! padded_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Reads up to the full length of printable ASCII characters and pads the rest.
            #[inline]
            pub fn parse(ascii: &[u8]) -> Option<$name> {
                let characters = match ascii.try_into() {
                    Ok(characters) => characters,
                    Err(_) => {
                        let mut characters = [b' '; $len];
                        characters.get_mut(..ascii.len())?.copy_from_slice(ascii);
                        characters
                    }
                };
                text::are_printable(&characters).then_some($name(characters))
            }

            /// The full length, with its padding.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            /// Without the padding.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                super::write_ascii(f, self.0.trim_ascii_end())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

padded_id!(
    /// The terminal that took the card: DE 41.
    TerminalId,
    8
);

padded_id!(
    /// The merchant who is paid: DE 42.
    MerchantId,
    15
);

/// The merchant's line of business: DE 18, 0 to 9999 (ISO 18245).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MerchantType(u16);

impl MerchantType {
    /// 0 to 9999.
    pub const fn new(number: u16) -> Option<MerchantType> {
        if number <= 9_999 { Some(MerchantType(number)) } else { None }
    }

    /// 0 to 9999.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Four ASCII digits.
    pub fn digits(self) -> [u8; 4] {
        super::digits(u64::from(self.0))
    }
}

impl fmt::Display for MerchantType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

impl fmt::Debug for MerchantType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn leading_zeros_of_an_institution_do_not_count() {
        assert_eq!(PartyId::parse(b"000123"), PartyId::parse(b"123"));
        assert_eq!(PartyId::new(123).unwrap().digits(), *b"00000000123");
        assert_eq!((PartyId::parse(b""), PartyId::parse(b"123456789012")), (None, None));
    }

    #[test]
    fn an_institution_is_said_as_it_came() {
        for given in [&b"000123"[..], b"123", b"0", b"00000000000", b"99999999999"] {
            let party = PartyId::parse(given).unwrap();
            assert_eq!(party.given(&party.digits()), given);
            let again = PartyId::unpacked(party.packed()).unwrap();
            assert_eq!((again, again.given(&again.digits())), (party, given));
        }
        let number = PartyId::new(123).unwrap();
        assert_eq!(number.given(&number.digits()), b"123");
        // As it was written down before it had a length.
        assert_eq!(PartyId::unpacked(123), Some(number));
        assert_eq!((PartyId::unpacked(1 << 39), PartyId::unpacked(12 << 40)), (None, None));
    }

    #[test]
    fn identifiers_are_padded() {
        let terminal = TerminalId::parse(b"T2").unwrap();
        assert_eq!(terminal.as_bytes(), b"T2      ");
        assert_eq!(terminal, TerminalId::parse(b"T2      ").unwrap());
        assert_eq!(format!("{terminal} {:?}", MerchantId::parse(b"SHOP 7").unwrap()), "T2 SHOP 7");
        assert_eq!((TerminalId::parse(b"123456789"), TerminalId::parse(b"\t")), (None, None));
    }

    #[test]
    fn merchant_types() {
        assert_eq!(MerchantType::new(742).unwrap().digits(), *b"0742");
        assert_eq!(MerchantType::new(10_000), None);
    }
}
