//! Every piece comes back as it was written; a snapshot that was changed or cut anywhere is refused.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use authorizer::atc_window::AtcWindow;
use authorizer::cards::{
    AccountHash, Bundle, BundleState, Card, Challenge, ChallengeState, EntryState, Funding, Personalised, Tag,
};
use authorizer::decision::{DeclineReason, Outcome};
use authorizer::event::IssuerId;
use authorizer::memory::{Entry, State, Undo};
use authorizer::request::{Fingerprint, Identity};
use authorizer::saf::{Stored, Why};
use authorizer::snapshot::{Leg, Unacknowledged};
use codecs::value::{Expiry, Pan, ResponseCode, Stan};

use super::*;
use crate::journal::Level;
use crate::journal::keys::tests::keys;
use crate::journal::record::tests::{advice, sent, undo};
use crate::journal::record::{Reader, Writer};

const SHARD: ShardId = ShardId(0);

/// A folder that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("signalbox-{name}-{}", std::process::id()));
        fs::create_dir_all(folder(&path, SHARD)).expect("a folder");
        Self(path)
    }

    fn snapshot(&self) -> PathBuf {
        folder(&self.0, SHARD).join(file_name(7))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn settings() -> Settings {
    Settings {
        level: Level::Sync,
        flush: Duration::ZERO,
        segment_bytes: 1 << 20,
        names: Names { acquirers: vec!["north".to_owned()], ..Names::default() },
        keys: Arc::new(keys()),
        snapshot_bytes: 1 << 20,
        retention: Duration::ZERO,
        mark_file: PathBuf::new(),
    }
}

fn tail() -> Tail {
    Tail { number: 7, end: 4_711, sum: [9; 16], position: 1_000, at_us: 5_000_000, torn_bytes: 0 }
}

fn pieces() -> Vec<Piece> {
    let stan = |number| Stan::new(number).expect("a number");
    let pan = Pan::parse(b"9999600000000019").expect("a card");
    let outcome = Outcome::declined(DeclineReason::IssuerTimedOut, ResponseCode::of(b"91"));
    let bare = |state| Entry::new(Identity(3), 7, state);
    let full = Entry {
        fingerprint: Fingerprint { content: 11, track: None },
        sent: Some(sent()),
        left_minor: Some(400),
        undo: Some(Undo { stan: stan(10), why: Why::Acquirer, left_minor: 400 }),
        ..bare(State::Ended(outcome))
    };
    let card = Card {
        is_blocked: true,
        wrong: 2,
        wrong_since_us: 99,
        bundle_high: Some(4),
        bundles: vec![Bundle {
            id: 4,
            first: 40,
            expires_us: 1_000,
            state: BundleState::Active,
            entries: vec![EntryState::Issued(2), EntryState::Used, EntryState::Dead, EntryState::Issued(0)],
        }],
        challenges: vec![Challenge {
            digits: *b"12345678",
            expires_us: 1_000,
            wrong: 1,
            state: ChallengeState::Superseded,
            tag: Some(Tag::Hmac([7; 32])),
        }],
        stripe: Some([1, 2]),
        window: AtcWindow::of_parts(7_751, 0x8000_0000_0000_0005),
        personalised: Personalised { expiry: Expiry::parse(b"2912"), service_code: Some(*b"201") },
        ..Card::new(pan, 1, Some(Funding { pan, expiry: Expiry::parse(b"3011").expect("a month") }))
    };
    vec![
        Piece::Newest(IssuerId(2), stan(999_999)),
        Piece::Remembered(full, Leg::Open),
        Piece::Remembered(bare(State::InDoubt), Leg::Gone),
        Piece::Remembered(bare(State::Tombstone), Leg::Gone),
        Piece::Remembered(bare(State::Undone), Leg::Answered),
        Piece::Stored(Unacknowledged {
            message: Stored::Reversal(*undo().expect("one")),
            since_us: 8,
            is_parked: true,
            behind: Some(stan(9)),
        }),
        Piece::Stored(Unacknowledged {
            message: Stored::Advice(advice()),
            since_us: 9,
            is_parked: false,
            behind: None,
        }),
        Piece::StoodIn(IssuerId(1), pan, 1_000, 86_400_000_000),
        Piece::Card(AccountHash(5), card),
        Piece::Card(AccountHash(6), Card::new(pan, 0, None)),
    ]
}

/// Cards as they were written before their tracks were told, before they had counters of their own, and before a proxy's
/// track was compared.
#[test]
fn older_cards_are_read() {
    let keys = keys();
    let pan = Pan::parse(b"9999100000000010").expect("a card");
    for (kind, stripe, last) in [(4, None, None), (7, Some([1, 2]), None), (8, Some([1, 2]), Some(258))] {
        let mut sealer = keys.for_new(&[1; 32], SHARD);
        let mut out = Vec::new();
        Writer { out: &mut out, sealer: &mut sealer, keys: &keys }.record(|w| {
            w.u64(5);
            w.card(Some(&pan));
            // Sequence number, no funding card, not blocked, no wrong codes, no bundles, no challenges.
            w.bytes(&[1, 0, 0, 0]);
            w.u64(0);
            w.bytes(&[0, 0, 0]);
            if let Some(constant) = stripe {
                w.option(Some(constant), |w, constant: [u8; 2]| w.bytes(&constant));
            }
            if let Some(last) = last {
                w.u16(last);
                w.u64(5);
            }
            kind
        });
        sealer.close(&mut out);
        let read = Reader::new(&out, Some(&sealer)).expect("sound").next_piece();
        let window = last.map_or(AtcWindow::new(0), |last| AtcWindow::of_parts(last, 5));
        let card = Card { stripe, window, ..Card::new(pan, 1, None) };
        assert_eq!(read, Some(Ok(Piece::Card(AccountHash(5), card))));
    }
}

fn read_all(scratch: &Scratch, keys: Option<&Keys>) -> Result<(Tail, Vec<Piece>), Fault> {
    let mut read_back = Vec::new();
    let tail = read(&scratch.0, SHARD, 7, keys, &mut |piece, names| {
        assert_eq!(*names, settings().names);
        read_back.push(piece);
    })?;
    Ok((tail, read_back))
}

#[test]
fn every_piece_comes_back_and_no_card_number_without_the_key() {
    let scratch = Scratch::new("pieces");
    let written = write(&scratch.0, SHARD, &settings(), &tail(), pieces().into_iter()).expect("written");
    assert_eq!(written.pieces, 10);
    let bytes = fs::read(scratch.snapshot()).expect("a snapshot");
    assert_eq!(written.bytes, bytes.len() as u64);
    assert!(!bytes.windows(16).any(|window| window == b"9999600000000019"));
    let (place, read_back) = read_all(&scratch, Some(&keys())).expect("sound");
    assert_eq!((place, read_back), (tail(), pieces()));
    let (_, closed) = read_all(&scratch, None).expect("sound");
    let is_closed = |piece: &Piece| match piece {
        Piece::Remembered(entry, _) => entry.sent.is_none_or(|sent| sent.pan.is_none()),
        Piece::Card(_, card) => card.pan.danger_clear_digits() == b"00000000",
        Piece::Stored(waiting) => waiting.message.sent().pan.is_none(),
        Piece::StoodIn(_, pan, ..) => pan.danger_clear_digits() == b"00000000",
        Piece::Newest(..) => true,
    };
    assert_eq!(closed.len(), 10);
    assert!(closed.iter().all(is_closed));
}

#[test]
fn every_changed_byte_and_every_cut_is_found() {
    let scratch = Scratch::new("changed");
    write(&scratch.0, SHARD, &settings(), &tail(), pieces().into_iter()).expect("written");
    let bytes = fs::read(scratch.snapshot()).expect("a snapshot");
    let is_refused = |changed: &[u8]| {
        fs::write(scratch.snapshot(), changed).expect("our own");
        matches!(read_all(&scratch, None), Err(Fault::Damaged { .. }))
    };
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(is_refused(&changed), "byte {at}");
    }
    for end in (0..bytes.len()).step_by(7) {
        assert!(is_refused(&bytes[..end]), "cut at {end}");
    }
    assert!(is_refused(&[&bytes[..], &bytes[..]].concat()), "something behind the end");
    assert!(!is_refused(&bytes));
}
