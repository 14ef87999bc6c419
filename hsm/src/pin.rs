//! PIN blocks put under the key of another zone (ISO 9564-1).
//!
//! PKCS#11 has no mechanism for it, so the PIN is in this process between the two calls, and wiped: a device with a PIN
//! mechanism of its own would not show it. Formats 0, 1 and 3 are one block of 3DES, format 4 is two of AES with the
//! card's number between them.
//!
//! A translation never goes from a format that is bound to a card's number to one that is not, and changes
//! the number only under a zone key that was loaded for it.

use zeroize::Zeroizing;

use crate::digits::Pan;
use crate::error::Cause;
use crate::question::{Answer, PinBlock, PinFormat, TranslatePin};
use crate::room::Room;
use crate::token::{Cipher, Stream};

/// Where a PIN block goes to.
pub(crate) struct PinOut {
    pub(crate) stream: Stream,
    /// Whether the card's number may be another behind the translation.
    pub(crate) may_change_pan: bool,
}

/// Whether a translation may be made at all.
pub(crate) fn is_allowed(asked: &TranslatePin, may_change_pan: bool) -> bool {
    let same_pan = asked.other_pan.as_ref().is_none_or(|other| *other == asked.pan);
    asked.from_format.may_become(asked.to_format) && (same_pan || may_change_pan)
}

/// Translates many blocks between one pair of zones, and tells what came of each. `random` has [`FILL_BYTES`] for each.
pub(crate) fn translate<'q>(
    from: &mut Stream,
    to: &mut PinOut,
    room: &mut Room,
    (asked, random): (impl Iterator<Item = &'q TranslatePin> + Clone, &[u8]),
    mut tell: impl FnMut(Answer),
) -> Result<(), Cause> {
    let fits = |asked: &TranslatePin| {
        fits(asked.from_format, from.cipher())
            && fits(asked.to_format, to.stream.cipher())
            && asked.block.as_bytes().len() == from.cipher().block_bytes()
    };
    if !asked.clone().all(fits) {
        return Err(Cause::NotThatKey);
    }
    let may_change_pan = to.may_change_pan;
    let allowed = asked.clone().map(|asked| is_allowed(asked, may_change_pan).then_some(asked));
    let pins = match from.cipher() {
        Cipher::TripleDes => open(from, room, allowed)?,
        Cipher::Aes => open_aes(from, room, allowed)?,
        Cipher::Hmac => return Err(Cause::NotThatKey),
    };
    let filled = asked.clone().zip(pins.iter().map(|pin| Pin::of(*pin))).zip(random.as_chunks().0);
    let filled = filled.map(|((asked, pin), fill)| Filled { asked, pin, fill });
    let tell = |filled: Filled<'_>, block: &[u8]| {
        tell(if !is_allowed(filled.asked, may_change_pan) {
            Answer::Refused
        } else {
            filled.pin.and_then(|_| PinBlock::new(block)).map_or(Answer::Wrong, Answer::PinBlock)
        });
    };
    match to.stream.cipher() {
        Cipher::TripleDes => close(&mut to.stream, room, filled, tell),
        Cipher::Aes => close_aes(&mut to.stream, room, filled, tell),
        Cipher::Hmac => Err(Cause::NotThatKey),
    }
}

/// What goes out: what was asked, the PIN if one came in, and random bytes.
struct Filled<'q> {
    asked: &'q TranslatePin,
    pin: Option<Pin>,
    fill: &'q [u8; FILL_BYTES],
}

impl TranslatePin {
    fn pan_behind(&self) -> &Pan {
        self.other_pan.as_ref().unwrap_or(&self.pan)
    }
}

fn fits(format: PinFormat, cipher: Cipher) -> bool {
    cipher == if format.is_aes() { Cipher::Aes } else { Cipher::TripleDes }
}

/// Clear PINs, each as [`Pin`] holds it; zero where there is none.
type Pins = Zeroizing<Vec<u64>>;

// What is not allowed or is no PIN block keeps its place among the others, as a block of zeros: its result is not looked at.

/// Decrypts blocks of 3DES.
fn open<'q>(
    from: &mut Stream,
    room: &mut Room,
    asked: impl Iterator<Item = Option<&'q TranslatePin>> + Clone,
) -> Result<Pins, Cause> {
    let came = |asked: &TranslatePin| asked.block.as_bytes().try_into().unwrap_or_default();
    let mut blocks = room.take::<8>(asked.clone().map(|asked| asked.map_or([0; 8], came)));
    blocks.pass(from)?;
    Ok(decoded(asked, blocks.iter_mut().map(|block| u64::from_be_bytes(*block)), |asked| {
        let with_number = matches!(asked.from_format, PinFormat::Iso0 | PinFormat::Iso3);
        if with_number { pan_field(&asked.pan) } else { 0 }
    }))
}

