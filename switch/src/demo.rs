//! The main job with one command: the switch as its own process on embedded defaults, two model issuers, a
//! fleet of terminals in open loop, a live line, a summary.
//!
//! The fleet and the issuers are `loadtest`, the program beside this one: what is shown is what a stranger
//! could run by hand, over real sockets between real processes.

mod console;
mod process;
mod token;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use console::Summary;
use process::Process;
use token::DemoToken;

use crate::journal::history::History;

/// A line for whoever still reads: the demonstration goes on to its end, and stops what it has started.
macro_rules! say {
    ($($line:tt)+) => {
        let _ = writeln!(std::io::stdout(), $($line)+);
    };
}

/// What the demonstration is asked for.
#[derive(clap::Args)]
pub struct Arguments {
    /// How long the terminals ask
    #[arg(long, default_value_t = 10, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// How many requests a second, on a schedule that does not wait for answers
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200_000))]
    rate: u32,
}

/// How long the switch may take until it takes payments.
const START_WAIT: Duration = Duration::from_secs(10);
/// How long it may take to stop.
const STOP_WAIT: Duration = Duration::from_secs(20);

/// Runs it. Exits 0 when every request was answered as expected and everything stopped cleanly.
pub fn run(arguments: &Arguments) -> ExitCode {
    match shown(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(70),
        Err(fault) => {
            eprintln!("demo: {fault}");
            ExitCode::from(70)
        }
    }
}

/// The programs and addresses of one demonstration.
struct Stage {
    folder: PathBuf,
    signalbox: PathBuf,
    loadtest: PathBuf,
    acquirer: SocketAddr,
    maple: SocketAddr,
    oak: SocketAddr,
    admin: SocketAddr,
    token: DemoToken,
    console: SocketAddr,
}

fn shown(arguments: &Arguments) -> Result<bool, String> {
    let stage = Stage::set()?;
    say!("signalbox demo: {} requests a second for {} s", arguments.rate, arguments.seconds);
    say!("  acquirer  north   {}  ISO 8583:1987 ASCII, 2-byte length", stage.acquirer);
    say!("  issuers   maple   {}  oak {}", stage.maple, stage.oak);
    say!("  console   http://{}/", stage.console);
    say!("  figures   http://{}/metrics   ready: http://{}/readyz", stage.admin, stage.admin);
    say!("  journal   level sync: on the disk before anything is seen   {}", stage.path("journal").display());
    say!(
        "  token     {}: checks the codes of phones, of which some are guessed and some replayed",
        stage.token
    );
    say!("");
    let maple = stage.issuer(
        "maple",
        stage.maple,
        "lognormal p50=3ms p99=25ms",
        "51=0.04,05=0.02,61=0.01",
        "0.002",
    )?;
    let oak = stage.issuer("oak", stage.oak, "exponential 2ms", "51=0.03,05=0.01", "0")?;
    let switch = stage.switch()?;
    console::wait_until_ready(stage.admin, START_WAIT)
        .map_err(|fault| format!("{fault}; its log is {}", stage.path("signalbox.log").display()))?;

    let fleet = stage.fleet(arguments)?;
    let fleet_ended = fleet.wait()?;
    let summary = Summary::read(stage.admin)?;
    let stopped = switch.stop(STOP_WAIT)?;
    maple.stop(STOP_WAIT)?;
    oak.stop(STOP_WAIT)?;
    let _ = write!(std::io::stdout(), "{summary}");
    let codes = summary.codes();
    say!(
        "  codes       {:>10}   right; {} wrong, {} replayed; token {}",
        codes.right,
        codes.wrong,
        codes.replayed,
        stage.token
    );
    let history = History::read(&stage.path("journal")).map_err(|fault| fault.to_string())?;
    let (in_doubt, waiting) = history.open();
    say!(
        "  journal     {:>10}   facts; {in_doubt} requests in doubt, {waiting} reversals not acknowledged\n",
        history.facts
    );
    let kept = in_doubt == 0 && history.broken().is_empty();
    let sound = fleet_ended == Some(0)
        && stopped == Some(0)
        && summary.answered_everything()
        && codes.right > 0
        && kept;
    if sound {
        say!("every request was answered, as expected; nothing lost; everything stopped cleanly");
        stage.clear();
    } else {
        say!("NOT as expected: fleet ended with {fleet_ended:?}, switch with {stopped:?}");
        say!("what happened is in {}", stage.folder.display());
    }
    Ok(sound)
}

