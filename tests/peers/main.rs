//! Independent implementations on either side: pyiso8583 in Python as acquirer and as issuer, against the
//! model hosts in Rust and through the switch. `tests/peers/setup.sh` makes what these need.

#![forbid(unsafe_code)]

mod host;
mod python;
mod workload;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use python::{PythonAcquirer, PythonIssuer};
use tests::rig::acquirer::connect;
use tests::rig::canary::Canaries;
use tests::{Acquirer, Act, Issuer, Plain, Received, Setup, Wire};
use workload::{Between, Line, lines};

const TRANSACTIONS: usize = 1_000;
const IN_FLIGHT_MAX: usize = 50;

/// A dialect and a framing, in the names of both sides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    dialect: &'static str,
    framing: &'static str,
}

const ASCII: Manner = Manner { dialect: "iso87-ascii", framing: "binary2" };
const BINARY: Manner = Manner { dialect: "iso87-binary", framing: "ascii4-inclusive" };

impl Manner {
    fn is_binary(self) -> bool {
        self.dialect == BINARY.dialect
    }

    fn wire(self) -> Wire {
        let table = format!("dialect = \"{}\"\nframing = {{ {} }}", self.dialect, self.framing_toml());
        Wire::of_peer(&table.parse().expect("TOML"))
    }

    fn framing_toml(self) -> &'static str {
        if self.framing == "binary2" {
            "length = \"binary2\""
        } else {
            "length = \"ascii4\", inclusive = true"
        }
    }

    /// The same in the configuration of the switch.
    fn configure(self, setup: Setup, peer: &str) -> Setup {
        let setup = setup.set(&format!("{peer}.dialect"), self.dialect);
        if self.framing == "binary2" {
            return setup;
        }
        setup.set(&format!("{peer}.framing.length"), "ascii4").set(&format!("{peer}.framing.inclusive"), true)
    }
}

// Without the switch: the two codecs against each other.

#[test]
fn python_talks_to_python() {
    for manner in [ASCII, BINARY] {
        let lines = lines(TRANSACTIONS, Between::Nobody, manner.is_binary());
        let Some(issuer) = PythonIssuer::start(manner, &lines) else { return };
        let acquirer = PythonAcquirer::start(manner, &lines, issuer.address());
        acquirer.finish(TRANSACTIONS);
        issuer.finish(TRANSACTIONS);
    }
}

#[test]
fn python_asks_rust() {
    for manner in [ASCII, BINARY] {
        let lines = lines(TRANSACTIONS, Between::Nobody, manner.is_binary());
        if !python::is_ready() {
            return;
        }
        let issuer = Issuer::listen(manner.wire(), 1, Canaries::default());
        let wrong = answer_by(&issuer, &lines, manner);
        PythonAcquirer::start(manner, &lines, issuer.addresses()[0]).finish(TRANSACTIONS);
        insist_all_seen(&issuer, &wrong, TRANSACTIONS);
    }
}

#[test]
fn rust_asks_python() {
    for manner in [ASCII, BINARY] {
        let lines = lines(TRANSACTIONS, Between::Nobody, manner.is_binary());
        let Some(issuer) = PythonIssuer::start(manner, &lines) else { return };
        let mut acquirer = Acquirer::new(connect(issuer.address()), manner.wire(), Canaries::default());
        ask_all(&mut acquirer, &lines);
        issuer.finish(TRANSACTIONS);
    }
}

// Through the switch.

#[test]
fn python_asks_rust_through_the_switch_in_ascii() {
    python_asks_rust_through_the_switch(ASCII);
}

#[test]
fn python_asks_rust_through_the_switch_in_binary() {
    python_asks_rust_through_the_switch(BINARY);
}

/// Without a journal, so that advices are answered by their issuer too: kept ones are answered by the switch, and said
/// again in words of its own.
fn forwarding() -> Setup {
    Setup::new().without_journal()
}

fn python_asks_rust_through_the_switch(manner: Manner) {
    let lines = lines(TRANSACTIONS, Between::TheSwitch, manner.is_binary());
    if !python::is_ready() {
        return;
    }
    let setup = manner.configure(manner.configure(forwarding(), "acquirer.north"), "issuer.maple");
    let Some(rig) = setup.start() else { return };
    let wrong = answer_by(rig.issuer("maple"), &lines, manner);
    PythonAcquirer::start(manner, &lines, rig.address("north")).finish(TRANSACTIONS);
    insist_all_seen(rig.issuer("maple"), &wrong, forwarded(&lines));
}

