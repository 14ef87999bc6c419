//! Keys of tests: known to everybody who has the profile, and still not printed.

use std::fmt;
use std::path::Path;

/// A key of sixteen bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct TestKey([u8; 16]);

impl TestKey {
    /// Reads 32 hexadecimal digits. The error does not quote them.
    pub fn parse(text: &str) -> Result<TestKey, String> {
        let text = text.trim();
        let mut key = [0; 16];
        if text.len() != 32 || !text.is_ascii() {
            return Err("32 hexadecimal digits are expected".to_string());
        }
        for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |place: usize| char::from(pair[place]).to_digit(16);
            let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                return Err("32 hexadecimal digits are expected".to_string());
            };
            *byte = (high << 4 | low) as u8;
        }
        Ok(TestKey(key))
    }

    /// Reads the first line of a file.
    pub fn read(path: &Path) -> Result<TestKey, String> {
        let named = |error: String| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        TestKey::parse(text.lines().next().unwrap_or_default()).map_err(named)
    }

    /// Its bytes, to compute with.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_and_never_quoted() {
        let key = TestKey::parse("000102030405060708090a0B0c0d0e0f\n").unwrap();
        assert_eq!(key.bytes()[..3], [0, 1, 2]);
        assert_eq!(key.bytes()[10..12], [10, 11]);
        assert_eq!(format!("{key:?}"), "TestKey");
        for text in ["", "0001", "zz0102030405060708090a0b0c0d0e0f"] {
            let error = TestKey::parse(text).unwrap_err();
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }
}
