//! The straight line: a request goes to its issuer, the answer comes back.

use tests::{Act, Plain, Setup, authorization_93, purchase};

/// Every element of a purchase by card with chip and PIN, and some of the second bitmap.
const FULL: &str = "18=5411 22=051 23=001 33=200002 35=9999600000000019=49122010000012345 43=\"CORNER SHOP  RIGA\" \
     48=\"TERMINAL DATA 0017\" 52=0123456789ABCDEF 53=2001010100000000 \
     55=9F3602004282025C009F3704A1B2C3D4 60=\"0020\" 102=ACCOUNT0001 103=ACCOUNT0002";

#[test]
fn an_approved_purchase_is_forwarded_and_answered() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let request = purchase("11=000007");
    north.ask(&request, "0110 2=9999600000000019 4=1000 7=1123120000 11=000007 38=A12345 39=00 41=TERM0001");

    let seen = rig.issuer("maple").wait_seen(1);
    let expected = rig.wire("north").expectation(&request);
    let mut forwarded = seen[0].plain().clone();
    forwarded.set(11, expected.get(11));
    assert_eq!(forwarded.differences(&expected), Vec::<String>::new());
    rig.await_metric("approved_total{acquirer=north}", 1.0);
    rig.await_metric("forwarded_total{issuer=maple}", 1.0);
    rig.await_metric("answered_total{issuer=maple}", 1.0);
}

#[test]
fn a_request_in_one_dialect_is_forwarded_byte_for_byte() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    let request = Plain::of(&purchase(FULL));
    north.ask(&request.to_string(), "0110 39=00");
    let seen = &rig.issuer("maple").wait_seen(1)[0];
    // Only the trace number is the switch's own.
    let expected = request.with(&format!("11={}", seen.plain().get(11)));
    assert_eq!(seen.received.bytes, expected.encode(rig.wire("north").dialect));
}

#[test]
fn the_acquirer_gets_its_own_values_back() {
    let Some(rig) = Setup::new().start() else { return };
    // An issuer may leave out what it likes of the acquirer's side, and spoil what is not part of the key.
    rig.issuer("maple").on(|_| Act::answer("12=235959 13=1231 32=- 33=- 41=- 42=-"));
    let mut north = rig.acquirer("north");
    let own = "7=1123120000 11=000031 12=120000 13=1123 32=100001 33=200002 37=000000000031 41=TERM0001 \
               42=MERCH0000000001";
    north.ask(&purchase("11=000031 33=200002"), &format!("0110 39=00 {own}"));
}

#[test]
fn a_partial_approval_passes_with_its_lower_amount() {
    let Some(rig) = Setup::new().start() else { return };
    rig.issuer("maple").on(|_| Act::answer("4=600 39=10"));
    rig.acquirer("north").ask(&purchase("4=1000"), "0110 4=600 38=A12345 39=10");
}

#[test]
fn a_decline_passes_without_an_approval_code() {
    let Some(rig) = Setup::new().start() else { return };
    rig.issuer("maple").on(|_| Act::answer("39=51 38=A12345"));
    rig.acquirer("north").ask(&purchase(""), "0110 39=51 38=-");
    rig.await_metric("declined_total{acquirer=north,reason=issuer_declined}", 1.0);
}

#[test]
fn every_pair_of_1987_dialects_talks() {
    let dialects = ["iso87-ascii", "iso87-binary", "iso87-ebcdic"];
    pairs(&dialects, &purchase(FULL), "0110 38=A12345 39=00");
}

#[test]
fn every_pair_of_1993_dialects_talks() {
    pairs(&["iso93-ascii", "iso93-binary"], &authorization_93(""), "1110 38=A12345 39=000");
}

