//! As a service: what the manager (systemd) hears, sockets that it bound, and payments followed in the log.

use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tests::rig::places::scratch_folder;
use tests::rig::process::{self, children};
use tests::{PATIENCE, Setup, TestToken, TokenKind, purchase};

use super::on_softhsm::rotating_atc::{KEY, program};

#[test]
fn the_manager_hears_ready_signs_of_life_reloading_and_stopping() {
    let place = scratch_folder().join("notify");
    let heard = UnixDatagram::bind(&place).expect("our own folder");
    heard.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let setup = Setup::new()
        .environment("NOTIFY_SOCKET", &place.display().to_string())
        .environment("WATCHDOG_USEC", "200000");
    let Some(rig) = setup.start() else { return };
    let hear = |wanted: &str| loop {
        let mut said = [0; 512];
        let bytes = heard.recv(&mut said).unwrap_or_else(|why| panic!("never heard {wanted}: {why}"));
        let said = String::from_utf8_lossy(&said[..bytes]).into_owned();
        if said.contains(wanted) {
            return said;
        }
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    hear("STATUS=taking payments; 0 in flight; 1 of 1 issuers up");
    rig.process().signal(Signal::HUP);
    hear("RELOADING=1");
    hear("READY=1");
    // Who is frozen gives no sign of life.
    rig.process().freeze();
    heard.set_nonblocking(true).expect("a socket");
    while heard.recv(&mut [0; 512]).is_ok() {}
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(heard.recv(&mut [0; 512]).is_err(), "somebody speaks for a frozen switch");
    rig.process().thaw();
    heard.set_nonblocking(false).expect("a socket");
    rig.process().signal(Signal::TERM);
    hear("STOPPING=1");
}

#[test]
fn a_connection_waits_in_a_socket_that_the_manager_bound_until_the_switch_runs() {
    let (Some(binary), Some(rig)) = (process::binary(), Setup::new().start()) else { return };
    rig.crash();
    let listener = TcpListener::bind(rig.address("north")).expect("free again");
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let mut switch = Command::new("/bin/sh")
        .args(["-c", "exec 3<&0; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve --config signalbox.toml"])
        .arg(&binary)
        .current_dir(rig.folder())
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    // No issuer is connected yet or one is: either way there is an answer over the connection that waited.
    let answer = north.receive();
    assert_eq!(answer.plain.get(11), "000001");
    switch.kill().expect("it runs");
    switch.wait().expect("it ended");
    rig.forget();
}

#[test]
fn one_payment_in_so_many_has_lines_in_the_log_under_its_trace_id() {
    let Some(rig) = Setup::new().set("log.every_nth_payment", 1).start() else { return };
    rig.acquirer("north").ask(&purchase("11=000007 37=000000000007"), "0110 39=00");
    let lines = || -> Vec<serde_json::Value> {
        let log = String::from_utf8_lossy(&rig.process().stderr()).into_owned();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let of = |message: &str| lines().into_iter().find(|line| line["message"] == message);
    rig.await_that("the line of the answer", || of("payment answered").is_some());
    let (sent, answered) = (
        of("payment sent to its issuer").expect("before the answer"),
        of("payment answered").expect("there"),
    );
    assert_eq!((&sent["issuer"], &answered["de39"]), (&"maple".into(), &"00".into()));
    assert_eq!(sent["trace"], answered["trace"]);
    let trace = answered["trace"].as_str().expect("a trace id");
    let (code, story) = rig.run(&["trace", "--journal", "journal", "--trace", trace]);
    assert!(code == 0 && story.contains("DE 37 000000000007"), "{code} {story}");
}

#[test]
fn without_the_setting_no_payment_has_lines() {
    let Some(rig) = Setup::new().start() else { return };
    rig.acquirer("north").ask(&purchase(""), "0110 39=00");
    let (code, shown) = rig.run(&["config", "show", "--config", "signalbox.toml"]);
    assert_eq!(code, 0);
    assert!(shown.contains("log.every_nth_payment = 0\n"), "{shown}");
    assert!(
        shown.lines().any(|line| line.starts_with("admin.listen = ") && line.ends_with("# restart")),
        "{shown}"
    );
    assert!(!String::from_utf8_lossy(&rig.process().stderr()).contains("payment answered"));
}

#[test]
fn a_reload_during_a_stop_does_not_say_ready() {
    let place = scratch_folder().join("notify");
    let heard = UnixDatagram::bind(&place).expect("our own folder");
    heard.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let Some(rig) = Setup::new().environment("NOTIFY_SOCKET", &place.display().to_string()).start() else {
        return;
    };
    let hear = || {
        let mut said = [0; 512];
        let bytes = heard.recv(&mut said).ok()?;
        Some(String::from_utf8_lossy(&said[..bytes]).into_owned())
    };
    let maple = rig.issuer("maple");
    maple.hold();
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let seen = maple.wait_seen(1);
    rig.process().signal(Signal::TERM);
    while hear().expect("it stops").trim() != "STOPPING=1" {}
    rig.process().signal(Signal::HUP);
    rig.await_gauge("config_generation", 2.0);
    // One more line of status: what the reload might have said would have come before it.
    let mut after = Vec::new();
    while !after.iter().any(|said: &String| said.starts_with("STATUS=stopping")) {
        after.push(hear().expect("a line each second"));
    }
    assert!(after.iter().all(|said| !said.contains("READY") && !said.contains("RELOADING")), "{after:?}");
    maple.answer(&seen[0], "");
    north.expect("0110 11=000001 39=00");
}

#[test]
fn processes_of_the_token_hold_no_socket_that_the_manager_bound() {
    let Some(token) = TestToken::of(TokenKind::Devtoken) else { return };
    let check_value = token.import("counters", "rotating-atc", KEY);
    let setup = Setup::new().token(&token).table("program", &program(&check_value));
    let (Some(binary), Some(rig)) = (process::binary(), setup.start()) else { return };
    rig.crash();
    let listener = TcpListener::bind(rig.address("north")).expect("free again");
    let mut north = rig.acquirer("north");
    let socket = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).expect("our own");
    let mut switch = Command::new("/bin/sh")
        .args(["-c", "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=north exec \"$0\" serve --config signalbox.toml"])
        .arg(&binary)
        .current_dir(rig.folder())
        .envs([token.environment()])
        .env("NOTIFY_SOCKET", "/nobody/listens")
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    north.send(&purchase("11=000001"));
    assert_eq!(north.receive().plain.get(11), "000001");
    let holds = |pid: i32| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        Some(open.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to == socket)))
    };
    let own = i32::try_from(switch.id()).expect("a process number");
    assert_eq!(holds(own), Some(true), "the switch itself has it");
    let launcher = children(own);
    let workers: Vec<i32> = launcher.iter().flat_map(|launcher| children(*launcher)).collect();
    assert!(launcher.len() == 1 && !workers.is_empty(), "{launcher:?} {workers:?}");
    for pid in launcher.into_iter().chain(workers) {
        // They cannot be dumped, so only root may look into them.
        if let Some(holds) = holds(pid) {
            assert!(!holds, "{pid} holds the listener of the switch");
            let told = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let told = String::from_utf8_lossy(&told).into_owned();
            assert!(!told.contains("LISTEN_") && !told.contains("NOTIFY_SOCKET"), "{told}");
        } else {
            assert!(!rustix::process::geteuid().is_root(), "{pid} ended");
        }
    }
    switch.kill().expect("it runs");
    switch.wait().expect("it ended");
    rig.forget();
}
