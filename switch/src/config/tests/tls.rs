//! Certificate files: there, readable, and the key for its owner alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::{TlsFiles, parse};

/// A folder that goes away with the test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("signalbox-config-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Reads an acquirer whose `tls` is given, with its folder written as DIR in faults.
fn read(folder: &Folder, tls: &str) -> Result<TlsFiles, String> {
    let issuer = "[[issuer]]\nname = \"maple\"\nlisten = \"127.0.0.1:0\"\nplain_tcp = true\n";
    let text = format!("[[acquirer]]\nname = \"north\"\nlisten = \"0.0.0.0:7001\"\ntls = {tls}\n{issuer}");
    let origin = folder.path("f.toml");
    match parse(&text, &origin, std::iter::empty()) {
        Ok(config) => Ok(config.acquirers[0].door.tls.clone().unwrap()),
        Err(faults) => Err(faults.to_string().trim_end().replace(&format!("{}/", folder.0.display()), "")),
    }
}

fn folder_with_files(name: &str) -> Folder {
    let folder = Folder::new(name);
    for file in ["own.pem", "ca.pem", "ca.crl"] {
        folder.write(file, "", 0o644);
    }
    folder.write("own.key", "", 0o600);
    folder
}

#[test]
fn files_that_are_there() {
    let folder = folder_with_files("there");
    let tls = r#"{ certificate = "own.pem", key = "own.key", ca = "ca.pem", crl = "ca.crl", peer_name = "north.example" }"#;
    let expected = TlsFiles {
        certificate: folder.path("own.pem"),
        key: folder.path("own.key"),
        ca: folder.path("ca.pem"),
        crl: Some(folder.path("ca.crl")),
        peer_name: String::from("north.example"),
    };
    assert_eq!(read(&folder, tls).as_ref(), Ok(&expected));

    let absolute = folder.path("ca.pem").display().to_string();
    let tls = r#"{ certificate = "own.pem", key = "own.key", ca = "ABSOLUTE", peer_name = "10.0.0.7" }"#;
    let read = read(&folder, &tls.replace("ABSOLUTE", &absolute)).unwrap();
    assert_eq!((read.ca.as_path(), read.crl), (Path::new(&absolute), None));
}

#[test]
fn a_key_that_others_may_read() {
    for mode in [0o640, 0o604, 0o620, 0o666] {
        let folder = folder_with_files(&format!("mode-{mode:o}"));
        folder.write("own.key", "", mode);
        let tls = r#"{ certificate = "own.pem", key = "own.key", ca = "ca.pem", peer_name = "north" }"#;
        let fault = format!(
            "f.toml:4:40: found own.key, which others may use (mode {mode:o}), \
             expected a file for its owner alone (mode 600 or 400)"
        );
        assert_eq!(read(&folder, tls), Err(fault));
    }
}

#[test]
fn files_that_are_missing() {
    let folder = folder_with_files("missing");
    fs::create_dir(folder.path("folder.pem")).unwrap();
    let tls = r#"{ certificate = "folder.pem", key = "no.key", crl = "no.crl", peer_name = "" }"#;
    let faults = [
        "f.toml:4:7: found no \"ca\", expected ca = \"...\"",
        "f.toml:4:23: found certificate = folder.pem: not a file, expected a file that can be read",
        "f.toml:4:43: found key = no.key: No such file or directory (os error 2), expected a file that can be read",
        "f.toml:4:59: found crl = no.crl: No such file or directory (os error 2), expected a file that can be read",
        "f.toml:4:81: found peer_name = \"\", expected a DNS name or an IP address as in the peer's certificate",
    ];
    assert_eq!(read(&folder, tls), Err(faults.join("\n")));
}

#[test]
fn a_flag_of_plain_tcp_beside_tls() {
    let folder = folder_with_files("flag");
    let tls = r#"{ certificate = "own.pem", key = "own.key", ca = "ca.pem", peer_name = "north" }"#;
    let with = |flag: &str| read(&folder, &format!("{tls}\n{flag}"));
    assert!(with("plain_tcp = false\nplain_tcp_beyond_loopback = false").is_ok());
    let fault = "f.toml:5:29: found plain_tcp_beyond_loopback = true beside tls, \
                 expected it only beside plain_tcp = true";
    assert_eq!(with("plain_tcp_beyond_loopback = true"), Err(fault.to_owned()));
}
