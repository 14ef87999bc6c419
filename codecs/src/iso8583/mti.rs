//! The message type indicator: version, class, function, origin (ISO 8583:1987 4.1, ISO 8583:1993 4.1).

use core::fmt;

/// The edition of the standard that a message follows: the first digit of its type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// ISO 8583:1987.
    V1987,
    /// ISO 8583:1993.
    V1993,
    /// ISO 8583:2003. It can be named; no dialect here speaks it.
    V2003,
}

/// What a message is about: the second digit of its type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// x1xx: may the cardholder pay?
    Authorization,
    /// x2xx: the payment itself.
    Financial,
    /// x3xx: changes to files such as hot-card lists.
    FileAction,
    /// x4xx: undo; the 1993 edition adds chargebacks.
    Reversal,
    /// x5xx: totals.
    Reconciliation,
    /// x6xx: free text and the like.
    Administrative,
    /// x7xx.
    FeeCollection,
    /// x8xx: sign-on, echo, key change.
    Network,
}

/// A message type of the standard, four digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mti {
    /// ASCII; only those that [`Mti::from_digits`] lets in.
    digits: [u8; 4],
}

impl Mti {
    /// Reads four ASCII digits. Nothing when the version is not 0 to 2, the class not 1 to 8, or function or
    /// origin not 0 to 5: those are reserved in both editions.
    pub const fn from_digits(digits: [u8; 4]) -> Option<Mti> {
        match digits {
            [b'0'..=b'2', b'1'..=b'8', b'0'..=b'5', b'0'..=b'5'] => Some(Mti { digits }),
            _ => None,
        }
    }

    /// Four ASCII digits.
    pub const fn digits(self) -> [u8; 4] {
        self.digits
    }

    /// The edition of the standard.
    pub const fn version(self) -> Version {
        match self.digits {
            [b'0', ..] => Version::V1987,
            [b'1', ..] => Version::V1993,
            _ => Version::V2003,
        }
    }

    /// What the message is about.
    pub const fn class(self) -> Class {
        match self.digits {
            [_, b'1', ..] => Class::Authorization,
            [_, b'2', ..] => Class::Financial,
            [_, b'3', ..] => Class::FileAction,
            [_, b'4', ..] => Class::Reversal,
            [_, b'5', ..] => Class::Reconciliation,
            [_, b'6', ..] => Class::Administrative,
            [_, b'7', ..] => Class::FeeCollection,
            _ => Class::Network,
        }
    }

    /// Class and function as ASCII digits, for example `10` of 0100: the key of a dialect's rules.
    pub const fn class_and_function(self) -> [u8; 2] {
        let [_, class, function, _] = self.digits;
        [class, function]
    }

    /// A message that starts an exchange: request, advice or notification.
    pub const fn is_request(self) -> bool {
        self.function() & 1 == 0
    }

    /// A message that answers one.
    pub const fn is_response(self) -> bool {
        !self.is_request()
    }

    /// Tells what has been done already, and must be accepted (xx2x). A repeat of an advice is one too; its
    /// response is not.
    pub const fn is_advice(self) -> bool {
        self.function() == b'2'
    }

    /// A message sent again because no answer came (odd origin).
    pub const fn is_repeat(self) -> bool {
        self.origin() & 1 == 1
    }

    /// The type that answers this one: 0100 and 0101 give 0110, 0421 gives 0430. A response gives itself
    /// without the repeat mark.
    pub const fn response(self) -> Mti {
        let [version, class, function, origin] = self.digits;
        Mti { digits: [version, class, function | 1, origin & !1] }
    }

    /// The type without its repeat mark: 0421 gives 0420.
    pub const fn first(self) -> Mti {
        let [version, class, function, origin] = self.digits;
        Mti { digits: [version, class, function, origin & !1] }
    }

    const fn function(self) -> u8 {
        let [_, _, function, _] = self.digits;
        function
    }

    const fn origin(self) -> u8 {
        let [_, _, _, origin] = self.digits;
        origin
    }
}

impl fmt::Display for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits.iter().try_for_each(|&digit| write!(f, "{}", char::from(digit)))
    }
}

impl fmt::Debug for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn mti(text: &[u8; 4]) -> Mti {
        Mti::from_digits(*text).unwrap()
    }

    #[test]
    fn parts() {
        let type_0421 = mti(b"0421");
        assert_eq!(type_0421.version(), Version::V1987);
        assert_eq!(type_0421.class(), Class::Reversal);
        assert!(type_0421.is_request() && type_0421.is_advice() && type_0421.is_repeat());
        assert_eq!(type_0421.class_and_function(), *b"42");
        assert_eq!(format!("{type_0421} {type_0421:?}"), "0421 0421");
        assert!(mti(b"0430").is_response() && !mti(b"0430").is_advice());
    }

    #[test]
    fn the_answer_and_the_first_of_each() {
        for (given, response, first) in [
            (b"0100", b"0110", b"0100"),
            (b"0101", b"0110", b"0100"),
            (b"0421", b"0430", b"0420"),
            (b"0123", b"0132", b"0122"),
            (b"1804", b"1814", b"1804"),
            (b"0110", b"0110", b"0110"),
        ] {
            assert_eq!(mti(given).response(), mti(response), "{given:?}");
            assert_eq!(mti(given).first(), mti(first), "{given:?}");
        }
    }

    #[test]
    fn reserved_types_are_no_types() {
        for digits in [b"0000", b"0999", b"3100", b"0160", b"0106", b"01A0", b" 100"] {
            assert_eq!(Mti::from_digits(*digits), None, "{digits:?}");
        }
    }
}
