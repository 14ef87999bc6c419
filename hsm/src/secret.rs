//! Bytes that must not be seen: the PIN that logs in to the token.

use zeroize::Zeroizing;

/// Bytes that are overwritten when they are dropped.
///
/// There is no `Debug`, no `Display` and no `Clone`, so a secret cannot slip into a log line or be copied
/// by accident:
///
/// ```compile_fail
/// let pin = hsm::Secret::new(b"1234".to_vec());
/// println!("{pin:?}");
/// ```
/// ```compile_fail
/// let pin = hsm::Secret::new(b"1234".to_vec());
/// let copy = pin.clone();
/// ```
///
/// Moving the value moves a pointer; the bytes stay where they are until they are wiped.
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes the bytes over. A vector with spare capacity is copied once into a box of its size, and the
    /// vector is wiped.
    pub fn new(bytes: Vec<u8>) -> Secret {
        let bytes = Zeroizing::new(bytes);
        Secret(Zeroizing::new(Box::from(bytes.as_slice())))
    }

    /// The bytes, in the clear.
    pub(crate) fn danger_clear_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret::new(text.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_it_was_given() {
        let mut roomy = Vec::with_capacity(64);
        roomy.extend_from_slice(b"1234");
        assert_eq!(Secret::new(roomy).danger_clear_bytes(), b"1234");
        assert_eq!(Secret::from("1234".to_owned()).danger_clear_bytes(), b"1234");
    }
}
