//! What it costs that every fact is on the disk first: group commit beside a bare file with the same writes and the same
//! flush, one line of payments with the journal at `sync`, at `written` and with none, and what `sync` adds to one payment.
//!
//!     cargo bench -p benches --bench journal
//!
//! Prints the table of README.md. Rounds of the rivals take turns, and what is told are middle ones: a disk that is slow
//! for a while is slow for all of them.

#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use authorizer::event::{AcquirerId, IssuerId, IssuerLink};
use authorizer::fact::Fact;
use authorizer::ports::Position;
use authorizer::request::{Asked, Class, Fingerprint, Identity, MatchKeys};
use authorizer::transaction::Sent;
use benches::path::Path;
use codecs::value::{Amount, Currency, Pan, PartyId, ProcessingCode, Rrn, Stan, TerminalId};
use switch::journal::Level;
use switch::journal::bench::BenchJournal;

const FILE_BYTES: u64 = 64 << 20;
/// Rounds of each rival, and how long one takes.
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(150);

fn main() {
    println!(
        "| group commit, records each | each waited for | of bare | as a shard goes on | of bare | bare file |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for batch in [1, 8, 64, 256] {
        group_commit(batch);
    }
    println!(
        "\n| line, payments a turn | none, payments a second | `written` | of none | `sync` | of `written` |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for batch in [1, 8, 64] {
        line(batch);
    }
    added();
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The fact of a request that goes to its issuer.
fn intent(number: u32) -> Fact {
    let stan = Stan::new(number % 999_999 + 1).expect("a trace number");
    Fact::Intent(Sent {
        to: IssuerLink { issuer: IssuerId(0), link: 0 },
        stan,
        pan: Pan::parse(b"9999600000000019"),
        is_funded: false,
        received_us: 1,
        asked: Asked {
            identity: Identity(u128::from(number) << 64 | 7),
            fingerprint: Fingerprint { content: 7, track: None },
            acquirer: AcquirerId(0),
            class: Class::Authorization,
            stan,
            amount: Amount::new(1_000, Currency::new(978).expect("a currency")),
            processing_code: ProcessingCode::parse(b"000000"),
            forwarder: None,
            local_time: Some(120_000),
            local_date: Some(1_123),
            keys: MatchKeys {
                moment: 1_123_120_000,
                acquirer: PartyId::new(100_001),
                rrn: Rrn::parse(b"000000000001"),
                terminal: TerminalId::parse(b"TERM0001"),
                merchant: None,
            },
        },
    })
}

/// A file that was filled before, as a segment is: with as much at a time.
fn bare_file(name: &str) -> File {
    let path = folder(name).join("bare");
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(path).expect("a file");
    let zeros = vec![0; 1 << 16];
    (0..FILE_BYTES >> 16).for_each(|_| file.write_all(&zeros).expect("room"));
    file.sync_all().expect("a disk");
    file
}

/// A bare file that is written from front to back, over and over.
struct Bare {
    file: File,
    offset: u64,
}

impl Bare {
    fn new(name: &str) -> Self {
        Self { file: bare_file(name), offset: 0 }
    }

    fn commit(&mut self, bytes: &[u8]) {
        if self.offset + bytes.len() as u64 > FILE_BYTES {
            self.offset = 0;
        }
        self.file.write_all_at(black_box(bytes), self.offset).expect("room");
        self.offset += bytes.len() as u64;
        self.file.sync_data().expect("a disk");
    }
}

/// A journal and the facts that go into it.
struct Kept {
    journal: BenchJournal,
    directory: PathBuf,
    facts: Vec<Fact>,
    now_us: u64,
    /// Where the last commit ends.
    end: Position,
}

impl Kept {
    fn new(name: &str, batch: usize) -> Self {
        let directory = folder(name);
        let journal = BenchJournal::open(&directory, Level::Sync);
        Self { journal, directory, facts: (0..batch as u32).map(intent).collect(), now_us: 1, end: 0 }
    }

    /// Waits for what it wrote.
    fn commit(&mut self) {
        self.write();
        self.wait(self.end);
    }

    /// Waits for the commit before, as a shard does: the next group is made while the last one is brought to the disk.
    fn commit_behind(&mut self) {
        let before = self.end;
        self.write();
        self.wait(before);
    }

    fn write(&mut self) {
        self.now_us += 1;
        self.end = self.journal.append(black_box(&self.facts), self.now_us);
    }

    fn wait(&self, end: Position) {
        while self.journal.durable_up_to() < end {
            std::thread::yield_now();
        }
    }

    /// Bytes of one commit.
    fn bytes(&mut self) -> usize {
        self.commit();
        let before = self.journal.bytes();
        self.commit();
        (self.journal.bytes() - before) as usize
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn group_commit(batch: usize) {
    let mut kept = Kept::new(&format!("journal-{batch}"), batch);
    let bytes = vec![0x5A; kept.bytes()];
    let mut behind = Kept::new(&format!("behind-{batch}"), batch);
    let mut bare = Bare::new(&format!("bare-{batch}"));
    let rivals: [&mut dyn FnMut(); 3] =
        [&mut || kept.commit(), &mut || behind.commit_behind(), &mut || bare.commit(&bytes)];
    let [waited, behind, file] = rates(rivals).map(|rate| rate * batch as f64);
    let (of_waited, of_behind) = (waited / file, behind / file);
    println!("| {batch} | {waited:.0} | {of_waited:.2} | {behind:.0} | {of_behind:.2} | {file:.0} |");
}

fn line(batch: usize) {
    let open = |name: &str, level| BenchJournal::open(&folder(&format!("line-{name}-{batch}")), level);
    let mut none = Path::over(batch, None);
    let mut written = Path::over(batch, Some(open("written", Level::Written)));
    let mut sync = Path::over(batch, Some(open("sync", Level::Sync)));
    let [none, written, sync] =
        rates([&mut || none.turns(batch), &mut || written.turns(batch), &mut || sync.turns(batch)])
            .map(|rate| rate * batch as f64);
    println!(
        "| {batch} | {none:.0} | {written:.0} | {:.2} | {sync:.0} | {:.3} |",
        written / none,
        sync / written
    );
}

/// How long one fact waits until what follows from it may be seen, beside one flush of a bare 4 KiB.
fn added() {
    let mut kept = Kept::new("added", 1);
    let mut bare = Bare::new("bare-added");
    let bytes = vec![0x5A; 4_096];
    let (mut waits, mut flushes) = (Vec::new(), Vec::new());
    let timed = |what: &mut dyn FnMut()| {
        let began = Instant::now();
        what();
        began.elapsed()
    };
    for _ in 0..2_000 {
        waits.push(timed(&mut || kept.commit()));
        flushes.push(timed(&mut || bare.commit(&bytes)));
    }
    waits.sort_unstable();
    flushes.sort_unstable();
    let (wait, flush) = (waits[waits.len() / 2], flushes[flushes.len() / 2]);
    let ratio = wait.as_secs_f64() / flush.as_secs_f64();
    println!(
        "\nAdded by `sync` to one payment: {wait:.1?}; one bare 4 KiB with its flush: {flush:.1?}; {ratio:.2} of it."
    );
}

/// How often each rival did its work in a second: the middle one of rounds in turns.
fn rates<const RIVALS: usize>(mut rivals: [&mut dyn FnMut(); RIVALS]) -> [f64; RIVALS] {
    let mut found: [Vec<f64>; RIVALS] = std::array::from_fn(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (rival, rates) in rivals.iter_mut().zip(&mut found) {
            let (began, mut times) = (Instant::now(), 0);
            while began.elapsed() < ROUND {
                rival();
                times += 1;
            }
            rates.push(f64::from(times) / began.elapsed().as_secs_f64());
        }
    }
    found.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    })
}
