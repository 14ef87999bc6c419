//! Faults of `[hsm]` and `[[program]]`, beside the sound configuration of `faults`.

use std::collections::BTreeSet;

use super::faults::SOUND;
use super::{EXAMPLE, read};
use crate::config::{Config, settings};

/// Adds a token and a program to the sound configuration, and tells what is wrong.
fn with_program(changes: &str) -> Vec<String> {
    let told = config_with_program(changes).map(|_| ()).err().unwrap_or_default();
    told.lines().map(|line| line.split_once(": ").expect("a place").1.to_owned()).collect()
}

/// The same, and what is made of it.
fn config_with_program(changes: &str) -> Result<Config, String> {
    let module = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let base = "name = \"wallet\"\nkind = \"rotating_atc\"\niins = [\"99991\"]\nkey = \"k\"\ncheck_value = \"0A1B2C\"\n";
    let changed: Vec<&str> = changes.lines().filter_map(|line| line.split(' ').next()).collect();
    let kept = base.lines().filter(|line| !changed.contains(&line.split(' ').next().unwrap_or_default()));
    let program = kept.collect::<Vec<_>>().join("\n");
    let folder = tempfile();
    let given: Vec<&str> = changes.lines().filter(|line| !line.ends_with("= ")).collect();
    let changes = given.join("\n");
    let text = format!(
        "{SOUND}\n[hsm]\nmodule = {module:?}\ntoken = \"t\"\npin_file = {folder:?}\n[[program]]\n{program}\n{changes}\n"
    );
    let config = read(&text);
    let _ = std::fs::remove_file(folder);
    config
}