impl Stage {
    /// Finds the programs and free addresses, and writes the switch's configuration.
    fn set() -> Result<Self, String> {
        let signalbox = std::env::current_exe().map_err(|error| format!("cannot find myself: {error}"))?;
        let loadtest = signalbox.with_file_name("loadtest");
        if !loadtest.exists() {
            return Err(format!("{} is not there: build it with `make build`", loadtest.display()));
        }
        let folder = std::env::temp_dir().join(format!("signalbox-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let [acquirer, maple, oak, admin, console] = free_addresses()?;
        let token = DemoToken::make(&signalbox, &folder)?;
        let stage = Self { folder, signalbox, loadtest, acquirer, maple, oak, admin, console, token };
        let config = CONFIG
            .replace("{module}", &stage.token.module())
            .replace("{check_value}", stage.token.check_value())
            .replace("{acquirer}", &acquirer.to_string())
            .replace("{maple}", &maple.to_string())
            .replace("{oak}", &oak.to_string())
            .replace("{console}", &console.to_string())
            .replace("{admin}", &admin.to_string());
        let path = stage.path("signalbox.toml");
        std::fs::write(&path, config).map_err(|error| format!("{}: {error}", path.display()))?;
        write_secret(&stage.path("journal.key"), &random_digits()?)?;
        write_secret(&stage.path(ACCESS_TOKEN), &random_digits()?)?;
        Ok(stage)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    fn switch(&self) -> Result<Process, String> {
        let config = self.path("signalbox.toml");
        let arguments = ["serve", "--config", text(&config)?];
        let environment = [self.token.environment()];
        Process::start("switch", &self.signalbox, &arguments, &environment, Some(&self.path("signalbox.log")))
    }

    fn issuer(
        &self,
        name: &str,
        at: SocketAddr,
        latency: &str,
        decline: &str,
        silent: &str,
    ) -> Result<Process, String> {
        let at = at.to_string();
        let arguments = [
            "issuer",
            "--listen",
            &at,
            "--name",
            name,
            "--latency",
            latency,
            "--decline",
            decline,
            "--silent",
            silent,
        ];
        Process::start(name, &self.loadtest, &arguments, &[], Some(&self.path(&format!("{name}.log"))))
    }

    fn fleet(&self, arguments: &Arguments) -> Result<Process, String> {
        let (at, rate, seconds) =
            (self.acquirer.to_string(), arguments.rate.to_string(), arguments.seconds.to_string());
        let (report, token) = (self.path("report.json"), self.path(ACCESS_TOKEN));
        let admin = format!("http://{}", self.admin);
        let arguments = [
            "run",
            "demo_codes",
            "--provision",
            &admin,
            "--token-file",
            text(&token)?,
            "--connect",
            &at,
            "--rate",
            &rate,
            "--seconds",
            &seconds,
            "--json",
            text(&report)?,
            "--threshold",
            "missing=0",
            "--threshold",
            "unexpected=0",
            "--threshold",
            "unmatched=0",
        ];
        Process::start("fleet", &self.loadtest, &arguments, &[], None)
    }

    fn clear(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The file of what callers of `/v1` show.
const ACCESS_TOKEN: &str = "access.token";

/// 32 bytes of the operating system's, in hexadecimal digits.
fn random_digits() -> Result<String, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random bytes: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A file for its owner only.
fn write_secret(path: &Path, content: &str) -> Result<(), String> {
    let write = || {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content.as_bytes())
    };
    write().map_err(|error| format!("{}: {error}", path.display()))
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not a name in UTF-8", path.display()))
}

/// Four addresses nobody listens on at this moment.
fn free_addresses() -> Result<[SocketAddr; 5], String> {
    let listen = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners: Result<Vec<_>, _> = (0..5).map(listen).collect();
    let addresses: Result<Vec<_>, _> =
        listeners.and_then(|all| all.iter().map(TcpListener::local_addr).collect());
    let addresses = addresses.map_err(|error| format!("no free port on loopback: {error}"))?;
    addresses.try_into().map_err(|_| "five listeners have five addresses".to_owned())
}

/// The switch of the demonstration. Its issuers have one second, so that a silent one shows.
const CONFIG: &str = r#"
[admin]
listen = "{admin}"
token_file = "access.token"

[hsm]
module = "{module}"
token = "demo"
pin_file = "pin"
deadline = "900ms"

[[program]]
name = "wallet"
kind = "rotating_atc"
iins = ["99991"]
key = "counters"
check_value = "{check_value}"

[console]
listen = "{console}"

[journal]
dir = "journal"
key_file = "journal.key"

[[acquirer]]
name = "north"
listen = "{acquirer}"
dialect = "iso87-ascii"
framing = { length = "binary2" }
plain_tcp = true
acquirer_ids = ["100001"]

[[issuer]]
name = "maple"
connect = ["{maple}"]
links_per_address = 2
dialect = "iso87-ascii"
framing = { length = "binary2" }
plain_tcp = true
timeout = "1s"
window = 4096

[[issuer]]
name = "oak"
connect = ["{oak}"]
links_per_address = 2
dialect = "iso87-ascii"
framing = { length = "binary2" }
plain_tcp = true
timeout = "1s"
window = 4096

[[route]]
iin = "99996"
issuer = "maple"

[[route]]
iin = "99997"
issuer = "oak"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_configuration_is_sound() {
        let folder = std::env::temp_dir().join(format!("signalbox-demo-test-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        for file in ["journal.key", "access.token", "pin"] {
            write_secret(&folder.join(file), &random_digits().expect("bytes")).expect("a file");
        }
        let text = CONFIG
            .replace("{acquirer}", "127.0.0.1:7001")
            .replace("{maple}", "127.0.0.1:7101")
            .replace("{oak}", "127.0.0.1:7102")
            .replace("{console}", "127.0.0.1:9465")
            .replace("{admin}", "127.0.0.1:9464")
            .replace("{module}", "devtoken")
            .replace("{check_value}", "C6A13B");
        let config =
            crate::config::parse(&text, &folder.join("demo.toml"), std::iter::empty()).expect("sound");
        std::fs::remove_dir_all(&folder).expect("our own");
        assert_eq!((config.issuers.len(), config.routes.len()), (2, 2));
        assert!(
            matches!(config.warnings.as_slice(), [only] if only.contains("DEV-ONLY")),
            "{:?}",
            config.warnings
        );
    }
}
