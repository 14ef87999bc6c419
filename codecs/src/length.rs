//! Length prefixes: L, LL, LLL and LLLL in ASCII, EBCDIC, BCD and binary.

use crate::error::Flaw;
use crate::iso8583::PrefixText;
use crate::reader::Reader;

/// Reads a prefix of `digits` digits and returns the number in it.
#[inline(always)]
pub(crate) fn read(text: PrefixText, digits: u8, reader: &mut Reader<'_>) -> Result<u16, Flaw> {
    let number = match text {
        PrefixText::Ascii => characters(digits, b'0', reader),
        PrefixText::Ebcdic => characters(digits, 0xF0, reader),
        PrefixText::Bcd if digits <= 2 => reader.take_array().map(packed::<1>),
        PrefixText::Bcd => reader.take_array().map(packed::<2>),
        PrefixText::Binary if digits <= 2 => reader.take_array().map(|[byte]| Some(u16::from(byte))),
        PrefixText::Binary => reader.take_array().map(|bytes| Some(u16::from_be_bytes(bytes))),
    };
    number.ok_or(Flaw::TooShort)?.ok_or(Flaw::LengthNotDigits)
}

/// Writes `number` into `out`, which has the size that [`prefix_bytes`] gives. The caller has checked that
/// `number` does not exceed the prefix.
#[inline(always)]
pub(crate) fn write(text: PrefixText, number: u16, out: &mut [u8]) {
    let digit = |unit: u16| {
        let [_, low] = (number.checked_div(unit).unwrap_or_default() % 10).to_be_bytes();
        low
    };
    let digits = [digit(1_000), digit(100), digit(10), digit(1)];
    let [thousands, hundreds, tens, ones] = digits;
    let bytes = match text {
        PrefixText::Ascii => digits.map(|digit| digit | b'0'),
        PrefixText::Ebcdic => digits.map(|digit| digit | 0xF0),
        PrefixText::Bcd => [0, 0, thousands << 4 | hundreds, tens << 4 | ones],
        PrefixText::Binary => u32::from(number).to_be_bytes(),
    };
    // The last ones: what a short prefix leaves out is zero.
    for (to, from) in out.iter_mut().rev().zip(bytes.iter().rev()) {
        *to = *from;
    }
}

/// Bytes that a prefix of `digits` digits takes.
#[inline(always)]
pub(crate) const fn prefix_bytes(text: PrefixText, digits: u8) -> u8 {
    match text {
        PrefixText::Ascii | PrefixText::Ebcdic => digits,
        PrefixText::Bcd | PrefixText::Binary => (digits >> 1).wrapping_add(digits & 1),
    }
}

#[inline(always)]
fn characters(digits: u8, zero: u8, reader: &mut Reader<'_>) -> Option<Option<u16>> {
    match digits {
        2 => reader.take_array().map(|bytes: [u8; 2]| decimal(bytes, zero)),
        3 => reader.take_array().map(|bytes: [u8; 3]| decimal(bytes, zero)),
        1 => reader.take_array().map(|bytes: [u8; 1]| decimal(bytes, zero)),
        _ => reader.take_array().map(|bytes: [u8; 4]| decimal(bytes, zero)),
    }
}

#[inline(always)]
fn decimal<const N: usize>(bytes: [u8; N], zero: u8) -> Option<u16> {
    let mut sum = 0_u16;
    let mut sound = true;
    for byte in bytes {
        let digit = byte ^ zero;
        sound &= digit <= 9;
        sum = sum.wrapping_mul(10).wrapping_add(u16::from(digit));
    }
    sound.then_some(sum)
}

#[inline(always)]
fn packed<const N: usize>(bytes: [u8; N]) -> Option<u16> {
    let mut sum = 0_u16;
    let mut sound = true;
    for byte in bytes {
        let (high, low) = (byte >> 4, byte & 0x0F);
        sound &= high <= 9 && low <= 9;
        let pair = high.wrapping_mul(10).wrapping_add(low);
        sum = sum.wrapping_mul(100).wrapping_add(u16::from(pair));
    }
    sound.then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [(PrefixText, u8, u16, &[u8]); 13] = [
        (PrefixText::Ascii, 1, 7, b"7"),
        (PrefixText::Ascii, 2, 37, b"37"),
        (PrefixText::Ascii, 3, 37, b"037"),
        (PrefixText::Ascii, 4, 9_999, b"9999"),
        (PrefixText::Ebcdic, 1, 7, &[0xF7]),
        (PrefixText::Ebcdic, 2, 16, &[0xF1, 0xF6]),
        (PrefixText::Ebcdic, 3, 104, &[0xF1, 0xF0, 0xF4]),
        (PrefixText::Ebcdic, 4, 1_040, &[0xF1, 0xF0, 0xF4, 0xF0]),
        (PrefixText::Bcd, 2, 37, &[0x37]),
        (PrefixText::Bcd, 3, 255, &[0x02, 0x55]),
        (PrefixText::Bcd, 4, 1_234, &[0x12, 0x34]),
        (PrefixText::Binary, 2, 200, &[200]),
        (PrefixText::Binary, 3, 999, &[0x03, 0xE7]),
    ];

    #[test]
    fn every_form_reads_what_it_writes() {
        for (text, digits, number, bytes) in FORMS {
            assert_eq!(usize::from(prefix_bytes(text, digits)), bytes.len());
            let mut reader = Reader::new(bytes, 0);
            assert_eq!(read(text, digits, &mut reader), Ok(number), "{text:?} {digits}");
            let mut out = [0; 4];
            let out = &mut out[..bytes.len()];
            write(text, number, out);
            assert_eq!(out, bytes, "{text:?} {digits}");
        }
    }

    #[test]
    fn what_is_no_number() {
        let read = |text, bytes| read(text, 2, &mut Reader::new(bytes, 0));
        assert_eq!(read(PrefixText::Ascii, b"1A"), Err(Flaw::LengthNotDigits));
        assert_eq!(read(PrefixText::Ascii, b" 9"), Err(Flaw::LengthNotDigits));
        assert_eq!(read(PrefixText::Bcd, &[0x1A]), Err(Flaw::LengthNotDigits));
        assert_eq!(read(PrefixText::Ebcdic, b"12"), Err(Flaw::LengthNotDigits));
        assert_eq!(read(PrefixText::Ascii, b"1"), Err(Flaw::TooShort));
    }
}
