//! Where a card or phone puts its counter, its unpredictable number and its code into the discretionary data
//! of track 2.
//!
//! A layout is chosen by the card program's configuration, never guessed from the digits. Two kinds exist:
//! fields at fixed places, and the bitmaps of EMV contactless (Book C-2, PCVC3 and PUNATC), with which a
//! reader spreads the digits. In both the last digit tells how many digits the unpredictable number has.

use core::fmt;

use crate::text;

/// How the digits are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Fields one after the other. Digits that no field covers are zero.
    Fixed {
        /// All digits, the last one included: discretionary data of another length does not fit.
        len: u8,
        /// The first digit, if it names the layout.
        format: Option<u8>,
        /// The card's public transaction counter.
        atc: Place,
        /// The reference of the challenge that is answered.
        reference: Place,
        /// The terminal's unpredictable number.
        un: Place,
        /// The code to be verified.
        code: Place,
    },
    /// A bit per digit, the lowest for the rightmost digit.
    Bitmaps {
        /// The digits of the code (tag 9F65).
        pcvc3: u16,
        /// The digits of counter and unpredictable number (tag 9F66); those of the counter are leftmost.
        punatc: u16,
        /// How many of them are the counter's (tag 9F67).
        natc: u8,
    },
}

/// A field of a fixed layout: so many digits from this one on, counted from 0 at the left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Digits to the left of it.
    pub at: u8,
    /// Its digits; 0 for a field that the layout has not.
    pub digits: u8,
}

impl Place {
    /// No such field.
    pub const NONE: Place = Place { at: 0, digits: 0 };

    const fn new(at: u8, digits: u8) -> Place {
        Place { at, digits }
    }
}

/// What stands in the discretionary data. Fields that the layout has not are empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DynamicData {
    /// The card's transaction counter, or its low digits.
    pub atc: Digits,
    /// The reference of a challenge.
    pub reference: Digits,
    /// The terminal's unpredictable number, or its low digits.
    pub un: Digits,
    /// The code to be verified, or its low digits.
    pub code: Digits,
    /// Whether the device says that it verified its holder (bitmaps only).
    pub holder_verified: bool,
}

/// Why discretionary data is not of a layout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mismatch {
    /// Too long or too short.
    Length,
    /// A character that is no digit.
    NotDigits,
    /// Another format digit.
    Format,
    /// The last digit does not tell the number of unpredictable digits.
    UnCount,
    /// Something stands where the layout has nothing.
    Filler,
}

impl Layout {
    /// "R": format 7, public ATC 4, UN 3, code 4; for card numbers of 16 digits.
    pub const ROTATING: Layout = Layout::Fixed {
        len: 13,
        format: Some(7),
        atc: Place::new(1, 4),
        reference: Place::NONE,
        un: Place::new(5, 3),
        code: Place::new(8, 4),
    };

    /// "Q": format 8, challenge reference 4, response 6.
    pub const QUESTION: Layout = Layout::Fixed {
        len: 13,
        format: Some(8),
        atc: Place::NONE,
        reference: Place::new(1, 4),
        un: Place::NONE,
        code: Place::new(5, 6),
    };

    /// "R19": public ATC 4, UN 2, code 3; for card numbers of 19 digits.
    pub const ROTATING_19: Layout = Layout::Fixed {
        len: 10,
        format: None,
        atc: Place::new(0, 4),
        reference: Place::NONE,
        un: Place::new(4, 2),
        code: Place::new(6, 3),
    };

    /// Whether the layout can be used: no digit serves twice, the last one is free for its count, and the
    /// counts are possible.
    pub fn is_sound(&self) -> bool {
        match *self {
            Layout::Fixed { len, format, un, .. } => {
                let taken = self.masks();
                let [atc, reference, un_mask, code] = taken;
                let first = u16::from(format.is_some());
                let apart = [first, atc, reference, un_mask, code, self.last_bit()]
                    .iter()
                    .try_fold(0_u16, |all, mask| (all & mask == 0).then_some(all | mask));
                let whole =
                    apart.is_some_and(|all| u32::from(len) >= 16_u32.saturating_sub(all.leading_zeros()));
                (1..=MAX_DIGITS).contains(&len)
                    && format.is_none_or(|format| format <= 9)
                    && un.digits <= 9
                    && whole
            }
            Layout::Bitmaps { pcvc3, punatc, natc } => {
                let un_count = punatc.count_ones().checked_sub(u32::from(natc));
                pcvc3 & punatc == 0
                    && (pcvc3 | punatc) & 1 == 0
                    && (1..=5).contains(&pcvc3.count_ones())
                    && natc <= 5
                    && un_count.is_some_and(|count| count <= 8)
            }
        }
    }

