//! Bytes to values and back, for a card authorization switch.
//!
//! In reading order, which is the order a request takes:
//!
//! * [`frame`] cuts messages out of a byte stream;
//! * [`iso8583`] finds the data elements of one message and writes new messages;
//! * [`track`] and [`discretionary`] read what the card or phone put into DE 35 and DE 45;
//! * [`tlv`] and [`emv`] read the chip data of DE 55;
//! * [`value`] holds the nouns that all of these end in, and that the authorizer decides about.
//!
//! What is absent: sockets, clocks, allocation, unsafe code, dependencies. A message is borrowed, never
//! copied; an index beside it says where each element lies. Input that breaks a rule is an error that names
//! the element, the offset and the flaw, never the content, and never a panic.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

#[cfg(test)]
extern crate std;

pub mod discretionary;
pub mod emv;
pub mod error;
pub mod frame;
pub mod iso8583;
pub mod tlv;
pub mod track;
pub mod value;

mod length;
mod reader;
mod text;
mod writer;

pub use error::{EncodeError, EncodeFlaw, Flaw, FrameError, ParseError};

/// Compiles and runs the example of the README, so that it stays true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
