//! The IIN table, small and at real size: random cards, so that the table is not in the nearest cache.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use benches::tables;
use codecs::value::Pan;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn route(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    for ranges in [10, 1_000, 100_000] {
        let table = tables(ranges).iins;
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut card = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            Pan::parse(format!("{:016}", seed % 10_000_000_000_000_000).as_bytes()).expect("digits")
        };
        group.bench_function(format!("{ranges} ranges"), |bencher| {
            bencher.iter_batched(&mut card, |pan| table.route(&pan).is_some(), BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, route);
criterion_main!(benches);
