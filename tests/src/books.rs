//! The books of acquirer, issuer and switch after something went wrong, and whether they agree.

use std::collections::BTreeMap;

use crate::{Acquirer, Rig, purchase};

/// What the acquirer was told of each payment, by its number; nothing yet where nothing came.
pub type Book = BTreeMap<u32, Option<String>>;

/// A payment of its number: everything that names it is made from it.
#[must_use]
pub fn request(mti: &str, number: u32) -> String {
    purchase(&format!("{mti} 11={:06} 37={number:012} 4={}", number % 1_000_000, 100 + number % 1_000))
}

/// Repeats everything of which nothing was heard, until something is.
///
/// # Panics
/// When the switch answers with another number than was asked.
pub fn settle(north: &mut Acquirer, book: &mut Book) {
    let open: Vec<u32> = book.iter().filter(|(_, told)| told.is_none()).map(|(number, _)| *number).collect();
    for number in &open {
        north.send(&request("0101", *number));
    }
    for _ in &open {
        let answer = north.receive();
        let number: u32 = answer.plain.get(37).parse().expect("our own number");
        book.insert(number, Some(answer.plain.get(39).to_owned()));
    }
}

/// Insists that acquirer, issuer and the switch's own export agree about every payment.
///
/// # Panics
/// When one was lost or doubled, with `case` and its number.
pub fn reconcile(rig: &Rig, book: &Book, case: &str) {
    rig.await_gauge("saf_depth{issuer=maple}", 0.0);
    let maple = rig.issuer("maple");
    let mut asked: BTreeMap<u32, u32> = BTreeMap::new();
    for seen in maple.seen() {
        *asked.entry(seen.plain().get(37).parse().expect("a number")).or_default() += 1;
    }
    let mut undone: BTreeMap<u32, u32> = BTreeMap::new();
    for seen in maple.reversals() {
        *undone.entry(seen.plain().get(37).parse().expect("a number")).or_default() += 1;
    }
    for (number, told) in book {
        let at_issuer = asked.get(number).copied().unwrap_or(0);
        let reversals = undone.get(number).copied().unwrap_or(0);
        assert!(at_issuer <= 1, "{case}: payment {number} was asked {at_issuer} times");
        match told.as_deref() {
            Some("00") => {
                assert_eq!((at_issuer, reversals), (1, 0), "{case}: {number} was approved");
            }
            Some(code) => assert!(
                at_issuer == 0 || reversals > 0,
                "{case}: payment {number} was told {code} and stands at its issuer"
            ),
            None => panic!("{case}: payment {number} was never answered"),
        }
    }
    for line in rig.export() {
        let number: u32 = line["de37"].as_str().expect("a number").parse().expect("digits");
        let told = book[&number].as_deref();
        let state = line["state"].as_str().expect("a state");
        let fits = match told {
            Some("00") => state == "approved",
            _ => matches!(state, "timed_out" | "declined"),
        };
        assert!(fits, "{case}: payment {number} was told {told:?}, the export says {state}");
    }
    rig.verify();
}
