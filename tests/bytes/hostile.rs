//! B8 to B10: peers that hold on, flood and storm; the others must not notice.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tests::rig::tls::Authority;
use tests::{Acquirer, Noise, PATIENCE, Setup, purchase};

#[test]
fn b08_half_a_frame_is_cut_off_at_its_time_and_the_place_is_free_again() {
    let setup = Setup::new().set("timers.frame", "300ms").set("acquirer.north.connections_max", 2);
    let Some(rig) = setup.start() else { return };
    let (mut loris, mut good) = (rig.acquirer("north"), rig.acquirer("north"));
    loris.send_bytes(&[0, 200, b'0']);
    let noise = Noise::watch();
    let took = loris.expect_closed();
    noise.insist("the end of half a frame", took, Duration::from_millis(300 + 200));
    rig.await_gauge("connections{peer=north}", 1.0);
    rig.acquirer("north").ask(&purchase("11=000001"), "0110 39=00");
    good.ask(&purchase("11=000002"), "0110 39=00");
}

#[test]
fn b08_no_tls_hello_is_cut_off_at_its_time() {
    let authority = Authority::new("ours");
    let identity = authority.identity("switch.example", 1);
    let setup = Setup::new()
        .acquirer("secure")
        .secured("acquirer.secure", &authority, &identity)
        .set("timers.tls_handshake", "300ms");
    let Some(rig) = setup.start() else { return };
    for hello in [&[][..], &[0x16, 0x03, 0x01, 0x02], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(rig.address("secure")).expect("the switch listens");
        let noise = Noise::watch();
        let start = Instant::now();
        stream.write_all(hello).expect("taken");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let _ = stream.read_to_end(&mut Vec::new());
        noise.insist(
            "the end of a handshake that never was",
            start.elapsed(),
            Duration::from_millis(300 + 200),
        );
    }
}

/// One acquirer asks as fast as it can; it is held to its rate and another one's slow end stays put.
#[test]
fn b09_a_flood_by_one_acquirer_is_throttled_and_harms_no_other() {
    const RATE: u32 = 200;
    let setup = Setup::new().acquirer("flood").set("acquirer.flood.requests_per_second", RATE);
    let Some(rig) = setup.start() else { return };
    let mut good = rig.acquirer("north");
    let quiet = slow_end(&mut good, 1);

    let stop = Arc::new(AtomicBool::new(false));
    let frame = rig.wire("flood").frame_text(&purchase("2=9999800000000015 11=000001"));
    let frame_bytes = u32::try_from(frame.len()).expect("short");
    let flood = rig.acquirer("flood");
    let before = rig.metric("received_total{acquirer=flood}");
    let noise = Noise::watch();
    let start = Instant::now();
    let flooder = {
        let (stream, stop) = (flood.stream().try_clone().expect("a clone"), Arc::clone(&stop));
        thread::spawn(move || pour(stream, &frame, &stop))
    };
    let flooded = slow_end(&mut good, 2);
    while start.elapsed() < Duration::from_secs(1) {
        thread::sleep(Duration::from_millis(10));
    }
    let taken = rig.metric("received_total{acquirer=flood}") - before;
    let seconds = start.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    flood.reset();
    let _ = flooder.join();
    // A second's worth may come at once, and what one read of 128 KiB had taken already; then the rate.
    let one_read = f64::from(128 * 1024_u32) / f64::from(frame_bytes);
    let allowed = f64::from(RATE) * (seconds + 1.0) + one_read;
    assert!(taken <= allowed, "{taken} requests in {seconds} s, allowed {allowed}");
    noise.insist("the slow end beside a flood", flooded, quiet.mul_f64(1.5) + Duration::from_millis(5));
}

/// Empty frames, and sign-ons and sign-offs in turn, as fast as they can be sent: neither takes the shard's time nor the
/// disk of the log.
#[test]
fn b03_b09_a_flood_of_signs_of_life_is_throttled_and_fills_no_log() {
    const RATE: f64 = 1_000.0;
    // Both kinds of line, at once and then one a second, beside those of the start.
    const LINES_MAX: usize = 300;
    /// More than the buffers on both sides take of what nobody reads.
    const SOCKETS_HOLD: usize = 32 << 20;
    let setup = Setup::new().acquirer("idle").set("acquirer.idle.framing.keep_alive", true);
    let Some(rig) = setup.start() else { return };
    let (north, idle) = (rig.acquirer("north"), rig.acquirer("idle"));
    let [on, off] = ["001", "002"]
        .map(|code| rig.wire("north").frame_text(&format!("0800 7=1123120000 11=000001 70={code}")));
    let floods = [(&north, [on, off].concat()), (&idle, rig.wire("idle").announce(0).repeat(100))];
    let stop = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let floods = floods.map(|(acquirer, frames)| {
        let (stream, stop) = (acquirer.stream().try_clone().expect("a clone"), Arc::clone(&stop));
        let mut unread = stream.try_clone().expect("a clone");
        // Answers are read and thrown away, so that it is no slow reader.
        thread::spawn(move || std::io::copy(&mut unread, &mut std::io::sink()));
        thread::spawn(move || pour(stream, &frames, &stop))
    });
    let said = || String::from_utf8_lossy(&rig.process().stderr()).into_owned();
    rig.await_that("a word of what was left out", || said().contains("\"left_out\""));
    thread::sleep(Duration::from_secs(2).saturating_sub(start.elapsed()));
    let (answered, seconds) =
        (rig.metric("received_total{acquirer=north,class=network}"), start.elapsed().as_secs_f64());
    stop.store(true, Ordering::Relaxed);
    let _ = north.stream().shutdown(std::net::Shutdown::Both);
    let _ = idle.stream().shutdown(std::net::Shutdown::Both);
    let [_, taken] = floods.map(|flood| flood.join().expect("it ends"));
    // What one read had taken before the rate was exceeded is held back, all but a burst.
    assert!(answered <= RATE * (seconds + 1.0), "{answered} answered in {seconds} s");
    assert!(taken < SOCKETS_HOLD, "{taken} bytes of empty frames were read in {seconds} s");
    let (told, lines) = (said(), said().lines().count());
    assert!(lines <= LINES_MAX, "{lines} lines in {seconds} s");
    let left_out = told.lines().find(|line| line.contains("\"left_out\"")).expect("told");
    assert!(left_out.contains("\"name\":\"north\"") && left_out.contains("acquirer signed o"), "{left_out}");
    rig.acquirer("north").ask(&purchase("11=000002"), "0110 39=00");
}

