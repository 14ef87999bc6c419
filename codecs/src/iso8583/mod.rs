//! One ISO 8583 message, in reading order.
//!
//! [`mti`] says what kind of message it is, [`bitmap`] which data elements ([`de`]) it has, [`spec`] how each
//! of them is written, [`dialect`] puts these together for one kind of neighbour. [`Dialect::parse`] walks a
//! message once and fills an [`Index`]; [`Message`] reads elements through the index; [`Encoder`] writes, and [`Weaves`]
//! write answers that are put together of two messages.

pub mod bitmap;
pub mod de;
pub mod dialect;
pub mod encoder;
pub mod mac;
pub mod message;
pub mod mti;
pub mod original;
pub mod spec;
pub mod weave;

mod index;

pub use bitmap::DeSet;
pub use de::De;
pub use dialect::{BUILT_IN, Dialect, MtiRule, Plans, built_in};
pub use encoder::Encoder;
pub use index::Index;
pub use mac::{MACS, MacPlace};
pub use message::Message;
pub use mti::{Class, Mti, Version};
pub use original::{Original, ReplacementAmounts};
pub use spec::{BitmapText, FieldSpec, Kind, Length, PrefixText, Text};
pub use weave::{Strands, Weaves};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
