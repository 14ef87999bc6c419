//! What is durable before what is sent, seen from outside: the system calls of a switch with one shard, in their order
//! (W1 to W4, W6 to W10, at journal level `sync`; W5 is C8).

use std::thread;
use std::time::Duration;

use tests::rig::trace::{Call, Trace, ended};
use tests::{Act, Rig, Setup, TestToken, purchase};

const CALLS: &str = "trace=read,recvfrom,write,sendto,writev,sendmsg,pwrite64,fdatasync,fsync";

/// The steps of a transaction among the calls: what was written down, synced, and sent to whom.
fn steps(calls: &[Call], rig: &Rig) -> String {
    let acquirer = format!(":{}->", rig.address("north").port());
    let issuer = format!("->127.0.0.1:{}", rig.issuer("maple").addresses()[0].port());
    let mut steps: Vec<&str> = Vec::new();
    for call in calls {
        let is_write = ["write", "sendto", "writev", "sendmsg"].contains(&call.name.as_str());
        let is_read = ["read", "recvfrom"].contains(&call.name.as_str());
        let step = match call.name.as_str() {
            "pwrite64" if call.who.ends_with(".segment") => "journal",
            "fdatasync" | "fsync" if call.who.ends_with(".segment") => "sync",
            _ if call.who.contains(&acquirer) && is_read => "from acquirer",
            _ if call.who.contains(&acquirer) && is_write => "to acquirer",
            _ if call.who.contains(&issuer) && is_read => "from issuer",
            _ if call.who.contains(&issuer) && is_write => "to issuer",
            _ => continue,
        };
        if steps.last() != Some(&step) {
            steps.push(step);
        }
    }
    steps.join(" < ")
}

fn traced(setup: Setup, act: impl FnOnce(&Rig)) -> Option<String> {
    let rig = setup.set("journal.level", "sync").start()?;
    // The opening of the segment and its seal are behind us.
    thread::sleep(Duration::from_millis(300));
    let trace = Trace::of(&rig, &[CALLS])?;
    act(&rig);
    Some(steps(&trace.calls(), &rig))
}

/// What must stand in the trace, in this order; other things may stand between.
fn insist(found: &str, order: &[&str]) {
    let mut rest = found;
    for step in order {
        let Some(at) = rest.find(step) else { panic!("no {step:?} behind what came before it in: {found}") };
        rest = &rest[at + step.len()..];
    }
}

/// The same, and nothing is sent in a turn before it is synced: between a write to the journal and the next message out
/// there is always a sync.
fn insist_on_sync_before_sending(found: &str) {
    let mut unsynced = false;
    for step in found.split(" < ") {
        match step {
            "journal" => unsynced = true,
            "sync" => unsynced = false,
            "to issuer" | "to acquirer" => assert!(!unsynced, "sent before it was synced: {found}"),
            _ => {}
        }
    }
}

#[test]
fn w1_w2_intent_before_the_issuer_and_result_before_the_acquirer() {
    let found = traced(Setup::new(), |rig| {
        rig.acquirer("north").ask(&purchase("11=000001"), "0110 39=00");
    });
    let Some(found) = found else { return };
    insist(
        &found,
        &["from acquirer", "journal", "sync", "to issuer", "from issuer", "journal", "sync", "to acquirer"],
    );
    insist_on_sync_before_sending(&found);
}

#[test]
fn w3_a_time_out_and_its_reversal_before_either_is_sent() {
    let found = traced(Setup::new().set("issuer.maple.timeout", "200ms"), |rig| {
        rig.issuer("maple").on(|_| Act::Hold);
        rig.acquirer("north").ask(&purchase("11=000001"), "0110 39=91");
        rig.issuer("maple").wait_reversals(1);
    });
    let Some(found) = found else { return };
    insist(&found, &["from acquirer", "journal", "sync", "to issuer", "journal", "sync", "to "]);
    insist_on_sync_before_sending(&found);
}

#[test]
fn w4_a_reversal_before_it_is_acknowledged() {
    let found = traced(Setup::new(), |rig| {
        let reversal = purchase("0420 11=000009 90=010000000111231200000000010000100000000000");
        rig.acquirer("north").ask(&reversal, "0430 39=00");
    });
    let Some(found) = found else { return };
    insist(&found, &["from acquirer", "journal", "sync", "to acquirer"]);
    insist_on_sync_before_sending(&found);
}

