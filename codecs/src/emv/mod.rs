//! The chip data of DE 55: what the card signed, and over what.
//!
//! [`tag`] names the data objects and says how long each may be; [`icc_data`] reads one DE 55.

pub mod icc_data;
pub mod tag;

pub use icc_data::IccData;
