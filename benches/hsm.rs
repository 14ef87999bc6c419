//! Verifications, one at a time and in batches, each beside a bare loop over the same calls of PKCS#11 in the same run: the
//! ratio is what counts. One table for each token, as README.md has them.
//!
//! Not a criterion bench: a token is made for the run, in a process and a folder of its own, because a module reads where
//! its token is from the environment, once.

#[path = "hsm_bare.rs"]
mod bare;
#[path = "hsm_rows.rs"]
mod rows;
#[path = "hsm_timed.rs"]
mod timed;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use bare::Bare;
use hsm::token::{Ceremony, DEVTOKEN, Token, initialise};
use hsm::{Answer, Question, Secret, Verifier};
use rows::{Keys, Row};

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const LABEL: &str = "bench";
const BATCH: usize = 64;
/// Names the module to the process that measures it.
const MODULE: &str = "SIGNALBOX_BENCH_HSM";

fn main() {
    if let Some(module) = env::var_os(MODULE) {
        return measure(Path::new(&module));
    }
    for (module, name) in [(SOFTHSM, "SoftHSM2"), (DEVTOKEN, "the development token")] {
        if module == SOFTHSM && !Path::new(module).exists() {
            println!("hsm: {name} NOT RUN, hsm/setup.sh installs it");
            continue;
        }
        println!("\n{name}, one thread\n");
        in_a_process(module);
    }
}

fn in_a_process(module: &str) {
    let folder = env::temp_dir().join(format!("signalbox-bench-hsm-{}", std::process::id()));
    fs::create_dir_all(folder.join("tokens")).expect("a folder");
    let config = folder.join("softhsm2.conf");
    let tokens = folder.join("tokens").display().to_string();
    fs::write(&config, format!("directories.tokendir = {tokens}\nlog.level = ERROR\n")).expect("a file");
    let mut again = Command::new(env::current_exe().expect("this bench"));
    let status = again.env("SOFTHSM2_CONF", &config).env(MODULE, module).status();
    fs::remove_dir_all(&folder).expect("our own folder");
    assert!(status.expect("a process").success());
}

fn pin() -> Secret {
    Secret::from("4711-0815".to_owned())
}

fn measure(module: &Path) {
    initialise(module, LABEL, &Secret::from("9999-9999".to_owned()), &pin()).expect("a token");
    let keys = Keys { ceremony: Ceremony::open(module, LABEL, &pin()).expect("a session") };
    let mut strict = Verifier::new(Token::open(module, LABEL, &pin()).expect("a token"));
    let mut keeps = Verifier::new(Token::open(module, LABEL, &pin()).expect("a token"));
    keeps.keep_card_keys(1_000).expect("random numbers");
    let bare = Bare::new(module);
    println!("| verification | one | us | of calls | and work | {BATCH} | us | of calls | and work |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for row in rows::rotating(&keys, &mut strict, &bare) {
        tell(&mut strict, row);
    }
    for row in rows::responses(&keys, &mut strict, &bare) {
        tell(&mut strict, row);
    }
    for row in rows::hosts(&keys, &mut strict, &bare) {
        tell(&mut strict, row);
    }
    for row in rows::cards(&keys, &mut keeps, &bare) {
        tell(&mut keeps, row);
    }
    for row in rows::exposed(&keys, &mut keeps, &bare) {
        tell(&mut keeps, row);
    }
}

fn tell(verifier: &mut Verifier, mut row: Row<'_>) {
    let columns = [1, BATCH].map(|batch| {
        let [each, calls, worked] = compare(verifier, &mut row, batch);
        let worked = worked.map_or_else(|| "-".to_owned(), |worked| format!("{worked:.2}"));
        let (each, calls) = (each.unwrap_or_default(), calls.unwrap_or_default());
        format!("{} | {each:.2} | {calls:.2} | {worked}", thousands(1e6 / each))
    });
    println!("| {} | {} |", row.name, columns.join(" | "));
}

fn thousands(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        rate if rate >= 1e5 => format!("{:.0} k", rate / 1e3),
        rate => format!("{:.1} k", rate / 1e3),
    }
}

/// The microseconds of a verification, and its ratios to the bare loops.
fn compare(verifier: &mut Verifier, row: &mut Row<'_>, batch: usize) -> [Option<f64>; 3] {
    let questions: Vec<Question> = (0..batch).map(|_| (row.question)()).collect();
    let name = row.name;
    let mut verified = || {
        for answer in black_box(verifier.answer(&questions)) {
            let answer = answer.expect("the token answers");
            assert!(!matches!(answer, Answer::Wrong | Answer::WrongLength | Answer::Refused), "{name}");
        }
    };
    let mut calls = || (row.bare)(batch);
    let of_batch = |each: f64| Some(each / batch as f64);
    match &mut row.worked {
        None => {
            let [(each, _), (_, calls)] = timed::in_turns([&mut verified, &mut calls]);
            [of_batch(each), Some(calls), None]
        }
        Some(worked) => {
            let found = timed::in_turns([&mut verified, &mut calls, &mut || worked(batch)]);
            let [(each, _), (_, calls), (_, worked)] = found;
            [of_batch(each), Some(calls), Some(worked)]
        }
    }
}
