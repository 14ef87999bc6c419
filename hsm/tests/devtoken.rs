//! The development token as other programs see it: by the symbol it exports, and driven by `pkcs11-tool`, which
//! knows nothing of us.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, process};

use hsm::Secret;
use hsm::token::{OpenError, Token};

/// Names what reaches the development token, so that it is linked into this program.
#[used]
static LINKED: fn(&Path, &str, &Secret) -> Result<Token, OpenError> = Token::open;

/// Says that a test was not run, and fails where all must be.
fn not_run(what: &str) {
    let all = env::var("SIGNALBOX_TESTS").is_ok_and(|which| which == "all");
    assert!(!all, "needs {what}, which hsm/setup.sh installs");
    eprintln!("NOT RUN, needs {what}, which hsm/setup.sh installs");
}

/// The names that a program or library exports and that are PKCS#11's.
fn exported(file: &Path) -> Option<Vec<String>> {
    let output = Command::new("nm").arg("-D").arg("--defined-only").arg(file).output().ok()?;
    assert!(output.status.success(), "nm {}", file.display());
    let text = String::from_utf8(output.stdout).expect("text");
    let names = text.lines().filter_map(|line| line.split(' ').next_back());
    Some(names.filter(|name| name.starts_with("C_")).map(str::to_owned).collect())
}

/// The library that other programs load, where cargo puts what a test depends on.
fn library() -> PathBuf {
    env::current_exe().expect("this test").with_file_name("libdevtoken.so")
}

#[test]
fn one_symbol_is_exported_and_no_other() {
    for file in [env::current_exe().expect("this test"), library()] {
        match exported(&file) {
            Some(names) => assert_eq!(names, ["C_GetFunctionList"], "{}", file.display()),
            None => return not_run("nm"),
        }
    }
}

#[test]
fn pkcs11_tool_drives_it() {
    let folder = env::temp_dir().join(format!("signalbox-devtoken-{}", process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    if Command::new("pkcs11-tool").arg("--version").output().is_err() {
        return not_run("pkcs11-tool");
    }
    let tool = |arguments: &[&str]| -> Output {
        let mut command = Command::new("pkcs11-tool");
        command.arg("--module").arg(library()).args(arguments).env("SIGNALBOX_DEVTOKEN", &folder);
        command.output().expect("it runs")
    };
    let said = |arguments: &[&str]| {
        let output = tool(arguments);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    };
    said(&["--init-token", "--label", "bench", "--so-pin", "9999-9999"]);
    said(&["--init-pin", "--login", "--login-type", "so", "--so-pin", "9999-9999", "--new-pin", "4711-0815"]);
    let slots = said(&["--list-token-slots"]);
    assert!(slots.contains("DEV-ONLY") && slots.contains("bench"), "{slots}");
    let mechanisms = said(&["--list-mechanisms"]);
    for name in ["DES3-ECB", "AES-CMAC", "SHA256-HMAC"] {
        assert!(mechanisms.contains(name), "{name} in {mechanisms}");
    }
    let user = ["--login", "--pin", "4711-0815"];
    said(&[&user[..], &["--keygen", "--key-type", "AES:16", "--label", "mine", "--id", "01"]].concat());
    let listed = said(&[&user[..], &["--list-objects", "--type", "secrkey"]].concat());
    assert!(listed.contains("mine") && listed.contains("AES length 16"), "{listed}");
    // Encrypted by one call of the program and decrypted by another: the key is on the token.
    let [clear, made, back] = ["clear", "made", "back"].map(|name| folder.join(name).display().to_string());
    fs::write(&clear, b"sixteen bytes ..").expect("a file");
    let crypt = |way, from: &str, to: &str| {
        let what = [way, "--id", "01", "-m", "AES-ECB", "--input-file", from, "--output-file", to];
        said(&[&user[..], &what[..]].concat())
    };
    crypt("--encrypt", &clear, &made);
    crypt("--decrypt", &made, &back);
    assert_ne!(fs::read(&made).expect("a file"), b"sixteen bytes ..");
    assert_eq!(fs::read(&back).expect("a file"), b"sixteen bytes ..");
    let refused = tool(&["--login", "--pin", "0000-0000", "--list-objects"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("CKR_PIN_INCORRECT"), "{refused:?}");
    said(&[&user[..], &["--delete-object", "--type", "secrkey", "--id", "01"]].concat());
    let listed = said(&[&user[..], &["--list-objects", "--type", "secrkey"]].concat());
    assert!(!listed.contains("mine"), "{listed}");
    let _ = fs::remove_dir_all(&folder);
}
