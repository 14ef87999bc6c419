//! The listener of operators: whoever holds it open, or comes under another name.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use tests::{PATIENCE, Rig, Setup};

/// Connections that are served at a time.
const CONNECTIONS_MAX: usize = 128;

fn begin(rig: &Rig, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(rig.admin()).expect("it listens");
    stream.write_all(text.as_bytes()).expect("taken");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

fn ended(mut stream: TcpStream) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it ends by itself");
    said
}

#[test]
fn b08_half_a_request_of_an_operator_is_cut_off_and_others_are_served() {
    let Some(rig) = Setup::new().admin_token().start() else { return };
    let before = rig.process().open_files();
    let half = "POST /v1/reload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nhalf";
    let body = begin(&rig, half);
    let heads: Vec<_> =
        (0..CONNECTIONS_MAX + 20).map(|_| begin(&rig, "GET /metrics HTTP/1.1\r\nho")).collect();
    thread::sleep(Duration::from_secs(1));
    let open = rig.process().open_files() - before;
    assert!(open <= CONNECTIONS_MAX + 5, "{open} connections are open");
    let said = ended(body);
    assert!(said.starts_with("HTTP/1.1 408 "), "{said:?}");
    for head in heads.into_iter().take(CONNECTIONS_MAX - 1) {
        assert_eq!(ended(head), "");
    }
    rig.await_that("somebody else to be served", || rig.get("/livez").0 == 200);
}

#[test]
fn s40_what_changes_something_answers_to_loopback_names_and_the_figures_to_any() {
    let Some(rig) = Setup::new().admin_token().start() else { return };
    let status = |method: &str, path: &str, host: &str| {
        let token = "authorization: Bearer an-access-token-of-the-tests";
        let said = ended(begin(
            &rig,
            &format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{token}\r\nconnection: close\r\n\r\n"),
        ));
        said.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    for path in ["/metrics", "/livez", "/readyz"] {
        assert_eq!(status("GET", path, "switch.example:9464"), "200", "{path}");
    }
    for (method, path) in [("GET", "/v1/saf"), ("POST", "/v1/reload"), ("GET", "/v1/openapi.json")] {
        assert_eq!(status(method, path, "switch.example:9464"), "421", "{path}");
        assert_eq!(status(method, path, "localhost:9464"), "200", "{path}");
    }
}
