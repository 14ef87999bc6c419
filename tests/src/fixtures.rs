//! The cards and the request that every test starts from.

use crate::message_text::Plain;

/// Funding card at issuer A; the rig routes it to `maple`.
pub const A1: &str = "9999600000000019";
/// Funding card at issuer B; the rig routes it to `oak` when a test has one, else nowhere.
pub const B1: &str = "9999700000000017";
/// A card that no route covers.
pub const U1: &str = "9999800000000015";

const PURCHASE: &str = "0100 2=9999600000000019 3=000000 4=1000 7=1123120000 11=000001 12=120000 13=1123 \
     14=4912 18=5411 22=012 25=00 32=100001 37=000000000001 41=TERM0001 42=MERCH0000000001 49=840";

const AUTHORIZATION_93: &str = "1100 2=9999600000000019 3=000000 4=1000 7=1123120000 11=000001 \
     12=261123120000 14=4912 22=100101100000 24=100 26=5411 32=100001 37=000000000001 41=TERM0001 \
     42=MERCH0000000001 49=840";

/// A purchase that is approved unless `changes` spoil it. A new STAN brings its own RRN along.
#[must_use]
pub fn purchase(changes: &str) -> String {
    changed(PURCHASE, changes)
}

/// The same in ISO 8583:1993.
#[must_use]
pub fn authorization_93(changes: &str) -> String {
    changed(AUTHORIZATION_93, changes)
}

/// A card number: these digits and the check digit that fits them.
#[must_use]
pub fn with_check_digit(digits: &str) -> String {
    let check = (0..10).map(|check| format!("{digits}{check}")).find(|pan| passes_luhn(pan));
    check.expect("one of ten fits")
}

fn passes_luhn(pan: &str) -> bool {
    let digits = pan.bytes().rev().map(|digit| u32::from(digit - b'0'));
    let doubled = digits.zip([1, 2].into_iter().cycle()).map(|(digit, weight)| digit * weight);
    doubled.map(|number| number / 10 + number % 10).sum::<u32>() % 10 == 0
}

fn changed(base: &str, changes: &str) -> String {
    let mut message = Plain::of(base).with(changes);
    let named = |de: &str| changes.split_whitespace().any(|word| word.starts_with(de));
    if named("11=") && !named("37=") {
        let rrn = format!("{:0>12}", message.get(11));
        message.set(37, &rrn);
    }
    message.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_pass_the_luhn_check() {
        assert!([A1, B1, U1].into_iter().all(passes_luhn));
        assert_eq!(with_check_digit(&A1[..15]), A1);
        assert!(!passes_luhn("9999600000000018"));
    }

    #[test]
    fn a_new_stan_brings_its_rrn() {
        assert_eq!(Plain::of(&purchase("11=000042")).get(37), "000000000042");
        assert_eq!(Plain::of(&purchase("11=000042 37=000000000009")).get(37), "000000000009");
        assert!(!Plain::of(&purchase("14=-")).has(14));
    }
}