/// One acquirer and one issuer per dialect, each pair of them in every framing there is.
fn pairs(dialects: &[&str], request: &str, answer: &str) {
    let iins = ["99996", "99997", "99998"];
    let pans = ["9999600000000019", "9999700000000017", "9999800000000015"];
    let mut setup = Setup::in_dialect(dialects[0]);
    for (number, dialect) in dialects.iter().enumerate() {
        let (acquirer, issuer) = (format!("acquirer{number}"), format!("issuer{number}"));
        setup = setup.acquirer(&acquirer).set(&format!("acquirer.{acquirer}.dialect"), *dialect);
        if number > 0 {
            setup = setup.issuer(&issuer, iins[number]).set(&format!("issuer.{issuer}.dialect"), *dialect);
        }
    }
    let Some(rig) = setup.start() else { return };
    for (from, from_dialect) in dialects.iter().enumerate() {
        let mut acquirer = rig.acquirer(&format!("acquirer{from}"));
        for (to, to_dialect) in dialects.iter().enumerate() {
            let track = format!("{}=49122010000012345", pans[to]);
            let mut asked = Plain::of(request).with(&format!("2={} 11=0000{from}{to}", pans[to]));
            if asked.has(35) {
                asked.set(35, &track);
            }
            acquirer.ask(&asked.to_string(), &format!("{answer} 2={} 11=0000{from}{to}", pans[to]));
            let issuer = if to == 0 { "maple".to_owned() } else { format!("issuer{to}") };
            let seen = rig.issuer(&issuer).wait_seen(from + 1);
            let expected = asked.with(&format!("11={}", seen[from].plain().get(11)));
            let expected = expected.padded(rig.wire(&format!("acquirer{to}")).dialect);
            let differences = seen[from].plain().differences(&expected);
            assert!(differences.is_empty(), "{from_dialect} to {to_dialect}: {differences:?}");
        }
    }
}

#[test]
fn every_framing_carries_a_purchase_and_headers_come_back() {
    for length in ["binary2", "binary4", "bcd2", "ascii4"] {
        let mut setup = Setup::new();
        for peer in ["acquirer.north", "issuer.maple"] {
            setup = setup.set(&format!("{peer}.framing.length"), length);
        }
        setup = setup
            .acquirer("inclusive")
            .set("acquirer.inclusive.framing.inclusive", true)
            .acquirer("tpdu")
            .set("acquirer.tpdu.framing.header_bytes", 5)
            .acquirer("both")
            .set("acquirer.both.framing.inclusive", true)
            .set("acquirer.both.framing.header_bytes", 5);
        let Some(rig) = setup.start() else { return };
        for (stan, name) in ["north", "inclusive", "tpdu", "both"].into_iter().enumerate() {
            let mut acquirer = rig.acquirer(name);
            let answers = [
                acquirer.ask(&purchase(&format!("11=1{stan:05}")), "0110 39=00"),
                acquirer.ask(&purchase(&format!("11=2{stan:05} 2=9999800000000015")), "0110 39=92"),
                acquirer.ask(&purchase(&format!("11=3{stan:05} 3=-")), "0110 39=30"),
                acquirer.ask("0800 7=1123120000 11=400000 70=301", "0810 39=00"),
            ];
            for answer in answers {
                assert_eq!(
                    answer.header,
                    rig.wire(name).header,
                    "{name} in {length}: {}",
                    answer.plain.mti()
                );
            }
        }
    }
}

#[test]
fn an_issuer_with_a_header_and_its_own_framing_is_understood() {
    let setup = Setup::new()
        .set("issuer.maple.framing.length", "ascii4")
        .set("issuer.maple.framing.inclusive", true)
        .set("issuer.maple.framing.header_bytes", 12);
    let Some(rig) = setup.start() else { return };
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
}

#[test]
fn who_connects_is_independent_of_who_asks() {
    let setup = Setup::new().the_other_way("north").the_other_way("maple");
    let Some(rig) = setup.start() else { return };
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
}

#[test]
fn a_financial_request_goes_the_same_way() {
    let Some(rig) = Setup::new().start() else { return };
    rig.acquirer("north").ask(&purchase("0200 11=000008"), "0210 11=000008 38=A12345 39=00");
    assert_eq!(rig.issuer("maple").wait_seen(1)[0].plain().mti(), "0200");
}
