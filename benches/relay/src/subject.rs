//! What is measured: the floor, HAProxy in TCP mode where it is installed, and the switch with its journal in each way and
//! with codes in each way. `Stand::with` starts one between an issuer and whoever asks it.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::client::{self, Load};
use crate::codes::Codes;
use crate::configuration::{self, Shape};
use crate::requests::Requests;
use crate::system;

/// One way from the client to the issuer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    Floor,
    HaProxy,
    /// With the level of its journal; without one nothing is kept.
    Routing(Option<&'static str>),
    /// Every request has a code that the token is asked about; the journal is `written`.
    Codes {
        exposure: &'static str,
        placement: &'static str,
    },
}

/// The switch with everything on.
const ALL_ON: Subject = Subject::Codes { exposure: "session", placement: "inline" };

impl Subject {
    /// Those that can run here. Of more shards than one only what is told of them.
    pub fn all(shape: Shape, has_codes: bool) -> Vec<Self> {
        let has_haproxy = Command::new("haproxy").arg("-v").output().is_ok();
        let mut all = vec![Self::Floor];
        all.extend((has_haproxy && shape.shards == 1).then_some(Self::HaProxy));
        all.extend([None, Some("written")].map(Self::Routing));
        all.extend((shape.shards == 1).then_some(Self::Routing(Some("sync"))));
        if has_codes {
            all.push(ALL_ON);
            if shape.shards == 1 {
                all.push(Self::Codes { exposure: "session", placement: "worker" });
                all.push(Self::Codes { exposure: "none", placement: "inline" });
            }
        }
        all
    }

    /// Whether it can bear a load: a code of exposure `none` takes the token a hundred microseconds and more, and a worker
    /// that shares its shard's processor gets too little of it to keep up with what does not wait.
    pub fn bears(self, load: &Load) -> bool {
        let is_slow = matches!(self, Self::Codes { .. }) && self != ALL_ON;
        !is_slow || load.rate.is_none()
    }

    pub fn name(self) -> String {
        match self {
            Self::Floor => "floor".to_owned(),
            Self::HaProxy => "HAProxy, TCP mode".to_owned(),
            Self::Routing(None) => "routing, no journal".to_owned(),
            Self::Routing(Some(level)) => format!("routing, `{level}`"),
            ALL_ON => "all on: codes inline, `session`, `written`".to_owned(),
            Self::Codes { exposure, placement: "worker" } => {
                format!("codes in a worker, `{exposure}`, `written`")
            }
            Self::Codes { exposure, .. } => format!("codes inline, `{exposure}`, `written`"),
        }
    }
}

/// Where subjects run.
pub struct Stand {
    /// The switch's binary.
    pub switch: PathBuf,
    pub shape: Shape,
    /// The subject has a processor to itself. Asked for once: a pinned thread is told that there is one processor.
    pub pins: bool,
    /// What was prepared for the rows with codes.
    pub codes: Option<Codes>,
    /// Given to the subject beside its own.
    pub environment: Vec<(&'static str, PathBuf)>,
}

/// Where the subject runs, and where everything else does.
const SUBJECT: usize = 0;
const OTHERS: usize = 1;

impl Stand {
    /// What is asked of a subject.
    pub fn requests(&self, subject: Subject) -> Requests<'_> {
        match (subject, &self.codes) {
            (Subject::Codes { .. }, Some(codes)) => Requests::with_tracks(&codes.tracks),
            _ => Requests::of_one_card(),
        }
    }

    /// Starts an issuer and a subject and lets `then` ask it, who is told its process and address.
    pub fn with<T>(
        &self,
        subject: Subject,
        requests: &Requests,
        then: impl FnOnce(u32, SocketAddr) -> io::Result<T>,
    ) -> io::Result<T> {
        let (listen, at) = (free_address()?, free_address()?);
        let pins = |processor| if self.pins { system::pin(processor) } else { Ok(()) };
        pins(OTHERS)?;
        let _issuer = Running::issuer(at)?;
        // The floor gives up where nobody listens.
        drop(system::connect(at)?);
        // A child runs where its parent did when it was started.
        pins(SUBJECT)?;
        let running = self.start(subject, listen, at)?;
        pins(OTHERS)?;
        running.is_alone(self.pins)?;
        // The switch declines until its issuer's link is up.
        client::wait_for_approval(listen, requests, Duration::from_secs(10))
            .and_then(|()| then(running.id(), listen))
            .map_err(|error| io::Error::other(format!("{}: {error}", subject.name())))
    }

