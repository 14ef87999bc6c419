//! Currencies by their numeric code: ISO 4217, DE 49.

use core::fmt;

/// A currency, 0 to 999. Codes that are not in the table are currencies too; only their name and their number
/// of decimal places are not known here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(u16);

impl Currency {
    /// No currency is involved: ISO 4217 XXX, 999.
    pub const NONE: Currency = Currency(999);

    /// 0 to 999.
    pub const fn new(number: u16) -> Option<Currency> {
        if number <= 999 { Some(Currency(number)) } else { None }
    }

    /// Reads three ASCII digits.
    #[inline]
    pub fn parse(ascii: &[u8]) -> Option<Currency> {
        let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = *ascii else { return None };
        let [a, b, c] = [a, b, c].map(|digit| u16::from(digit & 0x0F));
        Currency::new(a.wrapping_mul(100).wrapping_add(b.wrapping_mul(10)).wrapping_add(c))
    }

    /// 0 to 999.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Three ASCII digits.
    pub fn digits(self) -> [u8; 3] {
        super::digits(u64::from(self.0))
    }

    /// Decimal places of its minor unit: 2 for most, 0 for the yen, 3 for the Kuwaiti dinar.
    pub fn exponent(self) -> Option<u8> {
        self.row().map(|(_, _, exponent)| exponent)
    }

    /// Its letters: `EUR`.
    pub fn alpha(self) -> Option<&'static str> {
        self.row().map(|(_, alpha, _)| alpha)
    }

    fn row(self) -> Option<Row> {
        let place = TABLE.binary_search_by_key(&self.0, |(number, ..)| *number).ok()?;
        TABLE.get(place).copied()
    }
}

impl fmt::Display for Currency {
    /// Its letters, or its three digits when they are not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.alpha() {
            Some(alpha) => f.write_str(alpha),
            None => write!(f, "{:03}", self.0),
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

/// Numeric code, letters, decimal places.
type Row = (u16, &'static str, u8);

/// Ascending, for a binary search.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    (8, "ALL", 2), (12, "DZD", 2), (32, "ARS", 2), (36, "AUD", 2), (44, "BSD", 2), (48, "BHD", 3),
    (50, "BDT", 2), (51, "AMD", 2), (52, "BBD", 2), (60, "BMD", 2), (64, "BTN", 2), (68, "BOB", 2),
    (72, "BWP", 2), (84, "BZD", 2), (90, "SBD", 2), (96, "BND", 2), (104, "MMK", 2), (108, "BIF", 0),
    (116, "KHR", 2), (124, "CAD", 2), (132, "CVE", 2), (136, "KYD", 2), (144, "LKR", 2), (152, "CLP", 0),
    (156, "CNY", 2), (170, "COP", 2), (174, "KMF", 0), (188, "CRC", 2), (192, "CUP", 2), (203, "CZK", 2),
    (208, "DKK", 2), (214, "DOP", 2), (222, "SVC", 2), (230, "ETB", 2), (238, "FKP", 2), (242, "FJD", 2),
    (262, "DJF", 0), (270, "GMD", 2), (292, "GIP", 2), (320, "GTQ", 2), (324, "GNF", 0), (328, "GYD", 2),
    (340, "HNL", 2), (344, "HKD", 2), (348, "HUF", 2), (352, "ISK", 0), (356, "INR", 2), (360, "IDR", 2),
    (364, "IRR", 2), (368, "IQD", 3), (376, "ILS", 2), (388, "JMD", 2), (392, "JPY", 0), (398, "KZT", 2),
    (400, "JOD", 3), (404, "KES", 2), (410, "KRW", 0), (414, "KWD", 3), (417, "KGS", 2), (418, "LAK", 2),
    (422, "LBP", 2), (426, "LSL", 2), (434, "LYD", 3), (446, "MOP", 2), (454, "MWK", 2), (458, "MYR", 2),
    (462, "MVR", 2), (480, "MUR", 2), (484, "MXN", 2), (496, "MNT", 2), (498, "MDL", 2), (504, "MAD", 2),
    (512, "OMR", 3), (516, "NAD", 2), (524, "NPR", 2), (548, "VUV", 0), (554, "NZD", 2), (558, "NIO", 2),
    (566, "NGN", 2), (578, "NOK", 2), (586, "PKR", 2), (590, "PAB", 2), (598, "PGK", 2), (600, "PYG", 0),
    (604, "PEN", 2), (608, "PHP", 2), (634, "QAR", 2), (643, "RUB", 2), (646, "RWF", 0), (682, "SAR", 2),
    (690, "SCR", 2), (702, "SGD", 2), (704, "VND", 0), (706, "SOS", 2), (710, "ZAR", 2), (748, "SZL", 2),
    (752, "SEK", 2), (756, "CHF", 2), (760, "SYP", 2), (764, "THB", 2), (776, "TOP", 2), (780, "TTD", 2),
    (784, "AED", 2), (788, "TND", 3), (800, "UGX", 0), (807, "MKD", 2), (818, "EGP", 2), (826, "GBP", 2),
    (834, "TZS", 2), (840, "USD", 2), (858, "UYU", 2), (860, "UZS", 2), (882, "WST", 2), (886, "YER", 2),
    (901, "TWD", 2), (933, "BYN", 2), (934, "TMT", 2), (936, "GHS", 2), (941, "RSD", 2), (943, "MZN", 2),
    (944, "AZN", 2), (946, "RON", 2), (949, "TRY", 2), (950, "XAF", 0), (951, "XCD", 2), (952, "XOF", 0),
    (953, "XPF", 0), (967, "ZMW", 2), (968, "SRD", 2), (969, "MGA", 2), (971, "AFN", 2), (972, "TJS", 2),
    (973, "AOA", 2), (975, "BGN", 2), (976, "CDF", 2), (977, "BAM", 2), (978, "EUR", 2), (980, "UAH", 2),
    (981, "GEL", 2), (985, "PLN", 2), (986, "BRL", 2),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_well_formed() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        assert!(
            TABLE
                .iter()
                .all(|(number, alpha, exponent)| { *number <= 999 && alpha.len() == 3 && *exponent <= 3 })
        );
    }

    #[test]
    fn known_and_unknown() {
        let currency = |ascii| Currency::parse(ascii).unwrap();
        assert_eq!((currency(b"978").alpha(), currency(b"978").exponent()), (Some("EUR"), Some(2)));
        assert_eq!((currency(b"392").exponent(), currency(b"414").exponent()), (Some(0), Some(3)));
        assert_eq!((currency(b"999").alpha(), currency(b"008").digits()), (None, *b"008"));
        assert_eq!(
            (Currency::parse(b"EUR"), Currency::parse(b"97"), Currency::new(1_000)),
            (None, None, None)
        );
    }
}