/// A file for its owner alone.
pub(super) fn tempfile() -> std::path::PathBuf {
    use std::os::unix::fs::OpenOptionsExt;
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("signalbox-pin-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path).unwrap();
    path
}

#[test]
fn programs() {
    assert_eq!(with_program(""), Vec::<String>::new());
    for (changes, fault) in [
        ("kind = \"rotating\"", "unknown kind of program"),
        ("iins = []", "program \"wallet\" without iins"),
        (
            "iins = [\"999910\", \"99992\", \"409910\"]",
            "begin with 999910 and 409910, of which some have the same codes",
        ),
        ("iins = [\"9999101\", \"4099\"]", "begin with 9999101 and 4099, of which some have the same codes"),
        ("iins = [\"9\"]", "begin with 9 and 9, of which some have the same codes"),
        ("check_value = \"0A1B\"", "six hexadecimal digits"),
        ("layout = \"Q\"", "a layout of another kind of program"),
        ("challenge_ttl = \"1s\"", "a setting of challenges"),
        ("exposure = \"all\"", "unknown exposure"),
        ("exposure = \"card\"", "exposure \"card\", expected \"none\" or \"session\""),
        (
            "kind = \"challenge\"\nexposure = \"session\"",
            "exposure \"session\", expected \"none\" or \"card\"",
        ),
        (
            "kind = \"challenge\"\nresponse = \"enrolled\"\nexposure = \"none\"",
            "exposure \"none\", expected none of it",
        ),
        ("tries_per_card = 11", "from 1 to 10"),
        // Ten guesses of four digits are the most that the layout itself declares.
        ("guess_ceiling = 0.0005", "10 tries of 4 digits: a guess is right with 1e-3"),
        ("layout = \"R19\"\ntries_per_card = 2", "2 tries of 3 digits: a guess is right with 2e-3"),
        ("name = \"Wallet\"", "1 to 32 of a-z"),
        ("pcvc3 = \"00F0\"", "a setting of profile cvc3"),
        ("response = \"enrolled\"", "a response of rotating ATCs"),
        ("kind = \"challenge\"\nresponse = \"known\"", "unknown response"),
        ("kind = \"challenge\"\nprofile = \"aes\"", "a profile of challenges"),
        ("atc_ahead = 100", "a setting of cards' own counters"),
        ("kind = \"challenge\"\natc_digits = 4", "a setting of cards' own counters"),
    ] {
        let told = with_program(changes);
        assert!(told.len() == 1 && told[0].contains(fault), "{changes}: {told:?}");
    }
}

#[test]
fn profile_cvc3_needs_its_key_and_places() {
    let whole = "profile = \"cvc3\"\nexposure = \"session\"\ncvc3_key = \"i\"\ncvc3_check_value = \"0A1B2C\"\n\
                 pcvc3 = \"00F0\"\npunatc = \"0F0E\"";
    assert_eq!(with_program(whole), Vec::<String>::new());
    assert_eq!(with_program(&whole.replace("session", "card")), Vec::<String>::new());
    for (from, to, fault) in [
        ("session", "none", "exposure \"none\", expected \"session\" or \"card\""),
        ("exposure = \"session\"\n", "", "profile cvc3 with exposure none"),
        ("cvc3_key = \"i\"\n", "", "cvc3_key"),
        ("punatc = \"0F0E\"", "punatc = \"0F0F\"", "pcvc3 00F0 and punatc 0F0F"),
        ("punatc = \"0F0E\"", "punatc = \"0F1E\"", "pcvc3 00F0 and punatc 0F1E"),
        ("punatc = \"0F0E\"", "punatc = \"F0E\"", "four hexadecimal digits"),
        ("pcvc3", "layout = \"R\"\npcvc3", "a layout beside profile cvc3"),
        // Three digits of a code bear one wrong one.
        ("pcvc3 = \"00F0\"", "tries_per_card = 2\npcvc3 = \"00E0\"", "2 tries of 3 digits"),
        ("exposure", "derivation = \"C\"\nexposure", "unknown derivation"),
    ] {
        let told = with_program(&whole.replacen(from, to, 1));
        assert!(told.len() == 1 && told[0].contains(fault), "{to}: {told:?}");
    }
}

/// What the example says of a program, over the three kinds that there are.
#[test]
fn every_setting_of_a_program_is_listed() {
    let example = EXAMPLE.split_once("# [[program]]\n").expect("an example").1;
    let written =
        example.lines().map_while(|line| line.strip_prefix("# ").or_else(|| line.strip_prefix("   ")));
    let written: BTreeSet<&str> = written.filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    let kinds = [
        "profile = \"cvc3\"\nexposure = \"card\"\npcvc3 = \"00F0\"\npunatc = \"0F0E\"\ncvc3_key = \"c\"\ncvc3_check_value = \"0A1B2C\"",
        "kind = \"challenge\"\nrequired_above = 2500\ncurrency = \"840\"",
        "kind = \"contactless\"\npcvc3 = \"00F0\"\npunatc = \"0F0E\"\nguess_ceiling = 0.002",
    ];
    let listed: Vec<_> = kinds
        .into_iter()
        .flat_map(|kind| settings(&config_with_program(kind).expect("sound")))
        .filter_map(|setting| Some((setting.path.strip_prefix("program.wallet.")?.to_owned(), setting.value)))
        .collect();
    let missing =
        written.iter().filter(|key| **key != "name" && !listed.iter().any(|(path, _)| path == *key));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new());
    assert!(written.contains("guess_ceiling"), "{written:?}");
    let ceilings: Vec<&str> =
        listed.iter().filter(|(path, _)| path == "guess_ceiling").map(|(_, value)| value.as_str()).collect();
    assert_eq!(ceilings, ["0.001", "0.0001", "0.002"]);
}

#[test]
fn cards_without_a_route_and_places_that_no_track_has_are_warnings() {
    let warnings = |changes: &str| config_with_program(changes).expect("sound").warnings;
    let contactless = "kind = \"contactless\"\npcvc3 = \"00F0\"\npunatc = \"0F0E\"";
    assert_eq!(warnings(&format!("{contactless}\niins = [\"999961\", \"9999\"]")), Vec::<String>::new());
    assert_eq!(
        warnings(&format!("{contactless}\niins = [\"999961\", \"99998\"]")),
        ["program wallet: no route covers its cards 99998"]
    );
    // Others pay for them.
    assert_eq!(warnings("iins = [\"99998\"]"), Vec::<String>::new());
    let wide = "kind = \"contactless\"\niins = [\"999961\"]\npcvc3 = \"00F0\"\npunatc";
    assert_eq!(warnings(&format!("{wide} = \"1F0E\"\natc_digits = 5")), Vec::<String>::new());
    let told = warnings(&format!("{wide} = \"2F0E\"\natc_digits = 5"));
    assert!(told.len() == 1 && told[0].contains("need 14 digits of discretionary data"), "{told:?}");
}