    /// Takes the digits apart.
    ///
    /// # Errors
    /// What about them is not of this layout.
    pub fn extract(&self, discretionary: &[u8]) -> Result<DynamicData, Mismatch> {
        if !text::are_digits(discretionary) {
            return Err(Mismatch::NotDigits);
        }
        self.check_length(discretionary)?;
        let [atc, reference, un, code] = self.fields(discretionary);
        let last = discretionary.last().map_or(0, |digit| digit & 0x0F);
        let holder_verified = match self {
            _ if last == un.len => false,
            Layout::Bitmaps { .. } if last == with_holder(un.len) => true,
            _ => return Err(Mismatch::UnCount),
        };
        self.check_constants(discretionary)?;
        Ok(DynamicData { atc, reference, un, code, holder_verified })
    }

    /// Puts the digits into discretionary data that a card was personalised with: what a reader or a device
    /// does. Nothing when a field has not as many digits as the layout gives it, or the length is wrong.
    pub fn place(&self, data: &DynamicData, discretionary: &mut [u8]) -> Option<()> {
        self.check_length(discretionary).ok()?;
        if let Layout::Fixed { format, .. } = self {
            discretionary.fill(b'0');
            if let (Some(format), Some(first)) = (format, discretionary.first_mut()) {
                *first = format | b'0';
            }
        }
        let fields = [&data.atc, &data.reference, &data.un, &data.code];
        for (mask, digits) in self.masks().into_iter().zip(fields) {
            self.scatter(digits, mask, discretionary)?;
        }
        let holder_verified = data.holder_verified && matches!(self, Layout::Bitmaps { .. });
        let count = if holder_verified { with_holder(data.un.len) } else { data.un.len };
        *discretionary.last_mut()? = count | b'0';
        Some(())
    }

    fn check_length(&self, discretionary: &[u8]) -> Result<(), Mismatch> {
        let fits = match *self {
            Layout::Fixed { len, .. } => discretionary.len() == usize::from(len),
            Layout::Bitmaps { pcvc3, punatc, .. } => {
                let leftmost = 16_u32.saturating_sub((pcvc3 | punatc).leading_zeros());
                u32::try_from(discretionary.len()).is_ok_and(|len| len >= leftmost)
                    && discretionary.len() <= usize::from(MAX_DIGITS)
            }
        };
        if fits { Ok(()) } else { Err(Mismatch::Length) }
    }

    /// What a fixed layout says about digits that belong to no field.
    fn check_constants(&self, discretionary: &[u8]) -> Result<(), Mismatch> {
        let Layout::Fixed { format, .. } = *self else { return Ok(()) };
        let first = discretionary.first().map(|digit| digit & 0x0F);
        if format.is_some() && format != first {
            return Err(Mismatch::Format);
        }
        let used =
            self.masks().iter().fold(u16::from(format.is_some()) | self.last_bit(), |all, mask| all | mask);
        // Bits of a fixed layout count from the left.
        if filled(&padded(discretionary)) & !used == 0 { Ok(()) } else { Err(Mismatch::Filler) }
    }

    /// The digits of counter, reference, unpredictable number and code, as a bit each.
    fn masks(&self) -> [u16; 4] {
        match *self {
            Layout::Fixed { atc, reference, un, code, .. } => [atc, reference, un, code].map(|place| {
                let ones = 1_u16.checked_shl(u32::from(place.digits)).unwrap_or_default().wrapping_sub(1);
                ones.checked_shl(u32::from(place.at)).unwrap_or_default()
            }),
            Layout::Bitmaps { pcvc3, punatc, natc } => {
                // The counter has the highest bits: all but the lower ones, which are the number's.
                let mut un = punatc;
                for _ in 0..natc {
                    un &= !highest_bit(un);
                }
                [punatc & !un, 0, un, pcvc3]
            }
        }
    }

