//! Each fault is told with file, line and what was expected; the exit code is 78; no port opens before.

use std::net::TcpListener;

use crate::{good, run};

/// What is replaced in the good configuration, by what, and what the message must name. The fault is expected
/// in the line of the replacement that ends in `#!`.
struct Fault {
    from: &'static str,
    to: &'static str,
    named: &'static [&'static str],
}

const fn fault(from: &'static str, to: &'static str, named: &'static [&'static str]) -> Fault {
    Fault { from, to, named }
}

const NORTH: &str = "name = \"north\"";
const DIALECT: &str =
    "dialect = \"iso87-ascii\"\nframing = { length = \"binary2\" }\nplain_tcp = true\n\n[[issuer]]";
const TIMEOUT: &str = "timeout = \"10s\"";
const ROUTE: &str = "iin = \"99996\"\nissuer = \"maple\"";

const FAULTS: [Fault; 39] = [
    // Syntax and names.
    fault(NORTH, "name = \"north #!", &[]),
    fault(NORTH, "name = \"north\"\nlisten_on = 1 #!", &["listen_on"]),
    fault(NORTH, "name = \"north\"\nwindwo = 9 #!", &["windwo", "window"]),
    fault("[admin]", "[swtich] #!\nshards = 1\n[admin]", &["swtich", "switch"]),
    fault("[admin]", "[timers]\necho_evry = \"1s\" #!\n[admin]", &["echo_evry", "echo_every"]),
    fault("[admin]", "[limits]\nglitches = 3 #!\n[admin]", &["glitches", "glitches_max"]),
    // Kinds of value.
    fault(NORTH, "name = 7 #!", &["name"]),
    fault(NORTH, "name = \"north\"\nwindow = \"many\" #!", &["window"]),
    fault(TIMEOUT, "timeout = \"10\" #!", &["timeout"]),
    fault(TIMEOUT, "timeout = 10 #!", &["timeout"]),
    fault(TIMEOUT, "timeout = \"10 parsecs\" #!", &["timeout"]),
    fault(TIMEOUT, "timeout = \"-1s\" #!", &["timeout"]),
    fault("[admin]", "[limits]\noutput_bytes_max = \"1 furlong\" #!\n[admin]", &["output_bytes_max"]),
    // Bounds.
    fault("[admin]", "[switch]\nshards = 0 #!\n[admin]", &["shards"]),
    fault("[admin]", "[switch]\npending_max = 0 #!\n[admin]", &["pending_max"]),
    fault("[admin]", "[journal]\nlevel = \"none\" #!\n[admin]", &["level", "sync"]),
    fault(NORTH, "name = \"north\"\nwindow = 0 #!", &["window"]),
    fault(NORTH, "name = \"North Pole\" #!", &["North Pole"]),
    fault(TIMEOUT, "timeout = \"0s\" #!", &["timeout"]),
    fault(ROUTE, "iin = \"99x96\" #!\nissuer = \"maple\"", &["99x96"]),
    fault(ROUTE, "iin = \"999999999999\" #!\nissuer = \"maple\"", &["999999999999"]),
    fault(NORTH, "name = \"north\"\nmtis = [\"0999\"] #!", &["0999"]),
    fault(NORTH, "name = \"north\"\nresponse_codes = { issuer_timed_out = \"680000\" } #!", &["680000"]),
    fault(NORTH, "name = \"north\"\nresponse_codes = { issuer_timd_out = \"68\" } #!", &["issuer_timd_out"]),
    fault(
        "[admin]",
        "[switch]\nprofile = \"production\"\n[hsm]\nplacement = \"inline\" #!\n[admin]",
        &["placement", "inline", "production"],
    ),
    fault(NORTH, "name = \"north\"\nmac = \"a-key\" #!", &["mac", "a table"]),
    fault(
        NORTH,
        "name = \"north\"\nmac = { algorithm = \"aes-cmac\", key = \"k\", check_value = \"0A1B2C\" } #!",
        &["mac", "[hsm]"],
    ),
    // Framings and dialects.
    fault(
        DIALECT,
        "dialect = \"iso87-asci\" #!\nframing = { length = \"binary2\" }\nplain_tcp = true\n\n[[issuer]]",
        &["iso87-asci", "iso87-ascii"],
    ),
    fault(
        DIALECT,
        "dialect = \"iso87-ascii\"\nframing = { length = \"binary3\" } #!\nplain_tcp = true\n\n[[issuer]]",
        &["binary3", "binary2"],
    ),
    fault(
        DIALECT,
        "dialect = \"missing.toml\" #!\nframing = { length = \"binary2\" }\nplain_tcp = true\n\n[[issuer]]",
        &["missing.toml"],
    ),
    // Relations.
    fault(ROUTE, "iin = \"99996\"\nissuer = \"oak\" #!", &["oak"]),
    fault(ROUTE, "iin = \"99996\"\nissuer = \"maple\"\nalternates = [\"oak\"] #!", &["oak"]),
    fault(NORTH, "name = \"north\"\npatience = \"10s\" #!", &["patience", "timeout"]),
    fault(
        ROUTE,
        "iin = \"99996\"\nissuer = \"maple\"\n[[route]]\niin = \"99996\" #!\nissuer = \"maple\"",
        &["99996"],
    ),
    fault(
        TIMEOUT,
        "timeout = \"10s\"\nstand_in = { iins = [\"9\"], currency = \"840\", floor = 1, card_per_day = 1, per_day = 1 } #!",
        &["stand_in", "journal"],
    ),
    fault(
        TIMEOUT,
        "timeout = \"10s\"\nstand_in = { iins = [\"9\"], currency = \"840\", card_per_day = 1, per_day = 1 } #!",
        &["floor"],
    ),
    fault(
        TIMEOUT,
        "timeout = \"10s\"\nstand_in = { iins = [\"9\"], currency = \"840\", floor = 9, card_per_day = 8, per_day = 9 } #!",
        &["card_per_day", "floor"],
    ),
    // Who may come in.
    fault(NORTH, "name = \"north\"\nconnect = [\"127.0.0.1:9\"] #!", &["connect", "listen"]),
    fault(
        NORTH,
        "name = \"north\"\ntls = { certificate = \"no.pem\", key = \"no.key\", ca = \"no.pem\" } #!",
        &["tls"],
    ),
];

