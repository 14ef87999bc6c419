//! Answers and network messages: what both sides of a link write.

use codecs::EncodeError;
use codecs::iso8583::{De, DeSet, Dialect, Encoder, Message, Version};
use codecs::value::NetworkFunction;

use crate::clock::Stamp;
use crate::codes::Code;

/// Writes the answer to a request: the elements that a response echoes, the code, and the approval code if
/// there is one. Returns how many bytes it takes; nothing when the request cannot be answered.
pub fn answer(request: &Message<'_>, code: Code, approval: Option<[u8; 6]>, out: &mut [u8]) -> Option<usize> {
    let dialect = request.dialect();
    let mut present = request.present().intersection(dialect.echo).with(De::RESPONSE_CODE);
    if approval.is_some() {
        present = present.with(De::APPROVAL_CODE);
    }
    let mut encoder = Encoder::new(dialect, request.mti()?.response(), present, out).ok()?;
    for de in present.iter() {
        match (de, &approval) {
            (De::RESPONSE_CODE, _) => encoder.put(de, code.as_bytes()),
            (De::APPROVAL_CODE, Some(approval)) => encoder.put(de, approval),
            _ => encoder.copy(de, request),
        }
        .ok()?;
    }
    encoder.finish().ok()
}

/// What a network message is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetworkPurpose {
    /// We are here and want to ask.
    SignOn,
    /// We ask no more.
    SignOff,
    /// Are you there?
    Echo,
    /// It is time for a new working key. What a host does about it is its own affair; the question is the standard's.
    KeyChange,
}

/// Writes a network message (0800, 1804).
pub fn network_request(
    dialect: &Dialect,
    purpose: NetworkPurpose,
    stan: u32,
    stamp: &Stamp,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    let (old, new) = match purpose {
        NetworkPurpose::SignOn => (1, 801),
        NetworkPurpose::SignOff => (2, 802),
        NetworkPurpose::KeyChange => (161, 811),
        NetworkPurpose::Echo => (301, 831),
    };
    if dialect.version == Version::V1987 {
        let present = DeSet::of(&[De::TRANSMISSION_TIME, De::STAN, De::NETWORK_CODE]);
        let mut encoder = Encoder::new_with_digits(dialect, *b"0800", present, out)?;
        encoder.put(De::TRANSMISSION_TIME, stamp.transmission_time())?;
        encoder.put_number(De::STAN, u64::from(stan))?;
        encoder.put_number(De::NETWORK_CODE, old)?;
        encoder.finish()
    } else {
        let present = DeSet::of(&[De::TRANSMISSION_TIME, De::STAN, De::LOCAL_TIME, De::FUNCTION_CODE]);
        let mut encoder = Encoder::new_with_digits(dialect, *b"1804", present, out)?;
        encoder.put(De::TRANSMISSION_TIME, stamp.transmission_time())?;
        encoder.put_number(De::STAN, u64::from(stan))?;
        encoder.put(De::LOCAL_TIME, stamp.date_and_time())?;
        encoder.put_number(De::FUNCTION_CODE, new)?;
        encoder.finish()
    }
}

/// The code for what the other side asks about the link. A working key that it brings is not taken: where it stands in
/// the message (DE 48, 53 or 96), under which key and with what check value, two parties agree on; no edition says it. To
/// accept it and to go on with the old key would be worse than to say so.
pub fn network_code(request: &Message<'_>) -> Code {
    let version = request.dialect().version;
    // 1987 has a block of codes for security, of which 101 and 161 are in use; so has 1993.
    let about_keys = matches!(
        request.network_function(),
        Some(NetworkFunction::KeyChange | NetworkFunction::Other(100..=199 | 810..=819))
    );
    let brings_key = about_keys && KEY_ELEMENTS.into_iter().filter_map(De::new).any(|de| request.has(de));
    if brings_key { code(version, b"40", b"115") } else { network_accepted(version) }
}

/// Where parties agree to put a key: private data, security control information, message security code (in 1993 key
/// management data).
const KEY_ELEMENTS: [u8; 3] = [48, 53, 96];

/// The code that accepts a network message.
pub fn network_accepted(version: Version) -> Code {
    code(version, b"00", b"800")
}

/// The code that accepts a reversal.
pub fn reversal_accepted(version: Version) -> Code {
    code(version, b"00", b"400")
}

/// The code that approves a payment.
pub fn approved(version: Version) -> Code {
    code(version, b"00", b"000")
}

/// The code for a message that cannot be read as a whole.
pub fn format_error(version: Version) -> Code {
    code(version, b"30", b"904")
}

fn code(version: Version, in_1987: &[u8; 2], in_1993: &[u8; 3]) -> Code {
    let text = if version == Version::V1987 { &in_1987[..] } else { in_1993 };
    Code::parse(text).expect("two or three digits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::iso8583::{BUILT_IN, Index};

    #[test]
    fn network_messages_are_asked_and_answered() {
        for (name, dialect) in BUILT_IN {
            let stamp = Stamp::of(1_795_392_061);
            let mut request = [0; 256];
            let length = network_request(dialect, NetworkPurpose::Echo, 42, &stamp, &mut request).unwrap();
            let mut index = Index::new();
            dialect.parse(&request[..length], &mut index).unwrap();
            dialect.check_rules(&index).unwrap();
            let message = Message::new(dialect, &request[..length], &index);

            let mut response = [0; 256];
            let code = network_accepted(dialect.version);
            let length = answer(&message, code, None, &mut response).unwrap();
            let mut index = Index::new();
            dialect.parse(&response[..length], &mut index).unwrap();
            dialect.check_rules(&index).unwrap();
            let message = Message::new(dialect, &response[..length], &index);
            assert_eq!(message.number(De::STAN), Some(42), "{name}");
            assert!(message.mti().unwrap().is_response() && !message.has(De::APPROVAL_CODE));
        }
    }
}
