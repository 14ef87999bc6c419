//! What a message from the host says, as far as the fleet looks at it.

use codecs::ParseError;
use codecs::iso8583::{Class, De, Dialect, Index, Message, Mti, Plans};

use crate::codes::Code;

/// An element that hosts echo, or leave out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Echoed<T> {
    /// Not there: nothing to compare.
    Absent,
    /// There, and readable.
    Value(T),
    /// There, but it cannot be one of ours.
    Foreign,
}

impl<T: PartialEq> Echoed<T> {
    /// Whether it does not contradict `ours`.
    pub(super) fn fits(&self, ours: &T) -> bool {
        match self {
            Echoed::Absent => true,
            Echoed::Value(theirs) => theirs == ours,
            Echoed::Foreign => false,
        }
    }
}

/// One message from the host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) mti: Mti,
    pub(super) stan: Option<u32>,
    pub(super) transmission_time: Echoed<[u8; 10]>,
    pub(super) rrn: Echoed<u64>,
    /// The digits behind the letter.
    pub(super) terminal: Echoed<u32>,
    pub(super) amount: Option<u64>,
    pub(super) code: Option<Code>,
    pub(super) approval: [u8; 6],
}

impl Answer {
    /// Reads a message. Plans and index are used again from message to message.
    pub(super) fn read(
        dialect: &Dialect,
        bytes: &[u8],
        (plans, index): (&mut Plans, &mut Index),
    ) -> Result<Answer, ParseError> {
        plans.parse(dialect, bytes, index)?;
        let message = Message::new(dialect, bytes, index);
        let bad_mti = ParseError { de: De::MTI, offset: 0, flaw: codecs::Flaw::BadMti };
        Ok(Answer {
            mti: message.mti().ok_or(bad_mti)?,
            stan: message.number(De::STAN).map(|stan| stan as u32),
            transmission_time: echoed(&message, De::TRANSMISSION_TIME, |text| text.try_into().ok()),
            rrn: echoed(&message, De::RRN, number),
            terminal: echoed(&message, De::TERMINAL, |text| {
                let (letter, digits) = text.split_first()?;
                if *letter == b'T' { number(digits).map(|number| number as u32) } else { None }
            }),
            amount: message.number(De::AMOUNT),
            code: text::<3>(&message, De::RESPONSE_CODE)
                .and_then(|(text, length)| Code::parse(&text[..length])),
            approval: text::<6>(&message, De::APPROVAL_CODE).map_or([0; 6], |(text, _)| text),
        })
    }

    /// Whether it is about the link and not about a payment.
    pub(super) fn is_network(&self) -> bool {
        self.mti.class() == Class::Network
    }
}

fn echoed<T>(message: &Message<'_>, de: De, read: impl FnOnce(&[u8]) -> Option<T>) -> Echoed<T> {
    if !message.has(de) {
        return Echoed::Absent;
    }
    let mut room = [0; 16];
    match message.decode(de, &mut room).and_then(read) {
        Some(value) => Echoed::Value(value),
        None => Echoed::Foreign,
    }
}

fn text<const N: usize>(message: &Message<'_>, de: De) -> Option<([u8; N], usize)> {
    let mut room = [0; N];
    let length = message.decode(de, &mut room)?.len();
    Some((room, length))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| {
        digit.is_ascii_digit().then(|| sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')))
    })
}
