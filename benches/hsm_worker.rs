//! Codes checked by a token in a worker process, beside the same questions in this process, and beside a bare loop over
//! the same calls of PKCS#11 where each code needs keys of its own: what it costs to have a module where it can do no harm.
//! In turns, so that each round met the same machine. What is printed are the tables of README.md. Not a criterion bench,
//! like `hsm`.

#[path = "hsm_bare.rs"]
#[allow(dead_code, reason = "the other bench needs the rest")]
mod bare;

use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use bare::{AES_ECB, Bare, Work, derived};
use hsm::token::{Ceremony, DEVTOKEN, Exposure, KeySpec, Usage, initialise};
use hsm::wire::{self, Word};
use hsm::{
    Code, CodeLength, KeyId, KeyRequest, MasterUsage, Plan, Purpose, Question, RotatingCode, Secret,
    UnpredictableNumber, Verifier,
};

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const LABEL: &str = "bench";
/// How long each side is measured, and how often; the middle one is told.
const ROUND: Duration = Duration::from_millis(300);
const ROUNDS: usize = 7;
/// Questions of one turn, and turns that are under way at a time.
const BATCH: usize = 64;
const UNDER_WAY: usize = 8;
/// What this program is, when it is not the bench itself.
const JOB: &str = "SIGNALBOX_BENCH_HSM_WORKER";
/// Names the module to the process that measures it.
const MODULE: &str = "SIGNALBOX_BENCH_HSM_MODULE";

const STRICT: u16 = 0;
const EXPOSED: u16 = 1;

fn main() {
    match env::var(JOB).as_deref() {
        Ok("measure") => measure(Path::new(&env::var_os(MODULE).expect("a module"))),
        Ok("work") => {
            let stream = std::io::stdin().as_fd().try_clone_to_owned().expect("a stream");
            hsm::worker::serve(&mut UnixStream::from(stream), || Ok(true)).expect("a conversation");
        }
        _ => {
            for (module, name) in [(SOFTHSM, "SoftHSM2"), (DEVTOKEN, "the development token")] {
                if module == SOFTHSM && !Path::new(module).exists() {
                    println!("hsm_worker: {name} NOT RUN, hsm/setup.sh installs it");
                    continue;
                }
                println!(
                    "\n{name}, batches of {BATCH}; median of {ROUNDS} rounds of {} ms each, in turns\n",
                    ROUND.as_millis()
                );
                in_a_fresh_token(module);
            }
        }
    }
}

/// A module reads where its token is from the environment, once for each process.
fn in_a_fresh_token(module: &str) {
    let folder = env::temp_dir().join(format!("signalbox-bench-hsm-worker-{}", std::process::id()));
    fs::create_dir_all(folder.join("tokens")).expect("a folder");
    let config = folder.join("softhsm2.conf");
    let tokens = folder.join("tokens").display().to_string();
    fs::write(&config, format!("directories.tokendir = {tokens}\nlog.level = ERROR\n")).expect("a file");
    let mut measures = myself("measure");
    measures
        .env(MODULE, module)
        .env("SOFTHSM2_CONF", &config)
        .env("SIGNALBOX_DEVTOKEN", folder.join("tokens"));
    let status = measures.status();
    fs::remove_dir_all(&folder).expect("our own folder");
    assert!(status.expect("a process").success());
}

fn myself(job: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("this bench"));
    command.env(JOB, job);
    command
}

fn pin() -> Secret {
    Secret::from("4711-0815".to_owned())
}

fn measure(module: &Path) {
    initialise(module, LABEL, &Secret::from("9999-9999".to_owned()), &pin()).expect("a token");
    let ceremony = Ceremony::open(module, LABEL, &pin()).expect("a session");
    let key = |label: &str, usage, purpose| {
        let value = Secret::new(0x0001_0203_0405_0607_0809_0A0B_0C0D_0E0F_u128.to_be_bytes().to_vec());
        let _ = ceremony.danger_import_clear(label, usage, &value).expect("a key");
        let listed = ceremony.list().expect("keys").into_iter().find(|key| key.label == label);
        let check_value = listed.and_then(|key| key.check_value).expect("a key");
        let spec = KeySpec { label: label.to_owned(), check_value, danger_modifiable: false };
        KeyRequest { spec, purpose }
    };
    let keys = vec![
        key("strict", Usage::CounterMaster, Purpose::Master(MasterUsage::Counter, Exposure::None)),
        key("exposed", Usage::ExposedCounterMaster, Purpose::Master(MasterUsage::Counter, Exposure::Session)),
    ];
    let plan = || Plan {
        module: module.to_owned(),
        token: LABEL.to_owned(),
        pin: pin(),
        keys: keys.clone(),
        card_keys: 0,
    };
    let mut inline = plan().open().expect("a token");
    let mut worker = Worker::start(&plan());

    let calls = Bare::new(module);
    let (base, template) = (calls.find("strict"), derived(AES_ECB, Work::Encrypt));
    let mut strictly = || {
        let key = calls.derive(base, &[1; 16], &template);
        calls.encrypt_init(calls.own(), AES_ECB, &[], key);
        calls.encrypt(calls.own(), &[2; 16], &mut [0; 16]);
        calls.destroy(key);
    };

    println!(
        "| codes a second, {UNDER_WAY} batches of {BATCH} under way | worker | inline | of inline | of bare calls |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for (name, key, strictly) in [
        ("rotating ATC, exposure `none`", STRICT, Some(&mut strictly as &mut dyn FnMut())),
        ("rotating ATC, exposure `session`", EXPOSED, None),
    ] {
        tell(name, &mut || worker.round(key), &mut || inline_round(&mut inline, key), strictly);
    }
    println!("\nthe worker's memory grew to {} MB", worker.resident_mb());
}

