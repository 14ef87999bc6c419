//! What the simulated switch is configured with.

use authorizer::atc_window::Reach;
use authorizer::decision::CodeSet;
use authorizer::event::IssuerId;
use authorizer::iin_table::{IinTable, Route};
use authorizer::programs::{CardProgram, Tries, contactless, rotating_atc};
use authorizer::rights::Rights;
use authorizer::saf::Retry;
use authorizer::stand_in::StandIn;
use authorizer::tables::{Acquirer, Issuer as IssuerRow, Tables};
use codecs::value::{Iin, ResponseCode};

use crate::payments::amount;

use super::{ACQUIRERS, ISSUER_TIMEOUT, ISSUERS, LINKS, SECOND};

/// Two digits may stand for two counters, of which the token says which it was.
pub(super) const REACH: Reach = Reach { ahead: 150, behind: 10 };

pub(super) fn tables() -> Tables {
    let acquirer = Acquirer {
        rights: Rights::default(),
        takes_parts: true,
        codes: CodeSet::Response1987,
        overrides: Vec::new(),
    };
    let issuer = IssuerRow { timeout_us: ISSUER_TIMEOUT, window: 1_000, links: LINKS, stand_in: None };
    let route = |digits: &[u8], issuers: &[u16]| {
        let issuers = issuers.iter().map(|issuer| IssuerId(*issuer)).collect();
        (Iin::parse(digits).expect("digits"), Route { issuers })
    };
    let tries = Tries { per_secret: 3, per_card: 200, window_us: 86_400 * SECOND };
    Tables {
        acquirers: vec![acquirer; usize::from(ACQUIRERS)],
        issuers: vec![issuer; usize::from(ISSUERS)],
        iins: IinTable::new(vec![route(b"99996", &[0, 1]), route(b"99997", &[1])]),
        approval_codes: vec![ResponseCode::of(b"00"), ResponseCode::of(b"10")],
        programs: vec![
            CardProgram::RotatingAtc(rotating_atc::Settings { tries, profile: rotating_atc::Profile::Aes }),
            CardProgram::Contactless(contactless::Settings {
                atc_digits: 2,
                reach: REACH,
                tries_per_card: tries.per_card,
                window_us: tries.window_us,
            }),
        ],
        proof_timeout_us: SECOND / 2,
        decline_floor_us: SECOND / 100,
        has_journal: true,
        planted: None,
        retry: Retry { min_us: SECOND, max_us: 20 * SECOND },
    }
}

/// Half of the worlds have an agreement, as the rate of the fault says.
pub(super) fn may_stand_in(tables: &mut Tables, rate: u32) {
    if rate == 0 {
        return;
    }
    for issuer in &mut tables.issuers {
        issuer.stand_in = Some(StandIn {
            iins: vec![Iin::parse(b"9999").expect("digits")],
            currency: amount(0).currency(),
            // Amounts go up to 100,000.
            floor_minor: u64::from(rate / 10).max(10_000),
            card_daily_minor: 150_000,
            funding_daily_minor: 150_000,
            daily_minor: 400_000,
        });
    }
}
