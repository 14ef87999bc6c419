//! Who takes part: institutions (DE 32, 33, 100), terminal (DE 41), merchant (DE 42 and 18).

use core::fmt;
use core::num::NonZeroU64;

use crate::text;

/// An institution of up to 11 digits. Leading zeros do not count: `000123` and `123` are the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(
    /// One more than the number, so that one which is not there takes no room of its own.
    NonZeroU64,
);

impl PartyId {
    /// Up to 11 digits.
    #[inline]
    pub const fn new(number: u64) -> Option<PartyId> {
        if number > 99_999_999_999 {
            return None;
        }
        match NonZeroU64::new(number.saturating_add(1)) {
            Some(above) => Some(PartyId(above)),
            None => None,
        }
    }

    /// Reads 1 to 11 ASCII digits.
    #[inline]
    pub fn parse(ascii: &[u8]) -> Option<PartyId> {
        if ascii.len() > 11 {
            return None;
        }
        super::number(ascii).and_then(PartyId::new)
    }

    /// The digits as a number.
    #[inline]
    pub const fn number(self) -> u64 {
        self.0.get().saturating_sub(1)
    }

    /// Eleven ASCII digits with leading zeros, as DE 90 has them.
    pub const fn digits(self) -> [u8; 11] {
        super::digits(self.number())
    }
}

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
