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
