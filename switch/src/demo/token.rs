//! The token of the demonstration: SoftHSM2 where it is, otherwise the development token. Made ready as its custodians
//! would, by `signalbox keys`, with a key whose value is known, because the phones of `loadtest` make codes with it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hsm::token::DEVTOKEN;

use super::write_secret;

/// A token in the folder of the demonstration.
pub(super) struct DemoToken {
    /// None for the development token.
    softhsm: Option<PathBuf>,
    /// What the module has to be told by the environment.
    environment: (&'static str, String),
    check_value: String,
}

/// Where distributions put SoftHSM2.
const SOFTHSM: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// The key of the private counters, which `loadtest` has too.
const COUNTERS: &str = "000102030405060708090a0b0c0d0e0f";

impl DemoToken {
    /// Makes it, with its key on it.
    pub(super) fn make(signalbox: &Path, folder: &Path) -> Result<DemoToken, String> {
        let told = |error: std::io::Error| format!("{}: {error}", folder.display());
        let tokens = folder.join("tokens");
        std::fs::create_dir_all(&tokens).map_err(told)?;
        let softhsm = SOFTHSM.into_iter().map(PathBuf::from).find(|path| path.exists());
        let environment = if softhsm.is_some() {
            let config = folder.join("softhsm2.conf");
            let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
            std::fs::write(&config, text).map_err(told)?;
            ("SOFTHSM2_CONF", config.display().to_string())
        } else {
            ("SIGNALBOX_DEVTOKEN", tokens.display().to_string())
        };
        let secret = |name: &str, content: &str| {
            let path = folder.join(name);
            write_secret(&path, content).map(|()| path)
        };
        let (pin, officer) = (secret("pin", "4711-0815")?, secret("officer.pin", "9999-9999")?);
        let counters = secret("counters.key", COUNTERS)?;
        let mut token = DemoToken { softhsm, environment, check_value: String::new() };
        let keys = |command: &str, arguments: &[&str], file: &Path| {
            let output = Command::new(signalbox)
                .args(["keys", command, "--token", "demo", "--module", &token.module(), "--pin-file"])
                .arg(&pin)
                .args(arguments)
                .arg(file)
                .envs([token.environment()])
                .output()
                .map_err(|error| format!("signalbox keys {command}: {error}"))?;
            if output.status.success() {
                Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
            } else {
                Err(format!("signalbox keys {command}: {}", String::from_utf8_lossy(&output.stderr)))
            }
        };
        keys("init", &["--officer-pin-file"], &officer)?;
        let import = ["--label", "counters", "--usage", "rotating-atc", "--danger-clear-file"];
        let said = keys("import", &import, &counters)?;
        token.check_value = said.rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(token)
    }

    /// What the configuration calls the module.
    pub(super) fn module(&self) -> String {
        self.softhsm.as_ref().map_or_else(|| DEVTOKEN.to_owned(), |path| path.display().to_string())
    }

    pub(super) fn check_value(&self) -> &str {
        &self.check_value
    }

    /// The variable that tells the module where the token is.
    pub(super) fn environment(&self) -> (&'static str, &str) {
        (self.environment.0, &self.environment.1)
    }
}

impl fmt::Display for DemoToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.softhsm.is_some() { "\"demo\" of SoftHSM2" } else { "\"demo\", DEV-ONLY" })
    }
}
