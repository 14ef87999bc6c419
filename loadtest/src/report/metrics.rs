//! `/metrics` while a run is under way, in Prometheus' text form. Any other path is not found.
//!
//! A thread of its own owns the figures; the run sends it each second. It takes one request at a time and waits
//! for nobody long.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use super::series::{CELLS_PER_DECADE, SecondRow};
use crate::second::Second;

/// Where the seconds go.
#[derive(Debug)]
pub struct Metrics {
    seconds: Sender<(SecondRow, f64)>,
    address: SocketAddr,
}

/// Between two looks for a request or a second.
const LOOK: Duration = Duration::from_millis(20);
/// How long one reader is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

impl Metrics {
    /// Listens on `address`.
    pub fn listen(address: &str) -> io::Result<Metrics> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let (seconds, received) = channel();
        let address = listener.local_addr()?;
        std::thread::Builder::new().name("metrics".to_string()).spawn(move || serve(&listener, &received))?;
        Ok(Metrics { seconds, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a second.
    pub fn add(&self, second: &Second, row: &SecondRow) {
        let response = &second.times.response;
        let sum_seconds = response.mean() * response.len() as f64 / 1e9;
        // When its thread is gone there is nobody to read.
        let _ = self.seconds.send((row.clone(), sum_seconds));
    }
}

/// Sums over the run so far, and the newest second.
#[derive(Default)]
struct Figures {
    row: SecondRow,
    sent: u64,
    answered: u64,
    late: u64,
    planned: u64,
    codes: BTreeMap<String, u64>,
    heat: BTreeMap<u8, u64>,
    response_seconds: f64,
}

impl Figures {
    fn add(&mut self, row: SecondRow, sum_seconds: f64) {
        self.planned += row.planned;
        self.sent += row.sent;
        self.answered += row.answered;
        self.late += row.late;
        row.codes.iter().for_each(|(code, answers)| *self.codes.entry(code.clone()).or_default() += answers);
        row.heat.iter().for_each(|(cell, answers)| *self.heat.entry(*cell).or_default() += answers);
        self.response_seconds += sum_seconds;
        self.row = row;
    }
}

/// Ends with the run.
fn serve(listener: &TcpListener, seconds: &Receiver<(SecondRow, f64)>) {
    let mut figures = Figures::default();
    loop {
        match seconds.try_recv() {
            Ok((row, sum_seconds)) => {
                figures.add(row, sum_seconds);
                continue;
            }
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {}
        }
        match listener.accept() {
            // A reader that goes away is its own affair.
            Ok((stream, _)) => drop(answer(stream, &figures)),
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

fn answer(mut stream: TcpStream, figures: &Figures) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = [0; 1024];
    let length = stream.read(&mut request)?;
    let (status, body) = match request[..length].starts_with(b"GET /metrics ") {
        true => ("200 OK", text(figures)),
        false => ("404 Not Found", "only /metrics is here\n".to_string()),
    };
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn text(figures: &Figures) -> String {
    let mut out = String::new();
    let row = &figures.row;
    // Writing into a string cannot fail.
    for (name, kind, help, value) in [
        ("planned_total", "counter", "Messages that became due.", figures.planned as f64),
        ("sent_total", "counter", "Messages handed to the kernel.", figures.sent as f64),
        ("answered_total", "counter", "Answers, late ones included.", figures.answered as f64),
        ("late_total", "counter", "Answers after the patience.", figures.late as f64),
        ("in_flight", "gauge", "Messages without an answer.", row.in_flight as f64),
        ("second", "gauge", "Seconds of the run that are over.", row.second as f64),
        (
            "send_lag_p99_seconds",
            "gauge",
            "Of the last second; above 0.001 the generator is late.",
            row.lag_p99_ns as f64 / 1e9,
        ),
    ] {
        let _ = writeln!(
            out,
            "# HELP loadtest_{name} {help}\n# TYPE loadtest_{name} {kind}\nloadtest_{name} {value}"
        );
    }
    out.push_str(
        "# HELP loadtest_answers_total Answers in time by DE 39.\n# TYPE loadtest_answers_total counter\n",
    );
    for (code, answers) in &figures.codes {
        let _ = writeln!(out, "loadtest_answers_total{{code=\"{code}\"}} {answers}");
    }
    let name = "loadtest_response_seconds";
    let _ = writeln!(out, "# HELP {name} Answered minus planned.\n# TYPE {name} histogram");
    let (mut below, whole): (u64, u64) = (0, figures.heat.values().sum());
    // Seven decades from a microsecond to ten seconds, four steps each.
    for step in 1..=7 * CELLS_PER_DECADE as u8 {
        below += figures.heat.get(&(step - 1)).copied().unwrap_or(0);
        if step % 2 == 0 {
            let end = 1e-6 * 10_f64.powf(f64::from(step) / f64::from(CELLS_PER_DECADE));
            let _ = writeln!(out, "{name}_bucket{{le=\"{end:.3e}\"}} {below}");
        }
    }
    let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {whole}");
    let _ = writeln!(out, "{name}_sum {}\n{name}_count {whole}", figures.response_seconds);
    out
}
