//! PIN blocks put under the key of another zone (ISO 9564-1).
//!
//! PKCS#11 has no mechanism for it, so the PIN is in this process between the two calls, and wiped: a device with a PIN
//! mechanism of its own would not show it. Formats 0, 1 and 3 are one block of 3DES, format 4 is two of AES with the
//! card's number between them.
//!
//! A translation never goes from a format that is bound to a card's number to one that is not, and changes
//! the number only under a zone key that was loaded for it.

use zeroize::{Zeroize, Zeroizing};

use crate::digits::Pan;
use crate::error::Cause;
use crate::question::{Answer, PinBlock, PinFormat, TranslatePin};
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

/// Translates many blocks between one pair of zones. `random` has [`FILL_BYTES`] for each.
pub(crate) fn translate(
    from: &mut Stream,
    to: &mut PinOut,
    asked: &[&TranslatePin],
    random: &[u8],
) -> Result<Vec<Answer>, Cause> {
    let fits = |asked: &TranslatePin| {
        fits(asked.from_format, from.cipher())
            && fits(asked.to_format, to.stream.cipher())
            && asked.block.as_bytes().len() == from.cipher().block_bytes()
    };
    if !asked.iter().all(|asked| fits(asked)) {
        return Err(Cause::NotThatKey);
    }
    let answer = |asked: &&TranslatePin| is_allowed(asked, to.may_change_pan).then_some(Answer::Wrong);
    let mut answers: Vec<Answer> =
        asked.iter().map(|asked| answer(asked).unwrap_or(Answer::Refused)).collect();
    let allowed: Vec<usize> = (0..asked.len()).filter(|at| answers[*at] != Answer::Refused).collect();
    let clear = open(from, &allowed.iter().map(|at| asked[*at]).collect::<Vec<_>>())?;
    // What is no PIN block stays wrong.
    let readable: Vec<(usize, Pin)> =
        allowed.into_iter().zip(clear).filter_map(|(at, pin)| Some((at, pin?))).collect();
    let fills = random.chunks_exact(FILL_BYTES);
    let blocks: Vec<Zeroizing<Vec<u8>>> = readable
        .iter()
        .zip(fills)
        .map(|((at, pin), fill)| encode(asked[*at].to_format, pin, asked[*at].pan_behind(), fill))
        .collect();
    let pans: Vec<_> = readable.iter().map(|(at, _)| asked[*at].pan_behind()).collect();
    for ((at, _), block) in readable.iter().zip(close(&mut to.stream, &blocks, &pans)?) {
        answers[*at] = Answer::PinBlock(block);
    }
    Ok(answers)
}

impl TranslatePin {
    fn pan_behind(&self) -> &Pan {
        self.other_pan.as_ref().unwrap_or(&self.pan)
    }
}

fn fits(format: PinFormat, cipher: Cipher) -> bool {
    cipher == if format.is_aes() { Cipher::Aes } else { Cipher::TripleDes }
}

/// Decrypts blocks; nothing for one that holds no PIN.
fn open(from: &mut Stream, asked: &[&TranslatePin]) -> Result<Vec<Option<Pin>>, Cause> {
    let blocks: Vec<u8> = asked.iter().flat_map(|asked| asked.block.as_bytes()).copied().collect();
    let mut clear = Zeroizing::new(vec![0; blocks.len()]);
    from.pass(&blocks, &mut clear)?;
    let stride = from.cipher().block_bytes();
    if from.cipher() == Cipher::Aes {
        for (block, asked) in clear.chunks_exact_mut(stride).zip(asked) {
            add(block, &*aes_pan_field(&asked.pan));
        }
        let outer = clear;
        clear = Zeroizing::new(vec![0; blocks.len()]);
        from.pass(&outer, &mut clear)?;
    }
    let decoded = clear.chunks_exact_mut(stride).zip(asked).map(|(block, asked)| {
        if matches!(asked.from_format, PinFormat::Iso0 | PinFormat::Iso3) {
            add(block, &*pan_field(&asked.pan));
        }
        decode(asked.from_format, block)
    });
    Ok(decoded.collect())
}

/// Encrypts clear blocks.
fn close(to: &mut Stream, blocks: &[Zeroizing<Vec<u8>>], pans: &[&Pan]) -> Result<Vec<PinBlock>, Cause> {
    let stride = to.cipher().block_bytes();
    let mut clear = Zeroizing::new(Vec::with_capacity(blocks.len() * stride));
    blocks.iter().for_each(|block| clear.extend_from_slice(block));
    let mut made = vec![0; clear.len()];
    to.pass(&clear, &mut made)?;
    if to.cipher() == Cipher::Aes {
        let mut inner = made;
        for (block, pan) in inner.chunks_exact_mut(stride).zip(pans) {
            add(block, &*aes_pan_field(pan));
        }
        made = vec![0; inner.len()];
        to.pass(&inner, &mut made)?;
    }
    Ok(made.chunks_exact(stride).map(|block| PinBlock::new(block).expect("a block")).collect())
}

/// Four to twelve digits, wiped on drop.
struct Pin {
    digits: [u8; 12],
    len: usize,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.digits.zeroize();
        self.len.zeroize();
    }
}

