//! `signalbox keys`, and a switch that is given a key it must not use.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use tests::rig::process;
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
    assert!(!listed.contains("not usable") && listed.contains("rotating-atc or challenge"), "{listed}");
    assert!(!listed.to_uppercase().contains(KEY));
}

#[test]
fn a_key_comes_in_components() {
    let Some(token) = TestToken::new() else { return };
    let import = |label: &str, usage: &str, components: &[&str], more: &[&str]| {
        let files: Vec<String> = (0_u8..)
            .zip(components)
            .map(|(at, text)| token.secret(&format!("component-{at}"), text).display().to_string())
            .collect();
        let mut arguments = vec!["--label", label, "--usage", usage];
        files.iter().for_each(|file| arguments.extend(["--component-file", file]));
        arguments.extend(more);
        let output = token.try_keys("import", &arguments);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        (output.status.code(), said)
    };
    // Two components of which the sum, bit by bit, is the known key; check values by another tool.
    let (one, other) = ("101112131415161718191A1B1C1D1E1F EDA330", "10101010101010101010101010101010 1E9F9E");
    let (code, said) = import("counters", "rotating-atc", &[one, other], &["--check-value", "C6A13B"]);
    assert_eq!((code, said.trim()), (Some(0), "counters C6A13B"));
    let refused = |components: &[&str], more: &[&str], why: &str| {
        let (code, said) = import("another", "rotating-atc", components, more);
        assert!(code == Some(78) && said.contains(why), "{said}");
    };
    refused(&[one], &[], "two or three components");
    refused(&[one, one], &[], "all zeros");
    refused(
        &["101112131415161718191A1B1C1D1E1F 000000", other],
        &[],
        "its check value is EDA330, not 000000",
    );
    refused(&["101112131415161718191A1B1C1D1E1F", other], &[], "not a component and its check value");
    refused(&[one, other], &["--check-value", "000000"], "nothing was kept");
    // What is made in pairs is there in pairs.
    let (whole, nothing) =
        ("0123456789ABCDEFFEDCBA9876543210 08D7B4", "01010101010101010101010101010101 8CA64D");
    let (code, said) = import("cvk", "cvv", &[whole, nothing], &[]);
    assert_eq!(code, Some(0), "{said}");
    let listed = token.keys("list", &[]);
    assert!(!listed.contains("not usable") && !listed.contains("another"), "{listed}");
    assert!(listed.lines().count() == 3 && listed.contains("cvk-left"), "{listed}");
    for line in said.lines() {
        let (label, check_value) = line.split_once(' ').expect("two words");
        assert!(listed.contains(&format!("{check_value}  {label}")), "{listed}");
    }
}

#[test]
fn a_pin_that_others_can_read_is_refused() {
    let Some(token) = TestToken::new() else { return };
    let file = token.pin_file();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("our own file");
    let output = token.try_keys("list", &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(78) && said.contains("mode 640"), "{said}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).expect("our own file");
    let _ = token.keys("list", &[]);
}

#[test]
fn a_development_token_without_its_folder_names_the_variable() {
    let Some(token) = TestToken::of(TokenKind::Devtoken) else { return };
    let list = |folder: Option<String>| {
        let mut command = Command::new(process::binary().expect("there is a token"));
        command.args(["keys", "list", "--module", "devtoken", "--token", TestToken::LABEL, "--pin-file"]);
        command.arg(token.pin_file()).env_remove("SIGNALBOX_DEVTOKEN");
        let output = command.envs(folder.map(|folder| ("SIGNALBOX_DEVTOKEN", folder))).output();
        let output = output.expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (is_listed, said) = list(None);
    assert!(!is_listed && said.contains("SIGNALBOX_DEVTOKEN names no folder"), "{said}");
    assert!(list(Some(token.environment().1)).0);
}

#[test]
fn custodians_type_their_components() {
    let Some(token) = TestToken::new() else { return };
    let typed = "101112131415161718191a1b1c1d1e1f\neda330\n10101010101010101010101010101010\n1E9F9E\n";
    let arguments = ["--label", "counters", "--usage", "rotating-atc", "--components", "2"];
    let output = token.typed_keys("import", &arguments, typed);
    let said = String::from_utf8(output.stdout).expect("text");
    assert_eq!(said.trim(), "counters C6A13B");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert!(stderr.contains("component 2 of 2") && !stderr.contains("1011"), "{stderr}");
    let wrong = token.typed_keys("import", &arguments, &typed.replace("eda330", "eda331"));
    assert_eq!(wrong.status.code(), Some(78));
}

#[test]
fn a_key_comes_in_a_key_block() {
    let Some(token) = TestToken::new() else { return };
    // tr31_unwrap-01 of the vectors: its protection key and its block, a PIN encryption key that only encrypts.
    let protection = token.import("kbpk", "key-block", "A1A816C4DADF9701EA31FD6B1AC28952");
    let block =
        "B0096P0TE00E0000AD65928873D2DCA89EB096B6ABC359100EF21D113C0BF5559EC245A5AE09C6933D5126B73195B26F";
    let import = |label: &str, usage: &str, block: &str, check_value: &str| {
        let file = token.secret("block", block).display().to_string();
        let key = ["--label", label, "--usage", usage, "--key-block-file", &file];
        let by = ["--protection", "kbpk", "--protection-check-value", check_value];
        let output = token.try_keys("import", &[&key[..], &by].concat());
        let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        (output.status.code(), said)
    };
    let (code, said) = import("zone", "pin-out", block, &protection);
    assert_eq!(code, Some(0), "{said}");
    let made = said.trim().rsplit(' ').next().expect("a check value").to_owned();
    // The same key, put there in the clear, has the same check value.
    assert_eq!(token.import("same", "pin-out", "3DDADFB0DC7654049D89B96E048AE3EC"), made);
    for (usage, block, check_value, why) in [
        ("pin-in", block, &*protection, "for something else: P0 T E"),
        ("mac-cmac", block, &protection, "for something else: P0 T E"),
        ("pin-out", &block.replace("B26F", "B26E"), &protection, "changed, or another key protects it"),
        ("pin-out", &block.replace("00E0000", "00N0000"), &protection, "changed, or another key protects it"),
        ("pin-out", block, "000000", "another key, with check value"),
    ] {
        let (code, said) = import("refused", usage, block, check_value);
        assert!(code == Some(78) && said.contains(why), "{usage}: {said}");
    }
    assert!(!token.keys("list", &[]).contains("refused"));
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
    let started = |key: &str, check_value: &str, iins: &str| {
        let config = format!(
            "{}\n[hsm]\nmodule = {:?}\ntoken = {:?}\npin_file = {:?}\n[[program]]\nname = \"wallet\"\n\
             kind = \"rotating_atc\"\niins = [{iins}]\nkey = \"{key}\"\ncheck_value = \"{check_value}\"\n",
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
        let (code, stderr) = started(key, check_value, "\"99991\"");
        assert_eq!(code, 78, "{stderr}");
        assert!(stderr.contains(said) && stderr.contains("wallet"), "{stderr}");
    }
    let (code, stderr) = started("counters", "C6A13B", "\"999910\", \"409910\"");
    assert_eq!(code, 78, "{stderr}");
    assert!(stderr.contains("999910 and 409910, of which some have the same codes"), "{stderr}");
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
    let file = token.secret("bundles.jsonl", &line);
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
