//! The data objects that travel in DE 55: tag, name and length (EMV Book 3, annex A).

/// Track 1 equivalent data of contactless stripe mode: secret.
pub const TRACK1_DATA: u32 = 0x56;
/// Track 2 equivalent data: secret.
pub const TRACK2_EQUIVALENT: u32 = 0x57;
/// Application primary account number.
pub const PAN: u32 = 0x5A;
/// Issuer script template 1.
pub const SCRIPT_1: u32 = 0x71;
/// Issuer script template 2.
pub const SCRIPT_2: u32 = 0x72;
/// Application interchange profile.
pub const AIP: u32 = 0x82;
/// Dedicated file name: the application.
pub const DF_NAME: u32 = 0x84;
/// Authorization response code.
pub const ARC: u32 = 0x8A;
/// Issuer authentication data: the issuer's answer to the card.
pub const ISSUER_AUTHENTICATION: u32 = 0x91;
/// Terminal verification results.
pub const TVR: u32 = 0x95;
/// Transaction date, YYMMDD.
pub const DATE: u32 = 0x9A;
/// Transaction type.
pub const TYPE: u32 = 0x9C;
/// Application expiration date, YYMMDD.
pub const EXPIRY: u32 = 0x5F24;
/// Transaction currency code.
pub const CURRENCY: u32 = 0x5F2A;
/// Application PAN sequence number.
pub const PAN_SEQUENCE: u32 = 0x5F34;
/// Amount, authorised.
pub const AMOUNT: u32 = 0x9F02;
/// Amount, other: cash back.
pub const AMOUNT_OTHER: u32 = 0x9F03;
/// Issuer application data.
pub const IAD: u32 = 0x9F10;
/// Terminal country code.
pub const TERMINAL_COUNTRY: u32 = 0x9F1A;
/// Track 1 discretionary data: secret.
pub const TRACK1_DISCRETIONARY: u32 = 0x9F1F;
/// Track 2 discretionary data: secret.
pub const TRACK2_DISCRETIONARY: u32 = 0x9F20;
/// Application cryptogram: ARQC, TC or AAC.
pub const CRYPTOGRAM: u32 = 0x9F26;
/// Cryptogram information data: which of them it is.
pub const CID: u32 = 0x9F27;
/// Cardholder verification method results.
pub const CVM_RESULTS: u32 = 0x9F34;
/// Application transaction counter.
pub const ATC: u32 = 0x9F36;
/// Unpredictable number.
pub const UN: u32 = 0x9F37;
/// Track 2 data of contactless stripe mode: secret.
pub const TRACK2_DATA: u32 = 0x9F6B;

/// One data object: its tag, its name, the least and the most bytes of its value.
pub struct Row {
    /// The tag bytes as a number.
    pub tag: u32,
    /// The name that EMV gives it, in lower case.
    pub name: &'static str,
    /// The fewest bytes of a value.
    pub min: u8,
    /// The most bytes of a value.
    pub max: u8,
}

/// The name of a data object, if it is in the table.
pub fn name(tag: u32) -> Option<&'static str> {
    place(tag).and_then(|place| TABLE.get(place)).map(|row| row.name)
}

/// Whether the object holds a track or part of one: never to be stored, not even encrypted.
pub const fn is_track(tag: u32) -> bool {
    matches!(tag, TRACK1_DATA | TRACK2_EQUIVALENT | TRACK1_DISCRETIONARY | TRACK2_DISCRETIONARY | TRACK2_DATA)
}

/// Whether the object may stand more than once: an issuer may send several scripts.
pub const fn is_repeatable(tag: u32) -> bool {
    matches!(tag, SCRIPT_1 | SCRIPT_2)
}

/// Where the object stands in the table.
pub(super) fn place(tag: u32) -> Option<usize> {
    TABLE.binary_search_by_key(&tag, |row| row.tag).ok()
}

const fn row(tag: u32, min: u8, max: u8, name: &'static str) -> Row {
    Row { tag, name, min, max }
}

/// Ascending, for a binary search.
pub const TABLE: [Row; 37] = [
    row(TRACK1_DATA, 0, 76, "track 1 data"),
    row(TRACK2_EQUIVALENT, 0, 19, "track 2 equivalent data"),
    row(PAN, 0, 10, "application primary account number"),
    row(SCRIPT_1, 0, 255, "issuer script template 1"),
    row(SCRIPT_2, 0, 255, "issuer script template 2"),
    row(AIP, 2, 2, "application interchange profile"),
    row(DF_NAME, 5, 16, "dedicated file name"),
    row(ARC, 2, 2, "authorization response code"),
    row(ISSUER_AUTHENTICATION, 8, 16, "issuer authentication data"),
    row(TVR, 5, 5, "terminal verification results"),
    row(DATE, 3, 3, "transaction date"),
    row(0x9B, 2, 2, "transaction status information"),
    row(TYPE, 1, 1, "transaction type"),
    row(EXPIRY, 3, 3, "application expiration date"),
    row(CURRENCY, 2, 2, "transaction currency code"),
    row(PAN_SEQUENCE, 1, 1, "application PAN sequence number"),
    row(AMOUNT, 6, 6, "amount, authorised"),
    row(AMOUNT_OTHER, 6, 6, "amount, other"),
    row(0x9F06, 5, 16, "application identifier"),
    row(0x9F09, 2, 2, "application version number"),
    row(IAD, 0, 32, "issuer application data"),
    row(TERMINAL_COUNTRY, 2, 2, "terminal country code"),
    row(0x9F1E, 8, 8, "interface device serial number"),
    row(TRACK1_DISCRETIONARY, 0, 76, "track 1 discretionary data"),
    row(TRACK2_DISCRETIONARY, 0, 19, "track 2 discretionary data"),
    row(CRYPTOGRAM, 8, 8, "application cryptogram"),
    row(CID, 1, 1, "cryptogram information data"),
    row(0x9F33, 3, 3, "terminal capabilities"),
    row(CVM_RESULTS, 3, 3, "cardholder verification method results"),
    row(0x9F35, 1, 1, "terminal type"),
    row(ATC, 2, 2, "application transaction counter"),
    row(UN, 4, 4, "unpredictable number"),
    row(0x9F41, 2, 4, "transaction sequence counter"),
    row(0x9F53, 1, 1, "transaction category code"),
    row(0x9F5B, 0, 20, "issuer script results"),
    row(TRACK2_DATA, 0, 19, "track 2 data"),
    row(0x9F6E, 4, 32, "form factor indicator"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.is_sorted_by(|a, b| a.tag < b.tag));
        assert_eq!((name(CRYPTOGRAM), name(0x99)), (Some("application cryptogram"), None));
        assert!(is_track(0x57) && !is_track(ATC));
    }
}