    /// The bit of the digit at `place` from the left: fixed layouts count bits from the left too.
    fn bit(&self, place: usize, len: usize) -> u16 {
        let shift = match self {
            Layout::Fixed { .. } => place,
            Layout::Bitmaps { .. } => len.saturating_sub(place).saturating_sub(1),
        };
        u32::try_from(shift).ok().and_then(|shift| 1_u16.checked_shl(shift)).unwrap_or_default()
    }

    fn last_bit(&self) -> u16 {
        match *self {
            Layout::Fixed { len, .. } => self.bit(usize::from(len.saturating_sub(1)), usize::from(len)),
            Layout::Bitmaps { .. } => 1,
        }
    }

    fn fields(&self, discretionary: &[u8]) -> [Digits; 4] {
        match *self {
            Layout::Fixed { atc, reference, un, code, .. } => {
                let (padded, len) = (padded(discretionary), discretionary.len());
                [atc, reference, un, code].map(|place| Digits::at(&padded, len, place))
            }
            Layout::Bitmaps { .. } => self.masks().map(|mask| self.gather(discretionary, mask)),
        }
    }

    fn gather(&self, discretionary: &[u8], mask: u16) -> Digits {
        let mut digits = Digits::NONE;
        for (place, digit) in discretionary.iter().enumerate() {
            if mask & self.bit(place, discretionary.len()) != 0 {
                digits.push(*digit);
            }
        }
        digits
    }

    fn scatter(&self, digits: &Digits, mask: u16, discretionary: &mut [u8]) -> Option<()> {
        let len = discretionary.len();
        let mut rest = digits.as_bytes();
        for (place, to) in discretionary.iter_mut().enumerate() {
            if mask & self.bit(place, len) != 0 {
                let (digit, behind) = rest.split_first()?;
                *to = *digit;
                rest = behind;
            }
        }
        rest.is_empty().then_some(())
    }
}

/// A few decimal digits, leading zeros included. They cannot be printed: a code among them opens an account.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digits {
    ascii: [u8; 16],
    len: u8,
}

impl Digits {
    /// No digits.
    pub const NONE: Digits = Digits { ascii: [0; 16], len: 0 };

    /// Those of a field among so many; none where the digits end before it does.
    #[inline(always)]
    fn at(padded: &[u8; PADDED_BYTES], len: usize, place: Place) -> Digits {
        let first = usize::from(place.at);
        let field = padded.get(first..).and_then(<[u8]>::first_chunk);
        match field {
            Some(field) if first.saturating_add(usize::from(place.digits)) <= len => {
                // All that stands behind the field is shifted out.
                let others = 16_u32.saturating_sub(place.digits.into()).wrapping_mul(8);
                let shifted = u128::from_le_bytes(*field).checked_shl(others).unwrap_or_default();
                let ascii = shifted.checked_shr(others).unwrap_or_default().to_le_bytes();
                Digits { ascii, len: place.digits }
            }
            _ => Digits::NONE,
        }
    }

    fn of(ascii: &[u8]) -> Option<Digits> {
        let mut digits = Digits { ascii: [0; 16], len: u8::try_from(ascii.len()).ok()? };
        if ascii.len() > digits.ascii.len() {
            return None;
        }
        // A few bytes: a call to copy them takes longer.
        digits.ascii.iter_mut().zip(ascii).for_each(|(to, from)| *to = *from);
        Some(digits)
    }

    /// Reads up to 16 ASCII digits.
    pub fn parse(ascii: &[u8]) -> Option<Digits> {
        if ascii.iter().all(u8::is_ascii_digit) { Digits::of(ascii) } else { None }
    }

