//! `signalbox keys`, and a switch that is given a key it must not use.

use tests::{TestToken, TokenKind};

use crate::{good, run};

const KEY: &str = "000102030405060708090A0B0C0D0E0F";

#[test]
fn keys_are_made_and_listed() {
    TokenKind::ALL.into_iter().for_each(keys_are_made_and_listed_on);
}

fn keys_are_made_and_listed_on(kind: TokenKind) {
    let Some(token) = TestToken::of(kind) else { return };
    assert_eq!(token.keys("list", &[]).trim(), "");
    // The first three bytes of a block of zeros under the key, as any other tool tells them.
    assert_eq!(token.import("counters", "rotating-atc", KEY), "C6A13B");
    let made = token.keys("generate", &["--label", "responses", "--usage", "challenge"]);
    let listed = token.keys("list", &[]);
    assert!(
        listed.contains("C6A13B  counters") && listed.contains(made.trim().rsplit(' ').next().expect("one"))
    );
    assert!(!listed.contains("not usable") && listed.contains("CounterMaster or ResponseMaster"), "{listed}");
    assert!(!listed.to_uppercase().contains(KEY));
}

#[test]
fn what_custodians_are_refused() {
    TokenKind::ALL.into_iter().for_each(what_custodians_are_refused_on);
}

fn what_custodians_are_refused_on(kind: TokenKind) {
    let Some(token) = TestToken::of(kind) else { return };
    let _ = token.import("counters", "rotating-atc", KEY);
    let refused = |arguments: &[&str]| {
        let output = token.try_keys("generate", arguments);
        assert_eq!(output.status.code(), Some(78));
        String::from_utf8(output.stderr).expect("text")
    };
    assert!(refused(&["--label", "counters", "--usage", "challenge"]).contains("has this label"));
    let output = token.try_keys("list", &["--token", "another"]);
    assert!(!output.status.success());
}

#[test]
fn a_switch_starts_with_the_keys_it_was_told_of_or_not_at_all() {
    TokenKind::ALL.into_iter().for_each(a_switch_starts_with_the_keys_it_was_told_of_or_not_at_all_on);
}

fn a_switch_starts_with_the_keys_it_was_told_of_or_not_at_all_on(kind: TokenKind) {
    let Some(token) = TestToken::of(kind) else { return };
    let _ = token.import("counters", "rotating-atc", KEY);
    let _ = token.import("responses", "challenge", KEY);
    let started = |key: &str, check_value: &str| {
        let config = format!(
            "{}\n[hsm]\nmodule = {:?}\ntoken = {:?}\npin_file = {:?}\n[[program]]\nname = \"wallet\"\n\
             kind = \"rotating_atc\"\niins = [\"99991\"]\nkey = \"{key}\"\ncheck_value = \"{check_value}\"\n",
            good(),
            token.module(),
            TestToken::LABEL,
            token.pin_file()
        );
        let (variable, place) = token.environment();
        let run = run(&["serve", "--config", "signalbox.toml"], &config, &[(variable, &place)]);
        let run = run.expect("a binary");
        (run.code, run.stderr)
    };
    for (key, check_value, said) in [
        ("absent", "C6A13B", "not on the token"),
        ("counters", "000000", "another key, with check value C6A13B"),
        // Derives by the same mechanism, but both uses are one to the token: their check value tells them apart.
        ("responses", "C6A13C", "another key"),
    ] {
        let (code, stderr) = started(key, check_value);
        assert_eq!(code, 78, "{stderr}");
        assert!(stderr.contains(said) && stderr.contains("wallet"), "{stderr}");
    }
}

/// What whoever chooses a module wants to know of it.
#[test]
fn a_module_is_probed_mechanism_by_mechanism() {
    for kind in TokenKind::ALL {
        let Some(token) = TestToken::of(kind) else { return };
        let told = token.keys("probe", &["--json"]);
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        let lines = told.as_array().expect("a list");
        assert!(lines.len() >= 7, "{told}");
        for line in lines {
            assert_eq!(
                (line["listed"].as_bool(), line["works"].as_bool()),
                (Some(true), Some(true)),
                "{line}"
            );
            assert!(line["per_second"].as_f64().is_some_and(|rate| rate > 100.0), "{line}");
        }
        let text = token.keys("probe", &[]);
        assert!(text.contains("CKM_DES3_ECB_ENCRYPT_DATA") && text.contains("works"), "{text}");
    }
}

/// What comes out is for the device alone, and no two are alike.
#[test]
fn private_counters_leave_sealed_or_not_at_all() {
    let Some(token) = TestToken::of(TokenKind::Devtoken) else { return };
    let check_value = token.import("open", "rotating-atc-session", KEY);
    let _ = token.import("shut", "rotating-atc", KEY);
    let device_key = "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d";
    let line = format!(
        r#"{{"pan":"9999100000000010","psn":1,"id":1,"first":40,"count":10,"device_key":"{device_key}"}}"#
    );
    let file = token.file("bundles.jsonl", &line);
    let deliver = |label: &str| {
        token.try_keys(
            "deliver",
            &["--label", label, "--check-value", &check_value, &file.display().to_string()],
        )
    };
    let told: Vec<serde_json::Value> = [deliver("open"), deliver("open")]
        .map(|output| {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice(&output.stdout).expect("JSON")
        })
        .into();
    for delivery in &told {
        assert_eq!(delivery["card"], "999910******0010");
        assert_eq!(delivery["aad"], "9910000000001001000000010028000a");
        let ciphertext = delivery["ciphertext"].as_str().expect("digits");
        assert_eq!(ciphertext.len(), 2 * (10 * 16 + 16));
        assert!(!ciphertext.contains("d72c36c9d86d20658dbb3df7658c6f68"), "the counter of 0042");
    }
    assert!(told[0]["enc"] != told[1]["enc"] && told[0]["ciphertext"] != told[1]["ciphertext"]);
    let refused = deliver("shut");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("may derive"), "{said}");
    assert!(refused.stdout.is_empty());
}

/// A second module in the same process would find any other symbol of PKCS#11 in place of its own.
#[test]
fn the_binary_exports_one_symbol_of_pkcs11() {
    let Some(binary) = tests::rig::process::binary() else { return };
    let Ok(output) = std::process::Command::new("nm").arg("-D").arg("--defined-only").arg(&binary).output()
    else {
        return tests::rig::process::not_run("nm, of the package binutils");
    };
    let symbols = String::from_utf8_lossy(&output.stdout).into_owned();
    let of_pkcs11: Vec<_> = symbols
        .lines()
        .filter_map(|line| line.split(' ').next_back())
        .filter(|name| name.starts_with("C_"))
        .collect();
    assert_eq!(of_pkcs11, ["C_GetFunctionList"]);
}