#[test]
fn contactless_cards_need_places_and_a_window_that_guesses_do_not_hit() {
    let whole = "kind = \"contactless\"\npcvc3 = \"00F0\"\npunatc = \"0F0E\"";
    assert_eq!(with_program(whole), Vec::<String>::new());
    for sound in [
        "atc_ahead = 9989\natc_behind = 10",
        "atc_behind = 0\nderivation = \"B\"",
        // All the digits there are, and all the counters.
        "atc_digits = 5\npunatc = \"1F0E\"\natc_ahead = 65535\natc_behind = 64",
        // Two counters end in the same two digits, and five tries are the half of ten.
        "atc_digits = 2\natc_ahead = 150\ntries_per_card = 5",
        "atc_digits = 1\natc_ahead = 149\nguess_ceiling = 0.02",
        // Three digits of a code bear one wrong one.
        "pcvc3 = \"00E0\"",
        "exposure = \"card\"",
    ] {
        let told = with_program(&with_changes(whole, sound));
        assert!(told.is_empty(), "{sound}: {told:?}");
    }
    for (changes, fault) in [
        ("pcvc3 = ", "found no \"pcvc3\""),
        ("punatc = ", "found no \"punatc\""),
        (
            "punatc = \"0F0F\"",
            "pcvc3 00F0 and punatc 0F0F, expected 1 to 5 digits of the code; 4 of the counter",
        ),
        (
            "atc_digits = 5\npunatc = \"0F00\"",
            "pcvc3 00F0 and punatc 0F00, expected 1 to 5 digits of the code; 5 of the",
        ),
        ("atc_digits = 0", "from 1 to 5"),
        ("atc_digits = 6", "from 1 to 5"),
        ("atc_ahead = 0", "from 1 to 65535"),
        ("atc_behind = 65", "from 0 to 64"),
        ("tries_per_card = 11", "from 1 to 10"),
        ("tries_window = \"0s\"", "from \"1ms\" to"),
        ("derivation = \"C\"", "unknown derivation"),
        ("check_value = \"0A1B\"", "six hexadecimal digits"),
        ("key = ", "found no \"key\""),
        // One counter more ends in the same digits.
        (
            "atc_ahead = 9990\natc_behind = 10",
            "10 tries of 4 digits for 2 counters: a guess is right with 2e-3",
        ),
        ("atc_digits = 2", "10 tries of 4 digits for 2 counters: a guess is right with 2e-3"),
        ("guess_ceiling = 0.0005", "10 tries of 4 digits: a guess is right with 1e-3"),
        (
            "atc_digits = 1\natc_ahead = 150\nguess_ceiling = 1.0",
            "17 of 161 counters in reach with the same 1 digits",
        ),
        ("layout = \"R\"", "a setting of proxy cards"),
        ("exposure = \"session\"", "exposure \"session\", expected \"none\" or \"card\""),
        ("profile = \"cvc3\"", "a setting of proxy cards"),
        ("cvc3_key = \"i\"", "a setting of proxy cards"),
        ("cvc3_check_value = \"0A1B2C\"", "a setting of proxy cards"),
        ("response = \"computed\"", "a setting of proxy cards"),
        ("tries_per_secret = 3", "a setting of proxy cards"),
        ("required_above = 1", "a setting of proxy cards"),
        ("currency = \"840\"", "a setting of proxy cards"),
        ("challenge_ttl = \"1s\"", "a setting of proxy cards"),
    ] {
        let told = with_program(&with_changes(whole, changes));
        assert!(told.len() == 1 && told[0].contains(fault), "{changes}: {told:?}");
    }
}