/// The PIN in a clear block to which no number is added. Everything is looked at, whatever is wrong with it.
fn decode(format: PinFormat, block: &[u8]) -> Option<Pin> {
    let nibbles: Zeroizing<Vec<u8>> =
        Zeroizing::new(block[..8].iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).collect());
    let mut is_sound = nibbles[0] == format.control();
    let len = usize::from(nibbles[1]);
    is_sound &= (4..=12).contains(&len);
    let mut pin = Pin { digits: [0; 12], len: len.clamp(4, 12) };
    for (at, nibble) in nibbles[2..].iter().enumerate() {
        if at < pin.len {
            is_sound &= *nibble <= 9;
            pin.digits[at] = *nibble;
            continue;
        }
        is_sound &= match format {
            PinFormat::Iso0 => *nibble == 0x0F,
            PinFormat::Iso1 => true,
            PinFormat::Iso3 => *nibble >= 0x0A,
            PinFormat::Iso4 => *nibble == 0x0A,
        };
    }
    is_sound.then_some(pin)
}

/// A clear block, with the card's number added where the format does that before it is encrypted.
fn encode(format: PinFormat, pin: &Pin, pan: &Pan, random: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut nibbles = Zeroizing::new([0; 16]);
    nibbles[0] = format.control();
    nibbles[1] = u8::try_from(pin.len).unwrap_or_default();
    for (at, nibble) in nibbles[2..].iter_mut().enumerate() {
        let random = random[at];
        *nibble = match format {
            _ if at < pin.len => pin.digits[at],
            PinFormat::Iso0 => 0x0F,
            PinFormat::Iso1 => random & 0x0F,
            PinFormat::Iso3 => 0x0A + random % 6,
            PinFormat::Iso4 => 0x0A,
        };
    }
    let mut block = Zeroizing::new(Vec::with_capacity(16));
    block.extend(nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    match format {
        PinFormat::Iso0 | PinFormat::Iso3 => add(&mut block, &*pan_field(pan)),
        PinFormat::Iso1 => (),
        PinFormat::Iso4 => block.extend_from_slice(&random[..8]),
    }
    block
}

/// Four zeros, and the twelve rightmost digits of the number without its check digit.
fn pan_field(pan: &Pan) -> Zeroizing<[u8; 8]> {
    let (_, digits) = pan.danger_clear_digits().split_last().expect("at least eight digits");
    let mut field = Zeroizing::new([0; 16]);
    let from_the_right = field.iter_mut().rev().take(12).zip(digits.iter().rev());
    from_the_right.for_each(|(nibble, digit)| *nibble = digit & 0x0F);
    let mut packed = Zeroizing::new([0; 8]);
    pack(&*field, &mut *packed);
    packed
}

/// How many digits more than twelve the number has, and the number, with zeros behind; a shorter one has them in front.
fn aes_pan_field(pan: &Pan) -> Zeroizing<[u8; 16]> {
    let digits = pan.danger_clear_digits();
    let more = digits.len().saturating_sub(12);
    let mut field = Zeroizing::new([0; 32]);
    field[0] = u8::try_from(more).unwrap_or_default();
    let from = 1 + 12_usize.saturating_sub(digits.len());
    field[from..].iter_mut().zip(digits).for_each(|(nibble, digit)| *nibble = digit & 0x0F);
    let mut packed = Zeroizing::new([0; 16]);
    pack(&*field, &mut *packed);
    packed
}

fn pack(nibbles: &[u8], bytes: &mut [u8]) {
    bytes.iter_mut().zip(nibbles.chunks_exact(2)).for_each(|(byte, pair)| *byte = pair[0] << 4 | pair[1]);
}

fn add(block: &mut [u8], field: &[u8]) {
    block.iter_mut().zip(field).for_each(|(byte, other)| *byte ^= other);
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

    #[test]
    fn clear_blocks_of_the_vectors() {
        for vector in vectors("pin_translate") {
            let mut block = hex(vector.text("clear_block_in"));
            let (from, to) = (format(vector.number("format_in")), format(vector.number("format_out")));
            if matches!(from, PinFormat::Iso0 | PinFormat::Iso3) {
                add(&mut block, &*pan_field(&pan(vector.input("pan_in"))));
            }
            let pin = decode(from, &block).expect("a PIN");
            let digits: String = pin.digits[..pin.len].iter().map(|digit| char::from(b'0' + digit)).collect();
            assert_eq!(digits, vector.text("pin"), "{}", vector.id());
            let mut random = hex(vector.input("random_iso4"));
            random.resize(FILL_BYTES, 0);
            let made = encode(to, &pin, &pan(vector.input("pan_out")), &random);
            assert_eq!(*made, hex(vector.text("clear_block_out")), "{}", vector.id());
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
            assert!(decode(format, &hex(block)).is_none(), "{block}");
        }
        assert!(decode(PinFormat::Iso0, &hex("041234FFFFFFFFFF")).is_some());
    }

    #[test]
    fn numbers_of_any_length() {
        assert_eq!(pan_field(&pan("4761739001010010")).as_slice(), hex("0000173900101001"));
        assert_eq!(pan_field(&pan("12345678")).as_slice(), hex("0000000001234567"));
        let aes = |digits| aes_pan_field(&pan(digits)).to_vec();
        assert_eq!(aes("4761739001010010"), hex("44761739001010010000000000000000"));
        assert_eq!(aes("1234567890"), hex("00012345678900000000000000000000"));
        assert_eq!(aes("5574530000000000010"), hex("75574530000000000010000000000000"));
    }
}
