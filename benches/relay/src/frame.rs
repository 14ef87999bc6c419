//! Frames: a two-byte length, then an ASCII 0100. It is the same for every run, but for the places that make each one a
//! request of its own: its number, and the card where there are many.

/// Where DE 11 stands in the message, six digits.
pub const STAN: usize = 66;
/// Where DE 37 stands, twelve digits: the number of the request.
pub const RRN: usize = 142;
/// Where DE 41 stands, eight digits: the millions of that number, so that no key comes twice when DE 11 wraps.
const TERMINAL: usize = 154;
/// Where the digits of DE 2 stand, where those of DE 22, and where the 37 characters of DE 35 do.
const PAN: usize = 22;
const ENTRY_MODE: usize = 90;
const TRACK: usize = 105;
/// Characters of a track.
pub const TRACK_BYTES: usize = 37;
/// Digits of a card number.
pub const PAN_DIGITS: usize = 16;
/// Bytes of the length in front.
pub const LENGTH: usize = 2;
/// The request, framed.
pub fn request() -> Vec<u8> {
    let mut bitmap = 0_u64;
    for de in [2, 3, 4, 7, 11, 12, 13, 14, 18, 22, 25, 32, 35, 37, 41, 42, 43, 49, 52] {
        bitmap |= 1 << (64 - de);
    }
    let mut message = b"0100".to_vec();
    message.extend_from_slice(format!("{bitmap:016X}").as_bytes());
    for element in [
        &b"164761739001010010"[..],
        b"000000",
        b"000000012345",
        b"1127060007",
        b"000001",
        b"060007",
        b"1127",
        b"4912",
        b"5411",
        b"051",
        b"00",
        b"06476173",
        b"374761739001010010=49121011234567890123",
        b"000000000001",
        b"TERM0001",
        b"MERCHANT0000001",
        b"ACME STORE 42           SPRINGFIELD   US",
        b"840",
        b"123456789ABCDEF0",
    ] {
        message.extend_from_slice(element);
    }
    let mut framed = (message.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(&message);
    framed
}

/// How many bytes at the front of `bytes` are whole frames.
#[inline]
pub fn whole(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some(length) = length(&bytes[end..]).filter(|length| bytes.len() - end >= *length) {
        end += length;
    }
    end
}

/// The bytes of the frame that begins here, once its length is there.
#[inline]
pub fn length(bytes: &[u8]) -> Option<usize> {
    let [high, low, ..] = bytes else { return None };
    Some(LENGTH + usize::from(u16::from_be_bytes([*high, *low])))
}

/// Makes a framed request the one of this number.
#[inline]
pub fn number(frame: &mut [u8], number: u64) {
    put(&mut frame[LENGTH + RRN..][..12], number);
    put(&mut frame[LENGTH + STAN..][..6], number);
    put(&mut frame[LENGTH + TERMINAL..][..8], number / 1_000_000);
}

/// Writes a card's number into DE 2, and where it stands in the track.
#[inline]
pub fn card(frame: &mut [u8], pan: &[u8; PAN_DIGITS]) {
    frame[LENGTH + PAN..][..PAN_DIGITS].copy_from_slice(pan);
    frame[LENGTH + TRACK..][..PAN_DIGITS].copy_from_slice(pan);
}

/// Writes a whole track, and its card's number into DE 2.
#[inline]
pub fn track(frame: &mut [u8], track: &[u8]) {
    frame[LENGTH + PAN..][..PAN_DIGITS].copy_from_slice(&track[..PAN_DIGITS]);
    frame[LENGTH + TRACK..][..TRACK_BYTES].copy_from_slice(track);
}

/// Makes a framed request one that a phone gave to a terminal without a contact.
pub fn from_a_phone(frame: &mut [u8]) {
    frame[LENGTH + ENTRY_MODE..][..3].copy_from_slice(b"910");
}

/// Card number `number` behind some leading digits, with its check digit.
pub fn pan(leading: &[u8], number: u64) -> [u8; PAN_DIGITS] {
    let mut pan = [0; PAN_DIGITS];
    pan[..leading.len()].copy_from_slice(leading);
    put(&mut pan[leading.len()..PAN_DIGITS - 1], number);
    let sum: u32 =
        pan[..PAN_DIGITS - 1].iter().rev().zip([2, 1].into_iter().cycle()).fold(0, |sum, (digit, times)| {
            let digit = u32::from(digit & 0x0F) * times;
            sum + digit / 10 + digit % 10
        });
    pan[PAN_DIGITS - 1] = b'0' + ((10 - sum % 10) % 10) as u8;
    pan
}

/// Where DE 37 stands in an answer.
pub const ANSWER_RRN: usize = 90;
/// The pieces of a request that its answer carries back: DE 2 to 13, 32, 37; then, behind DE 39, 41 and 42, and 49.
const BEFORE_39: [std::ops::Range<usize>; 3] = [20..82, 95..103, RRN..TERMINAL];
const BEHIND_39: [std::ops::Range<usize>; 2] = [TERMINAL..177, 217..220];
/// DE 2, 3, 4, 7, 11, 12, 13, 32, 37, 39, 41, 42 and 49.
const ANSWER_HEAD: &[u8] = b"0110723800010AC08000";
/// The digit of the bitmap that tells of DE 33 to 36, and DE 35 in it.
const BITMAP_33_TO_36: usize = 12;
const DE_35: u8 = 2;
/// What stands in front of DE 37 only where there is a track: its length and itself.
const OF_THE_TRACK: usize = 2 + TRACK_BYTES;

/// Appends the framed 0110 that approves a framed 0100. A relay that looks at nothing passes it on as it is; a switch
/// has nothing to leave out of it. A switch that charges the card behind a phone's leaves the phone's track out of the 0100.
#[inline]
pub fn answer(request: &[u8], out: &mut Vec<u8>) {
    let message = &request[LENGTH..];
    let digit = message[BITMAP_33_TO_36];
    let has_track = ((digit & 0x0F) + 9 * (digit >> 6)) & DE_35 != 0;
    let shift = if has_track { 0 } else { OF_THE_TRACK };
    let piece = |piece: std::ops::Range<usize>| {
        let shift = if piece.start < TRACK { 0 } else { shift };
        &message[piece.start - shift..piece.end - shift]
    };
    let begins = out.len();
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(ANSWER_HEAD);
    BEFORE_39.into_iter().for_each(|range| out.extend_from_slice(piece(range)));
    out.extend_from_slice(b"00");
    BEHIND_39.into_iter().for_each(|range| out.extend_from_slice(piece(range)));
    let length = ((out.len() - begins - LENGTH) as u16).to_be_bytes();
    out[begins..begins + LENGTH].copy_from_slice(&length);
}

/// Writes a number in digits; those that do not fit are lost.
#[inline]
pub fn put(digits: &mut [u8], number: u64) {
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' | (rest % 10) as u8;
        rest /= 10;
    }
}

