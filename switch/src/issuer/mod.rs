//! The issuer's side: who answers for the card.

pub(crate) mod link;
pub mod translate;
