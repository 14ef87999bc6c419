//! A stream cut into messages, per form of length.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use benches::{AUTHORIZATION, message};
use codecs::frame::{Cut, FrameFormat, LengthForm};
use codecs::iso8583::built_in;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn frame(criterion: &mut Criterion) {
    let dialect = built_in("iso87-ascii").expect("built in");
    let message = message(dialect, b"0100", &AUTHORIZATION);
    let mut group = criterion.benchmark_group("frame");
    group.throughput(Throughput::Elements(64));
    let forms = [
        ("binary2", LengthForm::Binary2),
        ("binary4", LengthForm::Binary4),
        ("bcd2", LengthForm::Bcd2),
        ("ascii4", LengthForm::Ascii4),
    ];
    for (name, length) in forms {
        let format =
            FrameFormat { length, inclusive: false, header_bytes: 0, max_bytes: 4_096, keep_alive: false };
        let mut stream = Vec::new();
        for _ in 0..64 {
            let at = stream.len();
            stream.resize(at + format.overhead_bytes(), 0);
            format.seal(&[], message.len(), &mut stream[at..]).expect("room");
            stream.extend_from_slice(&message);
        }
        group.bench_function(format!("cut 64 messages, {name}"), |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(&stream[..]);
                let mut bytes = 0;
                while let Ok(Cut::Frame { message, taken, .. }) = format.cut(rest) {
                    bytes += message.len();
                    rest = &rest[taken..];
                }
                bytes
            });
        });
    }
    group.finish();
}

criterion_group!(benches, frame);
criterion_main!(benches);
