//! The release binary between model hosts: started with a generated configuration in a folder of its own,
//! watched, stopped, and searched for card data at the end of every test.

pub mod acquirer;
pub mod canary;
pub mod issuer;
pub mod metrics;
pub mod noise;
pub mod places;
pub mod process;
pub mod setup;
pub mod tls;
pub mod token;
pub mod trace;

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::message_text::Plain;
use crate::wire::Wire;
use acquirer::Acquirer;
use canary::Canaries;
use issuer::Issuer;
use metrics::Metrics;
use process::Process;

/// How long a test waits for something that must happen, on a machine that may be busy with other work.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at something that can only be looked at.
const POLL: Duration = Duration::from_millis(5);

/// No older is what the page says of a shard: it tells four times a second, and looks around ten times.
const PAGE_AGE: Duration = Duration::from_millis(400);

/// The running switch and the hosts around it.
///
/// When it goes out of scope the switch is told to stop, must end with the expected code, and must have left
/// no card data in its output, its metrics or its folder.
#[derive(Debug)]
pub struct Rig {
    process: Process,
    folder: PathBuf,
    own_files: Vec<PathBuf>,
    admin: SocketAddr,
    acquirers: BTreeMap<String, Door>,
    issuers: BTreeMap<String, Issuer>,
    canaries: Canaries,
    /// What no issuer may see.
    proxies: Canaries,
    expected_exit: i32,
    start: Start,
    /// Links to wait for.
    links: BTreeMap<String, u32>,
    is_forgotten: bool,
}

/// How the switch is started, and started again.
#[derive(Debug)]
struct Start {
    binary: PathBuf,
    environment: Vec<(String, String)>,
    /// A file that may not grow is an error to it, not its end.
    ignores_size_limit: bool,
}

impl Start {
    fn process(&self, arguments: &[&str], folder: &Path) -> Process {
        if self.ignores_size_limit {
            let binary = self.binary.display().to_string();
            let through = ["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", &binary];
            let all: Vec<&str> = through.into_iter().chain(arguments.iter().copied()).collect();
            return Process::start(Path::new("/bin/sh"), &all, &self.environment, folder);
        }
        Process::start(&self.binary, arguments, &self.environment, folder)
    }
}

/// The arguments of a switch that serves.
const SERVE: [&str; 3] = ["serve", "--config", "signalbox.toml"];

/// How a model acquirer meets the switch.
#[derive(Debug)]
struct Door {
    wire: Wire,
    way: Way,
}

#[derive(Debug)]
enum Way {
    SwitchListens(SocketAddr),
    SwitchConnects(TcpListener),
}

impl Rig {
    /// A new connection of a model acquirer.
    #[must_use]
    pub fn acquirer(&self, name: &str) -> Acquirer {
        let door = &self.acquirers[name];
        let stream = match &door.way {
            Way::SwitchListens(address) => acquirer::connect(*address),
            Way::SwitchConnects(listener) => listener.accept().expect("the switch connects").0,
        };
        Acquirer::new(stream, door.wire.clone(), self.canaries.clone())
    }

    /// The same to a switch that may be gone.
    #[must_use]
    pub fn try_acquirer(&self, name: &str) -> Option<Acquirer> {
        let stream = std::net::TcpStream::connect(self.address(name)).ok()?;
        Some(Acquirer::new(stream, self.wire(name).clone(), self.canaries.clone()))
    }

    /// Where an acquirer connects.
    #[must_use]
    pub fn address(&self, acquirer: &str) -> SocketAddr {
        match &self.acquirers[acquirer].way {
            Way::SwitchListens(address) => *address,
            Way::SwitchConnects(_) => panic!("the switch connects to {acquirer}"),
        }
    }

    /// Where pages and the card interface are.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// How an acquirer writes.
    #[must_use]
    pub fn wire(&self, acquirer: &str) -> &Wire {
        &self.acquirers[acquirer].wire
    }

    /// A model issuer.
    #[must_use]
    pub fn issuer(&self, name: &str) -> &Issuer {
        &self.issuers[name]
    }