    /// The low `len` digits of a number, with leading zeros: what a reader takes of a counter or a code.
    pub fn low(number: u64, len: u8) -> Digits {
        let mut digits = Digits::NONE;
        digits.len = len.min(16);
        let mut rest = number;
        for digit in digits.ascii.iter_mut().take(usize::from(digits.len)).rev() {
            let [.., low] = (rest % 10).to_be_bytes();
            *digit = low | b'0';
            rest /= 10;
        }
        digits
    }

    /// ASCII digits.
    pub fn as_bytes(&self) -> &[u8] {
        self.ascii.get(..self.len()).unwrap_or_default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number they spell; 0 for none.
    pub fn number(&self) -> u64 {
        crate::text::number(self.as_bytes())
    }

    fn push(&mut self, digit: u8) {
        if let Some(room) = self.ascii.get_mut(usize::from(self.len)) {
            *room = digit;
            self.len = self.len.saturating_add(1);
        }
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digits({})", self.len)
    }
}

/// Room for sixteen bytes from every digit on.
const PADDED_BYTES: usize = 32;

/// Digits with zero bytes behind them, so that each field is one word.
#[inline(always)]
fn padded(discretionary: &[u8]) -> [u8; PADDED_BYTES] {
    let mut padded = [0; PADDED_BYTES];
    if let Some(room) = padded.get_mut(..discretionary.len()) {
        room.copy_from_slice(discretionary);
    }
    padded
}

/// A bit for each digit that is not zero, the lowest for the first.
#[inline(always)]
fn filled(padded: &[u8; PADDED_BYTES]) -> u16 {
    let (words, _) = padded.as_chunks();
    let bits = |word: Option<&[u8; 8]>| {
        let digits = u64::from_le_bytes(word.copied().unwrap_or_default()) & text::all(0x0F);
        // One in each byte whose digit is not zero; the product has these side by side in its highest byte.
        let ones = (digits.wrapping_add(text::all(0x0F)) & text::all(0x10)) >> 4;
        let [.., high] = ones.wrapping_mul(0x0102_0408_1020_4080).to_le_bytes();
        high
    };
    u16::from_le_bytes([bits(words.first()), bits(words.get(1))])
}

/// The last digit after the device verified its holder.
const fn with_holder(un_count: u8) -> u8 {
    un_count.wrapping_add(5) % 10
}

const fn highest_bit(mask: u16) -> u16 {
    match mask.checked_ilog2() {
        Some(place) => 1_u16.wrapping_shl(place),
        None => 0,
    }
}

/// A bit each in 16 bits; track 2 leaves 13 for card numbers of 16 digits.
const MAX_DIGITS: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Track2;
    use std::format;

    fn digits(ascii: &[u8]) -> Digits {
        Digits::parse(ascii).unwrap()
    }

    #[test]
    fn rotating_counter_of_a_whole_track() {
        let track = Track2::parse(b"9999100000000010=29122017004273147853").unwrap();
        let data = Layout::ROTATING.extract(track.discretionary()).unwrap();
        assert_eq!((data.atc, data.un, data.code), (digits(b"0042"), digits(b"731"), digits(b"4785")));
        assert_eq!((data.atc.number(), data.reference, data.holder_verified), (42, Digits::NONE, false));
    }

    #[test]
    fn every_fixed_layout_comes_back() {
        for (layout, discretionary) in [
            (Layout::ROTATING, &b"7004273147853"[..]),
            (Layout::QUESTION, b"8081598474700"),
            (Layout::ROTATING_19, b"0042734782"),
        ] {
            assert!(layout.is_sound());
            let data = layout.extract(discretionary).unwrap();
            let mut out = [b'9'; 13];
            let out = &mut out[..discretionary.len()];
            layout.place(&data, out).unwrap();
            assert_eq!(out, discretionary);
        }
    }

