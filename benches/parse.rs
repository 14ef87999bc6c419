//! A message to an index, every byte checked; and on to a request.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use authorizer::event::{AcquirerId, AcquirerLink, ShardId, Ticket};
use authorizer::request::Class;
use benches::{APPROVAL, AUTHORIZATION, message};
use codecs::iso8583::{Index, Message, Plans, built_in};
use criterion::{Criterion, criterion_group, criterion_main};
use switch::acquirer::translate::{self, Received};
use switch::homes::Homes;
use switch::programs::Programs;

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for name in ["iso87-ascii", "iso87-binary", "iso87-ebcdic"] {
        let dialect = built_in(name).expect("built in");
        for (kind, mti, elements) in [
            ("0100, 20 elements", b"0100", &AUTHORIZATION[..]),
            ("0110, 14 elements", b"0110", &APPROVAL[..]),
        ] {
            let bytes = message(dialect, mti, elements);
            let mut index = Index::new();
            let mut plans = Plans::new();
            group.bench_function(format!("{name} {kind}"), |bencher| {
                bencher.iter(|| plans.parse(dialect, black_box(&bytes), &mut index));
            });
            group.bench_function(format!("{name} {kind}, without a plan"), |bencher| {
                bencher.iter(|| dialect.parse(black_box(&bytes), &mut index));
            });
        }
    }
    let dialect = built_in("iso87-ascii").expect("built in");
    let bytes = message(dialect, b"0100", &AUTHORIZATION);
    let programs = Programs::default();
    let homes = Homes::drawn(1, &["bench"]).expect("randomness");
    let link = AcquirerLink { shard: ShardId(0), slot: 0, generation: 0 };
    let received = Received { ticket: Ticket(0), link, acquirer: AcquirerId(0) };
    let (mut index, mut plans) = (Index::new(), Plans::new());
    group.bench_function("iso87-ascii 0100 to a request", |bencher| {
        bencher.iter(|| {
            plans.parse(dialect, black_box(&bytes), &mut index)?;
            dialect.check_rules(&index)?;
            let message = Message::new(dialect, &bytes, &index);
            let mti = index.mti().expect("sound");
            translate::request(
                &message,
                (mti, Class::Authorization),
                received,
                &homes,
                &programs,
                |_, _, _| None,
            )
        });
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