/// Sends a frame again and again until it is told to stop or the connection ends. Gives how many bytes were taken.
fn pour(mut stream: TcpStream, frame: &[u8], stop: &AtomicBool) -> usize {
    let batch = frame.repeat(50);
    let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
    let mut taken = 0;
    while !stop.load(Ordering::Relaxed) {
        match stream.write(&batch[taken % batch.len()..]) {
            Ok(bytes) => taken += bytes,
            Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    taken
}

/// The 99th of 100 answer times.
fn slow_end(acquirer: &mut Acquirer, round: usize) -> Duration {
    const ASKED: usize = 500;
    let mut times: Vec<_> = (0..ASKED)
        .map(|stan| {
            let sent = Instant::now();
            let request = purchase(&format!("11={round}{stan:05}"));
            acquirer.ask(&request, &format!("0110 11={round}{stan:05} 39=00")).at - sent
        })
        .collect();
    times.sort();
    times[ASKED * 99 / 100]
}

#[test]
fn b10_a_storm_of_connections_is_let_in_at_its_rate_and_harms_no_other() {
    const RATE: u32 = 100;
    let setup = Setup::new()
        .set("limits.accepts_per_second", RATE)
        .acquirer("storm")
        .set("acquirer.storm.connections_max", 5000);
    let Some(rig) = setup.start() else { return };
    let mut good = rig.acquirer("north");
    let quiet = slow_end(&mut good, 1);
    let noise = Noise::watch();
    let start = Instant::now();
    let address = rig.address("storm");
    let storm = thread::spawn(move || (0..600).filter_map(|_| knock(address)).collect::<Vec<_>>());
    let stormy = slow_end(&mut good, 2);
    let let_in = rig.metric("connections_total{peer=storm}");
    let allowed = f64::from(RATE) * (start.elapsed().as_secs_f64() + 1.0) + 10.0;
    assert!(let_in <= allowed, "{let_in} connections in {:?}, allowed {allowed}", start.elapsed());
    noise.insist("the slow end in a storm", stormy, quiet.mul_f64(2.0) + Duration::from_millis(5));
    drop(storm.join());
}

fn knock(address: SocketAddr) -> Option<TcpStream> {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()
}

#[test]
fn b10_running_out_of_files_is_survived_without_a_busy_loop() {
    let Some(rig) = Setup::new().set("acquirer.north.connections_max", 5000).start() else { return };
    let mut good = rig.acquirer("north");
    good.ask(&purchase("11=000001"), "0110 39=00");
    let open = u64::try_from(rig.process().open_files()).expect("few");
    rig.process().limit_files(open + 8);
    let storm: Vec<_> = (0..100).filter_map(|_| knock(rig.address("north"))).collect();
    assert!(storm.len() > 8, "the storm was too small to matter");
    let before = (rig.process().processor_time(), Instant::now());
    for stan in 0..20 {
        good.ask(&purchase(&format!("11=1{stan:05}")), "0110 39=00");
        thread::sleep(Duration::from_millis(25));
    }
    let (used, passed) = (rig.process().processor_time() - before.0, before.1.elapsed());
    assert!(used < passed / 2, "{used:?} of processor time in {passed:?}: a busy loop");
    drop(storm);
    rig.process().limit_files(10_000);
    rig.await_gauge("connections{peer=north}", 1.0);
    rig.acquirer("north").ask(&purchase("11=200000"), "0110 39=00");
    good.ask(&purchase("11=200001"), "0110 39=00");
}

#[test]
fn b10_one_address_has_its_share_of_connections() {
    let Some(rig) = Setup::new().set("limits.connections_per_address_max", 3).start() else { return };
    let mut held: Vec<_> = (0..2).map(|_| rig.acquirer("north")).collect();
    rig.await_gauge("connections{peer=north}", 2.0);
    // The bound is reached, whether or not the admin listener's callers count.
    let storm: Vec<_> = (0..5).filter_map(|_| knock(rig.address("north"))).collect();
    rig.await_that("a refusal", || rig.metric("connections_refused_total") >= 4.0);
    held[0].ask(&purchase("11=000001"), "0110 39=00");
    drop(storm);
    rig.await_gauge("connections{peer=north}", 2.0);
    rig.acquirer("north").ask(&purchase("11=000002"), "0110 39=00");
}
