//! Faults of the table `mac` of a peer, beside the sound configuration of `faults`.

use super::faults::SOUND;
use super::programs::tempfile;
use super::read;
use crate::config::{Config, Mac, MacAlgorithm};

/// The sound configuration with a token and these lines for the acquirer and the issuer `maple`.
fn with(acquirer: &str, issuer: &str) -> Result<Config, Vec<String>> {
    with_in(SOUND, acquirer, issuer)
}

fn with_in(sound: &str, acquirer: &str, issuer: &str) -> Result<Config, Vec<String>> {
    let module = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let pin_file = tempfile();
    let text = sound
        .replace("name = \"north\"\n", &format!("name = \"north\"\n{acquirer}\n"))
        .replace("name = \"maple\"\n", &format!("name = \"maple\"\n{issuer}\n"));
    let read = read(&format!("{text}\n[hsm]\nmodule = {module:?}\ntoken = \"t\"\npin_file = {pin_file:?}\n"));
    let _ = std::fs::remove_file(pin_file);
    read.map_err(|told| {
        told.lines().map(|line| line.split_once(": ").expect("a place").1.to_owned()).collect()
    })
}

fn config(acquirer: &str, issuer: &str) -> Config {
    with(acquirer, issuer).expect("sound")
}

#[test]
fn each_algorithm_with_its_own() {
    let cmac = "mac = { algorithm = \"aes-cmac\", key = \"k\", check_value = \"0A1B2C\" }";
    let retail = "mac = { algorithm = \"algorithm-3\", key = \"r\", check_value = \"0A1B2C\", left_check_value = \"0D0E0F\" }";
    let config = config(cmac, retail);
    let macs: Vec<_> = config.macs().map(|(peer, mac)| (peer, mac.cloned())).collect();
    assert_eq!(macs.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), ["north", "maple", "oak"]);
    let key = |key: &str, algorithm| Mac { key: key.to_owned(), check_value: [0x0A, 0x1B, 0x2C], algorithm };
    let padding = hsm::Padding::Zeros;
    let retail = MacAlgorithm::Algorithm3 { left_check_value: [0x0D, 0x0E, 0x0F], padding };
    assert_eq!(macs[0].1, Some(key("k", MacAlgorithm::AesCmac)));
    assert_eq!(macs[1].1, Some(key("r", retail)));
    assert_eq!(macs[2].1, None);
}

#[test]
fn faults() {
    let sound = [("algorithm", "\"aes-cmac\""), ("key", "\"k\""), ("check_value", "\"0A1B2C\"")];
    for (changes, fault) in [
        (&[("algorithm", "")][..], "no \"algorithm\""),
        (&[("key", "")], "no \"key\""),
        (&[("check_value", "")], "no \"check_value\""),
        (&[("key", "7")], "key = 7"),
        (&[("check_value", "\"0A1B\"")], "six hexadecimal digits"),
        (
            &[("algorithm", "\"des-cmac\"")],
            "unknown algorithm \"des-cmac\", expected one of algorithm-3, aes-cmac",
        ),
        (&[("algorithm", "\"algorithm-3\"")], "no \"left_check_value\""),
        (&[("padding", "1")], "a setting of algorithm-3"),
        (&[("left_check_value", "\"0A1B2C\"")], "a setting of algorithm-3"),
        (
            &[("algorithm", "\"algorithm-3\""), ("left_check_value", "\"0A1B2C\""), ("padding", "3")],
            "from 1 to 2",
        ),
        (&[("kye", "\"k\"")], "unknown key \"kye\""),
    ] {
        let unchanged =
            sound.into_iter().filter(|(key, _)| changes.iter().all(|(changed, _)| changed != key));
        let settings = unchanged.chain(changes.iter().copied().filter(|(_, value)| !value.is_empty()));
        let settings: Vec<String> = settings.map(|(key, value)| format!("{key} = {value}")).collect();
        let mac = format!("mac = {{ {} }}", settings.join(", "));
        for (acquirer, issuer) in [(mac.as_str(), ""), ("", mac.as_str())] {
            let told = with(acquirer, issuer).map(|_| ()).expect_err("a fault");
            assert!(told.len() == 1 && told[0].contains(fault), "{mac}: {told:?}");
        }
    }
    assert!(with("mac = \"k\"", "").map(|_| ()).expect_err("a fault")[0].contains("a table"));
}

#[test]
fn what_it_needs_beside_it() {
    let mac = "mac = { algorithm = \"aes-cmac\", key = \"k\", check_value = \"0A1B2C\" }";
    let text = SOUND.replace("name = \"maple\"\n", &format!("name = \"maple\"\n{mac}\n"));
    let told = read(&text).map(|_| ()).expect_err("no token");
    assert_eq!(told, "f.toml:12:7: found a mac and no [hsm], expected a token that has its key");
    let told = with(&format!("{mac}\nframing = {{ max = \"16KiB\" }}"), "")
        .map(|_| ())
        .expect_err("frames that are too long");
    assert_eq!(
        told,
        ["found a mac for frames of up to 16384 bytes, expected framing.max = \"8KiB\" or less"]
    );
}

#[test]
fn a_timeout_that_the_token_may_use_up_is_warned_of() {
    let mac = "mac = { algorithm = \"aes-cmac\", key = \"k\", check_value = \"0A1B2C\" }";
    let warned = |timeout: &str, acquirer: &str, issuer: &str| {
        let warnings = with_in(&SOUND.replace("10s", timeout), acquirer, issuer).expect("sound").warnings;
        warnings.iter().filter(|warning| warning.starts_with("issuer maple: a timeout")).count()
    };
    assert_eq!(warned("750ms", "", mac), 1);
    assert_eq!(warned("751ms", "", mac), 0);
    assert_eq!(warned("750ms", mac, ""), 0);
}

#[test]
fn a_reload_leaves_it_as_it_was() {
    let mac = |key: &str| {
        format!("mac = {{ algorithm = \"aes-cmac\", key = \"{key}\", check_value = \"0A1B2C\" }}")
    };
    let (old, new) = (config(&mac("k"), &mac("k")), config(&mac("other"), ""));
    let merged = crate::config::effective::merged(&old, &new).expect("the same peers");
    assert!(merged.macs().eq(old.macs()));
    let needs_restart = |setting: &&crate::config::Setting| setting.path.contains(".mac.");
    let listed: Vec<String> = crate::config::settings(&merged)
        .iter()
        .filter(needs_restart)
        .map(|setting| format!("{} {} {:?}", setting.path, setting.value, setting.changed_by))
        .collect();
    let lines = |peer: &str| {
        [("key", "k"), ("check_value", "0A1B2C"), ("algorithm", "aes-cmac")]
            .map(|(setting, value)| format!("{peer}.mac.{setting} \"{value}\" Restart"))
    };
    assert_eq!(listed, [lines("acquirer.north"), lines("issuer.maple")].concat());
}
