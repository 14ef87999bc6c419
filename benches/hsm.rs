//! Codes checked by SoftHSM2, one at a time and in batches, per exposure. Not a criterion bench: a token is
//! made for the run, in a folder of its own, and the module reads where it is from the environment.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use hsm::token::{Ceremony, KeySpec, Token, Usage, initialise};
use hsm::{
    Challenge, Code, CodeLength, KeyId, MasterUsage, Pan, Question, Response, RotatingCode, Secret,
    UnpredictableNumber, Verifier,
};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const LABEL: &str = "bench";
/// How long each row is measured, and how often; the middle one is told.
const ROUND: Duration = Duration::from_millis(300);
const ROUNDS: usize = 5;

fn main() {
    let folder = env::temp_dir().join(format!("signalbox-bench-hsm-{}", std::process::id()));
    if !Path::new(MODULE).exists() {
        println!("hsm: NOT RUN, needs SoftHSM2, which hsm/setup.sh installs");
    } else if env::var_os("SIGNALBOX_BENCH_HSM").is_some() {
        measure();
    } else {
        fs::create_dir_all(folder.join("tokens")).expect("a folder");
        let config = folder.join("softhsm2.conf");
        let tokens = folder.join("tokens").display().to_string();
        fs::write(&config, format!("directories.tokendir = {tokens}\nlog.level = ERROR\n")).expect("a file");
        let mut again = Command::new(env::current_exe().expect("this bench"));
        let status = again
            .env("SOFTHSM2_CONF", &config)
            .env("SIGNALBOX_BENCH_HSM", "in the process with the token")
            .status();
        fs::remove_dir_all(&folder).expect("our own folder");
        assert!(status.expect("a process").success());
    }
}

fn measure() {
    let module = Path::new(MODULE);
    let pin = || Secret::from("4711-0815".to_owned());
    initialise(module, LABEL, &Secret::from("9999-9999".to_owned()), &pin()).expect("a token");
    let ceremony = Ceremony::open(module, LABEL, &pin()).expect("a session");
    let made = |label: &str, usage| KeySpec {
        label: label.to_owned(),
        check_value: ceremony.generate(label, usage).expect("a key"),
        danger_modifiable: false,
    };
    let (strict, exposed, responses) = (
        made("counters", Usage::CounterMaster),
        made("exposed", Usage::ExposedCounterMaster),
        made("responses", Usage::ResponseMaster),
    );
    let mut verifier = Verifier::new(Token::open(module, LABEL, &pin()).expect("a token"));
    let strict = verifier.load_master(&strict, MasterUsage::Counter).expect("a key");
    let exposed = verifier.load_exposed_counters(&exposed).expect("a key");
    let responses = verifier.load_master(&responses, MasterUsage::Response).expect("a key");
    println!("SoftHSM2, one thread, codes a second (median of {ROUNDS} rounds)");
    println!("{:<40} {:>12} {:>12}", "", "one", "batches of 64");
    for (name, key, question) in [
        ("rotating ATC, exposure none", strict, rotating as fn(KeyId, u32) -> Question),
        ("rotating ATC, exposure session", exposed, rotating),
        ("challenge response, exposure none", responses, response),
    ] {
        let one = rate(&mut verifier, key, question, 1);
        let many = rate(&mut verifier, key, question, 64);
        println!("{name:<40} {one:>12.0} {many:>12.0}");
    }
}

fn rate(verifier: &mut Verifier, key: KeyId, question: fn(KeyId, u32) -> Question, batch: u32) -> f64 {
    let mut rates: Vec<f64> = (0..ROUNDS).map(|_| round(verifier, key, question, batch)).collect();
    rates.sort_by(f64::total_cmp);
    rates[ROUNDS / 2]
}

fn round(verifier: &mut Verifier, key: KeyId, question: fn(KeyId, u32) -> Question, batch: u32) -> f64 {
    let (started, mut asked) = (Instant::now(), 0);
    while started.elapsed() < ROUND {
        let questions: Vec<Question> = (0..batch).map(|index| question(key, asked + index)).collect();
        for answer in black_box(verifier.answer(&questions)) {
            answer.expect("the token answers");
        }
        asked += batch;
    }
    f64::from(asked) / started.elapsed().as_secs_f64()
}

fn rotating(key: KeyId, index: u32) -> Question {
    Question::RotatingCode(RotatingCode {
        key,
        account: *b"\x99\x10\x00\x00\x00\x00\x10\x01",
        bundle: 1,
        index,
        un: UnpredictableNumber::parse(b"731").expect("digits"),
        presented: Code::parse(b"4785").expect("digits"),
        length: CodeLength::new(4).expect("a length"),
    })
}

fn response(key: KeyId, _: u32) -> Question {
    Question::Response(Response {
        key,
        pan: Pan::parse(b"9999150000000015").expect("a number"),
        challenge: Challenge::parse(b"08154711").expect("digits"),
        presented: Code::parse(b"984747").expect("digits"),
        length: CodeLength::new(6).expect("a length"),
    })
}
