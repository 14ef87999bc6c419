//! What is written down of a message that its issuer is told of later: the elements that the standard gives a meaning,
//! none of which can hold a track, a code or a PIN. Private elements are left out, because nobody here knows what is in
//! them; so is every element that the message itself, its trace number and its card are known by, which are written down
//! as what they are.
//!
//! The form is one for the journal: element, length, canonical value, one after the other.

use authorizer::advice::Kept;
use codecs::emv::tag;
use codecs::iso8583::{De, DeSet, Message};
use codecs::tlv::{TlvWriter, Tlvs};
use codecs::value::Pan;

use crate::acquirer::translate::card_of;
use crate::mentions::mentions;

/// Amounts and their dates, dates and times, merchant and point of service, function and reason, institutions,
/// references, what was answered, terminal, currencies, chip, originals, replacement amounts, receiving institution.
const KEPT: DeSet = DeSet::from_numbers(&[
    3, 4, 5, 6, 7, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19, 22, 23, 24, 25, 26, 32, 33, 37, 38, 39, 41, 42, 43,
    49, 50, 51, 54, 55, 56, 90, 95, 100,
]);

/// Of these, what is said of a proxy card and nothing to the issuer of the card behind it.
const OF_THE_PROXY: DeSet = DeSet::of(&[De::EXPIRY, De::CARD_SEQUENCE, De::ICC_DATA]);

/// The most that is kept of a message; what the standard allows each element comes to a little less.
pub const BYTES_MAX: usize = 1_024;
/// Bytes of the longest element.
const ELEMENT_BYTES_MAX: usize = 999;

/// What to keep of a message; `proxy` is its card, where its issuer knows another one.
pub fn of(message: &Message<'_>, proxy: Option<&Pan>) -> Kept {
    let mut wanted = message.present().intersection(KEPT);
    if proxy.is_some() {
        wanted = wanted.minus(OF_THE_PROXY);
    }
    // Also where people type it into a text.
    if let Some(pan) = proxy.copied().or_else(|| card_of(message)) {
        wanted = wanted.minus(mentions(message, wanted, &pan));
    }
    let (mut room, mut chip) = ([0; ELEMENT_BYTES_MAX], [0; ELEMENT_BYTES_MAX]);
    let mut bytes = Vec::with_capacity(256);
    for de in wanted.iter() {
        let Some(mut value) = message.decode(de, &mut room) else { continue };
        if de == De::ICC_DATA {
            let Some(clean) = without_card(value, &mut chip) else { continue };
            value = clean;
        }
        if bytes.len() + 3 + value.len() > BYTES_MAX {
            break;
        }
        bytes.push(de.number());
        bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
        bytes.extend_from_slice(value);
    }
    Kept(bytes.into_boxed_slice())
}

/// The same chip data without tracks and the card number, which stands in its own place. Nothing where it is no list of
/// data objects.
fn without_card<'a>(icc: &[u8], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut writer = TlvWriter::new(room);
    for object in Tlvs::new(icc) {
        let object = object.ok()?;
        // Only what EMV names: an object of a scheme's own may hold anything.
        if tag::name(object.tag).is_some() && !tag::is_track(object.tag) && object.tag != tag::PAN {
            writer.put(object.tag, object.value)?;
        }
    }
    Some(writer.into_written())
}

/// The elements, ascending.
pub fn elements(kept: &Kept) -> impl Iterator<Item = (De, &[u8])> {
    let mut rest = &kept.0[..];
    std::iter::from_fn(move || {
        let (head, after) = rest.split_first_chunk::<3>()?;
        let (value, after) = after.split_at_checked(usize::from(u16::from_le_bytes([head[1], head[2]])))?;
        rest = after;
        Some((De::new(head[0])?, value))
    })
}

#[cfg(test)]
mod tests {
    use codecs::iso8583::{BUILT_IN, Encoder, Index};

    use super::*;

    fn kept(elements: &[(u8, &[u8])], proxy: Option<&Pan>) -> Vec<(u8, Vec<u8>)> {
        let dialect = BUILT_IN.iter().find(|(name, _)| *name == "iso87-ascii").expect("built in").1;
        let present = elements.iter().map(|(number, _)| De::new(*number).expect("a number")).collect();
        let mut out = [0; 2_048];
        let mut encoder = Encoder::new_with_digits(dialect, *b"0120", present, &mut out).expect("room");
        for (number, value) in elements {
            encoder.put(De::new(*number).expect("a number"), value).expect("a value");
        }
        let length = encoder.finish().expect("whole");
        let mut index = Index::new();
        dialect.parse(&out[..length], &mut index).expect("our own");
        let kept = of(&Message::new(dialect, &out[..length], &index), proxy);
        super::elements(&kept).map(|(de, value)| (de.number(), value.to_vec())).collect()
    }

    #[test]
    fn neither_card_nor_track_nor_pin_nor_anything_private() {
        let said = kept(
            &[
                (2, b"9999600000000019"),
                (3, b"000000"),
                (11, b"000007"),
                (35, b"9999600000000019=49121010000000000000"),
                (43, b"A SHOP              SOMEWHERE           "),
                (48, b"9999600000000019"),
                (52, &[0; 8]),
                (55, &[0x57, 2, 0x99, 0x99, 0x5A, 1, 0x99, 0x9F, 0x36, 2, 0, 7, 0xDF, 1, 1, 9]),
            ],
            None,
        );
        let chip = (55, vec![0x9F, 0x36, 2, 0, 7]);
        let shop = (43, b"A SHOP              SOMEWHERE           ".to_vec());
        assert_eq!(said, [(3, b"000000".to_vec()), shop, chip]);
    }

    #[test]
    fn no_text_with_the_card_in_it() {
        let said = kept(
            &[
                (2, b"9999600000000019"),
                (37, b"000000000007"),
                (43, b"CARD 9999600000000019 OF A SHOP         "),
                (54, b"TRACK 9999600000000019=49121010000000000000"),
            ],
            None,
        );
        assert_eq!(said, [(37, b"000000000007".to_vec())]);
    }

    #[test]
    fn nothing_of_a_proxy() {
        let proxy = Pan::parse(b"9999100000000010").expect("digits");
        let said = kept(
            &[
                (2, b"9999100000000010"),
                (14, b"4912"),
                (37, b"000000000007"),
                (43, b"9999100000000010                        "),
            ],
            Some(&proxy),
        );
        assert_eq!(said, [(37, b"000000000007".to_vec())]);
    }
}