/// Decrypts blocks of AES, in which the card's number is between two encryptions.
fn open_aes<'q>(
    from: &mut Stream,
    room: &mut Room,
    asked: impl Iterator<Item = Option<&'q TranslatePin>> + Clone,
) -> Result<Pins, Cause> {
    let came = |asked: &TranslatePin| asked.block.as_bytes().try_into().unwrap_or_default();
    let mut blocks = room.take::<16>(asked.clone().map(|asked| asked.map_or([0; 16], came)));
    blocks.pass(from)?;
    for (asked, block) in asked.clone().zip(blocks.iter_mut()) {
        add(block, asked.map_or(0, |asked| aes_pan_field(&asked.pan)));
    }
    blocks.pass(from)?;
    Ok(decoded(asked, blocks.iter_mut().map(|block| (u128::from_be_bytes(*block) >> 64) as u64), |_| 0))
}

/// The PINs in clear blocks to which something is added.
fn decoded<'q>(
    asked: impl Iterator<Item = Option<&'q TranslatePin>>,
    blocks: impl ExactSizeIterator<Item = u64>,
    added: impl Fn(&TranslatePin) -> u64,
) -> Pins {
    let mut pins = Zeroizing::new(Vec::with_capacity(blocks.len()));
    pins.extend(asked.zip(blocks).map(|(asked, block)| {
        asked.and_then(|asked| decode(asked.from_format, block ^ added(asked))).map_or(0, |pin| pin.0)
    }));
    pins
}

/// Makes blocks of 3DES.
fn close<'q>(
    to: &mut Stream,
    room: &mut Room,
    filled: impl Iterator<Item = Filled<'q>> + Clone,
    mut tell: impl FnMut(Filled<'q>, &[u8]),
) -> Result<(), Cause> {
    let mut blocks = room.take(filled.clone().map(|Filled { asked, pin, fill }| {
        let with_number = matches!(asked.to_format, PinFormat::Iso0 | PinFormat::Iso3);
        let number = if with_number { pan_field(asked.pan_behind()) } else { 0 };
        pin.map_or([0; 8], |pin| (encode(asked.to_format, pin, fill) ^ number).to_be_bytes())
    }));
    blocks.pass(to)?;
    filled.zip(blocks.iter_mut()).for_each(|(filled, block)| tell(filled, block));
    Ok(())
}

/// Makes blocks of AES.
fn close_aes<'q>(
    to: &mut Stream,
    room: &mut Room,
    filled: impl Iterator<Item = Filled<'q>> + Clone,
    mut tell: impl FnMut(Filled<'q>, &[u8]),
) -> Result<(), Cause> {
    let mut blocks = room.take(filled.clone().map(|Filled { asked, pin, fill }| {
        let mut block = [0; 16];
        if let Some(pin) = pin {
            block[..8].copy_from_slice(&encode(asked.to_format, pin, fill).to_be_bytes());
            block[8..].copy_from_slice(&fill[..8]);
        }
        block
    }));
    blocks.pass(to)?;
    for (filled, block) in filled.clone().zip(blocks.iter_mut()) {
        add(block, aes_pan_field(filled.asked.pan_behind()));
    }
    blocks.pass(to)?;
    filled.zip(blocks.iter_mut()).for_each(|(filled, block)| tell(filled, block));
    Ok(())
}

fn add(block: &mut [u8; 16], number: u128) {
    *block = (u128::from_be_bytes(*block) ^ number).to_be_bytes();
}

/// Four to twelve digits: their number, then the digits, four bits each, with zeros behind.
#[derive(Clone, Copy)]
struct Pin(u64);

impl Pin {
    /// Nothing where there is no PIN.
    fn of(field: u64) -> Option<Pin> {
        (field != 0).then_some(Pin(field))
    }

    fn len(self) -> u64 {
        self.0 >> LEN_BITS
    }
}

/// Where the number of digits stands, above fourteen digits; where the control digit stands above it.
const LEN_BITS: u64 = 56;
const CONTROL_BITS: u64 = 60;

/// The bits of so many digits behind the number of digits, and of the fill behind them.
fn masks(len: u64) -> (u64, u64) {
    let fill = (1 << (LEN_BITS - 4 * len)) - 1;
    (((1 << LEN_BITS) - 1) & !fill, fill)
}

/// The highest bit of each four that are more than nine.
fn above_nine(digits: u64) -> u64 {
    digits & (digits << 1 | digits << 2) & 0x8888_8888_8888_8888
}

/// The PIN in a clear block to which no number is added. Everything is looked at, whatever is wrong with it.
fn decode(format: PinFormat, block: u64) -> Option<Pin> {
    let found = block >> LEN_BITS & 0x0F;
    let len = found.clamp(4, 12);
    let (of_digits, of_fill) = masks(len);
    let (digits, fill) = (block & of_digits, block & of_fill);
    let is_filled = match format {
        PinFormat::Iso0 => fill == of_fill,
        PinFormat::Iso1 => true,
        PinFormat::Iso3 => above_nine(fill) == of_fill & 0x8888_8888_8888_8888,
        PinFormat::Iso4 => fill == of_fill & 0xAAAA_AAAA_AAAA_AAAA,
    };
    let is_sound = (block >> CONTROL_BITS == u64::from(format.control()))
        & (found == len)
        & (above_nine(digits) == 0)
        & is_filled;
    is_sound.then_some(Pin(len << LEN_BITS | digits))
}

