//! The nouns that codec and authorizer share.
//!
//! Small, `Copy`, and never wrong: the fields are private and each constructor refuses what the standard
//! refuses. They know no message and no encoding. Constructors named `parse` read ASCII, the canonical form
//! of an element. What identifies a card shows masked at most.

mod amount;
mod currency;
mod date;
mod iin;
mod network;
mod pan;
mod party;
mod pos_entry;
mod processing_code;
mod response_code;
mod rrn;
mod stan;

pub use amount::Amount;
pub use currency::Currency;
pub use date::{Expiry, LocalDate, LocalDateTime, LocalTime, TransmissionTime};
pub use iin::Iin;
pub use network::{NetworkCode, NetworkFunction};
pub use pan::Pan;
pub use party::{MerchantId, MerchantType, PartyId, TerminalId};
pub use pos_entry::PosEntry;
pub use processing_code::ProcessingCode;
pub use response_code::{ApprovalCode, ResponseCode};
pub use rrn::Rrn;
pub use stan::Stan;

use core::fmt;

use crate::text;

/// `number` in `N` ASCII digits; digits that do not fit are lost, which the caller rules out.
const fn digits<const N: usize>(number: u64) -> [u8; N] {
    let mut out = [b'0'; N];
    let mut rest = number;
    let mut unwritten: &mut [u8] = &mut out;
    while let [head @ .., last] = unwritten {
        let [.., low] = (rest % 10).to_be_bytes();
        *last = low | b'0';
        rest /= 10;
        unwritten = head;
    }
    out
}

/// The number that ASCII digits spell; nothing for another character, for none, or for more than 18.
#[inline]
fn number(ascii: &[u8]) -> Option<u64> {
    let is_number = matches!(ascii.len(), 1..=18) && text::are_digits(ascii);
    is_number.then(|| text::number(ascii))
}

/// Writes printable ASCII; the constructors have let nothing else in.
fn write_ascii(f: &mut fmt::Formatter<'_>, ascii: &[u8]) -> fmt::Result {
    f.write_str(core::str::from_utf8(ascii).unwrap_or_default())
}
