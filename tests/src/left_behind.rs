//! What a switch left behind, written by the journal's own writer: open state by the million, without the hours it takes to
//! come about.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use authorizer::cards::{AccountHash, Card, Funding};
use authorizer::decision::{Outcome, Verdict};
use authorizer::event::{AcquirerId, IssuerId, IssuerLink};
use authorizer::memory::{Entry, State};
use authorizer::request::{Asked, Class, Fingerprint, Identity, MatchKeys};
use authorizer::saf::{Reversal, Stored, Why};
use authorizer::snapshot::{Leg, Piece, Unacknowledged};
use authorizer::transaction::Sent;
use codecs::value::{
    Amount, ApprovalCode, Currency, Expiry, Pan, PartyId, ProcessingCode, ResponseCode, Rrn, Stan, TerminalId,
};
use switch::journal::bench::write_snapshot;

/// Puts a data directory in the place of the one in this folder: of so many shards, with so many records, each as `piece`
/// says of its number and the time. Acquirer `north` and issuer `maple`, and the key of every rig.
pub fn leave_behind(folder: &Path, shards: u16, records: u32, piece: fn(u32, u64) -> Piece) {
    let journal = folder.join("journal");
    fs::remove_dir_all(&journal).expect("our own");
    let _ = fs::remove_file(folder.join("journal.mark"));
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros() as u64;
    for shard in 0..shards {
        let pieces =
            (u32::from(shard)..records).step_by(usize::from(shards)).map(|number| piece(number, now_us));
        write_snapshot(&journal, (shard, shards), &[0x5A; 32], &["north"], &["maple"], now_us, pieces);
        // The segment that it stands for, of which nothing is kept.
        fs::write(journal.join(format!("shard-{shard:03}/000000001.segment")), []).expect("our own");
    }
}

/// A payment that was approved: a repeat or a reversal may name it.
#[must_use]
pub fn payment(number: u32, now_us: u64) -> Piece {
    let approved = Outcome {
        verdict: Verdict::Approved,
        response_code: ResponseCode::of(b"00"),
        approval_code: ApprovalCode::parse(b"A12345"),
        approved_minor: None,
    };
    let entry = Entry::new(identity(number), now_us, State::Ended(approved));
    Piece::Remembered(Entry { sent: Some(sent(number, now_us)), ..entry }, Leg::Answered)
}

/// A reversal that its issuer has not acknowledged.
#[must_use]
pub fn reversal(number: u32, now_us: u64) -> Piece {
    let reversal = Reversal {
        sent: sent(number, now_us),
        stan: stan(number),
        moment: 1_123_120_000,
        year: 2026,
        why: Why::TimedOut,
        left_minor: 0,
        approval_code: None,
        is_repeat: true,
    };
    let message = Stored::Reversal(reversal);
    Piece::Stored(Unacknowledged { message, since_us: now_us, is_parked: false, behind: None })
}

/// A proxy card of a program.
#[must_use]
pub fn card(number: u32, _now_us: u64) -> Piece {
    let pan = |prefix| Pan::parse(format!("{prefix}{number:011}").as_bytes()).expect("a card");
    let funding = Funding { pan: pan("99996"), expiry: Expiry::parse(b"3011").expect("a month") };
    Piece::Card(AccountHash(spread(number)), Card::new(pan("99991"), 1, Some(funding)))
}

fn stan(number: u32) -> Stan {
    Stan::new(number % 999_999 + 1).expect("a trace number")
}

fn sent(number: u32, now_us: u64) -> Sent {
    Sent {
        to: IssuerLink { issuer: IssuerId(0), link: 0 },
        stan: stan(number),
        pan: Pan::parse(format!("99996{number:011}").as_bytes()),
        is_funded: false,
        received_us: now_us,
        asked: Asked {
            identity: identity(number),
            fingerprint: Fingerprint { content: 7, track: None },
            acquirer: AcquirerId(0),
            class: Class::Authorization,
            stan: stan(number),
            amount: Amount::new(1_000, Currency::new(978).expect("a currency")),
            processing_code: ProcessingCode::parse(b"000000"),
            forwarder: None,
            local_time: Some(120_000),
            local_date: Some(1_123),
            keys: MatchKeys {
                moment: 1_123_120_000,
                acquirer: PartyId::new(100_001),
                rrn: Rrn::parse(format!("{number:012}").as_bytes()),
                terminal: TerminalId::parse(b"TERM0001"),
                merchant: None,
            },
        },
    }
}

fn identity(number: u32) -> Identity {
    Identity(u128::from(spread(number)) << 64 | u128::from(spread(!number)))
}

/// As a keyed hash spreads names.
fn spread(number: u32) -> u64 {
    let mixed = (u64::from(number) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9).rotate_left(31)
}
