//! Where a message mentions a card number: what must not cross from one side of a proxy card to the other may
//! stand in any element, also in private ones that nothing here understands.

use codecs::iso8583::{DeSet, Message};
use codecs::value::Pan;

/// The longest element of any dialect, in its canonical form.
const ELEMENT_BYTES_MAX: usize = 999;

/// The elements that hold a card number, as characters or packed two digits to a byte.
pub fn mentions(message: &Message<'_>, pan: &Pan) -> DeSet {
    let mut room = [0; ELEMENT_BYTES_MAX];
    message
        .present()
        .iter()
        .filter(|de| {
            message.decode(*de, &mut room).is_none_or(|value| holds(value, pan.danger_clear_digits()))
        })
        .fold(DeSet::default(), DeSet::with)
}

fn holds(value: &[u8], digits: &[u8]) -> bool {
    let packed = value.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    value.windows(digits.len()).any(|window| window == digits) || is_in(packed, digits)
}

/// Whether the digits come one after the other, at any half of a byte.
fn is_in(nibbles: impl Iterator<Item = u8> + Clone, digits: &[u8]) -> bool {
    let mut rest = nibbles;
    loop {
        let mut from_here = rest.clone();
        if digits.iter().all(|digit| from_here.next() == Some(digit & 0x0F)) {
            return true;
        }
        if rest.next().is_none() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_packed_digits_at_any_half() {
        let digits = b"9999600000000019";
        assert!(holds(b"ACCOUNT 9999600000000019 A", digits));
        assert!(holds(&[0x5A, 0x08, 0x99, 0x99, 0x60, 0, 0, 0, 0, 0x19], digits));
        assert!(holds(&[0x09, 0x99, 0x96, 0, 0, 0, 0, 0x01, 0x9F], digits));
        assert!(!holds(b"ACCOUNT 9999600000000018", digits));
        assert!(!holds(b"9999", digits));
    }
}
