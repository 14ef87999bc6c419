//! S31: an acquirer may use only what is configured as its own.

use tests::{Rig, Setup, purchase};

const SPOOFED: &str = "0110 38=- 39=58";

fn refused(rig: &Rig, requests: &[&str]) {
    let mut north = rig.acquirer("north");
    for (stan, changes) in requests.iter().enumerate() {
        north.ask(&purchase(&format!("11={stan:06} {changes}")), &format!("{SPOOFED} 11={stan:06}"));
    }
    let expected = f64::from(u32::try_from(requests.len()).expect("few"));
    rig.await_metric("declined_total{acquirer=north,reason=not_allowed}", expected);
    north.ask(&purchase("11=900000 33=200002"), "0110 11=900000 39=00");
    assert_eq!(rig.issuer("maple").seen().len(), 1, "a refused request was forwarded");
}

fn list(values: &[&str]) -> Vec<toml::Value> {
    values.iter().map(|&value| value.into()).collect()
}

#[test]
fn s31_another_acquirers_de_32_is_58() {
    let Some(rig) = Setup::new().set("acquirer.north.acquirer_ids", list(&["100001"])).start() else {
        return;
    };
    // Compared as numbers: 0100001 is the same institution.
    rig.acquirer("north").ask(&purchase("11=800000 32=0100001"), "0110 39=00");
    rig.acquirer("north").ask(&purchase("11=000001 32=100002"), SPOOFED);
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn s31_another_forwarders_de_33_is_58() {
    let Some(rig) = Setup::new().set("acquirer.north.forwarder_ids", list(&["200002"])).start() else {
        return;
    };
    refused(&rig, &["33=200003"]);
}

#[test]
fn s31_a_message_type_outside_the_list_is_58() {
    let Some(rig) = Setup::new().set("acquirer.north.mtis", list(&["0100", "0800"])).start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("0200 11=000001"), "0210 38=- 39=58");
    north.ask(&purchase("0120 11=000002 39=00"), "0130 39=58");
    // Repeats follow their first form.
    north.ask(&purchase("0101 11=000003"), "0110 39=00");
    north.ask("0800 7=1123120000 11=000004 70=301", "0810 39=00");
    assert_eq!(rig.issuer("maple").seen().len(), 1);
}

#[test]
fn s31_a_card_outside_the_prefixes_is_58() {
    let setup = Setup::new().issuer("oak", "99997").set("acquirer.north.iins", list(&["99996"]));
    let Some(rig) = setup.start() else { return };
    refused(&rig, &["2=9999700000000017"]);
    assert_eq!(rig.issuer("oak").seen().len(), 0);
}

#[test]
fn s31_a_terminal_outside_the_prefixes_is_58() {
    let Some(rig) = Setup::new().set("acquirer.north.terminals", list(&["TERM"])).start() else { return };
    refused(&rig, &["41=EVIL0001"]);
}

#[test]
fn s31_the_rights_of_one_acquirer_are_not_those_of_another() {
    let setup = Setup::new().acquirer("south").set("acquirer.north.acquirer_ids", list(&["100001"]));
    let Some(rig) = setup.set("acquirer.south.acquirer_ids", list(&["100002"])).start() else { return };
    rig.acquirer("south").ask(&purchase("11=000001"), "0110 39=58");
    rig.acquirer("south").ask(&purchase("11=000002 32=100002"), "0110 39=00");
    rig.acquirer("north").ask(&purchase("11=000003"), "0110 39=00");
}
