//! As a service: what the manager (systemd) hears, sockets that it bound, and payments followed in the log.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tests::rig::places::scratch_folder;
use tests::rig::process;
use tests::{PATIENCE, Setup, purchase};

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