#[test]
fn every_fault_is_told_with_its_line_and_exit_78() {
    for fault in &FAULTS {
        let Some(wrong) = check(fault) else { return };
        assert!(wrong.is_empty(), "{}\n--- in\n{}", wrong.join("\n"), fault.to);
    }
}

/// Everything wrong with how a fault is reported.
fn check(fault: &Fault) -> Option<Vec<String>> {
    let config = good().replacen(fault.from, fault.to, 1);
    let line = 1 + config.lines().position(|line| line.ends_with("#!")).expect("a marked line");
    let run = run(&["check", "--config", "signalbox.toml"], &config, &[])?;
    let mut wrong = Vec::new();
    if run.code != 78 {
        wrong.push(format!("exit code {}", run.code));
    }
    let place = format!("signalbox.toml:{line}:");
    if !run.stderr.lines().any(|told| told.contains(&place)) {
        wrong.push(format!("no line of standard error tells {place}"));
    }
    let unnamed = fault.named.iter().filter(|word| !run.stderr.contains(*word));
    wrong.extend(unnamed.map(|word| format!("does not name {word}")));
    if run.stderr.contains("panicked") {
        wrong.push("panicked".into());
    }
    if !wrong.is_empty() {
        wrong.push(format!("standard error was:\n{}", run.stderr));
    }
    Some(wrong)
}

#[test]
fn a_good_configuration_passes() {
    let Some(run) = run(&["check", "--config", "signalbox.toml"], &good(), &[]) else { return };
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn every_fault_of_a_file_is_told_at_once() {
    let config = good()
        .replacen(TIMEOUT, "timeout = \"never\"", 1)
        .replacen(NORTH, "name = \"north\"\nwindow = 0", 1)
        .replacen(ROUTE, "iin = \"99996\"\nissuer = \"oak\"", 1);
    let Some(run) = run(&["check", "--config", "signalbox.toml"], &config, &[]) else { return };
    assert_eq!(run.code, 78);
    for named in ["timeout", "window", "oak"] {
        assert!(run.stderr.contains(named), "{named} is not told:\n{}", run.stderr);
    }
}

#[test]
fn two_peers_of_one_name_are_a_fault() {
    let config = good();
    let start = config.find("[[acquirer]]").expect("an acquirer");
    let end = config.find("[[issuer]]").expect("an issuer");
    let config = config.replacen("[[issuer]]", &format!("{}[[issuer]]", &config[start..end]), 1);
    let Some(run) = run(&["check", "--config", "signalbox.toml"], &config, &[]) else { return };
    assert_eq!(run.code, 78, "{}", run.stderr);
    assert!(run.stderr.contains("north"), "{}", run.stderr);
}

#[test]
fn s33_plain_tcp_needs_its_flag_and_beyond_loopback_a_second() {
    let without = good().replacen("plain_tcp = true", "", 1);
    let beyond = good().replacen("listen = \"127.0.0.1:", "listen = \"0.0.0.0:", 2);
    let beyond = beyond.replacen("listen = \"0.0.0.0:", "listen = \"127.0.0.1:", 1);
    for config in [&without, &beyond] {
        let Some(run) = run(&["check", "--config", "signalbox.toml"], config, &[]) else { return };
        assert_eq!(run.code, 78, "{config}\n{}", run.stderr);
        assert!(run.stderr.contains("plain_tcp") || run.stderr.contains("tls"), "{}", run.stderr);
    }
    let allowed =
        beyond.replacen("plain_tcp = true", "plain_tcp = true\nplain_tcp_beyond_loopback = true", 1);
    let Some(run) = run(&["check", "--config", "signalbox.toml"], &allowed, &[]) else { return };
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn serve_with_a_fault_ends_with_78_before_any_port_opens() {
    let config = good().replacen(ROUTE, "iin = \"99996\"\nissuer = \"oak\"", 1);
    // Every port of the file is taken: a switch that opened one first would stumble over that instead.
    let taken: Vec<_> = config
        .split("listen = \"")
        .skip(1)
        .map(|rest| TcpListener::bind(rest.split('"').next().expect("an address")).expect("a free port"))
        .collect();
    assert_eq!(taken.len(), 2);
    let Some(run) = run(&["serve", "--config", "signalbox.toml"], &config, &[]) else { return };
    assert_eq!(run.code, 78, "{}", run.stderr);
    assert!(run.stderr.contains("oak") && !run.stderr.to_lowercase().contains("in use"), "{}", run.stderr);
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_78() {
    let Some(missing) = run(&["check", "--config", "elsewhere.toml"], "", &[]) else { return };
    assert_eq!(missing.code, 78, "{}", missing.stderr);
    assert!(missing.stderr.contains("elsewhere.toml"), "{}", missing.stderr);
    let Some(empty) = run(&["check", "--config", "signalbox.toml"], "", &[]) else { return };
    assert_eq!(empty.code, 78, "{}", empty.stderr);
}
