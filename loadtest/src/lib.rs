//! Load generator and model issuer for any ISO 8583 host.
//!
//! In reading order: a [`profile`] says what a run does; [`mix`] and [`template`] make messages of it;
//! [`pace`] says when each is due, by a [`shape`]; [`acquirer`] sends them and settles the answers; [`tally`] counts, and
//! [`second`] keeps the course; [`report`] shows. [`issuer`] is the other side. [`proof`] computes what a message proves
//! itself with.
//!
//! Three times belong to a message: planned, sent, answered. The schedule is fixed before the run starts and
//! response time counts from the planned moment, so that a host that stalls cannot hide it by slowing the
//! generator down.
//!
//! A [`recording`] of an exchange can be sent again in place of a mix.
//!
//! [`capacity`], [`compare`] and [`paired`] judge several runs; [`agents`] share one between machines.
//!
//! What is absent: knowledge of any particular host, but for where a switch of ours is told about cards
//! ([`proof::provision`]).

#![forbid(unsafe_code)]

pub mod acquirer;
pub mod agents;
pub mod capacity;
pub mod cli;
pub mod clock;
pub mod codes;
pub mod commands;
pub mod compare;
pub mod dice;
pub mod framing;
pub mod issuer;
pub mod mix;
pub mod pace;
pub mod paired;
pub mod profile;
pub mod proof;
pub mod recording;
pub mod report;
pub mod respond;
pub mod second;
pub mod shape;
pub mod tally;
pub mod tap;
pub mod template;
pub mod units;

mod output;
mod pcap;
mod replay;
mod spot;
mod test_cards;
