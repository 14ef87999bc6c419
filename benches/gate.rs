//! The gate on what a step of the path costs: instructions counted by callgrind, against a baseline that is committed.
//!
//! Instructions do not depend on how busy a machine is, but on the compiler and on the processor that library code
//! chooses its variants for. So a baseline is for one compiler; with another the counts are shown and nothing is
//! compared. `SIGNALBOX_BASELINE=write` writes the file anew, which belongs into the commit that changed the counts.

use std::collections::BTreeMap;
use std::env::current_exe;
use std::process::{Command, ExitCode};

/// Each step and how often it is done for a count.
const STEPS: [(&str, u64); 11] = [
    ("parse_0100_ascii", 2_000),
    ("parse_0100_binary", 2_000),
    ("parse_0110_ascii", 2_000),
    ("request", 2_000),
    ("answer", 2_000),
    ("forward", 2_000),
    ("forward_funded", 2_000),
    ("reply", 2_000),
    ("route", 2_000),
    ("whole_path", 2_048),
    ("counting", 2_000),
];

/// How far a count may be above its baseline.
const RISE: f64 = 1.03;

/// What counting may take of a payment: one in so many instructions. The path becomes shorter where counting does not.
const COUNTED_OF: u64 = 45;

/// Baselines by compiler, then by step.
type Baselines = BTreeMap<String, BTreeMap<String, u64>>;

/// Counts every step and holds it against the baseline.
pub(crate) fn check() -> ExitCode {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("valgrind is needed: sh benches/setup.sh");
        return ExitCode::FAILURE;
    }
    let counts: BTreeMap<String, u64> =
        STEPS.iter().map(|(step, count)| ((*step).to_owned(), instructions_of(step, *count))).collect();
    let (counting, whole) = (counts["counting"], counts["whole_path"]);
    println!("counting is {:.2} % of the path", 100.0 * counting as f64 / whole as f64);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml");
    let mut baselines: Baselines = std::fs::read_to_string(path)
        .map_or_else(|_| Baselines::new(), |text| toml::from_str(&text).expect(path));
    let compiler = compiler();
    if std::env::var("SIGNALBOX_BASELINE").is_ok_and(|what| what == "write") {
        baselines.insert(compiler, counts);
        std::fs::write(path, toml::to_string(&baselines).expect("tables of numbers")).expect(path);
        return ExitCode::SUCCESS;
    }
    let mut over = Vec::new();
    if counting * COUNTED_OF > whole {
        over.push("counting, of the whole path");
    }
    match baselines.get(&compiler) {
        None => println!("no baseline for {compiler}: {counts:?}"),
        Some(baseline) => {
            for (step, _) in STEPS {
                let (count, before) = (counts[step], baseline[step]);
                println!("{step:20} {count:6} instructions, baseline {before}");
                if count as f64 > before as f64 * RISE {
                    over.push(step);
                }
            }
        }
    }
    if over.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("more instructions than allowed: {}", over.join(", "));
    ExitCode::FAILURE
}

/// Instructions of one step: the difference of two runs, so that the start of the process does not count.
fn instructions_of(step: &str, count: u64) -> u64 {
    let few = collected(step, count);
    let many = collected(step, 2 * count);
    (many - few) / count
}

fn collected(step: &str, count: u64) -> u64 {
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(current_exe().expect("this program"))
        .args([step, &count.to_string()])
        .output()
        .expect("valgrind starts");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    let (_, number) = said.split_once("Collected : ").unwrap_or_else(|| panic!("no count in {said}"));
    number.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

/// The compiler that built this, as it names itself.
fn compiler() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output().expect("a compiler is here");
    String::from_utf8_lossy(&version.stdout).trim().to_owned()
}
