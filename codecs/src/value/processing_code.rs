//! What kind of payment, from which account to which: DE 3.

use core::fmt;

use crate::text;

/// Six digits: transaction type, account debited, account credited (ISO 8583:1987 4.4.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessingCode([u8; 6]);

impl ProcessingCode {
    /// Reads six ASCII digits.
    #[inline]
    pub fn parse(ascii: &[u8]) -> Option<ProcessingCode> {
        let digits: [u8; 6] = ascii.try_into().ok()?;
        text::are_digits(&digits).then_some(ProcessingCode(digits))
    }

    /// 00 purchase, 01 cash, 09 purchase with cash back, 20 refund, 30 balance inquiry, and so on.
    pub const fn transaction_type(self) -> u8 {
        let [tens, ones, ..] = self.0;
        pair(tens, ones)
    }

    /// The account type that is debited: 00 unspecified, 10 savings, 20 cheque, 30 credit.
    pub const fn from_account(self) -> u8 {
        let [_, _, tens, ones, ..] = self.0;
        pair(tens, ones)
    }

    /// The account type that is credited.
    pub const fn to_account(self) -> u8 {
        let [.., tens, ones] = self.0;
        pair(tens, ones)
    }

    /// Six ASCII digits.
    pub const fn digits(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for ProcessingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write_ascii(f, &self.0)
    }
}

impl fmt::Debug for ProcessingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const fn pair(tens: u8, ones: u8) -> u8 {
    (tens & 0x0F).wrapping_mul(10).wrapping_add(ones & 0x0F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let code = ProcessingCode::parse(b"201030").unwrap();
        assert_eq!((code.transaction_type(), code.from_account(), code.to_account()), (20, 10, 30));
        assert_eq!((ProcessingCode::parse(b"2010"), ProcessingCode::parse(b"20103x")), (None, None));
    }
}