/// The number that digits spell.
#[inline]
pub fn get(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit & 0x0F))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_keys_of_its_request() {
        let mut request = request();
        number(&mut request, 12_345_678);
        let mut answered = Vec::new();
        answer(&request, &mut answered);
        let message = &answered[LENGTH..];
        assert_eq!((whole(&answered), message.len()), (answered.len(), 130));
        assert_eq!(get(&message[ANSWER_RRN..][..12]), 12_345_678);
        assert_eq!((get(&message[STAN..][..6]), &message[102..112]), (345_678, &b"0000000012"[..]));
    }

    #[test]
    fn a_request_without_its_track_has_the_same_answer() {
        let mut whole = request();
        number(&mut whole, 7_012_345_678);
        let mut without = whole.clone();
        without.drain(LENGTH + TRACK - 2..LENGTH + TRACK + TRACK_BYTES);
        without[LENGTH + BITMAP_33_TO_36] = b'0';
        let (mut one, mut other) = (Vec::new(), Vec::new());
        answer(&whole, &mut one);
        answer(&without, &mut other);
        assert_eq!(String::from_utf8_lossy(&one), String::from_utf8_lossy(&other));
    }

    #[test]
    fn cards_and_tracks_stand_in_their_elements() {
        assert_eq!(&pan(b"999910", 1), b"9999100000000010");
        let mut frame = request();
        card(&mut frame, b"4761731234567892");
        let message = String::from_utf8(frame[LENGTH..].to_vec()).unwrap();
        assert!(
            message[20..].starts_with("164761731234567892000000")
                && message.contains("374761731234567892=4912101")
        );
        track(&mut frame, b"9999100000000010=49122017004273147853");
        from_a_phone(&mut frame);
        let message = String::from_utf8(frame[LENGTH..].to_vec()).unwrap();
        assert!(message[20..].starts_with("169999100000000010000000") && message.contains("541191000"));
        assert!(message.contains("379999100000000010=49122017004273147853000000000001"));
    }
}