/// Measures them in turns.
fn tell(
    name: &str,
    worker: &mut dyn FnMut() -> f64,
    inline: &mut dyn FnMut() -> f64,
    mut calls: Option<&mut dyn FnMut()>,
) {
    let mut found: [Vec<f64>; 4] = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let (worker, inline) = (worker(), inline());
        found[0].push(worker);
        found[1].push(inline);
        found[2].push(worker / inline);
        if let Some(calls) = &mut calls {
            found[3].push(worker / bare_round(calls));
        }
    }
    let [worker, inline, of_inline, of_calls] = found.map(|mut values| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    });
    let (worker, inline) = (worker.unwrap_or_default() / 1e3, inline.unwrap_or_default() / 1e3);
    let [of_inline, of_calls] = [of_inline, of_calls]
        .map(|ratio| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")));
    println!("| {name} | {worker:.1} k | {inline:.1} k | {of_inline} | {of_calls} |");
}

fn bare_round(calls: &mut dyn FnMut()) -> f64 {
    let (started, mut done) = (Instant::now(), 0);
    while started.elapsed() < ROUND {
        (0..BATCH).for_each(|_| calls());
        done += BATCH;
    }
    done as f64 / started.elapsed().as_secs_f64()
}

fn inline_round(verifier: &mut Verifier, key: u16) -> f64 {
    let (started, mut done) = (Instant::now(), 0);
    while started.elapsed() < ROUND {
        let questions: Vec<Question> = (0..BATCH).map(|_| question(key)).collect();
        for answer in black_box(verifier.answer(&questions)) {
            assert!(answer.expect("the token answers").is_right());
        }
        done += BATCH;
    }
    done as f64 / started.elapsed().as_secs_f64()
}

/// The code of public ATC 42.
fn question(key: u16) -> Question {
    Question::RotatingCode(RotatingCode {
        key: KeyId::of_place(key),
        account: *b"\x99\x10\x00\x00\x00\x00\x10\x01",
        bundle: 1,
        index: 42,
        un: UnpredictableNumber::parse(b"731").expect("digits"),
        presented: Code::parse(b"4785").expect("digits"),
        length: CodeLength::new(4).expect("a length"),
    })
}

/// A worker process, asked as a shard asks it: turn by turn, without waiting for each.
struct Worker {
    process: Child,
    stream: UnixStream,
    out: Vec<u8>,
    heard: Vec<u8>,
    next: u64,
}

impl Worker {
    fn start(plan: &Plan) -> Worker {
        let (stream, theirs) = UnixStream::pair().expect("a stream");
        let process = myself("work").stdin(Stdio::from(OwnedFd::from(theirs))).spawn().expect("a worker");
        let mut worker = Worker { process, stream, out: Vec::new(), heard: Vec::new(), next: 0 };
        let mut set_up = Vec::new();
        wire::put_set_up(&mut set_up, plan);
        worker.stream.write_all(&set_up).expect("a worker that reads");
        while worker.heard.is_empty() {
            worker.read();
        }
        assert!(matches!(wire::word(&worker.heard), Ok(Some((Word::Ready, _)))));
        worker.heard.clear();
        worker
    }

    fn round(&mut self, key: u16) -> f64 {
        let (started, mut under_way, mut done) = (Instant::now(), 0, 0);
        loop {
            let is_over = started.elapsed() >= ROUND;
            while !is_over && under_way <= (UNDER_WAY - 1) * BATCH {
                self.ask(key);
                under_way += BATCH;
            }
            if under_way == 0 {
                return done as f64 / started.elapsed().as_secs_f64();
            }
            let answered = self.answers();
            under_way -= answered;
            done += answered;
        }
    }

    /// A turn's questions in one write.
    fn ask(&mut self, key: u16) {
        self.out.clear();
        let begun = wire::begin_questions(&mut self.out);
        for _ in 0..BATCH {
            wire::put_question(&mut self.out, self.next, &question(key));
            self.next += 1;
        }
        wire::end(&mut self.out, begun);
        self.stream.write_all(&self.out).expect("a worker that reads");
    }

    /// What one read brings.
    fn answers(&mut self) -> usize {
        self.read();
        let (mut taken, mut answered) = (0, 0);
        while let Some((word, len)) = wire::word(&self.heard[taken..]).expect("words") {
            let Word::Answers(answers) = word else { panic!("answers") };
            for answer in answers {
                let (_, answer) = answer.expect("an answer");
                assert!(answer.expect("the token answers").is_right());
                answered += 1;
            }
            taken += len;
        }
        self.heard.drain(..taken);
        answered
    }

    fn read(&mut self) {
        let before = self.heard.len();
        self.heard.resize(before + (64 << 10), 0);
        let read = self.stream.read(&mut self.heard[before..]).expect("a worker that speaks");
        self.heard.truncate(before + read);
        assert!(read > 0, "the worker ended");
    }

    fn resident_mb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("a process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kibibytes: u64 =
            line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
        kibibytes / 1024
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
