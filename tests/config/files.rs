//! What `check` finds in the files that a configuration names: what a start would find.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tests::rig::places::free_address;
use tests::rig::tls::Authority;
use tests::{Rig, Setup};

fn start() -> Option<Rig> {
    let authority = Authority::new("ours");
    let identity = authority.identity("switch.example", 1);
    Setup::new()
        .acquirer("secure")
        .secured("acquirer.secure", &authority, &identity)
        .admin_token()
        .secret_file("console.token", "a-console-token-of-the-tests")
        .set("console.listen", free_address().to_string())
        .set("console.token_file", "console.token")
        .set("console.control", true)
        .set("console.audit_log", "audit.jsonl")
        .start()
}

fn check(rig: &Rig) -> (i32, String) {
    let (code, _, faults) = rig.run_whole(&["check", "--config", "signalbox.toml"]);
    (code, faults)
}

#[test]
fn check_finds_in_every_file_what_a_start_would_find() {
    let Some(mut rig) = start() else { return };
    let (code, said) = check(&rig);
    assert_eq!(code, 0, "beside a running switch: {said}");
    rig.crash();
    for (file, content, named) in [
        ("switch.pem", "no certificate", "acquirer secure: "),
        ("switch.key", "no key", "acquirer secure: "),
        ("ca.pem", "no certificate", "acquirer secure: "),
        ("access.token", "short", "at least 16 characters"),
        ("console.token", "short", "at least 16 characters"),
        ("journal.key", "5a", "64 hexadecimal digits"),
        ("audit.jsonl", "{}\n", "audit.jsonl:1: no hash"),
        ("journal/shards", "7\n", "made for 7 shards"),
    ] {
        let path = rig.folder().join(file);
        let sound = fs::read(&path).expect("it is there");
        fs::write(&path, content).expect("our own file");
        let (code, said) = check(&rig);
        assert!(
            code == 78
                && said.contains(named)
                && said.contains(file.rsplit('/').next_back().expect("a name")),
            "{file}: {code} {said}"
        );
        assert_eq!(rig.fail_to_start(), 78, "{file}");
        fs::write(&path, sound).expect("our own file");
    }
    let journal = rig.folder().join("journal");
    let open_to =
        |mode| fs::set_permissions(&journal, fs::Permissions::from_mode(mode)).expect("our own folder");
    open_to(0o755);
    let (code, said) = check(&rig);
    assert!(code == 78 && said.contains("chmod 700"), "{code} {said}");
    assert_eq!(rig.fail_to_start(), 78);
    open_to(0o700);
    assert_eq!(check(&rig).0, 0);
    rig.start_again();
}

#[test]
fn check_makes_nothing() {
    let Some(rig) = start() else { return };
    rig.crash();
    for name in ["journal", "audit.jsonl"] {
        let path = rig.folder().join(name);
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("our own folder").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let before = names(rig.folder());
    let (code, said) = check(&rig);
    assert_eq!(code, 0, "{said}");
    assert_eq!(names(rig.folder()), before);
    rig.forget();
}
