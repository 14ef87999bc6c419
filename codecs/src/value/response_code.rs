//! How a request ended: DE 39, and DE 38 when it ended well.

use core::fmt;

use crate::text;

/// A response code of two characters (1987) or an action code of three (1993).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseCode {
    /// ASCII, a zero byte behind two characters.
    characters: [u8; 3],
}

impl ResponseCode {
    /// None was said. No text reads as it.
    pub const NONE: ResponseCode = ResponseCode { characters: [0; 3] };

    /// A code written in source, as `ResponseCode::of(b"00")`.
    ///
    /// # Panics
    /// For characters other than letters and digits: when the crate is built, if it stands in a constant.
    /// Other lengths than 2 and 3 do not compile.
    pub const fn of<const N: usize>(code: &[u8; N]) -> ResponseCode {
        const { assert!(N == 2 || N == 3, "a response code has two or three characters") };
        match ResponseCode::parse(code) {
            Some(code) => code,
            None => ResponseCode::refused(),
        }
    }

    /// Reads two or three ASCII letters or digits.
    #[inline]
    pub const fn parse(ascii: &[u8]) -> Option<ResponseCode> {
        let characters = match *ascii {
            [a, b] if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() => [a, b, 0],
            [a, b, c]
                if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() && c.is_ascii_alphanumeric() =>
            {
                [a, b, c]
            }
            _ => return None,
        };
        Some(ResponseCode { characters })
    }

    /// Whether whoever reads it takes it for an approval: 00, 08 (with identification), 10 (in part), 11 (VIP) and 16
    /// (update track 3) in 1987 (ISO 8583:1987 table A.9), the action codes 000 to 099 of 1993 (ISO 8583:1993 table A.1).
    pub const fn approves(&self) -> bool {
        matches!(
            self.characters,
            [b'0', b'0' | b'8', 0] | [b'1', b'0' | b'1' | b'6', 0] | [b'0', b'0'..=b'9', b'0'..=b'9']
        )
    }

    /// Two or three ASCII characters.
    pub const fn as_bytes(&self) -> &[u8] {
        match &self.characters {
            [two @ .., 0] => two,
            three => three,
        }
    }

    /// Whether money may flow: 00 and 10 (approved, approved in part), and the action codes that begin with
    /// 0.
    pub const fn is_approval(self) -> bool {
        matches!(self.characters, [b'0', b'0', 0] | [b'1', b'0', 0] | [b'0', _, 1..=u8::MAX])
    }

    #[expect(clippy::panic, reason = "a mistake in source, found when a constant is built")]
    const fn refused() -> ResponseCode {
        panic!("a response code has letters and digits only")
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write_ascii(f, self.as_bytes())
    }
}

impl fmt::Debug for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an issuer gives with an approval: DE 38, six characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApprovalCode([u8; 6]);

impl ApprovalCode {
    /// Reads six printable ASCII characters.
    #[inline]
    pub fn parse(ascii: &[u8]) -> Option<ApprovalCode> {
        let characters: [u8; 6] = ascii.try_into().ok()?;
        text::are_printable(&characters).then_some(ApprovalCode(characters))
    }

    /// Six ASCII characters.
    pub const fn as_bytes(&self) -> &[u8; 6] {
        &self.0
    }
}

impl fmt::Display for ApprovalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write_ascii(f, &self.0)
    }
}

impl fmt::Debug for ApprovalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approvals() {
        for (code, approved) in [
            (&b"00"[..], true),
            (b"10", true),
            (b"05", false),
            (b"01", false),
            (b"1A", false),
            (b"000", true),
            (b"002", true),
            (b"100", false),
        ] {
            assert_eq!(ResponseCode::parse(code).unwrap().is_approval(), approved, "{code:?}");
        }
    }

    #[test]
    fn constants_and_refusals() {
        const APPROVED: ResponseCode = ResponseCode::of(b"00");
        assert_eq!((APPROVED.as_bytes(), ResponseCode::of(b"100").as_bytes()), (&b"00"[..], &b"100"[..]));
        for code in [&b""[..], b"0", b"0 ", b"0000", b"\x0000"] {
            assert_eq!(ResponseCode::parse(code), None);
        }
        assert_eq!(ApprovalCode::parse(b"12345"), None);
    }
}
