//! S30: who may come in over TLS, and whom the switch trusts when it calls.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tests::rig::places::free_address;
use tests::rig::tls::{self, Authority, Identity};
use tests::{PATIENCE, Rig, Setup, Wire, purchase};

/// One acquirer behind TLS, with everybody who is not allowed to be it.
struct Cast {
    authority: Authority,
    stranger: Authority,
    switch: Identity,
    good: Identity,
    revoked: Identity,
    expired: Identity,
    other_principal: Identity,
    forged: Identity,
}

impl Cast {
    fn new() -> Cast {
        let (authority, stranger) = (Authority::new("acquirers"), Authority::new("strangers"));
        Cast {
            switch: authority.identity("switch.example", 1),
            good: authority.identity("north.example", 2),
            revoked: authority.identity("north.example", 3),
            expired: authority.expired_identity("north.example", 4),
            other_principal: authority.identity("south.example", 5),
            forged: stranger.identity("north.example", 2),
            authority,
            stranger,
        }
    }

    fn setup(&self) -> Setup {
        Setup::new()
            .secured("acquirer.north", &self.authority, &self.switch)
            .set("acquirer.north.tls.crl", "ca.crl")
            .file("ca.crl", &self.authority.revocation_list(&[&self.revoked]))
    }

    fn ask(&self, rig: &Rig, identity: Option<&Identity>, stan: u32) -> Result<String, String> {
        let (address, wire) = (rig.address("north"), rig.wire("north"));
        let request = purchase(&format!("11={stan:06}"));
        let answer = tls::ask(address, &self.authority, "switch.example", identity, wire, &request);
        answer.map(|one| one.plain.get(39).to_owned()).map_err(|why| why.to_string())
    }
}

#[test]
fn s30_a_good_certificate_works_and_every_other_is_refused() {
    let cast = Cast::new();
    let Some(rig) = cast.setup().start() else { return };
    assert_eq!(cast.ask(&rig, Some(&cast.good), 1), Ok("00".into()));
    let refused = [
        ("no certificate", None),
        ("a certificate of another authority", Some(&cast.forged)),
        ("an expired certificate", Some(&cast.expired)),
        ("a revoked certificate", Some(&cast.revoked)),
        ("another principal's certificate", Some(&cast.other_principal)),
    ];
    for (stan, (what, identity)) in (10..).zip(refused) {
        let outcome = cast.ask(&rig, identity, stan);
        assert!(outcome.is_err(), "{what} was let in: {outcome:?}");
    }
    assert_eq!(cast.ask(&rig, Some(&cast.good), 2), Ok("00".into()));
    assert_eq!(rig.issuer("maple").seen().len(), 2, "a refused peer's request was forwarded");
}

#[test]
fn s30_refused_handshakes_are_counted() {
    let cast = Cast::new();
    let Some(rig) = cast.setup().start() else { return };
    for stan in 0..3 {
        assert!(cast.ask(&rig, None, stan).is_err());
    }
    rig.await_metric("connections_refused_total", 3.0);
}

/// Whoever has shown no certificate is a stranger, and keeps nobody out.
#[test]
fn s36_strangers_take_no_place_of_an_acquirer_and_as_many_handshakes_as_there_may_be() {
    let cast = Cast::new();
    let setup = cast
        .setup()
        .set("acquirer.north.connections_max", 2)
        .set("limits.handshakes_max", 4)
        .set("timers.tls_handshake", "1s");
    let Some(rig) = setup.start() else { return };
    let strangers = |count: usize| -> Vec<TcpStream> {
        let strangers = (0..count).map(|_| TcpStream::connect(rig.address("north")).expect("it listens"));
        let strangers = strangers.collect();
        std::thread::sleep(Duration::from_millis(200));
        strangers
    };
    let few = strangers(3);
    let start = Instant::now();
    assert_eq!(cast.ask(&rig, Some(&cast.good), 1), Ok("00".into()));
    assert!(start.elapsed() < Duration::from_millis(600), "it waited for strangers: {:?}", start.elapsed());
    rig.await_gauge("connections{peer=north}", 0.0);
    drop(few);
    // All handshakes there may be: the next waits until the time of one of them is over.
    let all = strangers(4);
    let start = Instant::now();
    assert_eq!(cast.ask(&rig, Some(&cast.good), 2), Ok("00".into()));
    assert!(start.elapsed() > Duration::from_millis(300), "a fifth handshake after {:?}", start.elapsed());
    drop(all);
    assert_eq!(rig.metric("connections_refused_total{reason=peer}"), 0.0);
    // Those who have shown who they are are bounded as ever.
    let held: Vec<_> = (0..2)
        .map(|_| tls::connect(rig.address("north"), &cast.authority, "switch.example", Some(&cast.good)))
        .collect();
    rig.await_gauge("connections{peer=north}", 2.0);
    assert!(cast.ask(&rig, Some(&cast.good), 3).is_err());
    assert_eq!(rig.metric("connections_refused_total{reason=peer}"), 1.0);
    drop(held);
}

