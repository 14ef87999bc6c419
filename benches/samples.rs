//! The messages and tables that all benches share.

pub mod path;

use authorizer::decision::CodeSet;
use authorizer::event::IssuerId;
use authorizer::iin_table::{IinTable, Route};
use authorizer::limits::Limits;
use authorizer::rights::Rights;
use authorizer::tables::{Acquirer, Issuer, Tables};
use codecs::iso8583::{De, DeSet, Dialect, Encoder, Mti};
use codecs::value::{Iin, ResponseCode};

/// The elements of a card-present authorization, twenty of them, in canonical form.
pub const AUTHORIZATION: [(u8, &[u8]); 20] = [
    (2, b"9999600000000019"),
    (3, b"000000"),
    (4, b"000000001000"),
    (7, b"1123220304"),
    (11, b"000001"),
    (12, b"220304"),
    (13, b"1123"),
    (14, b"2912"),
    (18, b"5411"),
    (22, b"021"),
    (25, b"00"),
    (32, b"100001"),
    (35, b"9999600000000019=29122010000000000000"),
    (37, b"000000000001"),
    (41, b"TERM0001"),
    (42, b"MERCH0000000001"),
    (43, b"CORNER SHOP            SPRINGFIELD   USA"),
    (49, b"840"),
    (52, &[0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC, 0xDE, 0xF0]),
    (55, &[0x9F, 0x36, 0x02, 0x00, 0x2A, 0x9F, 0x37, 0x04, 1, 2, 3, 4, 0x95, 0x05, 0, 0, 0, 0, 0]),
];

/// The answer to it.
pub const APPROVAL: [(u8, &[u8]); 14] = [
    (2, b"9999600000000019"),
    (3, b"000000"),
    (4, b"000000001000"),
    (7, b"1123220304"),
    (11, b"000001"),
    (12, b"220304"),
    (13, b"1123"),
    (32, b"100001"),
    (37, b"000000000001"),
    (38, b"A12345"),
    (39, b"00"),
    (41, b"TERM0001"),
    (42, b"MERCH0000000001"),
    (49, b"840"),
];

/// Writes a message.
///
/// # Panics
/// When the dialect cannot say it: the samples can be said in every dialect of 1987.
#[must_use]
pub fn message(dialect: &Dialect, mti: &[u8; 4], elements: &[(u8, &[u8])]) -> Vec<u8> {
    let de = |number: u8| De::new(number).expect("1 to 128");
    let present = elements.iter().fold(DeSet::EMPTY, |set, (number, _)| set.with(de(*number)));
    let mut out = vec![0; 1_024];
    let mti = Mti::from_digits(*mti).expect("a message type");
    let mut encoder = Encoder::new(dialect, mti, present, &mut out).expect("room");
    for (number, value) in elements {
        encoder.put(de(*number), value).expect("the dialect can say it");
    }
    let length = encoder.finish().expect("complete");
    out.truncate(length);
    out
}

/// One acquirer, one issuer with two links, and as many card ranges as asked for, all of that issuer.
///
/// # Panics
/// Never: the ranges are digits.
#[must_use]
pub fn tables(ranges: u32) -> Tables {
    let route = || Route { issuers: vec![IssuerId(0)] };
    let row = |digits: String| (Iin::parse(digits.as_bytes()).expect("digits"), route());
    let mut rows = vec![row("99996".to_owned())];
    rows.extend((0..ranges).map(|number| row(format!("{:08}", u64::from(number) * 797 % 90_000_000))));
    Tables {
        has_journal: true,
        planted: None,
        retry: authorizer::saf::Retry::default(),
        acquirers: vec![Acquirer {
            rights: Rights::default(),
            takes_parts: false,
            codes: CodeSet::Response1987,
            overrides: vec![],
        }],
        issuers: vec![Issuer { timeout_us: 10_000_000, window: 100_000, links: 2, stand_in: None }],
        iins: IinTable::new(rows),
        approval_codes: vec![ResponseCode::of(b"00"), ResponseCode::of(b"10")],
        programs: vec![],
        proof_timeout_us: 0,
        decline_floor_us: 0,
    }
}

/// Bounds as the switch has them by default.
#[must_use]
pub fn limits() -> Limits {
    Limits {
        pending_max: 65_536,
        recent_entries: 1 << 20,
        recent_window_us: 900_000_000,
        cards_max: 0,
        reversals_max: 1_000,
    }
}
