//! Messages written: forwarded in the same dialect, said anew in another, answered.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use authorizer::decision::{Outcome, Verdict};
use benches::{APPROVAL, AUTHORIZATION, message};
use codecs::iso8583::{Index, Message, Weaves, built_in};
use codecs::value::{ApprovalCode, ResponseCode, Stan};
use criterion::{Criterion, criterion_group, criterion_main};
use switch::issuer::translate::{Onward, Passing};
use switch::{acquirer, issuer};

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let ascii = built_in("iso87-ascii").expect("built in");
    let binary = built_in("iso87-binary").expect("built in");
    let (bytes, answer_bytes) = (message(ascii, b"0100", &AUTHORIZATION), message(ascii, b"0110", &APPROVAL));
    let (mut index, mut answer_index) = (Index::new(), Index::new());
    ascii.parse(&bytes, &mut index).expect("sound");
    ascii.parse(&answer_bytes, &mut answer_index).expect("sound");
    let request = Message::new(ascii, &bytes, &index);
    let answer = Message::new(ascii, &answer_bytes, &answer_index);
    let mti = request.mti().expect("sound");
    let stan = Stan::new(123_456).expect("six digits");
    let onward = Onward { mti, stan, passing: Passing::Restamped, funding: None };
    let mut weaves = Weaves::new();
    let mut out = vec![0; 1_024];

    group.bench_function("memcpy of the message", |bencher| {
        bencher.iter(|| out[..bytes.len()].copy_from_slice(black_box(&bytes)));
    });
    group.bench_function("forward, same dialect", |bencher| {
        bencher
            .iter(|| issuer::translate::forward(black_box(&request), &onward, ascii, &mut weaves, &mut out));
    });
    group.bench_function("forward, ASCII to binary", |bencher| {
        bencher.iter(|| {
            let onward = Onward { passing: Passing::Whole, ..onward };
            issuer::translate::forward(black_box(&request), &onward, binary, &mut weaves, &mut out)
        });
    });
    let outcome = Outcome {
        verdict: Verdict::Approved,
        response_code: ResponseCode::of(b"00"),
        approval_code: ApprovalCode::parse(b"A12345"),
        approved_minor: None,
    };
    group.bench_function("0110 from the issuer's answer", |bencher| {
        bencher.iter(|| {
            acquirer::translate::reply(
                black_box(&request),
                ascii,
                *b"0110",
                &outcome,
                Some(acquirer::translate::Answered { message: &answer, funding: None }),
                &mut weaves,
                &mut out,
            )
        });
    });
    group.bench_function("0110 made here", |bencher| {
        bencher.iter(|| {
            let request = black_box(&request);
            acquirer::translate::reply(request, ascii, *b"0110", &outcome, None, &mut weaves, &mut out)
        });
    });
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
