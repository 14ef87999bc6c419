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
    let looked_at = message.present().intersection(looked_at);
    let standing = looked_at.intersection(message.dialect().canonical());
    // Nearly always nothing does, which is seen without a look at where each of them lies.
    let looked_at =
        if may_mention(message, standing, &cores) { looked_at } else { looked_at.minus(standing) };
    let holds = |de: &De| match message.as_it_stands(*de) {
        Some(value) => cores.are_in(value, digits),
        None => holds_decoded(message, *de, &cores, digits),
    };
    looked_at.iter().filter(holds).fold(DeSet::default(), DeSet::with)
}

/// False where none of these elements holds the number. What is searched are the stretches between all others: what
/// stands in front of an element, or where one ends and the next begins, can only be taken for it.
fn may_mention(message: &Message<'_>, elements: DeSet, cores: &Cores) -> bool {
    if elements.is_empty() {
        return false;
    }
    let present = message.present().without(De::BITMAP);
    let first = present.first().and_then(|de| message.value_offset(de));
    // Bitmaps are no element: what is like a number in them is none.
    let mut from = first.map_or(0, usize::from);
    let may_be_in = |stretch: Option<&[u8]>| stretch.is_none_or(|stretch| cores.may_be_in(stretch));
    for de in present.minus(elements) {
        let (Some(at), Some(value)) = (message.value_offset(de), message.value(de)) else { return true };
        let at = usize::from(at);
        if may_be_in(message.bytes().get(from..at)) {
            return true;
        }
        from = at + value.len();
    }
    may_be_in(message.bytes().get(from..))
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
        // Found or not, all are looked at: that is done several at a time.
        words.iter().fold(false, |any, word| {
            let word = u32::from_le_bytes(*word);
            any | cores.iter().fold(false, |any, core| any | (word == *core))
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

    use codecs::iso8583::{BUILT_IN, Encoder, Index, Mti, Version};

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

    const NUMBER: &[u8] = b"9999600000000019";

    /// A text without the number, with it, and with the better part of it; in front of it so many characters.
    fn text(form: usize, before: usize) -> Vec<u8> {
        let held = [&b"00"[..], NUMBER, &NUMBER[..15], &NUMBER[1..]][form];
        [&b"ABCDEFG"[..before], held, b" 1"].concat()
    }

    proptest! {
        /// Whole messages, of every dialect, with the number in elements that are looked at and in others.
        #[test]
        fn what_a_message_mentions_is_what_its_elements_hold(
            forms in vec((0..4_usize, 0..7_usize), 6),
            is_said in any::<bool>(),
            looked_at in vec(any::<bool>(), 8),
        ) {
            let texts = [44, 48, 60, 62, 102, 103];
            for (_, dialect) in BUILT_IN {
                let said = forms.iter().zip(texts);
                let said = said.map(|((form, before), de)| (De::new(de).expect("an element"), text(*form, *before)));
                let card = is_said.then(|| (De::PAN, NUMBER.to_vec()));
                let mut elements: Vec<(De, Vec<u8>)> = card.into_iter().chain(said).collect();
                elements.insert(elements.len() - 6, (De::AMOUNT, b"000000001000".to_vec()));
                let present: DeSet = elements.iter().map(|(de, _)| *de).collect();
                let mut bytes = [0; 512];
                let mti = Mti::from_digits(if dialect.version == Version::V1987 { *b"0100" } else { *b"1100" }).expect("a type");
                let mut encoder = Encoder::new(dialect, mti, present, &mut bytes).expect("room");
                for (de, value) in &elements {
                    encoder.put(*de, value).expect("sound");
                }
                let len = encoder.finish().expect("all of it");
                let mut index = Index::new();
                // A rule that wants more of such a message leaves the index as it is needed here.
                let _ = dialect.parse(&bytes[..len], &mut index);
                let message = Message::new(dialect, &bytes[..len], &index);
                let chosen = elements.iter().zip(&looked_at).filter(|(_, is_looked_at)| **is_looked_at);
                let chosen: DeSet = chosen.map(|((de, _), _)| *de).collect();
                let holds = |de: &De| elements.iter().any(|(of, value)| of == de && does_hold(value, NUMBER));
                let expected: DeSet = chosen.iter().filter(holds).collect();
                let pan = Pan::parse(NUMBER).expect("a number");
                prop_assert_eq!(message.present(), present, "{:?}", dialect.version);
                prop_assert_eq!(mentions(&message, chosen, &pan), expected, "{:?}", dialect.version);
            }
        }

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
