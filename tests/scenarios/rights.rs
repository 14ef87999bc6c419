//! S31: an acquirer may use only what is configured as its own.

use rustix::process::Signal;
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

/// W9: it is on the disk before it is told, and a repeat is told the same by the next process.
#[test]
fn w09_what_is_refused_is_written_down() {
    let setup = Setup::new().set("acquirer.north.iins", list(&["99996"]));
    let Some(mut rig) = setup.start() else { return };
    let mut north = rig.acquirer("north");
    let (foreign, wrong) = ("2=9999700000000017 11=000001", "2=9999600000000018 11=000002");
    north.ask(&purchase(foreign), "0110 39=58");
    north.ask(&purchase(wrong), "0110 39=14");
    rig.crash();
    let told = rig.export();
    let told: Vec<_> = told.iter().map(|line| (line["state"].as_str(), line["reason"].as_str())).collect();
    assert_eq!(told, [(Some("declined"), Some("not_allowed")), (Some("declined"), Some("luhn_failed"))]);
    rig.start_again();
    let mut north = rig.acquirer("north");
    north.ask(&purchase(&format!("0101 {foreign}")), "0110 39=58");
    north.ask(&purchase(&format!("0101 {wrong}")), "0110 39=14");
    assert_eq!(rig.export().len(), 2);
    assert!(rig.issuer("maple").seen().is_empty());
}

/// Rights that are taken away take nothing back of what was told: a repeat hears it again, and it can be undone.
#[test]
fn what_was_approved_can_be_repeated_and_undone_when_the_right_is_gone() {
    let Some(rig) = Setup::new().start() else { return };
    let mut north = rig.acquirer("north");
    north.ask(&purchase("11=000001"), "0110 38=A12345 39=00");
    rig.edit_config(|text| text.replace("name = \"north\"", "name = \"north\"\nterminals = [\"X\"]"));
    rig.process().signal(Signal::HUP);
    rig.await_gauge("config_generation", 2.0);
    north.ask(&purchase("0101 11=000001"), "0110 38=A12345 39=00");
    let reversal =
        |of: u32| purchase(&format!("0420 11=9{of:05} 90=0100{of:06}11231200000000010000100000000000"));
    north.ask(&reversal(1), "0430 39=00");
    rig.issuer("maple").wait_reversals(1);
    north.ask(&purchase("11=000002"), "0110 39=58");
    north.ask(&reversal(3), "0430 39=58");
}
