//! One transaction without sockets, at one, eight and sixty-four a turn.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use benches::path::Path;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn whole_path(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("whole path");
    for batch in [1_usize, 8, 64] {
        let mut path = Path::new(batch);
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::new("transactions a turn", batch), |bencher| {
            bencher.iter(|| path.turns(batch));
        });
    }
    group.finish();
}

criterion_group!(benches, whole_path);
criterion_main!(benches);