/// A switch with a program and a card that has a bundle, and what it does when its phone pays.
fn traced_tap(track: &str, expected: &str) -> Option<String> {
    let token = TestToken::new()?;
    let check_value = token.import("counters", "rotating-atc", "000102030405060708090A0B0C0D0E0F");
    let program = format!(
        "name = \"wallet\"\nkind = \"rotating_atc\"\niins = [\"99991\"]\nkey = \"counters\"\ncheck_value = \"{check_value}\""
    );
    traced(Setup::new().token(&token).table("program", &program), |rig| {
        rig.change(
            "/v1/cards",
            r#"{"pan":"9999100000000010","psn":1,"funding":{"pan":"9999600000000019","expiry":"3011"}}"#,
        );
        rig.change(
            "/v1/bundles",
            r#"{"pan":"9999100000000010","id":1,"first":40,"count":10,"ttl_ms":86400000}"#,
        );
        rig.change("/v1/bundles/confirm", r#"{"pan":"9999100000000010","id":1}"#);
        let tap = format!("2=9999100000000010 14=2912 22=910 35=9999100000000010={track}");
        rig.acquirer("north").ask(&purchase(&tap), expected);
    })
}

#[test]
fn w6_a_code_is_used_up_before_its_issuer_is_asked() {
    let Some(found) = traced_tap("29122017004273147853", "0110 39=00") else { return };
    insist(
        &found,
        &["from acquirer", "journal", "sync", "to issuer", "from issuer", "journal", "sync", "to acquirer"],
    );
    insist_on_sync_before_sending(&found);
}

#[test]
fn w7_a_wrong_code_is_counted_before_it_is_declined() {
    let Some(found) = traced_tap("29122017004273147863", "0110 39=82") else { return };
    insist(&found, &["from acquirer", "journal", "sync", "to acquirer"]);
    insist_on_sync_before_sending(&found);
}

#[test]
fn w9_a_decline_of_our_own_is_written_down_before_it_is_told() {
    let found = traced(Setup::new(), |rig| {
        rig.acquirer("north").ask(&purchase("11=000001 2=4012888888881881"), "0110 39=92");
    });
    let Some(found) = found else { return };
    insist(&found, &["from acquirer", "journal", "sync", "to acquirer"]);
    insist_on_sync_before_sending(&found);
}

#[test]
fn w10_what_promises_nothing_is_told_without_a_write() {
    let found = traced(Setup::new(), |rig| {
        let mut north = rig.acquirer("north");
        north.ask(&purchase("0300 11=000001"), "0310 39=40");
        north.ask("0800 7=1123120000 11=000002 70=301", "0810 39=00");
    });
    let Some(found) = found else { return };
    insist(&found, &["from acquirer", "to acquirer"]);
    assert!(!found.contains("journal"), "{found}");
}

/// The approval and the advice that tells the issuer of it are one record: one write, one sync, before the answer.
#[test]
fn w8_an_approval_of_our_own_and_its_advice_before_the_acquirer() {
    let found = traced(Setup::new().stand_in([1_000, 9_000, 9_000]), |rig| {
        rig.issuer("maple").go_down();
        rig.await_links("maple", 0);
        rig.acquirer("north").ask(&purchase("11=000001 4=100"), "0110 38=* 39=00");
    });
    let Some(found) = found else { return };
    insist(&found, &["from acquirer", "journal", "sync", "to acquirer"]);
    insist_on_sync_before_sending(&found);
    let between =
        &found[found.find("from acquirer").expect("asked")..found.rfind("to acquirer").expect("told")];
    assert_eq!(between.matches("journal").count(), 1, "one record: {found}");
}

#[test]
fn a_release_before_the_sync_would_be_seen() {
    let planted = "from acquirer < journal < to issuer < sync < from issuer < journal < sync < to acquirer";
    assert!(std::panic::catch_unwind(|| insist_on_sync_before_sending(planted)).is_err());
    let text = "7 pwrite64(9</x/000000001.segment>, \"\"..., 300, 8 <unfinished ...>\n8 fdatasync(9</x/000000001.segment>) = 0\n7 <... pwrite64 resumed>) = 300\n7 sendto(5<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"\"..., 3, 0, NULL, 0) = -1 EAGAIN\n";
    let names: Vec<String> = ended(text).into_iter().map(|call| call.name).collect();
    assert_eq!(names, ["fdatasync", "pwrite64"]);
}
