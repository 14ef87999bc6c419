//! The data elements by number and by the standard's own name.

use core::fmt;

/// The number of a data element, 1 to 128. 0 stands for the message type in errors.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct De(u8);

/// Names for the elements that code speaks of. Where the editions differ the name is that of 1987.
impl De {
    /// The message type: not a data element, but errors must be able to name it.
    pub const MTI: De = De(0);
    /// The bitmaps.
    pub const BITMAP: De = De(1);
    /// Primary account number.
    pub const PAN: De = De(2);
    /// Processing code.
    pub const PROCESSING_CODE: De = De(3);
    /// Amount, transaction.
    pub const AMOUNT: De = De(4);
    /// Transmission date and time.
    pub const TRANSMISSION_TIME: De = De(7);
    /// System trace audit number.
    pub const STAN: De = De(11);
    /// Time, local transaction; in 1993 date and time.
    pub const LOCAL_TIME: De = De(12);
    /// Date, local transaction; in 1993 date, effective.
    pub const LOCAL_DATE: De = De(13);
    /// Date, expiration.
    pub const EXPIRY: De = De(14);
    /// Date, settlement.
    pub const SETTLEMENT_DATE: De = De(15);
    /// Merchant's type.
    pub const MERCHANT_TYPE: De = De(18);
    /// Point of service entry mode; in 1993 point of service data code.
    pub const POS_ENTRY: De = De(22);
    /// Card sequence number.
    pub const CARD_SEQUENCE: De = De(23);
    /// Network international identifier; in 1993 function code.
    pub const FUNCTION_CODE: De = De(24);
    /// Point of service condition code; in 1993 message reason code.
    pub const POS_CONDITION: De = De(25);
    /// Acquiring institution identification code.
    pub const ACQUIRER: De = De(32);
    /// Forwarding institution identification code.
    pub const FORWARDER: De = De(33);
    /// Track 2 data.
    pub const TRACK2: De = De(35);
    /// Track 3 data.
    pub const TRACK3: De = De(36);
    /// Retrieval reference number.
    pub const RRN: De = De(37);
    /// Authorization identification response; in 1993 approval code.
    pub const APPROVAL_CODE: De = De(38);
    /// Response code; in 1993 action code.
    pub const RESPONSE_CODE: De = De(39);
    /// Card acceptor terminal identification.
    pub const TERMINAL: De = De(41);
    /// Card acceptor identification code.
    pub const MERCHANT: De = De(42);
    /// Card acceptor name and location.
    pub const MERCHANT_NAME: De = De(43);
    /// Additional response data.
    pub const RESPONSE_DATA: De = De(44);
    /// Track 1 data.
    pub const TRACK1: De = De(45);
    /// Additional data, private.
    pub const PRIVATE_48: De = De(48);
    /// Currency code, transaction.
    pub const CURRENCY: De = De(49);
    /// Personal identification number data.
    pub const PIN: De = De(52);
    /// Security related control information.
    pub const SECURITY_CONTROL: De = De(53);
    /// Additional amounts.
    pub const ADDITIONAL_AMOUNTS: De = De(54);
    /// Integrated circuit card data; reserved in 1987, used so by everyone.
    pub const ICC_DATA: De = De(55);
    /// Original data elements, 1993.
    pub const ORIGINAL_93: De = De(56);
    /// Message authentication code of a message without secondary bitmap.
    pub const MAC_64: De = De(64);
    /// Network management information code.
    pub const NETWORK_CODE: De = De(70);
    /// Original data elements, 1987.
    pub const ORIGINAL: De = De(90);
    /// Replacement amounts.
    pub const REPLACEMENT_AMOUNTS: De = De(95);
    /// Account identification 1.
    pub const ACCOUNT_1: De = De(102);
    /// Account identification 2.
    pub const ACCOUNT_2: De = De(103);
    /// Message authentication code of a message with secondary bitmap.
    pub const MAC_128: De = De(128);
}

impl De {
    /// A data element by number; nothing outside 1 to 128.
    pub const fn new(number: u8) -> Option<De> {
        match number {
            1..=128 => Some(De(number)),
            _ => None,
        }
    }

    /// For callers that hold a number between 1 and 128 by construction.
    pub(crate) const fn known(number: u8) -> De {
        De(number)
    }