#[test]
fn s36_a_stranger_takes_no_link_of_an_issuer() {
    let cast = Cast::new();
    let setup = cast.setup().issuer("oak", "99997").absent("oak").secured(
        "issuer.oak",
        &cast.authority,
        &cast.switch,
    );
    let Some(mut rig) = setup.start() else { return };
    rig.crash();
    // The same issuer, that connects to us.
    let address = free_address();
    rig.edit_config(|text| {
        let at = text.rfind("connect = [").expect("oak's addresses");
        let end = at + text[at..].find('\n').expect("a line");
        format!("{}listen = \"{address}\"{}", &text[..at], &text[end..])
    });
    rig.start_again();
    let stranger = TcpStream::connect(address).expect("it listens");
    std::thread::sleep(Duration::from_millis(200));
    let oak = cast.authority.identity("oak.example", 31);
    let link = tls::connect(address, &cast.authority, "switch.example", Some(&oak)).expect("a handshake");
    rig.await_links("oak", 1);
    drop((stranger, link));
}

#[test]
fn s30_tls_1_2_is_refused() {
    let cast = Cast::new();
    let Some(rig) = cast.setup().start() else { return };
    let mut stream = TcpStream::connect(rig.address("north")).expect("the switch listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.write_all(&tls::client_hello_of_tls12()).expect("taken");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    // At most an alert (21) before the close; a server hello would be a record of type 22.
    assert!(answer.first().is_none_or(|&kind| kind == 21), "answered with a record of type {}", answer[0]);
    assert_eq!(cast.ask(&rig, Some(&cast.good), 1), Ok("00".into()));
}

#[test]
fn s30_plain_bytes_on_a_tls_port_are_refused() {
    let cast = Cast::new();
    let Some(rig) = cast.setup().start() else { return };
    let mut north = rig.acquirer("north");
    north.send(&purchase("11=000001"));
    let mut answer = Vec::new();
    let mut stream = north.stream();
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.first().is_none_or(|&kind| kind == 21));
    assert_eq!(rig.issuer("maple").seen().len(), 0);
}

#[test]
fn s30_the_switch_calls_only_an_issuer_with_the_right_certificate() {
    let cast = Cast::new();
    let wire = Wire::named("iso87-ascii");
    let issuers = [
        ("right", &cast.authority, cast.authority.identity("maple.example", 21)),
        ("stranger", &cast.stranger, cast.stranger.identity("maple.example", 22)),
        ("other-name", &cast.authority, cast.authority.identity("oak.example", 23)),
        ("expired", &cast.authority, cast.authority.expired_identity("maple.example", 24)),
    ];
    for (what, signer, identity) in &issuers {
        // What the issuer itself would accept is not the point: it trusts whoever signed its own certificate.
        let address = tls::issuer(signer, identity, wire.clone());
        let setup = Setup::new().issuer("oak", "99997").played_at("maple", address).secured(
            "issuer.maple",
            &cast.authority,
            &cast.switch,
        );
        let Some(rig) = setup.start() else { return };
        if *what == "right" {
            rig.await_links("maple", 1);
            rig.acquirer("north").ask(&purchase(""), "0110 39=00");
        } else {
            // Time enough for several calls: each is tried every 200 ms at the latest.
            std::thread::sleep(std::time::Duration::from_millis(600));
            rig.await_links("maple", 0);
            rig.acquirer("north").ask(&purchase(""), "0110 39=91");
        }
    }
}