/// A clear block, or the first half of one of format 4, to which no number is added.
fn encode(format: PinFormat, pin: Pin, random: &[u8; FILL_BYTES]) -> u64 {
    let fill_with =
        |digit: fn(u8) -> u8| random.iter().fold(0, |fill, byte| fill << 4 | u64::from(digit(*byte)));
    let fill = match format {
        PinFormat::Iso0 => u64::MAX,
        PinFormat::Iso1 => fill_with(|byte| byte & 0x0F),
        PinFormat::Iso3 => fill_with(|byte| 0x0A + byte % 6),
        PinFormat::Iso4 => 0xAAAA_AAAA_AAAA_AAAA,
    };
    let (_, of_fill) = masks(pin.len());
    u64::from(format.control()) << CONTROL_BITS | pin.0 | fill & of_fill
}

/// Four zeros, and the twelve rightmost digits of the number without its check digit.
fn pan_field(pan: &Pan) -> u64 {
    (pan.danger_packed() >> (4 * (32 - pan.len() + 1))) as u64 & 0xFFFF_FFFF_FFFF
}

/// How many digits more than twelve the number has, and the number, with zeros behind; a shorter one has them in front.
fn aes_pan_field(pan: &Pan) -> u128 {
    let (more, fewer) = (pan.len().saturating_sub(12), 12_usize.saturating_sub(pan.len()));
    (more as u128) << 124 | pan.danger_packed() >> (4 * (1 + fewer))
}

/// Random bytes for one block: fourteen nibbles of fill, or eight bytes of format 4.
pub(crate) const FILL_BYTES: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{hex, vectors};

    fn format(number: u64) -> PinFormat {
        [PinFormat::Iso0, PinFormat::Iso1, PinFormat::Iso1, PinFormat::Iso3, PinFormat::Iso4]
            [usize::try_from(number).expect("small")]
    }

    fn pan(digits: &str) -> Pan {
        Pan::parse(digits.as_bytes()).expect("a number")
    }

    fn first_half(block: &[u8]) -> u64 {
        u64::from_be_bytes(*block.first_chunk().expect("eight bytes"))
    }

    #[test]
    fn clear_blocks_of_the_vectors() {
        for vector in vectors("pin_translate") {
            let mut block = first_half(&hex(vector.text("clear_block_in")));
            let (from, to) = (format(vector.number("format_in")), format(vector.number("format_out")));
            if matches!(from, PinFormat::Iso0 | PinFormat::Iso3) {
                block ^= pan_field(&pan(vector.input("pan_in")));
            }
            let pin = decode(from, block).expect("a PIN");
            let digits = format!("{:014X}", pin.0 & ((1 << LEN_BITS) - 1));
            assert_eq!(&digits[..pin.len() as usize], vector.text("pin"), "{}", vector.id());
            let mut random = hex(vector.input("random_iso4"));
            random.resize(FILL_BYTES, 0);
            let mut made = encode(to, pin, random.first_chunk().expect("fill"));
            if matches!(to, PinFormat::Iso0 | PinFormat::Iso3) {
                made ^= pan_field(&pan(vector.input("pan_out")));
            }
            assert_eq!(made, first_half(&hex(vector.text("clear_block_out"))), "{}", vector.id());
        }
    }

    #[test]
    fn what_is_no_pin_block() {
        for (format, block) in [
            (PinFormat::Iso0, "141234FFFFFFFFFF"),
            (PinFormat::Iso0, "031234FFFFFFFFFF"),
            (PinFormat::Iso0, "0D1234567890123F"),
            (PinFormat::Iso0, "04123AFFFFFFFFFF"),
            (PinFormat::Iso0, "041234FFFFFFFFFE"),
            (PinFormat::Iso3, "341234AAAAAAAAA9"),
            (PinFormat::Iso4, "441234AAAAAAAAAB0000000000000000"),
        ] {
            assert!(decode(format, first_half(&hex(block))).is_none(), "{block}");
        }
        assert!(decode(PinFormat::Iso0, 0x0412_34FF_FFFF_FFFF).is_some());
    }

    #[test]
    fn numbers_of_any_length() {
        assert_eq!(pan_field(&pan("4761739001010010")), 0x0000_1739_0010_1001);
        assert_eq!(pan_field(&pan("12345678")), 0x0000_0000_0123_4567);
        let aes = |digits| aes_pan_field(&pan(digits)).to_be_bytes().to_vec();
        assert_eq!(aes("4761739001010010"), hex("44761739001010010000000000000000"));
        assert_eq!(aes("1234567890"), hex("00012345678900000000000000000000"));
        assert_eq!(aes("5574530000000000010"), hex("75574530000000000010000000000000"));
    }
}