    /// Starts a subject. It keeps what it needs in a folder of its own.
    fn start(&self, subject: Subject, listen: SocketAddr, issuer: SocketAddr) -> io::Result<Running> {
        let folder = std::env::temp_dir().join(format!("relay-{}-{}", std::process::id(), listen.port()));
        fs::create_dir_all(&folder)?;
        let mut command = match (subject, &self.codes) {
            (Subject::Floor, _) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["floor", "--listen", &listen.to_string(), "--issuer", &issuer.to_string()]);
                command
            }
            (Subject::HaProxy, _) => {
                fs::write(folder.join("haproxy.cfg"), configuration::haproxy(listen, issuer))?;
                let mut command = Command::new("haproxy");
                command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg"));
                command
            }
            (Subject::Codes { exposure, placement }, Some(codes)) => {
                codes.copy_journal(self.shape.shards, &folder)?;
                let journal = configuration::journal("written", SEGMENT);
                let more = codes.configuration(exposure, placement) + &journal;
                let mut command = self.serve(&folder, listen, issuer, &more)?;
                command.envs([codes.environment()]);
                command
            }
            (Subject::Routing(level), _) => {
                let journal = level.map(|level| configuration::journal(level, SEGMENT));
                self.serve(&folder, listen, issuer, &journal.unwrap_or_default())?
            }
            (Subject::Codes { .. }, None) => return Err(io::Error::other("no codes were prepared")),
        };
        let child = command.envs(self.environment.iter().cloned()).stdout(Stdio::null()).spawn()?;
        Ok(Running { child, folder })
    }

    fn serve(
        &self,
        folder: &Path,
        listen: SocketAddr,
        issuer: SocketAddr,
        more: &str,
    ) -> io::Result<Command> {
        let text = configuration::switch(listen, issuer, free_address()?, self.shape) + more;
        serve(&self.switch, folder, &text)
    }
}

/// Room for a run.
const SEGMENT: &str = "256MiB";

/// The switch with a configuration, in a folder.
pub fn serve(switch: &Path, folder: &Path, configuration: &str) -> io::Result<Command> {
    fs::write(folder.join("switch.toml"), configuration)?;
    write_secret(&folder.join("journal.key"), &"5a".repeat(32))?;
    write_secret(&folder.join("access.token"), ACCESS_TOKEN)?;
    let mut command = Command::new(switch);
    command.args(["serve", "--config"]).arg(folder.join("switch.toml")).env("SIGNALBOX_LOG", "error");
    command.env("GLIBC_TUNABLES", AS_ITS_UNIT);
    Ok(command)
}

/// What the switch's systemd unit puts into its environment: pages of 2 MiB.
const AS_ITS_UNIT: &str = "glibc.malloc.hugetlb=1";

const ACCESS_TOKEN: &str = "an-access-token-of-the-benches";

/// Writes a file for its owner alone.
pub fn write_secret(path: &Path, content: &str) -> io::Result<()> {
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// A process that ends, with its folder, when this is dropped.
pub struct Running {
    child: Child,
    folder: PathBuf,
}

impl Running {
    /// The issuer.
    pub fn issuer(listen: SocketAddr) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["issuer", "--listen", &listen.to_string()]);
        Ok(Self { child: command.spawn()?, folder: PathBuf::new() })
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    /// That it runs where it was put, and only there: every figure hangs on it.
    fn is_alone(&self, pinned: bool) -> io::Result<()> {
        let runs_on = system::processors(self.id())?;
        match pinned && runs_on != SUBJECT.to_string() {
            false => Ok(()),
            true => Err(io::Error::other(format!("the subject runs on processor {runs_on}, not {SUBJECT}"))),
        }
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
