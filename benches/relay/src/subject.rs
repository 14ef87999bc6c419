//! What is measured: the floor, HAProxy in TCP mode where it is installed, and the switch with its journal in each way.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// One way from the client to the issuer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    Floor,
    HaProxy,
    /// With the level of its journal; without one nothing is kept.
    Switch(Option<&'static str>),
}

impl Subject {
    /// Those that can run here.
    pub fn all() -> Vec<Self> {
        let has_haproxy = Command::new("haproxy").arg("-v").output().is_ok();
        let switch = [None, Some("written"), Some("sync")].map(Self::Switch);
        let mut all = vec![Self::Floor];
        all.extend(has_haproxy.then_some(Self::HaProxy));
        all.extend(switch);
        all
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::HaProxy => "HAProxy, TCP mode",
            Self::Switch(None) => "switch, no journal",
            Self::Switch(Some("written")) => "switch, `written`",
            Self::Switch(Some(_)) => "switch, `sync`",
        }
    }

    /// Starts it between an issuer and the address it is to listen on. It keeps what it needs in a folder of its own.
    pub fn start(self, switch: &Path, listen: SocketAddr, issuer: SocketAddr) -> io::Result<Running> {
        let folder = std::env::temp_dir().join(format!("relay-{}-{}", std::process::id(), listen.port()));
        fs::create_dir_all(&folder)?;
        let mut command = match self {
            Self::Floor => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["floor", "--listen", &listen.to_string(), "--issuer", &issuer.to_string()]);
                command
            }
            Self::HaProxy => {
                fs::write(folder.join("haproxy.cfg"), haproxy(listen, issuer))?;
                let mut command = Command::new("haproxy");
                command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg"));
                command
            }
            Self::Switch(level) => {
                fs::write(folder.join("switch.toml"), configuration(listen, issuer, level))?;
                fs::write(folder.join("journal.key"), "5a".repeat(32))?;
                let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o400);
                fs::set_permissions(folder.join("journal.key"), only_owner)?;
                let mut command = Command::new(switch);
                command
                    .args(["serve", "--config"])
                    .arg(folder.join("switch.toml"))
                    .env("SIGNALBOX_LOG", "error");
                command
            }
        };
        let child = command.stdout(Stdio::null()).spawn()?;
        Ok(Running { child, folder })
    }
}

/// A process that ends, with its folder, when this is dropped.
pub struct Running {
    child: Child,
    folder: PathBuf,
}

impl Running {
    /// The issuer, on a processor.
    pub fn issuer(listen: SocketAddr) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["issuer", "--listen", &listen.to_string()]);
        Ok(Self { child: command.spawn()?, folder: PathBuf::new() })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !self.folder.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A port that nobody listens on.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn configuration(listen: SocketAddr, issuer: SocketAddr, level: Option<&str>) -> String {
    let admin = free_address().map_or(0, |address| address.port());
    let journal = level.map_or_else(String::new, |level| {
        format!("[journal]\ndir = \"journal\"\nkey_file = \"journal.key\"\nlevel = \"{level}\"\nsegment = \"256MiB\"\n")
    });
    format!(
        r#"{journal}
[admin]
listen = "127.0.0.1:{admin}"
[[acquirer]]
name = "north"
listen = "{listen}"
dialect = "iso87-ascii"
framing = {{ length = "binary2" }}
plain_tcp = true
[[issuer]]
name = "maple"
connect = ["{issuer}"]
dialect = "iso87-ascii"
framing = {{ length = "binary2" }}
plain_tcp = true
window = 65536
[[route]]
iin = "476173"
issuer = "maple"
"#
    )
}

fn haproxy(listen: SocketAddr, issuer: SocketAddr) -> String {
    format!(
        "global\n  maxconn 4000\n  nbthread 1\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  \
         timeout server 60s\nfrontend f\n  bind {listen}\n  default_backend b\nbackend b\n  server s {issuer}\n"
    )
}