/// These settings, some of them changed: `key = ` takes one away.
fn with_changes(settings: &str, changes: &str) -> String {
    let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let changed: Vec<String> = changes.lines().map(name).collect();
    let kept = settings.lines().filter(|line| !changed.contains(&name(line)));
    kept.chain(changes.lines()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_program_needs_a_token() {
    let text = format!(
        "{SOUND}\n[[program]]\nname = \"wallet\"\nkind = \"challenge\"\niins = [\"99991\"]\nkey = \"k\"\ncheck_value = \"0A1B2C\"\n"
    );
    assert!(read(&text).map(|_| ()).unwrap_err().contains("a program and no [hsm]"));
}

#[test]
fn production_forgives_nothing() {
    let pin = tempfile();
    let token = format!(
        "[hsm]\nmodule = \"devtoken\"\ntoken = \"t\"\npin_file = {pin:?}\nplacement = \"inline\"\n\
         [[program]]\nname = \"wallet\"\nkind = \"challenge\"\niins = [\"99991\"]\nkey = \"k\"\n\
         check_value = \"0A1B2C\"\nmodifiable_key = true\n"
    );
    let text =
        SOUND.replacen("plain_tcp = true", "plain_tcp = true\nplain_tcp_beyond_loopback = true", 1) + &token;
    let faults = |profile: &str| {
        let text = text.replacen("shards = 1", &format!("shards = 1\nprofile = {profile:?}"), 1);
        let told = read(&text).map(|_| ()).err().unwrap_or_default();
        told.lines().filter(|line| line.contains("in profile")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(faults("development"), Vec::<String>::new());
    let expected = [
        "f.toml:10:29: found plain_tcp_beyond_loopback = true in profile \"production\"",
        "f.toml:26:10: found the development token in profile \"production\"",
        "f.toml:29:13: found placement \"inline\" in profile \"production\"",
        "f.toml:30:1: found a program and no [journal] in profile \"production\"",
        "f.toml:36:18: found modifiable_key = true in profile \"production\"",
    ];
    let found = faults("production");
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(&format!("{expected}, expected ")), "{found}");
    }
    let _ = std::fs::remove_file(pin);

    // On loopback there is nobody to listen.
    assert!(read(&SOUND.replacen("shards = 1", "profile = \"production\"", 1)).is_ok());
    assert!(
        read(&SOUND.replacen("shards = 1", "profile = \"prod\"", 1)).unwrap_err().contains("unknown profile")
    );
}

#[test]
fn the_key_of_a_journal_is_on_the_token_or_in_a_file() {
    let (pin, module) = (tempfile(), concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let token = format!("[hsm]\nmodule = {module:?}\ntoken = \"t\"\npin_file = {pin:?}\n");
    let file = format!("key_file = {pin:?}\n");
    let told = |sound: &str, journal: &str, token: &str| {
        read(&format!("{sound}\n[journal]\ndir = \"j\"\n{journal}{token}"))
            .map(|_| ())
            .err()
            .unwrap_or_default()
    };
    let key = "key = \"k\"\ncheck_value = \"0a1B2C\"\n";
    assert_eq!(told(SOUND, key, &token), "");
    assert_eq!(told(SOUND, &file, ""), "");
    for (journal, token, fault) in [
        (key, "", "and no [hsm]"),
        ("key = \"k\"\n", &*token, "found no \"check_value\""),
        ("key = \"k\"\ncheck_value = \"0A\"\n", &token, "six hexadecimal digits"),
        (&format!("{key}{file}"), &token, "found key and key_file"),
    ] {
        let told = told(SOUND, journal, token);
        assert!(told.lines().count() == 1 && told.contains(fault), "{journal}: {told}");
    }
    let production = SOUND.replacen("shards = 1", "profile = \"production\"", 1);
    assert_eq!(told(&production, key, &token), "");
    assert!(told(&production, &file, "").contains("key_file in profile \"production\""));
    let _ = std::fs::remove_file(pin);
}
