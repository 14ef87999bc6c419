//! The authorizer alone: a request and its answer, two steps, with a million identities remembered.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use authorizer::Authorizer;
use authorizer::cards::AccountHash;
use authorizer::effect::{Effect, Effects};
use authorizer::event::{
    AcquirerId, AcquirerLink, Event, IssuerId, IssuerLink, LinkChange, Now, ShardId, Ticket,
};
use authorizer::request::{Answer, Class, Fingerprint, Identity, MatchKeys, Presented, Request};
use benches::{limits, tables};
use codecs::value::{Amount, Currency, Expiry, Pan, PartyId, ProcessingCode, ResponseCode, Rrn, TerminalId};
use criterion::{Criterion, criterion_group, criterion_main};

const LINK: AcquirerLink = AcquirerLink { shard: ShardId(0), slot: 0, generation: 1 };
const ISSUER: IssuerLink = IssuerLink { issuer: IssuerId(0), link: 0 };

fn request() -> Request {
    Request {
        ticket: Ticket(0),
        link: LINK,
        acquirer: AcquirerId(0),
        class: Class::Authorization,
        is_repeat: false,
        identity: Identity(0),
        fingerprint: Fingerprint { content: 0, track: Some(0) },
        stan: codecs::value::Stan::new(1).expect("six digits"),
        original: None,
        local_time: Some(120_000),
        local_date: Some(1_123),
        home: ShardId(0),
        pan: Pan::parse(b"9999600000000019"),
        amount: Amount::new(1_000, Currency::new(840).expect("a code")),
        processing_code: ProcessingCode::parse(b"000000"),
        expiry: Expiry::parse(b"2912"),
        verification_only: false,
        program: None,
        account: AccountHash(0),
        entry_mode: None,
        service_code: None,
        presented: Presented::Nothing,
        forwarder: None,
        keys: MatchKeys {
            moment: 1_123_220_304,
            acquirer: PartyId::new(100_001),
            rrn: Rrn::parse(b"000000000001"),
            terminal: TerminalId::parse(b"TERM0001"),
            merchant: None,
        },
        kept: None,
    }
}

fn decide(criterion: &mut Criterion) {
    let mut authorizer = Authorizer::new(ShardId(0), 1, tables(1_000), limits());
    let mut out = Effects::default();
    let mut now = Now { monotonic_us: 0, moment: 1_123_120_000, year: 2026, month: 11 };
    authorizer.step(&Event::AcquirerLink(LINK, AcquirerId(0), LinkChange::Up), now, &mut out);
    authorizer.step(&Event::IssuerLink(ISSUER, LinkChange::Up), now, &mut out);
    let request = request();
    let mut identity = 0x1234_5678_9ABC_DEF0_u128;
    criterion.bench_function("decide/request and answer", |bencher| {
        bencher.iter(|| {
            out.clear();
            now.monotonic_us += 1;
            // A multiplicative step visits the table at random places, as hashed identities do.
            identity = identity.wrapping_mul(0xDA94_2042_E4DD_58B5).wrapping_add(0x1405_7B7E_F767_814F);
            authorizer.step(
                &Event::Request(Request { identity: Identity(identity), ..request.clone() }),
                now,
                &mut out,
            );
            let Some(Effect::Forward { stan, .. }) = out.visible.last().cloned() else {
                panic!("not forwarded: {:?}", out.visible)
            };
            let answer = Answer {
                ticket: Ticket(1),
                link: ISSUER,
                class: Class::Authorization,
                stan,
                keys: request.keys,
                pan: request.pan,
                processing_code: request.processing_code,
                amount_minor: Some(1_000),
                currency: None,
                approval_code: None,
                response_code: ResponseCode::of(b"00"),
            };
            authorizer.step(&Event::Answered(answer), now, &mut out);
            authorizer.step(&Event::Tick, now, &mut out);
            assert_eq!(out.visible.len(), 2);
        });
    });
}

criterion_group!(benches, decide);
criterion_main!(benches);
