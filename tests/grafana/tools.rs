//! Debian's Prometheus and Alertmanager as processes of a test, and a load generator that ends with it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::rig::metrics;
use tests::rig::places::{free_address, scratch_folder};
use tests::rig::process::{binary, not_run};
use tests::{PATIENCE, Rig};

/// A program of the packages, or `None` after saying what is missing.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".prometheus/usr/bin").join(name);
    if path.is_file() {
        return Some(path);
    }
    not_run("Prometheus: `tests/grafana/setup.sh`");
    None
}

/// The folder of dashboards and rules.
pub(crate) fn grafana() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana").canonicalize().expect("the folder")
}

/// A process that ends when it is dropped, and takes its folder with it.
#[derive(Debug)]
pub(crate) struct Helper {
    child: Child,
    folder: PathBuf,
}

impl Helper {
    fn start(command: &mut Command, folder: PathBuf) -> Helper {
        let log = fs::File::create(folder.join("log")).expect("a file");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        Helper { child: child.expect("it starts"), folder }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A running Prometheus.
pub(crate) struct Prometheus {
    address: SocketAddr,
    helper: Helper,
}

/// How often it scrapes and evaluates.
pub(crate) const SCRAPE: &str = "500ms";

impl Prometheus {
    /// Scrapes these switches as the job `signalbox`, evaluates these rules, tells this Alertmanager.
    pub(crate) fn start(
        targets: &[&Rig],
        rules: &[(&str, String)],
        tells: Option<SocketAddr>,
    ) -> Option<Self> {
        let program = program("prometheus")?;
        let (folder, address) = (scratch_folder(), free_address());
        for (name, content) in rules {
            fs::write(folder.join(name), content).expect("a file");
        }
        let list = |items: Vec<String>| items.join(", ");
        let files = list(rules.iter().map(|(name, _)| format!("\"{name}\"")).collect());
        let targets = list(targets.iter().map(|rig| format!("\"{}\"", rig.admin())).collect());
        let told = tells.map_or(String::new(), |address| format!("\"{address}\""));
        let config = format!(
            "global: {{ scrape_interval: {SCRAPE}, scrape_timeout: {SCRAPE}, evaluation_interval: {SCRAPE} }}\n\
             rule_files: [{files}]\n\
             alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: [{told}] }}] }}] }}\n\
             scrape_configs: [{{ job_name: signalbox, static_configs: [{{ targets: [{targets}] }}] }}]\n"
        );
        fs::write(folder.join("prometheus.yml"), config).expect("a file");
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--rules.alert.resend-delay=1s");
        let prometheus = Self { address, helper: Helper::start(&mut command, folder) };
        wait_for(|| prometheus.helper.log(), || ready(address, "/-/ready"));
        Some(prometheus)
    }

    /// What an expression comes to now.
    pub(crate) fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        self.ask(&format!("/api/v1/query?query={}", encoded(expression)))
    }

    /// What it came to over the last seconds, twice a second.
    pub(crate) fn query_range(&self, expression: &str, seconds: u64) -> Result<Vec<Value>, String> {
        let now = self.query("time()")?[0].as_f64().unwrap_or_default();
        let start = now - seconds as f64;
        let expression = encoded(expression);
        self.ask(&format!("/api/v1/query_range?query={expression}&start={start}&end={now}&step=0.5"))
    }

    fn ask(&self, path: &str) -> Result<Vec<Value>, String> {
        let (_, body) = metrics::get(self.address, path).map_err(|why| why.to_string())?;
        let answer: Value = serde_json::from_str(&body).map_err(|why| format!("{why}: {body}"))?;
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    }
}

/// A running Alertmanager, configured by the file that operators get.
pub(crate) struct Alertmanager {
    pub(crate) address: SocketAddr,
    helper: Helper,
}

impl Alertmanager {
    pub(crate) fn start() -> Option<Self> {
        let program = program("prometheus-alertmanager")?;
        let (folder, address) = (scratch_folder(), free_address());
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", grafana().join("alertmanager.yml").display()))
            .arg(format!("--storage.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=");
        let alertmanager = Self { address, helper: Helper::start(&mut command, folder) };
        wait_for(|| alertmanager.helper.log(), || ready(address, "/-/ready"));
        Some(alertmanager)
    }

    /// Every alert that it was told of.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        let (_, body) = metrics::get(self.address, "/api/v2/alerts").expect("it answers");
        serde_json::from_str(&body).expect("JSON")
    }
}

fn ready(address: SocketAddr, path: &str) -> bool {
    metrics::get(address, path).is_ok_and(|(status, _)| status == 200)
}

fn wait_for(log: impl Fn() -> String, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it does not get ready: {}", log());
        thread::sleep(Duration::from_millis(20));
    }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

/// The load generator at a steady rate, until it is dropped.
pub(crate) fn load(rig: &Rig, profile: &str, rate: u32) -> Helper {
    let program = binary().expect("the rig runs it").with_file_name("loadtest");
    let mut command = Command::new(program);
    command.args(["run", profile, "--seconds", "300", "--quiet", "--connections", "2"]).args([
        "--connect",
        &rig.address("north").to_string(),
        "--rate",
        &rate.to_string(),
    ]);
    Helper::start(&mut command, scratch_folder())
}