#[test]
fn rust_asks_python_through_the_switch_in_ascii() {
    rust_asks_python_through_the_switch(ASCII);
}

#[test]
fn rust_asks_python_through_the_switch_in_binary() {
    rust_asks_python_through_the_switch(BINARY);
}

fn rust_asks_python_through_the_switch(manner: Manner) {
    let lines = lines(TRANSACTIONS, Between::TheSwitch, manner.is_binary());
    let Some(issuer) = PythonIssuer::start(manner, &lines) else { return };
    let setup = manner.configure(manner.configure(forwarding(), "acquirer.north"), "issuer.maple");
    let Some(rig) = setup.played_at("maple", issuer.address()).start() else { return };
    rig.await_links("maple", 1);
    ask_all(&mut rig.acquirer("north"), &lines);
    drop(rig);
    issuer.finish(forwarded(&lines));
}

#[test]
fn python_asks_python_through_the_switch_in_two_dialects() {
    for (from, to) in [(ASCII, BINARY), (BINARY, ASCII)] {
        let lines = lines(TRANSACTIONS, Between::TheSwitch, true);
        let Some(issuer) = PythonIssuer::start(to, &lines) else { return };
        let setup = to.configure(from.configure(forwarding(), "acquirer.north"), "issuer.maple");
        let Some(rig) = setup.played_at("maple", issuer.address()).start() else { return };
        rig.await_links("maple", 1);
        PythonAcquirer::start(from, &lines, rig.address("north")).finish(TRANSACTIONS);
        drop(rig);
        issuer.finish(forwarded(&lines));
    }
}

fn forwarded(lines: &[Line]) -> usize {
    lines.iter().filter(|line| line.issuer.is_some()).count()
}

/// The model issuer answers as the workload says and notes every request that is not the one expected.
fn answer_by(issuer: &Issuer, lines: &[Line], manner: Manner) -> Arc<Mutex<Vec<String>>> {
    let dialect = manner.wire().dialect;
    let of_issuer = lines.iter().filter_map(|line| Some((line, line.issuer.clone()?)));
    let script: BTreeMap<String, (Plain, Plain)> = of_issuer
        .map(|(line, answer)| (line.request.get(37).to_owned(), (line.request.padded(dialect), answer)))
        .collect();
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let faults = Arc::clone(&wrong);
    issuer.on(move |request| {
        let Some((expected, answer)) = script.get(request.get(37)) else {
            faults.lock().expect("no panic inside").push(format!("not in the workload: {}", request.get(37)));
            return Act::answer("39=96");
        };
        let expected = expected.with(&format!("11={}", request.get(11)));
        faults.lock().expect("no panic inside").extend(request.differences(&expected));
        Act::Exactly(answer.clone())
    });
    wrong
}

fn insist_all_seen(issuer: &Issuer, wrong: &Mutex<Vec<String>>, count: usize) {
    let wrong = wrong.lock().expect("no panic inside");
    assert!(wrong.is_empty(), "{} requests differ, first: {:?}", wrong.len(), wrong.first());
    assert_eq!(issuer.seen().len(), count);
}

/// The model acquirer sends a workload, at most 50 in flight, repeats after everything before them.
fn ask_all(acquirer: &mut Acquirer, lines: &[Line]) {
    let mut waiting: BTreeMap<String, &Line> = BTreeMap::new();
    for line in lines {
        let is_repeat = line.request.mti().ends_with('1');
        while waiting.len() >= if is_repeat { 1 } else { IN_FLIGHT_MAX } {
            settle(&acquirer.receive(), acquirer.wire(), &mut waiting);
        }
        waiting.insert(line.request.get(11).to_owned(), line);
        acquirer.send(&line.request.to_string());
    }
    while !waiting.is_empty() {
        settle(&acquirer.receive(), acquirer.wire(), &mut waiting);
    }
}

fn settle(answer: &Received, wire: &Wire, waiting: &mut BTreeMap<String, &Line>) {
    let line =
        waiting.remove(answer.plain.get(11)).unwrap_or_else(|| panic!("nobody asked: {}", answer.plain));
    let expected = line.acquirer.padded(wire.dialect);
    let wrong =
        if line.exact { answer.plain.differences(&expected) } else { answer.plain.misfits(&expected) };
    assert!(wrong.is_empty(), "{wrong:?} in the answer to {}", line.request);
}
