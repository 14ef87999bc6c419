//! `signalbox keys`, and a switch that is given a key it must not use.

use tests::TestToken;

use crate::{good, run};

const KEY: &str = "000102030405060708090A0B0C0D0E0F";

#[test]
fn keys_are_made_and_listed() {
    let Some(token) = TestToken::new() else { return };
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
    let Some(token) = TestToken::new() else { return };
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
    let Some(token) = TestToken::new() else { return };
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
        let softhsm = token.config().display().to_string();
        let run = run(&["serve", "--config", "signalbox.toml"], &config, &[("SOFTHSM2_CONF", &softhsm)]);
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
