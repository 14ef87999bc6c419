//! The answer of an issuer that has nothing against the card.

use crate::message_text::Plain;
use crate::wire::Wire;

/// The elements a response carries back, an approval code for a payment, and approval.
#[must_use]
pub fn honest_answer(wire: &Wire, request: &Plain) -> Plain {
    const ECHO: [u8; 18] = [2, 3, 4, 7, 11, 12, 13, 24, 32, 33, 37, 41, 42, 49, 56, 70, 90, 95];
    let mut mti = request.mti().to_owned().into_bytes();
    mti[2] += 1;
    mti[3] &= !1; // an odd origin is a repeat, and an answer is none
    let mut answer = Plain::default().with_mti(&String::from_utf8_lossy(&mti));
    for de in ECHO.into_iter().filter(|&de| request.has(de)) {
        // Before 1993 DE 24 is the network's number and DE 56 is not the original data.
        if wire.is_1993 || ![24, 56].contains(&de) {
            answer.set(de, request.get(de));
        }
    }
    let class = mti[1];
    if class == b'1' || class == b'2' {
        answer.set(38, "A12345");
    }
    let approved = match (wire.is_1993, class) {
        (false, _) => "00",
        (true, b'4') => "400",
        (true, b'8') => "800",
        (true, _) => "000",
    };
    answer.set(39, approved);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_honest_answer_fits_its_request() {
        let answer = honest_answer(&Wire::named("iso87-ascii"), &Plain::of(&crate::purchase("4=500 24=001")));
        assert_eq!(answer.misfits(&Plain::of("0110 4=500 38=* 39=00 14=- 24=-")), Vec::<String>::new());
        let answer =
            honest_answer(&Wire::named("iso93-ascii"), &Plain::of("1804 7=1123120000 11=000001 24=831"));
        assert_eq!(answer.to_string(), "1814 7=1123120000 11=000001 24=831 39=800");
    }
}
