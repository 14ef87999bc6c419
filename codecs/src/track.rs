//! What the magnetic stripe, or a chip or phone in its place, says: tracks 1 and 2 (ISO/IEC 7813).

use core::fmt;

use crate::text;
use crate::value::{Expiry, Pan};

/// Track 2 (DE 35): card number, separator, expiry, service code, discretionary data; at most 37 characters.
///
/// It cannot be printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Track2 {
    pan: Pan,
    expiry: Option<Expiry>,
    service_code: Option<[u8; 3]>,
    discretionary: [u8; MAX_DISCRETIONARY],
    discretionary_len: u8,
}

impl Track2 {
    /// Reads the canonical form of DE 35, without sentinels and check character. The separator is `=` or
    /// `D`; another separator stands for an expiry or a service code that the card has not.
    pub fn parse(ascii: &[u8]) -> Option<Track2> {
        // Most card numbers have sixteen digits; what stands before the separator is looked at as a card number anyway.
        let separator = match ascii.get(USUAL_DIGITS) {
            Some(b'=' | b'D') => USUAL_DIGITS,
            _ => ascii.iter().position(|&byte| is_separator(byte))?,
        };
        let (pan, rest) = ascii.split_at_checked(separator)?;
        let pan = Pan::parse(pan)?;
        let (expiry, rest) = take_expiry(rest.get(1..)?, is_separator)?;
        let (service_code, rest) = take_service_code(rest, is_separator)?;
        if ascii.len() > MAX_TRACK2 || !text::are_digits(rest) {
            return None;
        }
        let mut discretionary = [0; MAX_DISCRETIONARY];
        discretionary.get_mut(..rest.len())?.copy_from_slice(rest);
        let discretionary_len = u8::try_from(rest.len()).ok()?;
        Some(Track2 { pan, expiry, service_code, discretionary, discretionary_len })
    }

    /// The card number.
    pub fn pan(&self) -> Pan {
        self.pan
    }

    /// The last month in which the card is good.
    pub fn expiry(&self) -> Option<Expiry> {
        self.expiry
    }

    /// Three ASCII digits: where and how the card may be used.
    pub fn service_code(&self) -> Option<[u8; 3]> {
        self.service_code
    }

    /// The issuer's part in ASCII digits. [`crate::discretionary`] knows how it may be laid out.
    pub fn discretionary(&self) -> &[u8] {
        self.discretionary.get(..usize::from(self.discretionary_len)).unwrap_or_default()
    }

    /// What stands behind the card number: expiry, service code and discretionary data, with zero bytes where something is
    /// not there. The same for two tracks that say the same, however their separators are written.
    pub fn behind_pan_padded(&self) -> [u8; BEHIND_PAN_BYTES] {
        let mut all = [0; BEHIND_PAN_BYTES];
        let (expiry, rest) = all.split_at_mut(4);
        expiry.copy_from_slice(&self.expiry.map_or([0; 4], Expiry::digits));
        let (service_code, discretionary) = rest.split_at_mut(3);
        service_code.copy_from_slice(&self.service_code.unwrap_or_default());
        discretionary.copy_from_slice(&self.discretionary);
        all
    }

    /// The canonical form; nothing when `out`, for which 37 bytes are always enough, is too small.
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut writer = crate::writer::Writer::new(out);
        writer.put(self.pan.danger_clear_digits())?;
        writer.put(b"=")?;
        match self.expiry {
            Some(expiry) => writer.put(&expiry.digits())?,
            None => writer.put(b"=")?,
        }
        match self.service_code {
            Some(code) => writer.put(&code)?,
            None => writer.put(b"=")?,
        }
        writer.put(self.discretionary())?;
        Some(writer.into_written())
    }

    /// The same track with other discretionary data of the same length; nothing when the length differs or
    /// something is no digit.
    pub fn with_discretionary(mut self, digits: &[u8]) -> Option<Track2> {
        let room = self.discretionary.get_mut(..usize::from(self.discretionary_len))?;
        if digits.len() != room.len() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        room.copy_from_slice(digits);
        Some(self)
    }

    /// Overwrites everything that is secret. What is left is no track.
    pub fn wipe(&mut self) {
        self.pan.wipe();
        self.expiry = None;
        self.service_code = None;
        self.discretionary = [0; MAX_DISCRETIONARY];
        self.discretionary_len = 0;
        // Keeps the compiler from leaving out a write to something that is not read again.
        core::hint::black_box(self);
    }
}

impl fmt::Debug for Track2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Track2({:?}, ..)", self.pan)
    }
}

/// Track 1, format B (DE 45), read in place: the holder's name is not worth a copy.
///
/// It cannot be printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Track1<'a> {
    pan: Pan,
    name: &'a [u8],
    expiry: Option<Expiry>,
    service_code: Option<[u8; 3]>,
    discretionary: &'a [u8],
}

impl<'a> Track1<'a> {
    /// Reads the canonical form of DE 45, without sentinels and check character: `B`, card number, `^`, name,
    /// `^`, expiry, service code, discretionary data; at most 76 characters.
    pub fn parse(ascii: &'a [u8]) -> Option<Track1<'a>> {
        if ascii.len() > MAX_TRACK1 || !ascii.iter().all(|byte| matches!(byte, b' '..=b'_')) {
            return None;
        }
        let rest = ascii.strip_prefix(b"B")?;
        let (pan, rest) = split_at_caret(rest)?;
        let (name, rest) = split_at_caret(rest)?;
        let (expiry, rest) = take_expiry(rest, is_caret)?;
        let (service_code, discretionary) = take_service_code(rest, is_caret)?;
        Some(Track1 { pan: Pan::parse(pan)?, name, expiry, service_code, discretionary })
    }

    /// The card number.
    pub fn pan(&self) -> Pan {
        self.pan
    }

    /// The card holder's name, as it stands: surname, `/`, first name.
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The last month in which the card is good.
    pub fn expiry(&self) -> Option<Expiry> {
        self.expiry
    }

    /// Three ASCII digits: where and how the card may be used.
    pub fn service_code(&self) -> Option<[u8; 3]> {
        self.service_code
    }

    /// The issuer's part, in ASCII.
    pub fn discretionary(&self) -> &'a [u8] {
        self.discretionary
    }
}

