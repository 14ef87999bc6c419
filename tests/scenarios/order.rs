//! What is durable before what is sent, seen from outside: the system calls of a switch with one shard, in their order
//! (W1 to W4, W7, at journal level `sync`).

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::rig::process::not_run;
use tests::{Act, PATIENCE, Rig, Setup, TestToken, purchase};

/// strace attached to the switch of a rig.
struct Trace {
    child: Child,
    log: PathBuf,
}

/// One call: when it ended, and what it was. `who` is the end of a connection or a file, as strace names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    name: String,
    who: String,
}

impl Trace {
    /// Attaches; `None` after saying what is missing.
    fn of(rig: &Rig) -> Option<Trace> {
        let log = rig.folder().join("trace");
        let calls = "trace=read,recvfrom,write,sendto,writev,sendmsg,pwrite64,fdatasync,fsync";
        let pid = rig.process().id().to_string();
        let started = Command::new("strace")
            .args(["-f", "-yy", "-s", "0", "-e", calls, "-o"])
            .arg(&log)
            .args(["-p", &pid])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            not_run("strace");
            return None;
        };
        let trace = Trace { child, log };
        // Attached when its file is there and the switch still turns.
        rig.await_that("strace to attach", || fs::metadata(&trace.log).is_ok_and(|file| file.len() > 0));
        thread::sleep(Duration::from_millis(200));
        Some(trace)
    }

    /// Detaches and gives the calls that ended well, in the order of their ends.
    fn calls(mut self) -> Vec<Call> {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, Signal::INT);
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("our own child").is_none() {
            assert!(Instant::now() < deadline, "strace does not end");
            thread::sleep(Duration::from_millis(5));
        }
        let text = fs::read_to_string(&self.log).expect("a trace");
        fs::remove_file(&self.log).expect("our own");
        ended(&text)
    }
}

/// Reads lines such as `12 pwrite64(9</tmp/x.segment>, ""..., 300, 8) = 300`. A call that was interrupted by another
/// thread's line counts where it was resumed.
fn ended(text: &str) -> Vec<Call> {
    let mut unfinished: Vec<(String, Call)> = Vec::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let place = unfinished.iter().position(|(whose, _)| whose == thread);
            if let Some((_, call)) = place.map(|place| unfinished.remove(place))
                && !resumed.contains("= -1")
            {
                calls.push(call);
            }
            continue;
        }
        let Some((name, rest)) = rest.split_once('(') else { continue };
        // An address pair has an arrow in it, so the name ends with what follows it.
        let end = |who: &str| who.find(">,").or_else(|| who.find(">)")).or_else(|| who.find("> ")).unwrap_or(0);
        let who = rest.split_once('<').map_or("", |(_, who)| &who[..end(who)]);
        let call = Call { name: name.to_owned(), who: who.to_owned() };
        if rest.contains("<unfinished") {
            unfinished.push((thread.to_owned(), call));
        } else if !rest.contains("= -1") {
            calls.push(call);
        }
    }
    calls
}

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
    let trace = Trace::of(&rig)?;
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

#[test]
fn w7_a_wrong_code_is_counted_before_it_is_declined() {
    let Some(token) = TestToken::new() else { return };
    let check_value = token.import("counters", "rotating-atc", "000102030405060708090A0B0C0D0E0F");
    let program = format!(
        "name = \"wallet\"\nkind = \"rotating_atc\"\niins = [\"99991\"]\nkey = \"counters\"\ncheck_value = \"{check_value}\""
    );
    let found = traced(Setup::new().token(&token).table("program", &program), |rig| {
        rig.change(
            "/v1/cards",
            r#"{"pan":"9999100000000010","psn":1,"funding":{"pan":"9999600000000019","expiry":"3011"}}"#,
        );
        rig.change(
            "/v1/bundles",
            r#"{"pan":"9999100000000010","id":1,"first":40,"count":10,"ttl_ms":86400000}"#,
        );
        rig.change("/v1/bundles/confirm", r#"{"pan":"9999100000000010","id":1}"#);
        let wrong = "2=9999100000000010 14=2912 22=910 35=9999100000000010=29122017004273147863";
        rig.acquirer("north").ask(&purchase(wrong), "0110 39=82");
    });
    let Some(found) = found else { return };
    insist(&found, &["from acquirer", "journal", "sync", "to acquirer"]);
    insist_on_sync_before_sending(&found);
}

#[test]
fn a_release_before_the_sync_would_be_seen() {
    let planted = "from acquirer < journal < to issuer < sync < from issuer < journal < sync < to acquirer";
    assert!(std::panic::catch_unwind(|| insist_on_sync_before_sending(planted)).is_err());
    let text = "7 pwrite64(9</x/000000001.segment>, \"\"..., 300, 8 <unfinished ...>\n8 fdatasync(9</x/000000001.segment>) = 0\n7 <... pwrite64 resumed>) = 300\n7 sendto(5<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"\"..., 3, 0, NULL, 0) = -1 EAGAIN\n";
    let names: Vec<String> = ended(text).into_iter().map(|call| call.name).collect();
    assert_eq!(names, ["fdatasync", "pwrite64"]);
}
