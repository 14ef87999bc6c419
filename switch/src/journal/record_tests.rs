//! Every fact comes back as it was written; bytes that are none are refused.

use authorizer::event::ShardId;
use codecs::value::Expiry;
use proptest::prelude::*;

use super::*;
use crate::journal::keys::tests::keys;

fn asked() -> Asked {
    Asked {
        identity: Identity(1 << 100),
        fingerprint: Fingerprint { content: 7, track: None },
        acquirer: AcquirerId(3),
        class: Class::Financial,
        stan: Stan::new(123_456).expect("a number"),
        amount: Amount::new(1_000, Currency::new(978).expect("a currency")),
        processing_code: ProcessingCode::parse(b"003000"),
        forwarder: PartyId::new(22),
        local_time: Some(120_000),
        local_date: None,
        keys: MatchKeys {
            moment: 1_123_120_000,
            acquirer: PartyId::new(100_001),
            rrn: Rrn::parse(b"000000000001"),
            terminal: TerminalId::parse(b"TERM0001"),
            merchant: MerchantId::parse(b"MERCH0000000001"),
        },
    }
}

pub(in crate::journal) fn sent() -> Sent {
    Sent {
        to: IssuerLink { issuer: IssuerId(2), link: 1 },
        stan: Stan::new(9).expect("a number"),
        pan: Pan::parse(b"9999600000000019"),
        is_funded: true,
        received_us: 1_700_000_000_000_000,
        asked: asked(),
    }
}

pub(in crate::journal) fn undo() -> Option<Box<Reversal>> {
    Some(Box::new(Reversal {
        sent: sent(),
        stan: Stan::new(10).expect("a number"),
        moment: 1_124_000_000,
        year: 2026,
        why: Why::Undeliverable,
        left_minor: 400,
        approval_code: ApprovalCode::parse(b"A12345"),
        is_repeat: true,
    }))
}

pub(in crate::journal) fn advice() -> Advice {
    let outcome = Outcome {
        verdict: Verdict::Approved,
        response_code: ResponseCode::of(b"00"),
        approval_code: ApprovalCode::parse(b"000009"),
        approved_minor: None,
    };
    let kept = Kept(Box::from(&b"\x25\x02\x00AB"[..]));
    Advice { sent: sent(), outcome, kept, is_repeat: true }
}

const PERSONALISED: Personalised = Personalised { expiry: None, service_code: Some(*b"201") };

fn facts() -> Vec<Fact> {
    let (identity, issuer, stan) = (Identity(5), IssuerId(2), Stan::new(10).expect("a number"));
    let approved = Outcome {
        verdict: Verdict::Approved,
        response_code: ResponseCode::of(b"10"),
        approval_code: ApprovalCode::parse(b"A12345"),
        approved_minor: Some(400),
    };
    let declined = Outcome::declined(DeclineReason::IssuerTimedOut, ResponseCode::of(b"911"));
    let provision = |change| {
        let pan = Pan::parse(b"9999100000000010").expect("a card");
        Fact::Provisioned(Box::new(Provision { asker: None, account: AccountHash(8), pan, change }))
    };
    let funding = Funding {
        pan: Pan::parse(b"9999600000000019").expect("a card"),
        expiry: Expiry::parse(b"3011").expect("a month"),
    };
    let judged = |question| Fact::Judged {
        identity,
        account: AccountHash(8),
        program: ProgramId(1),
        question,
        is_right: true,
    };
    vec![
        Fact::Intent(sent()),
        Fact::Intent(Sent { pan: None, ..sent() }),
        Fact::Result { identity, outcome: approved },
        Fact::Timeout { identity, outcome: declined, undo: undo() },
        Fact::Timeout { identity, outcome: declined, undo: None },
        Fact::Reversed { identity, left_minor: 400, undo: undo() },
        Fact::Tombstone { identity, acquirer: AcquirerId(1) },
        Fact::Advised(Box::new(advice())),
        Fact::ReversalDone { issuer, stan },
        Fact::ReversalParked { issuer, stan },
        Fact::ReversalReleased { issuer, stan },
        Fact::Declined { asked: asked(), outcome: declined },
        judged(Question::RotatingCode { psn: 1, bundle: 2, atc: 42, stripe: None }),
        judged(Question::Response { challenge: *b"12345678", tag: None }),
        judged(Question::CardCode { psn: 1, stripe: [0; 2], atcs: Candidates::one(7_751) }),
        judged(Question::CardCode { psn: 1, stripe: [0; 2], atcs: Candidates::NONE }),
        provision(Change::Enrol { psn: 1, funding: Some(funding), personalised: PERSONALISED, atc: 0 }),
        provision(Change::Enrol { psn: 1, funding: None, personalised: Personalised::NONE, atc: 7_750 }),
        provision(Change::IssueBundle { id: 1, first: 40, count: 10, ttl_us: 5 }),
        provision(Change::ConfirmBundle(1)),
        provision(Change::RevokeBundle(1)),
        provision(Change::Challenge { digits: *b"12345678", ttl_us: 5, tag: None }),
        provision(Change::Challenge { digits: *b"12345678", ttl_us: 5, tag: Some(Tag::Aes([1; 16])) }),
        provision(Change::Challenge { digits: *b"12345678", ttl_us: 5, tag: Some(Tag::Hmac([2; 32])) }),
        provision(Change::Stripe { psn: 1, constant: [3, 4] }),
        provision(Change::Block),
        provision(Change::Unblock),
        Fact::Late { issuer, stan, approved: true, undo: undo() },
    ]
}