    #[test]
    fn digits_that_no_field_covers_are_zero() {
        for layout in [Layout::ROTATING, Layout::QUESTION, Layout::ROTATING_19] {
            let Layout::Fixed { len, format, un, .. } = layout else { continue };
            let mut discretionary = std::vec![b'0'; usize::from(len)];
            if let Some(format) = format {
                discretionary[0] = b'0' + format;
            }
            *discretionary.last_mut().unwrap() = b'0' + un.digits;
            assert!(layout.extract(&discretionary).is_ok());
            let covered = layout.masks().into_iter().fold(0, |all, mask| all | mask);
            for place in usize::from(format.is_some())..discretionary.len() - 1 {
                for digit in b'1'..=b'9' {
                    let mut other = discretionary.clone();
                    other[place] = digit;
                    let is_free = covered >> place & 1 == 0;
                    let expected = if is_free { Err(Mismatch::Filler) } else { Ok(()) };
                    assert_eq!(layout.extract(&other).map(drop), expected, "{layout:?} {place} {digit}");
                }
            }
        }
    }

    #[test]
    fn question_and_response() {
        let data = Layout::QUESTION.extract(b"8081598474700").unwrap();
        assert_eq!((data.reference, data.code), (digits(b"0815"), digits(b"984747")));
    }

    #[test]
    fn what_is_of_another_layout() {
        for (discretionary, mismatch) in [
            (&b"700427314785"[..], Mismatch::Length),
            (b"70042731478531", Mismatch::Length),
            (b"700427314785A", Mismatch::NotDigits),
            (b"8004273147853", Mismatch::Format),
            (b"7004273147852", Mismatch::UnCount),
            (b"7004273147858", Mismatch::UnCount),
        ] {
            assert_eq!(Layout::ROTATING.extract(discretionary), Err(mismatch), "{discretionary:?}");
        }
        assert_eq!(Layout::QUESTION.extract(b"8081598474710"), Err(Mismatch::Filler));
    }

    /// The worked example of EMV contactless placement: ATC 1E47 is 7751, its code BF47 is 48967.
    #[test]
    fn bitmaps_of_a_reader() {
        let layout = Layout::Bitmaps { pcvc3: 0x0038, punatc: 0x03C6, natc: 4 };
        assert!(layout.is_sound());
        let data = DynamicData {
            atc: Digits::low(0x1E47, 4),
            reference: Digits::NONE,
            un: Digits::low(12, 2),
            code: Digits::low(0xBF47, 3),
            holder_verified: false,
        };
        let mut discretionary = *b"0000000000000";
        layout.place(&data, &mut discretionary).unwrap();
        assert_eq!(&discretionary, b"0007751967122");
        assert_eq!(layout.extract(&discretionary), Ok(data));
        let track = Track2::parse(b"5413123456784800=28121010007751967122").unwrap();
        assert_eq!(track.discretionary(), discretionary);

        let verified = layout.extract(b"0007751967127").unwrap();
        assert!(verified.holder_verified && verified.un == data.un);
        assert_eq!(layout.extract(b"0007751967123"), Err(Mismatch::UnCount));
        assert_eq!(layout.extract(b"07751967122"), Ok(data), "shorter, but all digits are there");
        assert_eq!(layout.extract(b"751967122"), Err(Mismatch::Length));
    }

    #[test]
    fn layouts_that_cannot_be() {
        let bitmaps = |pcvc3, punatc, natc| Layout::Bitmaps { pcvc3, punatc, natc };
        assert!(!bitmaps(0x0038, 0x0008, 1).is_sound(), "a digit used twice");
        assert!(!bitmaps(0x0038, 0x03C1, 4).is_sound(), "the last digit used");
        assert!(!bitmaps(0x0038, 0x03C0, 5).is_sound(), "more counter digits than places");
        assert!(!bitmaps(0, 0x03C0, 4).is_sound(), "no code");
        let Layout::Fixed { format, atc, reference, un, code, .. } = Layout::ROTATING else { return };
        assert!(!Layout::Fixed { len: 11, format, atc, reference, un, code }.is_sound(), "too short");
        assert!(!Layout::Fixed { len: 13, format, atc, reference, un: atc, code }.is_sound(), "twice");
    }

    #[test]
    fn digits_do_not_print() {
        assert_eq!(format!("{:?}", digits(b"4785")), "Digits(4)");
        assert_eq!(Digits::low(48_967, 3), digits(b"967"));
        assert_eq!((Digits::parse(b"12345678901234567"), Digits::parse(b"1A")), (None, None));
    }
}
