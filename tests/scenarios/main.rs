//! What acquirers and issuers see of the switch, one test per rule; the names carry the rule's number.

#![forbid(unsafe_code)]

mod advice;
mod challenge;
mod drain;
mod duplicate;
mod format;
mod links;
mod local_decline;
mod matching;
mod metrics;
mod order;
mod purchase;
mod recovery;
mod reload;
mod reversal;
mod rights;
mod rotating_atc;
mod routing;
mod shards;
mod sign_on;
mod snapshot;
mod timeout;
mod trace;
