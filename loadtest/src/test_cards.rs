//! Whether a message is one of a test: every card number in it begins with 9999.
//!
//! A recording is a file that people keep and hand on. What might hold the number of a real card does not get into one,
//! and is not sent from one.

use codecs::iso8583::{De, Message};
use codecs::tlv::Tlvs;

use crate::mix::luhn_check_digit;

const PREFIX: &[u8] = b"9999";
/// Chip data that hold a card number: the number, and the track.
const TAGS: [u32; 2] = [0x5A, 0x57];
/// Room for any element.
const ELEMENT_BYTES: usize = 1024;

/// Refuses a message that shows, or may show, the number of another card. The error names the element alone.
pub(crate) fn only(message: &Message<'_>) -> Result<(), String> {
    let mut room = [0; ELEMENT_BYTES];
    for de in message.present().iter() {
        let refused = || format!("{de}: only card numbers of the test range 9999 are let in");
        let value = match message.decode(de, &mut room) {
            Some(value) => value,
            None => message.value(de).unwrap_or_default(),
        };
        let fine = match de {
            // Track 1 has the letter of its format first.
            De::TRACK1 => value.get(1..).is_some_and(|digits| digits.starts_with(PREFIX)),
            De::PAN | De::TRACK2 | De::TRACK3 => value.starts_with(PREFIX),
            De::ICC_DATA => chip_data_are_fine(value),
            // The standard leaves these to the parties, or gives them to accounts.
            _ if matches!(de.number(), 34 | 44..=48 | 56..=63 | 102..=127) => no_other_card(value),
            _ => true,
        };
        if !fine {
            return Err(refused());
        }
    }
    Ok(())
}

fn chip_data_are_fine(value: &[u8]) -> bool {
    Tlvs::new(value).all(|object| {
        object.is_ok_and(|object| !TAGS.contains(&object.tag) || object.value.starts_with(&[0x99, 0x99]))
    })
}

/// Whether no run of digits could be the number of a card outside the test range.
fn no_other_card(value: &[u8]) -> bool {
    value.split(|byte| !byte.is_ascii_digit()).all(|digits| {
        let (true, Some((check, body))) = ((13..=19).contains(&digits.len()), digits.split_last()) else {
            return true;
        };
        digits.starts_with(PREFIX) || b'0' + luhn_check_digit(body) != *check
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::iso8583::{DeSet, Encoder, Index, dialect::ISO87_ASCII};

    fn judge(elements: &[(De, &[u8])]) -> Result<(), String> {
        let present = elements.iter().fold(DeSet::EMPTY, |set, (de, _)| set.with(*de));
        let mut room = [0; 512];
        let mut encoder = Encoder::new_with_digits(&ISO87_ASCII, *b"0100", present, &mut room).unwrap();
        elements.iter().for_each(|(de, value)| encoder.put(*de, value).unwrap());
        let length = encoder.finish().unwrap();
        let mut index = Index::new();
        ISO87_ASCII.parse(&room[..length], &mut index).unwrap();
        only(&Message::new(&ISO87_ASCII, &room[..length], &index))
    }

    #[test]
    fn other_cards_are_refused_wherever_they_stand() {
        for (de, fine, other) in [
            (De::PAN, &b"9999600000000019"[..], &b"4111111111111111"[..]),
            (De::TRACK2, b"9999600000000019=2912201", b"4111111111111111=2912201"),
            (De::TRACK1, b"B9999600000000019^X^2912201", b"B4111111111111111^X^2912201"),
            (
                De::ICC_DATA,
                b"\x9F\x02\x01\x00\x5A\x08\x99\x99\x60\x00\x00\x00\x00\x19",
                b"\x5A\x08\x41\x11\x11\x11\x11\x11\x11\x11",
            ),
            (De::PRIVATE_48, b"order 4111111111111112", b"card 4111111111111111 of X"),
            (De::ACCOUNT_1, b"9999600000000019", b"4111111111111111"),
        ] {
            assert_eq!(judge(&[(de, fine)]), Ok(()), "{de}");
            let said = judge(&[(de, other)]).unwrap_err();
            assert!(said.starts_with(&de.to_string()) && !said.contains("1111"), "{said}");
        }
    }
}
