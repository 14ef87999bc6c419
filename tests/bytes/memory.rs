//! S35: what a connection costs.

use std::net::TcpStream;

use tests::{Setup, purchase};

const CONNECTIONS: usize = 2_000;

/// The bound of S35 for 10,000 idle connections is 512 MiB in all; this is its share for each.
const IDLE_BYTES_MAX: u64 = 512 * 1024 * 1024 / 10_000;

#[test]
fn s35_two_thousand_idle_connections_cost_at_most_their_share() {
    let Some(rig) = Setup::new().set("acquirer.north.connections_max", 3000).start() else { return };
    let mut good = rig.acquirer("north");
    good.ask(&purchase("11=000001"), "0110 39=00");
    let before = (rig.process().resident_bytes(), rig.process().open_files());
    let idle: Vec<_> = (0..CONNECTIONS)
        .map(|_| TcpStream::connect(rig.address("north")).expect("the switch listens"))
        .collect();
    rig.await_gauge("connections{peer=north}", 2001.0);
    let grown = rig.process().resident_bytes().saturating_sub(before.0);
    let each = grown / u64::try_from(CONNECTIONS).expect("few");
    assert!(each <= IDLE_BYTES_MAX, "{each} bytes for an idle connection, allowed {IDLE_BYTES_MAX}");
    good.ask(&purchase("11=000002"), "0110 39=00");

    // And every one is given back: files at once, memory as the allocator sees fit.
    drop(idle);
    rig.await_gauge("connections{peer=north}", 1.0);
    rig.await_that("the sockets to be closed", || rig.process().open_files() <= before.1 + 5);
}

/// Each connection has had its turn: read buffer grown, answer written, then idle.
#[test]
fn s35_connections_that_were_used_cost_at_most_128_kib() {
    const USED: usize = 200;
    let Some(rig) = Setup::new().set("acquirer.north.connections_max", 3000).start() else { return };
    let mut good = rig.acquirer("north");
    good.ask(&purchase("11=000001"), "0110 39=00");
    let before = rig.process().resident_bytes();
    let filler = "A".repeat(900);
    let used: Vec<_> = (0..USED)
        .map(|number| {
            let mut acquirer = rig.acquirer("north");
            let request =
                purchase(&format!("11=1{number:05} 48={filler} 60={filler} 61={filler} 62={filler}"));
            acquirer.ask(&request, "0110 39=00");
            acquirer
        })
        .collect();
    let grown = rig.process().resident_bytes().saturating_sub(before);
    let each = grown / u64::try_from(used.len()).expect("few");
    assert!(each <= 128 * 1024, "{each} bytes for a connection that was used");
}