fn written() -> (Vec<u8>, Sealer) {
    let keys = keys();
    let mut sealer = keys.for_new(&[1; 32], ShardId(0));
    let mut out = Vec::new();
    let mut writer = Writer { out: &mut out, sealer: &mut sealer, keys: &keys };
    facts().iter().for_each(|fact| writer.fact(fact));
    sealer.close(&mut out);
    (out, sealer)
}

#[test]
fn every_fact_comes_back() {
    let (bytes, sealer) = written();
    let mut reader = Reader::new(&bytes, Some(&sealer)).expect("sound");
    for fact in facts() {
        let (read, _) = reader.next().expect("a record").expect("sound");
        assert_eq!(read, fact);
    }
    assert!(reader.next().is_none());
}

/// Cards that were enrolled before there were counters of their own.
#[test]
fn older_enrolments_are_read() {
    let keys = keys();
    let pan = Pan::parse(b"9999100000000010").expect("a card");
    for (written, atc) in [(&[0, 1, 0][..], 0), (&[10, 1, 0, 2, 1], 258)] {
        let mut sealer = keys.for_new(&[1; 32], ShardId(0));
        let mut out = Vec::new();
        Writer { out: &mut out, sealer: &mut sealer, keys: &keys }.record(|w| {
            w.u64(8);
            w.card(Some(&pan));
            w.bytes(written);
            11
        });
        sealer.close(&mut out);
        let read = Reader::new(&out, Some(&sealer)).expect("sound").next();
        let change = Change::Enrol { psn: 1, funding: None, personalised: Personalised::NONE, atc };
        let enrolled = Provision { asker: None, account: AccountHash(8), pan, change };
        assert_eq!(read.expect("a record").expect("sound").0, Fact::Provisioned(Box::new(enrolled)));
    }
}

#[test]
fn no_card_number_is_written_and_without_the_key_none_is_read() {
    let (bytes, _) = written();
    for digits in [&b"9999600000000019"[..], b"9999100000000010"] {
        assert!(!bytes.windows(digits.len()).any(|window| window == digits));
    }
    let mut reader = Reader::new(&bytes, None).expect("sound");
    let (fact, token) = reader.next().expect("a record").expect("sound");
    assert!(matches!(fact, Fact::Intent(Sent { pan: None, .. })) && token.is_some());
    while let Some(read) = reader.next() {
        assert!(read.is_ok());
    }
}

#[test]
fn the_largest_fact_has_room() {
    let keys = keys();
    let mut sealer = keys.for_new(&[1; 32], ShardId(0));
    let kept = Kept(vec![0; crate::kept::BYTES_MAX].into_boxed_slice());
    let most = Fact::Advised(Box::new(Advice { kept, ..advice() }));
    for fact in facts().into_iter().chain([most]) {
        let mut out = Vec::new();
        Writer { out: &mut out, sealer: &mut sealer, keys: &keys }.fact(&fact);
        sealer.close(&mut out);
        assert!(out.len() <= crate::journal::writer::FACT_BYTES_MAX, "{} bytes", out.len());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(mut reader) = Reader::new(&bytes, None) {
            while let Some(Ok(_)) = reader.next() {}
        }
    }

    #[test]
    fn a_cut_record_is_refused(cut in 0_usize..100) {
        let (bytes, sealer) = written();
        let first = 5 + u32::from_le_bytes(bytes[1..5].try_into().expect("four")) as usize;
        let end = cut.min(first - 1);
        // A record alone, whose card numbers nobody has.
        let cut = [&bytes[..end], &0_u32.to_le_bytes()].concat();
        let mut reader = Reader::new(&cut, Some(&sealer)).expect("no card numbers");
        if end > 0 {
            prop_assert_eq!(reader.next(), Some(Err(NotARecord)));
        }
    }
}