    /// 1 to 128; 0 for [`De::MTI`].
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The name that ISO 8583:1987 gives the element, in lower case; 1993 renames some.
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or("reserved")
    }
}

impl fmt::Display for De {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("MTI"),
            number => write!(f, "DE {number}"),
        }
    }
}

impl fmt::Debug for De {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const NAMES: [&str; 129] = [
    "message type indicator",
    "bit map",
    "primary account number",
    "processing code",
    "amount, transaction",
    "amount, settlement",
    "amount, cardholder billing",
    "transmission date and time",
    "amount, cardholder billing fee",
    "conversion rate, settlement",
    "conversion rate, cardholder billing",
    "system trace audit number",
    "time, local transaction",
    "date, local transaction",
    "date, expiration",
    "date, settlement",
    "date, conversion",
    "date, capture",
    "merchant's type",
    "acquiring institution country code",
    "primary account number extended country code",
    "forwarding institution country code",
    "point of service entry mode",
    "card sequence number",
    "network international identifier",
    "point of service condition code",
    "point of service PIN capture code",
    "authorization identification response length",
    "amount, transaction fee",
    "amount, settlement fee",
    "amount, transaction processing fee",
    "amount, settlement processing fee",
    "acquiring institution identification code",
    "forwarding institution identification code",
    "primary account number, extended",
    "track 2 data",
    "track 3 data",
    "retrieval reference number",
    "authorization identification response",
    "response code",
    "service restriction code",
    "card acceptor terminal identification",
    "card acceptor identification code",
    "card acceptor name and location",
    "additional response data",
    "track 1 data",
    "additional data, ISO",
    "additional data, national",
    "additional data, private",
    "currency code, transaction",
    "currency code, settlement",
    "currency code, cardholder billing",
    "personal identification number data",
    "security related control information",
    "additional amounts",
    "integrated circuit card data",
    "reserved, ISO",
    "reserved, national",
    "reserved, national",
    "reserved, national",
    "reserved, private",
    "reserved, private",
    "reserved, private",
    "reserved, private",
    "message authentication code",
    "bit map, extended",
    "settlement code",
    "extended payment code",
    "receiving institution country code",
    "settlement institution country code",
    "network management information code",
    "message number",
    "message number, last",
    "date, action",
    "credits, number",
    "credits, reversal number",
    "debits, number",
    "debits, reversal number",
    "transfer, number",
    "transfer, reversal number",
    "inquiries, number",
    "authorizations, number",
    "credits, processing fee amount",
    "credits, transaction fee amount",
    "debits, processing fee amount",
    "debits, transaction fee amount",
    "credits, amount",
    "credits, reversal amount",
    "debits, amount",
    "debits, reversal amount",
    "original data elements",
    "file update code",
    "file security code",
    "response indicator",
    "service indicator",
    "replacement amounts",
    "message security code",
    "amount, net settlement",
    "payee",
    "settlement institution identification code",
    "receiving institution identification code",
    "file name",
    "account identification 1",
    "account identification 2",
    "transaction description",
    "reserved, ISO",
    "reserved, ISO",
    "reserved, ISO",
    "reserved, ISO",
    "reserved, ISO",
    "reserved, ISO",
    "reserved, ISO",
    "reserved, national",
    "reserved, national",
    "reserved, national",
    "reserved, national",
    "reserved, national",
    "reserved, national",
    "reserved, national",
    "reserved, national",
    "reserved, private",
    "reserved, private",
    "reserved, private",
    "reserved, private",
    "reserved, private",
    "reserved, private",
    "reserved, private",
    "reserved, private",
    "message authentication code 2",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn numbers_and_names_line_up() {
        for (de, number, name) in [
            (De::PAN, 2, "primary account number"),
            (De::STAN, 11, "system trace audit number"),
            (De::TRACK2, 35, "track 2 data"),
            (De::ICC_DATA, 55, "integrated circuit card data"),
            (De::NETWORK_CODE, 70, "network management information code"),
            (De::ORIGINAL, 90, "original data elements"),
            (De::ACCOUNT_2, 103, "account identification 2"),
            (De::MAC_128, 128, "message authentication code 2"),
        ] {
            assert_eq!((de.number(), de.name()), (number, name));
        }
        assert_eq!(format!("{} {:?}", De::MTI, De::TRACK2), "MTI DE 35");
        assert_eq!((De::new(0), De::new(129)), (None, None));
    }
}
