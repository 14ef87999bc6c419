//! Response codes (DE 39): what they mean, and which of the two editions says it how.

use std::fmt;

use codecs::iso8583::Version;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A response code: two characters in the 1987 edition, three digits in the 1993 one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code {
    /// Filled up with spaces.
    characters: [u8; 3],
}

impl Code {
    /// Reads two or three letters and digits.
    pub fn parse(text: &[u8]) -> Option<Code> {
        if !(2..=3).contains(&text.len()) || !text.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let mut characters = [b' '; 3];
        characters[..text.len()].copy_from_slice(text);
        Some(Code { characters })
    }

    /// The characters as they stand in DE 39.
    pub fn as_bytes(&self) -> &[u8] {
        let length = if self.characters[2] == b' ' { 2 } else { 3 };
        &self.characters[..length]
    }

    /// The same statement in the words of another edition. What has no counterpart there becomes the
    /// general refusal (05, 100).
    pub fn in_version(self, version: Version) -> Code {
        let wanted = if version == Version::V1987 { 2 } else { 3 };
        if self.as_bytes().len() == wanted {
            return self;
        }
        let counterpart = CODES.iter().find_map(|&(old, new, _)| match wanted {
            2 => (new.as_bytes() == self.as_bytes()).then_some(old),
            _ => (old.as_bytes() == self.as_bytes()).then_some(new),
        });
        let general = if wanted == 2 { "05" } else { "100" };
        Code::parse(counterpart.unwrap_or(general).as_bytes()).unwrap_or(self)
    }

    /// What it means, in the words of people who work with payments.
    pub fn meaning(&self) -> &'static str {
        let is = |text: &str| text.as_bytes() == self.as_bytes();
        CODES.iter().find(|(old, new, _)| is(old) || is(new)).map_or("not in the table", |row| row.2)
    }

    /// Whether the payment may go ahead, wholly or in part.
    pub fn is_approval(&self) -> bool {
        matches!(self.as_bytes(), b"00" | b"10" | [b'0', b'0', _])
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Code, D::Error> {
        let text = String::deserialize(from)?;
        Code::parse(text.as_bytes()).ok_or_else(|| D::Error::custom("no response code"))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.as_bytes().iter().map(|&byte| char::from(byte)).collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 1987, 1993, meaning. Where several old codes share a new one, the usual one comes first.
const CODES: &[(&str, &str, &str)] = &[
    ("00", "000", "approved"),
    ("10", "002", "approved in part"),
    ("01", "107", "refer to card issuer"),
    ("03", "109", "invalid merchant"),
    ("04", "200", "pick up card"),
    ("05", "100", "declined"),
    ("09", "923", "request in progress"),
    ("12", "902", "invalid transaction"),
    ("13", "110", "invalid amount"),
    ("14", "111", "no such card number"),
    ("15", "908", "no such issuer"),
    ("25", "914", "original not found"),
    ("30", "904", "format error"),
    ("40", "115", "function not supported"),
    ("41", "208", "lost card"),
    ("43", "209", "stolen card"),
    ("51", "116", "insufficient funds"),
    ("54", "101", "expired card"),
    ("55", "117", "wrong PIN or challenge response"),
    ("57", "119", "not permitted to cardholder"),
    ("58", "120", "not permitted to terminal"),
    ("59", "102", "suspected fraud"),
    ("61", "121", "amount limit exceeded"),
    ("62", "104", "restricted card"),
    ("63", "122", "security violation"),
    ("65", "123", "frequency limit exceeded"),
    ("68", "911", "answer came too late"),
    ("75", "106", "tries exceeded"),
    ("82", "122", "dynamic code failed"),
    ("85", "000", "no reason to decline"),
    ("91", "912", "issuer unreachable"),
    ("92", "908", "no route"),
    ("94", "913", "duplicate, other content"),
    ("96", "909", "system malfunction"),
    ("00", "400", "reversal accepted"),
    ("00", "800", "network message accepted"),
    ("30", "916", "wrong MAC"),
    ("91", "910", "issuer signed off"),
    ("91", "907", "overloaded"),
    ("91", "921", "security module unavailable"),
    ("1A", "100", "step-up needed"),
    ("N7", "122", "CVV2 mismatch"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        Code::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn editions_translate() {
        assert_eq!(code("51").in_version(Version::V1993), code("116"));
        assert_eq!(code("51").in_version(Version::V1987), code("51"));
        assert_eq!(code("116").in_version(Version::V1987), code("51"));
        assert_eq!(code("400").in_version(Version::V1987), code("00"));
        assert_eq!(code("00").in_version(Version::V1993), code("000"));
        assert_eq!(code("Z9").in_version(Version::V1993), code("100"));
    }

    #[test]
    fn meanings_and_approvals() {
        assert_eq!(code("91").meaning(), "issuer unreachable");
        assert_eq!(code("92").meaning(), "no route");
        assert_eq!(code("Z9").meaning(), "not in the table");
        assert!(code("00").is_approval() && code("10").is_approval() && code("002").is_approval());
        assert!(!code("05").is_approval() && !code("100").is_approval());
        assert_eq!(format!("[{:<4}]", code("05")), "[05  ]");
        assert!(Code::parse(b"0").is_none() && Code::parse(b"0 ").is_none());
    }
}
