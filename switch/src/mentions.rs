//! Where a message mentions a card number: what must not cross from one side of a proxy card to the other may
//! stand in any element, also in private ones that nothing here understands.

use codecs::iso8583::{De, DeSet, Message};
use codecs::value::Pan;

/// The longest element of any dialect, in its canonical form.
const ELEMENT_BYTES_MAX: usize = 999;

/// The elements of a set that hold a card number, as characters or packed two digits to a byte.
pub fn mentions(message: &Message<'_>, looked_at: DeSet, pan: &Pan) -> DeSet {
    let digits = pan.danger_clear_digits();
    let cores = Cores::of(digits);
    let holds = |de: &De| match message.as_it_stands(*de) {
        Some(value) => cores.are_in(value, digits),
        None => holds_decoded(message, *de, &cores, digits),
    };
    message.present().intersection(looked_at).iter().filter(holds).fold(DeSet::default(), DeSet::with)
}

/// Of an element that stands otherwise on the wire. What cannot be read may hold anything.
#[inline(never)]
fn holds_decoded(message: &Message<'_>, de: De, cores: &Cores, digits: &[u8]) -> bool {
    let mut room = [0; ELEMENT_BYTES_MAX];
    message.decode(de, &mut room).is_none_or(|value| cores.are_in(value, digits))
}

/// What is looked for first: four bytes of a number, of which one lies at a multiple of four wherever the number begins.
struct Cores(Option<[u32; CORES]>);

const CORE_BYTES: usize = 4;

/// As characters, packed, and packed with half a byte in front: each from its first four bytes on.
const CORES: usize = 3 * CORE_BYTES;

/// So many bytes hold four at a multiple of four. As many are whole in a packed number of so many digits and one.
const RUN_BYTES: usize = 2 * CORE_BYTES - 1;

impl Cores {
    /// None of a number that is too short.
    fn of(digits: &[u8]) -> Self {
        let odd = digits.get(1..=2 * RUN_BYTES).map(packed);
        Self(odd.zip(digits.first_chunk()).map(|(odd, characters): (_, &[u8; RUN_BYTES])| {
            let mut cores = [0; CORES];
            let places = [*characters, packed(digits), odd];
            let windows = places.iter().flat_map(|place| place.windows(CORE_BYTES));
            for (core, window) in cores.iter_mut().zip(windows) {
                *core = window.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
            }
            cores
        }))
    }

    /// Whether the digits are in a value.
    #[inline]
    fn are_in(&self, value: &[u8], digits: &[u8]) -> bool {
        self.may_be_in(value) && does_hold(value, digits)
    }

    /// False where the number certainly is not: nearly always.
    #[inline]
    fn may_be_in(&self, value: &[u8]) -> bool {
        let Some(cores) = &self.0 else { return true };
        let (words, _) = value.as_chunks();
        words.iter().any(|word| {
            let word = u32::from_le_bytes(*word);
            cores.iter().fold(false, |any, core| any | (word == *core))
        })
    }
}

/// The first digits, two to a byte.
fn packed(digits: &[u8]) -> [u8; RUN_BYTES] {
    let mut packed = [0; RUN_BYTES];
    for (packed, pair) in packed.iter_mut().zip(digits.chunks_exact(2)) {
        *packed = pair.iter().fold(0, |byte, digit| byte << 4 | digit & 0x0F);
    }
    packed
}

fn does_hold(value: &[u8], digits: &[u8]) -> bool {
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
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn holds(value: &[u8], digits: &[u8]) -> bool {
        Cores::of(digits).are_in(value, digits)
    }

    #[test]
    fn characters_and_packed_digits_at_any_half() {
        let digits = b"9999600000000019";
        assert!(holds(b"ACCOUNT 9999600000000019 A", digits));
        assert!(holds(&[0x5A, 0x08, 0x99, 0x99, 0x60, 0, 0, 0, 0, 0x19], digits));
        assert!(holds(&[0x09, 0x99, 0x96, 0, 0, 0, 0, 0x01, 0x9F], digits));
        assert!(!holds(b"ACCOUNT 9999600000000018", digits));
        assert!(!holds(b"9999", digits));
    }

    proptest! {
        /// Few digits, so that beginnings of the number are everywhere, in front of it, as itself and packed.
        #[test]
        fn the_first_look_misses_nothing(
            digits in vec(b'0'..=b'1', 12..20),
            before in vec(b'0'..=b'1', 0..30),
            halves in vec(0..=1_u8, 0..30),
            after in vec(0..=1_u8, 2..11),
            form in 0..3,
        ) {
            let characters = if form == 1 { digits.clone() } else { Vec::new() };
            let packed = digits.iter().filter(|_| form == 2).map(|digit| digit & 0x0F);
            let halves: Vec<u8> = halves.into_iter().chain(packed).chain(after).collect();
            let pairs = halves.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]);
            let value: Vec<u8> = before.into_iter().chain(characters).chain(pairs).collect();
            prop_assert_eq!(holds(&value, &digits), does_hold(&value, &digits));
            prop_assert!(form == 0 || holds(&value, &digits));
        }
    }
}
