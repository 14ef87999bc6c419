//! Frames: a two-byte length, then an ASCII 0100. It is the same for every run, but for the three places that make each
//! one a request of its own.

/// Where DE 11 stands in the message, six digits.
pub const STAN: usize = 66;
/// Where DE 37 stands, twelve digits: the number of the request.
pub const RRN: usize = 142;
/// Where DE 41 stands, eight digits: the millions of that number, so that no key comes twice when DE 11 wraps.
const TERMINAL: usize = 154;
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

/// Where DE 37 stands in an answer.
pub const ANSWER_RRN: usize = 90;
/// The pieces of a request that its answer carries back: DE 2 to 13, 32, 37; then, behind DE 39, 41 and 42, and 49.
const BEFORE_39: [std::ops::Range<usize>; 3] = [20..82, 95..103, RRN..TERMINAL];
const BEHIND_39: [std::ops::Range<usize>; 2] = [TERMINAL..177, 217..220];
/// DE 2, 3, 4, 7, 11, 12, 13, 32, 37, 39, 41, 42 and 49.
const ANSWER_HEAD: &[u8] = b"0110723800010AC08000";

/// Appends the framed 0110 that approves a framed 0100. A relay that looks at nothing passes it on as it is; a switch
/// has nothing to leave out of it.
#[inline]
pub fn answer(request: &[u8], out: &mut Vec<u8>) {
    let message = &request[LENGTH..];
    let begins = out.len();
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(ANSWER_HEAD);
    BEFORE_39.into_iter().for_each(|piece| out.extend_from_slice(&message[piece]));
    out.extend_from_slice(b"00");
    BEHIND_39.into_iter().for_each(|piece| out.extend_from_slice(&message[piece]));
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
}
