//! What it costs that every fact is on the disk first: the journal's group commit beside a bare file with the same
//! writes and the same flush, and one line of payments with the journal at `sync`, at `written` and with none.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use authorizer::event::{AcquirerId, IssuerId, IssuerLink};
use authorizer::fact::Fact;
use authorizer::request::{Asked, Class, Fingerprint, Identity, MatchKeys};
use authorizer::transaction::Sent;
use benches::path::Path;
use codecs::value::{Amount, Currency, Pan, PartyId, ProcessingCode, Rrn, Stan, TerminalId};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use switch::journal::Level;
use switch::journal::bench::BenchJournal;

/// What the fact below takes in a batch, and what the batch itself takes.
const FACT_BYTES: usize = 190;
const HEAD_BYTES: usize = 72;
const FILE_BYTES: u64 = 64 << 20;

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

/// A file that was filled before, as a segment is.
fn bare_file(name: &str) -> File {
    let path = folder(name).join("bare");
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(path).expect("a file");
    let zeros = vec![0; 1 << 20];
    (0..FILE_BYTES >> 20).for_each(|_| file.write_all(&zeros).expect("room"));
    file.sync_all().expect("a disk");
    file
}

fn group_commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("group commit");
    group.measurement_time(Duration::from_secs(3));
    for batch in [1_usize, 8, 64, 250] {
        group.throughput(Throughput::Elements(batch as u64));
        let directory = folder(&format!("journal-{batch}"));
        let mut journal = BenchJournal::open(&directory, Level::Sync);
        let (mut now_us, mut number) = (1, 0_u32);
        group.bench_function(BenchmarkId::new("journal", batch), |bencher| {
            bencher.iter(|| {
                now_us += 1;
                let facts: Vec<Fact> = (0..batch as u32).map(|nth| intent(number + nth)).collect();
                number += batch as u32;
                let end = journal.append(black_box(&facts), now_us);
                while journal.durable_up_to() < end {
                    std::thread::yield_now();
                }
            });
        });
        drop(journal);
        let _ = fs::remove_dir_all(&directory);
        let (file, mut offset) = (bare_file(&format!("bare-{batch}")), 0);
        let bytes = vec![0x5A; (HEAD_BYTES + batch * FACT_BYTES).next_multiple_of(8)];
        group.bench_function(BenchmarkId::new("bare file", batch), |bencher| {
            bencher.iter(|| {
                if offset + bytes.len() as u64 > FILE_BYTES {
                    offset = 0;
                }
                file.write_all_at(black_box(&bytes), offset).expect("room");
                offset += bytes.len() as u64;
                file.sync_data().expect("a disk");
            });
        });
    }
    group.finish();
}

fn line(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("line");
    group.measurement_time(Duration::from_secs(3));
    for batch in [1_usize, 8, 64] {
        group.throughput(Throughput::Elements(batch as u64));
        for (name, level) in [("none", None), ("written", Some(Level::Written)), ("sync", Some(Level::Sync))]
        {
            let directory = folder(&format!("line-{name}-{batch}"));
            let journal = level.map(|level| BenchJournal::open(&directory, level));
            let mut path = Path::over(batch, journal);
            group.bench_function(BenchmarkId::new(name, batch), |bencher| bencher.iter(|| path.turns(batch)));
            drop(path);
            let _ = fs::remove_dir_all(&directory);
        }
    }
    group.finish();
}

criterion_group!(benches, group_commit, line);
criterion_main!(benches);
