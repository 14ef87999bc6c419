//! One system call of the switch spoiled at a time: each n-th write to the journal, sync, receive and send of a script of
//! 20 payments fails, or kills the process. Afterwards the books of acquirer, switch and issuer are compared.
//!
//! `SIGNALBOX_SWEEP=all` takes every n; otherwise every ninth, from a start that moves from day to day.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tests::books::{Book, reconcile, request, settle};
use tests::rig::trace::Trace;
use tests::{Acquirer, Rig, Setup};

const PAYMENTS: u32 = 20;
/// The calls, and how many of each the script makes at most.
const CALLS: [(&str, usize); 4] = [("pwrite64", 48), ("fdatasync", 48), ("recvfrom", 90), ("sendto", 48)];

/// One payment after another, so that each call is one step of one of them.
fn script(rig: &Rig, book: &mut Book) {
    let mut north: Option<Acquirer> = None;
    for number in 1..=PAYMENTS {
        book.insert(number, None);
        if rig.process().is_dead() {
            continue;
        }
        north = north.or_else(|| rig.try_acquirer("north"));
        let Some(link) = &mut north else { continue };
        let told = link.try_send(&request("0100", number)).then(|| answer(link)).flatten();
        match told {
            Some(code) => drop(book.insert(number, Some(code))),
            None => north = None,
        }
    }
}

fn answer(north: &mut Acquirer) -> Option<String> {
    let answer = north.receive_until(Instant::now() + Duration::from_millis(1_500)).ok()?;
    Some(answer.plain.get(39).to_owned())
}

fn spoiled(call: &str, how: &str, nth: usize) -> bool {
    let case = format!("{call}, {how} at {nth}");
    let setup = Setup::new().set("journal.level", "sync").set("timers.reversal_retry_min", "50ms");
    let Some(mut rig) = setup.set("issuer.maple.timeout", "1s").start() else { return false };
    let inject = format!("inject={call}:{how}:when={nth}");
    let Some(trace) = Trace::of(&rig, &[&format!("trace={call}"), &inject]) else { return false };
    let mut book = Book::new();
    script(&rig, &mut book);
    drop(trace);
    // A process that was hit may need a moment to be gone.
    std::thread::sleep(Duration::from_millis(100));
    if rig.process().is_dead() {
        rig.start_again();
    }
    rig.await_links("maple", 1);
    settle(&mut rig.acquirer("north"), &mut book);
    reconcile(&rig, &book, &case);
    true
}

#[test]
fn any_call_may_fail_or_be_the_last() {
    let every = std::env::var("SIGNALBOX_SWEEP").as_deref() == Ok("all");
    let day = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() / 86_400;
    let (first, step) = if every { (1, 1) } else { (1 + day as usize % 9, 9) };
    let mut runs = 0;
    for (call, most) in CALLS {
        for how in ["signal=SIGKILL", "error=EIO"] {
            for nth in (first..=most).step_by(step) {
                if !spoiled(call, how, nth) {
                    return;
                }
                runs += 1;
            }
        }
    }
    println!("{runs} runs: nothing lost, nothing doubled");
}
