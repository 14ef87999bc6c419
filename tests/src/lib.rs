//! What the outside-in tests share, in reading order: a message as text, bytes on a socket, the two model
//! hosts that speak them, and the rig that runs the release binary between the two.
//!
//! Nothing here looks inside the switch: it knows the configuration, the sockets, the metrics page, the
//! streams of the process and its exit code.

#![forbid(unsafe_code)]

pub mod books;
pub mod fixtures;
pub mod fuzz;
pub mod left_behind;
pub mod mac;
pub mod message_text;
pub mod rig;
pub mod wire;

pub use fixtures::{authorization_93, purchase, with_check_digit};
pub use message_text::Plain;
pub use rig::acquirer::Acquirer;
pub use rig::issuer::{Act, Issuer, Seen};
pub use rig::noise::Noise;
pub use rig::setup::Setup;
pub use rig::token::{TestToken, TokenKind};
pub use rig::{PATIENCE, Rig};
pub use wire::{Received, Wire};