impl fmt::Debug for Track1<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Track1({:?}, ..)", self.pan)
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'=' | b'D')
}

fn is_caret(byte: u8) -> bool {
    byte == b'^'
}

fn split_at_caret(ascii: &[u8]) -> Option<(&[u8], &[u8])> {
    let caret = ascii.iter().position(|&byte| is_caret(byte))?;
    Some((ascii.get(..caret)?, ascii.get(caret.checked_add(1)?..)?))
}

/// Four digits, or one separator in their place. A track that ends here has neither.
fn take_expiry(rest: &[u8], is_separator: fn(u8) -> bool) -> Option<(Option<Expiry>, &[u8])> {
    match rest {
        [first, rest @ ..] if is_separator(*first) => Some((None, rest)),
        _ => {
            let (digits, rest) = rest.split_first_chunk::<4>()?;
            Some((Some(Expiry::parse(digits)?), rest))
        }
    }
}

/// Three digits, or one separator in their place; nothing more when the track ends before them.
fn take_service_code(rest: &[u8], is_separator: fn(u8) -> bool) -> Option<(Option<[u8; 3]>, &[u8])> {
    match rest {
        [] => Some((None, rest)),
        [first, rest @ ..] if is_separator(*first) => Some((None, rest)),
        _ => {
            let (digits, rest) = rest.split_first_chunk::<3>()?;
            digits.iter().all(u8::is_ascii_digit).then_some((Some(*digits), rest))
        }
    }
}

const USUAL_DIGITS: usize = 16;
const MAX_TRACK2: usize = 37;
const MAX_TRACK1: usize = 76;
/// What 8 digits of card number, three separators and nothing else leave of track 2.
const MAX_DISCRETIONARY: usize = 26;
/// With expiry and service code.
const BEHIND_PAN_BYTES: usize = 4 + 3 + MAX_DISCRETIONARY;

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn a_whole_track_2_comes_back() {
        for ascii in [
            &b"9999100000000010=29122017004273147853"[..],
            b"5413330089010434=2912201",
            b"5413330089010434=2912=123",
            b"5413330089010434===123",
            b"54133300=29122011234567890123456789",
        ] {
            let track = Track2::parse(ascii).unwrap();
            let mut out = [0; 37];
            assert_eq!(track.write(&mut out), Some(ascii));
        }
    }

    #[test]
    fn its_parts() {
        let track = Track2::parse(b"9999100000000010D29122017004273147853").unwrap();
        assert_eq!(track.pan(), Pan::parse(b"9999100000000010").unwrap());
        assert_eq!(track.expiry(), Expiry::parse(b"2912"));
        assert_eq!(track.service_code(), Some(*b"201"));
        assert_eq!(track.discretionary(), b"7004273147853");
        assert_eq!(format!("{track:?}"), "Track2(999910******0010, ..)");
        let other = track.with_discretionary(b"7004373150804").unwrap();
        assert_eq!(other.discretionary(), b"7004373150804");
        assert!(track.with_discretionary(b"123").is_none());
    }

    #[test]
    fn what_stands_behind_the_number_is_the_same_however_it_is_separated() {
        let behind = |ascii: &[u8]| Track2::parse(ascii).unwrap().behind_pan_padded();
        assert_eq!(behind(b"5413330089010434=2912=123"), behind(b"5413330089010434D2912D123"));
        let others =
            [&b"5413330089010434=29122010123"[..], b"5413330089010434=2912=1230", b"5413330089010434==123"];
        for other in others {
            assert_ne!(behind(b"5413330089010434=2912=123"), behind(other));
        }
    }

    #[test]
    fn what_is_no_track_2() {
        for ascii in [
            &b""[..],
            b"5413330089010434",
            b"5413330089010434=",
            b"5413330089010434=29",
            b"5413330089010434=2913201",
            b"5413330089010434=291220",
            b"5413330089010434=2912201=12",
            b"541333008901=0434=2912201",
            b"5413330089010434=291220112345678901234",
        ] {
            assert!(Track2::parse(ascii).is_none(), "{:?}", core::str::from_utf8(ascii));
        }
    }

    #[test]
    fn wiped() {
        let mut track = Track2::parse(b"9999100000000010=29122017004273147853").unwrap();
        track.wipe();
        assert_eq!((track.discretionary, track.pan.len()), ([0; MAX_DISCRETIONARY], 0));
    }

    #[test]
    fn parts_of_track_1() {
        let track = Track1::parse(b"B5413330089010434^DOE/JANE^2912201000000123").unwrap();
        assert_eq!(track.name(), b"DOE/JANE");
        assert_eq!((track.expiry(), track.service_code()), (Expiry::parse(b"2912"), Some(*b"201")));
        assert_eq!(track.discretionary(), b"000000123");
        assert_eq!(format!("{track:?}"), "Track1(541333******0434, ..)");
        for ascii in [&b"A5413330089010434^DOE^2912201"[..], b"B5413330089010434^DOE", b"B5413330089010434"] {
            assert!(Track1::parse(ascii).is_none());
        }
    }
}
