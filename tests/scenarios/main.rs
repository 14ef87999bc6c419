//! What acquirers and issuers see of the switch, one test per rule; the names carry the rule's number.

#![forbid(unsafe_code)]
#![allow(clippy::duplicate_mod, reason = "the same scenarios over each token there is")]

mod advice;
mod clock;
mod commands;
mod console;
mod crash_points;
mod disk;
mod drain;
mod duplicate;
mod format;
mod index;
mod journal_key;
mod links;
mod local_decline;
mod matching;
mod memory;
mod metrics;
mod order;
mod parked;
mod provisioning;
mod purchase;
mod recall;
mod recovery;
mod reload;
mod reversal;
mod rights;
mod routing;
mod same_time;
mod service;
mod shards;
mod sign_on;
mod snapshot;
mod stand_in;
mod start;
mod timeout;
mod token;
mod trace;

/// The programs whose codes a token checks, over each token there is: the same scenarios.
#[path = "."]
mod on_softhsm {
    const TOKEN: tests::TokenKind = tests::TokenKind::SoftHsm;

    #[path = "challenge.rs"]
    mod challenge;
    #[path = "contactless.rs"]
    mod contactless;
    #[path = "enrolled.rs"]
    mod enrolled;
    #[path = "mac.rs"]
    mod mac;
    #[path = "rotating_atc.rs"]
    pub(crate) mod rotating_atc;
    #[path = "rotating_cvc3.rs"]
    mod rotating_cvc3;
}

#[path = "."]
mod on_devtoken {
    const TOKEN: tests::TokenKind = tests::TokenKind::Devtoken;

    #[path = "challenge.rs"]
    mod challenge;
    #[path = "contactless.rs"]
    mod contactless;
    #[path = "enrolled.rs"]
    mod enrolled;
    #[path = "mac.rs"]
    mod mac;
    #[path = "rotating_atc.rs"]
    mod rotating_atc;
    #[path = "rotating_cvc3.rs"]
    mod rotating_cvc3;
}