    /// The process itself: signals, limits, memory.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The folder with the configuration.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the configuration anew while the switch runs, and gives what stood there before.
    pub fn edit_config(&self, edit: impl FnOnce(String) -> String) -> String {
        let path = self.folder.join("signalbox.toml");
        let before = fs::read_to_string(&path).expect("our own file");
        fs::write(&path, edit(before.clone())).expect("our own file");
        before
    }

    /// Kills the switch as an accident would: nothing can be written down any more.
    pub fn crash(&self) {
        self.process.kill();
        let _ = self.process.exit_code(PATIENCE);
    }

    /// Starts the switch again after its end, and waits until it is ready.
    pub fn start_again(&mut self) {
        // Its first thread may be dead while another still holds the directory.
        self.process.exit_code(PATIENCE);
        self.process = self.start.process(&SERVE, &self.folder);
        self.await_ready(&self.links);
    }

    /// Starts the switch again, and gives the code with which it ends by itself.
    pub fn fail_to_start(&mut self) -> i32 {
        self.process.exit_code(PATIENCE);
        self.process = self.start.process(&SERVE, &self.folder);
        self.process.exit_code(PATIENCE)
    }

    /// What the binary says when it is run beside the switch, and its exit code.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> (i32, String) {
        let process = self.start.process(arguments, &self.folder);
        let code = process.exit_code(PATIENCE);
        (code, String::from_utf8_lossy(&process.stdout()).into_owned())
    }

    /// The same, with what it says of faults: exit code, standard output, standard error.
    #[must_use]
    pub fn run_whole(&self, arguments: &[&str]) -> (i32, String, String) {
        let process = self.start.process(arguments, &self.folder);
        let code = process.exit_code(PATIENCE);
        let [out, err] = [process.stdout(), process.stderr()];
        (code, String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned())
    }

    /// Every request in the journal with what became of it, one JSON object each.
    #[must_use]
    pub fn export(&self) -> Vec<serde_json::Value> {
        let (code, lines) = self.run(&["export", "--journal", "journal"]);
        assert_eq!(code, 0, "the export failed");
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Insists that the journal is whole, and gives the hash of what it comes to.
    pub fn verify(&self) -> String {
        let (code, said) = self.run(&["verify", "--journal", "journal"]);
        assert_eq!(code, 0, "{said}");
        let hash = said.lines().find_map(|line| line.strip_prefix("state_hash "));
        hash.expect("a hash").to_owned()
    }

    /// The exit code to insist on at the end, where it is not 0.
    pub fn expect_exit(&mut self, code: i32) {
        self.expected_exit = code;
    }

    /// Adds bytes to what is searched for in everything the switch has written, when the test ends.
    pub fn watch_secret(&self, secret: &[u8]) {
        self.canaries.note_secret(secret);
        self.proxies.note_secret(secret);
    }

    /// The same for digits, such as a code with what stands beside it. Few digits turn up by chance: at least eight.
    pub fn watch_digits(&self, digits: &str) {
        self.canaries.note_digits(digits);
        self.proxies.note_digits(digits);
    }

    /// Adds the card data of a message to what is searched for in everything the issuers were sent, when the test
    /// ends.
    pub fn watch_proxy(&self, message: &Plain) {
        self.proxies.note(message);
    }

    /// A load generator sent more cards than can be searched for in reasonable time: the end of the test does not
    /// look for them.
    pub fn forget_cards(&self) {
        self.canaries.forget();
    }

    /// One page of the admin listener.
    #[must_use]
    pub fn get(&self, path: &str) -> (u16, String) {
        metrics::get(self.admin, path).expect("the admin listener answers")
    }

    /// One GET with the access token: the status and the body.
    #[must_use]
    pub fn get_as_operator(&self, path: &str) -> (u16, String) {
        metrics::get_as(self.admin, path, setup::ACCESS_TOKEN).expect("the admin listener answers")
    }

    /// One request of the card interface, with the access token: the status and the body.
    #[must_use]
    pub fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.post_as(setup::ACCESS_TOKEN, path, body)
    }

    /// The same with another access token.
    #[must_use]
    pub fn post_as(&self, token: &str, path: &str, body: &str) -> (u16, String) {
        metrics::post(self.admin, path, token, body).expect("the admin listener answers")
    }

    /// The same, for what must succeed.
    pub fn change(&self, path: &str, body: &str) -> String {
        let (status, told) = self.post(path, body);
        assert!(matches!(status, 200 | 201), "{path} {body}: {status} {told}");
        told
    }

    /// A figure of the metrics page, such as `unmatched_total{issuer=maple}`; 0 when it is not there.
    #[must_use]
    pub fn metric(&self, query: &str) -> f64 {
        Metrics::parse(&self.get("/metrics").1).sum(query)
    }

    /// Waits until a figure is at least this, and insists that it is exactly this.
    pub fn await_metric(&self, query: &str, expected: f64) {
        self.await_that(&format!("{query} to reach {expected}"), || self.metric(query) >= expected);
        let found = self.metric(query);
        assert!(same(found, expected), "{query} is {found}, expected {expected}");
    }

    /// Waits until a figure that goes up and down is this.
    pub fn await_gauge(&self, query: &str, expected: f64) {
        // Nothing is what there is at first: the page may be older than what was done last.
        if same(expected, 0.0) && same(self.metric(query), expected) {
            thread::sleep(PAGE_AGE);
        }
        self.await_figure(query, expected);
    }

    fn await_figure(&self, query: &str, expected: f64) {
        self.await_that(&format!("{query} to be {expected}"), || same(self.metric(query), expected));
    }

    /// Waits until every link of an issuer is in use.
    pub fn await_links(&self, issuer: &str, links: u32) {
        self.await_figure(&format!("links_up{{issuer={issuer}}}"), f64::from(links));
    }

    /// Waits for something that can only be looked at.
    pub fn await_that(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
            thread::sleep(POLL);
        }
    }

    /// Tells the switch to drain and waits for its end.
    pub fn terminate(&self) -> i32 {
        self.process.signal(Signal::TERM);
        self.process.exit_code(PATIENCE)
    }

    fn await_ready(&self, links: &BTreeMap<String, u32>) {
        self.await_that("the admin listener", || {
            assert!(!self.process.has_ended(), "the switch did not start");
            metrics::get(self.admin, "/livez").is_ok_and(|(status, _)| status == 200)
        });
        for (issuer, &links) in links {
            self.await_links(issuer, links);
        }
        if links.values().any(|&links| links > 0) {
            self.await_that("/readyz to be 200", || self.get("/readyz").0 == 200);
        }
    }

    /// The test has killed the switch, and looks at nothing that it left behind.
    pub fn forget(mut self) {
        self.is_forgotten = true;
    }

    fn finish(&mut self) {
        let page = metrics::get(self.admin, "/metrics").map(|(_, page)| page).unwrap_or_default();
        let code = self.terminate();
        assert_eq!(code, self.expected_exit, "exit code{}", self.process.last_words());
        self.canaries.insist_on_absence("the metrics page", page.as_bytes());
        self.canaries.insist_on_absence("standard output", &self.process.stdout());
        self.canaries.insist_on_absence("standard error", &self.process.stderr());
        for (name, issuer) in &self.issuers {
            for seen in issuer.seen() {
                self.proxies.insist_on_absence(&format!("what {name} was sent"), &seen.received.bytes);
            }
        }
        for file in files_below(&self.folder) {
            if !self.own_files.contains(&file) {
                self.canaries
                    .insist_on_absence(&file.display().to_string(), &fs::read(&file).unwrap_or_default());
            }
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if thread::panicking() {
            self.process.kill();
            eprintln!("{}", self.process.last_words());
        } else if !self.is_forgotten {
            self.finish();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Every file in a folder and the folders in it.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Takes a lock whatever happened to a thread that held it: a test that failed must not take others along.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}
