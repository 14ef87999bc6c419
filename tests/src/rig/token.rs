//! A token for one test, made ready as its custodians would: by `signalbox keys`. SoftHSM2, or the development token
//! that is a part of the binary.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::places::scratch_folder;
use super::process;

const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// Whose token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// SoftHSM2.
    SoftHsm,
    /// The development token.
    Devtoken,
}

impl TokenKind {
    /// Every kind.
    pub const ALL: [TokenKind; 2] = [TokenKind::SoftHsm, TokenKind::Devtoken];
}

/// A token with a user PIN, in a folder of its own that is removed with it.
#[derive(Debug)]
pub struct TestToken {
    folder: PathBuf,
    module: &'static Path,
    kind: TokenKind,
    binary: PathBuf,
}

impl TestToken {
    /// The label of every such token.
    pub const LABEL: &'static str = "signalbox-test";
    /// The user PIN of every such token.
    pub const PIN: &'static str = "4711-0815";

    /// A fresh token of SoftHSM2; `None` when there is no binary or no SoftHSM2.
    #[must_use]
    pub fn new() -> Option<TestToken> {
        TestToken::of(TokenKind::SoftHsm)
    }

    /// A fresh token of this kind; `None` when there is no binary or no such module.
    #[must_use]
    pub fn of(kind: TokenKind) -> Option<TestToken> {
        let binary = process::binary()?;
        let module = match kind {
            TokenKind::Devtoken => Some(Path::new("devtoken")),
            TokenKind::SoftHsm => MODULES.into_iter().map(Path::new).find(|path| path.exists()),
        };
        let Some(module) = module else {
            process::not_run("SoftHSM2, which hsm/setup.sh installs");
            return None;
        };
        let folder = scratch_folder();
        fs::create_dir(folder.join("tokens")).expect("a folder");
        let tokens = folder.join("tokens").display().to_string();
        fs::write(
            folder.join("softhsm2.conf"),
            format!("directories.tokendir = {tokens}\nlog.level = ERROR\n"),
        )
        .expect("a file");
        let token = TestToken { folder, module, kind, binary };
        let _ = token.secret("pin", Self::PIN);
        let officer = token.secret("officer", "9999-9999");
        let _ = token.keys("init", &["--officer-pin-file", &officer.display().to_string()]);
        Some(token)
    }

    /// Puts a key of known value on the token and tells its check value.
    #[must_use]
    pub fn import(&self, label: &str, usage: &str, value: &str) -> String {
        self.import_all(label, usage, value).pop().expect("a check value")
    }

    /// The same with a key that comes with another of its left half, whose check value is the second one.
    #[must_use]
    pub fn import_all(&self, label: &str, usage: &str, value: &str) -> Vec<String> {
        let file = self.secret(label, value).display().to_string();
        let said = self.keys("import", &["--label", label, "--usage", usage, "--danger-clear-file", &file]);
        let check_value = |line: &str| line.rsplit(' ').next().expect("a check value").to_owned();
        said.trim().lines().map(check_value).collect()
    }

    /// Runs `signalbox keys` on the token and tells what it says.
    #[must_use]
    pub fn keys(&self, command: &str, arguments: &[&str]) -> String {
        let output = self.try_keys(command, arguments);
        assert!(output.status.success(), "keys {command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The same, whatever becomes of it.
    #[must_use]
    pub fn try_keys(&self, command: &str, arguments: &[&str]) -> Output {
        self.command(command, arguments).output().expect("the binary runs")
    }

    /// The same with something on its standard input.
    #[must_use]
    pub fn typed_keys(&self, command: &str, arguments: &[&str], typed: &str) -> Output {
        let mut command = self.command(command, arguments);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the binary runs");
        let written = child.stdin.take().expect("its input").write_all(typed.as_bytes());
        // A child that refuses early does not read the rest.
        drop(written);
        child.wait_with_output().expect("an end")
    }

    fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut line = Command::new(&self.binary);
        line.args(["keys", command, "--token", Self::LABEL, "--module"])
            .arg(self.module)
            .arg("--pin-file")
            .arg(self.pin_file())
            .args(arguments)
            .envs([self.environment()]);
        line
    }

    /// The module's library.
    #[must_use]
    pub fn module(&self) -> &Path {
        self.module
    }

    /// The file with the user PIN.
    #[must_use]
    pub fn pin_file(&self) -> PathBuf {
        self.folder.join("pin")
    }

    /// The variable of the environment that tells the module where the token is.
    #[must_use]
    pub fn environment(&self) -> (&'static str, String) {
        let (variable, path) = match self.kind {
            TokenKind::SoftHsm => ("SOFTHSM2_CONF", "softhsm2.conf"),
            TokenKind::Devtoken => ("SIGNALBOX_DEVTOKEN", "tokens"),
        };
        (variable, self.folder.join(path).display().to_string())
    }

    /// A module in front of this token's, which spoils the calls that a test names.
    #[must_use]
    pub fn shim(&self) -> Shim {
        // Beside the running test: cargo builds it as what the tests depend on.
        let beside = std::env::current_exe().expect("a test").with_file_name("libpkcs11_shim.so");
        assert!(beside.is_file(), "{} is not built", beside.display());
        let shim =
            Shim { module: beside, behind: self.module.to_owned(), faults: self.folder.join("faults") };
        shim.heal();
        shim
    }

    /// Takes the token's files away from the module, or gives them back.
    pub fn hide(&self, hide: bool) {
        let (here, away) = (self.folder.join("tokens"), self.folder.join("away"));
        let (from, to) = if hide { (here, away) } else { (away, here) };
        fs::rename(from, to).expect("our own folder");
    }

    /// Writes a file that only its owner reads.
    #[must_use]
    pub fn secret(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("our own file");
        path
    }
}

impl Drop for TestToken {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A module that passes calls on to another one, and spoils some of them.
#[derive(Debug)]
pub struct Shim {
    module: PathBuf,
    behind: PathBuf,
    faults: PathBuf,
}

impl Shim {
    /// Its library.
    #[must_use]
    pub fn module(&self) -> &Path {
        &self.module
    }

    /// What it reads from the environment.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let text = |path: &Path| path.display().to_string();
        [("SIGNALBOX_SHIM_MODULE", text(&self.behind)), ("SIGNALBOX_SHIM_FAULTS", text(&self.faults))]
    }

    /// From now on: a function and a fault, such as `C_DeriveKey hang`.
    pub fn spoil(&self, faults: &str) {
        // Never half written.
        let fresh = self.faults.with_extension("new");
        fs::write(&fresh, format!("{faults}\n")).expect("our own file");
        fs::rename(fresh, &self.faults).expect("our own file");
    }

    /// All is well from now on.
    pub fn heal(&self) {
        self.spoil("");
    }
}
